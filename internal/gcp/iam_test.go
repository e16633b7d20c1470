// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/googleapi"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"
)

const account = "bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"

func somePolicy() *iampb.Policy {
	return &iampb.Policy{Version: 3, Bindings: []*iampb.Binding{
		{Role: "roles/owner", Members: []string{"user:ann@example.com"}},
		{Role: "roles/aiplatform.user", Members: []string{"user:bob@example.com"}},
		{Role: "roles/aiplatform.user", Members: []string{"serviceAccount:" + account}, Condition: &expr.Expr{Title: "until 2030", Expression: "request.time < timestamp('2030-01-01T00:00:00Z')"}},
	}}
}

func TestGrantsTouchOnlyOurMember(t *testing.T) {
	before, policy := somePolicy(), somePolicy()
	member := "serviceAccount:" + account
	added := addMember(policy, member, []string{"roles/aiplatform.user", "roles/bigquery.user"})
	if !slices.Equal(added, []string{"roles/aiplatform.user", "roles/bigquery.user"}) {
		t.Errorf("added %v: a conditional binding is not the role", added)
	}
	if again := addMember(policy, member, []string{"roles/aiplatform.user"}); len(again) > 0 {
		t.Errorf("granted twice: %v", again)
	}
	if !proto.Equal(policy.Bindings[2], before.Bindings[2]) {
		t.Error("the conditional binding was changed")
	}
	if !removeMember(policy, member, added) {
		t.Error("nothing was removed")
	}
	if !proto.Equal(policy, before) {
		t.Errorf("after grant and revoke:\n%v\nwant\n%v", policy, before)
	}
	if removeMember(policy, member, added) {
		t.Error("a second revoke reported a change, so it would write a policy for nothing")
	}
}

var errRefused = fmt.Errorf("job: %w", &googleapi.Error{Code: 400, Message: account + " does not have the permission to access or use the endpoint."})

func TestPropagationWaitsForTheGrant(t *testing.T) {
	for _, lag := range []time.Duration{0, 3 * time.Second, 90 * time.Second, 8 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			effective := time.Now().Add(lag)
			p := Propagation{Timeout: 10 * time.Minute, Account: account, HasBinding: func(context.Context) (bool, error) { return true, nil }}
			err := p.Do(t.Context(), func(context.Context) error {
				if time.Now().Before(effective) {
					return errRefused
				}
				return nil
			})
			if late := time.Since(effective); err != nil || late > maxPropagationDelay {
				t.Errorf("lag %s: %v, %s after it took effect", lag, err, late)
			}
		})
	}
}

func TestPropagationGivesUp(t *testing.T) {
	never := func(context.Context) error { return errRefused }
	for name, c := range map[string]struct {
		p    Propagation
		fn   func(context.Context) error
		want time.Duration // at most
		text string
	}{
		"0 fails at once":  {Propagation{Account: account}, never, 0, "permission"},
		"after the window": {Propagation{Timeout: time.Minute, Account: account}, never, time.Minute, "iam_propagation_timeout is 1m0s"},
		"taken away by others": {Propagation{Timeout: time.Hour, Account: account, HasBinding: func(context.Context) (bool, error) {
			return false, &LostGrantError{"p", "serviceAccount:" + account, []string{"roles/aiplatform.user"}}
		}}, never, 0, "such as google_project_iam_binding"},
		"no binding at all": {Propagation{Timeout: time.Hour, Account: account, HasBinding: func(context.Context) (bool, error) { return false, nil }}, never, 0, "no role is granted"},
		"another account":   {Propagation{Timeout: time.Hour, Account: "other@example.com"}, never, 0, "permission"},
		"the caller's own right": {Propagation{Timeout: time.Hour, Account: account}, func(context.Context) error {
			return &googleapi.Error{Code: 403, Message: "Permission bigquery.jobs.create denied"}
		}, 0, "jobs.create"},
		"a disabled service": {Propagation{Timeout: time.Hour, Account: account}, func(context.Context) error {
			return &googleapi.Error{Code: 403, Message: account + ": permission; API is disabled", Errors: []googleapi.ErrorItem{{Reason: "SERVICE_DISABLED"}}}
		}, 0, "disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := c.p.Do(t.Context(), c.fn)
				if err == nil || !strings.Contains(err.Error(), c.text) || time.Since(start) > c.want {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := Propagation{Timeout: time.Hour, Account: account, HasBinding: func(context.Context) (bool, error) { return false, errors.New("may not read") }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Do(ctx, never); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), account) {
			t.Errorf("a policy that cannot be read says nothing, so it should wait on, and a cancellation should tell the errRefused: %v", err)
		}
	})
}

func TestMarkers(t *testing.T) {
	spec := map[string]any{"display": "x"}
	ours := NewMarker("team-a", spec)
	user := map[string]string{"env": "prod"}
	labels := ours.Labels(user)
	if len(user) != 1 || len(labels) != 4 {
		t.Errorf("labels %v", labels)
	}
	if got := UserLabels(labels); len(got) != 1 || got["env"] != "prod" {
		t.Errorf("user labels %v", got)
	}
	if MarkerOf(labels) != ours {
		t.Errorf("read back %+v", MarkerOf(labels))
	}
	next := NewMarker("team-a", spec)
	for name, c := range map[string]struct {
		found Marker
		want  bool
	}{
		"same owner, same spec":  {ours, true},
		"other owner":            {Marker{Owner: "team-b", Spec: ours.Spec, Incarnation: "1"}, false},
		"other spec":             {Marker{Owner: "team-a", Spec: "other", Incarnation: "1"}, false},
		"no marker":              {Marker{}, false},
		"our own lost create":    {Marker{Owner: "team-b", Spec: "other", Incarnation: next.Incarnation}, true},
		"owner missing on found": {Marker{Owner: "", Spec: ours.Spec, Incarnation: "1"}, false},
	} {
		if next.Adoptable(c.found) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
	anonymous := NewMarker("", spec)
	if anonymous.Adoptable(Marker{Owner: "", Spec: anonymous.Spec, Incarnation: "1"}) {
		t.Error("without an ownership_id nothing is adopted")
	}
	if !strings.Contains(anonymous.RefuseAdoption("model", "projects/p/…", Marker{}).Error(), "terraform import") {
		t.Error("the errRefused should name the import command")
	}
	if n := SpecNumber("x"); len(n) != 10 || n[0] == '0' {
		t.Errorf("a deployed model's id has 1 to 10 digits and no leading zero, got %s", n)
	}
}

// Only what is ours to change is changed.
func TestMergeLeavesTheLabelsOfOthersAlone(t *testing.T) {
	old := map[string]string{"env": "prod", "dropped": "x", "theirs": "1", "goog-managed": "y", "gcpml-spec": "old"}
	got := Marker{Owner: "me", Spec: "new"}.Merge(old, map[string]string{"env": "test"}, []string{"dropped", "never-there"})
	want := map[string]string{"env": "test", "theirs": "1", "goog-managed": "y", "gcpml-owner": "me", "gcpml-spec": "new"}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
