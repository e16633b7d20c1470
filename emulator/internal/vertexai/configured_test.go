// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// What a client sets is what it reads.
func TestEndpointEchoesItsConfiguration(t *testing.T) {
	r := newRig(t, 0)
	sent := &aiplatformpb.Endpoint{
		DisplayName: "e", PrivateModelServerEnabled: true, PrivateServiceConnectConfig: proto.CloneOf(psc), EncryptionSpec: &aiplatformpb.EncryptionSpec{KmsKeyName: testKey},
		PredictRequestResponseLoggingConfig: logging(0.5, "bq://p.d.t"), ClientConnectionConfig: timeout(600),
	}
	sent.PrivateServiceConnectConfig.ServiceAttachment = "output only"
	got := r.endpoint(r.createAs("e", sent))
	want := proto.CloneOf(sent)
	want.PrivateServiceConnectConfig.ServiceAttachment = ""
	want.Name, want.Etag, want.CreateTime, want.UpdateTime = got.GetName(), got.GetEtag(), got.GetCreateTime(), got.GetUpdateTime()
	if !proto.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if e := r.endpoint(r.createAs("peered", &aiplatformpb.Endpoint{DisplayName: "e", Network: network})); e.GetNetwork() != network {
		t.Errorf("%v", e)
	}
}

