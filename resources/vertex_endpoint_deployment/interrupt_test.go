// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// eventually waits for a condition on the emulator.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// Ctrl-C while something is uploaded, created or deployed ends the command soon;
// nothing is tainted, and the next apply goes on with what runs.
func TestAccInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		flags  []string
		during func(*testing.T, *acctest.Twin) bool
	}{
		"upload": {
			[]string{"--operation-latency", "4s"},
			func(t *testing.T, tw *acctest.Twin) bool { return operationsRunning(t, tw) > 0 },
		},
		"deployment": {
			[]string{"--deploy-latency", "6s"},
			func(t *testing.T, tw *acctest.Twin) bool {
				_, err := client(t, tw).GetEndpoint(t.Context(), &pb.GetEndpointRequest{Name: id})
				return err == nil && operationsRunning(t, tw) > 0
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, c.flags...)
			cli := tw.NewCLI(t, tw.Config(twoModels("1")+endpoint(deploy("main", modelA, small))))
			apply := cli.Start("apply", "-auto-approve", "-no-color")
			eventually(t, name, func() bool { return c.during(t, tw) })
			since := time.Now()
			apply.Interrupt()
			out, exit := apply.Wait()
			if took := time.Since(since); exit == 0 || took > 5*time.Second {
				t.Errorf("exit code %d after %s:\n%s", exit, took, out)
			}
			if !strings.Contains(out, "interrupted") {
				t.Errorf("nothing tells of the interruption:\n%s", out)
			}
			if out := cli.Must("show", "-no-color"); strings.Contains(out, "tainted") {
				t.Errorf("the interruption tainted:\n%s", out)
			}
			out = cli.Must("apply", "-auto-approve", "-no-color")
			if strings.Contains(out, "must be replaced") || !strings.Contains(out, "0 destroyed") {
				t.Errorf("the next apply did not go on:\n%s", out)
			}
			if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
				t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
			}
			if n := len(read(t, tw).GetDeployedModels()); n != 1 {
				t.Errorf("%d deployed models", n)
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// Ctrl-C during a roll-out is an error, since Terraform would take the update for
// complete; what was done is in the state, and the next apply goes on.
func TestAccInterruptedUpdate(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--deploy-latency", "3s")
	cli := tw.NewCLI(t, tw.Config(twoModels("1")+endpoint(deploy("main", modelA, small))))
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Write(tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small))))
	apply := cli.Start("apply", "-auto-approve", "-no-color")
	eventually(t, "the deployment", func() bool { return running(t, tw, id) > 0 })
	since := time.Now()
	apply.Interrupt()
	out, exit := apply.Wait()
	if took := time.Since(since); exit == 0 || took > 5*time.Second || !strings.Contains(out, "/operations/") {
		t.Errorf("exit code %d after %s:\n%s", exit, took, out)
	}
	if strings.Contains(out, "inconsistent") {
		t.Errorf("Terraform took the update for complete:\n%s", out)
	}
	if out = cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, "0 destroyed") {
		t.Errorf("the next apply did not go on:\n%s", out)
	}
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
	}
	if d := read(t, tw).GetDeployedModels(); len(d) != 1 || d[0].GetModelVersionId() != "2" {
		t.Errorf("deployed: %v", d)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// A timeout is an error that names the operation; the endpoint is in the state,
// and after an untaint the next apply goes on.
func TestAccTimeout(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--deploy-latency", "4s")
	base := twoModels("1")
	cli := tw.NewCLI(t, tw.Config(base+endpoint(deploy("main", modelA, small), "timeouts {", `  create = "2s"`, "}")))
	out, exit := cli.Run("apply", "-auto-approve", "-no-color")
	if exit == 0 || !strings.Contains(out, "timeout") || !strings.Contains(out, "/operations/") || !strings.Contains(out, "untaint") {
		t.Fatalf("exit code %d:\n%s", exit, out)
	}
	cli.Must("untaint", address)
	cli.Write(tw.Config(base + endpoint(deploy("main", modelA, small))))
	if out = cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, "0 destroyed") {
		t.Errorf("the next apply did not go on:\n%s", out)
	}
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
	}

	// An update that times out taints nothing and says what goes on.
	cli.Write(tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small), "timeouts {", `  update = "2s"`, "}")))
	out, exit = cli.Run("apply", "-auto-approve", "-no-color")
	if exit == 0 || !strings.Contains(out, "timeout") || !strings.Contains(out, "/operations/") {
		t.Errorf("exit code %d:\n%s", exit, out)
	}
	cli.Write(tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small))))
	if out = cli.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out, "0 destroyed") {
		t.Errorf("the next apply did not go on:\n%s", out)
	}
	if n := len(read(t, tw).GetDeployedModels()); n != 1 {
		t.Errorf("%d deployed models", n)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// operationsRunning counts what is not done, of models and endpoints.
func operationsRunning(t *testing.T, tw *acctest.Twin) int {
	t.Helper()
	return running(t, tw, models+"a") + running(t, tw, models+"b") + running(t, tw, id)
}

// running counts the operations on an object that are not done.
func running(t *testing.T, tw *acctest.Twin, of string) (n int) {
	t.Helper()
	for op, err := range client(t, tw).ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: of}).All() {
		if err == nil && !op.GetDone() {
			n++
		}
	}
	return n
}
