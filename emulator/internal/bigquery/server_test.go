// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/engine"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

const (
	projectID = "my-project"
	account   = "bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"
)

// world is everything around BigQuery, in a form that a test can set.
type world struct {
	mu        sync.Mutex
	endpoint  bigquery.Endpoint
	granted   bool
	grants    []string
	calls     [][]*structpb.Value
	predictor func([]*structpb.Value) ([]*structpb.Value, error)
}

func (w *world) Account(p, location, id string) (string, bool) {
	return account, p == projectID && strings.EqualFold(location, "us") && (id == "c" || id == "__default_cloudresource_connection__")
}

// Ensure knows that the default connection is c under another name.
func (w *world) Ensure(string, string, string) string { return account }

func (w *world) Grant(_, role, member string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants = append(w.grants, role+" "+member)
}

func (w *world) Allowed(p, member, permission string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.granted && p == projectID && member == "serviceAccount:"+account && permission == "aiplatform.endpoints.predict"
}

func (w *world) Endpoint(_ context.Context, name string) (bigquery.Endpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "projects/my-project/locations/us-central1/endpoints/e1" {
		return bigquery.Endpoint{}, status.Errorf(codes.NotFound, "%s is not there", name)
	}
	return w.endpoint, nil
}

func (w *world) Predict(_ context.Context, _ string, instances []*structpb.Value, _ *structpb.Value) ([]*structpb.Value, error) {
	w.mu.Lock()
	w.calls = append(w.calls, instances)
	predictor := w.predictor
	w.mu.Unlock()
	return predictor(instances)
}

func (w *world) callCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// lengths is a model whose score is the length of the text.
func lengths(instances []*structpb.Value) ([]*structpb.Value, error) {
	out := make([]*structpb.Value, len(instances))
	for i, in := range instances {
		text := in.GetStructValue().GetFields()["text"].GetStringValue()
		out[i] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewNumberValue(float64(len(text)) + 0.1)}})
	}
	return out, nil
}

// bigQuery is a running front with its engine and a client of it.
type bigQuery struct {
	*bq.Service
	t *testing.T
	w *world
}

func start(t *testing.T, settings ...string) *bigQuery {
	t.Helper()
	return startWith(t, func(*bigquery.Config) {}, settings...)
}

func startWith(t *testing.T, adjust func(*bigquery.Config), settings ...string) *bigQuery {
	t.Helper()
	switches, err := assume.Parse(settings)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{endpoint: bigquery.Endpoint{Deployed: true}, granted: true, predictor: lengths}
	config := bigquery.Config{
		Projects: project.NewRegistry(), Clock: clock.Real{}, Assume: switches, Engine: e, Connections: w, Permissions: w, Vertex: w,
	}
	adjust(&config)
	front := bigquery.New(config)
	t.Cleanup(front.Close)
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	client, err := bq.NewService(t.Context(), option.WithEndpoint(server.URL+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return &bigQuery{Service: client, t: t, w: w}
}

// job runs SQL as a job to its end.
func (b *bigQuery) job(config *bq.JobConfigurationQuery) *bq.Job {
	b.t.Helper()
	config.UseLegacySql = new(false)
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: &bq.JobConfiguration{Query: config}}).Do()
	if err != nil {
		b.t.Fatalf("%s: %v", config.Query, err)
	}
	for deadline := time.Now().Add(30 * time.Second); j.Status.State != "DONE"; {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: still %s", config.Query, j.Status.State)
		}
		_, _ = b.Jobs.GetQueryResults(projectID, j.JobReference.JobId).Location(j.JobReference.Location).Do() // waits
		if j, err = b.Jobs.Get(projectID, j.JobReference.JobId).Location(j.JobReference.Location).Do(); err != nil {
			b.t.Fatal(err)
		}
	}
	return j
}

// do runs SQL that must succeed.
func (b *bigQuery) do(sql string, args ...any) *bq.Job {
	b.t.Helper()
	sql = fmt.Sprintf(sql, args...)
	j := b.job(&bq.JobConfigurationQuery{Query: sql})
	if j.Status.ErrorResult != nil {
		b.t.Fatalf("%s: %s: %s", sql, j.Status.ErrorResult.Reason, j.Status.ErrorResult.Message)
	}
	return j
}

// fails runs SQL that must fail with a reason and a message that contains a text.
func (b *bigQuery) fails(sql, reason, message string) {
	b.t.Helper()
	j := b.job(&bq.JobConfigurationQuery{Query: sql})
	if e := j.Status.ErrorResult; e == nil || e.Reason != reason || !strings.Contains(e.Message, message) {
		b.t.Errorf("%s:\ngot  %+v\nwant %s with %q", sql, e, reason, message)
	}
}

// rows runs a query and answers its rows, each cell as text.
func (b *bigQuery) rows(sql string, params ...*bq.QueryParameter) [][]string {
	b.t.Helper()
	answer, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: sql, UseLegacySql: new(false), QueryParameters: params, TimeoutMs: 120_000}).Do()
	if err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
	var out [][]string
	for _, row := range answer.Rows {
		var cells []string
		for _, c := range row.F {
			cells = append(cells, cellText(c.V))
		}
		out = append(out, cells)
	}
	return out
}

func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, cellText(e.(map[string]any)["v"]))
		}
		return "[" + strings.Join(all, " ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

func (b *bigQuery) want(sql string, want [][]string, params ...*bq.QueryParameter) {
	b.t.Helper()
	if got := b.rows(sql, params...); !reflect.DeepEqual(got, want) {
		b.t.Errorf("%s:\ngot  %v\nwant %v", sql, got, want)
	}
}

const modelURL = "https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-central1/endpoints/e1"

func createModel(name, clauses string) string {
	return "CREATE MODEL " + name + " " + clauses + " REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (ENDPOINT = '" + modelURL + "')"
}

// tutorial makes a dataset, a table of reviews and a model.
func (b *bigQuery) tutorial() {
	b.t.Helper()
	b.do("CREATE SCHEMA d OPTIONS (location = 'US')")
	b.do("CREATE TABLE d.reviews AS SELECT 1 AS id, 'good' AS review UNION ALL SELECT 2, 'awful' UNION ALL SELECT 3, NULL")
	b.do("%s", createModel("d.m", "INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)"))
}

func reason(err error) string {
	if e, ok := errors.AsType[*googleapi.Error](err); ok && len(e.Errors) > 0 {
		return fmt.Sprintf("%d %s", e.Code, e.Errors[0].Reason)
	}
	return fmt.Sprint(err)
}
