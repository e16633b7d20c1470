// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/iam"
)

// unsupportedOptions are options of CREATE MODEL … REMOTE that BigQuery has for
// other kinds of remote models, or for encryption.
var unsupportedOptions = []string{
	"remote_service_type", "document_processor", "speech_recognizer", "hugging_face_model_id", "model_garden_model_name", "hugging_face_token",
	"machine_type", "min_replica_count", "max_replica_count", "reservation_affinity_type", "reservation_affinity_key",
	"reservation_affinity_values", "endpoint_idle_ttl", "kms_key_name", "prompt_col", "input_label_cols", "max_iterations",
	"learning_rate_multiplier", "data_split_method", "data_split_eval_fraction", "data_split_col", "evaluation_task", "model_type",
	"vertex_ai_model_id", "deploy_model",
}

// options evaluates an OPTIONS list: an option's value is whatever its expression
// gives. Only those named may appear.
func (x *execution) options(ctx context.Context, st *ast.Statement, allowed ...string) (map[string]any, error) {
	values := map[string]any{}
	for _, o := range st.Options {
		name := strings.ToLower(o.Name)
		switch _, twice := values[name]; {
		case twice:
			return nil, invalidQuery("Duplicate option specified for '%s'.", name)
		case slices.Contains(allowed, name):
		case slices.Contains(unsupportedOptions, name):
			return nil, notImplemented("the option %s", strings.ToUpper(name))
		default:
			return nil, invalidQuery("Unknown option: %s.", o.Name)
		}
		result, err := x.run(ctx, piece{sql: "SELECT " + o.Value.In(st.Text)}, true)
		if err != nil {
			return nil, err
		}
		values[name] = result.Rows[0][0]
	}
	return values, nil
}

// text is an option that is a string; absent or NULL is empty.
func text(options map[string]any, name string) (string, error) {
	switch v := options[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", invalidQuery("Invalid value for option %s: want a string.", name)
	}
}

// labels is the option labels, a list of pairs.
func labels(options map[string]any) (map[string]string, error) {
	list, _ := options["labels"].([]any)
	if list == nil && options["labels"] != nil {
		return nil, invalidQuery("Invalid value for option labels: want a list of pairs such as [('key', 'value')].")
	}
	out := map[string]string{}
	for _, e := range list {
		pair, _ := inner(e).(map[string]any)
		cells, _ := pair["f"].([]any)
		if len(cells) != 2 {
			return nil, invalidQuery("Invalid value for option labels: want a list of pairs such as [('key', 'value')].")
		}
		key, _ := inner(cells[0]).(string)
		value, _ := inner(cells[1]).(string)
		out[key] = value
	}
	return out, checkLabels(out)
}

var (
	vertexURL = regexp.MustCompile(`^https://([a-z0-9-]+)-aiplatform\.googleapis\.com/v1/projects/([^/]+)/locations/([^/]+)/endpoints/([^/]+)$`)
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
		return nil, notImplemented("CREATE MODEL without REMOTE: only models on Vertex AI endpoints")
	case body.HasQuery || body.HasTransform:
		return nil, notImplemented("CREATE MODEL … REMOTE with AS SELECT or TRANSFORM")
	case body.DefaultConnection:
		return nil, notImplemented("WITH CONNECTION DEFAULT")
	case body.Connection == nil:
		return nil, invalidQuery("CREATE MODEL … REMOTE needs WITH CONNECTION.")
	}
	options, err := x.options(ctx, st, "endpoint", "labels")
	if err != nil {
		return nil, err
	}
	url, err := text(options, "endpoint")
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
	m := &model{ref: t}
	if m.endpoint, err = x.parseEndpoint(url); err != nil {
		return nil, err
	}
	switch {
	case body.HasInput != body.HasOutput:
		return nil, invalidQuery("INPUT and OUTPUT must be specified together.")
	case !body.HasInput:
		return nil, notImplemented("remote models without INPUT and OUTPUT, which are for open language models")
	}
	if m.input, err = columnsOf("INPUT", body.Input); err != nil {
		return nil, err
	}
	if m.output, err = columnsOf("OUTPUT", body.Output); err != nil {
		return nil, err
	}
	x.mu.Lock()
	_, err = x.here(t.key())
	x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if m.connection, err = x.parseConnection(body.Connection); err != nil {
		return nil, err
	}
	if err := x.checkRegions(m); err != nil {
		return nil, err
	}
	if _, err := x.account(m); err != nil {
		return nil, err
	}
	if x.cfg.Assume.Is(assume.CreateModelProbe, "yes") {
		if err := x.probe(ctx, m); err != nil {
			return nil, err
		}
	}
	if x.cfg.Assume.Is(assume.PermissionCheckedAt, "create") {
		if err := x.mayPredict(m); err != nil {
			return nil, err
		}
	}
	m.meta = &bq.Model{
		ModelReference:  &bq.ModelReference{ProjectId: t.project, DatasetId: t.dataset, ModelId: t.table},
		Labels:          modelLabels,
		FeatureColumns:  standardFields(m.input),
		LabelColumns:    standardFields(m.output),
		RemoteModelInfo: &bq.RemoteModelInfo{Endpoint: url, Connection: x.connectionName(m.connection)},
	}
	return m, nil
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

