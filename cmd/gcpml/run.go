// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// runOptions is all that "gcpml run" was asked for.
type runOptions struct {
	sourceOptions
	connectionOptions
	jobOptions
	runGuards
	outputOptions
	reportOptions
	runID           string
	plan            string
	continueOnError bool
	parallel        int
	detach          bool
	session         bool
	sessionID       string
	destination     string
	write           string
	propagation     time.Duration
}

const runHelp = `Run SQL on BigQuery: files and directories (their .sql files in the order of their
paths) in the given order, -e texts, or standard input (-).

Each statement is one BigQuery job, and the run stops at the first that fails. A
file that declares variables, uses control flow, transactions or temporary objects
is sent as one job, which BigQuery executes as a script; its result is the one of
its last statement.

Results go to standard output, everything else to standard error. table, vertical and
markdown show every result set, up to --max-rows rows of each. The formats for
programs write one valid document, the last result set, whole; json writes [] if no
statement has one. Values are exact in every format: what a JSON number cannot hold
is a string, as TO_JSON_STRING writes it.

A comment can state what the result of a statement has to be like:

  -- expect: rows between 1 and 1000
  -- expect: column score between 0 and 1
  -- expect: column label in ('positive', 'negative')
  -- expect: column id is not null        (also: is null, is unique, = != < <= > >=)
  -- expect: no failed predictions

Ctrl-C cancels the running job, and tells so; once more leaves at once. A second run
with the same --run-id and the same SQL attaches to the jobs of the first one, so that
nothing is executed twice.

` + exitHelp

const runExample = `  gcpml run setup.sql
  gcpml run -e 'SELECT 1 AS x' --format json
  gcpml run checks/ --continue-on-error --parallel 4 --junit report.xml
  generate-sql | gcpml run - --project my-project --location EU`

func newRunCommand(a *app) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:     "run {FILE|DIR… | -e SQL… | -}",
		Short:   "Run SQL statements and print their results",
		Long:    runHelp,
		Example: runExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return o.run(cmd.Context(), a)
		},
	}
	addGroups(cmd, "gcpml run report.sql", o.sourceOptions.group("run"), o.group(), o.runGuards.group(), o.jobOptions.group(),
		o.outputOptions.group(), o.reportOptions.group(), o.connectionOptions.group())
	return cmd
}

func (o *runOptions) group() optionGroup {
	return optionGroup{"Run options", []string{"gcpml run load.sql --run-id load-2026-01-31", "--plan report.plan --iam-propagation-timeout 0", "gcpml run checks/ --continue-on-error --parallel 4", "gcpml run -e 'CREATE TEMP TABLE kept AS SELECT 1 AS x' --session", "gcpml run -e 'SELECT x FROM kept' --session-id ID", "gcpml run train.sql --detach", "--destination-table my_dataset.report --write truncate"}, func(f *pflag.FlagSet) {
		f.StringVar(&o.runID, "run-id", "", "`ID` of this run: a second run with the same id and text attaches to the jobs of the first instead of executing again")
		f.StringVar(&o.plan, "plan", "", "plan `FILE` of gcpml plan --out: refuse to run anything but what was planned")
		f.BoolVar(&o.continueOnError, "continue-on-error", false, "run the statements after one that failed as well; the exit code is that of the first failure")
		f.IntVar(&o.parallel, "parallel", 1, "how many files to run at the same time; the statements of a file stay in order")
		f.BoolVar(&o.detach, "detach", false, "leave as soon as BigQuery has accepted the job, and print its name (one job only)")
		f.BoolVar(&o.session, "session", false, "run everything in a new session, whose temporary tables and variables last from statement to statement; its id is told")
		f.StringVar(&o.sessionID, "session-id", "", "run everything in an existing session")
		f.StringVar(&o.destination, "destination-table", "", "keep the rows of the query in a table: [PROJECT.]DATASET.`TABLE` (one query only)")
		f.StringVar(&o.write, "write", "empty", "if the destination table has rows: append, truncate, or empty: fail")
		f.DurationVar(&o.propagation, "iam-propagation-timeout", bqml.DefaultPropagation, "how long a job is tried again while a role of a connection's service account has not taken effect; 0 fails at once")
	}}
}

// check finds what is wrong with the options alone.
func (o *runOptions) check(files [][]sqlscript.Statement) error {
	jobs := 0
	for _, statements := range files {
		jobs += len(statements)
	}
	switch {
	case o.parallel < 1:
		return usagef("--parallel must be at least 1")
	case o.parallel > 1 && (o.session || o.sessionID != ""):
		return usagef("--parallel and a session exclude each other: a session runs one job at a time")
	case o.parallel > 1 && o.maxTotalBytes > 0:
		return usagef("--parallel and --max-total-bytes exclude each other: what one job leaves of the total is known when it is over")
	case o.session && o.sessionID != "":
		return usagef("--session makes a new session and --session-id names an existing one: give one of the two")
	case o.detach && jobs != 1:
		return usagef("--detach needs exactly one job and there are %d: put the statements between BEGIN and END", jobs)
	case o.destination != "" && jobs != 1:
		return usagef("--destination-table needs exactly one query and there are %d jobs", jobs)
	case o.write != "append" && o.write != "truncate" && o.write != "empty":
		return usagef("--write %q is not append, truncate or empty", o.write)
	case o.progress != "auto" && o.progress != "plain" && o.progress != "none":
		return usagef("--progress %q is not auto, plain or none", o.progress)
	}
	return nil
}

