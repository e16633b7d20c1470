// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package examples_test applies every example of the documentation, so that none
// of them is only text.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// project is what the examples call theirs.
const project = "my-project"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), project, acctest.Project)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: nothing found (%v)", pattern, err)
	}
	return found
}

func emptyPlan(t *testing.T, cli *acctest.CLI) {
	t.Helper()
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan after apply is not empty (exit code %d):\n%s", exit, out)
	}
}

func nothingLeft(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// letters keeps the switch of the names that the examples and their texts use. Without
// it: TestAccRemoteModelOverAnIDWithLetters.
var letters = []string{"--assume", "endpoint-letters-in-option=yes"}

// Each resource's example is applied, forgotten and imported by each of its import
// commands, after which there is nothing to change, and all is destroyed.
func TestAccResources(t *testing.T) {
	for _, file := range glob(t, "resources/*/resource.tf") {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, letters...)
			tw.SQL(t, "CREATE SCHEMA bqml_tutorial OPTIONS(location='US')")
			cli := tw.NewCLI(t, tw.Config(read(t, file)))
			cli.Must("apply", "-auto-approve", "-no-color")
			emptyPlan(t, cli)
			for line := range strings.Lines(read(t, filepath.Join(dir, "import.sh"))) {
				command, _, _ := strings.Cut(line, " #")
				arguments := strings.Fields(command)
				if len(arguments) != 4 || arguments[1] != "import" {
					t.Fatalf("import.sh: %q is no import command", line)
				}
				cli.Must("state", "rm", arguments[2])
				cli.Must("import", "-no-color", arguments[2], arguments[3])
				if strings.Contains(read(t, file), "probe =") {
					// Which rows were tried is in no model: they are tried once more.
					if out := cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, "0 added, 1 changed, 0 destroyed") || !strings.Contains(out, "+ probe ") {
						t.Errorf("the import changes more than the probe:\n%s", out)
					}
				}
				if hidden := tw.Assumed(t, "container-spec-echo") == "no"; hidden && strings.Contains(arguments[2], "model_upload") {
					// What the server does not show is taken over, which uploads nothing.
					if out := cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, "0 added, 1 changed, 0 destroyed") || !strings.Contains(out, "+ container_spec ") {
						t.Errorf("the import changes more than the container:\n%s", out)
					}
				}
				emptyPlan(t, cli)
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
			nothingLeft(t, tw)
		})
	}
}

// The tutorial is applied as its README says, and with what it made the examples
// of the data sources and functions.
func TestAccTutorial(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, append(acctest.ModelGarden(t), letters...)...)
	environment := []string{"GCPML_EMULATOR_HOST=" + tw.Host, "GOOGLE_PROJECT=" + acctest.Project}
	run := func(script string) {
		t.Helper()
		gcpml := exec.Command(filepath.Join(programs(t), "gcpml"), "run", filepath.Join("tutorial", script))
		gcpml.Env = append(os.Environ(), environment...)
		if out, err := gcpml.CombinedOutput(); err != nil {
			t.Fatalf("gcpml run %s: %v\n%s", script, err, out)
		}
	}
	run("setup.sql")
	tutorial := whole(t, tw, glob(t, "tutorial/*.tf")...).For(t, environment...)
	tutorial.Must("apply", "-auto-approve", "-no-color")
	emptyPlan(t, tutorial)
	champion(t, tw)
	for _, kind := range []string{"data-sources", "functions"} {
		files, err := filepath.Glob(filepath.Join(kind, "*", "*.tf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
				cli := tw.NewCLI(t, tw.Config(read(t, file)))
				if out := cli.Must("apply", "-auto-approve", "-no-color"); strings.Contains(out, "Warning") {
					t.Errorf("a warning:\n%s", out)
				}
				// Data in a check block is always read again, which counts as a change.
				if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit == 1 || exit == 2 && !strings.Contains(out, "Plan: 0 to add, 0 to change, 0 to destroy") {
					t.Errorf("the plan after apply is not empty (exit code %d):\n%s", exit, out)
				}
				cli.Must("destroy", "-auto-approve", "-no-color")
			})
		}
	}
	tutorial.Must("destroy", "-auto-approve", "-no-color")
	run("teardown.sql")
	nothingLeft(t, tw)
}

