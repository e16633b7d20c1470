// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package assume

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// UNKNOWNS.md and the switches say the same: keys, questions, default, others.
func TestUnknownsListEverySwitch(t *testing.T) {
	text, err := os.ReadFile("../../UNKNOWNS.md")
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(text), "\n## Chosen without a switch")
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*?) \\| `([^`]+)` \\| (.*?) \\| (.+) \\|$")
	documented := map[Key]bool{}
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		key := Key(m[1])
		documented[key] = true
		i := slices.IndexFunc(Switches, func(s Switch) bool { return s.Key == key })
		if i < 0 {
			t.Errorf("UNKNOWNS.md has a row for %q, which is no switch", key)
			continue
		}
		s := Switches[i]
		if s.Question != m[2] {
			t.Errorf("%s: the question in UNKNOWNS.md is %q, in the code %q", key, m[2], s.Question)
		}
		values := append([]string{m[3]}, strings.Split(strings.ReplaceAll(m[4], "`", ""), ", ")...)
		if !slices.Equal(values, s.Values) {
			t.Errorf("%s: the values in UNKNOWNS.md are %v, in the code %v", key, values, s.Values)
		}
	}
	for _, s := range Switches {
		if !documented[s.Key] {
			t.Errorf("UNKNOWNS.md has no row for %q", s.Key)
		}
	}
}

func TestParse(t *testing.T) {
	set, err := Parse([]string{"project-in-names=id"})
	if err != nil {
		t.Fatal(err)
	}
	if set.Get(ProjectInNames) != "id" || !set.Is(MultiRegionCase, "lower") {
		t.Errorf("chosen %q, not chosen %q", set.Get(ProjectInNames), set.Get(MultiRegionCase))
	}
	for _, bad := range []string{"project-in-names", "project-in-names=name", "unheard-of=1", "=id"} {
		if _, err := Parse([]string{bad}); err == nil || !strings.Contains(err.Error(), "--assume") {
			t.Errorf("Parse(%q) = %v, want an error naming --assume", bad, err)
		}
	}
}
