// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// template remembers what a text was before its variables were replaced, so that
// places are told in what the user wrote.
type template struct {
	text  string
	edits []replacement // in order
}

// replacement is a range of the template and where its value ends up.
type replacement struct{ from, to, start, end int }

// offset turns an offset of the expanded text into one of the template. Within a
// value it is the start of the variable.
func (t *template) offset(expanded int) int {
	shift := 0
	for _, e := range t.edits {
		if expanded < e.start {
			break
		}
		if expanded < e.end {
			return e.from
		}
		shift = e.to - e.end
	}
	return expanded + shift
}

var variable = regexp.MustCompile(`\$\{\{(?:\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\})?`)

// Expand replaces every ${{ name }} of the source by the variable's value, as text:
// nothing is quoted, so a value must not come from somebody who is not trusted with
// the SQL; query parameters are for those. A name without a value is an error, and
// so is a "${{" that begins no variable. It returns the names that occurred.
func Expand(source Source, values map[string]string) (Source, map[string]bool, error) {
	used := map[string]bool{}
	t := &template{text: strings.TrimPrefix(source.Text, "\ufeff")}
	plain := Source{Name: source.Name, Text: t.text}
	var b strings.Builder
	last := 0
	for _, m := range variable.FindAllStringSubmatchIndex(t.text, -1) {
		if m[2] < 0 {
			return source, nil, plain.errorAt(m[0], errors.New("${{ begins no variable: want ${{ name }}"))
		}
		name := t.text[m[2]:m[3]]
		value, ok := values[name]
		if !ok {
			return source, nil, plain.errorAt(m[0], fmt.Errorf("the variable %s has no value: --var %s=VALUE", name, name))
		}
		used[name] = true
		b.WriteString(t.text[last:m[0]])
		start := b.Len()
		b.WriteString(value)
		t.edits = append(t.edits, replacement{m[0], m[1], start, b.Len()})
		last = m[1]
	}
	b.WriteString(t.text[last:])
	return Source{Name: source.Name, Text: b.String(), template: t}, used, nil
}
