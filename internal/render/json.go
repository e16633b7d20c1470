// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import "io"

// json writes one array with an object per row, a row per line. No result set is
// an empty array, so that the output is valid JSON whatever was run.
type json struct{ maxRows uint64 }

func (j json) Render(w io.Writer, r Result) (Summary, error) {
	out := newLines(w)
	out.buf = append(out.buf, '[')
	summary, err := out.rows(r, j.maxRows, func(n uint64, row []any) {
		if n > 0 {
			out.buf = append(out.buf, ',')
		}
		out.buf = append(out.buf, "\n  "...)
		out.buf = appendObject(out.buf, r.Schema, row)
	})
	if err != nil {
		return summary, err
	}
	if summary.Written > 0 {
		out.buf = append(out.buf, '\n')
	}
	out.buf = append(out.buf, "]\n"...)
	return summary, out.flush()
}

// ndjson writes an object per row and line: newline-delimited JSON, or JSON Lines.
type ndjson struct{ maxRows uint64 }

func (j ndjson) Render(w io.Writer, r Result) (Summary, error) {
	out := newLines(w)
	return out.rows(r, j.maxRows, func(_ uint64, row []any) {
		out.buf = appendObject(out.buf, r.Schema, row)
		out.end()
	})
}

// none writes nothing, but reads all rows, so that an error in the middle of them is
// one and the rows can be counted.
type none struct{ maxRows uint64 }

func (n none) Render(_ io.Writer, r Result) (Summary, error) {
	return each(r, n.maxRows, func(uint64, []any) error { return nil })
}
