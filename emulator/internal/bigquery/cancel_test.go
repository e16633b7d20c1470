// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"testing"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery"
)

func delayed(latency time.Duration) func(*bigquery.Config) {
	return func(c *bigquery.Config) { c.JobLatency = latency }
}

// ended waits for the end of a job.
func (b *bigQuery) ended(j *bq.Job) *bq.Job {
	b.t.Helper()
	_, _ = b.Jobs.GetQueryResults(projectID, j.JobReference.JobId).Location(j.JobReference.Location).TimeoutMs(20_000).Do()
	j, err := b.Jobs.Get(projectID, j.JobReference.JobId).Location(j.JobReference.Location).Do()
	if err != nil || j.Status.State != "DONE" {
		b.t.Fatalf("%+v, %v: not done", j, err)
	}
	return j
}

// A cancelled job ends with the reason "stopped" and has had no effect.
func TestCancelBeforeEffect(t *testing.T) {
	b := startWith(t, delayed(time.Hour))
	if _, err := b.Datasets.Insert(projectID, &bq.Dataset{DatasetReference: &bq.DatasetReference{DatasetId: "d"}}).Do(); err != nil {
		t.Fatal(err)
	}
	config := query("CREATE TABLE d.t AS SELECT 1 AS x")
	config.Labels = map[string]string{"team": "a"}
	config.Query.Priority = "BATCH"
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do()
	if err != nil || j.Status.State == "DONE" {
		t.Fatalf("%+v, %v: a job that takes an hour", j, err)
	}
	running, err := b.Jobs.List(projectID).StateFilter("running", "pending").Projection("full").Do()
	if err != nil || len(running.Jobs) != 1 || running.Jobs[0].Configuration.Labels["team"] != "a" || running.Jobs[0].Configuration.Query.Priority != "BATCH" {
		t.Errorf("running jobs %+v, %v", running, err)
	}
	if _, err := b.Jobs.Cancel(projectID, j.JobReference.JobId).Do(); err != nil {
		t.Fatal(err)
	}
	j = b.ended(j)
	if e := j.Status.ErrorResult; e == nil || e.Reason != "stopped" || e.Message != "Job execution was cancelled: User requested cancellation" {
		t.Errorf("error %+v", e)
	}
	if _, err := b.Tables.Get(projectID, "d", "t").Do(); reason(err) != "404 notFound" {
		t.Errorf("the table of a cancelled job: %v", err)
	}
}

// jobTimeoutMs ends a job like a cancellation does.
func TestJobTimeout(t *testing.T) {
	b := startWith(t, delayed(time.Hour))
	config := query("SELECT 1")
	config.JobTimeoutMs = 50
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do()
	if err != nil {
		t.Fatal(err)
	}
	if e := b.ended(j).Status.ErrorResult; e == nil || e.Reason != "stopped" {
		t.Errorf("error %+v, want the reason stopped", e)
	}
}

func TestListJobs(t *testing.T) {
	b := start(t)
	first := b.do("SELECT 1")
	b.do("SELECT 2; SELECT 3")
	created := first.Statistics.CreationTime
	for what, c := range map[string]struct {
		call *bq.JobsListCall
		want int
	}{
		"all, without those of scripts": {b.Jobs.List(projectID).AllUsers(true), 2},
		"done":                          {b.Jobs.List(projectID).StateFilter("done"), 2},
		"running":                       {b.Jobs.List(projectID).StateFilter("running"), 0},
		"made later":                    {b.Jobs.List(projectID).MinCreationTime(uint64(created + 3_600_000)), 0},
		"made earlier":                  {b.Jobs.List(projectID).MaxCreationTime(uint64(created - 1)), 0},
		"in between":                    {b.Jobs.List(projectID).MinCreationTime(uint64(created)).MaxCreationTime(uint64(created + 3_600_000)), 2},
	} {
		list, err := c.call.Do()
		if err != nil || len(list.Jobs) != c.want {
			t.Errorf("%s: %+v, %v, want %d jobs", what, list, err, c.want)
			continue
		}
		for _, j := range list.Jobs {
			if j.Configuration != nil || j.UserEmail != "" {
				t.Errorf("%s: the minimal projection has no configuration and no user", what)
			}
		}
	}
	page, err := b.Jobs.List(projectID).MaxResults(1).Projection("full").Do()
	if err != nil || len(page.Jobs) != 1 || page.NextPageToken == "" || page.Jobs[0].Configuration.Query.Query != "SELECT 2; SELECT 3" {
		t.Fatalf("first page %+v, %v: want the newest job", page, err)
	}
	if page, err = b.Jobs.List(projectID).MaxResults(1).PageToken(page.NextPageToken).Do(); err != nil || len(page.Jobs) != 1 || page.NextPageToken != "" || page.Jobs[0].JobReference.JobId != first.JobReference.JobId {
		t.Errorf("last page %+v, %v", page, err)
	}
	if _, err := b.Jobs.List(projectID).StateFilter("dead").Do(); reason(err) != "400 invalid" {
		t.Errorf("a state that there is not: %v", err)
	}
}
