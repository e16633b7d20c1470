// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// memory is a warehouse that knows what the statements of a run mean, without reading
// their SQL any further than to tell them apart. A job id is executed once, as BigQuery
// does; crashAt makes the process die before or after a statement takes effect, or
// while a job that it submitted still runs.
type memory struct {
	t      *testing.T
	source []int64                      // the keys, which are their own hashes
	size   func(int64) int64            // of a row
	model  func(keys []int64) []outcome // one job

	in      []int64
	run     string
	hasIn   bool
	out     []tried
	hasOut  bool
	target  map[int64]bool // key → predicted
	writes  int
	jobs    map[string]int64 // job id → affected rows
	asked   map[int64]int    // how often the model was asked for a key
	calls   int
	crashAt int // 0 is never
	when    moment
	running map[string]func() // the jobs that a dead process left, by id
}

type moment int

const (
	before moment = iota // the statement takes effect
	after
	during
)

type outcome struct {
	ok     bool
	status string
}

type tried struct {
	key, chunk, round, slot int64
	outcome
}

var errCrash = errors.New("the process died")

func (m *memory) Do(_ context.Context, r query.Request) (s query.Statistics, err error) {
	m.calls++
	if m.calls == m.crashAt && m.when == before {
		return s, errCrash
	}
	defer func() {
		if m.calls == m.crashAt {
			err = errCrash
		}
	}()
	if land, ok := m.running[r.ID]; ok {
		land()
		delete(m.running, r.ID)
	}
	if affected, ok := m.jobs[r.ID]; ok && r.ID != "" {
		return query.Statistics{Affected: affected}, nil // attached to
	}
	switch sql := r.SQL; {
	case strings.HasPrefix(sql, "CREATE TABLE IF NOT EXISTS `p.d.gcpml_predict_") && strings.Contains(sql, " AS `_gcpml_run`"):
		if !m.hasIn {
			_, rest, _ := strings.Cut(sql, "SELECT *, '")
			m.run, _, _ = strings.Cut(rest, "'")
			m.in, m.hasIn = slices.Clone(m.source), true
		}
	case strings.HasPrefix(sql, "CREATE TABLE IF NOT EXISTS `p.d.gcpml_predict_"):
		m.hasOut = true
	case strings.HasPrefix(sql, "INSERT INTO `p.d.gcpml_predict_"):
		var keys []int64
		for _, key := range m.in {
			if m.member(r, key) {
				keys = append(keys, key)
				m.asked[key]++
			}
		}
		answers := m.model(keys)
		land := func() {
			for i, o := range answers {
				m.out = append(m.out, tried{keys[i], number(r, "chunk"), number(r, "round"), number(r, "slot"), o})
			}
		}
		s.Affected = int64(len(keys))
		if m.calls == m.crashAt && m.when == during {
			m.running = map[string]func(){r.ID: land}
			break
		}
		land()
	case strings.HasPrefix(sql, "DROP TABLE IF EXISTS `p.d.gcpml_predict_") && strings.HasSuffix(sql, "_in`"):
		m.in, m.hasIn = nil, false
	case strings.HasPrefix(sql, "DROP TABLE IF EXISTS `p.d.gcpml_predict_") && strings.HasSuffix(sql, "_out`"):
		m.out, m.hasOut = nil, false
	case strings.HasPrefix(sql, "CREATE TABLE IF NOT EXISTS `p.d.target`"), strings.HasPrefix(sql, "MERGE `p.d.target`"):
		m.writes++
		if m.target == nil {
			m.target = map[int64]bool{}
		}
		for _, key := range m.in {
			m.target[key] = m.good(key, func(tried) bool { return true })
		}
	default:
		m.t.Fatalf("an unknown statement: %s", sql)
	}
	if r.ID != "" {
		m.jobs[r.ID] = s.Affected
	}
	return s, nil
}

func number(r query.Request, name string) int64 {
	n, _ := strconv.ParseInt(value(r, name), 10, 64)
	return n
}

func value(r query.Request, name string) string {
	for _, p := range r.Parameters {
		if p.Name == name {
			return p.ParameterValue.Value
		}
	}
	return ""
}

// member reports whether a key is among the rows that a statement's parameters mean.
func (m *memory) member(r query.Request, key int64) bool {
	if key < number(r, "low") || key > number(r, "high") {
		return false
	}
	if list := value(r, "hashes"); list != "" {
		return slices.Contains(strings.Split(list, ","), strconv.FormatInt(key, 10))
	}
	return m.size(key) <= number(r, "ordinary")
}

func (m *memory) good(key int64, counts func(tried) bool) bool {
	return slices.ContainsFunc(m.out, func(t tried) bool { return t.key == key && t.ok && counts(t) })
}

