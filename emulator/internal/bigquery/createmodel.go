// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/iam"
)

var (
	// The emulator is a twin of any universe: what follows aiplatform is not compared.
	vertexURL = regexp.MustCompile(`^https://([a-z0-9-]+)-aiplatform(?:\.[a-z0-9-]+)+/v1/projects/([^/]+)/locations/([^/]+)/endpoints/([^/]+)$`)
	digits    = regexp.MustCompile(`^[0-9]+$`)
)

func (x *execution) createModel(ctx context.Context, st *ast.Statement, out *outcome) error {
	t, err := x.resolve(st.Target)
	if err != nil {
		return err
	}
	if !modelID.MatchString(t.table) {
		return invalidQuery("Invalid model ID %q. Model IDs must be alphanumeric (plus underscores) and must be at most 1024 characters long.", t.table)
	}
	m, err := x.modelFrom(ctx, t, st)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return err
	}
	old := x.model(d, t.table)
	switch exists, err := x.tableExists(ctx, t); {
	case err != nil:
		return err
	case exists:
		return duplicate("Table %s", t)
	case old != nil && st.IfNotExists:
		out.ddl = "SKIP"
		return nil
	case old != nil && !st.OrReplace:
		return duplicate("Model %s", t)
	case old != nil:
		out.ddl = "REPLACE"
		if x.cfg.Assume.Is(assume.ReplaceKeepsLabels, "yes") {
			m.meta.Description, m.meta.FriendlyName, m.meta.ExpirationTime = old.meta.Description, old.meta.FriendlyName, old.meta.ExpirationTime
			if m.meta.Labels == nil {
				m.meta.Labels = old.meta.Labels
			}
		}
	default:
		out.ddl = "CREATE"
	}
	if x.dryRun {
		return nil
	}
	now := x.cfg.Clock.Now().UnixMilli()
	m.meta.CreationTime, m.meta.LastModifiedTime, m.meta.Etag, m.meta.Location = now, now, newEtag(), d.meta.Location
	d.models[t.table] = m
	if old == nil {
		x.cfg.Effects.Created(t.modelName())
	} else {
		x.cfg.Effects.Updated(t.modelName())
	}
	return nil
}

// modelFrom checks everything about CREATE MODEL but the name's being free.
func (x *execution) modelFrom(ctx context.Context, t tableRef, st *ast.Statement) (*model, error) {
	body := st.Model
	switch {
	case !body.Remote:
		return nil, notImplemented("CREATE MODEL without REMOTE: only remote models")
	case body.HasQuery || body.HasTransform:
		return nil, notImplemented("CREATE MODEL … REMOTE with AS SELECT or TRANSFORM")
	case body.Connection == nil && !body.DefaultConnection:
		return nil, invalidQuery("CREATE MODEL … REMOTE needs WITH CONNECTION.")
	}
	options, err := x.options(ctx, st, remoteOptions...)
	if err != nil {
		return nil, err
	}
	modelLabels, err := labels(options)
	if err != nil {
		return nil, err
	}
	if len(modelLabels) == 0 {
		modelLabels = nil
	}
	m := &model{ref: t, meta: &bq.Model{
		ModelReference:  &bq.ModelReference{ProjectId: t.project, DatasetId: t.dataset, ModelId: t.table},
		Labels:          modelLabels,
		RemoteModelInfo: &bq.RemoteModelInfo{},
	}}
	if err := x.target(m, options); err != nil {
		return nil, err
	}
	if err := m.columns(body); err != nil {
		return nil, err
	}
	if m.meta.EncryptionConfiguration, err = x.encryption(options); err != nil {
		return nil, err
	}
	x.mu.Lock()
	_, err = x.here(t.key())
	x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if body.DefaultConnection {
		m.connection = x.defaultConnection(m)
	} else if m.connection, err = x.parseConnection(body.Connection); err != nil {
		return nil, err
	}
	if err := x.checkRegions(m); err != nil {
		return nil, err
	}
	if body.DefaultConnection && x.dryRun {
		return m, nil // which need not exist yet
	}
	if _, err := x.account(m); err != nil {
		return nil, err
	}
	if m.kind == custom && x.cfg.Assume.Is(assume.CreateModelProbe, "yes") {
		if err := x.probe(ctx, m); err != nil {
			return nil, err
		}
	}
	if m.kind != cloudService && x.cfg.Assume.Is(assume.PermissionCheckedAt, "create") {
		if err := x.mayPredict(m); err != nil {
			return nil, err
		}
	}
	m.meta.RemoteModelInfo.Connection = x.connectionName(m.connection)
	return m, nil
}

// columns checks INPUT and OUTPUT, which only models over a custom endpoint have.
func (m *model) columns(body *ast.CreateModel) (err error) {
	switch {
	case m.kind != custom && (body.HasInput || body.HasOutput):
		return invalidQuery("INPUT and OUTPUT are not supported for remote models over %s.", m.kind)
	case body.HasInput != body.HasOutput:
		return invalidQuery("INPUT and OUTPUT must be specified together.")
	case !body.HasInput:
		return nil
	}
	if m.input, err = columnsOf("INPUT", body.Input); err != nil {
		return err
	}
	if m.output, err = columnsOf("OUTPUT", body.Output); err != nil {
		return err
	}
	m.meta.FeatureColumns, m.meta.LabelColumns = standardFields(m.input), standardFields(m.output)
	return nil
}

