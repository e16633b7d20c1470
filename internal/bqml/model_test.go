// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

func spec() ModelSpec {
	return ModelSpec{
		Name:       gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"},
		Connection: gcp.Name{Project: "p", Location: "US", Kind: gcp.KindConnection, ID: "c"},
		Target:     Target{Endpoint: gcp.Name{Project: "p", Location: "us-central1", Kind: gcp.KindEndpoint, ID: "one"}},
		Input:      []Column{{"text", "STRING"}, {"n", "INT64"}},
		Output:     []Column{{"scores", "ARRAY<FLOAT64>"}},
	}
}

func create(t *testing.T, s *Service, spec ModelSpec, o Options) *Model {
	t.Helper()
	m, err := s.CreateModel(t.Context(), spec, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCreateModelReadsBackWhatWasAsked(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "")
	want := spec()
	want.Description, want.Labels = "it's \"mine\"", map[string]string{"team": "a"}
	want.Expiration = time.UnixMilli(4102444800000)
	m := create(t, s, want, Options{Incarnation: "abc"})
	if !s.sameCore(t.Context(), want, m) || m.Description != want.Description || !maps.Equal(m.Labels, want.Labels) || !m.Expiration.Equal(want.Expiration) {
		t.Errorf("read back %+v", m)
	}
	if m.Identity.Marker.Incarnation != "abc" {
		t.Errorf("marker %+v", m.Identity.Marker)
	}
	if n := len(f.statements); n != 1 {
		t.Errorf("%d statements", n)
	}
}

// Nothing that exists is replaced, and the error names the import command.
func TestCreateModelNeverClobbers(t *testing.T) {
	for name, c := range map[string]struct {
		owner  string
		labels map[string]string
	}{
		"no ownership_id":          {"", nil},
		"not marked":               {"team-a", nil},
		"another owner":            {"team-a", map[string]string{"gcpml-owner": "team-b", "gcpml-spec": spec().marker("team-b").Spec}},
		"another spec":             {"team-a", map[string]string{"gcpml-owner": "team-a", "gcpml-spec": "0"}},
		"ours but adoption is off": {"", map[string]string{"gcpml-owner": "team-a", "gcpml-spec": spec().marker("team-a").Spec}},
	} {
		f := newFake(t)
		create(t, f.service(t, ""), spec(), Options{}) // somebody else's
		theirs := f.models["d.m"]
		theirs.Labels = c.labels
		f.jobs = nil
		etag := theirs.Etag
		_, err := f.service(t, c.owner).CreateModel(t.Context(), spec(), Options{})
		var exists *gcp.ExistsError
		if !errors.As(err, &exists) || !strings.Contains(err.Error(), `terraform import <address> "projects/p/datasets/d/models/m"`) {
			t.Errorf("%s: %v", name, err)
		}
		if f.models["d.m"].Etag != etag {
			t.Errorf("%s: the model was changed", name)
		}
	}
}

// The provider dies after the DDL took effect and before it wrote the labels: the
// next create recognises its own job. A configuration that changed in between is
// followed.
func TestCreateModelAdoptsAfterAKill(t *testing.T) {
	for _, endpoint := range []string{"one", "two"} {
		f := newFake(t)
		taken := make(chan struct{})
		f.created = taken
		ctx, kill := context.WithCancel(t.Context())
		go func() { <-taken; kill() }()
		if _, err := f.service(t, "team-a").CreateModel(ctx, spec(), Options{}); err == nil {
			t.Fatal("the create was not interrupted")
		}
		if m := f.models["d.m"]; m == nil || len(m.Labels) > 0 {
			t.Fatalf("the scene is not set: %+v", m)
		}
		want := spec()
		want.Endpoint.ID, want.Labels = endpoint, map[string]string{"team": "a"}
		s := f.service(t, "team-a")
		m := create(t, s, want, Options{Incarnation: "second"})
		if !s.sameCore(t.Context(), want, m) || m.Identity.Marker != (gcp.Marker{Owner: "team-a", Spec: want.marker("team-a").Spec, Incarnation: "second"}) || m.Labels["team"] != "a" {
			t.Errorf("%s: adopted as %+v", endpoint, m)
		}
		if len(f.models) != 1 {
			t.Errorf("%d models", len(f.models))
		}
	}
}

// A job of ours that failed, was for another model, or ran at another time proves nothing.
func TestOnlyTheJobThatMadeTheModelIsProof(t *testing.T) {
	mine := spec().marker("team-a").Labels(map[string]string{jobTarget: spec().target()})
	for name, change := range map[string]func(*bigquery.Job){
		"failed": func(j *bigquery.Job) { j.Status.ErrorResult = &bigquery.ErrorProto{Reason: "stopped"} },
		"another target": func(j *bigquery.Job) {
			j.Configuration.Labels = spec().marker("team-a").Labels(map[string]string{jobTarget: "x"})
		},
		"before":  func(j *bigquery.Job) { j.Statistics.StartTime -= 60_000; j.Statistics.EndTime -= 60_000 },
		"after":   func(j *bigquery.Job) { j.Statistics.StartTime += 60_000; j.Statistics.EndTime += 60_000 },
		"dry run": func(j *bigquery.Job) { j.Configuration.DryRun = true },
	} {
		f := newFake(t)
		create(t, f.service(t, ""), spec(), Options{})
		f.models["d.m"].Labels = nil
		f.jobs[0].Configuration.Labels = mine
		change(f.jobs[0])
		if _, err := f.service(t, "team-a").CreateModel(t.Context(), spec(), Options{}); err == nil {
			t.Errorf("%s: adopted", name)
		}
	}
}

// Whether or not CREATE OR REPLACE keeps labels and description, the result is the same.
func TestUpdateModelConvergesBothWays(t *testing.T) {
	for _, drops := range []bool{false, true} {
		f := newFake(t)
		f.replaceDrops = drops
		s := f.service(t, "team-a")
		want := spec()
		want.Description, want.Labels, want.Expiration = "one", map[string]string{"team": "a", "gone": "soon"}, time.UnixMilli(4102444800000)
		create(t, s, want, Options{Incarnation: "abc"})
		want.Endpoint.ID, want.Description, want.Labels, want.DropLabels = "two", "", map[string]string{"team": "b"}, []string{"gone"}
		want.Input, want.Expiration = []Column{{"text", "string"}}, time.Time{}
		f.models["d.m"].Labels["theirs"] = "1"
		m, err := s.UpdateModel(t.Context(), want, Options{Incarnation: "abc"})
		if err != nil {
			t.Fatal(err)
		}
		if !s.sameCore(t.Context(), want, m) || m.Description != "" || !maps.Equal(m.Labels, map[string]string{"team": "b", "theirs": "1"}) || !m.Expiration.IsZero() || m.Identity.Marker.Incarnation != "abc" {
			t.Errorf("drops %v: %+v", drops, m)
		}
		statements := len(f.statements)
		etag := f.models["d.m"].Etag
		if _, err := s.UpdateModel(t.Context(), want, Options{Incarnation: "abc"}); err != nil || len(f.statements) != statements || f.models["d.m"].Etag != etag {
			t.Errorf("drops %v: an update without a difference did something (%v)", drops, err)
		}
	}
}

func TestPatchSurvivesOtherWriters(t *testing.T) {
	f := newFake(t)
	f.conflicts = 2
	want := spec()
	want.Description = "mine"
	if m := create(t, f.service(t, ""), want, Options{}); m.Description != "mine" {
		t.Errorf("%+v", m)
	}
	f.conflicts = 100
	want.Description = "other"
	m, err := f.service(t, "").UpdateModel(t.Context(), want, Options{})
	if err == nil || m == nil || m.Description != "mine" {
		t.Errorf("a patch that never got through: %+v, %v", m, err)
	}
}

func TestDeleteModelActsOnItsOwnOnly(t *testing.T) {
	f := newFake(t)
	f.replaceDrops = true
	s := f.service(t, "team-a")
	m := create(t, s, spec(), Options{Incarnation: "abc"})
	if err := s.DeleteModel(t.Context(), spec().Name, "other", 1); !errors.Is(err, ErrForeign) {
		t.Errorf("another's model: %v", err)
	}
	// Replaced by somebody else, who leaves no marker.
	f.define(ddl.FindStringSubmatch(f.statements[0]), f.now()+60_000)
	if err := s.DeleteModel(t.Context(), spec().Name, "abc", m.Identity.Created); !errors.Is(err, ErrForeign) || f.models["d.m"] == nil {
		t.Errorf("a model that replaced ours: %v", err)
	}
	// Replaced by us, killed before the labels were written.
	change := spec()
	change.Endpoint.ID = "two"
	if _, err := s.UpdateModel(t.Context(), change, Options{Incarnation: "abc"}); err != nil {
		t.Fatal(err)
	}
	f.models["d.m"].Labels = nil
	if err := s.DeleteModel(t.Context(), spec().Name, "abc", m.Identity.Created); err != nil || f.models["d.m"] != nil {
		t.Errorf("our own replacement: %v", err)
	}
	if err := s.DeleteModel(t.Context(), spec().Name, "abc", 0); err != nil {
		t.Errorf("a model that is gone: %v", err)
	}
}

// Terraform hands over no private state of a tainted object that it replaces.
func TestDeleteModelOfAForgottenOne(t *testing.T) {
	f := newFake(t)
	f.replaceDrops = true
	s := f.service(t, "")
	create(t, s, spec(), Options{})
	if err := s.DeleteModel(t.Context(), spec().Name, "", 0); err != nil || f.models["d.m"] != nil {
		t.Errorf("a model with our mark: %v", err)
	}
	create(t, f.service(t, "team-b"), spec(), Options{})
	if err := s.DeleteModel(t.Context(), spec().Name, "", 0); !errors.Is(err, ErrForeign) {
		t.Errorf("a model of another owner: %v", err)
	}
	f.define(ddl.FindStringSubmatch(f.statements[0]), f.now()+60_000)
	if err := s.DeleteModel(t.Context(), spec().Name, "", 0); !errors.Is(err, ErrForeign) {
		t.Errorf("a model without a mark: %v", err)
	}
}

func TestDDLWaitsForTheGrant(t *testing.T) {
	f := newFake(t)
	s := f.service(t, "")
	if _, err := s.CreateConnection(t.Context(), ConnectionSpec{Name: spec().Connection, Grants: []Grant{{"p", "roles/aiplatform.user"}}}, Options{}); err != nil {
		t.Fatal(err)
	}
	f.refuse, f.refusals = account+" does not have the permission to access or use the endpoint. Please grant the Vertex AI user role.", 1
	told := 0
	ids := map[string]bool{}
	o := Options{Propagation: time.Minute, Progress: func(string, ...any) { told++ }, OnJob: func(id string) { ids[id] = true }}
	create(t, s, spec(), o)
	if told == 0 || len(ids) != 2 {
		t.Errorf("told %d times, jobs %v", told, ids)
	}
	f.refusals = 1
	change := spec()
	change.Endpoint.ID = "two"
	m, err := s.UpdateModel(t.Context(), change, Options{Propagation: 0})
	var failed *query.JobError
	if !errors.As(err, &failed) || m == nil || m.Endpoint.ID != "one" {
		t.Errorf("with 0 the refusal is final: %+v, %v", m, err)
	}
	if err := s.clients.RevokeRoles(t.Context(), "p", "serviceAccount:"+account, []string{"roles/aiplatform.user"}); err != nil {
		t.Fatal(err)
	}
	f.refusals = 1
	if _, err := s.UpdateModel(t.Context(), change, o); err == nil || !strings.Contains(err.Error(), "no role is granted") {
		t.Errorf("without any grant: %v", err)
	}
}

func TestPreflight(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ModelSpec)
		field  string
		text   string
	}{
		"missing dataset":     {func(m *ModelSpec) { m.Name.Dataset = "nope" }, "dataset_id", "CREATE SCHEMA"},
		"dataset elsewhere":   {func(m *ModelSpec) { m.Name.Dataset = "eu" }, "connection_name", "dataset eu is in EU"},
		"missing endpoint":    {func(m *ModelSpec) { m.Endpoint.ID = "nope" }, "endpoint", "does not exist"},
		"dedicated endpoint":  {func(m *ModelSpec) { m.Endpoint.ID = "dedicated" }, "endpoint", "dedicated"},
		"private endpoint":    {func(m *ModelSpec) { m.Endpoint.ID = "private" }, "endpoint", "private"},
		"invalid column name": {func(m *ModelSpec) { m.Input[0].Name = "a b" }, "", "column name"},
	} {
		f := newFake(t)
		want := spec()
		c.change(&want)
		_, err := f.service(t, "").CreateModel(t.Context(), want, Options{})
		var field *FieldError
		if err == nil || !strings.Contains(err.Error(), c.text) || errors.As(err, &field) != (c.field != "") || c.field != "" && field.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
		if len(f.statements) > 0 {
			t.Errorf("%s: a statement was sent", name)
		}
	}
}

