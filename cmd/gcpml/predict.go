// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/rowpredict"
)

// predictOptions is all that "gcpml predict" was asked for.
type predictOptions struct {
	model       string
	table       string
	query       string
	types       []string
	propagation time.Duration
	allowFailed bool
	runID       string
	within      time.Duration

	keys         []string
	into         string
	write        string
	retries      int
	retryDelay   time.Duration
	maxErrorRate float64
	chunkRows    int64
	nullable     []string
	restart      bool
	report       string

	connectionOptions
	jobOptions
	guardOptions
	outputOptions
}

const predictHelp = `Predict the rows of a table, a query or a local file with a BigQuery remote model.

The simple form prints what ML.PREDICT returns: the OUTPUT columns of the model,
remote_model_status and all columns of the input. A job of ML.PREDICT succeeds although
some rows failed; then gcpml says how many and ends with exit code 9, unless
--allow-failed-rows is given.

With --key and --into every row is predicted exactly once, whatever happens: the rows
are copied to a work table beside the target, predicted in chunks, and rows without a
good prediction are tried again, with growing pauses and in smaller jobs, so that a row
which the model cannot take does not fail others. A row has failed if its status is
set, if it is missing, or if an OUTPUT column is NULL or an empty array (see
--nullable). At the end all rows are written to the target in one statement, the failed
ones too, with their status and without outputs, and the report says what happened.
Exit code 9 means that rows failed.

The key names each row: NULL and duplicates are refused, and so are rows that are too
large for a request to the endpoint, 1.5 MB (exit code 6). --write append is refused if
the target has one of the keys; merge replaces rows with the same key, but never a
prediction by a failure; truncate replaces all rows. A target that is not there is made.

The same command again, on any machine, goes on where one was killed, interrupted or
stopped by --max-error-rate: the work tables gcpml_predict_… in the dataset of the
target are its memory, and jobs that still run are waited for. They keep the rows as
they were at the beginning; --restart begins anew. BigQuery deletes them after 7 days.

The speed is told with what limits it: predictions per second and replica, rows that
the endpoint refused with RESOURCE_EXHAUSTED or could not answer in time, and which
argument of gcpml_vertex_endpoint_deployment to raise. It is computed from this run and
from what serves the endpoint, if that may be read (aiplatform.endpoints.get); the
simple form tells it when rows were refused so, or with --target-duration.

A FILE is .csv with a header, .jsonl or .ndjson. Columns that the model takes have its
types, others pass through. Every value is checked before any job is run.` + "\n\n" + exitHelp

const predictExample = `  gcpml predict --model my_dataset.sentiment --table my_dataset.reviews --format csv
  gcpml predict --model my_dataset.sentiment reviews.csv --format json
  gcpml predict --model my_dataset.sentiment --query 'SELECT id, review AS text FROM my_dataset.reviews' \
    --key id --into my_dataset.scores --write merge`

