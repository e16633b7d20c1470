// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Runner runs one job; [*query.Client] is one.
type Runner interface {
	Run(context.Context, query.Request) (*query.Job, error)
}

// Options say how the statements of one run are executed.
type Options struct {
	// RunID names the run in the ids of its jobs. A second run with the same id and
	// the same text attaches to the jobs of the first one.
	RunID string
	// Base holds all of the request that is the same for every statement.
	Base query.Request
	// Session runs every statement after the first in the session that the first one
	// makes. It needs Parallel to be 1.
	Session bool
	// Parallel is how many files are executed at the same time; the statements of one
	// file are always executed in order. 0 is 1.
	Parallel int
	// ContinueOnError executes the statements after one that failed as well.
	ContinueOnError bool

	// The hooks may be called from several goroutines if Parallel is above 1.

	// Before, if set, may change the request of a statement before it is submitted,
	// or refuse it.
	Before func(context.Context, Statement, *query.Request) error
	// OnDone, if set, is given each job that succeeded, before the file's next
	// statement starts. Its error counts as one of the statement.
	OnDone func(context.Context, Statement, *query.Job) error
	// OnEnd, if set, is told of every statement that was executed, when it is over.
	OnEnd func(Outcome)
}

// Outcome is what became of one statement.
type Outcome struct {
	Statement Statement
	// Job is nil if the statement failed before BigQuery ended it successfully.
	Job *query.Job
	// Err is a [*PositionError] which wraps the one of the job, at the place in the
	// file that BigQuery complained about. It is nil if the statement succeeded.
	Err error
	// Skipped says that an earlier failure, or the end of the context, kept the
	// statement from being executed.
	Skipped bool
	Started time.Time
	Took    time.Duration
}

// Run executes the statements of each file in order and returns what became of
// them, in the order of the files. Unless ContinueOnError is set nothing is started
// after the first failure; what runs at that time in parallel is finished.
func Run(ctx context.Context, runner Runner, files [][]Statement, o Options) []Outcome {
	if o.RunID == "" {
		o.RunID = query.NewRunID()
	}
	r := &running{runner: runner, options: o, base: o.Base}
	r.base.CreateSession = o.Session
	r.outcomes = make([]Outcome, 0)
	first := make([]int, len(files)) // index of a file's first statement in the run
	for i, statements := range files {
		first[i] = len(r.outcomes)
		for _, s := range statements {
			r.outcomes = append(r.outcomes, Outcome{Statement: s, Skipped: true})
		}
	}
	work := make(chan int)
	var workers sync.WaitGroup
	for range max(1, min(o.Parallel, len(files))) {
		workers.Go(func() {
			for i := range work {
				for n := range files[i] {
					r.statement(ctx, first[i]+n)
				}
			}
		})
	}
	for i := range files {
		work <- i
	}
	close(work)
	workers.Wait()
	return r.outcomes
}

// running is the state of one Run.
type running struct {
	runner   Runner
	options  Options
	outcomes []Outcome

	mu     sync.Mutex
	base   query.Request // the session is added to it
	failed bool
}

// statement executes the statement with index i of the run, unless something keeps
// it from being executed.
func (r *running) statement(ctx context.Context, i int) {
	r.mu.Lock()
	stop := r.failed && !r.options.ContinueOnError
	request := r.base
	r.mu.Unlock()
	if stop || ctx.Err() != nil && r.interruptedBefore() {
		return
	}
	out := &r.outcomes[i]
	s := out.Statement
	out.Skipped, out.Started = false, time.Now()
	request.SQL, request.Script, request.Parameters = s.SQL, s.Script, s.Parameters
	request.ID = request.JobID(r.options.RunID, fmt.Sprintf("%03d", i+1))
	err := context.Cause(ctx)
	if err == nil && r.options.Before != nil {
		err = r.options.Before(ctx, s, &request)
	}
	var job *query.Job
	if err == nil {
		job, err = r.runner.Run(ctx, request)
	}
	if err == nil && request.CreateSession && job.Statistics.Session == "" {
		err = errors.New("BigQuery made no session")
	}
	if err == nil {
		if job.Statistics.Session != "" && r.options.Session {
			r.mu.Lock()
			r.base.CreateSession, r.base.SessionID = false, job.Statistics.Session
			r.mu.Unlock()
		}
		out.Job = job
		if r.options.OnDone != nil {
			err = r.options.OnDone(ctx, s, job)
		}
	}
	if out.Took = time.Since(out.Started); err != nil {
		out.Err = s.At(err)
		r.mu.Lock()
		r.failed = true
		r.mu.Unlock()
	}
	if r.options.OnEnd != nil {
		r.options.OnEnd(*out)
	}
}

// interruptedBefore reports whether a statement was already told that the context
// ended: the others are skipped.
func (r *running) interruptedBefore() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// At puts an error at its place in the file: where BigQuery complained, else where
// the statement begins.
func (s Statement) At(err error) error {
	if at, ok := errors.AsType[*PositionError](err); ok {
		return at
	}
	line, column := s.Line, s.Column
	if job, ok := errors.AsType[*query.JobError](err); ok {
		line, column = s.Position(job.Line, job.Column)
	}
	if e, ok := errors.AsType[*ExpectationError](err); ok {
		line, column = e.Expectation.Line, e.Expectation.Column
	}
	return &PositionError{File: s.File(), Line: line, Column: column, Err: err}
}
