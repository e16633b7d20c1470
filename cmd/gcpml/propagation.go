// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// propagating runs jobs and waits out the minutes in which a role, just granted to
// the service account of a connection, has not taken effect: the job itself is the
// only way to ask. Each try is an attempt of its own; none before it executed
// anything.
type propagating struct {
	*query.Client
	clients *gcp.Clients
	timeout time.Duration
	ui      *ui
}

// connectionAccount is how the service account of a BigQuery connection looks like.
var connectionAccount = regexp.MustCompile(`\bbqcx-[0-9]+-[a-z0-9]+@gcp-sa-bigquery-condel\.iam\.gserviceaccount\.com\b`)

func (p propagating) Run(ctx context.Context, r query.Request) (*query.Job, error) {
	job, err := p.Client.Run(ctx, r)
	failed, ok := errors.AsType[*query.JobError](err)
	if !ok || r.Script || p.timeout == 0 {
		return job, err
	}
	account := connectionAccount.FindString(failed.Message)
	if account == "" {
		return job, err
	}
	first := true
	propagation := gcp.Propagation{
		Timeout: p.timeout, Account: account,
		HasBinding: func(ctx context.Context) (bool, error) {
			return p.clients.HasBinding(ctx, p.clients.Project(), "serviceAccount:"+account)
		},
		Progress: func(waited time.Duration, _ error) {
			p.ui.note("waiting for a grant of %s to take effect (%s so far, at most %s)", account, waited.Round(time.Second), p.timeout)
		},
	}
	err = propagation.Do(ctx, func(ctx context.Context) error {
		if first {
			first = false
			return err
		}
		var again error
		job, again = p.Client.Run(ctx, r)
		return again
	})
	return job, err
}
