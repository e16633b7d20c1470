// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Every figure in the advice is arithmetic on those of the situation.
func TestAdvise(t *testing.T) {
	const set = ` of the gcpml_vertex_endpoint_deployment`
	dedicated := func(minimum, maximum, available int32) []bqml.Serving {
		return []bqml.Serving{{Deployment: "main", Traffic: 100, Resources: "dedicated", MachineType: "n1-standard-2", MinReplicas: minimum, MaxReplicas: maximum, Available: available}}
	}
	// 1000 rows in 10 s without a failure.
	fast := Measured{Jobs: 2, Rows: 1000, Time: 10 * time.Second}
	refused := Measured{Jobs: 3, Rows: 1000, Time: 10 * time.Second, Failed: 250, Exhausted: 250}
	for name, c := range map[string]struct {
		s    Situation
		want []Advice
	}{
		"nothing measured": {Situation{BatchRows: 128, Serving: dedicated(1, 1, 0), Within: time.Minute}, nil},
		"no prediction at all": {
			Situation{Measured: Measured{Jobs: 1, Rows: 5, Time: time.Second, Failed: 5}, BatchRows: 128, Rows: 5, Left: 9, Within: time.Minute, Serving: dedicated(1, 1, 0)}, nil,
		},
		"the endpoint is not readable": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000},
			[]Advice{{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT"}},
		},
		"a fixed number of replicas": {
			Situation{Measured: fast, BatchRows: 128, Rows: 4000, Left: 3000, Serving: dedicated(4, 4, 0)},
			[]Advice{
				{Kind: AdviceRate, Text: "100 predictions per second: 1000 in 10s of 2 jobs of ML.PREDICT, by 4 replicas of n1-standard-2 (25 each)"},
				{Kind: AdviceTimeLeft, Text: "about 30s for the 3000 rows that are left, at this rate"},
			},
		},
		"too few rows for each replica": {
			Situation{Measured: Measured{Jobs: 1, Rows: 100, Time: time.Second}, BatchRows: 128, Rows: 100, Serving: dedicated(2, 2, 0), Within: 100 * time.Millisecond},
			[]Advice{
				{Kind: AdviceRate, Text: "100 predictions per second: 100 in 1s of 1 job of ML.PREDICT, by 2 replicas of n1-standard-2"},
				{Kind: AdviceWithin, Text: "all 100 rows take about 1s at this rate; what more replicas would bring cannot be told from 100 rows, which are not one request of 128 for each replica"},
			},
		},
		"the ceiling": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000, Serving: dedicated(1, 1, 1)},
			[]Advice{
				{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT, by 1 replica of n1-standard-2 (75 each)"},
				{Kind: AdviceMaxReplicas, Deployment: "main", Attribute: `deployments["main"].dedicated_resources.max_replica_count`,
					Text: `250 of 1000 tries of rows (25 %) were refused with RESOURCE_EXHAUSTED (429): deployment "main" has min_replica_count = max_replica_count = 1 and cannot scale: raise deployments["main"].dedicated_resources.max_replica_count` + set},
			},
		},
		"all replicas run": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000, Serving: dedicated(1, 3, 3)},
			[]Advice{
				{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT, by 3 replicas of n1-standard-2 at the end (25 each)"},
				{Kind: AdviceMaxReplicas, Deployment: "main", Attribute: `deployments["main"].dedicated_resources.max_replica_count`,
					Text: `250 of 1000 tries of rows (25 %) were refused with RESOURCE_EXHAUSTED (429): deployment "main" runs all of its 3 replicas: raise deployments["main"].dedicated_resources.max_replica_count` + set},
			},
		},
		"there could be more": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000, Serving: dedicated(1, 3, 2)},
			[]Advice{
				{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT, by 2 replicas of n1-standard-2 at the end (37.5 each)"},
				{Kind: AdviceMinReplicas, Deployment: "main", Attribute: `deployments["main"].dedicated_resources.min_replica_count`,
					Text: `250 of 1000 tries of rows (25 %) were refused with RESOURCE_EXHAUSTED (429): deployment "main" runs 2 replicas of at most 3 and did not scale in time: raise deployments["main"].dedicated_resources.min_replica_count` + set + `, replicas that are there from the start`},
			},
		},
		"nobody knows how many there are": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000, Within: 5 * time.Second, Serving: []bqml.Serving{{Deployment: "auto", Traffic: 100, Resources: "automatic", MinReplicas: 1}}},
			[]Advice{
				{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT"},
				{Kind: AdviceMinReplicas, Deployment: "auto", Attribute: `deployments["auto"].automatic_resources.min_replica_count`,
					Text: `250 of 1000 tries of rows (25 %) were refused with RESOURCE_EXHAUSTED (429): deployment "auto" has at least 1 replica, and how many it ran is not told: raise deployments["auto"].automatic_resources.min_replica_count` + set + `, replicas that are there from the start`},
				{Kind: AdviceWithin, Text: "all 1000 rows take about 13.3s at this rate; for 5s it would have to be 2.67 times as high"},
			},
		},
		"a pool": {
			Situation{Measured: refused, BatchRows: 128, Rows: 1000, Serving: []bqml.Serving{{Deployment: "main", Traffic: 100, Resources: "shared", Pool: "projects/p/locations/l/deploymentResourcePools/q"}}},
			[]Advice{
				{Kind: AdviceRate, Text: "75 predictions per second: 750 in 10s of 3 jobs of ML.PREDICT"},
				{Kind: AdvicePool, Deployment: "main", Text: `250 of 1000 tries of rows (25 %) were refused with RESOURCE_EXHAUSTED (429): deployment "main" runs on the replicas of the pool projects/p/locations/l/deploymentResourcePools/q: raise its max_replica_count`},
			},
		},
		"a quota": {
			Situation{Measured: Measured{Jobs: 1, Rows: 1000, Time: 10 * time.Second, Failed: 500, OverQuota: 500}, BatchRows: 128, Rows: 1000, Serving: dedicated(1, 1, 1)},
			[]Advice{
				{Kind: AdviceRate, Text: "50 predictions per second: 500 in 10s of 1 job of ML.PREDICT, by 1 replica of n1-standard-2 (50 each)"},
				{Kind: AdviceQuota, Text: "500 of 1000 tries of rows (50 %) were refused with RESOURCE_EXHAUSTED (429) for a quota, as their status says: more replicas do not change that, a higher quota does"},
			},
		},
		"slow requests": {
			Situation{Measured: Measured{Jobs: 1, Rows: 1280, Time: 100 * time.Second, Failed: 128, TimedOut: 128}, BatchRows: 128, Rows: 1280, Serving: []bqml.Serving{
				{Deployment: "main", Resources: "dedicated", MachineType: "n1-standard-4", AcceleratorType: "NVIDIA_TESLA_T4", AcceleratorCount: 1, MinReplicas: 1, MaxReplicas: 1},
			}},
			[]Advice{
				{Kind: AdviceRate, Text: "11.5 predictions per second: 1152 in 1m40s of 1 job of ML.PREDICT, by 1 replica of n1-standard-4 (11.5 each)"},
				{Kind: AdviceRequestTime, Text: "128 of 1280 tries of rows (10 %) ran into a deadline: a request of up to 128 rows has 1m0s on the shared domain of an endpoint. A faster machine_type or an accelerator shortens it (now: n1-standard-4 with 1 NVIDIA_TESLA_T4)"},
			},
		},
		// 100 rows/s by 2 replicas; 36000 rows in a minute are 600/s, which is 6 times as
		// much.
		"a time to reach": {
			Situation{Measured: fast, BatchRows: 128, Rows: 36000, Within: time.Minute, Serving: dedicated(2, 2, 0)},
			[]Advice{
				{Kind: AdviceRate, Text: "100 predictions per second: 1000 in 10s of 2 jobs of ML.PREDICT, by 2 replicas of n1-standard-2 (50 each)"},
				{Kind: AdviceWithin, Deployment: "main", Attribute: `deployments["main"].dedicated_resources.min_replica_count`, Replicas: 12,
					Text: `all 36000 rows within 1m0s need about 12 replicas instead of 2, if the rate grows with them: set deployments["main"].dedicated_resources.min_replica_count and max_replica_count` + set + ` to that for the run`},
			},
		},
		"a time that is kept": {
			Situation{Measured: fast, BatchRows: 128, Rows: 1000, Within: time.Minute, Serving: dedicated(2, 2, 0)},
			[]Advice{
				{Kind: AdviceRate, Text: "100 predictions per second: 1000 in 10s of 2 jobs of ML.PREDICT, by 2 replicas of n1-standard-2 (50 each)"},
				{Kind: AdviceWithin, Text: "all 1000 rows take about 10s at this rate, which is within 1m0s: no more replicas are needed for that"},
			},
		},
		// Traffic on two deployed models: both have to grow by the same factor, 3.
		"two deployments": {
			Situation{Measured: fast, BatchRows: 100, Rows: 18000, Within: time.Minute, Serving: []bqml.Serving{
				{Deployment: "a", Traffic: 75, Resources: "dedicated", MinReplicas: 3, MaxReplicas: 20, Available: 4},
				{Deployment: "b", Traffic: 25, Resources: "dedicated", MinReplicas: 1, MaxReplicas: 1},
			}},
			[]Advice{
				{Kind: AdviceRate, Text: "100 predictions per second: 1000 in 10s of 2 jobs of ML.PREDICT, by 5 replicas at the end (20 each)"},
				{Kind: AdviceWithin, Deployment: "a", Attribute: `deployments["a"].dedicated_resources.min_replica_count`, Replicas: 12,
					Text: `all 18000 rows within 1m0s need about 12 replicas instead of 4, if the rate grows with them: set deployments["a"].dedicated_resources.min_replica_count` + set + ` to that for the run`},
				{Kind: AdviceWithin, Deployment: "b", Attribute: `deployments["b"].dedicated_resources.min_replica_count`, Replicas: 3,
					Text: `all 18000 rows within 1m0s need about 3 replicas instead of 1, if the rate grows with them: set deployments["b"].dedicated_resources.min_replica_count and max_replica_count` + set + ` to that for the run`},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Advise(c.s)
			for i := range max(len(got), len(c.want)) {
				var g, w Advice
				if i < len(got) {
					g = got[i]
				}
				if i < len(c.want) {
					w = c.want[i]
				}
				if g != w {
					t.Errorf("advice %d:\n%+v, want\n%+v", i, g, w)
				}
			}
		})
	}
}

