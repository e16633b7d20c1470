// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// What is sent is what is read, for every kind of resources and every setting.
func TestDeployedModelsSurviveTheProto(t *testing.T) {
	same := func(s string) string { return s }
	for name, d := range map[string]Deployment{
		"small": {Model: model("bert", "1"), Resources: small(1, 3)},
		"all of dedicated": {Model: model("bert", "1"), Resources: Resources{
			MachineType: "a2-highgpu-1g", AcceleratorType: "NVIDIA_TESLA_A100", AcceleratorCount: 1, Spot: true, Reservation: Reservation{Type: "NO_RESERVATION"},
			MinReplicas: 2, MaxReplicas: 5, RequiredReplicas: 1, Targets: map[string]int32{metricCPU: 70, metricAccelerator: 50, "other": 500},
		}, Settings: Settings{"a@b", true, true, true, true}},
		"reserved":  {Model: model("bert", "1"), Resources: Resources{MachineType: "n1-standard-2", Reservation: reserved("projects/p/zones/z/reservations/r"), MinReplicas: 1}},
		"TPU":       {Model: model("bert", "1"), Resources: Resources{MachineType: "ct5lp-hightpu-4t", TPUTopology: "2x2", MinReplicas: 1}},
		"automatic": {Model: model("bert", "1"), Resources: Resources{Kind: Automatic, MinReplicas: 1, MaxReplicas: 4}},
		"unbounded": {Model: model("bert", "1"), Resources: Resources{Kind: Automatic, MinReplicas: 1}},
		"shared":    {Model: model("bert", "1"), Resources: Resources{Kind: Shared, Pool: gcp.Name{Project: "p", Location: "us-central1", Kind: KindPool, ID: "pool"}}},
	} {
		sent := deployedModel("1", "main", d)
		read := Deployed{
			ID: sent.GetId(), Key: sent.GetDisplayName(), Model: d.Model, Resources: resourcesOf(sent, same), Settings: settingsOf(sent),
		}
		if changes := d.changes(read); len(changes) > 0 || !read.serves("main", d) {
			t.Errorf("%s: read %+v, want %+v (%v)", name, read, d, changes)
		}
		if read.ID = deploymentID("main", d); !read.SelfMade() {
			t.Errorf("%s: what was read does not prove that it is ours", name)
		}
	}
	if r := resourcesOf(&pb.DeployedModel{}, same); r.Kind != Other {
		t.Errorf("a model without resources has %+v", r)
	}
}

// Defaults that the server may or may not list mean the same.
func TestResourcesThatMeanTheSame(t *testing.T) {
	base := small(2, 4)
	gpu := base
	gpu.AcceleratorType, gpu.AcceleratorCount = "NVIDIA_L4", 1
	for name, c := range map[string]struct {
		of     Resources
		change func(*Resources)
		want   []string
	}{
		"required as many as min":    {base, func(r *Resources) { r.RequiredReplicas = 2 }, nil},
		"required fewer":             {base, func(r *Resources) { r.RequiredReplicas = 1 }, []string{"dedicated_resources.required_replica_count"}},
		"the default target":         {base, func(r *Resources) { r.Targets = map[string]int32{metricCPU: 60} }, nil},
		"no target given":            {base, func(r *Resources) { r.Targets = map[string]int32{metricCPU: 0} }, nil},
		"both default targets":       {gpu, func(r *Resources) { r.Targets = map[string]int32{metricCPU: 60, metricAccelerator: 60} }, nil},
		"another target":             {base, func(r *Resources) { r.Targets = map[string]int32{metricCPU: 61} }, []string{"dedicated_resources.autoscaling_metric_specs"}},
		"a metric of no default":     {base, func(r *Resources) { r.Targets = map[string]int32{"requests": 60} }, []string{"dedicated_resources.autoscaling_metric_specs"}},
		"replicas":                   {base, func(r *Resources) { r.MinReplicas, r.MaxReplicas = 3, 5 }, []string{"dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"}},
		"automatic replicas":         {Resources{Kind: Automatic, MinReplicas: 1}, func(r *Resources) { r.MaxReplicas = 5 }, []string{"automatic_resources.max_replica_count"}},
		"a maximum that is implied":  {small(2, 2), func(r *Resources) { r.MaxReplicas = 0 }, nil},
		"the same reservations":      {base, func(*Resources) {}, nil},
		"nothing of a pool's change": {Resources{Kind: Shared}, func(r *Resources) { r.MinReplicas = 3 }, nil},
	} {
		have := c.of
		want := have
		c.change(&want)
		if got := want.changes(have); !slices.Equal(got, c.want) {
			t.Errorf("%s: changes %v, want %v", name, got, c.want)
		}
		if back := have.changes(want); len(back) != len(c.want) {
			t.Errorf("%s: the way back changes %v", name, back)
		}
	}
}

