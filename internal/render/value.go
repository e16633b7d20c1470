// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// appendJSON appends a value as GoogleSQL's TO_JSON_STRING encodes it, so that the
// runner's JSON is what a BigQuery user knows:
//
//	INT64                a number from -2^53 to 2^53, else a string, because most
//	                     readers of JSON would round it
//	NUMERIC, BIGNUMERIC  a number if it is an integer in that range, else a string
//	FLOAT64              a number; "NaN", "Infinity" and "-Infinity" are strings
//	BYTES                a string, base64
//	JSON                 the value itself
//	STRUCT, ARRAY        an object in the order of its fields, an array
//	all others           a string
func appendJSON(out []byte, f query.Field, value any) []byte {
	if value == nil {
		return append(out, "null"...)
	}
	switch v := value.(type) {
	case []any:
		f.Repeated = false
		out = append(out, '[')
		for i, element := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, f, element)
		}
		return append(out, ']')
	case bool:
		return strconv.AppendBool(out, v)
	case int64:
		if v < -1<<53 || v > 1<<53 {
			return appendString(out, strconv.FormatInt(v, 10))
		}
		return strconv.AppendInt(out, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendString(out, floatText(v))
		}
		return append(out, floatText(v)...)
	case []byte:
		return appendString(out, base64.StdEncoding.EncodeToString(v))
	case query.Row:
		return appendObject(out, f.Fields, v)
	case string:
		switch f.Type {
		case "JSON":
			var compact bytes.Buffer
			if stdjson.Compact(&compact, []byte(v)) == nil {
				return append(out, compact.Bytes()...)
			}
		case "NUMERIC", "BIGNUMERIC":
			// No more digits than 2^53 has: in the range, and exact.
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && -1<<53 <= n && n <= 1<<53 {
				return strconv.AppendInt(out, n, 10)
			}
		}
		return appendString(out, v)
	}
	panic(fmt.Sprintf("render: a value of type %T for a column of type %s", value, f.SQLType()))
}

func appendObject(out []byte, fields []query.Field, row query.Row) []byte {
	out = append(out, '{')
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, f.Name)
		out = append(out, ':')
		out = appendJSON(out, f, row[i])
	}
	return append(out, '}')
}

// appendString appends a JSON string, without the escapes that only HTML needs.
func appendString(out []byte, s string) []byte {
	var b bytes.Buffer
	e := stdjson.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// floatText is the shortest text that reads back as the same number.
func floatText(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(v, format, -1, 64)
}

// plainText is a value in a cell of a table or a CSV file: a scalar as it is, a
// nested value as JSON. NULL is for the format to show.
func plainText(f query.Field, value any) string {
	if f.Repeated || f.Type == "STRUCT" {
		return string(appendJSON(nil, f, value))
	}
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return floatText(v)
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	return string(appendJSON(nil, f, value))
}
