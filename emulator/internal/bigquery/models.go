// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// model is a remote model.
type model struct {
	ref  tableRef
	meta *bq.Model
	kind kind
	// input and output are those of a model over a custom endpoint, if it has any.
	input, output []column
	// endpoint is a custom endpoint; of others only what is known: the project in which
	// the model is used, the location.
	endpoint   endpoint
	connection connection
	// role is what the connection's account needs; "" is Vertex AI's.
	role string
}

type column struct {
	name string
	typ  columnType
}

// endpoint is a Vertex AI endpoint as ENDPOINT names it.
type endpoint struct{ project, location, id string }

func (e endpoint) name() string {
	return fmt.Sprintf("projects/%s/locations/%s/endpoints/%s", e.project, e.location, e.id)
}

func (e endpoint) url() string {
	return "https://" + e.location + "-aiplatform.googleapis.com/v1/" + e.name()
}

// connection is a connection as WITH CONNECTION names it.
type connection struct{ project, location, id string }

// connectionName is a connection's name as it stands in a model, spelled as the
// Connection service spells it.
func (s *Server) connectionName(c connection) string {
	p, location := c.project, strings.ToLower(c.location)
	if known, err := s.cfg.Projects.Lookup(p); err == nil {
		p = known.ID
		if s.cfg.Assume.Is(assume.ProjectInNames, "number") {
			p = known.Number
		}
	}
	if s.cfg.Assume.Is(assume.MultiRegionCase, "upper") {
		location = canonicalLocation(location)
	}
	return fmt.Sprintf("projects/%s/locations/%s/connections/%s", p, location, c.id)
}

var modelID = regexp.MustCompile(`^[A-Za-z0-9_]{1,1000}$`)

// model finds a model that has not expired, or nil; s.mu is held.
func (s *Server) model(d *dataset, id string) *model {
	m, ok := d.models[id]
	if !ok {
		return nil
	}
	if at := m.meta.ExpirationTime; at > 0 && at <= s.cfg.Clock.Now().UnixMilli() {
		delete(d.models, id)
		return nil
	}
	return m
}

// findModel finds a model in the location of the job.
func (x *execution) findModel(t tableRef) (*model, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return nil, err
	}
	m := x.model(d, t.table)
	if m == nil {
		return nil, notFound("Model %s", t)
	}
	return m, nil
}

// at finds the model of a request; s.mu is held.
func (s *Server) modelAt(r *request) (*dataset, *model, error) {
	d, err := s.dataset(r.datasetKey())
	if err != nil {
		return nil, nil, err
	}
	m := s.model(d, r.PathValue("modelId"))
	if m == nil {
		return nil, nil, notFound("Model %s", tableRef{r.project, r.PathValue("datasetId"), r.PathValue("modelId")})
	}
	return d, m, nil
}

func (s *Server) getModel(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m, err := s.modelAt(r)
	if err != nil {
		return nil, err
	}
	return m.meta, nil
}

// patchModel changes what BigQuery lets be changed of a model.
func (s *Server) patchModel(r *request) (any, error) {
	body, err := r.decode(new(bq.Model))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m, err := s.modelAt(r)
	if err != nil {
		return nil, err
	}
	if err := r.ifMatch(m.meta.Etag); err != nil {
		return nil, err
	}
	next, err := merge(m.meta, body, "description", "friendlyName", "labels", "expirationTime", "encryptionConfiguration")
	if err != nil {
		return nil, err
	}
	if next.EncryptionConfiguration, err = s.otherKey(m.meta.EncryptionConfiguration, next.EncryptionConfiguration); err != nil {
		return nil, err
	}
	return s.changeModel(m, next)
}

// otherKey checks a change of a model's key: one can be exchanged, not added or removed.
func (s *Server) otherKey(have, want *bq.EncryptionConfiguration) (*bq.EncryptionConfiguration, error) {
	switch {
	case have == nil && want == nil || have != nil && want != nil && have.KmsKeyName == want.KmsKeyName:
		return have, nil
	case have == nil:
		return nil, invalid("The model has no encryption key: one can be changed but not added.")
	case want == nil || want.KmsKeyName == "":
		return nil, invalid("The model has an encryption key: it can be changed but not removed.")
	}
	if err := s.checkKey(want.KmsKeyName); err != nil {
		return nil, err
	}
	return s.encryptedWith(want.KmsKeyName), nil
}

// changeModel gives a model new metadata; s.mu is held.
func (s *Server) changeModel(m *model, next *bq.Model) (*bq.Model, error) {
	now := s.cfg.Clock.Now().UnixMilli()
	if next.ExpirationTime != 0 && next.ExpirationTime != m.meta.ExpirationTime && next.ExpirationTime <= now {
		return nil, invalid("Invalid value for expirationTime: %d is in the past.", next.ExpirationTime)
	}
	if err := checkLabels(next.Labels); err != nil {
		return nil, err
	}
	next.Etag, next.LastModifiedTime = newEtag(), now
	m.meta = next
	s.cfg.Effects.Updated(m.ref.modelName())
	return next, nil
}

var (
	labelKey   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

func checkLabels(labels map[string]string) error {
	if len(labels) > 64 {
		return invalid("There are %d labels; at most 64 are allowed.", len(labels))
	}
	for k, v := range labels {
		if !labelKey.MatchString(k) {
			return invalid("Label key %q is not valid: a lower-case letter, then lower-case letters, digits, underscores and dashes, at most 63.", k)
		}
		if !labelValue.MatchString(v) {
			return invalid("Value %q of label %q is not valid: lower-case letters, digits, underscores and dashes, at most 63.", v, k)
		}
	}
	return nil
}

func (s *Server) deleteModel(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, m, err := s.modelAt(r)
	if err != nil {
		return nil, err
	}
	delete(d.models, m.ref.table)
	s.cfg.Effects.Deleted(m.ref.modelName())
	return nil, nil
}

// listModels answers, as BigQuery does, only part of each model.
func (s *Server) listModels(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(r.datasetKey())
	if err != nil {
		return nil, err
	}
	all := []*bq.Model{}
	for _, m := range s.modelsOf(d) {
		all = append(all, &bq.Model{
			ModelReference: m.meta.ModelReference, ModelType: m.meta.ModelType, Labels: m.meta.Labels,
			CreationTime: m.meta.CreationTime, LastModifiedTime: m.meta.LastModifiedTime,
		})
	}
	start, end, next, err := r.window(len(all))
	if err != nil {
		return nil, err
	}
	return &bq.ListModelsResponse{Models: all[start:end], NextPageToken: next}, nil
}

// modelsOf lists the models of a dataset in order; s.mu is held.
func (s *Server) modelsOf(d *dataset) []*model {
	var all []*model
	for id := range d.models {
		if m := s.model(d, id); m != nil {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *model) int { return cmp.Compare(a.ref.table, b.ref.table) })
	return all
}

// RemoteModels lists the models for the inventory.
func (s *Server) RemoteModels() []any {
	type remoteModel struct {
		Name       string `json:"name"`
		Endpoint   string `json:"endpoint"`
		Connection string `json:"connection"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, k := range s.datasetKeys() {
		for _, m := range s.modelsOf(s.datasets[k]) {
			all = append(all, remoteModel{m.ref.String(), m.meta.RemoteModelInfo.Endpoint, m.meta.RemoteModelInfo.Connection})
		}
	}
	return all
}
