// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render_test

import (
	"bytes"
	stdcsv "encoding/csv"
	stdjson "encoding/json"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
)

// sample is one value of one column: as it is in a row, as text, as JSON and as
// Python's pyarrow reads it from Parquet ([type, text]). The limits of the types are
// those that BigQuery documents.
type sample struct {
	field   query.Field
	value   any
	text    string
	json    string
	parquet [2]string
}

func typ(name string) query.Field { return query.Field{Type: name} }

const (
	maxNumeric    = "99999999999999999999999999999.999999999"
	maxBignumeric = "578960446186580977117854925043439539266.34992332820282019728792003956564819967"
	minBignumeric = "-578960446186580977117854925043439539266.34992332820282019728792003956564819968"
)

var (
	point  = query.Field{Type: "STRUCT", Fields: []query.Field{{Name: "x", Type: "NUMERIC"}, {Name: "tags", Type: "STRING", Repeated: true}}}
	points = query.Field{Type: "STRUCT", Repeated: true, Fields: point.Fields}
)

var samples = []sample{
	{typ("BOOL"), true, "true", "true", [2]string{"bool", "true"}},
	{typ("BOOL"), false, "false", "false", [2]string{"bool", "false"}},
	{typ("INT64"), int64(math.MaxInt64), "9223372036854775807", `"9223372036854775807"`, [2]string{"int", "9223372036854775807"}},
	{typ("INT64"), int64(math.MinInt64), "-9223372036854775808", `"-9223372036854775808"`, [2]string{"int", "-9223372036854775808"}},
	{typ("INT64"), int64(-7), "-7", "-7", [2]string{"int", "-7"}},
	{typ("FLOAT64"), 0.1, "0.1", "0.1", [2]string{"float", "0x1.999999999999ap-4"}},
	{typ("FLOAT64"), 5e-324, "5e-324", "5e-324", [2]string{"float", "0x0.0000000000001p-1022"}},
	{typ("FLOAT64"), math.MaxFloat64, "1.7976931348623157e+308", "1.7976931348623157e+308", [2]string{"float", "0x1.fffffffffffffp+1023"}},
	{typ("FLOAT64"), math.Inf(-1), "-Infinity", `"-Infinity"`, [2]string{"float", "-inf"}},
	{typ("FLOAT64"), math.NaN(), "NaN", `"NaN"`, [2]string{"float", "nan"}},
	{typ("NUMERIC"), maxNumeric, maxNumeric, `"` + maxNumeric + `"`, [2]string{"decimal", maxNumeric}},
	{typ("NUMERIC"), "-" + maxNumeric, "-" + maxNumeric, `"-` + maxNumeric + `"`, [2]string{"decimal", "-" + maxNumeric}},
	{typ("NUMERIC"), "-0.000000001", "-0.000000001", `"-0.000000001"`, [2]string{"decimal", "-0.000000001"}},
	{typ("NUMERIC"), "42", "42", "42", [2]string{"decimal", "42"}},
	{typ("BIGNUMERIC"), maxBignumeric, maxBignumeric, `"` + maxBignumeric + `"`, [2]string{"decimal", maxBignumeric}},
	{typ("BIGNUMERIC"), minBignumeric, minBignumeric, `"` + minBignumeric + `"`, [2]string{"decimal", minBignumeric}},
	{typ("BIGNUMERIC"), "0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001", `"0.00000000000000000000000000000000000001"`, [2]string{"decimal", "0.00000000000000000000000000000000000001"}},
	{typ("STRING"), "", "", `""`, [2]string{"str", ""}},
	{typ("STRING"), "NULL", "NULL", `"NULL"`, [2]string{"str", "NULL"}},
	{typ("STRING"), `\N`, `\N`, `"\\N"`, [2]string{"str", `\N`}},
	{typ("STRING"), "a,\"b\"\t\\t\r\nc\x01\x7f é 😀 \u2028 </script> ", "a,\"b\"\t\\t\r\nc\x01\x7f é 😀 \u2028 </script> ", "\"a,\\\"b\\\"\\t\\\\t\\r\\nc\\u0001\x7f é 😀 \u2028 </script> \"", [2]string{"str", "a,\"b\"\t\\t\r\nc\x01\x7f é 😀 \u2028 </script> "}},
	{typ("BYTES"), []byte{0, 255, 10}, "AP8K", `"AP8K"`, [2]string{"bytes", "AP8K"}},
	{typ("BYTES"), []byte{}, "", `""`, [2]string{"bytes", ""}},
	{typ("DATE"), "0001-01-01", "0001-01-01", `"0001-01-01"`, [2]string{"date", "0001-01-01"}},
	{typ("DATE"), "9999-12-31", "9999-12-31", `"9999-12-31"`, [2]string{"date", "9999-12-31"}},
	{typ("TIME"), "00:00:00", "00:00:00", `"00:00:00"`, [2]string{"time", "00:00:00"}},
	{typ("TIME"), "23:59:59.999999", "23:59:59.999999", `"23:59:59.999999"`, [2]string{"time", "23:59:59.999999"}},
	{typ("DATETIME"), "0001-01-01T00:00:00", "0001-01-01T00:00:00", `"0001-01-01T00:00:00"`, [2]string{"datetime", "0001-01-01T00:00:00"}},
	{typ("DATETIME"), "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999", `"9999-12-31T23:59:59.999999"`, [2]string{"datetime", "9999-12-31T23:59:59.999999"}},
	{typ("TIMESTAMP"), "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", `"0001-01-01T00:00:00Z"`, [2]string{"datetime", "0001-01-01T00:00:00+00:00"}},
	{typ("TIMESTAMP"), "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", `"1969-12-31T23:59:59.999999Z"`, [2]string{"datetime", "1969-12-31T23:59:59.999999+00:00"}},
	{typ("TIMESTAMP"), "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", `"9999-12-31T23:59:59.999999Z"`, [2]string{"datetime", "9999-12-31T23:59:59.999999+00:00"}},
	{typ("INTERVAL"), "-10000-0 -3660000 -87840000:0:0", "-10000-0 -3660000 -87840000:0:0", `"-10000-0 -3660000 -87840000:0:0"`, [2]string{"str", "-10000-0 -3660000 -87840000:0:0"}},
	{query.Field{Type: "RANGE", Element: "DATE"}, "[2024-01-01, UNBOUNDED)", "[2024-01-01, UNBOUNDED)", `"[2024-01-01, UNBOUNDED)"`, [2]string{"str", "[2024-01-01, UNBOUNDED)"}},
	{typ("GEOGRAPHY"), "POINT(1.5 -2)", "POINT(1.5 -2)", `"POINT(1.5 -2)"`, [2]string{"str", "POINT(1.5 -2)"}},
	{typ("JSON"), `{"b":1,"a":[12345678901234567890.5,null]}`, `{"b":1,"a":[12345678901234567890.5,null]}`, `{"b":1,"a":[12345678901234567890.5,null]}`, [2]string{"str", `{"b":1,"a":[12345678901234567890.5,null]}`}},
	{query.Field{Type: "INT64", Repeated: true}, []any{}, "[]", "[]", [2]string{"list", "[]"}},
	{query.Field{Type: "INT64", Repeated: true}, []any{int64(1), nil, int64(math.MaxInt64)}, `[1,null,"9223372036854775807"]`, `[1,null,"9223372036854775807"]`, [2]string{"list", `[["int", "1"], ["null", ""], ["int", "9223372036854775807"]]`}},
	{point, query.Row{maxNumeric, []any{"p", ""}}, `{"x":"` + maxNumeric + `","tags":["p",""]}`, `{"x":"` + maxNumeric + `","tags":["p",""]}`, [2]string{"dict", `[["x", ["decimal", "` + maxNumeric + `"]], ["tags", ["list", "[[\"str\", \"p\"], [\"str\", \"\"]]"]]]`}},
	{points, []any{query.Row{nil, []any{}}, query.Row{"1", []any{"q"}}}, `[{"x":null,"tags":[]},{"x":1,"tags":["q"]}]`, `[{"x":null,"tags":[]},{"x":1,"tags":["q"]}]`, [2]string{"list", `[["dict", "[[\"x\", [\"null\", \"\"]], [\"tags\", [\"list\", \"[]\"]]]"], ["dict", "[[\"x\", [\"decimal\", \"1\"]], [\"tags\", [\"list\", \"[[\\\"str\\\", \\\"q\\\"]]\"]]]"]]`}},
}