func standardFields(columns []column) []*bq.StandardSqlField {
	var out []*bq.StandardSqlField
	for _, c := range columns {
		out = append(out, &bq.StandardSqlField{Name: c.name, Type: c.typ.standardSQL()})
	}
	return out
}

func columnsOf(clause string, list []ast.Column) ([]column, error) {
	if len(list) == 0 {
		return nil, invalidQuery("%s has no columns.", clause)
	}
	var out []column
	seen := map[string]bool{}
	for _, c := range list {
		typ, ok := parseColumnType(c.Type)
		if !ok {
			return nil, invalidQuery("The type %s of %s column %s is not supported in a remote model: use %s or an ARRAY of one of them.", c.Type, clause, c.Name, strings.Join(modelTypes, ", "))
		}
		if name := strings.ToLower(c.Name); seen[name] || name == statusColumn {
			return nil, invalidQuery("The column name %s in %s is taken.", c.Name, clause)
		} else {
			seen[name] = true
		}
		out = append(out, column{c.Name, typ})
	}
	return out, nil
}

// customEndpoint reads the URL of an endpoint of one's own.
func (x *execution) customEndpoint(url string) (endpoint, error) {
	if strings.Contains(url, ".prediction.vertexai.goog") {
		return endpoint{}, dedicated(url)
	}
	m := vertexURL.FindStringSubmatch(url)
	if m == nil || m[1] != m[3] {
		return endpoint{}, invalidQuery("Invalid endpoint %q: want https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/endpoints/ENDPOINT, or the name or URL of a model.", url)
	}
	if x.cfg.Assume.Is(assume.EndpointLetters, "no") && !digits.MatchString(m[4]) {
		return endpoint{}, invalidQuery("Invalid endpoint %q: the id of the endpoint must be a number.", url)
	}
	return endpoint{m[2], m[3], m[4]}, nil
}

func dedicated(name string) error {
	return invalidQuery("The endpoint %s is a dedicated endpoint: remote models support only shared public endpoints.", name)
}

func (x *execution) parseConnection(p ast.Path) (connection, error) {
	switch len(p) {
	case 2:
		return connection{x.project, p[0], p[1]}, nil
	case 3:
		return connection{p[0], p[1], p[2]}, nil
	}
	return connection{}, invalidQuery("Invalid connection name %q: want project.location.connection.", strings.Join(p, "."))
}

// checkRegions holds the documented rules: the connection is where the dataset
// is; the endpoint is in the same region or inside the multi-region.
func (x *execution) checkRegions(m *model) error {
	if l := canonicalLocation(m.connection.location); l != x.location {
		return invalidQuery("The connection %s is in location %s, the dataset %s in %s: they must be in the same location.", m.connection.id, l, m.ref.key(), x.location)
	}
	if m.endpoint.location == "" || m.endpoint.location == "global" {
		return nil
	}
	prefix := map[string]string{"US": "us-", "EU": "europe-"}[x.location]
	if prefix == "" && m.endpoint.location != x.location || prefix != "" && !strings.HasPrefix(m.endpoint.location, prefix) {
		return invalidQuery("The endpoint is in region %s, which is not in the location of the dataset %s, %s.", m.endpoint.location, m.ref.key(), x.location)
	}
	return nil
}

// account is the service account that BigQuery calls the model's endpoint as.
func (x *execution) account(m *model) (string, error) {
	email, ok := x.cfg.Connections.Account(m.connection.project, m.connection.location, m.connection.id)
	if !ok {
		return "", notFound("Connection %s", x.connectionName(m.connection))
	}
	return email, nil
}

// probe checks that the endpoint can answer.
func (x *execution) probe(ctx context.Context, m *model) error {
	e, err := x.cfg.Vertex.Endpoint(ctx, m.endpoint.name())
	switch {
	case status.Code(err) == codes.NotFound:
		return invalidQuery("The endpoint %s was not found: %s", m.endpoint.url(), status.Convert(err).Message())
	case err != nil:
		return invalidQuery("The endpoint %s cannot be used: %s", m.endpoint.url(), status.Convert(err).Message())
	case e.Dedicated:
		return dedicated(m.endpoint.url())
	case !e.Deployed:
		return invalidQuery("The endpoint %s has no deployed model.", m.endpoint.url())
	}
	return nil
}

// mayPredict checks that the connection's service account may use the endpoint.
func (x *execution) mayPredict(m *model) error {
	email, err := x.account(m)
	if err != nil {
		return err
	}
	if x.cfg.Permissions.Allowed(m.endpoint.project, "serviceAccount:"+email, iam.PredictPermission) {
		return nil
	}
	message := fmt.Sprintf("%s does not have the permission to access or use the endpoint. Please grant the Vertex AI user role to it following https://cloud.google.com/bigquery/docs/bigquery-ml-remote-model-tutorial#set_up_access. If issue persists, contact bqml-feedback@google.com for help.", email)
	if x.cfg.Assume.Is(assume.PermissionReason, "accessDenied") {
		return &apiError{http.StatusForbidden, "accessDenied", "Access Denied: " + message, ""}
	}
	return invalidQuery("%s", message)
}
