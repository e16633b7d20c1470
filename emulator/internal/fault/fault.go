// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package fault makes chosen calls misbehave, so that clients can be tested
// against it. A fault names the calls it matches, which of them are hit, when
// (before the effect, after it, in the middle of the answer) and what happens.
// It then tells what it saw: a fault that never fired is a test of nothing.
package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/glob"
)

// Action is what happens to a call that is hit.
type Action string

// The actions.
const (
	Hold      Action = "hold"      // wait until the fault is released or the client goes away
	Stall     Action = "stall"     // wait for Spec.Stall, then go on
	Fail      Action = "status"    // answer Spec.Status
	Reset     Action = "reset"     // reset the TCP connection
	Truncate  Action = "truncate"  // send a part of the answer and close the connection
	Malformed Action = "malformed" // send an answer that does not decode
)

// Phase is when it happens.
type Phase string

// The phases. An effect happens once, whatever becomes of its client.
const (
	Before      Phase = "before"
	AfterEffect Phase = "after_effect"
	MidBody     Phase = "mid_body"
)

// Always, as Spec.Times, hits every matching call.
const Always = -1

// Spec is a fault as a client describes it.
type Spec struct {
	// ID names the fault; by default it gets a number.
	ID string `json:"id"`
	// Method matches the full gRPC method ("/google.cloud.aiplatform.v1.*/DeployModel"),
	// also of calls that come as REST, or, for APIs without gRPC, method and path
	// ("POST /bigquery/v2/*/jobs"). "*" stands for any characters.
	Method string `json:"method"`
	// Name matches the resource that the call names, for a call that creates one
	// the name that it will have, if the client chose it; default: any.
	Name string `json:"name,omitempty"`
	// Nth is the first matching call that is hit, counted from 1 (the default) after
	// the fault was set; Times is how many are hit from there on, 1 by default.
	Nth   int `json:"nth"`
	Times int `json:"times"`
	// Probability, if set, is that with which such a call is hit. The same Seed
	// hits the same calls.
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
	// PerSecond, if set, makes the fault a rate limit: as many matching calls pass
	// in each second, and only those beyond are hit. Times is -1 then, unless it is
	// given.
	PerSecond int `json:"per_second,omitempty"`
	// Phase is after_effect for hold, always mid_body for truncate and malformed,
	// and before for the others, unless it is given.
	Phase  Phase  `json:"phase"`
	Action Action `json:"action"`
	// Status is what the action "status" answers.
	Status *Status `json:"status,omitempty"`
	// Stall is how long the action "stall" waits.
	Stall Duration `json:"stall,omitempty"`
	// Fraction is how much of the answer is sent before something happens in its
	// middle; default 0.5.
	Fraction float64 `json:"fraction,omitempty"`
}

