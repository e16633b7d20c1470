// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package project

import (
	"regexp"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	r := NewRegistry()
	p, err := r.Lookup("my-project")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(p.Number) {
		t.Errorf("number %q is not 12 digits", p.Number)
	}
	if byNumber, err := r.Lookup(p.Number); err != nil || byNumber != p {
		t.Errorf("by number: %v, %v", byNumber, err)
	}
	if again, err := NewRegistry().Lookup("my-project"); err != nil || again != p {
		t.Errorf("another run gives %v, %v", again, err)
	}
	for _, id := range []string{"example.com:my-project", "abcdef", "a" + strings.Repeat("b", 29)} {
		if _, err := r.Lookup(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"", "short", "1project", "My-project", "my_project", "my-project-", "a" + strings.Repeat("b", 30), "123456789012"} {
		if got, err := r.Lookup(id); err == nil {
			t.Errorf("%q was taken for %v", id, got)
		}
	}
}

func TestNames(t *testing.T) {
	r := NewRegistry()
	p, err := r.Lookup("my-project")
	if err != nil {
		t.Fatal(err)
	}
	const byID = "projects/my-project/locations/l/models/m"
	canonical := "projects/" + p.Number + "/locations/l/models/m"
	for _, showID := range []bool{false, true} {
		n := Names{Registry: r, ShowID: showID}
		for _, name := range []string{byID, canonical} {
			if got, err := n.Canonical(name); err != nil || got != canonical {
				t.Errorf("Canonical(%s) = %s, %v", name, got, err)
			}
		}
		want := canonical
		if showID {
			want = byID
		}
		if got := n.Show(canonical); got != want {
			t.Errorf("Show with ShowID %v = %s, want %s", showID, got, want)
		}
		if got := n.ByID(canonical); got != byID {
			t.Errorf("ByID = %s", got)
		}
	}
	for _, bad := range []string{"", "projects", "projects/", "folders/1", "projects/UPPER/x", "projects/999999999999/x"} {
		if got, err := (Names{Registry: r}).Canonical(bad); err == nil {
			t.Errorf("Canonical(%q) = %q", bad, got)
		}
	}
}
