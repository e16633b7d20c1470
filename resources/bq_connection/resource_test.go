// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const address = "gcpml_bq_connection.c"

const fullName = "projects/" + acctest.Project + "/locations/us/connections/acc"

func config(body string) string {
	return "resource \"gcpml_bq_connection\" \"c\" {\n" + body + "\n}\n"
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

// remoteRoles compares the roles that the project's policy gives the service account.
func remoteRoles(t *testing.T, twin *acctest.Twin, want ...string) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		account := s.RootModule().Resources[address].Primary.Attributes["service_account_id"]
		if !strings.HasSuffix(account, ".iam.gserviceaccount.com") {
			return fmt.Errorf("service_account_id is %q", account)
		}
		got, err := twin.Clients(t).MemberRoles(t.Context(), acctest.Project, "serviceAccount:"+account)
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the policy gives %v, want %v", got, want)
		}
		return nil
	}
}

func TestAccConnection(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	value := func(attribute string, want knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), want)
	}
	minimal := config(`
  location      = "US"
  connection_id = "acc"`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{
				Config: twin.Config(minimal),
				ConfigStateChecks: []statecheck.StateCheck{
					value("id", knownvalue.StringExact("projects/"+acctest.Project+"/locations/US/connections/acc")),
					value("project", knownvalue.StringExact(acctest.Project)),
					value("friendly_name", knownvalue.Null()), // the marker does not show
					value("description", knownvalue.Null()),
					value("roles", knownvalue.Null()),
				},
				Check: remoteRoles(t, twin),
			},
			{ResourceName: address, ImportState: true, ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID}, // an empty plan
			{ResourceName: address, ImportState: true, ImportStateId: "US/acc", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: acctest.Project + "/US/acc", ImportStateVerify: true},
			{ // A project number is the project.
				ResourceName: address, ImportState: true, ImportStateVerify: true,
				ImportStateIdFunc: func(s *terraform.State) (string, error) {
					account := s.RootModule().Resources[address].Primary.Attributes["service_account_id"]
					number := regexp.MustCompile(`^bqcx-([0-9]+)-`).FindStringSubmatch(account)
					if number == nil {
						return "", fmt.Errorf("no project number in %s", account)
					}
					return "projects/" + number[1] + "/locations/US/connections/acc", nil
				},
			},
			{ // The same location in another case is no change.
				Config:   twin.Config(strings.ReplaceAll(minimal, `"US"`, `"us"`)),
				PlanOnly: true,
			},
			{
				Config: twin.Config(config(`
  location      = "US"
  connection_id = "acc"
  friendly_name = "Acceptance"
  description   = "of the connection"
  roles         = ["roles/aiplatform.user", "roles/storage.objectViewer"]`)),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check:            remoteRoles(t, twin, "roles/aiplatform.user", "roles/storage.objectViewer"),
			},
			{ResourceName: address, ImportState: true, ImportStateVerify: true},
			{
				Config: twin.Config(config(`
  location      = "US"
  connection_id = "acc"
  description   = "changed"
  roles         = ["roles/aiplatform.user"]`)),
				ConfigPlanChecks:  action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("friendly_name", knownvalue.Null())},
				Check:             remoteRoles(t, twin, "roles/aiplatform.user"),
			},
			{
				Config:           twin.Config(strings.ReplaceAll(minimal, `"acc"`, `"other"`)),
				ConfigPlanChecks: action(plancheck.ResourceActionReplace),
			},
			{ // A new connection gets a new id from its friendly name.
				Config: twin.Config(config(`
  location      = "europe-west4"
  friendly_name = "My 1st connection"`)),
				ConfigPlanChecks:  action(plancheck.ResourceActionReplace),
				ConfigStateChecks: []statecheck.StateCheck{value("connection_id", knownvalue.StringExact("my_1st_connection"))},
			},
		},
	})
}

func TestAccConnectionIDFromFriendlyName(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{
				Config:            twin.Config(config("  location = \"EU\"\n  friendly_name = \"My 1st connection\"")),
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("connection_id"), knownvalue.StringExact("my_1st_connection"))},
			},
			{ // fixed from then on
				Config:           twin.Config(config("  location = \"EU\"\n  friendly_name = \"Renamed\"")),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
			},
		},
	})
}

