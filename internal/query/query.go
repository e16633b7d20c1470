// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package query runs one BigQuery query job: it submits the statement, waits for
// the job and streams its rows.
//
// Three promises shape it. A job that failed is never reported as success: only
// jobs.get decides, and it looks at status.errorResult. One run of a statement
// executes it successfully at most once: the job id is chosen here, so a lost
// reply is answered by looking the job up instead of by a second job. Values are
// exact: where a Go type would lose something the text of the wire is kept.
//
//	client := query.New(service, httpClient, "my-project")
//	job, err := client.Run(ctx, query.Request{SQL: "SELECT 1 AS x"})
//	rows, err := job.Rows(ctx)
//	for row, err := range rows.All(ctx) { … }
//
// What a statement means, in which order statements run and how rows are printed
// is not known here.
package query

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
)

// Client runs jobs through one BigQuery service. It is safe for concurrent use.
type Client struct {
	service *bigquery.Service
	http    *http.Client
	project string
	timing  timing

	tables  TableReader // nil unless ReadTables was called
	refused func(error)
}

// TableReader reads the rows of a table, as the Storage Read API does: faster than
// page by page.
type TableReader interface {
	// Open returns all rows of the table, in their order, as [Row] documents them.
	// An error means that this table cannot be read in this way, for want of a
	// permission for example; then nothing was read and the pages are.
	Open(ctx context.Context, table Table, schema Schema) (iter.Seq2[Row, error], error)
}

// Table names a table.
type Table struct{ Project, Dataset, ID string }

// ReadTables makes the client read results of more than one page through r. If r
// refuses one, refused is told why, unless it is nil, and the pages are read. It is
// to be called before the client is used.
func (c *Client) ReadTables(r TableReader, refused func(error)) { c.tables, c.refused = r, refused }

// timing holds the pauses, which tests shorten.
type timing struct {
	pollFirst, pollMax time.Duration // between two jobs.get; grows by half each time
	again              time.Duration // before a job is executed again; doubles each time
	cancel             time.Duration // how long jobs.cancel may take after the context ended
}

// New returns a client that runs jobs in project unless a request names another.
// raw is the HTTP client that service uses: rows are read without the service,
// which would decode them far more slowly.
func New(service *bigquery.Service, raw *http.Client, project string) *Client {
	return &Client{service: service, http: raw, project: project, timing: timing{
		pollFirst: 100 * time.Millisecond, pollMax: 5 * time.Second, again: time.Second, cancel: 1500 * time.Millisecond,
	}}
}

// Request describes one job. Only SQL is required.
type Request struct {
	// SQL is one GoogleSQL statement, or a whole script if Script is set.
	SQL string
	// Script says that SQL is a multi-statement script. A script that failed may
	// have executed some of its statements, so it is never executed again.
	Script bool

	// Project runs (and pays for) the job; the client's project if empty.
	Project string
	// Location is the BigQuery location, such as "US" or "europe-west4". If empty
	// BigQuery picks the one of the tables that the statement reads.
	Location string
	// DefaultDataset ("dataset" or "project.dataset") completes table names.
	DefaultDataset string
	// Parameters are either all named (Name set) or all positional.
	Parameters []*bigquery.QueryParameter
	// Labels are put on the job.
	Labels map[string]string
	// MaximumBytesBilled makes BigQuery refuse a statement that costs more; 0 is
	// no limit.
	MaximumBytesBilled int64
	// Priority is INTERACTIVE (the default) or BATCH.
	Priority string
	// JobTimeout makes BigQuery end the job after that time; 0 is BigQuery's own
	// limit.
	JobTimeout time.Duration
	// Reservation is the one to run in, "projects/P/locations/L/reservations/R", or
	// "none" for on-demand; empty is the one that is assigned.
	Reservation string
	// NoCache makes BigQuery execute a query even if it has the result of an equal one.
	NoCache bool
	// Destination ("dataset.table" or "project.dataset.table") keeps the rows of a
	// query; Write is append, truncate or empty (the default: fail if it has rows).
	Destination, Write string
	// CreateSession makes a session for the job, whose id is in [Statistics].
	// SessionID runs the job in an existing one.
	CreateSession bool
	SessionID     string
	// DryRun only checks the statement: the returned job has Statistics and Schema
	// but no rows, and nothing was executed.
	DryRun bool

	// NoWait returns as soon as BigQuery has accepted the job.
	NoWait bool
	// ID is the job id without its attempt number, as made by [Request.JobID]. Two
	// runs with the same ID are the same run: the second one attaches to the job of
	// the first. If empty a random one is taken.
	ID string
	// Detach leaves the job running on the server when the context ends. Otherwise
	// BigQuery is asked to cancel it.
	Detach bool
	// OnProgress, if set, is told of every look at the job. It must not block.
	OnProgress func(Progress)
}

