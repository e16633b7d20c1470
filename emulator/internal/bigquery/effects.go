// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import "strings"

// Effects is told what took effect, for tests that count it. Objects are named
// "projects/PROJECT/datasets/DATASET/models/MODEL".
type Effects interface {
	Created(name string)
	Updated(name string)
	Deleted(name string)
	// Executed tells of the end of a query job, with the text it ran.
	Executed(sql string, ok bool)
}

// noEffects is for servers whose effects nobody counts.
type noEffects struct{}

func (noEffects) Created(string)        {}
func (noEffects) Updated(string)        {}
func (noEffects) Deleted(string)        {}
func (noEffects) Executed(string, bool) {}

// modelName is the name of a model to Effects.
func (t tableRef) modelName() string {
	return "projects/" + t.project + "/datasets/" + t.dataset + "/models/" + t.table
}

// Routes lists the API's methods as "GET /bigquery/v2/projects/{projectId}/jobs".
func (s *Server) Routes() []string {
	out := []string{
		"POST /upload/bigquery/v2/projects/{projectId}/jobs",
		"PUT /upload/bigquery/v2/projects/{projectId}/jobs",
	}
	for _, m := range s.methods() {
		verb, path, _ := strings.Cut(m.route, " ")
		out = append(out, verb+" /bigquery/v2"+path)
	}
	return out
}
