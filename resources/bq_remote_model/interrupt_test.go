// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const ownership = `ownership_id = "acc"`

// await waits until a held call has taken effect.
func await(t *testing.T, what string, fired func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !fired(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// converge applies once, expects one of each object, so many roles and nothing left
// to do, and destroys without leftovers.
func converge(t *testing.T, twin *acctest.Twin, cli *acctest.CLI, roles int) {
	t.Helper()
	cli.Must("apply", "-auto-approve", "-no-color")
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan after converging is not empty (exit code %d):\n%s", exit, out)
	}
	for section, want := range map[string]int{"connections": 1, "iam_bindings": roles, "remote_models": 1} {
		if n := len(twin.Inventory(t)[section]); n != want {
			t.Errorf("%d in %s, want %d", n, section, want)
		}
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := destroyed(twin, t)(nil); err != nil {
		t.Error(err)
	}
}

// The provider is killed after a call took effect and before its reply came, during
// create, update and destroy.
func TestAccKilled(t *testing.T) {
	t.Parallel()
	before := render(map[string]string{"description": `"one"`})
	changed := strings.Replace(render(map[string]string{"description": `"two"`, "endpoint": `"` + two + `"`}), `roles         = ["roles/aiplatform.user"]`,
		`description   = "changed"
  roles         = ["roles/aiplatform.user", "roles/viewer"]`, 1)
	const connections = "/google.cloud.bigquery.connection.v1.ConnectionService/"
	const models = " /bigquery/v2/projects/*/datasets/*/models/*"
	for name, c := range map[string]struct{ during, method string }{
		"labels during create":      {"create", "PATCH" + models},
		"replace during update":     {"update", "POST /bigquery/v2/projects/*/jobs"},
		"labels during update":      {"update", "PATCH" + models},
		"connection during update":  {"update", connections + "UpdateConnection"},
		"grant during update":       {"update", "/google.cloud.resourcemanager.v3.Projects/SetIamPolicy"},
		"model during destroy":      {"destroy", "DELETE" + models},
		"revoke during destroy":     {"destroy", "/google.cloud.resourcemanager.v3.Projects/SetIamPolicy"},
		"connection during destroy": {"destroy", connections + "DeleteConnection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := start(t, "--enable-faults")
			cli := twin.NewCLI(t, twin.Config(before, ownership))
			command := []string{"apply", "-auto-approve", "-no-color"}
			if c.during != "create" {
				cli.Must(command...)
			}
			switch c.during {
			case "update":
				cli.Write(twin.Config(changed, ownership))
			case "destroy":
				command[0] = "destroy"
			}
			fired, release := twin.Hold(t, c.method)
			defer release()
			running := cli.Start(command...)
			await(t, c.method, fired)
			if cli.KillProvider() == 0 {
				t.Fatal("there was no provider to kill")
			}
			if out, exit := running.Wait(); exit == 0 {
				t.Fatalf("%s succeeded although its provider was killed:\n%s", command[0], out)
			}
			switch c.during {
			case "create":
				converge(t, twin, cli, 1)
			case "update":
				converge(t, twin, cli, 2)
			default:
				cli.Must(command...)
				if err := destroyed(twin, t)(nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A replacement that lost its labels is known for ours by its job, so destroy right
// after the kill deletes it.
func TestAccKilledThenDestroyed(t *testing.T) {
	t.Parallel()
	twin := start(t, "--enable-faults")
	cli := twin.NewCLI(t, twin.Config(render(nil)))
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Write(twin.Config(render(map[string]string{"endpoint": `"` + two + `"`})))
	fired, release := twin.Hold(t, "POST /bigquery/v2/projects/*/jobs")
	defer release()
	apply := cli.Start("apply", "-auto-approve", "-no-color")
	await(t, "jobs.insert", fired)
	cli.KillProvider()
	apply.Wait()
	await(t, "the replacement", func() bool { // the job runs on
		return path.Base(get(t, twin).RemoteModelInfo.Endpoint) == path.Base(two)
	})
	if labels := get(t, twin).Labels; twin.Assumed(t, "replace-keeps-labels") == "no" && len(labels) > 0 {
		t.Fatalf("the scene is not set: the replacement kept labels %v", labels)
	}
	out := cli.Must("destroy", "-auto-approve", "-no-color")
	if err := destroyed(twin, t)(nil); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Ctrl-C while the DDL's reply is awaited, and while the grant is: the CLI ends
// soon, nothing is tainted, and the next apply goes on.
func TestAccInterrupted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lag  string
		hold bool
	}{
		"after the DDL took effect": {"0s", true},
		"waiting for the grant":     {"15s", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := start(t, "--enable-faults", "--iam-lag", c.lag, "--assume", "permission-checked-at=create")
			cli := twin.NewCLI(t, twin.Config(render(nil)))
			release, fired := func() {}, func() bool { return len(twin.Inventory(t)["iam_bindings"]) > 0 }
			if c.hold {
				fired, release = twin.Hold(t, "POST /bigquery/v2/projects/*/jobs")
			}
			defer func() { release() }()
			apply := cli.Start("apply", "-auto-approve", "-no-color")
			await(t, "the call", fired)
			if !c.hold {
				time.Sleep(time.Second) // into the wait between two tries
			}
			interrupted := time.Now()
			apply.Interrupt()
			out, exit := apply.Wait()
			if took := time.Since(interrupted); took > 10*time.Second {
				t.Errorf("the CLI ended %s after Ctrl-C", took)
			}
			if exit == 0 || !strings.Contains(out, "interrupted") {
				t.Errorf("exit code %d:\n%s", exit, out)
			}
			if c.hold {
				if state := cli.Must("show", "-no-color"); !strings.Contains(state, address) || strings.Contains(state, "tainted") {
					t.Errorf("the state after Ctrl-C:\n%s", state)
				}
			}
			converge(t, twin, cli, 1)
		})
	}
}
