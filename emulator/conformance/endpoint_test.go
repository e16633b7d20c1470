// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"net/http"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// An endpoint of REST's making, with what google_vertex_ai_endpoint sends, is read
// and changed by the Go client, and the other way round.
func TestConfiguredEndpoint(t *testing.T) {
	srv := start(t, emulator.Options{OperationLatency: 5 * time.Millisecond})
	v := newVertex(t, srv)
	const path = "/v1/" + parent + "/endpoints"
	code, op := call(t, srv, http.MethodPost, path+"?endpointId=e", map[string]any{
		"displayName":    "e",
		"encryptionSpec": map[string]any{"kmsKeyName": "projects/p/locations/" + location + "/keyRings/r/cryptoKeys/k"},
		"predictRequestResponseLoggingConfig": map[string]any{
			"enabled": true, "samplingRate": 0.1, "bigqueryDestination": map[string]any{"outputUri": "bq://p.d.t"},
		},
		"dedicatedEndpointEnabled": true,
		"clientConnectionConfig":   map[string]any{"inferenceTimeout": "600s"},
	})
	if code != http.StatusOK {
		t.Fatalf("create: %d %v", code, op)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if code, _ = call(t, srv, http.MethodGet, path+"/e", nil); code == http.StatusOK || time.Now().After(deadline) {
			break
		}
	}
	e, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: parent + "/endpoints/e"})
	if err != nil {
		t.Fatal(err)
	}
	if c := e.GetPredictRequestResponseLoggingConfig(); !c.GetEnabled() || c.GetSamplingRate() != 0.1 || c.GetBigqueryDestination().GetOutputUri() != "bq://p.d.t" ||
		e.GetEncryptionSpec().GetKmsKeyName() == "" || e.GetDedicatedEndpointDns() == "" || e.GetClientConnectionConfig().GetInferenceTimeout().GetSeconds() != 600 {
		t.Errorf("%v", e)
	}

	e.ClientConnectionConfig = &aiplatformpb.ClientConnectionConfig{InferenceTimeout: durationpb.New(30 * time.Minute)}
	long, err := v.endpoints.UpdateEndpointLongRunning(t.Context(), &aiplatformpb.UpdateEndpointLongRunningRequest{Endpoint: e})
	if err != nil {
		t.Fatal(err)
	}
	if got := await(t, long); got.GetClientConnectionConfig().GetInferenceTimeout().GetSeconds() != 1800 {
		t.Errorf("the operation's response: %v", got)
	}
	code, op = call(t, srv, http.MethodPost, path+"/e:update", map[string]any{"endpoint": map[string]any{"clientConnectionConfig": map[string]any{"inferenceTimeout": "60s"}}})
	if name, _ := op["name"].(string); code != http.StatusOK || name == "" {
		t.Errorf("REST :update: %d %v", code, op)
	}
	code, got := call(t, srv, http.MethodPatch, path+"/e?updateMask=predictRequestResponseLoggingConfig", map[string]any{
		"predictRequestResponseLoggingConfig": map[string]any{"enabled": false},
	})
	if config, ok := got["predictRequestResponseLoggingConfig"].(map[string]any); code != http.StatusOK || ok && config["enabled"] == true {
		t.Errorf("REST PATCH: %d %v", code, got)
	}
}

// Models share a pool that the Go client made, and REST shows it.
func TestDeploymentResourcePool(t *testing.T) {
	srv := start(t, emulator.Options{OperationLatency: 5 * time.Millisecond})
	v := newVertex(t, srv)
	pools, err := aiplatform.NewDeploymentResourcePoolClient(t.Context(), option.WithEndpoint(srv.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	created, err := pools.CreateDeploymentResourcePool(t.Context(), &aiplatformpb.CreateDeploymentResourcePoolRequest{
		Parent: parent, DeploymentResourcePoolId: "pool",
		DeploymentResourcePool: &aiplatformpb.DeploymentResourcePool{DedicatedResources: deployedModel("", "").GetDedicatedResources()},
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := await(t, created)
	model := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "bert", Model: tutorialModel()}).GetModel()
	e := v.createEndpoint(t, "reviews")
	shared := &aiplatformpb.DeployedModel{Model: model, Id: "1", PredictionResources: &aiplatformpb.DeployedModel_SharedResources{SharedResources: pool.GetName()}}
	if d := v.deploy(t, e.GetName(), shared, map[string]int32{"0": 100}); d.GetSharedResources() != pool.GetName() {
		t.Errorf("deployed to %q, want %q", d.GetSharedResources(), pool.GetName())
	}
	if _, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: texts("a film")}); err != nil {
		t.Error(err)
	}
	mutation, err := v.endpoints.MutateDeployedModel(t.Context(), &aiplatformpb.MutateDeployedModelRequest{
		Endpoint: e.GetName(), DeployedModel: &aiplatformpb.DeployedModel{Id: "1", DisableContainerLogging: true},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"disable_container_logging"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !await(t, mutation).GetDeployedModel().GetDisableContainerLogging() {
		t.Error("container logging was not disabled")
	}
	v.undeploy(t, e.GetName(), "1", nil)
	code, answer := call(t, srv, http.MethodDelete, "/v1/"+parent+"/deploymentResourcePools/pool", nil)
	if name, _ := answer["name"].(string); code != http.StatusOK || name == "" {
		t.Errorf("REST DELETE of the pool: %d %v", code, answer)
	}
}
