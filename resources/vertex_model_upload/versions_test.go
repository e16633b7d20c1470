// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// version is a configuration of the artifact of this number, with these arguments.
func version(tw *acctest.Twin, n int, arguments string) string {
	return tw.Config(hcl(fmt.Sprintf("display_name = \"Bert\"\nartifact_uri = \"gs://bucket/v%d/\"\n%s", n, arguments), ""))
}

// aliases checks which aliases each version has; those that are marks are left out.
func aliases(t *testing.T, tw *acctest.Twin, want map[string]string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		got := map[string]string{}
		for _, v := range tw.Serving(t).Models[0].Versions {
			users := slices.DeleteFunc(v.Aliases, func(a string) bool { return strings.HasPrefix(a, "gcpml-") })
			slices.Sort(users)
			got[v.VersionID] = strings.Join(users, " ")
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("versions and aliases %v, want %v", got, want)
		}
		return nil
	}
}

func TestAccModelVersionAliases(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	update := planned(plancheck.ResourceActionUpdate)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: version(tw, 1, ""), Check: aliases(t, tw, map[string]string{"1": "default"})},
			{ // in place
				Config:           version(tw, 1, `version_aliases = ["default", "golden"]`+"\nversion_description = \"one\""),
				ConfigPlanChecks: update, Check: aliases(t, tw, map[string]string{"1": "default golden"}), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "1")},
			},
			{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: tw.HiddenOfModels(t)},
			{ // a new version takes them along
				Config:           version(tw, 2, `version_aliases = ["default", "golden"]`+"\nversion_description = \"two\""),
				ConfigPlanChecks: update, Check: aliases(t, tw, map[string]string{"1": "", "2": "default golden"}), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")},
			},
			{ // without default it does not become the default one
				Config:           version(tw, 3, `version_aliases = ["candidate"]`+"\nversion_description = \"three\""),
				ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "3"), has("versioned_name", id+"@3"), has("artifact_uri", "gs://bucket/v3/")},
				Check: resource.ComposeTestCheckFunc(aliases(t, tw, map[string]string{"1": "", "2": "default golden", "3": "candidate"}), func(*terraform.State) error {
					for v, want := range map[string]string{"1": "one", "2": "two", "3": "three"} {
						if got := get(t, tw, id+"@"+v).GetVersionDescription(); got != want {
							t.Errorf("description of version %s: %q", v, got)
						}
					}
					return nil
				}),
			},
			{ // nor the next one, while it still goes by the alias
				Config:           version(tw, 4, `version_aliases = ["candidate"]`),
				ConfigPlanChecks: update, Check: aliases(t, tw, map[string]string{"1": "", "2": "default golden", "3": "", "4": "candidate"}), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "4")},
			},
			{ // promoted in place
				Config:           version(tw, 4, `version_aliases = ["default", "candidate"]`),
				ConfigPlanChecks: update, Check: aliases(t, tw, map[string]string{"1": "", "2": "golden", "3": "", "4": "candidate default"}), ConfigStateChecks: []statecheck.StateCheck{has("version_id", "4")},
			},
			{ // somebody moves an alias of ours, and adds one of theirs, which stays
				PreConfig: func() { merge(t, tw, "1", "candidate"); merge(t, tw, "4", "theirs") },
				Config:    version(tw, 4, `version_aliases = ["default", "candidate"]`), ConfigPlanChecks: update,
				Check: aliases(t, tw, map[string]string{"1": "", "2": "golden", "3": "", "4": "candidate default theirs"}),
			},
			{ // the default one cannot be taken away, others can
				Config: version(tw, 4, `version_aliases = []`), ConfigPlanChecks: update,
				Check: aliases(t, tw, map[string]string{"1": "", "2": "golden", "3": "", "4": "default theirs"}),
			},
			{ // what is no longer listed stays with a version that is no longer managed
				Config: version(tw, 4, `version_aliases = ["a1", "b1"]`), ConfigPlanChecks: update,
			},
			{
				Config: version(tw, 5, `version_aliases = ["b1"]`), ConfigPlanChecks: update,
				Check: aliases(t, tw, map[string]string{"1": "", "2": "golden", "3": "", "4": "a1 default theirs", "5": "b1"}),
			},
			{ // the version is deleted behind Terraform's back: another one takes its place
				PreConfig: func() { deleteVersion(t, tw, "5") },
				Config:    version(tw, 5, `version_aliases = ["b1"]`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "6")},
				Check: aliases(t, tw, map[string]string{"1": "", "2": "golden", "3": "", "4": "a1 default theirs", "6": "b1"}),
			},
			{ // the same for the default one
				PreConfig: func() { merge(t, tw, "6", "default"); deleteVersion(t, tw, "4") },
				Config:    version(tw, 4, ""), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "7")},
			},
			{ // the model is gone
				PreConfig: func() { deleteModel(t, tw) },
				Config:    version(tw, 4, `version_aliases = ["b1"]`), ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
				Check: aliases(t, tw, map[string]string{"1": "b1 default"}),
			},
		},
	})
}

