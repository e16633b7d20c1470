// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	gotable "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// planOptions is all that "gcpml plan" was asked for.
type planOptions struct {
	sourceOptions
	connectionOptions
	jobOptions
	format           string
	out              string
	price            float64
	detailedExitCode bool
}

const planHelp = `Tell what "gcpml run" would do with the same SQL and options, without running any of
it: of every job its type, how many bytes it would process and how exact that is, the
tables and models it refers to, and its cost at a price.

A statement that refers to what an earlier one makes cannot be checked before that one
is run: it is told as "not estimable: needs …", which is no failure. A statement that
BigQuery does not accept is one: the exit code is then 4.

--out writes the plan to a file. "gcpml run --plan FILE" with the same SQL refuses to run
if the statements, their parameters, the project, the location or the default dataset
are others than planned.

The cost is bytes × price. BigQuery bills at least 10 MiB for each table, rounds up to a
mebibyte, and bills slots instead of bytes in a reservation. The price is the
--price-per-tib of your region; without it no cost is told.

` + exitHelp + `
With --detailed-exitcode: 0 every statement is a SELECT, 1 error, 2 some would change
something, as terraform plan has it.`

const planExample = `  gcpml plan report.sql --price-per-tib 6.25
  gcpml plan setup/ --format markdown >> $GITHUB_STEP_SUMMARY
  gcpml plan load.sql --out load.plan && gcpml run load.sql --plan load.plan`

func newPlanCommand(a *app) *cobra.Command {
	o := &planOptions{}
	cmd := &cobra.Command{
		Use:     "plan {FILE|DIR… | -e SQL… | -}",
		Short:   "Tell what SQL would do and cost, without running it",
		Long:    planHelp,
		Example: planExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			p, err := o.run(cmd.Context(), a)
			switch {
			case !o.detailedExitCode:
			case err == nil && p.changes():
				return &exitError{exitChanges, toldError{errors.New("a statement would change something")}}
			case exitCodeOf(err) == exitChanges:
				return &exitError{exitInternal, err}
			}
			return err
		},
	}
	addGroups(cmd, "gcpml plan report.sql", o.sourceOptions.group("plan"), optionGroup{"Plan options", []string{"--format json --price-per-tib 6.25", "--out report.plan --detailed-exitcode"}, func(f *pflag.FlagSet) {
		f.StringVar(&o.format, "format", "table", "output format: table, json or markdown")
		f.StringVar(&o.out, "out", "", "write the plan to `FILE` for gcpml run --plan")
		f.Float64Var(&o.price, "price-per-tib", 0, "price of 1 TiB of processed bytes, for the cost")
		f.BoolVar(&o.detailedExitCode, "detailed-exitcode", false, "exit with 2 if a statement would change something")
	}}, o.jobOptions.group(), o.connectionOptions.group())
	return cmd
}

// exitChanges is the code of --detailed-exitcode, which Terraform gave it.
const exitChanges = 2

// plan is what is going to be run. Its JSON is the plan file.
type plan struct {
	FormatVersion  int        `json:"format_version"`
	Hash           string     `json:"hash"`
	Project        string     `json:"project"`
	Location       string     `json:"location,omitempty"`
	DefaultDataset string     `json:"default_dataset,omitempty"`
	Statements     []planned  `json:"statements"`
	Total          *planTotal `json:"total,omitempty"`
}

