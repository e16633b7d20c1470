// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

func openText(t *testing.T, name, content string, types map[string]string, input ...bqml.Column) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path, input, types)
	if input, ok := errors.AsType[*InputError](err); ok {
		return f, errors.New(strings.ReplaceAll(input.Message, path, "FILE"))
	}
	return f, err
}

var reviewInput = []bqml.Column{{Name: "text", Type: "STRING"}, {Name: "stars", Type: "INT64"}, {Name: "vector", Type: "ARRAY<FLOAT64>"}}

// rowsText shows columns and rows, NULL as -.
func rowsText(t *testing.T, f *File) string {
	t.Helper()
	var b strings.Builder
	for _, c := range f.Columns {
		fmt.Fprintf(&b, "%s %s|", c.Name, c.Type)
	}
	for row, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%d:", row.Line)
		for _, cell := range row.Cells {
			if cell == nil {
				b.WriteString("-|")
				continue
			}
			fmt.Fprintf(&b, "%v|", cell)
		}
	}
	return b.String()
}

func TestFileRows(t *testing.T) {
	for name, test := range map[string]struct {
		file, content string
		types         map[string]string
		want          string
	}{
		"csv": {
			"a.CSV", "\xef\xbb\xbfid,Text,stars,vector,note\r\n007,\"a, \"\"b\"\"\nc\",5,\"[1, 2.5]\",x\r\n8,,,,\r\n", nil,
			"id STRING|Text STRING|stars INT64|vector ARRAY<FLOAT64>|note STRING|\n2:007|a, \"b\"\nc|5|[1 2.5]|x|\n4:8||-|-||",
		},
		"csv with types": {
			"a.csv", "id,text,stars,vector,day,at,price,ok\n007,t,+5,[],2024-02-29,2024-01-01T02:00:00.5+02:00,1.50,TRUE\n",
			map[string]string{"ID": "int64", "day": "DATE", "at": "TIMESTAMP", "price": "NUMERIC", "ok": "BOOL"},
			"id INT64|text STRING|stars INT64|vector ARRAY<FLOAT64>|day DATE|at TIMESTAMP|price NUMERIC|ok BOOL|\n2:7|t|5|[]|2024-02-29|2024-01-01 00:00:00.5+00|1.50|true|",
		},
		"jsonl": {
			"a.jsonl", `{"text":"é\n","stars":9007199254740993,"vector":[1,"NaN"],"n":1,"f":1,"b":true,"s":"x","o":{"a": 1},"m":"y"}` + "\n\n" +
				`{"f":1.5,"m":2,"vector":null,"stars":"7","text":null,"late":"z"}`, nil,
			"text STRING|stars INT64|vector ARRAY<FLOAT64>|n INT64|f FLOAT64|b BOOL|s STRING|o STRING|m STRING|late STRING|\n" +
				"1:é\n|9007199254740993|[1 NaN]|1|1|true|x|{\"a\": 1}|\"y\"|-|\n3:-|7|-|-|1.5|-|-|-|2|z|",
		},
		"no rows": {"a.csv", "text,stars,vector\n", nil, "text STRING|stars INT64|vector ARRAY<FLOAT64>|"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := openText(t, test.file, test.content, test.types, reviewInput...)
			if err != nil {
				t.Fatal(err)
			}
			if got := rowsText(t, f); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// What a file does not hold as it should is told with its line, before anything else.
func TestFileErrors(t *testing.T) {
	const header = "text,stars,vector"
	object := func(text, stars, vector string) string {
		return fmt.Sprintf(`{"text":%s,"stars":%s,"vector":%s}`, text, stars, vector) + "\n"
	}
	for want, test := range map[string]struct {
		file, content string
		types         map[string]string
	}{
		`FILE:1: there is no column "stars", which the model takes (stars INT64); there is text, vector`: {"a.csv", "text,vector\n", nil},
		"FILE:1: the file is empty":                                {"a.csv", "", nil},
		`FILE:3: column "stars": "five" is not of type INT64`:      {"a.csv", header + "\na,5,[]\nb,five,[]\n", nil},
		`FILE:3: column "stars": "1.5" is not of type INT64`:       {"a.csv", header + "\n\"a\n\",1.5,[]\n", nil},
		"FILE:2: there are 2 fields, the header has 3":             {"a.csv", header + "\na,5\n", nil},
		`FILE:2: column "vector": element 2: "x" is not of type`:   {"a.csv", header + "\na,5,\"[1,\"\"x\"\"]\"\n", nil},
		`FILE:2: column "vector": 1 is not a JSON array`:           {"a.csv", header + "\na,5,1\n", nil},
		`FILE:2: bare " in non-quoted-field`:                       {"a.csv", header + "\na\"b,5,[]\n", nil},
		`FILE:1: column "TEXT" occurs twice`:                       {"a.csv", header + ",TEXT\n", nil},
		`FILE:1: column "a b" is not a column name`:                {"a.csv", header + ",a b\n", nil},
		`FILE:1: column "_gcpml_row": names that start with`:       {"a.csv", header + ",_gcpml_row\n", nil},
		`FILE:2: column "text": the text is not UTF-8`:             {"a.csv", header + "\n\xff,5,[]\n", nil},
		`FILE:1: there is no column "id", for which a type`:        {"a.csv", header + "\n", map[string]string{"id": "INT64"}},
		"column \"id\": \"money\" is not a type":                   {"b.csv", header + ",id\n", map[string]string{"id": "money"}},
		`column "text" has the type STRING of the model's input`:   {"a.csv", header + "\n", map[string]string{"text": "INT64"}},
		`FILE:2: column "p": 1.0000000001 has more than the 9`:     {"a.csv", header + ",p\na,5,[],1.0000000001\n", map[string]string{"p": "NUMERIC"}},
		`FILE:2: column "p": 1e30 is beyond the range of NUMERIC`:  {"a.csv", header + ",p\na,5,[],1e30\n", map[string]string{"p": "NUMERIC"}},
		`FILE:2: column "d": "2023-02-29" is not of type DATE`:     {"a.csv", header + ",d\na,5,[],2023-02-29\n", map[string]string{"d": "DATE"}},
		`FILE:2: column "text": 5 is not of type STRING`:           {"a.jsonl", object(`"a"`, "1", "[]") + object("5", "1", "[]"), nil},
		`FILE:1: column "stars": true is not of type INT64`:        {"a.jsonl", object(`"a"`, "true", "[]"), nil},
		`FILE:1: column "vector": element 1: an array cannot hold`: {"a.jsonl", object(`"a"`, "1", "[null]"), nil},
		`FILE:2: there is no column "stars", which the model`:      {"a.jsonl", object(`"a"`, "1", "[]") + `{"text":"a","vector":[]}`, nil},
		"FILE:1: not a JSON object: each line has to be one":       {"a.jsonl", "[1]\n", nil},
		"FILE:1: not JSON: ":                                       {"a.jsonl", "{\"text\"\n", nil},
		"FILE:1: there is something after the object":              {"a.jsonl", "{} {}\n", nil},
		`FILE:1: column "Text" occurs twice in one object`:         {"a.jsonl", `{"text":"a","Text":"b"}`, nil},
		`FILE:1: the line is not UTF-8`:                            {"a.jsonl", "{\"text\":\"\xff\"}", nil},
		`FILE: ".txt" is not a known kind of file`:                 {"a.txt", "", nil},
	} {
		_, err := openText(t, test.file, test.content, test.types, reviewInput...)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none.csv"), reviewInput, nil); err == nil || !strings.HasSuffix(err.Error(), "none.csv: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

// Parameters hold all rows once, in their order and numbered, and never more than the
// endpoint's requests do where large rows are among them.
func TestFileBatches(t *testing.T) {
	var content strings.Builder
	content.WriteString("text\n")
	const rows = 25_000
	for i := range rows {
		size := 20
		if i%1000 == 7 {
			size = 300_000
		}
		fmt.Fprintf(&content, "%d%s\n", i, strings.Repeat("é", size/2))
	}
	f, err := openText(t, "a.csv", content.String(), nil, reviewInput[0])
	if err != nil {
		t.Fatal(err)
	}
	if f.Rows != rows {
		t.Fatalf("%d rows", f.Rows)
	}
	for _, l := range []*limits{nil, {batch: 128, ordinary: requestFor / 128}} {
		next := int64(1)
		for b, err := range f.batches(l) {
			if err != nil {
				t.Fatal(err)
			}
			var decoded [][]string
			if err := json.Unmarshal(b.json, &decoded); err != nil {
				t.Fatal(err)
			}
			if b.first != next || int64(len(decoded)) != b.rows || b.rows == 0 || b.rows > maxBatchFile || len(b.json) > maxBatchBytes+400_000 {
				t.Fatalf("batch %d of %d rows and %d bytes, holding %d; want %d", b.first, b.rows, len(b.json), len(decoded), next)
			}
			bytes, large := 0, false
			for i, cells := range decoded {
				if len(cells) != 2 || cells[1] != fmt.Sprint(next+int64(i)) || !strings.HasPrefix(cells[0], fmt.Sprint(next+int64(i)-1)+"é") {
					t.Fatalf("row %d is %.40q", next+int64(i), cells)
				}
				bytes += len(`{"text":""}`) + len(cells[0])
				large = large || len(cells[0]) > requestFor/128
			}
			if l != nil && large && bytes > requestFor {
				t.Errorf("batch %d: %d bytes in one request", b.first, bytes)
			}
			next += b.rows
		}
		if next != rows+1 {
			t.Errorf("%d rows in batches", next-1)
		}
	}
	huge, err := openText(t, "b.csv", "text\nshort\n"+strings.Repeat("x", requestFor)+"\n", nil, reviewInput[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range huge.batches(&limits{batch: 128, ordinary: requestFor / 128}) {
	}
	if err == nil || !strings.Contains(err.Error(), "b.csv:3: the row is too large for a request") {
		t.Errorf("got %v", err)
	}
}
