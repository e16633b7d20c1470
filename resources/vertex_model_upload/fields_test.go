// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"slices"
	"strings"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const key = "projects/demo-gcpml/locations/us-central1/keyRings/ring/cryptoKeys/key"

// everyField is a configuration of all that a version can hold.
const everyField = `
resource "gcpml_vertex_model_upload" "test" {
  model_id                = "bert"
  display_name            = "Bert"
  description             = "reviews"
  labels                  = { team = "ml" }
  artifact_uri            = "gs://bucket/v1/"
  artifact_revision       = "r1"
  detect_artifact_changes = true
  metadata_schema_uri     = "gs://bucket/metadata.yaml"
  metadata                = jsonencode({ trained = { on = ["2026-11-22"], rows = 1000 } })
  version_description     = "the first one"
  version_aliases         = ["default", "golden"]
  keep_versions           = 1
  encryption_spec         = { kms_key_name = "` + key + `" }
  base_model_source       = { model_garden_source = { public_model_name = "publishers/google/models/gemma3", version_id = "gemma-3-1b-it" } }
  predict_schemata = {
    instance_schema_uri   = "gs://bucket/instance.yaml"
    parameters_schema_uri = "gs://bucket/parameters.yaml"
    prediction_schema_uri = "gs://bucket/prediction.yaml"
  }
  container_spec = {
    image_uri             = "` + image + `"
    command               = ["/serve", "--config"]
    args                  = ["$(A)"]
    env                   = [{ name = "A", value = "1" }, { name = "KEY", value_wo = "hush", value_wo_version = 1 }]
    ports                 = [{ container_port = 9090 }]
    grpc_ports            = [{ container_port = 9091 }]
    predict_route         = "/predict"
    health_route          = "/health"
    deployment_timeout    = "30m"
    shared_memory_size_mb = 64
    startup_probe         = { exec = { command = ["cat", "/ready"] }, failure_threshold = 30 }
    health_probe = {
      http_get              = { path = "/ready", port = 9090, host = "localhost", scheme = "HTTPS", http_headers = [{ name = "X-Probe", value = "1" }] }
      period_seconds        = 5
      timeout_seconds       = 2
      success_threshold     = 2
      initial_delay_seconds = 3
    }
    liveness_probe = { grpc = { port = 9091, service = "health" } }
  }
}
`

// notGivenBack is what an import cannot see.
var notGivenBack = []string{
	"artifact_revision", "artifact_fingerprint", "detect_artifact_changes", "keep_versions", "metadata_schema_uri", "predict_schemata", "container_spec.env.1.value_wo_version",
	"container_spec.deployment_timeout", // spelled 1800s
}

func TestAccModelEveryField(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	at := func(steps ...any) tfjsonpath.Path {
		p := tfjsonpath.New("container_spec")
		for _, s := range steps {
			switch s := s.(type) {
			case string:
				p = p.AtMapKey(s)
			case int:
				p = p.AtSliceIndex(s)
			}
		}
		return p
	}
	unchanged := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
		plancheck.ExpectKnownValue(address, tfjsonpath.New("version_id"), knownvalue.StringExact("1")),
	}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{
				Config:           tw.Config(everyField),
				ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
				ConfigStateChecks: []statecheck.StateCheck{
					has("version_id", "1"), has("version_description", "the first one"),
					statecheck.ExpectKnownValue(address, at("env", 1, "value_wo"), knownvalue.Null()),
					statecheck.ExpectKnownValue(address, at("health_probe", "http_get", "http_headers", 0, "name"), knownvalue.StringExact("X-Probe")),
				},
				Check: func(*terraform.State) error {
					m := get(t, tw, id)
					c := m.GetContainerSpec()
					switch {
					case m.GetEncryptionSpec().GetKmsKeyName() != key, m.GetMetadata().GetStructValue().GetFields()["trained"] == nil, m.GetPredictSchemata().GetInstanceSchemaUri() == "",
						m.GetMetadataSchemaUri() == "", !slices.Contains(m.GetVersionAliases(), "golden"), m.GetVersionDescription() != "the first one":
						t.Errorf("the server has %v", m)
					case tw.Assumed(t, "base-model-source-echo") == "yes" && (m.GetBaseModelSource().GetModelGardenSource().GetPublicModelName() != "publishers/google/models/gemma3" ||
						m.GetBaseModelSource().GetModelGardenSource().GetVersionId() != "gemma-3-1b-it"):
						t.Errorf("the base model is %v", m.GetBaseModelSource())
					case tw.Assumed(t, "container-spec-echo") == "no": // not to be seen
					case !slices.Equal(c.GetCommand(), []string{"/serve", "--config"}), !slices.Equal(c.GetArgs(), []string{"$(A)"}), c.GetEnv()[1].GetValue() != "hush",
						c.GetGrpcPorts()[0].GetContainerPort() != 9091, c.GetDeploymentTimeout().GetSeconds() != 1800, c.GetSharedMemorySizeMb() != 64,
						!slices.Equal(c.GetStartupProbe().GetExec().GetCommand(), []string{"cat", "/ready"}), c.GetStartupProbe().GetFailureThreshold() != 30,
						c.GetHealthProbe().GetHttpGet().GetHttpHeaders()[0].GetValue() != "1", c.GetHealthProbe().GetInitialDelaySeconds() != 3,
						c.GetLivenessProbe().GetGrpc().GetService() != "health":
						t.Errorf("the server has %v", m)
					}
					return nil
				},
			},
			{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: append(tw.HiddenOfModels(t), notGivenBack...)},
			{ // other spellings of the same, and what is not of the version, make no version
				Config: tw.Config(strings.NewReplacer(
					`"30m"`, `"1800s"`, `failure_threshold = 30 }`, `failure_threshold = 30, period_seconds = 10, timeout_seconds = 1 }`,
					`jsonencode({ trained = { on = ["2026-11-22"], rows = 1000 } })`, `"{\"trained\": {\"rows\": 1e3, \"on\": [\"2026-11-22\"]}}"`,
					`keep_versions           = 1`, `keep_versions           = 2`, `"gs://bucket/v1/"`, `"gs://bucket/v1"`,
				).Replace(everyField)),
				ConfigPlanChecks: unchanged,
			},
			{Config: tw.Config(everyField), ConfigPlanChecks: unchanged},
		},
	})
}