func (m *memory) Select(_ context.Context, r query.Request) (rows []query.Row, err error) {
	if m.calls++; m.calls == m.crashAt {
		return nil, errCrash
	}
	chunk, round := number(r, "chunk"), number(r, "round")
	switch sql := r.SQL; {
	case strings.Contains(sql, "ANY_VALUE(_gcpml_run)"):
		var huge, big, largest int64
		for _, key := range m.in {
			if size := m.size(key); size > number(r, "ordinary") {
				big++
				if size > number(r, "limit") {
					huge++
				}
			}
			largest = max(largest, m.size(key))
		}
		run := any(m.run)
		if len(m.in) == 0 {
			run = nil
		}
		return []query.Row{{int64(len(m.in)), int64(0), huge, big, largest, run}}, nil
	case strings.Contains(sql, "HAVING COUNT(*) > 1"):
		return nil, nil
	case strings.Contains(sql, "HAVING NOT IFNULL(LOGICAL_OR"):
		for _, key := range slices.Sorted(slices.Values(m.in)) {
			before := func(t tried) bool { return t.chunk == chunk && t.round < round }
			if !m.member(r, key) || m.good(key, before) {
				continue
			}
			row := query.Row{key, nil}
			for _, t := range m.out {
				if t.key == key && t.chunk == chunk && t.round == round-1 && t.status != "" {
					row[1] = t.status
				}
			}
			rows = append(rows, row)
		}
		return rows, nil
	case strings.HasPrefix(sql, "SELECT _gcpml_chunk, MAX(last)"):
		type state struct {
			last int64
			good map[int64]bool
		}
		chunks := map[int64]*state{}
		for _, t := range m.out {
			c := chunks[t.chunk]
			if c == nil {
				c = &state{good: map[int64]bool{}}
				chunks[t.chunk] = c
			}
			c.last = max(c.last, t.round)
			c.good[t.key] = c.good[t.key] || t.ok
		}
		for number, c := range chunks {
			failed := int64(0)
			for _, good := range c.good {
				if !good {
					failed++
				}
			}
			rows = append(rows, query.Row{number, c.last, int64(len(c.good)), failed})
		}
		return rows, nil
	case strings.HasPrefix(sql, "SELECT _gcpml_hash, _gcpml_bytes"):
		for _, key := range slices.Sorted(slices.Values(m.in)) {
			if size := m.size(key); size > number(r, "ordinary") && size <= number(r, "limit") {
				rows = append(rows, query.Row{key, size})
			}
		}
		return rows, nil
	case strings.HasPrefix(sql, "SELECT COUNT(*), COUNTIF(good)"):
		var ok, retried, none int64
		for _, key := range m.in {
			last := int64(-1)
			for _, t := range m.out {
				if t.key == key {
					last = max(last, t.round)
				}
			}
			if m.good(key, func(tried) bool { return true }) {
				ok++
			}
			if last > 0 {
				retried++
			}
			if last < 0 {
				none++
			}
		}
		return []query.Row{{int64(len(m.in)), ok, retried, none}}, nil
	case strings.HasPrefix(sql, "SELECT status, COUNT(*)"):
		return []query.Row{{"a reason", int64(1), `{"id":1}`}}, nil
	}
	m.t.Fatalf("an unknown query: %s", r.SQL)
	return nil, nil
}

func (m *memory) Columns(_ context.Context, r query.Request) (query.Schema, error) {
	if m.calls++; m.calls == m.crashAt {
		return nil, errCrash
	}
	there := true
	switch {
	case strings.HasSuffix(r.SQL, "_in`"):
		there = m.hasIn
	case strings.HasSuffix(r.SQL, "_out`"):
		there = m.hasOut
	case r.SQL == "SELECT * FROM `p.d.target`":
		there = m.target != nil
	}
	if !there {
		return nil, &query.JobError{Reason: "notFound", Message: "Not found: Table p:d.t was not found in location US"}
	}
	return query.Schema{{Name: "id", Type: "INT64"}, {Name: "text", Type: "STRING"}}, nil
}

func (m *memory) Open(context.Context, query.Request) (*query.Rows, error) {
	return nil, errors.New("not asked for here")
}

// hashed spreads small numbers over all hashes.
func hashed(i int64) int64 { return int64(uint64(i) * 0x9e3779b97f4a7c15) } //nolint:gosec // meant

func newMemory(t *testing.T, rows int64) *memory {
	m := &memory{t: t, jobs: map[string]int64{}, asked: map[int64]int{}, size: func(int64) int64 { return 100 }}
	for i := range rows {
		m.source = append(m.source, hashed(i+1))
	}
	m.model = func(keys []int64) []outcome { return slices.Repeat([]outcome{{ok: true}}, len(keys)) }
	return m
}