func TestUpdateOfConfiguration(t *testing.T) {
	r := newRig(t, 0)
	name := r.createAs("e", &aiplatformpb.Endpoint{DisplayName: "e", PrivateServiceConnectConfig: psc, ClientConnectionConfig: timeout(60)})
	update := func(e *aiplatformpb.Endpoint, paths ...string) error {
		e.Name = name
		_, err := r.endpoints.UpdateEndpoint(t.Context(), &aiplatformpb.UpdateEndpointRequest{Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	const requests, connect = "predict_request_response_logging_config", "private_service_connect_config"
	wider := &aiplatformpb.PrivateServiceConnectConfig{EnablePrivateServiceConnect: true, ProjectAllowlist: []string{"a", "b"}}
	if err := update(&aiplatformpb.Endpoint{PredictRequestResponseLoggingConfig: logging(1, "bq://p"), PrivateServiceConnectConfig: wider}, requests, connect); err != nil {
		t.Fatal(err)
	}
	e := r.endpoint(name)
	if !proto.Equal(e.GetPredictRequestResponseLoggingConfig(), logging(1, "bq://p")) || !proto.Equal(e.GetPrivateServiceConnectConfig(), wider) || e.GetDisplayName() != "e" {
		t.Errorf("%v", e)
	}
	refused(t, update(&aiplatformpb.Endpoint{PredictRequestResponseLoggingConfig: logging(2, "")}, requests), codes.InvalidArgument, "sampling_rate")
	refused(t, update(&aiplatformpb.Endpoint{}, connect), codes.InvalidArgument, "cannot be changed")
	for _, path := range []string{"dedicated_endpoint_enabled", "network", "encryption_spec", "client_connection_config"} {
		refused(t, update(&aiplatformpb.Endpoint{}, path), codes.Unimplemented, path)
	}

	long := func(e *aiplatformpb.Endpoint) (*longrunningpb.Operation, error) {
		return r.endpoints.UpdateEndpointLongRunning(t.Context(), &aiplatformpb.UpdateEndpointLongRunningRequest{Endpoint: e})
	}
	whole := r.endpoint(name)
	whole.ClientConnectionConfig = timeout(120)
	r.ok(long(whole))
	if e := r.endpoint(name); !proto.Equal(e.GetClientConnectionConfig(), timeout(120)) || !proto.Equal(e.GetPrivateServiceConnectConfig(), wider) {
		t.Errorf("%v", e)
	}
	_, err := long(whole)
	refused(t, err, codes.Aborted, "etag")
	whole = r.endpoint(name)
	whole.DisplayName = "another"
	_, err = long(whole)
	refused(t, err, codes.InvalidArgument, "display_name")
	_, err = long(&aiplatformpb.Endpoint{Name: name, ClientConnectionConfig: timeout(7200)})
	refused(t, err, codes.InvalidArgument, "inference_timeout")
}

func TestPrivateEndpoints(t *testing.T) {
	r := newRig(t, 0)
	model := r.upload("m")
	peered := r.createAs("peered", &aiplatformpb.Endpoint{DisplayName: "e", Network: network})
	connected := r.createAs("connected", &aiplatformpb.Endpoint{DisplayName: "e", PrivateServiceConnectConfig: psc})
	for _, name := range []string{peered, connected} {
		r.ok(r.deployRequest(name, model, "1", nil))
		_, err := r.predict.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: name, Instances: []*structpb.Value{structpb.NewStringValue("x")}})
		refused(t, err, codes.FailedPrecondition, "private")
		if info, err := r.predict.Endpoint(t.Context(), name); err != nil || !info.Dedicated {
			t.Errorf("%s can be reached by BigQuery: %+v %v", name, info, err)
		}
	}
	_, err := r.deployRequest(peered, model, "2", map[string]int32{"0": 100})
	refused(t, err, codes.FailedPrecondition, "only one deployed model")
	r.ok(r.deployRequest(connected, model, "2", map[string]int32{"0": 100}))
	if uri := r.endpoint(peered).GetDeployedModels()[0].GetPrivateEndpoints().GetPredictHttpUri(); uri == "" {
		t.Error("a peered endpoint has no private URI")
	}
	e := r.endpoint(connected)
	if a := e.GetPrivateServiceConnectConfig().GetServiceAttachment(); a == "" || e.GetDeployedModels()[0].GetPrivateEndpoints().GetServiceAttachment() != a {
		t.Errorf("service attachment: %v", e)
	}
}

// Every kind of resources is echoed, and mutated as far as the proto says.
func TestResourcesOfDeployedModels(t *testing.T) {
	r := newRig(t, 0)
	model, endpoint := r.upload("m"), r.create("e")
	pool := testParent + "/deploymentResourcePools/pool"
	r.ok(r.pools.CreateDeploymentResourcePool(t.Context(), &aiplatformpb.CreateDeploymentResourcePoolRequest{
		Parent: testParent, DeploymentResourcePoolId: "pool", DeploymentResourcePool: &aiplatformpb.DeploymentResourcePool{DedicatedResources: testDeployment("", "").GetDedicatedResources()},
	}))
	dedicated := testDeployment(model, "1")
	dedicated.GetDedicatedResources().Spot = true
	dedicated.GetDedicatedResources().MachineSpec.ReservationAffinity = &aiplatformpb.ReservationAffinity{ReservationAffinityType: aiplatformpb.ReservationAffinity_ANY_RESERVATION}
	dedicated.ServiceAccount, dedicated.EnableAccessLogging = "runner@p.iam.gserviceaccount.com", true
	for _, d := range []*aiplatformpb.DeployedModel{
		dedicated,
		{Model: model, Id: "2", PredictionResources: &aiplatformpb.DeployedModel_AutomaticResources{AutomaticResources: &aiplatformpb.AutomaticResources{MinReplicaCount: 1}}, FasterDeploymentConfig: &aiplatformpb.FasterDeploymentConfig{FastTryoutEnabled: true}},
		{Model: model, Id: "3", PredictionResources: &aiplatformpb.DeployedModel_SharedResources{SharedResources: pool}},
	} {
		r.ok(r.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: d, TrafficSplit: map[string]int32{"0": 100}}))
	}
	have := r.endpoint(endpoint).GetDeployedModels()
	if d := have[0]; !d.GetDedicatedResources().GetSpot() || d.GetServiceAccount() != dedicated.GetServiceAccount() || !d.GetEnableAccessLogging() ||
		!proto.Equal(d.GetDedicatedResources().GetMachineSpec(), dedicated.GetDedicatedResources().GetMachineSpec()) {
		t.Errorf("dedicated: %v", d)
	}
	if a := have[1].GetAutomaticResources(); a.GetMinReplicaCount() != 1 || a.GetMaxReplicaCount() != 0 || !have[1].GetFasterDeploymentConfig().GetFastTryoutEnabled() {
		t.Errorf("automatic: %v", have[1])
	}
	if _, id, err := r.pools.resource("", poolCollection, have[2].GetSharedResources()); err != nil || id != "" {
		t.Errorf("shared: %q", have[2].GetSharedResources())
	}

	mutate := func(d *aiplatformpb.DeployedModel, paths ...string) (*longrunningpb.Operation, error) {
		return r.endpoints.MutateDeployedModel(t.Context(), &aiplatformpb.MutateDeployedModelRequest{Endpoint: endpoint, DeployedModel: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	specs := []*aiplatformpb.AutoscalingMetricSpec{{MetricName: percentages[0], Target: 80}, {MetricName: "aiplatform.googleapis.com/prediction/online/request_count", Target: 500}}
	r.ok(mutate(&aiplatformpb.DeployedModel{Id: "1", DisableContainerLogging: true, PredictionResources: &aiplatformpb.DeployedModel_DedicatedResources{
		DedicatedResources: &aiplatformpb.DedicatedResources{MinReplicaCount: 3, MaxReplicaCount: 4, RequiredReplicaCount: 2, AutoscalingMetricSpecs: specs},
	}}, "disable_container_logging", "dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count", "dedicated_resources.required_replica_count", "dedicated_resources.autoscaling_metric_specs"))
	r.ok(mutate(&aiplatformpb.DeployedModel{Id: "2", PredictionResources: &aiplatformpb.DeployedModel_AutomaticResources{
		AutomaticResources: &aiplatformpb.AutomaticResources{MinReplicaCount: 2, MaxReplicaCount: 7},
	}}, "automatic_resources.min_replica_count", "automatic_resources.max_replica_count"))
	r.ok(mutate(&aiplatformpb.DeployedModel{Id: "3", DisableContainerLogging: true}, "disable_container_logging"))
	have = r.endpoint(endpoint).GetDeployedModels()
	if d := have[0].GetDedicatedResources(); !have[0].GetDisableContainerLogging() || d.GetRequiredReplicaCount() != 2 || d.GetMaxReplicaCount() != 4 || !d.GetSpot() ||
		len(d.GetAutoscalingMetricSpecs()) != 2 || d.GetAutoscalingMetricSpecs()[1].GetTarget() != 500 {
		t.Errorf("dedicated, mutated: %v", have[0])
	}
	if a := have[1].GetAutomaticResources(); a.GetMinReplicaCount() != 2 || a.GetMaxReplicaCount() != 7 || !have[2].GetDisableContainerLogging() {
		t.Errorf("mutated: %v", have)
	}
	for _, c := range []struct{ id, path string }{
		{"1", "service_account"},
		{"1", "dedicated_resources.spot"},
		{"1", "automatic_resources.min_replica_count"},
		{"2", "dedicated_resources.min_replica_count"},
		{"2", "automatic_resources.required_replica_count"},
		{"3", "dedicated_resources.min_replica_count"},
		{"3", "shared_resources"},
		{"2", "faster_deployment_config"},
	} {
		_, err := mutate(&aiplatformpb.DeployedModel{Id: c.id}, c.path)
		refused(t, err, codes.InvalidArgument, c.path)
	}

	// A pool lives as long as something is deployed to it.
	remove := func() (*longrunningpb.Operation, error) {
		return r.pools.DeleteDeploymentResourcePool(t.Context(), &aiplatformpb.DeleteDeploymentResourcePoolRequest{Name: pool})
	}
	_, err := remove()
	refused(t, err, codes.FailedPrecondition, "undeploy")
	r.ok(r.undeployRequest(endpoint, "3", map[string]int32{"1": 100}))
	r.ok(remove())
	_, err = r.pools.GetDeploymentResourcePool(t.Context(), &aiplatformpb.GetDeploymentResourcePoolRequest{Name: pool})
	refused(t, err, codes.NotFound, "pool")
}

// The proto gives a dedicated endpoint another domain while it has fast tryout.
func TestFastTryoutDomain(t *testing.T) {
	r := newRig(t, 0)
	model, endpoint := r.upload("m"), testParent+"/endpoints/own"
	r.ok(r.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{
		Parent: testParent, EndpointId: "own", Endpoint: &aiplatformpb.Endpoint{DisplayName: "own", DedicatedEndpointEnabled: true},
	}))
	const domain = "own.us-central1-fasttryout.prediction.vertexai.goog"
	is := func(fast bool) {
		t.Helper()
		if got := r.endpoint(endpoint).GetDedicatedEndpointDns(); (got == domain) != fast || !strings.HasSuffix(got, ".prediction.vertexai.goog") {
			t.Errorf("the domain is %s", got)
		}
	}
	r.ok(r.deployRequest(endpoint, model, "1", nil))
	is(false)
	d := testDeployment(model, "2")
	d.FasterDeploymentConfig = &aiplatformpb.FasterDeploymentConfig{FastTryoutEnabled: true}
	r.ok(r.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: d, TrafficSplit: map[string]int32{"0": 100}}))
	is(true)
	r.ok(r.undeployRequest(endpoint, "2", map[string]int32{"1": 100}))
	is(false)
}

