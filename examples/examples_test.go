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

// Each resource's example is applied, forgotten and imported by each of its import
// commands, after which there is nothing to change, and all is destroyed.
func TestAccResources(t *testing.T) {
	for _, file := range glob(t, "resources/*/resource.tf") {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t)
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
	tw := acctest.Start(t)
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
	tutorial := tw.NewCLI(t, "").For(t, environment...)
	if err := os.Remove(filepath.Join(tutorial.Dir(), "main.tf")); err != nil {
		t.Fatal(err)
	}
	for _, file := range glob(t, "tutorial/*.tf") {
		if err := os.WriteFile(filepath.Join(tutorial.Dir(), filepath.Base(file)), []byte(read(t, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tutorial.Must("apply", "-auto-approve", "-no-color")
	emptyPlan(t, tutorial)
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
	cli := tw.NewCLI(t, "").For(t, "GCPML_EMULATOR_HOST="+tw.Host)
	if err := os.WriteFile(filepath.Join(cli.Dir(), "main.tf"), []byte(read(t, "provider/provider.tf")), 0o600); err != nil {
		t.Fatal(err)
	}
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
