// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	gotable "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// jobsOptions are what the commands about jobs have in common.
type jobsOptions struct {
	connectionOptions
	location string
	format   string
	timeout  time.Duration

	queryPlan bool // show
	filter    query.Filter
	progress  string // wait
}

const jobsHelp = `Look at, wait for and cancel BigQuery jobs, whoever made them.

A job is named as every message names it: PROJECT:LOCATION.ID, LOCATION.ID, or ID,
completed by --project and --location. The location can be left out for jobs in the
multi-regions US and EU.`

func newJobsCommand(a *app) *cobra.Command {
	jobs := &cobra.Command{
		Use:   "jobs",
		Short: "Look at, wait for and cancel jobs",
		Long:  jobsHelp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	add := func(cmd *cobra.Command, o *jobsOptions, run func(context.Context, *query.Client, []query.Reference) error, extra func(*pflag.FlagSet), plain string, examples ...string) {
		examples = append(examples, "--location europe-west1 --format json --timeout 10m")
		cmd.Example = "  " + optionGroup{examples: examples}.lines(plain)[0]
		cmd.Long = cmd.Short + ".\n\n" + strings.SplitAfterN(jobsHelp, "\n\n", 2)[1] + "\n\n" + exitHelp
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), a, args, run) }
		addGroups(cmd, plain, optionGroup{"Job options", examples, func(f *pflag.FlagSet) {
			f.StringVar(&o.location, "location", "", "location of jobs whose name does not tell it")
			f.StringVar(&o.format, "format", "table", "output format: table or json")
			f.DurationVar(&o.timeout, "timeout", 6*time.Hour, "most time for the whole command")
			if extra != nil {
				extra(f)
			}
		}}, o.group())
		jobs.AddCommand(cmd)
	}
	show := &jobsOptions{}
	add(&cobra.Command{Use: "show JOB…", Short: "Tell all about jobs", Args: cobra.MinimumNArgs(1)}, show,
		func(ctx context.Context, c *query.Client, refs []query.Reference) error {
			return show.each(ctx, a, refs, c.Get)
		}, func(f *pflag.FlagSet) {
			f.BoolVar(&show.queryPlan, "query-plan", false, "the stages of the query plan as well")
		}, "gcpml jobs show my-project:US.gcpml_4f2a_001_8d1c_1", "--query-plan")

	wait := &jobsOptions{}
	add(&cobra.Command{Use: "wait JOB…", Short: "Wait until jobs are done; the exit code is that of the first that failed", Args: cobra.MinimumNArgs(1)}, wait,
		func(ctx context.Context, c *query.Client, refs []query.Reference) error {
			a.ui.setProgress(wait.progress)
			return wait.each(ctx, a, refs, func(ctx context.Context, ref query.Reference) (*query.Info, error) {
				return c.Wait(ctx, ref, a.ui.progress)
			})
		}, func(f *pflag.FlagSet) {
			f.StringVar(&wait.progress, "progress", "auto", "progress on standard error: auto (if it is a terminal), plain (lines) or none")
		}, "gcpml jobs wait my-project:US.gcpml_4f2a_001_8d1c_1", "gcpml jobs wait $(gcpml run train.sql --detach) --timeout 2h", "--progress plain")

	cancel := &jobsOptions{}
	var noWait bool
	add(&cobra.Command{Use: "cancel JOB…", Short: "Cancel jobs, and wait until they have stopped", Args: cobra.MinimumNArgs(1)}, cancel,
		func(ctx context.Context, c *query.Client, refs []query.Reference) error {
			var out []*query.Info
			for _, ref := range refs {
				info, err := c.Cancel(ctx, ref)
				if err == nil && !noWait {
					info, err = c.Wait(ctx, ref, nil)
				}
				if err != nil {
					return err
				}
				switch {
				case info.State != "DONE":
					a.ui.note("BigQuery was asked to cancel job %s", info.Reference)
				case info.Err != nil && info.Err.Reason == "stopped":
					a.ui.note("job %s is cancelled", info.Reference)
				default:
					a.ui.note("job %s had ended before it could be cancelled", info.Reference)
				}
				out = append(out, info)
			}
			return cancel.print(a.ui.out, out, false)
		}, func(f *pflag.FlagSet) {
			f.BoolVar(&noWait, "no-wait", false, "do not wait until the jobs have stopped")
		}, "gcpml jobs cancel my-project:EU.bqjob_r1234", "--no-wait")

	list := &jobsOptions{}
	add(&cobra.Command{Use: "list", Short: "List jobs of the project, the newest first", Args: cobra.NoArgs}, list,
		func(ctx context.Context, c *query.Client, _ []query.Reference) error {
			switch list.filter.State {
			case "", "pending", "running", "done":
			default:
				return usagef("--state %q is not pending, running or done", list.filter.State)
			}
			if list.filter.Limit < 0 {
				return usagef("--limit cannot be negative")
			}
			found, err := c.List(ctx, "", list.filter)
			if err != nil {
				return err
			}
			return list.print(a.ui.out, found, true)
		}, func(f *pflag.FlagSet) {
			f.StringVar(&list.filter.State, "state", "", "only jobs that are pending, running or done")
			f.BoolVar(&list.filter.AllUsers, "all-users", false, "jobs of everybody, not only yours")
			f.StringVar(&list.filter.Parent, "parent", "", "the child jobs of the script with this `ID`")
			f.IntVar(&list.filter.Limit, "limit", 50, "most jobs to list; 0 lists all")
		}, "gcpml jobs list", "--state running --all-users", "--parent gcpml_4f2a_001_8d1c_1 --limit 0")
	return jobs
}

