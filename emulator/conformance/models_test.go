// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// everyField is a model in the JSON form of the REST reference.
const everyField = `{
  "displayName": "ranker", "versionDescription": "first", "versionAliases": ["golden"], "artifactUri": "gs://bucket/ranker/",
  "metadataSchemaUri": "gs://bucket/metadata.yaml", "metadata": {"rows": 3},
  "predictSchemata": {"instanceSchemaUri": "gs://bucket/i.yaml", "parametersSchemaUri": "gs://bucket/p.yaml", "predictionSchemaUri": "gs://bucket/o.yaml"},
  "encryptionSpec": {"kmsKeyName": "projects/conformance-project/locations/us-central1/keyRings/r/cryptoKeys/k"},
  "containerSpec": {
    "imageUri": "us-central1-docker.pkg.dev/p/r/ranker:7", "command": ["/serve"], "args": ["--fast"], "env": [{"name": "A", "value": "1"}],
    "ports": [{"containerPort": 8081}], "grpcPorts": [{"containerPort": 8082}], "predictRoute": "/p", "healthRoute": "/h",
    "deploymentTimeout": "1800s", "sharedMemorySizeMb": "64",
    "startupProbe": {"exec": {"command": ["cat", "/ready"]}, "periodSeconds": 5},
    "healthProbe": {"httpGet": {"path": "/h", "port": 8081, "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": "b"}]}, "timeoutSeconds": 2, "failureThreshold": 4},
    "livenessProbe": {"grpc": {"port": 8082, "service": "s"}, "successThreshold": 2, "initialDelaySeconds": 1}
  }
}`

// A model with every field goes in by one protocol and comes out by the other.
func TestModelFieldsOverBothProtocols(t *testing.T) {
	srv := start(t, emulator.Options{Assume: []string{"schema-uri-echo=same"}})
	v := newVertex(t, srv)
	var m aiplatformpb.Model
	if err := protojson.Unmarshal([]byte(everyField), &m); err != nil {
		t.Fatal(err)
	}
	v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "ranker", Model: &m})
	code, got := call(t, srv, http.MethodGet, "/v1/"+parent+"/models/ranker@golden", nil)
	if code != http.StatusOK {
		t.Fatalf("GET: %d %v", code, got)
	}
	container := got["containerSpec"].(map[string]any)
	probe := container["healthProbe"].(map[string]any)
	if container["deploymentTimeout"] != "1800s" || container["sharedMemorySizeMb"] != "64" || got["metadata"].(map[string]any)["rows"] != 3.0 ||
		probe["httpGet"].(map[string]any)["scheme"] != "HTTPS" || got["versionDescription"] != "first" ||
		got["predictSchemata"].(map[string]any)["instanceSchemaUri"] != "gs://bucket/i.yaml" || !strings.HasSuffix(got["encryptionSpec"].(map[string]any)["kmsKeyName"].(string), "/cryptoKeys/k") {
		t.Errorf("read over REST: %v", got)
	}

	// The same over REST, read over gRPC. What Google refuses is refused there too.
	upload := func(model string) (int, map[string]any) {
		return call(t, srv, http.MethodPost, "/v1/"+parent+"/models:upload", json.RawMessage(`{"modelId":"again","model":`+model+`}`))
	}
	if code, got := upload(strings.Replace(everyField, `"1800s"`, `"7201s"`, 1)); code != http.StatusBadRequest || !strings.Contains(got["error"].(map[string]any)["message"].(string), "deployment_timeout") {
		t.Errorf("a deployment timeout of more than two hours: %d %v", code, got)
	}
	if code, got := upload(everyField); code != http.StatusOK {
		t.Fatalf("upload over REST: %d %v", code, got)
	}
	read, err := v.models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: parent + "/models/again"})
	if err != nil {
		t.Fatal(err)
	}
	if p := read.GetContainerSpec().GetLivenessProbe(); p.GetGrpc().GetService() != "s" || p.GetSuccessThreshold() != 2 {
		t.Errorf("read over gRPC: %v", read)
	}
}

// DeleteModelVersion: "Model version can only be deleted if there are no
// DeployedModels created from it. Deleting the only version in the Model is not
// allowed." There is always one default version.
func TestDeletingVersions(t *testing.T) {
	srv := start(t, emulator.Options{})
	v := newVertex(t, srv)
	first := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "m", Model: tutorialModel()}).GetModel()
	remove := func(version string) error {
		op, err := v.models.DeleteModelVersion(t.Context(), &aiplatformpb.DeleteModelVersionRequest{Name: first + "@" + version})
		if err == nil {
			err = op.Wait(t.Context())
		}
		return err
	}
	if err := remove("1"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the only version: %v", err)
	}
	for range 2 {
		v.upload(t, &aiplatformpb.UploadModelRequest{ParentModel: first, Model: tutorialModel()})
	}
	e := v.createEndpoint(t, "e")
	v.deploy(t, e.GetName(), deployedModel(first+"@2", "1"), map[string]int32{"0": 100})
	for version, what := range map[string]string{"1": "the default version", "2": "a version that is deployed"} {
		if err := remove(version); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := remove("3"); err != nil {
		t.Error(err)
	}
	if err := remove("3"); status.Code(err) != codes.NotFound {
		t.Errorf("a version that is gone: %v", err)
	}
}

// An object's generation changes whenever it is written, and the list is by prefix:
// what a fingerprint of an artifact is made of (Objects: list).
func TestGenerationsOfObjects(t *testing.T) {
	srv := start(t, emulator.Options{})
	client, err := storage.NewService(t.Context(), option.WithEndpoint("http://"+srv.Addr+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Buckets.Insert(projectID, &storage.Bucket{Name: "bucket"}).Do(); err != nil {
		t.Fatal(err)
	}
	generations := func() map[string]int64 {
		list, err := client.Objects.List("bucket").Prefix("m/").Fields("items(name,generation)", "nextPageToken").Do()
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]int64{}
		for _, o := range list.Items {
			all[o.Name] = o.Generation
		}
		return all
	}
	write := func(name string) {
		if _, err := client.Objects.Insert("bucket", &storage.Object{Name: name}).Media(strings.NewReader("same")).Do(); err != nil {
			t.Fatal(err)
		}
	}
	write("m/a")
	write("m/b")
	write("model/a")
	before := generations()
	if len(before) != 2 || before["m/a"] == 0 {
		t.Fatalf("listed %v", before)
	}
	write("m/a")
	if after := generations(); after["m/a"] == before["m/a"] || after["m/b"] != before["m/b"] {
		t.Errorf("generations %v after %v", after, before)
	}
}
