// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqremotemodel is gcpml_bq_remote_model: a BigQuery model that predicts by
// calling something outside of BigQuery.
package bqremotemodel

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

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
const TypeName = "gcpml_bq_remote_model"

const kind = "BigQuery remote model"

// The DDL takes seconds, the grant that it waits for minutes, and an open model that
// BigQuery deploys most of an hour.
const (
	defaultWriteTimeout = 30 * time.Minute
	openModelTimeout    = 2 * time.Hour
	defaultReadTimeout  = 10 * time.Minute
)

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

// IdentitySchema describes what names a model for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"dataset_id": "Dataset of the model.", "model_id": "Id of the model."},
		map[string]string{"project": "Project id of the dataset. Defaults to the provider's."})
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

// ModifyPlan fills defaults, keeps spellings that mean the same, and refuses an
// endpoint that is known to be of the wrong kind.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.clients == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		return
	}
	var plan, config, prior model
	var before *model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if !req.State.Raw.IsNull() {
		before = &prior
		if tfkit.SameProject(ctx, r.clients, prior.Project, plan.Project) {
			plan.Project = prior.Project
		} else {
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root("project"))
		}
		if plan.identity().Replaces(prior.identity()) {
			tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		}
		plan.keepSpelling(&prior, r.spelling(ctx))
	}
	plan.complete(&config, before, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
	if !openModelOf(config.OpenModel).Token.IsNull() && (before == nil || !plan.callsTheSame(before)) {
		resp.Diagnostics.AddAttributeWarning(path.Root("open_model").AtName("hugging_face_token_wo"), "The token will be in BigQuery's job history",
			"It is part of the statement, which BigQuery keeps in the project's job history and audit logs. Use a token that can only read this model, and revoke it afterwards.")
	}
	if plan.Endpoint.Equal(prior.Endpoint) || resp.Diagnostics.HasError() {
		return
	}
	if endpoint, err := gcp.ParseName(gcp.KindEndpoint, plan.Endpoint.ValueString()); err == nil {
		if err := r.service.CheckEndpoint(ctx, endpoint, false); err != nil {
			addError(&resp.Diagnostics, "plan", plan.ID.ValueString(), err)
		}
	}
}

// addError puts the error on the attribute that it is about.
func addError(diags *diag.Diagnostics, verb, name string, err error) {
	var field *bqml.FieldError
	if errors.As(err, &field) {
		tfkit.AddAttributeError(diags, path.Root(field.Field), verb, kind, name, err)
		return
	}
	tfkit.AddError(diags, verb, kind, name, err)
}

func (r *Resource) options(ctx context.Context, m *model, p *tfkit.Private) bqml.Options {
	propagation, _ := m.propagation() // validate has reported what does not parse
	return bqml.Options{
		Propagation: propagation,
		Progress:    tfkit.Progress(ctx),
		Incarnation: p.Incarnation,
		OnJob:       func(id string) { p.Operation = id },
	}
}

func (r *Resource) spelling(ctx context.Context) spelling {
	return spellingOf(ctx, r.clients, r.service)
}

// made takes over what the server has after a create or update that got that far, and
// tells what is worth knowing about it.
func (r *Resource) made(ctx context.Context, m *model, remote *bqml.Model, err error, diags *diag.Diagnostics) {
	m.fromRemote(remote, r.spelling(ctx))
	if err != nil {
		m.probeAgain()
	}
	for _, notice := range remote.Notices {
		diags.AddAttributeWarning(path.Root("input"), "The "+kind+" "+m.ID.ValueString()+" has no input and output", sentence(notice))
	}
}

