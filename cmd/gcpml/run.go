// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// run is "gcpml run". Everything that can be checked without the network is checked
// first, of every source, so that a typo in the last file costs nothing.
func run(ctx context.Context, o *runOptions, u *ui) error {
	renderer, err := render.New(o.format, render.Options{MaxRows: o.maxRows})
	if err != nil {
		return usagef("--format: %w", err)
	}
	if o.timeout <= 0 {
		return usagef("--timeout must be more than 0")
	}
	if o.runID == "" {
		o.runID = query.NewRunID()
	} else if err := query.CheckRunID(o.runID); err != nil {
		return usagef("--run-id: %w", err)
	}
	base, err := o.request()
	if err != nil {
		return err
	}
	sources, err := o.sources()
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
	clients, err := o.connect(ctx, u)
	if err != nil {
		return err
	}
	defer clients.Close()

	ctx, stop := interruptible(ctx, u)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := reach(ctx, clients.Config()); err != nil {
		return exitCode(ctx, err)
	}
	service, err := clients.BigQuery(ctx)
	if err != nil {
		return configError(err)
	}
	results := results{renderer: renderer, one: render.ForMachines(o.format), ui: u}
	base.OnProgress = u.progress
	err = sqlscript.Run(ctx, query.New(service, clients.Project()), statements, sqlscript.Options{
		RunID: o.runID, Base: base, OnDone: results.add,
	})
	if err == nil {
		err = results.finish(ctx)
	}
	return exitCode(ctx, err)
}

// results decides which result sets are written, and when.
type results struct {
	renderer render.Renderer
	one      bool // the output has to be one document: only the last result set counts
	ui       *ui

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
	summary, err := r.renderer.Render(r.ui.out, result)
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

// interruption is a signal that ended the run.
type interruption struct{ os.Signal }

func (i interruption) Error() string { return "interrupted" }

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

// exitCode gives an error of the run the code it calls for.
func exitCode(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var signalled interruption
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &signalled) && signalled.Signal == os.Interrupt:
		return &exitError{exitInterrupt, err}
	case errors.As(cause, &signalled):
		return &exitError{exitTerminated, err}
	case errors.Is(cause, context.DeadlineExceeded):
		return &exitError{exitTimeout, err}
	}
	return &exitError{exitFailed, err}
}

// reach makes a connection to the API, or to the proxy on the way there, and drops
// it. The retries further down are patient, as they should be with a service that
// is known to be there; an address where nothing listens has to fail at once.
func reach(ctx context.Context, c gcp.Config) error {
	target, setting := "https://bigquery.googleapis.com/", ""
	switch {
	case c.EmulatorHost != "":
		target, setting = "http://"+c.EmulatorHost+"/", "is the emulator running (gcpml-emulator start), and does --emulator-host or GCPML_EMULATOR_HOST name its address?"
	case c.BigQueryEndpoint != "":
		target, setting = c.BigQueryEndpoint, "check --big-query-custom-endpoint or GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	server := request.URL
	if proxy, err := http.ProxyFromEnvironment(request); err != nil {
		return usagef("HTTPS_PROXY: %w", err)
	} else if proxy != nil {
		server, setting = proxy, "it is the proxy that HTTPS_PROXY or HTTP_PROXY names"
	}
	port := server.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[server.Scheme]
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(server.Hostname(), port))
	if err != nil {
		err = fmt.Errorf("cannot reach %s: %w", server.Host, err)
		if setting != "" {
			err = fmt.Errorf("%w; %s", err, setting)
		}
		return err
	}
	return connection.Close()
}
