// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqconnection is gcpml_bq_connection: a BigQuery connection to cloud
// resources, with the roles that its service account is granted.
package bqconnection

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
)

// TypeName is the name of the resource in HCL.
const TypeName = "gcpml_bq_connection"

const kind = "BigQuery connection"

const defaultTimeout = 20 * time.Minute

// Resource is the resource type.
type Resource struct {
	clients *gcp.Clients
	service *bqml.Service
}

// New returns the resource type.
func New() resource.Resource { return &Resource{} }

// Metadata names the type.
func (*Resource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = TypeName
}

// IdentitySchema describes what names a connection for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"location": "Location of the connection.", "connection_id": "Id of the connection."},
		map[string]string{"project": "Project id. Defaults to the provider's."})
}

// Configure takes the clients.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if r.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics); r.clients != nil {
		r.service = bqml.New(r.clients)
	}
}

// ValidateConfig checks attributes against each other.
func (*Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(m.validate()...)
	}
}

// ModifyPlan fills defaults, so that id is known during plan.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.clients == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		return
	}
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !req.State.Raw.IsNull() {
		var prior model
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
		if tfkit.SameProject(ctx, r.clients, prior.Project, plan.Project) {
			plan.Project = prior.Project
		} else {
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root("project"))
		}
		if plan.identity().Replaces(prior.identity()) {
			tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		}
	}
	tfkit.PlanDeletionPolicy(&plan.DeletionPolicy, config.DeletionPolicy, r.clients)
	plan.complete(&config, r.clients.Project(), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}

