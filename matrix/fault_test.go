// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"fmt"
	"math/rand/v2"
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
}

func (fc faultCell) String() string {
	return fmt.Sprintf("%s during %s meets %s", fc.call.name, fc.call.during, fc.fault.name)
}

// A life is cells that follow each other on one set of resources: it is created
// with a fault, refreshed and updated with others, and destroyed with one more.
// Each cell converges before the next begins.
type life map[string][]faultCell

// scenarios in the order in which a life has them.
var scenarios = []string{duringCreate, duringRefresh, duringUpdate, duringResize, duringDestroy}

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
			if fc := (faultCell{call, f, want}); chosen(fc, chance, sampleOf) {
				queues[call.during] = append(queues[call.during], fc)
			}
		}
	}
	count := max(len(queues[duringCreate]), len(queues[duringDestroy]))
	if only != nil && count == 0 {
		count = 1
	}
	pool := newLabs(t)
	t.Run("lives", func(t *testing.T) {
		for i := range count {
			l := life{}
			for _, s := range scenarios {
				for j := i; j < len(queues[s]); j += count {
					l[s] = append(l[s], queues[s][j])
				}
			}
			pool.run(t, strconv.Itoa(i), l.live)
		}
	})
}

func (l life) live(c *cell) {
	steps := 1 + len(l[duringUpdate]) + len(l[duringResize])
	shapes, inventories := c.history(steps, len(l[duringUpdate]))
	at := 0
	c.write(shapes[at])
	if len(l[duringCreate]) == 0 {
		c.must("apply", "-auto-approve", "-no-color")
	}
	for _, scenario := range scenarios {
		for _, fc := range l[scenario] {
			if scenario == duringUpdate || scenario == duringResize {
				at++
				c.write(shapes[at])
			}
			ok := c.t.Run(fc.String(), func(t *testing.T) {
				fc.run(c.in(t), inventories[at])
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
// updates of everything and then of the replicas, and what an undisturbed life has
// after each.
func (c *cell) history(steps, updates int) (shapes []shape, inventories []string) {
	for i := range steps {
		s := shapeOne
		if i > 0 {
			s = shapes[i-1]
			if i <= updates {
				s.release, s.tag = strconv.Itoa(i+1), "tag-"+strconv.Itoa(i+1)
			} else {
				s.replicas++
			}
		}
		shapes = append(shapes, s)
		inventories = append(inventories, c.undisturbed(shapes...))
	}
	return shapes, inventories
}

func (fc faultCell) run(c *cell, inventory string) {
	t := c.t
	total.cells.Add(1)
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
	}
	if got != fc.want {
		t.Errorf("the command %s (exit code %d), want: %s\n%s", got, exit, fc.want, out)
	}
	if got == fails && !fc.told(out) {
		t.Errorf("the error does not tell what failed and what the server said:\n%s", out)
	}
	c.checkOnce()
	switch {
	case fc.call.during == duringDestroy && got == fails:
		c.end()
	case fc.call.during == duringDestroy:
		c.checkNothing(out)
	case got == fails:
		c.converge(inventory)
	default:
		c.checkConverged(inventory, out)
	}
	if !t.Failed() {
		total.passed.Add(1)
	}
}

func (fc faultCell) set(c *cell) (fired func() bool, remove func()) {
	c.t.Helper()
	if op := fc.fault.operation; op != nil {
		spec := *op
		spec.Method, spec.Optional = fc.call.method, true
		set := c.tw.Operations(c.t, spec)
		return func() bool { return len(set.Names()) > 0 }, func() {}
	}
	spec := fc.fault.set
	spec.Method, spec.Nth, spec.Optional = fc.call.method, fc.call.nth, true
	set := c.tw.Fault(c.t, spec)
	return set.Fired, set.Remove
}

// told reports whether an error names what failed, and what the server said if it
// said anything.
func (fc faultCell) told(out string) bool {
	if !strings.Contains(out, "Error: Unable to ") && !strings.Contains(out, "Error: Something of ") {
		return false
	}
	says := fc.fault.set.Action == acctest.Status || fc.fault.group == failed
	if e, ok := exceptionOf(fc.call, fc.fault); ok && e.ownWords {
		says = false
	}
	return !says || strings.Contains(out, "MATRIX-FAULT")
}
