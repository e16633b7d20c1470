// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"

	bq "google.golang.org/api/bigquery/v2"
)

// environment is what the statements of a script, or of a session, share.
type environment struct {
	temp temporaries
	// scopes are the variables in sight, those of the innermost block last.
	scopes []map[string]*value // by name in lower case
	// failures are the errors being handled, the innermost last.
	failures []*scriptError
	// system are the values given to system variables.
	system map[string]string
	// changed is the number of rows that the last DML statement changed.
	changed *int64
}

func newEnvironment() *environment {
	return &environment{scopes: []map[string]*value{{}}, system: map[string]string{}}
}

func (e *environment) find(name string) *value {
	name = strings.ToLower(name)
	for _, scope := range slices.Backward(e.scopes) {
		if v := scope[name]; v != nil {
			return v
		}
	}
	return nil
}

func (e *environment) lookup(name string) (value, bool) {
	if v := e.find(name); v != nil {
		return *v, true
	}
	return value{}, false
}

// session is state that outlives a query: its temporary tables and functions, and
// the variables that are declared outside of a block.
type session struct {
	id                string
	project, location string
	running           sync.Mutex // one query at a time
	env               *environment
}

// sessions are those that were not ended.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

const sessionProperty = "session_id"

// sessionOf is the session that a query asks for: a new one, one that there is, or
// none.
func (s *Server) sessionOf(q *bq.JobConfigurationQuery, key jobKey) (*session, error) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	i := slices.IndexFunc(q.ConnectionProperties, func(p *bq.ConnectionProperty) bool { return p.Key == sessionProperty })
	switch {
	case i >= 0 && q.CreateSession:
		return nil, invalid("createSession and the connection property %s exclude each other.", sessionProperty)
	case i >= 0:
		found := s.sessions.byID[q.ConnectionProperties[i].Value]
		if found == nil || found.project != key.project {
			return nil, notFound("Session %s", q.ConnectionProperties[i].Value)
		}
		if key.location != "" && key.location != found.location {
			return nil, invalid("Session %s is in location %s, not in %s.", found.id, found.location, key.location)
		}
		return found, nil
	case q.CreateSession:
		return &session{id: strings.ToLower(rand.Text()), project: key.project, env: newEnvironment()}, nil
	}
	return nil, nil
}

// keep makes a new session known, in a location.
func (s *Server) keep(made *session, location string) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	made.location = location
	s.sessions.byID[made.id] = made
}

// abort ends a session, which drops its temporary tables.
func (x *execution) abort(ctx context.Context, id string) error {
	x.sessions.mu.Lock()
	ended := x.sessions.byID[id]
	delete(x.sessions.byID, id)
	x.sessions.mu.Unlock()
	if ended == nil {
		return notFound("Session %s", id)
	}
	if ended != x.job.session {
		ended.running.Lock()
		defer ended.running.Unlock()
	}
	x.forget(ctx, &ended.env.temp)
	return nil
}