// Create makes the connection and grants the roles.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	timeout, d := m.Timeouts.Create(ctx, defaultTimeout)
	resp.Diagnostics.Append(d...)
	spec := m.toSpec(ctx, &resp.Diagnostics)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()
	private := tfkit.Private{Incarnation: gcp.NewIncarnation()}
	c, err := r.service.CreateConnection(ctx, spec, options(ctx, private))
	if c != nil {
		// The account was made with the connection, so every role is of our granting.
		remember(&private, c, spec.Grants, nil)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		if c != nil {
			m.ServiceAccountID = types.StringValue(c.ServiceAccount)
		}
		tfkit.SetPartial(ctx, &resp.State, &m, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "create", kind, m.ID.ValueString(), err)
	case c == nil:
		tfkit.AddError(&resp.Diagnostics, "create", kind, m.ID.ValueString(), err)
		return
	default:
		m.fromRemote(c, false)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
		if err != nil {
			tfkit.AddError(&resp.Diagnostics, "create", kind, m.ID.ValueString(), err)
		}
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

func options(ctx context.Context, p tfkit.Private) bqml.Options {
	return bqml.Options{Incarnation: p.Incarnation, Propagation: bqml.DefaultPropagation, Progress: tfkit.Progress(ctx)}
}

// Read takes over what the server has.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Read(ctx, defaultTimeout)
	resp.Diagnostics.Append(d...)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "read", timeout)
	defer cancel()
	imported := isImported(private)
	c, err := r.service.GetConnection(ctx, m.name(), m.listed(imported)...)
	switch {
	case gcp.IsNotFound(err):
		m.outlived(private, &resp.Diagnostics)
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), err)
		return
	case !imported && !c.Identity.Is(private.Incarnation, created(private)):
		resp.Diagnostics.AddWarning("The "+kind+" was replaced behind Terraform's back",
			m.ID.ValueString()+" exists, but it is not the one in the state: that was deleted and another one was made under its name. It is treated as gone; import the other one to manage it.")
		m.outlived(private, &resp.Diagnostics)
		resp.State.RemoveResource(ctx)
		return
	}
	for _, project := range slices.Sorted(maps.Keys(c.Unread)) {
		resp.Diagnostics.AddWarning("The roles of "+kind+" "+m.ID.ValueString()+" in project "+project+" cannot be checked",
			"The project's IAM policy cannot be read, so roles are shown as they were. "+gcp.Message(c.Unread[project]))
	}
	if imported {
		tfkit.ReadDeletionPolicy(&m.DeletionPolicy, r.clients)
	}
	forget(&private, c, m.grants(ctx, &resp.Diagnostics))
	m.fromRemote(c, imported)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	if imported || created(private) == 0 {
		remember(&private, c, m.grants(ctx, &resp.Diagnostics), nil)
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Update changes friendly name, description, key and roles.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Update(ctx, defaultTimeout)
	resp.Diagnostics.Append(d...)
	spec := plan.toSpec(ctx, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	had := state.grants(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()
	ours := granted(private)
	add, dropped := without(spec.Grants, had), without(had, spec.Grants)
	lost := both(add, ours) // given here before, and taken by somebody
	if fought := both(lost, again(private)); len(fought) > 0 {
		resp.Diagnostics.AddAttributeError(path.Root("roles"), "Somebody else takes the roles away",
			"This resource granted "+words(fought)+" to "+state.ServiceAccountID.ValueString()+", found it gone, granted it again, and it is gone once more. "+
				"Most likely something owns all members of the role, such as google_project_iam_binding or google_project_iam_policy, and each apply of the one undoes the other. "+
				"Add serviceAccount:"+state.ServiceAccountID.ValueString()+" to its members and take the role out of this resource, or replace it by google_project_iam_member. "+
				"If nothing of that kind exists, apply once without the role here, then with it.")
		plan.ServiceAccountID = state.ServiceAccountID
		resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...) // still listed, so that the next apply says the same
		return
	}
	revoke := both(dropped, ours)
	if left := without(dropped, revoke); len(left) > 0 {
		resp.Diagnostics.AddWarning("A role is left in place",
			words(left)+" had been granted to "+state.ServiceAccountID.ValueString()+" before this resource listed it, so it is not revoked.")
	}
	c, added, err := r.service.UpdateConnection(ctx, spec, add, revoke, options(ctx, private))
	if c != nil {
		if err == nil {
			ours = without(ours, revoke)
		}
		remember(&private, c, append(added, ours...), both(append(again(private), lost...), spec.Grants))
		tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		tfkit.SetPartial(ctx, &resp.State, &plan, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "update", kind, plan.ID.ValueString(), err)
		return
	case err != nil:
		plan.withGrants(slices.Concat(spec.Grants, dropped)) // those that are there are kept below
		tfkit.AddError(&resp.Diagnostics, "update", kind, plan.ID.ValueString(), err)
	}
	if c != nil {
		plan.fromRemote(c, false)
		resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	}
}

// Delete revokes the roles and deletes the connection.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Delete(ctx, defaultTimeout)
	resp.Diagnostics.Append(d...)
	grants := m.grants(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(m.DeletionPolicy, kind, m.ID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	grants = append(grants, without(granted(private), grants)...)
	err := r.service.DeleteConnection(ctx, m.name(), bqml.MadeConnection{
		Incarnation:    private.Incarnation,
		Created:        created(private),
		ServiceAccount: m.ServiceAccountID.ValueString(),
		Grants:         grants,
	})
	switch {
	case errors.Is(err, bqml.ErrForeign):
		resp.Diagnostics.AddWarning("The "+kind+" was not deleted", m.ID.ValueString()+": "+err.Error()+". It is left as it is and treated as gone.")
	case err != nil:
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", kind, m.ID.ValueString(), err)
	default:
		tfkit.ConfirmGone(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), func(ctx context.Context) ([]string, error) {
			return r.left(ctx, &m, private, grants)
		})
	}
}

// left names what there still is of a deleted connection and its grants.
func (r *Resource) left(ctx context.Context, m *model, private tfkit.Private, grants []bqml.Grant) (names []string, err error) {
	c, err := r.service.GetConnection(ctx, m.name())
	switch {
	case err == nil && c.Identity.Is(private.Incarnation, created(private)):
		names = append(names, m.ID.ValueString())
	case err != nil && !gcp.IsNotFound(err):
		return nil, err
	}
	account := m.ServiceAccountID.ValueString()
	for _, g := range grants {
		if account == "" {
			break
		}
		held, err := r.clients.MemberRoles(ctx, g.Project, "serviceAccount:"+account)
		if err != nil {
			return nil, err
		}
		if slices.Contains(held, g.Role) {
			names = append(names, "the grant of "+g.String()+" to "+account)
		}
	}
	return names, nil
}

// ImportState takes the full name, PROJECT/LOCATION/ID or LOCATION/ID, or the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	tfkit.Import(ctx, gcp.KindConnection, "connection_id", "", r.clients, req, resp)
}
