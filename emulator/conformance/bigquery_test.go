// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/bigquery"
	connection "cloud.google.com/go/bigquery/connection/apiv1"
	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	resourcemanager "cloud.google.com/go/resourcemanager/apiv3"
	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// warehouse are the official clients around BigQuery.
type warehouse struct {
	*bigquery.Client
	connections *connection.Client
	projects    *resourcemanager.ProjectsClient
}

func newWarehouse(t *testing.T, srv *emulator.Server) warehouse {
	t.Helper()
	opts := []option.ClientOption{
		option.WithEndpoint(srv.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
	var w warehouse
	var err error
	if w.Client, err = bigquery.NewClient(t.Context(), projectID, option.WithEndpoint("http://"+srv.Addr+"/bigquery/v2/"), option.WithoutAuthentication()); err != nil {
		t.Fatal(err)
	}
	if w.connections, err = connection.NewClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	if w.projects, err = resourcemanager.NewProjectsClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		w.connections.Close()
		w.projects.Close()
	})
	return w
}

// connect makes a connection in US and returns its service account.
func (w warehouse) connect(t *testing.T, id string) string {
	t.Helper()
	c, err := w.connections.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{
		Parent: "projects/" + projectID + "/locations/US", ConnectionId: id,
		Connection: &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{CloudResource: &connectionpb.CloudResourceProperties{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.GetCloudResource().GetServiceAccountId()
}

// grant adds a binding to the project's policy.
func (w warehouse) grant(t *testing.T, role, member string) {
	t.Helper()
	const project = "projects/" + projectID
	policy, err := w.projects.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: project, Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3}})
	if err != nil {
		t.Fatal(err)
	}
	policy.Bindings = append(policy.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
	if _, err := w.projects.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: project, Policy: policy}); err != nil {
		t.Fatal(err)
	}
}

// run runs SQL and returns its rows.
func (w warehouse) run(t *testing.T, sql string) ([][]bigquery.Value, error) {
	t.Helper()
	it, err := w.Query(sql).Read(t.Context())
	if err != nil {
		return nil, err
	}
	var rows [][]bigquery.Value
	for {
		var row []bigquery.Value
		switch err := it.Next(&row); {
		case err == nil:
			rows = append(rows, row)
		case errors.Is(err, iterator.Done):
			return rows, nil
		default:
			return nil, err
		}
	}
}

