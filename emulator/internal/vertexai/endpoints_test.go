// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const network = "projects/1/global/networks/n"

var psc = &aiplatformpb.PrivateServiceConnectConfig{EnablePrivateServiceConnect: true, ProjectAllowlist: []string{"consumer"}}

func logging(rate float64, uri string) *aiplatformpb.PredictRequestResponseLoggingConfig {
	c := &aiplatformpb.PredictRequestResponseLoggingConfig{Enabled: true, SamplingRate: rate}
	if uri != "" {
		c.BigqueryDestination = &aiplatformpb.BigQueryDestination{OutputUri: uri}
	}
	return c
}

func timeout(seconds int64) *aiplatformpb.ClientConnectionConfig {
	return &aiplatformpb.ClientConnectionConfig{InferenceTimeout: &durationpb.Duration{Seconds: seconds}}
}

func TestCreateEndpointRefusesBadInput(t *testing.T) {
	r := newRig(t, 0)
	r.create("taken")
	for _, c := range []struct {
		id   string
		e    *aiplatformpb.Endpoint
		code codes.Code
		part string
	}{
		{"Upper", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.InvalidArgument, "endpoint_id"},
		{"ends-", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.InvalidArgument, "endpoint_id"},
		{"under_score", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.InvalidArgument, "endpoint_id"},
		{"0123", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.InvalidArgument, "endpoint_id"},
		{"1234567890", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.InvalidArgument, "endpoint_id"},
		{"e", nil, codes.InvalidArgument, "endpoint is required"},
		{"e", &aiplatformpb.Endpoint{}, codes.InvalidArgument, "display_name"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", TrafficSplit: map[string]int32{"1": 100}}, codes.InvalidArgument, "traffic_split"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", GenAiAdvancedFeaturesConfig: &aiplatformpb.GenAiAdvancedFeaturesConfig{}}, codes.Unimplemented, "endpoint.gen_ai_advanced_features_config"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", Network: "global/networks/n"}, codes.InvalidArgument, "endpoint.network"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", Network: network, PrivateServiceConnectConfig: psc}, codes.InvalidArgument, "mutually exclusive"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", Network: network, DedicatedEndpointEnabled: true}, codes.InvalidArgument, "dedicated_endpoint_enabled"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", PrivateServiceConnectConfig: psc, DedicatedEndpointEnabled: true}, codes.InvalidArgument, "dedicated_endpoint_enabled"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", PrivateServiceConnectConfig: &aiplatformpb.PrivateServiceConnectConfig{
			EnablePrivateServiceConnect: true, PscAutomationConfigs: []*aiplatformpb.PSCAutomationConfig{{ProjectId: "p"}},
		}}, codes.InvalidArgument, "psc_automation_configs"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", EncryptionSpec: &aiplatformpb.EncryptionSpec{KmsKeyName: "key"}}, codes.InvalidArgument, "kms_key_name"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", EncryptionSpec: &aiplatformpb.EncryptionSpec{KmsKeyName: "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"}}, codes.InvalidArgument, "same region"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", PredictRequestResponseLoggingConfig: logging(0, "")}, codes.InvalidArgument, "sampling_rate"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", PredictRequestResponseLoggingConfig: logging(1.5, "")}, codes.InvalidArgument, "sampling_rate"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", PredictRequestResponseLoggingConfig: logging(1, "gs://b")}, codes.InvalidArgument, "output_uri"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", ClientConnectionConfig: timeout(3601)}, codes.InvalidArgument, "inference_timeout"},
		{"e", &aiplatformpb.Endpoint{DisplayName: "e", ClientConnectionConfig: timeout(0)}, codes.InvalidArgument, "inference_timeout"},
		{"taken", &aiplatformpb.Endpoint{DisplayName: "e"}, codes.AlreadyExists, "taken"},
	} {
		_, err := r.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{Parent: testParent, EndpointId: c.id, Endpoint: c.e})
		refused(t, err, c.code, c.part)
	}
	for _, id := range []string{"a", "9", "123456789", "a-b-1", strings.Repeat("a", 63)} {
		r.create(id)
	}
}

