// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"strings"
	"unicode/utf8"
)

func (s *Source) statement(start, end int) Statement {
	line, column := s.place(start)
	return Statement{SQL: s.Text[start:end], Line: line, Column: column, source: s, start: start}
}

func (s *Source) errorAt(offset int, err error) error {
	line, column := s.place(offset)
	return &PositionError{File: s.Name, Line: line, Column: column, Err: err}
}

// Position turns a place that BigQuery reported within the statement into the
// place in the file. line and column count from 1; a column counts characters and
// a tab up to the next multiple of 8, as GoogleSQL does. A place that does not
// exist, such as line 0, becomes the statement's start.
func (s Statement) Position(line, column int) (fileLine, fileColumn int) {
	if line < 1 || column < 1 {
		return s.Line, s.Column
	}
	offset := 0
	for range line - 1 {
		width := lineEnd(s.SQL[offset:])
		if offset += width; offset == len(s.SQL) {
			return s.Line, s.Column
		}
	}
	for at := 1; at < column && offset < len(s.SQL) && s.SQL[offset] != '\n' && s.SQL[offset] != '\r'; {
		r, size := utf8.DecodeRuneInString(s.SQL[offset:])
		if r == '\t' {
			at = (at-1)/8*8 + 9
		} else {
			at++
		}
		if at > column { // within a tab
			break
		}
		offset += size
	}
	return s.source.place(s.start + offset)
}

// place returns line and column of an offset in what the user wrote.
func (s *Source) place(offset int) (line, column int) {
	if s.template != nil {
		return place(s.template.text, s.template.offset(offset))
	}
	return place(s.Text, offset)
}

// place returns line and column, in characters from 1, of an offset.
func place(text string, offset int) (line, column int) {
	line = 1
	for begin := 0; ; line++ {
		width := lineEnd(text[begin:])
		if begin+width > offset || begin+width == len(text) {
			// The end of a text that ends in a line break is on the next line.
			if begin+width == offset && width > 0 && strings.ContainsAny(text[offset-1:offset], "\r\n") {
				return line + 1, 1
			}
			return line, 1 + utf8.RuneCountInString(text[begin:offset])
		}
		begin += width
	}
}

// lineEnd returns the length of the first line of text with its line break: a line
// feed, a carriage return or both.
func lineEnd(text string) int {
	i := strings.IndexAny(text, "\r\n")
	switch {
	case i < 0:
		return len(text)
	case strings.HasPrefix(text[i:], "\r\n"):
		return i + 2
	}
	return i + 1
}
