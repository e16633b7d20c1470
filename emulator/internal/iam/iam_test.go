// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

// manual is a clock that a test moves by hand.
type manual struct{ now time.Time }

func (c *manual) Now() time.Time                             { return c.now }
func (c *manual) Sleep(context.Context, time.Duration) error { return nil }

func newServer(lag time.Duration) (*Server, *manual) {
	c := &manual{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return New(Config{Projects: project.NewRegistry(), Clock: c, Lag: lag}), c
}

const (
	account = "bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"
	member  = "serviceAccount:" + account
)

func set(t *testing.T, s *Server, p *iampb.Policy) *iampb.Policy {
	t.Helper()
	got, err := s.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/my-project", Policy: p})
	if err != nil {
		t.Fatalf("SetIamPolicy: %v", err)
	}
	return got
}

func TestGrantAndRevokeTakeEffectAfterTheLag(t *testing.T) {
	s, c := newServer(90 * time.Second)
	s.ConnectionAccounts(func(email string) (time.Time, bool) { return time.Time{}, email == account })
	allowed := func() bool { return s.Allowed("my-project", member, PredictPermission) }

	set(t, s, &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/aiplatform.user", Members: []string{member}}}})
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {89 * time.Second, false}, {time.Second, true}} {
		if c.now = c.now.Add(step.after); allowed() != step.want {
			t.Fatalf("at %v: allowed = %v, want %v", c.now, !step.want, step.want)
		}
	}
	set(t, s, &iampb.Policy{})
	if !allowed() {
		t.Error("a revoked role is gone at once")
	}
	if c.now = c.now.Add(90 * time.Second); allowed() {
		t.Error("a revoked role is there after the lag")
	}
}

func TestRoleWithoutThePermission(t *testing.T) {
	s, _ := newServer(0)
	s.ConnectionAccounts(func(string) (time.Time, bool) { return time.Time{}, true })
	set(t, s, &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/viewer", Members: []string{member}}}})
	if s.Allowed("my-project", member, PredictPermission) {
		t.Error("roles/viewer may predict")
	}
}

func TestEtagConflict(t *testing.T) {
	s, _ := newServer(0)
	first := set(t, s, &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/viewer", Members: []string{"user:a@example.com"}}}})
	set(t, s, &iampb.Policy{Etag: first.GetEtag()})
	_, err := s.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/my-project", Policy: first})
	if status.Code(err) != codes.Aborted {
		t.Errorf("a stale etag: %v, want ABORTED", err)
	}
}

func TestConditionsAreKeptAndHiddenBelowVersion3(t *testing.T) {
	s, _ := newServer(0)
	condition := &expr.Expr{Title: "x", Expression: "request.time < timestamp(\"2030-01-01T00:00:00Z\")"}
	bindings := []*iampb.Binding{{Role: "roles/viewer", Members: []string{"user:a@example.com"}, Condition: condition}}
	if _, err := s.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/my-project", Policy: &iampb.Policy{Version: 1, Bindings: bindings}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a condition in version 1: %v, want INVALID_ARGUMENT", err)
	}
	set(t, s, &iampb.Policy{Version: 3, Bindings: bindings})
	get := func(version int32) *iampb.Policy {
		p, err := s.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: "projects/my-project", Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: version}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got := get(3); !proto.Equal(got.GetBindings()[0].GetCondition(), condition) {
		t.Errorf("condition %v, want %v", got.GetBindings()[0].GetCondition(), condition)
	}
	if got := get(1).GetBindings()[0]; got.GetCondition() != nil || !strings.HasPrefix(got.GetRole(), "roles/viewer_withcond_") {
		t.Errorf("version 1 shows %v", got)
	}
}

func TestMembersAreChecked(t *testing.T) {
	s, _ := newServer(0)
	for name, wanted := range map[string]string{
		member:                "Service account " + account + " does not exist.",
		"a@example.com":       "Invalid principal",
		"serviceAccount:nope": "Invalid principal",
	} {
		_, err := s.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/my-project", Policy: &iampb.Policy{
			Bindings: []*iampb.Binding{{Role: "roles/aiplatform.user", Members: []string{name}}},
		}})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: %v, want INVALID_ARGUMENT with %q", name, err, wanted)
		}
	}
}

func TestV1(t *testing.T) {
	s, _ := newServer(0)
	h := s.V1(http.NotFoundHandler())
	do := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	if code, body := do("POST", "/v1/projects/my-project:setIamPolicy", `{"policy":{"bindings":[{"role":"roles/viewer","members":["user:a@example.com"]}]}}`); code != 200 {
		t.Fatalf("setIamPolicy: %d %s", code, body)
	}
	if code, body := do("POST", "/v1/projects/my-project:getIamPolicy", ``); code != 200 || !strings.Contains(body, "roles/viewer") {
		t.Errorf("getIamPolicy: %d %s", code, body)
	}
	if code, body := do("GET", "/v1/projects/my-project", ``); code != 200 || !strings.Contains(body, `"lifecycleState":"ACTIVE"`) {
		t.Errorf("get: %d %s", code, body)
	}
	if code, _ := do("POST", "/v1/projects/my-project:setIamPolicy", `{"policy":{"nope":1}}`); code != 400 {
		t.Errorf("an unknown field: %d, want 400", code)
	}
	if code, _ := do("GET", "/v1/projects/my-project/locations/us/connections", ``); code != 404 {
		t.Errorf("another path: %d, want it to go on to the next handler", code)
	}
}

// A grant that BigQuery gives changes nothing else, and not twice.
func TestGrant(t *testing.T) {
	s, _ := newServer(0)
	condition := &expr.Expr{Title: "t", Expression: "true"}
	set := &iampb.Policy{Version: 3, Bindings: []*iampb.Binding{
		{Role: "roles/aiplatform.user", Members: []string{"user:bob@example.com"}},
		{Role: "roles/aiplatform.user", Members: []string{"user:eve@example.com"}, Condition: condition},
	}}
	if _, err := s.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/my-project", Policy: set}); err != nil {
		t.Fatal(err)
	}
	read := func() *iampb.Policy {
		p, err := s.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: "projects/my-project", Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.Grant("my-project", "roles/aiplatform.user", "serviceAccount:"+account)
	first := read()
	if b := first.GetBindings(); len(b) != 2 || len(b[0].GetMembers()) != 2 || len(b[1].GetMembers()) != 1 || first.GetVersion() != 3 {
		t.Errorf("%v", first)
	}
	s.Grant("my-project", "roles/aiplatform.user", "serviceAccount:"+account)
	if second := read(); string(second.GetEtag()) != string(first.GetEtag()) {
		t.Error("a second grant wrote a policy for nothing")
	}
}
