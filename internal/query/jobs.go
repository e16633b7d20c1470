// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Info is a job as BigQuery tells of it, whoever made it and whatever it does.
type Info struct {
	Job
	Kind   string // QUERY, LOAD, EXTRACT or COPY
	SQL    string // of a query job
	User   string
	Labels map[string]string
	// Err is why the job failed; nil if it did not, or is not done.
	Err *JobError
}

// ParseReference reads a job's name: "id", "location.id", "project:location.id" or
// "project:id". What is not named is taken from project and location.
func ParseReference(name, project, location string) (Reference, error) {
	r := Reference{Project: project, Location: location}
	// A project can be domain-scoped: "example.com:p:US.id".
	rest := name
	if p, after, found := cutLast(name, ":"); found {
		r.Project, rest = p, after
	}
	if l, id, found := strings.Cut(rest, "."); found {
		r.Location, rest = l, id
	}
	if r.ID = rest; r.Project == "" || !jobIDText.MatchString(r.ID) {
		return r, fmt.Errorf("%q is not a job: want ID, LOCATION.ID or PROJECT:LOCATION.ID", name)
	}
	return r, nil
}

var jobIDText = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// Get looks a job up.
func (c *Client) Get(ctx context.Context, ref Reference) (*Info, error) {
	job, err := c.lookUp(ctx, ref)
	if err != nil {
		return nil, err
	}
	return c.info(ref, job), nil
}

func (c *Client) lookUp(ctx context.Context, ref Reference) (job *bigquery.Job, err error) {
	err = gcp.Retry(ctx, "bigquery.jobs.get", func(ctx context.Context) error {
		call := c.service.Jobs.Get(ref.Project, ref.ID).Context(ctx)
		if ref.Location != "" {
			call.Location(ref.Location)
		}
		job, err = call.Do()
		return err
	})
	if err != nil {
		return nil, &callError{ref, err}
	}
	return job, nil
}

// Wait returns the job when it is done, however it ended. The end of ctx leaves it
// running. progress, if not nil, is told of every look at the job.
func (c *Client) Wait(ctx context.Context, ref Reference, progress func(Progress)) (*Info, error) {
	begun := time.Now()
	for pause := c.timing.pollFirst; ; pause = min(pause*3/2, c.timing.pollMax) {
		job, err := c.lookUp(ctx, ref)
		if err != nil {
			return nil, err
		}
		info := c.info(ref, job)
		if info.State == "DONE" {
			return info, nil
		}
		if progress != nil {
			p := progressOf(job)
			p.Job, p.State, p.Attempt, p.Elapsed = info.Reference, info.State, 1, time.Since(begun)
			progress(p)
		}
		if err := gcp.Sleep(ctx, jitter(pause)); err != nil {
			return info, err
		}
	}
}

// Cancel asks BigQuery to cancel the job and returns the job as it is then. BigQuery
// does not wait for the job's end; use [Client.Wait].
func (c *Client) Cancel(ctx context.Context, ref Reference) (*Info, error) {
	var answer *bigquery.JobCancelResponse
	err := gcp.Retry(ctx, "bigquery.jobs.cancel", func(ctx context.Context) error {
		call := c.service.Jobs.Cancel(ref.Project, ref.ID).Context(ctx)
		if ref.Location != "" {
			call.Location(ref.Location)
		}
		var err error
		answer, err = call.Do()
		return err
	})
	switch {
	case err != nil:
		return nil, &callError{ref, err}
	case answer.Job == nil:
		return c.Get(ctx, ref)
	}
	return c.info(ref, answer.Job), nil
}

// Filter narrows [Client.List].
type Filter struct {
	State    string // pending, running or done; "" is all
	AllUsers bool
	Parent   string // id of a script, whose child jobs are listed
	Limit    int    // most jobs; 0 is all
}

// List returns jobs of a project, the newest first.
func (c *Client) List(ctx context.Context, project string, f Filter) ([]*Info, error) {
	if project == "" {
		project = c.project
	}
	var out []*Info
	for token := ""; ; {
		var page *bigquery.JobList
		err := gcp.Retry(ctx, "bigquery.jobs.list", func(ctx context.Context) error {
			call := c.service.Jobs.List(project).Context(ctx).Projection("full").AllUsers(f.AllUsers)
			if f.State != "" {
				call.StateFilter(strings.ToLower(f.State))
			}
			if f.Parent != "" {
				call.ParentJobId(f.Parent)
			}
			if f.Limit > 0 {
				call.MaxResults(int64(min(f.Limit-len(out), 1000)))
			}
			if token != "" {
				call.PageToken(token)
			}
			var err error
			page, err = call.Do()
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, j := range page.Jobs {
			if j == nil || j.JobReference == nil {
				return nil, errors.New("BigQuery sent a list with a job without a name")
			}
			out = append(out, c.info(Reference{Project: project}, &bigquery.Job{
				JobReference: j.JobReference, Status: j.Status, Statistics: j.Statistics, Configuration: j.Configuration, UserEmail: j.UserEmail,
			}))
			if f.Limit > 0 && len(out) == f.Limit {
				return out, nil
			}
		}
		if page.NextPageToken == "" || page.NextPageToken == token {
			return out, nil
		}
		token = page.NextPageToken
	}
}

func (c *Client) info(ref Reference, job *bigquery.Job) *Info {
	if r := job.JobReference; r != nil {
		ref = Reference{Project: ref.Project, Location: r.Location, ID: r.JobId}
	}
	i := &Info{Job: Job{Reference: ref, Attempt: 1, Statistics: statistics(job), client: c}, User: job.UserEmail, Err: failure(ref, job)}
	i.describe(job)
	if config := job.Configuration; config != nil {
		i.Kind, i.Labels = config.JobType, config.Labels
		if config.Query != nil {
			i.SQL = config.Query.Query
		}
	}
	return i
}
