// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
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
	Connection gcp.Name
	Endpoint   gcp.Name
	Input      []Column
	Output     []Column

	Description string
	Labels      map[string]string
	DropLabels  []string  // keys of labels to remove; others than these and Labels stay
	Expiration  time.Time // the zero time is never
}

// Model is a remote model as the server has it.
type Model struct {
	Location    string
	Connection  gcp.Name
	Endpoint    gcp.Name
	EndpointURL string
	// Input and Output are nil if the server does not tell them.
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

	etag string
	// labels are all of them, with markers.
	labels map[string]string
}

// EndpointURL is the value of the ENDPOINT option for an endpoint.
func EndpointURL(n gcp.Name) string {
	n = apiName(n)
	return "https://" + n.Location + "-aiplatform.googleapis.com/v1/" + n.String()
}

var (
	projectGrammar = regexp.MustCompile(`^(?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*$`)
	datasetGrammar = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	localGrammar   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	idGrammar      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)
)

// CreateSQL renders the DDL statement; replace tells whether a model of that name
// may exist.
func (m ModelSpec) CreateSQL(replace bool) (string, error) {
	connection, endpoint := apiName(m.Connection), apiName(m.Endpoint)
	for _, part := range []struct {
		what, text string
		grammar    *regexp.Regexp
	}{
		{"project", m.Name.Project, projectGrammar},
		{"dataset_id", m.Name.Dataset, datasetGrammar},
		{"model_id", m.Name.ID, datasetGrammar},
		{"project of the connection", connection.Project, projectGrammar},
		{"location of the connection", connection.Location, localGrammar},
		{"id of the connection", connection.ID, idGrammar},
		{"project of the endpoint", endpoint.Project, projectGrammar},
		{"location of the endpoint", endpoint.Location, localGrammar},
		{"id of the endpoint", endpoint.ID, idGrammar},
	} {
		if !part.grammar.MatchString(part.text) {
			return "", fmt.Errorf("%s %q is not valid", part.what, part.text)
		}
	}
	if len(m.Input) == 0 || len(m.Output) == 0 {
		return "", errors.New("a remote model over an endpoint needs both input and output")
	}
	var s Statement
	s.Fixed("CREATE ")
	if replace {
		s.Fixed("OR REPLACE ")
	}
	s.Fixed("MODEL ").Identifier(path(m.Name.Project, m.Name.Dataset, m.Name.ID))
	for _, list := range []struct {
		keyword string
		columns []Column
	}{{"\nINPUT (", m.Input}, {"\nOUTPUT (", m.Output}} {
		columns, err := normalColumns(list.columns)
		if err != nil {
			return "", err
		}
		s.Fixed(list.keyword)
		for i, c := range columns {
			if i > 0 {
				s.Fixed(", ")
			}
			s.Identifier(c.Name).Fixed(" ").Fixed(c.Type) // one of a closed list
		}
		s.Fixed(")")
	}
	s.Fixed("\nREMOTE WITH CONNECTION ").Identifier(path(connection.Project, connection.Location, connection.ID))
	s.Fixed("\nOPTIONS (ENDPOINT = ").Literal(EndpointURL(endpoint)).Fixed(")")
	return s.Finish()
}

func path(parts ...string) string { return strings.Join(parts, ".") }

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
			Location: location, Connection: spec.Connection, Endpoint: spec.Endpoint, Input: spec.Input, Output: spec.Output,
			Identity: Identity{Marker: marker},
		}, err
	}
	return s.patch(ctx, spec, m, marker)
}

func (m ModelSpec) marker(owner string) gcp.Marker {
	// Everything but the name can be replaced in place.
	return gcp.NewMarker(owner, []string{"REMOTE_MODEL", m.Name.Dataset, m.Name.ID})
}

// adopt takes over a model that exists, if it is ours.
func (s *Service) adopt(ctx context.Context, spec ModelSpec, location string, marker gcp.Marker, o Options) (*Model, error) {
	m, err := s.getModel(ctx, spec.Name, true)
	if errors.Is(err, errNotRemote) {
		return nil, &FieldError{"model_id", fmt.Sprintf("a model %s exists already, and %s: choose another model_id, or drop the model", spec.Name, err)}
	}
	if err != nil {
		return nil, err
	}
	found := m.Identity.Marker
	if found == (gcp.Marker{}) && marker.Owner != "" {
		if found, err = s.provenance(ctx, spec.Name, m); err != nil {
			return nil, fmt.Errorf("the model %s exists, and whether it was made by a job of ours cannot be told: %w", spec.Name, err)
		}
	}
	if !marker.Adoptable(found) {
		refusal := marker.RefuseAdoption("remote model", spec.Name.String(), found)
		if marker.Owner != "" && found == (gcp.Marker{}) {
			refusal.Reason = "it carries no marker of gcpml, and no DDL job of ours made it"
		}
		return nil, refusal
	}
	o.Progress.tell("adopting remote model %s", spec.Name)
	if !s.sameCore(ctx, spec, m) {
		if err := s.execute(ctx, spec, true, location, marker, o); err != nil {
			return m, err
		}
		if m, err = s.getModel(ctx, spec.Name, true); err != nil {
			return m, err
		}
	}
	return s.patch(ctx, spec, m, marker)
}

