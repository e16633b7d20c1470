// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// A hundred resources at once meet a server that lets so many calls pass in a
// second. Everything gets done, nobody comes back before the time that the server
// told, and the herd spreads out instead of coming back as one.
func TestAccRateLimit(t *testing.T) {
	resources, limit := 100, 10 // calls per second
	if !everything() {
		resources, limit = 30, 6
	}
	const (
		// What a call may cost: with nobody to coordinate them, the callers need
		// about as many tries as doublings of the jitter until they fit.
		maxAttempts = 8
		// Of all calls together, those that pass included.
		maxRatio = 4
		// When the herd has spread, this much of the limit is tried in a second.
		spread, maxOver = 8, 3
	)
	for name, told := range map[string]time.Duration{"the server tells when to come again": 2 * time.Second, "it does not": 0} {
		if !everything() && told == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--enable-faults")
			c := newCell(t, &lab{tw: tw, cli: tw.NewCLI(t, tw.Config(""))})
			c.cli.Write(fmt.Sprintf("provider \"gcpml\" {\n  project = %q\n  region = %q\n  emulator_host = %q\n  ownership_id = \"matrix\"\n}\n\n%s",
				c.project, acctest.Region, tw.Host, fmt.Sprintf(manyConnections, resources)))
			refusal := answer("RESOURCE_EXHAUSTED")
			refusal.Method, refusal.PerSecond = connections+"*", limit
			refusal.Status.Reason, refusal.Status.RetryAfter = "RATE_LIMIT_EXCEEDED", acctest.Duration(told)
			set := tw.Fault(t, refusal)
			for _, command := range [][]string{{"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}} {
				before := len(set.Report().Attempts)
				if out, exit := c.run(append(command, "-parallelism=100", "-no-color")...); exit != 0 {
					t.Fatalf("%s: exit code %d\n%s", command[0], exit, out)
				}
				tries := set.Report().Attempts[before:]
				calls, refused, most := 0, 0, 0
				last, streak := map[string]time.Time{}, map[string]int{} // of those whose last try was refused
				for _, a := range tries {
					if since, again := last[a.Name]; again && a.Time.Sub(since) < told {
						t.Errorf("%s: %s came again after %s, and was told to wait for %s", command[0], a.Name, a.Time.Sub(since), told)
					}
					streak[a.Name]++
					most = max(most, streak[a.Name])
					if a.Hit {
						refused++
						last[a.Name] = a.Time
					} else {
						calls++
						delete(last, a.Name)
						delete(streak, a.Name)
					}
				}
				rates := perSecond(tries)
				t.Logf("%s: %d calls passed, %d were refused, at most %d tries for one; per second: %v", command[0], calls, refused, most, rates)
				for second, n := range rates {
					if second >= spread && n > maxOver*limit {
						t.Errorf("%s: %d tries in second %d, of which %d can pass", command[0], n, second, limit)
					}
				}
				if refused == 0 {
					t.Errorf("%s: nothing was refused", command[0])
				}
				if most > maxAttempts {
					t.Errorf("%s: %d tries for one call, want at most %d", command[0], most, maxAttempts)
				}
				if calls+refused > maxRatio*calls {
					t.Errorf("%s: %d tries for %d calls, want at most %d for each", command[0], calls+refused, calls, maxRatio)
				}
			}
			set.Remove()
			c.checkOnce()
			if made := len(tw.Inventory(t)["connections"]); made != resources {
				t.Errorf("there are %d connections, want %d", made, resources)
			}
			c.checkNothing(c.must("destroy", "-auto-approve", "-parallelism=100", "-no-color"))
		})
	}
}

const manyConnections = `
resource "gcpml_bq_connection" "many" {
  for_each      = toset([for i in range(%d) : format("many-%%03d", i)])
  location      = "US"
  connection_id = each.key
}
`

// perSecond counts tries by the second since the first.
func perSecond(tries []acctest.Attempt) (counts []int) {
	for _, a := range tries {
		for s := int(a.Time.Sub(tries[0].Time) / time.Second); s >= len(counts); {
			counts = append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return counts
}
