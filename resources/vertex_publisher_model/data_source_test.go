// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexpublishermodel_test

import (
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

func data(arguments string) string {
	return "data \"gcpml_vertex_publisher_model\" \"m\" {\n  " + arguments + "\n}\n"
}

// stack uploads and deploys one of the deployments of the data source as it is.
func stack(number string) string {
	return `
locals {
  chosen = data.gcpml_vertex_publisher_model.m.deployments[` + number + `]
}

resource "gcpml_vertex_model_upload" "m" {
  display_name      = "open model"
  artifact_uri      = local.chosen.artifact_uri
  container_spec    = local.chosen.container_spec
  predict_schemata  = data.gcpml_vertex_publisher_model.m.predict_schemata
  base_model_source = data.gcpml_vertex_publisher_model.m.base_model_source
}

resource "gcpml_vertex_endpoint_deployment" "m" {
  display_name = "open model"
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.m.versioned_name
      dedicated_resources = local.chosen.dedicated_resources
    }
  }
}
`
}

func at(steps ...any) tfjsonpath.Path {
	first, _ := steps[0].(string)
	path := tfjsonpath.New(first)
	for _, s := range steps[1:] {
		switch s := s.(type) {
		case string:
			path = path.AtMapKey(s)
		case int:
			path = path.AtSliceIndex(s)
		}
	}
	return path
}

const address = "data.gcpml_vertex_publisher_model.m"

func has(value knownvalue.Check, steps ...any) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, at(steps...), value)
}

func is(value string, steps ...any) statecheck.StateCheck {
	return has(knownvalue.StringExact(value), steps...)
}

func null(steps ...any) statecheck.StateCheck { return has(knownvalue.Null(), steps...) }

// vllm is the first deployment of gemma3.json.
var vllm = []statecheck.StateCheck{
	is("publishers/google/models/gemma3@gemma-3-1b-it", "id"), is("publishers/google/models/gemma3", "name"), is("gemma-3-1b-it", "version_id"), is("us-central1", "location"),
	is("GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT", "open_source_category"), is("GA", "launch_stage"), is("VERSION_STATE_STABLE", "version_state"),
	is("vLLM", "frameworks", 1), is("projects/{user-project}/locations/{location}/publishers/google/models/gemma3@gemma-3-1b-it", "template"),
	is("publishers/google/models/gemma3", "base_model_source", "model_garden_source", "public_model_name"), is("gemma-3-1b-it", "base_model_source", "model_garden_source", "version_id"),
	has(knownvalue.Bool(false), "hugging_face"), has(knownvalue.ListSizeExact(2), "deployments"), null("predict_schemata"),

	is("Gemma 3 1B on vLLM", "deployments", 0, "title"), is("vLLM 32K context", "deployments", 0, "deploy_task_name"), is("gemma-3-1b-it", "deployments", 0, "model_display_name"),
	is("VERIFIED_DEPLOYMENT_SUCCEED", "deployments", 0, "labels", "VERIFIED_DEPLOYMENT_CONFIG"),
	is(`{"instances": [{"prompt": "What is a car?", "max_tokens": 50}]}`, "deployments", 0, "sample_request"),
	null("deployments", 0, "artifact_uri"), // the signed address is not shown

	is("us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve:20250312_0916_RC01", "deployments", 0, "container_spec", "image_uri"),
	is("vllm.entrypoints.api_server", "deployments", 0, "container_spec", "command", 2), is("--port=8080", "deployments", 0, "container_spec", "args", 1),
	is("MODEL_ID", "deployments", 0, "container_spec", "env", 0, "name"), is("google/gemma-3-1b-it", "deployments", 0, "container_spec", "env", 0, "value"),
	null("deployments", 0, "container_spec", "ports") /* 8080 is the default */, null("deployments", 0, "container_spec", "grpc_ports"),
	is("/generate", "deployments", 0, "container_spec", "predict_route"), is("/ping", "deployments", 0, "container_spec", "health_route"),
	is("7200s", "deployments", 0, "container_spec", "deployment_timeout"), has(knownvalue.Int64Exact(16384), "deployments", 0, "container_spec", "shared_memory_size_mb"),
	is("/ping", "deployments", 0, "container_spec", "startup_probe", "http_get", "path"), has(knownvalue.Int32Exact(360), "deployments", 0, "container_spec", "startup_probe", "failure_threshold"),
	null("deployments", 0, "container_spec", "startup_probe", "exec"), null("deployments", 0, "container_spec", "health_probe"),

	is("g2-standard-12", "deployments", 0, "dedicated_resources", "machine_type"), is("NVIDIA_L4", "deployments", 0, "dedicated_resources", "accelerator_type"),
	has(knownvalue.Int32Exact(1), "deployments", 0, "dedicated_resources", "accelerator_count"), has(knownvalue.Int32Exact(1), "deployments", 0, "dedicated_resources", "min_replica_count"),
	null("deployments", 0, "dedicated_resources", "max_replica_count"), null("deployments", 0, "automatic_resources"),
}

