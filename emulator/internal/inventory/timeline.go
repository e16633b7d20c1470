// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package inventory

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Change is the state of one endpoint from Time until its next change.
type Change struct {
	Time     time.Time `json:"time"`
	Endpoint string    `json:"endpoint"` // full name, project by its id
	// Event names what changed, such as "deployed" or "split".
	Event string `json:"event"`
	// DeployedModels are the ids of the deployed models, sorted.
	DeployedModels []string `json:"deployed_models"`
	// TrafficSplit maps ids of deployed models to percentages.
	TrafficSplit map[string]int32 `json:"traffic_split"`
}

// maxChanges bounds the timeline of a long-running emulator; the oldest changes
// are dropped first.
const maxChanges = 100_000

// Timeline records the changes of all endpoints in the order in which they took
// effect. The zero value is ready.
type Timeline struct {
	mu      sync.Mutex
	changes []Change
}

// Record appends a change; it keeps copies.
func (t *Timeline) Record(c Change) {
	c.DeployedModels = append([]string{}, c.DeployedModels...)
	slices.Sort(c.DeployedModels)
	c.TrafficSplit = maps.Clone(c.TrafficSplit)
	if c.TrafficSplit == nil {
		c.TrafficSplit = map[string]int32{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.changes) == maxChanges {
		t.changes = slices.Delete(t.changes, 0, 1)
	}
	t.changes = append(t.changes, c)
}

// Changes returns all changes, oldest first.
func (t *Timeline) Changes() []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Change{}, t.changes...)
}

// ServeHTTP answers GET with {"changes": […]}.
func (t *Timeline) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, map[string]any{"changes": t.Changes()})
}
