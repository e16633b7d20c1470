// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"iter"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// runOptions is all that "gcpml run" was asked for.
type runOptions struct {
	sourceOptions
	connectionOptions
	jobOptions
	guardOptions
	outputOptions
	runID string
}

const runHelp = `Run SQL on BigQuery: files in the given order, -e texts, or standard input (-).

Each statement is one BigQuery job, and the run stops at the first that fails. A
file that declares variables, uses control flow, transactions or temporary objects
is sent as one job, which BigQuery executes as a script; its result is the one of
its last statement.

Results go to standard output, everything else to standard error. As a table every
result set is shown, up to --max-rows rows of each. csv and json write one valid
document, the last result set, whole; json writes [] if no statement has one.

json writes values as TO_JSON_STRING does: INT64 beyond 2^53 and NUMERIC with
digits after the point as strings; NaN, Infinity and -Infinity as strings; BYTES in
base64; TIMESTAMP in RFC 3339; STRUCT and ARRAY nested. csv leaves NULL empty, quotes
the empty string and writes nested values as JSON.

` + exitHelp

const runExample = `  gcpml run setup.sql
  gcpml run -e 'SELECT 1 AS x' --format json
  generate-sql | gcpml run - --project my-project --location EU`

func newRunCommand(a *app) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:     "run {FILE… | -e SQL… | -}",
		Short:   "Run SQL statements and print their results",
		Long:    runHelp,
		Example: runExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return o.run(cmd.Context(), a)
		},
	}
	addGroups(cmd, o.sourceOptions.group(), optionGroup{"Run options", "gcpml run load.sql --run-id load-2026-01-31", func(f *pflag.FlagSet) {
		f.StringVar(&o.runID, "run-id", "", "`ID` of this run: a second run with the same id and text attaches to the jobs of the first instead of executing again")
	}}, o.guardOptions.group(), o.jobOptions.group(), o.outputOptions.group(), o.connectionOptions.group())
	return cmd
}

// run is "gcpml run". Everything that can be checked without the network is checked
// first, of every source, so that a typo in the last file costs nothing.
func (o *runOptions) run(ctx context.Context, a *app) (err error) {
	out, err := o.open(a.ui.out)
	if err != nil {
		return err
	}
	defer func() { err = out.close(err) }()
	if o.runID == "" {
		o.runID = query.NewRunID()
	} else if err := query.CheckRunID(o.runID); err != nil {
		return usagef("--run-id: %w", err)
	}
	base, err := o.request()
	if err != nil {
		return err
	}
	if base.MaximumBytesBilled = o.maximumBytesBilled; base.MaximumBytesBilled < 0 {
		return usagef("--maximum-bytes-billed cannot be negative")
	}
	sources, err := o.sources(a.stdin)
	if err != nil {
		return err
	}
	var statements []sqlscript.Statement
	for _, source := range sources {
		more, err := sqlscript.Split(source)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		statements = append(statements, more...)
	}
	clients, err := o.connect(ctx, a)
	if err != nil {
		return err
	}
	defer clients.Close()

	ctx, stop := interruptible(ctx, a.ui)
	defer stop()
	ctx, cancel := o.deadline(ctx)
	defer cancel()
	if err := reach(ctx, clients.Config()); err != nil {
		return withExitCode(ctx, err)
	}
	var told func(string, ...any)
	if o.verbose {
		told = a.ui.note
	}
	client, err := queryClient(ctx, clients, told)
	if err != nil {
		return configError(err)
	}
	results := results{out: out, one: render.ForMachines(o.format), ui: a.ui}
	base.OnProgress = a.ui.progress
	outcomes := sqlscript.Run(ctx, client, [][]sqlscript.Statement{statements}, sqlscript.Options{
		RunID: o.runID, Base: base, OnDone: results.add,
	})
	for _, outcome := range outcomes {
		if err == nil {
			err = outcome.Err
		}
	}
	if err == nil {
		err = results.finish(ctx)
	}
	return withExitCode(ctx, err)
}

// results decides which result sets are written, and when.
type results struct {
	out *output
	one bool // the output has to be one document: only the last result set counts
	ui  *ui

	last    *query.Rows // with one: the last result set so far
	skipped int
}

// add takes a job that succeeded.
func (r *results) add(ctx context.Context, s sqlscript.Statement, job *query.Job) error {
	// A script is told of even if it has a result set: that is the one of its last
	// statement only.
	if s.Script || !job.HasRows() {
		r.ui.done(s, job)
	}
	if !job.HasRows() {
		return nil
	}
	rows, err := job.Rows(ctx)
	switch {
	case err != nil:
		return err
	case len(rows.Schema) == 0: // a script without a result
		return nil
	case !r.one:
		return r.write(ctx, rows)
	}
	if r.last != nil {
		r.skipped++
	}
	r.last = rows
	return nil
}

// finish writes the one document that a machine reads.
func (r *results) finish(ctx context.Context) error {
	if !r.one {
		return nil
	}
	if r.skipped > 0 {
		r.ui.note("only the last of %d result sets is written, because the output is one document; use --format table to see all", r.skipped+1)
	}
	return r.write(ctx, r.last)
}

func (r *results) write(ctx context.Context, rows *query.Rows) error {
	var result render.Result
	failed := 0
	if rows != nil {
		result = render.Result{Schema: rows.Schema, Total: rows.Total, Rows: countFailed(rows.Schema, rows.All(ctx), &failed)}
	}
	summary, err := r.out.Render(r.out, result)
	if err != nil {
		return err
	}
	if failed > 0 {
		r.ui.note("no prediction for %d of %d rows; their %s says why", failed, summary.Written, statusColumn)
	}
	if summary.Cut {
		r.ui.note("%d of %d rows are shown; --max-rows 0 shows all", summary.Written, result.Total)
	}
	return nil
}

// statusColumn is where ML.PREDICT on a remote model puts the error of a row. The
// job succeeds all the same, which is easily overlooked among many rows.
const statusColumn = "remote_model_status"

// countFailed counts the rows that pass with a status.
func countFailed(schema query.Schema, rows iter.Seq2[query.Row, error], failed *int) iter.Seq2[query.Row, error] {
	column := slices.IndexFunc(schema, func(f query.Field) bool { return f.Name == statusColumn })
	if column < 0 {
		return rows
	}
	return func(yield func(query.Row, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			if err == nil && row[column] != nil && row[column] != "" {
				*failed++
			}
		}
	}
}

// interruptible ends the returned context at the first Ctrl-C or SIGTERM; the
// second one ends the process as if nothing handled it.
func interruptible(ctx context.Context, u *ui) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			u.note("interrupted; cancelling the running job (once more to leave it running)")
			cancel(interruption{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
