// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"slices"
	"strconv"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// unsupportedOptions are options of models that BigQuery has for tuning and for models
// that are not remote.
var unsupportedOptions = []string{
	"prompt_col", "input_label_cols", "max_iterations", "learning_rate_multiplier", "data_split_method", "data_split_eval_fraction",
	"data_split_col", "evaluation_task", "model_type", "vertex_ai_model_id",
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
		values[name] = typed(result.Rows[0][0], result.Fields[0])
	}
	return values, nil
}

// typed tells numbers and booleans, which the engine writes as text, from text.
func typed(cell any, f *ast.Field) any {
	text, ok := cell.(string)
	if !ok || f.Mode == "REPEATED" {
		return cell
	}
	switch f.Type {
	case "INTEGER", "INT64":
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			return n
		}
	case "BOOLEAN", "BOOL":
		return text == "true"
	}
	return cell
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
	options, err := x.options(ctx, st, "description", "labels", "expiration_timestamp", "friendly_name", "kms_key_name", "deploy_model", "endpoint_idle_ttl")
	if err != nil {
		return err
	}
	key, err := x.encryption(options)
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
		case "kms_key_name":
			next.EncryptionConfiguration, err = x.otherKey(m.meta.EncryptionConfiguration, key)
		case "deploy_model", "endpoint_idle_ttl":
			err = alterOpen(m, &next, name, options[name])
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

// alterOpen changes what can be of a deployed open model. Whether it is deployed shows
// nowhere.
func alterOpen(m *model, next *bq.Model, name string, value any) error {
	if m.kind != openModel {
		return invalidQuery("The option %s is supported only for remote models over %s.", strings.ToUpper(name), openModel)
	}
	if name == "deploy_model" {
		if _, ok := value.(bool); !ok {
			return invalidQuery("Invalid value for option DEPLOY_MODEL: want a BOOL.")
		}
		return nil
	}
	ttl, err := idleTTL(value)
	if err != nil {
		return err
	}
	told := *m.meta.TrainingRuns[0].TrainingOptions
	told.EndpointIdleTtl = seconds(ttl)
	next.TrainingRuns = []*bq.TrainingRun{{TrainingOptions: &told}}
	return nil
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
