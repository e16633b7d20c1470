// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"errors"
	"iter"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
)

const schemaJSON = `{"fields": [
	{"name": "b", "type": "BOOLEAN"}, {"name": "i", "type": "INTEGER"}, {"name": "f", "type": "FLOAT"}, {"name": "n", "type": "NUMERIC"},
	{"name": "s", "type": "STRING"}, {"name": "y", "type": "BYTES"}, {"name": "ts", "type": "TIMESTAMP"}, {"name": "j", "type": "JSON"},
	{"name": "a", "type": "FLOAT64", "mode": "REPEATED"},
	{"name": "st", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "x", "type": "INT64"}, {"name": "l", "type": "STRING", "mode": "REPEATED"}]},
	{"name": "r", "type": "RANGE", "rangeElementType": {"type": "TIMESTAMP"}}]}`

func run1(t *testing.T, pages map[string]string) (*fake, *Job) {
	t.Helper()
	f, c := newFake(t)
	f.pages = pages
	job, err := c.Run(context.Background(), Request{SQL: "SELECT 1"})
	if err != nil {
		t.Fatal(err)
	}
	return f, job
}

func TestRows(t *testing.T) {
	null := `{"v": null}`
	_, job := run1(t, map[string]string{
		"": `{"jobComplete": true, "totalRows": "2", "pageToken": "two", "schema": ` + schemaJSON + `, "rows": [{"f": [
			{"v": "true"}, {"v": "9223372036854775807"}, {"v": "0.1"}, {"v": "99999999999999999999999999999.999999999"},
			{"v": ""}, {"v": "AP8="}, {"v": "1715411289123456"}, {"v": "{\"k\":1.0}"},
			{"v": [{"v": "1.5"}, {"v": "NaN"}, {"v": "-Infinity"}]},
			{"v": [{"v": {"f": [{"v": "1"}, {"v": [{"v": "p"}, {"v": "q"}]}]}}, {"v": {"f": [{"v": null}, {"v": []}]}}]},
			{"v": "[0, UNBOUNDED)"}]}]}`,
		"two": `{"jobComplete": true, "totalRows": "2", "rows": [{"f": [` + strings.Repeat(null+", ", 8) + `{"v": []}, {"v": []}, ` + null + `]}]}`,
	})
	rows, err := job.Rows(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if rows.Total != 2 || rows.Schema[9].SQLType() != "ARRAY<STRUCT<x INT64, l ARRAY<STRING>>>" || rows.Schema[10].SQLType() != "RANGE<TIMESTAMP>" {
		t.Errorf("total %d, schema %+v", rows.Total, rows.Schema)
	}
	for range 2 { // reading twice starts at the top twice
		var got []Row
		for row, err := range rows.All(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, row)
		}
		if len(got) != 2 {
			t.Fatalf("got %d rows", len(got))
		}
		floats := got[0][8].([]any)
		if !math.IsNaN(floats[1].(float64)) {
			t.Errorf("NaN became %v", floats[1])
		}
		floats[1] = nil // NaN equals nothing
		want := Row{
			true, int64(math.MaxInt64), 0.1, "99999999999999999999999999999.999999999", "", []byte{0, 255},
			"2024-05-11T07:08:09.123456Z", `{"k":1.0}`, []any{1.5, nil, math.Inf(-1)},
			[]any{Row{int64(1), []any{"p", "q"}}, Row{nil, []any{}}}, "[1970-01-01T00:00:00Z, UNBOUNDED)",
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("got  %#v\nwant %#v", got[0], want)
		}
		if want := (Row{nil, nil, nil, nil, nil, nil, nil, nil, []any{}, []any{}, nil}); !reflect.DeepEqual(got[1], want) {
			t.Errorf("got  %#v\nwant %#v", got[1], want)
		}
	}
}

func TestTimestamps(t *testing.T) {
	for wire, want := range map[string]string{
		"0":                   "1970-01-01T00:00:00Z",
		"-1":                  "1969-12-31T23:59:59.999999Z",
		"1500000":             "1970-01-01T00:00:01.5Z",
		"-62135596800000000":  "0001-01-01T00:00:00Z",
		"253402300799999999":  "9999-12-31T23:59:59.999999Z",
		"1.5":                 "1970-01-01T00:00:01.5Z", // seconds, from a server that ignores the option
		"1.715411289123456E9": "2024-05-11T07:08:09.123456Z",
	} {
		if got, err := timestamp(wire); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", wire, got, err, want)
		}
	}
	for _, wire := range []string{"", "now", "1.00000001", "1e99", "1e999999999", "0x10", "1/3", "9999999999999999999"} {
		if got, err := timestamp(wire); err == nil {
			t.Errorf("%q: got %s", wire, got)
		}
	}
}