// run is "gcpml run". Everything that can be checked without the network is checked
// first, of every source, so that a typo in the last file costs nothing.
func (o *runOptions) run(ctx context.Context, a *app) (err error) {
	out, err := o.open(a.ui.out)
	if err != nil {
		return err
	}
	defer func() { // also if nothing is run
		if closed := out.close(err); err == nil && closed != nil {
			err = &exitError{exitInternal, fmt.Errorf("--output: %w", closed)}
		}
	}()
	if o.runID == "" {
		o.runID = query.NewRunID()
	} else if err := query.CheckRunID(o.runID); err != nil {
		return usagef("--run-id: %w", err)
	}
	base, err := o.request()
	if err != nil {
		return err
	}
	base.Destination, base.Write, base.SessionID, base.NoWait = o.destination, o.write, o.sessionID, o.detach
	files, err := o.load(a.stdin)
	if err != nil {
		return err
	}
	if err := o.check(files); err != nil {
		return err
	}
	a.ui.setProgress(o.progress)
	clients, err := o.connect(ctx, a)
	if err != nil {
		return err
	}
	defer clients.Close()
	if o.plan != "" {
		if err := checkPlan(o.plan, newPlan(clients.Project(), base, files)); err != nil {
			return err
		}
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
	guard := &guard{runGuards: o.runGuards}
	if err := guard.preflight(ctx, client, files, base); err != nil {
		return withExitCode(ctx, err)
	}
	base.OnProgress = a.ui.progress
	if o.detach {
		return o.submit(ctx, a, client, base, files)
	}
	results := &results{out: out, one: render.ForMachines(o.format), ui: a.ui}
	outcomes := sqlscript.Run(ctx, propagating{client, clients, o.propagation, a.ui}, files, sqlscript.Options{
		RunID: o.runID, Base: base, Session: o.session, Parallel: o.parallel, ContinueOnError: o.continueOnError,
		Before: guard.before,
		OnDone: func(ctx context.Context, s sqlscript.Statement, job *query.Job) error {
			guard.after(job)
			if o.session && base.SessionID == "" {
				base.SessionID = job.Statistics.Session
				a.ui.note("session %s", base.SessionID)
			}
			return results.add(ctx, s, placeOf(files, s), job)
		},
		OnEnd: func(out sqlscript.Outcome) { o.tell(a, out) },
	})
	err = o.summary(ctx, a, outcomes)
	if err == nil {
		err = withExitCode(ctx, results.finish(ctx))
	}
	if reported := o.reportOptions.write(a, o.runID, outcomes); reported != nil {
		if err != nil {
			a.ui.error(reported)
		} else {
			err = &exitError{exitInternal, reported}
		}
	}
	return err
}

// placeOf finds a statement among the files.
func placeOf(files [][]sqlscript.Statement, s sqlscript.Statement) position {
	for i, statements := range files {
		for j, other := range statements {
			if other.Same(s) {
				return position{i, j}
			}
		}
	}
	return position{}
}

// tell tells of a statement that is over.
func (o *runOptions) tell(a *app, out sqlscript.Outcome) {
	if out.Job != nil && o.stats {
		a.ui.stats(out.Statement, out.Job)
	}
	if out.Job != nil && o.queryPlan {
		a.ui.stages(out.Statement, out.Job)
	}
	if out.Err != nil {
		for _, err := range each(out.Err) {
			a.ui.error(err)
		}
	}
}

// summary returns the first failure, which was told of, with its exit code.
func (o *runOptions) summary(ctx context.Context, a *app, outcomes []sqlscript.Outcome) error {
	counts := map[string]int{}
	var first error
	for _, out := range outcomes {
		counts[status(out)]++
		if first == nil {
			first = out.Err
		}
	}
	if first == nil {
		return nil
	}
	if len(outcomes) > 1 {
		var parts []string
		for _, s := range []string{"failed", "passed", "skipped"} {
			if counts[s] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
			}
		}
		a.ui.note("of %d statements %s", len(outcomes), strings.Join(parts, ", "))
	}
	code := codeOf(ctx, first)
	return &exitError{code, toldError{first}}
}

// submit is --detach: it leaves the one job running.
func (o *runOptions) submit(ctx context.Context, a *app, client *query.Client, base query.Request, files [][]sqlscript.Statement) error {
	s := files[0][0]
	base.SQL, base.Script, base.Parameters = s.SQL, s.Script, s.Parameters
	base.ID = base.JobID(o.runID, "001")
	base.MaximumBytesBilled = o.maximumBytesBilled
	job, err := client.Run(ctx, base)
	if err != nil {
		return withExitCode(ctx, s.At(err))
	}
	_, err = fmt.Fprintln(a.ui.out, job.Reference)
	a.ui.note("the job runs on; gcpml jobs wait %s waits for it", job.Reference)
	return withExitCode(ctx, err)
}

// interruptible ends the returned context at the first Ctrl-C or SIGTERM; the
// second one ends the process as if nothing handled it.
func interruptible(ctx context.Context, u *ui) (context.Context, func()) {
	return onSignal(ctx, func() { u.note("interrupted; cancelling the running job (once more to leave it running)") })
}

// signalled is interruptible for commands that leave jobs alone.
func signalled(ctx context.Context) (context.Context, func()) { return onSignal(ctx, func() {}) }

func onSignal(ctx context.Context, tell func()) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			tell()
			cancel(interruption{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
