// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"context"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
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
