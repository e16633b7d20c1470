// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"fmt"
	"iter"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Measured is what one process saw of its jobs of ML.PREDICT. A row counts as often as
// it was sent.
type Measured struct {
	Jobs int64
	Rows int64
	// Time is that of the jobs, from the start of the execution to its end.
	Time time.Duration
	// Failed rows came back without a prediction. Among them: Exhausted ones were
	// refused with RESOURCE_EXHAUSTED (HTTP 429), OverQuota ones too, for a quota as
	// they say, and TimedOut ones with DEADLINE_EXCEEDED (HTTP 504).
	Failed, Exhausted, OverQuota, TimedOut int64
}

// How a remote_model_status says it. BigQuery writes codes with blanks.
var (
	exhausted = regexp.MustCompile(`(?i)\bRESOURCE[ _]EXHAUSTED\b|\b(?:http|code|status)\W{0,2}429\b`)
	overQuota = regexp.MustCompile(`(?i)\bquota\b`)
	timedOut  = regexp.MustCompile(`(?i)\bDEADLINE[ _]EXCEEDED\b|\b(?:http|code|status)\W{0,2}504\b`)
)

// fail counts a row that came back with this status, "" if it has none.
func (m *Measured) fail(status string) {
	m.Failed++
	switch {
	case exhausted.MatchString(status) && overQuota.MatchString(status):
		m.OverQuota++
	case exhausted.MatchString(status):
		m.Exhausted++
	case timedOut.MatchString(status):
		m.TimedOut++
	}
}

// job counts a job that is done.
func (m *Measured) job(rows int64, s query.Statistics) {
	m.Jobs++
	m.Rows += rows
	m.Time += s.Duration
}

// watch counts failures among rows that pass.
func (m *Measured) watch(schema query.Schema, rows iter.Seq2[query.Row, error]) iter.Seq2[query.Row, error] {
	column := slices.IndexFunc(schema, func(f query.Field) bool { return strings.EqualFold(f.Name, bqml.StatusColumn) })
	if column < 0 {
		return rows
	}
	return func(yield func(query.Row, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			if status, _ := at(row, column).(string); err == nil && status != "" {
				m.fail(status)
			}
		}
	}
}

func at(row query.Row, column int) any {
	if column < len(row) {
		return row[column]
	}
	return nil
}

// rate is how many predictions came in a second; 0 if it is not known.
func (m Measured) rate() float64 {
	if m.Time <= 0 {
		return 0
	}
	return float64(m.Rows-m.Failed) / m.Time.Seconds()
}

// lasting is how long rows take at the measured rate; "" if it is not known.
func (m Measured) lasting(rows int64) string {
	if m.rate() <= 0 || rows <= 0 {
		return ""
	}
	return round(time.Duration(float64(rows) / m.rate() * float64(time.Second)))
}