// hexLLM is the second one.
var hexLLM = []statecheck.StateCheck{
	has(knownvalue.Int32Exact(7080), "deployments", 1, "container_spec", "ports", 0, "container_port"),
	is("gs://vertex-model-garden-restricted-us/gemma3/gemma-3-1b-it", "deployments", 1, "artifact_uri"), is("ct5lp-hightpu-4t", "deployments", 1, "dedicated_resources", "machine_type"),
	is("2x2", "deployments", 1, "dedicated_resources", "tpu_topology"), null("deployments", 1, "dedicated_resources", "accelerator_type"), null("deployments", 1, "dedicated_resources", "accelerator_count"),
	has(knownvalue.Int32Exact(3), "deployments", 1, "dedicated_resources", "max_replica_count"), null("deployments", 1, "deploy_task_name"), null("deployments", 1, "labels"),
}

// A model of Model Garden is read, and goes through the two resources: created,
// planned empty, changed, imported, destroyed with nothing left.
func TestAccVertexPublisherModel(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, acctest.ModelGarden(t)...)
	gemma := data(`model = "google/gemma3@gemma-3-1b-it"`)
	sizes := func(machine string, replicas int32) []statecheck.StateCheck {
		deployed := tfjsonpath.New("deployed").AtMapKey("main")
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue("gcpml_vertex_endpoint_deployment.m", deployed.AtMapKey("machine_type"), knownvalue.StringExact(machine)),
			statecheck.ExpectKnownValue("gcpml_vertex_endpoint_deployment.m", deployed.AtMapKey("max_replica_count"), knownvalue.Int32Exact(replicas)),
		}
	}
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: tw.Config(gemma + stack("0")), ConfigStateChecks: append(append(sizes("g2-standard-12", 1), vllm...), hexLLM...)},
			{Config: tw.Config(gemma + stack("0")), ConfigPlanChecks: empty},
			{ResourceName: "gcpml_vertex_model_upload.m", ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: tw.HiddenOfModels(t)},
			{ResourceName: "gcpml_vertex_endpoint_deployment.m", ImportState: true, ImportStateVerify: true},
			{Config: tw.Config(gemma + stack("1")), ConfigStateChecks: sizes("ct5lp-hightpu-4t", 3)},
			{Config: tw.Config(gemma + stack("1")), ConfigPlanChecks: empty},
		},
	})
}

