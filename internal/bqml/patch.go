// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Somebody else may write in between; each round starts from what is there then.
const maxPatches = 5

// patch writes description, labels, expiration and another key, if they differ, and
// returns the model as it is then.
func (s *Service) patch(ctx context.Context, spec ModelSpec, m *Model, marker gcp.Marker) (*Model, error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return m, err
	}
	for range maxPatches {
		body := spec.changes(m, marker)
		if body == nil {
			return m, nil
		}
		var patched *bigquery.Model
		err = gcp.Retry(ctx, "bigquery.models.patch", func(ctx context.Context) (err error) {
			call := bq.Models.Patch(spec.Name.Project, spec.Name.Dataset, spec.Name.ID, body).Context(ctx)
			if m.etag != "" {
				call.Header().Set("If-Match", m.etag)
			}
			patched, err = call.Do()
			return err
		})
		var read *Model
		if err == nil {
			if read, err = modelOf(patched); err == nil {
				return read, nil
			}
			return m, err
		}
		if !isConflict(err) {
			return m, fmt.Errorf("the model exists; setting its description, labels, expiration and key failed: %w", err)
		}
		if read, getErr := s.getModel(ctx, spec.Name, false); getErr == nil {
			m = read
		}
	}
	return m, err
}

// isConflict reports a failed If-Match. After a patch whose answer was lost it also
// means that the patch took place.
func isConflict(err error) bool {
	return httpCode(err) == http.StatusPreconditionFailed
}

// changes is the body of models.patch that brings m to spec; nil if nothing differs.
func (m ModelSpec) changes(have *Model, marker gcp.Marker) *bigquery.Model {
	var body bigquery.Model
	changed := false
	if m.Description != have.Description {
		changed, body.Description = true, m.Description
		if m.Description == "" {
			body.NullFields = append(body.NullFields, "Description")
		}
	}
	if want := marker.Merge(have.labels, m.Labels, m.DropLabels); !maps.Equal(want, have.labels) {
		changed, body.Labels = true, want
		for key := range have.labels {
			if _, keep := want[key]; !keep {
				body.NullFields = append(body.NullFields, "Labels."+key)
			}
		}
	}
	if !m.Expiration.Equal(have.Expiration) {
		changed = true
		if m.Expiration.IsZero() {
			body.NullFields = append(body.NullFields, "ExpirationTime")
		} else {
			body.ExpirationTime = m.Expiration.UnixMilli()
		}
	}
	if m.KMSKey != "" && m.KMSKey != have.KMSKey {
		changed, body.EncryptionConfiguration = true, &bigquery.EncryptionConfiguration{KmsKeyName: m.KMSKey}
	}
	if !changed {
		return nil
	}
	return &body
}
