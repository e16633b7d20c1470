// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// column is a Field in the form that decoding needs: no comparison of strings for
// every value.
type column struct {
	Field
	decode   func(Field, []byte) (any, error)
	repeated bool
	fields   []column // of a STRUCT; decode is nil then
}

func columnsOf(fields []Field) []column {
	columns := make([]column, len(fields))
	for i, f := range fields {
		columns[i] = column{Field: f, repeated: f.Repeated}
		if f.Type == "STRUCT" {
			columns[i].fields = columnsOf(f.Fields)
			continue
		}
		decode, ok := decoders[f.Type]
		if !ok {
			decode = plain
		}
		columns[i].decode = decode
	}
	return columns
}

// rowDecoder reads the array of the rows of a page.
type rowDecoder struct {
	columns []column
	in      scanner
	begun   bool
	block   []any // room for the values of rows to come
	err     error
}

// more reports whether there is another row, or an error, to be had from row.
func (d *rowDecoder) more() bool {
	if len(d.in.data) == 0 {
		return false
	}
	if !d.begun {
		d.begun = true
		if !d.in.accept('[') {
			d.err = errJSON
		}
		return !d.in.accept(']')
	}
	if d.in.accept(']') {
		return false
	}
	if !d.in.accept(',') {
		d.err = errJSON
	}
	return true
}

// Rows get their memory in blocks: one allocation for many of them.
const rowsPerBlock = 64

func (d *rowDecoder) row() (Row, error) {
	if d.err != nil {
		return nil, d.err
	}
	n := len(d.columns)
	if len(d.block) < n {
		d.block = make([]any, n*rowsPerBlock)
	}
	row := Row(d.block[:n:n])
	d.block = d.block[n:]
	if !d.cells(d.columns, row) {
		return nil, fmt.Errorf("BigQuery sent a row that does not have the %d columns of the schema", n)
	}
	return row, d.err
}

// cells reads {"f": [{"v": value}, …]} into row and reports whether it has that
// form; errors of the values are kept in d.err.
func (d *rowDecoder) cells(columns []column, row Row) bool {
	if !d.in.member("f") || !d.in.accept('[') {
		return false
	}
	for i := range columns {
		if i > 0 && !d.in.accept(',') {
			return false
		}
		if d.in.null() {
			continue
		}
		if !d.in.member("v") {
			return false
		}
		value, err := d.value(&columns[i], columns[i].repeated)
		if err != nil {
			d.err = fmt.Errorf("column %q: %w", columns[i].Name, err)
			return true
		}
		row[i] = value
		if !d.in.leave() {
			return false
		}
	}
	return d.in.accept(']') && d.in.leave()
}

func (d *rowDecoder) value(c *column, repeated bool) (any, error) {
	switch {
	case d.in.null():
		return nil, nil
	case repeated:
		return d.array(c)
	case c.decode == nil:
		row := make(Row, len(c.fields))
		if !d.cells(c.fields, row) {
			return nil, d.mismatch(c)
		}
		return row, d.err
	case d.in.peek() != '"':
		return nil, d.mismatch(c)
	}
	text, err := d.in.text()
	if err != nil {
		return nil, err
	}
	value, err := c.decode(c.Field, text)
	if err != nil {
		f := c.Field
		f.Repeated = false
		return nil, fmt.Errorf("BigQuery sent %q, which is not a %s: %w", text, f.SQLType(), err)
	}
	return value, nil
}

func (d *rowDecoder) array(c *column) (any, error) {
	if !d.in.accept('[') {
		return nil, d.mismatch(c)
	}
	out := []any{}
	if d.in.accept(']') {
		return out, nil
	}
	for {
		if !d.in.member("v") {
			return nil, d.mismatch(c)
		}
		value, err := d.value(c, false)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", len(out), err)
		}
		out = append(out, value)
		if !d.in.leave() {
			return nil, d.mismatch(c)
		}
		if d.in.accept(']') {
			return out, nil
		}
		if !d.in.accept(',') {
			return nil, d.mismatch(c)
		}
	}
}

func (d *rowDecoder) mismatch(c *column) error {
	found := d.in.data[d.in.next():]
	return fmt.Errorf("BigQuery sent %.20q for a column of type %s", found[:min(len(found), 20)], c.SQLType())
}

