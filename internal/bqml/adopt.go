// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// adopt takes over a model that exists, if it is ours.
func (s *Service) adopt(ctx context.Context, spec ModelSpec, location string, marker gcp.Marker, o Options) (*Model, error) {
	m, err := s.getModel(ctx, spec.Name, true)
	if errors.Is(err, errNotRemote) {
		return nil, &FieldError{"model_id", fmt.Sprintf("a model %s exists already, and %s: choose another model_id, or drop the model", spec.Name, err)}
	}
	if err != nil {
		return nil, err
	}
	found := m.Identity.Marker
	if found == (gcp.Marker{}) && marker.Owner != "" {
		if found, err = s.provenance(ctx, spec.Name, m); err != nil {
			return nil, fmt.Errorf("the model %s exists, and whether it was made by a job of ours cannot be told: %w", spec.Name, err)
		}
	}
	if !marker.Adoptable(found) {
		refusal := marker.RefuseAdoption("remote model", spec.Name.String(), found)
		if marker.Owner != "" && found == (gcp.Marker{}) {
			refusal.Reason = "it carries no marker of gcpml, and no DDL job of ours made it"
		}
		return nil, refusal
	}
	o.Progress.tell("adopting remote model %s", spec.Name)
	// Whether what the server does not tell is the same cannot be known.
	replace := m.Target == Target{} || spec.Untold || !s.sameCore(ctx, spec, m)
	if replace {
		if err := s.execute(ctx, spec, true, location, marker, o); err != nil {
			return m, err
		}
		if m, err = s.getModel(ctx, spec.Name, true); err != nil {
			return m, err
		}
	}
	return s.finish(ctx, spec, m, marker, replace, nil, o)
}

// jobTarget is the label by which a DDL job names the model that it makes.
const jobTarget = "gcpml-target"

func (m ModelSpec) target() string { return target(m.Name) }

func target(n gcp.RemoteModelName) string { return gcp.SpecHash([]string{n.Dataset, n.ID}) }

const (
	// A job is created before the model that it makes, by as much as it waits and runs.
	longestJob = time.Hour
	// clockSkew is between the clocks that BigQuery stamps jobs and models with.
	clockSkew = 2 * time.Second
	// maxJobPages bounds the search for our job in a busy project.
	maxJobPages = 20
)

// provenance returns the marker of the job of ours that made the model, as it is
// now; the zero marker if there is none.
func (s *Service) provenance(ctx context.Context, name gcp.RemoteModelName, m *Model) (gcp.Marker, error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return gcp.Marker{}, err
	}
	token := ""
	for range maxJobPages {
		var page *bigquery.JobList
		err := gcp.Retry(ctx, "bigquery.jobs.list", func(ctx context.Context) (err error) {
			page, err = bq.Jobs.List(name.Project).StateFilter("done").Projection("full").MaxResults(500).PageToken(token).
				MinCreationTime(uint64(max(0, m.Created.Add(-longestJob).UnixMilli()))). //nolint:gosec // not negative
				MaxCreationTime(uint64(max(0, m.Created.Add(clockSkew).UnixMilli()))).   //nolint:gosec // not negative
				Context(ctx).Do()
			return err
		})
		if err != nil {
			return gcp.Marker{}, err
		}
		for _, job := range page.Jobs {
			if made(job, name, m.Created) {
				return gcp.MarkerOf(job.Configuration.Labels), nil
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	return gcp.Marker{}, nil
}

// made reports whether the job is one of ours that made the model at that time.
func made(job *bigquery.JobListJobs, name gcp.RemoteModelName, created time.Time) bool {
	c, stats := job.Configuration, job.Statistics
	if c == nil || stats == nil || job.ErrorResult != nil || job.Status != nil && job.Status.ErrorResult != nil {
		return false
	}
	start, end := time.UnixMilli(stats.StartTime), time.UnixMilli(stats.EndTime)
	return c.Labels[jobTarget] == target(name) && !c.DryRun &&
		!created.Before(start.Add(-clockSkew)) && !created.After(end.Add(clockSkew))
}
