// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"bufio"
	"io"
	"strings"
)

// csv writes a header and one record per row with the quoting of RFC 4180, and a
// line feed between records, as other tools on Unix do. NULL is an empty field and
// an empty string is "", so the two stay apart. In a result of a single column
// NULL is "" too, because readers skip an empty line. Nested values are JSON.
//
// encoding/csv is not used: it cannot quote an empty string, and writes a NULL in a
// single column as the empty line that its own reader skips.
type csv struct{}

func (csv) Render(w io.Writer, r Result) (Summary, error) {
	var s Summary
	if r.Rows == nil {
		return s, nil
	}
	out := bufio.NewWriter(w)
	record := make([]string, len(r.Schema))
	for i, f := range r.Schema {
		record[i] = csvField(f.Name)
	}
	if err := writeRecord(out, record); err != nil {
		return s, err
	}
	for row, err := range r.Rows {
		if err != nil {
			_ = out.Flush()
			return s, err
		}
		for i, value := range row {
			switch {
			case value != nil:
				record[i] = csvField(plainText(r.Schema[i], value))
			case len(row) == 1:
				record[i] = `""`
			default:
				record[i] = ""
			}
		}
		if err := writeRecord(out, record); err != nil {
			return s, err
		}
		s.Written++
	}
	return s, out.Flush()
}

func writeRecord(out *bufio.Writer, record []string) error {
	_, err := out.WriteString(strings.Join(record, ",") + "\n")
	return err
}

func csvField(s string) string {
	if s == "" || strings.ContainsAny(s, ",\"\r\n") || s[0] == ' ' || s[len(s)-1] == ' ' {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}
