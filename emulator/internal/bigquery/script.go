// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/glob"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// script says how the query jobs that it matches go. A job that fails or does not
// end has no effect, as in BigQuery.
type script struct {
	ID string `json:"id"`
	// Statement matches the text of the query, Job the id of the job; "*" stands for
	// any characters, and no pattern for any.
	Statement string `json:"statement,omitempty"`
	Job       string `json:"job,omitempty"`
	// Times is how many jobs are scripted: 1 by default, -1 for all.
	Times int `json:"times"`
	// Delay is how long a job waits before it runs, on the emulator's clock.
	Delay fault.Duration `json:"delay,omitempty"`
	// Result is "error" with Reason and Message, or "never": the job runs until it is
	// cancelled. By default the job ends as usual.
	Result  string `json:"result,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`

	// What is reported.
	Count     int      `json:"count"`
	Fired     bool     `json:"fired"`
	Remaining int      `json:"remaining"`
	Jobs      []string `json:"jobs"`
}

// statusOf is the HTTP status that goes with the reason of a failed job
// (https://cloud.google.com/bigquery/docs/error-messages).
var statusOf = map[string]int{
	"accessDenied": 403, "backendError": 503, "billingNotEnabled": 403, "blocked": 403, "duplicate": 409, "internalError": 500,
	"invalid": 400, "invalidQuery": 400, "jobBackendError": 400, "jobInternalError": 400, "jobRateLimitExceeded": 400,
	"notFound": 404, "quotaExceeded": 403, "rateLimitExceeded": 403, "resourceInUse": 400, "resourcesExceeded": 400,
	"responseTooLarge": 403, "tableUnavailable": 400, "timeout": 400,
}

func (s *script) complete() error {
	if s.Times == 0 {
		s.Times = 1
	}
	if s.Message == "" && s.Result == "error" {
		s.Message = "A script lets this job fail."
	}
	s.Count, s.Jobs = 0, []string{}
	switch {
	case s.Times < fault.Always:
		return fmt.Errorf(`"times" is %d: want a number of jobs, or -1 for all`, s.Times)
	case s.Result != "" && s.Result != "error" && s.Result != "never":
		return fmt.Errorf(`"result" %q is not known: use error or never`, s.Result)
	case s.Result == "error" && statusOf[s.Reason] == 0:
		return fmt.Errorf(`"reason" %q is not one of BigQuery's: the result "error" needs one such as backendError`, s.Reason)
	}
	return nil
}

func (s *script) report() script {
	out := *s
	out.Jobs = slices.Clone(s.Jobs)
	out.Fired = s.Count > 0
	out.Remaining = s.Times - s.Count
	if s.Times == fault.Always {
		out.Remaining = fault.Always
	}
	return out
}

// scripts are the scripts that are set.
type scripts struct {
	clock  clock.Clock
	mu     sync.Mutex
	lastID int
	all    []*script
}

// act does what a script has for a job before it runs. An error is the failure of
// the job.
func (ss *scripts) act(ctx context.Context, j *job) error {
	s := ss.take(j)
	if s == nil {
		return nil
	}
	if s.Delay > 0 {
		if err := ss.clock.Sleep(ctx, time.Duration(s.Delay)); err != nil {
			return err
		}
	}
	switch s.Result {
	case "error":
		return &apiError{statusOf[s.Reason], s.Reason, s.Message, ""}
	case "never":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// take returns the script for a job, if there is one.
func (ss *scripts) take(j *job) *script {
	if j.config.Query == nil || j.config.DryRun {
		return nil
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.all {
		if s.Times != fault.Always && s.Count == s.Times ||
			s.Job != "" && !glob.Match(s.Job, j.key.id) ||
			s.Statement != "" && !glob.Match(s.Statement, j.config.Query.Query) {
			continue
		}
		s.Count++
		s.Jobs = append(s.Jobs, j.key.id)
		return s
	}
	return nil
}

// Scripts is the control surface: POST sets a script, GET lists them, DELETE (with
// ?id=) removes one or all.
func (s *Server) Scripts(w http.ResponseWriter, r *http.Request) {
	ss := &s.scripts
	switch r.Method {
	case http.MethodPost:
		var in script
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&in)
		if err == nil {
			err = in.complete()
		}
		if err != nil {
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
			return
		}
		ss.mu.Lock()
		defer ss.mu.Unlock()
		ss.lastID++
		if in.ID == "" {
			in.ID = strconv.Itoa(ss.lastID)
		}
		if slices.ContainsFunc(ss.all, func(o *script) bool { return o.ID == in.ID }) {
			inventory.WriteError(w, http.StatusConflict, "a script with this id is set already")
			return
		}
		ss.all = append(ss.all, &in)
		inventory.WriteJSON(w, http.StatusCreated, in.report())
	case http.MethodGet:
		ss.mu.Lock()
		defer ss.mu.Unlock()
		out := []script{}
		for _, s := range ss.all {
			out = append(out, s.report())
		}
		inventory.WriteJSON(w, http.StatusOK, map[string]any{"jobs": out})
	case http.MethodDelete:
		ss.mu.Lock()
		defer ss.mu.Unlock()
		id, before := r.URL.Query().Get("id"), len(ss.all)
		ss.all = slices.DeleteFunc(ss.all, func(s *script) bool { return id == "" || s.ID == id })
		if id != "" && len(ss.all) == before {
			inventory.WriteError(w, http.StatusNotFound, "no such script")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		inventory.WriteError(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}
