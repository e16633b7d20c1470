// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// policyVersion 3 keeps conditional bindings whole when a policy is written back.
const policyVersion = 3

// GrantRoles gives a member ("serviceAccount:…") roles on a project, in one
// read-modify-write, and returns the ones that it did not have before. Bindings
// of others, and conditional ones, are left byte for byte as they are.
//
// "Service account … does not exist" is retried within appear: a new account
// takes a while to be known to IAM.
func (c *Clients) GrantRoles(ctx context.Context, project, member string, roles []string, appear time.Duration) (added []string, err error) {
	p := Propagation{Timeout: appear, Account: strings.TrimPrefix(member, "serviceAccount:")}
	err = p.Do(ctx, func(ctx context.Context) error {
		return c.editPolicy(ctx, project, func(policy *iampb.Policy) bool {
			added = addMember(policy, member, roles)
			return len(added) > 0
		})
	})
	if err == nil {
		c.gave(project, member, added)
	}
	return added, err
}

// RevokeRoles takes roles from a member; roles that it does not have are no error.
func (c *Clients) RevokeRoles(ctx context.Context, project, member string, roles []string) error {
	if len(roles) == 0 {
		return nil
	}
	err := c.editPolicy(ctx, project, func(policy *iampb.Policy) bool {
		return removeMember(policy, member, roles)
	})
	if err == nil {
		c.took(project, member, roles)
	}
	return err
}

// MemberRoles returns the roles that a project's policy gives a member without
// a condition, sorted.
func (c *Clients) MemberRoles(ctx context.Context, project, member string) ([]string, error) {
	policy, err := c.policy(ctx, project)
	if err != nil {
		return nil, err
	}
	roles := []string{}
	for _, b := range policy.GetBindings() {
		if b.GetCondition() == nil && holds(b, member) {
			roles = append(roles, b.GetRole())
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

// HasBinding reports whether a project's policy names a member in any binding,
// conditional or not. It does not judge by a policy from before our own last write, which
// is what a read may give for a moment, and returns a [LostGrantError] for one in which
// somebody has taken away since what this process granted.
func (c *Clients) HasBinding(ctx context.Context, project, member string) (bool, error) {
	policy, err := c.policy(ctx, project)
	if err != nil {
		return false, err
	}
	if behind, err := c.sinceWrite(project, member, policy); behind || err != nil {
		return behind, err
	}
	return slices.ContainsFunc(policy.GetBindings(), func(b *iampb.Binding) bool { return holds(b, member) }), nil
}

func (c *Clients) policy(ctx context.Context, project string) (*iampb.Policy, error) {
	projects, err := c.Projects(ctx)
	if err != nil {
		return nil, err
	}
	var policy *iampb.Policy
	err = Retry(ctx, "resourcemanager.projects.getIamPolicy", func(ctx context.Context) (err error) {
		policy, err = projects.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{
			Resource: "projects/" + project,
			Options:  &iampb.GetPolicyOptions{RequestedPolicyVersion: policyVersion},
		})
		return err
	})
	return policy, err
}

// A conflict means that somebody else wrote in between. Each round of the loop
// makes progress for one writer, so the budget is for many of them.
const policyBudget = 2 * time.Minute

// editPolicy reads a project's policy, lets edit change it, and writes it back
// under its etag; after a conflict or a lost answer it starts again from what is
// there then. Nothing is written when edit reports no change.
func (c *Clients) editPolicy(ctx context.Context, project string, edit func(*iampb.Policy) (changed bool)) error {
	unlock, err := c.Lock(ctx, "policy of "+project)
	if err != nil {
		return err
	}
	defer unlock()
	projects, err := c.Projects(ctx)
	if err != nil {
		return err
	}
	for start, delay := time.Now(), firstDelay; ; delay = min(2*delay, maxDelay) {
		policy, err := c.policy(ctx, project)
		if err != nil {
			return err
		}
		if !edit(policy) {
			return nil
		}
		policy.Version = policyVersion
		var written *iampb.Policy
		err = Retry(ctx, "resourcemanager.projects.setIamPolicy", func(ctx context.Context) (err error) {
			written, err = projects.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: "projects/" + project, Policy: policy})
			return err
		})
		if err == nil {
			c.wrote(project, policy.GetEtag(), written.GetEtag())
			return nil
		}
		if code := Code(err); code != codes.Aborted && code != codes.Unavailable || time.Since(start) > policyBudget {
			return err
		}
		if Sleep(ctx, rand.N(delay)) != nil {
			return err
		}
	}
}

