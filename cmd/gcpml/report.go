// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// reportOptions say what is told about the statements besides their results.
type reportOptions struct {
	stats     bool
	queryPlan bool
	progress  string
	junit     string
	report    string
	github    bool
}

func (o *reportOptions) group() optionGroup {
	return optionGroup{"Report options", []string{"--stats --query-plan --progress plain", "--junit report.xml --report report.json --github"}, func(f *pflag.FlagSet) {
		f.BoolVar(&o.stats, "stats", false, "tell bytes, slot time and duration of every statement, and rows and failures of its generative AI functions")
		f.BoolVar(&o.queryPlan, "query-plan", false, "tell the stages of every statement")
		f.StringVar(&o.progress, "progress", "auto", "progress of long jobs on standard error: auto (if it is a terminal), plain (lines) or none")
		f.StringVar(&o.junit, "junit", "", "write a JUnit report to `FILE`: a test suite per file, a test case per statement")
		f.StringVar(&o.report, "report", "", "write a JSON report to `FILE`")
		f.BoolVar(&o.github, "github", false, "for GitHub Actions: annotate failures in the files and add to the step's summary (GITHUB_STEP_SUMMARY)")
	}}
}

// write writes the reports that were asked for.
func (o *reportOptions) write(a *app, runID string, outcomes []sqlscript.Outcome) error {
	var all []error
	if o.junit != "" {
		all = append(all, writeReport("--junit", o.junit, func() ([]byte, error) { return junit(outcomes) }))
	}
	if o.report != "" {
		all = append(all, writeReport("--report", o.report, func() ([]byte, error) { return jsonReport(runID, outcomes) }))
	}
	if o.github {
		all = append(all, o.toGitHub(a, outcomes))
	}
	return errors.Join(all...)
}

func writeReport(option, file string, build func() ([]byte, error)) error {
	text, err := build()
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	return nil
}

// status is what became of a statement, in one word.
func status(o sqlscript.Outcome) string {
	switch {
	case o.Skipped:
		return "skipped"
	case o.Err != nil:
		return "failed"
	}
	return "passed"
}

// failureText is the error without its place.
func failureText(err error) string {
	if at, ok := errors.AsType[*sqlscript.PositionError](err); ok {
		err = at.Err
	}
	return err.Error()
}