func TestAccConnectionDrift(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	hcl := twin.Config(config(`
  location      = "US"
  connection_id = "acc"
  description   = "declared"
  roles         = ["roles/aiplatform.user", "roles/storage.objectViewer"]`))
	account := ""
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: hcl, Check: func(s *terraform.State) error {
				account = s.RootModule().Resources[address].Primary.Attributes["service_account_id"]
				return nil
			}},
			{ // Somebody takes a role away and changes texts, the marker among them.
				PreConfig: func() {
					c := twin.Clients(t)
					if err := c.RevokeRoles(t.Context(), acctest.Project, "serviceAccount:"+account, []string{"roles/aiplatform.user"}); err != nil {
						t.Fatal(err)
					}
					connections, err := c.Connections(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, err = connections.UpdateConnection(t.Context(), &connectionpb.UpdateConnectionRequest{
						Name: fullName, Connection: &connectionpb.Connection{FriendlyName: "theirs", Description: "theirs"},
						UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"friendly_name", "description"}},
					})
					if err != nil {
						t.Fatal(err)
					}
				},
				Config:           hcl,
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check:            remoteRoles(t, twin, "roles/aiplatform.user", "roles/storage.objectViewer"),
			},
			{ // A role that somebody else granted is none of our business.
				PreConfig: func() {
					if _, err := twin.Clients(t).GrantRoles(t.Context(), acctest.Project, "serviceAccount:"+account, []string{"roles/viewer"}, 0); err != nil {
						t.Fatal(err)
					}
				},
				Config:   hcl,
				PlanOnly: true,
			},
			{ // It was there before this configuration lists it, so dropping it leaves it.
				Config: strings.Replace(hcl, `"roles/storage.objectViewer"]`, `"roles/viewer"]`, 1),
				Check:  remoteRoles(t, twin, "roles/aiplatform.user", "roles/viewer"),
			},
			{
				Config: strings.Replace(hcl, `, "roles/storage.objectViewer"]`, `]`, 1),
				Check:  remoteRoles(t, twin, "roles/aiplatform.user", "roles/viewer"),
			},
			{ // Let destroy find nothing of others.
				PreConfig: func() {
					if err := twin.Clients(t).RevokeRoles(t.Context(), acctest.Project, "serviceAccount:"+account, []string{"roles/viewer"}); err != nil {
						t.Fatal(err)
					}
				},
				Config:   strings.Replace(hcl, `, "roles/storage.objectViewer"]`, `]`, 1),
				PlanOnly: true,
			},
		},
	})
}

func TestAccConnectionDisappears(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	hcl := twin.Config(config("  location = \"US\"\n  connection_id = \"acc\""))
	remove := func() {
		connections, err := twin.Clients(t).Connections(t.Context())
		if err == nil {
			err = connections.DeleteConnection(t.Context(), &connectionpb.DeleteConnectionRequest{Name: fullName})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: hcl},
			{PreConfig: remove, Config: hcl, ConfigPlanChecks: action(plancheck.ResourceActionCreate)},
			{ // Deleted, and made again by somebody else: not ours to take.
				PreConfig: func() {
					remove()
					connections, err := twin.Clients(t).Connections(t.Context())
					if err == nil {
						_, err = connections.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{
							Parent: "projects/" + acctest.Project + "/locations/us", ConnectionId: "acc",
							Connection: &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{CloudResource: &connectionpb.CloudResourceProperties{}}},
						})
					}
					if err != nil {
						t.Fatal(err)
					}
				},
				Config:      hcl,
				ExpectError: regexp.MustCompile(`(?s)already\s+exists\s+and\s+was\s+not\s+adopted.*terraform\s+import\s+<address>\s+"projects/demo-gcpml/locations/US/connections/acc"`),
			},
			{PreConfig: remove, Config: hcl, ConfigPlanChecks: action(plancheck.ResourceActionCreate)},
		},
	})
}

