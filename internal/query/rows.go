// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

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
//	STRUCT               Row, one value per field
//	ARRAY                []any of the above
//	RANGE                string "[start, end)", open ends UNBOUNDED, timestamps as above
//	all others           string, the text that BigQuery sends, so that no digit is lost
type Row []any

// Rows is the result set of a job. It is read page by page.
type Rows struct {
	Schema Schema
	// Total is the number of rows of the whole result set.
	Total uint64

	client *Client
	job    Reference
	first  *bigquery.GetQueryResultsResponse
}

// PageSize is the most rows asked for at once; BigQuery sends fewer if they are big.
const PageSize = 10_000

// Rows opens the result set of the job, with its first page.
func (j *Job) Rows(ctx context.Context) (*Rows, error) {
	if j.client == nil {
		return nil, errors.New("the job has no rows: it did not come from Run")
	}
	first, err := j.client.page(ctx, j.Reference, "")
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(first.Schema)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", j.Reference, err)
	}
	return &Rows{Schema: schema, Total: first.TotalRows, client: j.client, job: j.Reference, first: first}, nil
}

// All streams the rows, asking for a page when the one before it is used up. After
// an error it stops. A result set that ends before its announced number of rows is
// an error too. All can be called more than once; each call starts at the top.
func (r *Rows) All(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var read uint64
		for page := r.first; ; {
			for _, wire := range page.Rows {
				row, err := decodeRow(r.Schema, wire)
				if err != nil {
					yield(nil, fmt.Errorf("job %s, row %d: %w", r.job, read+1, err))
					return
				}
				if !yield(row, nil) {
					return
				}
				read++
			}
			if page.PageToken == "" {
				break
			}
			next, err := r.client.page(ctx, r.job, page.PageToken)
			if err != nil {
				yield(nil, err)
				return
			}
			if next.PageToken == page.PageToken {
				yield(nil, fmt.Errorf("job %s: BigQuery sent the same page of rows twice", r.job))
				return
			}
			page = next
		}
		if read < r.Total {
			yield(nil, fmt.Errorf("job %s: BigQuery announced %d rows and sent %d", r.job, r.Total, read))
		}
	}
}

// page reads one page; the first if token is empty.
func (c *Client) page(ctx context.Context, job Reference, token string) (page *bigquery.GetQueryResultsResponse, err error) {
	for pause := c.timing.pollFirst; ; pause = min(pause*2, c.timing.pollMax) {
		err = gcp.Retry(ctx, "bigquery.jobs.getQueryResults", func(ctx context.Context) error {
			call := c.service.Jobs.GetQueryResults(job.Project, job.ID).Context(ctx).
				FormatOptionsUseInt64Timestamp(true).MaxResults(PageSize)
			if job.Location != "" {
				call.Location(job.Location)
			}
			if token != "" {
				call.PageToken(token)
			}
			page, err = call.Do()
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the rows: %w", &callError{job, err})
		}
		if page.JobComplete {
			return page, nil
		}
		// jobs.get said DONE, and this replica does not know it yet.
		if err := gcp.Sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("cannot read the rows: %w", &callError{job, err})
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

func decodeRow(schema Schema, wire *bigquery.TableRow) (Row, error) {
	if wire == nil || len(wire.F) != len(schema) {
		return nil, fmt.Errorf("BigQuery sent a row that does not have the %d columns of the schema", len(schema))
	}
	row := make(Row, len(schema))
	for i, cell := range wire.F {
		if cell == nil || cell.V == nil {
			continue
		}
		var err error
		if row[i], err = decode(schema[i], cell.V); err != nil {
			return nil, fmt.Errorf("column %q: %w", schema[i].Name, err)
		}
	}
	return row, nil
}

// decode turns a wire value into the Go value that [Row] documents.
func decode(f Field, wire any) (any, error) {
	if wire == nil {
		return nil, nil
	}
	if f.Repeated {
		cells, ok := wire.([]any)
		if !ok {
			return nil, mismatch(f, wire)
		}
		f.Repeated = false
		out := make([]any, len(cells))
		for i, cell := range cells {
			v, err := cellValue(cell)
			if err != nil {
				return nil, err
			}
			if out[i], err = decode(f, v); err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
		}
		return out, nil
	}
	if f.Type == "STRUCT" {
		object, _ := wire.(map[string]any)
		cells, ok := object["f"].([]any)
		if !ok || len(cells) != len(f.Fields) {
			return nil, mismatch(f, wire)
		}
		out := make(Row, len(cells))
		for i, cell := range cells {
			v, err := cellValue(cell)
			if err != nil {
				return nil, err
			}
			if out[i], err = decode(f.Fields[i], v); err != nil {
				return nil, fmt.Errorf("field %q: %w", f.Fields[i].Name, err)
			}
		}
		return out, nil
	}
	text, ok := wire.(string)
	if !ok {
		return nil, mismatch(f, wire)
	}
	value, err := scalar(f, text)
	if err != nil {
		return nil, fmt.Errorf("BigQuery sent %q, which is not a %s: %w", text, f.SQLType(), err)
	}
	return value, nil
}

func cellValue(cell any) (any, error) {
	object, ok := cell.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("BigQuery sent a nested cell of type %T", cell)
	}
	return object["v"], nil
}

func mismatch(f Field, wire any) error {
	return fmt.Errorf("BigQuery sent a value of type %T for a column of type %s", wire, f.SQLType())
}

func scalar(f Field, text string) (any, error) {
	switch f.Type {
	case "BOOL":
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("neither true nor false")
	case "INT64":
		return strconv.ParseInt(text, 10, 64)
	case "FLOAT64":
		switch text {
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
		return strconv.ParseFloat(text, 64)
	case "BYTES":
		return base64.StdEncoding.DecodeString(text)
	case "TIMESTAMP":
		return timestamp(text)
	case "RANGE":
		return rangeText(f, text)
	}
	return text, nil
}

// secondsText keeps exponents out that would fill the memory.
var secondsText = regexp.MustCompile(`^-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$`)

// timestamp turns the wire form, microseconds since 1970 because we ask for them,
// into RFC 3339. A server that ignores the wish sends seconds as a decimal number;
// that is read exactly too.
func timestamp(text string) (string, error) {
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		if !secondsText.MatchString(text) {
			return "", errors.New("neither microseconds nor seconds since 1970")
		}
		seconds, _ := new(big.Rat).SetString(text)
		scaled := seconds.Mul(seconds, big.NewRat(1_000_000, 1))
		if !scaled.IsInt() || !scaled.Num().IsInt64() {
			return "", errors.New("finer than a microsecond or out of range")
		}
		micros = scaled.Num().Int64()
	}
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999Z"), nil
}

func rangeText(f Field, text string) (string, error) {
	if f.Element != "TIMESTAMP" {
		return text, nil
	}
	inner, ok1 := strings.CutPrefix(text, "[")
	inner, ok2 := strings.CutSuffix(inner, ")")
	start, end, ok3 := strings.Cut(inner, ", ")
	if !ok1 || !ok2 || !ok3 {
		return "", errors.New("not of the form [start, end)")
	}
	for _, bound := range []*string{&start, &end} {
		if *bound == "UNBOUNDED" {
			continue
		}
		var err error
		if *bound, err = timestamp(*bound); err != nil {
			return "", err
		}
	}
	return "[" + start + ", " + end + ")", nil
}
