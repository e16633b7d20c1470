// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// What a policy engine reads (`terraform show -json`) has what it would judge by: which
// machines and how many of them, before and after, what changes in place, and what it is
// that replaces an endpoint.
func TestAccPlanForPolicies(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	main := func(resources string) string { return deploy("main", modelA, resources) }
	cli := tw.NewCLI(t, tw.Config(twoModels("v1")+endpoint(main(small))))
	type resources struct {
		MachineType string `json:"machine_type"`
		Min         int    `json:"min_replica_count"`
		Max         *int   `json:"max_replica_count"`
	}
	type side struct {
		ID          string
		Deployments map[string]struct {
			Dedicated resources `json:"dedicated_resources"`
		}
	}
	type change struct {
		Actions       []string
		Before, After side
		ReplacePaths  [][]any `json:"replace_paths"`
	}
	plan := func(hcl string) (c change) {
		t.Helper()
		cli.Write(tw.Config(hcl))
		cli.Must("plan", "-no-color", "-out=plan")
		output := cli.Must("show", "-json", "plan")
		var whole struct {
			Changes []struct {
				Address string
				Change  change
			} `json:"resource_changes"`
		}
		if err := json.Unmarshal([]byte(output[strings.Index(output, "{"):]), &whole); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		for _, r := range whole.Changes {
			if r.Address == address {
				return r.Change
			}
		}
		t.Fatalf("%s is not in the plan: %s", address, output)
		return c
	}
	if c := plan(twoModels("v1") + endpoint(main(small))); !slices.Equal(c.Actions, []string{"create"}) || c.After.ID != id || c.After.Deployments["main"].Dedicated.MachineType != "n1-standard-2" {
		t.Errorf("a creation: %+v", c)
	}
	cli.Must("apply", "-auto-approve", "-no-color")
	c := plan(twoModels("v1") + endpoint(main(small+", max_replica_count = 9")))
	was, is := c.Before.Deployments["main"].Dedicated, c.After.Deployments["main"].Dedicated
	if !slices.Equal(c.Actions, []string{"update"}) || len(c.ReplacePaths) > 0 || was.Max != nil || is.Max == nil || *is.Max != 9 || is.Min != 1 {
		t.Errorf("more replicas: %+v", c)
	}
	c = plan(twoModels("v1") + endpoint(main(small), "dedicated_endpoint_enabled = true"))
	if !slices.Equal(c.Actions, []string{"delete", "create"}) || len(c.ReplacePaths) != 1 || !slices.Equal(c.ReplacePaths[0], []any{"dedicated_endpoint_enabled"}) {
		t.Errorf("a replacement: %+v", c)
	}
	cli.Write(tw.Config(twoModels("v1") + endpoint(main(small))))
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}
