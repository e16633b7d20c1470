// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqml makes BigQuery connections and remote models, and predicts with
// them. It takes and returns Go values and errors and knows nothing of Terraform.
//
// All SQL is rendered by one writer (see sql.go), which quotes every name and
// literal in one function and reads its own result back before it is sent.
package bqml

import (
	"context"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Service does the work of this package with one set of clients. It is safe for
// concurrent use.
type Service struct {
	clients *gcp.Clients
}

// New returns a service.
func New(c *gcp.Clients) *Service { return &Service{clients: c} }

// DefaultPropagation is how long a refusal is retried while a grant takes effect,
// unless the user says otherwise.
const DefaultPropagation = 10 * time.Minute

// Options are the circumstances under which something is made or predicted.
type Options struct {
	// Propagation is how long refusals are retried while a grant takes effect.
	Propagation time.Duration
	Progress    Progress
	// Incarnation marks what is made; if empty, a random one is taken.
	Incarnation string
	// OnJob, if set, is told the id of a DDL job before it is sent.
	OnJob func(id string)
}

func (o Options) mark(m gcp.Marker) gcp.Marker {
	if o.Incarnation != "" {
		m.Incarnation = o.Incarnation
	}
	return m
}

// Progress is told, in words, what a wait is waiting for. It may be nil.
type Progress func(format string, args ...any)

func (p Progress) tell(format string, args ...any) {
	if p != nil {
		p(format, args...)
	}
}

func (s *Service) queries(ctx context.Context, project string) (*query.Client, error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := s.clients.BigQueryHTTP(ctx)
	if err != nil {
		return nil, err
	}
	return query.New(bq, raw, project), nil
}

// SameName reports whether two regional names mean the same object. A project
// number that may not be looked up is taken to mean the project id beside it.
func (s *Service) SameName(ctx context.Context, a, b gcp.Name) bool {
	if s.sameProject(ctx, a.Project, b.Project) {
		a.Project = b.Project
	}
	return a.Canonical(nil) == b.Canonical(nil)
}

func (s *Service) sameProject(ctx context.Context, a, b string) bool {
	for _, p := range []*string{&a, &b} {
		if id, err := s.clients.ProjectID(ctx, *p); err == nil {
			*p = id
		}
	}
	return a == b || isNumber(a) != isNumber(b)
}

func isNumber(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
