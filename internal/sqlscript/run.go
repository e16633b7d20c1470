// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"context"
	"errors"
	"fmt"

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
	// OnStart, if set, is told of a statement before it is submitted.
	OnStart func(Statement)
	// OnDone is given each job that succeeded, before the next statement starts.
	// Its error ends the run like a failed statement.
	OnDone func(context.Context, Statement, *query.Job) error
}

// Run executes the statements in order and stops at the first that fails; later
// ones are then not executed. The error is a [*PositionError] which wraps the one
// of the job, at the place in the file that BigQuery complained about.
func Run(ctx context.Context, runner Runner, statements []Statement, o Options) error {
	if o.RunID == "" {
		o.RunID = query.NewRunID()
	}
	for i, s := range statements {
		if err := context.Cause(ctx); err != nil {
			return s.fail(err)
		}
		if o.OnStart != nil {
			o.OnStart(s)
		}
		request := o.Base
		request.SQL, request.Script = s.SQL, s.Script
		request.ID = request.JobID(o.RunID, fmt.Sprintf("%03d", i+1))
		job, err := runner.Run(ctx, request)
		if err == nil && o.OnDone != nil {
			err = o.OnDone(ctx, s, job)
		}
		if err != nil {
			return s.fail(err)
		}
	}
	return nil
}

func (s Statement) fail(err error) error {
	line, column := s.Line, s.Column
	if job, ok := errors.AsType[*query.JobError](err); ok {
		line, column = s.Position(job.Line, job.Column)
	}
	return &PositionError{File: s.File(), Line: line, Column: column, Err: err}
}
