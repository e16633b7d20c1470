// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package ast

import (
	"strings"
	"unicode/utf8"
)

// tabStop is how far apart GoogleSQL sees tab stops.
const tabStop = 8

// Place is the line and the column of a byte of a text, as GoogleSQL counts them:
// from 1, a character is a column and a tab reaches to the next multiple of 8.
func Place(text string, offset int) (line, column int) {
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	column = 1
	for _, r := range before[start:] {
		column = next(column, r)
	}
	return strings.Count(before, "\n") + 1, column
}

// Offset is the byte of a text at a line and a column; the end of the text if there
// is none.
func Offset(text string, line, column int) int {
	start := 0
	for ; line > 1; line-- {
		end := strings.IndexByte(text[start:], '\n')
		if end < 0 {
			return len(text)
		}
		start += end + 1
	}
	at := 1
	for start < len(text) && text[start] != '\n' {
		r, size := utf8.DecodeRuneInString(text[start:])
		after := next(at, r)
		if after > column {
			return start
		}
		at, start = after, start+size
	}
	return start
}

func next(column int, r rune) int {
	if r == '\t' {
		return (column-1)/tabStop*tabStop + tabStop + 1
	}
	return column + 1
}
