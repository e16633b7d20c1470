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
const lookTimeout = 10 * time.Second

// foundArtifact is the key in private state for the fingerprint of what the last
// refresh found below artifact_uri. A plan is made twice, the second time by the
// apply, and has to say the same: so it goes by what the refresh before it found.
const foundArtifact = "artifact_found"

// findArtifact looks, during a refresh, whether the artifact changed.
func (r *Resource) findArtifact(ctx context.Context, state *model, private *tfkit.Private, diags *diag.Diagnostics) {
	if !state.DetectArtifactChanges.ValueBool() || state.ArtifactURI.IsNull() {
		delete(private.Extra, foundArtifact)
		return
	}
	artifact, err := vertex.New(r.clients).ReadArtifact(ctx, state.ArtifactURI.ValueString())
	switch {
	case err != nil && (!gcp.IsNotFound(err) || !r.clients.Emulated()):
		diags.AddAttributeWarning(path.Root("detect_artifact_changes"), "The artifact was not looked at",
			fmt.Sprintf("Whether %s changed is not known: %s. It takes storage.objects.list, which roles/storage.objectViewer has.", state.ArtifactURI.ValueString(), tfkit.Said(err)))
	case err != nil || len(artifact.Files) == 0:
		delete(private.Extra, foundArtifact) // what is gone cannot be uploaded
	default:
		if private.Extra == nil {
			private.Extra = map[string]string{}
		}
		private.Extra[foundArtifact] = artifact.Fingerprint()
	}
}

// planContent plans the fingerprint and the version, and warns of what will not
// work. state is nil when the model is yet to be made.
func (r *Resource) planContent(ctx context.Context, plan, state *model, private tfkit.Private, diags *diag.Diagnostics) {
	changed := true
	switch {
	case plan.DetectArtifactChanges.IsUnknown() || state == nil && plan.DetectArtifactChanges.ValueBool():
		plan.ArtifactFingerprint = types.StringUnknown()
	case !plan.DetectArtifactChanges.ValueBool():
		plan.ArtifactFingerprint = types.StringNull()
		changed = state == nil || plan.contentChanged(ctx, state, private, diags)
	default:
		changed = plan.planFingerprint(ctx, state, private, diags)
	}
	if state != nil && changed {
		plan.VersionID, plan.VersionedName = types.StringUnknown(), types.StringUnknown()
	}
	if changed && r.clients != nil && !plan.ArtifactURI.IsNull() && !plan.ArtifactURI.IsUnknown() && !diags.HasError() {
		r.tryArtifact(ctx, plan, diags)
	}
	if notice := vertex.ContainerNotice(plan.image(ctx), time.Now()); notice != "" {
		diags.AddAttributeWarning(path.Root("container_spec").AtName("image_uri"), "Support of a prebuilt container", notice)
	}
}

// planFingerprint plans the fingerprint of a model that exists, and reports whether a
// new version is uploaded.
func (m *model) planFingerprint(ctx context.Context, state *model, private tfkit.Private, diags *diag.Diagnostics) (changed bool) {
	m.ArtifactFingerprint = state.ArtifactFingerprint
	changed = m.contentChanged(ctx, state, private, diags)
	_, known := m.content(ctx, diags)
	found := private.Extra[foundArtifact]
	switch same := known && sameArtifact(m.ArtifactURI.ValueString(), state.ArtifactURI.ValueString()); {
	case same && found != "":
		m.ArtifactFingerprint = types.StringValue(found)
		changed = changed || m.contentChanged(ctx, state, private, diags)
	case changed || !state.DetectArtifactChanges.ValueBool():
		m.ArtifactFingerprint = types.StringUnknown() // the apply tells what is there
	}
	return changed
}

// image is the container's image; "" while it is not known.
func (m *model) image(ctx context.Context) string {
	var c containerSpec
	if m.ContainerSpec.IsNull() || m.ContainerSpec.IsUnknown() || m.ContainerSpec.As(ctx, &c, basetypes.ObjectAsOptions{}).HasError() {
		return ""
	}
	return c.ImageURI.ValueString()
}

// tryArtifact looks, before an upload, whether the artifact's folder holds what the
// container needs.
func (r *Resource) tryArtifact(ctx context.Context, plan *model, diags *diag.Diagnostics) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	at, uri := path.Root("artifact_uri"), plan.ArtifactURI.ValueString()
	artifact, err := vertex.New(r.clients).ReadArtifact(ctx, uri)
	switch {
	case gcp.IsNotFound(err) && r.clients.Emulated():
		// The emulator serves models of its own and reads no artifact.
	case gcp.IsNotFound(err):
		diags.AddAttributeWarning(at, "No such bucket", fmt.Sprintf("%s: %s. The upload will fail unless the bucket exists by then.", uri, tfkit.Said(err)))
	case err != nil:
		// Who plans need not be who may read the artifact.
		tfkit.Progress(ctx)("the artifact was not looked at: %v", err)
	default:
		if problem := artifact.Problem(plan.image(ctx)); problem != "" {
			diags.AddAttributeWarning(at, "Artifact does not fit", problem+" The upload may succeed all the same, and a deployment fail.")
		}
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
		fingerprint := types.StringValue(artifact.Fingerprint())
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
