// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"encoding/json"
	"strings"
	"testing"
)

// The JSON is what jobs.insert documents for parameterType and parameterValue.
func TestParseParameter(t *testing.T) {
	for text, want := range map[string]string{
		"n:INT64:5":                            `{"name":"n","parameterType":{"type":"INT64"},"parameterValue":{"value":"5"}}`,
		"n:integer:-5":                         `{"name":"n","parameterType":{"type":"INT64"},"parameterValue":{"value":"-5"}}`,
		":FLOAT64:1e3":                         `{"parameterType":{"type":"FLOAT64"},"parameterValue":{"value":"1e3"}}`,
		"s::a:b":                               `{"name":"s","parameterType":{"type":"STRING"},"parameterValue":{"value":"a:b"}}`,
		"s::":                                  `{"name":"s","parameterType":{"type":"STRING"},"parameterValue":{"value":""}}`,
		"d:DATE:NULL":                          `{"name":"d","parameterType":{"type":"DATE"},"parameterValue":{"value":null}}`,
		"t:TIME:10:11:12":                      `{"name":"t","parameterType":{"type":"TIME"},"parameterValue":{"value":"10:11:12"}}`,
		"b:BOOL:True":                          `{"name":"b","parameterType":{"type":"BOOL"},"parameterValue":{"value":"true"}}`,
		"a:ARRAY<INT64>:[1,null]":              `{"name":"a","parameterType":{"arrayType":{"type":"INT64"},"type":"ARRAY"},"parameterValue":{"arrayValues":[{"value":"1"},{"value":null}]}}`,
		"a:ARRAY<STRING>:[]":                   `{"name":"a","parameterType":{"arrayType":{"type":"STRING"},"type":"ARRAY"},"parameterValue":{"arrayValues":[]}}`,
		`a:ARRAY<INT64>:[9223372036854775807]`: `{"name":"a","parameterType":{"arrayType":{"type":"INT64"},"type":"ARRAY"},"parameterValue":{"arrayValues":[{"value":"9223372036854775807"}]}}`,
		`s:STRUCT<x INT64, y STRING>:{"x":1,"y":"z"}`: `{"name":"s","parameterType":{"structTypes":[{"name":"x","type":{"type":"INT64"}},{"name":"y","type":{"type":"STRING"}}],"type":"STRUCT"},` +
			`"parameterValue":{"structValues":{"x":{"value":"1"},"y":{"value":"z"}}}}`,
		"r:RANGE<DATE>:[2024-01-01, UNBOUNDED)": `{"name":"r","parameterType":{"rangeElementType":{"type":"DATE"},"type":"RANGE"},"parameterValue":{"rangeValue":{"start":{"value":"2024-01-01"}}}}`,
		`j:JSON:{"a":[1]}`:                      `{"name":"j","parameterType":{"type":"JSON"},"parameterValue":{"value":"{\"a\":[1]}"}}`,
	} {
		p, err := ParseParameter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _ := json.Marshal(p); string(got) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestParseParameterErrors(t *testing.T) {
	for text, want := range map[string]string{
		"n":                               "NAME:TYPE:VALUE",
		"n:INT64":                         "NAME:TYPE:VALUE",
		"1n:INT64:5":                      "cannot be the name",
		"n:INT65:5":                       `"INT65" is not a type`,
		"n:INT64:5.5":                     `"5.5" is not a INT64`,
		"n:INT64:":                        `"" is not a INT64`,
		"n:BOOL:yes":                      "not a BOOL",
		"n:NUMERIC:1/3":                   "not a NUMERIC",
		"n:BYTES:%":                       "base64",
		"n:JSON:{":                        "not a JSON",
		"n:ARRAY<INT64>:1":                "1 is not an array",
		"n:ARRAY<INT64>:[1":               "not JSON",
		"n:ARRAY<INT64>:[1] [2]":          "more than one",
		`n:ARRAY<INT64>:["x"]`:            "element 0",
		"n:ARRAY<INT64>:[true]":           "true is not a INT64",
		"n:ARRAY<ARRAY<INT64>>:[]":        "no ARRAY of ARRAYs",
		"n:ARRAY<INT64:[]":                `want ">"`,
		"n:INT64>:1":                      `unexpected ">"`,
		`n:STRUCT<x INT64>:{"y":1}`:       "the field x is missing",
		`n:STRUCT<x INT64>:{"x":1,"y":1}`: "that the type has not",
		"n:STRUCT<INT64>:{}":              "has no name",
		"n:RANGE<INT64>:[1, 2)":           "a RANGE is of",
		"n:RANGE<DATE>:2024-01-01":        "[start, end)",
		"n:" + strings.Repeat("STRUCT<a ", 50) + ":1": "nested too deeply",
	} {
		if _, err := ParseParameter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestParseParameterMap(t *testing.T) {
	got, err := ParseParameterMap(map[string]any{
		"b": 5, "a": map[string]any{"type": "DATE", "value": "2024-01-01"}, "c": []any{"x"}, "d": true, "e": map[string]any{"type": "INT64", "value": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got)
	if want := `[{"name":"a","parameterType":{"type":"DATE"},"parameterValue":{"value":"2024-01-01"}},` +
		`{"name":"b","parameterType":{"type":"INT64"},"parameterValue":{"value":"5"}},` +
		`{"name":"c","parameterType":{"arrayType":{"type":"STRING"},"type":"ARRAY"},"parameterValue":{"arrayValues":[{"value":"x"}]}},` +
		`{"name":"d","parameterType":{"type":"BOOL"},"parameterValue":{"value":"true"}},` +
		`{"name":"e","parameterType":{"type":"INT64"},"parameterValue":{"value":null}}]`; string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	for want, in := range map[string]map[string]any{
		"type and value": {"a": map[string]any{"type": "INT64"}}, "empty array": {"a": []any{}}, "is unknown": {"a": nil}, "cannot be the name": {"a b": 1},
	} {
		if _, err := ParseParameterMap(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", in, err, want)
		}
	}
}
