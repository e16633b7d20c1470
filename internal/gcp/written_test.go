// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"errors"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// What a policy tells about a grant of ours, by its etag and its bindings: a read may be
// behind our write; what is after it and lacks the grant was written by somebody else.
// Whether it is after it is told by reading it twice.
func TestSinceWrite(t *testing.T) {
	const member, role, other = "serviceAccount:" + account, "roles/aiplatform.user", "roles/viewer"
	policy := func(etag string, roles ...string) *iampb.Policy {
		p := &iampb.Policy{Etag: []byte(etag)}
		addMember(p, member, roles)
		return p
	}
	for name, c := range map[string]struct {
		policy       *iampb.Policy
		project      string
		behind, lost bool
	}{
		"ours":                    {policy("3", role, other), "p", false, false},
		"before both":             {policy("1"), "p", true, false},
		"before the second":       {policy("2", role), "p", true, false},
		"another's, with it":      {policy("4", role, other), "p", false, false},
		"another's, without it":   {policy("4"), "p", false, true},
		"another's, without one":  {policy("4", other), "p", false, true},
		"of a project not ours":   {policy("4"), "q", false, false},
		"without an etag":         {policy(""), "p", false, false},
		"another's, conditional":  {somePolicy(), "p", false, false}, // no etag either
		"the etag of a first one": {policy("1", role), "p", true, false},
	} {
		clients := &Clients{}
		clients.wrote("p", []byte("1"), []byte("2"))
		clients.gave("p", member, []string{role})
		clients.wrote("p", []byte("2"), []byte("3"))
		clients.gave("p", member, []string{other})
		behind, err := clients.sinceWrite(c.project, member, c.policy)
		var lost *LostGrantError
		if c.lost { // said only when it is read again
			if !behind || err != nil {
				t.Errorf("%s, for the first time: behind %t, %v", name, behind, err)
			}
			behind, err = clients.sinceWrite(c.project, member, c.policy)
		}
		if behind != c.behind || errors.As(err, &lost) != c.lost {
			t.Errorf("%s: behind %t, %v", name, behind, err)
		}
		clients.took("p", member, []string{role, other})
		if _, err := clients.sinceWrite(c.project, member, c.policy); err != nil {
			t.Errorf("%s: what we took back is missed: %v", name, err)
		}
	}
}
