// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"math"
	"testing"
)

// The ranges of the chunks leave out no hash, share none, and are about as wide.
func TestOrdinaryChunks(t *testing.T) {
	for _, n := range []struct{ rows, size, want int64 }{{1, 10_000, 1}, {10_000, 10_000, 1}, {10_001, 10_000, 2}, {70, 10, 7}, {1000, 1, 1000}} {
		chunks := ordinaryChunks(n.rows, n.size)
		if int64(len(chunks)) != n.want {
			t.Fatalf("%d rows in chunks of %d are %d chunks, want %d", n.rows, n.size, len(chunks), n.want)
		}
		next := int64(math.MinInt64)
		for i, c := range chunks {
			if c.number != int64(i) || c.low != next || c.high < c.low || c.hashes != nil {
				t.Fatalf("chunk %d is %+v, and should begin at %d", i, c, next)
			}
			width, share := float64(c.high)-float64(c.low), math.Pow(2, 64)/float64(n.want)
			if math.Abs(width-share) > share/1000 {
				t.Errorf("chunk %d of %d is %g wide, want about %g", i, n.want, width, share)
			}
			if i < len(chunks)-1 {
				next = c.high + 1
			} else if c.high != math.MaxInt64 {
				t.Errorf("the last chunk ends at %d", c.high)
			}
		}
	}
}

// Large rows share requests as far as they fit, in their order, and none is lost.
func TestPacks(t *testing.T) {
	l := limitsOf(4)
	sizes := []int64{requestFor, 1, requestFor / 2, requestFor / 2, requestFor / 2, 400_000, 400_000, 10, 10, 10, 10, 10}
	var rows []measured
	for i, size := range sizes {
		rows = append(rows, measured{int64(i - 5), size})
	}
	chunks := packs(rows, l, 7)
	next := 0
	for i, c := range chunks {
		var bytes int64
		for _, hash := range c.hashes {
			if hash != rows[next].hash {
				t.Fatalf("row %d comes instead of %d", hash, rows[next].hash)
			}
			bytes += rows[next].bytes
			next++
		}
		if c.number != int64(7+i) || len(c.hashes) == 0 || len(c.hashes) > 4 || bytes > requestFor || c.low != c.hashes[0] || c.high != c.hashes[len(c.hashes)-1] {
			t.Errorf("pack %d is %+v of %d bytes", i, c, bytes)
		}
	}
	if next != len(rows) {
		t.Errorf("%d of %d rows are in a pack", next, len(rows))
	}
	// The full row alone; 1 byte and a half, with which another half does not fit; …
	if len(chunks[0].hashes) != 1 || len(chunks[1].hashes) != 2 || len(chunks[2].hashes) != 2 {
		t.Errorf("got %+v", chunks)
	}
}

// Retries go down to single rows, which tells a row that the model cannot take from its
// neighbours; a round never takes more than 64 jobs.
func TestRetrySize(t *testing.T) {
	l := limitsOf(0)
	for round, want := range map[int64]int{1: 32, 2: 8, 3: 2, 4: 1, 5: 1, 1000: 1} {
		if got := retrySize(10, round, l); got != want {
			t.Errorf("round %d: %d rows, want %d", round, got, want)
		}
	}
	for _, pending := range []int{1, 64, 65, 128, 10_000, 1_000_000} {
		for round := int64(1); round < 8; round++ {
			if jobs := len(split(make([]int, pending), retrySize(pending, round, l))); jobs > 64 || jobs < 1 {
				t.Errorf("%d rows in round %d are %d jobs", pending, round, jobs)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	jobs := split([]int{1, 2, 3, 4, 5}, 2)
	if len(jobs) != 3 || len(jobs[0]) != 2 || jobs[2][0] != 5 {
		t.Errorf("got %v", jobs)
	}
}

func TestHopeless(t *testing.T) {
	passing := pending{1, "A retryable error occurred: RESOURCE EXHAUSTED error from https://…"}
	fatal := pending{2, "INVALID ARGUMENT error from https://…"}
	for name, test := range map[string]struct {
		rows []pending
		size int
		want bool
	}{
		"alone and refused":       {[]pending{fatal, fatal}, 1, true},
		"not alone":               {[]pending{fatal}, 2, false},
		"one may pass":            {[]pending{fatal, passing}, 1, false},
		"an incomplete answer":    {[]pending{{3, ""}}, 1, false},
		"the first try of chunks": {[]pending{fatal}, 0, false},
	} {
		if got := hopeless(test.rows, test.size); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
