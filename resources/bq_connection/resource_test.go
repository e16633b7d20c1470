// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/api/bigqueryconnection/v1"

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

const (
	key1 = "projects/keys/locations/us/keyRings/ring/cryptoKeys/one"
	key2 = "projects/keys/locations/us/keyRings/ring/cryptoKeys/two"
)

// A key is set, exchanged and taken off in place; whoever changes it elsewhere is noticed.
func TestAccConnectionKey(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"as documented": nil, "shown with its version": {"--assume", "kms-key-version-in-connection=yes"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := acctest.Start(t, flags...)
			hcl := func(more string) string {
				return twin.Config(config("  location = \"US\"\n  connection_id = \"acc\"\n" + more))
			}
			with := func(key string) string { return hcl("  kms_key_name = \"" + key + "\"\n") }
			account := ""
			remote := func(want string) resource.TestCheckFunc {
				return func(s *terraform.State) error {
					connections, err := twin.Clients(t).Connections(t.Context())
					if err != nil {
						return err
					}
					c, err := connections.Get(fullName).Context(t.Context()).Do()
					if err != nil {
						return err
					}
					if account == "" {
						account = c.CloudResource.ServiceAccountId
					}
					if key, _, _ := strings.Cut(c.KmsKeyName, "/cryptoKeyVersions/"); key != want || c.CloudResource.ServiceAccountId != account {
						return fmt.Errorf("the connection has the key %q and the account %s, want %q and %s", c.KmsKeyName, c.CloudResource.ServiceAccountId, want, account)
					}
					return nil
				}
			}
			outside := func(key string) func() {
				return func() {
					connections, err := twin.Clients(t).Connections(t.Context())
					if err == nil {
						_, err = connections.Patch(fullName, &bigqueryconnection.Connection{KmsKeyName: key}).UpdateMask("kmsKeyName").Context(t.Context()).Do()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			planned := func(change plancheck.ResourceActionType, key knownvalue.Check) resource.ConfigPlanChecks {
				return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, change), plancheck.ExpectKnownValue(address, tfjsonpath.New("kms_key_name"), key),
				}}
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             twin.CheckDestroy,
				Steps: []resource.TestStep{
					{Config: with(key1), ConfigPlanChecks: planned(plancheck.ResourceActionCreate, knownvalue.StringExact(key1)), Check: remote(key1)},
					{ResourceName: address, ImportState: true, ImportStateVerify: true},
					{Config: with(key2), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.StringExact(key2)), Check: remote(key2)},
					{PreConfig: outside(key1), Config: with(key2), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.StringExact(key2)), Check: remote(key2)},
					{PreConfig: outside(""), Config: with(key2), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.StringExact(key2)), Check: remote(key2)},
					// What else changes leaves it.
					{Config: hcl("  description = \"text\"\n  kms_key_name = \"" + key2 + "\"\n"), Check: remote(key2)},
					{Config: hcl(""), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.Null()), Check: remote("")},
					{PreConfig: outside(key1), Config: hcl(""), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.Null()), Check: remote("")},
					{Config: with(key1), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate, knownvalue.StringExact(key1)), Check: remote(key1)},
				},
			})
		})
	}
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
					theirs := &bigqueryconnection.Connection{FriendlyName: "theirs", Description: "theirs"}
					_, err = connections.Patch(fullName, theirs).UpdateMask("friendlyName,description").Context(t.Context()).Do()
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
			_, err = connections.Delete(fullName).Context(t.Context()).Do()
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
						theirs := &bigqueryconnection.Connection{CloudResource: &bigqueryconnection.CloudResourceProperties{}}
						_, err = connections.Create("projects/"+acctest.Project+"/locations/us", theirs).ConnectionId("acc").Context(t.Context()).Do()
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
		_, err = connections.Delete(fullName).Context(t.Context()).Do()
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

