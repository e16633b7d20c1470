// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// hash is a short text that stands for a longer one.
func hash(text string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(text))
	return fmt.Sprintf("%x", h.Sum(nil))
}

func tableSchema(fields []*ast.Field) *bq.TableSchema {
	return &bq.TableSchema{Fields: schemaFields(fields)}
}

func schemaFields(fields []*ast.Field) []*bq.TableFieldSchema {
	var out []*bq.TableFieldSchema
	for i, f := range fields {
		name := f.Name
		if strings.HasPrefix(name, "$col") {
			name = fmt.Sprintf("f%d_", i) // what BigQuery calls a column without a name
		}
		out = append(out, &bq.TableFieldSchema{Name: name, Type: f.Type, Mode: f.Mode, Fields: schemaFields(f.Fields)})
	}
	return out
}

// sqlType is the type of a field as SQL spells it.
func sqlType(f *ast.Field) string {
	t := f.Type
	switch t {
	case "INTEGER":
		t = "INT64"
	case "FLOAT":
		t = "FLOAT64"
	case "BOOLEAN":
		t = "BOOL"
	case "RECORD", "STRUCT":
		fields := make([]string, len(f.Fields))
		for i, inner := range f.Fields {
			fields[i] = quote(inner.Name) + " " + sqlType(inner)
		}
		t = "STRUCT<" + strings.Join(fields, ", ") + ">"
	}
	if f.Mode == "REPEATED" {
		return "ARRAY<" + t + ">"
	}
	return t
}

// encodeRows renders rows as BigQuery's JSON. The engine gives a TIMESTAMP as
// microseconds or as text; a client gets microseconds or, by default, seconds.
func encodeRows(result *ast.Result, start, end int, int64Times bool) []json.RawMessage {
	rows := make([]json.RawMessage, 0, end-start)
	for _, row := range result.Rows[start:end] {
		cells := make([]any, len(row))
		for i, cell := range row {
			cells[i] = map[string]any{"v": encodeCell(cell, result.Fields[i], int64Times)}
		}
		data, err := json.Marshal(map[string]any{"f": cells})
		if err != nil {
			data = []byte("{}") // decoded JSON can always be encoded again
		}
		rows = append(rows, data)
	}
	return rows
}

func encodeCell(cell any, f *ast.Field, int64Times bool) any {
	switch cell := cell.(type) {
	case []any: // REPEATED
		out := make([]any, len(cell))
		element := *f
		element.Mode = "NULLABLE"
		for i, e := range cell {
			out[i] = map[string]any{"v": encodeCell(inner(e), &element, int64Times)}
		}
		return out
	case map[string]any: // RECORD
		cells, _ := cell["f"].([]any)
		out := make([]any, len(cells))
		for i, e := range cells {
			if i < len(f.Fields) {
				out[i] = map[string]any{"v": encodeCell(inner(e), f.Fields[i], int64Times)}
			}
		}
		return map[string]any{"f": out}
	case string:
		if f.Type == "TIMESTAMP" {
			return encodeTimestamp(cell, int64Times)
		}
	}
	return cell
}

// inner is the value in a {"v": value} cell.
func inner(cell any) any {
	if m, ok := cell.(map[string]any); ok {
		return m["v"]
	}
	return cell
}

func encodeTimestamp(text string, int64Times bool) string {
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 MST"} {
			if t, err := time.Parse(layout, text); err == nil {
				return encodeTimestamp(strconv.FormatInt(t.UnixMicro(), 10), int64Times)
			}
		}
		return text
	}
	if int64Times {
		return text
	}
	return strconv.FormatFloat(float64(micros)/1e6, 'f', 6, 64)
}

// columnType is the type of an INPUT or OUTPUT column of a remote model.
type columnType struct {
	scalar string // BOOL, INT64, FLOAT64, NUMERIC, BIGNUMERIC or STRING
	array  bool
}

var modelTypes = []string{"BOOL", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "STRING"}

// aliases are other names of the same types.
var typeAliases = map[string]string{
	"BOOLEAN": "BOOL", "INT": "INT64", "INTEGER": "INT64", "SMALLINT": "INT64", "BIGINT": "INT64", "TINYINT": "INT64", "BYTEINT": "INT64",
	"FLOAT": "FLOAT64", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC",
}

func parseColumnType(text string) (columnType, bool) {
	element, array := strings.CutPrefix(text, "ARRAY<")
	if array {
		var closed bool
		if element, closed = strings.CutSuffix(element, ">"); !closed {
			return columnType{}, false
		}
	}
	if canonical, ok := typeAliases[element]; ok {
		element = canonical
	}
	for _, t := range modelTypes {
		if t == element {
			return columnType{t, array}, true
		}
	}
	return columnType{}, false
}

