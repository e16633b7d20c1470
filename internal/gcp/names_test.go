// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"errors"
	"testing"
)

func TestParseName(t *testing.T) {
	want := Name{Project: "p-1", Location: "us-central1", Kind: KindModel, ID: "bert", Version: "2"}
	for _, s := range []string{
		"projects/p-1/locations/us-central1/models/bert@2",
		"//aiplatform.googleapis.com/projects/p-1/locations/us-central1/models/bert@2",
		"https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1/models/bert@2",
	} {
		if got, err := ParseName(KindModel, s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "bert", "projects/p/locations/l/models/", "projects/p/locations/l/models/a/b", "projects/p/locations/l/endpoints/e",
		"projects/p/locations/../models/m", "projects/p/locations/l/models/m%2Fn",
	} {
		if got, err := ParseName(KindModel, s); err == nil {
			t.Errorf("%q was read as %+v", s, got)
		}
	}
	if _, err := ParseName(KindEndpoint, "projects/p/locations/l/endpoints/e@1"); err == nil {
		t.Error("an endpoint has no versions")
	}
}

// Hosts of Vertex AI: https://cloud.google.com/vertex-ai/docs/reference/rest#rest_endpoints
// for regions, https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations for
// global, AIP-4117 and the generated clients' templates ("aiplatform.UNIVERSE_DOMAIN") for
// universes.
func TestVertexURL(t *testing.T) {
	for _, c := range []struct{ universe, location, want string }{
		{"", "us-central1", "https://us-central1-aiplatform.googleapis.com/v1/"},
		{"googleapis.com", "europe-west4", "https://europe-west4-aiplatform.googleapis.com/v1/"},
		{"", "US-Central1", "https://us-central1-aiplatform.googleapis.com/v1/"},
		{"", "global", "https://aiplatform.googleapis.com/v1/"},
		{"cloud.example", "u-region1", "https://u-region1-aiplatform.cloud.example/v1/"},
		{"cloud.example", "global", "https://aiplatform.cloud.example/v1/"},
	} {
		got := VertexURL(c.universe, c.location)
		if got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.location, c.universe, got, c.want)
		}
		const name = "projects/p/locations/l/endpoints/e"
		want := c.universe
		if want == "" {
			want = "googleapis.com"
		}
		if n, err := ParseName(KindEndpoint, got+name); err != nil || n.String() != name || UniverseOf(got+name) != want {
			t.Errorf("%s is read as %v (%v) of %q", got+name, n, err, UniverseOf(got+name))
		}
	}
	for _, text := range []string{"", "gemini-2.5-flash", "projects/p/locations/l/endpoints/e", "https://bigquery.cloud.example/v1/x", "https://aiplatform/v1/x"} {
		if got := UniverseOf(text); got != "" {
			t.Errorf("%q is of the universe %q", text, got)
		}
	}
	if got := UniverseOf("//aiplatform.cloud.example/projects/p/locations/l/models/m"); got != "cloud.example" {
		t.Errorf("without a scheme: %q", got)
	}
}

func TestParseImportID(t *testing.T) {
	want := Name{Project: "demo-project", Location: "US", Kind: KindConnection, ID: "c_1"}
	for _, s := range []string{"projects/demo-project/locations/US/connections/c_1", "demo-project/US/c_1", "US/c_1"} {
		if got, err := ParseImportID(KindConnection, s, "demo-project"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"c_1", "US/c_1/x/y", "/c_1"} {
		if got, err := ParseImportID(KindConnection, s, ""); err == nil {
			t.Errorf("%q was read as %+v", s, got)
		}
	}
}

func TestCanonicalNames(t *testing.T) {
	lookUp := func(p string) (string, error) {
		if p == "123" {
			return "p-1", nil
		}
		return p, nil
	}
	a := Name{Project: "123", Location: "US", Kind: KindConnection, ID: "c"}
	b := Name{Project: "p-1", Location: "us", Kind: KindConnection, ID: "c"}
	if a.Canonical(lookUp) != b.Canonical(lookUp) {
		t.Error("number and id, US and us should be equal")
	}
	refused := func(string) (string, error) { return "", errors.New("forbidden") }
	if got := a.Canonical(refused); got.Project != "123" {
		t.Errorf("a look-up that fails must keep the spelling, got %q", got.Project)
	}
}

func TestParseRemoteModelName(t *testing.T) {
	want := RemoteModelName{"p-1", "ds", "m"}
	for _, s := range []string{
		"projects/p-1/datasets/ds/models/m", "p-1/ds/m", "p-1.ds.m", "p-1:ds.m", "ds/m", "ds.m",
		"https://bigquery.googleapis.com/bigquery/v2/projects/p-1/datasets/ds/models/m",
	} {
		if got, err := ParseRemoteModelName(s, "p-1"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "m", "p.ds.m.x", "ds.m`; DROP", "projects/p/datasets/ds"} {
		if got, err := ParseRemoteModelName(s, ""); err == nil {
			t.Errorf("%q was read as %+v", s, got)
		}
	}
}

func TestSlug(t *testing.T) {
	for display, want := range map[string]string{
		"bert sentiment endpoint": "bert-sentiment-endpoint",
		"  Ünïcode!! ":            "n-code",
		"2nd model":               "m-2nd-model",
		"---":                     "",
		"a234567890b234567890c234567890d234567890e234567890f234567890-g234567890": "a234567890b234567890c234567890d234567890e234567890f234567890-g2",
	} {
		if got := Slug(display, "-"); got != want {
			t.Errorf("Slug(%q) = %q, want %q", display, got, want)
		}
	}
}
