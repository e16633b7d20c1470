// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const other = "other-project"

func policy(t *testing.T, twin *acctest.Twin, project string) *iampb.Policy {
	t.Helper()
	projects, err := twin.Clients(t).Projects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := projects.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: "projects/" + project, Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func setPolicy(t *testing.T, twin *acctest.Twin, project string, bindings []*iampb.Binding) {
	t.Helper()
	projects, err := twin.Clients(t).Projects(t.Context())
	if err == nil {
		_, err = projects.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/" + project, Policy: &iampb.Policy{Version: 3, Bindings: bindings}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// foreign are bindings of others: of the same roles, with and without conditions.
func foreign() []*iampb.Binding {
	return []*iampb.Binding{
		{Role: "roles/owner", Members: []string{"user:ann@example.com", "group:admins@example.com"}},
		{Role: "roles/aiplatform.user", Members: []string{"user:bob@example.com"}},
		{Role: "roles/aiplatform.user", Members: []string{"user:eve@example.com"}, Condition: &expr.Expr{Title: "until 2030", Expression: "request.time < timestamp('2030-01-01T00:00:00Z')"}},
	}
}

// Grants go to the project they are for, and come and go without a trace in the bindings of
// others, conditional ones among them.
func TestAccConnectionGrantsInOtherProjects(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	for _, project := range []string{acctest.Project, other} {
		setPolicy(t, twin, project, foreign())
	}
	untouched := func(project string) error {
		found := policy(t, twin, project).GetBindings()
		if !slices.EqualFunc(found, foreign(), func(a, b *iampb.Binding) bool { return proto.Equal(a, b) }) {
			return fmt.Errorf("the policy of %s is %v", project, found)
		}
		return nil
	}
	account := ""
	roles := func(project string, want ...string) resource.TestCheckFunc {
		return func(s *terraform.State) error {
			account = s.RootModule().Resources[address].Primary.Attributes["service_account_id"]
			got, err := twin.Clients(t).MemberRoles(t.Context(), project, "serviceAccount:"+account)
			if err != nil {
				return err
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("%s gives %v, want %v", project, got, want)
			}
			found := policy(t, twin, project).GetBindings()
			for _, b := range foreign() {
				if b.GetCondition() != nil && !slices.ContainsFunc(found, func(f *iampb.Binding) bool { return proto.Equal(f, b) }) {
					return fmt.Errorf("the conditional binding of %s was changed: %v", project, found)
				}
			}
			return nil
		}
	}
	hcl := func(more string) string {
		return twin.Config(config("  location      = \"US\"\n  connection_id = \"acc\"\n" + more))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy: func(*terraform.State) error {
			if err := untouched(acctest.Project); err != nil {
				return err
			}
			return untouched(other)
		},
		Steps: []resource.TestStep{
			{
				Config: hcl(`project_roles = { "` + other + `" = ["roles/aiplatform.user", "roles/viewer"] }`),
				Check:  resource.ComposeTestCheckFunc(roles(other, "roles/aiplatform.user", "roles/viewer"), roles(acctest.Project)),
			},
			{ // moved to the connection's own project
				Config:           hcl(`roles = ["roles/aiplatform.user"]` + "\n" + `project_roles = { "` + other + `" = ["roles/viewer"] }`),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check:            resource.ComposeTestCheckFunc(roles(other, "roles/viewer"), roles(acctest.Project, "roles/aiplatform.user")),
			},
			{ // taken away by somebody
				PreConfig: func() {
					if err := twin.Clients(t).RevokeRoles(t.Context(), other, "serviceAccount:"+account, []string{"roles/viewer"}); err != nil {
						t.Fatal(err)
					}
				},
				Config:           hcl(`roles = ["roles/aiplatform.user"]` + "\n" + `project_roles = { "` + other + `" = ["roles/viewer"] }`),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check:            roles(other, "roles/viewer"),
			},
			{
				Config:           hcl(`roles = ["roles/aiplatform.user"]`),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check:            resource.ComposeTestCheckFunc(roles(other), roles(acctest.Project, "roles/aiplatform.user")),
			},
		},
	})
}

// Something that owns all members of a role takes it away with each of its applies. The
// second time it is an error that says so, and taking the role out ends it.
func TestAccConnectionFight(t *testing.T) {
	t.Parallel()
	twin := acctest.Start(t)
	hcl := func(roles string) string {
		return twin.Config(config("  location      = \"US\"\n  connection_id = \"acc\"\n  roles         = [" + roles + "]"))
	}
	authoritative := func() { // as google_project_iam_binding does
		setPolicy(t, twin, acctest.Project, []*iampb.Binding{{Role: "roles/aiplatform.user", Members: []string{"user:bob@example.com"}}})
	}
	const role = `"roles/aiplatform.user"`
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{
			{Config: hcl(role)},
			{PreConfig: authoritative, Config: hcl(role), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: remoteRoles(t, twin, "roles/aiplatform.user")},
			{Config: hcl(role), PlanOnly: true},
			{PreConfig: authoritative, Config: hcl(role), ExpectError: regexp.MustCompile(`(?s)Somebody\s+else\s+takes\s+the\s+roles\s+away.*google_project_iam_binding.*Add\s+serviceAccount:bqcx-`)},
			{Config: hcl(""), Check: remoteRoles(t, twin)},
			{Config: hcl(role), Check: remoteRoles(t, twin, "roles/aiplatform.user")}, // begins anew
			{PreConfig: authoritative, Config: hcl(role), Check: remoteRoles(t, twin, "roles/aiplatform.user")},
		},
	})
}
