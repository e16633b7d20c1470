// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"strings"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// The forms are those of the comment of ListModelsRequest.filter.
func TestModelQueryFilter(t *testing.T) {
	for _, c := range []struct {
		query ModelQuery
		want  string
	}{
		{ModelQuery{}, ""},
		{ModelQuery{Filter: "  "}, ""},
		{ModelQuery{Filter: " model=1234 "}, "model=1234"},
		{ModelQuery{DisplayName: "my model"}, `display_name="my model"`},
		{ModelQuery{Labels: map[string]string{"team": "ml", "a key": "x"}}, `labels."a key"="x" AND labels.team="ml"`},
		{ModelQuery{"model=a OR model=b", "n", map[string]string{"k": "v"}}, `model=a OR model=b AND display_name="n" AND labels.k="v"`},
		// What would end the quotes is not sent.
		{ModelQuery{DisplayName: `x" OR model="y`}, ""},
		{ModelQuery{DisplayName: `x\`}, ""},
		{ModelQuery{Labels: map[string]string{"cost-centre": "a-b"}}, `labels."cost-centre"="a-b"`},
		{ModelQuery{DisplayName: "it's"}, `display_name="it's"`},
		{ModelQuery{Labels: map[string]string{`k"`: "v", "l": `v"`, `m\`: "v", "n": "", "o": "v"}}, `labels.o="v"`},
	} {
		if got := c.query.filter(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.query, got, c.want)
		}
	}
}

func TestModelQueryMatches(t *testing.T) {
	m := &pb.Model{DisplayName: `a "b"`, Labels: map[string]string{"team": "ml", "none": ""}}
	for _, c := range []struct {
		query ModelQuery
		want  bool
	}{
		{ModelQuery{}, true},
		{ModelQuery{DisplayName: `a "b"`}, true},
		{ModelQuery{DisplayName: `A "b"`}, false},
		{ModelQuery{Labels: map[string]string{"team": "ml", "none": ""}}, true},
		{ModelQuery{Labels: map[string]string{"team": "ml", "other": ""}}, false},
		{ModelQuery{Labels: map[string]string{"team": ""}}, false},
		{ModelQuery{DisplayName: `a "b"`, Labels: map[string]string{"team": "x"}}, false},
	} {
		if got := c.query.matches(m); got != c.want {
			t.Errorf("%+v: %v", c.query, got)
		}
	}
}

func listed(t *testing.T, s *Service, q ModelQuery) string {
	t.Helper()
	parent := gcp.Name{Project: "p", Location: "us-central1"}
	var names []string
	for _, m := range must[[]*Model](t)(s.ListModels(t.Context(), parent, q)) {
		names = append(names, m.Name.String()+"@"+m.VersionID)
	}
	return strings.ReplaceAll(strings.Join(names, " "), "projects/p/locations/us-central1/models/", "")
}

// All pages are read, at the default versions, also when one of them was lost; the fake
// reads no filter, so that what a filter cannot say is seen to be looked at here.
func TestListModels(t *testing.T) {
	f, s := newFake(t)
	for _, id := range []string{"c", "a", "b"} {
		f.versions["projects/p/locations/us-central1/models/"+id] = []*pb.Model{
			{VersionId: "1", VersionAliases: []string{"default"}, DisplayName: "the \"" + id + "\""}, {VersionId: "2"},
		}
	}
	f.labels["projects/p/locations/us-central1/models/b"] = map[string]string{"stage": ""}
	if got := listed(t, s, ModelQuery{}); got != "a@1 b@1 c@1" || f.calls["ListModels"] != 3 {
		t.Errorf("%s in %d pages", got, f.calls["ListModels"])
	}
	if got := listed(t, s, ModelQuery{DisplayName: `the "c"`}); got != "c@1" {
		t.Errorf("by display name: %s", got)
	}
	if got := listed(t, s, ModelQuery{Labels: map[string]string{"stage": ""}}); got != "b@1" {
		t.Errorf("by label: %s", got)
	}
	if got := listed(t, s, ModelQuery{DisplayName: "none"}); got != "" {
		t.Errorf("nothing is called so: %s", got)
	}
	from := f.calls["ListModels"]
	f.before = func(method string, n int) error {
		if method == "ListModels" && n == from+2 {
			return errLost
		}
		return nil
	}
	if got := listed(t, s, ModelQuery{}); got != "a@1 b@1 c@1" || f.calls["ListModels"] <= from+3 {
		t.Errorf("a page was lost: %s", got)
	}
	f.before = func(string, int) error { return status.Error(codes.PermissionDenied, "no") }
	if found, err := s.ListModels(t.Context(), gcp.Name{Project: "p", Location: "us-central1"}, ModelQuery{}); !isOneOf(err, codes.PermissionDenied) || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
