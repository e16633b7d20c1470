// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// Exit codes. A script that calls gcpml can tell what to do from the code alone.
const (
	exitInternal   = 1   // what no other code describes, such as an address where nothing answers
	exitUsage      = 2   // flags, environment, configuration, files or the text of a script
	exitAuth       = 3   // no or wrong credentials, or a missing permission
	exitInvalid    = 4   // BigQuery does not accept a statement: syntax, names, types
	exitFailed     = 5   // a job failed while it was executed
	exitAssertion  = 6   // an expectation or an ASSERT statement does not hold
	exitGuard      = 7   // a guard refused: bytes, --read-only, --require-estimate, --plan
	exitTimeout    = 8   // --timeout or --job-timeout is over
	exitRows       = 9   // gcpml predict: the job succeeded but some rows have no prediction
	exitInterrupt  = 130 // Ctrl-C, as a shell reports it
	exitTerminated = 143
)

const exitHelp = `Exit codes: 0 success, 1 unexpected (BigQuery cannot be reached), 2 usage or
configuration, 3 authentication or permission, 4 SQL that BigQuery does not accept,
5 a job failed at run time, 6 an expectation or ASSERT does not hold, 7 a guard refused
(bytes, read-only, estimate, plan), 8 out of time, 9 rows without a prediction,
130 interrupted (the running job is cancelled), 143 terminated.`

// exitError is an error with the exit code that it calls for.
type exitError struct {
	code int
	err  error
}

// toldError is an error that the user was told of when it happened.
type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitCodeOf returns the exit code of what a command returned.
func exitCodeOf(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	return exitUsage // an error of the flag parser carries no code
}

func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// interruption is a signal that ended the run.
type interruption struct{ os.Signal }

func (i interruption) Error() string { return "interrupted" }

// withExitCode gives an error the code it calls for, unless it has one. ctx is the
// one that the work was done under: its end beats what the error says.
func withExitCode(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{codeOf(ctx, err), err}
}

func codeOf(ctx context.Context, err error) int {
	var signalled interruption
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &signalled) && signalled.Signal == syscall.SIGTERM:
		return exitTerminated
	case errors.As(cause, &signalled):
		return exitInterrupt
	case errors.Is(cause, context.DeadlineExceeded):
		return exitTimeout
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if job, ok := errors.AsType[*query.JobError](err); ok {
		return jobCode(job)
	}
	if _, ok := errors.AsType[*sqlscript.ExpectationError](err); ok {
		return exitAssertion
	}
	if _, ok := errors.AsType[*gcp.ConfigError](err); ok {
		return exitUsage
	}
	switch gcp.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		return exitAuth
	case codes.NotFound, codes.InvalidArgument:
		return exitInvalid
	}
	return exitInternal
}

func asJobError(err error) (*query.JobError, bool) { return errors.AsType[*query.JobError](err) }

// analysed recognises an error of BigQuery's parser or analyser: it names a place.
// One of the execution, such as a division by zero, has the same reason and no
// place; in a script it begins with "Query error: ".
var analysed = regexp.MustCompile(` at \[\d+:\d+\]`)

func jobCode(e *query.JobError) int {
	switch e.Reason {
	case "accessDenied", "authError", "forbidden":
		return exitAuth
	case "bytesBilledLimitExceeded":
		return exitGuard
	case "timeout":
		return exitTimeout
	case "stopped":
		if strings.Contains(strings.ToLower(e.Message), "timed out") {
			return exitTimeout
		}
	case "invalidQuery", "invalid":
		switch {
		case strings.HasPrefix(e.Message, "Assertion failed"), strings.HasPrefix(e.Message, "Query error: Assertion failed"):
			return exitAssertion
		case analysed.MatchString(e.Message) && !strings.HasPrefix(e.Message, "Query error: "), e.Refused():
			return exitInvalid
		}
	case "notFound", "parseError":
		return exitInvalid
	case "duplicate":
		if e.Refused() { // a dry run
			return exitInvalid
		}
	}
	return exitFailed
}