func spec() Spec {
	return Spec{
		Name: gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"},
		Model: &bqml.Model{
			Location: "US", Input: []bqml.Column{{Name: "text", Type: "STRING"}}, Output: []bqml.Column{{Name: "score", Type: "FLOAT64"}},
		},
		Source: Source{Name: "the query", Query: "SELECT id, text FROM d.reviews"},
		Keys:   []string{"id"}, Into: query.Table{Project: "p", Dataset: "d", ID: "target"}, Write: Merge,
		Retries: 6, MaxErrorRate: 1, ChunkRows: 50,
	}
}

func complete(m *memory, s Spec) (*Report, error) {
	c := &completion{Spec: s, warehouse: m, sleep: func(context.Context, time.Duration) error { return nil }}
	return c.run(context.Background())
}

// stubborn fails a batch of 128 as a whole if it holds one of the poisoned keys, and
// the others the first time they are seen.
func stubborn(m *memory, poisoned ...int64) {
	seen := map[int64]bool{}
	m.model = func(keys []int64) []outcome {
		var out []outcome
		for _, batch := range split(keys, 128) {
			poison := slices.ContainsFunc(batch, func(k int64) bool { return slices.Contains(poisoned, k) })
			for _, key := range batch {
				o := outcome{ok: true}
				switch {
				case poison:
					o = outcome{status: "INVALID ARGUMENT error"}
				case uint64(key)%7 == 0 && !seen[key]: //nolint:gosec // any of them
					o = outcome{status: "A retryable error occurred: overloaded"}
				case uint64(key)%11 == 0 && !seen[key]: //nolint:gosec // any of them
					o = outcome{} // no status and no score
				}
				seen[key] = true
				out = append(out, o)
			}
		}
		return out
	}
}

func TestComplete(t *testing.T) {
	m := newMemory(t, 400)
	poisoned := []int64{m.source[17], m.source[300]}
	stubborn(m, poisoned...)
	report, err := complete(m, spec())
	if err != nil {
		t.Fatal(err)
	}
	if report.Rows != 400 || report.OK != 398 || report.Failed != 2 || report.Retried == 0 || report.Pending != 0 || !report.Written || report.Resumed || len(report.Statuses) != 1 {
		t.Errorf("got %+v", report)
	}
	for _, key := range m.source {
		if good, there := m.target[key]; !there || good == slices.Contains(poisoned, key) {
			t.Errorf("key %d: in the target %t, predicted %t", key, there, good)
		}
	}
	if m.hasIn || m.hasOut || m.writes != 1 {
		t.Errorf("work tables %t, %t, %d writes", m.hasIn, m.hasOut, m.writes)
	}
}

// The process may die before or after any of its statements: the same command, run
// again, completes every key, and asks the model for nothing that it has answered.
func TestCompleteAfterEveryCrash(t *testing.T) {
	fresh := func(t *testing.T) *memory {
		m := newMemory(t, 120)
		stubborn(m, m.source[5])
		return m
	}
	whole := fresh(t)
	s := spec()
	if _, err := complete(whole, s); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= whole.calls; at++ {
		for _, when := range []moment{before, after, during} {
			t.Run(fmt.Sprintf("call %d, moment %d", at, when), func(t *testing.T) {
				m := fresh(t)
				m.crashAt, m.when = at, when
				_, err := complete(m, s)
				if !errors.Is(err, errCrash) {
					t.Fatalf("got %v", err)
				}
				m.crashAt = 0
				written := m.writes
				asked := maps.Clone(m.asked)
				left := len(m.running)
				report, err := complete(m, s)
				if err != nil {
					t.Fatal(err)
				}
				if report.Rows != 120 || report.OK != 119 || report.Failed != 1 || m.hasIn || m.hasOut {
					t.Errorf("report %+v, work tables %t, %t", report, m.hasIn, m.hasOut)
				}
				if left > 0 && len(m.running) > 0 {
					t.Error("the running job was not waited for")
				}
				if len(m.target) != 120 {
					t.Errorf("%d keys in the target", len(m.target))
				}
				if written > 0 {
					return // a new run, or the failed rows are tried again
				}
				for key, n := range m.asked {
					// What was not asked twice in one go is not because of the crash.
					if whole.asked[key] == 1 && n != 1 {
						t.Errorf("the model was asked %d times for %d, %d of them before the crash", n, key, asked[key])
					}
				}
			})
		}
	}
}