func newPredictCommand(a *app) *cobra.Command {
	o := &predictOptions{}
	cmd := &cobra.Command{
		Use:     "predict --model MODEL {--table TABLE | --query SQL | FILE}",
		Short:   "Predict rows with a remote model, all of them",
		Long:    predictHelp,
		Example: predictExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), a, cmd.Flags(), args)
		},
	}
	addGroups(cmd, "gcpml predict --model my_dataset.sentiment --table my_dataset.reviews", optionGroup{"Input", []string{"gcpml predict --model my_dataset.sentiment reviews.jsonl --type day:DATE", "--allow-failed-rows --run-id nightly-2026-01-31", "gcpml predict --model my_dataset.sentiment --query 'SELECT review AS text FROM my_dataset.reviews' --iam-propagation-timeout 2m", "--target-duration 30m"}, func(f *pflag.FlagSet) {
		f.StringVar(&o.model, "model", "", "`MODEL` to predict with: DATASET.MODEL, PROJECT.DATASET.MODEL or its resource name")
		f.StringVar(&o.table, "table", "", "`TABLE` whose rows are predicted: DATASET.TABLE or PROJECT.DATASET.TABLE")
		f.StringVar(&o.query, "query", "", "`SELECT` whose rows are predicted")
		f.StringArrayVar(&o.types, "type", nil, "`NAME:TYPE` of a column of a FILE that the model does not take (repeatable; default STRING in CSV, what fits in JSON)")
		f.BoolVar(&o.allowFailed, "allow-failed-rows", false, "end with exit code 0 although rows have no prediction; with --key also accept rows too large for a request")
		f.DurationVar(&o.propagation, "iam-propagation-timeout", bqml.DefaultPropagation, "how long a refusal is retried while the role of the connection's service account takes effect")
		f.StringVar(&o.runID, "run-id", "", "`ID` of this run, to tell it apart from others that ask for the same")
		f.DurationVar(&o.within, "target-duration", 0, "tell how many replicas of the endpoint it would take to predict all rows within this time, as far as this run tells")
	}}, optionGroup{"Every row, by key", []string{"--key id --into my_dataset.scores --write merge --max-error-rate 0.02 --report -", "--key id --into my_dataset.scores --chunk-rows 2000 --retries 3 --retry-delay 10s", "--key id --into my_dataset.scores --nullable scores --restart"}, func(f *pflag.FlagSet) {
		f.StringSliceVar(&o.keys, "key", nil, "`COLUMN`s that name each row, separated by commas")
		f.StringVar(&o.into, "into", "", "`TABLE` to write to: DATASET.TABLE or PROJECT.DATASET.TABLE, where the model's dataset is")
		f.StringVar(&o.write, "write", "append", "append, truncate or merge")
		f.IntVar(&o.retries, "retries", 5, "how often a row is tried again")
		f.DurationVar(&o.retryDelay, "retry-delay", 2*time.Second, "longest pause before the first retry; it doubles up to a minute")
		f.Float64Var(&o.maxErrorRate, "max-error-rate", 0.1, "stop, and write nothing, when more than this share of the rows so far failed for good")
		f.Int64Var(&o.chunkRows, "chunk-rows", 10_000, "about how many rows one job predicts")
		f.StringSliceVar(&o.nullable, "nullable", nil, "OUTPUT `COLUMN`s that may be NULL or an empty array in a good prediction")
		f.BoolVar(&o.restart, "restart", false, "forget what an interrupted run of the same command has done")
		f.StringVar(&o.report, "report", "", "write the report as JSON to `FILE` too; - is standard output")
	}}, o.guardOptions.group(), o.jobOptions.group(), o.outputOptions.group(), o.connectionOptions.group())
	return cmd
}

// byKey are the options that need --key.
var byKey = []string{"into", "write", "retries", "retry-delay", "max-error-rate", "chunk-rows", "nullable", "restart", "report"}

// check finds what is wrong with the options themselves.
func (o *predictOptions) check(flags *pflag.FlagSet, files []string) error {
	sources := len(files)
	for _, s := range []string{o.table, o.query} {
		if s != "" {
			sources++
		}
	}
	switch {
	case o.model == "":
		return usagef("no model: set --model")
	case sources != 1:
		return usagef("give one of --table, --query and a FILE")
	case len(o.types) > 0 && len(files) == 0:
		return usagef("--type is for the columns of a FILE")
	case o.maximumBytesBilled < 0:
		return usagef("--maximum-bytes-billed cannot be negative")
	case len(o.keys) > 0 && o.into == "":
		return usagef("--key needs --into, the table to write to")
	case o.runID != "" && query.CheckRunID(o.runID) != nil:
		return usagef("--run-id: %w", query.CheckRunID(o.runID))
	case o.propagation < 0:
		return usagef("--iam-propagation-timeout cannot be negative")
	case o.within < 0:
		return usagef("--target-duration cannot be negative")
	}
	if len(o.keys) == 0 {
		for _, name := range byKey {
			if flags.Changed(name) {
				return usagef("--%s needs --key, the columns that name each row", name)
			}
		}
		return nil
	}
	switch {
	case o.write != string(rowpredict.Append) && o.write != string(rowpredict.Truncate) && o.write != string(rowpredict.Merge):
		return usagef("--write %q is neither append, truncate nor merge", o.write)
	case o.retries < 0:
		return usagef("--retries cannot be negative")
	case o.retryDelay < 0:
		return usagef("--retry-delay cannot be negative")
	case !(o.maxErrorRate >= 0 && o.maxErrorRate <= 1):
		return usagef("--max-error-rate %g is not a share between 0 and 1", o.maxErrorRate)
	case o.chunkRows < 1:
		return usagef("--chunk-rows must be at least 1")
	case o.file != "":
		return usagef("--output is for predictions that are printed; with --key they go to --into")
	}
	return nil
}

