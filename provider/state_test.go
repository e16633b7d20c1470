// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"google.golang.org/api/bigquery/v2"
	"google.golang.org/api/bigqueryconnection/v1"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

func apis(t *testing.T, tw *acctest.Twin) (*aiplatform.ModelClient, *aiplatform.EndpointClient, *bigquery.Service) {
	t.Helper()
	c := tw.Clients(t)
	models, err := c.Models(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := c.Endpoints(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	bq, err := c.BigQuery(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return models, endpoints, bq
}

var writeState = flag.Bool("write-state", false, "write the state of this version to testdata/state/")

const thisState = "testdata/state/0.1.0.json"

// The state of every released version plans empty with this one, private state
// included. A file is written once, when a version is released.
func TestAccStateOfReleasedVersions(t *testing.T) {
	configuration := labelled(`{ team = "a" }`)
	if *writeState {
		_, cli := start(t, configuration)
		cli.Must("apply", "-auto-approve", "-no-color")
		if err := os.WriteFile(thisState, []byte(cli.Must("state", "pull")), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	files, err := filepath.Glob("testdata/state/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no states: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			tw, cli := start(t, configuration)
			cli.Must("apply", "-auto-approve", "-no-color")
			marks := incarnations(t, file)
			relabel(t, tw, func(resource string, labels map[string]string) { labels["gcpml-incarnation"] = marks[resource] })
			remark(t, tw, marks["gcpml_bq_connection"])

			path, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			old := tw.NewCLI(t, tw.Config(configuration))
			old.Must("state", "push", path)
			emptyPlan(t, old)
			old.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Errorf("what the old state tells is not enough to destroy: %v", err)
			}
		})
	}
}

// incarnations reads, from the private part of a state, the marks that its objects
// carried, by resource type.
func incarnations(t *testing.T, file string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Resources []struct {
			Type      string
			Instances []struct{ Private []byte }
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	marks := map[string]string{}
	for _, r := range state.Resources {
		var all struct{ Gcpml []byte }
		var ours struct{ Incarnation string }
		if err := json.Unmarshal(r.Instances[0].Private, &all); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(all.Gcpml, &ours); err != nil || ours.Incarnation == "" {
			t.Fatalf("%s has no mark in its private state: %v, %s", r.Type, err, all.Gcpml)
		}
		marks[r.Type] = ours.Incarnation
	}
	return marks
}

// remark gives the connection, which has no labels, another mark.
func remark(t *testing.T, tw *acctest.Twin, incarnation string) {
	t.Helper()
	const name = "projects/" + acctest.Project + "/locations/us/connections/kill_test"
	connections, err := tw.Clients(t).Connections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := connections.Get(name).Context(t.Context()).Do()
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`incarnation=\w+`)
	if !mark.MatchString(c.FriendlyName) {
		t.Fatalf("the connection carries no mark: %q", c.FriendlyName)
	}
	marked := &bigqueryconnection.Connection{FriendlyName: mark.ReplaceAllString(c.FriendlyName, "incarnation="+incarnation)}
	_, err = connections.Patch(name, marked).UpdateMask("friendlyName").Context(t.Context()).Do()
	if err != nil {
		t.Fatal(err)
	}
}
