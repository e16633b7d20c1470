// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
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

func systemParameters(next http.Handler) http.Handler {
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
