// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// parquet writes one Parquet file, compressed with Snappy, that any reader of the
// format understands; the Arrow schema is kept in it. No result set is a file
// without columns.
type parquet struct{ maxRows uint64 }

const (
	// rowsPerBatch are converted at once.
	rowsPerBatch = 2048
	// A row group is in memory until it is complete, so it is ended early: at a size
	// that readers still find worth a read.
	rowGroupBytes = 2 << 20
	rowGroupRows  = 128 << 10
	pageBytes     = 256 << 10
)

func (p parquet) Render(w io.Writer, r Result) (s Summary, err error) {
	fields := make([]arrow.Field, len(r.Schema))
	for i, f := range r.Schema {
		fields[i] = arrow.Field{Name: f.Name, Type: arrowType(f), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	// The library closes what it writes to if it can, which is the caller's to do.
	file, err := pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, pq.NewWriterProperties(pq.WithCompression(compress.Codecs.Snappy),
		pq.WithVersion(pq.V2_LATEST), pq.WithMaxRowGroupLength(rowGroupRows), pq.WithDataPageSize(pageBytes), pq.WithDictionaryPageSizeLimit(pageBytes)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return s, err
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(rowsPerBatch)
	columns := make([]func(any) error, len(fields))
	for i, f := range r.Schema {
		columns[i] = appender(f, b.Field(i))
	}
	pending := 0
	write := func() error {
		if pending == 0 {
			return nil
		}
		pending = 0
		batch := b.NewRecordBatch()
		defer batch.Release()
		b.Reserve(rowsPerBatch)
		if err := file.WriteBuffered(batch); err != nil {
			return err
		}
		if file.RowGroupTotalBytesWritten() >= rowGroupBytes {
			return file.NewBufferedRowGroupChecked()
		}
		return nil
	}
	s, err = each(r, p.maxRows, func(n uint64, row []any) error {
		for i, value := range row {
			if err := columns[i](value); err != nil {
				return fmt.Errorf("row %d, column %q cannot be written as Parquet: %w", n+1, r.Schema[i].Name, err)
			}
		}
		if pending++; pending < rowsPerBatch {
			return nil
		}
		return write()
	})
	if err != nil {
		return s, err // without the footer, which makes it a file
	}
	return s, errors.Join(write(), file.Close())
}

// arrowType is the type of the column in Parquet; see the package documentation.
func arrowType(f query.Field) arrow.DataType {
	if f.Repeated {
		f.Repeated = false
		return arrow.ListOf(arrowType(f))
	}
	switch f.Type {
	case "BOOL":
		return arrow.FixedWidthTypes.Boolean
	case "INT64":
		return arrow.PrimitiveTypes.Int64
	case "FLOAT64":
		return arrow.PrimitiveTypes.Float64
	case "NUMERIC":
		return &arrow.Decimal128Type{Precision: 38, Scale: 9}
	case "BIGNUMERIC":
		return &arrow.Decimal256Type{Precision: 76, Scale: 38}
	case "BYTES":
		return arrow.BinaryTypes.Binary
	case "DATE":
		return arrow.FixedWidthTypes.Date32
	case "TIME":
		return arrow.FixedWidthTypes.Time64us
	case "DATETIME":
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case "TIMESTAMP":
		return arrow.FixedWidthTypes.Timestamp_us
	case "STRUCT":
		fields := make([]arrow.Field, len(f.Fields))
		for i, sub := range f.Fields {
			fields[i] = arrow.Field{Name: sub.Name, Type: arrowType(sub), Nullable: true}
		}
		return arrow.StructOf(fields...)
	}
	return arrow.BinaryTypes.String
}

// appender returns what appends a value of the field to its builder.
func appender(f query.Field, builder array.Builder) func(any) error {
	write := valueAppender(f, builder)
	return func(value any) error {
		if value == nil {
			builder.AppendNull()
			return nil
		}
		return write(value)
	}
}

func valueAppender(f query.Field, builder array.Builder) func(any) error {
	switch b := builder.(type) {
	case *array.ListBuilder:
		f.Repeated = false
		element := appender(f, b.ValueBuilder())
		return func(value any) error {
			values, ok := value.([]any)
			if !ok {
				return unexpected(value)
			}
			b.Append(true)
			for _, v := range values {
				if err := element(v); err != nil {
					return err
				}
			}
			return nil
		}
	case *array.StructBuilder:
		fields := make([]func(any) error, len(f.Fields))
		for i, sub := range f.Fields {
			fields[i] = appender(sub, b.FieldBuilder(i))
		}
		return func(value any) error {
			row, ok := value.(query.Row)
			if !ok || len(row) != len(fields) {
				return unexpected(value)
			}
			b.Append(true)
			for i, field := range fields {
				if err := field(row[i]); err != nil {
					return err
				}
			}
			return nil
		}
	case *array.BooleanBuilder:
		return typed(b.Append)
	case *array.Int64Builder:
		return typed(b.Append)
	case *array.Float64Builder:
		return typed(b.Append)
	case *array.BinaryBuilder:
		return typed(b.Append)
	case *array.StringBuilder:
		return typed(b.Append)
	case *array.Decimal128Builder:
		return parsed(func(text string) (decimal128.Num, error) {
			digits, err := unscaled(text, 9)
			if err != nil {
				return decimal128.Num{}, err
			}
			if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
				return decimal128.FromI64(n), nil
			}
			n, err := integer(digits, 127)
			if err != nil {
				return decimal128.Num{}, err
			}
			return decimal128.FromBigInt(n), nil
		}, b.Append)
	case *array.Decimal256Builder:
		return parsed(func(text string) (decimal256.Num, error) {
			digits, err := unscaled(text, 38)
			if err != nil {
				return decimal256.Num{}, err
			}
			n, err := integer(digits, 255)
			if err != nil {
				return decimal256.Num{}, err
			}
			if n.BitLen() > 255 { // the least number of all, which FromBigInt does not take
				return decimal256.New(1<<63, 0, 0, 0), nil
			}
			return decimal256.FromBigInt(n), nil
		}, b.Append)
	case *array.Date32Builder:
		return parsed(func(text string) (arrow.Date32, error) {
			t, err := time.Parse(time.DateOnly, text)
			return arrow.Date32(t.Unix() / (24 * 60 * 60)), err
		}, b.Append)
	case *array.Time64Builder:
		return parsed(func(text string) (arrow.Time64, error) {
			t, err := time.Parse("15:04:05", text)
			return arrow.Time64(t.Sub(t.Truncate(24 * time.Hour)).Microseconds()), err
		}, b.Append)
	case *array.TimestampBuilder:
		zone := "" // a TIMESTAMP brings it
		if f.Type == "DATETIME" {
			zone = "Z"
		}
		return parsed(func(text string) (arrow.Timestamp, error) {
			t, err := time.Parse(time.RFC3339, text+zone)
			return arrow.Timestamp(t.UnixMicro()), err
		}, b.Append)
	}
	panic(fmt.Sprintf("render: no way to write a %s", f.SQLType())) // arrowType knows no other
}

func unexpected(value any) error { return fmt.Errorf("unexpected value of type %T", value) }

// typed appends values that are in Row as they are in Arrow.
func typed[T any](write func(T)) func(any) error {
	return func(value any) error {
		v, ok := value.(T)
		if !ok {
			return unexpected(value)
		}
		write(v)
		return nil
	}
}

// parsed appends values that are text in Row.
func parsed[T any](parse func(string) (T, error), write func(T)) func(any) error {
	return func(value any) error {
		text, ok := value.(string)
		if !ok {
			return unexpected(value)
		}
		v, err := parse(text)
		if err == nil {
			write(v)
		}
		return err
	}
}

// unscaled returns the digits of the decimal times 10^scale, a whole number.
func unscaled(text string, scale int) (string, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > scale {
		return "", fmt.Errorf("%q has more than %d digits after the point", text, scale)
	}
	return whole + fraction + zeros[:scale-len(fraction)], nil
}

const zeros = "00000000000000000000000000000000000000" // 38

// integer returns a whole number that fits in so many bits and a sign.
func integer(digits string, bits int) (*big.Int, error) {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil, errors.New("not a decimal number")
	}
	magnitude := n
	if n.Sign() < 0 {
		magnitude = new(big.Int).Not(n) // -2^bits is the least that fits
	}
	if magnitude.BitLen() > bits {
		return nil, errors.New("the number is too large")
	}
	return n, nil
}
