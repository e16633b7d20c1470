// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"fmt"
	pathpkg "path"
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
	ID             types.String   `tfsdk:"id"`
	Project        types.String   `tfsdk:"project"`
	Location       types.String   `tfsdk:"location"`
	ModelID        types.String   `tfsdk:"model_id"`
	DisplayName    types.String   `tfsdk:"display_name"`
	Description    types.String   `tfsdk:"description"`
	ArtifactURI    types.String   `tfsdk:"artifact_uri"`
	ContainerSpec  types.Object   `tfsdk:"container_spec"`
	VersionID      types.String   `tfsdk:"version_id"`
	VersionedName  types.String   `tfsdk:"versioned_name"`
	CreateTime     types.String   `tfsdk:"create_time"`
	DeletionPolicy types.String   `tfsdk:"deletion_policy"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`
}

type containerSpec struct {
	ImageURI     types.String `tfsdk:"image_uri"`
	Env          types.List   `tfsdk:"env"`
	Ports        types.List   `tfsdk:"ports"`
	PredictRoute types.String `tfsdk:"predict_route"`
	HealthRoute  types.String `tfsdk:"health_route"`
}

type envVar struct {
	Name  types.String `tfsdk:"name"`
	Value types.String `tfsdk:"value"`
}

type port struct {
	ContainerPort types.Int32 `tfsdk:"container_port"`
}

var (
	envType       = types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "value": types.StringType}}
	portType      = types.ObjectType{AttrTypes: map[string]attr.Type{"container_port": types.Int32Type}}
	containerType = types.ObjectType{AttrTypes: map[string]attr.Type{
		"image_uri": types.StringType, "env": types.ListType{ElemType: envType}, "ports": types.ListType{ElemType: portType},
		"predict_route": types.StringType, "health_route": types.StringType,
	}}
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
	m.PlanLabels(labels, c.Config().DefaultLabels)
	tfkit.PlanDeletionPolicy(&m.DeletionPolicy, config.DeletionPolicy, c)
	byDefault := func(attribute string, value *types.String, configured types.String, otherwise string) {
		switch {
		case !value.IsUnknown() || !configured.IsNull():
		case otherwise == "":
			diags.AddAttributeError(path.Root(attribute), "Missing "+attribute, "Set "+attribute+" here, or its default in the provider block.")
		default:
			*value = types.StringValue(otherwise)
		}
	}
	byDefault("project", &m.Project, config.Project, c.Project())
	byDefault("location", &m.Location, config.Location, c.Region())
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

// toSpec converts a model whose values are all known.
// before is what was there, nil if nothing was.
func (m *model) toSpec(ctx context.Context, before *tfkit.LabelSet, diags *diag.Diagnostics) vertex.ModelSpec {
	spec := vertex.ModelSpec{Name: m.name(), DisplayName: m.DisplayName.ValueString(), Description: m.Description.ValueString()}
	spec.Labels, spec.DropLabels = m.WantedLabels(before)
	spec.Content, _ = m.content(ctx, diags)
	return spec
}

// content returns what a version holds; known is false while a part of it is not.
func (m *model) content(ctx context.Context, diags *diag.Diagnostics) (content vertex.Content, known bool) {
	if m.ArtifactURI.IsUnknown() || !fullyKnown(ctx, m.ContainerSpec) {
		return vertex.Content{}, false
	}
	content.ArtifactURI = m.ArtifactURI.ValueString()
	if m.ContainerSpec.IsNull() {
		return content, true
	}
	var c containerSpec
	var env []envVar
	var ports []port
	diags.Append(m.ContainerSpec.As(ctx, &c, basetypes.ObjectAsOptions{})...)
	diags.Append(c.Env.ElementsAs(ctx, &env, false)...)
	diags.Append(c.Ports.ElementsAs(ctx, &ports, false)...)
	content.Container = vertex.Container{
		ImageURI: c.ImageURI.ValueString(), PredictRoute: c.PredictRoute.ValueString(), HealthRoute: c.HealthRoute.ValueString(),
	}
	for _, e := range env {
		content.Container.Env = append(content.Container.Env, vertex.EnvVar{Name: e.Name.ValueString(), Value: e.Value.ValueString()})
	}
	for _, p := range ports {
		content.Container.Ports = append(content.Container.Ports, p.ContainerPort.ValueInt32())
	}
	return content, true
}

func fullyKnown(ctx context.Context, v attr.Value) bool {
	raw, err := v.ToTerraformValue(ctx)
	return err == nil && raw.IsFullyKnown()
}

// hiddenContainer is the key in private state which tells that the model was
// imported from a server that does not give container_spec back.
const hiddenContainer = "container_spec_not_given_back"

