// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// lookTimeout bounds the look into the artifact's folder during a plan, which must
// not wait for a service that does not answer.
const lookTimeout = 20 * time.Second

// planContent plans the fingerprint and the version, and warns of what will not
// work. state is nil when the model is yet to be made.
func (r *Resource) planContent(ctx context.Context, plan, state *model, private tfkit.Private, diags *diag.Diagnostics) {
	detects, unknown := plan.DetectArtifactChanges.ValueBool(), plan.DetectArtifactChanges.IsUnknown()
	switch plan.ArtifactFingerprint = types.StringNull(); {
	case unknown:
		plan.ArtifactFingerprint = types.StringUnknown()
	case state != nil && detects:
		plan.ArtifactFingerprint = state.ArtifactFingerprint
	}
	uploads := state == nil || plan.contentChanged(ctx, state, private, diags)
	looks := (uploads || detects) && r.clients != nil && !plan.ArtifactURI.IsNull() && !plan.ArtifactURI.IsUnknown() && !diags.HasError()
	switch {
	case looks:
		r.planArtifact(ctx, plan, state, diags)
		uploads = state == nil || plan.contentChanged(ctx, state, private, diags)
	case detects:
		plan.ArtifactFingerprint = types.StringUnknown()
	}
	if state != nil && uploads {
		plan.VersionID, plan.VersionedName = types.StringUnknown(), types.StringUnknown()
	}
	if notice := vertex.ContainerNotice(plan.image(ctx), time.Now()); notice != "" {
		diags.AddAttributeWarning(path.Root("container_spec").AtName("image_uri"), "Support of a prebuilt container", notice)
	}
}

// image is the container's image; "" while it is not known.
func (m *model) image(ctx context.Context) string {
	var c containerSpec
	if m.ContainerSpec.IsNull() || m.ContainerSpec.IsUnknown() || m.ContainerSpec.As(ctx, &c, basetypes.ObjectAsOptions{}).HasError() {
		return ""
	}
	return c.ImageURI.ValueString()
}

// planArtifact looks into the artifact's folder.
func (r *Resource) planArtifact(ctx context.Context, plan, state *model, diags *diag.Diagnostics) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	detects, at := plan.DetectArtifactChanges.ValueBool(), path.Root("artifact_uri")
	artifact, err := vertex.New(r.clients).ReadArtifact(ctx, plan.ArtifactURI.ValueString())
	switch {
	case gcp.IsNotFound(err) && detects && !r.clients.Emulated(), err != nil && !gcp.IsNotFound(err) && detects:
		tfkit.AddAttributeError(diags, at, "look into", "artifact", plan.ArtifactURI.ValueString(),
			fmt.Errorf("%w (needed by detect_artifact_changes: roles/storage.objectViewer has the permission)", err))
		return
	case gcp.IsNotFound(err) && !r.clients.Emulated():
		diags.AddAttributeWarning(at, "No such bucket", fmt.Sprintf("%s: %s The upload will fail unless the bucket exists by then.", plan.ArtifactURI.ValueString(), gcp.Message(err)))
		return
	case gcp.IsNotFound(err):
		// The emulator serves models of its own and reads no artifact.
		artifact = &vertex.Artifact{URI: plan.ArtifactURI.ValueString()}
	case err != nil:
		// Who plans need not be who may read the artifact.
		tfkit.Progress(ctx)("the artifact was not looked at: %v", err)
		return
	default:
		if problem := artifact.Problem(plan.image(ctx)); problem != "" {
			diags.AddAttributeWarning(at, "Artifact does not fit", problem+" The upload may succeed all the same, and a deployment fail.")
		}
	}
	switch fingerprint := artifact.Fingerprint(); {
	case !detects:
	case fingerprint != "" && fullyKnown(ctx, plan.ArtifactRevision):
		plan.ArtifactFingerprint = types.StringValue(fingerprint)
	case state == nil || !fullyKnown(ctx, plan.ArtifactRevision):
		// Nothing is there yet, or something is about to be written: the apply tells.
		plan.ArtifactFingerprint = types.StringUnknown()
	}
}

// errArtifactChanged means that what was planned is not what would be uploaded.
var errArtifactChanged = errors.New("the artifact changed since the plan: plan again. Where this configuration itself writes the files, use artifact_revision instead of detect_artifact_changes")

// pinArtifact makes sure, before an upload, that the artifact is what was planned.
func (r *Resource) pinArtifact(ctx context.Context, plan *model, diags *diag.Diagnostics) {
	if !plan.DetectArtifactChanges.ValueBool() {
		plan.ArtifactFingerprint = types.StringNull()
		return
	}
	artifact, err := vertex.New(r.clients).ReadArtifact(ctx, plan.ArtifactURI.ValueString())
	if gcp.IsNotFound(err) && r.clients.Emulated() {
		artifact, err = &vertex.Artifact{}, nil
	}
	if err == nil {
		fingerprint := text(artifact.Fingerprint())
		if plan.ArtifactFingerprint.IsUnknown() {
			plan.ArtifactFingerprint = fingerprint
		}
		if !plan.ArtifactFingerprint.Equal(fingerprint) {
			err = errArtifactChanged
		}
	}
	if err != nil {
		tfkit.AddAttributeError(diags, path.Root("artifact_uri"), "upload", "model", plan.ModelID.ValueString(), err)
	}
}
