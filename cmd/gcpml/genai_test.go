// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// aJob is a BigQuery whose only job is done, with the statistics of a file.
func aJob(t *testing.T, statistics string) (host string) {
	text, err := os.ReadFile(statistics)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "/queries/") {
			_, _ = w.Write([]byte(`{"jobComplete": true, "totalRows": "1", "schema": {"fields": [{"name": "x", "type": "INTEGER"}]}, "rows": [{"f": [{"v": "1"}]}]}`))
			return
		}
		_ = json.NewEncoder(w).Encode(object{
			"jobReference": object{"projectId": "p", "location": "US", "jobId": "j"}, "status": object{"state": "DONE"}, "statistics": json.RawMessage(text),
			"configuration": object{"jobType": "QUERY", "query": object{"query": "SELECT 1"}},
		})
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// What BigQuery tells of generative AI functions and of other services' costs is
// everywhere where bytes and slots are.
func TestGenAIStatistics(t *testing.T) {
	host := aJob(t, "testdata/genai/statistics.json")
	dir := t.TempDir()
	gcpml := func(arguments ...string) (stdout, stderr string) {
		cmd := exec.CommandContext(t.Context(), "gcpml", append(arguments, "--project", "p", "--emulator-host", host)...)
		cmd.Env = append(os.Environ(), "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary.md"))
		var out, err bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &err
		if failed := cmd.Run(); failed != nil {
			t.Fatalf("%v: %s", failed, &err)
		}
		return out.String(), err.String()
	}
	const generate = `AI.GENERATE: 100 rows, 3 failed, 20 from the cache, 30 cost-optimized, prompt "Is this review posit", The query was optimized for cost.`
	const service = "BIGQUERY_FUNCTIONS: 1.0 MiB processed, 10.0 MiB billed, slot time 0.5 s, billed by SERVICES_SKU"
	holds := func(what, text string, lines ...string) {
		for _, line := range lines {
			if strings.Count(text, line) != 1 {
				t.Errorf("%s: %q is not there once:\n%s", what, line, text)
			}
		}
	}

	_, stderr := gcpml("run", "-e", "SELECT 1", "--stats", "--github", "--report", filepath.Join(dir, "report.json"), "--junit", filepath.Join(dir, "junit.xml"))
	holds("--stats", stderr, "-e:1:1: "+generate+"\n", "-e:1:1: AI.EMBED: 1 row\n", "-e:1:1: "+service+"\n", "-e:1:1: rows failed: The model is overloaded\n", "-e:1:1: rows failed: The prompt was blocked\n")

	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var want object
	if err := json.Unmarshal([]byte(`{
		"gen_ai_functions": [
			{"function": "AI.GENERATE", "prompt": "Is this review posit", "rows": 100, "failed_rows": 3, "cached_rows": 20, "cost_optimized_rows": 30,
			 "cost_optimization": "The query was optimized for cost.", "errors": ["The model is overloaded"]},
			{"function": "AI.EMBED", "rows": 1, "failed_rows": 0, "cached_rows": 0, "cost_optimized_rows": 0}
		],
		"gen_ai_errors": ["The model is overloaded", "The prompt was blocked"],
		"external_services": [{"service": "BIGQUERY_FUNCTIONS", "billing_method": "SERVICES_SKU", "bytes_processed": 1048576, "bytes_billed": 10485760, "slot_seconds": 0.5}]
	}`), &want); err != nil {
		t.Fatal(err)
	}
	same := func(what string, got object) {
		for key, value := range want {
			if !reflect.DeepEqual(got[key], value) {
				t.Errorf("%s: %s is %v, want %v", what, key, got[key], value)
			}
		}
	}
	var report struct{ Statements []object }
	if err := json.Unmarshal([]byte(read("report.json")), &report); err != nil || len(report.Statements) != 1 {
		t.Fatalf("%v, %v", report, err)
	}
	same("--report", report.Statements[0])
	holds("--junit", read("junit.xml"), `<property name="bytes_billed" value="10485760">`, `<property name="slot_seconds" value="1.500">`, `value="`+strings.ReplaceAll(generate, `"`, "&#34;")+`"`, `value="`+service+`"`)
	holds("--github", read("summary.md"), generate)

	stdout, _ := gcpml("jobs", "show", "p:US.j")
	holds("jobs show", stdout, "function:    "+generate+"\n", "function:    AI.EMBED: 1 row\n", "service:     "+service+"\n", "rows failed: The prompt was blocked\n")
	stdout, _ = gcpml("jobs", "show", "p:US.j", "--format", "json")
	var shown []object
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil || len(shown) != 1 {
		t.Fatalf("%s, %v", stdout, err)
	}
	same("jobs show --format json", shown[0])
}