func TestDeployRefusesBadInput(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	resources := func(d *aiplatformpb.DeployedModel) *aiplatformpb.DedicatedResources { return d.GetDedicatedResources() }
	for _, c := range []struct {
		name   string
		change func(*aiplatformpb.DeployModelRequest)
		code   codes.Code
		part   string
	}{
		{"endpoint", func(q *aiplatformpb.DeployModelRequest) { q.Endpoint += "x" }, codes.NotFound, "endpoints/ex"},
		{"model", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.Model += "x" }, codes.NotFound, "models/mx"},
		{"version", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.Model += "@7" }, codes.NotFound, "@7"},
		{"id form", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.Id = "12345678901" }, codes.InvalidArgument, "1 to 10 digits"},
		{"id 0", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.Id = "0" }, codes.InvalidArgument, `"0"`},
		{"id taken", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.Id = "1" }, codes.AlreadyExists, `"1"`},
		{"automatic", func(q *aiplatformpb.DeployModelRequest) {
			q.DeployedModel.PredictionResources = &aiplatformpb.DeployedModel_AutomaticResources{AutomaticResources: &aiplatformpb.AutomaticResources{MinReplicaCount: 2, MaxReplicaCount: 1}}
		}, codes.InvalidArgument, "automatic_resources.max_replica_count"},
		{"explanations", func(q *aiplatformpb.DeployModelRequest) {
			q.DeployedModel.ExplanationSpec = &aiplatformpb.ExplanationSpec{}
		}, codes.Unimplemented, "explanation_spec"},
		{"pool's form", func(q *aiplatformpb.DeployModelRequest) {
			q.DeployedModel.PredictionResources = &aiplatformpb.DeployedModel_SharedResources{SharedResources: "pool"}
		}, codes.InvalidArgument, "shared_resources"},
		{"pool", func(q *aiplatformpb.DeployModelRequest) {
			q.DeployedModel.PredictionResources = &aiplatformpb.DeployedModel_SharedResources{SharedResources: testParent + "/deploymentResourcePools/none"}
		}, codes.NotFound, "deploymentResourcePools/none"},
		{"service account", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.ServiceAccount = "runner" }, codes.InvalidArgument, "service_account"},
		{"required", func(q *aiplatformpb.DeployModelRequest) { resources(q.DeployedModel).RequiredReplicaCount = 2 }, codes.InvalidArgument, "required_replica_count"},
		{"metric", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).AutoscalingMetricSpecs = []*aiplatformpb.AutoscalingMetricSpec{{Target: 50}}
		}, codes.InvalidArgument, "metric_name"},
		{"target", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).AutoscalingMetricSpecs = []*aiplatformpb.AutoscalingMetricSpec{{MetricName: percentages[0], Target: 101}}
		}, codes.InvalidArgument, "101"},
		{"metric twice", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).AutoscalingMetricSpecs = []*aiplatformpb.AutoscalingMetricSpec{{MetricName: percentages[0], Target: 50}, {MetricName: percentages[0]}}
		}, codes.InvalidArgument, "more than one"},
		{"reservation's type", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).MachineSpec.ReservationAffinity = &aiplatformpb.ReservationAffinity{}
		}, codes.InvalidArgument, "reservation_affinity_type"},
		{"which reservation", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).MachineSpec.ReservationAffinity = &aiplatformpb.ReservationAffinity{ReservationAffinityType: aiplatformpb.ReservationAffinity_SPECIFIC_RESERVATION}
		}, codes.InvalidArgument, "key and values"},
		{"reserved spot", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).Spot = true
			resources(q.DeployedModel).MachineSpec.ReservationAffinity = &aiplatformpb.ReservationAffinity{
				ReservationAffinityType: aiplatformpb.ReservationAffinity_SPECIFIC_RESERVATION, Key: "compute.googleapis.com/reservation-name", Values: []string{"r"},
			}
		}, codes.InvalidArgument, "Spot VMs"},
		{"no resources", func(q *aiplatformpb.DeployModelRequest) { q.DeployedModel.PredictionResources = nil }, codes.InvalidArgument, "dedicated_resources"},
		{"no machine", func(q *aiplatformpb.DeployModelRequest) { resources(q.DeployedModel).MachineSpec = nil }, codes.InvalidArgument, "machine_spec"},
		{"machine", func(q *aiplatformpb.DeployModelRequest) { resources(q.DeployedModel).MachineSpec.MachineType = "big" }, codes.InvalidArgument, "machine_type"},
		{"accelerator", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).MachineSpec.AcceleratorType = aiplatformpb.AcceleratorType_NVIDIA_TESLA_T4
		}, codes.InvalidArgument, "accelerator_count"},
		{"min", func(q *aiplatformpb.DeployModelRequest) { resources(q.DeployedModel).MinReplicaCount = 0 }, codes.InvalidArgument, "min_replica_count"},
		{"max", func(q *aiplatformpb.DeployModelRequest) {
			resources(q.DeployedModel).MinReplicaCount = 3
			resources(q.DeployedModel).MaxReplicaCount = 2
		}, codes.InvalidArgument, "max_replica_count"},
		{"sum", func(q *aiplatformpb.DeployModelRequest) { q.TrafficSplit = map[string]int32{"0": 50, "1": 40} }, codes.InvalidArgument, "90"},
		{"unknown", func(q *aiplatformpb.DeployModelRequest) { q.TrafficSplit = map[string]int32{"0": 50, "8": 50} }, codes.InvalidArgument, `"8"`},
		{"negative", func(q *aiplatformpb.DeployModelRequest) { q.TrafficSplit = map[string]int32{"0": 150, "1": -50} }, codes.InvalidArgument, "percentage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: testDeployment(name, "2")}
			c.change(req)
			_, err := r.endpoints.DeployModel(t.Context(), req)
			refused(t, err, c.code, c.part)
		})
	}
	if e := r.endpoint(endpoint); len(e.GetDeployedModels()) != 1 || e.GetTrafficSplit()["1"] != 100 {
		t.Errorf("refused deployments changed the endpoint: %v", e)
	}
}

