// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package rowpredict predicts the rows of a table, a query or a local file with a
// remote model until every row has its prediction.
//
// An ML.PREDICT job succeeds although some of its rows failed; their
// remote_model_status says why. [Complete] therefore works by key, in these steps:
//
//  1. The rows are copied into a work table "in" beside the target, with a hash of
//     their key and the bytes that they take in a request to the endpoint. Keys that
//     are NULL or occur twice are refused, and so are rows that no request can hold.
//  2. Chunk by chunk, a range of hashes each, INSERT … SELECT … ML.PREDICT appends the
//     predictions to a work table "out": a journal of every try of every row.
//  3. Rows of a chunk without a good prediction are tried again, in ever smaller jobs:
//     a row that the model cannot take fails its whole request, and only alone does
//     it leave the others in peace.
//  4. One statement writes the best try of each row to the target, by key, and the work
//     tables are dropped.
//
// What the jobs took, and what their rows were refused for, is measured on the way.
// [Advise] makes advice of it, together with what serves the endpoint.
//
// The work tables are the whole checkpoint. Their name is derived from what was asked
// for, so the same command finds them again, on another machine too, and goes on
// where the one before it was stopped. What is next follows from the journal alone,
// and with it the job ids: a job that an earlier process left running is waited for
// and not submitted again. Were a row predicted twice all the same, step 4 takes one.
// BigQuery deletes the work tables of a run that nobody takes up again after 7 days.
package rowpredict

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// A shared Vertex AI endpoint takes requests of 1.5 MB. What is measured is the JSON
// text of the instances; a part is left for what surrounds and escapes them.
const (
	maxRequest = 1_500_000
	requestFor = maxRequest * 15 / 16 // instances
	// batchRows is how many rows BigQuery puts into one request, unless the model's
	// max_batching_rows says otherwise.
	batchRows = 128
)

// BatchRows is the most rows that BigQuery puts into one request to the endpoint.
func BatchRows(m *bqml.Model) int64 { return limitsOf(m.MaxBatchingRows).batch }

// expiryDays is how long the work tables of a run that was given up stay.
const expiryDays = 7

// Mode says what becomes of rows that the target has.
type Mode string

// The modes of [Spec.Write]. Each ends with every key of the source in the target
// exactly once, also if it is done twice.
const (
	// Append adds the rows. It is refused if the target has one of the keys.
	Append Mode = "append"
	// Merge adds or replaces the rows with these keys. A row without a prediction does
	// not replace one.
	Merge Mode = "merge"
	// Truncate replaces all rows of the target. Its schema stays.
	Truncate Mode = "truncate"
)

// Source is what is predicted: one of Query and File.
type Source struct {
	// Name is how messages call it: "the query", "the table", "reviews.csv".
	Name  string
	Query string
	File  *File
}

// Spec is what is asked for.
type Spec struct {
	Name   gcp.RemoteModelName
	Model  *bqml.Model
	Source Source
	// Keys are columns of the source; together they are unique and not NULL.
	Keys  []string
	Into  query.Table
	Write Mode

	// Retries is how often a row is tried again by one process.
	Retries int
	// Delay is the pause before the first retry; it doubles and is spread by jitter.
	Delay time.Duration
	// MaxErrorRate ends the run, without writing, when more than this share of the
	// rows so far has no prediction after all retries.
	MaxErrorRate float64
	// ChunkRows is about how many rows one job predicts.
	ChunkRows int64
	// Nullable are OUTPUT columns that may be NULL, or an empty array; elsewhere that
	// is a missing prediction.
	Nullable []string
	// AllowFailed accepts rows that no request can hold: they fail without being sent.
	AllowFailed bool
	// Restart forgets what an earlier run of the same command has done.
	Restart bool
	// RunID tells runs apart that ask for the same.
	RunID string
	// Base is what is the same for every job.
	Base query.Request
	// Tell, if set, is given what a person wants to know meanwhile, a line each.
	Tell func(format string, args ...any)
}

func (s *Spec) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(format, args...)
	}
}

