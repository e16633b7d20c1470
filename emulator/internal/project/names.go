// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package project

import (
	"fmt"
	"strings"
)

// Names translates resource names. A client may name a project by its id or by
// its number; the emulator keeps names with the number ("canonical") and shows
// them as the switch project-in-names says.
type Names struct {
	Registry *Registry
	// ShowID shows names with the project's id instead of its number.
	ShowID bool
}

// Canonical returns a name "projects/…" with the project's number.
func (n Names) Canonical(name string) (string, error) {
	segments := strings.SplitN(name, "/", 3)
	if len(segments) < 2 || segments[0] != "projects" || segments[1] == "" {
		return "", fmt.Errorf("resource name %q is not valid: want projects/PROJECT/…", name)
	}
	p, err := n.Registry.Lookup(segments[1])
	if err != nil {
		return "", err
	}
	segments[1] = p.Number
	return strings.Join(segments, "/"), nil
}

// Show returns a canonical name as API answers show it.
func (n Names) Show(canonical string) string {
	if n.ShowID {
		return n.ByID(canonical)
	}
	return canonical
}

// ByID returns a canonical name with the project's id.
func (n Names) ByID(canonical string) string {
	segments := strings.SplitN(canonical, "/", 3)
	if len(segments) < 2 {
		return canonical
	}
	p, err := n.Registry.Lookup(segments[1])
	if err != nil {
		return canonical
	}
	segments[1] = p.ID
	return strings.Join(segments, "/")
}