func TestGetModelOfAnotherKind(t *testing.T) {
	f := newFake(t)
	f.models["d.m"] = &bigquery.Model{ModelType: "LINEAR_REGRESSION"}
	s := f.service(t, "")
	if _, err := s.GetModel(t.Context(), spec().Name); !errors.Is(err, errNotRemote) {
		t.Errorf("%v", err)
	}
	if err := s.DeleteModel(t.Context(), spec().Name, "abc", 0); !errors.Is(err, ErrForeign) {
		t.Errorf("%v", err)
	}
	if _, err := s.CreateModel(t.Context(), spec(), Options{}); err == nil || !strings.Contains(err.Error(), "model_id: a model") {
		t.Errorf("%v", err)
	}
}

// Project number and id are one project, and so they are when the number may not
// be looked up.
func TestSameName(t *testing.T) {
	s := newFake(t).service(t, "")
	name := func(project, location string) gcp.Name {
		return gcp.Name{Project: project, Location: location, Kind: gcp.KindEndpoint, ID: "e"}
	}
	for _, c := range []struct {
		a, b gcp.Name
		want bool
	}{
		{name("p", "US"), name("42", "us"), true},
		{name("q", "us"), name("42", "us"), false},
		{name("p", "us"), name("43", "us"), true},
		{name("p", "us"), name("q", "us"), false},
		{name("43", "us"), name("44", "us"), false},
		{name("p", "us"), name("p", "eu"), false},
	} {
		if got := s.SameName(t.Context(), c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}
