// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Command switches runs the acceptance tests against Google services that are not
// what we guessed: with every switch of the emulator flipped at once, and then with
// each one alone, over the tests for which it matters.
//
//	switches [-switch KEY] PACKAGE…
//
// It prints a line for each run, every test that was skipped, and what failed in
// full, and exits with 1 if anything did. `make test-switches` sets the environment
// that it needs.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

func main() {
	only := flag.String("switch", "", "only this switch, alone (or \"all\": all at once)")
	parallel := flag.String("parallel", "6", "tests that run at the same time")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "switches: which packages? (./resources/... ./provider/... ./examples/...)")
		os.Exit(2)
	}
	passed, err := run(os.Stdout, *only, *parallel, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "switches:", err)
		os.Exit(1)
	}
	if !passed {
		os.Exit(1)
	}
}

// flip is one run of tests: these settings over these tests.
type flip struct {
	name     string
	settings []string
	packages []string
	tests    string
}

// flips are all runs, the one with every switch first.
func flips(switches []acctest.Switch, packages []string) ([]flip, error) {
	all := flip{name: "all", packages: packages, tests: "TestAcc"}
	var alone []flip
	for _, s := range switches {
		row, ok := matters[s.Key]
		if !ok {
			return nil, fmt.Errorf("the table in matters.go has no row for the switch %s", s.Key)
		}
		all.settings = append(all.settings, s.Key+"="+s.Others[0])
		for _, value := range s.Others {
			setting := s.Key + "=" + value
			alone = append(alone, flip{setting, []string{setting}, row.packages, row.tests})
		}
	}
	return append([]flip{all}, alone...), nil
}

func run(out io.Writer, only, parallel string, packages []string) (passed bool, err error) {
	switches, err := acctest.Switches()
	if err != nil {
		return false, err
	}
	todo, err := flips(switches, packages)
	if err != nil {
		return false, err
	}
	if only != "" {
		todo = slices.DeleteFunc(todo, func(f flip) bool { key, _, _ := strings.Cut(f.name, "="); return key != only })
		if len(todo) == 0 {
			return false, fmt.Errorf("%q is no switch", only)
		}
	}
	passed = true
	skipped := map[string]string{}
	fmt.Fprintf(out, "%-50s %7s %7s %7s %7s\n", "flipped", "passed", "skipped", "failed", "time")
	for _, f := range todo {
		began := time.Now()
		r, err := f.run(parallel)
		if err != nil {
			return false, fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Fprintf(out, "%-50s %7d %7d %7d %6.0fs\n", f.name, r.passed, len(r.skipped), len(r.failed), time.Since(began).Seconds())
		for _, test := range r.failed {
			passed = false
			fmt.Fprintf(out, "FAILED with %s: %s\n", strings.Join(f.settings, ","), test)
		}
		for test, reason := range r.skipped {
			skipped[test] = reason
		}
	}
	for _, test := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(out, "SKIPPED %s: %s\n", test, skipped[test])
	}
	return passed, nil
}

// result is what became of the tests of one run. failed are their names and output.
type result struct {
	passed  int
	skipped map[string]string
	failed  []string
}

// event is what `go test -json` tells, a line each.
type event struct{ Action, Package, Test, Output string }

func (f flip) run(parallel string) (result, error) {
	args := append([]string{"test", "-json", "-count=1", "-timeout=60m", "-p=2", "-parallel=" + parallel, "-run=" + f.tests}, f.packages...)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), acctest.AssumeVariable+"="+strings.Join(f.settings, ","))
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	r, err := collect(stdout)
	if err != nil {
		return r, err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && (!errors.As(err, &exit) || len(r.failed) == 0) {
		return r, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &trouble)
	}
	if r.passed == 0 && len(r.failed) == 0 {
		return r, fmt.Errorf("go %s: no test passed", strings.Join(args, " "))
	}
	return r, nil
}

// collect reads the events of a run. Tests are counted at the top level; the output
// of their parts is theirs.
func collect(events io.Reader) (result, error) {
	r := result{skipped: map[string]string{}}
	output := map[string]*strings.Builder{}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return r, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue // what the build says
		}
		top, _, part := strings.Cut(e.Test, "/")
		name := strings.TrimSpace(e.Package + " " + top)
		if output[name] == nil {
			output[name] = &strings.Builder{}
		}
		switch {
		case e.Action == "output":
			output[name].WriteString(e.Output)
		case e.Action == "skip" && e.Test != "":
			r.skipped[e.Package+" "+e.Test] = reason(output[name].String())
		case part || e.Action != "pass" && e.Action != "fail":
		case e.Action == "pass" && top != "":
			r.passed++
		case e.Action == "fail" && (top != "" || !slices.ContainsFunc(r.failed, func(f string) bool { return strings.HasPrefix(f, e.Package+" ") })):
			r.failed = append(r.failed, name+"\n"+output[name].String())
		}
	}
}

var skipLine = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*)$`)

// reason is what a test said when it skipped itself: its last words.
func reason(output string) string {
	said := skipLine.FindAllStringSubmatch(output, -1)
	if len(said) == 0 {
		return strings.TrimSpace(output)
	}
	return said[len(said)-1][1]
}
