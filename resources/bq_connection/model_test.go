// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"errors"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

func named(id, friendlyName types.String) model {
	return model{ConnectionID: id, FriendlyName: friendlyName, Roles: types.SetNull(types.StringType)}
}

func TestValidate(t *testing.T) {
	s, null, unknown := types.StringValue, types.StringNull(), types.StringUnknown()
	for name, c := range map[string]struct {
		m      model
		errors int
	}{
		"id":                    {named(s("a"), null), 0},
		"friendly name":         {named(null, s("My name")), 0},
		"unknown id":            {named(unknown, null), 0},
		"unknown friendly name": {named(null, unknown), 0},
		"neither":               {named(null, null), 1},
		"nothing to slug":       {named(null, s("???")), 1},
		"a marker":              {named(s("a"), s("gcpml owner=x")), 1},
	} {
		if diags := c.m.validate(); diags.ErrorsCount() != c.errors {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestComplete(t *testing.T) {
	unknown := types.StringUnknown()
	var diags diag.Diagnostics
	config := model{Location: types.StringValue("US"), FriendlyName: types.StringValue("My 1st")}
	plan := config
	plan.Project, plan.ConnectionID, plan.ID = unknown, unknown, unknown
	p := plan
	p.complete(&config, "default", &diags)
	if p.ID.ValueString() != "projects/default/locations/US/connections/my_1st" || diags.HasError() {
		t.Errorf("%s, %v", p.ID, diags)
	}
	// A project that the configuration does not know yet is not the default one.
	configured := config
	configured.Project = unknown
	p = plan
	p.complete(&configured, "default", &diags)
	if !p.Project.IsUnknown() || !p.ID.IsUnknown() || diags.HasError() {
		t.Errorf("%s, %s, %v", p.Project, p.ID, diags)
	}
	p = plan
	if p.complete(&config, "", &diags); !diags.HasError() {
		t.Error("no project is no error")
	}
}

func TestFromRemoteRoles(t *testing.T) {
	declared := setOf([]string{"roles/a", "roles/b"})
	for name, c := range map[string]struct {
		prior    types.Set
		imported bool
		remote   []string
		err      error
		want     types.Set
	}{
		"foreign roles are not shown": {declared, false, []string{"roles/a", "roles/b", "roles/c"}, nil, declared},
		"a lost role is":              {declared, false, []string{"roles/b"}, nil, setOf([]string{"roles/b"})},
		"none declared":               {types.SetNull(types.StringType), false, []string{"roles/a"}, nil, types.SetNull(types.StringType)},
		"import takes all":            {types.SetNull(types.StringType), true, []string{"roles/a"}, nil, setOf([]string{"roles/a"})},
		"import of none":              {types.SetNull(types.StringType), true, nil, nil, types.SetNull(types.StringType)},
		"unreadable stays":            {declared, false, nil, errors.New("denied"), declared},
		"an empty list stays":         {setOf(nil), false, []string{"roles/a"}, nil, setOf(nil)},
	} {
		m := named(types.StringValue("a"), types.StringNull())
		m.Project, m.Roles = types.StringValue("own"), c.prior
		m.ProjectRoles = types.MapNull(types.SetType{ElemType: types.StringType})
		remote := &bqml.Connection{Grants: []bqml.Grant{{Project: "another", Role: "roles/z"}}, Unread: map[string]error{}}
		for _, role := range c.remote {
			remote.Grants = append(remote.Grants, bqml.Grant{Project: "own", Role: role})
		}
		if c.err != nil {
			remote.Unread["own"] = c.err
		}
		m.fromRemote(remote, c.imported)
		if !m.Roles.Equal(c.want) || !m.ProjectRoles.IsNull() {
			t.Errorf("%s: %s, %s", name, m.Roles, m.ProjectRoles)
		}
	}
}

func TestRemember(t *testing.T) {
	p := tfkit.Private{Incarnation: "kept"}
	remember(&p, &bqml.Connection{Identity: bqml.Identity{Created: 7}}, []bqml.Grant{{Project: "p", Role: "roles/b"}, {Project: "p", Role: "roles/a"}, {Project: "p", Role: "roles/b"}}, []bqml.Grant{{Project: "q", Role: "roles/a"}})
	if p.Incarnation != "kept" || created(p) != 7 || !slices.Equal(granted(p), []bqml.Grant{{Project: "p", Role: "roles/a"}, {Project: "p", Role: "roles/b"}}) || len(again(p)) != 1 || again(p)[0].Project != "q" || isImported(p) {
		t.Errorf("%+v", p)
	}
	remember(&p, &bqml.Connection{Identity: bqml.Identity{Marker: gcp.Marker{Incarnation: "new"}}}, nil, nil)
	if p.Incarnation != "new" || len(granted(p)) != 0 {
		t.Errorf("%+v", p)
	}
	if !isImported(tfkit.Private{}) {
		t.Error("nothing is remembered after an import")
	}
}
