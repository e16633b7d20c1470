// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpoint_test

import (
	"regexp"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	parent = "projects/demo-gcpml/locations/us-central1"
	key    = parent + "/keyRings/r/cryptoKeys/k"
)

const endpoints = `
resource "gcpml_vertex_model_upload" "m" {
  display_name   = "m"
  artifact_uri   = "gs://bucket/m/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

resource "gcpml_vertex_endpoint_deployment" "test" {
  endpoint_id  = "reviews"
  display_name = "Film \"reviews\""
  description  = "of films"
  labels       = { team = "ml" }
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.m.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1, max_replica_count = 3, spot = true }
      service_account     = "runner@demo-gcpml.iam.gserviceaccount.com"
    }
    other = { model = gcpml_vertex_model_upload.m.versioned_name, automatic_resources = { min_replica_count = 1 } }
  }
  traffic = { main = 90, other = 10 }
  predict_request_response_logging_config = { enabled = true, sampling_rate = 0.5, bigquery_destination = { output_uri = "bq://demo-gcpml.logs.t" } }
}

resource "gcpml_vertex_endpoint_deployment" "private" {
  display_name                   = "private"
  deployments                    = {}
  encryption_spec                = { kms_key_name = "` + key + `" }
  private_service_connect_config = { enable_private_service_connect = true, project_allowlist = ["consumer-1"] }
  client_connection_config       = { inference_timeout = "5m" }
}
`

func data(name, arguments string) string {
	return "\ndata \"gcpml_vertex_endpoint\" \"" + name + "\" {\n  " + arguments + "\n  depends_on = [gcpml_vertex_endpoint_deployment.test, gcpml_vertex_endpoint_deployment.private]\n}\n"
}

func has(name string, value knownvalue.Check, steps ...any) statecheck.StateCheck {
	at := tfjsonpath.New(steps[0].(string))
	for _, s := range steps[1:] {
		switch s := s.(type) {
		case string:
			at = at.AtMapKey(s)
		case int:
			at = at.AtSliceIndex(s)
		}
	}
	return statecheck.ExpectKnownValue("data.gcpml_vertex_endpoint."+name, at, value)
}

func text(s string) knownvalue.Check { return knownvalue.StringExact(s) }

func run(t *testing.T, tw *acctest.Twin, steps ...resource.TestStep) {
	t.Helper()
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
}

func TestAccVertexEndpointData(t *testing.T) {
	for _, flags := range [][]string{nil, {"--assume", "project-in-names=id", "--assume", "version-in-deployed-model-name=yes", "--assume", "default-autoscaling-shown=yes"}} {
		t.Run(map[bool]string{true: "defaults", false: "flipped"}[flags == nil], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			config := endpoints + data("id", `endpoint = "reviews"`) + data("full", `endpoint = gcpml_vertex_endpoint_deployment.test.id`) +
				data("url", `endpoint = "https://us-central1-aiplatform.googleapis.com/v1/`+parent+`/endpoints/private"`) + data("name", `display_name = "Film \"reviews\""`) +
				data("plain", "display_name = \"private\"\n  location = \"us-central1\"")
			checks := []statecheck.StateCheck{
				has("url", text(key), "encryption_spec", "kms_key_name"), has("url", text("300s"), "inference_timeout"), has("url", knownvalue.Bool(false), "shared"),
				has("url", knownvalue.ListExact([]knownvalue.Check{text("consumer-1")}), "private_service_connect_config", "project_allowlist"),
				has("url", knownvalue.ListSizeExact(0), "deployed_models"), has("url", knownvalue.Null(), "predict_request_response_logging_config"),
				has("plain", text(parent+"/endpoints/private"), "id"), has("plain", text("private"), "endpoint_id"),
			}
			for _, name := range []string{"id", "full", "name"} {
				checks = append(
					checks, has(name, text(parent+"/endpoints/reviews"), "id"), has(name, text(`Film "reviews"`), "display_name"), has(name, text("of films"), "description"),
					has(name, text("demo-gcpml"), "project"), has(name, text("us-central1"), "location"), has(name, knownvalue.Bool(true), "shared"),
					has(name, knownvalue.MapExact(map[string]knownvalue.Check{"team": text("ml")}), "labels"), has(name, text("bq://demo-gcpml.logs.t"), "predict_request_response_logging_config", "output_uri"),
					has(name, text(""), "inference_timeout"), has(name, knownvalue.Null(), "encryption_spec"), has(name, knownvalue.ListSizeExact(2), "deployed_models"),
					has(name, text("main"), "deployed_models", 0, "display_name"), has(name, knownvalue.Int32Exact(90), "deployed_models", 0, "traffic"),
					has(name, text(parent+"/models/m"), "deployed_models", 0, "model"), has(name, text("1"), "deployed_models", 0, "model_version_id"),
					has(name, knownvalue.Bool(true), "deployed_models", 0, "spot"), has(name, knownvalue.Int32Exact(3), "deployed_models", 0, "max_replica_count"),
					has(name, text("runner@demo-gcpml.iam.gserviceaccount.com"), "deployed_models", 0, "service_account"),
					has(name, text(""), "deployed_models", 1, "machine_type"), has(name, knownvalue.Int32Exact(10), "deployed_models", 1, "traffic"),
				)
			}
			run(t, tw, resource.TestStep{Config: tw.Config(config), ConfigStateChecks: checks})
		})
	}
}