// Every rule refuses its configuration at its attribute, before any call.
func TestConnectionInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_bq_connection")
	valid := func(change acctest.Object) acctest.Object {
		all := acctest.Object{"location": "US", "connection_id": "acc"}
		maps.Copy(all, change)
		return all
	}
	p.Accepts(t, valid(nil), wholeConnection)
	refused := acctest.Refused
	p.Refuses(t, []acctest.Refusal{
		refused(valid(acctest.Object{"location": nil}), "location", "Missing Configuration for Required Attribute"),
		refused(valid(acctest.Object{"location": "us central1"}), "location", "Invalid location"),
		refused(valid(acctest.Object{"project": "123456789012"}), "project", "Invalid project id"),
		refused(valid(acctest.Object{"connection_id": nil}), "connection_id", "Missing connection id"),
		refused(valid(acctest.Object{"connection_id": "a b"}), "connection_id", "Invalid connection id"),
		refused(valid(acctest.Object{"connection_id": strings.Repeat("a", 1025)}), "connection_id", "Invalid Attribute Value Length"),
		refused(valid(acctest.Object{"friendly_name": "gcpml owner=a"}), "friendly_name", "Reserved friendly name"),
		refused(valid(acctest.Object{"roles": []any{"aiplatform.user"}}), "roles.aiplatform.user", "Invalid role"),
		refused(valid(acctest.Object{"project_roles": acctest.Object{acctest.Project: []any{"roles/viewer"}}}), "project_roles."+acctest.Project, "The connection's own project"),
		refused(valid(acctest.Object{"project_roles": acctest.Object{"123456789012": []any{"roles/viewer"}}}), "project_roles.123456789012", "Invalid project id"),
		refused(valid(acctest.Object{"project_roles": acctest.Object{"other-project": []any{"viewer"}}}), "project_roles.other-project.viewer", "Invalid role"),
		refused(valid(acctest.Object{"project_roles": acctest.Object{"other-project": []any{}}}), "project_roles.other-project", "Invalid Attribute Value"),
		refused(valid(acctest.Object{"kms_key_name": "my-key"}), "kms_key_name", "Invalid kms_key_name"),
		refused(valid(acctest.Object{"kms_key_name": key1 + "/cryptoKeyVersions/3"}), "kms_key_name", "Version of a key"),
		refused(valid(acctest.Object{"deletion_policy": "KEEP"}), "deletion_policy", "Invalid Attribute Value Match"),
		refused(valid(acctest.Object{"timeouts": acctest.Object{"create": "soon"}}), "timeouts.create", "Invalid Attribute Value Time Duration"),
	})
}

// wholeConnection has every argument.
var wholeConnection = acctest.Object{
	"project": acctest.Project, "location": "US", "connection_id": "acc", "friendly_name": "Name", "description": "text", "kms_key_name": key1, "deletion_policy": "DELETE",
	"roles": []any{"roles/aiplatform.user", "roles/viewer"}, "project_roles": acctest.Object{"other-project": []any{"roles/viewer"}},
}

// Whatever is not known when planning is no error and no crash, at every depth.
func TestConnectionUnknown(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_bq_connection")
	if n := p.AcceptsUnknown(t, wholeConnection); n < 13 {
		t.Errorf("only %d parts", n)
	}
	if n := p.AcceptsUnknown(t, acctest.Object{"location": "US", "friendly_name": "Name"}); n < 2 {
		t.Errorf("only %d parts", n)
	}
}

// Every argument may be unknown during plan.
func TestAccConnectionUnknown(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	known := map[string]string{
		"location": `"US"`, "connection_id": `"acc"`, "friendly_name": `"Name"`, "description": `"text"`, "kms_key_name": `"` + key1 + `"`, "project": `"` + acctest.Project + `"`,
		"roles": `["roles/aiplatform.user"]`, "project_roles": `{ other-project = ["roles/viewer"] }`,
	}
	type part struct{ attribute, value, whole string }
	parts := map[string]part{
		"role":       {"roles", `"roles/aiplatform.user"`, "[terraform_data.x.output]"},
		"other role": {"project_roles", `"roles/viewer"`, "{ other-project = [terraform_data.x.output] }"},
		"others":     {"project_roles", `["roles/viewer"]`, "{ other-project = terraform_data.x.output }"},
	}
	for attribute, value := range known {
		parts[attribute] = part{attribute, value, "terraform_data.x.output"}
	}
	for name, p := range parts {
		t.Run(name, func(t *testing.T) {
			body := ""
			for attribute, v := range known {
				if attribute == p.attribute {
					v = p.whole
				}
				body += fmt.Sprintf("  %s = %s\n", attribute, v)
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             twin.CheckDestroy,
				Steps:                    []resource.TestStep{{Config: twin.Config("resource \"terraform_data\" \"x\" {\n  input = " + p.value + "\n}\n" + config(body))}},
			})
		})
	}
}
