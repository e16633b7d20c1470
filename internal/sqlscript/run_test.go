// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// recorder remembers requests and fails those whose SQL it has an error for.
type recorder struct {
	mu       sync.Mutex
	requests []query.Request
	errors   map[string]error
}

func (r *recorder) Run(_ context.Context, request query.Request) (*query.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
	if err := r.errors[request.SQL]; err != nil {
		return nil, err
	}
	return &query.Job{Reference: query.Reference{ID: request.ID}}, nil
}

func split(t *testing.T, text string) []sqlscript.Statement {
	t.Helper()
	statements, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return statements
}

// run runs one file and returns its first error.
func run(ctx context.Context, r sqlscript.Runner, statements []sqlscript.Statement, o sqlscript.Options) error {
	for _, out := range sqlscript.Run(ctx, r, [][]sqlscript.Statement{statements}, o) {
		if out.Err != nil {
			return out.Err
		}
	}
	return nil
}

func TestRunInOrder(t *testing.T) {
	r := new(recorder)
	var done []string
	err := run(t.Context(), r, split(t, "SELECT 1; SELECT 1; SELECT 3"), sqlscript.Options{
		RunID: "run", Base: query.Request{Location: "EU"},
		OnDone: func(_ context.Context, s sqlscript.Statement, job *query.Job) error {
			done = append(done, s.SQL+" "+job.ID)
			return nil
		},
	})
	if err != nil || len(r.requests) != 3 {
		t.Fatalf("%v after %d requests", err, len(r.requests))
	}
	for i, request := range r.requests {
		if request.Location != "EU" || request.Script || !strings.HasPrefix(request.ID, "gcpml_run_00"+string(rune('1'+i))+"_") {
			t.Errorf("request %d: %+v", i, request)
		}
	}
	// Two equal statements are two jobs.
	if r.requests[0].ID == r.requests[1].ID || !slices.Equal(done, []string{
		"SELECT 1 " + r.requests[0].ID, "SELECT 1 " + r.requests[1].ID, "SELECT 3 " + r.requests[2].ID,
	}) {
		t.Errorf("done: %q", done)
	}
}

func TestRunSendsAScriptAsOne(t *testing.T) {
	r := new(recorder)
	text := "DECLARE x INT64; SELECT x;"
	if err := run(t.Context(), r, split(t, text), sqlscript.Options{}); err != nil {
		t.Fatal(err)
	}
	if len(r.requests) != 1 || !r.requests[0].Script || r.requests[0].SQL != text {
		t.Errorf("got %+v", r.requests)
	}
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	failure := &query.JobError{Reason: "invalidQuery", Message: "no", Line: 2, Column: 3}
	r := &recorder{errors: map[string]error{"SELECT\n  x": failure}}
	err := run(t.Context(), r, split(t, "SELECT 1;\n SELECT\n  x; SELECT 3"), sqlscript.Options{})
	var at *sqlscript.PositionError
	if !errors.As(err, &at) || !errors.Is(err, failure) || at.File != "f.sql" || at.Line != 3 || at.Column != 3 {
		t.Errorf("got %v", err)
	}
	if len(r.requests) != 2 {
		t.Errorf("%d statements were sent, want 2", len(r.requests))
	}
}

func TestRunStopsWhenAResultCannotBeWritten(t *testing.T) {
	r, full := new(recorder), errors.New("the disk is full")
	err := run(t.Context(), r, split(t, "SELECT 1; SELECT 2"), sqlscript.Options{
		OnDone: func(context.Context, sqlscript.Statement, *query.Job) error { return full },
	})
	if !errors.Is(err, full) || len(r.requests) != 1 || err.Error() != "f.sql:1:1: the disk is full" {
		t.Errorf("%v after %d statements", err, len(r.requests))
	}
}

