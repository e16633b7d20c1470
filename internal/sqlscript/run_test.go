// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

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
