// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

const (
	projectID     = "conformance-project"
	location      = "us-central1"
	parent        = "projects/" + projectID + "/locations/" + location
	tutorialImage = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
	tutorialURI   = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"
)

// start runs an emulator for the duration of a test.
func start(t *testing.T, opts emulator.Options) *emulator.Server {
	t.Helper()
	srv, err := emulator.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return srv
}

// vertex are the official Vertex AI clients, over gRPC.
type vertex struct {
	models      *aiplatform.ModelClient
	endpoints   *aiplatform.EndpointClient
	predictions *aiplatform.PredictionClient
}

func newVertex(t *testing.T, srv *emulator.Server) vertex {
	t.Helper()
	opts := []option.ClientOption{
		option.WithEndpoint(srv.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
	var v vertex
	var err error
	if v.models, err = aiplatform.NewModelClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	if v.endpoints, err = aiplatform.NewEndpointClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	if v.predictions, err = aiplatform.NewPredictionClient(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.models.Close()
		v.endpoints.Close()
		v.predictions.Close()
	})
	return v
}

// tutorialModel is the model of Google's remote-model tutorial.
func tutorialModel() *aiplatformpb.Model {
	return &aiplatformpb.Model{
		DisplayName:   "bert_sentiment",
		ArtifactUri:   tutorialURI,
		ContainerSpec: &aiplatformpb.ModelContainerSpec{ImageUri: tutorialImage},
	}
}

func (v vertex) upload(t *testing.T, req *aiplatformpb.UploadModelRequest) *aiplatformpb.UploadModelResponse {
	t.Helper()
	req.Parent = parent
	op, err := v.models.UploadModel(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return await(t, op)
}

func (v vertex) createEndpoint(t *testing.T, id string) *aiplatformpb.Endpoint {
	t.Helper()
	op, err := v.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{
		Parent: parent, EndpointId: id, Endpoint: &aiplatformpb.Endpoint{DisplayName: id},
	})
	if err != nil {
		t.Fatal(err)
	}
	return await(t, op)
}

// deployedModel is a deployment of a model on the tutorial's machine.
func deployedModel(model, id string) *aiplatformpb.DeployedModel {
	return &aiplatformpb.DeployedModel{
		Model: model, Id: id, DisplayName: "d" + id,
		PredictionResources: &aiplatformpb.DeployedModel_DedicatedResources{DedicatedResources: &aiplatformpb.DedicatedResources{
			MachineSpec: &aiplatformpb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1, MaxReplicaCount: 3,
		}},
	}
}

func (v vertex) deploy(t *testing.T, endpoint string, d *aiplatformpb.DeployedModel, split map[string]int32) *aiplatformpb.DeployedModel {
	t.Helper()
	op, err := v.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: d, TrafficSplit: split})
	if err != nil {
		t.Fatal(err)
	}
	return await(t, op).GetDeployedModel()
}

func (v vertex) undeploy(t *testing.T, endpoint, id string, split map[string]int32) {
	t.Helper()
	op, err := v.endpoints.UndeployModel(t.Context(), &aiplatformpb.UndeployModelRequest{Endpoint: endpoint, DeployedModelId: id, TrafficSplit: split})
	if err != nil {
		t.Fatal(err)
	}
	await(t, op)
}

// operation is what the clients' long-running operations have in common.
type operation[T any] interface {
	Done() bool
	Poll(context.Context, ...gax.CallOption) (T, error)
}

// result polls an operation until it is done, more often than the clients' Wait,
// which starts at a second.
func result[T any](t *testing.T, op operation[T]) (T, error) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		res, err := op.Poll(t.Context())
		if err != nil || op.Done() {
			return res, err
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the operation was not done in time")
		}
	}
}

// await is result for operations that must succeed.
func await[T any](t *testing.T, op operation[T]) T {
	t.Helper()
	res, err := result(t, op)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// texts are instances in the tutorial's shape.
func texts(texts ...string) []*structpb.Value {
	out := make([]*structpb.Value, len(texts))
	for i, text := range texts {
		out[i] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"text": structpb.NewStringValue(text)}})
	}
	return out
}

// call sends a plain HTTP request and returns the status and the JSON answer.
func call(t *testing.T, srv *emulator.Server, method, path string, body any) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+srv.Addr+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(path, "/_emulator/") {
		req.Header.Set("Authorization", "Bearer "+srv.FaultToken)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil && err != io.EOF {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, out
}

// inventory reads a section of the emulator's inventory.
func inventory(t *testing.T, srv *emulator.Server, section string) []any {
	t.Helper()
	_, all := call(t, srv, http.MethodGet, "/_emulator/inventory", nil)
	items, ok := all[section].([]any)
	if !ok {
		t.Fatalf("the inventory has no list %q: %v", section, all)
	}
	return items
}
