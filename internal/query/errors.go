// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// JobError is a statement that BigQuery refused or failed to execute.
type JobError struct {
	// Job is empty for a dry run, which makes no job.
	Job Reference
	// Reason is BigQuery's, such as "invalidQuery", "notFound", "accessDenied",
	// "responseTooLarge", "bytesBilledLimitExceeded" or "stopped" (cancelled).
	Reason  string
	Message string
	// Line and Column (from 1, within the request's SQL) are where BigQuery says
	// the mistake is; 0 if it does not say. GoogleSQL counts a tab up to the next
	// multiple of 8.
	Line, Column int
	// Details are further errors of the same job.
	Details []ErrorDetail

	// Earlier says that the job had failed before this run began: a run with the
	// same id, in another process, submitted it.
	Earlier bool

	script bool  // the job was a script, parts of which may have been executed
	cause  error // the API error, if jobs.insert itself was refused
}

// ErrorDetail is one more error of a failed job.
type ErrorDetail struct{ Reason, Message, Location string }

func (e *JobError) Error() string {
	if e.Job.ID == "" {
		return fmt.Sprintf("%s (%s)", e.Message, e.Reason)
	}
	return fmt.Sprintf("%s (%s, job %s)", e.Message, e.Reason, e.Job)
}

// Unwrap returns the API error if jobs.insert itself was refused.
func (e *JobError) Unwrap() error { return e.cause }

// Refused reports whether BigQuery refused to make a job of the statement at all, so
// that no part of it was executed.
func (e *JobError) Refused() bool { return e.cause != nil }

// InterruptedError tells that the context ended while the job may have been
// running. It unwraps to the cause of the context's end.
type InterruptedError struct {
	Job   Reference
	State string // as last seen: "", PENDING or RUNNING
	// CancelRequested tells that BigQuery accepted to cancel the job. CancelErr
	// tells why it did not; both are zero if the caller detached.
	CancelRequested bool
	CancelErr       error
	// LastErr is the last error of the server before the context ended, if any.
	LastErr error

	cause error
}

func (e *InterruptedError) Error() string {
	s := "interrupted"
	if errors.Is(e.cause, context.DeadlineExceeded) {
		s = "out of time"
	}
	switch {
	case e.CancelRequested:
		return fmt.Sprintf("%s; BigQuery was asked to cancel job %s", s, e.Job)
	case gcp.IsNotFound(e.CancelErr):
		return s + " before BigQuery accepted the job " + e.Job.String()
	case e.CancelErr != nil && e.LastErr != nil && e.State == "":
		return fmt.Sprintf("%s, and BigQuery could not be asked for job %s: %s", s, e.Job, gcp.Message(e.LastErr))
	case e.CancelErr != nil:
		return fmt.Sprintf("%s; job %s could not be cancelled and may still run: %s", s, e.Job, gcp.Message(e.CancelErr))
	}
	return fmt.Sprintf("%s; job %s may still run", s, e.Job)
}

// Unwrap returns the cause of the context's end.
func (e *InterruptedError) Unwrap() error { return e.cause }

// failure returns the error of a job that is done, or nil if it succeeded.
func failure(ref Reference, job *bigquery.Job) *JobError {
	if job.Status == nil || job.Status.ErrorResult == nil {
		return nil
	}
	e := newJobError(ref, job.Status.ErrorResult.Reason, job.Status.ErrorResult.Message)
	for _, d := range job.Status.Errors {
		if d.Message != e.Message {
			e.Details = append(e.Details, ErrorDetail{d.Reason, d.Message, d.Location})
		}
	}
	if s := job.Statistics; s != nil {
		e.script = s.NumChildJobs > 0 || s.Query != nil && s.Query.StatementType == "SCRIPT"
	}
	return e
}

// refused turns a refusal of jobs.insert that is about the statement into a
// JobError, so that callers see one kind of error for one kind of mistake.
// Everything else stays an error of the call. An object that exists already is about
// the statement only in a dry run, whose job cannot exist already.
func refused(ref Reference, err error, dryRun bool) error {
	api, ok := errors.AsType[*googleapi.Error](err)
	if !ok || len(api.Errors) == 0 {
		return &callError{ref, err}
	}
	switch api.Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
	case http.StatusConflict:
		if !dryRun {
			return &callError{ref, err}
		}
	default:
		return &callError{ref, err}
	}
	if dryRun {
		ref = Reference{}
	}
	e := newJobError(ref, api.Errors[0].Reason, api.Message)
	e.cause = err
	return e
}

// callError is a call about a job that failed. Its text is one line: what answers
// at a wrong address can be a page of HTML.
type callError struct {
	job   Reference
	cause error
}

func (e *callError) Unwrap() error { return e.cause }

func (e *callError) Error() string {
	text := e.cause.Error()
	api, isAPI := errors.AsType[*googleapi.Error](e.cause)
	_, isText := errors.AsType[*json.SyntaxError](e.cause)
	switch {
	case isAPI && api.Message != "":
		text = fmt.Sprintf("%s (HTTP %d)", api.Message, api.Code)
	case isAPI:
		text = fmt.Sprintf("HTTP %d and not an error of BigQuery: is this the address of the API?", api.Code)
	case isText:
		text = "the answer is not JSON: is this the address of the API?"
	}
	return text + " (job " + e.job.String() + ")"
}

// "Syntax error: Unexpected end of script at [3:7]"; the last one counts, because
// a message can quote others.
var position = regexp.MustCompile(`\bat \[(\d+):(\d+)\]`)

func newJobError(ref Reference, reason, message string) *JobError {
	e := &JobError{Job: ref, Reason: reason, Message: message}
	if all := position.FindAllStringSubmatch(message, -1); all != nil {
		m := all[len(all)-1]
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, _ = strconv.Atoi(m[2])
	}
	return e
}