func TestAccVertexEndpointDataNotFound(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	c, err := tw.Clients(t).Endpoints(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		op, err := c.CreateEndpoint(t.Context(), &pb.CreateEndpointRequest{Parent: parent, EndpointId: id, Endpoint: &pb.Endpoint{DisplayName: "twice"}})
		if err == nil {
			_, err = op.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		for _, id := range []string{"a", "b"} {
			if _, err := c.DeleteEndpoint(t.Context(), &pb.DeleteEndpointRequest{Name: parent + "/endpoints/" + id}); err != nil {
				t.Error(err)
			}
		}
	}()
	for arguments, want := range map[string]string{
		`endpoint = "nothing"`:     `(?s)Unable to read endpoint "nothing".*not\s+found`,
		`display_name = "nothing"`: `(?s)no\s+endpoint\s+of\s+` + parent + `\s+has\s+this`,
		`display_name = "twice"`:   `(?s)several\s+endpoints.*a,\s+b`,
		``:                         `Missing Attribute Configuration`,
		`endpoint = "a/b"`:         `Invalid endpoint`,
		`display_name = ""`:        `Missing display_name`,
		"endpoint = \"a\"\n  display_name = \"twice\"":                               `Invalid Attribute Combination`,
		"endpoint = \"" + parent + "/endpoints/a\"\n  project = \"another-project\"": `Conflicting project`,
		"endpoint = \"" + parent + "/endpoints/a\"\n  location = \"europe-west4\"":   `Conflicting location`,
		"endpoint = \"" + parent + "/endpoints/none\"\n  location = \"us-central1\"": `(?s)endpoints/none.*not\s+found`,
	} {
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: []resource.TestStep{{
			Config: tw.Config("data \"gcpml_vertex_endpoint\" \"e\" {\n  " + arguments + "\n}\n"), ExpectError: regexp.MustCompile(want),
		}}})
	}
}

// Every argument may be unknown at plan: then it is read at apply.
func TestAccVertexEndpointDataUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	const unknown = `
resource "terraform_data" "u" {
  input      = { id = "reviews", name = "private", project = "demo-gcpml", location = "us-central1" }
  depends_on = [gcpml_vertex_endpoint_deployment.test, gcpml_vertex_endpoint_deployment.private]
}

data "gcpml_vertex_endpoint" "a" {
  endpoint = terraform_data.u.output.id
  project  = terraform_data.u.output.project
  location = terraform_data.u.output.location
}

data "gcpml_vertex_endpoint" "b" {
  display_name = terraform_data.u.output.name
}
`
	run(t, tw, resource.TestStep{
		Config:            tw.Config(endpoints + unknown),
		ConfigStateChecks: []statecheck.StateCheck{has("a", text(parent+"/endpoints/reviews"), "id"), has("b", text(parent+"/endpoints/private"), "id")},
	})
}