// result has a column for every sample; the second row is NULL all over.
func result() render.Result {
	var r render.Result
	values, nulls := query.Row{}, query.Row{}
	for i, s := range samples {
		s.field.Name = "c" + strconv.Itoa(i)
		r.Schema = append(r.Schema, s.field)
		values, nulls = append(values, s.value), append(nulls, nil)
	}
	r.Total, r.Rows = 2, seq(values, nulls)
	return r
}

func TestRoundTripCSV(t *testing.T) {
	out, _ := write(t, "csv", render.Options{}, result())
	records, err := stdcsv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(records) != 3 {
		t.Fatal(len(records), err)
	}
	for i, s := range samples {
		// encoding/csv reads \r\n in a quoted field as \n.
		if want := strings.ReplaceAll(s.text, "\r\n", "\n"); records[1][i] != want {
			t.Errorf("%s: %q, want %q", s.field.SQLType(), records[1][i], want)
		}
		if records[2][i] != "" {
			t.Errorf("%s: NULL became %q", s.field.SQLType(), records[2][i])
		}
	}
}

func TestRoundTripTSV(t *testing.T) {
	out, _ := write(t, "tsv", render.Options{}, result())
	lines := strings.Split(out, "\n")
	if len(lines) != 4 || lines[3] != "" {
		t.Fatalf("%d lines", len(lines))
	}
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r")
	for i, field := range strings.Split(lines[1], "\t") {
		if got := unescape.Replace(field); got != samples[i].text || field == `\N` {
			t.Errorf("%s: %q, want %q", samples[i].field.SQLType(), got, samples[i].text)
		}
	}
	if lines[2] != strings.TrimSuffix(strings.Repeat("\\N\t", len(samples)), "\t") {
		t.Errorf("NULLs became %q", lines[2])
	}
}

