// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Schema is the list of the columns of a result set, in order.
type Schema []Field

// Field is one column, or one field of a STRUCT.
type Field struct {
	Name string
	// Type is the GoogleSQL name: BOOL, INT64, FLOAT64, NUMERIC, BIGNUMERIC, STRING,
	// BYTES, DATE, TIME, DATETIME, TIMESTAMP, INTERVAL, GEOGRAPHY, JSON, STRUCT or
	// RANGE; a type that is new to BigQuery keeps the name that BigQuery gives it.
	Type string
	// Repeated says that the column is an ARRAY of Type.
	Repeated bool
	// Fields are those of a STRUCT.
	Fields []Field
	// Element is the element type of a RANGE: DATE, DATETIME or TIMESTAMP.
	Element string
}

// SQLType returns the type as GoogleSQL writes it: "ARRAY<STRUCT<a INT64>>".
func (f Field) SQLType() string {
	t := f.Type
	switch t {
	case "STRUCT":
		fields := make([]string, len(f.Fields))
		for i, sub := range f.Fields {
			fields[i] = strings.TrimSpace(sub.Name + " " + sub.SQLType())
		}
		t = "STRUCT<" + strings.Join(fields, ", ") + ">"
	case "RANGE":
		t = "RANGE<" + f.Element + ">"
	}
	if f.Repeated {
		t = "ARRAY<" + t + ">"
	}
	return t
}

// Row holds one value per column. NULL is nil; otherwise the Go type follows from
// the [Field]:
//
//	BOOL                 bool
//	INT64                int64
//	FLOAT64              float64, with NaN and the infinities
//	BYTES                []byte
//	TIMESTAMP            string, RFC 3339 in UTC: "2024-05-06T07:08:09.123456Z"
//	DATETIME, TIME       string, "2024-05-06T07:08:09.123456", "07:08:09.123456"
//	INTERVAL             string, "Y-M D H:M:S.F"
//	STRUCT               Row, one value per field
//	ARRAY                []any of the above
//	RANGE                string "[start, end)", open ends UNBOUNDED, bounds as above
//	all others           string, the text that BigQuery sends, so that no digit is lost
//
// A fraction of a second has as many digits as it needs, and none if it is 0.
type Row []any

// Rows is the result set of a job. It is read while it is used: a few pages, or
// messages of the Storage Read API, are in memory at any time, however many rows
// there are.
type Rows struct {
	Schema Schema
	// Total is the number of rows of the whole result set.
	Total uint64
	// Statistics are those of the job.
	Statistics Statistics

	client *Client
	job    Reference
	table  *bigquery.TableReference // that holds the rows; nil if not known
	first  *page
}

// PageSize is the most rows asked for at once; BigQuery sends fewer if they are big.
const PageSize = 10_000

// Rows opens the result set of the job, with its first page.
func (j *Job) Rows(ctx context.Context) (*Rows, error) {
	if j.client == nil {
		return nil, errors.New("the job has no rows: it did not come from Run")
	}
	first, err := j.client.page(ctx, j.Reference, "", nil)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(first.schema)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", j.Reference, err)
	}
	return &Rows{Schema: schema, Total: first.total, Statistics: j.Statistics, client: j.client, job: j.Reference, table: j.destination, first: first}, nil
}

// All streams the rows. A result set of one page came with [Job.Rows]; a larger one
// is read through the client's [TableReader] if there is one that can, else page by
// page, the next one on its way while this one is used. After an error it stops. A
// result set that ends before its announced number of rows is an error too. All can
// be called more than once; each call starts at the top.
func (r *Rows) All(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows := r.paged
		if table := r.open(ctx); table != nil {
			rows = func(context.Context) iter.Seq2[Row, error] { return table }
		}
		var read uint64
		for row, err := range rows(ctx) {
			if err != nil {
				yield(nil, fmt.Errorf("job %s: %w", r.job, err))
				return
			}
			if !yield(row, nil) {
				return
			}
			read++
		}
		if read < r.Total {
			yield(nil, fmt.Errorf("job %s: BigQuery announced %d rows and sent %d", r.job, r.Total, read))
		}
	}
}

// open returns the rows as the table reader brings them, or nil if there is nothing
// to gain from it or it cannot read them.
func (r *Rows) open(ctx context.Context) iter.Seq2[Row, error] {
	if r.client.tables == nil || r.table == nil || r.first.token == "" {
		return nil
	}
	rows, err := r.client.tables.Open(ctx, Table{r.table.ProjectId, r.table.DatasetId, r.table.TableId}, r.Schema)
	if err != nil {
		if r.client.refused != nil {
			r.client.refused(err)
		}
		return nil
	}
	r.first.rows, r.first.body = nil, nil // megabytes that nobody needs now
	r.first.dropped = true
	return rows
}