func everyField() EndpointConfig {
	return EndpointConfig{
		KMSKey:         "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
		Connect:        Connect{Enabled: true, Projects: []string{"b", "a"}, Automation: []Automation{{"c", "projects/c/global/networks/n"}}},
		RequestLogging: RequestLogging{true, 0.5, "bq://p.d.t"}, InferenceTimeout: 5 * time.Minute, Isolated: true,
	}
}

func TestEndpointConfigSurvivesTheProto(t *testing.T) {
	for name, c := range map[string]EndpointConfig{
		"shared": {}, "everything": everyField(), "dedicated": {Dedicated: true}, "peered": {Network: "projects/1/global/networks/n"},
		"logging off": {RequestLogging: RequestLogging{false, 0.5, "bq://p"}},
	} {
		if got := configOf(c.into(&pb.Endpoint{})); !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %+v, want %+v", name, got, c)
		}
	}
}

func TestChangesOfEndpointConfig(t *testing.T) {
	const logging, connect = "predict_request_response_logging_config", "private_service_connect_config"
	for name, c := range map[string]struct {
		change func(*EndpointConfig)
		want   []string
	}{
		"nothing":               {func(*EndpointConfig) {}, nil},
		"order of projects":     {func(c *EndpointConfig) { c.Connect.Projects = []string{"a", "b"} }, nil},
		"a project":             {func(c *EndpointConfig) { c.Connect.Projects = []string{"a"} }, []string{connect}},
		"an automation":         {func(c *EndpointConfig) { c.Connect.Automation = nil }, []string{connect}},
		"logging left out":      {func(c *EndpointConfig) { c.RequestLogging = RequestLogging{} }, []string{logging}},
		"rate":                  {func(c *EndpointConfig) { c.RequestLogging.SamplingRate = 1 }, []string{logging}},
		"destination":           {func(c *EndpointConfig) { c.RequestLogging.Destination = "bq://p.e" }, []string{logging}},
		"destination's project": {func(c *EndpointConfig) { c.RequestLogging.Destination = "bq://p" }, nil}, // the rest was made
		"destination left out":  {func(c *EndpointConfig) { c.RequestLogging.Destination = "" }, nil},
		"part of a name":        {func(c *EndpointConfig) { c.RequestLogging.Destination = "bq://p.d.ta" }, []string{logging}},
		"timeout":               {func(c *EndpointConfig) { c.InferenceTimeout = time.Minute }, nil}, // which has a call of its own
	} {
		want := everyField()
		c.change(&want)
		if got := want.changes(everyField()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := (EndpointConfig{RequestLogging: RequestLogging{SamplingRate: 1}}).changes(EndpointConfig{}); got != nil {
		t.Errorf("logging that is off is changed: %v", got)
	}
}

// A whole endpoint is made, changed and deleted through the API.
func TestConfiguredEndpoint(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	spec := reviews("1")
	spec.Config = everyField()
	spec.Deployments["main"] = Deployment{model("bert", "1"), small(2, 2), Settings{ServiceAccount: "a@b"}}
	e := must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
	if !reflect.DeepEqual(e.Config, everyField()) || !e.Deployed[0].SelfMade() {
		t.Errorf("made %+v", e)
	}
	spec.Config.RequestLogging, spec.Config.InferenceTimeout = RequestLogging{}, time.Hour
	spec.Config.Connect.Projects = []string{"a", "b", "c"}
	r := small(3, 5)
	r.RequiredReplicas, r.Targets = 1, map[string]int32{metricCPU: 75}
	spec.Deployments["main"] = Deployment{model("bert", "1"), r, Settings{ServiceAccount: "a@b", NoContainerLogging: true}}
	f.effects = map[string]int{}
	e = must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	if e.Config.RequestLogging.Enabled || e.Config.InferenceTimeout != time.Hour || len(e.Config.Connect.Projects) != 3 || e.Config.KMSKey == "" {
		t.Errorf("changed to %+v", e.Config)
	}
	if d := e.Deployed[0]; !d.Resources.Same(r) || !d.Settings.NoContainerLogging || f.effects["deploy"] != 0 || f.effects["mutate"] != 1 {
		t.Errorf("changed to %+v by %v", d, f.effects)
	}
	f.effects = map[string]int{}
	must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	if len(f.effects) != 0 {
		t.Errorf("an update of nothing did %v", f.effects)
	}
}

// A change that the server reports and does not make is an error, and ends.
func TestEndpointConfigWithoutEffect(t *testing.T) {
	for lie, want := range map[string]string{"logging": "predict_request_response_logging_config", "timeout": "inference timeout"} {
		f, s := newFake(t)
		must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		spec := reviews("1")
		must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
		f.lies = map[string]bool{lie: true}
		spec.Config.RequestLogging, spec.Config.InferenceTimeout = RequestLogging{true, 1, "bq://p"}, time.Minute
		_, err := s.UpdateEndpoint(t.Context(), spec, Report{})
		var none *NoEffectError
		if !errors.As(err, &none) || !strings.Contains(none.Step, want) {
			t.Errorf("%s: %v", lie, err)
		}
	}
}
