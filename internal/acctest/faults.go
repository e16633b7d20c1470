// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Fault makes calls to the emulator misbehave; see emulator/README.md. The zero
// value of a field is its default.
type Fault struct {
	// Method matches the full gRPC method, such as "*EndpointService/DeployModel", or
	// the HTTP method and path of BigQuery, such as "POST /bigquery/v2/projects/*/jobs".
	// Name matches the resource that the call names. "*" stands for any characters.
	Method string `json:"method"`
	Name   string `json:"name,omitempty"`
	// Nth is the first matching call that is hit (default 1), Times how many are
	// from there on (default 1, -1 for all).
	Nth   int `json:"nth,omitempty"`
	Times int `json:"times,omitempty"`
	// Probability, if set, is that with which they are; the same Seed hits the same.
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
	// PerSecond makes it a rate limit: as many calls pass within any second, and only
	// those beyond are hit, by default for good.
	PerSecond int `json:"per_second,omitempty"`
	// Phase is Before, AfterEffect or MidBody.
	Phase string `json:"phase,omitempty"`
	// Action is Hold, Stall, Status, Reset, Truncate or Malformed; by default what
	// Status or Stall says.
	Action string       `json:"action"`
	Status *FaultStatus `json:"status,omitempty"`
	Stall  Duration     `json:"stall,omitempty"`
	// Fraction is how much of a body is sent before something happens to it.
	Fraction float64 `json:"fraction,omitempty"`

	// Optional is for a fault that need not fire. Others fail the test if they have
	// not fired by its end.
	Optional bool `json:"-"`
}

// The phases and actions of a [Fault].
const (
	Before      = "before"
	AfterEffect = "after_effect"
	MidBody     = "mid_body"

	Hold      = "hold"
	Stall     = "stall"
	Status    = "status"
	Reset     = "reset"
	Truncate  = "truncate"
	Malformed = "malformed"
)

// FaultStatus is an error that a fault answers.
type FaultStatus struct {
	Code       string            `json:"code,omitempty"`        // "UNAVAILABLE"
	HTTPStatus int               `json:"http_status,omitempty"` // for BigQuery; by default that of Code
	Message    string            `json:"message,omitempty"`
	Reason     string            `json:"reason,omitempty"`  // of ErrorInfo, and of BigQuery's errors
	Domain     string            `json:"domain,omitempty"`  // of ErrorInfo
	Details    []json.RawMessage `json:"details,omitempty"` // {"@type": …}
	RetryAfter Duration          `json:"retry_after,omitempty"`
}

// Duration is a time.Duration that JSON spells "1m30s".
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Code is a fault's status with a canonical code such as "UNAVAILABLE".
func Code(code string) *FaultStatus { return &FaultStatus{Code: code} }

// FaultReport is what a fault has seen so far.
type FaultReport struct {
	ID        string
	Seen      int // matching calls
	Count     int // calls that were hit
	Fired     bool
	Remaining int
	Completed bool
	Holding   bool
	Attempts  []Attempt
}

// Attempt is a call that a fault has seen.
type Attempt struct {
	Time       time.Time
	GapMS      float64 `json:"gap_ms"`      // since the attempt before
	DeadlineMS float64 `json:"deadline_ms"` // what the client would wait; 0: not told
	Name       string
	Hit        bool
}

// SetFault is a fault that is set.
type SetFault struct {
	tw *Twin
	t  testing.TB
	id string
}

// Fault sets a fault. It is removed at the end of the test, which fails if it never
// fired and is not optional. The emulator must run with --enable-faults.
func (tw *Twin) Fault(t testing.TB, f Fault) *SetFault {
	t.Helper()
	switch {
	case f.Action == "" && f.Status != nil:
		f.Action = Status
	case f.Action == "" && f.Stall != 0:
		f.Action = Stall
	}
	var set struct{ ID string }
	if err := tw.admin(http.MethodPost, "faults", f, &set); err != nil {
		t.Fatalf("setting a fault: %v", err)
	}
	s := &SetFault{tw, t, set.ID}
	t.Cleanup(func() {
		t.Helper()
		if report, ok := s.report(); ok && !report.Fired && !f.Optional {
			t.Errorf("the fault %s of %s %s never fired; it saw %d matching calls", f.Action, f.Method, f.Name, report.Seen)
		}
		s.Remove()
	})
	return s
}

// Report tells what the fault has seen so far. A fault that was removed has seen
// nothing.
func (s *SetFault) Report() FaultReport {
	s.t.Helper()
	report, _ := s.report()
	return report
}