// Each field of a version makes a new one when it changes.
func TestAccModelEveryFieldMakesAVersion(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := everyField
	steps := []resource.TestStep{{Config: tw.Config(config)}}
	for _, change := range [][2]string{
		{`"r1"`, `"r2"`}, {`rows = 1000`, `rows = 1001`}, {"metadata.yaml", "metadata2.yaml"}, {"models/gemma3", "models/gemma2"}, {"gemma-3-1b-it", "gemma-2-2b-it"}, {"parameters.yaml", "parameters2.yaml"},
		{`"--config"`, `"--other"`}, {`"$(A)"`, `"$$(A)"`}, {`value_wo_version = 1`, `value_wo_version = 2`}, {`container_port = 9091`, `container_port = 9092`},
		{`"30m"`, `"31m"`}, {`= 64`, `= 65`}, {`"/ready"] }`, `"/steady"] }`}, {`"X-Probe"`, `"X-Other"`}, {`service = "health"`, `service = "live"`},
	} {
		config = strings.Replace(config, change[0], change[1], 1)
		steps = append(steps, resource.TestStep{
			Config: tw.Config(config),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate), plancheck.ExpectUnknownValue(address, tfjsonpath.New("version_id")),
			}},
		})
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
}

// Whether Google shows base_model_source is not known: with either answer it stays,
// a change makes a version, and an import takes over what there is.
func TestAccModelBaseModelSource(t *testing.T) {
	for _, echo := range []string{"yes", "no"} {
		t.Run(echo, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--assume", "base-model-source-echo="+echo)
			with := func(name string) string {
				return tw.Config(hcl(minimal+"\nbase_model_source = { model_garden_source = { public_model_name = \"publishers/google/models/"+name+"\" } }", ""))
			}
			imported := resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: tw.HiddenOfModels(t)}
			empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{
					{Config: with("gemma2")},
					{Config: with("gemma2"), ConfigPlanChecks: empty},
					imported,
					{Config: with("gemma3"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")}},
					{Config: with("gemma3"), ConfigPlanChecks: empty},
				},
			})
			cli := tw.NewCLI(t, with("gemma3"))
			cli.Must("apply", "-auto-approve", "-no-color")
			cli.Must("state", "rm", address)
			cli.Must("import", "-no-color", address, id)
			cli.Must("apply", "-auto-approve", "-no-color")
			if versions := tw.Serving(t).Models[0].Versions; len(versions) != 1 {
				t.Errorf("the import made a version: %v", versions)
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
		})
	}
}

// A key cannot be changed; one in another region is refused by the plan.
func TestAccModelKey(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(arguments string) string { return tw.Config(hcl(minimal+"\n"+arguments, "")) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: with("")},
			{Config: with(`encryption_spec = { kms_key_name = "` + key + `" }`), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
			{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: tw.HiddenOfModels(t)},
			{ // a new version has the same key
				Config:           tw.Config(hcl(strings.Replace(minimal, "v1", "v2", 1)+"\n"+`encryption_spec = { kms_key_name = "`+key+`" }`, "")),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")},
			},
			{Config: with(`encryption_spec = { kms_key_name = "` + key + `2" }`), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

func get(t *testing.T, tw *acctest.Twin, name string) *pb.Model {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.GetModel(t.Context(), &pb.GetModelRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
