// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// A lag that is set while the emulator runs holds for the policies set from then
// on, and for those that are not yet in effect.
func TestTheLagCanBeChanged(t *testing.T) {
	s, c := newServer(0)
	s.ConnectionAccounts(func(email string) (time.Time, bool) { return time.Time{}, email == account })
	post := func(body string) int {
		w := httptest.NewRecorder()
		s.Behaviour(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		return w.Code
	}
	allowed := func() bool { return s.Allowed("my-project", member, PredictPermission) }
	grant := &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/aiplatform.user", Members: []string{member}}}}

	if code := post(`{"lag": "5m"}`); code != http.StatusOK {
		t.Fatal(code)
	}
	set(t, s, grant)
	if c.now = c.now.Add(4 * time.Minute); allowed() {
		t.Error("allowed after 4 of 5 minutes")
	}
	if c.now = c.now.Add(time.Minute); !allowed() {
		t.Error("not allowed after 5 minutes")
	}
	set(t, s, &iampb.Policy{})
	if !allowed() {
		t.Error("the revocation had no lag")
	}
	if post(`{"lag": "0s"}`); allowed() {
		t.Error("without a lag the revocation has no effect")
	}
	for _, body := range []string{`{"lag": "soon"}`, `{"lag": 5}`, `{"stale_reads": -1}`, `{"leg": "5m"}`, `[`} {
		if code := post(body); code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, code)
		}
	}
}