func (o *predictOptions) run(ctx context.Context, a *app, flags *pflag.FlagSet, files []string) (err error) {
	if err := o.check(flags, files); err != nil {
		return err
	}
	out, err := o.open(a.ui.out)
	if err != nil {
		return err
	}
	// Rows without a prediction are rows: only other errors spoil the output.
	defer func() {
		failed := (*failedRowsError)(nil)
		if errors.As(err, &failed) {
			if closeErr := out.close(nil); closeErr != nil {
				err = closeErr
			}
			return
		}
		err = out.close(err)
	}()
	base, err := o.request()
	if err != nil {
		return err
	}
	base.MaximumBytesBilled = o.maximumBytesBilled
	clients, err := o.connect(ctx, a)
	if err != nil {
		return err
	}
	defer clients.Close()
	name, err := gcp.ParseRemoteModelName(o.qualified(o.model), clients.Project())
	if err != nil {
		return usagef("--model: %w", err)
	}
	types, err := o.columnTypes()
	if err != nil {
		return err
	}

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
	base.OnProgress = a.ui.progress
	service := bqml.New(clients)
	model, err := service.GetModel(ctx, name)
	if err != nil {
		return withExitCode(ctx, fmt.Errorf("model %s: %w", name, err))
	}
	if base.Location == "" {
		base.Location = model.Location
	}
	p := &prediction{
		predictOptions: o, ui: a.ui, out: out, clients: clients, service: service, client: client,
		warehouse: awaiting{rowpredict.BigQuery(client), func(ctx context.Context, fn func(context.Context) error) error {
			return service.AwaitGrant(ctx, model, bqml.Options{Propagation: o.propagation, Progress: a.ui.note}, fn)
		}},
		name: name, model: model, base: base,
	}
	source, err := p.source(files, types)
	if err == nil && len(o.keys) > 0 {
		err = p.complete(ctx, source)
	} else if err == nil {
		err = p.print(ctx, source)
	}
	if input, ok := errors.AsType[*rowpredict.InputError](err); ok {
		return &exitError{exitUsage, input}
	}
	if data, ok := errors.AsType[*rowpredict.RowsError](err); ok {
		return &exitError{exitAssertion, data}
	}
	return withExitCode(ctx, err)
}

// qualified completes a name without a dataset.
func (o *predictOptions) qualified(name string) string {
	if o.defaultDataset == "" || strings.ContainsAny(name, "./") {
		return name
	}
	return o.defaultDataset + "." + name
}

func (o *predictOptions) columnTypes() (map[string]string, error) {
	types := map[string]string{}
	for _, t := range o.types {
		name, sqlType, ok := strings.Cut(t, ":")
		if !ok || name == "" || sqlType == "" {
			return nil, usagef("--type %q is not of the form NAME:TYPE", t)
		}
		types[name] = sqlType
	}
	return types, nil
}

// awaiting is a warehouse that waits for the grant of the connection's service account.
type awaiting struct {
	rowpredict.Warehouse
	await func(context.Context, func(context.Context) error) error
}

func (w awaiting) Do(ctx context.Context, r query.Request) (statistics query.Statistics, err error) {
	err = w.await(ctx, func(ctx context.Context) error {
		statistics, err = w.Warehouse.Do(ctx, r)
		return err
	})
	return statistics, err
}

func (w awaiting) Open(ctx context.Context, r query.Request) (rows *query.Rows, err error) {
	err = w.await(ctx, func(ctx context.Context) error {
		rows, err = w.Warehouse.Open(ctx, r)
		return err
	})
	return rows, err
}

// prediction is one execution of "gcpml predict".
type prediction struct {
	*predictOptions
	ui        *ui
	out       *output
	clients   *gcp.Clients
	service   *bqml.Service
	client    *query.Client
	warehouse awaiting
	name      gcp.RemoteModelName
	model     *bqml.Model
	base      query.Request
}

// source is what is predicted, after a file was checked.
func (p *prediction) source(files []string, types map[string]string) (rowpredict.Source, error) {
	switch {
	case len(files) > 0:
		if p.model.Input == nil {
			return rowpredict.Source{}, fmt.Errorf("BigQuery does not tell the INPUT columns of model %s, and a file cannot be read without their types", p.name)
		}
		f, err := rowpredict.OpenFile(files[0], p.model.Input, types)
		return rowpredict.Source{Name: files[0], File: f}, err
	case p.table != "":
		t, err := bqml.ParseTable(p.qualified(p.table), p.clients.Project())
		if err != nil {
			return rowpredict.Source{}, usagef("--table: %w", err)
		}
		sql, err := rowpredict.SelectAll(t)
		return rowpredict.Source{Name: "the table", Query: sql}, err
	}
	return rowpredict.Source{Name: "the query", Query: p.query}, nil
}