// Create runs the DDL and sets what it cannot set.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	timeout, d := m.Timeouts.Create(ctx, m.writeTimeout())
	resp.Diagnostics.Append(d...)
	m.PlanLabels(nil, r.clients.Config().DefaultLabels) // with what was unknown during plan
	spec := m.toSpec(nil, &config, &resp.Diagnostics)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()
	private := tfkit.Private{Incarnation: gcp.NewIncarnation()}
	remote, err := r.service.CreateModel(ctx, spec, r.options(ctx, &m, &private))
	if remote != nil {
		remember(&private, remote)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		m.probeAgain()
		tfkit.SetPartial(ctx, &resp.State, &m, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "create", kind, m.ID.ValueString(), err)
	case remote == nil:
		addError(&resp.Diagnostics, "create", m.ID.ValueString(), err)
		return
	default:
		planned := m.LabelSet
		r.made(ctx, &m, remote, err, &resp.Diagnostics)
		m.LabelSet = planned.Applied(remote.Labels)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
		if err != nil {
			addError(&resp.Diagnostics, "create", m.ID.ValueString(), err)
		}
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Read takes over what the server has.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Read(ctx, defaultReadTimeout)
	resp.Diagnostics.Append(d...)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "read", timeout)
	defer cancel()
	remote, err := r.service.GetModel(ctx, m.name())
	if gcp.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), err)
		return
	}
	if private.Incarnation == "" && created(private) == 0 { // imported
		remember(&private, remote)
		m.ImportLabels(remote.Labels, r.clients.Config().DefaultLabels)
		tfkit.ReadDeletionPolicy(&m.DeletionPolicy, r.clients)
	}
	m.fromRemote(remote, r.spelling(ctx))
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Update replaces the model in place, or only patches it.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Update(ctx, m.writeTimeout())
	resp.Diagnostics.Append(d...)
	m.PlanLabels(&state.LabelSet, r.clients.Config().DefaultLabels) // with what was unknown during plan
	spec := m.toSpec(&state, &config, &resp.Diagnostics)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()
	if private.Incarnation == "" { // imported without a marker
		private.Incarnation = gcp.NewIncarnation()
	}
	remote, err := r.service.UpdateModel(ctx, spec, r.options(ctx, &m, &private))
	probed := err == nil || errors.As(err, new(*bqml.ProbeError))
	if probed {
		remember(&private, remote)
	} else {
		m.keepUntold(&state)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		m.probeAgain()
		tfkit.SetPartial(ctx, &resp.State, &m, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "update", kind, m.ID.ValueString(), err)
	case remote != nil:
		planned := m.LabelSet
		r.made(ctx, &m, remote, err, &resp.Diagnostics)
		if probed {
			m.LabelSet = planned.Applied(remote.Labels)
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
	if err != nil && !gcp.IsInterrupted(ctx, err) {
		addError(&resp.Diagnostics, "update", m.ID.ValueString(), err)
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Delete deletes the model.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Delete(ctx, defaultWriteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(m.DeletionPolicy, kind, m.ID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	err := r.service.DeleteModel(ctx, m.name(), private.Incarnation, created(private))
	if errors.Is(err, bqml.ErrForeign) {
		resp.Diagnostics.AddWarning("The "+kind+" was not deleted", m.ID.ValueString()+": "+err.Error()+". It is left as it is and treated as gone.")
		return
	}
	if err != nil {
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", kind, m.ID.ValueString(), err)
		return
	}
	tfkit.ConfirmGone(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), func(ctx context.Context) ([]string, error) {
		remote, err := r.service.GetModel(ctx, m.name())
		if gcp.IsNotFound(err) || err == nil && !remote.Identity.Is(private.Incarnation, created(private)) {
			return nil, nil
		}
		return []string{m.ID.ValueString()}, err
	})
}

// ImportState takes projects/P/datasets/D/models/M, P/D/M or P.D.M; P may be left
// out if the provider has a project. Or it takes the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id := req.ID
	identity, given := tfkit.ReadIdentity(ctx, req, map[string]string{"project": r.clients.Project()}, []string{"project", "dataset_id", "model_id"}, &resp.Diagnostics)
	if given {
		id = gcp.RemoteModelName{Project: identity["project"], Dataset: identity["dataset_id"], ID: identity["model_id"]}.String()
	}
	if resp.Diagnostics.HasError() {
		return
	}
	name, err := gcp.ParseRemoteModelName(id, r.clients.Project())
	if err != nil {
		resp.Diagnostics.AddError("Invalid import id", sentence(err.Error()))
		return
	}
	if id, err := r.clients.ProjectID(ctx, name.Project); err == nil {
		name.Project = id
	}
	tfkit.WriteImport(ctx, name.String(), map[string]string{"project": name.Project, "dataset_id": name.Dataset, "model_id": name.ID}, resp)
}
