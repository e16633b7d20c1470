// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
)

// fake is as much of the BigQuery jobs API as one job needs. A job ends as script
// says, by its attempt; the hooks break single calls. It counts what it executes.
type fake struct {
	t  *testing.T
	mu sync.Mutex

	// end finishes a job when it is first looked at; the default is success.
	end func(*bigquery.Job)
	// polls is how many jobs.get answer RUNNING first; negative is for ever.
	polls int
	// location that jobs run in when the request names none.
	location string
	// before may answer a call itself (and return true) instead of the fake;
	// after may do so once the fake has done the work.
	before, after func(w http.ResponseWriter, call string, n int) bool
	pages         map[string]string // page token → body of getQueryResults

	jobs     map[string]*bigquery.Job
	looks    map[string]int
	calls    []string
	executed int
}

func newFake(t *testing.T) (*fake, *Client) {
	f := &fake{t: t, jobs: map[string]*bigquery.Job{}, looks: map[string]int{}, location: "US"}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	service, err := bigquery.NewService(context.Background(), option.WithEndpoint(server.URL+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	c := New(service, server.Client(), "p")
	c.timing = timing{pollFirst: time.Millisecond, pollMax: 2 * time.Millisecond, again: time.Millisecond, cancel: time.Second}
	return f, c
}

func (f *fake) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/bigquery/v2/projects/"), "/")
	call := map[string]string{"POST jobs": "insert", "GET jobs": "get", "GET queries": "rows"}[r.Method+" "+path[1]]
	if len(path) == 4 && path[3] == "cancel" {
		call = "cancel"
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	n := f.count(call)
	if f.before != nil && f.before(w, call, n) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(v any) {
		if f.after != nil && f.after(w, call, n) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	if call == "insert" {
		job := new(bigquery.Job)
		if err := json.NewDecoder(r.Body).Decode(job); err != nil {
			f.t.Error(err)
		}
		id := job.JobReference.JobId
		if job.JobReference.Location == "" {
			job.JobReference.Location = f.location
		}
		if f.jobs[id] != nil {
			fail(w, 409, "duplicate", "Already Exists: Job p:"+job.JobReference.Location+"."+id)
			return
		}
		job.Status = &bigquery.JobStatus{State: "PENDING"}
		job.Statistics = &bigquery.JobStatistics{Query: &bigquery.JobStatistics2{StatementType: "SELECT"}}
		f.jobs[id] = job
		answer(job)
		return
	}
	job := f.jobs[path[2]]
	if job == nil || job.JobReference.Location != "US" && r.URL.Query().Get("location") != job.JobReference.Location {
		fail(w, 404, "notFound", "Not found: Job p:"+path[2])
		return
	}
	switch call {
	case "get":
		f.looks[path[2]]++
		if job.Status.State != "DONE" {
			job.Status.State = "RUNNING"
			if f.polls >= 0 && f.looks[path[2]] > f.polls {
				job.Status.State = "DONE"
				if f.end != nil {
					f.end(job)
				}
				if job.Status.ErrorResult == nil {
					f.executed++
				}
			}
		}
		answer(job)
	case "cancel":
		job.Status = &bigquery.JobStatus{State: "DONE", ErrorResult: &bigquery.ErrorProto{Reason: "stopped", Message: "Job execution was cancelled"}}
		answer(&bigquery.JobCancelResponse{Job: job})
	case "rows":
		if r.URL.Query().Get("formatOptions.useInt64Timestamp") != "true" {
			f.t.Error("timestamps were not asked for as integers")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(f.pages[r.URL.Query().Get("pageToken")]))
	}
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "message": message, "errors": []map[string]string{{"reason": reason, "message": message}},
	}})
}

// lose drops the connection, as a network does.
func lose(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}
