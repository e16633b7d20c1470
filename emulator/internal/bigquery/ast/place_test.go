// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package ast

import "testing"

func TestPlace(t *testing.T) {
	const text = "a\tbé\n\t\tc\nd"
	for offset, want := range map[int][2]int{0: {1, 1}, 1: {1, 2}, 2: {1, 9}, 3: {1, 10}, 5: {1, 11}, 6: {2, 1}, 7: {2, 9}, 8: {2, 17}, 10: {3, 1}, 11: {3, 2}} {
		line, column := Place(text, offset)
		if line != want[0] || column != want[1] {
			t.Errorf("byte %d is at %d:%d, want %d:%d", offset, line, column, want[0], want[1])
		}
		if got := Offset(text, want[0], want[1]); got != offset {
			t.Errorf("%d:%d is byte %d, want %d", want[0], want[1], got, offset)
		}
	}
	// Within a tab, after the end of a line, after the last line.
	for place, want := range map[[2]int]int{{1, 5}: 1, {1, 99}: 5, {9, 1}: len(text)} {
		if got := Offset(text, place[0], place[1]); got != want {
			t.Errorf("%v is byte %d, want %d", place, got, want)
		}
	}
}
