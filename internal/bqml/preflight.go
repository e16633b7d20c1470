// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// preflight finds what is wrong before a job is sent, where BigQuery's own sentence
// would not tell the cure, and returns the location that the job runs in. What the
// caller may not read is left to BigQuery to judge.
func (s *Service) preflight(ctx context.Context, spec ModelSpec) (location string, err error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return "", err
	}
	location = apiName(spec.Connection).Location
	var dataset *bigquery.Dataset
	err = gcp.Retry(ctx, "bigquery.datasets.get", func(ctx context.Context) (err error) {
		dataset, err = bq.Datasets.Get(spec.Name.Project, spec.Name.Dataset).Context(ctx).Do()
		return err
	})
	switch {
	case gcp.IsNotFound(err):
		return "", &FieldError{"dataset_id", fmt.Sprintf("dataset %s does not exist in project %s: create it first, in the location of the connection (CREATE SCHEMA `%s.%s` OPTIONS (location = '%s'))",
			spec.Name.Dataset, spec.Name.Project, spec.Name.Project, spec.Name.Dataset, cmp.Or(spec.Connection.Location, "US"))}
	case err == nil && location != "" && !strings.EqualFold(dataset.Location, location):
		return "", &FieldError{"connection_name", fmt.Sprintf("dataset %s is in %s and the connection %s is in %s: both must be in one location", spec.Name.Dataset, dataset.Location, spec.Connection.ID, spec.Connection.Location)}
	case err == nil:
		location = dataset.Location
	case gcp.IsInterrupted(ctx, err):
		return "", err
	}
	if !spec.Custom() {
		return location, nil
	}
	if location != "" {
		if _, err := CheckRegions(location, spec.Endpoint.Location); err != nil {
			return "", &FieldError{"endpoint", err.Error()}
		}
	}
	return location, s.CheckEndpoint(ctx, spec.Endpoint, true)
}

// FieldError says which field of a spec is wrong, and the cure.
type FieldError struct {
	Field   string // "dataset_id", "connection_name", "endpoint", "query", …
	Message string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Message }

// CheckEndpoint reports, as a [*FieldError], why a remote model cannot call an
// endpoint. mustExist makes a missing one an error. An endpoint that the caller may
// not read passes.
func (s *Service) CheckEndpoint(ctx context.Context, name gcp.Name, mustExist bool) error {
	name = apiName(name)
	endpoint, err := s.endpoint(ctx, name)
	switch {
	case gcp.IsNotFound(err) && mustExist:
		return &FieldError{"endpoint", fmt.Sprintf("endpoint %s does not exist", name)}
	case gcp.IsInterrupted(ctx, err):
		return err
	case err != nil:
		return nil //nolint:nilerr // what the caller may not read is left to BigQuery to judge
	case endpoint.GetDedicatedEndpointEnabled():
		return &FieldError{"endpoint", fmt.Sprintf("endpoint %s is a dedicated endpoint, and BigQuery remote models call shared public endpoints only: use an endpoint without dedicated_endpoint_enabled", name)}
	case endpoint.GetNetwork() != "" || endpoint.GetPrivateServiceConnectConfig().GetEnablePrivateServiceConnect():
		return &FieldError{"endpoint", fmt.Sprintf("endpoint %s is private, and BigQuery remote models call shared public endpoints only: use one without network and Private Service Connect", name)}
	}
	return nil
}

// connectionAccounts ends the e-mail address of every connection's service account.
const connectionAccounts = "@gcp-sa-bigquery-condel.iam.gserviceaccount.com"

// propagation is how refusals are treated for the service account of a connection,
// the zero name being BigQuery's default one. If that cannot be read no refusal is
// retried, since none could be recognised. project is where its role is granted, ""
// if that is not known.
func (s *Service) propagation(ctx context.Context, connection gcp.Name, project string, o Options) gcp.Propagation {
	p := gcp.Propagation{Timeout: o.Propagation}
	if (connection == gcp.Name{}) {
		p.Account = connectionAccounts // made, and granted its role, by BigQuery
	} else {
		c, err := s.getConnection(ctx, connection)
		if err != nil || accountOf(c) == "" {
			return p
		}
		p.Account = accountOf(c)
		if project != "" {
			p.HasBinding = func(ctx context.Context) (bool, error) {
				return s.clients.HasBinding(ctx, project, "serviceAccount:"+p.Account)
			}
		}
	}
	p.Progress = func(waited time.Duration, refusal error) {
		o.Progress.tell("waiting for the grant of %s to take effect (%s so far): %s", p.Account, waited.Round(time.Second), gcp.Message(refusal))
	}
	return p
}