// The codes are those of google.rpc.Code; BigQuery's documentation has them with an
// underscore or with a blank.
func TestFail(t *testing.T) {
	var m Measured
	for _, status := range []string{
		"A retryable error occurred: RESOURCE EXHAUSTED error from https://us-central1-aiplatform.googleapis.com/v1/x: busy",
		"A retryable error occurred: RESOURCE_EXHAUSTED error from https://us-central1-aiplatform.googleapis.com/v1/x",
		"HTTP 429: too many requests",
		"RESOURCE EXHAUSTED error from x: Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model",
		"A retryable error occurred: DEADLINE EXCEEDED error from x: 60 s",
		"status: 504",
		"INVALID ARGUMENT error from x: cannot take the 429 reviews of room 504 for the quota",
		"",
	} {
		m.fail(status)
	}
	if want := (Measured{Failed: 8, Exhausted: 3, OverQuota: 1, TimedOut: 2}); m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
}

// timed is a warehouse whose jobs take a second each.
type timed struct{ *memory }

func (m timed) Do(ctx context.Context, r query.Request) (query.Statistics, error) {
	s, err := m.memory.Do(ctx, r)
	s.Duration = time.Second
	return s, err
}

// Jobs that predict are measured and no others; a row counts each time it was sent.
func TestMeasured(t *testing.T) {
	m := newMemory(t, 100) // two chunks
	failures := 0
	m.model = func(keys []int64) []outcome {
		out := make([]outcome, len(keys))
		for i := range keys {
			if out[i].ok = failures >= 10; !out[i].ok {
				failures++
				out[i].status = "A retryable error occurred: RESOURCE EXHAUSTED error from the endpoint"
			}
		}
		return out
	}
	s := spec()
	var told []string
	s.Tell = func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); strings.Contains(text, "rows done") {
			told = append(told, text)
		}
	}
	c := &completion{Spec: s, warehouse: timed{m}, sleep: func(context.Context, time.Duration) error { return nil }}
	report, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := report.Measured, (Measured{Jobs: 3, Rows: 110, Time: 3 * time.Second, Failed: 10, Exhausted: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// The estimate is for rows that are left.
	if len(told) != 2 || !strings.Contains(told[0], ", about ") || strings.Contains(told[1], "about") {
		t.Errorf("told %q", told)
	}
}
