// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/api/storage/v1"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// write writes objects into the bucket "bucket", which it makes when it has to.
func write(t *testing.T, tw *acctest.Twin, names ...string) {
	t.Helper()
	client, err := tw.Clients(t).Storage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Buckets.Get("bucket").Do(); err != nil {
		if _, err := client.Buckets.Insert(acctest.Project, &storage.Bucket{Name: "bucket"}).Do(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if _, err := client.Objects.Insert("bucket", &storage.Object{Name: name}).Media(strings.NewReader("x")).Do(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccModelArtifactRevision(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(revision string) string { return version(tw, 1, revision) }
	update := planned(plancheck.ResourceActionUpdate)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: with("")},
			{Config: with(`artifact_revision = "a"`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2")}},
			{Config: with(`artifact_revision = "b"`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "3")}},
			{Config: with(`artifact_revision = "a"`), ConfigPlanChecks: update, ConfigStateChecks: []statecheck.StateCheck{has("version_id", "4")}},
		},
	})
}

// What was uploaded cannot be known after an import: it is taken to be what is
// configured, whoever made the model.
func TestAccModelArtifactRevisionAfterImport(t *testing.T) {
	for _, ours := range []bool{true, false} {
		t.Run(map[bool]string{true: "ours", false: "theirs"}[ours], func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t)
			config := version(tw, 1, `artifact_revision = "a"`)
			cli := tw.NewCLI(t, config)
			if ours {
				cli.Must("apply", "-auto-approve", "-no-color")
				cli.Must("state", "rm", address)
			} else {
				uploadByHand(t, tw)
			}
			cli.Must("import", "-no-color", address, id)
			cli.Must("apply", "-auto-approve", "-no-color")
			cli.Must("plan", "-detailed-exitcode", "-no-color")
			if versions := tw.Serving(t).Models[0].Versions; len(versions) != 1 {
				t.Errorf("the import made %d versions", len(versions))
			}
			cli.Write(version(tw, 1, `artifact_revision = "b"`))
			cli.Must("apply", "-auto-approve", "-no-color")
			if versions := tw.Serving(t).Models[0].Versions; len(versions) != 2 {
				t.Errorf("another revision made %d versions", len(versions))
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
		})
	}
}

func TestAccModelDetectArtifactChanges(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	plain, detects := version(tw, 1, ""), version(tw, 1, "detect_artifact_changes = true")
	stays := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
		plancheck.ExpectKnownValue(address, tfjsonpath.New("version_id"), knownvalue.StringExact("1")),
	}}
	fingerprint := statecheck.ExpectKnownValue(address, tfjsonpath.New("artifact_fingerprint"), knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{20}$`)))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: tw.CheckDestroy,
		Steps: []resource.TestStep{
			{PreConfig: func() { write(t, tw, "v1/saved_model.pb", "v1/assets/vocab", "v10/saved_model.pb") }, Config: plain},
			{Config: detects, ConfigPlanChecks: stays, ConfigStateChecks: []statecheck.StateCheck{fingerprint, has("version_id", "1")}},
			{PreConfig: func() { write(t, tw, "v10/saved_model.pb", "other") }, Config: detects, ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{ // a file is written again
				PreConfig: func() { write(t, tw, "v1/assets/vocab") }, Config: detects,
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{fingerprint, has("version_id", "2")},
			},
			{ // turned off, it is not looked at
				PreConfig: func() { write(t, tw, "v1/assets/vocab") }, Config: plain,
				ConfigStateChecks: []statecheck.StateCheck{has("version_id", "2"), statecheck.ExpectKnownValue(address, tfjsonpath.New("artifact_fingerprint"), knownvalue.Null())},
			},
		},
	})
}

// What was planned is what is uploaded, or nothing.
func TestAccModelArtifactChangedSincePlan(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	write(t, tw, "v1/saved_model.pb")
	cli := tw.NewCLI(t, version(tw, 1, "detect_artifact_changes = true"))
	changed := func() {
		t.Helper()
		cli.Must("plan", "-out=saved", "-no-color")
		write(t, tw, "v1/saved_model.pb")
		out, exit := cli.Run("apply", "-no-color", "saved")
		if exit == 0 || !regexp.MustCompile(`the\s+artifact\s+changed\s+since\s+the\s+plan`).MatchString(out) || !strings.Contains(out, "artifact_uri") {
			t.Errorf("exit %d: %s", exit, out)
		}
	}
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Must("plan", "-detailed-exitcode", "-no-color")
	write(t, tw, "v1/saved_model.pb")
	changed()
	if versions := tw.Serving(t).Models[0].Versions; len(versions) != 1 {
		t.Errorf("%d versions", len(versions))
	}
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Must("plan", "-detailed-exitcode", "-no-color")
	cli.Must("destroy", "-auto-approve", "-no-color")
}

// Warnings come while they can still help: before an upload, and for the container
// with every plan.
func TestAccModelWarnings(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	write(t, tw, "v1/model.joblib", "v2/saved_model.pb", "v3/1/saved_model.pb")
	says := func(out string, want ...string) {
		t.Helper()
		plain := regexp.MustCompile(`[\s│]+`).ReplaceAllString(out, " ")
		for _, part := range want {
			if negated, ok := strings.CutPrefix(part, "!"); ok == strings.Contains(plain, strings.TrimPrefix(part, "!")) {
				t.Errorf("want %q (not: %v) in %s", negated, ok, out)
			}
		}
	}
	cli := tw.NewCLI(t, version(tw, 1, ""))
	says(cli.Must("plan", "-no-color"), "Artifact does not fit", "looks for saved_model.pb in gs://bucket/v1/", "Support of a prebuilt container", "2026-07-14")
	cli.Write(version(tw, 4, ""))
	says(cli.Must("plan", "-no-color"), "There is nothing in gs://bucket/v4/ yet.")
	cli.Write(version(tw, 3, ""))
	says(cli.Must("plan", "-no-color"), "it is in 1/ there")
	cli.Write(version(tw, 2, ""))
	says(cli.Must("apply", "-auto-approve", "-no-color"), "!Artifact does not fit")
	cli.Write(version(tw, 2, `description = "x"`))
	says(cli.Must("plan", "-no-color"), "!Artifact does not fit", "Support of a prebuilt container")
	cli.Must("destroy", "-auto-approve", "-no-color")
}
