// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

const (
	tfImage      = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
	sklearnImage = "europe-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-6:latest"
)

// The list of objects comes in pages (Objects: list, JSON API of Cloud Storage).
func TestReadArtifact(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch q := r.URL.Query(); {
		case r.URL.Path == "/storage/v1/b/none/o":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":404,"message":"The specified bucket does not exist."}}`)
		case r.URL.Path != "/storage/v1/b/bucket/o" || q.Get("prefix") != "models/bert/":
			t.Errorf("asked for %s", r.URL)
		case q.Get("pageToken") == "":
			fmt.Fprint(w, `{"items":[{"name":"models/bert/saved_model.pb","generation":"17"},{"name":"models/bert/","generation":"1"}],"nextPageToken":"next"}`)
		default:
			fmt.Fprint(w, `{"items":[{"name":"models/bert/assets/vocab.txt","generation":"18"}]}`)
		}
	}))
	defer server.Close()
	clients, err := gcp.Connect(t.Context(), gcp.Config{EmulatorHost: strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"gs://bucket/models/bert", "gs://bucket/models/bert/"} {
		a, err := New(clients).ReadArtifact(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		if want := "[{assets/vocab.txt 18} {saved_model.pb 17}]"; fmt.Sprint(a.Files) != want {
			t.Errorf("files %v, want %s", a.Files, want)
		}
	}
	if _, err := New(clients).ReadArtifact(t.Context(), "gs://none/models/bert"); !gcp.IsNotFound(err) {
		t.Errorf("a bucket that does not exist: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	files := func(list ...ArtifactFile) *Artifact { return &Artifact{Files: list} }
	base := files(ArtifactFile{"a", 1}, ArtifactFile{"b", 2}).Fingerprint()
	for name, other := range map[string]*Artifact{
		"written": files(ArtifactFile{"a", 1}, ArtifactFile{"b", 3}), "removed": files(ArtifactFile{"a", 1}),
		"added": files(ArtifactFile{"a", 1}, ArtifactFile{"b", 2}, ArtifactFile{"c", 3}), "renamed": files(ArtifactFile{"a", 1}, ArtifactFile{"c", 2}), "empty": files(),
	} {
		if other.Fingerprint() == base {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
	if files(ArtifactFile{"a", 1}, ArtifactFile{"b", 2}).Fingerprint() != base {
		t.Error("a fingerprint that depends on nothing")
	}
}

func TestProblem(t *testing.T) {
	for _, c := range []struct {
		image string
		files []string
		want  string
	}{
		{tfImage, nil, "nothing in gs://b/m/"},
		{tfImage, []string{"saved_model.pb", "variables/variables.index"}, ""},
		{tfImage, []string{"1/saved_model.pb", "2/saved_model.pb"}, "in 1/, 2/ there"},
		{tfImage, []string{"model.joblib"}, "looks for saved_model.pb"},
		{sklearnImage, []string{"model.joblib"}, ""},
		{sklearnImage, []string{"model.joblib", "model.pkl"}, "exactly one"},
		{sklearnImage, []string{"saved_model.pb"}, "looks for model.joblib or model.pkl"},
		{"us-docker.pkg.dev/p/r/own:1", []string{"anything"}, ""},
	} {
		a := &Artifact{URI: "gs://b/m/"}
		for _, name := range c.files {
			a.Files = append(a.Files, ArtifactFile{name, 1})
		}
		if got := a.Problem(c.image); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s with %v: %q, want %q", c.image, c.files, got, c.want)
		}
	}
}

func TestContainerNotice(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct{ image, at, want string }{
		{tfImage, "2026-01-01", ""},
		{tfImage, "2026-05-01", "support end on 2026-07-14"},
		{tfImage, "2026-07-14", "support end on 2026-07-14"},
		{tfImage, "2026-07-15", "ended on 2026-07-14; it is available until 2027-01-14"},
		{tfImage, "2027-01-15", "no longer available since 2027-01-14"},
		{strings.Replace(tfImage, "2-15", "2-99", 1), "2026-07-15", ""},
		{strings.TrimSuffix(tfImage, ":latest"), "2026-01-01", "the tag latest only"},
		{strings.Replace(tfImage, ":latest", "@sha256:0", 1), "2026-01-01", "the tag latest only"},
		{"us-docker.pkg.dev/vertex-ai-restricted/prediction/tf_opt-gpu.nightly:latest", "2026-07-15", ""},
		{"asia-docker.pkg.dev/vertex-ai-restricted/prediction/tf_opt-tpu.2-17:latest", "2025-07-11", "available until 2025-07-11"},
		{sklearnImage, "2026-10-15", "available until 2027-10-14"},
		{"us-docker.pkg.dev/p/r/tf2-cpu.2-15:latest", "2030-01-01", ""},
	} {
		if got := ContainerNotice(c.image, day(c.at)); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s at %s: %q, want %q", c.image, c.at, got, c.want)
		}
	}
	for image, s := range prebuilt {
		if !day(s.patched).Before(day(s.available)) {
			t.Errorf("%s is patched until %s and available until %s", image, s.patched, s.available)
		}
	}
}