// planned is one job of a plan. The first group is what the hash covers.
type planned struct {
	SQL        string                     `json:"sql"`
	Script     bool                       `json:"script,omitempty"`
	Parameters []*bigquery.QueryParameter `json:"parameters,omitempty"`

	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`

	StatementType string   `json:"statement_type,omitempty"`
	Bytes         *int64   `json:"bytes_processed"` // null if it is not known
	Accuracy      string   `json:"bytes_accuracy,omitempty"`
	Cost          *float64 `json:"cost,omitempty"`
	Tables        []string `json:"referenced_tables"`
	Models        []string `json:"referenced_models"`
	Needs         []string `json:"not_estimable_needs,omitempty"`
	Error         string   `json:"error,omitempty"`
	Reason        string   `json:"error_reason,omitempty"`
}

type planTotal struct {
	Bytes        int64    `json:"bytes_processed"`
	NotEstimable int      `json:"not_estimable"`
	Failed       int      `json:"failed"`
	Cost         *float64 `json:"cost,omitempty"`
}

// newPlan returns the plan without estimates.
func newPlan(project string, base query.Request, files [][]sqlscript.Statement) *plan {
	p := &plan{FormatVersion: 1, Project: project, Location: base.Location, DefaultDataset: base.DefaultDataset}
	for _, statements := range files {
		for _, s := range statements {
			p.Statements = append(p.Statements, planned{
				SQL: s.SQL, Script: s.Script, Parameters: s.Parameters, File: s.File(), Line: s.Line, Column: s.Column, Tables: []string{}, Models: []string{},
			})
		}
	}
	p.Hash = p.hash()
	return p
}

// hash covers what would be executed, and where; not what it would cost today, and not
// the names of the files.
func (p *plan) hash() string {
	meaning := []any{p.FormatVersion, p.Project, p.Location, p.DefaultDataset}
	for _, s := range p.Statements {
		meaning = append(meaning, s.meaning())
	}
	return hashOf(meaning)
}

func (s planned) meaning() any { return []any{s.SQL, s.Script, s.Parameters} }

func hashOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // strings, numbers and parameters always marshal
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// checkPlan refuses to run anything but what the plan file says.
func checkPlan(file string, now *plan) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return usagef("--plan: %w", err)
	}
	var then plan
	if err := json.Unmarshal(content, &then); err != nil || then.FormatVersion != 1 {
		return usagef("--plan: %s is no plan file of this version of gcpml", file)
	}
	switch {
	case then.hash() != then.Hash:
		return guardf("--plan: %s was changed after it was written: its hash does not fit", file)
	case then.Hash == now.Hash:
		return nil
	case then.Project != now.Project:
		return guardf("--plan: the plan is for project %s, and this would run in %s", then.Project, now.Project)
	case then.Location != now.Location:
		return guardf("--plan: the plan is for location %q, and this would run in %q", then.Location, now.Location)
	case then.DefaultDataset != now.DefaultDataset:
		return guardf("--plan: the plan is for default dataset %q, and this would run with %q", then.DefaultDataset, now.DefaultDataset)
	case len(then.Statements) != len(now.Statements):
		return guardf("--plan: the plan has %d statements, and %d would be run", len(then.Statements), len(now.Statements))
	}
	for i, s := range now.Statements {
		if hashOf(s.meaning()) != hashOf(then.Statements[i].meaning()) {
			return &exitError{exitGuard, &sqlscript.PositionError{File: s.File, Line: s.Line, Column: s.Column, Err: fmt.Errorf("--plan: the statement or its parameters are not as planned")}}
		}
	}
	return guardf("--plan: this is not what was planned")
}

func (o *planOptions) run(ctx context.Context, a *app) (*plan, error) {
	if o.format != "table" && o.format != "json" && o.format != "markdown" {
		return nil, usagef("--format: %q is not a format: use one of table, json, markdown", o.format)
	}
	if o.price < 0 {
		return nil, usagef("--price-per-tib cannot be negative")
	}
	base, err := o.request()
	if err != nil {
		return nil, err
	}
	files, loadErr := o.load(a.stdin)
	if _, ok := errors.AsType[*sqlscript.MissingParameterError](loadErr); loadErr != nil && !ok {
		return nil, loadErr
	}
	clients, err := o.connect(ctx, a)
	if err != nil {
		return nil, cmp.Or(loadErr, err)
	}
	defer clients.Close()
	ctx, stop := interruptible(ctx, a.ui)
	defer stop()
	ctx, cancel := o.deadline(ctx)
	defer cancel()
	if err := reach(ctx, clients.Config()); err != nil {
		return nil, cmp.Or(loadErr, withExitCode(ctx, err))
	}
	client, err := queryClient(ctx, clients, nil)
	if err != nil {
		return nil, cmp.Or(loadErr, configError(err))
	}
	if loadErr != nil {
		return nil, &exitError{exitUsage, sqlscript.MissingParameters(ctx, client, base, loadErr)}
	}
	p := newPlan(clients.Project(), base, files)
	first := p.fill(sqlscript.Estimates(ctx, client, files, base), o.price)
	if ctx.Err() != nil {
		return nil, withExitCode(ctx, first)
	}
	if o.out != "" {
		content, err := json.MarshalIndent(p, "", "  ")
		if err == nil {
			err = os.WriteFile(o.out, append(content, '\n'), 0o600)
		}
		if err != nil {
			return nil, usagef("--out: %w", err)
		}
	}
	if err := p.print(a.ui.out, o.format); err != nil {
		return nil, withExitCode(ctx, err)
	}
	return p, withExitCode(ctx, first)
}

// fill adds the estimates, and returns the first failure among them.
func (p *plan) fill(estimates []sqlscript.Estimate, price float64) error {
	var first error
	p.Total = &planTotal{}
	for i, e := range estimates {
		s := &p.Statements[i]
		s.Models = append(s.Models, e.Statement.Models()...)
		switch {
		case e.Err != nil:
			s.Error = failureText(e.Err)
			if job, ok := asJobError(e.Err); ok {
				s.Error, s.Reason = job.Message, job.Reason
			}
			p.Total.Failed++
			if first == nil {
				first = e.Err
			}
		case e.Job == nil:
			p.Total.NotEstimable++
			for _, o := range e.Needs {
				s.Needs = append(s.Needs, o.Name)
			}
		default:
			st := e.Job.Statistics
			s.StatementType, s.Accuracy, s.Bytes = st.StatementType, accuracyText(st.Accuracy), &st.BytesProcessed
			s.Tables = append(s.Tables, e.Job.Tables...)
			p.Total.Bytes += st.BytesProcessed
			s.Cost = cost(st.BytesProcessed, price)
		}
	}
	p.Total.Cost = cost(p.Total.Bytes, price)
	return first
}

func cost(bytes int64, price float64) *float64 {
	if price == 0 {
		return nil
	}
	exact := new(big.Rat).SetFrac64(bytes, 1<<40)
	n, _ := exact.Mul(exact, new(big.Rat).SetFloat64(price)).Float64()
	return &n
}

// changes reports whether a statement may do more than read.
func (p *plan) changes() bool {
	for _, s := range p.Statements {
		if s.StatementType != "SELECT" {
			return true
		}
	}
	return false
}

func (p *plan) print(w io.Writer, format string) error {
	if format == "json" {
		content, err := json.MarshalIndent(p, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", content)
		}
		return err
	}
	box := gotable.NewWriter()
	box.SetStyle(gotable.StyleLight)
	box.Style().Format.Header = text.FormatDefault
	box.Style().Format.Footer = text.FormatDefault
	header := gotable.Row{"job", "type", "bytes", "accuracy", "refers to"}
	footer := gotable.Row{fmt.Sprintf("%d jobs", len(p.Statements)), "", bytesText(p.Total.Bytes), "", p.caption()}
	box.SetColumnConfigs([]gotable.ColumnConfig{{Number: 3, Align: text.AlignRight, AlignFooter: text.AlignRight}, {Number: 6, Align: text.AlignRight, AlignFooter: text.AlignRight}})
	if p.Total.Cost != nil {
		header = append(header, "cost")
		footer = append(footer, costText(p.Total.Cost))
	}
	box.AppendHeader(header)
	for _, s := range p.Statements {
		kind, bytes, accuracy := s.StatementType, "", strings.ToLower(strings.ReplaceAll(s.Accuracy, "_", " "))
		refers := strings.Join(append(append([]string{}, s.Tables...), models(s.Models)...), ", ")
		switch {
		case s.Error != "":
			kind, refers = "error", s.Error
		case s.Needs != nil:
			kind, accuracy = "?", "not estimable: needs "+strings.Join(s.Needs, ", ")
		default:
			bytes = bytesText(*s.Bytes)
		}
		row := gotable.Row{fmt.Sprintf("%s:%d:%d", s.File, s.Line, s.Column), kind, bytes, accuracy, refers}
		if p.Total.Cost != nil {
			row = append(row, costText(s.Cost))
		}
		box.AppendRow(row)
	}
	box.AppendFooter(footer)
	rendered := box.Render
	if format == "markdown" {
		rendered = box.RenderMarkdown
	}
	_, err := fmt.Fprintln(w, rendered())
	return err
}

func models(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "model " + n
	}
	return out
}

func (p *plan) caption() string {
	var parts []string
	if p.Total.NotEstimable > 0 {
		parts = append(parts, fmt.Sprintf("%d not estimable", p.Total.NotEstimable))
	}
	if p.Total.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.Total.Failed))
	}
	return strings.Join(parts, ", ")
}

func costText(n *float64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", *n)
}
