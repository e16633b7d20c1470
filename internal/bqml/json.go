// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// JSON returns the rows as an array of objects, keys in the order of the columns.
// Numbers have all their digits; NaN and the infinities, which JSON has no numbers
// for, are the strings "NaN", "Infinity" and "-Infinity". It also reports whether
// there are any of those.
func (p *Prediction) JSON() (text string, nonFinite bool) {
	e := encoder{}
	e.WriteByte('[')
	for i, row := range p.Rows {
		if i > 0 {
			e.WriteByte(',')
		}
		e.object(p.Schema, row)
	}
	e.WriteByte(']')
	return e.String(), e.nonFinite
}

type encoder struct {
	bytes.Buffer
	nonFinite bool
}

func (e *encoder) object(fields []query.Field, row query.Row) {
	e.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			e.WriteByte(',')
		}
		e.string(FieldName(f, i))
		e.WriteByte(':')
		e.value(f, row[i])
	}
	e.WriteByte('}')
}

func (e *encoder) value(f query.Field, v any) {
	switch v := v.(type) {
	case nil:
		e.WriteString("null")
	case bool:
		e.WriteString(strconv.FormatBool(v))
	case int64:
		e.WriteString(strconv.FormatInt(v, 10))
	case float64:
		if text, finite := floatText(v); finite {
			e.WriteString(text)
		} else {
			e.nonFinite = true
			e.string(text)
		}
	case []byte:
		e.string(base64.StdEncoding.EncodeToString(v))
	case query.Row:
		e.object(f.Fields, v)
	case []any:
		f.Repeated = false
		e.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				e.WriteByte(',')
			}
			e.value(f, element)
		}
		e.WriteByte(']')
	case string:
		if isDecimal(f.Type) && json.Valid([]byte(v)) {
			e.WriteString(v)
			return
		}
		e.string(v)
	default:
		e.string(fmt.Sprint(v))
	}
}

// string writes a JSON string without the HTML escapes of [json.Marshal].
func (e *encoder) string(s string) {
	j := json.NewEncoder(&e.Buffer)
	j.SetEscapeHTML(false)
	_ = j.Encode(s) // strings always encode
	e.Truncate(e.Len() - 1)
}

func isDecimal(sqlType string) bool { return strings.HasSuffix(sqlType, "NUMERIC") }

func floatText(f float64) (text string, finite bool) {
	switch {
	case math.IsNaN(f):
		return "NaN", false
	case math.IsInf(f, 1):
		return "Infinity", false
	case math.IsInf(f, -1):
		return "-Infinity", false
	}
	return strconv.FormatFloat(f, 'g', -1, 64), true
}

// FieldName is the name of a field, also of the anonymous ones of a STRUCT.
func FieldName(f query.Field, index int) string {
	if f.Name == "" {
		return fmt.Sprintf("_field_%d", index+1)
	}
	return f.Name
}
