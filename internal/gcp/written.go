// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// LostGrantError tells that a role which this process has granted was taken away by
// somebody who wrote the policy afterwards.
type LostGrantError struct {
	Project, Member string
	Roles           []string
}

func (e *LostGrantError) Error() string {
	roles := strings.Join(e.Roles, ", ")
	return fmt.Sprintf("%s was granted to %s in project %s just now, and somebody has written the project's IAM policy since, without it. "+
		"Most likely something owns all members of the role, such as google_project_iam_binding or google_project_iam_policy: "+
		"add %s to its members and take the role out of gcpml_bq_connection, or replace it by google_project_iam_member", roles, e.Member, e.Project, e.Member)
}

// policyWrite is what this process knows of a policy from having written it.
type policyWrite struct {
	// earlier are the etags of the policies that were read before the last write: a read
	// that gives one of them is behind, and tells nothing of that write.
	earlier map[string]bool
	// etag is that of the last write.
	etag string
	// suspect is that of a policy which lacks what was given. One read does not prove
	// that it is later: it may be from before all that this process has seen.
	suspect string
	// given are the roles by member.
	given map[string][]string
}

func (c *Clients) written(project string) *policyWrite {
	if c.policies == nil {
		c.policies = map[string]*policyWrite{}
	}
	if c.policies[project] == nil {
		c.policies[project] = &policyWrite{earlier: map[string]bool{}, given: map[string][]string{}}
	}
	return c.policies[project]
}

// wrote remembers the write of a policy in place of another.
func (c *Clients) wrote(project string, read, now []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.written(project)
	if w.etag != "" {
		w.earlier[w.etag] = true
	}
	w.earlier[string(read)] = true
	w.etag = string(now)
	delete(w.earlier, w.etag)
}

// gave remembers roles that a member was given, took that they were taken back.
func (c *Clients) gave(project, member string, roles []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.written(project)
	w.given[member] = append(w.given[member], roles...)
}

func (c *Clients) took(project, member string, roles []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.written(project)
	w.given[member] = slices.DeleteFunc(w.given[member], func(r string) bool { return slices.Contains(roles, r) })
}

// sinceWrite compares a policy that was read with what this process wrote. behind tells
// that it is older, as a read right after a write may be, or that it is not known yet
// whether it is; otherwise the error, if any, is a [LostGrantError]. That takes two reads
// in a row of the same policy.
func (c *Clients) sinceWrite(project, member string, policy *iampb.Policy) (behind bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, etag := c.policies[project], string(policy.GetEtag())
	if w == nil || w.etag == "" || etag == "" || etag == w.etag {
		return false, nil
	}
	if w.earlier[etag] {
		return true, nil
	}
	lost := slices.DeleteFunc(slices.Clone(w.given[member]), func(role string) bool {
		return slices.ContainsFunc(policy.GetBindings(), func(b *iampb.Binding) bool {
			return b.GetRole() == role && b.GetCondition() == nil && holds(b, member)
		})
	})
	switch {
	case len(lost) == 0:
		w.suspect = ""
		return false, nil
	case w.suspect != etag:
		w.suspect = etag
		return true, nil
	}
	return false, &LostGrantError{project, member, lost}
}