func TestAccModelKeepVersions(t *testing.T) {
	for _, keep := range []int{0, 1} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t)
			with := func(n int) string { return version(tw, n, fmt.Sprintf("keep_versions = %d", keep)) }
			left := func(want string) resource.TestCheckFunc {
				return func(*terraform.State) error {
					var ids []string
					for _, v := range tw.Serving(t).Models[0].Versions {
						ids = append(ids, v.VersionID)
					}
					if got := strings.Join(ids, " "); got != want {
						return fmt.Errorf("versions %s, want %s", got, want)
					}
					return nil
				}
			}
			wants := [][]string{{"1", "1 2", "2 3", "3 4"}, {"1", "1 2", "1 2 3", "2 3 4"}}[keep]
			var steps []resource.TestStep
			for i, want := range wants {
				steps = append(steps, resource.TestStep{Config: with(i + 1), Check: left(want)})
			}
			steps = append(steps,
				resource.TestStep{ // deployed, with an alias of somebody's, and not of our making: all stay
					PreConfig: func() {
						deploy(t, tw, "3")
						merge(t, tw, "4", "pinned")
						uploadVersion(t, tw)
					},
					Config: with(6), Check: left("3 4 5 6"),
				},
				resource.TestStep{Config: with(7), Check: left("3 4 5 6 7")},
				resource.TestStep{
					PreConfig: func() { undeploy(t, tw); merge(t, tw, "4", "-pinned") },
					Config:    with(8), Check: left(map[int]string{0: "5 7 8", 1: "5 6 7 8"}[keep]),
				},
				resource.TestStep{ // a change that uploads nothing prunes too
					Config: version(tw, 8, "keep_versions = 0\ndescription = \"x\""), Check: left("5 8"),
				},
			)
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy, Steps: steps})
		})
	}
}

func merge(t *testing.T, tw *acctest.Twin, version string, aliases ...string) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.MergeVersionAliases(t.Context(), &pb.MergeVersionAliasesRequest{Name: id + "@" + version, VersionAliases: aliases}); err != nil {
		t.Fatal(err)
	}
}

