// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

// total is what all matrices together came to.
var total struct {
	cells, passed, notApplicable atomic.Int64
	pairs, pairsPassed           atomic.Int64
	kills, survivors, torn       atomic.Int64
	orphans, duplicates          atomic.Int64
	canaries, artefacts          atomic.Int64
	histories, actions           atomic.Int64
	interrupts                   durations
}

type durations struct {
	sync.Mutex
	all []time.Duration
}

func (d *durations) add(v time.Duration) {
	d.Lock()
	defer d.Unlock()
	d.all = append(d.all, v)
}

// quantile is the value that the share q of all do not exceed.
func (d *durations) quantile(q float64) time.Duration {
	d.Lock()
	defer d.Unlock()
	if len(d.all) == 0 {
		return 0
	}
	slices.Sort(d.all)
	return d.all[min(int(q*float64(len(d.all))), len(d.all)-1)].Round(10 * time.Millisecond)
}

// GCPML_MATRIX says how much of the matrices is run: "all", one cell in so many, or,
// when it is not set, as little as `make test` has time for.
func everything() bool { return os.Getenv("GCPML_MATRIX") == "all" }

// oneIn is how sparse a sample is, usually one cell in so many.
func oneIn(usually int) int {
	if n, err := strconv.Atoi(os.Getenv("GCPML_MATRIX")); err == nil && n > 0 {
		return n
	}
	return usually
}

// only are the cells to run, when GCPML_MATRIX_ONLY is set, a regular expression.
var only = func() *regexp.Regexp {
	if pattern := os.Getenv("GCPML_MATRIX_ONLY"); pattern != "" {
		return regexp.MustCompile(pattern)
	}
	return nil
}()

// chosen reports whether a cell is to run: all of them, those asked for, or one
// in so many.
func chosen(cell fmt.Stringer, chance *rand.Rand, usually int) bool {
	drawn := chance.IntN(oneIn(usually)) == 0
	if only != nil {
		return only.MatchString(cell.String())
	}
	return everything() || drawn
}

// seed is that of all samples.
var seed = func() uint64 {
	if s, err := strconv.ParseUint(os.Getenv("GCPML_MATRIX_SEED"), 10, 64); err == nil {
		return s
	}
	return 1
}()

func TestMain(m *testing.M) {
	began := time.Now()
	code := m.Run()
	if total.artefacts.Load() > 0 {
		summary(time.Since(began))
	}
	os.Exit(code)
}

func summary(took time.Duration) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("fault cells live", total.cells.Load())
	row("fault cells passed", total.passed.Load())
	row("fault cells not applicable", total.notApplicable.Load())
	row("pairs of faults live", total.pairs.Load())
	row("pairs of faults passed", total.pairsPassed.Load())
	row("kills", total.kills.Load())
	row("states that a killed CLI tore", fmt.Sprintf("%d, restored from the backup", total.torn.Load()))
	row("providers that outlived their CLI", total.survivors.Load())
	row("random histories", fmt.Sprintf("%d with %d actions", total.histories.Load(), total.actions.Load()))
	i := &total.interrupts
	row("interrupts", fmt.Sprintf("%d: p50 %s, p99 %s, max %s", len(i.all), i.quantile(.5), i.quantile(.99), i.quantile(1)))
	row("orphans", total.orphans.Load())
	row("duplicates", total.duplicates.Load())
	row("canary hits", fmt.Sprintf("%d in %d artefacts", total.canaries.Load(), total.artefacts.Load()))
	row("seed", seed)
	row("time", took.Round(time.Second))
	_ = w.Flush()
}
