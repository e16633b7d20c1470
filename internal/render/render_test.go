// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render_test

import (
	stdcsv "encoding/csv"
	stdjson "encoding/json"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
)

func seq(rows ...query.Row) iter.Seq2[query.Row, error] {
	return func(yield func(query.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func write(t *testing.T, format string, o render.Options, r render.Result) (string, render.Summary) {
	t.Helper()
	renderer, err := render.New(format, o)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	summary, err := renderer.Render(&out, r)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), summary
}

func columns(types ...string) query.Schema {
	var s query.Schema
	for i, typ := range types {
		s = append(s, query.Field{Name: string(rune('a' + i)), Type: typ})
	}
	return s
}

// The expectations are those of the table "JSON encodings" in the GoogleSQL
// reference (TO_JSON_STRING).
func TestJSONValues(t *testing.T) {
	for _, test := range []struct {
		field query.Field
		value any
		want  string
	}{
		{query.Field{Type: "STRING"}, nil, `null`},
		{query.Field{Type: "BOOL"}, true, `true`},
		{query.Field{Type: "INT64"}, int64(0), `0`},
		{query.Field{Type: "INT64"}, int64(9007199254740992), `9007199254740992`},
		{query.Field{Type: "INT64"}, int64(-9007199254740992), `-9007199254740992`},
		{query.Field{Type: "INT64"}, int64(9007199254740993), `"9007199254740993"`},
		{query.Field{Type: "INT64"}, int64(math.MinInt64), `"-9223372036854775808"`},
		{query.Field{Type: "NUMERIC"}, "-1", `-1`},
		{query.Field{Type: "NUMERIC"}, "40000000000000000000", `"40000000000000000000"`},
		{query.Field{Type: "NUMERIC"}, "9007199254740993", `"9007199254740993"`},
		{query.Field{Type: "NUMERIC"}, "123.56", `"123.56"`},
		{query.Field{Type: "BIGNUMERIC"}, "0.00000000000000000000000000000000000001", `"0.00000000000000000000000000000000000001"`},
		{query.Field{Type: "FLOAT64"}, 1.0, `1`},
		{query.Field{Type: "FLOAT64"}, 0.1, `0.1`},
		{query.Field{Type: "FLOAT64"}, math.MaxFloat64, `1.7976931348623157e+308`},
		{query.Field{Type: "FLOAT64"}, 5e-324, `5e-324`},
		{query.Field{Type: "FLOAT64"}, math.NaN(), `"NaN"`},
		{query.Field{Type: "FLOAT64"}, math.Inf(1), `"Infinity"`},
		{query.Field{Type: "FLOAT64"}, math.Inf(-1), `"-Infinity"`},
		{query.Field{Type: "STRING"}, "<ä\"\\\n\x00>", `"<ä\"\\\n\u0000>"`},
		{query.Field{Type: "BYTES"}, []byte("Google"), `"R29vZ2xl"`},
		{query.Field{Type: "DATE"}, "2017-03-06", `"2017-03-06"`},
		{query.Field{Type: "TIMESTAMP"}, "2024-05-06T07:08:09.123456Z", `"2024-05-06T07:08:09.123456Z"`},
		{query.Field{Type: "JSON"}, `{"n": 12345678901234567890.10, "l": [ ]}`, `{"n":12345678901234567890.10,"l":[]}`},
		{query.Field{Type: "JSON"}, `not JSON`, `"not JSON"`},
		{query.Field{Type: "GEOGRAPHY"}, "POINT(1 2)", `"POINT(1 2)"`},
		{query.Field{Type: "INT64", Repeated: true}, []any{int64(1), int64(2)}, `[1,2]`},
		{query.Field{Type: "INT64", Repeated: true}, []any{}, `[]`},
		{
			query.Field{Type: "STRUCT", Fields: []query.Field{{Name: "z", Type: "STRING"}, {Name: "a", Type: "FLOAT64", Repeated: true}}},
			query.Row{"x", []any{math.NaN()}},
			`{"z":"x","a":["NaN"]}`,
		},
	} {
		test.field.Name = "c"
		got, _ := write(t, "json", render.Options{}, render.Result{Schema: query.Schema{test.field}, Rows: seq(query.Row{test.value})})
		want := "[\n  {\"c\":" + test.want + "}\n]\n"
		if got != want {
			t.Errorf("%s %v:\ngot  %swant %s", test.field.SQLType(), test.value, got, want)
		}
		if !stdjson.Valid([]byte(got)) {
			t.Errorf("%s is not valid JSON", got)
		}
	}
}

func TestJSONDocument(t *testing.T) {
	schema := columns("STRING", "INT64")
	for want, r := range map[string]render.Result{
		"[]\n":                            {Schema: schema, Rows: seq()},
		"[\n  {\"a\":\"x\",\"b\":1}\n]\n": {Schema: schema, Rows: seq(query.Row{"x", int64(1)})},
		"[\n  {\"a\":\"x\",\"b\":1},\n  {\"a\":null,\"b\":2}\n]\n": {Schema: schema, Rows: seq(query.Row{"x", int64(1)}, query.Row{nil, int64(2)})},
	} {
		if got, _ := write(t, "json", render.Options{}, r); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got, _ := write(t, "json", render.Options{}, render.Result{}); got != "[]\n" {
		t.Errorf("no result set: %q", got)
	}
}

func TestCSV(t *testing.T) {
	schema := append(columns("STRING", "INT64", "FLOAT64", "BOOL", "BYTES"), query.Field{Name: "f g", Type: "INT64", Repeated: true}, query.Field{Name: `h"i`, Type: "STRING"})
	got, summary := write(t, "csv", render.Options{}, render.Result{Schema: schema, Total: 2, Rows: seq(
		query.Row{"a,b", int64(math.MaxInt64), math.Inf(1), true, []byte{255}, []any{int64(1), int64(2)}, "say \"hi\"\r\nthere"},
		query.Row{"", nil, nil, nil, nil, []any{}, " x"},
	)})
	want := "a,b,c,d,e,f g,\"h\"\"i\"\n" +
		"\"a,b\",9223372036854775807,Infinity,true,/w==,\"[1,2]\",\"say \"\"hi\"\"\r\nthere\"\n" +
		"\"\",,,,,[],\" x\"\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if summary.Written != 2 || summary.Cut {
		t.Errorf("%+v", summary)
	}
	if _, err := stdcsv.NewReader(strings.NewReader(got)).ReadAll(); err != nil {
		t.Error(err)
	}
	// A NULL alone in its row still is a record.
	got, _ = write(t, "csv", render.Options{}, render.Result{Schema: columns("STRING"), Rows: seq(query.Row{nil}, query.Row{"x"})})
	records, err := stdcsv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil || len(records) != 3 {
		t.Errorf("%q has %d records, %v", got, len(records), err)
	}
	if got, _ := write(t, "csv", render.Options{}, render.Result{}); got != "" {
		t.Errorf("no result set: %q", got)
	}
}

func TestTable(t *testing.T) {
	r := render.Result{Schema: query.Schema{{Name: "name", Type: "STRING"}, {Name: "n", Type: "INT64"}}, Total: 3, Rows: seq(
		query.Row{"é\n\x1b[2J", int64(1)}, query.Row{nil, int64(22)}, query.Row{"last", nil},
	)}
	want := `
┌────────────┬──────┐
│ name       │    n │
├────────────┼──────┤
│ é\n\x1b[2J │    1 │
│ NULL       │   22 │
│ last       │ NULL │
└────────────┴──────┘
(3 rows)
`
	if got, summary := write(t, "table", render.Options{}, r); "\n"+got != want || summary.Cut {
		t.Errorf("got %s\nwant %s", got, want)
	}
	got, summary := write(t, "table", render.Options{MaxRows: 2}, r)
	if !summary.Cut || summary.Written != 2 || !strings.HasSuffix(got, "\n(2 of 3 rows; the others are not shown)\n") || strings.Contains(got, "last") {
		t.Errorf("got %s, %+v", got, summary)
	}
	if _, summary := write(t, "table", render.Options{MaxRows: 3}, r); summary.Cut {
		t.Error("nothing was left out")
	}
	if got, _ := write(t, "table", render.Options{}, render.Result{}); got != "" {
		t.Errorf("no result set: %q", got)
	}
}

// A table takes no more columns of the terminal than there are: texts give way, then
// the last columns; numbers stay whole.
func TestTableFitsTheTerminal(t *testing.T) {
	r := func() render.Result {
		return render.Result{
			Schema: query.Schema{{Name: "id", Type: "INT64"}, {Name: "text", Type: "STRING"}, {Name: "more", Type: "STRING"}}, Total: 1,
			Rows: seq(query.Row{int64(math.MaxInt64), strings.Repeat("日本", 20), "short"}),
		}
	}
	want := `
┌─────────────────────┬──────────────┬───────┐
│                  id │ text         │ more  │
├─────────────────────┼──────────────┼───────┤
│ 9223372036854775807 │ 日本日本日…  │ short │
└─────────────────────┴──────────────┴───────┘
(1 row)
(1 value is shortened, to fit the terminal; --format vertical shows all)
`
	if got, _ := write(t, "table", render.Options{Width: 46}, r()); "\n"+got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for width := range 60 {
		got, _ := write(t, "table", render.Options{Width: width}, r())
		for line := range strings.Lines(got) {
			if n := text.StringWidth(strings.TrimSuffix(line, "\n")); width > 22 && n > width && !strings.HasPrefix(line, "(") {
				t.Errorf("width %d: a line of %d: %s", width, n, line)
			}
		}
		if !strings.Contains(got, "9223372036854775807") {
			t.Errorf("width %d: the number is cut: %s", width, got)
		}
		if hidden := !strings.Contains(got, "more"); width > 0 && hidden != strings.Contains(got, "of 3 columns are not shown") {
			t.Errorf("width %d: %s", width, got)
		}
	}
}

// Beyond the rows by which it is measured a table goes on, as wide as its rows are.
func TestTableStreams(t *testing.T) {
	rows := func(yield func(query.Row, error) bool) {
		for i := range 2500 {
			value := "x"
			if i == 2000 {
				value = "a much longer value"
			}
			if !yield(query.Row{value}, nil) {
				return
			}
		}
	}
	got, summary := write(t, "table", render.Options{}, render.Result{Schema: columns("STRING"), Total: 2500, Rows: rows})
	if summary.Written != 2500 || strings.Count(got, "│ x │") != 2499 || !strings.Contains(got, "│ a much longer value │") || !strings.HasSuffix(got, "(2500 rows)\n") {
		t.Errorf("%+v, %d bytes", summary, len(got))
	}
	if strings.Count(got, "┌") != 1 || strings.Count(got, "└") != 1 {
		t.Error("more than one box")
	}
}

func TestVertical(t *testing.T) {
	r := render.Result{Schema: query.Schema{{Name: "n", Type: "INT64"}, {Name: "name", Type: "STRING"}}, Total: 3, Rows: seq(
		query.Row{int64(1), "two\nlines"}, query.Row{nil, strings.Repeat("x", 300)}, query.Row{int64(3), ""},
	)}
	want := "── row 1 ──\n   n: 1\nname: two\\nlines\n── row 2 ──\n   n: NULL\nname: " + strings.Repeat("x", 300) + "\n(2 of 3 rows; the others are not shown)\n"
	if got, summary := write(t, "vertical", render.Options{MaxRows: 2, Width: 20}, r); got != want || !summary.Cut {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestMarkdown(t *testing.T) {
	r := render.Result{Schema: query.Schema{{Name: "n", Type: "INT64"}, {Name: "a|b", Type: "STRING"}}, Total: 3, Rows: seq(
		query.Row{int64(1), "x|y\n*NULL* `code` <b>"}, query.Row{nil, nil}, query.Row{int64(3), ""},
	)}
	want := "| n | a\\|b |\n| ---: | --- |\n| 1 | x\\|y<br>\\*NULL\\* \\`code\\` \\<b\\> |\n| *NULL* | *NULL* |\n\n(2 of 3 rows; the others are not shown)\n"
	if got, _ := write(t, "markdown", render.Options{MaxRows: 2}, r); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Every format obeys the limit and says so; what is written stays a whole document.
func TestMaxRows(t *testing.T) {
	for _, format := range render.Formats() {
		r := render.Result{Schema: columns("INT64"), Total: 5, Rows: seq(query.Row{int64(71)}, query.Row{int64(72)}, query.Row{int64(73)}, query.Row{int64(74)}, query.Row{int64(75)})}
		out, summary := write(t, format, render.Options{MaxRows: 3}, r)
		if summary.Written != 3 || !summary.Cut {
			t.Errorf("%s: %+v", format, summary)
		}
		switch {
		case format == "parquet":
			table := readParquet(t, out)
			if table.NumRows() != 3 {
				t.Errorf("parquet: %d rows", table.NumRows())
			}
			table.Release()
		case format != "none" && (!strings.Contains(out, "73") || strings.Contains(out, "74")):
			t.Errorf("%s: %s", format, out)
		case format == "json" && !stdjson.Valid([]byte(out)):
			t.Errorf("json: %s", out)
		}
		if got, want := render.DefaultMaxRows(format) == 0, render.ForMachines(format); got != want {
			t.Errorf("%s: by default %d rows", format, render.DefaultMaxRows(format))
		}
	}
}

// A table that shows two rows does not read a million.
func TestTableStopsReading(t *testing.T) {
	read := 0
	rows := func(yield func(query.Row, error) bool) {
		for range 1000 {
			read++
			if !yield(query.Row{"x"}, nil) {
				return
			}
		}
	}
	write(t, "table", render.Options{MaxRows: 2}, render.Result{Schema: columns("STRING"), Total: 1000, Rows: rows})
	if read != 3 {
		t.Errorf("read %d rows", read)
	}
}

// A document that is not whole must not look as if it were.
func TestRenderFailure(t *testing.T) {
	broken := errors.New("the line is cut")
	rows := func(yield func(query.Row, error) bool) {
		_ = yield(query.Row{"x"}, nil) && yield(nil, broken)
	}
	for _, format := range render.Formats() {
		renderer, _ := render.New(format, render.Options{})
		var out strings.Builder
		if _, err := renderer.Render(&out, render.Result{Schema: columns("STRING"), Total: 2, Rows: rows}); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", format, err)
		}
		if format == "json" && stdjson.Valid([]byte(out.String())) {
			t.Errorf("%q parses", out.String())
		}
		if format == "parquet" && out.Len() > 4 && strings.HasSuffix(out.String(), "PAR1") {
			t.Error("parquet: the file has its end")
		}
		if _, err := renderer.Render(full{}, render.Result{Schema: columns("STRING"), Rows: seq(query.Row{"x"})}); err == nil && format != "none" {
			t.Errorf("%s: a full disk went unnoticed", format)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnknownFormat(t *testing.T) {
	if _, err := render.New("xml", render.Options{}); err == nil || err.Error() != `"xml" is not a format: use one of csv, json, markdown, ndjson, none, parquet, table, tsv, vertical` {
		t.Errorf("got %v", err)
	}
}
