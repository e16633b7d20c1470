// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// jobOptions are what every job of a command has in common.
type jobOptions struct {
	location       string
	defaultDataset string
	labels         []string
	priority       string
	reservation    string
	jobTimeout     time.Duration
	noCache        bool
	timeout        time.Duration
}

func (o *jobOptions) group() optionGroup {
	return optionGroup{"Job options", []string{"--location EU --default-dataset my_dataset --label team=ml --label run=nightly", "--priority batch --job-timeout 30m --timeout 1h --no-cache", "--reservation projects/my-project/locations/EU/reservations/ml"}, func(f *pflag.FlagSet) {
		f.StringVar(&o.location, "location", "", "BigQuery location of the jobs (default: where the tables are, else US)")
		f.StringVar(&o.defaultDataset, "default-dataset", "", "`DATASET`, or PROJECT.DATASET, for table names without one")
		f.StringArrayVar(&o.labels, "label", nil, "label `KEY=VALUE` to put on the jobs (repeatable)")
		f.StringVar(&o.priority, "priority", "interactive", "interactive, or batch: start when slots are idle")
		f.StringVar(&o.reservation, "reservation", "", "reservation to run in: projects/P/locations/L/reservations/R, or none for on-demand")
		f.DurationVar(&o.jobTimeout, "job-timeout", 0, "BigQuery ends a job after this time; 0 is BigQuery's own limit")
		f.BoolVar(&o.noCache, "no-cache", false, "do not answer from the results of an earlier, equal query")
		f.DurationVar(&o.timeout, "timeout", 6*time.Hour, "most time for the whole command; the job that is running then is cancelled")
	}}
}

// deadline ends the context when --timeout is over.
func (o *jobOptions) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, o.timeout)
}

// request returns what is the same for every job.
func (o *jobOptions) request() (query.Request, error) {
	r := query.Request{
		Location: o.location, DefaultDataset: o.defaultDataset, Priority: strings.ToUpper(o.priority),
		Reservation: o.reservation, JobTimeout: o.jobTimeout, NoCache: o.noCache,
	}
	switch {
	case r.Priority != "INTERACTIVE" && r.Priority != "BATCH":
		return r, usagef("--priority %q is neither interactive nor batch", o.priority)
	case o.jobTimeout < 0:
		return r, usagef("--job-timeout cannot be negative")
	case o.timeout <= 0:
		return r, usagef("--timeout must be more than 0")
	}
	for _, label := range o.labels {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key == "" {
			return r, usagef("--label %q is not of the form KEY=VALUE", label)
		}
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		r.Labels[key] = value
	}
	return r, nil
}