// The three forms of a name, in either case, and a model of Hugging Face.
func TestAccVertexPublisherModelNames(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, acctest.ModelGarden(t)...)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: tw.Config(data(`model = "publishers/google/models/Gemma3@gemma-3-1b-it"`)), ConfigStateChecks: vllm},
			{Config: tw.Config(data(`model = "publishers/google/models/gemma3"`)), ConfigStateChecks: vllm},
			{Config: tw.Config(data("model = \"google/gemma3@gemma-3-1b-it\"\n  location = \"europe-west4\"")), ConfigStateChecks: []statecheck.StateCheck{is("europe-west4", "location")}},
			{
				Config: tw.Config(data(`model = "Qwen/Qwen2-0.5B-Instruct"`) + stack("0")),
				ConfigStateChecks: []statecheck.StateCheck{
					has(knownvalue.Bool(true), "hugging_face"), is("Qwen/Qwen2-0.5B-Instruct", "deployments", 0, "container_spec", "env", 0, "value"),
					is("g2-standard-4", "deployments", 0, "dedicated_resources", "machine_type"), null("deployments", 0, "dedicated_resources", "max_replica_count"),
				},
			},
			{
				Config: tw.Config(data(`model = "publishers/google/models/gemini-2.5-flash"`)),
				ConfigStateChecks: []statecheck.StateCheck{
					has(knownvalue.ListSizeExact(0), "deployments"), is("PROPRIETARY", "open_source_category"),
					is("gs://google-cloud-aiplatform/schema/predict/instance/text_generation_1.0.0.yaml", "predict_schemata", "instance_schema_uri"),
				},
			},
			{Config: tw.Config(data(`model = "google/gemma3@gemma-3-27b-it"`)), ExpectError: regexp.MustCompile(`(?s)Unable to read publisher model "google/gemma3@gemma-3-27b-it".*not\s+found`)},
			{Config: tw.Config(data(`model = "nobody/nothing"`)), ExpectError: regexp.MustCompile(`(?s)Unable to read publisher model "nobody/nothing".*not\s+found`)},
		},
	})
}

// A token for gated weights goes beside what Google proposes, and into no state.
func TestAccVertexPublisherModelToken(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, acctest.ModelGarden(t)...)
	cli := tw.NewCLI(t, tw.Config(data(`model = "Qwen/Qwen2-0.5B-Instruct"`)+strings.Replace(stack("0"), "local.chosen.container_spec", `merge(local.chosen.container_spec, {
    env = concat(local.chosen.container_spec.env, [{ name = "HF_TOKEN", value_wo = "hf_hush", value_wo_version = 1 }])
  })`, 1)))
	cli.Must("apply", "-auto-approve", "-no-color")
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan after apply is not empty (exit code %d):\n%s", exit, out)
	}
	if state := cli.Must("state", "pull"); !strings.Contains(state, "HF_TOKEN") || !strings.Contains(state, "NUM_SHARD") || strings.Contains(state, "hf_hush") {
		t.Errorf("state %s", state)
	}
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: "projects/" + acctest.Project + "/locations/" + acctest.Region + "/models/open_model"})
	if err != nil {
		t.Fatal(err)
	}
	if env := m.GetContainerSpec().GetEnv(); tw.Assumed(t, "container-spec-echo") == "yes" && (len(env) != 5 || env[0].GetValue() != "Qwen/Qwen2-0.5B-Instruct" || env[4].GetValue() != "hf_hush") {
		t.Errorf("the server has %v", env)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

func TestAccVertexPublisherModelInvalid(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	var steps []resource.TestStep
	for _, c := range [][2]string{
		{`model = "gemma3"`, `Invalid model`},
		{`model = "publishers/google/gemma3"`, `Invalid model`},
		{`model = "google/models/gemma3"`, `Invalid model`},
		{`model = "google/gemma 3@1"`, `Invalid model`},
		{"model = \"google/gemma3@1\"\n  location = \"?\"", `Invalid location`},
	} {
		steps = append(steps, resource.TestStep{Config: tw.Config(data(c[0])), PlanOnly: true, ExpectError: regexp.MustCompile(c[1])})
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: steps})
	if calls := tw.Calls(t); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

// What is not known at plan is read, uploaded and deployed by the apply.
func TestAccVertexPublisherModelUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, acctest.ModelGarden(t)...)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{{
			Config: tw.Config(`
resource "terraform_data" "u" {
  input = { model = "google/gemma3@gemma-3-1b-it", location = "us-central1" }
}
` + data("model = terraform_data.u.output.model\n  location = terraform_data.u.output.location") + stack("0")),
			ConfigStateChecks: vllm,
		}},
	})
}
