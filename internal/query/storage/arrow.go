// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// batches turns record batches of one Arrow schema into rows.
type batches struct {
	serialized []byte // the schema message, which precedes every batch
	schema     query.Schema
}

// newBatches checks that the Arrow schema is the one of the result set.
func newBatches(serialized []byte, schema query.Schema) (*batches, error) {
	reader, err := ipc.NewReader(bytes.NewReader(serialized))
	if err != nil {
		return nil, fmt.Errorf("the Arrow schema cannot be read: %w", err)
	}
	defer reader.Release()
	fields := reader.Schema().Fields()
	if len(fields) != len(schema) {
		return nil, fmt.Errorf("the Arrow schema has %d columns and the result set %d", len(fields), len(schema))
	}
	for i, f := range fields {
		if f.Name != schema[i].Name {
			return nil, fmt.Errorf("column %d is %q in the Arrow schema and %q in the result set", i+1, f.Name, schema[i].Name)
		}
	}
	return &batches{serialized, schema}, nil
}

// rowsPerBlock rows are made at once: enough to do the columns one after the other,
// and few enough to be out of the way of the garbage collector soon.
const rowsPerBlock = 256

// rows decodes one batch. The texts of the rows share its memory.
func (b *batches) rows(batch []byte) iter.Seq2[query.Row, error] {
	return func(yield func(query.Row, error) bool) {
		reader, err := ipc.NewReader(io.MultiReader(bytes.NewReader(b.serialized), bytes.NewReader(batch)))
		if err != nil {
			yield(nil, fmt.Errorf("a record batch cannot be read: %w", err))
			return
		}
		defer reader.Release()
		for reader.Next() {
			record := reader.RecordBatch()
			columns := make([]func(int) any, record.NumCols())
			for c := range columns {
				if columns[c], err = valuesOf(b.schema[c], record.Column(c)); err != nil {
					yield(nil, fmt.Errorf("column %q: %w", b.schema[c].Name, err))
					return
				}
			}
			width := len(columns)
			for start, end := 0, int(record.NumRows()); start < end; start += rowsPerBlock {
				n := min(rowsPerBlock, end-start)
				values := make([]any, n*width)
				for c, value := range columns {
					for i := range n {
						values[i*width+c] = value(start + i)
					}
				}
				for i := range n {
					if !yield(values[i*width:(i+1)*width:(i+1)*width], nil) {
						return
					}
				}
			}
		}
		if err := reader.Err(); err != nil {
			yield(nil, fmt.Errorf("a record batch cannot be read: %w", err))
		}
	}
}

// valuesOf returns a function that gives the i-th value of an array, as [query.Row]
// documents it.
func valuesOf(f query.Field, values arrow.Array) (func(i int) any, error) {
	if f.Repeated {
		list, ok := values.(*array.List)
		if !ok {
			return nil, mismatch(f, values)
		}
		f.Repeated = false
		element, err := valuesOf(f, list.ListValues())
		if err != nil {
			return nil, err
		}
		return func(i int) any {
			start, end := list.ValueOffsets(i)
			out := make([]any, 0, end-start)
			for ; start < end && list.IsValid(i); start++ {
				out = append(out, element(int(start)))
			}
			return out // BigQuery knows no NULL array in a result
		}, nil
	}
	value, err := scalarsOf(f, values)
	if err != nil || values.NullN() == 0 {
		return value, err
	}
	return func(i int) any {
		if values.IsNull(i) {
			return nil
		}
		return value(i)
	}, nil
}

