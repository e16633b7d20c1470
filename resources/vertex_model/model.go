// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodel

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the data source in HCL and in state.
type model struct {
	Model              types.String    `tfsdk:"model"`
	Version            types.String    `tfsdk:"version"`
	Project            types.String    `tfsdk:"project"`
	Location           types.String    `tfsdk:"location"`
	ID                 types.String    `tfsdk:"id"`
	ModelID            types.String    `tfsdk:"model_id"`
	DisplayName        types.String    `tfsdk:"display_name"`
	Description        types.String    `tfsdk:"description"`
	Labels             types.Map       `tfsdk:"labels"`
	CreateTime         types.String    `tfsdk:"create_time"`
	UpdateTime         types.String    `tfsdk:"update_time"`
	VersionID          types.String    `tfsdk:"version_id"`
	VersionedName      types.String    `tfsdk:"versioned_name"`
	VersionAliases     types.Set       `tfsdk:"version_aliases"`
	VersionDescription types.String    `tfsdk:"version_description"`
	VersionCreateTime  types.String    `tfsdk:"version_create_time"`
	ArtifactURI        types.String    `tfsdk:"artifact_uri"`
	ContainerSpec      *containerSpec  `tfsdk:"container_spec"`
	PredictSchemata    *tfkit.Schemata `tfsdk:"predict_schemata"`
	MetadataSchemaURI  types.String    `tfsdk:"metadata_schema_uri"`
	Metadata           types.String    `tfsdk:"metadata"`
	EncryptionSpec     *encryptionSpec `tfsdk:"encryption_spec"`
	DeployedModels     []deployedModel `tfsdk:"deployed_models"`
	Versions           []version       `tfsdk:"versions"`
}

type containerSpec struct {
	ImageURI           types.String `tfsdk:"image_uri"`
	Command            []string     `tfsdk:"command"`
	Args               []string     `tfsdk:"args"`
	EnvNames           []string     `tfsdk:"env_names"`
	Ports              []int32      `tfsdk:"ports"`
	GRPCPorts          []int32      `tfsdk:"grpc_ports"`
	PredictRoute       types.String `tfsdk:"predict_route"`
	HealthRoute        types.String `tfsdk:"health_route"`
	DeploymentTimeout  types.String `tfsdk:"deployment_timeout"`
	SharedMemorySizeMB types.Int64  `tfsdk:"shared_memory_size_mb"`
}

type encryptionSpec struct {
	KMSKeyName types.String `tfsdk:"kms_key_name"`
}

type deployedModel struct {
	Endpoint        types.String `tfsdk:"endpoint"`
	DeployedModelID types.String `tfsdk:"deployed_model_id"`
}

type version struct {
	VersionID          types.String `tfsdk:"version_id"`
	VersionAliases     types.Set    `tfsdk:"version_aliases"`
	VersionDescription types.String `tfsdk:"version_description"`
	VersionCreateTime  types.String `tfsdk:"version_create_time"`
	ArtifactURI        types.String `tfsdk:"artifact_uri"`
	Deployed           types.Bool   `tfsdk:"deployed"`
}

// parse reads model, either of its forms; what an id leaves out is empty.
func (m *model) parse() (gcp.Name, error) {
	text := m.Model.ValueString()
	if strings.Contains(text, "/") {
		return gcp.ParseName(gcp.KindModel, text)
	}
	// An id is completed to a name, so that one grammar checks both.
	name, err := gcp.ParseName(gcp.KindModel, "projects/p/locations/l/models/"+text)
	if err != nil {
		return gcp.Name{}, fmt.Errorf("%q is neither the id of a model nor of the form projects/PROJECT/locations/LOCATION/models/ID", text)
	}
	name.Project, name.Location = "", ""
	return name, nil
}

// validate checks what does not depend on the provider; what is unknown passes.
func (m *model) validate(diags *diag.Diagnostics) {
	if m.Model.IsUnknown() {
		return
	}
	name, err := m.parse()
	if err != nil {
		diags.AddAttributeError(path.Root("model"), "Invalid model", err.Error()+".")
		return
	}
	for _, part := range []struct {
		attribute string
		named     string
		value     types.String
	}{{"version", name.Version, m.Version}, {"project", name.Project, m.Project}, {"location", name.Location, m.Location}} {
		if part.named != "" && part.value.ValueString() != "" && part.value.ValueString() != part.named {
			diags.AddAttributeError(path.Root(part.attribute), "Two values for the "+part.attribute, fmt.Sprintf("model says %q: leave %s out.", part.named, part.attribute))
		}
	}
}