func TestRoundTripJSON(t *testing.T) {
	for _, format := range []string{"json", "ndjson"} {
		out, _ := write(t, format, render.Options{}, result())
		if format == "ndjson" {
			out = "[" + strings.ReplaceAll(strings.TrimSuffix(out, "\n"), "\n", ",") + "]"
		}
		var rows []map[string]stdjson.RawMessage
		if err := stdjson.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 {
			t.Fatal(format, len(rows), err)
		}
		for i, s := range samples {
			name := "c" + strconv.Itoa(i)
			if got := string(rows[0][name]); got != s.json {
				t.Errorf("%s, %s: %s, want %s", format, s.field.SQLType(), got, s.json)
			}
			if got := string(rows[1][name]); got != "null" {
				t.Errorf("%s, %s: NULL became %s", format, s.field.SQLType(), got)
			}
		}
	}
}

func TestRoundTripParquet(t *testing.T) {
	out, _ := write(t, "parquet", render.Options{}, result())
	table := readParquet(t, out)
	defer table.Release()
	for i, s := range samples {
		column := table.Column(i).Data().Chunk(0)
		if !column.IsNull(1) {
			t.Errorf("%s: NULL became %s", s.field.SQLType(), column.ValueStr(1))
		}
		got, want := column.ValueStr(0), s.parquet[1]
		switch c := column.(type) {
		case *array.List, *array.Struct, *array.Timestamp, *array.Float64:
			continue // Python reads them more plainly than ValueStr writes them
		case *array.Decimal128:
			got, want = c.Value(0).BigInt().String(), shifted(t, want, 9)
		case *array.Decimal256:
			got, want = c.Value(0).BigInt().String(), shifted(t, want, 38)
		case *array.Time64:
			got = strings.TrimSuffix(got, ".000000")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", s.field.SQLType(), got, want)
		}
	}
}

// shifted is the decimal times 10^scale.
func shifted(t *testing.T, text string, scale int64) string {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(scale), nil)))
	if !ok || !r.IsInt() {
		t.Fatalf("%s has more than %d digits after the point", text, scale)
	}
	return r.Num().String()
}