func (x *execution) parseEndpoint(url string) (endpoint, error) {
	if url == "" {
		return endpoint{}, invalidQuery("CREATE MODEL … REMOTE needs the option ENDPOINT.")
	}
	if !strings.HasPrefix(url, "https://") || strings.Contains(url, "/publishers/") {
		return endpoint{}, notImplemented("the endpoint %q: only URLs of Vertex AI endpoints, https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/endpoints/ENDPOINT", url)
	}
	if strings.Contains(url, ".prediction.vertexai.goog") {
		return endpoint{}, dedicated(url)
	}
	m := vertexURL.FindStringSubmatch(url)
	if m == nil || m[1] != m[3] {
		return endpoint{}, invalidQuery("Invalid endpoint %q: want https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/endpoints/ENDPOINT.", url)
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

func (x *execution) alterModel(ctx context.Context, st *ast.Statement, out *outcome) error {
	t, err := x.resolve(st.Target)
	if err != nil {
		return err
	}
	for _, action := range st.Actions {
		if action != "SetOptionsAction" {
			return notImplemented("ALTER MODEL other than SET OPTIONS")
		}
	}
	options, err := x.options(ctx, st, "description", "labels", "expiration_timestamp", "friendly_name")
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return err
	}
	m := x.model(d, t.table)
	if m == nil {
		if st.IfExists {
			out.ddl = "SKIP"
			return nil
		}
		return notFound("Model %s", t)
	}
	next := *m.meta
	for name := range options {
		switch name {
		case "description":
			next.Description, err = text(options, name)
		case "friendly_name":
			next.FriendlyName, err = text(options, name)
		case "labels":
			next.Labels, err = labels(options)
		case "expiration_timestamp":
			next.ExpirationTime, err = expiration(options[name])
		}
		if err != nil {
			return err
		}
	}
	out.ddl = "ALTER"
	if x.dryRun {
		return nil
	}
	_, err = x.changeModel(m, &next)
	return err
}

// expiration turns a TIMESTAMP of the engine into milliseconds; NULL is 0, never.
func expiration(value any) (int64, error) {
	if value == nil {
		return 0, nil
	}
	given, _ := value.(string)
	micros, err := strconv.ParseInt(encodeTimestamp(given, true), 10, 64)
	if err != nil {
		return 0, invalidQuery("Invalid value for option expiration_timestamp: want a TIMESTAMP.")
	}
	return micros / 1000, nil
}

func (x *execution) dropModel(_ context.Context, st *ast.Statement, out *outcome) error {
	t, err := x.resolve(st.Target)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return err
	}
	switch m := x.model(d, t.table); {
	case m == nil && st.IfExists:
		out.ddl = "SKIP"
	case m == nil:
		return notFound("Model %s", t)
	default:
		out.ddl = "DROP"
		if !x.dryRun {
			delete(d.models, t.table)
			x.cfg.Effects.Deleted(t.modelName())
		}
	}
	return nil
}

func (x *execution) createSchema(ctx context.Context, st *ast.Statement, out *outcome) error {
	k, err := x.resolveDataset(st.Target)
	if err != nil {
		return err
	}
	options, err := x.options(ctx, st, "location", "description", "friendly_name", "labels")
	if err != nil {
		return err
	}
	meta := &bq.Dataset{Location: x.location}
	for name, field := range map[string]*string{"location": &meta.Location, "description": &meta.Description, "friendly_name": &meta.FriendlyName} {
		if _, given := options[name]; given {
			if *field, err = text(options, name); err != nil {
				return err
			}
		}
	}
	if meta.Labels, err = labels(options); err != nil {
		return err
	}
	if canonicalLocation(meta.Location) != x.location {
		return invalidQuery("The job runs in location %s, the dataset would be in %s.", x.location, meta.Location)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	out.targetDataset = k.reference()
	out.ddl = "CREATE"
	if _, taken := x.datasets[k]; taken {
		if !st.IfNotExists {
			return duplicate("Dataset %s", k)
		}
		out.ddl = "SKIP"
		return nil
	}
	if x.dryRun {
		return nil
	}
	_, err = x.createDataset(ctx, k, meta)
	return err
}

func (x *execution) dropSchema(ctx context.Context, st *ast.Statement, out *outcome) error {
	k, err := x.resolveDataset(st.Target)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	out.targetDataset = k.reference()
	out.ddl = "DROP"
	if _, err := x.here(k); err != nil {
		if st.IfExists {
			out.ddl = "SKIP"
			return nil
		}
		return err
	}
	if x.dryRun {
		return nil
	}
	return x.dropDataset(ctx, k, st.Cascade)
}
