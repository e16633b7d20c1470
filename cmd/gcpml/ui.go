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
//   - A statement without a result set is reported in one line when it is done.
//   - A statement that takes long is reported on while it runs, by one line at the
//     bottom of the terminal, which is rewritten and gone in the end. Where standard
//     error is no terminal there is no such line, unless --progress plain asks for
//     lines: after 10 s, then ever more rarely.
//   - Advice comes last, a line each that starts with "advice: ". It says what it is
//     computed from; where nothing can be said there is none.
//   - No colours, no prompts: a log of CI and a terminal show the same.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/rowpredict"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

type ui struct {
	out, err io.Writer

	mu           sync.Mutex
	mode         progressMode
	width        int             // of the terminal
	shown        bool            // there is a progress line on the terminal
	progressed   query.Reference // the job that progress was last told of
	nextProgress time.Duration
}

type progressMode int

const (
	progressNone  progressMode = iota
	progressPlain              // lines
	progressLine               // one line that is rewritten
)

func newUI(out, err io.Writer) *ui { return &ui{out: out, err: err} }

// setProgress decides how progress is told: auto, plain or none.
func (u *ui) setProgress(how string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mode = map[string]progressMode{"plain": progressPlain}[how]
	if f, ok := u.err.(*os.File); ok && how == "auto" && term.IsTerminal(int(f.Fd())) {
		u.mode, u.width = progressLine, 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			u.width = width
		}
	}
}

func (u *ui) line(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	fmt.Fprintf(u.err, format+"\n", args...)
}

// clear takes the progress line away; the lock is held.
func (u *ui) clear() {
	if u.shown {
		fmt.Fprint(u.err, "\r\x1b[K")
		u.shown = false
	}
}

// rewrite shows the progress line; the lock is held.
func (u *ui) rewrite(text string) {
	u.clear()
	if letters := []rune(text); len(letters) >= u.width {
		text = string(letters[:u.width-1])
	}
	fmt.Fprint(u.err, text)
	u.shown = true
}

// endProgress takes the progress line away before results are written.
func (u *ui) endProgress() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
}

// note tells something that is no error.
func (u *ui) note(format string, args ...any) { u.line("gcpml: "+format, args...) }

// error tells why the command failed.
func (u *ui) error(err error) {
	if _, ok := errors.AsType[toldError](err); ok {
		return
	}
	place := "gcpml: "
	if at, ok := errors.AsType[*sqlscript.PositionError](err); ok {
		place = ""
		if job, ok := errors.AsType[*query.JobError](at.Err); ok {
			u.jobError(at, job)
			return
		}
	}
	u.line("%s%s", place, err)
	if _, ok := errors.AsType[*exitError](err); !ok && place != "" { // of the flag parser
		u.hint("see gcpml run --help")
	}
}

func (u *ui) hint(text string) { u.line("hint: %s", text) }

// throughput tells how fast predictions came, and what would make that faster.
func (u *ui) throughput(t *rowpredict.Throughput) {
	if t.Unread != "" {
		u.note("what serves the endpoint could not be read, so replicas are not told: %s", t.Unread)
	}
	for _, a := range t.Advice {
		if a.Kind == rowpredict.AdviceRate || a.Kind == rowpredict.AdviceTimeLeft {
			u.note("%s", a.Text)
		} else {
			u.line("advice: %s", a.Text)
		}
	}
}

// BigQuery appends the place within the statement to its message; the place in the
// file is told instead.
var positionSuffix = regexp.MustCompile(` at \[\d+:\d+\]$`)

func (u *ui) jobError(at *sqlscript.PositionError, job *query.JobError) {
	told := *at
	short := *job
	short.Message = positionSuffix.ReplaceAllString(job.Message, "")
	told.Err = &short
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
	switch {
	case s.ChildJobs == 1:
		facts = append(facts, "1 child job")
	case s.ChildJobs > 1:
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

// progressAfter is how long a job runs before its progress is shown.
const progressAfter = 2 * time.Second

// progress tells of a job that takes long.
func (u *ui) progress(p query.Progress) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.mode {
	case progressLine:
		if p.Elapsed >= progressAfter {
			u.rewrite(progressText(p))
		}
	case progressPlain:
		if u.progressed.ID != p.Job.ID {
			u.progressed, u.nextProgress = p.Job, 10*time.Second
		}
		if p.Elapsed >= u.nextProgress {
			u.nextProgress = p.Elapsed * 2
			fmt.Fprintf(u.err, "gcpml: job %s is %s\n", p.Job, progressText(p))
		}
	}
}

func progressText(p query.Progress) string {
	parts := []string{strings.ToLower(p.State) + " for " + p.Elapsed.Round(time.Second).String()}
	if p.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", p.Attempt))
	}
	if p.Stages > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d stages", p.StagesDone, p.Stages))
	}
	if p.Stage != "" {
		parts = append(parts, p.Stage)
	}
	if p.ActiveUnits+p.PendingUnits > 0 {
		parts = append(parts, fmt.Sprintf("%d slots busy, %d units waiting", p.ActiveUnits, p.PendingUnits))
	}
	if p.Bytes > 0 {
		parts = append(parts, bytesText(p.Bytes))
	}
	if p.RowsRead > 0 {
		parts = append(parts, rows(p.RowsRead)+" read")
	}
	if p.SlotTime > 0 {
		parts = append(parts, "slot time "+p.SlotTime.Round(time.Second).String())
	}
	return strings.Join(parts, ", ")
}

