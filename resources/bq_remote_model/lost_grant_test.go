// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// Whoever owns all members of a role takes the grant away while it is waited for: the wait
// ends at once, and the error says what that most likely is.
func TestAccRemoteModelGrantTakenAway(t *testing.T) {
	t.Parallel()
	twin := start(t, "--iam-lag", "10m", "--assume", "permission-checked-at=create")
	projects, err := twin.Clients(t).Projects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const role, target = "roles/aiplatform.user", "projects/" + acctest.Project
	ours := func(b *iampb.Binding) bool {
		return b.GetRole() == role && slices.ContainsFunc(b.GetMembers(), func(m string) bool { return strings.HasPrefix(m, "serviceAccount:bqcx-") })
	}
	done := make(chan struct{})
	go func() { // as google_project_iam_binding does
		defer close(done)
		for range time.Tick(50 * time.Millisecond) {
			policy, err := projects.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: target})
			i := slices.IndexFunc(policy.GetBindings(), ours)
			switch {
			case t.Context().Err() != nil:
				return
			case err != nil || i < 0:
				continue
			}
			policy.Bindings = []*iampb.Binding{
				{Role: role, Members: []string{"user:bob@example.com"}},
				{Role: "roles/viewer", Members: policy.GetBindings()[i].GetMembers()}, // the account keeps a binding
			}
			if _, err = projects.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: target, Policy: policy}); err == nil {
				return
			}
		}
	}()
	began := time.Now()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{
			Config:      twin.Config(render(nil)),
			ExpectError: regexp.MustCompile(`(?s)was\s+granted\s+to\s+serviceAccount:bqcx-.*somebody\s+has\s+written.*such\s+as\s+google_project_iam_binding`),
		}},
	})
	<-done
	if waited := time.Since(began); waited > 2*time.Minute {
		t.Errorf("it took %s", waited)
	}
}
