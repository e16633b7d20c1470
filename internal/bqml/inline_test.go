// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func decodeValues(t *testing.T, text string) (values []any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		t.Fatal(err)
	}
	return values
}

// The suggested type holds every value exactly.
func TestSuggestedType(t *testing.T) {
	for values, want := range map[string]string{
		`[null]`:                              "STRING",
		`["a", null]`:                         "STRING",
		`[true, null, false]`:                 "BOOL",
		`[1, -9223372036854775808]`:           "INT64",
		`[9223372036854775808]`:               "FLOAT64",    // 2^63, which a float has
		`[9223372036854775809]`:               "BIGNUMERIC", // 2^63 + 1
		`[1, 0.5]`:                            "FLOAT64",
		`[0.5, 1]`:                            "FLOAT64",
		`[0.1, 1e300]`:                        "FLOAT64",
		`[0.12345678901234567890]`:            "BIGNUMERIC",
		`[0.12345678901234567890,1]`:          "BIGNUMERIC",
		`[0.5,0.12345678901234567890,0.5]`:    "BIGNUMERIC",
		`[[1, 2], [], [0.5]]`:                 "ARRAY<FLOAT64>",
		`[[], null]`:                          "ARRAY<STRING>",
		`[{"b": 1, "a": "x"}, {"c": [true]}]`: "STRUCT<a STRING, b INT64, c ARRAY<BOOL>>",
		`[[{"x": 1}]]`:                        "ARRAY<STRUCT<x INT64>>",
	} {
		if got, err := suggestedType(decodeValues(t, values)); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", values, got, err, want)
		}
	}
	for values, words := range map[string]string{
		`["a", 1]`:             "STRING and others INT64",
		`[true, "x"]`:          "BOOL and others STRING",
		`[1, [1]]`:             "INT64 and others ARRAY",
		`[[1, null]]`:          "null elements",
		`[[[1]]]`:              "ARRAY of ARRAYs",
		`[{}]`:                 "without fields",
		`[{"a b": 1}]`:         "column name",
		`[{"a": 1}, {"a":""}]`: "field a",
	} {
		if got, err := suggestedType(decodeValues(t, values)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %s (%v), want %s", values, got, err, words)
		}
	}
}

func TestInlineParameter(t *testing.T) {
	rows := &InlineRows{
		Rows:  []map[string]any{{"Text": "a", "n": json.Number("1"), "day": "2026-01-31"}, {"n": nil, "extra": json.Number("2.5")}},
		Types: map[string]string{"day": "DATE"},
	}
	input := []Column{{"text", "STRING"}, {"n", "NUMERIC"}}
	p, err := rows.parameter(input)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	// As https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter describes it.
	want := `{"name":"gcpml_rows","parameterType":{"arrayType":{"structTypes":[` +
		`{"name":"Text","type":{"type":"STRING"}},{"name":"day","type":{"type":"DATE"}},{"name":"extra","type":{"type":"FLOAT64"}},{"name":"n","type":{"type":"NUMERIC"}}],"type":"STRUCT"},"type":"ARRAY"},` +
		`"parameterValue":{"arrayValues":[{"structValues":{"Text":{"value":"a"},"day":{"value":"2026-01-31"},"extra":{"value":null},"n":{"value":"1"}}},` +
		`{"structValues":{"Text":{"value":null},"day":{"value":null},"extra":{"value":"2.5"},"n":{"value":null}}}]}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	// Without rows the columns are the model's.
	if p, err = (&InlineRows{}).parameter(input); err != nil || len(p.ParameterType.ArrayType.StructTypes) != 2 || p.ParameterValue.ArrayValues == nil {
		t.Errorf("no rows: %+v, %v", p, err)
	}
	if _, err = (&InlineRows{}).parameter(nil); err == nil {
		t.Error("no rows, and no columns")
	}
	if _, err = rows.parameter([]Column{{"text", "INT64"}}); err == nil || !strings.Contains(err.Error(), `"a" is not a INT64`) {
		t.Errorf("a value of another type: %v", err)
	}
}

func TestInlineSQL(t *testing.T) {
	r := PredictRequest{Model: gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"}, Rows: &InlineRows{Rows: []map[string]any{{"text": "a'); DROP TABLE t; --"}}}, MaxRows: 1}
	sql, err := r.SQL()
	const want = "SELECT * EXCEPT (gcpml_row) FROM ML.PREDICT(MODEL `p.d.m`, (SELECT r.*, gcpml_row FROM UNNEST(@gcpml_rows) AS r WITH OFFSET AS gcpml_row)) ORDER BY gcpml_row"
	if err != nil || sql != want {
		t.Errorf("%s (%v), want %s", sql, err, want)
	}
	for name, rows := range map[string][]map[string]any{
		"too many":      {{"a": "x"}, {"a": "y"}},
		"a bad name":    {{"remote_model_status": "x"}},
		"equal by case": {{"a": "x", "A": "y"}},
	} {
		r.Rows.Rows = rows
		if sql, err := r.SQL(); err == nil {
			t.Errorf("%s: %s", name, sql)
		}
	}
}

// Types that are given are judged by themselves, before a model is asked for.
func TestInlineTypes(t *testing.T) {
	for _, c := range []struct {
		types       map[string]string
		value       any
		field, says string
	}{
		{map[string]string{"n": "INT64"}, json.Number("1"), "", ""},
		{map[string]string{"n": "INT64"}, nil, "", ""},
		{map[string]string{"n": "ARRAY<INT64>"}, []any{json.Number("1")}, "", ""},
		{map[string]string{"n": "TEXT"}, "x", "row_types", `"TEXT"`},
		{map[string]string{"n": "INT64"}, "x", "rows", "row 0, n"},
		{map[string]string{"m": "INT64"}, "x", "row_types", "no row has"},
	} {
		r := PredictRequest{MaxRows: 1, Rows: &InlineRows{Rows: []map[string]any{{"n": c.value}}, Types: c.types}}
		_, err := r.SQL()
		var field *FieldError
		if errors.As(err, &field); (err == nil) != (c.field == "") || err != nil && (field == nil || field.Field != c.field || !strings.Contains(field.Message, c.says)) {
			t.Errorf("%v of %v: %v", c.types, c.value, err)
		}
	}
}
