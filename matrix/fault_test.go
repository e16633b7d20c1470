// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// A faultCell is one call that meets one fault.
type faultCell struct {
	call  call
	fault fault
	want  outcome
	// then, if not nil, is another call of the same command, which meets a fault too.
	then *faultCell
}

func (fc faultCell) String() string {
	text := fmt.Sprintf("%s during %s meets %s", fc.call.name, fc.call.during, fc.fault.name)
	if fc.then != nil {
		text += fmt.Sprintf(", %s meets %s", fc.then.call.name, fc.then.fault.name)
	}
	return text
}

// A life is cells that follow each other on one set of resources: it is created
// with a fault, refreshed and updated with others, and destroyed with one more.
// Each cell converges before the next begins.
type life map[string][]faultCell

// scenarios in the order in which a life has them.
var scenarios = []string{duringCreate, duringRefresh, duringUpdate, duringResize, duringRelease, duringDestroy}

// No call of the plan is forgotten, and none is in both lists.
func TestEveryCallHasItsRow(t *testing.T) {
	rows := map[string]bool{}
	for _, c := range calls {
		rows[c.name] = true
	}
	for planned, name := range plan {
		if _, never := neverMade[name]; rows[name] == never {
			t.Errorf("%s (%s): in calls: %t, in neverMade: %t", planned, name, rows[name], never)
		}
	}
	for name, reason := range neverMade {
		if reason == "" {
			t.Errorf("%s is never made, without a reason", name)
		}
	}
}

// sampleOf is the share of all fault cells that `make test` runs: one in so many.
const sampleOf = 24

// Every call meets every fault.
func TestAccFaultMatrix(t *testing.T) {
	queues := life{}
	chance := rand.New(rand.NewPCG(seed, 1))
	for name, reason := range neverMade {
		t.Logf("%s: not applicable: %s", name, reason)
		total.notApplicable.Add(int64(len(faults)))
	}
	for _, call := range calls {
		for _, f := range faults {
			want, reason := expected(call, f)
			if want == notApplicable {
				if reason == "" {
					t.Errorf("%s / %s: not applicable without a reason", call.name, f.name)
				}
				total.notApplicable.Add(1)
				continue
			}
			if fc := (faultCell{call: call, fault: f, want: want}); chosen(fc, chance, sampleOf) {
				queues[call.during] = append(queues[call.during], fc)
			}
		}
	}
	queues.run(t)
}

// run spreads the cells over lives, of which each has one creation and one
// destruction, and not many changes: what an undisturbed life has after each of them
// has to be found out first.
func (l life) run(t *testing.T) {
	const changes = 2
	count := max(len(l[duringCreate]), len(l[duringDestroy]), len(l[duringUpdate])/changes, len(l[duringRelease])/changes, 1)
	pool := newLabs(t)
	t.Run("lives", func(t *testing.T) {
		for i := range count {
			one := life{}
			for _, s := range scenarios {
				for j := i; j < len(l[s]); j += count {
					one[s] = append(one[s], l[s][j])
				}
			}
			pool.run(t, strconv.Itoa(i), one.live)
		}
	})
}

// pairSample is the share of all pairs that `make test` runs.
const pairSample = 24

// Two calls of one command meet faults, each of which the provider overcomes when it
// comes alone: then it overcomes both. Every pair of calls that one command makes is
// there, in the order of the table, with faults in turn, so that each fault of a call
// is in a pair too; which ones come together follows from the seed.
func TestAccFaultPairs(t *testing.T) {
	chance := rand.New(rand.NewPCG(seed, 3))
	queues := life{}
	turns := map[call][]faultCell{}
	next := func(c call) *faultCell {
		if len(turns[c]) == 0 {
			for _, f := range faults {
				want, _ := expected(c, f)
				if want == succeeds && f.set.Times >= 0 { // what lasts leaves nothing to a second fault
					turns[c] = append(turns[c], faultCell{call: c, fault: f, want: want})
				}
			}
			chance.Shuffle(len(turns[c]), func(i, j int) { turns[c][i], turns[c][j] = turns[c][j], turns[c][i] })
		}
		fc := turns[c][0]
		turns[c] = turns[c][1:]
		return &fc
	}
	for i, first := range calls {
		for _, second := range calls[i+1:] {
			if first.during != second.during {
				continue
			}
			pair := *next(first)
			pair.then = next(second)
			if chosen(pair, chance, pairSample) {
				queues[first.during] = append(queues[first.during], pair)
			}
		}
	}
	t.Logf("%d create, %d refresh, %d update, %d destroy pairs; seed %d", len(queues[duringCreate]), len(queues[duringRefresh]), len(queues[duringUpdate]), len(queues[duringDestroy]), seed)
	queues.run(t)
}

