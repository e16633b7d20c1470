// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodel_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	id    = "projects/demo-gcpml/locations/us-central1/models/bert"
	image = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
	key   = "projects/demo-gcpml/locations/us-central1/keyRings/ring/cryptoKeys/key"
)

const uploads = `
resource "gcpml_vertex_model_upload" "test" {
  model_id            = "bert"
  display_name        = "Bert"
  labels              = { team = "ml" }
  artifact_uri        = "gs://bucket/VERSION/"
  metadata            = jsonencode({ a = 1 })
  version_description = "VERSION"
  version_aliases     = ["default", "VERSION"]
  encryption_spec     = { kms_key_name = "` + key + `" }
  container_spec = {
    image_uri          = "` + image + `"
    command            = ["serve"]
    env                = [{ name = "A", value = "plain" }, { name = "KEY", value_wo = "hush", value_wo_version = 1 }]
    ports              = [{ container_port = 9090 }]
    deployment_timeout = "30m"
  }
}
`

const deployment = `
resource "gcpml_vertex_endpoint_deployment" "test" {
  display_name = "reviews"
  deployments = {
    main = { model = gcpml_vertex_model_upload.test.versioned_name, dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 } }
  }
}
`

func data(name, arguments string) string {
	return "\ndata \"gcpml_vertex_model\" \"" + name + "\" {\n  " + arguments + "\n  depends_on = [gcpml_vertex_model_upload.test, gcpml_vertex_endpoint_deployment.test]\n}\n"
}

func has(name, value string, steps ...any) statecheck.StateCheck {
	at := tfjsonpath.New(steps[0].(string))
	for _, s := range steps[1:] {
		switch s := s.(type) {
		case string:
			at = at.AtMapKey(s)
		case int:
			at = at.AtSliceIndex(s)
		}
	}
	return statecheck.ExpectKnownValue("data.gcpml_vertex_model."+name, at, knownvalue.StringExact(value))
}

func TestAccVertexModel(t *testing.T) {
	for _, flags := range [][]string{{"--assume", "project-in-names=number"}, {"--assume", "project-in-names=id"}} {
		t.Run(flags[1], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			v1, v2 := strings.ReplaceAll(uploads, "VERSION", "v1"), strings.ReplaceAll(uploads, "VERSION", "v2")
			all := data("id", `model = "bert"`) + data("alias", "model = \"bert\"\n  version = \"v1\"") + data("name", `model = "`+id+`@1"`) +
				data("elsewhere", "model = \"bert@default\"\n  project = \"demo-gcpml\"\n  location = \"us-central1\"")
			container := []statecheck.StateCheck{has("id", image, "container_spec", "image_uri"), has("id", "KEY", "container_spec", "env_names", 1), has("id", "1800s", "container_spec", "deployment_timeout")}
			if tw.Assumed(t, "container-spec-echo") == "no" {
				container = []statecheck.StateCheck{statecheck.ExpectKnownValue("data.gcpml_vertex_model.id", tfjsonpath.New("container_spec"), knownvalue.Null())}
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{
					{Config: tw.Config(v1 + deployment)},
					{
						Config: tw.Config(v2 + deployment + all),
						ConfigStateChecks: append(container,
							has("id", id, "id"), has("id", "bert", "model_id"), has("id", "demo-gcpml", "project"), has("id", "us-central1", "location"),
							has("id", "2", "version_id"), has("id", id+"@2", "versioned_name"), has("id", "v2", "version_description"), has("id", "gs://bucket/v2/", "artifact_uri"),
							has("id", "ml", "labels", "team"), has("id", `{"a":1}`, "metadata"), has("id", key, "encryption_spec", "kms_key_name"),
							has("id", "projects/demo-gcpml/locations/us-central1/endpoints/reviews", "deployed_models", 0, "endpoint"),
							has("id", "1", "versions", 0, "version_id"), has("id", "2", "versions", 1, "version_id"),
							has("alias", "1", "version_id"), has("alias", "gs://bucket/v1/", "artifact_uri"), has("name", "1", "version_id"), has("elsewhere", "2", "version_id"),
							statecheck.ExpectKnownValue("data.gcpml_vertex_model.alias", tfjsonpath.New("version_aliases"), knownvalue.SetExact([]knownvalue.Check{knownvalue.StringExact("v1")})),
							statecheck.ExpectKnownValue("data.gcpml_vertex_model.alias", tfjsonpath.New("deployed_models"), knownvalue.ListSizeExact(0)),
							statecheck.ExpectKnownValue("data.gcpml_vertex_model.id", tfjsonpath.New("versions").AtSliceIndex(0).AtMapKey("deployed"), knownvalue.Bool(false)),
							statecheck.ExpectKnownValue("data.gcpml_vertex_model.id", tfjsonpath.New("versions").AtSliceIndex(1).AtMapKey("deployed"), knownvalue.Bool(true)),
						),
					},
					{Config: tw.Config(v2 + deployment + data("none", `model = "none"`)), ExpectError: regexp.MustCompile(`(?s)Unable to read model "none".*not\s+found`)},
					{Config: tw.Config(v2 + deployment + data("none", `model = "bert@9"`)), ExpectError: regexp.MustCompile(`(?s)Unable to read model "bert@9".*not\s+found`)},
				},
			})
		})
	}
}