// Report is how a run ended. Rows = OK + Failed + Pending; Retried rows are among the
// first two, and Pending ones there are only when the run was stopped.
type Report struct {
	Model   string `json:"model"`
	Into    string `json:"into"`
	Write   Mode   `json:"write"`
	RunID   string `json:"run_id"`
	Resumed bool   `json:"resumed"`
	Written bool   `json:"written"` // to the target
	Rows    int64  `json:"rows"`
	OK      int64  `json:"ok"`
	Retried int64  `json:"retried"`
	Failed  int64  `json:"failed"`
	Pending int64  `json:"pending"`
	// Statuses are the reasons of the failed rows, the most frequent first, 5 at most.
	Statuses []Status `json:"statuses"`
	// Throughput is nil until somebody who knows the endpoint adds it.
	Throughput *Throughput `json:"throughput,omitempty"`

	// Measured is what this process saw; an earlier one of the same run may have done
	// more.
	Measured Measured `json:"-"`
}

// Status is a reason why rows have no prediction.
type Status struct {
	Text string `json:"status"`
	Rows int64  `json:"rows"`
	// Key is the key of one of the rows, as JSON.
	Key string `json:"example_key"`
}

// String is one line about the rows.
func (s Status) String() string {
	return fmt.Sprintf("such as %s: %s", s.Key, oneLine(s.Text))
}

// InputError means that what was asked for does not fit: columns, keys, types, the
// values of a file. Nothing was predicted.
type InputError struct{ Message string }

func (e *InputError) Error() string { return e.Message }

func inputErrorf(format string, args ...any) error {
	return &InputError{fmt.Sprintf(format, args...)}
}

// RowsError means that rows of the source are not what was promised of them: their
// keys name more than one row or none, the target has them, or they are larger than a
// request may be. Nothing was predicted.
type RowsError struct{ Message string }

func (e *RowsError) Error() string { return e.Message }

func rowsErrorf(format string, args ...any) error { return &RowsError{fmt.Sprintf(format, args...)} }

// StoppedError means that [Spec.MaxErrorRate] was exceeded. Nothing was written to the
// target; the work tables are kept.
type StoppedError struct {
	Failed, Rows int64 // so far
	Limit        float64
	Status       string // of one of the failed rows
}

func (e *StoppedError) Error() string {
	text := fmt.Sprintf("stopped: %d of %d rows so far have no prediction, and the maximum error rate is %g", e.Failed, e.Rows, e.Limit)
	return text + "; one says: " + oneLine(e.Status)
}

// check reports what is wrong with a spec by itself.
func (s *Spec) check() error {
	switch {
	case s.Retries < 0:
		return inputErrorf("the number of retries cannot be negative")
	case s.ChunkRows < 1:
		return inputErrorf("a chunk has at least 1 row")
	case math.IsNaN(s.MaxErrorRate) || s.MaxErrorRate < 0 || s.MaxErrorRate > 1:
		return inputErrorf("the maximum error rate is a share between 0 and 1")
	case s.Delay < 0:
		return inputErrorf("the delay before a retry cannot be negative")
	}
	return nil
}

// Warehouse executes statements. [BigQuery] is one.
type Warehouse interface {
	// Do executes a statement without a result.
	Do(context.Context, query.Request) (query.Statistics, error)
	// Select executes a query and returns its rows, which are few.
	Select(context.Context, query.Request) ([]query.Row, error)
	// Columns returns the columns that a query would have.
	Columns(context.Context, query.Request) (query.Schema, error)
	// Open executes a query and opens its rows, which may be many.
	Open(context.Context, query.Request) (*query.Rows, error)
}

// BigQuery is the warehouse behind a client.
func BigQuery(c *query.Client) Warehouse { return warehouse{c} }

type warehouse struct{ client *query.Client }

func (w warehouse) Do(ctx context.Context, r query.Request) (query.Statistics, error) {
	job, err := w.client.Run(ctx, r)
	if err != nil {
		return query.Statistics{}, err
	}
	return job.Statistics, nil
}

func (w warehouse) Open(ctx context.Context, r query.Request) (*query.Rows, error) {
	job, err := w.client.Run(ctx, r)
	if err != nil {
		return nil, err
	}
	return job.Rows(ctx)
}

func (w warehouse) Select(ctx context.Context, r query.Request) (out []query.Row, err error) {
	rows, err := w.Open(ctx, r)
	if err != nil {
		return nil, err
	}
	for row, err := range rows.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func (w warehouse) Columns(ctx context.Context, r query.Request) (query.Schema, error) {
	r.DryRun, r.ID = true, ""
	job, err := w.client.Run(ctx, r)
	if err != nil {
		return nil, err
	}
	return job.Schema, nil
}