func (w warehouse) must(t *testing.T, sql string) [][]bigquery.Value {
	t.Helper()
	rows, err := w.run(t, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

// serve uploads the tutorial's model and deploys it to an endpoint.
func (v vertex) serve(t *testing.T, endpointID string) string {
	t.Helper()
	model := v.upload(t, &aiplatformpb.UploadModelRequest{Model: tutorialModel()}).GetModel()
	endpoint := v.createEndpoint(t, endpointID).GetName()
	v.deploy(t, endpoint, deployedModel(model, "1"), map[string]int32{"0": 100})
	return endpoint
}

func remoteModel(dataset, endpointID string) string {
	return fmt.Sprintf("CREATE OR REPLACE MODEL `%[1]s.%[2]s.bert_sentiment` INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>) "+
		"REMOTE WITH CONNECTION `%[1]s.us.bqml_tutorial` OPTIONS (ENDPOINT = 'https://%[3]s-aiplatform.googleapis.com/v1/projects/%[1]s/locations/%[3]s/endpoints/%[4]s')",
		projectID, dataset, location, endpointID)
}

// httpCode is the HTTP status of a failed call of a BigQuery client.
func httpCode(err error) int {
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e.Code
	}
	return 0
}

// The tutorial by the official clients, and what ML.PREDICT answers is what the
// endpoint answers.
func TestBigQueryClientsWalkTheTutorial(t *testing.T) {
	srv := start(t, emulator.Options{})
	v, w := newVertex(t, srv), newWarehouse(t, srv)
	endpoint := v.serve(t, "reviews")
	account := w.connect(t, "bqml_tutorial")
	if err := w.Dataset("bqml_tutorial").Create(t.Context(), &bigquery.DatasetMetadata{Location: "US", Description: "BigQuery ML tutorial dataset."}); err != nil {
		t.Fatal(err)
	}

	_, err := w.run(t, remoteModel("bqml_tutorial", "reviews"))
	if !contains(err, account+" does not have the permission to access or use the endpoint") {
		t.Fatalf("CREATE MODEL without a grant: %v", err)
	}
	w.grant(t, "roles/aiplatform.user", "serviceAccount:"+account)
	w.must(t, remoteModel("bqml_tutorial", "reviews"))

	reviews := []string{"I loved every minute of it", "A dull, terrible mess.", "It's fine \\ \"quoted\"\nand odd 🎬", ""}
	table := w.Dataset("bqml_tutorial").Table("reviews")
	if err := table.Create(t.Context(), &bigquery.TableMetadata{Schema: bigquery.Schema{{Name: "id", Type: bigquery.IntegerFieldType}, {Name: "review", Type: bigquery.StringFieldType}}}); err != nil {
		t.Fatal(err)
	}
	type review struct {
		ID     int    `bigquery:"id"`
		Review string `bigquery:"review"`
	}
	var rows []review
	for i := range 300 {
		rows = append(rows, review{i, fmt.Sprintf("%s %d", reviews[i%len(reviews)], i)})
	}
	if err := table.Inserter().Put(t.Context(), rows); err != nil {
		t.Fatal(err)
	}

	predicted := w.must(t, "SELECT id, text, scores, remote_model_status FROM ML.PREDICT(MODEL `"+projectID+".bqml_tutorial.bert_sentiment`, "+
		"(SELECT id, review AS text FROM `bqml_tutorial.reviews`)) ORDER BY id")
	if len(predicted) != len(rows) {
		t.Fatalf("%d predictions for %d rows", len(predicted), len(rows))
	}
	for start := 0; start < len(rows); start += 100 {
		batch := rows[start : start+100]
		var direct []string
		for _, r := range batch {
			direct = append(direct, r.Review)
		}
		answer, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: endpoint, Instances: texts(direct...)})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range answer.GetPredictions() {
			row := predicted[start+i]
			want := p.GetListValue().GetValues()[0].GetNumberValue()
			got := row[2].([]bigquery.Value)
			if row[1] != batch[i].Review || row[3] != nil || len(got) != 1 || math.Float64bits(got[0].(float64)) != math.Float64bits(want) {
				t.Errorf("row %d: %v, directly %v", start+i, row, want)
			}
		}
	}

	if err := w.Dataset("bqml_tutorial").Model("bert_sentiment").Delete(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.Dataset("bqml_tutorial").DeleteWithContents(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.connections.DeleteConnection(t.Context(), &connectionpb.DeleteConnectionRequest{Name: "projects/" + projectID + "/locations/us/connections/bqml_tutorial"}); err != nil {
		t.Error(err)
	}
	for _, section := range []string{"datasets", "remote_models", "connections"} {
		if left := inventory(t, srv, section); len(left) != 0 {
			t.Errorf("left over in %s: %v", section, left)
		}
	}
	if left := inventory(t, srv, "iam_bindings"); len(left) != 1 {
		t.Errorf("bindings %v, want the one that was granted and not revoked", left)
	}
}

func TestBigQueryClientReadsWhatItWrote(t *testing.T) {
	srv := start(t, emulator.Options{})
	w := newWarehouse(t, srv)
	w.must(t, "CREATE SCHEMA d OPTIONS (location = 'EU', labels = [('a', 'b')])")
	meta, err := w.Dataset("d").Metadata(t.Context())
	if err != nil || meta.Location != "EU" || meta.Labels["a"] != "b" {
		t.Fatalf("dataset %+v %v", meta, err)
	}
	update := bigquery.DatasetMetadataToUpdate{Description: "x"}
	update.SetLabel("c", "d")
	update.DeleteLabel("a")
	if meta, err = w.Dataset("d").Update(t.Context(), update, meta.ETag); err != nil || meta.Description != "x" || len(meta.Labels) != 1 || meta.Labels["c"] != "d" {
		t.Errorf("dataset %+v %v", meta, err)
	}
	if _, err = w.Dataset("d").Update(t.Context(), update, "old"); httpCode(err) != 412 {
		t.Errorf("an old etag: %v", err)
	}

	when := time.Date(2024, 2, 3, 4, 5, 6, 789000000, time.UTC)
	q := w.Query("SELECT @i AS i, @s AS s, @t AS t, [@f] AS f, STRUCT(1 AS a, ['x'] AS b) AS r, CAST(NULL AS STRING) AS n, TRUE AS b, NUMERIC '1.5' AS m, b'ab' AS y, DATE '2024-02-03' AS d")
	q.Parameters = []bigquery.QueryParameter{{Name: "i", Value: 7}, {Name: "s", Value: "it's"}, {Name: "t", Value: when}, {Name: "f", Value: 0.1}}
	it, err := q.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var row []bigquery.Value
	if err := it.Next(&row); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(row[0], row[1], row[2].(time.Time).UTC().Equal(when), row[3], row[4], row[5], row[6], row[7], row[8], row[9])
	if want := "7 it's true [0.1] [1 [x]] <nil> true 3/2 [97 98] 2024-02-03\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The grant of the connection's service account works only after the IAM lag; so
// does its withdrawal.
func TestIAMLag(t *testing.T) {
	srv := start(t, emulator.Options{IAMLag: 400 * time.Millisecond})
	v, w := newVertex(t, srv), newWarehouse(t, srv)
	v.serve(t, "reviews")
	account := w.connect(t, "bqml_tutorial")
	w.must(t, "CREATE SCHEMA d")
	w.grant(t, "roles/aiplatform.user", "serviceAccount:"+account)
	granted := time.Now()
	if _, err := w.run(t, remoteModel("d", "reviews")); !contains(err, "does not have the permission") && time.Since(granted) < 400*time.Millisecond {
		t.Fatalf("at once after the grant: %v", err)
	}
	for {
		_, err := w.run(t, remoteModel("d", "reviews"))
		if err == nil {
			break
		}
		if !contains(err, "does not have the permission") || time.Since(granted) > 30*time.Second {
			t.Fatal(err)
		}
	}
	if waited := time.Since(granted); waited < 390*time.Millisecond {
		t.Errorf("the grant worked after %v", waited)
	}
}

func TestIAMPolicyOfAnUnknownAccount(t *testing.T) {
	srv := start(t, emulator.Options{})
	w := newWarehouse(t, srv)
	_, err := w.projects.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/" + projectID, Policy: &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: "roles/aiplatform.user", Members: []string{"serviceAccount:bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"}},
	}}})
	wantError(t, err, codes.InvalidArgument, "Service account bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com does not exist.")
}

