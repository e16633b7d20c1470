// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package fault makes chosen calls misbehave, so that clients can be tested
// against it. A fault names the calls it matches, which of them (the nth) and
// what happens to that one.
package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// Action is what happens to the matching call.
type Action string

// Hold lets the call take effect and then keeps back its reply until the fault
// is deleted or the client goes away.
const Hold Action = "hold"

// Spec is a fault as a client describes it.
type Spec struct {
	// Method matches the full gRPC method ("/google.cloud.aiplatform.v1.*/DeployModel")
	// or, for APIs without gRPC, method and path ("POST /bigquery/v2/*/jobs").
	// "*" stands for any characters.
	Method string `json:"method"`
	// Nth is which matching call is hit, counted from 1 (the default) after the
	// fault was set.
	Nth    int    `json:"nth"`
	Action Action `json:"action"`
}

// Fault is a fault as it is reported.
type Fault struct {
	ID string `json:"id"`
	Spec
	// Seen counts the matching calls so far; Fired says that the nth came and took
	// effect; Holding says that its reply is being held now.
	Seen    int  `json:"seen"`
	Fired   bool `json:"fired"`
	Holding bool `json:"holding"`
}

type entry struct {
	Fault
	pattern  *regexp.Regexp
	released chan struct{}
}

// Set holds the faults that are set. It is safe for concurrent use.
type Set struct {
	mu     sync.Mutex
	lastID int
	faults map[int]*entry
}

// NewSet returns a set without faults.
func NewSet() *Set { return &Set{faults: map[int]*entry{}} }

// Add sets a fault.
func (s *Set) Add(spec Spec) (Fault, error) {
	if spec.Nth == 0 {
		spec.Nth = 1
	}
	switch {
	case spec.Method == "":
		return Fault{}, errors.New(`"method" is required`)
	case spec.Nth < 0:
		return Fault{}, fmt.Errorf(`"nth" is %d: it counts from 1`, spec.Nth)
	case spec.Action != Hold:
		return Fault{}, fmt.Errorf(`"action" %q is not known: use %q`, spec.Action, Hold)
	}
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(spec.Method), `\*`, ".*") + "$"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	e := &entry{
		Fault:    Fault{ID: strconv.Itoa(s.lastID), Spec: spec},
		pattern:  regexp.MustCompile(pattern),
		released: make(chan struct{}),
	}
	s.faults[s.lastID] = e
	return e.Fault, nil
}

// List returns the faults in the order in which they were set.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Fault{}
	for _, id := range slices.Sorted(maps.Keys(s.faults)) {
		out = append(out, s.faults[id].Fault)
	}
	return out
}

// Remove deletes a fault, or all of them when id is empty, and lets go of the
// replies they hold. It reports whether there was one.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for key, e := range s.faults {
		if id == "" || e.ID == id {
			close(e.released)
			delete(s.faults, key)
			found = true
		}
	}
	return found
}

// match counts a call and returns the fault that hits it, if any.
func (s *Set) match(method string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit *entry
	for _, id := range slices.Sorted(maps.Keys(s.faults)) {
		e := s.faults[id]
		if !e.pattern.MatchString(method) {
			continue
		}
		e.Seen++
		if e.Seen == e.Nth && hit == nil {
			hit = e
		}
	}
	return hit
}

// hold waits until the fault is removed or ctx ends; the effect has happened.
func (s *Set) hold(ctx context.Context, e *entry) error {
	s.mu.Lock()
	e.Fired, e.Holding = true, true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		e.Holding = false
		s.mu.Unlock()
	}()
	select {
	case <-e.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unary applies faults to gRPC calls, also those that came as REST.
func (s *Set) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	e := s.match(info.FullMethod)
	if e == nil {
		return handler(ctx, req)
	}
	res, err := handler(context.WithoutCancel(ctx), req)
	if herr := s.hold(ctx, e); herr != nil {
		return nil, status.FromContextError(herr).Err()
	}
	return res, err
}

// Middleware applies faults to APIs without gRPC.
func (s *Set) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := s.match(r.Method + " " + r.URL.Path)
		if e == nil {
			next.ServeHTTP(w, r)
			return
		}
		reply := &buffer{header: http.Header{}, status: http.StatusOK}
		next.ServeHTTP(reply, r.WithContext(context.WithoutCancel(r.Context())))
		if s.hold(r.Context(), e) != nil {
			panic(http.ErrAbortHandler) // the client is gone; there is nobody to answer
		}
		maps.Copy(w.Header(), reply.header)
		w.WriteHeader(reply.status)
		_, _ = w.Write(reply.body.Bytes())
	})
}

// buffer keeps a whole reply.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffer) Header() http.Header         { return b.header }
func (b *buffer) WriteHeader(status int)      { b.status = status }
func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }

// ServeHTTP is the control surface: POST sets a fault, GET lists them, DELETE
// (with ?id=) removes one or all.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		var spec Spec
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f, err := s.Add(spec)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		inventory.WriteJSON(w, http.StatusCreated, f)
	case http.MethodGet:
		inventory.WriteJSON(w, http.StatusOK, map[string]any{"faults": s.List()})
	case http.MethodDelete:
		if !s.Remove(r.URL.Query().Get("id")) && r.URL.Query().Has("id") {
			http.Error(w, "no such fault", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}
