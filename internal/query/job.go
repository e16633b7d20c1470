// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

const (
	// maxExecutions bounds how often one Run executes a statement that BigQuery
	// failed for a reason of its own.
	maxExecutions = 5
	// maxAttempts bounds the attempts of all runs that share one id.
	maxAttempts = 50
	// maxInserts bounds how often one job id is sent again after the job that was
	// accepted is not found.
	maxInserts = 4
)

// retryableReasons are the reasons of a failed job that ask for another execution:
// the union of the lists of Google's Go and Python clients.
var retryableReasons = []string{
	"backendError", "badGateway", "internalError", "jobBackendError", "jobInternalError", "jobRateLimitExceeded", "rateLimitExceeded",
}

// Job is a job that is done and did not fail.
type Job struct {
	Reference
	// Attempt counts from 1; above 1 BigQuery failed earlier attempts for a reason
	// of its own.
	Attempt    int
	Statistics Statistics
	// Schema is known here for a dry run only; otherwise [Job.Rows] brings it.
	Schema Schema
	// State is DONE unless the caller did not wait.
	State string
	// Tables are those that the statement reads, as "project.dataset.table".
	Tables []string
	// Stages are those of the query plan, in order.
	Stages []Stage
	// Functions are the generative AI functions of the statement, and FunctionErrors
	// what went wrong with rows of any of them; the job succeeds all the same.
	Functions      []Function
	FunctionErrors []string
	// Services are other services that are part of the cost.
	Services []Service
	// Undeclared are, in a dry run, the query parameters that are missing, with the
	// types that BigQuery infers.
	Undeclared []Parameter

	client      *Client
	destination *bigquery.TableReference // the table of its rows; nil for a script
}

// HasRows reports whether the job has a result set worth reading: a SELECT, or a
// script, whose result set is the one of its last statement.
func (j *Job) HasRows() bool {
	return j.Statistics.StatementType == "SELECT" || j.Statistics.StatementType == "SCRIPT"
}