// Progress is one look at a job that is not done.
type Progress struct {
	Job     Reference
	State   string // PENDING or RUNNING
	Attempt int    // counts from 1
	Elapsed time.Duration

	// What the job has done so far, as far as BigQuery tells.
	Stage                     string // the first that is not complete
	Stages, StagesDone        int
	RowsRead, Bytes           int64
	SlotTime                  time.Duration
	ActiveUnits, PendingUnits int64 // of work
}

// Reference names a job.
type Reference struct{ Project, Location, ID string }

// String is "project:location.id", the form that BigQuery itself prints and that
// the bq tool accepts.
func (r Reference) String() string {
	if r.Location == "" {
		return r.Project + ":" + r.ID
	}
	return r.Project + ":" + r.Location + "." + r.ID
}

// NewRunID returns the id of one run: 12 random hexadecimal digits.
func NewRunID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, as its documentation says
	return hex.EncodeToString(b)
}

var runID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// CheckRunID reports why a run id that a user gave cannot be used.
func CheckRunID(id string) error {
	if !runID.MatchString(id) {
		return fmt.Errorf("%q is not a run id: use 1 to 64 letters, digits and hyphens", id)
	}
	return nil
}

// JobID returns "gcpml_<run>_<statement>_<hash>" for [Request.ID]. statement tells
// statements of one run apart (letters, digits, "-" and "_"). The hash covers all
// that changes what the job does, so that an edited statement under a known run id
// is a new job and never mistaken for the old one.
func (r Request) JobID(run, statement string) string {
	parts := []any{r.SQL, r.DefaultDataset, r.Parameters, r.DryRun}
	if r.Destination != "" {
		parts = append(parts, r.Destination, r.Write)
	}
	meaning, err := json.Marshal(parts)
	if err != nil { // strings, numbers and slices of them always marshal
		panic(err)
	}
	sum := sha256.Sum256(meaning)
	return fmt.Sprintf("gcpml_%s_%s_%s", run, statement, hex.EncodeToString(sum[:6]))
}

// job returns the body of jobs.insert.
func (r Request) job(ref Reference) (*bigquery.Job, error) {
	legacy := false
	q := &bigquery.JobConfigurationQuery{
		Query:              r.SQL,
		UseLegacySql:       &legacy,
		QueryParameters:    r.Parameters,
		MaximumBytesBilled: r.MaximumBytesBilled,
		Priority:           strings.ToUpper(r.Priority),
	}
	if r.NoCache {
		q.UseQueryCache = new(false)
	}
	if len(r.Parameters) > 0 {
		q.ParameterMode = "POSITIONAL"
		if r.Parameters[0].Name != "" {
			q.ParameterMode = "NAMED"
		}
	}
	if r.DefaultDataset != "" {
		project, dataset, qualified := cutLast(r.DefaultDataset, ".")
		if !qualified {
			project, dataset = ref.Project, r.DefaultDataset
		}
		if project == "" || dataset == "" {
			return nil, fmt.Errorf("default dataset %q is not of the form DATASET or PROJECT.DATASET", r.DefaultDataset)
		}
		q.DefaultDataset = &bigquery.DatasetReference{ProjectId: project, DatasetId: dataset}
	}
	if r.Destination != "" {
		rest, table, _ := cutLast(r.Destination, ".")
		project, dataset, qualified := cutLast(rest, ".")
		if !qualified {
			project, dataset = ref.Project, rest
		}
		if project == "" || dataset == "" || table == "" {
			return nil, fmt.Errorf("destination table %q is not of the form DATASET.TABLE or PROJECT.DATASET.TABLE", r.Destination)
		}
		q.DestinationTable = &bigquery.TableReference{ProjectId: project, DatasetId: dataset, TableId: table}
		q.WriteDisposition = "WRITE_EMPTY"
		if r.Write != "" {
			q.WriteDisposition = "WRITE_" + strings.ToUpper(r.Write)
		}
	}
	q.CreateSession = r.CreateSession
	if r.SessionID != "" {
		q.ConnectionProperties = []*bigquery.ConnectionProperty{{Key: "session_id", Value: r.SessionID}}
	}
	return &bigquery.Job{
		JobReference: &bigquery.JobReference{ProjectId: ref.Project, Location: ref.Location, JobId: ref.ID},
		Configuration: &bigquery.JobConfiguration{
			DryRun:       r.DryRun,
			Labels:       r.Labels,
			JobTimeoutMs: r.JobTimeout.Milliseconds(),
			Reservation:  r.Reservation,
			Query:        q,
		},
	}, nil
}

func (r Request) check() error {
	switch {
	case strings.TrimSpace(r.SQL) == "":
		return errors.New("the statement is empty")
	case r.Project == "":
		return errors.New("no project: a query job needs one to run in")
	case len(r.ID) > 1000: // 1024 characters, less the attempt
		return errors.New("the job id is longer than 1000 characters")
	}
	for _, p := range r.Parameters {
		if (p.Name == "") != (r.Parameters[0].Name == "") {
			return errors.New("query parameters must be all named or all positional")
		}
	}
	return nil
}

// cutLast is strings.Cut around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