func (o *jobsOptions) run(ctx context.Context, a *app, args []string, run func(context.Context, *query.Client, []query.Reference) error) error {
	switch {
	case o.format != "table" && o.format != "json":
		return usagef("--format: %q is not a format: use one of table, json", o.format)
	case o.timeout <= 0:
		return usagef("--timeout must be more than 0")
	}
	clients, err := o.connect(ctx, a)
	if err != nil {
		return err
	}
	defer clients.Close()
	var refs []query.Reference
	for _, name := range args {
		ref, err := query.ParseReference(name, clients.Project(), o.location)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		refs = append(refs, ref)
	}
	ctx, stop := signalled(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := reach(ctx, clients.Config()); err != nil {
		return withExitCode(ctx, err)
	}
	client, err := queryClient(ctx, clients, nil)
	if err != nil {
		return configError(err)
	}
	return withExitCode(ctx, run(ctx, client, refs))
}

// each looks jobs up and tells of them; the first that failed is the error.
func (o *jobsOptions) each(ctx context.Context, a *app, refs []query.Reference, get func(context.Context, query.Reference) (*query.Info, error)) error {
	var out []*query.Info
	var failed error
	for _, ref := range refs {
		info, err := get(ctx, ref)
		if err != nil {
			return err
		}
		if info.Err != nil && failed == nil && o.progress != "" { // jobs wait
			failed = info.Err
		}
		out = append(out, info)
	}
	a.ui.endProgress()
	if err := o.print(a.ui.out, out, false); err != nil {
		return err
	}
	return failed
}

// jobText is a job in JSON.
type jobText struct {
	Job            string            `json:"job"`
	Project        string            `json:"project"`
	Location       string            `json:"location"`
	ID             string            `json:"id"`
	Kind           string            `json:"kind,omitempty"`
	StatementType  string            `json:"statement_type,omitempty"`
	State          string            `json:"state"`
	Failed         bool              `json:"failed"`
	Reason         string            `json:"error_reason,omitempty"`
	Message        string            `json:"error_message,omitempty"`
	User           string            `json:"user,omitempty"`
	Created        *time.Time        `json:"created,omitempty"`
	Seconds        float64           `json:"seconds"`
	BytesProcessed int64             `json:"bytes_processed"`
	BytesBilled    int64             `json:"bytes_billed"`
	SlotSeconds    float64           `json:"slot_seconds"`
	CacheHit       bool              `json:"cache_hit"`
	RowsChanged    int64             `json:"rows_changed"`
	ChildJobs      int64             `json:"child_jobs"`
	Reservation    string            `json:"reservation,omitempty"`
	Session        string            `json:"session,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Tables         []string          `json:"referenced_tables,omitempty"`
	SQL            string            `json:"sql,omitempty"`
	Stages         []stageText       `json:"query_plan,omitempty"`
	aiText
}

// aiText is what BigQuery tells of generative AI functions and of other services that
// are part of a job's cost, in JSON.
type aiText struct {
	Functions []query.Function `json:"gen_ai_functions,omitempty"`
	Errors    []string         `json:"gen_ai_errors,omitempty"`
	Services  []query.Service  `json:"external_services,omitempty"`
}

// stageText is a stage of a query plan in JSON, with times in seconds.
type stageText struct {
	Name         string   `json:"name"`
	Status       string   `json:"status"`
	RowsRead     int64    `json:"rows_read"`
	RowsWritten  int64    `json:"rows_written"`
	ShuffleBytes int64    `json:"shuffle_bytes"`
	SlotSeconds  float64  `json:"slot_seconds"`
	Wait         float64  `json:"wait_seconds"`
	Read         float64  `json:"read_seconds"`
	Compute      float64  `json:"compute_seconds"`
	Write        float64  `json:"write_seconds"`
	Steps        []string `json:"steps,omitempty"`
}

func stageTexts(stages []query.Stage) []stageText {
	out := make([]stageText, len(stages))
	for i, s := range stages {
		out[i] = stageText{
			Name: s.Name, Status: s.Status, RowsRead: s.RowsRead, RowsWritten: s.RowsWritten, ShuffleBytes: s.ShuffleBytes, SlotSeconds: s.SlotTime.Seconds(),
			Wait: s.Wait.Seconds(), Read: s.Read.Seconds(), Compute: s.Compute.Seconds(), Write: s.Write.Seconds(), Steps: s.Steps,
		}
	}
	return out
}

func (o *jobsOptions) print(w io.Writer, jobs []*query.Info, list bool) error {
	if o.format == "json" {
		out := []jobText{}
		for _, i := range jobs {
			st := i.Statistics
			t := jobText{
				Job: i.String(), Project: i.Project, Location: i.Location, ID: i.ID, Kind: i.Kind, StatementType: st.StatementType, State: i.State,
				User: i.User, Seconds: st.Duration.Seconds(), BytesProcessed: st.BytesProcessed, BytesBilled: st.BytesBilled, SlotSeconds: st.SlotTime.Seconds(),
				CacheHit: st.CacheHit, RowsChanged: st.Affected, ChildJobs: st.ChildJobs, Reservation: st.Reservation, Session: st.Session, Labels: i.Labels,
				Tables: i.Tables, SQL: i.SQL, aiText: aiText{i.Functions, i.FunctionErrors, i.Services},
			}
			if !st.Created.IsZero() {
				t.Created = &st.Created
			}
			if i.Err != nil {
				t.Failed, t.Reason, t.Message = true, i.Err.Reason, i.Err.Message
			}
			if o.queryPlan {
				t.Stages = stageTexts(i.Stages)
			}
			out = append(out, t)
		}
		content, err := json.MarshalIndent(out, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", content)
		}
		return err
	}
	if list {
		box := gotable.NewWriter()
		box.SetStyle(gotable.StyleLight)
		box.Style().Format.Header = text.FormatDefault
		box.AppendHeader(gotable.Row{"job", "state", "type", "created", "time", "billed", "user"})
		box.SetColumnConfigs([]gotable.ColumnConfig{{Number: 5, Align: text.AlignRight}, {Number: 6, Align: text.AlignRight}})
		for _, i := range jobs {
			box.AppendRow(gotable.Row{i.Reference, stateText(i), typeText(i), timeText(i.Statistics.Created), i.Statistics.Duration.Round(time.Millisecond), bytesText(i.Statistics.BytesBilled), i.User})
		}
		_, err := fmt.Fprintln(w, box.Render())
		return err
	}
	for n, i := range jobs {
		if n > 0 {
			fmt.Fprintln(w)
		}
		if err := o.describe(w, i); err != nil {
			return err
		}
	}
	return nil
}

func stateText(i *query.Info) string {
	if i.Err != nil {
		return "failed (" + i.Err.Reason + ")"
	}
	return strings.ToLower(i.State)
}

func typeText(i *query.Info) string {
	if i.Statistics.StatementType != "" {
		return i.Statistics.StatementType
	}
	return i.Kind
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// describe writes one job as "name: value" lines.
func (o *jobsOptions) describe(w io.Writer, i *query.Info) error {
	st := i.Statistics
	var b strings.Builder
	field := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name+":", strings.ReplaceAll(s, "\n", "\n             "))
		}
	}
	field("job", i.Reference)
	field("state", stateText(i))
	if i.Err != nil {
		field("error", i.Err.Message)
	}
	field("type", typeText(i))
	field("user", i.User)
	field("created", timeText(st.Created))
	field("time", st.Duration)
	field("processed", bytesText(st.BytesProcessed))
	field("billed", bytesText(st.BytesBilled))
	field("slot time", st.SlotTime)
	if st.CacheHit {
		field("cache", "hit")
	}
	if isDML(st.StatementType) {
		field("changed", rows(st.Affected))
	}
	if st.ChildJobs > 0 {
		field("child jobs", st.ChildJobs)
	}
	field("target", st.DDLTarget)
	for _, f := range i.Functions {
		field("function", f.Name+": "+functionText(f))
	}
	for _, e := range functionErrors(&i.Job) {
		field("rows failed", e)
	}
	for _, v := range i.Services {
		field("service", v.Name+": "+serviceText(v))
	}
	field("reservation", st.Reservation)
	field("session", st.Session)
	field("tables", strings.Join(i.Tables, ", "))
	field("sql", i.SQL)
	if o.queryPlan {
		for _, g := range i.Stages {
			field("stage", fmt.Sprintf("%s: %s, %d rows → %d rows, slot time %s", g.Name, strings.ToLower(g.Status), g.RowsRead, g.RowsWritten, g.SlotTime))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