func readParquet(t *testing.T, text string) arrow.Table {
	t.Helper()
	reader, err := file.NewParquetReader(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	arrows, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := arrows.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Many row groups, and their sum.
func TestParquetRowGroups(t *testing.T) {
	const n = 300_000
	rows := func(yield func(query.Row, error) bool) {
		for i := range int64(n) {
			if !yield(query.Row{i, strconv.FormatInt(i*7919, 36)}, nil) {
				return
			}
		}
	}
	out, summary := write(t, "parquet", render.Options{}, render.Result{Schema: columns("INT64", "STRING"), Total: n, Rows: rows})
	if summary.Written != n {
		t.Errorf("%+v", summary)
	}
	reader, err := file.NewParquetReader(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if reader.NumRows() != n || reader.NumRowGroups() < 2 {
		t.Errorf("%d rows in %d groups", reader.NumRows(), reader.NumRowGroups())
	}
	table := readParquet(t, out)
	defer table.Release()
	next := int64(0)
	for _, chunk := range table.Column(1).Data().Chunks() {
		for i := range chunk.Len() {
			if got, want := chunk.ValueStr(i), strconv.FormatInt(next*7919, 36); got != want {
				t.Fatalf("row %d: %s, want %s", next, got, want)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("%d rows", next)
	}
}

func TestParquetRefusesWhatItCannotHold(t *testing.T) {
	for _, test := range []struct{ typ, value, want string }{
		{"NUMERIC", "0.0000000001", "more than 9 digits"},
		{"NUMERIC", "x", "not a decimal"},
		{"NUMERIC", strings.Repeat("9", 39), "too large"},
		{"BIGNUMERIC", "1e5", "not a decimal"},
		{"DATE", "tomorrow", "cannot parse"},
		{"TIMESTAMP", "2024-01-01", "cannot parse"},
	} {
		renderer, _ := render.New("parquet", render.Options{})
		_, err := renderer.Render(new(bytes.Buffer), render.Result{Schema: columns(test.typ), Rows: seq(query.Row{test.value})})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `row 1, column "a"`) {
			t.Errorf("%s %s: got %v", test.typ, test.value, err)
		}
	}
}

// Python reads all formats as they were meant. GCPML_PYTHON names the interpreter.
func TestRoundTripPython(t *testing.T) {
	python := os.Getenv("GCPML_PYTHON")
	for _, name := range []string{"python3", "python3.11"} {
		if python == "" && exec.Command(name, "-c", "import pyarrow").Run() == nil {
			python = name
		}
	}
	if python == "" {
		t.Skip("no Python with pyarrow: set GCPML_PYTHON to one (pip install pyarrow) to read the formats back with it")
	}
	dir := t.TempDir()
	for _, format := range []string{"csv", "tsv", "json", "ndjson", "parquet"} {
		out, _ := write(t, format, render.Options{}, result())
		if err := os.WriteFile(filepath.Join(dir, "out."+format), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.Command(python, filepath.Join("testdata", "read.py"), dir)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var got map[string][][][2]string
	if err := stdjson.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for format, rows := range got {
		if len(rows) != 2 || len(rows[0]) != len(samples) || len(rows[1]) != len(samples) {
			t.Fatalf("%s: %d rows", format, len(rows))
		}
		for i, s := range samples {
			want, null := [2]string{"str", s.text}, [2]string{"null", ""}
			switch format {
			case "parquet":
				want = s.parquet
			case "csv":
				null = [2]string{"str", ""}
			case "json", "ndjson":
				if !strings.HasPrefix(s.json, `"`) {
					want = rows[0][i] // a number or a nested value: what Python makes of it is compared in Go
				}
			}
			if rows[0][i] != want {
				t.Errorf("%s, %s: %q, want %q", format, s.field.SQLType(), rows[0][i], want)
			}
			if rows[1][i] != null {
				t.Errorf("%s, %s: NULL became %q", format, s.field.SQLType(), rows[1][i])
			}
		}
	}
	t.Logf("read back by %s", python)
}