func TestDeploymentLife(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	e := r.endpoint(endpoint)
	d := e.GetDeployedModels()[0]
	if d.GetDisplayName() != "sentiment" || d.GetModelVersionId() != "1" || d.GetDedicatedResources().GetMaxReplicaCount() != 1 {
		t.Errorf("what the API defaults: %v", d)
	}
	r.ok(r.deployRequest(endpoint, name, "2", nil))
	if s := r.endpoint(endpoint).GetTrafficSplit(); !maps.Equal(s, map[string]int32{"1": 100}) {
		t.Errorf("without a split a second deployment gets no traffic: %v", s)
	}
	r.ok(r.deployRequest(endpoint, name, "3", map[string]int32{"0": 20, "1": 80}))
	if s := r.endpoint(endpoint).GetTrafficSplit(); !maps.Equal(s, map[string]int32{"1": 80, "3": 20}) {
		t.Errorf("the key 0 means the new deployment: %v", s)
	}

	_, err := r.undeployRequest(endpoint, "1", nil)
	refused(t, err, codes.FailedPrecondition, "80 percent")
	_, err = r.undeployRequest(endpoint, "9", nil)
	refused(t, err, codes.NotFound, `"9"`)
	_, err = r.undeployRequest(endpoint, "1", map[string]int32{"3": 90})
	refused(t, err, codes.InvalidArgument, "90")
	r.ok(r.undeployRequest(endpoint, "2", nil)) // has no traffic
	r.ok(r.undeployRequest(endpoint, "1", map[string]int32{"3": 100}))
	if s := r.endpoint(endpoint).GetTrafficSplit(); !maps.Equal(s, map[string]int32{"3": 100}) {
		t.Errorf("after undeploying: %v", s)
	}

	_, err = r.endpoints.DeleteEndpoint(t.Context(), &aiplatformpb.DeleteEndpointRequest{Name: endpoint})
	refused(t, err, codes.FailedPrecondition, "deployed")
	r.ok(r.undeployRequest(endpoint, "3", nil)) // the last one, with all the traffic
	if e := r.endpoint(endpoint); len(e.GetDeployedModels())+len(e.GetTrafficSplit()) != 0 {
		t.Errorf("after the last undeploy: %v", e)
	}
	r.ok(r.endpoints.DeleteEndpoint(t.Context(), &aiplatformpb.DeleteEndpointRequest{Name: endpoint}))
	_, err = r.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpoint})
	refused(t, err, codes.NotFound, "endpoints/e")
}

func TestDeployPassesThroughItsStages(t *testing.T) {
	r := newRig(t, 120*time.Millisecond)
	name, endpoint := r.upload("m"), r.create("e")
	op, err := r.deployRequest(endpoint, name, "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[aiplatformpb.DeploymentStage]bool{}
	for !op.GetDone() {
		if op, err = r.ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()}); err != nil {
			t.Fatal(err)
		}
		var meta aiplatformpb.DeployModelOperationMetadata
		if err := op.GetMetadata().UnmarshalTo(&meta); err != nil {
			t.Fatal(err)
		}
		seen[meta.GetDeploymentStage()] = true
		<-time.After(time.Millisecond)
	}
	if len(seen) < 4 || !seen[aiplatformpb.DeploymentStage_SUCCESSFULLY_DEPLOYED] {
		t.Errorf("stages seen: %v", seen)
	}
}

