// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/serving"
)

const (
	testParent = "projects/test-project/locations/us-central1"
	testImage  = "europe-docker.pkg.dev/vertex-ai/prediction/tf2-gpu.2-15:latest"
)

// rig is the services with what they need, called directly.
type rig struct {
	t         *testing.T
	models    *modelService
	endpoints *endpointService
	pools     *poolService
	predict   *predictionService
	ops       *operations.Manager
	timeline  *inventory.Timeline
}

func newRig(t *testing.T, latency time.Duration, settings ...string) *rig {
	t.Helper()
	set, err := assume.Parse(settings)
	if err != nil {
		t.Fatal(err)
	}
	names := project.Names{Registry: project.NewRegistry(), ShowID: set.Is(assume.ProjectInNames, "id")}
	ops := operations.New(clock.Real{}, names)
	t.Cleanup(ops.Close)
	catalog, err := serving.NewCatalog(nil, clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	timeline := new(inventory.Timeline)
	s := New(Config{
		Clock: clock.Real{}, Assume: set, Names: names, Operations: ops, Serving: catalog, Timeline: timeline,
		OperationLatency: latency,
	})
	return &rig{
		t: t, models: &modelService{Service: s}, endpoints: &endpointService{Service: s}, pools: &poolService{Service: s},
		predict: &predictionService{Service: s}, ops: ops, timeline: timeline,
	}
}

// wait waits for an operation and returns it.
func (r *rig) wait(op *longrunningpb.Operation, err error) *longrunningpb.Operation {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	done, err := r.ops.WaitOperation(context.Background(), &longrunningpb.WaitOperationRequest{Name: op.GetName(), Timeout: durationpb.New(10 * time.Second)})
	if err != nil || !done.GetDone() {
		r.t.Fatalf("operation %s: done %v, %v", op.GetName(), done.GetDone(), err)
	}
	return done
}

// ok is wait for an operation that must succeed.
func (r *rig) ok(op *longrunningpb.Operation, err error) *longrunningpb.Operation {
	r.t.Helper()
	done := r.wait(op, err)
	if done.GetError() != nil {
		r.t.Fatal(done.GetError())
	}
	return done
}

func testModel() *aiplatformpb.Model {
	return &aiplatformpb.Model{
		DisplayName: "sentiment", ArtifactUri: "gs://bucket/model/",
		ContainerSpec: &aiplatformpb.ModelContainerSpec{ImageUri: testImage},
	}
}

// upload uploads a model, or a version of it when it exists already.
func (r *rig) upload(id string, aliases ...string) string {
	r.t.Helper()
	req := &aiplatformpb.UploadModelRequest{Parent: testParent, Model: testModel()}
	req.Model.VersionAliases = aliases
	name := testParent + "/models/" + id
	if _, err := r.models.GetModel(r.t.Context(), &aiplatformpb.GetModelRequest{Name: name}); err == nil {
		req.ParentModel = name
	} else {
		req.ModelId = id
	}
	r.ok(r.models.UploadModel(r.t.Context(), req))
	return name
}

func (r *rig) create(id string) string {
	r.t.Helper()
	return r.createAs(id, &aiplatformpb.Endpoint{DisplayName: "e"})
}

func (r *rig) createAs(id string, e *aiplatformpb.Endpoint) string {
	r.t.Helper()
	r.ok(r.endpoints.CreateEndpoint(r.t.Context(), &aiplatformpb.CreateEndpointRequest{Parent: testParent, EndpointId: id, Endpoint: e}))
	return testParent + "/endpoints/" + id
}

func testDeployment(model, id string) *aiplatformpb.DeployedModel {
	return &aiplatformpb.DeployedModel{
		Model: model, Id: id,
		PredictionResources: &aiplatformpb.DeployedModel_DedicatedResources{DedicatedResources: &aiplatformpb.DedicatedResources{
			MachineSpec: &aiplatformpb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1,
		}},
	}
}

func (r *rig) deployRequest(endpoint, model, id string, split map[string]int32) (*longrunningpb.Operation, error) {
	return r.endpoints.DeployModel(r.t.Context(), &aiplatformpb.DeployModelRequest{
		Endpoint: endpoint, DeployedModel: testDeployment(model, id), TrafficSplit: split,
	})
}

func (r *rig) undeployRequest(endpoint, id string, split map[string]int32) (*longrunningpb.Operation, error) {
	return r.endpoints.UndeployModel(r.t.Context(), &aiplatformpb.UndeployModelRequest{Endpoint: endpoint, DeployedModelId: id, TrafficSplit: split})
}

func (r *rig) endpoint(name string) *aiplatformpb.Endpoint {
	r.t.Helper()
	e, err := r.endpoints.GetEndpoint(r.t.Context(), &aiplatformpb.GetEndpointRequest{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) model(name string) *aiplatformpb.Model {
	r.t.Helper()
	m, err := r.models.GetModel(r.t.Context(), &aiplatformpb.GetModelRequest{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func refused(t *testing.T, err error, code codes.Code, part string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), part) {
		t.Errorf("error %v: want %v with %q in it", err, code, part)
	}
}
