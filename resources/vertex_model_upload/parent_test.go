// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// child uploads versions to the model of somebody else.
func child(tw *acctest.Twin, n int, arguments string, provider ...string) string {
	return tw.Config(fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "test" {
  parent_model   = %q
  artifact_uri   = "gs://bucket/child%d/"
  container_spec = { image_uri = %q }
  %s
}
`, id, n, image, arguments), provider...)
}

// Versions come and go in a model that stays what it is.
func TestAccModelWithinParent(t *testing.T) {
	for _, flags := range [][]string{{}, {"--assume", "model-fields-on-new-version=replace"}, {"--assume", "container-spec-echo=no"}} {
		t.Run(strings.Join(flags, ""), func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			update := planned(plancheck.ResourceActionUpdate)
			versions := func(want map[string]string) resource.TestCheckFunc {
				return resource.ComposeTestCheckFunc(aliases(t, tw, want), func(*terraform.State) error {
					if m := get(t, tw, id); m.GetDisplayName() != "Bert" || m.GetLabels()["team"] != "" {
						return fmt.Errorf("the model has become %v", m)
					}
					return nil
				})
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             versions(map[string]string{"1": "default"}),
				Steps: []resource.TestStep{
					{Config: child(tw, 1, ""), ExpectError: regexp.MustCompile(`(?s)parent_model.*not\s+found`)},
					{
						PreConfig: func() { uploadByHand(t, tw) },
						Config:    child(tw, 1, "", `default_labels = { team = "ml" }`), Check: versions(map[string]string{"1": "default", "2": ""}),
						ConfigStateChecks: []statecheck.StateCheck{has("id", id), has("version_id", "2"), has("versioned_name", id+"@2"), has("model_id", "bert")},
					},
					{Config: child(tw, 1, `version_description = "mine"`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")}},
					{
						Config: child(tw, 2, `version_aliases = ["candidate"]`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "3")},
						Check: versions(map[string]string{"1": "default", "2": "", "3": "candidate"}),
					},
					{ // deleted behind Terraform's back
						PreConfig: func() { deleteVersion(t, tw, "3") },
						Config:    child(tw, 2, `version_aliases = ["candidate"]`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "4")},
						Check: versions(map[string]string{"1": "default", "2": "", "4": "candidate"}),
					},
					{ // the default one goes back to the owner's version with the destroy
						Config: child(tw, 2, `version_aliases = ["candidate", "default"]`), ConfigPlanChecks: update,
						Check: versions(map[string]string{"1": "", "2": "", "4": "candidate default"}),
					},
				},
			})
			deleteModel(t, tw)
		})
	}
}

// A model and a version of it in one configuration do not get into each other's way.
func TestAccModelAndChild(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(parent int) string {
		return version(tw, parent, "keep_versions = 0") + fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "child" {
  parent_model    = gcpml_vertex_model_upload.test.id
  artifact_uri    = "gs://bucket/child/"
  container_spec  = { image_uri = %q }
  version_aliases = ["child"]
}
`, image)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: config(1), Check: aliases(t, tw, map[string]string{"1": "default", "2": "child"})},
			{Config: config(2), Check: aliases(t, tw, map[string]string{"1": "", "2": "child", "3": "default"})},
			{Config: config(3), Check: aliases(t, tw, map[string]string{"2": "child", "3": "", "4": "default"})},
		},
	})
}

// The version whose upload was interrupted is found: nothing is uploaded twice, and
// nothing is left.
func TestAccModelWithinParentInterrupted(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--operation-latency", "3s")
	uploadByHand(t, tw)
	cli := tw.NewCLI(t, child(tw, 1, "timeouts {\n    create = \"1s\"\n  }"))
	if out, exit := cli.Run("apply", "-auto-approve", "-no-color"); exit == 0 {
		t.Fatalf("it was not interrupted: %s", out)
	}
	cli.Must("untaint", address)
	cli.Write(child(tw, 1, ""))
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Must("plan", "-detailed-exitcode", "-no-color")
	if err := aliases(t, tw, map[string]string{"1": "default", "2": ""})(nil); err != nil {
		t.Error(err)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := aliases(t, tw, map[string]string{"1": "default"})(nil); err != nil {
		t.Error(err)
	}
}

// With an owner a version is found even when there is no state.
func TestAccModelWithinParentOwned(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	uploadByHand(t, tw)
	cli := tw.NewCLI(t, child(tw, 1, "", `ownership_id = "team-a"`))
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Must("state", "rm", address)
	cli.Must("apply", "-auto-approve", "-no-color")
	if err := aliases(t, tw, map[string]string{"1": "default", "2": ""})(nil); err != nil {
		t.Error(err)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
}

// The only version cannot be deleted without its model.
func TestAccModelWithinParentOnlyVersion(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	uploadByHand(t, tw)
	cli := tw.NewCLI(t, child(tw, 1, `version_aliases = ["default"]`))
	cli.Must("apply", "-auto-approve", "-no-color")
	deleteVersion(t, tw, "1")
	if out := cli.Must("destroy", "-auto-approve", "-no-color"); !strings.Contains(out, "Version 2 is left") {
		t.Errorf("not told: %s", out)
	}
}