func (l life) live(c *cell) {
	releases := len(l[duringRelease])
	if releases > 0 {
		releases++ // before the first there is no version that could go
	}
	shapes, inventories := c.history(len(l[duringUpdate]), len(l[duringResize]), releases)
	at := 0
	c.write(shapes[at])
	if len(l[duringCreate]) == 0 {
		c.must("apply", "-auto-approve", "-no-color")
	}
	for _, scenario := range scenarios {
		for i, fc := range l[scenario] {
			if scenario == duringUpdate || scenario == duringResize || scenario == duringRelease {
				at++
				c.write(shapes[at])
			}
			if scenario == duringRelease && i == 0 {
				c.must("apply", "-auto-approve", "-no-color")
				at++
				c.write(shapes[at])
			}
			if fc.fault.group == endless {
				hurried := shapes[at]
				hurried.hurry = true
				c.write(hurried)
				if scenario == duringDestroy { // which goes by what was applied
					c.must("apply", "-auto-approve", "-no-color")
				}
			}
			ok := c.t.Run(fc.String(), func(t *testing.T) {
				fc.run(c.in(t), shapes[at], inventories[at])
			})
			if !ok {
				// What is left of this life is no ground to stand on.
				c = newCell(c.t, &lab{c.tw, c.cli})
				for _, s := range shapes[:at+1] {
					c.write(s)
					c.must("apply", "-auto-approve", "-no-color")
				}
			}
		}
	}
	if c.inventory() != "" {
		c.end()
	}
}

// history returns shapes of which each follows from the one before, at first by
// updates of everything, then of the replicas, and then by releases, and what an
// undisturbed life has after each.
func (c *cell) history(updates, resizes, releases int) (shapes []shape, inventories []string) {
	for i := range 1 + updates + resizes + releases {
		s := shapeOne
		if i > 0 {
			s = shapes[i-1]
			if i > updates && i <= updates+resizes {
				s.replicas++
			} else {
				s.release, s.tag = strconv.Itoa(i+1), "tag-"+strconv.Itoa(i+1)
			}
			s.thrifty = i > updates+resizes
		}
		shapes = append(shapes, s)
		inventories = append(inventories, c.undisturbed(shapes...))
	}
	return shapes, inventories
}

// run runs the cell on the way to a shape and its inventory.
func (fc faultCell) run(c *cell, s shape, inventory string) {
	t := c.t
	live, passed := &total.cells, &total.passed
	if fc.then != nil {
		live, passed = &total.pairs, &total.pairsPassed
	}
	live.Add(1)
	fired, remove := fc.set(c)
	command := (*cell).apply
	switch fc.call.during {
	case duringRefresh:
		command = (*cell).plan
	case duringDestroy:
		command = (*cell).destroy
	}
	out, exit := command(c)
	if !fired() {
		t.Errorf("the fault never fired:\n%s", out)
	}
	remove()
	got := succeeds
	switch {
	case exit == 2 && fc.call.during == duringRefresh:
		got = gonePlanned
	case exit != 0:
		got = fails
	case fc.want == leaves && c.inventory() != inventory:
		got = leaves
	}
	if got != fc.want {
		t.Errorf("the command %s (exit code %d), want: %s\n%s", got, exit, fc.want, out)
	}
	if (got == fails || got == leaves) && !fc.told(out) {
		t.Errorf("the error does not tell what failed and what the server said:\n%s", out)
	}
	c.checkOnce()
	if fc.fault.group == endless {
		c.write(s)
		c.tw.Advance(t, forever)
	}
	switch {
	case fc.call.during == duringDestroy && got == fails:
		c.end()
	case fc.call.during == duringDestroy:
		c.checkNothing(out)
	case got == fails:
		c.converge(inventory)
	case got == leaves:
		if out, exit := c.plan(); exit != 0 {
			t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
		}
		again := s
		again.release += "0"
		c.write(again)
		c.must("apply", "-auto-approve", "-no-color")
		if got := c.inventory(); got != inventory {
			t.Errorf("the next change did not clear away what was left:\n%s\nwant:\n%s", got, inventory)
		}
	default:
		c.checkConverged(inventory, out)
	}
	if !t.Failed() {
		passed.Add(1)
	}
}

func (fc faultCell) set(c *cell) (fired func() bool, remove func()) {
	c.t.Helper()
	if fc.then != nil {
		first, then := fc, *fc.then
		first.then = nil
		firstFired, removeFirst := first.set(c)
		thenFired, removeThen := then.set(c)
		return func() bool { return firstFired() && thenFired() }, func() { removeFirst(); removeThen() }
	}
	if op := fc.fault.operation; op != nil {
		spec := *op
		// The emulator knows both deletions by one name.
		spec.Method, spec.Optional = strings.TrimSuffix(fc.call.method, "Version"), true
		set := c.tw.Operations(c.t, spec)
		return func() bool { return len(set.Names()) > 0 }, func() {}
	}
	spec := fc.fault.set
	spec.Method, spec.Nth, spec.Optional = fc.call.method, fc.call.nth, true
	set := c.tw.Fault(c.t, spec)
	return set.Fired, set.Remove
}

// unfinished is an error that names the operation that was awaited, and how long.
var unfinished = regexp.MustCompile(`over after \S+ \(timeouts: \w+ = ` + hurriedTimeout + `\).* operation projects/\S+/operations/\S+ after \d+s: `)

// told reports whether an error names what failed, and what the server said if it
// said anything.
func (fc faultCell) told(out string) bool {
	e, _ := exceptionOf(fc.call, fc.fault)
	if fc.want == leaves {
		return e.ownWords || strings.Contains(out, "Warning: Earlier versions of model")
	}
	if !strings.Contains(out, "Error: Unable to ") && !strings.Contains(out, "Error: Something of ") {
		return false
	}
	if fc.fault.group == endless {
		return unfinished.MatchString(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "))
	}
	says := fc.fault.set.Action == acctest.Status || fc.fault.group == failed
	return !says || e.ownWords || strings.Contains(out, "MATRIX-FAULT")
}
