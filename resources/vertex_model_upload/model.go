// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the resource in HCL and in state.
type model struct {
	tfkit.LabelSet
	ID                    types.String   `tfsdk:"id"`
	Project               types.String   `tfsdk:"project"`
	Location              types.String   `tfsdk:"location"`
	ModelID               types.String   `tfsdk:"model_id"`
	ParentModel           types.String   `tfsdk:"parent_model"`
	DisplayName           types.String   `tfsdk:"display_name"`
	Description           types.String   `tfsdk:"description"`
	ArtifactURI           types.String   `tfsdk:"artifact_uri"`
	ArtifactRevision      types.String   `tfsdk:"artifact_revision"`
	DetectArtifactChanges types.Bool     `tfsdk:"detect_artifact_changes"`
	ArtifactFingerprint   types.String   `tfsdk:"artifact_fingerprint"`
	ContainerSpec         types.Object   `tfsdk:"container_spec"`
	PredictSchemata       types.Object   `tfsdk:"predict_schemata"`
	MetadataSchemaURI     types.String   `tfsdk:"metadata_schema_uri"`
	Metadata              types.String   `tfsdk:"metadata"`
	BaseModelSource       types.Object   `tfsdk:"base_model_source"`
	EncryptionSpec        types.Object   `tfsdk:"encryption_spec"`
	VersionDescription    types.String   `tfsdk:"version_description"`
	VersionAliases        types.Set      `tfsdk:"version_aliases"`
	KeepVersions          types.Int64    `tfsdk:"keep_versions"`
	VersionID             types.String   `tfsdk:"version_id"`
	VersionedName         types.String   `tfsdk:"versioned_name"`
	CreateTime            types.String   `tfsdk:"create_time"`
	DeletionPolicy        types.String   `tfsdk:"deletion_policy"`
	Timeouts              timeouts.Value `tfsdk:"timeouts"`
}

var (
	schemataType = map[string]attr.Type{"instance_schema_uri": types.StringType, "parameters_schema_uri": types.StringType, "prediction_schema_uri": types.StringType}
	keyType      = map[string]attr.Type{"kms_key_name": types.StringType}
)

// name is the model's name, built from what is configured: Google answers with
// the project's number.
func (m *model) name() gcp.Name {
	return gcp.Name{Project: m.Project.ValueString(), Location: m.Location.ValueString(), Kind: gcp.KindModel, ID: m.ModelID.ValueString()}
}

// identity is what the name is made of.
func (m *model) identity() tfkit.Identity {
	return tfkit.Identity{"project": m.Project, "location": m.Location, "model_id": m.ModelID}
}

// setDefaults fills in what is not in the configuration. What is there, but not
// yet known, stays unknown.
// state is nil when the model is yet to be made.
func (m *model) setDefaults(c *gcp.Clients, config, state *model, diags *diag.Diagnostics) {
	if c == nil {
		return
	}
	var labels *tfkit.LabelSet
	if state != nil {
		labels = &state.LabelSet
	}
	tfkit.PlanDeletionPolicy(&m.DeletionPolicy, config.DeletionPolicy, c)
	if m.within() {
		m.planParent()
		return
	}
	m.PlanLabels(labels, c.Config().DefaultLabels)
	tfkit.PlanPlace("project", &m.Project, config.Project, c.Project(), diags)
	tfkit.PlanPlace("location", &m.Location, config.Location, c.Region(), diags)
	if m.ModelID.IsUnknown() && config.ModelID.IsNull() && !m.DisplayName.IsUnknown() {
		if slug := gcp.Slug(m.DisplayName.ValueString(), "_"); slug != "" {
			m.ModelID = types.StringValue(slug)
		} else {
			diags.AddAttributeError(path.Root("model_id"), "Missing model id", fmt.Sprintf("No id can be made from the display name %q: set model_id.", m.DisplayName.ValueString()))
		}
	}
	if m.ID.IsUnknown() && !m.Project.IsUnknown() && !m.Location.IsUnknown() && !m.ModelID.IsUnknown() {
		m.ID = types.StringValue(m.name().String())
	}
}

