// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	gotable "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// table draws a box. Its cells are never shortened. Beyond maxRows rows are left
// out, which the last line says; characters that could move a terminal's cursor are
// shown as escapes.
type table struct{ maxRows uint64 }

func (t table) Render(w io.Writer, r Result) (Summary, error) {
	var s Summary
	if r.Rows == nil {
		return s, nil
	}
	box := gotable.NewWriter()
	box.SetStyle(gotable.StyleLight)
	box.Style().Format.Header = text.FormatDefault // names keep their case
	header := make(gotable.Row, len(r.Schema))
	columns := make([]gotable.ColumnConfig, len(r.Schema))
	for i, f := range r.Schema {
		header[i] = visible(f.Name)
		columns[i] = gotable.ColumnConfig{Number: i + 1, Align: align(f), AlignHeader: align(f)}
	}
	box.AppendHeader(header)
	box.SetColumnConfigs(columns)
	for row, err := range r.Rows {
		if err != nil {
			return s, err
		}
		if t.maxRows > 0 && s.Written == t.maxRows {
			s.Cut = true
			break
		}
		cells := make(gotable.Row, len(row))
		for i, value := range row {
			if value == nil {
				cells[i] = "NULL"
			} else {
				cells[i] = visible(plainText(r.Schema[i], value))
			}
		}
		box.AppendRow(cells)
		s.Written++
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", box.Render(), caption(s, r.Total))
	return s, err
}

func caption(s Summary, total uint64) string {
	switch {
	case s.Cut:
		return fmt.Sprintf("(%d of %d rows; the others are not shown)", s.Written, total)
	case s.Written == 1:
		return "(1 row)"
	}
	return fmt.Sprintf("(%d rows)", s.Written)
}

func align(f query.Field) text.Align {
	switch f.Type {
	case "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC":
		if !f.Repeated {
			return text.AlignRight
		}
	}
	return text.AlignLeft
}

// visible escapes control characters, and what is not printable, as Go does.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
