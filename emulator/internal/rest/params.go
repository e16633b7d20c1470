// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

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
		if len(kept) != len(query) {
			r = r.Clone(r.Context())
			r.URL.RawQuery = kept.Encode()
		}
		next.ServeHTTP(w, r)
	})
}
