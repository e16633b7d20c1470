// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery"
)

func TestModelResource(t *testing.T) {
	b := start(t)
	b.tutorial()
	m, err := b.Models.Get(projectID, "d", "m").Do()
	if err != nil {
		t.Fatal(err)
	}
	if m.ModelType != "" || m.Location != "US" || m.Etag == "" || m.CreationTime == 0 || m.ModelReference.ModelId != "m" {
		t.Errorf("%+v", m)
	}
	if info := m.RemoteModelInfo; info.Endpoint != modelURL || !strings.HasSuffix(info.Connection, "/locations/us/connections/c") || strings.HasPrefix(info.Connection, "projects/my-project/") {
		t.Errorf("%+v", info)
	}
	in, out := m.FeatureColumns, m.LabelColumns
	if len(in) != 1 || in[0].Name != "text" || in[0].Type.TypeKind != "STRING" ||
		len(out) != 1 || out[0].Name != "scores" || out[0].Type.TypeKind != "ARRAY" || out[0].Type.ArrayElementType.TypeKind != "FLOAT64" {
		t.Errorf("columns %+v %+v", in, out)
	}

	expires := time.Now().Add(time.Hour).UnixMilli()
	patch := b.Models.Patch(projectID, "d", "m", &bq.Model{Description: "x", Labels: map[string]string{"a": "b", "c": "d"}, ExpirationTime: expires})
	patch.Header().Set("If-Match", "other")
	if _, err := patch.Do(); reason(err) != "412 conditionNotMet" {
		t.Errorf("another etag: %v", err)
	}
	patch.Header().Set("If-Match", m.Etag)
	patched, err := patch.Do()
	if err != nil || patched.Description != "x" || patched.Labels["a"] != "b" || patched.ExpirationTime != expires || patched.Etag == m.Etag {
		t.Fatalf("%+v %v", patched, err)
	}
	patched, err = b.Models.Patch(projectID, "d", "m", &bq.Model{Labels: map[string]string{"c": "e"}, NullFields: []string{"Description", "ExpirationTime", "Labels.a"}}).Do()
	if err != nil || patched.Description != "" || patched.ExpirationTime != 0 || fmt.Sprint(patched.Labels) != "map[c:e]" {
		t.Errorf("%+v %v", patched, err)
	}
	if _, err := b.Models.Patch(projectID, "d", "m", &bq.Model{Labels: map[string]string{"A": "b"}}).Do(); reason(err) != "400 invalid" {
		t.Errorf("a label that is not valid: %v", err)
	}

	list, err := b.Models.List(projectID, "d").Do()
	if err != nil || len(list.Models) != 1 || list.Models[0].RemoteModelInfo != nil {
		t.Errorf("%+v %v", list, err)
	}
	if err := b.Models.Delete(projectID, "d", "m").Do(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Models.Get(projectID, "d", "m").Do(); reason(err) != "404 notFound" {
		t.Errorf("after delete: %v", err)
	}
}

func TestCreateOrReplaceModel(t *testing.T) {
	for setting, want := range map[string]string{"no": "", "yes": "x"} {
		b := start(t, "replace-keeps-labels="+setting)
		b.tutorial()
		create := createModel("d.m", "INPUT (a INT64) OUTPUT (b STRING)")
		b.fails(create, "duplicate", "Already Exists: Model my-project:d.m")
		if _, err := b.Models.Patch(projectID, "d", "m", &bq.Model{Description: "x"}).Do(); err != nil {
			t.Fatal(err)
		}
		if got := b.do("%s", strings.Replace(create, "MODEL", "MODEL IF NOT EXISTS", 1)).Statistics.Query.DdlOperationPerformed; got != "SKIP" {
			t.Errorf("IF NOT EXISTS: %s", got)
		}
		if got := b.do("%s", strings.Replace(create, "CREATE", "CREATE OR REPLACE", 1)).Statistics.Query.DdlOperationPerformed; got != "REPLACE" {
			t.Errorf("OR REPLACE: %s", got)
		}
		m, err := b.Models.Get(projectID, "d", "m").Do()
		if err != nil || m.Description != want || m.FeatureColumns[0].Name != "a" {
			t.Errorf("%s: %+v %v", setting, m, err)
		}
	}
}

func TestAlterModel(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.do("ALTER MODEL d.m SET OPTIONS (description = 'it\\'s', labels = [('a', 'b')], expiration_timestamp = TIMESTAMP '2100-01-01 00:00:00+00')")
	m, err := b.Models.Get(projectID, "d", "m").Do()
	if err != nil || m.Labels["a"] != "b" || m.ExpirationTime != time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("%+v %v", m, err)
	}
	b.do("ALTER MODEL d.m SET OPTIONS (expiration_timestamp = NULL, labels = [])")
	if m, err = b.Models.Get(projectID, "d", "m").Do(); err != nil || len(m.Labels) != 0 || m.ExpirationTime != 0 {
		t.Errorf("%+v %v", m, err)
	}
	b.fails("ALTER MODEL d.m SET OPTIONS (nope = 1)", "invalidQuery", "Unknown option: nope")
	b.fails("ALTER MODEL d.none SET OPTIONS (description = 'x')", "notFound", "Not found: Model my-project:d.none")
}