// paged reads the rows by jobs.getQueryResults.
func (r *Rows) paged(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if r.first.dropped {
			first, err := r.client.page(ctx, r.job, "", nil)
			if err != nil {
				yield(nil, err)
				return
			}
			r.first = first
		}
		columns := columnsOf(r.Schema)
		var read uint64
		var spare []byte // the body of the page before, to be used again
		for page := r.first; ; {
			var next <-chan fetched
			rows := rowDecoder{columns: columns, in: scanner{data: page.rows}}
			for rows.more() {
				row, err := rows.row()
				if err != nil {
					yield(nil, fmt.Errorf("row %d: %w", read+1, err))
					return
				}
				if !yield(row, nil) {
					return
				}
				read++
				if next == nil {
					next = r.fetch(ctx, page.token, spare)
				}
			}
			if page.token == "" {
				return
			}
			if next == nil { // the page had no rows
				next = r.fetch(ctx, page.token, spare)
			}
			got := <-next
			if got.err != nil {
				yield(nil, got.err)
				return
			}
			if got.page.token == page.token {
				yield(nil, errors.New("BigQuery sent the same page of rows twice"))
				return
			}
			if spare = nil; page != r.first {
				spare = page.body
			}
			page = got.page
		}
	}
}

type fetched struct {
	page *page
	err  error
}

// fetch asks for the page in the background.
func (r *Rows) fetch(ctx context.Context, token string, spare []byte) <-chan fetched {
	done := make(chan fetched, 1) // never blocks, even if nobody takes it
	if token != "" {
		go func() {
			page, err := r.client.page(ctx, r.job, token, spare)
			done <- fetched{page, err}
		}()
	}
	return done
}

// page is an answer of jobs.getQueryResults whose rows are still JSON.
type page struct {
	complete bool
	schema   *bigquery.TableSchema
	total    uint64
	token    string // of the next page
	rows     []byte // a JSON array, part of body; empty if there is none
	body     []byte
	dropped  bool // rows and body were, and can be read again
}

// page reads one page into buffer, which grows as needed; the first if token is
// empty. The generated client would build a tree of all cells first, which takes
// most of the time of a large result and many times the memory of its text.
func (c *Client) page(ctx context.Context, job Reference, token string, buffer []byte) (*page, error) {
	query := url.Values{
		"alt": {"json"}, "prettyPrint": {"false"}, "formatOptions.useInt64Timestamp": {"true"}, "maxResults": {strconv.Itoa(PageSize)},
	}
	if job.Location != "" {
		query.Set("location", job.Location)
	}
	if token != "" {
		query.Set("pageToken", token)
	}
	address := c.service.BasePath + "projects/" + url.PathEscape(job.Project) + "/queries/" + url.PathEscape(job.ID) + "?" + query.Encode()
	for pause := c.timing.pollFirst; ; pause = min(pause*2, c.timing.pollMax) {
		var p *page
		err := gcp.Retry(ctx, "bigquery.jobs.getQueryResults", func(ctx context.Context) (err error) {
			if buffer, err = c.get(ctx, address, buffer[:0]); err == nil {
				p, err = parsePage(buffer)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the rows: %w", &callError{job, err})
		}
		if p.complete {
			return p, nil
		}
		// jobs.get said DONE, and this replica does not know it yet.
		if err := gcp.Sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("cannot read the rows: %w", &callError{job, err})
		}
	}
}

// get appends the body of an answer to buffer. It returns the errors of the
// generated client, and the buffer whatever happens.
func (c *Client) get(ctx context.Context, address string, buffer []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return buffer, err
	}
	request.Header.Set("User-Agent", strings.TrimSpace(googleapi.UserAgent+" "+c.service.UserAgent))
	response, err := c.http.Do(request)
	if err != nil {
		return buffer, err
	}
	defer response.Body.Close()
	if err := googleapi.CheckResponse(response); err != nil {
		return buffer, err
	}
	// Grown by append, which for large buffers wastes far less than doubling does.
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := response.Body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if errors.Is(err, io.EOF) {
			return buffer, nil
		}
		if err != nil {
			return buffer, err
		}
	}
}

// The names that the REST API uses besides those of GoogleSQL.
var typeNames = map[string]string{"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}

func schemaOf(s *bigquery.TableSchema) (Schema, error) {
	if s == nil {
		return nil, nil
	}
	return fieldsOf(s.Fields)
}

func fieldsOf(wire []*bigquery.TableFieldSchema) ([]Field, error) {
	fields := make([]Field, len(wire))
	for i, w := range wire {
		if w == nil {
			return nil, errors.New("BigQuery sent a schema with an empty field")
		}
		f := Field{Name: w.Name, Type: strings.ToUpper(w.Type), Repeated: strings.EqualFold(w.Mode, "REPEATED")}
		if name, ok := typeNames[f.Type]; ok {
			f.Type = name
		}
		if w.RangeElementType != nil {
			f.Element = strings.ToUpper(w.RangeElementType.Type)
		}
		var err error
		if f.Type == "STRUCT" {
			if f.Fields, err = fieldsOf(w.Fields); err != nil {
				return nil, err
			}
		}
		fields[i] = f
	}
	return fields, nil
}
