// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// ModelSpec is a remote model as it should be.
type ModelSpec struct {
	Name       gcp.RemoteModelName
	Connection gcp.Name // the zero name is BigQuery's default connection
	Target
	// Input and Output are both empty, or both not. Empty ones of a model over an
	// endpoint are taken from the signature of the deployed model, if that can be read.
	Input  []Column
	Output []Column
	KMSKey string // "" leaves the key to BigQuery
	// Universe is the domain of the endpoint's URL. The service sets it to that of its
	// clients; "" is Google's public one.
	Universe string
	// Deploy tells whether an open model is to be deployed; nil leaves it as it is.
	Deploy *bool
	// Probe, if set, is predicted whenever the model was made or replaced.
	Probe *Probe

	// The server does not tell all of a model. Untold says that something of that kind
	// which only CREATE OR REPLACE can change differs from what was there before, and
	// DeployChanged the same of Deploy. ProbeAgain asks for a probe in any case.
	Untold, DeployChanged, ProbeAgain bool

	Description string
	Labels      map[string]string
	DropLabels  []string  // keys of labels to remove; others than these and Labels stay
	Expiration  time.Time // the zero time is never
}

// Model is a remote model as the server has it.
type Model struct {
	Location   string
	Connection gcp.Name
	Target
	EndpointURL string // "" for services
	KMSKey      string // without version
	// Input and Output are nil if there are none, or the server does not tell them.
	Input  []Column
	Output []Column
	// MaxBatchingRows is the most rows of one request to the endpoint; 0 leaves it to
	// BigQuery.
	MaxBatchingRows int64

	Description string
	Labels      map[string]string // without markers
	Expiration  time.Time

	Created, Modified time.Time
	Identity          Identity

	// Notices are what a caller should know who made the model.
	Notices []string

	etag string
	// labels are all of them, with markers.
	labels map[string]string
}

// CreateModel makes the model, or adopts it if it exists and is provably ours. It
// returns the model as far as it got, also together with an error: nil means that
// there is none of ours.
//
// The proof is the marker in the model's labels, or, in the gap between the DDL and
// the patch that writes them, our DDL job: it carries the same marker, succeeded,
// and ran when the model was created.
func (s *Service) CreateModel(ctx context.Context, spec ModelSpec, o Options) (*Model, error) {
	marker := s.clients.Marked(o.mark(spec.marker(s.clients.OwnershipID())))
	location, err := s.preflight(ctx, spec)
	if err != nil {
		return nil, err
	}
	notices, err := s.infer(ctx, &spec)
	if err != nil {
		return nil, err
	}
	err = s.execute(ctx, spec, false, location, marker, o)
	var failed *query.JobError
	if errors.As(err, &failed) && failed.Reason == "duplicate" {
		return s.adopt(ctx, spec, location, marker, o)
	}
	if err != nil {
		return nil, err
	}
	m, err := s.getModel(ctx, spec.Name, true)
	if err != nil {
		// It exists, as far as the job's success tells.
		return &Model{
			Location: location, Connection: spec.Connection, Target: spec.Target, Input: spec.Input, Output: spec.Output,
			Identity: Identity{Marker: marker},
		}, err
	}
	return s.finish(ctx, spec, m, marker, true, notices, o)
}

func (m ModelSpec) marker(owner string) gcp.Marker {
	// Everything but the name can be replaced in place.
	return gcp.NewMarker(owner, []string{"REMOTE_MODEL", m.Name.Dataset, m.Name.ID})
}

// UpdateModel brings the model to spec: by CREATE OR REPLACE if what it calls, its
// connection or its columns differ, then description, labels and expiration by a patch,
// since a replacement may lose them. The returned model is what the server has, also
// together with an error; nil if it is not known.
func (s *Service) UpdateModel(ctx context.Context, spec ModelSpec, o Options) (*Model, error) {
	marker := s.clients.Marked(o.mark(spec.marker(s.clients.OwnershipID())))
	m, err := s.getModel(ctx, spec.Name, false)
	if err != nil && !gcp.IsNotFound(err) {
		return nil, err
	}
	notices, inferErr := s.infer(ctx, &spec)
	if inferErr != nil {
		return m, inferErr
	}
	replace := err != nil || spec.Untold || !s.sameCore(ctx, spec, m)
	if replace {
		location, err := s.preflight(ctx, spec)
		if err != nil {
			return m, err
		}
		if err := s.execute(ctx, spec, true, location, marker, o); err != nil {
			return m, err
		}
		if m != nil {
			spec.Labels = gcp.Marker{}.Merge(gcp.UserLabels(m.labels), spec.Labels, spec.DropLabels) // a replacement may lose those of others
		}
		if m, err = s.getModel(ctx, spec.Name, true); err != nil {
			return nil, err
		}
	}
	return s.finish(ctx, spec, m, marker, replace, notices, o)
}

// finish does what follows the DDL: it writes what the DDL cannot set, deploys or
// undeploys an open model, and probes. made tells that the DDL has just run.
func (s *Service) finish(ctx context.Context, spec ModelSpec, m *Model, marker gcp.Marker, made bool, notices []string, o Options) (*Model, error) {
	m, err := s.patch(ctx, spec, m, marker)
	if err == nil {
		m, err = s.alter(ctx, spec, m, made, o)
	}
	m.Notices = notices
	if err == nil && spec.Probe != nil && (made || spec.ProbeAgain) {
		err = s.probe(ctx, spec, m, o)
	}
	return m, err
}

