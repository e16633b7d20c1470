// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"regexp"
	"strings"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// An endpoint that was made by other means is taken over by import as it is: its
// deployed models, whose ids are not of our making, are managed from then on.
func TestAccImportOfForeignEndpoint(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	const block = "import {\n  to = gcpml_vertex_endpoint_deployment.test\n  id = \"us-central1/reviews\"\n}\n"
	both := func(main, canary string) string {
		return twoModels("1") + endpoint(deploy("main", main, small)+deploy("canary", canary, `machine_type = "n1-standard-8", min_replica_count = 1, max_replica_count = 2`),
			"traffic = { main = 80, canary = 20 }", `labels = { made = "by-hand" }`)
	}
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(twoModels("1"))},
		resource.TestStep{
			PreConfig: func() {
				makeByHand(t, tw, "main", models+"a", map[string]int32{"0": 100}, &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1})
				makeByHand(t, tw, "canary", models+"b", map[string]int32{"0": 20, idOf(read(t, tw), "main"): 80},
					&pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-8"}, MinReplicaCount: 1, MaxReplicaCount: 2})
			},
			Config:           tw.Config(block + both(modelA, modelB)),
			ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"main": 80, "canary": 20}), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(2)),
			},
		},
		resource.TestStep{ // one is replaced, the other stays as it is
			Config:           tw.Config(both(modelB, modelB)),
			ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{
				has(deployedAt("main", "model"), text(models+"b")), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(2)),
			},
		},
		resource.TestStep{ // a new name for people keeps the id
			Config:           tw.Config(strings.Replace(both(modelB, modelB), `"Reviews"`, `"Film reviews"`, 1)),
			ConfigPlanChecks: updates(),
		},
	)
}

// makeByHand deploys to the endpoint as gcloud does, and makes it if there is none.
func makeByHand(t *testing.T, tw *acctest.Twin, key, model string, split map[string]int32, resources *pb.DedicatedResources) {
	t.Helper()
	c := client(t, tw)
	if _, err := c.GetEndpoint(t.Context(), &pb.GetEndpointRequest{Name: id}); err != nil {
		op, err := c.CreateEndpoint(t.Context(), &pb.CreateEndpointRequest{
			Parent: "projects/demo-gcpml/locations/us-central1", EndpointId: "reviews",
			Endpoint: &pb.Endpoint{DisplayName: "Reviews", Labels: map[string]string{"made": "by-hand"}},
		})
		if err == nil {
			_, err = op.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	op, err := c.DeployModel(t.Context(), &pb.DeployModelRequest{
		Endpoint: id, TrafficSplit: split,
		DeployedModel: &pb.DeployedModel{Model: model, DisplayName: key, PredictionResources: &pb.DeployedModel_DedicatedResources{DedicatedResources: resources}},
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccImportErrors(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	for name, c := range map[string]struct{ id, want string }{
		"form":    {"reviews", `not\s+of\s+the\s+form`},
		"kind":    {"projects/demo-gcpml/locations/us-central1/models/reviews", `not\s+of\s+the\s+form`},
		"missing": {"us-central1/reviews", `Cannot import non-existent remote object`},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, tw, resource.TestStep{
				Config:       tw.Config(endpoint("")),
				ResourceName: address, ImportState: true, ImportStateId: c.id, ExpectError: regexp.MustCompile(c.want),
			})
		})
	}
}

// An endpoint that is there, without a mark of ours, is never taken over.
func TestAccEndpointExists(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := tw.Config(twoModels("1")+endpoint(deploy("main", modelA, small)), `ownership_id = "team-a"`)
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(twoModels("1"))},
		resource.TestStep{
			PreConfig: func() {
				makeByHand(t, tw, "main", models+"a", map[string]int32{"0": 100}, &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1})
			},
			Config:      config,
			ExpectError: regexp.MustCompile(`(?s)already\s+exists.*no\s+gcpml-owner\s+label.*terraform\s+import\s+<address>\s+"` + id),
		},
		resource.TestStep{ // it is as it was; make room for the end of the test
			PreConfig: func() {
				e := read(t, tw)
				if len(e.GetLabels()) != 1 || len(e.GetDeployedModels()) != 1 {
					t.Errorf("what is not ours was changed: %v", e)
				}
				undeploy(t, tw, "main", nil)
				op, err := client(t, tw).DeleteEndpoint(t.Context(), &pb.DeleteEndpointRequest{Name: id})
				if err == nil {
					err = op.Wait(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
		},
	)
}

// The ids of what was deleted may stay taken for a while.
func TestAccReplacementWaitsForTheID(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	tw := acctest.Start(t, "--assume", "ids-reusable-after-delete=after-30s")
	config := tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)))
	run(
		t, tw,
		resource.TestStep{Config: config},
		resource.TestStep{Config: config, Taint: []string{address, "gcpml_vertex_model_upload.a"}, ConfigPlanChecks: planned(plancheck.ResourceActionReplace)},
	)
}