// UpdateModel brings the model to spec: by CREATE OR REPLACE if connection,
// endpoint or columns differ, then description, labels and expiration by a patch,
// since a replacement may lose them. The returned model is what the server has, also
// together with an error; nil if it is not known.
func (s *Service) UpdateModel(ctx context.Context, spec ModelSpec, o Options) (*Model, error) {
	marker := s.clients.Marked(o.mark(spec.marker(s.clients.OwnershipID())))
	m, err := s.getModel(ctx, spec.Name, false)
	if err != nil && !gcp.IsNotFound(err) {
		return nil, err
	}
	if err != nil || !s.sameCore(ctx, spec, m) {
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
	return s.patch(ctx, spec, m, marker)
}

// GetModel reads a remote model.
func (s *Service) GetModel(ctx context.Context, name gcp.RemoteModelName) (*Model, error) {
	return s.getModel(ctx, name, false)
}

// DeleteModel deletes the model if it is the remembered one: by its marker, by its
// time of creation (milliseconds since 1970), or by the job that made it. Otherwise
// it returns [ErrForeign]. A model that is gone already is no error.
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
	if !m.Identity.Is(incarnation, created) {
		// The last replacement may have lost its labels before they were written again.
		found, err := s.provenance(ctx, name, m)
		if err != nil || m.Identity.Marker != (gcp.Marker{}) || found.Incarnation == "" || found.Incarnation != incarnation {
			return ErrForeign
		}
	}
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return err
	}
	err = gcp.Retry(ctx, "bigquery.models.delete", func(ctx context.Context) error {
		return bq.Models.Delete(name.Project, name.Dataset, name.ID).Context(ctx).Do()
	})
	if gcp.IsNotFound(err) {
		return gone(err, func() error { _, err := s.getModel(ctx, name, false); return err })
	}
	return err
}

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
			spec.Name.Dataset, spec.Name.Project, spec.Name.Project, spec.Name.Dataset, spec.Connection.Location)}
	case err == nil && !strings.EqualFold(dataset.Location, spec.Connection.Location):
		return "", &FieldError{"connection_name", fmt.Sprintf("dataset %s is in %s and the connection %s is in %s: both must be in one location", spec.Name.Dataset, dataset.Location, spec.Connection.ID, spec.Connection.Location)}
	case err == nil:
		location = dataset.Location
	case gcp.IsInterrupted(ctx, err):
		return "", err
	}
	if _, err := CheckRegions(spec.Connection.Location, spec.Endpoint.Location); err != nil {
		return "", &FieldError{"endpoint", err.Error()}
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

// execute runs the DDL, again and again while it is refused because the grant of
// the connection's service account has not taken effect.
func (s *Service) execute(ctx context.Context, spec ModelSpec, replace bool, location string, marker gcp.Marker, o Options) error {
	sql, err := spec.CreateSQL(replace)
	if err != nil {
		return err
	}
	client, err := s.queries(ctx, spec.Name.Project)
	if err != nil {
		return err
	}
	nonce := query.NewRunID()
	try := 0
	return s.propagation(ctx, spec.Connection, spec.Endpoint.Project, o).Do(ctx, func(ctx context.Context) error {
		try++
		r := query.Request{
			SQL:      sql,
			Location: location,
			Labels:   marker.Labels(map[string]string{jobTarget: spec.target()}),
		}
		r.ID = r.JobID(nonce, fmt.Sprintf("model-%d", try))
		if o.OnJob != nil {
			o.OnJob(r.ID)
		}
		job, err := client.Run(ctx, r)
		if err == nil && job.Statistics.DDLOperation == "SKIP" {
			return fmt.Errorf("job %s made no model", job.Reference)
		}
		return err
	})
}

// propagation is how refusals are treated for the service account of a connection.
// If that cannot be read no refusal is retried, since none could be recognised.
func (s *Service) propagation(ctx context.Context, connection gcp.Name, project string, o Options) gcp.Propagation {
	p := gcp.Propagation{Timeout: o.Propagation}
	c, err := s.getConnection(ctx, connection)
	if err != nil || c.GetCloudResource().GetServiceAccountId() == "" {
		return p
	}
	p.Account = c.GetCloudResource().GetServiceAccountId()
	p.HasBinding = func(ctx context.Context) (bool, error) {
		return s.clients.HasBinding(ctx, project, "serviceAccount:"+p.Account)
	}
	p.Progress = func(waited time.Duration, refusal error) {
		o.Progress.tell("waiting for the grant of %s to take effect (%s so far): %s", p.Account, waited.Round(time.Second), gcp.Message(refusal))
	}
	return p
}

// jobTarget is the label by which a DDL job names the model that it makes.
const jobTarget = "gcpml-target"

func (m ModelSpec) target() string { return target(m.Name) }

func target(n gcp.RemoteModelName) string { return gcp.SpecHash([]string{n.Dataset, n.ID}) }

const (
	// A job is created before the model that it makes, by as much as it waits and runs.
	longestJob = time.Hour
	// clockSkew is between the clocks that BigQuery stamps jobs and models with.
	clockSkew = 2 * time.Second
	// maxJobPages bounds the search for our job in a busy project.
	maxJobPages = 20
)

// provenance returns the marker of the job of ours that made the model, as it is
// now; the zero marker if there is none.
func (s *Service) provenance(ctx context.Context, name gcp.RemoteModelName, m *Model) (gcp.Marker, error) {
	bq, err := s.clients.BigQuery(ctx)
	if err != nil {
		return gcp.Marker{}, err
	}
	token := ""
	for range maxJobPages {
		var page *bigquery.JobList
		err := gcp.Retry(ctx, "bigquery.jobs.list", func(ctx context.Context) (err error) {
			page, err = bq.Jobs.List(name.Project).StateFilter("done").Projection("full").MaxResults(500).PageToken(token).
				MinCreationTime(uint64(max(0, m.Created.Add(-longestJob).UnixMilli()))). //nolint:gosec // not negative
				MaxCreationTime(uint64(max(0, m.Created.Add(clockSkew).UnixMilli()))).   //nolint:gosec // not negative
				Context(ctx).Do()
			return err
		})
		if err != nil {
			return gcp.Marker{}, err
		}
		for _, job := range page.Jobs {
			if made(job, name, m.Created) {
				return gcp.MarkerOf(job.Configuration.Labels), nil
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	return gcp.Marker{}, nil
}

// made reports whether the job is one of ours that made the model at that time.
func made(job *bigquery.JobListJobs, name gcp.RemoteModelName, created time.Time) bool {
	c, stats := job.Configuration, job.Statistics
	if c == nil || stats == nil || job.ErrorResult != nil || job.Status != nil && job.Status.ErrorResult != nil {
		return false
	}
	start, end := time.UnixMilli(stats.StartTime), time.UnixMilli(stats.EndTime)
	return c.Labels[jobTarget] == target(name) && !c.DryRun &&
		!created.Before(start.Add(-clockSkew)) && !created.After(end.Add(clockSkew))
}

// errNotRemote means that a model of that name exists and is of another kind.
var errNotRemote = errors.New("it is not a remote model over a Vertex AI endpoint")

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
	if info == nil || info.Endpoint == "" {
		return nil, errNotRemote
	}
	endpoint, err := gcp.ParseName(gcp.KindEndpoint, info.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: its endpoint is %q", errNotRemote, info.Endpoint)
	}
	connection, err := gcp.ParseName(gcp.KindConnection, info.Connection)
	if err != nil {
		return nil, fmt.Errorf("the server reports the connection %q, which is not of a known form", info.Connection)
	}
	m := &Model{
		Location:    b.Location,
		Connection:  connection,
		Endpoint:    endpoint,
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
// CREATE OR REPLACE can change.
func (s *Service) sameCore(ctx context.Context, spec ModelSpec, m *Model) bool {
	return s.SameName(ctx, spec.Connection, m.Connection) && s.SameName(ctx, spec.Endpoint, m.Endpoint) &&
		SameColumns(spec.Input, m.Input) && SameColumns(spec.Output, m.Output)
}

// SameColumns reports whether two lists mean the same columns; a list that the
// server does not tell (nil) is taken for the same.
func SameColumns(want, have []Column) bool {
	return have == nil || slices.EqualFunc(want, have, func(a, b Column) bool { return a.Name == b.Name && SameType(a.Type, b.Type) })
}

// Somebody else may write in between; each round starts from what is there then.
const maxPatches = 5

// patch writes description, labels and expiration, if they differ, and returns the
// model as it is then.
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
			return m, fmt.Errorf("the model exists; setting its description, labels and expiration failed: %w", err)
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
	if !changed {
		return nil
	}
	return &body
}