// print is the simple form: the rows go to the output.
func (p *prediction) print(ctx context.Context, source rowpredict.Source) error {
	var found *rowpredict.Predictions
	var err error
	if source.File != nil {
		run := p.runID
		if run == "" {
			run = query.NewRunID()
		}
		found, err = rowpredict.PredictFile(ctx, p.warehouse, p.name, p.model, source.File, p.base, run)
	} else {
		found, err = rowpredict.PredictQuery(ctx, p.warehouse, p.name, p.model, source, p.base)
	}
	if err != nil {
		return err
	}
	summary, err := p.out.Render(p.out, render.Result{Schema: found.Schema, Total: found.Total, Rows: found.Rows})
	if err != nil {
		return err
	}
	if summary.Cut {
		p.ui.note("%d of %d rows are shown; --max-rows 0 shows all", summary.Written, found.Total)
	} else if m := found.Measured; p.within > 0 || m.Exhausted+m.OverQuota+m.TimedOut > 0 {
		p.ui.throughput(p.throughput(ctx, *m, m.Rows, 0))
	}
	return p.failedRows(found.Measured.Failed, int64(summary.Written)) //nolint:gosec // a number of rows
}

// readingEndpoint is the most time for reading what serves the endpoint.
const readingEndpoint = 10 * time.Second

// throughput puts what was measured together with what serves the endpoint. An
// endpoint that cannot be read only makes the advice say less.
func (p *prediction) throughput(ctx context.Context, measured rowpredict.Measured, all, left int64) *rowpredict.Throughput {
	s := rowpredict.Situation{Measured: measured, BatchRows: rowpredict.BatchRows(p.model), Rows: all, Left: left, Within: p.within}
	var err error
	if p.model.Custom() {
		ctx, stop := context.WithTimeout(ctx, readingEndpoint)
		defer stop()
		s.Serving, err = p.service.Serving(ctx, p.model.Endpoint)
	}
	t := s.Throughput()
	if err != nil {
		t.Unread = gcp.Message(err)
	}
	return t
}

// failedRows is how a command ends that left rows without a prediction.
func (p *prediction) failedRows(failed, all int64) error {
	if failed == 0 {
		return nil
	}
	if p.allowFailed {
		p.ui.note("%s", &failedRowsError{failed, all})
		return nil
	}
	return &exitError{exitRows, &failedRowsError{failed, all}}
}

// failedRowsError tells of rows without a prediction in a result that is whole.
type failedRowsError struct{ failed, all int64 }

func (e *failedRowsError) Error() string {
	return fmt.Sprintf("no prediction for %d of %d rows; their %s says why", e.failed, e.all, bqml.StatusColumn)
}

// complete predicts every row into a table.
func (p *prediction) complete(ctx context.Context, source rowpredict.Source) error {
	into, err := bqml.ParseTable(p.qualified(p.into), p.clients.Project())
	if err != nil {
		return usagef("--into: %w", err)
	}
	report, err := rowpredict.Complete(ctx, p.warehouse, rowpredict.Spec{
		Name: p.name, Model: p.model, Source: source, Keys: p.keys, Into: into, Write: rowpredict.Mode(p.write),
		Retries: p.retries, Delay: p.retryDelay, MaxErrorRate: p.maxErrorRate, ChunkRows: p.chunkRows, Nullable: p.nullable,
		AllowFailed: p.allowFailed, Restart: p.restart, RunID: p.runID, Base: p.base, Tell: p.ui.note,
	})
	if report != nil {
		report.Throughput = p.throughput(ctx, report.Measured, report.Rows, report.Pending)
		if err := p.tell(report); err != nil {
			return err
		}
	}
	if stopped, ok := errors.AsType[*rowpredict.StoppedError](err); ok {
		return &exitError{exitRows, fmt.Errorf("%w; nothing was written to %s. The same command goes on from here, --restart begins anew", stopped, report.Into)}
	}
	if err != nil {
		if ctx.Err() != nil {
			p.ui.note("nothing is lost: the same command goes on from here, --restart begins anew")
		}
		return err
	}
	return p.failedRows(report.Failed, report.Rows)
}

// tell reports how a run ended, to people and, if asked for, to programs.
func (p *prediction) tell(r *rowpredict.Report) error {
	what, rest := rows(r.Rows)+" written to "+r.Into, ""
	if !r.Written {
		what, rest = rows(r.Rows)+" for "+r.Into, fmt.Sprintf(", %d not tried", r.Pending)
	}
	p.ui.note("%s: %d ok, %d retried, %d failed%s", what, r.OK, r.Retried, r.Failed, rest)
	for _, s := range r.Statuses {
		p.ui.note("%s failed, %s", rows(s.Rows), s)
	}
	p.ui.throughput(r.Throughput)
	if p.report == "" {
		return nil
	}
	build := func() ([]byte, error) {
		text, err := json.MarshalIndent(r, "", "  ")
		return append(text, '\n'), err
	}
	if p.report != "-" {
		return writeReport("--report", p.report, build)
	}
	text, err := build()
	if err == nil {
		_, err = p.ui.out.Write(text)
	}
	return err
}