// toSpec converts a model whose values are all known. config is where secrets are.
// state is what was there, nil if nothing was.
func (m *model) toSpec(ctx context.Context, config, state *model, diags *diag.Diagnostics) vertex.ModelSpec {
	spec := vertex.ModelSpec{
		Within: m.within(), Name: m.name(), DisplayName: m.DisplayName.ValueString(), Description: m.Description.ValueString(),
		VersionDescription: m.VersionDescription.ValueString(), Aliases: m.aliases(ctx, diags),
	}
	spec.KMSKey, _ = m.kmsKey()
	spec.Content, _ = m.content(ctx, diags)
	config.addSecrets(ctx, &spec.Content.Container, diags)
	if state == nil {
		spec.Labels, spec.DropLabels = m.WantedLabels(nil)
		return spec
	}
	spec.Labels, spec.DropLabels = m.WantedLabels(&state.LabelSet)
	had := state.aliases(ctx, diags)
	spec.DropAliases = slices.DeleteFunc(slices.Clone(had), func(a string) bool { return slices.Contains(spec.Aliases, a) })
	if m.within() || !vertex.MakesDefault(had) {
		spec.Version = state.VersionID.ValueString()
	}
	return spec
}

// aliases are those that the version is to have; nil when none are configured.
func (m *model) aliases(ctx context.Context, diags *diag.Diagnostics) []string {
	if m.VersionAliases.IsNull() || m.VersionAliases.IsUnknown() {
		return nil
	}
	aliases := []string{}
	diags.Append(m.VersionAliases.ElementsAs(ctx, &aliases, false)...)
	slices.Sort(aliases)
	return aliases
}

// managed is the name under which the version is found that is managed here.
func (m *model) managed(ctx context.Context, diags *diag.Diagnostics) gcp.Name {
	if vertex.MakesDefault(m.aliases(ctx, diags)) {
		return m.name()
	}
	return m.name().WithVersion(m.VersionID.ValueString())
}

// content returns what a version holds; known is false while a part of it is not.
func (m *model) content(ctx context.Context, diags *diag.Diagnostics) (content vertex.Content, known bool) {
	for _, part := range []attr.Value{m.ArtifactURI, m.ContainerSpec, m.ArtifactRevision, m.ArtifactFingerprint, m.PredictSchemata, m.MetadataSchemaURI, m.Metadata, m.BaseModelSource} {
		if !fullyKnown(ctx, part) {
			return vertex.Content{}, false
		}
	}
	content = vertex.Content{
		ArtifactURI: m.ArtifactURI.ValueString(), Revision: m.ArtifactRevision.ValueString(), Fingerprint: m.ArtifactFingerprint.ValueString(),
		MetadataSchemaURI: m.MetadataSchemaURI.ValueString(), Metadata: canonicalJSON(m.Metadata.ValueString()), BaseModel: m.baseModel(),
	}
	if !m.PredictSchemata.IsNull() {
		var s tfkit.Schemata
		diags.Append(m.PredictSchemata.As(ctx, &s, basetypes.ObjectAsOptions{})...)
		content.Schemata = vertex.Schemata{InstanceURI: s.InstanceSchemaURI.ValueString(), ParametersURI: s.ParametersSchemaURI.ValueString(), PredictionURI: s.PredictionSchemaURI.ValueString()}
	}
	if !m.ContainerSpec.IsNull() {
		content.Container = toContainer(ctx, m.ContainerSpec, diags)
	}
	return content, true
}

func fullyKnown(ctx context.Context, v attr.Value) bool {
	raw, err := v.ToTerraformValue(ctx)
	return err == nil && raw.IsFullyKnown()
}

// What private state tells about a model that was imported, or of which another
// version was found, until it is changed for the first time.
const (
	// hiddenContainer: the server does not give container_spec back.
	hiddenContainer = "container_spec_not_given_back"
	// wasImported: revisions, the versions of secrets and schema URIs were not seen.
	wasImported = "imported"
	// uploadedAs has our marks of a version that the state did not know.
	uploadedAs = "uploaded_as"
)