func (s *SetFault) report() (FaultReport, bool) {
	s.t.Helper()
	var list struct{ Faults []FaultReport }
	if err := s.tw.admin(http.MethodGet, "faults", nil, &list); err != nil {
		s.t.Errorf("reading the faults: %v", err)
	}
	for _, f := range list.Faults {
		if f.ID == s.id {
			return f, true
		}
	}
	return FaultReport{}, false
}

// Fired reports whether the fault has hit a call. A call that is held after its
// effect has had it.
func (s *SetFault) Fired() bool { s.t.Helper(); return s.Report().Fired }

// Await waits until the fault has fired, at most for d, and reports whether it has.
func (s *SetFault) Await(d time.Duration) bool {
	s.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(d)
	for !s.Fired() {
		select {
		case <-ticker.C:
		case <-timeout:
			return false
		}
	}
	return true
}

// Release lets go of the calls that the fault holds; it stays set.
func (s *SetFault) Release() {
	s.t.Helper()
	if err := s.tw.admin(http.MethodPost, "faults?release="+url.QueryEscape(s.id), nil, nil); err != nil {
		s.t.Errorf("releasing a fault: %v", err)
	}
}

// Remove removes the fault, and lets go of the calls that it holds. The end of the
// test no longer asks whether it fired.
func (s *SetFault) Remove() {
	s.t.Helper()
	if _, ok := s.report(); !ok {
		return
	}
	if err := s.tw.admin(http.MethodDelete, "faults?id="+url.QueryEscape(s.id), nil, nil); err != nil {
		s.t.Errorf("removing a fault: %v", err)
	}
}

// Hold makes the emulator keep back the reply to the next call of this method
// after the call took effect, until release is called. fired reports whether that
// has happened.
func (tw *Twin) Hold(t testing.TB, method string) (fired func() bool, release func()) {
	t.Helper()
	f := tw.Fault(t, Fault{Method: method, Action: Hold, Optional: true})
	return f.Fired, f.Remove
}

// Operation says how long-running operations of the emulator go; see
// emulator/README.md. The zero value of a field is its default.
type Operation struct {
	// Method matches the gRPC method that starts the operation, such as
	// "*/DeployModel", Name the resource that it is about. Empty: any.
	Method string `json:"method,omitempty"`
	Name   string `json:"name,omitempty"`
	// Times is how many operations are meant: by default 1, -1 for all.
	Times int `json:"times,omitempty"`
	// Delay is what the operation takes longer than usual, on the emulator's clock.
	Delay Duration `json:"delay,omitempty"`
	// Result is Never, Failed (with Status), Empty or NoEffect; by default the
	// operation ends as usual. Phase is Before or AfterEffect: whether the work is done
	// all the same.
	Result string       `json:"result,omitempty"`
	Status *FaultStatus `json:"status,omitempty"`
	Phase  string       `json:"phase,omitempty"`
	// Polls is what the next GetOperations answer, each an HTTP status: "404", "200".
	Polls []string `json:"op_get,omitempty"`
	// ForgetAfter is the time after its end when the operation is no longer found.
	ForgetAfter Duration `json:"forget_after,omitempty"`

	// Optional is for a script that need not be used. Others fail the test if no
	// operation came.
	Optional bool `json:"-"`
}

// The results of an [Operation].
const (
	Never    = "never"     // it runs until it is cancelled
	Failed   = "error"     // it ends with Status
	Empty    = "empty"     // it is done, with neither a response nor an error
	NoEffect = "no_effect" // it is done with success, and nothing has happened
)

// Operations sets how operations go. It ends with the test, which fails if there
// was no such operation and the script is not optional.
func (tw *Twin) Operations(t testing.TB, o Operation) *SetOperation {
	t.Helper()
	var set struct{ ID string }
	if err := tw.admin(http.MethodPost, "operations", o, &set); err != nil {
		t.Fatalf("scripting operations: %v", err)
	}
	s := &SetOperation{tw, t, set.ID}
	t.Cleanup(func() {
		t.Helper()
		if names := s.Names(); len(names) == 0 && !o.Optional {
			t.Errorf("no operation %s %s came for the script %q", o.Method, o.Name, o.Result)
		}
		if err := tw.admin(http.MethodDelete, "operations?id="+url.QueryEscape(s.id), nil, nil); err != nil {
			t.Errorf("removing a script: %v", err)
		}
	})
	return s
}

// SetOperation is a script that is set.
type SetOperation struct {
	tw *Twin
	t  testing.TB
	id string
}

// Names are the names of the operations that the script took so far.
func (s *SetOperation) Names() []string {
	s.t.Helper()
	var list struct {
		Operations []struct {
			ID         string
			Operations []string
		}
	}
	if err := s.tw.admin(http.MethodGet, "operations", nil, &list); err != nil {
		s.t.Errorf("reading the scripts: %v", err)
	}
	for _, o := range list.Operations {
		if o.ID == s.id {
			return o.Operations
		}
	}
	return nil
}

