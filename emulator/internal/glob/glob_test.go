// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package glob

import "testing"

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"*", "/a/b", true},
		{"", "", true},
		{"", "a", false},
		{"*/DeployModel", "/google.cloud.aiplatform.v1.EndpointService/DeployModel", true},
		{"*/DeployModel", "/google.cloud.aiplatform.v1.EndpointService/UndeployModel", false},
		{"POST /bigquery/v2/projects/*/jobs", "POST /bigquery/v2/projects/p/jobs", true},
		{"POST /bigquery/v2/projects/*/jobs", "POST /bigquery/v2/projects/p/jobs/j/cancel", false},
		{"GET /projects/{p}/jobs", "GET /projects/a.b-c/jobs", true},
		{"GET /projects/{p}/jobs", "GET /projects/a/b/jobs", false},
		{"a*b*c", "a-b-b-c", true},
		{"a.c", "abc", false},
		{"[a]", "a", false},
	} {
		if got := Match(c.pattern, c.s); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"POST /bigquery/v2/*/jobs", "POST /bigquery/v2/projects/{p}/jobs", true},
		{"* /bigquery/v2/*", "DELETE /bigquery/v2/projects/{p}/datasets/{d}", true},
		{"POST /bigquery/v2/projects/*/job", "POST /bigquery/v2/projects/{p}/jobs", false},
		{"GET /v1/projects/{p}", "GET /v1/projects/*/endpoints", false},
		{"*/Deploy*", "/a.B/DeployModel", true},
		{"/a.B/Nothing", "/a.B/DeployModel", false},
	} {
		if got := Overlap(c.a, c.b); got != c.want || Overlap(c.b, c.a) != c.want {
			t.Errorf("Overlap(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
