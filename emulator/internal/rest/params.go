// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// The parameters that every Google API accepts
// (cloud.google.com/apis/docs/system-parameters). They select the form of the
// answer and the account that is billed, so they are taken out of the query
// before it is matched with the fields of the request.
var systemParameterNames = map[string]bool{
	"alt": true, "callback": true, "fields": true, "key": true, "oauth_token": true, "access_token": true,
	"prettyPrint": true, "quotaUser": true, "userProject": true, "uploadType": true, "upload_protocol": true, "xgafv": true,
	"apiVersion": true, "userIp": true, "trace": true,
}

// systemParameters takes them out. booleans are the names of parameters that are
// true or false.
func systemParameters(booleans map[string]bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		kept := url.Values{}
		for name, values := range query {
			bare := strings.TrimLeft(name, "$.")
			if !systemParameterNames[bare] {
				kept[name] = values
				if strings.HasSuffix(strings.ToLower(name), "mask") {
					kept[name] = camelPaths(values)
				}
				if booleans[name] {
					kept[name] = lowerCase(values)
				}
				continue
			}
			value := values[len(values)-1]
			switch {
			case bare == "alt" && value != "json" && !strings.HasPrefix(value, "json;"):
				WriteError(w, codes.Unimplemented, fmt.Sprintf("alt=%s is not implemented: only json is.", value))
				return
			case bare == "callback" && value != "":
				WriteError(w, codes.Unimplemented, "callback (JSONP) is not implemented.")
				return
			case bare == "fields" && value != "" && value != "*":
				WriteError(w, codes.Unimplemented, "fields (partial responses) is not implemented: leave it out to get the whole resource.")
				return
			}
		}
		r = r.Clone(r.Context())
		r.URL.RawQuery = kept.Encode()
		next.ServeHTTP(w, r)
	})
}

// booleanParameters are the names, in both spellings, of the fields of requests that
// are true or false.
func booleanParameters(server *grpc.Server) map[string]bool {
	names := map[string]bool{}
	for name := range server.GetServiceInfo() {
		descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		service, ok := descriptor.(protoreflect.ServiceDescriptor)
		if err != nil || !ok {
			continue
		}
		for i := range service.Methods().Len() {
			fields := service.Methods().Get(i).Input().Fields()
			for j := range fields.Len() {
				if field := fields.Get(j); field.Kind() == protoreflect.BoolKind {
					names[string(field.Name())], names[field.JSONName()] = true, true
				}
			}
		}
	}
	return names
}

// lowerCase makes true of True, which is how gcloud, in Python, writes it in a query.
func lowerCase(values []string) []string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = strings.ToLower(value)
	}
	return out
}

// camelPaths spells the paths of a field mask as JSON does. Google takes
// update_mask=display_name as well as displayName; protojson only the latter.
func camelPaths(masks []string) []string {
	out := make([]string, len(masks))
	for i, mask := range masks {
		var b strings.Builder
		upper := false
		for _, r := range mask {
			switch {
			case r == '_':
				upper = true
			case upper:
				b.WriteRune(unicode.ToUpper(r))
				upper = false
			default:
				b.WriteRune(r)
			}
		}
		out[i] = b.String()
	}
	return out
}