// A server that sends nonsense is an error, never a panic or a wrong value.
func TestRowsOfAHostileServer(t *testing.T) {
	one := func(typ, cell string) map[string]string {
		return map[string]string{"": `{"jobComplete": true, "totalRows": "1", "schema": {"fields": [{"name": "c", ` + typ + `}]}, "rows": [{"f": [` + cell + `]}]}`}
	}
	for name, pages := range map[string]map[string]string{
		"too few rows":    {"": `{"jobComplete": true, "totalRows": "3", "schema": {"fields": []}, "rows": []}`},
		"the same page":   {"": `{"jobComplete": true, "pageToken": "x"}`, "x": `{"jobComplete": true, "pageToken": "x"}`},
		"too few columns": one(`"type": "STRING"`, ``),
		"a number":        one(`"type": "INT64"`, `{"v": 1}`),
		"not an integer":  one(`"type": "INT64"`, `{"v": "1.5"}`),
		"not a bool":      one(`"type": "BOOL"`, `{"v": "yes"}`),
		"not a float":     one(`"type": "FLOAT64"`, `{"v": "x"}`),
		"not base64":      one(`"type": "BYTES"`, `{"v": "*"}`),
		"not a list":      one(`"type": "INT64", "mode": "REPEATED"`, `{"v": "1"}`),
		"not a cell":      one(`"type": "INT64", "mode": "REPEATED"`, `{"v": ["1"]}`),
		"not a struct":    one(`"type": "RECORD", "fields": [{"name": "x", "type": "INT64"}]`, `{"v": "1"}`),
		"too few fields":  one(`"type": "RECORD", "fields": [{"name": "x", "type": "INT64"}]`, `{"v": {"f": []}}`),
		"not a range":     one(`"type": "RANGE", "rangeElementType": {"type": "TIMESTAMP"}`, `{"v": "1"}`),
		"an empty field":  {"": `{"jobComplete": true, "schema": {"fields": [null]}}`},
		"an empty row":    {"": `{"jobComplete": true, "totalRows": "1", "schema": {"fields": [{"name": "c", "type": "STRING"}]}, "rows": [null]}`},
		"not JSON":        {"": `{"jobComplete": tru`},
		"not an object":   {"": `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, job := run1(t, pages)
			rows, err := job.Rows(context.Background())
			if err != nil {
				return
			}
			for _, err = range rows.All(context.Background()) {
				if err != nil {
					return
				}
			}
			t.Error("no error")
		})
	}
}

func TestRowsRetryAndStop(t *testing.T) {
	page := func(next string) string {
		return `{"jobComplete": true, "totalRows": "3", "pageToken": "` + next + `", "schema": {"fields": [{"name": "c", "type": "STRING"}]}, "rows": [{"f": [{"v": "x"}]}]}`
	}
	f, job := run1(t, map[string]string{"": page("2"), "2": page("3"), "3": page("")})
	f.before = func(w http.ResponseWriter, call string, n int) bool {
		switch {
		case call == "rows" && n == 1: // not known yet to this replica
			_, _ = w.Write([]byte(`{"jobComplete": false}`))
			return true
		case call == "rows" && n == 3:
			lose(w)
			return true
		}
		return false
	}
	rows, err := job.Rows(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range rows.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("read %d rows, want 3", n)
	}
	before := f.count("rows")
	for range rows.All(context.Background()) {
		break // the other pages are not asked for
	}
	if f.count("rows") != before {
		t.Error("a page was read that nobody wanted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err = range rows.All(ctx) {
	}
	if err == nil {
		t.Error("a cancelled context read on")
	}
}

// tableReader is a TableReader that knows its rows.
type tableReader struct {
	rows   []Row
	err    error
	opened []Table
}

func (r *tableReader) Open(_ context.Context, table Table, _ Schema) (iter.Seq2[Row, error], error) {
	r.opened = append(r.opened, table)
	if r.err != nil {
		return nil, r.err
	}
	return func(yield func(Row, error) bool) {
		for _, row := range r.rows {
			if !yield(row, nil) {
				return
			}
		}
	}, nil
}

func TestRowsThroughATableReader(t *testing.T) {
	page := func(token, value string) string {
		return `{"jobComplete": true, "totalRows": "2", "pageToken": "` + token + `", "schema": {"fields": [{"name": "c", "type": "STRING"}]}, "rows": [{"f": [{"v": "` + value + `"}]}]}`
	}
	collect := func(rows *Rows) (all []any, err error) {
		for row, err := range rows.All(context.Background()) {
			if err != nil {
				return all, err
			}
			all = append(all, row[0])
		}
		return all, nil
	}
	open := func(t *testing.T, r TableReader, told func(error), pages map[string]string) (*fake, *Rows) {
		t.Helper()
		f, c := newFake(t)
		f.pages = pages
		f.end = func(job *bigquery.Job) {
			job.Configuration.Query.DestinationTable = &bigquery.TableReference{ProjectId: "p", DatasetId: "_anon", TableId: "t"}
		}
		c.ReadTables(r, told)
		job, err := c.Run(context.Background(), Request{SQL: "SELECT 1"})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := job.Rows(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return f, rows
	}
	pages := map[string]string{"": page("2", "paged 1"), "2": page("", "paged 2")}

	t.Run("a large result", func(t *testing.T) {
		r := &tableReader{rows: []Row{{"read 1"}, {"read 2"}}}
		f, rows := open(t, r, nil, pages)
		for range 2 {
			if all, err := collect(rows); err != nil || !reflect.DeepEqual(all, []any{"read 1", "read 2"}) {
				t.Errorf("%v, %v", all, err)
			}
		}
		if want := (Table{"p", "_anon", "t"}); r.opened[0] != want || f.count("rows") != 1 {
			t.Errorf("opened %v, %d pages", r.opened, f.count("rows"))
		}
		// Refused only now: the first page has to be read again.
		r.err = errors.New("no more")
		if all, err := collect(rows); err != nil || !reflect.DeepEqual(all, []any{"paged 1", "paged 2"}) {
			t.Errorf("%v, %v", all, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		var told error
		r := &tableReader{err: errors.New("not you")}
		_, rows := open(t, r, func(err error) { told = err }, pages)
		if all, err := collect(rows); err != nil || !reflect.DeepEqual(all, []any{"paged 1", "paged 2"}) || told == nil {
			t.Errorf("%v, %v, told %v", all, err, told)
		}
	})
	t.Run("one page", func(t *testing.T) {
		r := &tableReader{}
		_, rows := open(t, r, nil, map[string]string{"": strings.Replace(page("", "paged 1"), `"2"`, `"1"`, 1)})
		if all, err := collect(rows); err != nil || !reflect.DeepEqual(all, []any{"paged 1"}) || r.opened != nil {
			t.Errorf("%v, %v, opened %v", all, err, r.opened)
		}
	})
	t.Run("too few rows", func(t *testing.T) {
		_, rows := open(t, &tableReader{rows: []Row{{"read 1"}}}, nil, pages)
		if _, err := collect(rows); err == nil || !strings.Contains(err.Error(), "announced 2 rows and sent 1") {
			t.Errorf("got %v", err)
		}
	})
}

// The texts of seconds have no zeros at their end, whichever way they came.
func TestFractions(t *testing.T) {
	_, job := run1(t, map[string]string{"": `{"jobComplete": true, "totalRows": "1", "schema": {"fields": [
		{"name": "a", "type": "DATETIME"}, {"name": "b", "type": "TIME"}, {"name": "c", "type": "INTERVAL"},
		{"name": "d", "type": "RANGE", "rangeElementType": {"type": "DATETIME"}}, {"name": "e", "type": "NUMERIC"}]},
		"rows": [{"f": [{"v": "2024-05-06T07:08:09.120000"}, {"v": "07:08:00.000"}, {"v": "0-0 0 0:0:10.500"}, {"v": "[UNBOUNDED, 2024-05-06T00:00:10.000000)"}, {"v": "100"}]}]}`})
	rows, err := job.Rows(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := Row{"2024-05-06T07:08:09.12", "07:08:00", "0-0 0 0:0:10.5", "[UNBOUNDED, 2024-05-06T00:00:10)", "100"}
	for row, err := range rows.All(context.Background()) {
		if err != nil || !reflect.DeepEqual(row, want) {
			t.Errorf("got %q, %v, want %q", row, err, want)
		}
	}
}

// The calendar is that of package time, for every day that BigQuery has.
func TestDateText(t *testing.T) {
	for day := int64(-719162); day <= 2932896; day += 13 {
		if got, want := DateText(day), time.Unix(day*86400, 0).UTC().Format(time.DateOnly); got != want {
			t.Fatalf("day %d is %s, want %s", day, got, want)
		}
	}
	if got := TimestampText(math.MaxInt64); !strings.HasPrefix(got, "294247-01-10T04:00:54.775807Z") {
		t.Errorf("got %s", got)
	}
}
