// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"net/http"
	"strings"
	"testing"
)

// What is not BigQuery, or does not let us in, is told in one line.
func TestErrorsOfCalls(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"a web server": {
			func(w http.ResponseWriter) { http.Error(w, "<html>\nnothing here\n</html>", 404) },
			"HTTP 404 and not an error of BigQuery: is this the address of the API? (job p:id_1)",
		},
		"a login page": {
			func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>log in</html>")) },
			"the answer is not JSON: is this the address of the API? (job p:id_1)",
		},
		"no credentials": {
			func(w http.ResponseWriter) {
				fail(w, 401, "authError", "Request had invalid authentication credentials.")
			},
			"Request had invalid authentication credentials. (HTTP 401) (job p:id_1)",
		},
		"no permission": {
			func(w http.ResponseWriter) {
				fail(w, 403, "accessDenied", "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.")
			},
			"Access Denied: Project p: User does not have bigquery.jobs.create permission in project p. (accessDenied, job p:id_1)",
		},
	} {
		f, c := newFake(t)
		f.before = func(w http.ResponseWriter, _ string, _ int) bool { test.answer(w); return true }
		_, err := c.Run(t.Context(), Request{SQL: "SELECT 1", ID: "id"})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v\nwant %s", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line", name)
		}
	}
}
