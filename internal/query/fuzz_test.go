// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a server sends as rows is decoded to the documented types or refused.
func FuzzRows(f *testing.F) {
	f.Add(`{"schema": ` + schemaJSON + `, "rows": [{"f": [{"v": "true"}, null, {"v": [1]}]}]}`)
	f.Add(`{"schema": {"fields": [{"name": "a", "type": "INT64", "mode": "REPEATED"}]}, "rows": [{"f": [{"v": [{"v": "1"}, {"v": null}]}]}]}`)
	f.Add(`{"schema": {"fields": [{"type": "RECORD", "fields": [{"type": "TIMESTAMP"}]}]}, "rows": [{"f": [{"v": {"f": [{"v": "1e3"}]}}]}]}`)
	f.Add(`{"schema": {"fields": [{"type": "RANGE", "rangeElementType": {"type": "TIMESTAMP"}}]}, "rows": [{"f": [{"v": "[1, UNBOUNDED)"}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		page, err := parsePage([]byte(text))
		if err != nil {
			return
		}
		schema, err := schemaOf(page.schema)
		if err != nil {
			return
		}
		rows := rowDecoder{columns: columnsOf(schema), in: scanner{data: page.rows}}
		for rows.more() {
			row, err := rows.row()
			if err != nil {
				return
			}
			for i, value := range row {
				checkType(t, schema[i], value)
			}
		}
	})
}

// What encoding/json reads as a page of strings is read alike.
func FuzzScanner(f *testing.F) {
	f.Add(`{"jobComplete": true, "pageToken": "\u00e9\ud83d\ude00\n", "totalRows": "7", "rows": [{"f": [{"v": "\\\""}, {"v": null}]}, {"f": [{"v": "<\u003c>"}, {"v": ""}]}]}`)
	f.Add(`{"x": [[], {}, -1.5e3, "]}"], "rows": null, "pageToken": null}`)
	f.Add(` { "rows" : [ ] , "y" : { "rows" : 1 } } `)
	f.Fuzz(func(t *testing.T, text string) {
		var want struct {
			JobComplete bool
			PageToken   string
			TotalRows   uint64 `json:",string"`
			Rows        []struct{ F []struct{ V *string } }
		}
		if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) != nil || strings.Count(text, `"rows"`)+strings.Count(text, `"f"`)+strings.Count(text, `"v"`) != strings.Count(strings.ToLower(text), `"rows"`)+strings.Count(strings.ToLower(text), `"f"`)+strings.Count(strings.ToLower(text), `"v"`) {
			return // encoding/json ignores case
		}
		page, err := parsePage([]byte(text))
		if err != nil {
			t.Skip() // more than strings, such as a schema that is none
		}
		if _, ok := members["pageToken"]; ok && page.token != want.PageToken {
			t.Errorf("token %q, want %q", page.token, want.PageToken)
		}
		width := 0
		if len(want.Rows) > 0 {
			width = len(want.Rows[0].F)
		}
		fields := make([]Field, width)
		rows := rowDecoder{columns: columnsOf(fields), in: scanner{data: page.rows}}
		for i := 0; rows.more(); i++ {
			row, err := rows.row()
			if err != nil {
				return // objects of more than one member, or rows of unequal length
			}
			for j, value := range row {
				switch v := want.Rows[i].F[j].V; {
				case v == nil && value != nil, v != nil && value != *v:
					t.Errorf("row %d, column %d: got %q of %s", i, j, value, text)
				}
			}
		}
	})
}

func checkType(t *testing.T, f Field, value any) {
	ok := value == nil
	switch v := value.(type) {
	case bool:
		ok = f.Type == "BOOL" && !f.Repeated
	case int64:
		ok = f.Type == "INT64" && !f.Repeated
	case float64:
		ok = f.Type == "FLOAT64" && !f.Repeated
	case []byte:
		ok = f.Type == "BYTES" && !f.Repeated
	case string:
		ok = !f.Repeated && f.Type != "STRUCT"
	case Row:
		ok = f.Type == "STRUCT" && !f.Repeated && len(v) == len(f.Fields)
		for i := range v {
			checkType(t, f.Fields[i], v[i])
		}
	case []any:
		ok = f.Repeated
		f.Repeated = false
		for _, element := range v {
			checkType(t, f, element)
		}
	}
	if !ok {
		t.Errorf("%T for %s", value, f.SQLType())
	}
}
