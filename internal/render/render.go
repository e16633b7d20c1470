// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package render writes a result set for a person (table, vertical, markdown) or a
// program (csv, tsv, json, ndjson, parquet). It decides nothing else: where the text
// goes and which result sets are written is the caller's business.
//
// All write while they read and hold no more than a few rows at a time, however many
// there are. (A table measures its columns on the first 1000.) When reading fails
// halfway the text of a format for programs stays unfinished on purpose: a truncated
// document that parses would be taken for the whole.
//
// # How values are written
//
// Nothing is rounded, in any format. The first column is GoogleSQL's type:
//
//	            csv, tsv, table, …          json, ndjson                  parquet
//	BOOL        true, false                 true, false                   BOOLEAN
//	INT64       digits                      number from -2^53 to 2^53,    INT64
//	                                        else a string
//	FLOAT64     shortest exact decimals;    number; the three words       DOUBLE
//	            NaN, Infinity, -Infinity    are strings
//	NUMERIC     digits                      number if it is an integer    DECIMAL(38, 9)
//	                                        in that range, else a string
//	BIGNUMERIC  digits                      the same                      DECIMAL(76, 38) in 32 bytes
//	STRING      as it is                    string                        STRING
//	BYTES       base64                      string, base64                BYTE_ARRAY
//	DATE        2024-05-06                  string                        DATE
//	TIME        07:08:09.123456             string                        TIME in microseconds
//	DATETIME    2024-05-06T07:08:09.123456  string                        TIMESTAMP in microseconds, local
//	TIMESTAMP   2024-05-06T07:08:09.5Z      string                        TIMESTAMP in microseconds, UTC
//	INTERVAL    1-2 3 4:5:6.789             string                        STRING, the same text
//	RANGE       [start, end), UNBOUNDED     string                        STRING, the same text
//	GEOGRAPHY   well-known text             string                        STRING
//	JSON        as it is                    the value itself              STRING
//	STRUCT      as in json                  object in the order of its    group
//	                                        fields
//	ARRAY       as in json                  array                         LIST
//	NULL        see the format              null                          null
//
// JSON is that of GoogleSQL's TO_JSON_STRING: most readers of JSON would round larger
// numbers. A fraction of a second has as many digits as it needs.
package render

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Result is a result set. The zero Result stands for "there is none".
type Result struct {
	Schema query.Schema
	// Total is the number of rows to come.
	Total uint64
	Rows  iter.Seq2[query.Row, error]
}

// Renderer writes one result set. It stops at the first error that the rows bring
// and returns it.
type Renderer interface {
	Render(io.Writer, Result) (Summary, error)
}

// Summary tells what was written.
type Summary struct {
	Written uint64 // rows
	// Cut says that rows were left out because of [Options.MaxRows].
	Cut bool
}

// Options apply to all formats that know them.
type Options struct {
	// MaxRows is the most rows of a result set that are written; 0 writes all.
	// [DefaultMaxRows] is what a format that is read by people begins with.
	MaxRows uint64
	// Width is that of the terminal that a table has to fit, in columns; 0 lets it
	// be as wide as its values are.
	Width int
}

// DefaultMaxRows returns how many rows of a result set a format writes when nobody
// asked for another number: as many as a person may want to look at, or all (0).
func DefaultMaxRows(format string) uint64 {
	if ForMachines(format) {
		return 0
	}
	return 1000
}

var formats = map[string]func(Options) Renderer{
	"table":    func(o Options) Renderer { return table{o.MaxRows, o.Width} },
	"vertical": func(o Options) Renderer { return vertical{o.MaxRows} },
	"markdown": func(o Options) Renderer { return markdown{o.MaxRows} },
	"csv":      func(o Options) Renderer { return csv{o.MaxRows} },
	"tsv":      func(o Options) Renderer { return tsv{o.MaxRows} },
	"json":     func(o Options) Renderer { return json{o.MaxRows} },
	"ndjson":   func(o Options) Renderer { return ndjson{o.MaxRows} },
	"parquet":  func(o Options) Renderer { return parquet{o.MaxRows} },
	"none":     func(o Options) Renderer { return none{o.MaxRows} },
}

// Formats lists the names that [New] knows, sorted.
func Formats() []string {
	var names []string
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ForMachines reports whether a format is one that programs read: then the output
// has to be one valid document.
func ForMachines(format string) bool {
	switch format {
	case "table", "vertical", "markdown":
		return false
	}
	return true
}

// Binary reports whether a format is not text, and so nothing for a terminal.
func Binary(format string) bool { return format == "parquet" }

// New returns the renderer of a format.
func New(format string, o Options) (Renderer, error) {
	renderer, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("%q is not a format: use one of %s", format, strings.Join(Formats(), ", "))
	}
	return renderer(o), nil
}

// each calls write for every row, n counting from 0, up to the most of them.
func each(r Result, most uint64, write func(n uint64, row []any) error) (Summary, error) {
	var s Summary
	if r.Rows == nil {
		return s, nil
	}
	for row, err := range r.Rows {
		if err != nil {
			return s, err
		}
		if most > 0 && s.Written == most {
			s.Cut = true
			break
		}
		if err := write(s.Written, row); err != nil {
			return s, err
		}
		s.Written++
	}
	return s, nil
}

// lines is a buffer in front of a writer to which the formats of text append.
type lines struct {
	buf []byte
	w   io.Writer
}

const flushAt = 64 << 10

func newLines(w io.Writer) *lines { return &lines{make([]byte, 0, flushAt+flushAt/4), w} }

func (l *lines) end() { l.buf = append(l.buf, '\n') }

func (l *lines) flush() error {
	_, err := l.w.Write(l.buf)
	if l.buf = l.buf[:0]; cap(l.buf) > 16*flushAt { // one huge row
		l.buf = make([]byte, 0, flushAt)
	}
	return err
}

// rows appends every row by write, and writes what there is to write, also before
// an error.
func (l *lines) rows(r Result, most uint64, write func(n uint64, row []any)) (Summary, error) {
	s, err := each(r, most, func(n uint64, row []any) error {
		write(n, row)
		if len(l.buf) < flushAt {
			return nil
		}
		return l.flush()
	})
	return s, errors.Join(err, l.flush())
}
