// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodels_test

import (
	"fmt"
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
	image  = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
)

// uploads are five models: c and a of one team, d with the display name of a, e in
// another region. version is an alias of the default version, and part of its artifact.
func uploads(version string) string {
	return `
locals {
  models = [
    { id = "c", name = "third", labels = { team = "ml", cost-centre = "a-1" }, region = "us-central1" },
    { id = "a", name = "the first", labels = { team = "ml" }, region = "us-central1" },
    { id = "b", name = "a \"second\"", labels = { team = "sales", empty = "" }, region = "us-central1" },
    { id = "d", name = "the first", labels = null, region = "us-central1" },
    { id = "e", name = "the first", labels = { team = "ml" }, region = "europe-west4" },
  ]
}

resource "gcpml_vertex_model_upload" "test" {
  count           = length(local.models)
  location        = local.models[count.index].region
  model_id        = local.models[count.index].id
  display_name    = local.models[count.index].name
  description     = "model ${local.models[count.index].id}"
  labels          = local.models[count.index].labels
  artifact_uri    = "gs://bucket/${local.models[count.index].id}/` + version + `/"
  version_aliases = ["default", "` + version + `"]
  container_spec  = { image_uri = "` + image + `" }
}
`
}

func data(name, arguments string) string {
	return "\ndata \"gcpml_vertex_models\" \"" + name + "\" {\n  " + arguments + "\n  depends_on = [gcpml_vertex_model_upload.test]\n}\n"
}

func text(s string) knownvalue.Check { return knownvalue.StringExact(s) }

func at(name, attribute string, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue("data.gcpml_vertex_models."+name, tfjsonpath.New(attribute), want)
}

// finds expects these models of us-central1, in this order.
func finds(name string, models ...string) statecheck.StateCheck {
	ids := []knownvalue.Check{}
	for _, id := range models {
		ids = append(ids, text(parent+"/models/"+id))
	}
	return at(name, "ids", knownvalue.ListExact(ids))
}

func TestAccVertexModels(t *testing.T) {
	for _, flags := range [][]string{{"--assume", "project-in-names=number"}, {"--assume", "project-in-names=id"}} {
		t.Run(flags[1], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			shown := text(image)
			if tw.Assumed(t, "container-spec-echo") == "no" {
				shown = knownvalue.Null()
			}
			searches := data("all", "") + data("label", `labels = { team = "ml" }`) + data("labels", `labels = { team = "ml", cost-centre = "a-1" }`) +
				data("empty", `labels = { empty = "" }`) + data("name", `display_name = "the first"`) + data("quotes", `display_name = "a \"second\""`) +
				data("both", "display_name = \"the first\"\n  labels = { team = \"ml\" }") +
				data("filter", `filter = "model=c OR model=b"`) + data("exists", `filter = "labels.empty:*"`) +
				data("narrowed", "filter = \"model=a OR model=b\"\n  labels = { team = \"ml\" }") +
				data("none", `labels = { team = "none" }`) + data("injected", `display_name = "x\" OR model=\"a"`) +
				data("elsewhere", "project = \"demo-gcpml\"\n  location = \"europe-west4\"")
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{
					{Config: tw.Config(uploads("v1"))},
					{
						Config: tw.Config(uploads("v2") + searches),
						ConfigStateChecks: []statecheck.StateCheck{
							finds("all", "a", "b", "c", "d"), finds("label", "a", "c"), finds("labels", "c"), finds("empty", "b"), finds("name", "a", "d"), finds("quotes", "b"),
							finds("both", "a"), finds("filter", "b", "c"), finds("exists", "b"), finds("narrowed", "a"), finds("none"), finds("injected"),
							at("none", "models", knownvalue.ListSizeExact(0)), at("all", "project", text("demo-gcpml")), at("all", "location", text("us-central1")),
							at("elsewhere", "ids", knownvalue.ListExact([]knownvalue.Check{text("projects/demo-gcpml/locations/europe-west4/models/e")})),
							at("labels", "models", knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{
								"id": text(parent + "/models/c"), "model_id": text("c"), "display_name": text("third"), "description": text("model c"),
								"labels":     knownvalue.MapExact(map[string]knownvalue.Check{"team": text("ml"), "cost-centre": text("a-1")}),
								"version_id": text("2"), "version_aliases": knownvalue.SetExact([]knownvalue.Check{text("default"), text("v2")}),
								"create_time": knownvalue.StringRegexp(regexp.MustCompile(`^\d{4}-\d\d-\d\dT.*Z$`)), "update_time": knownvalue.StringRegexp(regexp.MustCompile(`^\d{4}-\d\d-\d\dT.*Z$`)),
								"artifact_uri": text("gs://bucket/c/v2/"), "image_uri": shown,
							})})),
						},
					},
					{
						Config:      tw.Config(uploads("v2") + data("bad", `filter = "size=3"`)),
						ExpectError: regexp.MustCompile(`(?s)Unable to list models of "` + parent + `".*it\s+can\s+name\s+model`),
					},
				},
			})
		})
	}
}

