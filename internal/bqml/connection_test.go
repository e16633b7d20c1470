// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func connectionSpec() ConnectionSpec {
	return ConnectionSpec{
		Name:   gcp.Name{Project: "p", Location: "US", Kind: gcp.KindConnection, ID: "c"},
		Grants: []Grant{{"p", "roles/aiplatform.user"}, {"p", "roles/storage.objectViewer"}},
	}
}

const connectionName = "projects/p/locations/us/connections/c"

func TestConnectionLifecycle(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "")
	want := connectionSpec()
	want.Description = "for remote models"
	c, err := s.CreateConnection(t.Context(), want, Options{Incarnation: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	if c.ServiceAccount != account || c.FriendlyName != "" || c.Description != want.Description || c.Identity.Marker.Incarnation != "abc" || !slices.Equal(f.roles(), []string{"roles/aiplatform.user", "roles/storage.objectViewer"}) {
		t.Errorf("created %+v, roles %v", c, f.roles())
	}
	// A friendly name of the user's takes the marker's place, and gives it back.
	want.FriendlyName, want.Description = "mine", ""
	c, granted, err := s.UpdateConnection(t.Context(), want, []Grant{{"p", "roles/bigquery.user"}}, want.Grants[1:], Options{Incarnation: "abc"})
	if err != nil || c.FriendlyName != "mine" || c.Description != "" || !slices.Equal(granted, []Grant{{"p", "roles/bigquery.user"}}) {
		t.Errorf("updated %+v, granted %v: %v", c, granted, err)
	}
	if got := f.roles(); !slices.Equal(got, []string{"roles/aiplatform.user", "roles/bigquery.user"}) {
		t.Errorf("roles %v", got)
	}
	want.FriendlyName = ""
	if c, _, err = s.UpdateConnection(t.Context(), want, nil, nil, Options{Incarnation: "abc"}); err != nil || c.Identity.Marker.Incarnation != "abc" || c.FriendlyName != "" {
		t.Errorf("marker not restored: %+v, %v", c, err)
	}
	made := MadeConnection{Incarnation: "abc", Created: c.Identity.Created, ServiceAccount: account, Grants: []Grant{{"p", "roles/aiplatform.user"}, {"p", "roles/bigquery.user"}}}
	if err := s.DeleteConnection(t.Context(), want.Name, made); err != nil || len(f.connections) != 0 || len(f.roles()) != 0 {
		t.Errorf("deleted: %v; left %v %v", err, f.connections, f.roles())
	}
	if len(f.policy.GetBindings()) != 1 || f.policy.GetBindings()[0].GetRole() != "roles/owner" {
		t.Errorf("bindings of others were touched: %v", f.policy)
	}
	if err := s.DeleteConnection(t.Context(), want.Name, made); err != nil {
		t.Errorf("a connection that is gone: %v", err)
	}
}

// A key is set, exchanged and taken off in place, and not named again by a change of
// something else. A version that is shown is not a part of its name.
func TestConnectionKey(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "")
	const key = "projects/k/locations/us/keyRings/r/cryptoKeys/"
	want := connectionSpec()
	want.Grants, want.KMSKey = nil, key+"one"
	if c, err := s.CreateConnection(t.Context(), want, Options{Incarnation: "abc"}); err != nil || c.KMSKey != key+"one" || len(f.masks) != 0 {
		t.Fatalf("created %+v with patches %v: %v", c, f.masks, err)
	}
	f.connections[connectionName].KmsKeyName += "/cryptoKeyVersions/3"
	if c, err := s.GetConnection(t.Context(), want.Name); err != nil || c.KMSKey != key+"one" {
		t.Errorf("read %+v: %v", c, err)
	}
	for _, step := range []struct{ description, key, mask string }{
		{"text", key + "one", "description"},
		{"text", key + "two", "kmsKeyName"},
		{"", "", "description,kmsKeyName"},
		{"", "", ""},
		{"", key + "one", "kmsKeyName"},
	} {
		f.masks = nil
		want.Description, want.KMSKey = step.description, step.key
		c, _, err := s.UpdateConnection(t.Context(), want, nil, nil, Options{Incarnation: "abc"})
		if err != nil || c.KMSKey != step.key || c.Description != step.description || c.Identity.Marker.Incarnation != "abc" || strings.Join(f.masks, " ") != step.mask {
			t.Errorf("%+v: got %+v with patches %v: %v", step, c, f.masks, err)
		}
	}
}