func TestCancelledDeployChangesNothing(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.endpoints.cfg.DeployLatency = time.Hour
	op, err := r.deployRequest(endpoint, name, "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ops.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: op.GetName()}); err != nil {
		t.Fatal(err)
	}
	if done := r.wait(op, nil); done.GetError().GetCode() != int32(codes.Canceled) {
		t.Errorf("the cancelled operation ended with %v", done)
	}
	if e := r.endpoint(endpoint); len(e.GetDeployedModels()) != 0 {
		t.Errorf("deployed all the same: %v", e)
	}
	r.endpoints.cfg.DeployLatency = 0
	r.ok(r.deployRequest(endpoint, name, "1", nil)) // the id is free again
}

func TestMutateDeployedModel(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	mutateTo := func(lo, hi int32, paths ...string) (*longrunningpb.Operation, error) {
		d := testDeployment("", "1")
		d.GetDedicatedResources().MinReplicaCount, d.GetDedicatedResources().MaxReplicaCount = lo, hi
		return r.endpoints.MutateDeployedModel(t.Context(), &aiplatformpb.MutateDeployedModelRequest{
			Endpoint: endpoint, DeployedModel: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
	}
	r.ok(mutateTo(2, 5, "dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"))
	res := r.endpoint(endpoint).GetDeployedModels()[0].GetDedicatedResources()
	if res.GetMinReplicaCount() != 2 || res.GetMaxReplicaCount() != 5 || res.GetMachineSpec().GetMachineType() != "n1-standard-2" {
		t.Errorf("after the mutation: %v", res)
	}
	_, err := mutateTo(6, 0, "dedicated_resources.min_replica_count")
	refused(t, err, codes.InvalidArgument, "max_replica_count")
	_, err = mutateTo(1, 1, "dedicated_resources.machine_spec")
	refused(t, err, codes.InvalidArgument, "machine_spec")
	_, err = mutateTo(1, 1)
	refused(t, err, codes.InvalidArgument, "update_mask")
}

func TestUpdateEndpoint(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	update := func(e *aiplatformpb.Endpoint, paths ...string) error {
		e.Name = endpoint
		_, err := r.endpoints.UpdateEndpoint(t.Context(), &aiplatformpb.UpdateEndpointRequest{Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	old := r.endpoint(endpoint)
	if err := update(&aiplatformpb.Endpoint{DisplayName: "new", Labels: map[string]string{"a": "b"}, Etag: old.GetEtag()}, "display_name", "labels"); err != nil {
		t.Fatal(err)
	}
	if e := r.endpoint(endpoint); e.GetDisplayName() != "new" || e.GetLabels()["a"] != "b" || e.GetTrafficSplit()["1"] != 100 || e.GetEtag() == old.GetEtag() {
		t.Errorf("%v", e)
	}
	refused(t, update(&aiplatformpb.Endpoint{DisplayName: "x", Etag: old.GetEtag()}, "display_name"), codes.Aborted, "etag")
	refused(t, update(&aiplatformpb.Endpoint{TrafficSplit: map[string]int32{"1": 99}}, "traffic_split"), codes.InvalidArgument, "99")
	refused(t, update(&aiplatformpb.Endpoint{TrafficSplit: map[string]int32{"2": 100}}, "traffic_split"), codes.InvalidArgument, `"2"`)
	refused(t, update(&aiplatformpb.Endpoint{}, "network"), codes.Unimplemented, "endpoint.network")
	refused(t, update(&aiplatformpb.Endpoint{}, "nonsense"), codes.InvalidArgument, "nonsense")
	if err := update(&aiplatformpb.Endpoint{}, "traffic_split"); err != nil {
		t.Fatal(err)
	}
	_, err := r.predict.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: endpoint, Instances: []*structpb.Value{structpb.NewStringValue("x")}})
	refused(t, err, codes.FailedPrecondition, "doesn't have traffic_split")
}

func TestPredictLimits(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	predict := func(instances ...*structpb.Value) error {
		_, err := r.predict.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: endpoint, Instances: instances})
		return err
	}
	refused(t, predict(), codes.InvalidArgument, "instances")
	refused(t, predict(structpb.NewStringValue(strings.Repeat("a", 1_500_000))), codes.FailedPrecondition, "exceeds 1.500MB limit")
	if err := predict(structpb.NewStringValue(strings.Repeat("a ", 10_000))); err != nil {
		t.Error(err)
	}
	r.ok(r.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{
		Parent: testParent, EndpointId: "own", Endpoint: &aiplatformpb.Endpoint{DisplayName: "own", DedicatedEndpointEnabled: true},
	}))
	endpoint = testParent + "/endpoints/own"
	r.ok(r.deployRequest(endpoint, name, "1", nil))
	refused(t, predict(structpb.NewStringValue("x")), codes.FailedPrecondition, ".prediction.vertexai.goog")
	info, err := r.endpoints.Endpoint(t.Context(), endpoint)
	if err != nil || !info.Dedicated || !info.Deployed || info.Location != "us-central1" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestEndpointSwitches(t *testing.T) {
	t.Run("missing-traffic-split", func(t *testing.T) {
		r := newRig(t, 0, "missing-traffic-split=error")
		name, endpoint := r.upload("m"), r.create("e")
		_, err := r.deployRequest(endpoint, name, "1", nil)
		refused(t, err, codes.FailedPrecondition, "doesn't have traffic_split")
		r.ok(r.deployRequest(endpoint, name, "1", map[string]int32{"0": 100}))
	})
	t.Run("fast-tryout-shown", func(t *testing.T) {
		for value, shown := range map[string]bool{"yes": true, "no": false} {
			r := newRig(t, 0, "fast-tryout-shown="+value)
			name, endpoint := r.upload("m"), r.create("e")
			d := testDeployment(name, "1")
			d.FasterDeploymentConfig = &aiplatformpb.FasterDeploymentConfig{FastTryoutEnabled: true}
			r.ok(r.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: d}))
			if got := r.endpoint(endpoint).GetDeployedModels()[0].GetFasterDeploymentConfig(); got.GetFastTryoutEnabled() != shown {
				t.Errorf("%s: %v", value, got)
			}
		}
	})
	t.Run("version-in-deployed-model-name", func(t *testing.T) {
		for value, suffix := range map[string]string{"no": "/models/m", "yes": "/models/m@1"} {
			r := newRig(t, 0, "version-in-deployed-model-name="+value)
			name, endpoint := r.upload("m"), r.create("e")
			r.ok(r.deployRequest(endpoint, name, "1", nil))
			if got := r.endpoint(endpoint).GetDeployedModels()[0].GetModel(); !strings.HasSuffix(got, suffix) {
				t.Errorf("%s: %s", value, got)
			}
		}
	})
}

