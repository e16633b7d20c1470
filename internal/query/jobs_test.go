// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"testing"
)

func TestParseReference(t *testing.T) {
	for name, want := range map[string]Reference{
		"id_1":            {"p", "EU", "id_1"},
		"US.id":           {"p", "US", "id"},
		"q:id":            {"q", "EU", "id"},
		"q:asia-east1.id": {"q", "asia-east1", "id"},
		"a.com:q:US.id":   {"a.com:q", "US", "id"},
	} {
		if got, err := ParseReference(name, "p", "EU"); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "a b", "US.", "q:", "x/y"} {
		if got, err := ParseReference(name, "p", ""); err == nil {
			t.Errorf("%q is %+v", name, got)
		}
	}
}

// A job that is submitted without waiting can be waited for and cancelled by name.
func TestSubmitWaitCancel(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	f.polls = 2
	job, err := c.Run(ctx, Request{SQL: "SELECT 1", ID: "a", NoWait: true})
	if err != nil || job.State != "PENDING" || f.count("get") != 0 {
		t.Fatalf("%+v, %v, %v", job, err, f.calls)
	}
	looks := 0
	info, err := c.Wait(ctx, job.Reference, func(Progress) { looks++ })
	if err != nil || info.State != "DONE" || info.Err != nil || info.SQL != "SELECT 1" || looks != 2 || f.executed != 1 {
		t.Errorf("%+v, %v after %d looks", info, err, looks)
	}
	f.polls = -1
	if job, err = c.Run(ctx, Request{SQL: "SELECT 2", ID: "b", NoWait: true}); err != nil {
		t.Fatal(err)
	}
	if info, err = c.Cancel(ctx, job.Reference); err != nil || info.Err == nil || info.Err.Reason != "stopped" {
		t.Errorf("%+v, %v", info, err)
	}
}

// What a request says is what is sent.
func TestRequestBody(t *testing.T) {
	r := Request{
		SQL: "SELECT 1", Reservation: "none", NoCache: true, Destination: "d.t", Write: "append", SessionID: "s",
	}
	job, err := r.job(Reference{Project: "p", ID: "i"})
	if err != nil {
		t.Fatal(err)
	}
	q := job.Configuration.Query
	if job.Configuration.Reservation != "none" || *q.UseQueryCache || q.DestinationTable.ProjectId+"."+q.DestinationTable.DatasetId+"."+q.DestinationTable.TableId != "p.d.t" ||
		q.WriteDisposition != "WRITE_APPEND" || len(q.ConnectionProperties) != 1 || q.ConnectionProperties[0].Value != "s" || q.CreateSession {
		t.Errorf("got %+v, %+v", job.Configuration, q)
	}
	for _, destination := range []string{"t", ".t", "d.", "p..t"} {
		r.Destination = destination
		if _, err := r.job(Reference{Project: "p", ID: "i"}); err == nil {
			t.Errorf("%q is a table", destination)
		}
	}
}
