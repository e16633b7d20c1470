// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

// All that gcpml prints to people is printed here; results are written by
// internal/render. The rules:
//
//   - Standard output holds results and nothing else, so it can be piped. Everything
//     else goes to standard error.
//   - A message about a statement starts with its place, "file:line:column: ", as
//     compilers write it. Any other message starts with "gcpml: ".
//   - One message is one line, as far as BigQuery's own text allows; no capital at
//     the start, no full stop at the end. An error says what to do when that is known,
//     in a line that starts with "hint: ".
//   - A statement without a result set is reported in one line when it is done. A
//     statement that takes long is reported after 10 s, then ever more rarely.
//   - No colours, no cursor movements, no prompts: a log of CI and a terminal show the
//     same.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

type ui struct {
	out, err io.Writer

	mu           sync.Mutex
	progressed   query.Reference // the job that progress was last told of
	nextProgress time.Duration
}

func newUI(out, err io.Writer) *ui { return &ui{out: out, err: err} }

func (u *ui) line(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprintf(u.err, format+"\n", args...)
}

// note tells something that is no error.
func (u *ui) note(format string, args ...any) { u.line("gcpml: "+format, args...) }

// error tells why the command failed.
func (u *ui) error(err error) {
	place := "gcpml: "
	if at, ok := errors.AsType[*sqlscript.PositionError](err); ok {
		place = ""
		if job, ok := errors.AsType[*query.JobError](at.Err); ok {
			u.jobError(at, job)
			return
		}
	}
	u.line("%s%s", place, err)
	if _, ok := errors.AsType[*exitError](err); !ok { // of the flag parser
		u.hint("see gcpml run --help")
	}
}

func (u *ui) hint(text string) { u.line("hint: %s", text) }

// BigQuery appends the place within the statement to its message; the place in the
// file is told instead.
var positionSuffix = regexp.MustCompile(` at \[\d+:\d+\]$`)

func (u *ui) jobError(at *sqlscript.PositionError, job *query.JobError) {
	told := *at
	told.Err = fmt.Errorf("%s (%s, job %s)", positionSuffix.ReplaceAllString(job.Message, ""), job.Reason, job.Job)
	u.line("%s", &told)
	for _, d := range job.Details {
		told.Err = fmt.Errorf("%s (%s)", positionSuffix.ReplaceAllString(d.Message, ""), d.Reason)
		u.line("%s", &told)
	}
	if job.Earlier {
		u.hint("an earlier run with this --run-id submitted this script and it failed; a script is never executed again, so use another run id")
	}
	switch {
	case job.Reason == "bytesBilledLimitExceeded":
		u.hint("--maximum-bytes-billed sets this limit")
	case job.Reason == "notFound" && strings.Contains(job.Message, "was not found in location"):
		u.hint("--location names the location of the dataset")
	case job.Reason == "accessDenied" && strings.Contains(job.Message, "bigquery.jobs.create"):
		u.hint("--project names the project that runs the jobs; the caller needs roles/bigquery.jobUser there")
	}
}

// done tells of a statement that succeeded and has no result set.
func (u *ui) done(s sqlscript.Statement, job *query.Job) {
	u.line("%s:%d:%d: %s", s.File(), s.Line, s.Column, doneText(job.Statistics))
}

func doneText(s query.Statistics) string {
	what := strings.ToLower(strings.ReplaceAll(s.StatementType, "_", " "))
	if what == "" {
		what = "statement"
	}
	var facts []string
	if s.DDLTarget != "" {
		facts = append(facts, s.DDLTarget)
	}
	if s.DDLOperation == "SKIP" {
		facts = append(facts, "nothing to do")
	}
	for _, n := range []struct {
		rows int64
		verb string
	}{{s.Inserted, "inserted"}, {s.Updated, "updated"}, {s.Deleted, "deleted"}} {
		if n.rows > 0 {
			facts = append(facts, rows(n.rows)+" "+n.verb)
		}
	}
	changed := s.Inserted + s.Updated + s.Deleted
	if changed == 0 && isDML(s.StatementType) {
		facts = append(facts, rows(s.Affected)+" affected")
	}
	if s.ChildJobs > 0 {
		facts = append(facts, fmt.Sprintf("%d child jobs", s.ChildJobs))
	}
	facts = append(facts, fmt.Sprintf("%.1f s", s.Duration.Seconds()))
	return what + " done: " + strings.Join(facts, ", ")
}

func isDML(statementType string) bool {
	switch statementType {
	case "INSERT", "UPDATE", "DELETE", "MERGE":
		return true
	}
	return false
}

func rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// call tells of one API call, for --verbose.
func (u *ui) call(_ context.Context, c gcp.Call) {
	u.note("%s: %s in %s, attempt %d%s", c.Method, c.Code, c.Latency.Round(time.Millisecond), c.Attempt, requestID(c))
}

func requestID(c gcp.Call) string {
	if c.RequestID == "" {
		return ""
	}
	return ", request " + c.RequestID
}

// progress tells of a job that takes long.
func (u *ui) progress(p query.Progress) {
	u.mu.Lock()
	if u.progressed.ID != p.Job.ID {
		u.progressed, u.nextProgress = p.Job, 10*time.Second
	}
	due := p.Elapsed >= u.nextProgress
	if due {
		u.nextProgress = p.Elapsed * 2
	}
	u.mu.Unlock()
	if due {
		u.note("job %s is %s after %s", p.Job, strings.ToLower(p.State), p.Elapsed.Round(time.Second))
	}
}