// contentChanged reports whether a version with other content is planned. What could
// not be seen at import is taken to be as configured.
func (m *model) contentChanged(ctx context.Context, state *model, private tfkit.Private, diags *diag.Diagnostics) bool {
	compared := *m
	if hidden := private.Extra[hiddenContainer] != ""; hidden && state.ContainerSpec.IsNull() {
		compared.ContainerSpec = state.ContainerSpec
	} else if state.ContainerSpec.IsNull() {
		return true
	}
	planned, known := compared.content(ctx, diags)
	had, _ := state.content(ctx, diags)
	if !known {
		return true
	}
	if planned.UploadedAs(state.VersionID.ValueString(), strings.Fields(private.Extra[uploadedAs])) {
		return false
	}
	if _, imported := private.Extra[wasImported]; imported {
		planned = asImported(planned, had)
	}
	if planned.Fingerprint == "" || had.Fingerprint == "" {
		planned.Fingerprint = had.Fingerprint // what was uploaded is not known, or not asked for
	}
	return !sameContent(planned, had)
}

// asImported is what is planned, apart from what an import does not see.
func asImported(planned, had vertex.Content) vertex.Content {
	planned.Revision = had.Revision
	if samePresence(planned.Schemata, had.Schemata) {
		planned.Schemata = had.Schemata
	}
	if planned.MetadataSchemaURI != "" && had.MetadataSchemaURI != "" {
		planned.MetadataSchemaURI = had.MetadataSchemaURI
	}
	if had.BaseModel == (vertex.BaseModel{}) {
		planned.BaseModel = had.BaseModel
	}
	planned.Container.Env = slices.Clone(planned.Container.Env)
	for i, e := range planned.Container.Env {
		if e.Secret && i < len(had.Container.Env) && had.Container.Env[i].Name == e.Name {
			planned.Container.Env[i] = had.Container.Env[i]
		}
	}
	return planned
}

// sameContent compares what is planned with what a version has.
func sameContent(a, b vertex.Content) bool {
	return sameArtifact(a.ArtifactURI, b.ArtifactURI) && a.Container.Same(b.Container) && a.Schemata == b.Schemata && a.MetadataSchemaURI == b.MetadataSchemaURI &&
		a.Metadata == b.Metadata && a.Revision == b.Revision && a.Fingerprint == b.Fingerprint && sameBase(a.BaseModel, b.BaseModel)
}

