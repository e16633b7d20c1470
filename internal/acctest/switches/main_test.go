// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// Every switch has a row, every row is of a switch and names tests that exist, each
// of them, in each of its packages.
func TestMatters(t *testing.T) {
	switches, err := acctest.Switches()
	if err != nil {
		t.Fatal(err)
	}
	runs, err := flips(switches, []string{"./resources/..."})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	values := 0
	for _, s := range switches {
		known[s.Key] = true
		values += len(s.Others)
	}
	if len(runs) != 1+values || len(runs[0].settings) != len(switches) {
		t.Errorf("%d runs and %d settings in the first, of %d switches with %d other values", len(runs), len(runs[0].settings), len(switches), values)
	}
	name := regexp.MustCompile(`(?m)^func (TestAcc\w*)\(`)
	for key, row := range matters {
		if !known[key] {
			t.Errorf("the row %s is of no switch", key)
		}
		pattern := regexp.MustCompile(row.tests)
		found := map[string]bool{}
		for _, p := range row.packages {
			files, _ := filepath.Glob(filepath.Join("..", "..", "..", p, "*_test.go"))
			some := false
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range name.FindAllStringSubmatch(string(text), -1) {
					if pattern.MatchString(m[1]) {
						found[m[1]], some = true, true
					}
				}
			}
			if !some {
				t.Errorf("%s: %s has no test %s", key, p, row.tests)
			}
		}
		alternatives := strings.TrimSuffix(strings.TrimPrefix(row.tests, "^TestAcc("), ")$")
		for one := range strings.SplitSeq(alternatives, "|") {
			if strings.HasSuffix(one, ".*") {
				continue // found, or some would be false
			}
			if !found["TestAcc"+one] {
				t.Errorf("%s: there is no TestAcc%s in %v", key, one, row.packages)
			}
		}
	}
}

// What `go test -json` tells is counted at the top level, and nothing that failed is
// lost: not a package that did not build, either.
func TestCollect(t *testing.T) {
	r, err := collect(strings.NewReader(`# not JSON
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA/part","Output":"    why\n"}
{"Action":"fail","Package":"p","Test":"TestA/part"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:7: needs more\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
{"Action":"skip","Package":"empty"}
{"Action":"output","Package":"broken","Output":"does not build\n"}
{"Action":"fail","Package":"broken"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.passed != 1 || len(r.failed) != 2 || !strings.Contains(r.failed[0], "why") || !strings.Contains(r.failed[1], "does not build") {
		t.Errorf("%d passed, failed: %q", r.passed, r.failed)
	}
	if got := r.skipped["p TestC"]; len(r.skipped) != 1 || got != "needs more" {
		t.Errorf("skipped: %q", r.skipped)
	}
}