// round shows a duration with what matters of it.
func round(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Situation is what advice on throughput is computed from.
type Situation struct {
	Measured
	// BatchRows is the most rows of a request to the endpoint.
	BatchRows int64
	// Rows are those of the whole run and Left those that were not tried.
	Rows, Left int64
	// Within is how long all rows should take; 0 for no wish.
	Within time.Duration
	// Serving is what serves the endpoint, nil if that could not be read.
	Serving []bqml.Serving
}

// Throughput is what a report says about the speed of a run, and what limits it.
type Throughput struct {
	Jobs    int64   `json:"jobs"`
	Tries   int64   `json:"tries"` // of rows
	Seconds float64 `json:"job_seconds"`
	// RowsPerSecond counts predictions, not tries without one; 0 if it is not known.
	RowsPerSecond float64 `json:"rows_per_second"`
	Failed        int64   `json:"failed_tries"`
	Exhausted     int64   `json:"resource_exhausted_tries"`
	OverQuota     int64   `json:"over_quota_tries"`
	TimedOut      int64   `json:"deadline_exceeded_tries"`
	BatchRows     int64   `json:"batch_rows"`
	// SecondsLeft is the estimate for the rows that were not tried; 0 if there are none.
	SecondsLeft float64 `json:"seconds_left"`
	// Serving is null if the endpoint could not be read; Unread says why.
	Serving []bqml.Serving `json:"serving"`
	Unread  string         `json:"endpoint_unreadable,omitempty"`
	Advice  []Advice       `json:"advice"`
}

// Advice is one thing to know or to do about the throughput.
type Advice struct {
	// Kind is one of the constants below.
	Kind string `json:"kind"`
	// Deployment and Attribute name what can be changed, in a
	// gcpml_vertex_endpoint_deployment; "" if that is nothing there.
	Deployment string `json:"deployment,omitempty"`
	Attribute  string `json:"attribute,omitempty"`
	// Replicas is the value that was computed for Attribute; 0 for none.
	Replicas int64 `json:"replicas,omitempty"`
	// Text says it to people, in one line, with what it is computed from.
	Text string `json:"text"`
}

// The kinds of advice.
const (
	// AdviceRate is the measured speed, by how many replicas.
	AdviceRate = "rate"
	// AdviceTimeLeft estimates the time of the rows that were not tried.
	AdviceTimeLeft = "time_left"
	// AdviceMaxReplicas asks for a higher max_replica_count: all replicas were refusing.
	AdviceMaxReplicas = "raise_max_replica_count"
	// AdviceMinReplicas asks for a higher min_replica_count: there could be more.
	AdviceMinReplicas = "raise_min_replica_count"
	// AdvicePool says that the replicas are those of a deployment resource pool.
	AdvicePool = "raise_pool_replica_count"
	// AdviceQuota says that a quota refused, which replicas do not change.
	AdviceQuota = "raise_quota"
	// AdviceRequestTime says that requests take too long.
	AdviceRequestTime = "shorten_requests"
	// AdviceWithin tells the replicas for the time that was asked for.
	AdviceWithin = "replicas_for_target"
)

// requestTimeout is how long a request to a shared endpoint may take.
const requestTimeout = 60 * time.Second

// Throughput summarizes a run.
func (s Situation) Throughput() *Throughput {
	t := &Throughput{
		Jobs: s.Jobs, Tries: s.Measured.Rows, Seconds: s.Time.Seconds(), RowsPerSecond: s.rate(), Failed: s.Failed, Exhausted: s.Exhausted,
		OverQuota: s.OverQuota, TimedOut: s.TimedOut, BatchRows: s.BatchRows, Serving: s.Serving, Advice: Advise(s),
	}
	if r := s.rate(); r > 0 {
		t.SecondsLeft = float64(s.Left) / r
	}
	return t
}

// Advise says what was measured and what would make it faster, as far as the figures
// tell: it never supposes any. What limits a run without failures is not known.
func Advise(s Situation) []Advice {
	out := []Advice{}
	add := func(a Advice, format string, args ...any) {
		a.Text = fmt.Sprintf(format, args...)
		out = append(out, a)
	}
	if s.rate() > 0 {
		add(Advice{Kind: AdviceRate}, "%s predictions per second: %d in %s of %s%s", figure(s.rate()), s.Measured.Rows-s.Failed, round(s.Time), jobs(s.Jobs), s.by())
	}
	if left := s.lasting(s.Left); left != "" {
		add(Advice{Kind: AdviceTimeLeft}, "about %s for the %d rows that are left, at this rate", left, s.Left)
	}
	if s.Exhausted > 0 {
		refused := s.share(s.Exhausted) + " were refused with RESOURCE_EXHAUSTED (429)"
		for _, d := range s.Serving {
			a, what := scale(d)
			add(a, "%s: %s", refused, what)
		}
	}
	if s.OverQuota > 0 {
		add(Advice{Kind: AdviceQuota}, "%s were refused with RESOURCE_EXHAUSTED (429) for a quota, as their status says: more replicas do not change that, a higher quota does", s.share(s.OverQuota))
	}
	if s.TimedOut > 0 {
		add(Advice{Kind: AdviceRequestTime}, "%s ran into a deadline: a request of up to %d rows has %s on the shared domain of an endpoint. A faster machine_type or an accelerator shortens it%s",
			s.share(s.TimedOut), s.BatchRows, requestTimeout, machines(s.Serving))
	}
	if s.Within > 0 {
		s.within(add)
	}
	return out
}

// share says how many of the tries are meant.
func (s Situation) share(n int64) string {
	return fmt.Sprintf("%d of %d tries of rows (%s %%)", n, s.Measured.Rows, figure(100*float64(n)/float64(max(s.Measured.Rows, n))))
}

// by tells of the replicas that brought the measured rate, if all are known, and of
// each one's share if there were enough rows for every one to have a request.
func (s Situation) by() string {
	n, fixed := replicas(s.Serving)
	if n == 0 {
		return ""
	}
	text := ", by " + count(n, "replica")
	if one := s.Serving[0]; len(s.Serving) == 1 && one.MachineType != "" {
		text += " of " + one.MachineType
	}
	if !fixed {
		text += " at the end"
	}
	if s.busy(n) {
		text += fmt.Sprintf(" (%s each)", figure(s.rate()/float64(n)))
	}
	return text
}

// busy reports whether there were rows for a request to each replica: fewer tell
// nothing about one.
func (s Situation) busy(replicas int64) bool {
	return s.Measured.Rows >= s.BatchRows*replicas
}

// replicas is how many there are in all; 0 if that is not known. fixed says that there
// cannot have been more or fewer before.
func replicas(all []bqml.Serving) (n int64, fixed bool) {
	fixed = true
	for _, d := range all {
		one := replicasOf(d)
		if one == 0 {
			return 0, false
		}
		n += one
		fixed = fixed && d.MinReplicas == d.MaxReplicas
	}
	return n, fixed
}

// replicasOf is how many replicas a deployed model has: what the server says, or what it
// must be.
func replicasOf(d bqml.Serving) int64 {
	switch {
	case d.Pool != "":
		return 0
	case d.Available > 0:
		return int64(d.Available)
	case d.MinReplicas == d.MaxReplicas:
		return int64(d.MinReplicas)
	}
	return 0
}

// within tells how many replicas the time asked for would take.
func (s Situation) within(add func(Advice, string, ...any)) {
	n, _ := replicas(s.Serving)
	switch {
	case s.rate() <= 0 || s.Rows == 0:
		return
	case float64(s.Rows)/s.rate() <= s.Within.Seconds():
		add(Advice{Kind: AdviceWithin}, "all %d rows take about %s at this rate, which is within %s: no more replicas are needed for that", s.Rows, s.lasting(s.Rows), s.Within)
		return
	case n == 0:
		add(Advice{Kind: AdviceWithin}, "all %d rows take about %s at this rate; for %s it would have to be %s times as high", s.Rows, s.lasting(s.Rows), s.Within, figure(s.factor()))
		return
	case !s.busy(n):
		add(Advice{Kind: AdviceWithin}, "all %d rows take about %s at this rate; what more replicas would bring cannot be told from %d rows, which are not one request of %d for each replica", s.Rows, s.lasting(s.Rows), s.Measured.Rows, s.BatchRows)
		return
	}
	for _, d := range s.Serving {
		need := int64(math.Ceil(float64(replicasOf(d)) * s.factor()))
		a := Advice{Kind: AdviceWithin, Deployment: d.Deployment, Attribute: attribute(d, "min_replica_count"), Replicas: need}
		raise := fmt.Sprintf("set %s of %s to that for the run", a.Attribute, resource)
		if int64(d.MaxReplicas) < need && d.MaxReplicas > 0 {
			raise = fmt.Sprintf("set %s and max_replica_count of %s to that for the run", a.Attribute, resource)
		}
		add(a, "all %d rows within %s need about %s instead of %d, if the rate grows with them: %s", s.Rows, s.Within, count(need, "replica"), replicasOf(d), raise)
	}
}

// factor is by how much the rate is too low.
func (s Situation) factor() float64 { return float64(s.Rows) / s.rate() / s.Within.Seconds() }

// scale says where the replicas come from that a refusing deployed model lacks.
func scale(d bqml.Serving) (Advice, string) {
	most := Advice{Kind: AdviceMaxReplicas, Deployment: d.Deployment, Attribute: attribute(d, "max_replica_count")}
	least := Advice{Kind: AdviceMinReplicas, Deployment: d.Deployment, Attribute: attribute(d, "min_replica_count")}
	raise := func(a Advice) string { return fmt.Sprintf("raise %s of %s", a.Attribute, resource) }
	switch {
	case d.Pool != "":
		return Advice{Kind: AdvicePool, Deployment: d.Deployment}, fmt.Sprintf("deployment %q runs on the replicas of the pool %s: raise its max_replica_count", d.Deployment, d.Pool)
	case d.MaxReplicas > 0 && d.MinReplicas == d.MaxReplicas:
		return most, fmt.Sprintf("deployment %q has min_replica_count = max_replica_count = %d and cannot scale: %s", d.Deployment, d.MaxReplicas, raise(most))
	case d.MaxReplicas > 0 && d.Available >= d.MaxReplicas:
		return most, fmt.Sprintf("deployment %q runs all of its %s: %s", d.Deployment, count(int64(d.MaxReplicas), "replica"), raise(most))
	case d.Available > 0:
		return least, fmt.Sprintf("deployment %q runs %s%s and did not scale in time: %s, replicas that are there from the start", d.Deployment, count(int64(d.Available), "replica"), bound(d), raise(least))
	}
	return least, fmt.Sprintf("deployment %q has at least %s%s, and how many it ran is not told: %s, replicas that are there from the start", d.Deployment, count(int64(d.MinReplicas), "replica"), bound(d), raise(least))
}

func bound(d bqml.Serving) string {
	if d.MaxReplicas == 0 {
		return ""
	}
	return fmt.Sprintf(" of at most %d", d.MaxReplicas)
}

// attribute names an argument of gcpml_vertex_endpoint_deployment.
func attribute(d bqml.Serving, name string) string {
	return fmt.Sprintf("deployments[%q].%s_resources.%s", d.Deployment, d.Resources, name)
}

const resource = "the gcpml_vertex_endpoint_deployment"

// machines names what serves now.
func machines(all []bqml.Serving) string {
	var named []string
	for _, d := range all {
		if d.MachineType == "" {
			continue
		}
		text := d.MachineType
		if d.AcceleratorCount > 0 {
			text += fmt.Sprintf(" with %d %s", d.AcceleratorCount, d.AcceleratorType)
		}
		named = append(named, text)
	}
	if len(named) == 0 {
		return ""
	}
	return " (now: " + strings.Join(slices.Compact(named), ", ") + ")"
}

func jobs(n int64) string { return count(n, "job") + " of ML.PREDICT" }

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// figure shows three digits, or all before the point.
func figure(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}
