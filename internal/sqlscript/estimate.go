// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"context"
	"errors"
	"sync"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Estimate is what BigQuery says of a statement without running it.
type Estimate struct {
	Statement Statement
	// Job is the dry run; nil if there is none to be had.
	Job *query.Job
	// Needs are the objects, made or changed by earlier statements of the same run,
	// without which the statement cannot be checked. Then Job and Err are nil.
	Needs []Object
	// Err is a [*PositionError]: BigQuery does not accept the statement.
	Err error
}

// dryRuns is how many dry runs are under way at once.
const dryRuns = 8

// Estimates asks BigQuery about every statement, in the order of the files. A
// statement that fails only because an earlier one has not been run is no failure.
func Estimates(ctx context.Context, runner Runner, files [][]Statement, base query.Request) []Estimate {
	var out []Estimate
	var made [][]Object // before each statement
	var sofar []Object
	for _, statements := range files {
		for _, s := range statements {
			out = append(out, Estimate{Statement: s})
			made = append(made, sofar[:len(sofar):len(sofar)])
			if o, ok := s.Makes(); ok {
				sofar = append(sofar, o)
			}
		}
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, dryRuns)
	for i := range out {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			out[i].ask(ctx, runner, made[i], base)
		})
	}
	wait.Wait()
	return out
}

func (e *Estimate) ask(ctx context.Context, runner Runner, made []Object, base query.Request) {
	s := e.Statement
	base.SQL, base.Script, base.Parameters, base.DryRun = s.SQL, s.Script, s.Parameters, true
	job, err := runner.Run(ctx, base)
	if err == nil {
		e.Job = job
		return
	}
	// BigQuery refuses a statement about what is not there as not found, or as
	// invalid if only a column or a function is missing.
	if failed, ok := errors.AsType[*query.JobError](err); ok && (failed.Reason == "notFound" || failed.Reason == "invalidQuery") {
		if e.Needs = s.Needs(made); len(e.Needs) > 0 {
			return
		}
	}
	e.Err = s.At(err)
}
