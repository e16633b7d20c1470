// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

func TestDoneText(t *testing.T) {
	for want, s := range map[string]query.Statistics{
		"create table done: p.d.t, 0.8 s":                    {StatementType: "CREATE_TABLE", DDLOperation: "CREATE", DDLTarget: "p.d.t", Duration: 800 * time.Millisecond},
		"create model done: nothing to do, 0.0 s":            {StatementType: "CREATE_MODEL", DDLOperation: "SKIP"},
		"insert done: 1 row inserted, 2.0 s":                 {StatementType: "INSERT", Affected: 1, Inserted: 1, Duration: 2 * time.Second},
		"merge done: 3 rows inserted, 2 rows deleted, 0.0 s": {StatementType: "MERGE", Affected: 5, Inserted: 3, Deleted: 2},
		"update done: 4 rows affected, 0.0 s":                {StatementType: "UPDATE", Affected: 4},
		"delete done: 0 rows affected, 0.0 s":                {StatementType: "DELETE"},
		"script done: 3 child jobs, 0.0 s":                   {StatementType: "SCRIPT", ChildJobs: 3},
		"statement done: 0.0 s":                              {},
	} {
		if got := doneText(s); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	job := query.Reference{Project: "p", Location: "US", ID: "j"}
	for want, e := range map[string]*query.JobError{
		"f.sql:2:3: Unrecognized name: x (invalidQuery, job p:US.j)\n": {Job: job, Reason: "invalidQuery", Message: "Unrecognized name: x at [1:3]"},
		"f.sql:2:3: Query exceeded limit for bytes billed: 5 (bytesBilledLimitExceeded, job p:US.j)\nhint: --maximum-bytes-billed sets this limit\n": {
			Job: job, Reason: "bytesBilledLimitExceeded", Message: "Query exceeded limit for bytes billed: 5",
		},
		"f.sql:2:3: Not found: Dataset p:d was not found in location US (notFound, job p:US.j)\nf.sql:2:3: more (other)\nhint: --location names the location of the dataset\n": {
			Job: job, Reason: "notFound", Message: "Not found: Dataset p:d was not found in location US", Details: []query.ErrorDetail{{Reason: "other", Message: "more"}},
		},
	} {
		var out strings.Builder
		newUI(io.Discard, &out).error(&exitError{exitFailed, &sqlscript.PositionError{File: "f.sql", Line: 2, Column: 3, Err: e}})
		if out.String() != want {
			t.Errorf("got  %q\nwant %q", out.String(), want)
		}
	}
}

// A job that takes long is told of after 10 s, then when the time has doubled.
func TestProgress(t *testing.T) {
	var out strings.Builder
	u := newUI(io.Discard, &out)
	u.setProgress("auto") // no terminal: nothing
	u.progress(query.Progress{Job: query.Reference{Project: "p", ID: "j"}, State: "RUNNING", Elapsed: time.Hour})
	u.setProgress("plain")
	for s := range 45 {
		u.progress(query.Progress{Job: query.Reference{Project: "p", ID: "j"}, State: "RUNNING", Elapsed: time.Duration(s) * time.Second})
	}
	want := "gcpml: job p:j is running for 10s\ngcpml: job p:j is running for 20s\ngcpml: job p:j is running for 40s\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

// Rows without a prediction are counted, and only those that were shown; the checker
// sees all of them.
func TestWatch(t *testing.T) {
	schema := query.Schema{{Name: "id", Type: "INT64"}, {Name: "remote_model_status", Type: "STRING"}}
	rows := func(yield func(query.Row, error) bool) {
		for i, status := range []any{nil, "", "A retryable error occurred", nil, "Bad instance"} {
			if !yield(query.Row{int64(i), status}, nil) {
				return
			}
		}
	}
	statements, err := sqlscript.Split(sqlscript.Source{Name: "f", Text: "-- expect: column id < 4\n-- expect: no failed predictions\nSELECT 1"})
	if err != nil {
		t.Fatal(err)
	}
	for wanted, failures := range map[int]int{5: 2, 3: 1, 2: 0} {
		r := &results{ui: newUI(io.Discard, io.Discard)}
		checker := statements[0].NewChecker(schema)
		failed, passed := 0, 0
		for range countFailed(schema, r.watch(rows, checker), &failed) {
			if passed == wanted {
				break // as a table does at the first row too many
			}
			passed++
		}
		if failed != failures || passed != wanted {
			t.Errorf("%d of %d failed, want %d of %d", failed, passed, failures, wanted)
		}
		if got := checker.Failures(5); len(got) != 2 {
			t.Errorf("the checker found %v", got)
		}
	}
}
