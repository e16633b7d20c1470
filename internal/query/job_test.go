// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
)

func failing(reason, message string) func(*bigquery.Job) {
	return func(j *bigquery.Job) {
		j.Status.ErrorResult = &bigquery.ErrorProto{Reason: reason, Message: message}
		j.Status.Errors = []*bigquery.ErrorProto{{Reason: reason, Message: message}, {Reason: "other", Message: "more"}}
	}
}

func TestRunSucceeds(t *testing.T) {
	f, c := newFake(t)
	f.polls = 3
	f.location = "EU"
	f.end = func(j *bigquery.Job) {
		j.Statistics = &bigquery.JobStatistics{
			StartTime: 1000, EndTime: 3500, TotalBytesProcessed: 42,
			Query: &bigquery.JobStatistics2{
				StatementType: "CREATE_TABLE", DdlOperationPerformed: "CREATE", TotalBytesBilled: 10, CacheHit: true,
				DdlTargetTable: &bigquery.TableReference{ProjectId: "p", DatasetId: "d", TableId: "t"},
			},
		}
	}
	var states []string
	job, err := c.Run(context.Background(), Request{
		SQL: "CREATE TABLE d.t (a INT64)", ID: "gcpml_r_1_abc", Labels: map[string]string{"k": "v"}, DefaultDataset: "d",
		MaximumBytesBilled: 7, Priority: "batch", JobTimeout: 2 * time.Second,
		OnProgress: func(p Progress) { states = append(states, p.State) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Reference{"p", "EU", "gcpml_r_1_abc_1"}); job.Reference != want {
		t.Errorf("job %v, want %v", job.Reference, want)
	}
	want := Statistics{
		StatementType: "CREATE_TABLE", DDLOperation: "CREATE", DDLTarget: "p.d.t",
		BytesProcessed: 42, BytesBilled: 10, CacheHit: true, Duration: 2500 * time.Millisecond,
	}
	if job.Statistics != want {
		t.Errorf("statistics %+v, want %+v", job.Statistics, want)
	}
	if len(states) != 4 || states[0] != "PENDING" || states[3] != "RUNNING" {
		t.Errorf("progress was %v", states)
	}
	sent := f.jobs["gcpml_r_1_abc_1"].Configuration
	if q := sent.Query; *q.UseLegacySql || q.MaximumBytesBilled != 7 || q.Priority != "BATCH" || sent.JobTimeoutMs != 2000 ||
		sent.Labels["k"] != "v" || q.DefaultDataset.ProjectId != "p" || q.DefaultDataset.DatasetId != "d" {
		t.Errorf("sent %+v, %+v", sent, sent.Query)
	}
}

// Whatever happens to the answers, the statement is executed once.
func TestRunExecutesOnce(t *testing.T) {
	for name, breakIt := range map[string]func(*fake){
		"the answer of insert is lost": func(f *fake) {
			f.after = func(w http.ResponseWriter, call string, n int) bool {
				if call == "insert" && n == 1 {
					lose(w)
					return true
				}
				return false
			}
		},
		"insert has its effect and answers 500": func(f *fake) {
			f.after = func(w http.ResponseWriter, call string, n int) bool {
				if call == "insert" && n == 1 {
					fail(w, 500, "", "oops")
					return true
				}
				return false
			}
		},
		"insert answers 500 without an effect": func(f *fake) {
			f.before = func(w http.ResponseWriter, call string, n int) bool {
				if call == "insert" && n == 1 {
					fail(w, 500, "", "oops")
					return true
				}
				return false
			}
		},
		"insert is accepted but the job is not found at first": func(f *fake) {
			f.before = func(w http.ResponseWriter, call string, n int) bool {
				if call == "get" && n <= 2 {
					fail(w, 404, "notFound", "Not found: Job")
					return true
				}
				return false
			}
		},
		"insert is accepted and the job is lost": func(f *fake) {
			f.before = func(w http.ResponseWriter, call string, n int) bool {
				if call == "get" && n == 1 {
					f.mu.Lock()
					clear(f.jobs)
					f.mu.Unlock()
				}
				return false
			}
		},
		"polls fail": func(f *fake) {
			f.before = func(w http.ResponseWriter, call string, n int) bool {
				switch {
				case call == "get" && n == 1:
					fail(w, 503, "backendError", "later")
					return true
				case call == "get" && n == 2:
					lose(w)
					return true
				}
				return false
			}
		},
		"a job in another region, whose insert is answered by 409": func(f *fake) {
			f.location = "asia-northeast1"
			f.after = func(w http.ResponseWriter, call string, n int) bool {
				if call == "insert" && n == 1 {
					lose(w)
					return true
				}
				return false
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := newFake(t)
			breakIt(f)
			job, err := c.Run(context.Background(), Request{SQL: "INSERT d.t VALUES (1)"})
			if err != nil {
				t.Fatal(err)
			}
			if f.executed != 1 || len(f.jobs) != 1 || job.Attempt != 1 {
				t.Errorf("executed %d times by %d jobs, attempt %d", f.executed, len(f.jobs), job.Attempt)
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	f, c := newFake(t)
	f.end = failing("invalidQuery", "Syntax error: Unexpected \"at [1:1]\" at [3:7]")
	_, err := c.Run(context.Background(), Request{SQL: "x", ID: "id"})
	var job *JobError
	if !errors.As(err, &job) {
		t.Fatalf("got %v", err)
	}
	if job.Line != 3 || job.Column != 7 || job.Reason != "invalidQuery" || job.Job.String() != "p:US.id_1" ||
		len(job.Details) != 1 || job.Details[0].Message != "more" || len(f.jobs) != 1 {
		t.Errorf("got %+v after %d jobs", job, len(f.jobs))
	}
}

func TestRunRefused(t *testing.T) {
	f, c := newFake(t)
	f.before = func(w http.ResponseWriter, call string, _ int) bool {
		fail(w, 400, "invalidQuery", "Unrecognized name: x at [1:8]")
		return true
	}
	_, err := c.Run(context.Background(), Request{SQL: "SELECT x", DryRun: true})
	var job *JobError
	if !errors.As(err, &job) || job.Column != 8 || job.Reason != "invalidQuery" || f.count("insert") != 1 || f.count("get") != 0 {
		t.Errorf("got %v after %v", err, f.calls)
	}
}

func TestRunExecutesAgainAfterAFaultOfBigQuery(t *testing.T) {
	for reason := range map[string]bool{"backendError": true, "jobRateLimitExceeded": true, "internalError": true} {
		f, c := newFake(t)
		f.end = func(j *bigquery.Job) {
			if !strings.HasSuffix(j.JobReference.JobId, "_3") {
				failing(reason, "try again")(j)
			}
		}
		job, err := c.Run(context.Background(), Request{SQL: "SELECT 1", ID: "id"})
		if err != nil || job.Attempt != 3 || f.executed != 1 {
			t.Errorf("%s: got %+v, %v, %d successful executions", reason, job, err, f.executed)
		}
	}
	f, c := newFake(t)
	f.end = failing("backendError", "try again")
	if _, err := c.Run(context.Background(), Request{SQL: "SELECT 1"}); err == nil || len(f.jobs) != maxExecutions {
		t.Errorf("got %v after %d jobs, want an error after %d", err, len(f.jobs), maxExecutions)
	}
}

func TestRunNeverExecutesAScriptAgain(t *testing.T) {
	f, c := newFake(t)
	f.end = failing("backendError", "try again")
	if _, err := c.Run(context.Background(), Request{SQL: "BEGIN END", Script: true}); err == nil || len(f.jobs) != 1 {
		t.Errorf("declared: got %v after %d jobs", err, len(f.jobs))
	}
	f, c = newFake(t)
	f.end = func(j *bigquery.Job) {
		j.Statistics.Query.StatementType = "SCRIPT"
		failing("backendError", "try again")(j)
	}
	if _, err := c.Run(context.Background(), Request{SQL: "SELECT 1; SELECT 2"}); err == nil || len(f.jobs) != 1 {
		t.Errorf("found out by BigQuery: got %v after %d jobs", err, len(f.jobs))
	}
}

func TestRunAttaches(t *testing.T) {
	f, c := newFake(t)
	request := Request{SQL: "INSERT d.t VALUES (1)", ID: "id"}
	for range 2 { // the second run finds the job of the first
		if _, err := c.Run(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	if f.executed != 1 {
		t.Errorf("executed %d times", f.executed)
	}
	other := request
	other.SQL = "DELETE d.t WHERE TRUE"
	if _, err := c.Run(context.Background(), other); err == nil || !strings.Contains(err.Error(), "another statement") {
		t.Errorf("another statement under the same id: %v", err)
	}
	// The failure of an earlier run executed nothing, so this run may.
	f.end = failing("accessDenied", "no")
	again := Request{SQL: "INSERT d.t VALUES (2)", ID: "again"}
	if _, err := c.Run(context.Background(), again); err == nil {
		t.Fatal("no error")
	}
	f.end = nil
	if job, err := c.Run(context.Background(), again); err != nil || job.Attempt != 2 {
		t.Errorf("got %+v, %v", job, err)
	}
	// But not that of a script.
	f.end = failing("accessDenied", "no")
	script := Request{SQL: "BEGIN END", ID: "script", Script: true}
	_, _ = c.Run(context.Background(), script)
	f.end = nil
	var failed *JobError
	if _, err := c.Run(context.Background(), script); !errors.As(err, &failed) || !failed.Earlier {
		t.Errorf("got %v", err)
	}
}

func TestRunCancels(t *testing.T) {
	for name, detach := range map[string]bool{"cancels": false, "detaches": true} {
		t.Run(name, func(t *testing.T) {
			f, c := newFake(t)
			f.polls = -1
			c.timing.pollMax = time.Hour // the cancellation has to end the pause
			why := errors.New("Ctrl-C")
			ctx, cancel := context.WithCancelCause(context.Background())
			polled := 0
			_, err := c.Run(ctx, Request{SQL: "SELECT 1", ID: "id", Detach: detach, OnProgress: func(Progress) {
				if polled++; polled == 3 {
					cancel(why)
				}
			}})
			var interrupted *InterruptedError
			if !errors.As(err, &interrupted) || !errors.Is(err, why) {
				t.Fatalf("got %v", err)
			}
			want := 1
			if detach {
				want = 0
			}
			if interrupted.CancelRequested == detach || f.count("cancel") != want || interrupted.State != "RUNNING" || interrupted.Job.String() != "p:US.id_1" {
				t.Errorf("got %+v, %d cancels", interrupted, f.count("cancel"))
			}
		})
	}
}

func TestRequestErrors(t *testing.T) {
	_, c := newFake(t)
	for want, r := range map[string]Request{
		"empty":            {SQL: " \n"},
		"DATASET":          {SQL: "SELECT 1", DefaultDataset: "p."},
		"all named or all": {SQL: "SELECT 1", Parameters: []*bigquery.QueryParameter{{Name: "a"}, {}}},
	} {
		if _, err := c.Run(context.Background(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", r, err, want)
		}
	}
	c.project = ""
	if _, err := c.Run(context.Background(), Request{SQL: "SELECT 1"}); err == nil || !strings.Contains(err.Error(), "no project") {
		t.Errorf("got %v", err)
	}
}

func TestJobID(t *testing.T) {
	r := Request{SQL: "SELECT 1"}
	id := r.JobID("run", "001")
	if !strings.HasPrefix(id, "gcpml_run_001_") || id != r.JobID("run", "001") {
		t.Errorf("got %q", id)
	}
	r.SQL = "SELECT 2"
	if r.JobID("run", "001") == id {
		t.Error("another statement has the same id")
	}
	if one, two := NewRunID(), NewRunID(); one == two || CheckRunID(NewRunID()) != nil || CheckRunID("a/b") == nil || CheckRunID("") == nil {
		t.Error("run ids are not random, or not checked")
	}
}
