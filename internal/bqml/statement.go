// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// drop deletes an open model by DROP MODEL, which is documented to delete, with the model,
// what BigQuery deployed for it and what would go on to cost money.
func (s *Service) drop(ctx context.Context, name gcp.RemoteModelName, location string) error {
	spec := ModelSpec{Name: name}
	if err := spec.checkName(); err != nil {
		return err
	}
	var sql Statement
	text, err := sql.Fixed("DROP MODEL ").Identifier(path(name.Project, name.Dataset, name.ID)).Finish()
	if err != nil {
		return err
	}
	return s.statement(spec, "drop", text, location, nil, Options{})(ctx)
}

// execute runs the DDL, again and again while it is refused because the grant of
// the connection's service account has not taken effect.
func (s *Service) execute(ctx context.Context, spec ModelSpec, replace bool, location string, marker gcp.Marker, o Options) error {
	spec.Universe = s.clients.Universe()
	sql, err := spec.CreateSQL(replace)
	if err != nil {
		return err
	}
	propagation := s.propagation(ctx, spec.Connection, spec.granted(), o)
	propagation.Role = spec.Role()
	return spec.explain(propagation.Do(ctx, s.statement(spec, "model", sql, location, marker.Labels(map[string]string{jobTarget: spec.target()}), o)))
}

var (
	refusesEndpoint = regexp.MustCompile(`(?i)invalid endpoint|endpoint\b.*\b(number|numeric|digits?|integer)`)
	digitsOnly      = regexp.MustCompile(`^[0-9]+$`)
)

// explain adds the likely cure when the endpoint itself is refused and its id has
// letters. Vertex AI takes them, and makes ids of digits by default; whether BigQuery
// takes them is not documented.
func (t Target) explain(err error) error {
	if err == nil || !t.Custom() || digitsOnly.MatchString(t.Endpoint.ID) || !refusesEndpoint.MatchString(err.Error()) {
		return err
	}
	return fmt.Errorf("%w\n\nHint: the id of the endpoint, %q, is not a number, which may be what is refused. "+
		"Give the endpoint a number of up to 9 digits as its endpoint_id", err, t.Endpoint.ID)
}

// alter changes what an open model can have changed while it stays deployed.
func (s *Service) alter(ctx context.Context, spec ModelSpec, m *Model, made bool, o Options) (*Model, error) {
	if spec.Open == nil {
		return m, nil
	}
	deploy, ttl := spec.Deploy, spec.Open.IdleTTL
	switch {
	case made: // which deploys, with the idle TTL
		ttl = 0
		if deploy != nil && *deploy {
			deploy = nil
		}
	case !spec.DeployChanged:
		deploy = nil
	}
	if m.Open != nil && m.Open.IdleTTL == ttl {
		ttl = 0
	}
	if deploy == nil && ttl == 0 {
		return m, nil
	}
	sql, err := spec.AlterSQL(deploy, ttl)
	if err != nil {
		return m, err
	}
	if err := s.statement(spec, "alter", sql, m.Location, nil, o)(ctx); err != nil {
		return m, fmt.Errorf("the model exists; changing its deployment failed: %w", err)
	}
	altered, err := s.getModel(ctx, spec.Name, false)
	if err != nil {
		return m, err
	}
	return altered, nil
}

// statement returns a function that runs a DDL statement, each time as a new job.
func (s *Service) statement(spec ModelSpec, name, sql, location string, labels map[string]string, o Options) func(context.Context) error {
	nonce := query.NewRunID()
	try := 0
	return func(ctx context.Context) error {
		client, err := s.queries(ctx, spec.Name.Project)
		if err != nil {
			return err
		}
		try++
		r := query.Request{SQL: sql, Location: location, Labels: labels}
		r.ID = r.JobID(nonce, fmt.Sprintf("%s-%d", name, try))
		if o.OnJob != nil {
			o.OnJob(r.ID)
		}
		job, err := client.Run(ctx, r)
		if err == nil && job.Statistics.DDLOperation == "SKIP" {
			return fmt.Errorf("job %s made no model", job.Reference)
		}
		return spec.redact(err)
	}
}

// redact takes the Hugging Face token out of an error: BigQuery may quote the SQL.
func (m ModelSpec) redact(err error) error {
	if err == nil || m.Open == nil || m.Open.Token == "" || !strings.Contains(err.Error(), m.Open.Token) {
		return err
	}
	return &redactedError{err, m.Open.Token}
}

type redactedError struct {
	error
	secret string
}

func (e *redactedError) Error() string {
	return strings.ReplaceAll(e.error.Error(), e.secret, "[redacted]")
}

func (e *redactedError) Unwrap() error { return e.error }