// scalarsOf is valuesOf for values that are neither NULL nor an ARRAY.
func scalarsOf(f query.Field, values arrow.Array) (func(i int) any, error) {
	switch a := values.(type) {
	case *array.Boolean:
		if f.Type == "BOOL" {
			return func(i int) any { return a.Value(i) }, nil
		}
	case *array.Int64:
		if f.Type == "INT64" {
			return func(i int) any { return a.Value(i) }, nil
		}
	case *array.Float64:
		if f.Type == "FLOAT64" {
			return func(i int) any { return a.Value(i) }, nil
		}
	case *array.String:
		switch f.Type {
		case "STRING", "GEOGRAPHY", "JSON":
			return func(i int) any { return a.Value(i) }, nil
		}
	case *array.Binary:
		if f.Type == "BYTES" {
			return func(i int) any { return a.Value(i) }, nil
		}
	case *array.Date32:
		if f.Type == "DATE" {
			return func(i int) any { return query.DateText(int64(a.Value(i))) }, nil
		}
	case *array.Time64:
		if f.Type == "TIME" && unitOf(values) == arrow.Microsecond {
			return func(i int) any { return query.TimeText(int64(a.Value(i))) }, nil
		}
	case *array.Timestamp:
		switch {
		case unitOf(values) != arrow.Microsecond:
		case f.Type == "DATETIME":
			return func(i int) any { return query.DateTimeText(int64(a.Value(i))) }, nil
		case f.Type == "TIMESTAMP":
			return func(i int) any { return query.TimestampText(int64(a.Value(i))) }, nil
		}
	case *array.Decimal128:
		if t, ok := a.DataType().(*arrow.Decimal128Type); ok && (f.Type == "NUMERIC" || f.Type == "BIGNUMERIC") {
			return func(i int) any { return decimalText(a.Value(i), int(t.Scale)) }, nil
		}
	case *array.Decimal256:
		if t, ok := a.DataType().(*arrow.Decimal256Type); ok && (f.Type == "NUMERIC" || f.Type == "BIGNUMERIC") {
			return func(i int) any { return withPoint(a.Value(i).BigInt().String(), int(t.Scale)) }, nil
		}
	case *array.Struct:
		switch f.Type {
		case "STRUCT":
			return structsOf(f, a)
		case "RANGE":
			return rangesOf(f, a)
		}
	}
	return nil, mismatch(f, values)
}

func structsOf(f query.Field, a *array.Struct) (func(i int) any, error) {
	if a.NumField() != len(f.Fields) {
		return nil, mismatch(f, a)
	}
	fields := make([]func(int) any, a.NumField())
	for i := range fields {
		var err error
		if fields[i], err = valuesOf(f.Fields[i], a.Field(i)); err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Fields[i].Name, err)
		}
	}
	return func(i int) any {
		row := make(query.Row, len(fields))
		for j, field := range fields {
			row[j] = field(i)
		}
		return row
	}, nil
}

func rangesOf(f query.Field, a *array.Struct) (func(i int) any, error) {
	if a.NumField() != 2 {
		return nil, mismatch(f, a)
	}
	bound := query.Field{Type: f.Element}
	start, err1 := valuesOf(bound, a.Field(0))
	end, err2 := valuesOf(bound, a.Field(1))
	text := func(value any) string {
		if s, ok := value.(string); ok {
			return s
		}
		return "UNBOUNDED"
	}
	return func(i int) any { return query.RangeText(text(start(i)), text(end(i))) }, errors.Join(err1, err2)
}

func unitOf(values arrow.Array) arrow.TimeUnit {
	if t, ok := values.DataType().(arrow.TemporalWithUnit); ok {
		return t.TimeUnit()
	}
	return arrow.Nanosecond
}

func mismatch(f query.Field, values arrow.Array) error {
	return fmt.Errorf("BigQuery sent Arrow values of type %s for a column of type %s", values.DataType(), f.SQLType())
}

// decimalText writes a decimal as BigQuery does, without zeros at the end.
func decimalText(n decimal128.Num, scale int) string {
	if high, low := n.HighBits(), n.LowBits(); high == 0 && low>>63 == 0 || high == -1 && low>>63 == 1 {
		return withPoint(strconv.FormatInt(int64(low), 10), scale)
	}
	return withPoint(n.BigInt().String(), scale)
}

func withPoint(digits string, scale int) string {
	if scale <= 0 {
		return digits + strings.Repeat("0", -scale)
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	fraction := strings.TrimRight(digits[len(digits)-scale:], "0")
	if fraction == "" {
		return sign + digits[:len(digits)-scale]
	}
	return sign + digits[:len(digits)-scale] + "." + fraction
}