// read tells how many rows of a result were read.
func (u *ui) read(n uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mode == progressLine {
		u.rewrite(fmt.Sprintf("%d rows read", n))
	}
}

// stats is --stats.
func (u *ui) stats(s sqlscript.Statement, job *query.Job) {
	st := job.Statistics
	parts := []string{bytesText(st.BytesProcessed) + " processed", bytesText(st.BytesBilled) + " billed", fmt.Sprintf("slot time %.1f s", st.SlotTime.Seconds()), fmt.Sprintf("%.1f s", st.Duration.Seconds())}
	if st.CacheHit {
		parts = append(parts, "from the cache")
	}
	if st.Reservation != "" {
		parts = append(parts, "reservation "+st.Reservation)
	}
	u.line("%s:%d:%d: %s, job %s", s.File(), s.Line, s.Column, strings.Join(parts, ", "), job.Reference)
	for _, f := range job.Functions {
		u.line("%s:%d:%d: %s: %s", s.File(), s.Line, s.Column, f.Name, functionText(f))
	}
	for _, v := range job.Services {
		u.line("%s:%d:%d: %s: %s", s.File(), s.Line, s.Column, v.Name, serviceText(v))
	}
	for _, e := range functionErrors(job) {
		u.line("%s:%d:%d: rows failed: %s", s.File(), s.Line, s.Column, e)
	}
}

// functionText is what is told of a generative AI function, but its name.
func functionText(f query.Function) string {
	parts := []string{rows(f.Rows)}
	for _, n := range []struct {
		rows int64
		what string
	}{{f.Failed, "failed"}, {f.Cached, "from the cache"}, {f.Optimized, "cost-optimized"}} {
		if n.rows > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.rows, n.what))
		}
	}
	if f.Prompt != "" {
		parts = append(parts, fmt.Sprintf("prompt %q", f.Prompt))
	}
	if f.Optimization != "" {
		parts = append(parts, f.Optimization)
	}
	return strings.Join(parts, ", ")
}

// functionErrors are what went wrong with rows, each once: those of the job are often
// those of its functions.
func functionErrors(job *query.Job) (out []string) {
	all := job.FunctionErrors
	for _, f := range job.Functions {
		all = append(all[:len(all):len(all)], f.Errors...)
	}
	for _, e := range all {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// serviceText is what is told of the cost of another service, but its name.
func serviceText(s query.Service) string {
	parts := []string{bytesText(s.BytesProcessed) + " processed", bytesText(s.BytesBilled) + " billed", fmt.Sprintf("slot time %.1f s", s.SlotSeconds)}
	if s.ReservedSlots > 0 {
		parts = append(parts, fmt.Sprintf("%d slots reserved", s.ReservedSlots))
	}
	if s.BillingMethod != "" {
		parts = append(parts, "billed by "+s.BillingMethod)
	}
	return strings.Join(parts, ", ")
}

// stages is --query-plan.
func (u *ui) stages(s sqlscript.Statement, job *query.Job) {
	if len(job.Stages) == 0 {
		u.line("%s:%d:%d: BigQuery tells no query plan", s.File(), s.Line, s.Column)
		return
	}
	for _, g := range job.Stages {
		u.line("%s:%d:%d: stage %s: %s → %s, shuffled %s, slot time %.1f s, wait %s, read %s, compute %s, write %s", s.File(), s.Line, s.Column,
			g.Name, rows(g.RowsRead), rows(g.RowsWritten), bytesText(g.ShuffleBytes), g.SlotTime.Seconds(), g.Wait, g.Read, g.Compute, g.Write)
	}
}

// annotate tells GitHub of a failure in a file.
func (u *ui) annotate(file string, f reportFailure) {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	u.line("::error file=%s,line=%d,col=%d,title=%s::%s", property.Replace(file), f.Line, f.Column, property.Replace("gcpml: "+f.Reason), escape.Replace(f.Message))
}