func TestPoolAndEndpointShareAKey(t *testing.T) {
	r := newRig(t, 0)
	model, endpoint := r.upload("m"), r.create("e")
	r.ok(r.pools.CreateDeploymentResourcePool(t.Context(), &aiplatformpb.CreateDeploymentResourcePoolRequest{
		Parent: testParent, DeploymentResourcePoolId: "pool", DeploymentResourcePool: &aiplatformpb.DeploymentResourcePool{
			DedicatedResources: testDeployment("", "").GetDedicatedResources(), EncryptionSpec: &aiplatformpb.EncryptionSpec{KmsKeyName: testKey},
		},
	}))
	shared := &aiplatformpb.DeployedModel{Model: model, PredictionResources: &aiplatformpb.DeployedModel_SharedResources{SharedResources: testParent + "/deploymentResourcePools/pool"}}
	_, err := r.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: shared})
	refused(t, err, codes.InvalidArgument, "encryption_spec")
	encrypted := r.createAs("encrypted", &aiplatformpb.Endpoint{DisplayName: "e", EncryptionSpec: &aiplatformpb.EncryptionSpec{KmsKeyName: testKey}})
	r.ok(r.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: encrypted, DeployedModel: shared}))
}

// The switches show what was not set.
func TestDefaultsThatMayBeShown(t *testing.T) {
	r := newRig(t, 0, "unset-required-replica-count=min_replica_count", "default-autoscaling-shown=yes", "logging-destination=expanded")
	model := r.upload("m")
	endpoint := r.createAs("e", &aiplatformpb.Endpoint{DisplayName: "My endpoint", PredictRequestResponseLoggingConfig: logging(1, "bq://p")})
	r.ok(r.deployRequest(endpoint, model, "1", nil))
	e := r.endpoint(endpoint)
	d := e.GetDeployedModels()[0].GetDedicatedResources()
	if d.GetRequiredReplicaCount() != 1 || len(d.GetAutoscalingMetricSpecs()) != 1 || d.GetAutoscalingMetricSpecs()[0].GetTarget() != 60 {
		t.Errorf("%v", d)
	}
	if uri := e.GetPredictRequestResponseLoggingConfig().GetBigqueryDestination().GetOutputUri(); uri != "bq://p.logging_My_endpoint_e.request_response_logging" {
		t.Errorf("destination %q", uri)
	}
}
