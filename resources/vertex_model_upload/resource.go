// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexmodelupload is gcpml_vertex_model_upload: a model in the Vertex AI
// Model Registry. A change of what it holds uploads a new version of the same
// model and makes that the default one.
package vertexmodelupload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// TypeName is the resource's type in HCL.
const TypeName = "gcpml_vertex_model_upload"

const (
	createTimeout = 30 * time.Minute
	readTimeout   = 10 * time.Minute
	updateTimeout = 30 * time.Minute
	deleteTimeout = 60 * time.Minute
)

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
)

// Resource manages one model with its versions.
type Resource struct{ clients *gcp.Clients }

// New returns the resource, not yet configured.
func New() resource.Resource { return &Resource{} }

// Metadata tells the type's name.
func (*Resource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = TypeName
}

// IdentitySchema describes what names a model for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"model_id": "Id of the model."},
		map[string]string{"project": "Project id. Defaults to the provider's.", "location": "Region. Defaults to the provider's."})
}

// Configure takes the provider's clients.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig checks what needs no server.
func (*Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config model
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if !resp.Diagnostics.HasError() {
		config.validate(ctx, &resp.Diagnostics)
	}
}

// ModifyPlan fills in defaults, and makes the version unknown exactly when its
// content changes.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, "model", &resp.Diagnostics)
		return
	}
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	var state *model
	if !req.State.Raw.IsNull() {
		state = new(model)
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	plan.setDefaults(r.clients, &config, state, &resp.Diagnostics)
	plan.spreadEnv(&resp.Diagnostics)
	plan.validateKey(&resp.Diagnostics)
	if state != nil {
		otherKey := !plan.sameKey(state)
		if otherKey {
			resp.RequiresReplace.Append(path.Root("encryption_spec"))
		}
		if otherKey || plan.identity().Replaces(state.identity()) {
			tfkit.PlanDestroy(ctx, req.State, "model", &resp.Diagnostics)
		}
	}
	if !resp.Diagnostics.HasError() {
		r.planContent(ctx, &plan, state, tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics), &resp.Diagnostics)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
}

