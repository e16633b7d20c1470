// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// Operations take a while here, so that some processes die while one runs.
var slowly = []string{"--operation-latency", "50ms", "--deploy-latency", "150ms"}

// The stages of a life in which something is killed: the shape to reach, none for
// destroy.
var stages = []struct {
	name  string
	shape *shape
}{
	{"create", &shapeOne},
	{"update", &shape{release: "2", tag: "two", replicas: 1}},
	{"replace", &shape{release: "2", tag: "two", replicas: 1, suffix: "_2"}},
	{"destroy", nil},
}

// A boundary is a call: the nth of a method in one stage.
type boundary struct {
	stage  int
	method string
	nth    int
}

func (b boundary) String() string {
	_, short, found := strings.Cut(b.method, "Service/")
	if !found {
		short = strings.ReplaceAll(b.method[strings.LastIndex(b.method, "v2")+1:], "/", " ")
	}
	return fmt.Sprintf("%s %s %d", stages[b.stage].name, short, b.nth)
}

// The victims.
const (
	provider = "provider"
	cli      = "CLI"
	both     = "both"
)

// A kill is how and when.
type kill struct {
	boundary
	victim string
	signal syscall.Signal
	phase  string
}

func (k kill) String() string {
	return fmt.Sprintf("%s %s, %s %s", k.phase, k.boundary, k.signal, k.victim)
}

// killSample is one in how many kills `make test` does. `make test-matrix` does all
// by SIGKILL, a Ctrl-C (which both processes get) at every call, and one in
// signalSample of the others.
const (
	killSample   = 80
	signalSample = 6
)

// isWanted thins out the signals other than SIGKILL, where all kills run.
func (k kill) isWanted(chance *rand.Rand) bool {
	drawn := chance.IntN(signalSample) == 0
	ctrlC := k.signal == syscall.SIGINT && k.victim == both
	return !everything() || only != nil || k.signal == syscall.SIGKILL || ctrlC || drawn
}

// Processes are killed at every call.
func TestAccKillMatrix(t *testing.T) {
	pool := newLabs(t, slowly...)
	l := <-pool
	boundaries := discover(t, l)
	pool <- l
	chance := rand.New(rand.NewPCG(seed, 2))
	queues := make([][]kill, len(stages))
	for _, b := range boundaries {
		for _, victim := range []string{provider, cli, both} {
			for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
				k := kill{b, victim, signal, acctest.AfterEffect}
				if chance.IntN(3) == 0 {
					k.phase = acctest.Before
				}
				if chosen(k, chance, killSample) && k.isWanted(chance) {
					queues[b.stage] = append(queues[b.stage], k)
				}
			}
		}
	}
	count := 0
	for _, q := range queues {
		count = max(count, len(q))
	}
	t.Logf("%d boundaries: %d create, %d update, %d replace, %d destroy kills; seed %d", len(boundaries), len(queues[0]), len(queues[1]), len(queues[2]), len(queues[3]), seed)
	t.Run("lives", func(t *testing.T) {
		for i := range count {
			var kills [4]*kill
			for stage, q := range queues {
				if i < len(q) {
					kills[stage] = &q[i]
				}
			}
			pool.run(t, fmt.Sprint(i), func(c *cell) { killLife(c, kills) })
		}
	})
}

// killLife goes through all stages, and in some of them something is killed.
func killLife(c *cell, kills [4]*kill) {
	var inventories []string
	var shapes []shape
	for _, s := range stages {
		if s.shape != nil {
			shapes = append(shapes, *s.shape)
			inventories = append(inventories, c.undisturbed(shapes...))
		}
	}
	for i, s := range stages {
		command := []string{"apply", "-auto-approve", "-no-color"}
		if s.shape == nil {
			command[0] = "destroy"
		} else {
			c.write(*s.shape)
		}
		ok := true
		if k := kills[i]; k != nil {
			ok = c.t.Run(k.String(), func(t *testing.T) {
				c := c.in(t)
				c.kill(*k, command)
				if s.shape != nil {
					c.converge(inventories[i])
				} else {
					c.end()
				}
			})
		} else {
			c.must(command...)
		}
		if !ok && s.shape == nil {
			return
		}
		if !ok { // begin anew
			c = newCell(c.t, &lab{c.tw, c.cli})
			for _, before := range shapes[:min(i+1, len(shapes))] {
				c.write(before)
				c.must("apply", "-auto-approve", "-no-color")
			}
		}
	}
	c.checkNothing("")
}