func TestStopped(t *testing.T) {
	m := newMemory(t, 300)
	broken := true
	m.model = func(keys []int64) []outcome {
		o := outcome{ok: !broken}
		if broken {
			o.status = "A retryable error occurred: the endpoint has\nnothing deployed"
		}
		return slices.Repeat([]outcome{o}, len(keys))
	}
	s := spec()
	s.MaxErrorRate, s.Retries = 0.1, 2
	report, err := complete(m, s)
	stopped, ok := errors.AsType[*StoppedError](err)
	if !ok || m.writes != 0 || !m.hasIn || !m.hasOut {
		t.Fatalf("got %v, %d writes, work tables %t, %t", err, m.writes, m.hasIn, m.hasOut)
	}
	if report.Failed != stopped.Failed || report.Failed+report.Pending != 300 || report.Pending == 0 || report.Written {
		t.Errorf("report %+v, error %+v", report, stopped)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "nothing deployed") {
		t.Errorf("error %q", text)
	}
	broken = false
	report, err = complete(m, s)
	if err != nil || report.OK != 300 || !report.Resumed {
		t.Errorf("got %+v, %v", report, err)
	}
}

// Large rows never share a job with more than a request holds.
func TestLargeRows(t *testing.T) {
	m := newMemory(t, 40)
	m.size = func(key int64) int64 {
		if uint64(key)%3 == 0 { //nolint:gosec // any of them
			return requestFor / 3
		}
		return 50
	}
	m.model = func(keys []int64) []outcome {
		var bytes int64
		large := false
		for _, key := range keys {
			bytes += m.size(key)
			large = large || m.size(key) > 1000
		}
		if large && bytes > requestFor {
			t.Errorf("a job of %d bytes", bytes)
		}
		return slices.Repeat([]outcome{{ok: true}}, len(keys))
	}
	report, err := complete(m, spec())
	if err != nil || report.OK != 40 {
		t.Fatalf("got %+v, %v", report, err)
	}
	for _, key := range m.source {
		if m.asked[key] != 1 {
			t.Errorf("the model was asked %d times for %d", m.asked[key], key)
		}
	}
}

func TestTooLargeRows(t *testing.T) {
	m := newMemory(t, 3)
	m.size = func(key int64) int64 {
		if key == m.source[1] {
			return requestFor + 1
		}
		return 50
	}
	s := spec()
	s.AllowFailed = true
	report, err := complete(m, s)
	if err != nil || report.OK != 2 || report.Failed != 1 || m.asked[m.source[1]] != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}

// Whoever asks for something else has another run; the same command has the same.
func TestFingerprint(t *testing.T) {
	workTable := func(change func(*Spec)) string {
		s := spec()
		change(&s)
		c := &completion{Spec: s, warehouse: newMemory(t, 1)}
		if err := c.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.in.ID
	}
	same := workTable(func(*Spec) {})
	if workTable(func(s *Spec) { s.Retries, s.MaxErrorRate, s.Restart = 1, 0, true }) != same {
		t.Error("how patient a process is does not change the run")
	}
	for what, change := range map[string]func(*Spec){
		"query":   func(s *Spec) { s.Source.Query += " LIMIT 1" },
		"key":     func(s *Spec) { s.Keys = []string{"text"} },
		"target":  func(s *Spec) { s.Into.ID = "other" },
		"write":   func(s *Spec) { s.Write = Truncate },
		"chunks":  func(s *Spec) { s.ChunkRows++ },
		"run id":  func(s *Spec) { s.RunID = "monday" },
		"dataset": func(s *Spec) { s.Base.DefaultDataset = "other" },
		"output": func(s *Spec) {
			m := *s.Model
			m.Output = []bqml.Column{{Name: "score", Type: "STRING"}}
			s.Model = &m
		},
	} {
		if workTable(change) == same {
			t.Errorf("another %s is the same run", what)
		}
	}
}

func TestRefusals(t *testing.T) {
	for want, change := range map[string]func(*Spec){
		"the model takes a column":         func(s *Spec) { s.Model.Input[0].Name = "review" },
		"no column \"key\" to be a key":    func(s *Spec) { s.Keys = []string{"key"} },
		"is named twice as a key":          func(s *Spec) { s.Keys = []string{"id", "ID"} },
		"also an OUTPUT column":            func(s *Spec) { s.Model.Output[0].Name = "id" },
		"no OUTPUT column \"x\"":           func(s *Spec) { s.Nullable = []string{"x"} },
		"does not tell the INPUT":          func(s *Spec) { s.Model.Input = nil },
		"a share between 0 and 1":          func(s *Spec) { s.MaxErrorRate = 1.5 },
		"a chunk has at least 1 row":       func(s *Spec) { s.ChunkRows = 0 },
		"number of retries cannot be nega": func(s *Spec) { s.Retries = -1 },
	} {
		m := newMemory(t, 1)
		s := spec()
		change(&s)
		_, err := complete(m, s)
		if input, ok := errors.AsType[*InputError](err); !ok || !strings.Contains(input.Message, want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if m.hasIn || m.hasOut {
			t.Errorf("%s: work tables were made", want)
		}
	}
}
