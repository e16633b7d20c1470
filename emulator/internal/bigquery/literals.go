// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"strconv"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
)

// parameterType is the type of a query parameter as SQL spells it.
func parameterType(t *bq.QueryParameterType) string {
	switch {
	case t.Type == "ARRAY" && t.ArrayType != nil:
		return "ARRAY<" + parameterType(t.ArrayType) + ">"
	case t.Type == "STRUCT":
		fields := make([]string, len(t.StructTypes))
		for i, f := range t.StructTypes {
			fields[i] = parameterType(f.Type)
			if f.Name != "" {
				fields[i] = quote(f.Name) + " " + fields[i]
			}
		}
		return "STRUCT<" + strings.Join(fields, ", ") + ">"
	}
	return t.Type
}

// literal is the value of a query parameter as an expression. A scalar without a
// value is NULL, but for a STRING, which is empty.
func literal(t *bq.QueryParameterType, v *bq.QueryParameterValue) string {
	if v == nil {
		return "CAST(NULL AS " + parameterType(t) + ")"
	}
	switch t.Type {
	case "ARRAY":
		elements := make([]string, len(v.ArrayValues))
		for i, e := range v.ArrayValues {
			elements[i] = literal(t.ArrayType, e)
		}
		return parameterType(t) + "[" + strings.Join(elements, ", ") + "]"
	case "STRUCT":
		fields := make([]string, len(t.StructTypes))
		for i, f := range t.StructTypes {
			var value *bq.QueryParameterValue
			if given, ok := v.StructValues[f.Name]; ok {
				value = &given
			}
			fields[i] = literal(f.Type, value)
		}
		return parameterType(t) + "(" + strings.Join(fields, ", ") + ")"
	case "STRING":
		return quoteString(v.Value)
	}
	if v.Value == "" && t.Type != "BYTES" {
		return "CAST(NULL AS " + t.Type + ")"
	}
	switch t.Type {
	case "BYTES":
		return "FROM_BASE64(" + quoteString(v.Value) + ")"
	case "JSON":
		return "PARSE_JSON(" + quoteString(v.Value) + ")"
	case "GEOGRAPHY":
		return "ST_GEOGFROMTEXT(" + quoteString(v.Value) + ")"
	case "INT64", "INTEGER":
		if _, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
			return "(" + v.Value + ")" // also where an expression cannot stand
		}
	}
	return "CAST(" + quoteString(v.Value) + " AS " + t.Type + ")"
}