// name is what is looked up.
func (m *model) name(project, region string, diags *diag.Diagnostics) gcp.Name {
	name, err := m.parse()
	if err != nil {
		diags.AddAttributeError(path.Root("model"), "Invalid model", err.Error()+".")
		return name
	}
	name.Project = tfkit.Place("project", diags, name.Project, m.Project.ValueString(), project)
	name.Location = tfkit.Place("location", diags, name.Location, m.Location.ValueString(), region)
	name.Version = cmp.Or(name.Version, m.Version.ValueString())
	return name
}

// fromRemote takes over what the server has. spelled spells the name of an endpoint.
func (m *model) fromRemote(ctx context.Context, name gcp.Name, r *vertex.Model, versions []*vertex.Model, spelled func(string) string, diags *diag.Diagnostics) {
	name.Version = ""
	m.Project, m.Location, m.ID, m.ModelID = types.StringValue(name.Project), types.StringValue(name.Location), types.StringValue(name.String()), types.StringValue(name.ID)
	m.DisplayName, m.Description = types.StringValue(r.DisplayName), types.StringValue(r.Description)
	labels := r.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	var d diag.Diagnostics
	m.Labels, d = types.MapValueFrom(ctx, types.StringType, labels)
	diags.Append(d...)
	m.CreateTime, m.UpdateTime = tfkit.Moment(r.Object.CreateTime), tfkit.Moment(r.UpdateTime)
	m.VersionID, m.VersionedName = types.StringValue(r.VersionID), types.StringValue(name.WithVersion(r.VersionID).String())
	m.VersionAliases = aliases(ctx, r.Aliases, diags)
	m.VersionDescription, m.VersionCreateTime = types.StringValue(r.VersionDescription), tfkit.Moment(r.VersionCreateTime)
	m.ArtifactURI, m.MetadataSchemaURI, m.Metadata = tfkit.TextOrNull(r.ArtifactURI), tfkit.TextOrNull(r.MetadataSchemaURI), tfkit.TextOrNull(r.Metadata)
	if c := r.Container; c != nil {
		m.ContainerSpec = &containerSpec{
			ImageURI: types.StringValue(c.ImageURI), Command: c.Command, Args: c.Args, Ports: c.Ports, GRPCPorts: c.GRPCPorts,
			PredictRoute: tfkit.TextOrNull(c.PredictRoute), HealthRoute: tfkit.TextOrNull(c.HealthRoute), SharedMemorySizeMB: types.Int64Value(c.SharedMemoryMB),
			DeploymentTimeout: tfkit.SecondsOrNull(c.DeploymentTimeout),
		}
		for _, e := range c.Env {
			m.ContainerSpec.EnvNames = append(m.ContainerSpec.EnvNames, e.Name)
		}
	}
	m.PredictSchemata = tfkit.SchemataOf(r.Schemata)
	if r.KMSKey != "" {
		m.EncryptionSpec = &encryptionSpec{types.StringValue(r.KMSKey)}
	}
	m.DeployedModels = []deployedModel{}
	for _, deployed := range r.Deployed {
		m.DeployedModels = append(m.DeployedModels, deployedModel{types.StringValue(spelled(deployed.Endpoint)), types.StringValue(deployed.ID)})
	}
	m.Versions = []version{}
	for _, v := range versions {
		m.Versions = append(m.Versions, version{
			VersionID: types.StringValue(v.VersionID), VersionAliases: aliases(ctx, v.Aliases, diags), VersionDescription: types.StringValue(v.VersionDescription),
			VersionCreateTime: tfkit.Moment(v.VersionCreateTime), ArtifactURI: tfkit.TextOrNull(v.ArtifactURI), Deployed: types.BoolValue(len(v.Deployed) > 0),
		})
	}
}

func aliases(ctx context.Context, of []string, diags *diag.Diagnostics) types.Set {
	if of == nil {
		of = []string{}
	}
	set, d := types.SetValueFrom(ctx, types.StringType, of)
	diags.Append(d...)
	return set
}
