// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package inventory answers what exists in the emulator right now and how the
// endpoints' deployments changed over time. Tests read both over HTTP to check
// that nothing is left over and that a traffic split was whole at every instant.
package inventory

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Sections are the parts of the inventory. All of them are always present, an
// empty one as an empty list.
var Sections = []string{
	"models", "endpoints", "deployment_resource_pools", "connections", "iam_bindings", "remote_models", "datasets", "buckets",
}

// Source lists what exists of one section, in a stable order. Each element must
// marshal to a JSON object.
type Source func() []any

// Inventory collects the sources of the services.
type Inventory struct {
	mu      sync.Mutex
	sources map[string][]Source
}

// New returns an inventory without sources.
func New() *Inventory { return &Inventory{sources: map[string][]Source{}} }

// Add adds a source to a section; the section's list is the concatenation of its
// sources in the order in which they were added.
func (inv *Inventory) Add(section string, s Source) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.sources[section] = append(inv.sources[section], s)
}

// Snapshot asks every source.
func (inv *Inventory) Snapshot() map[string][]any {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	out := make(map[string][]any, len(Sections))
	for _, section := range Sections {
		out[section] = []any{}
	}
	for section, sources := range inv.sources {
		for _, source := range sources {
			out[section] = append(out[section], source()...)
		}
	}
	return out
}

// ServeHTTP answers GET with the snapshot as JSON.
func (inv *Inventory) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, inv.Snapshot())
}

// WriteError answers {"error": message}.
func WriteError(w http.ResponseWriter, status int, message string) {
	WriteJSON(w, status, map[string]string{"error": message})
}

// WriteJSON answers with an indented JSON document.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