// kill runs a command and kills it when it makes the call.
func (c *cell) kill(k kill, command []string) {
	t := c.t
	t.Helper()
	set := c.tw.Fault(t, acctest.Fault{Method: k.method, Nth: k.nth, Action: acctest.Hold, Phase: k.phase, Optional: true})
	running := c.cli.Start(command...)
	if !set.Await(20 * time.Second) {
		// Whether a poll or a look comes depends on how fast the others are.
		out, exit := c.wait(running)
		set.Remove()
		t.Logf("the call was not made this time; the command ended with exit code %d", exit)
		if exit != 0 {
			t.Errorf("and failed:\n%s", out)
		}
		return
	}
	total.kills.Add(1)
	began := time.Now()
	if k.victim != provider {
		running.Signal(k.signal)
	}
	if k.victim != cli && c.cli.SignalProvider(k.signal) == 0 && k.victim == provider {
		t.Error("there was no provider to kill")
	}
	if k.signal == syscall.SIGINT && k.victim == provider {
		set.Remove() // go-plugin ignores it, so that the provider goes on as if nothing were
	}
	// While it plans on behalf of apply or destroy, Terraform does not tell its
	// providers to stop: it waits for the read that is held.
	letGo := time.AfterFunc(5*time.Second, set.Release)
	out, exit := c.wait(running)
	letGo.Stop()
	if k.signal == syscall.SIGINT && k.victim == both && changing.MatchString(out) {
		total.interrupts.add(time.Since(began))
	}
	if exit == 0 && k.signal != syscall.SIGINT {
		t.Errorf("the command succeeded although its %s was killed:\n%s", k.victim, out)
	}
	c.outlived()
	set.Remove()
	if k.victim != provider && k.signal == syscall.SIGKILL {
		c.restoreState()
	}
}

// restoreState does what a user does whose CLI was killed at the very moment in
// which it wrote the state: it writes the file in place, so that nothing is left
// of it but the backup of the state before. (Backends other than local files
// replace the state as a whole.)
func (c *cell) restoreState() {
	c.t.Helper()
	file := filepath.Join(c.cli.Dir(), "terraform.tfstate")
	text, err := os.ReadFile(file)
	if err != nil || json.Valid(text) {
		return
	}
	total.torn.Add(1)
	backup, err := os.ReadFile(file + ".backup")
	if os.IsNotExist(err) {
		err = os.Remove(file)
	} else if err == nil {
		err = os.WriteFile(file, backup, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// outlived counts the providers that go on when their CLI is gone: they would
// work against the next apply.
func (c *cell) outlived() {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); c.cli.SignalProvider(0) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			total.survivors.Add(1)
			c.t.Errorf("a provider lives on 10 s after its CLI has ended")
			c.cli.KillProvider()
			return
		}
	}
}

// changing is what the CLI says when the plan is made and it begins to act.
var changing = regexp.MustCompile(`: (Creating|Modifying|Destroying)\.\.\.`)

var jobID = regexp.MustCompile(`/jobs/[^/]+$`)

// discover finds the calls of each stage from the journal of an undisturbed life.
func discover(t *testing.T, l *lab) (boundaries []boundary) {
	t.Helper()
	c := newCell(t, l)
	for i, s := range stages {
		before := len(c.journal())
		if s.shape == nil {
			c.must("destroy", "-auto-approve", "-no-color")
		} else {
			c.write(*s.shape)
			c.must("apply", "-auto-approve", "-no-color")
		}
		seen := map[string]int{}
		for _, method := range c.journal()[before:] {
			method = jobID.ReplaceAllString(strings.ReplaceAll(method, c.project, "*"), "/jobs/*")
			seen[method]++
			if strings.HasSuffix(method, "/GetOperation") && seen[method] > 5 {
				continue // polls: how many there are is chance
			}
			boundaries = append(boundaries, boundary{i, method, seen[method]})
		}
	}
	return boundaries
}

// journal is the methods of all calls of the project so far.
func (c *cell) journal() (methods []string) {
	c.t.Helper()
	resp, err := http.Get("http://" + c.tw.Host + "/_emulator/journal")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var journal struct{ Entries []struct{ Method string } }
	if err := json.NewDecoder(resp.Body).Decode(&journal); err != nil {
		c.t.Fatal(err)
	}
	for _, e := range journal.Entries {
		methods = append(methods, e.Method)
	}
	return methods
}
