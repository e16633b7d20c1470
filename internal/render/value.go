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
	"unicode/utf8"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// appendJSON appends a value as GoogleSQL's TO_JSON_STRING encodes it, so that the
// runner's JSON is what a BigQuery user knows; see the package documentation.
func appendJSON(out []byte, f *query.Field, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...)
	case string:
		switch f.Type {
		case "JSON":
			compact := bytes.NewBuffer(out)
			if stdjson.Compact(compact, []byte(v)) == nil {
				return compact.Bytes()
			}
		case "NUMERIC", "BIGNUMERIC":
			// No more digits than 2^53 has: in the range, and exact.
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && -1<<53 <= n && n <= 1<<53 {
				return strconv.AppendInt(out, n, 10)
			}
		}
		return appendString(out, v)
	case int64:
		if v < -1<<53 || v > 1<<53 {
			return append(strconv.AppendInt(append(out, '"'), v, 10), '"')
		}
		return strconv.AppendInt(out, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(appendFloat(append(out, '"'), v), '"')
		}
		return appendFloat(out, v)
	case bool:
		return strconv.AppendBool(out, v)
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(out, '"'), v), '"')
	case []any:
		element := *f
		element.Repeated = false
		out = append(out, '[')
		for i, e := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, &element, e)
		}
		return append(out, ']')
	case query.Row:
		return appendObject(out, f.Fields, v)
	}
	panic(fmt.Sprintf("render: a value of type %T for a column of type %s", value, f.SQLType()))
}

func appendObject(out []byte, fields []query.Field, row query.Row) []byte {
	out = append(out, '{')
	for i := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, fields[i].Name)
		out = append(out, ':')
		out = appendJSON(out, &fields[i], row[i])
	}
	return append(out, '}')
}

// appendString appends a JSON string, without the escapes that only HTML needs. What
// is not UTF-8 becomes U+FFFD.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	done := 0 // of s, is in out
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size - 1
				continue
			}
		}
		out = append(out, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			if c >= utf8.RuneSelf {
				out = append(out, "\uFFFD"...)
			} else {
				out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(append(out, s[done:]...), '"')
}

const hex = "0123456789abcdef"

// appendFloat appends the shortest text that reads back as the same number.
func appendFloat(out []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(out, "Infinity"...)
	case math.IsInf(v, -1):
		return append(out, "-Infinity"...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, v, format, -1, 64)
}

// appendPlain appends a value as the formats without types write it: a scalar as it
// is, a nested value as JSON. NULL is for the format to show.
func appendPlain(out []byte, f *query.Field, value any) []byte {
	if f.Repeated || f.Type == "STRUCT" {
		return appendJSON(out, f, value)
	}
	switch v := value.(type) {
	case string:
		return append(out, v...)
	case int64:
		return strconv.AppendInt(out, v, 10)
	case float64:
		return appendFloat(out, v)
	case bool:
		return strconv.AppendBool(out, v)
	case []byte:
		return base64.StdEncoding.AppendEncode(out, v)
	}
	return appendJSON(out, f, value)
}
