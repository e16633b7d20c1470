// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	address = "gcpml_vertex_endpoint_deployment.test"
	id      = "projects/demo-gcpml/locations/us-central1/endpoints/reviews"
	models  = "projects/demo-gcpml/locations/us-central1/models/"
	image   = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
)

// models_ are two models; release changes what the first one holds.
func twoModels(release string) string {
	return fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "a" {
  display_name   = "a"
  artifact_uri   = "gs://bucket/%s/"
  container_spec = { image_uri = %q }
}

resource "gcpml_vertex_model_upload" "b" {
  display_name   = "b"
  artifact_uri   = "gs://bucket/b/"
  container_spec = { image_uri = %q }
}
`, release, image, image)
}

const (
	modelA = "gcpml_vertex_model_upload.a.versioned_name"
	modelB = "gcpml_vertex_model_upload.b.versioned_name"
)

// deploy is one entry of deployments.
func deploy(key, model, resources string) string {
	return fmt.Sprintf("    %s = { model = %s, dedicated_resources = { %s } }\n", key, model, resources)
}

const small = `machine_type = "n1-standard-2", min_replica_count = 1`

// endpoint is an endpoint with these deployments and further arguments.
func endpoint(deployments string, arguments ...string) string {
	return fmt.Sprintf("resource \"gcpml_vertex_endpoint_deployment\" \"test\" {\n  display_name = \"Reviews\"\n  deployments = {\n%s  }\n  %s\n}\n",
		deployments, strings.Join(arguments, "\n  "))
}

func planned(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)}}
}

func updates(more ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: append([]plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
		// What refers to the endpoint must not see a change.
		plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(id)),
		plancheck.ExpectKnownValue(address, tfjsonpath.New("endpoint_id"), knownvalue.StringExact("reviews")),
	}, more...)}
}

func has(path tfjsonpath.Path, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, path, value)
}

func text(s string) knownvalue.Check { return knownvalue.StringExact(s) }

func traffic(shares map[string]int32) statecheck.StateCheck {
	want := map[string]knownvalue.Check{}
	for k, v := range shares {
		want[k] = knownvalue.Int32Exact(v)
	}
	return has(tfjsonpath.New("effective_traffic"), knownvalue.MapExact(want))
}

func deployedAt(key, attribute string) tfjsonpath.Path {
	return tfjsonpath.New("deployed").AtMapKey(key).AtMapKey(attribute)
}

func imports(ids ...string) []resource.TestStep {
	var steps []resource.TestStep
	for _, id := range ids {
		steps = append(steps, resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true})
	}
	return steps
}

func run(t *testing.T, tw *acctest.Twin, steps ...resource.TestStep) {
	t.Helper()
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
}

func TestAccEndpoint(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	same := statecheck.CompareValue(sameValue{})
	differs := statecheck.CompareValue(differentValue{})
	steps := []resource.TestStep{{
		Config:           tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small))),
		ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
		ConfigStateChecks: []statecheck.StateCheck{
			has(tfjsonpath.New("id"), text(id)), has(tfjsonpath.New("endpoint_id"), text("reviews")),
			has(tfjsonpath.New("dedicated_endpoint_dns"), text("")),
			has(deployedAt("main", "model"), text(models+"a")), has(deployedAt("main", "model_version_id"), text("1")),
			has(deployedAt("main", "max_replica_count"), knownvalue.Int32Exact(1)),
			traffic(map[string]int32{"main": 100}),
			same.AddStateValue(address, tfjsonpath.New("id")),
			differs.AddStateValue(address, deployedAt("main", "id")),
		},
	}}
	steps = append(steps, imports(id, "demo-gcpml/us-central1/reviews", "us-central1/reviews")...)
	steps = append(steps, resource.TestStep{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID}) // an empty plan
	steps = append(steps,
		resource.TestStep{ // replicas and metadata in place: the deployed model stays
			Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelA, `machine_type = "n1-standard-2", min_replica_count = 2, max_replica_count = 4`),
				`description = "film reviews"`, `labels = { team = "ml" }`)),
			ConfigPlanChecks: updates(plancheck.ExpectUnknownValue(address, tfjsonpath.New("deployed"))),
			ConfigStateChecks: []statecheck.StateCheck{
				has(deployedAt("main", "min_replica_count"), knownvalue.Int32Exact(2)), has(deployedAt("main", "max_replica_count"), knownvalue.Int32Exact(4)),
				has(deployedAt("main", "model_version_id"), text("1")),
			},
		},
	)
	steps = append(steps, imports(id)...)
	steps = append(steps,
		resource.TestStep{ // metadata alone leaves what is deployed known
			Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelA, `machine_type = "n1-standard-2", min_replica_count = 2, max_replica_count = 4`))),
			ConfigPlanChecks: updates(plancheck.ExpectKnownValue(address, deployedAt("main", "model_version_id"), text("1")),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("effective_traffic").AtMapKey("main"), knownvalue.Int32Exact(100))),
		},
		resource.TestStep{ // a new version is rolled out in place
			Config:           tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small))),
			ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				has(deployedAt("main", "model_version_id"), text("2")), traffic(map[string]int32{"main": 100}),
				same.AddStateValue(address, tfjsonpath.New("id")),
				differs.AddStateValue(address, deployedAt("main", "id")),
			},
		},
		resource.TestStep{ // a canary
			Config:           tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small)+deploy("canary", modelB, small), "traffic = { main = 90, canary = 10 }")),
			ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"main": 90, "canary": 10}), has(deployedAt("canary", "model"), text(models+"b")),
			},
		},
	)
	steps = append(steps, imports(id)...)
	steps = append(steps,
		resource.TestStep{ // traffic alone
			Config:           tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small)+deploy("canary", modelB, small), "traffic = { canary = 100 }")),
			ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"main": 0, "canary": 100}),
			},
		},
		resource.TestStep{ // another machine is a roll-out; one key goes
			Config: tw.Config(twoModels("2") + endpoint(deploy("canary", modelB,
				`machine_type = "n1-standard-4", accelerator_type = "NVIDIA_TESLA_T4", accelerator_count = 1, min_replica_count = 1, max_replica_count = 1`))),
			ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"canary": 100}), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(1)),
				has(deployedAt("canary", "accelerator_type"), text("NVIDIA_TESLA_T4")),
			},
		},
		resource.TestStep{ // nothing deployed
			Config:            tw.Config(twoModels("2") + endpoint("")),
			ConfigPlanChecks:  updates(),
			ConfigStateChecks: []statecheck.StateCheck{traffic(nil)},
		},
	)
	steps = append(steps, imports(id)...)
	run(t, tw, steps...)
}

// sameValue and differentValue compare a value over the steps of a test.
type sameValue struct{}

func (sameValue) CompareValues(values ...any) error {
	for _, v := range values[1:] {
		if v != values[0] {
			return fmt.Errorf("%v became %v", values[0], v)
		}
	}
	return nil
}

type differentValue struct{}

func (differentValue) CompareValues(values ...any) error {
	for _, v := range values[1:] {
		if v == values[0] {
			return fmt.Errorf("%v stayed", v)
		}
	}
	return nil
}

func TestAccEndpointAssumptions(t *testing.T) {
	for _, flags := range [][]string{
		{"--assume", "project-in-names=id"},
		{"--assume", "missing-traffic-split=error"},
		{"--assume", "container-spec-echo=no"},
		{"--operation-latency", "500ms", "--deploy-latency", "1s"},
	} {
		t.Run(flags[1], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			run(
				t, tw,
				resource.TestStep{Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)))},
				resource.TestStep{
					Config:           tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small)+deploy("other", modelB, small), "traffic = { main = 50, other = 50 }")),
					ConfigPlanChecks: updates(),
				},
			)
		})
	}
}

// A model without a version means the one that is the default when the deployment
// is made; it is rolled out again only when the deployment changes.
func TestAccEndpointUnversionedModel(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(release, model, resources string) string {
		return tw.Config(twoModels(release) + endpoint(deploy("main", model, resources)))
	}
	const unversioned = "gcpml_vertex_model_upload.a.id"
	run(
		t, tw,
		resource.TestStep{Config: with("1", unversioned, small), ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("1"))}},
		resource.TestStep{
			Config:           with("2", unversioned, small),
			ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
		resource.TestStep{
			Config:            with("2", unversioned, `machine_type = "n1-standard-2", min_replica_count = 2`),
			ConfigPlanChecks:  updates(),
			ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("1")), has(deployedAt("main", "min_replica_count"), knownvalue.Int32Exact(2))},
		},
		resource.TestStep{
			Config:            with("2", `"${gcpml_vertex_model_upload.a.id}@default"`, small),
			ConfigPlanChecks:  updates(),
			ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("2"))},
		},
		// An API URL of the same name is no change.
		resource.TestStep{
			Config:           with("2", `"https://us-central1-aiplatform.googleapis.com/v1/${gcpml_vertex_model_upload.a.id}@default"`, small),
			ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
	)
}

// client is for what happens behind Terraform's back.
func client(t *testing.T, tw *acctest.Twin) *aiplatform.EndpointClient {
	t.Helper()
	c, err := tw.Clients(t).Endpoints(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, tw *acctest.Twin) *pb.Endpoint {
	t.Helper()
	e, err := client(t, tw).GetEndpoint(t.Context(), &pb.GetEndpointRequest{Name: id})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func idOf(e *pb.Endpoint, key string) string {
	for _, d := range e.GetDeployedModels() {
		if d.GetDisplayName() == key {
			return d.GetId()
		}
	}
	return ""
}

func patch(t *testing.T, tw *acctest.Twin, e *pb.Endpoint, paths ...string) {
	t.Helper()
	e.Name = id
	if _, err := client(t, tw).UpdateEndpoint(t.Context(), &pb.UpdateEndpointRequest{Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}); err != nil {
		t.Fatal(err)
	}
}

func undeploy(t *testing.T, tw *acctest.Twin, key string, split map[string]int32) {
	t.Helper()
	op, err := client(t, tw).UndeployModel(t.Context(), &pb.UndeployModelRequest{Endpoint: id, DeployedModelId: idOf(read(t, tw), key), TrafficSplit: split})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deployForeign deploys model b as somebody else would, with this share.
func deployForeign(t *testing.T, tw *acctest.Twin, share int32) {
	t.Helper()
	split := map[string]int32{"0": share}
	if share < 100 {
		split[idOf(read(t, tw), "main")] = 100 - share
	}
	op, err := client(t, tw).DeployModel(t.Context(), &pb.DeployModelRequest{
		Endpoint: id, TrafficSplit: split,
		DeployedModel: &pb.DeployedModel{
			Model: models + "b", DisplayName: "theirs",
			PredictionResources: &pb.DeployedModel_DedicatedResources{DedicatedResources: &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-8"}, MinReplicaCount: 1}},
		},
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccEndpointDrift(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)+deploy("canary", modelB, small), "traffic = { main = 90, canary = 10 }",
		`description = "film reviews"`, `labels = { team = "ml" }`))
	steps := []resource.TestStep{{Config: config}}
	for _, change := range []func(){
		func() { patch(t, tw, &pb.Endpoint{DisplayName: "changed"}, "display_name") },
		func() { patch(t, tw, &pb.Endpoint{Description: "changed"}, "description") },
		func() { patch(t, tw, &pb.Endpoint{Labels: map[string]string{"team": "changed"}}, "labels") },
		func() {
			e := read(t, tw)
			patch(t, tw, &pb.Endpoint{TrafficSplit: map[string]int32{idOf(e, "main"): 50, idOf(e, "canary"): 50}}, "traffic_split")
		},
		func() { patch(t, tw, &pb.Endpoint{}, "traffic_split") }, // blanked
		func() {
			op, err := client(t, tw).MutateDeployedModel(t.Context(), &pb.MutateDeployedModelRequest{
				Endpoint: id, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"}},
				DeployedModel: &pb.DeployedModel{Id: idOf(read(t, tw), "main"), PredictionResources: &pb.DeployedModel_DedicatedResources{
					DedicatedResources: &pb.DedicatedResources{MinReplicaCount: 2, MaxReplicaCount: 5},
				}},
			})
			if err == nil {
				_, err = op.Wait(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		func() { undeploy(t, tw, "canary", map[string]int32{idOf(read(t, tw), "main"): 100}) },
		func() {
			undeploy(t, tw, "canary", map[string]int32{idOf(read(t, tw), "main"): 100})
			undeploy(t, tw, "main", nil)
		},
	} {
		steps = append(steps, resource.TestStep{
			PreConfig: change, Config: config, ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"main": 90, "canary": 10}), has(tfjsonpath.New("description"), text("film reviews")),
				has(deployedAt("main", "max_replica_count"), knownvalue.Int32Exact(1)),
			},
		})
	}
	steps = append(steps, resource.TestStep{ // the endpoint is gone
		PreConfig: func() {
			undeploy(t, tw, "canary", map[string]int32{idOf(read(t, tw), "main"): 100})
			undeploy(t, tw, "main", nil)
			op, err := client(t, tw).DeleteEndpoint(t.Context(), &pb.DeleteEndpointRequest{Name: id})
			if err == nil {
				err = op.Wait(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		Config: config, ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
	})
	run(t, tw, steps...)
}

// With traffic left out, too, a change of the split is seen.
func TestAccEndpointDriftOfImpliedTraffic(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)))
	run(
		t, tw,
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() { patch(t, tw, &pb.Endpoint{}, "traffic_split") },
			Config:    config, ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 100})},
		},
	)
}

func TestAccEndpointForeignModel(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	base := twoModels("1") + endpoint(deploy("main", modelA, small))
	forced := twoModels("2") + endpoint(deploy("main", modelA, small), "force_destroy = true")
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(base)},
		resource.TestStep{ // it is not ours to show as drift
			PreConfig: func() { deployForeign(t, tw, 20) },
			Config:    tw.Config(base), ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
		resource.TestStep{ // nor to undeploy
			Config: tw.Config(base), Destroy: true,
			ExpectError: regexp.MustCompile(`(?s)also serves.*"theirs".*force_destroy\s+=\s+true`),
		},
		resource.TestStep{ // a roll-out leaves its share alone
			Config: tw.Config(forced), ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 80}), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(1))},
		},
		resource.TestStep{
			RefreshState: true,
			Check: func(*terraform.State) error {
				e := read(t, tw)
				if share := e.GetTrafficSplit()[idOf(e, "theirs")]; share != 20 {
					return fmt.Errorf("the foreign model has %d%% of the traffic, want 20", share)
				}
				return nil
			},
		},
	) // and the final destroy undeploys it
}

func TestAccEndpointInvalid(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	const m = `"projects/demo-gcpml/locations/us-central1/models/a@1"`
	main, other := deploy("main", m, small), deploy("other", m, small)
	for name, c := range map[string]struct{ config, want string }{
		"endpoint id":        {endpoint(main, `endpoint_id = "Reviews"`), `Invalid endpoint id`},
		"endpoint id's end":  {endpoint(main, `endpoint_id = "reviews-"`), `Invalid endpoint id`},
		"long number":        {endpoint(main, `endpoint_id = "1234567890"`), `Invalid endpoint id`},
		"sum":                {endpoint(main+other, "traffic = { main = 90, other = 11 }"), `sum\s+to\s+101`},
		"unknown key":        {endpoint(main, "traffic = { mian = 100 }"), `traffic\s+names\s+"mian",\s+but\s+deployments\s+has\s+only:\s+main`},
		"negative":           {endpoint(main+other, "traffic = { main = -10, other = 110 }"), `Invalid percentage`},
		"missing traffic":    {endpoint(main + other), `Missing traffic`},
		"traffic of nothing": {endpoint("", "traffic = { main = 100 }"), `Unknown deployment`},
		"machine type":       {endpoint(deploy("main", m, `machine_type = "", min_replica_count = 1`)), `machine_type`},
		"no machine type":    {endpoint(deploy("main", m, `min_replica_count = 1`)), `machine_type`},
		"no replicas":        {endpoint(deploy("main", m, `machine_type = "n1-standard-2", min_replica_count = 0`)), `min_replica_count`},
		"max below min":      {endpoint(deploy("main", m, `machine_type = "n1-standard-2", min_replica_count = 3, max_replica_count = 2`)), `max_replica_count \(2\)\s+must`},
		"accelerator type":   {endpoint(deploy("main", m, small+`, accelerator_type = "NVIDIA_H9000", accelerator_count = 1`)), `Invalid accelerator_type`},
		"accelerator alone":  {endpoint(deploy("main", m, small+`, accelerator_type = "NVIDIA_L4"`)), `Missing accelerator_count`},
		"count alone":        {endpoint(deploy("main", m, small+`, accelerator_count = 1`)), `Missing accelerator_type`},
		"model":              {endpoint(deploy("main", `"bert"`, small)), `Invalid model`},
		"endpoint as model":  {endpoint(deploy("main", `"projects/p/locations/us-central1/endpoints/e"`, small)), `Invalid model`},
		"empty key":          {endpoint(deploy(`""`, m, small)), `Invalid deployment key`},
		"location":           {endpoint(main, `location = "US"`), `Invalid location`},
		"label":              {endpoint(main, `labels = { team = "ML" }`), `Invalid label value`},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, tw, resource.TestStep{Config: tw.Config(c.config), PlanOnly: true, ExpectError: regexp.MustCompile(c.want)})
		})
	}
}

// A deployment that fails is an error; the endpoint stays in the state, and what
// served goes on serving.
func TestAccEndpointFailedDeployment(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	missing := deploy("main", `"`+models+`nothing@1"`, small)
	broken := strings.Replace(twoModels("1"), "tf2-cpu.2-15:latest", "no-such-server:latest", 1)
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(endpoint(missing)), ExpectError: regexp.MustCompile(`(?s)nothing@1.*untaint`)},
		resource.TestStep{Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelB, small))), ConfigPlanChecks: planned(plancheck.ResourceActionReplace)},
		resource.TestStep{
			Config:      tw.Config(broken + endpoint(deploy("main", modelA, small))),
			ExpectError: regexp.MustCompile(`(?s)Unable to update endpoint "reviews".*deploying "main".*operation`),
		},
		resource.TestStep{
			RefreshState: true, ExpectNonEmptyPlan: true,
			Check: func(*terraform.State) error {
				e := read(t, tw)
				if d := e.GetDeployedModels(); len(d) != 1 || e.GetTrafficSplit()[d[0].GetId()] != 100 || !strings.HasSuffix(strings.TrimSuffix(d[0].GetModel(), "@1"), "/b") {
					return fmt.Errorf("what served does not any more: %v", e)
				}
				return nil
			},
		},
		resource.TestStep{Config: tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small))), ConfigPlanChecks: updates()},
	)
}

// Every argument may be unknown at plan.
func TestAccEndpointUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(replicas int) string {
		return tw.Config(twoModels("1") + fmt.Sprintf(`
resource "terraform_data" "fixed" {
  input = { project = "demo-gcpml", location = "us-central1", id = "reviews" }
}

resource "terraform_data" "u" {
  input = {
    name = "Reviews", text = "some", machine = "n1-standard-2", replicas = %d, share = 60
    all  = { one = { model = %s, dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1, max_replica_count = 1, accelerator_type = "NVIDIA_L4", accelerator_count = 1 } } }
    part = { min_replica_count = 1, machine_type = "n1-standard-2", max_replica_count = 1, accelerator_type = "NVIDIA_L4", accelerator_count = 1 }
  }
}

locals {
  fixed = terraform_data.fixed.output
  u     = terraform_data.u.output
}

resource "gcpml_vertex_endpoint_deployment" "test" {
  project      = local.fixed.project
  location     = local.fixed.location
  endpoint_id  = local.fixed.id
  display_name = local.u.name
  description  = local.u.text
  labels       = { team = local.u.text }
  deployments = {
    main  = { model = %s, dedicated_resources = { machine_type = local.u.machine, min_replica_count = local.u.replicas } }
    other = { model = %s, dedicated_resources = local.u.part }
  }
  traffic = { main = local.u.share, other = 100 - local.u.share }
}

resource "gcpml_vertex_endpoint_deployment" "whole" {
  display_name = "whole ${local.u.name}"
  deployments  = local.u.all
}
`, replicas, modelB, modelA, modelB))
	}
	run(
		t, tw,
		resource.TestStep{Config: config(1), ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 60, "other": 40})}},
		resource.TestStep{Config: config(2), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "min_replica_count"), knownvalue.Int32Exact(2))}},
		// What was unknown is checked when it is known, before anything is done.
		resource.TestStep{Config: config(0), ExpectError: regexp.MustCompile(`Invalid min_replica_count`)},
	)
}
