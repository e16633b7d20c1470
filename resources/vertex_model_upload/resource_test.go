// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	address = "gcpml_vertex_model_upload.test"
	id      = "projects/demo-gcpml/locations/us-central1/models/bert"
	image   = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
)

// hcl is a model with these further arguments and container arguments.
func hcl(arguments, container string) string {
	return fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "test" {
  model_id = "bert"
  %s
  container_spec = {
    image_uri = %q
    %s
  }
}
`, arguments, image, container)
}

const minimal = `display_name = "Bert"` + "\n" + `artifact_uri = "gs://bucket/v1/"`

func planned(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)}}
}

func has(attribute, value string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.StringExact(value))
}

func imports(t *testing.T, tw *acctest.Twin, ids ...string) []resource.TestStep {
	t.Helper()
	var steps []resource.TestStep
	for _, id := range ids {
		steps = append(steps, resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: tw.HiddenOfModels(t)})
	}
	return steps
}

func TestAccModel(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	full := hcl(`
  display_name = "Bert, renamed"
  description  = "reviews"
  labels       = { team = "ml" }
  artifact_uri = "gs://bucket/v2"
`, `
    env           = [{ name = "A", value = "1" }, { name = "B", value = "$(A)" }]
    ports         = [{ container_port = 9090 }]
    predict_route = "/predict"
    health_route  = "/health"
`)
	steps := []resource.TestStep{{
		Config:           tw.Config(hcl(minimal, "")),
		ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
		ConfigStateChecks: []statecheck.StateCheck{
			has("id", id), has("project", "demo-gcpml"), has("location", "us-central1"),
			has("version_id", "1"), has("versioned_name", id+"@1"),
		},
	}}
	steps = append(steps, imports(t, tw, id, "demo-gcpml/us-central1/bert", "us-central1/bert")...)
	steps = append(steps,
		resource.TestStep{ // metadata changes in place and makes no version
			Config: tw.Config(hcl(`
  display_name = "Bert, renamed"
  description  = "reviews"
  labels       = { team = "ml", stage = "test" }
  artifact_uri = "gs://bucket/v1/"
`, "")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("versioned_name"), knownvalue.StringExact(id+"@1")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1"), has("description", "reviews")},
		},
		resource.TestStep{ // content changes in place and makes one
			Config: tw.Config(full),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue(address, tfjsonpath.New("version_id")),
				plancheck.ExpectUnknownValue(address, tfjsonpath.New("versioned_name")),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(id)),
			}},
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2"), has("versioned_name", id+"@2")},
		},
	)
	steps = append(steps, imports(t, tw, id)...)
	if tw.Assumed(t, "container-spec-echo") == "yes" {
		steps = append(steps, resource.TestStep{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID}) // an empty plan
	}
	steps = append(steps,
		resource.TestStep{ // a slash at the end of a folder means nothing
			Config: tw.Config(strings.Replace(full, "gs://bucket/v2", "gs://bucket/v2/", 1)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("version_id"), knownvalue.StringExact("2")),
			}},
		},
		resource.TestStep{ // a return to earlier content is a version of its own
			Config:            tw.Config(hcl(minimal, "")),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "3")},
		},
		resource.TestStep{ // another id is another model
			Config:            tw.Config(strings.Replace(hcl(minimal, ""), `"bert"`, `"bert-2"`, 1)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1")},
		},
	)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
}

// What cannot be known is written in the emulator's list of unknowns; the provider
// has to work with either answer.
func TestAccModelAssumptions(t *testing.T) {
	for _, flags := range [][]string{
		{"--assume", "project-in-names=id"},
		{"--assume", "container-spec-echo=no"},
		{"--assume", "default-alias-after-upload=moves"},
		{"--assume", "taken-model-id-code=INVALID_ARGUMENT"},
		{"--assume", "schema-uri-echo=same"},
		{"--operation-latency", "1s"},
	} {
		t.Run(flags[len(flags)-1], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{
					{Config: tw.Config(hcl(minimal, "")), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1")}},
					{
						Config:            tw.Config(hcl(`display_name = "Bert"`, `env = [{ name = "A", value = "1" }]`)),
						ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
						ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")},
					},
					{
						Config:            tw.Config(strings.Replace(everyField, `encryption_spec         = { kms_key_name = "`+key+`" }`, "", 1)),
						ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
						ConfigStateChecks: []statecheck.StateCheck{has("version_id", "3")},
					},
				},
			})
		})
	}
}

// Where the server does not give container_spec back, an import cannot see it: the
// next apply takes it over, and uploads nothing.
func TestAccModelImportWithoutContainer(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--assume", "container-spec-echo=no")
	const block = "import {\n  to = gcpml_vertex_model_upload.test\n  id = \"us-central1/bert\"\n}\n"
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{
				PreConfig: func() { uploadByHand(t, tw) },
				Config:    tw.Config(block + hcl(minimal, "")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, tfjsonpath.New("version_id"), knownvalue.StringExact("1")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1")},
			},
			{
				Config:            tw.Config(hcl(minimal, `env = [{ name = "A", value = "1" }]`)),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")},
			},
		},
	})
}

// uploadByHand uploads the model as somebody else would: where the id of a deleted
// model is held back, once it is free.
func uploadByHand(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	upload := func() (*aiplatform.UploadModelOperation, error) {
		return models.UploadModel(t.Context(), &pb.UploadModelRequest{
			Parent: "projects/demo-gcpml/locations/us-central1", ModelId: "bert",
			Model: &pb.Model{DisplayName: "Bert", ArtifactUri: "gs://bucket/v1/", ContainerSpec: &pb.ModelContainerSpec{ImageUri: image}},
		})
	}
	op, err := upload()
	if tw.Assumed(t, "ids-reusable-after-delete") == "after-30s" {
		for deadline := time.Now().Add(45 * time.Second); err != nil && time.Now().Before(deadline); op, err = upload() {
			time.Sleep(time.Second)
		}
	}
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The id is made from the display name; what is taken is never taken over.
func TestAccModelExists(t *testing.T) {
	for _, code := range []string{"ALREADY_EXISTS", "INVALID_ARGUMENT"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--assume", "taken-model-id-code="+code)
			twice := `
resource "gcpml_vertex_model_upload" "first" {
  display_name   = "Bert Sentiment"
  container_spec = { image_uri = "` + image + `" }
}
`
			second := `
resource "gcpml_vertex_model_upload" "second" {
  display_name   = "bert sentiment"
  container_spec = { image_uri = "` + image + `" }
  depends_on     = [gcpml_vertex_model_upload.first]
}
`
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{
					{
						Config: tw.Config(twice),
						ConfigStateChecks: []statecheck.StateCheck{
							statecheck.ExpectKnownValue("gcpml_vertex_model_upload.first", tfjsonpath.New("model_id"), knownvalue.StringExact("bert_sentiment")),
						},
					},
					{
						Config:      tw.Config(twice + second),
						ExpectError: regexp.MustCompile(`(?s)already\s+exists.*terraform\s+import <address>\s+"projects/demo-gcpml/locations/us-central1/models/bert_sentiment"`),
					},
				},
			})
		})
	}
}

func TestAccModelDrift(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := tw.Config(hcl(`
  display_name = "Bert"
  description  = "reviews"
  labels       = { team = "ml" }
  artifact_uri = "gs://bucket/v1/"
`, ""))
	steps := []resource.TestStep{{Config: config}}
	for _, m := range []*pb.Model{
		{DisplayName: "changed"},
		{Description: "changed"},
		{Labels: map[string]string{"team": "changed"}},
		{Labels: map[string]string{}}, // our marks are gone with them
	} {
		field := "labels"
		switch {
		case m.GetDisplayName() != "":
			field = "display_name"
		case m.GetDescription() != "":
			field = "description"
		}
		steps = append(steps, resource.TestStep{
			PreConfig: func() {
				models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
				if err != nil {
					t.Fatal(err)
				}
				m.Name = id
				if _, err := models.UpdateModel(t.Context(), &pb.UpdateModelRequest{Model: m, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}}}); err != nil {
					t.Fatal(err)
				}
			},
			Config:            config,
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1"), has("display_name", "Bert")},
		})
	}
	steps = append(steps,
		resource.TestStep{ // somebody uploads another version and makes it the default one
			PreConfig: func() {
				models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
				if err != nil {
					t.Fatal(err)
				}
				op, err := models.UploadModel(t.Context(), &pb.UploadModelRequest{
					Parent: "projects/demo-gcpml/locations/us-central1", ParentModel: id,
					Model: &pb.Model{DisplayName: "Bert", ArtifactUri: "gs://bucket/other/", VersionAliases: []string{"default"}, ContainerSpec: &pb.ModelContainerSpec{ImageUri: image}},
				})
				if err == nil {
					_, err = op.Wait(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			Config:            config,
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{has("artifact_uri", "gs://bucket/v1/"), has("version_id", "3")},
		},
		resource.TestStep{ // gone
			PreConfig:         func() { deleteModel(t, tw) },
			Config:            config,
			ConfigPlanChecks:  planned(plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1")},
		},
	)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
}

func deleteModel(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	op, err := models.DeleteModel(t.Context(), &pb.DeleteModelRequest{Name: id})
	if err == nil {
		err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A model of our name that somebody else made in place of ours is left alone.
func TestAccModelReplacedBehindOurBack(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             nil, // the other model stays
		Steps: []resource.TestStep{
			{Config: tw.Config(hcl(minimal, ""))},
			{
				PreConfig: func() {
					deleteModel(t, tw)
					uploadByHand(t, tw)
				},
				Config:      tw.Config(hcl(minimal, "")),
				ExpectError: regexp.MustCompile(`already\s+exists`),
			},
		},
	})
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.GetModel(t.Context(), &pb.GetModelRequest{Name: id}); err != nil {
		t.Errorf("the model that somebody else made: %v", err)
	}
}

func TestAccModelInvalid(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	for name, c := range map[string]struct{ config, want string }{
		"model id":      {strings.Replace(hcl(minimal, ""), `"bert"`, `"1bert"`, 1), `Invalid model id`},
		"long model id": {strings.Replace(hcl(minimal, ""), `"bert"`, `"`+strings.Repeat("b", 64)+`"`, 1), `Invalid model id`},
		"display name":  {hcl(`display_name = ""`, ""), `display_name`},
		"no slug": {`resource "gcpml_vertex_model_upload" "test" {
  display_name   = "日本"
  container_spec = { image_uri = "` + image + `" }
}`, `set\s+model_id`},
		"artifact scheme":   {hcl("display_name = \"b\"\nartifact_uri = \"s3://bucket/v1/\"", ""), `Invalid artifact_uri`},
		"artifact file":     {hcl("display_name = \"b\"\nartifact_uri = \"gs://bucket/v1/saved_model.pb\"", ""), `is a file`},
		"predict route":     {hcl(minimal, `predict_route = "predict"`), `Invalid route`},
		"health route":      {hcl(minimal, `health_route = "health"`), `Invalid route`},
		"port":              {hcl(minimal, `ports = [{ container_port = 0 }]`), `container_port`},
		"env name":          {hcl(minimal, `env = [{ name = "1A", value = "" }]`), `Invalid name`},
		"image with scheme": {strings.Replace(hcl(minimal, ""), image, "https://"+image, 1), `Invalid image_uri`},
		"label key":         {hcl(minimal+"\n"+`labels = { Team = "ml" }`, ""), `Invalid label key`},
		"reserved label":    {hcl(minimal+"\n"+`labels = { gcpml-owner = "me" }`, ""), `Invalid label key`},
		"location":          {hcl(minimal+"\n"+`location = "US"`, ""), `Invalid location`},
		"project number":    {hcl(minimal+"\n"+`project = "123456789"`, ""), `Invalid project id`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
				Steps: []resource.TestStep{{Config: tw.Config(c.config), PlanOnly: true, ExpectError: regexp.MustCompile(c.want)}},
			})
		})
	}
}

// Every argument may be unknown at plan.
func TestAccModelUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(version string) string {
		return tw.Config(fmt.Sprintf(`
resource "terraform_data" "fixed" {
  input = { project = "demo-gcpml", location = "us-central1", id = "bert", key = "`+key+`" }
}

resource "terraform_data" "u" {
  input = {
    name = "Bert", text = "some", number = 5, yes = true, json = jsonencode({ a = 1 }), duration = "30m", scheme = "HTTP", secret = "hush"
    uri     = "gs://bucket/%s/", file = "gs://bucket/schema.yaml", image = %q, port = 8081, labels = { team = "ml" }
    env     = [{ name = "A", value = "1" }], words = ["a1", "b1"]
    probe   = { exec = { command = ["true"] } }
    schemata  = { instance_schema_uri = "gs://bucket/schema.yaml" }
    base      = { model_garden_source = { public_model_name = "publishers/google/models/gemma3" } }
    garden    = "publishers/google/models/gemma3"
    container = { image_uri = "`+image+`", env = [{ name = "A", value = "1" }], ports = [{ container_port = 1 }] }
  }
}

locals {
  fixed = terraform_data.fixed.output
  u     = terraform_data.u.output
}

resource "gcpml_vertex_model_upload" "test" {
  project                 = local.fixed.project
  location                = local.fixed.location
  model_id                = local.fixed.id
  display_name            = local.u.name
  description             = local.u.text
  labels                  = local.u.labels
  artifact_uri            = local.u.uri
  artifact_revision       = local.u.text
  detect_artifact_changes = local.u.yes
  metadata_schema_uri     = local.u.file
  metadata                = local.u.json
  version_description     = local.u.text
  version_aliases         = concat(["default"], local.u.words)
  keep_versions           = local.u.number
  encryption_spec         = { kms_key_name = local.fixed.key }
  base_model_source       = { model_garden_source = { public_model_name = local.u.garden, version_id = local.u.text } }
  predict_schemata        = { instance_schema_uri = local.u.file, parameters_schema_uri = local.u.file, prediction_schema_uri = local.u.file }
  container_spec = {
    image_uri             = local.u.image
    command               = local.u.words
    args                  = [local.u.text]
    env                   = concat(local.u.env, [{ name = "B", value_wo = local.u.secret, value_wo_version = local.u.number }])
    ports                 = [{ container_port = local.u.port }]
    grpc_ports            = [{ container_port = local.u.port }]
    predict_route         = "/${local.u.text}"
    health_route          = "/${local.u.text}"
    deployment_timeout    = local.u.duration
    shared_memory_size_mb = local.u.number
    startup_probe         = local.u.probe
    health_probe = {
      http_get              = { path = local.u.text, port = local.u.port, host = local.u.text, scheme = local.u.scheme, http_headers = [{ name = local.u.text, value = local.u.text }] }
      period_seconds        = local.u.number
      timeout_seconds       = local.u.number
      failure_threshold     = local.u.number
      success_threshold     = local.u.number
      initial_delay_seconds = local.u.number
    }
    liveness_probe = { tcp_socket = { port = local.u.port, host = local.u.text } }
  }
}

resource "gcpml_vertex_model_upload" "slug" {
  display_name   = "slug ${local.u.name}"
  container_spec = { image_uri = local.u.image, env = local.u.env }
}

resource "gcpml_vertex_model_upload" "whole" {
  display_name     = "whole"
  container_spec   = local.u.container
  predict_schemata = local.u.schemata
  base_model_source = local.u.base
  version_aliases  = local.u.words
}
`, version, image))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: config("v1"), ConfigStateChecks: []statecheck.StateCheck{
				has("version_id", "1"),
				statecheck.ExpectKnownValue("gcpml_vertex_model_upload.slug", tfjsonpath.New("model_id"), knownvalue.StringExact("slug_bert")),
			}},
			{Config: config("v2"), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2"), has("id", id)}},
		},
	})
}