// Job says how BigQuery's query jobs go. A job that fails or never ends has no
// effect. The zero value of a field is its default.
type Job struct {
	// Statement matches the text of the query, ID the id of the job. Empty: any.
	Statement string `json:"statement,omitempty"`
	ID        string `json:"job,omitempty"`
	// Times is how many jobs are meant: by default 1, -1 for all.
	Times int `json:"times,omitempty"`
	// Delay is how long a job waits before it runs, on the emulator's clock.
	Delay Duration `json:"delay,omitempty"`
	// Result is Never, or Failed with one of BigQuery's reasons, such as
	// "backendError"; by default the job ends as usual.
	Result  string `json:"result,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`

	// Optional is for a script that need not be used. Others fail the test if no job
	// came.
	Optional bool `json:"-"`
}

// Jobs sets how jobs go, until the end of the test. It returns a function that
// lists the ids of those that came.
func (tw *Twin) Jobs(t testing.TB, j Job) (ids func() []string) {
	t.Helper()
	var set struct{ ID string }
	if err := tw.admin(http.MethodPost, "jobs", j, &set); err != nil {
		t.Fatalf("scripting jobs: %v", err)
	}
	ids = func() []string {
		t.Helper()
		var list struct {
			Jobs []struct {
				ID   string
				Jobs []string
			}
		}
		if err := tw.admin(http.MethodGet, "jobs", nil, &list); err != nil {
			t.Errorf("reading the scripts: %v", err)
		}
		for _, s := range list.Jobs {
			if s.ID == set.ID {
				return s.Jobs
			}
		}
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		if len(ids()) == 0 && !j.Optional {
			t.Errorf("no job %s %s came for the script %q", j.Statement, j.ID, j.Result)
		}
		if err := tw.admin(http.MethodDelete, "jobs?id="+url.QueryEscape(set.ID), nil, nil); err != nil {
			t.Errorf("removing a script: %v", err)
		}
	})
	return ids
}

// IAM is how IAM lags behind, on the emulator's clock.
type IAM struct {
	// Lag is the time after which a changed policy takes effect.
	Lag Duration `json:"lag"`
	// AccountLag is the time for which a new connection's service account is unknown
	// to SetIamPolicy.
	AccountLag Duration `json:"account_lag"`
	// StaleReads is how many of the next reads answer the policy before the last.
	StaleReads int `json:"stale_reads"`
}

// IAM sets how IAM lags behind from now on.
func (tw *Twin) IAM(t testing.TB, behaviour IAM) {
	t.Helper()
	if err := tw.admin(http.MethodPost, "iam", behaviour, nil); err != nil {
		t.Fatalf("setting IAM's behaviour: %v", err)
	}
}

// Advance puts the emulator's clock forward: what waits on it, such as operations
// and IAM, goes on as if d had passed.
func (tw *Twin) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	if err := tw.admin(http.MethodPost, "clock", map[string]string{"advance": d.String()}, nil); err != nil {
		t.Fatalf("advancing the clock: %v", err)
	}
}

// Counters are the effects since the emulator started, whatever was answered.
type Counters struct {
	// Objects are named in full, with the project's id: models (and "…@VERSION"),
	// endpoints, "ENDPOINT/deployedModels/ID", connections (location in lower case),
	// "projects/P/datasets/D/models/M", and "projects/P:iamPolicy".
	Objects map[string]Effects
	// Statements are named by [StatementHash].
	Statements map[string]Executions
}

// Effects are the changes of one object.
type Effects struct{ Creates, Updates, Deletes int }

// Executions are the ends of the jobs that ran one statement.
type Executions struct{ Successes, Failures int }

// Counters reads the effects.
func (tw *Twin) Counters(t testing.TB) (c Counters) {
	t.Helper()
	tw.get(t, "counters", &c)
	return c
}

// Duplicates lists the objects that were created more often than the tests' own
// deletes explain: at most once more than deleted.
func (c Counters) Duplicates() (names []string) {
	for name, e := range c.Objects {
		if e.Creates > e.Deletes+1 {
			names = append(names, fmt.Sprintf("%s: %d creates, %d deletes", name, e.Creates, e.Deletes))
		}
	}
	return names
}

// StatementHash names a statement in [Counters].
func StatementHash(sql string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(sql)))
	return hex.EncodeToString(sum[:])
}

// admin calls the emulator's own surface. in and out are JSON; nil is none.
func (tw *Twin) admin(method, what string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, "http://"+tw.Host+"/_emulator/"+what, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+tw.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<10))
		return fmt.Errorf("%s /_emulator/%s answered %s: %s", method, what, resp.Status, bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
