// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// table draws a box. Characters that could move a terminal's cursor are shown as
// escapes. In a terminal it takes no more than its width: texts are shortened, never
// numbers, and if that is not enough the last columns are left out. The lines below
// the box tell of all that is not shown.
type table struct {
	maxRows uint64
	width   int
}

const (
	// sampled rows decide how wide the columns are; the rows after them are written
	// as they come.
	sampled = 1000
	// narrowest is the least width that a text is shortened to.
	narrowest = 8
)

func (t table) Render(w io.Writer, r Result) (Summary, error) {
	if r.Rows == nil {
		return Summary{}, nil
	}
	b := &box{lines: newLines(w), schema: r.Schema}
	for _, f := range r.Schema {
		name := visible(f.Name)
		b.header = append(b.header, name)
		b.widths = append(b.widths, text.StringWidth(name))
	}
	s, err := each(r, t.maxRows, func(_ uint64, row []any) error {
		cells := make([]string, len(row))
		for i, value := range row {
			cells[i] = cell(&r.Schema[i], value)
		}
		if b.drawn {
			b.row(cells)
			return b.room()
		}
		b.sample = append(b.sample, cells)
		if len(b.sample) == sampled {
			return b.draw(t.width)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if !b.drawn {
		if err := b.draw(t.width); err != nil {
			return s, err
		}
	}
	b.rule("└", "┴", "┘")
	b.buf = append(b.buf, caption(s, r.Total)+"\n"+b.missing()...)
	return s, b.flush()
}

// box is a table that is being drawn.
type box struct {
	*lines
	schema  query.Schema
	header  []string
	sample  [][]string
	widths  []int // of the columns that are shown
	drawn   bool
	fits    bool // the width counts: longer values are shortened
	shorter int  // values that were
}

func (b *box) room() error {
	if len(b.buf) < flushAt {
		return nil
	}
	return b.flush()
}

// draw decides the widths, and draws the header and the sample.
func (b *box) draw(width int) error {
	b.drawn, b.fits = true, width > 0
	for _, cells := range b.sample {
		for i, c := range cells {
			b.widths[i] = max(b.widths[i], text.StringWidth(c))
		}
	}
	if b.fits {
		b.widths = fit(b.widths, b.schema, width)
	}
	b.rule("┌", "┬", "┐")
	b.row(b.header)
	b.rule("├", "┼", "┤")
	b.shorter = 0 // names do not count
	for _, cells := range b.sample {
		b.row(cells)
		if err := b.room(); err != nil {
			return err
		}
	}
	b.sample = nil
	return nil
}

// fit makes a table with columns of the given widths no wider than width. It returns
// the widths of the columns that remain, at least one.
func fit(widths []int, schema query.Schema, width int) []int {
	for {
		wide := 1
		for _, w := range widths {
			wide += w + 3
		}
		// The widest text gives way, down to the next one; in the end the last
		// column does.
		widest := -1
		for i, w := range widths {
			if align(schema[i]) == text.AlignLeft && w > narrowest && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		switch {
		case wide <= width:
			return widths
		case widest >= 0:
			widths[widest]--
		case len(widths) > 1:
			widths = widths[:len(widths)-1]
		default:
			return widths
		}
	}
}

func (b *box) rule(left, middle, right string) {
	for i, w := range b.widths {
		if i > 0 {
			left = middle
		}
		b.buf = append(b.buf, left+strings.Repeat("─", w+2)...)
	}
	b.buf = append(b.buf, right+"\n"...)
}

func (b *box) row(cells []string) {
	for i, w := range b.widths {
		c := cells[i]
		if b.fits && text.StringWidth(c) > w {
			c = text.Snip(c, w, "…")
			b.shorter++
		}
		b.buf = append(b.buf, "│ "+align(b.schema[i]).Apply(c, w)+" "...)
	}
	b.buf = append(b.buf, "│\n"...)
}

// missing tells what the width took away.
func (b *box) missing() string {
	var what []string
	switch {
	case b.shorter == 1:
		what = append(what, "1 value is shortened")
	case b.shorter > 1:
		what = append(what, fmt.Sprintf("%d values are shortened", b.shorter))
	}
	if n := len(b.schema) - len(b.widths); n > 0 {
		what = append(what, fmt.Sprintf("%d of %d columns are not shown", n, len(b.schema)))
	}
	if what == nil {
		return ""
	}
	return "(" + strings.Join(what, " and ") + ", to fit the terminal; --format vertical shows all)\n"
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
	if !f.Repeated && slices.Contains([]string{"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"}, f.Type) {
		return text.AlignRight
	}
	return text.AlignLeft
}

// cell is a value as a person sees it, on one line.
func cell(f *query.Field, value any) string {
	if value == nil {
		return "NULL"
	}
	return visible(string(appendPlain(nil, f, value)))
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

// vertical writes one line per value, "name: value", under a line per row: for rows
// of many columns or long texts. What a table shows as an escape is one here too.
type vertical struct{ maxRows uint64 }

func (v vertical) Render(w io.Writer, r Result) (Summary, error) {
	if r.Rows == nil {
		return Summary{}, nil
	}
	out := newLines(w)
	names, width := make([]string, len(r.Schema)), 0
	for i, f := range r.Schema {
		names[i] = visible(f.Name)
		width = max(width, text.StringWidth(names[i]))
	}
	for i, name := range names {
		names[i] = text.AlignRight.Apply(name, width) + ": "
	}
	s, err := out.rows(r, v.maxRows, func(n uint64, row []any) {
		out.buf = append(out.buf, fmt.Sprintf("── row %d ──\n", n+1)...)
		for i, value := range row {
			out.buf = append(append(out.buf, names[i]...), cell(&r.Schema[i], value)...)
			out.end()
		}
	})
	if err != nil {
		return s, err
	}
	out.buf = append(out.buf, caption(s, r.Total)+"\n"...)
	return s, out.flush()
}

// markdown writes a table of GitHub Flavored Markdown. What Markdown would take for
// markup is escaped, a line break in a value is <br>, and NULL is in italics.
type markdown struct{ maxRows uint64 }

var markdownText = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "~", `\~`, "&", `\&`,
	"\r\n", "<br>", "\n", "<br>",
)

func (m markdown) Render(w io.Writer, r Result) (Summary, error) {
	if r.Rows == nil {
		return Summary{}, nil
	}
	out := newLines(w)
	for _, f := range r.Schema {
		out.buf = append(out.buf, "| "+visible(markdownText.Replace(f.Name))+" "...)
	}
	out.buf = append(out.buf, "|\n"...)
	for _, f := range r.Schema {
		if align(f) == text.AlignRight {
			out.buf = append(out.buf, "| ---: "...)
		} else {
			out.buf = append(out.buf, "| --- "...)
		}
	}
	out.buf = append(out.buf, "|\n"...)
	s, err := out.rows(r, m.maxRows, func(_ uint64, row []any) {
		for i, value := range row {
			c := "*NULL*"
			if value != nil {
				c = visible(markdownText.Replace(string(appendPlain(nil, &r.Schema[i], value))))
			}
			out.buf = append(out.buf, "| "+c+" "...)
		}
		out.buf = append(out.buf, "|\n"...)
	})
	if err != nil || !s.Cut {
		return s, err
	}
	out.buf = append(out.buf, "\n"+caption(s, r.Total)+"\n"...)
	return s, out.flush()
}