// What cannot be shown is not: neither plain values, which may be secrets, nor others.
func TestAccVertexModelShowsNoEnvironment(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	cli := tw.NewCLI(t, tw.Config(strings.ReplaceAll(uploads, "VERSION", "v1")))
	cli.Must("apply", "-auto-approve", "-no-color")
	reader := tw.NewCLI(t, tw.Config("data \"gcpml_vertex_model\" \"m\" {\n  model = \"bert\"\n}\n"))
	reader.Must("apply", "-auto-approve", "-no-color")
	shown := tw.Assumed(t, "container-spec-echo") == "yes" // names at all
	if state := reader.Must("state", "pull"); strings.Contains(state, "KEY") != shown || strings.Contains(state, "hush") || strings.Contains(state, "plain") {
		t.Errorf("state %s", state)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
}

func TestAccVertexModelInvalid(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(arguments string) string {
		return tw.Config("data \"gcpml_vertex_model\" \"m\" {\n  " + arguments + "\n}\n")
	}
	var steps []resource.TestStep
	for _, c := range [][2]string{
		{`model = "a b"`, `Invalid model`},
		{`model = "projects/p/locations/l/endpoints/1"`, `Invalid model`},
		{"model = \"bert@1\"\n  version = \"2\"", `Two values for the version`},
		{"model = \"" + id + "\"\n  project = \"other-project\"", `Two values for the project`},
		{"model = \"" + id + "\"\n  location = \"us-east1\"", `Two values for the location`},
		{"model = \"bert\"\n  project = \"123\"", `Invalid project id`},
		{"model = \"bert\"\n  location = \"?\"", `Invalid location`},
	} {
		steps = append(steps, resource.TestStep{Config: config(c[0]), PlanOnly: true, ExpectError: regexp.MustCompile(c[1])})
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: steps})
}

func TestAccVertexModelUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{{
			Config: tw.Config(strings.ReplaceAll(uploads, "VERSION", "v1") + `
resource "terraform_data" "u" {
  input = { project = "demo-gcpml", location = "us-central1", version = "v1" }
}

data "gcpml_vertex_model" "u" {
  model    = gcpml_vertex_model_upload.test.model_id
  version  = terraform_data.u.output.version
  project  = terraform_data.u.output.project
  location = terraform_data.u.output.location
  depends_on = [gcpml_vertex_model_upload.test]
}
`),
			ConfigStateChecks: []statecheck.StateCheck{has("u", "1", "version_id")},
		}},
	})
}
