// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// The reply to jobs.insert is lost after the emulator has accepted the job: the
// statement is executed once all the same, by one job.
func TestLostReply(t *testing.T) {
	bin := os.Getenv("GCPML_EMULATOR_BIN")
	if bin == "" {
		t.Skip("no emulator: set GCPML_EMULATOR_BIN to the binary (make test does)")
	}
	target := &url.URL{Scheme: "http", Host: startEmulator(t, bin)}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var lose atomic.Bool
	var inserts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/jobs") {
			proxy.ServeHTTP(w, r)
			return
		}
		inserts.Add(1)
		if !lose.CompareAndSwap(true, false) {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r) // it has its effect
		if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = connection.Close()
		}
	}))
	defer server.Close()
	project := "lost-" + query.NewRunID()
	gcpml := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "gcpml", append(args, "--project", project, "--emulator-host", strings.TrimPrefix(server.URL, "http://"))...)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return string(out)
	}
	gcpml("run", "-e", "CREATE SCHEMA d; CREATE TABLE d.t (a INT64)")
	lose.Store(true)
	before := inserts.Load()
	gcpml("run", "-e", "INSERT d.t VALUES (1)")
	if lose.Load() || inserts.Load() == before {
		t.Fatal("no reply was lost")
	}
	if got := gcpml("run", "-e", "SELECT COUNT(*) AS n FROM d.t", "--format", "csv"); got != "n\n1\n" {
		t.Errorf("the statement was executed as often as %q says", got)
	}
	counters, err := apiCaller{target.String()}.call(http.MethodGet, "/_emulator/counters", nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("INSERT d.t VALUES (1)"))
	if done, _ := counters["statements"].(object)[hex.EncodeToString(sum[:])].(object); done["successes"] != 1.0 || done["failures"] != 0.0 {
		t.Errorf("the server counts %v executions", done)
	}
	if got := gcpml("jobs", "list", "--format", "json"); strings.Count(got, `"statement_type": "INSERT"`) != 1 {
		t.Errorf("the server knows other jobs than one INSERT: %s", got)
	}
}
