// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"bytes"
	"io"
)

// csv writes a header and one record per row with the quoting of RFC 4180, and a
// line feed between records, as other tools on Unix do. NULL is an empty field and
// an empty string is "", so the two stay apart. In a result of a single column
// NULL is "" too, because readers skip an empty line. Nested values are JSON.
//
// encoding/csv is not used: it cannot quote an empty string, and writes a NULL in a
// single column as the empty line that its own reader skips.
type csv struct{ maxRows uint64 }

func (c csv) Render(w io.Writer, r Result) (Summary, error) {
	out := newLines(w)
	if r.Rows == nil {
		return Summary{}, nil
	}
	for i, f := range r.Schema {
		if i > 0 {
			out.buf = append(out.buf, ',')
		}
		out.buf = quoteCSV(append(out.buf, f.Name...), len(out.buf))
	}
	out.end()
	return out.rows(r, c.maxRows, func(_ uint64, row []any) {
		for i, value := range row {
			if i > 0 {
				out.buf = append(out.buf, ',')
			}
			switch {
			case value != nil:
				start := len(out.buf)
				out.buf = quoteCSV(appendPlain(out.buf, &r.Schema[i], value), start)
			case len(row) == 1:
				out.buf = append(out.buf, `""`...)
			}
		}
		out.end()
	})
}

// quoteCSV quotes the field that begins at start if it has to be.
func quoteCSV(out []byte, start int) []byte {
	field := out[start:]
	quote := len(field) == 0 || field[0] == ' ' || field[len(field)-1] == ' '
	for _, c := range field {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			quote = true
			break
		}
	}
	if !quote {
		return out
	}
	field = bytes.ReplaceAll(field, []byte(`"`), []byte(`""`)) // a copy
	return append(append(append(out[:start], '"'), field...), '"')
}

// tsv writes a header and one line per row, the fields apart by tabs. As in the text
// format of PostgreSQL's COPY and of MySQL, NULL is \N, and a tab, line feed, carriage
// return or backslash in a value is \t, \n, \r or \\: splitting at tabs and line
// feeds is always right. Nested values are JSON.
type tsv struct{ maxRows uint64 }

func (t tsv) Render(w io.Writer, r Result) (Summary, error) {
	out := newLines(w)
	if r.Rows == nil {
		return Summary{}, nil
	}
	for i, f := range r.Schema {
		if i > 0 {
			out.buf = append(out.buf, '\t')
		}
		out.buf = escapeTSV(append(out.buf, f.Name...), len(out.buf))
	}
	out.end()
	return out.rows(r, t.maxRows, func(_ uint64, row []any) {
		for i, value := range row {
			if i > 0 {
				out.buf = append(out.buf, '\t')
			}
			if value == nil {
				out.buf = append(out.buf, `\N`...)
				continue
			}
			start := len(out.buf)
			out.buf = escapeTSV(appendPlain(out.buf, &r.Schema[i], value), start)
		}
		out.end()
	})
}

// escapeTSV escapes the field that begins at start if it has to be.
func escapeTSV(out []byte, start int) []byte {
	if !bytes.ContainsAny(out[start:], "\t\n\r\\") {
		return out
	}
	field := bytes.Clone(out[start:])
	out = out[:start]
	for _, c := range field {
		switch c {
		case '\t':
			out = append(out, `\t`...)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\\':
			out = append(out, `\\`...)
		default:
			out = append(out, c)
		}
	}
	return out
}