// A role that the account had before is not reported as granted.
func TestGrantedAreOnlyNewRoles(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "")
	want := connectionSpec()
	want.Grants = nil
	if _, err := s.CreateConnection(t.Context(), want, Options{}); err != nil {
		t.Fatal(err)
	}
	f.policy.Bindings = append(f.policy.Bindings, &iampb.Binding{Role: "roles/viewer", Members: []string{"serviceAccount:" + account}})
	want.Grants = []Grant{{"p", "roles/aiplatform.user"}, {"p", "roles/viewer"}}
	_, granted, err := s.UpdateConnection(t.Context(), want, want.Grants, nil, Options{})
	if err != nil || !slices.Equal(granted, []Grant{{"p", "roles/aiplatform.user"}}) {
		t.Errorf("granted %v, %v", granted, err)
	}
}

// After a lost answer a role may be given or not. It counts as given, so that it is
// taken back with the connection; after a refusal it does not.
func TestGrantWhoseAnswerIsLost(t *testing.T) {
	for code, unknown := range map[codes.Code]bool{codes.Internal: true, codes.DeadlineExceeded: true, codes.PermissionDenied: false} {
		f := newFake(t)
		s := f.service(t, "")
		f.policyAnswer = code
		want := connectionSpec()
		c, err := s.CreateConnection(t.Context(), want, Options{})
		if c == nil || gcp.Code(err) != code || (c.Unread["p"] != nil) != unknown || len(c.Grants) > 0 {
			t.Errorf("create, %s: %+v, %v", code, c, err)
		}
		f.policy = &iampb.Policy{}
		_, granted, err := s.UpdateConnection(t.Context(), want, want.Grants, nil, Options{})
		if gcp.Code(err) != code || slices.Equal(granted, want.Grants) != unknown {
			t.Errorf("update, %s: granted %v, %v", code, granted, err)
		}
	}
}

// The answer of create is lost: in this process it is known for ours in any case,
// after a kill only with an ownership_id.
func TestCreateConnectionWhoseAnswerIsLost(t *testing.T) {
	f := newFake(t)
	f.createConnLost = true
	want := connectionSpec()
	want.FriendlyName = "mine"
	c, err := f.service(t, "").CreateConnection(t.Context(), want, Options{})
	if err != nil || c.FriendlyName != "mine" || len(f.connections) != 1 {
		t.Errorf("same process: %+v, %v", c, err)
	}

	for owner, adopted := range map[string]bool{"": false, "team-a": true, "team-b": false} {
		f := newFake(t)
		first := "team-a"
		if owner == "" {
			first = ""
		}
		if _, err := f.service(t, first).CreateConnection(t.Context(), connectionSpec(), Options{Incarnation: "killed"}); err != nil {
			t.Fatal(err)
		}
		c, err := f.service(t, owner).CreateConnection(t.Context(), connectionSpec(), Options{Incarnation: "next"})
		var exists *gcp.ExistsError
		switch {
		case adopted && (err != nil || c.Identity.Marker.Incarnation != "next" || !slices.Equal(f.roles(), []string{"roles/aiplatform.user", "roles/storage.objectViewer"})):
			t.Errorf("owner %q: %+v, %v", owner, c, err)
		case !adopted && (!errors.As(err, &exists) || !strings.Contains(err.Error(), "terraform import")):
			t.Errorf("owner %q: %v", owner, err)
		}
	}
}

func TestForeignConnectionStays(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "team-a")
	f.connections[connectionName] = &bigqueryconnection.Connection{FriendlyName: "theirs", CreationTime: 7, CloudResource: &bigqueryconnection.CloudResourceProperties{ServiceAccountId: "other"}}
	if _, err := s.CreateConnection(t.Context(), connectionSpec(), Options{}); err == nil {
		t.Error("a connection of somebody else was adopted")
	}
	if err := s.DeleteConnection(t.Context(), connectionSpec().Name, MadeConnection{Incarnation: "abc", Created: 1}); !errors.Is(err, ErrForeign) || len(f.connections) != 1 {
		t.Errorf("a connection of somebody else: %v", err)
	}
	f.connections[connectionName] = &bigqueryconnection.Connection{Spark: &bigqueryconnection.SparkProperties{}}
	if _, err := s.GetConnection(t.Context(), connectionSpec().Name); err == nil || !strings.Contains(err.Error(), "CLOUD_RESOURCE") {
		t.Errorf("a connection of another type: %v", err)
	}
}
