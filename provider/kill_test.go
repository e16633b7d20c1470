// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// stack is everything that gcpml manages; release changes the model's container.
func stack(release string) string {
	return fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "m" {
  display_name = "kill test"
  artifact_uri = "gs://bucket/model/"
  container_spec = {
    image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    env       = [{ name = "RELEASE", value = %q }]
  }
}

resource "gcpml_vertex_endpoint_deployment" "e" {
  display_name = "kill test"
  endpoint_id  = "471147" # BigQuery may take no letters
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.m.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}

resource "gcpml_bq_connection" "c" {
  location      = "US"
  connection_id = "kill_test"
  roles         = ["roles/aiplatform.user"]
}

resource "gcpml_bq_remote_model" "r" {
  dataset_id      = "ds"
  model_id        = "kill_test"
  connection_name = gcpml_bq_connection.c.id
  endpoint        = gcpml_vertex_endpoint_deployment.e.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}
`, release)
}

const ownership = `ownership_id = "kill-test"`

// The provider is killed after a call took effect and before its reply came. The
// next apply finds what the lost one made: one of each object, and nothing to
// change.
func TestAccKilledProviderConverges(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		update bool // killed while a new release is rolled out, not during create
	}{
		"uploadModel":             {method: "/google.cloud.aiplatform.v1.ModelService/UploadModel"},
		"createEndpoint":          {method: "/google.cloud.aiplatform.v1.EndpointService/CreateEndpoint"},
		"deployModel":             {method: "/google.cloud.aiplatform.v1.EndpointService/DeployModel"},
		"createConnection":        {method: "/google.cloud.bigquery.connection.v1.ConnectionService/CreateConnection"},
		"setIamPolicy":            {method: "/google.cloud.resourcemanager.v3.Projects/SetIamPolicy"},
		"jobs.insert":             {method: "POST /bigquery/v2/projects/*/jobs"},
		"new version":             {method: "/google.cloud.aiplatform.v1.ModelService/UploadModel", update: true},
		"deploy of a new version": {method: "/google.cloud.aiplatform.v1.EndpointService/DeployModel", update: true},
		"undeployModel":           {method: "/google.cloud.aiplatform.v1.EndpointService/UndeployModel", update: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--enable-faults", "--operation-latency", "100ms")
			tw.SQL(t, "CREATE SCHEMA ds OPTIONS(location='US')")
			cli := tw.NewCLI(t, tw.Config(stack("1"), ownership))
			if c.update {
				cli.Must("apply", "-auto-approve", "-no-color")
				cli.Write(tw.Config(stack("2"), ownership))
			}
			killAfter(t, tw, cli, c.method)

			out := cli.Must("apply", "-auto-approve", "-no-color")
			if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
				t.Errorf("the plan after converging is not empty (exit code %d):\n%s", exit, out)
			}
			inventory := tw.Inventory(t)
			for _, section := range []string{"models", "endpoints", "connections", "iam_bindings", "remote_models"} {
				if n := len(inventory[section]); n != 1 {
					t.Fatalf("%d in %s, want 1: %s\nthe second apply said:\n%s", n, section, inventory[section], out)
				}
			}
			checkOneOfEach(t, tw, c.update)
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkOneOfEach looks inside: one deployed model, and as many versions as there
// were releases.
func checkOneOfEach(t *testing.T, tw *acctest.Twin, updated bool) {
	t.Helper()
	versions := 1
	if updated {
		versions = 2
	}
	serving := tw.Serving(t)
	if n := len(serving.Models[0].Versions); n != versions {
		t.Errorf("the model has %d versions, want %d", n, versions)
	}
	if n := len(serving.Endpoints[0].DeployedModels); n != 1 {
		t.Errorf("%d deployed models, want 1", n)
	}
}

// Without an ownership_id nothing that exists is adopted, and the error says how
// to go on.
func TestAccKilledProviderWithoutOwnership(t *testing.T) {
	for name, method := range map[string]string{
		"createEndpoint": "/google.cloud.aiplatform.v1.EndpointService/CreateEndpoint",
		"jobs.insert":    "POST /bigquery/v2/projects/*/jobs",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--enable-faults", "--operation-latency", "100ms")
			tw.SQL(t, "CREATE SCHEMA ds OPTIONS(location='US')")
			cli := tw.NewCLI(t, tw.Config(stack("1")))
			killAfter(t, tw, cli, method)
			out, exit := cli.Run("apply", "-auto-approve", "-no-color")
			if said := strings.Join(strings.Fields(out), " "); exit == 0 || !strings.Contains(said, "already exists") || !strings.Contains(said, "terraform import") {
				t.Errorf("exit code %d; want an error that names the import command:\n%s", exit, out)
			}
		})
	}
}

// killAfter applies and kills the provider when the call has taken effect.
func killAfter(t *testing.T, tw *acctest.Twin, cli *acctest.CLI, method string) {
	t.Helper()
	fired, release := tw.Hold(t, method)
	defer release()
	apply := cli.Start("apply", "-auto-approve", "-no-color")
	for deadline := time.Now().Add(2 * time.Minute); !fired(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			cli.KillProvider()
			out, _ := apply.Wait()
			t.Fatalf("%s was never called:\n%s", method, out)
		}
	}
	if cli.KillProvider() == 0 {
		t.Fatal("there was no provider to kill")
	}
	if out, exit := apply.Wait(); exit == 0 {
		t.Fatalf("apply succeeded although its provider was killed:\n%s", out)
	}
}
