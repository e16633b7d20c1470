// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"net/http"
	"regexp"
	"strings"
)

// discovery serves the discovery documents from which the bq command builds its
// clients: BigQuery itself (version v2) and connections (version v1). They are
// made from the table of methods and describe no more than a client needs to send
// requests.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("version") {
	case "v2":
		writeJSON(w, http.StatusOK, s.document("bigquery", "v2", "bigquery/v2/", s.bigqueryResources()))
	case "v1":
		writeJSON(w, http.StatusOK, s.document("bigqueryconnection", "v1", "", connectionResources()))
	default:
		notFound("Discovery document of version %q; there are v2 (BigQuery) and v1 (BigQuery Connection)", r.FormValue("version")).write(w)
	}
}

type object = map[string]any

func (s *Server) document(name, version, servicePath string, resources object) object {
	root := "http://" + s.cfg.Addr + "/"
	return object{
		"kind": "discovery#restDescription", "discoveryVersion": "v1", "protocol": "rest",
		"id": name + ":" + version, "name": name, "version": version, "title": name,
		"rootUrl": root, "servicePath": servicePath, "baseUrl": root + servicePath, "basePath": "/" + servicePath, "batchPath": "batch",
		"parameters": parameters("alt:string fields:string key:string prettyPrint:boolean quotaUser:string userIp:string trace:string", "query"),
		"schemas":    object{"Any": object{"id": "Any", "type": "object"}},
		"resources":  resources,
	}
}

// parameters describes a list of "name:type"; a type that ends in "*" repeats.
func parameters(list, location string) object {
	out := object{}
	for _, entry := range strings.Fields(list) {
		name, typ, _ := strings.Cut(entry, ":")
		typ, repeated := strings.CutSuffix(typ, "*")
		p := object{"type": typ, "location": location}
		if repeated {
			p["repeated"] = true
		}
		if location == "path" {
			p["required"] = true
		}
		out[name] = p
	}
	return out
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// describe describes one method.
func describe(id, httpMethod, path, query string) object {
	out := object{"id": id, "httpMethod": httpMethod, "response": object{"$ref": "Any"}}
	names := []string{}
	inPath := ""
	for _, m := range pathParameter.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
		inPath += m[1] + ":string "
	}
	all := parameters(query, "query")
	for name, p := range parameters(inPath, "path") {
		all[name] = p
	}
	path = pathParameter.ReplaceAllString(strings.TrimPrefix(path, "/"), "{+$1}")
	out["path"], out["parameterOrder"], out["parameters"] = path, names, all
	if httpMethod == http.MethodPost || httpMethod == http.MethodPut || httpMethod == http.MethodPatch {
		out["request"] = object{"$ref": "Any"}
	}
	return out
}

func (s *Server) bigqueryResources() object {
	methods := map[string]object{}
	for _, m := range s.methods() {
		resource, name, _ := strings.Cut(m.id, ".")
		httpMethod, path, _ := strings.Cut(m.route, " ")
		described := describe("bigquery."+m.id, httpMethod, path, m.query)
		if m.id == "jobs.insert" {
			described["supportsMediaUpload"] = true
			described["mediaUpload"] = object{"accept": []string{"*/*"}, "protocols": object{
				"simple":    object{"multipart": true, "path": "/upload/bigquery/v2/projects/{+projectId}/jobs"},
				"resumable": object{"multipart": true, "path": "/resumable/upload/bigquery/v2/projects/{+projectId}/jobs"},
			}}
		}
		if methods[resource] == nil {
			methods[resource] = object{}
		}
		methods[resource][name] = described
	}
	resources := object{}
	for resource, of := range methods {
		resources[resource] = object{"methods": of}
	}
	return resources
}

func connectionResources() object {
	methods := object{}
	for _, m := range []struct{ name, httpMethod, path, query string }{
		{"create", "POST", "v1/{parent}/connections", "connectionId:string"},
		{"list", "GET", "v1/{parent}/connections", "pageSize:integer pageToken:string"},
		{"get", "GET", "v1/{name}", ""},
		{"patch", "PATCH", "v1/{name}", "updateMask:string"},
		{"delete", "DELETE", "v1/{name}", ""},
		{"getIamPolicy", "POST", "v1/{resource}:getIamPolicy", ""},
		{"setIamPolicy", "POST", "v1/{resource}:setIamPolicy", ""},
		{"testIamPermissions", "POST", "v1/{resource}:testIamPermissions", ""},
	} {
		methods[m.name] = describe("bigqueryconnection.projects.locations.connections."+m.name, m.httpMethod, m.path, m.query)
	}
	connections := object{"connections": object{"methods": methods}}
	return object{"projects": object{"resources": object{"locations": object{"resources": connections}}}}
}