// More models than a page holds are all found.
func TestAccVertexModelsPages(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	const many = 101
	var last string
	for i := range many {
		id := fmt.Sprintf("m%03d", i)
		op, err := models.UploadModel(t.Context(), &pb.UploadModelRequest{Parent: parent, ModelId: id, Model: &pb.Model{
			DisplayName: "one of many", ArtifactUri: "gs://bucket/m/", ContainerSpec: &pb.ModelContainerSpec{ImageUri: image},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := op.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		last = parent + "/models/" + id
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: []resource.TestStep{{
		Config: tw.Config("data \"gcpml_vertex_models\" \"m\" {\n  display_name = \"one of many\"\n}\n"),
		ConfigStateChecks: []statecheck.StateCheck{
			at("m", "ids", knownvalue.ListSizeExact(many)), at("m", "models", knownvalue.ListSizeExact(many)),
			statecheck.ExpectKnownValue("data.gcpml_vertex_models.m", tfjsonpath.New("ids").AtSliceIndex(many-1), text(last)),
		},
	}}})
}

// Every argument may be unknown at plan: then the search is made at apply.
func TestAccVertexModelsUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{{
			Config: tw.Config(uploads("v1") + `
resource "terraform_data" "u" {
  input      = { project = "demo-gcpml", location = "us-central1", filter = "model!=c", name = "the first", team = "ml" }
  depends_on = [gcpml_vertex_model_upload.test]
}

data "gcpml_vertex_models" "u" {
  project      = terraform_data.u.output.project
  location     = terraform_data.u.output.location
  filter       = terraform_data.u.output.filter
  display_name = terraform_data.u.output.name
  labels       = { team = terraform_data.u.output.team }
}
`),
			ConfigStateChecks: []statecheck.StateCheck{finds("u", "a")},
		}},
	})
}

// Every rule refuses its configuration at its attribute, before any call.
func TestVertexModelsInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, "data.gcpml_vertex_models")
	type object = acctest.Object
	p.Accepts(t, object{}, object{"filter": ""}, object{"labels": object{}}, object{"labels": object{"empty": ""}})
	refused := acctest.Refused
	p.Refuses(t, []acctest.Refusal{
		refused(object{"project": "123"}, "project", "Invalid project id"),
		refused(object{"location": "?"}, "location", "Invalid location"),
		refused(object{"display_name": ""}, "display_name", "Invalid Attribute Value Length"),
		refused(object{"labels": object{"gcpml-x": "y"}}, "labels.gcpml-x", "Invalid label key"),
		refused(object{"labels": object{"a b": "y"}}, "labels.a b", "Invalid label key"),
		refused(object{"labels": object{"team": `x" OR model="y`}}, "labels.team", "Invalid label value"),
		refused(object{"labels": object{"team": nil}}, "labels.team", "Missing label value"),
	})
	if n := p.AcceptsUnknown(t, object{"project": acctest.Project, "location": "us-central1", "filter": "model=a", "display_name": "a", "labels": object{"team": "ml"}}); n < 6 {
		t.Errorf("only %d parts", n)
	}
}