// Run submits the job, waits for its end and returns it. A job that fails is a
// [*JobError]; the end of ctx is an [*InterruptedError] as soon as the job may
// exist. If BigQuery fails the job for a reason of its own the statement is
// executed again under the next attempt number, up to 5 times: a failed job did
// not execute successfully. Scripts are never executed again.
func (c *Client) Run(ctx context.Context, r Request) (*Job, error) {
	if r.Project == "" {
		r.Project = c.project
	}
	if r.ID == "" {
		r.ID = r.JobID(NewRunID(), "0")
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run := &run{client: c, request: r, begun: time.Now()}
	pause := c.timing.again
	executions := 0
	for attempt := 1; ; attempt++ {
		job, err := run.attempt(ctx, attempt)
		failed, isJob := errors.AsType[*JobError](err)
		if err == nil || !isJob || r.Script || failed.script || failed.cause != nil || attempt == maxAttempts {
			return job, err
		}
		if failed.Earlier {
			// A run with the same id, before this one, ended in failure: it did
			// not execute the statement, so this one may.
			continue
		}
		if executions++; executions == maxExecutions || !slices.Contains(retryableReasons, failed.Reason) {
			return nil, err
		}
		if gcp.Sleep(ctx, jitter(pause)) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// run is the state of one Run.
type run struct {
	client  *Client
	request Request
	begun   time.Time
}

// attempt submits and awaits the job of one attempt.
func (r *run) attempt(ctx context.Context, n int) (*Job, error) {
	ref := Reference{Project: r.request.Project, Location: r.request.Location, ID: fmt.Sprintf("%s_%d", r.request.ID, n)}
	body, err := r.request.job(ref)
	if err != nil {
		return nil, err
	}
	remote, found, err := r.submit(ctx, body)
	if err == nil && !r.request.DryRun && !r.request.NoWait {
		remote, err = r.await(ctx, n, body, remote)
	}
	if remote != nil && remote.JobReference != nil && remote.JobReference.Location != "" {
		ref.Location = remote.JobReference.Location
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, r.interrupted(ctx, ref, remote, err)
		}
		return nil, refused(ref, err, r.request.DryRun)
	}
	if err := failure(ref, remote); err != nil {
		err.Earlier = found
		return nil, err
	}
	job := &Job{Reference: ref, Attempt: n, Statistics: statistics(remote), client: r.client}
	if c := remote.Configuration; c != nil && c.Query != nil {
		job.destination = c.Query.DestinationTable
	}
	if s := remote.Statistics; r.request.DryRun && s != nil && s.Query != nil {
		if job.Schema, err = schemaOf(s.Query.Schema); err != nil {
			return nil, err
		}
	}
	job.describe(remote)
	return job, nil
}

// submit makes sure that the job exists and returns it. found reports that it was
// there, done, before this call: the work of an earlier run with the same id.
func (r *run) submit(ctx context.Context, body *bigquery.Job) (job *bigquery.Job, found bool, err error) {
	for range maxInserts {
		sent := 0
		err = gcp.Retry(ctx, "bigquery.jobs.insert", func(ctx context.Context) error {
			sent++
			var err error
			job, err = r.client.service.Jobs.Insert(body.JobReference.ProjectId, body).Context(ctx).Do()
			return err
		})
		if err == nil {
			return job, false, nil
		}
		ambiguous := !isAnswer(err)
		if !gcp.IsAlreadyExists(err) && !ambiguous || r.request.DryRun || ctx.Err() != nil {
			return nil, false, err
		}
		// Either the job exists, or nobody knows: the reply may be lost. Ask.
		location := body.JobReference.Location
		if location == "" {
			location = locationOf(err)
		}
		existing, getErr := r.get(ctx, body.JobReference, location, !ambiguous)
		switch {
		case getErr == nil:
			if err := same(body, existing); err != nil {
				return nil, false, err
			}
			return existing, sent == 1 && !ambiguous && existing.Status != nil && existing.Status.State == "DONE", nil
		case gcp.IsNotFound(getErr):
			// It never arrived, or is not visible yet. The same id can be sent again:
			// BigQuery refuses it if the job turns up after all.
		case ambiguous:
			return nil, false, err // the first error says more
		default:
			return nil, false, getErr
		}
		if err := gcp.Sleep(ctx, jitter(r.client.timing.again)); err != nil {
			return nil, false, err
		}
	}
	return nil, false, err
}

// await polls until the job is done. It returns the job as last seen also when it
// returns an error.
func (r *run) await(ctx context.Context, attempt int, body, job *bigquery.Job) (*bigquery.Job, error) {
	pause := r.client.timing.pollFirst
	for lost := 0; ; {
		state := ""
		if job.Status != nil {
			state = job.Status.State
		}
		if state == "DONE" {
			return job, nil
		}
		location := body.JobReference.Location
		if job.JobReference != nil && job.JobReference.Location != "" {
			location = job.JobReference.Location
		}
		if r.request.OnProgress != nil {
			p := progressOf(job)
			p.Job = Reference{body.JobReference.ProjectId, location, body.JobReference.JobId}
			p.State, p.Attempt, p.Elapsed = state, attempt, time.Since(r.begun)
			r.request.OnProgress(p)
		}
		if err := gcp.Sleep(ctx, jitter(pause)); err != nil {
			return job, err
		}
		pause = min(pause*3/2, r.client.timing.pollMax)
		next, err := r.get(ctx, body.JobReference, location, true)
		switch {
		case err == nil:
			job = next
		case gcp.IsNotFound(err) && lost < maxInserts:
			// Accepted, and then not there: the same id can be sent again, because
			// BigQuery refuses it if the job turns up after all.
			lost++
			if next, _, err = r.submit(ctx, body); err != nil {
				return job, err
			}
			job = next
		default:
			return job, err
		}
	}
}

func (r *run) get(ctx context.Context, ref *bigquery.JobReference, location string, retry bool) (job *bigquery.Job, err error) {
	get := func(ctx context.Context) error {
		call := r.client.service.Jobs.Get(ref.ProjectId, ref.JobId).Context(ctx)
		if location != "" {
			call.Location(location)
		}
		job, err = call.Do()
		return err
	}
	if !retry {
		return job, get(ctx)
	}
	return job, gcp.Retry(ctx, "bigquery.jobs.get", get)
}

// interrupted reports the end of ctx and, unless the caller detached, asks BigQuery
// to cancel the job first.
func (r *run) interrupted(ctx context.Context, ref Reference, last *bigquery.Job, err error) error {
	out := &InterruptedError{Job: ref, cause: context.Cause(ctx)}
	if !errors.Is(err, ctx.Err()) {
		out.LastErr = err
	}
	if last != nil && last.Status != nil {
		out.State = last.Status.State
	}
	if r.request.Detach || r.request.DryRun {
		return out
	}
	// The caller's context is gone; the cancel gets a short one of its own.
	detached, stop := context.WithTimeout(context.WithoutCancel(ctx), r.client.timing.cancel)
	defer stop()
	err = gcp.Retry(detached, "bigquery.jobs.cancel", func(ctx context.Context) error {
		call := r.client.service.Jobs.Cancel(ref.Project, ref.ID).Context(ctx)
		if ref.Location != "" {
			call.Location(ref.Location)
		}
		_, err := call.Do()
		return err
	})
	out.CancelRequested, out.CancelErr = err == nil, err
	return out
}

// isAnswer reports whether the error is an answer of BigQuery that tells for sure
// that the call had no effect.
func isAnswer(err error) bool {
	api, ok := errors.AsType[*googleapi.Error](err)
	return ok && api.Code < http.StatusInternalServerError
}

// same reports whether a job that was found under our id is ours.
func same(want, got *bigquery.Job) error {
	if got.Configuration != nil && got.Configuration.Query != nil && got.Configuration.Query.Query == want.Configuration.Query.Query {
		return nil
	}
	return fmt.Errorf("job %s exists and runs another statement: use another run id", want.JobReference.JobId)
}

// "Already Exists: Job my-project:EU.my-job": jobs.get needs the location outside
// of the US and EU.
var existingJob = regexp.MustCompile(`Job [^\s]*:([A-Za-z0-9-]+)\.`)

func locationOf(err error) string {
	if m := existingJob.FindStringSubmatch(gcp.Message(err)); m != nil {
		return m[1]
	}
	return ""
}

// jitter spreads d over [d/2, d].
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}
