// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// ownVersions is the key in private state for the ids of the versions that were
// uploaded to a parent_model.
const ownVersions = "own_versions"

// within reports whether the model is somebody else's.
func (m *model) within() bool { return !m.ParentModel.IsNull() }

// validateParent checks what does not go together with a parent_model.
func (m *model) validateParent(diags *diag.Diagnostics) {
	if !m.within() {
		if m.DisplayName.IsNull() {
			diags.AddAttributeError(path.Root("display_name"), "Missing display_name", "A model needs a display_name, unless it is uploaded as a version of a parent_model.")
		}
		return
	}
	if name, err := gcp.ParseName(gcp.KindModel, m.ParentModel.ValueString()); !m.ParentModel.IsUnknown() && (err != nil || name.Version != "") {
		diags.AddAttributeError(path.Root("parent_model"), "Invalid parent_model", fmt.Sprintf("%q is not of the form projects/PROJECT/locations/LOCATION/models/ID, without a version.", m.ParentModel.ValueString()))
	}
	for _, argument := range []struct {
		name  string
		value attr.Value
	}{
		{"project", m.Project}, {"location", m.Location}, {"model_id", m.ModelID}, {"display_name", m.DisplayName}, {"description", m.Description},
		{"labels", m.Labels}, {"encryption_spec", m.EncryptionSpec}, {"keep_versions", m.KeepVersions},
	} {
		if !argument.value.IsNull() {
			diags.AddAttributeError(path.Root(argument.name), "Not with parent_model", argument.name+" belongs to the model, which somebody else manages: leave it out, or leave out parent_model.")
		}
	}
}

// planParent takes the name from the parent_model, which has no labels of ours.
func (m *model) planParent() {
	m.TerraformLabels, m.EffectiveLabels = tfkit.MapValue(nil, types.MapValueMust(types.StringType, nil)), tfkit.MapValue(nil, types.MapValueMust(types.StringType, nil))
	name, err := gcp.ParseName(gcp.KindModel, m.ParentModel.ValueString())
	if m.ParentModel.IsUnknown() || err != nil {
		m.Project, m.Location, m.ModelID, m.ID = types.StringUnknown(), types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
		return
	}
	m.Project, m.Location, m.ModelID, m.ID = types.StringValue(name.Project), types.StringValue(name.Location), types.StringValue(name.ID), types.StringValue(name.String())
}

// first is what the first version of ours follows: the mark by which an upload whose
// answer was lost is found, also by a process without a state if it has an owner.
func (r *Resource) first(private tfkit.Private) string {
	return "within " + cmp.Or(r.clients.OwnershipID(), private.Incarnation)
}

// uploadWithin uploads the first version to a parent_model.
func (r *Resource) uploadWithin(ctx context.Context, spec vertex.ModelSpec, private tfkit.Private, report vertex.Report) (*vertex.Model, error) {
	m, err := vertex.New(r.clients).UpdateModel(ctx, spec, r.first(private), report)
	if gcp.IsNotFound(err) {
		return nil, &vertex.NotMadeError{Err: fmt.Errorf("the parent_model: %w", err)}
	}
	return m, err
}

// readWithin reads the version that is managed here. One whose upload was interrupted
// is looked for.
func (r *Resource) readWithin(ctx context.Context, state *model, private tfkit.Private, diags *diag.Diagnostics) (*vertex.Model, error) {
	service := vertex.New(r.clients)
	if current := state.VersionID.ValueString(); current != "" {
		m, err := service.ReadModel(ctx, state.name().WithVersion(current))
		// Should it be gone, an earlier one of ours may be there.
		for _, v := range slices.Backward(strings.Fields(private.Extra[ownVersions])) {
			if !gcp.IsNotFound(err) {
				break
			}
			m, err = service.ReadModel(ctx, state.name().WithVersion(v))
		}
		return m, err
	}
	if private.Operation != "" {
		if err := service.Await(ctx, state.name(), private.Operation, vertex.Report{Progress: tfkit.Progress(ctx)}); err != nil {
			return nil, err
		}
	}
	return service.FindVersion(ctx, state.toSpec(ctx, state, nil, diags), r.first(private))
}

// remember notes a version as ours.
func remember(private *tfkit.Private, version string) {
	known := strings.Fields(private.Extra[ownVersions])
	if !slices.Contains(known, version) {
		known = append(known, version)
	}
	private.Extra = map[string]string{ownVersions: strings.Join(known, " ")}
}

// deleteWithin deletes the versions that were uploaded here.
func (r *Resource) deleteWithin(ctx context.Context, state *model, private tfkit.Private, diags *diag.Diagnostics) {
	m, err := r.readWithin(ctx, state, private, diags)
	if err == nil && !state.CreateTime.IsNull() && !state.object(private).Is(m.Object) {
		diags.AddWarning("The versions of model \""+state.ModelID.ValueString()+"\" were not deleted", "It is not the one to which they were uploaded: "+vertex.ErrReplaced.Error()+".")
		return
	}
	if err == nil {
		remember(&private, m.VersionID)
	}
	if err == nil || gcp.IsNotFound(err) {
		err = vertex.New(r.clients).DeleteVersions(ctx, state.name(), strings.Fields(private.Extra[ownVersions]), vertex.Report{Progress: tfkit.Progress(ctx)})
	}
	var only *vertex.OnlyVersionError
	switch {
	case errors.As(err, &only):
		diags.AddWarning(fmt.Sprintf("Version %s is left", only.Version.Version), err.Error()+". Terraform forgets it.")
	case err != nil:
		tfkit.AddChangeFailure(ctx, diags, "delete", "versions of model", state.ModelID.ValueString(), err)
	}
}
