// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// Query jobs that fail, wait or never end have no effect.
func TestScriptedJobs(t *testing.T) {
	srv := start(t, emulator.Options{EnableFaults: true})
	client, err := bq.NewService(t.Context(), option.WithEndpoint("http://"+srv.Addr+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	script := func(body map[string]any, want int) map[string]any {
		t.Helper()
		code, out := call(t, srv, http.MethodPost, "/_emulator/jobs", body)
		if code != want {
			t.Fatalf("%v: %d %v", body, code, out)
		}
		return out
	}
	standard := false
	insert := func(id, sql string) *bq.Job {
		t.Helper()
		j, err := client.Jobs.Insert(projectID, &bq.Job{
			JobReference:  &bq.JobReference{ProjectId: projectID, JobId: id, Location: "US"},
			Configuration: &bq.JobConfiguration{Query: &bq.JobConfigurationQuery{Query: sql, UseLegacySql: &standard}},
		}).Do()
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	get := func(id string) *bq.Job {
		t.Helper()
		j, err := client.Jobs.Get(projectID, id).Location("US").Do()
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	state := func(id, want string) func() bool { return func() bool { return get(id).Status.State == want } }
	exists := func(dataset string) bool {
		_, err := client.Datasets.Get(projectID, dataset).Do()
		return err == nil
	}

	// The insert is answered 200, the job fails, and the same job under another id
	// succeeds.
	script(map[string]any{"statement": "CREATE SCHEMA*", "result": "error", "reason": "backendError", "message": "try again"}, http.StatusCreated)
	insert("failing", "CREATE SCHEMA made")
	waitFor(t, "the job is done", state("failing", "DONE"))
	if e := get("failing").Status.ErrorResult; e == nil || e.Reason != "backendError" || e.Message != "try again" || exists("made") {
		t.Errorf("error %+v, exists: %v", e, exists("made"))
	}
	insert("again", "CREATE SCHEMA made")
	waitFor(t, "the job is done", state("again", "DONE"))
	if e := get("again").Status.ErrorResult; e != nil || !exists("made") {
		t.Errorf("error %+v, exists: %v", e, exists("made"))
	}

	// jobs.query answers the failure with its HTTP status.
	script(map[string]any{"result": "error", "reason": "rateLimitExceeded"}, http.StatusCreated)
	_, err = client.Jobs.Query(projectID, &bq.QueryRequest{Query: "SELECT 1", UseLegacySql: &standard, Location: "US", TimeoutMs: 10_000}).Do()
	var api *googleapi.Error
	if !errors.As(err, &api) || api.Code != 403 || api.Errors[0].Reason != "rateLimitExceeded" {
		t.Errorf("jobs.query: %v", err)
	}

	// A job that waits for the clock, and one that only ends when it is cancelled.
	script(map[string]any{"job": "late", "delay": "10m"}, http.StatusCreated)
	script(map[string]any{"job": "endless", "result": "never", "times": -1}, http.StatusCreated)
	insert("late", "CREATE SCHEMA late")
	insert("endless", "CREATE SCHEMA endless")
	waitFor(t, "both run", func() bool { return get("late").Status.State == "RUNNING" && get("endless").Status.State == "RUNNING" })
	if code, _ := call(t, srv, http.MethodPost, "/_emulator/clock", map[string]any{"advance": "10m"}); code != http.StatusOK {
		t.Fatal(code)
	}
	waitFor(t, "the late job is done", state("late", "DONE"))
	if !exists("late") || get("endless").Status.State != "RUNNING" {
		t.Errorf("late exists: %v, endless: %s", exists("late"), get("endless").Status.State)
	}
	if _, err := client.Jobs.Cancel(projectID, "endless").Location("US").Do(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the cancelled job is done", state("endless", "DONE"))
	if e := get("endless").Status.ErrorResult; e == nil || e.Reason != "stopped" || exists("endless") {
		t.Errorf("cancelled: %+v, exists: %v", e, exists("endless"))
	}

	_, out := call(t, srv, http.MethodGet, "/_emulator/jobs", nil)
	if got := fmt.Sprint(out["jobs"].([]any)[0].(map[string]any)["jobs"]); got != "[failing]" {
		t.Errorf("jobs of the first script: %s", got)
	}
	for part, body := range map[string]map[string]any{"reason": {"result": "error", "reason": "mood"}, "sometimes": {"result": "sometimes"}} {
		if out := script(body, http.StatusBadRequest); !strings.Contains(fmt.Sprint(out["error"]), part) {
			t.Errorf("%v: %v", body, out)
		}
	}
}
