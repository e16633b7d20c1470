// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

func server(t *testing.T, settings ...string) (*Server, project.Project) {
	t.Helper()
	switches, err := assume.Parse(settings)
	if err != nil {
		t.Fatal(err)
	}
	projects := project.NewRegistry()
	p, err := projects.Lookup("my-project")
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Projects: projects, Clock: clock.Real{}, Assume: switches}), p
}

func create(t *testing.T, s *Server, parent, id string) *connectionpb.Connection {
	t.Helper()
	c, err := s.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{
		Parent: parent, ConnectionId: id,
		Connection: &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{}},
	})
	if err != nil {
		t.Fatalf("CreateConnection: %v", err)
	}
	return c
}

func TestNamesAndSpellings(t *testing.T) {
	s, p := server(t)
	c := create(t, s, "projects/my-project/locations/US", "c1")
	if want := "projects/" + p.Number + "/locations/us/connections/c1"; c.GetName() != want {
		t.Errorf("name %q, want %q", c.GetName(), want)
	}
	account := c.GetCloudResource().GetServiceAccountId()
	if !regexp.MustCompile(`^bqcx-` + p.Number + `-[a-z0-9]{4}@gcp-sa-bigquery-condel\.iam\.gserviceaccount\.com$`).MatchString(account) {
		t.Errorf("service account %q", account)
	}
	for _, name := range []string{"projects/my-project/locations/us/connections/c1", "projects/" + p.Number + "/locations/Us/connections/c1"} {
		if _, err := s.GetConnection(t.Context(), &connectionpb.GetConnectionRequest{Name: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, ok := s.Account(p.Number, "US", "c1"); !ok || got != account || !s.AccountExists(strings.ToUpper(account)) {
		t.Errorf("Account: %q %v", got, ok)
	}

	s, _ = server(t, "project-in-names=id", "multi-region-case=upper")
	if got, want := create(t, s, "projects/my-project/locations/us", "c1").GetName(), "projects/my-project/locations/US/connections/c1"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

func TestLifecycle(t *testing.T) {
	s, _ := server(t)
	const parent = "projects/my-project/locations/us"
	create(t, s, parent, "c1")
	if _, err := s.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{
		Parent: parent, ConnectionId: "c1", Connection: &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{}},
	}); status.Code(err) != codes.AlreadyExists || !strings.HasPrefix(status.Convert(err).Message(), "Already Exists: Connection projects/") {
		t.Errorf("the same id again: %v", err)
	}
	generated := create(t, s, parent, "")
	page, err := s.ListConnections(t.Context(), &connectionpb.ListConnectionsRequest{Parent: parent, PageSize: 1})
	if err != nil || len(page.GetConnections()) != 1 || page.GetNextPageToken() == "" {
		t.Fatalf("first page: %v %v", page, err)
	}
	page, err = s.ListConnections(t.Context(), &connectionpb.ListConnectionsRequest{Parent: parent, PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetConnections()) != 1 || page.GetNextPageToken() != "" {
		t.Fatalf("second page: %v %v", page, err)
	}
	updated, err := s.UpdateConnection(t.Context(), &connectionpb.UpdateConnectionRequest{
		Name: generated.GetName(), Connection: &connectionpb.Connection{FriendlyName: "f", Description: "d"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	})
	if err != nil || updated.GetDescription() != "d" || updated.GetFriendlyName() != "" {
		t.Errorf("update: %v %v", updated, err)
	}
	if _, err := s.DeleteConnection(t.Context(), &connectionpb.DeleteConnectionRequest{Name: generated.GetName()}); err != nil {
		t.Fatal(err)
	}
	if s.AccountExists(generated.GetCloudResource().GetServiceAccountId()) {
		t.Error("the account outlives its connection")
	}
	if _, err := s.GetConnection(t.Context(), &connectionpb.GetConnectionRequest{Name: generated.GetName()}); status.Code(err) != codes.NotFound {
		t.Errorf("after delete: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	s, _ := server(t)
	resource := &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{}}
	for name, c := range map[string]struct {
		request *connectionpb.CreateConnectionRequest
		want    codes.Code
	}{
		"id":         {&connectionpb.CreateConnectionRequest{Parent: "projects/my-project/locations/us", ConnectionId: "a b", Connection: resource}, codes.InvalidArgument},
		"location":   {&connectionpb.CreateConnectionRequest{Parent: "projects/my-project/locations/moon", ConnectionId: "c", Connection: resource}, codes.InvalidArgument},
		"parent":     {&connectionpb.CreateConnectionRequest{Parent: "my-project", Connection: resource}, codes.InvalidArgument},
		"properties": {&connectionpb.CreateConnectionRequest{Parent: "projects/my-project/locations/us"}, codes.InvalidArgument},
		"type": {&connectionpb.CreateConnectionRequest{Parent: "projects/my-project/locations/us", Connection: &connectionpb.Connection{
			Properties: &connectionpb.Connection_CloudSql{},
		}}, codes.Unimplemented},
	} {
		if _, err := s.CreateConnection(t.Context(), c.request); status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The key is in the messages as the schema of the REST API says, and every JSON form of
// it is read.
func TestKeyInTheSchema(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	message := dynamicpb.NewMessage(schema.Methods().ByName("GetConnection").Output())
	const key = "projects/k/locations/us/keyRings/r/cryptoKeys/one"
	for _, text := range []string{`{"kmsKeyName": "` + key + `", "cloudResource": {}}`, `{"cloudResource": {}, "kms_key_name": "` + key + `"}`} {
		if err := protojson.Unmarshal([]byte(text), message); err != nil {
			t.Fatal(err)
		}
		wire, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var c connectionpb.Connection
		if err := proto.Unmarshal(wire, &c); err != nil || keyOf(&c) != key || c.GetCloudResource() == nil {
			t.Errorf("%s: %q %v", text, keyOf(&c), err)
		}
	}
	for shown, settings := range map[string][]string{key: nil, key + "/cryptoKeyVersions/1": {"kms-key-version-in-connection=yes"}} {
		s, _ := server(t, settings...)
		c := &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{}}
		showKey(c, key)
		made, err := s.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{Parent: "projects/my-project/locations/us", ConnectionId: "c", Connection: c})
		if err != nil || keyOf(made) != shown {
			t.Errorf("%v: %q %v", settings, keyOf(made), err)
		}
	}
}