// contentChanged reports whether a version with other content is planned. A
// container that could not be seen at import is taken to be the configured one.
func (m *model) contentChanged(ctx context.Context, state *model, private tfkit.Private, diags *diag.Diagnostics) bool {
	planned, known := m.content(ctx, diags)
	had, _ := state.content(ctx, diags)
	if state.ContainerSpec.IsNull() && private.Extra[hiddenContainer] != "" {
		return m.ArtifactURI.IsUnknown() || !sameArtifact(m.ArtifactURI.ValueString(), had.ArtifactURI)
	}
	return !known || state.ContainerSpec.IsNull() || !sameArtifact(planned.ArtifactURI, had.ArtifactURI) || !sameContainer(planned.Container, had.Container)
}

// sameArtifact treats a folder with and without a slash at its end as equal.
func sameArtifact(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// defaultPort is what Vertex AI calls when no port is named.
const defaultPort = 8080

func sameContainer(a, b vertex.Container) bool {
	ports := func(p []int32) []int32 {
		if len(p) == 0 {
			return []int32{defaultPort}
		}
		return p
	}
	return a.ImageURI == b.ImageURI && slices.Equal(a.Env, b.Env) && slices.Equal(ports(a.Ports), ports(b.Ports)) &&
		a.PredictRoute == b.PredictRoute && a.HealthRoute == b.HealthRoute
}

// fromRemote takes over what the server has. Spellings that mean the same stay
// as they are in m.
func (m *model) fromRemote(ctx context.Context, r *vertex.Model, diags *diag.Diagnostics) {
	had, known := m.content(ctx, diags)
	m.DisplayName = types.StringValue(r.DisplayName)
	m.Description = tfkit.StringOrNull(r.Description, m.Description)
	m.ReadLabels(r.Labels)
	if !known || !sameArtifact(had.ArtifactURI, r.ArtifactURI) {
		m.ArtifactURI = tfkit.StringOrNull(r.ArtifactURI, m.ArtifactURI)
	}
	switch {
	case r.Container == nil:
		// Not given back. Of the version that we know it is what it was; of another
		// one it is not known, which must show as a difference.
		if v := m.VersionID.ValueString(); v != "" && v != r.VersionID {
			m.ContainerSpec = types.ObjectNull(containerType.AttrTypes)
		}
	case !known || m.ContainerSpec.IsNull() || !sameContainer(had.Container, *r.Container):
		m.ContainerSpec = containerValue(*r.Container)
	}
	m.VersionID = types.StringValue(r.VersionID)
	m.VersionedName = types.StringValue(m.name().WithVersion(r.VersionID).String())
	m.CreateTime = types.StringValue(r.Object.CreateTime.Format(time.RFC3339Nano))
}

func containerValue(c vertex.Container) types.Object {
	env, ports := types.ListNull(envType), types.ListNull(portType)
	if len(c.Env) > 0 {
		var all []attr.Value
		for _, e := range c.Env {
			all = append(all, types.ObjectValueMust(envType.AttrTypes, map[string]attr.Value{"name": types.StringValue(e.Name), "value": types.StringValue(e.Value)}))
		}
		env = types.ListValueMust(envType, all)
	}
	if len(c.Ports) > 0 && !slices.Equal(c.Ports, []int32{defaultPort}) {
		var all []attr.Value
		for _, p := range c.Ports {
			all = append(all, types.ObjectValueMust(portType.AttrTypes, map[string]attr.Value{"container_port": types.Int32Value(p)}))
		}
		ports = types.ListValueMust(portType, all)
	}
	return types.ObjectValueMust(containerType.AttrTypes, map[string]attr.Value{
		"image_uri": types.StringValue(c.ImageURI), "env": env, "ports": ports,
		"predict_route": tfkit.StringOrNull(c.PredictRoute, types.StringNull()), "health_route": tfkit.StringOrNull(c.HealthRoute, types.StringNull()),
	})
}

// object is what tells our model from another of its name.
func (m *model) object(p tfkit.Private) vertex.Object {
	created, _ := time.Parse(time.RFC3339Nano, m.CreateTime.ValueString())
	return vertex.Object{Incarnation: p.Incarnation, CreateTime: created}
}

// artifactFiles are the names that Google's prebuilt containers look for in the
// folder.
var artifactFiles = []string{"saved_model.pb", "model.joblib", "model.pkl", "model.bst"}

// validate checks what goes beyond single values; what is unknown passes.
func (m *model) validate(diags *diag.Diagnostics) {
	uri := m.ArtifactURI.ValueString()
	if file := pathpkg.Base(uri); slices.Contains(artifactFiles, file) || strings.HasSuffix(file, ".mar") {
		diags.AddAttributeError(path.Root("artifact_uri"), "Invalid artifact_uri",
			fmt.Sprintf("%q is a file: name the folder that holds it, %q.", uri, strings.TrimSuffix(uri, file)))
	}
}
