// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"fmt"
	pathpkg "path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// artifactFiles are the names that Google's prebuilt containers look for in the
// folder.
var artifactFiles = []string{"saved_model.pb", "model.joblib", "model.pkl", "model.bst"}

// validate checks what goes beyond single values; what is unknown passes.
func (m *model) validate(ctx context.Context, diags *diag.Diagnostics) {
	uri := m.ArtifactURI.ValueString()
	if file := pathpkg.Base(uri); slices.Contains(artifactFiles, file) || strings.HasSuffix(file, ".mar") {
		diags.AddAttributeError(path.Root("artifact_uri"), "Not a folder",
			fmt.Sprintf("%q is a file: name the folder that holds it, %q.", uri, strings.TrimSuffix(uri, file)))
	}
	if m.DetectArtifactChanges.ValueBool() && m.ArtifactURI.IsNull() {
		diags.AddAttributeError(path.Root("detect_artifact_changes"), "Missing artifact_uri", "Without artifact_uri there are no files whose changes could be detected.")
	}
	for _, alias := range m.VersionAliases.Elements() {
		if s, ok := alias.(types.String); ok && strings.HasPrefix(s.ValueString(), reservedAlias) {
			diags.AddAttributeError(path.Root("version_aliases"), "Reserved version alias", fmt.Sprintf("%q is reserved: aliases that start with %s are marks of gcpml.", s.ValueString(), reservedAlias))
		}
	}
	m.validateParent(diags)
	m.validateContainer(ctx, diags)
}

// reservedAlias starts the aliases by which versions are found again.
const reservedAlias = "gcpml-"

func (m *model) validateContainer(ctx context.Context, diags *diag.Diagnostics) {
	if m.ContainerSpec.IsNull() || m.ContainerSpec.IsUnknown() {
		return
	}
	var c containerSpec
	diags.Append(m.ContainerSpec.As(ctx, &c, basetypes.ObjectAsOptions{})...)
	at := path.Root("container_spec")
	for i, element := range c.Env.Elements() {
		if object, ok := element.(types.Object); ok && !object.IsNull() && !object.IsUnknown() {
			var e envVar
			diags.Append(object.As(ctx, &e, basetypes.ObjectAsOptions{})...)
			e.validate(at.AtName("env").AtListIndex(i), diags)
		}
	}
	validateProbe(at.AtName("startup_probe"), c.StartupProbe, diags)
	validateProbe(at.AtName("health_probe"), c.HealthProbe, diags)
	validateProbe(at.AtName("liveness_probe"), c.LivenessProbe, diags)
}

func (e envVar) validate(at path.Path, diags *diag.Diagnostics) {
	switch {
	case !e.Value.IsNull() && !e.ValueWO.IsNull():
		diags.AddAttributeError(at, "Two values", "value and value_wo exclude each other: a secret belongs into value_wo.")
	case e.Value.IsNull() && e.ValueWO.IsNull():
		diags.AddAttributeError(at, "Missing value", "Set value, or value_wo for a secret. A variable without content has value = \"\".")
	case e.ValueWOVersion.IsNull() && !e.ValueWO.IsNull():
		diags.AddAttributeError(at.AtName("value_wo_version"), "Missing value_wo_version", "value_wo is not stored, so a change of it does not show: set value_wo_version as well, and change it with the secret.")
	case !e.ValueWOVersion.IsNull() && e.ValueWO.IsNull():
		diags.AddAttributeError(at.AtName("value_wo_version"), "Unused value_wo_version", "value_wo_version goes with value_wo, which is not set.")
	}
}

// probeActions are what a probe does, exactly one of them.
var probeActions = []string{"exec", "http_get", "grpc", "tcp_socket"}

func validateProbe(at path.Path, p types.Object, diags *diag.Diagnostics) {
	if p.IsNull() || p.IsUnknown() {
		return
	}
	var set []string
	for _, name := range probeActions {
		action := p.Attributes()[name]
		if action.IsUnknown() {
			return
		}
		if !action.IsNull() {
			set = append(set, name)
		}
	}
	switch {
	case len(set) == 0:
		diags.AddAttributeError(at, "Missing probe action", "A probe needs one of "+strings.Join(probeActions, ", ")+".")
	case len(set) > 1:
		diags.AddAttributeError(at, "Several probe actions", "A probe has only one of "+strings.Join(probeActions, ", ")+", but here are "+strings.Join(set, " and ")+".")
	}
}

var keyPattern = regexp.MustCompile(`^projects/[^/\s]+/locations/([^/\s]+)/keyRings/[^/\s]+/cryptoKeys/[^/\s]+$`)

// kmsKey is the key of encryption_spec; known is false while it is not.
func (m *model) kmsKey() (key string, known bool) {
	value, ok := m.EncryptionSpec.Attributes()["kms_key_name"].(types.String)
	return value.ValueString(), m.EncryptionSpec.IsNull() || ok && !m.EncryptionSpec.IsUnknown() && !value.IsUnknown()
}

// sameKey reports whether the key stays: a model cannot be encrypted anew.
func (m *model) sameKey(state *model) bool {
	key, known := m.kmsKey()
	had, _ := state.kmsKey()
	return known && vertex.SameKey(key, had)
}

// validateKey needs the location, which may come from the provider block.
func (m *model) validateKey(diags *diag.Diagnostics) {
	key, known := m.kmsKey()
	parts := keyPattern.FindStringSubmatch(key)
	if !known || parts == nil || m.Location.IsUnknown() || m.Location.IsNull() || strings.EqualFold(parts[1], m.Location.ValueString()) {
		return
	}
	diags.AddAttributeError(path.Root("encryption_spec").AtName("kms_key_name"), "Key in another region",
		fmt.Sprintf("The key is in %s and the model in %s: Vertex AI takes keys of the model's region only.", parts[1], m.Location.ValueString()))
}

// canonicalJSON is the equivalence of JSON texts.
func canonicalJSON(s string) string {
	if canonical, err := vertex.CanonicalJSON(s); err == nil {
		return canonical
	}
	return s
}

type jsonValidator struct{}

func (jsonValidator) Description(context.Context) string { return "valid JSON" }

func (v jsonValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (jsonValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	switch canonical, err := vertex.CanonicalJSON(req.ConfigValue.ValueString()); {
	case err != nil:
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid JSON", "It is "+err.Error()+". Write jsonencode({ … }).")
	case canonical == "null":
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid JSON", "It is null: leave the argument out instead.")
	}
}

// mostDeploymentTimeout: "Limit for deployment timeout is 2 hours" (model.proto).
const mostDeploymentTimeout = 2 * time.Hour

type durationValidator struct{}

func (durationValidator) Description(context.Context) string {
	return "a duration of at most 2 hours, such as 1800s"
}

func (v durationValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v durationValidator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if d, err := time.ParseDuration(req.ConfigValue.ValueString()); err != nil || d <= 0 || d > mostDeploymentTimeout {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration", fmt.Sprintf("%q is not valid: want %s.", req.ConfigValue.ValueString(), v.Description(ctx)))
	}
}