// Create uploads the first version.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	plan.setDefaults(r.clients, &config, nil, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Create(ctx, createTimeout)
	resp.Diagnostics.Append(d...)
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()
	r.pinArtifact(ctx, &plan, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	spec := plan.toSpec(ctx, &config, nil, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	spec.Marker = vertex.ModelMarker(r.clients.OwnershipID(), spec)
	private := tfkit.Private{Incarnation: spec.Marker.Incarnation}

	save := func() {
		tfkit.SetPartial(ctx, &resp.State, plan, &resp.Diagnostics)
		tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	}
	report := vertex.Report{Progress: tfkit.Progress(ctx), Operation: func(name string) { private.Operation = name; save() }}
	var m *vertex.Model
	var err error
	if spec.Within {
		m, err = r.uploadWithin(ctx, spec, private, report)
	} else {
		m, err = vertex.New(r.clients).UploadModel(ctx, spec, report)
	}
	var notMade *vertex.NotMadeError
	if errors.As(err, &notMade) {
		resp.State.RemoveResource(ctx)
		tfkit.AddError(&resp.Diagnostics, "upload", "model", spec.Name.ID, err)
		return
	}
	if err != nil {
		save()
		tfkit.AddCreateFailure(ctx, &resp.Diagnostics, "upload", "model", spec.Name.ID, err)
		return
	}
	private.Operation = ""
	labels := plan.LabelSet
	plan.fromRemote(ctx, m, &resp.Diagnostics)
	if spec.Within {
		remember(&private, m.VersionID)
	} else {
		plan.LabelSet = labels.Applied(m.Labels)
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read takes over what the server has at the default version.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := state.Timeouts.Read(ctx, readTimeout)
	resp.Diagnostics.Append(d...)
	state.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "read", timeout)
	defer cancel()
	service := vertex.New(r.clients)
	var m *vertex.Model
	var err error
	if state.within() {
		m, err = r.readWithin(ctx, &state, private, &resp.Diagnostics)
	} else {
		m, err = service.ReadModel(ctx, state.managed(ctx, &resp.Diagnostics))
	}
	if gcp.IsNotFound(err) && !state.within() && !vertex.MakesDefault(state.aliases(ctx, &resp.Diagnostics)) {
		m, err = service.ReadModel(ctx, state.name()) // the version is gone, the model need not be
	}
	if gcp.IsNotFound(err) && !state.within() && private.Unfinished(state.CreateTime) {
		// The upload was interrupted: it may still run.
		if err = service.Await(ctx, state.name(), private.Operation, vertex.Report{Progress: tfkit.Progress(ctx)}); err == nil {
			m, err = service.ReadModel(ctx, state.name())
		}
	}
	if gcp.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, "model", state.ModelID.ValueString(), err)
		return
	}
	if state.within() {
		remember(&private, m.VersionID)
	}
	if imported := state.CreateTime.IsNull() && private.Emulated == nil; imported {
		private.Incarnation = m.Object.Incarnation
		state.ImportLabels(m.Labels, r.clients.Config().DefaultLabels)
		state.importAliases(m.Aliases)
		tfkit.ReadDeletionPolicy(&state.DeletionPolicy, r.clients)
		private.Extra = map[string]string{wasImported: "true"}
		if m.Container == nil {
			private.Extra[hiddenContainer] = "true"
		}
	} else if !state.object(private).Is(m.Object) && (!state.within() || !state.CreateTime.IsNull()) {
		resp.Diagnostics.AddWarning("The model \""+state.ModelID.ValueString()+"\" was replaced behind Terraform's back", vertex.ErrReplaced.Error()+". To manage the new one, import it: "+state.ID.ValueString())
		resp.State.RemoveResource(ctx)
		return
	}
	if v := state.VersionID.ValueString(); v != "" && v != m.VersionID && !state.within() {
		// Another version, of which nothing may be taken for granted but whether it is
		// what an update of ours uploaded before it was interrupted.
		private.Extra = map[string]string{uploadedAs: strings.Join(m.Marks, " ")}
	}
	private.Operation = ""
	state.fromRemote(ctx, m, &resp.Diagnostics)
	r.findArtifact(ctx, &state, &private, &resp.Diagnostics)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update changes fields in place and uploads a new version of changed content.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, config, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Update(ctx, updateTimeout)
	resp.Diagnostics.Append(d...)
	if !plan.within() {
		plan.PlanLabels(&state.LabelSet, r.clients.Config().DefaultLabels) // with what was unknown during plan
	}
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()
	from := ""
	if plan.ArtifactFingerprint.IsUnknown() || plan.contentChanged(ctx, &state, private, &resp.Diagnostics) {
		r.pinArtifact(ctx, &plan, &resp.Diagnostics)
	}
	if plan.contentChanged(ctx, &state, private, &resp.Diagnostics) {
		from = cmp.Or(state.VersionID.ValueString(), "0") // not known when the creation was interrupted
	}
	spec := plan.toSpec(ctx, &config, &state, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	spec.Marker = vertex.ModelMarker(r.clients.OwnershipID(), spec)
	if private.Incarnation != "" {
		spec.Marker.Incarnation = private.Incarnation
	}
	private.Incarnation = spec.Marker.Incarnation
	service := vertex.New(r.clients)
	m, err := service.UpdateModel(ctx, spec, from, vertex.Report{
		Progress: tfkit.Progress(ctx),
		Operation: func(name string) {
			private.Operation = name
			tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
		},
		Model: func(m *vertex.Model) { r.savePartial(ctx, &resp.State, plan, state, m, &resp.Diagnostics) },
	})
	if err != nil {
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "update", "model", spec.Name.ID, err)
		return
	}
	planned := plan
	plan.fromRemote(ctx, m, &resp.Diagnostics)
	if private.Operation = ""; spec.Within {
		remember(&private, m.VersionID)
	} else {
		private.Extra, plan.LabelSet = nil, planned.Applied(m.Labels)
	}
	plan.VersionAliases = planned.VersionAliases
	if !planned.VersionID.IsUnknown() {
		plan.VersionID, plan.VersionedName = planned.VersionID, planned.VersionedName // what others did meanwhile shows on the next reading
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	if !plan.KeepVersions.IsNull() && !resp.Diagnostics.HasError() {
		_, err := service.PruneVersions(ctx, spec.Name, state.VersionID.ValueString(), int(plan.KeepVersions.ValueInt64()), vertex.Report{Progress: tfkit.Progress(ctx)})
		if err != nil {
			resp.Diagnostics.AddWarning(fmt.Sprintf("Earlier versions of model %q are left", spec.Name.ID), tfkit.Said(err)+". The next change of the resource tries again.")
		}
	}
}

// savePartial writes what the server has in the middle of an update.
func (*Resource) savePartial(ctx context.Context, to *tfsdk.State, plan, state model, m *vertex.Model, diags *diag.Diagnostics) {
	if m.VersionID != state.VersionID.ValueString() {
		state.takeContent(&plan) // the version that was uploaded
		state.VersionID = types.StringNull()
	}
	state.fromRemote(ctx, m, diags)
	tfkit.SetPartial(ctx, to, state, diags)
}

// Delete deletes the model with all its versions, if it is still ours.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := state.Timeouts.Delete(ctx, deleteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(state.DeletionPolicy, "model", state.ModelID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	if state.within() {
		r.deleteWithin(ctx, &state, private, &resp.Diagnostics)
		return
	}
	service, report := vertex.New(r.clients), vertex.Report{Progress: tfkit.Progress(ctx)}
	if private.Operation != "" {
		if err := service.Await(ctx, state.name(), private.Operation, report); err != nil {
			tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "model", state.ModelID.ValueString(), err)
			return
		}
	}
	switch err := service.DeleteModel(ctx, state.name(), state.object(private), report); {
	case errors.Is(err, vertex.ErrReplaced):
		resp.Diagnostics.AddWarning("The model \""+state.ModelID.ValueString()+"\" was not deleted", "It is not the one that was made here: "+err.Error()+".")
	case err != nil:
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "model", state.ModelID.ValueString(), err)
	default:
		tfkit.ConfirmGone(ctx, &resp.Diagnostics, "model", state.ModelID.ValueString(), func(ctx context.Context) ([]string, error) {
			m, err := service.ReadModel(ctx, state.name())
			if gcp.IsNotFound(err) || err == nil && !state.object(private).Is(m.Object) {
				return nil, nil
			}
			return []string{state.ID.ValueString()}, err
		})
	}
}

// ImportState takes the full name, PROJECT/LOCATION/ID or LOCATION/ID, or the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	tfkit.Import(ctx, gcp.KindModel, "model_id", r.clients.Region(), r.clients, req, resp)
}
