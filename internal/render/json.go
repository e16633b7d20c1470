// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"bufio"
	"io"
)

// json writes one array with an object per row, a row per line. No result set is
// an empty array, so that the output is valid JSON whatever was run.
type json struct{}

func (json) Render(w io.Writer, r Result) (Summary, error) {
	out := bufio.NewWriter(w)
	var s Summary
	_, _ = out.WriteString("[") // a bufio.Writer keeps its error for Flush
	if r.Rows != nil {
		var line []byte
		for row, err := range r.Rows {
			if err != nil {
				_ = out.Flush()
				return s, err
			}
			line = line[:0]
			if s.Written > 0 {
				line = append(line, ',')
			}
			line = append(line, "\n  "...)
			line = appendObject(line, r.Schema, row)
			if _, err := out.Write(line); err != nil {
				return s, err
			}
			s.Written++
		}
	}
	if s.Written > 0 {
		_, _ = out.WriteString("\n")
	}
	_, _ = out.WriteString("]\n")
	return s, out.Flush()
}
