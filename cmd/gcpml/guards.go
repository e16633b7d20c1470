// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// guardOptions refuse a statement that costs too much.
type guardOptions struct {
	maximumBytesBilled int64
}

func (o *guardOptions) group() optionGroup {
	return optionGroup{"Guards", []string{"--maximum-bytes-billed 10GB"}, func(f *pflag.FlagSet) {
		f.Var((*byteSize)(&o.maximumBytesBilled), "maximum-bytes-billed", "refuse a statement that would be billed for more; 0 is no limit (10GB, 1.5TiB, …)")
	}}
}

// runGuards refuse a run that costs or changes too much.
type runGuards struct {
	guardOptions
	maxTotalBytes   int64
	readOnly        bool
	requireEstimate bool
}

func (o *runGuards) group() optionGroup {
	one := o.guardOptions.group()
	return optionGroup{one.title, []string{"--read-only --maximum-bytes-billed 10GB", "--require-estimate --max-total-bytes 50GB"}, func(f *pflag.FlagSet) {
		one.define(f)
		f.Var((*byteSize)(&o.maxTotalBytes), "max-total-bytes", "refuse to run statements that would together be billed for more; 0 is no limit")
		f.BoolVar(&o.readOnly, "read-only", false, "refuse to run unless BigQuery says of every statement that it is a SELECT")
		f.BoolVar(&o.requireEstimate, "require-estimate", false, "refuse to run if the bytes of a statement cannot be estimated or only from below")
	}}
}

// guard is what the guards know while statements run.
type guard struct {
	runGuards

	mu    sync.Mutex
	spent int64 // bytes billed so far
}

// preflight asks BigQuery about every statement, without running any, and refuses
// the run if a guard says so.
func (g *guard) preflight(ctx context.Context, client *query.Client, files [][]sqlscript.Statement, base query.Request) error {
	if !g.readOnly && !g.requireEstimate && g.maxTotalBytes == 0 {
		return nil
	}
	var total int64
	for _, e := range sqlscript.Estimates(ctx, client, files, base) {
		s := e.Statement
		if e.Err != nil {
			return e.Err
		}
		kind := s.Keyword() + " (not known before it is run)"
		if e.Job != nil {
			kind = e.Job.Statistics.StatementType
			total += e.Job.Statistics.BytesProcessed
		}
		switch {
		case g.readOnly && kind != "SELECT":
			return s.At(guardf("--read-only: this is no SELECT but %s", kind))
		case g.requireEstimate && len(e.Needs) > 0:
			return s.At(guardf("--require-estimate: it cannot be estimated before %s, which the run makes, is there", e.Needs[0].Name))
		case g.requireEstimate && e.Job.Statistics.Accuracy != "PRECISE" && e.Job.Statistics.Accuracy != "UPPER_BOUND":
			return s.At(guardf("--require-estimate: the accuracy of the estimate is %s", accuracyText(e.Job.Statistics.Accuracy)))
		case g.maximumBytesBilled > 0 && e.Job != nil && e.Job.Statistics.Accuracy == "PRECISE" && e.Job.Statistics.BytesProcessed > g.maximumBytesBilled:
			return s.At(guardf("--maximum-bytes-billed is %s and this would process %s", bytesText(g.maximumBytesBilled), bytesText(e.Job.Statistics.BytesProcessed)))
		}
	}
	if g.maxTotalBytes > 0 && total > g.maxTotalBytes {
		return guardf("--max-total-bytes is %s and the run would process %s", bytesText(g.maxTotalBytes), bytesText(total))
	}
	return nil
}

func accuracyText(accuracy string) string {
	if accuracy == "" {
		return "UNKNOWN"
	}
	return accuracy
}

// before lets a statement spend what is left of --max-total-bytes. BigQuery itself
// holds the statement to it.
func (g *guard) before(_ context.Context, _ sqlscript.Statement, r *query.Request) error {
	r.MaximumBytesBilled = g.maximumBytesBilled
	if g.maxTotalBytes == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.maxTotalBytes - g.spent
	if left <= 0 {
		return guardf("--max-total-bytes is %s and %s are billed already", bytesText(g.maxTotalBytes), bytesText(g.spent))
	}
	if r.MaximumBytesBilled == 0 || left < r.MaximumBytesBilled {
		r.MaximumBytesBilled = left
	}
	return nil
}

// after counts what a statement was billed for.
func (g *guard) after(job *query.Job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent += job.Statistics.BytesBilled
}

func guardf(format string, args ...any) error {
	return &exitError{exitGuard, fmt.Errorf(format, args...)}
}