// sameArtifact treats a folder with and without a slash at its end as equal.
func sameArtifact(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// samePresence is as much as can be compared of URIs for which the server shows
// those of copies.
func samePresence(a, b vertex.Schemata) bool {
	same := func(a, b string) bool { return (a == "") == (b == "") }
	return same(a.InstanceURI, b.InstanceURI) && same(a.ParametersURI, b.ParametersURI) && same(a.PredictionURI, b.PredictionURI)
}

// takeContent takes over what a version of another model holds.
func (m *model) takeContent(from *model) {
	m.ArtifactURI, m.ArtifactRevision, m.ArtifactFingerprint, m.ContainerSpec = from.ArtifactURI, from.ArtifactRevision, from.ArtifactFingerprint, from.ContainerSpec
	m.PredictSchemata, m.MetadataSchemaURI, m.Metadata, m.BaseModelSource = from.PredictSchemata, from.MetadataSchemaURI, from.Metadata, from.BaseModelSource
}

// fromRemote takes over what the server has. Spellings that mean the same stay
// as they are in m.
func (m *model) fromRemote(ctx context.Context, r *vertex.Model, diags *diag.Diagnostics) {
	had, known := m.content(ctx, diags)
	other := m.VersionID.ValueString() != "" && m.VersionID.ValueString() != r.VersionID
	m.VersionDescription = tfkit.StringOrNull(r.VersionDescription, m.VersionDescription)
	if !m.within() {
		m.DisplayName = types.StringValue(r.DisplayName)
		m.Description = tfkit.StringOrNull(r.Description, m.Description)
		m.ReadLabels(r.Labels)
	}
	m.readAliases(ctx, r.Aliases, diags)
	if !known || !sameArtifact(had.ArtifactURI, r.ArtifactURI) {
		m.ArtifactURI = tfkit.StringOrNull(r.ArtifactURI, m.ArtifactURI)
	}
	if r.Container != nil {
		found := keepSecrets(*r.Container, had.Container)
		if !known || m.ContainerSpec.IsNull() || !found.Same(had.Container) {
			m.ContainerSpec = containerValue(ctx, found, diags)
		}
	} else if other {
		// Not given back. Of the version that we know it is what it was; of another
		// one it is not known, which must show as a difference.
		m.ContainerSpec = types.ObjectNull(containerType.AttrTypes)
	}
	// Schemata of the version that we know are what they were, wherever the copies are.
	if other || !samePresence(had.Schemata, r.Schemata) {
		m.PredictSchemata = schemataValue(r.Schemata)
	}
	if other || (had.MetadataSchemaURI == "") != (r.MetadataSchemaURI == "") {
		m.MetadataSchemaURI = tfkit.TextOrNull(r.MetadataSchemaURI)
	}
	// Of the version that we know it is what was sent, whether or not it is shown.
	if imported := m.CreateTime.IsNull() && r.BaseModel != (vertex.BaseModel{}); other || imported {
		m.BaseModelSource = baseModelValue(r.BaseModel)
	}
	if had.Metadata != r.Metadata {
		m.Metadata = tfkit.TextOrNull(r.Metadata)
	}
	if key, _ := m.kmsKey(); r.KMSKey != "" && !m.within() && !vertex.SameKey(key, r.KMSKey) {
		m.EncryptionSpec = types.ObjectValueMust(keyType, map[string]attr.Value{"kms_key_name": types.StringValue(r.KMSKey)})
	}
	m.VersionID = types.StringValue(r.VersionID)
	m.VersionedName = types.StringValue(m.name().WithVersion(r.VersionID).String())
	m.CreateTime = types.StringValue(r.Object.CreateTime.Format(time.RFC3339Nano))
}

// readAliases keeps those of our aliases that the version has.
func (m *model) readAliases(ctx context.Context, found []string, diags *diag.Diagnostics) {
	if m.VersionAliases.IsNull() || m.VersionAliases.IsUnknown() {
		return
	}
	kept := slices.DeleteFunc(m.aliases(ctx, diags), func(a string) bool { return !slices.Contains(found, a) })
	m.VersionAliases = aliasesValue(kept)
}

// importAliases takes all aliases over, unless there is only the one that is not
// configured.
func (m *model) importAliases(found []string) {
	if !slices.Equal(found, []string{vertex.DefaultAlias}) {
		m.VersionAliases = aliasesValue(found)
	}
}

func aliasesValue(aliases []string) types.Set {
	elements := []attr.Value{}
	for _, a := range aliases {
		elements = append(elements, types.StringValue(a))
	}
	return types.SetValueMust(types.StringType, elements)
}

func schemataValue(s vertex.Schemata) types.Object {
	if s == (vertex.Schemata{}) {
		return types.ObjectNull(schemataType)
	}
	return types.ObjectValueMust(schemataType, map[string]attr.Value{
		"instance_schema_uri": tfkit.TextOrNull(s.InstanceURI), "parameters_schema_uri": tfkit.TextOrNull(s.ParametersURI), "prediction_schema_uri": tfkit.TextOrNull(s.PredictionURI),
	})
}

// object is what tells our model from another of its name. A parent_model is marked
// by somebody else.
func (m *model) object(p tfkit.Private) vertex.Object {
	created, _ := time.Parse(time.RFC3339Nano, m.CreateTime.ValueString())
	if m.within() {
		return vertex.Object{CreateTime: created}
	}
	return vertex.Object{Incarnation: p.Incarnation, CreateTime: created}
}