// GetModel reads a remote model.
func (s *Service) GetModel(ctx context.Context, name gcp.RemoteModelName) (*Model, error) {
	return s.getModel(ctx, name, false)
}

// DeleteModel deletes the model if it is the remembered one: by its marker, by its
// time of creation (milliseconds since 1970), or by the job that made it. If nothing is
// remembered, since Terraform hands over no private state of a tainted object that it
// replaces, a mark of ours is enough. Otherwise it returns [ErrForeign]. A model that is
// gone already is no error.
func (s *Service) DeleteModel(ctx context.Context, name gcp.RemoteModelName, incarnation string, created int64) error {
	m, err := s.getModel(ctx, name, false)
	if gcp.IsNotFound(err) {
		return nil
	}
	if err != nil && !errors.Is(err, errNotRemote) {
		return err
	}
	if err != nil {
		return ErrForeign
	}
	forgotten := incarnation == "" && created == 0
	ours := func(mark gcp.Marker) bool {
		want := ModelSpec{Name: name}.marker(s.clients.OwnershipID())
		return mark.Incarnation != "" && (mark.Incarnation == incarnation || forgotten && mark.Owner == want.Owner && mark.Spec == want.Spec)
	}
	if !m.Identity.Is(incarnation, created) && !ours(m.Identity.Marker) {
		// The last replacement may have lost its labels before they were written again.
		found, err := s.provenance(ctx, name, m)
		if err != nil || m.Identity.Marker != (gcp.Marker{}) || !ours(found) {
			return ErrForeign
		}
	}
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return err
	}
	if m.Open != nil {
		err = s.drop(ctx, name, m.Location)
	} else {
		err = gcp.Retry(ctx, "bigquery.models.delete", func(ctx context.Context) error {
			return bq.Models.Delete(name.Project, name.Dataset, name.ID).Context(ctx).Do()
		})
	}
	var failed *query.JobError
	if gcp.IsNotFound(err) || errors.As(err, &failed) && failed.Reason == "notFound" {
		return gone(err, func() error { _, err := s.getModel(ctx, name, false); return err })
	}
	return err
}

// errNotRemote means that a model of that name exists and is of another kind.
var errNotRemote = errors.New("it is not a remote model")

// A model that a job made may not be readable at once.
const modelVisibleAfter = 30 * time.Second

// getModel reads a remote model. justMade waits for one that is not visible yet.
func (s *Service) getModel(ctx context.Context, name gcp.RemoteModelName, justMade bool) (*Model, error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; {
		var found *bigquery.Model
		err := gcp.Retry(ctx, "bigquery.models.get", func(ctx context.Context) (err error) {
			found, err = bq.Models.Get(name.Project, name.Dataset, name.ID).Context(ctx).Do()
			return err
		})
		if err == nil {
			return modelOf(found)
		}
		if !justMade || !gcp.IsNotFound(err) || time.Since(start) > modelVisibleAfter || gcp.Sleep(ctx, time.Second) != nil {
			return nil, err
		}
	}
}

func modelOf(b *bigquery.Model) (*Model, error) {
	info := b.RemoteModelInfo
	if info == nil {
		return nil, errNotRemote
	}
	target, err := targetOf(b)
	if err != nil {
		return nil, err
	}
	connection, err := gcp.ParseName(gcp.KindConnection, info.Connection)
	if err != nil {
		return nil, fmt.Errorf("the server reports the connection %q, which is not of a known form", info.Connection)
	}
	m := &Model{
		Location:    b.Location,
		Connection:  connection,
		Target:      target,
		EndpointURL: info.Endpoint,

		MaxBatchingRows: info.MaxBatchingRows,

		Description: b.Description,
		Labels:      gcp.UserLabels(b.Labels),
		Created:     time.UnixMilli(b.CreationTime),
		Modified:    time.UnixMilli(b.LastModifiedTime),
		Identity:    Identity{Marker: gcp.MarkerOf(b.Labels), Created: b.CreationTime},
		etag:        b.Etag,
		labels:      b.Labels,
	}
	if b.EncryptionConfiguration != nil {
		m.KMSKey, _, _ = strings.Cut(b.EncryptionConfiguration.KmsKeyName, "/cryptoKeyVersions/")
	}
	if len(b.FeatureColumns) > 0 {
		m.Input = columnsOf(b.FeatureColumns)
	}
	if len(b.LabelColumns) > 0 {
		m.Output = columnsOf(b.LabelColumns)
	}
	if b.ExpirationTime != 0 {
		m.Expiration = time.UnixMilli(b.ExpirationTime)
	}
	return m, nil
}

// sameCore reports whether a model differs from its spec in nothing that only
// CREATE OR REPLACE can change. The default connection cannot be told from the one
// that it stands for, and a key can be exchanged but not added.
func (s *Service) sameCore(ctx context.Context, spec ModelSpec, m *Model) bool {
	return (spec.Connection == gcp.Name{} || s.SameName(ctx, spec.Connection, m.Connection)) && s.sameTarget(ctx, spec.Target, m.Target) &&
		SameColumns(spec.Input, m.Input) && SameColumns(spec.Output, m.Output) && (spec.KMSKey == "" || m.KMSKey != "")
}

// SameColumns reports whether two lists mean the same columns; a list that the
// server does not tell (nil) is taken for the same.
func SameColumns(want, have []Column) bool {
	return have == nil || slices.EqualFunc(want, have, func(a, b Column) bool { return a.Name == b.Name && SameType(a.Type, b.Type) })
}