var decoders = map[string]func(Field, []byte) (any, error){
	"BOOL": func(_ Field, text []byte) (any, error) {
		switch string(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("neither true nor false")
	},
	"INT64": func(_ Field, text []byte) (any, error) { return strconv.ParseInt(string(text), 10, 64) },
	"FLOAT64": func(_ Field, text []byte) (any, error) {
		switch string(text) {
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
		return strconv.ParseFloat(string(text), 64)
	},
	"BYTES": func(_ Field, text []byte) (any, error) {
		return base64.StdEncoding.AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(text))), text)
	},
	"TIMESTAMP": func(_ Field, text []byte) (any, error) { return timestamp(string(text)) },
	"DATETIME":  func(_ Field, text []byte) (any, error) { return TrimFraction(string(text)), nil },
	"TIME":      func(_ Field, text []byte) (any, error) { return TrimFraction(string(text)), nil },
	"INTERVAL":  func(_ Field, text []byte) (any, error) { return TrimFraction(string(text)), nil },
	"RANGE":     func(f Field, text []byte) (any, error) { return rangeText(f, string(text)) },
}

func plain(_ Field, text []byte) (any, error) {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return string(text), nil
}

// secondsText keeps exponents out that would fill the memory.
var secondsText = regexp.MustCompile(`^-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$`)

// timestamp turns the wire form, microseconds since 1970 because we ask for them,
// into RFC 3339. A server that ignores the wish sends seconds as a decimal number;
// that is read exactly too.
func timestamp(text string) (string, error) {
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		if !secondsText.MatchString(text) {
			return "", errors.New("neither microseconds nor seconds since 1970")
		}
		seconds, _ := new(big.Rat).SetString(text)
		scaled := seconds.Mul(seconds, big.NewRat(1_000_000, 1))
		if !scaled.IsInt() || !scaled.Num().IsInt64() {
			return "", errors.New("finer than a microsecond or out of range")
		}
		micros = scaled.Num().Int64()
	}
	return TimestampText(micros), nil
}

func rangeText(f Field, text string) (string, error) {
	inner, ok1 := strings.CutPrefix(text, "[")
	inner, ok2 := strings.CutSuffix(inner, ")")
	start, end, ok3 := strings.Cut(inner, ", ")
	if !ok1 || !ok2 || !ok3 {
		return "", errors.New("not of the form [start, end)")
	}
	for _, bound := range []*string{&start, &end} {
		switch {
		case *bound == "UNBOUNDED":
		case f.Element == "DATETIME":
			*bound = TrimFraction(*bound)
		case f.Element == "TIMESTAMP":
			var err error
			if *bound, err = timestamp(*bound); err != nil {
				return "", err
			}
		}
	}
	return RangeText(start, end), nil
}

// The texts of [Row], for those who read rows in another form than JSON.

// RangeText returns a RANGE. A bound that is missing is "UNBOUNDED".
func RangeText(start, end string) string { return "[" + start + ", " + end + ")" }

// TrimFraction drops the zeros at the end of a fraction of a second, and the point
// if nothing is left.
func TrimFraction(text string) string {
	if strings.IndexByte(text, '.') < 0 {
		return text
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// TimestampText returns a TIMESTAMP of microseconds since 1970 in UTC.
func TimestampText(micros int64) string {
	var b [32]byte
	return string(append(appendDateTime(b[:0], micros), 'Z'))
}

// DateTimeText returns a DATETIME of microseconds since 1970.
func DateTimeText(micros int64) string {
	var b [32]byte
	return string(appendDateTime(b[:0], micros))
}

// DateText returns a DATE of days since 1970.
func DateText(days int64) string {
	var b [32]byte
	return string(appendDate(b[:0], days))
}

// TimeText returns a TIME of microseconds since midnight.
func TimeText(micros int64) string {
	var b [32]byte
	return string(appendClock(b[:0], micros))
}

const microsPerDay = 24 * 60 * 60 * 1_000_000

func appendDateTime(out []byte, micros int64) []byte {
	days, clock := micros/microsPerDay, micros%microsPerDay
	if clock < 0 {
		days, clock = days-1, clock+microsPerDay
	}
	return appendClock(append(appendDate(out, days), 'T'), clock)
}

func appendDate(out []byte, days int64) []byte {
	y, m, d := time.Unix(days*24*60*60, 0).UTC().Date()
	if y < 0 || y > 9999 { // no date of BigQuery
		return fmt.Appendf(out, "%d-%02d-%02d", y, m, d)
	}
	out = append(out, byte('0'+y/1000), byte('0'+y/100%10))
	out = append(appendTwo(out, y%100), '-')
	return appendTwo(append(appendTwo(out, int(m)), '-'), d)
}

func appendClock(out []byte, micros int64) []byte {
	seconds := int(micros / 1_000_000)
	out = append(appendTwo(out, seconds/3600), ':')
	out = append(appendTwo(out, seconds/60%60), ':')
	out = appendTwo(out, seconds%60)
	fraction := int(micros % 1_000_000)
	if fraction == 0 {
		return out
	}
	out = append(out, '.')
	for unit := 100_000; fraction > 0; unit /= 10 {
		out = append(out, byte('0'+fraction/unit))
		fraction %= unit
	}
	return out
}

func appendTwo(out []byte, n int) []byte { return append(out, byte('0'+n/10%10), byte('0'+n%10)) }