func (t columnType) String() string {
	if t.array {
		return "ARRAY<" + t.scalar + ">"
	}
	return t.scalar
}

func (t columnType) standardSQL() *bq.StandardSqlDataType {
	scalar := &bq.StandardSqlDataType{TypeKind: t.scalar}
	if t.array {
		return &bq.StandardSqlDataType{TypeKind: "ARRAY", ArrayElementType: scalar}
	}
	return scalar
}

// accepts reports whether a column of the query can be passed as this type:
// itself or a number type that fits in it.
func (t columnType) accepts(f *ast.Field) bool {
	from, ok := parseColumnType(sqlType(f))
	if !ok || from.array != t.array {
		return false
	}
	if from.scalar == t.scalar {
		return true
	}
	wider := map[string]string{"INT64": "NUMERIC BIGNUMERIC FLOAT64", "NUMERIC": "BIGNUMERIC FLOAT64", "BIGNUMERIC": "FLOAT64"}
	return !t.array && strings.Contains(" "+wider[from.scalar]+" ", " "+t.scalar+" ")
}

// toJSON turns a cell of the engine into the value that is sent to the endpoint.
func (t columnType) toJSON(cell any) (*structpb.Value, error) {
	if cell == nil {
		return structpb.NewNullValue(), nil
	}
	if t.array {
		cells, ok := cell.([]any)
		if !ok {
			return nil, fmt.Errorf("the engine gave %T for an array", cell)
		}
		list := &structpb.ListValue{Values: make([]*structpb.Value, len(cells))}
		for i, c := range cells {
			v, err := columnType{scalar: t.scalar}.toJSON(inner(c))
			if err != nil {
				return nil, err
			}
			list.Values[i] = v
		}
		return structpb.NewListValue(list), nil
	}
	text, ok := cell.(string)
	if !ok {
		return nil, fmt.Errorf("the engine gave %T for a scalar", cell)
	}
	switch t.scalar {
	case "STRING":
		return structpb.NewStringValue(text), nil
	case "BOOL":
		return structpb.NewBoolValue(text == "true"), nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
		return nil, fmt.Errorf("%s cannot be written in JSON", text)
	}
	return structpb.NewNumberValue(number), nil
}

var errShape = errors.New("shape")

// fromJSON turns a value that the endpoint answered into a SQL expression of this
// type. A value of another type or shape is an error.
func (t columnType) fromJSON(v *structpb.Value) (string, error) {
	if _, null := v.GetKind().(*structpb.Value_NullValue); null || v == nil {
		return "CAST(NULL AS " + t.String() + ")", nil
	}
	if !t.array {
		return t.literal(v)
	}
	list, ok := v.GetKind().(*structpb.Value_ListValue)
	if !ok {
		return "", errShape
	}
	elements := make([]string, len(list.ListValue.GetValues()))
	for i, e := range list.ListValue.GetValues() {
		text, err := columnType{scalar: t.scalar}.literal(e)
		if err != nil {
			return "", err
		}
		elements[i] = text
	}
	return t.String() + "[" + strings.Join(elements, ", ") + "]", nil
}

func (t columnType) literal(v *structpb.Value) (string, error) {
	switch v := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		if t.scalar == "STRING" {
			return quoteString(v.StringValue), nil
		}
	case *structpb.Value_BoolValue:
		if t.scalar == "BOOL" {
			return strconv.FormatBool(v.BoolValue), nil
		}
	case *structpb.Value_NumberValue:
		n := v.NumberValue
		if math.IsInf(n, 0) || math.IsNaN(n) {
			return "", errShape
		}
		switch t.scalar {
		case "FLOAT64":
			return "CAST('" + strconv.FormatFloat(n, 'g', -1, 64) + "' AS FLOAT64)", nil
		case "INT64":
			if whole, accuracy := big.NewFloat(n).Int(nil); accuracy == big.Exact && whole.IsInt64() {
				return "CAST('" + whole.String() + "' AS INT64)", nil
			}
		case "NUMERIC", "BIGNUMERIC":
			// Beyond these bounds the cast itself would fail and with it the query.
			if limit := map[string]float64{"NUMERIC": 1e29, "BIGNUMERIC": 5.7e38}[t.scalar]; math.Abs(n) < limit {
				return "CAST('" + strconv.FormatFloat(n, 'f', -1, 64) + "' AS " + t.scalar + ")", nil
			}
		}
	}
	return "", errShape
}

// quoteString writes a string literal.
func quoteString(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range text {
		switch {
		case r == '\\' || r == '\'':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