func deleteVersion(t *testing.T, tw *acctest.Twin, version string) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	op, err := models.DeleteModelVersion(t.Context(), &pb.DeleteModelVersionRequest{Name: id + "@" + version})
	if err == nil {
		err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// uploadVersion uploads a version that somebody else made.
func uploadVersion(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	op, err := models.UploadModel(t.Context(), &pb.UploadModelRequest{
		Parent: "projects/demo-gcpml/locations/us-central1", ParentModel: id,
		Model: &pb.Model{DisplayName: "Bert", ContainerSpec: &pb.ModelContainerSpec{ImageUri: image}},
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

const endpoint = "projects/demo-gcpml/locations/us-central1/endpoints/theirs"

func deploy(t *testing.T, tw *acctest.Twin, version string) {
	t.Helper()
	endpoints, err := tw.Clients(t).Endpoints(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	made, err := endpoints.CreateEndpoint(t.Context(), &pb.CreateEndpointRequest{
		Parent: "projects/demo-gcpml/locations/us-central1", EndpointId: "theirs", Endpoint: &pb.Endpoint{DisplayName: "theirs"},
	})
	if err == nil {
		_, err = made.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	op, err := endpoints.DeployModel(t.Context(), &pb.DeployModelRequest{
		Endpoint: endpoint, TrafficSplit: map[string]int32{"0": 100},
		DeployedModel: &pb.DeployedModel{Id: "1", Model: id + "@" + version, PredictionResources: &pb.DeployedModel_DedicatedResources{
			DedicatedResources: &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1},
		}},
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func undeploy(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	endpoints, err := tw.Clients(t).Endpoints(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	op, err := endpoints.UndeployModel(t.Context(), &pb.UndeployModelRequest{Endpoint: endpoint, DeployedModelId: "1"})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	gone, err := endpoints.DeleteEndpoint(t.Context(), &pb.DeleteEndpointRequest{Name: endpoint})
	if err == nil {
		err = gone.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

const secretConfig = `
variable "secret" {
  type      = string
  ephemeral = true
}

variable "turn" {
  type    = number
  default = 1
}

resource "gcpml_vertex_model_upload" "test" {
  model_id     = "bert"
  display_name = "Bert"
  container_spec = {
    image_uri = "` + image + `"
    env = [
      { name = "PLAIN", value = "seen" },
      { name = "KEY", value_wo = var.secret, value_wo_version = var.turn },
    ]
  }
}
`

// A secret is sent, and is nowhere else: not in the state, a plan, a log or the
// emulator's journal; neither after an import, where only a mark tells that it is one.
func TestAccModelSecrets(t *testing.T) {
	const first, second = "hush-hush-1", "hush-hush-2"
	for _, echo := range []string{"yes", "no"} {
		t.Run("echo="+echo, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--assume", "container-spec-echo="+echo)
			cli := tw.NewCLI(t, tw.Config(secretConfig)).For(t, "TF_LOG=TRACE", "TF_LOG_PROVIDER=TRACE")
			quiet := cli.For(t, "TF_LOG=")
			clean := func(what, text string) {
				t.Helper()
				if strings.Contains(text, first) || strings.Contains(text, second) {
					t.Errorf("%s shows a secret", what)
				}
			}
			// Terraform itself logs the variables that it is given, so the log that is
			// looked at is the provider's.
			provider := func(log string) string {
				return strings.Join(regexp.MustCompile(`(?m)^.*provider\.terraform-provider-gcpml.*$`).FindAllString(log, -1), "\n")
			}
			log := cli.Must("apply", "-auto-approve", "-no-color", "-var", "secret="+first)
			if provider(log) == "" {
				t.Fatal("there is no log of the provider")
			}
			clean("the log", provider(log))
			clean("the state", quiet.Must("state", "pull"))
			quiet.Must("plan", "-no-color", "-detailed-exitcode", "-var", "secret="+second) // a secret alone is no change
			quiet.Must("plan", "-no-color", "-out=saved", "-var", "secret="+second, "-var", "turn=2")
			clean("the plan", quiet.Must("show", "-json", "saved"))
			quiet.Must("apply", "-no-color", "-var", "secret="+second, "saved")
			pull := func() string { return strings.ReplaceAll(quiet.Must("state", "pull"), `": `, `":`) } // Terraform indents, OpenTofu does not
			state := pull()
			clean("the state", state)
			if !strings.Contains(state, `"seen"`) || !strings.Contains(state, `"value_wo_version":2`) || !strings.Contains(state, `"version_id":"2"`) {
				t.Errorf("state %s", state)
			}
			if echo == "yes" {
				if env := get(t, tw, id).GetContainerSpec().GetEnv(); env[1].GetValue() != second {
					t.Errorf("the server has %v", env)
				}
			}

			quiet.Must("state", "rm", address)
			quiet.Must("import", "-no-color", "-var", "secret="+second, address, id)
			state = pull()
			clean("the imported state", state)
			if echo == "yes" && !strings.Contains(state, `"KEY"`) {
				t.Errorf("the name is gone: %s", state)
			}
			quiet.Must("apply", "-auto-approve", "-no-color", "-var", "secret="+second, "-var", "turn=2")
			quiet.Must("plan", "-no-color", "-detailed-exitcode", "-var", "secret="+second, "-var", "turn=2")
			if state = pull(); !strings.Contains(state, `"version_id":"2"`) {
				t.Errorf("an import made a version: %s", state)
			}
			clean("the state after an import", state)
			quiet.Must("destroy", "-auto-approve", "-no-color", "-var", "secret="+second)
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}
