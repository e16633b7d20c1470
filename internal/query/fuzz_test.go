// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"encoding/json"
	"testing"

	bigquery "google.golang.org/api/bigquery/v2"
)

// Whatever a server sends as rows is decoded to the documented types or refused.
func FuzzRows(f *testing.F) {
	f.Add(`{"schema": ` + schemaJSON + `, "rows": [{"f": [{"v": "true"}, null, {"v": [1]}]}]}`)
	f.Add(`{"schema": {"fields": [{"name": "a", "type": "INT64", "mode": "REPEATED"}]}, "rows": [{"f": [{"v": [{"v": "1"}, {"v": null}]}]}]}`)
	f.Add(`{"schema": {"fields": [{"type": "RECORD", "fields": [{"type": "TIMESTAMP"}]}]}, "rows": [{"f": [{"v": {"f": [{"v": "1e3"}]}}]}]}`)
	f.Add(`{"schema": {"fields": [{"type": "RANGE", "rangeElementType": {"type": "TIMESTAMP"}}]}, "rows": [{"f": [{"v": "[1, UNBOUNDED)"}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		page := new(bigquery.GetQueryResultsResponse)
		if json.Unmarshal([]byte(text), page) != nil {
			return
		}
		schema, err := schemaOf(page.Schema)
		if err != nil {
			return
		}
		for _, wire := range page.Rows {
			row, err := decodeRow(schema, wire)
			if err != nil {
				continue
			}
			for i, value := range row {
				checkType(t, schema[i], value)
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