// Connections and Resource Manager answer over REST what they answer over gRPC.
func TestConnectionAndIAMOverREST(t *testing.T) {
	srv := start(t, emulator.Options{})
	path := "/v1/projects/" + projectID + "/locations/us/connections"
	code, created := call(t, srv, "POST", path+"?connectionId=c", map[string]any{"cloudResource": map[string]any{}, "friendlyName": "f"})
	if code != 200 || !strings.HasSuffix(fmt.Sprint(created["name"]), "/locations/us/connections/c") {
		t.Fatalf("create: %d %v", code, created)
	}
	if code, again := call(t, srv, "POST", path+"?connectionId=c", map[string]any{"cloudResource": map[string]any{}}); code != 409 {
		t.Errorf("again: %d %v", code, again)
	}
	if code, patched := call(t, srv, "PATCH", path+"/c?updateMask=friendlyName", map[string]any{"friendlyName": "g"}); code != 200 || patched["friendlyName"] != "g" {
		t.Errorf("patch: %d %v", code, patched)
	}
	member := "serviceAccount:" + created["cloudResource"].(map[string]any)["serviceAccountId"].(string)
	policy := map[string]any{"policy": map[string]any{"bindings": []any{map[string]any{"role": "roles/aiplatform.user", "members": []any{member}}}}}
	for _, version := range []string{"/v3", "/v1"} {
		code, set := call(t, srv, "POST", version+"/projects/"+projectID+":setIamPolicy", policy)
		if code != 200 || set["etag"] == "" {
			t.Errorf("%s setIamPolicy: %d %v", version, code, set)
		}
		stale := map[string]any{"policy": map[string]any{"etag": "AAAA"}}
		if code, conflict := call(t, srv, "POST", version+"/projects/"+projectID+":setIamPolicy", stale); code != 409 {
			t.Errorf("%s with a stale etag: %d %v", version, code, conflict)
		}
	}
	if code, p := call(t, srv, "GET", "/v3/projects/"+projectID, nil); code != 200 || p["projectId"] != projectID {
		t.Errorf("project: %d %v", code, p)
	}
	if code, p := call(t, srv, "GET", "/v3/projects:search", nil); code != 501 {
		t.Errorf("search: %d %v", code, p)
	}
}