// The roles of a connection that somebody deleted are still in the policy: no destroy
// will revoke them, so that is said while it is known.
func TestAccConnectionGoneLeavesGrants(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	cli := twin.NewCLI(t, twin.Config(config("  location = \"US\"\n  connection_id = \"acc\"\n  roles = [\"roles/viewer\"]")))
	cli.Must("apply", "-auto-approve", "-no-color")
	account := regexp.MustCompile(`bqcx-\S+\.iam\.gserviceaccount\.com`).FindString(cli.Must("show", "-no-color"))
	connections, err := twin.Clients(t).Connections(t.Context())
	if err == nil {
		err = connections.DeleteConnection(t.Context(), &connectionpb.DeleteConnectionRequest{Name: fullName})
	}
	if err != nil {
		t.Fatal(err)
	}
	out := strings.Join(strings.Fields(strings.NewReplacer("│", "", "╷", "", "╵", "").Replace(cli.Must("plan", "-no-color"))), " ")
	if !strings.Contains(out, "may be left") || !strings.Contains(out, "roles/viewer in project "+acctest.Project) || !strings.Contains(out, account) {
		t.Errorf("nobody is told that roles/viewer is left to %s:\n%s", account, out)
	}
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := twin.Clients(t).RevokeRoles(t.Context(), acctest.Project, "serviceAccount:"+strings.Trim(account, `"`), []string{"roles/viewer"}); err != nil {
		t.Fatal(err)
	}
	if err := twin.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

func TestAccConnectionInvalid(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	for _, c := range []struct{ name, body, want string }{
		{"no location", `connection_id = "acc"`, `"location" is required`},
		{"bad location", `connection_id = "acc"` + "\n" + `location = "us central1"`, `Invalid location`},
		{"no id", `location = "US"`, `Missing connection id`},
		{"friendly name without letters", `location = "US"` + "\n" + `friendly_name = "…"`, `Missing connection id`},
		{"bad id", `location = "US"` + "\n" + `connection_id = "a b"`, `Invalid connection id`},
		{"empty id", `location = "US"` + "\n" + `connection_id = ""`, `Invalid connection id`},
		{"bad role", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `roles = ["aiplatform.user"]`, `Invalid role`},
		{"own project", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `project_roles = { "` + acctest.Project + `" = ["roles/viewer"] }`, `The connection's own project`},
		{"project number in project_roles", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `project_roles = { "123456789012" = ["roles/viewer"] }`, `Invalid project id`},
		{"bad role of a project", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `project_roles = { "other-project" = ["viewer"] }`, `Invalid role`},
		{"no roles of a project", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `project_roles = { "other-project" = [] }`, `(?s)at\s+least\s+1`},
		{"marker as friendly name", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `friendly_name = "gcpml owner=a"`, `Reserved friendly name`},
		{"project number", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `project = "123456789012"`, `Invalid project id`},
		{"bad timeout", `location = "US"` + "\n" + `connection_id = "acc"` + "\n" + `timeouts { create = "soon" }`, `(?i)duration`},
	} {
		t.Run(c.name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				Steps:                    []resource.TestStep{{Config: twin.Config(config(c.body)), PlanOnly: true, ExpectError: regexp.MustCompile(c.want)}},
			})
		})
	}
}

// Every argument may be unknown during plan.
func TestAccConnectionUnknown(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	known := map[string]string{
		"location": `"US"`, "connection_id": `"acc"`, "friendly_name": `"Name"`, "description": `"text"`, "project": `"` + acctest.Project + `"`,
		"roles": `["roles/aiplatform.user"]`, "project_roles": `{ other-project = ["roles/viewer"] }`,
	}
	for unknown, value := range known {
		t.Run(unknown, func(t *testing.T) {
			body := ""
			for attribute, v := range known {
				if attribute == unknown {
					v = "terraform_data.x.output"
				}
				body += fmt.Sprintf("  %s = %s\n", attribute, v)
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             twin.CheckDestroy,
				Steps:                    []resource.TestStep{{Config: twin.Config("resource \"terraform_data\" \"x\" {\n  input = " + value + "\n}\n" + config(body))}},
			})
		})
	}
}