// The provider's own example is a whole configuration.
func TestAccProvider(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	cli := whole(t, tw, "provider/provider.tf").For(t, "GCPML_EMULATOR_HOST="+tw.Host)
	cli.Must("validate", "-no-color")
	emptyPlan(t, cli)
}

// programs is where make built them.
func programs(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GCPML_BIN_DIR"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// What was made with gcloud and bq is imported as it is.
func TestAccImportOfWhatWasMadeByHand(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"gcloud", "bq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: the walkthrough is not tested")
		}
	}
	tw := acctest.Start(t, letters...)
	script := exec.Command(filepath.Join("import", "make-by-hand.sh"))
	script.Env = append(os.Environ(), "PROJECT="+acctest.Project, "BQ=bq --api http://"+tw.Host, "CLOUDSDK_CONFIG="+t.TempDir(), "BIGQUERYRC="+os.DevNull,
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1",
		"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+token(t), "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM=http://"+tw.Host+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER=http://"+tw.Host+"/")
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("make-by-hand.sh: %v\n%s", err, out)
	}
	cli := whole(t, tw, "import/main.tf").For(t, "GCPML_EMULATOR_HOST="+tw.Host, "TF_VAR_project="+acctest.Project)
	want := "4 imported, 0 added, 0 changed, 0 destroyed"
	if tw.Assumed(t, "container-spec-echo") == "no" {
		want = "4 imported, 0 added, 1 changed, 0 destroyed" // the container, of which the server shows nothing
	}
	if out := cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, want) {
		t.Errorf("the import changes something:\n%s", out)
	}
	emptyPlan(t, cli)
	cli.Must("destroy", "-auto-approve", "-no-color")
	nothingLeft(t, tw)
}

func token(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("any"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The configuration beside the google provider is applied where that can be
// installed from; the emulator serves both.
func TestAccSideBySide(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, letters...)
	api := "http://" + tw.Host
	cli := whole(t, tw, "side-by-side/main.tf").For(t, "GCPML_EMULATOR_HOST="+tw.Host, "TF_VAR_project="+acctest.Project, "TF_VAR_saved_model=none",
		"TF_VAR_google_access_token=any", "GOOGLE_STORAGE_CUSTOM_ENDPOINT="+api+"/storage/v1/", "GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT="+api+"/bigquery/v2/",
		"GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT="+api+"/v1/")
	if out, exit := cli.Run("init", "-no-color"); exit != 0 {
		t.Skipf("the google provider cannot be installed here: %s", out)
	}
	cli.Must("apply", "-auto-approve", "-no-color")
	emptyPlan(t, cli)
	cli.Must("destroy", "-auto-approve", "-no-color")
	nothingLeft(t, tw)
}

// The tutorial's own test runs on a mock of the provider.
func TestAccMocks(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t) // not called
	cli := whole(t, tw, append(glob(t, "tutorial/*.tf"), glob(t, "tutorial/tests/*.tftest.hcl")...)...)
	if out := cli.Must("test", "-no-color"); !strings.Contains(out, "1 passed, 0 failed") {
		t.Errorf("terraform test:\n%s", out)
	}
}

// whole is a working directory with these files and nothing else.
func whole(t *testing.T, tw *acctest.Twin, files ...string) *acctest.CLI {
	t.Helper()
	cli := tw.NewCLI(t, "")
	if err := os.Remove(filepath.Join(cli.Dir(), "main.tf")); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(cli.Dir(), filepath.Base(file)), []byte(read(t, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cli
}

// champion gives the tutorial's model the alias that an example asks for.
func champion(t *testing.T, tw *acctest.Twin) {
	t.Helper()
	models, err := tw.Clients(t).Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	name := "projects/" + acctest.Project + "/locations/" + acctest.Region + "/models/bert_sentiment@1"
	if _, err := models.MergeVersionAliases(t.Context(), &aiplatformpb.MergeVersionAliasesRequest{Name: name, VersionAliases: []string{"champion"}}); err != nil {
		t.Fatal(err)
	}
}