func TestModelsShareNamesAndDatasets(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.fails("CREATE TABLE d.m AS SELECT 1 AS x", "duplicate", "Already Exists: Model my-project:d.m")
	b.fails(createModel("d.reviews", "INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)"), "duplicate", "Already Exists: Table my-project:d.reviews")
	b.do("DROP TABLE d.reviews")
	if err := b.Datasets.Delete(projectID, "d").Do(); reason(err) != "400 resourceInUse" {
		t.Errorf("a dataset with a model: %v", err)
	}
	b.fails("DROP SCHEMA d", "resourceInUse", "still in use")
	if err := b.Datasets.Delete(projectID, "d").DeleteContents(true).Do(); err != nil {
		t.Error(err)
	}
}

func TestCreateModelErrors(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE SCHEMA eu OPTIONS (location = 'EU')")
	b.do("CREATE SCHEMA east OPTIONS (location = 'us-east1')")
	const io = "INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)"
	good := createModel("d.m", io)
	with := func(was, is string) string { return strings.Replace(good, was, is, 1) }
	for _, c := range []struct{ sql, reason, message string }{
		{with("d.m", "none.m"), "notFound", "Not found: Dataset my-project:none was not found in location US"},
		{with("us.c", "us.other"), "notFound", "Not found: Connection projects/"},
		{with("d.m", "eu.m"), "invalidQuery", "The connection c is in location US, the dataset my-project:eu in EU"},
		{with("d.m", "`my-project.d.a-b`"), "invalidQuery", "Invalid model ID"},
		{with(io, "OUTPUT (scores ARRAY<FLOAT64>)"), "invalidQuery", ""},
		{with(io, "INPUT (text STRING)"), "invalidQuery", ""},
		{with("text STRING", "text BYTES"), "invalidQuery", "type BYTES of INPUT column text is not supported"},
		{with("text STRING", "text ARRAY<STRUCT<a INT64>>"), "invalidQuery", "is not supported"},
		{with("text STRING", "text STRING, TEXT STRING"), "invalidQuery", "is taken"},
		{with(modelURL, strings.ReplaceAll(modelURL, "us-central1", "europe-west4")), "invalidQuery", "region europe-west4, which is not in the location of the dataset"},
		{with("/locations/us-central1", "/locations/us-east1"), "invalidQuery", "Invalid endpoint"},
		{with(modelURL, "gemini-2.5-flash"), "invalidQuery", "INPUT and OUTPUT are not supported for remote models over models that Google or a partner hosts"},
		{with("/e1", "/e2"), "invalidQuery", "was not found"},
		{with("ENDPOINT =", "REMOTE_SERVICE_TYPE ="), "invalidQuery", "for option REMOTE_SERVICE_TYPE"},
		{with("ENDPOINT =", "NOPE ="), "invalidQuery", "Unknown option: NOPE"},
		{with("ENDPOINT =", "MAX_ITERATIONS = 3, ENDPOINT ="), "notImplemented", "MAX_ITERATIONS"},
		{"CREATE MODEL d.m OPTIONS (model_type = 'LINEAR_REG') AS SELECT 1 AS label, 2 AS x", "notImplemented", "without REMOTE"},
	} {
		b.fails(c.sql, c.reason, c.message)
	}
	b.w.endpoint = bigquery.Endpoint{Deployed: true, Dedicated: true}
	b.fails(good, "invalidQuery", "dedicated endpoint")
	b.w.endpoint = bigquery.Endpoint{}
	b.fails(good, "invalidQuery", "has no deployed model")
	if list, err := b.Models.List(projectID, "d").Do(); err != nil || len(list.Models) != 0 {
		t.Errorf("models %+v %v", list, err)
	}
}

func TestPermissionSwitches(t *testing.T) {
	const good, predict = "INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)", "SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))"
	const message = account + " does not have the permission to access or use the endpoint. Please grant the Vertex AI user role"
	for setting, want := range map[string]string{"permission-error-reason=invalidQuery": "invalidQuery", "permission-error-reason=accessDenied": "accessDenied"} {
		b := start(t, setting)
		b.w.granted = false
		b.do("CREATE SCHEMA d")
		b.fails(createModel("d.m", good), want, message)
	}
	b := start(t, "permission-checked-at=predict", "create-model-probe=no")
	b.w.granted, b.w.endpoint = false, bigquery.Endpoint{}
	b.do("CREATE SCHEMA d")
	b.do("%s", createModel("d.m", good))
	b.fails(predict, "invalidQuery", message)

	b = start(t, "endpoint-letters-in-option=no")
	b.do("CREATE SCHEMA d")
	b.fails(createModel("d.m", good), "invalidQuery", "the id of the endpoint must be a number")
}

func TestModelExpires(t *testing.T) {
	b := start(t)
	b.tutorial()
	expires := time.Now().Add(200 * time.Millisecond)
	if _, err := b.Models.Patch(projectID, "d", "m", &bq.Model{ExpirationTime: expires.UnixMilli()}).Do(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(expires) + 10*time.Millisecond)
	if _, err := b.Models.Get(projectID, "d", "m").Do(); reason(err) != "404 notFound" {
		t.Errorf("after its expiration: %v", err)
	}
}