func holds(b *iampb.Binding, member string) bool {
	return slices.ContainsFunc(b.GetMembers(), func(m string) bool { return strings.EqualFold(m, member) })
}

func addMember(policy *iampb.Policy, member string, roles []string) (added []string) {
	for _, role := range roles {
		i := slices.IndexFunc(policy.GetBindings(), func(b *iampb.Binding) bool {
			return b.GetRole() == role && b.GetCondition() == nil
		})
		switch {
		case i < 0:
			policy.Bindings = append(policy.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
		case holds(policy.Bindings[i], member):
			continue
		default:
			policy.Bindings[i].Members = append(policy.Bindings[i].Members, member)
		}
		added = append(added, role)
	}
	return added
}

func removeMember(policy *iampb.Policy, member string, roles []string) (changed bool) {
	kept := policy.GetBindings()[:0]
	for _, b := range policy.GetBindings() {
		if b.GetCondition() != nil || !slices.Contains(roles, b.GetRole()) || !holds(b, member) {
			kept = append(kept, b)
			continue
		}
		changed = true
		b = proto.CloneOf(b)
		b.Members = slices.DeleteFunc(b.Members, func(m string) bool { return strings.EqualFold(m, member) })
		if len(b.Members) > 0 {
			kept = append(kept, b)
		}
	}
	policy.Bindings = kept
	return changed
}

// Propagation retries a real operation while an IAM change takes effect. Nobody
// can ask whether a grant is effective yet: the operation itself is the question.
// Google documents "typically 2 minutes, potentially 7 minutes or longer".
type Propagation struct {
	// Timeout counts from the first refusal; 0 fails at once.
	Timeout time.Duration
	// Account is the e-mail address of the service account that was granted a
	// role. Only refusals that name it, and speak of a permission or of an account
	// that does not exist, are retried.
	Account string
	// Role is what the account needs, for the advice in errors; may be empty.
	Role string
	// HasBinding, when set, reads whether the policy holds any binding for the
	// account: a policy that can be read and holds none will not take effect, nor will
	// one of which it returns a [LostGrantError].
	HasBinding func(context.Context) (bool, error)
	// Progress, when set, is told of each refusal that is retried.
	Progress func(waited time.Duration, refusal error)
}

// Delays between tries: a grant takes minutes, so the first tries are quick only
// for the case in which it was effective almost at once.
const (
	firstPropagationDelay = 2 * time.Second
	maxPropagationDelay   = 15 * time.Second
)

// Do runs fn until it succeeds or fails for another reason than propagation.
func (p Propagation) Do(ctx context.Context, fn func(context.Context) error) error {
	var first time.Time
	for delay := firstPropagationDelay; ; delay = min(delay*3/2, maxPropagationDelay) {
		err := fn(ctx)
		if err == nil || !p.recognises(err) {
			return err
		}
		if first.IsZero() {
			first = time.Now()
		}
		waited := time.Since(first)
		if p.HasBinding != nil {
			has, readErr := p.HasBinding(ctx)
			if lost, ok := errors.AsType[*LostGrantError](readErr); ok {
				return fmt.Errorf("%w (%w)", err, lost)
			}
			if readErr == nil && !has {
				return fmt.Errorf("%w (no role is granted to %s in the project's IAM policy: grant it %s, for instance with roles of gcpml_bq_connection)", err, p.Account, cmp.Or(p.Role, "one"))
			}
		}
		if waited+delay > p.Timeout {
			if p.Timeout == 0 {
				return err
			}
			needed := ""
			if p.Role != "" {
				needed = "; it needs " + p.Role
			}
			return fmt.Errorf("%w (still refused %s after the first refusal; iam_propagation_timeout is %s%s)", err, waited.Round(time.Second), p.Timeout, needed)
		}
		if p.Progress != nil {
			p.Progress(waited, err)
		}
		if Sleep(ctx, delay) != nil {
			return fmt.Errorf("%w (stopped waiting for the grant to take effect: %w)", err, ctx.Err())
		}
	}
}

func (p Propagation) recognises(err error) bool {
	text := strings.ToLower(err.Error())
	return p.Account != "" && Reason(err) != "SERVICE_DISABLED" && strings.Contains(text, strings.ToLower(p.Account)) &&
		(strings.Contains(text, "permission") || strings.Contains(text, "does not exist"))
}