// The REST API of connections has a field that the protos lack.
func TestConnectionKeyOverREST(t *testing.T) {
	const key, other = "projects/k/locations/us/keyRings/r/cryptoKeys/one", "projects/k/locations/us/keyRings/r/cryptoKeys/two"
	srv := start(t, emulator.Options{})
	client, err := bigqueryconnection.NewService(t.Context(), option.WithEndpoint("http://"+srv.Addr+"/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	connections, parent := client.Projects.Locations.Connections, "projects/"+projectID+"/locations/us"
	made := func(key string) *bigqueryconnection.Connection {
		return &bigqueryconnection.Connection{KmsKeyName: key, CloudResource: &bigqueryconnection.CloudResourceProperties{}}
	}
	created, err := connections.Create(parent, made(key)).ConnectionId("c").Context(t.Context()).Do()
	if err != nil || created.KmsKeyName != key || created.CloudResource.ServiceAccountId == "" {
		t.Fatalf("create: %+v %v", created, err)
	}
	name := parent + "/connections/c"
	if read, err := connections.Get(name).Context(t.Context()).Do(); err != nil || read.KmsKeyName != key {
		t.Errorf("get: %+v %v", read, err)
	}
	if _, err := connections.Create(parent, made("")).ConnectionId("plain").Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	list, err := connections.List(parent).PageSize(10).Context(t.Context()).Do()
	if err != nil || len(list.Connections) != 2 || list.Connections[0].KmsKeyName != key || list.Connections[1].KmsKeyName != "" {
		t.Errorf("list: %+v %v", list, err)
	}
	for _, c := range []struct{ mask, sent, want string }{
		{"description", other, key}, // not in the mask
		{"kmsKeyName", other, other},
		{"description,kms_key_name", key, key},
		{"kmsKeyName", "", ""},
		{"kmsKeyName", key, key},
	} {
		patched, err := connections.Patch(name, &bigqueryconnection.Connection{KmsKeyName: c.sent}).UpdateMask(c.mask).Context(t.Context()).Do()
		if err != nil || patched.KmsKeyName != c.want {
			t.Errorf("patch of %s to %q: %+v %v", c.mask, c.sent, patched, err)
		}
	}
	for _, bad := range []string{"one", key + "/cryptoKeyVersions/1", "//cloudkms.googleapis.com/" + key} {
		_, err := connections.Create(parent, made(bad)).ConnectionId("bad").Context(t.Context()).Do()
		wantHTTPError(t, err, 400, "INVALID_ARGUMENT")
		_, err = connections.Patch(name, &bigqueryconnection.Connection{KmsKeyName: bad}).UpdateMask("kmsKeyName").Context(t.Context()).Do()
		wantHTTPError(t, err, 400, "INVALID_ARGUMENT")
	}
	// An unknown field and a wrong type are errors as before.
	if code, answer := call(t, srv, "PATCH", "/v1/"+name+"?updateMask=kmsKeyName", map[string]any{"kmsKey": key}); code != 400 || !strings.Contains(fmt.Sprint(answer), `Unknown name "kmsKey"`) {
		t.Errorf("an unknown field: %d %v", code, answer)
	}
	if code, answer := call(t, srv, "PATCH", "/v1/"+name+"?updateMask=kmsKeyName", map[string]any{"kmsKeyName": 1}); code != 400 {
		t.Errorf("a number as key: %d %v", code, answer)
	}
	if all := fmt.Sprint(inventory(t, srv, "connections")); strings.Count(all, "kmsKeyName:"+key) != 1 {
		t.Errorf("the inventory has %s", all)
	}
	// By gRPC the connection is the same, without the field.
	byGRPC, err := newWarehouse(t, srv).connections.GetConnection(t.Context(), &connectionpb.GetConnectionRequest{Name: name})
	if err != nil || byGRPC.GetCloudResource().GetServiceAccountId() != created.CloudResource.ServiceAccountId {
		t.Errorf("by gRPC: %v %v", byGRPC, err)
	}
}

func wantHTTPError(t *testing.T, err error, code int, status string) {
	t.Helper()
	e, ok := errors.AsType[*googleapi.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Body, status) {
		t.Errorf("got %v, want %d %s", err, code, status)
	}
}

// What BigQuery has and the emulator does not is said in a sentence.
func TestBigQueryUnsupported(t *testing.T) {
	srv := start(t, emulator.Options{})
	w := newWarehouse(t, srv)
	for _, sql := range []string{
		"BEGIN TRANSACTION; COMMIT TRANSACTION",
		"CREATE MODEL d.m OPTIONS (model_type = 'KMEANS') AS SELECT 1 AS x",
		"SELECT * FROM ML.EVALUATE(MODEL d.m)",
	} {
		_, err := w.run(t, sql)
		e, ok := errors.AsType[*googleapi.Error](err)
		if !ok || e.Code != 501 || !slices.ContainsFunc(e.Errors, func(i googleapi.ErrorItem) bool { return i.Reason == "notImplemented" }) || !strings.HasPrefix(e.Message, "The emulator does not support ") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