func TestRunSendsNothingAfterTheContextEnded(t *testing.T) {
	r, why := new(recorder), errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := run(ctx, r, split(t, "SELECT 1; SELECT 2"), sqlscript.Options{
		OnDone: func(context.Context, sqlscript.Statement, *query.Job) error { cancel(why); return nil },
	})
	if !errors.Is(err, why) || len(r.requests) != 1 {
		t.Errorf("%v after %d statements", err, len(r.requests))
	}
}

func TestRunContinuesOnError(t *testing.T) {
	failure := errors.New("no")
	r := &recorder{errors: map[string]error{"SELECT 2": failure}}
	outcomes := sqlscript.Run(t.Context(), r, [][]sqlscript.Statement{split(t, "SELECT 1; SELECT 2; SELECT 3"), split(t, "SELECT 4")}, sqlscript.Options{ContinueOnError: true})
	if len(r.requests) != 4 || outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, failure) || outcomes[2].Job == nil || outcomes[3].Skipped {
		t.Errorf("%d requests, outcomes %+v", len(r.requests), outcomes)
	}
	// Without it the rest is skipped, also of the next file.
	r = &recorder{errors: map[string]error{"SELECT 2": failure}}
	outcomes = sqlscript.Run(t.Context(), r, [][]sqlscript.Statement{split(t, "SELECT 1; SELECT 2; SELECT 3"), split(t, "SELECT 4")}, sqlscript.Options{})
	if len(r.requests) != 2 || !outcomes[2].Skipped || !outcomes[3].Skipped {
		t.Errorf("%d requests, outcomes %+v", len(r.requests), outcomes)
	}
}

// barrier lets jobs end only when enough of them run.
type barrier struct {
	recorder
	want    int
	arrived chan struct{}
}

func (b *barrier) Run(ctx context.Context, request query.Request) (*query.Job, error) {
	b.arrived <- struct{}{}
	for len(b.arrived) < b.want {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		runtime.Gosched()
	}
	return b.recorder.Run(ctx, request)
}

// Files run side by side; their jobs have the names that they have one by one.
func TestRunInParallel(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	files := [][]sqlscript.Statement{split(t, "SELECT 1"), split(t, "SELECT 2"), split(t, "SELECT 3")}
	b := &barrier{want: 3, arrived: make(chan struct{}, 3)}
	for i, out := range sqlscript.Run(ctx, b, files, sqlscript.Options{RunID: "r", Parallel: 3}) {
		if out.Err != nil || !strings.HasPrefix(out.Job.ID, "gcpml_r_00"+string(rune('1'+i))+"_") {
			t.Errorf("statement %d: %+v", i, out)
		}
	}
}

func TestRunInASession(t *testing.T) {
	r := &sessions{}
	for _, out := range sqlscript.Run(t.Context(), r, [][]sqlscript.Statement{split(t, "SELECT 1; SELECT 2; SELECT 3")}, sqlscript.Options{Session: true}) {
		if out.Err != nil {
			t.Fatal(out.Err)
		}
	}
	for i, request := range r.requests {
		if request.CreateSession != (i == 0) || (request.SessionID == "s1") != (i > 0) {
			t.Errorf("request %d: %+v", i, request)
		}
	}
}

type sessions struct{ recorder }

func (s *sessions) Run(ctx context.Context, request query.Request) (*query.Job, error) {
	job, err := s.recorder.Run(ctx, request)
	job.Statistics.Session = "s1"
	return job, err
}

func TestRunAsksBefore(t *testing.T) {
	r, no := new(recorder), errors.New("too much")
	outcomes := sqlscript.Run(t.Context(), r, [][]sqlscript.Statement{split(t, "SELECT 1; SELECT 2")}, sqlscript.Options{
		Before: func(_ context.Context, s sqlscript.Statement, request *query.Request) error {
			if s.SQL == "SELECT 2" {
				return no
			}
			request.MaximumBytesBilled = 5
			return nil
		},
	})
	if len(r.requests) != 1 || r.requests[0].MaximumBytesBilled != 5 || !errors.Is(outcomes[1].Err, no) {
		t.Errorf("%+v after %+v", outcomes, r.requests)
	}
}
