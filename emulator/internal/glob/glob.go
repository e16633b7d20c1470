// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package glob matches names against patterns in which "*" stands for any
// characters, slashes included, and "{name}" for one part of a path, which is how
// the routes of Google's discovery documents are written.
package glob

// Match reports whether s matches the pattern.
func Match(pattern, s string) bool {
	literal := make([]token, len(s))
	for i := range len(s) {
		literal[i] = token{class: only, char: s[i]}
	}
	return overlap(parse(pattern), literal)
}

// Overlap reports whether any string at all matches both patterns.
func Overlap(a, b string) bool { return overlap(parse(a), parse(b)) }

type class int

const (
	only     class = iota // exactly char
	anything              // any run of characters
	segment               // any run without a slash
)

type token struct {
	class class
	char  byte
}

func parse(pattern string) []token {
	var out []token
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			out = append(out, token{class: anything})
		case '{':
			for i < len(pattern) && pattern[i] != '}' {
				i++
			}
			out = append(out, token{class: segment})
		default:
			out = append(out, token{class: only, char: c})
		}
	}
	return out
}

// overlap walks both patterns at once: a state is how far each one is, and a step
// is either the end of a wildcard or one character that both accept.
func overlap(a, b []token) bool {
	type state struct{ i, j int }
	seen := map[state]bool{{0, 0}: true}
	queue := []state{{0, 0}}
	visit := func(i, j int) {
		if s := (state{i, j}); !seen[s] {
			seen[s] = true
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if s.i == len(a) && s.j == len(b) {
			return true
		}
		if s.i < len(a) && a[s.i].class != only {
			visit(s.i+1, s.j)
		}
		if s.j < len(b) && b[s.j].class != only {
			visit(s.i, s.j+1)
		}
		if s.i < len(a) && s.j < len(b) && compatible(a[s.i], b[s.j]) {
			visit(after(a, s.i), after(b, s.j))
		}
	}
	return false
}

// compatible reports whether some character is accepted by both.
func compatible(x, y token) bool {
	switch {
	case x.class == only && y.class == only:
		return x.char == y.char
	case x.class == only:
		return y.class == anything || x.char != '/'
	case y.class == only:
		return x.class == anything || y.char != '/'
	default:
		return true
	}
}

// after is the position once a character was accepted: wildcards stay.
func after(tokens []token, i int) int {
	if tokens[i].class == only {
		return i + 1
	}
	return i
}
