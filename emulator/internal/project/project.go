// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package project knows the Google Cloud projects of the emulator. A project
// comes into being when it is first named; its number is derived from its id, so
// that it is the same in every run.
package project

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"sync"
)

// Project is one project: its id ("my-project") and its number as text
// ("123456789012").
type Project struct {
	ID     string
	Number string
}

// Registry finds projects by id or number. The zero value is not usable; call
// [NewRegistry].
type Registry struct {
	mu       sync.Mutex
	byID     map[string]Project
	byNumber map[string]Project
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{byID: map[string]Project{}, byNumber: map[string]Project{}}
}

// An id as Resource Manager documents it (6 to 30 lower-case letters, digits and
// hyphens, a letter first, no hyphen last), optionally with a domain prefix.
var idPattern = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// Lookup returns the project with this id or number. An id that is valid and not
// yet known makes the project; a number must belong to a known project.
func (r *Registry) Lookup(idOrNumber string) (Project, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.byID[idOrNumber]; ok {
		return p, nil
	}
	if _, err := strconv.ParseUint(idOrNumber, 10, 64); err == nil {
		if p, ok := r.byNumber[idOrNumber]; ok {
			return p, nil
		}
		return Project{}, fmt.Errorf("project number %q is not known: name the project by its id first", idOrNumber)
	}
	if !idPattern.MatchString(idOrNumber) {
		return Project{}, fmt.Errorf("project id %q is not valid: 6 to 30 lower-case letters, digits and hyphens, starting with a letter", idOrNumber)
	}
	p := Project{ID: idOrNumber, Number: r.freeNumber(idOrNumber)}
	r.byID[p.ID] = p
	r.byNumber[p.Number] = p
	return p, nil
}

// freeNumber derives a 12-digit number from the id and steps past numbers that
// are taken.
func (r *Registry) freeNumber(id string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	for n := 100_000_000_000 + h.Sum64()%900_000_000_000; ; n++ {
		s := strconv.FormatUint(n, 10)
		if _, taken := r.byNumber[s]; !taken {
			return s
		}
	}
}
