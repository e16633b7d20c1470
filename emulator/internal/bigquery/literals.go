// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"slices"
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

// forgotten reports whether the engine forgets the type of a parameter: it takes a
// NUMERIC, a DATE or an array for text.
func forgotten(t *bq.QueryParameterType) bool {
	switch t.Type {
	case "NUMERIC", "BIGNUMERIC", "DATE", "TIME", "DATETIME", "TIMESTAMP", "STRUCT":
		return true
	case "ARRAY":
		return t.ArrayType != nil && (forgotten(t.ArrayType) || slices.Contains([]string{"BOOL", "INT64", "FLOAT64", "STRING", "BYTES"}, t.ArrayType.Type))
	}
	return false
}

// literal is the value of a query parameter as an expression. What has no value is
// NULL.
func literal(t *bq.QueryParameterType, v *bq.QueryParameterValue) string {
	null := "CAST(NULL AS " + parameterType(t) + ")"
	if v == nil {
		return null
	}
	switch t.Type {
	case "ARRAY":
		if v.ArrayValues == nil {
			return null
		}
		elements := make([]string, len(v.ArrayValues))
		for i, e := range v.ArrayValues {
			elements[i] = literal(t.ArrayType, e)
		}
		return parameterType(t) + "[" + strings.Join(elements, ", ") + "]"
	case "STRUCT":
		if v.StructValues == nil {
			return null
		}
		fields := make([]string, len(t.StructTypes))
		for i, f := range t.StructTypes {
			var value *bq.QueryParameterValue
			if given, ok := v.StructValues[f.Name]; ok {
				value = &given
			}
			fields[i] = literal(f.Type, value)
		}
		return parameterType(t) + "(" + strings.Join(fields, ", ") + ")"
	}
	switch {
	case v.Value == "" && !slices.Contains(v.ForceSendFields, "Value"):
		return null
	case t.Type == "STRING":
		return quoteString(v.Value)
	case t.Type == "BYTES":
		return "FROM_BASE64(" + quoteString(v.Value) + ")"
	}
	return "CAST(" + quoteString(v.Value) + " AS " + t.Type + ")"
}
