// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"regexp"
	"slices"
	"testing"
)

func TestPagesCoverEverythingOnce(t *testing.T) {
	items := make([]int, 250)
	for i := range items {
		items[i] = i
	}
	for _, size := range []int32{0, 1, 7, 99, 100, 1000} {
		var got []int
		token := ""
		for {
			page, next, err := Page(items, size, token)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > MaxPage || (size > 0 && len(page) > int(size)) {
				t.Fatalf("size %d: a page of %d", size, len(page))
			}
			got = append(got, page...)
			if token = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, items) {
			t.Errorf("size %d: %v", size, got)
		}
	}
	for _, token := range []string{"x", "!", "b2Zmc2V0Oi0x"} {
		if _, _, err := Page(items, 10, token); err == nil {
			t.Errorf("token %q was accepted", token)
		}
	}
	if _, _, err := Page(items, -1, ""); err == nil {
		t.Error("a negative size was accepted")
	}
	if page, next, err := Page(items[:2], 10, "b2Zmc2V0OjU"); err != nil || len(page) != 0 || next != "" { // offset:5
		t.Errorf("a token past the end: %v %q %v", page, next, err)
	}
}

func TestNewID(t *testing.T) {
	for range 100 {
		if id := NewID(); !regexp.MustCompile(`^[1-9][0-9]{18}$`).MatchString(id) {
			t.Fatalf("id %q", id)
		}
	}
	if first, second := NewEtag(), NewEtag(); first == second {
		t.Errorf("two etags are equal: %s", first)
	}
}
