// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"
)

// ModelGarden returns the flags of an emulator with the publisher models of
// publishermodels/, and with a server that stands in for their containers: it is
// well, and predicts "ok" for each instance.
func ModelGarden(t testing.TB) (flags []string) {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	models, err := filepath.Glob(filepath.Join(filepath.Dir(file), "publishermodels", "*.json"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no publisher models (%v)", err)
	}
	for _, model := range models {
		flags = append(flags, "--publisher-model", model)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /generate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"predictions": ["ok"]}`))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, images := range []string{"us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/*", "us-docker.pkg.dev/deeplearning-platform-release/*"} {
		flags = append(flags, "--model-server", images+"="+server.URL)
	}
	return flags
}