// Fault is a fault as it is reported.
type Fault struct {
	Spec
	// Seen counts the matching calls so far, Count those that were hit. Fired says
	// that there was at least one.
	Seen  int  `json:"seen"`
	Count int  `json:"count"`
	Fired bool `json:"fired"`
	// Remaining is how many calls will still be hit, -1 for no end. Completed says
	// that as many were hit as were to be: all, or at least one if there is no end.
	Remaining int  `json:"remaining"`
	Completed bool `json:"completed"`
	// Holding says that a call is being held now.
	Holding  bool      `json:"holding"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is a matching call.
type Attempt struct {
	Time time.Time `json:"time"`
	// GapMS is the time since the attempt before, DeadlineMS what the client said
	// it would wait for the answer, if it did. Both in milliseconds.
	GapMS      float64 `json:"gap_ms"`
	DeadlineMS float64 `json:"deadline_ms,omitempty"`
	Name       string  `json:"name,omitempty"`
	Hit        bool    `json:"hit"`
}

// maxAttempts bounds what is kept of one fault.
const maxAttempts = 10_000

type entry struct {
	Fault
	set      *Set
	taken    int         // hits that are due or done
	passed   []time.Time // under a rate limit: the calls that passed within the last second
	holding  int
	chance   *rand.Rand
	released chan struct{}
}

// Set holds the faults that are set. It is safe for concurrent use.
type Set struct {
	mu     sync.Mutex
	lastID int
	faults []*entry
	grpc   []string // known methods; none: any is accepted
	routes []string
}

// NewSet returns a set without faults.
func NewSet() *Set { return &Set{} }

// Know tells which methods there are: full gRPC methods, and routes of APIs
// without gRPC such as "GET /bigquery/v2/projects/{projectId}/jobs". Faults for
// others are refused.
func (s *Set) Know(grpcMethods, routes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grpc, s.routes = grpcMethods, routes
}

// Methods lists what Know told.
func (s *Set) Methods() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.grpc, s.routes)
}

var errDuplicate = errors.New("a fault with this id is set already")

// Add sets a fault.
func (s *Set) Add(spec Spec) (Fault, error) {
	if err := spec.complete(); err != nil {
		return Fault{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known(spec.Method) {
		return Fault{}, fmt.Errorf(`"method" %q matches no method: GET /_emulator/methods lists them`, spec.Method)
	}
	s.lastID++
	if spec.ID == "" {
		spec.ID = strconv.Itoa(s.lastID)
	}
	if slices.ContainsFunc(s.faults, func(e *entry) bool { return e.ID == spec.ID }) {
		return Fault{}, errDuplicate
	}
	e := &entry{
		Fault: Fault{Spec: spec, Attempts: []Attempt{}}, set: s,
		// The same numbers for the same seed.
		chance: rand.New(rand.NewPCG(spec.Seed, 0)), released: make(chan struct{}),
	}
	s.faults = append(s.faults, e)
	return e.report(), nil
}

// complete fills the defaults in and refuses what makes no sense.
func (spec *Spec) complete() error {
	if spec.Nth == 0 {
		spec.Nth = 1
	}
	if spec.Times == 0 {
		spec.Times = 1
		if spec.PerSecond > 0 {
			spec.Times = Always
		}
	}
	if spec.Fraction == 0 {
		spec.Fraction = 0.5
	}
	atBody := spec.Action == Truncate || spec.Action == Malformed
	if spec.Phase == "" {
		switch {
		case atBody:
			spec.Phase = MidBody
		case spec.Action == Hold:
			spec.Phase = AfterEffect
		default:
			spec.Phase = Before
		}
	}
	switch {
	case spec.Method == "":
		return errors.New(`"method" is required`)
	case spec.Nth < 0:
		return fmt.Errorf(`"nth" is %d: it counts from 1`, spec.Nth)
	case spec.Times < Always:
		return fmt.Errorf(`"times" is %d: want a number of calls, or -1 for all`, spec.Times)
	case spec.Probability < 0 || spec.Probability > 1:
		return fmt.Errorf(`"probability" is %v: want 0 to 1`, spec.Probability)
	case spec.PerSecond < 0:
		return fmt.Errorf(`"per_second" is %d: want how many calls pass in a second`, spec.PerSecond)
	case spec.Fraction < 0 || spec.Fraction > 1:
		return fmt.Errorf(`"fraction" is %v: want 0 to 1`, spec.Fraction)
	case !slices.Contains([]Action{Hold, Stall, Fail, Reset, Truncate, Malformed}, spec.Action):
		return fmt.Errorf(`"action" %q is not known: use hold, stall, status, reset, truncate or malformed`, spec.Action)
	case !slices.Contains([]Phase{Before, AfterEffect, MidBody}, spec.Phase):
		return fmt.Errorf(`"phase" %q is not known: use before, after_effect or mid_body`, spec.Phase)
	case atBody && spec.Phase != MidBody:
		return fmt.Errorf(`"action" %q happens to the answer: its phase is mid_body`, spec.Action)
	case spec.Action == Fail && spec.Phase == MidBody:
		return errors.New(`"action" "status" cannot come in the middle of an answer: use before or after_effect`)
	case (spec.Action == Fail) != (spec.Status != nil):
		return errors.New(`"status" belongs to the action "status", which needs it`)
	case (spec.Action == Stall) != (spec.Stall > 0):
		return errors.New(`"stall", a duration such as "5s", belongs to the action "stall", which needs it`)
	}
	if spec.Status != nil {
		return spec.Status.Complete()
	}
	return nil
}

// known reports whether a pattern can match anything; s.mu is held.
func (s *Set) known(pattern string) bool {
	methods := s.grpc
	if isRoute(pattern) {
		methods = s.routes
	}
	return len(s.grpc)+len(s.routes) == 0 || slices.ContainsFunc(methods, func(method string) bool { return glob.Overlap(pattern, method) })
}

// report is the fault as it is now; the set's mu is held.
func (e *entry) report() Fault {
	f := e.Fault
	f.Fired, f.Holding = f.Count > 0, e.holding > 0
	f.Remaining, f.Completed = max(f.Times-f.Count, 0), f.Count == f.Times
	if f.Times == Always {
		f.Remaining, f.Completed = Always, f.Fired
	}
	f.Attempts = slices.Clone(e.Attempts)
	return f
}

// List returns the faults in the order in which they were set.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Fault{}
	for _, e := range s.faults {
		out = append(out, e.report())
	}
	return out
}

// Release lets go of the calls that a fault holds; the fault stays set. It
// reports whether there is such a fault.
func (s *Set) Release(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(e *entry) bool { return e.ID == id })
	if i >= 0 {
		close(s.faults[i].released)
		s.faults[i].released = make(chan struct{})
	}
	return i >= 0
}

// Remove deletes a fault, or all of them when id is empty, and lets go of the
// calls they hold. It reports whether there was one.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(e *entry) bool {
		if id != "" && e.ID != id {
			return false
		}
		close(e.released)
		return true
	})
	return len(s.faults) < before
}

// match notes a call and returns the fault that hits it, if any.
func (s *Set) match(ctx context.Context, method, name string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit *entry
	for _, e := range s.faults {
		if isRoute(e.Method) != isRoute(method) || !glob.Match(e.Method, method) || e.Name != "" && !glob.Match(e.Name, name) {
			continue
		}
		e.Seen++
		due := e.Seen >= e.Nth && (e.Times == Always || e.taken < e.Times) && hit == nil
		if due && e.Probability > 0 {
			due = e.chance.Float64() < e.Probability
		}
		if due && e.PerSecond > 0 {
			due = e.exceeds(time.Now())
		}
		if due {
			e.taken++
			hit = e
		}
		e.attempt(ctx, name, due)
	}
	return hit
}

// attempt notes a matching call; the set's mu is held. Times are the machine's:
// they tell how a client spaces its calls.
func (e *entry) attempt(ctx context.Context, name string, hit bool) {
	if len(e.Attempts) == maxAttempts {
		return
	}
	a := Attempt{Time: time.Now().UTC(), Name: name, Hit: hit}
	if n := len(e.Attempts); n > 0 {
		a.GapMS = milliseconds(a.Time.Sub(e.Attempts[n-1].Time))
	}
	if deadline, ok := ctx.Deadline(); ok {
		a.DeadlineMS = milliseconds(deadline.Sub(a.Time))
	}
	e.Attempts = append(e.Attempts, a)
}

// exceeds reports whether one more call within this second is one too many; if not
// it passes. A call that is refused does not count against the limit.
func (e *entry) exceeds(now time.Time) bool {
	e.passed = slices.DeleteFunc(e.passed, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(e.passed) >= e.PerSecond {
		return true
	}
	e.passed = append(e.passed, now)
	return false
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// fire notes that the fault takes effect now.
func (e *entry) fire() {
	e.set.mu.Lock()
	defer e.set.mu.Unlock()
	e.Count++
}

// wait is the action hold or stall. It returns an error if the client went away
// before it was over.
func (e *entry) wait(ctx context.Context) error {
	if e.Action == Stall {
		t := time.NewTimer(time.Duration(e.Stall))
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.set.mu.Lock()
	e.holding++
	released := e.released
	e.set.mu.Unlock()
	defer func() {
		e.set.mu.Lock()
		e.holding--
		e.set.mu.Unlock()
	}()
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