// Over any 100 turns each deployment gets its percentage, and a deployment with a
// share is never starved for long.
func TestTurnsAreFair(t *testing.T) {
	for _, s := range []split{{"a": 100}, {"a": 70, "b": 30}, {"a": 1, "b": 99}, {"a": 33, "b": 33, "c": 34}, {"a": 0, "b": 100}} {
		turn, got := turns{}, split{}
		for range 300 {
			got[turn.next(s)]++
		}
		for id, share := range s {
			if got[id] != 3*share {
				t.Errorf("%v: 300 turns went %v", s, got)
			}
		}
	}
	if id := (turns{}).next(split{}); id != "" {
		t.Errorf("an empty split chose %q", id)
	}
}

func TestFilterErrors(t *testing.T) {
	r := newRig(t, 0)
	for _, filter := range []string{"=", "model", "size=3", `display_name="x`, "labels=x", "model=a XOR model=b", "model=a AND", "model:*"} {
		_, err := r.models.ListModels(t.Context(), &aiplatformpb.ListModelsRequest{Parent: testParent, Filter: filter})
		refused(t, err, codes.InvalidArgument, "filter")
	}
	for i, req := range []*aiplatformpb.ListModelsRequest{{OrderBy: "size"}, {OrderBy: "display_name up"}, {PageToken: "?"}, {PageSize: -1}} {
		req.Parent = testParent
		_, err := r.models.ListModels(t.Context(), req)
		refused(t, err, codes.InvalidArgument, []string{"order_by", "order_by", "page_token", "page_size"}[i])
	}
	r.upload("m")
	page, err := r.models.ListModels(t.Context(), &aiplatformpb.ListModelsRequest{Parent: testParent, ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
	if err != nil || fmt.Sprint(page.GetModels()[0].GetDisplayName(), page.GetModels()[0].GetName()) != "sentiment" {
		t.Errorf("read_mask: %v, %v", page, err)
	}
}