type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`

		took time.Duration
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr"`
		Line      int           `xml:"line,attr"`
		Time      string        `xml:"time,attr"`
		Facts     *junitFacts   `xml:"properties"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
		Skipped   *struct{}     `xml:"skipped"`
	}
	junitFacts struct {
		All []junitFact `xml:"property"`
	}
	junitFact struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit tells failed expectations as failures and everything else as errors.
func junit(outcomes []sqlscript.Outcome) ([]byte, error) {
	var all junitSuites
	for _, o := range outcomes {
		file := o.Statement.File()
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != file {
			all.Suites = append(all.Suites, junitSuite{Name: file})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := junitCase{
			Name: fmt.Sprintf("%d: %s", o.Statement.Line, firstLine(o.Statement.SQL)), ClassName: file, File: file, Line: o.Statement.Line, Time: seconds(o.Took),
		}
		if o.Job != nil {
			c.Facts = &junitFacts{factsOf(o.Job)}
		}
		s.Tests++
		s.took += o.Took
		s.Time = seconds(s.took)
		switch {
		case o.Skipped:
			s.Skipped++
			c.Skipped = &struct{}{}
		case o.Err != nil:
			message := &junitMessage{Message: failureText(o.Err), Type: "error", Text: o.Err.Error()}
			if _, ok := errors.AsType[*sqlscript.ExpectationError](o.Err); ok {
				message.Type = "expectation"
				s.Failures++
				c.Failure = message
				break
			}
			if job, ok := errors.AsType[*query.JobError](o.Err); ok {
				message.Type = job.Reason
			}
			s.Errors++
			c.Error = message
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

// factsOf is what a job cost, and what its generative AI functions did.
func factsOf(job *query.Job) []junitFact {
	st := job.Statistics
	facts := []junitFact{{"job", job.String()}, {"bytes_processed", fmt.Sprint(st.BytesProcessed)}, {"bytes_billed", fmt.Sprint(st.BytesBilled)}, {"slot_seconds", seconds(st.SlotTime)}}
	for _, f := range job.Functions {
		facts = append(facts, junitFact{"gen_ai", f.Name + ": " + functionText(f)})
	}
	for _, v := range job.Services {
		facts = append(facts, junitFact{"external_service", v.Name + ": " + serviceText(v)})
	}
	return facts
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// firstLine shortens a statement to a name for it.
func firstLine(sql string) string {
	line, rest, _ := strings.Cut(sql, "\n")
	line = strings.Join(strings.Fields(line), " ")
	if letters := []rune(line); len(letters) > 80 {
		return string(letters[:79]) + "…"
	}
	if rest != "" {
		return line + " …"
	}
	return line
}

// reportEntry is one statement in the JSON report.
type reportEntry struct {
	File           string  `json:"file"`
	Line           int     `json:"line"`
	Column         int     `json:"column"`
	SQL            string  `json:"sql"`
	Status         string  `json:"status"` // passed, failed or skipped
	Seconds        float64 `json:"seconds"`
	Job            string  `json:"job,omitempty"`
	Attempt        int     `json:"attempt,omitempty"`
	StatementType  string  `json:"statement_type,omitempty"`
	BytesProcessed int64   `json:"bytes_processed,omitempty"`
	BytesBilled    int64   `json:"bytes_billed,omitempty"`
	SlotSeconds    float64 `json:"slot_seconds,omitempty"`
	CacheHit       bool    `json:"cache_hit,omitempty"`
	RowsChanged    int64   `json:"rows_changed,omitempty"`
	aiText
	Expectations int             `json:"expectations,omitempty"`
	Failures     []reportFailure `json:"failures,omitempty"`
}

type reportFailure struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func jsonReport(runID string, outcomes []sqlscript.Outcome) ([]byte, error) {
	report := struct {
		RunID      string         `json:"run_id"`
		Counts     map[string]int `json:"counts"`
		Statements []reportEntry  `json:"statements"`
	}{runID, map[string]int{"passed": 0, "failed": 0, "skipped": 0}, []reportEntry{}}
	for _, o := range outcomes {
		e := reportEntry{
			File: o.Statement.File(), Line: o.Statement.Line, Column: o.Statement.Column, SQL: o.Statement.SQL, Status: status(o),
			Seconds: o.Took.Seconds(), Expectations: len(o.Statement.Expect), Failures: failuresOf(o),
		}
		if job, ok := errors.AsType[*query.JobError](o.Err); ok {
			e.Job = job.Job.String()
		}
		if o.Job != nil {
			st := o.Job.Statistics
			e.Job, e.Attempt, e.StatementType = o.Job.String(), o.Job.Attempt, st.StatementType
			e.BytesProcessed, e.BytesBilled, e.SlotSeconds, e.CacheHit, e.RowsChanged = st.BytesProcessed, st.BytesBilled, st.SlotTime.Seconds(), st.CacheHit, st.Affected
			e.aiText = aiText{o.Job.Functions, o.Job.FunctionErrors, o.Job.Services}
		}
		report.Counts[e.Status]++
		report.Statements = append(report.Statements, e)
	}
	text, err := json.MarshalIndent(report, "", "  ")
	return append(text, '\n'), err
}

// failuresOf returns what is wrong with a statement, each at its place.
func failuresOf(o sqlscript.Outcome) []reportFailure {
	if o.Err == nil {
		return nil
	}
	var out []reportFailure
	for _, err := range each(o.Err) {
		f := reportFailure{Line: o.Statement.Line, Column: o.Statement.Column, Reason: "error", Message: failureText(err)}
		if at, ok := errors.AsType[*sqlscript.PositionError](err); ok {
			f.Line, f.Column = at.Line, at.Column
		}
		if job, ok := errors.AsType[*query.JobError](err); ok {
			f.Reason, f.Message = job.Reason, job.Message
		}
		if _, ok := errors.AsType[*sqlscript.ExpectationError](err); ok {
			f.Reason = "expectation"
		}
		out = append(out, f)
	}
	return out
}

// each takes joined expectations apart, each at its own place.
func each(err error) []error {
	at, ok := errors.AsType[*sqlscript.PositionError](err)
	if !ok {
		return []error{err}
	}
	joined, ok := at.Err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, one := range joined.Unwrap() {
		place := *at
		if e, ok := errors.AsType[*sqlscript.ExpectationError](one); ok {
			place.Line, place.Column = e.Expectation.Line, e.Expectation.Column
		}
		place.Err = one
		out = append(out, &place)
	}
	return out
}

// toGitHub writes workflow commands to standard error, which GitHub reads like
// standard output, and appends a table to the step's summary.
func (o *reportOptions) toGitHub(a *app, outcomes []sqlscript.Outcome) error {
	var b strings.Builder
	b.WriteString("### gcpml run\n\n| | statement | time | billed | |\n|---|---|---:|---:|---|\n")
	for _, out := range outcomes {
		mark := map[string]string{"passed": "✅", "failed": "❌", "skipped": "⏭"}[status(out)]
		billed, message := "", ""
		if out.Job != nil {
			billed = bytesText(out.Job.Statistics.BytesBilled)
			for _, f := range out.Job.Functions {
				message += cell(f.Name+": "+functionText(f)) + "<br>"
			}
		}
		for _, f := range failuresOf(out) {
			a.ui.annotate(out.Statement.File(), f)
			message += cell(f.Message) + "<br>"
		}
		fmt.Fprintf(&b, "| %s | %s:%d `%s` | %.1f s | %s | %s |\n", mark, cell(out.Statement.File()), out.Statement.Line,
			strings.ReplaceAll(cell(firstLine(out.Statement.SQL)), "`", "'"), out.Took.Seconds(), billed, strings.TrimSuffix(message, "<br>"))
	}
	summary, _ := a.lookupEnv("GITHUB_STEP_SUMMARY")
	if summary == "" {
		return nil
	}
	f, err := os.OpenFile(summary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
	}
	_, err = f.WriteString(b.String() + "\n")
	return errors.Join(err, f.Close())
}

// cell makes a text fit a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;").Replace(text)
}
