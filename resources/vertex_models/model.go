// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodels

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the data source in HCL and in state. What was found is plain Go: a data source
// has no values that stay unknown.
type model struct {
	Project     types.String `tfsdk:"project"`
	Location    types.String `tfsdk:"location"`
	Filter      types.String `tfsdk:"filter"`
	DisplayName types.String `tfsdk:"display_name"`
	Labels      types.Map    `tfsdk:"labels"`
	IDs         []string     `tfsdk:"ids"`
	Models      []found      `tfsdk:"models"`
}

type found struct {
	ID             string            `tfsdk:"id"`
	ModelID        string            `tfsdk:"model_id"`
	DisplayName    string            `tfsdk:"display_name"`
	Description    string            `tfsdk:"description"`
	Labels         map[string]string `tfsdk:"labels"`
	VersionID      string            `tfsdk:"version_id"`
	VersionAliases []string          `tfsdk:"version_aliases"`
	CreateTime     types.String      `tfsdk:"create_time"`
	UpdateTime     types.String      `tfsdk:"update_time"`
	ArtifactURI    types.String      `tfsdk:"artifact_uri"`
	ImageURI       types.String      `tfsdk:"image_uri"`
}

// parent names the location that is searched, with the provider's defaults.
func (m *model) parent(project, region string, diags *diag.Diagnostics) gcp.Name {
	return gcp.Name{
		Project:  tfkit.Place("project", diags, m.Project.ValueString(), project),
		Location: tfkit.Place("location", diags, m.Location.ValueString(), region),
		Kind:     gcp.KindModel,
	}
}

// query is what the configuration asks for.
func (m *model) query(ctx context.Context, diags *diag.Diagnostics) vertex.ModelQuery {
	q := vertex.ModelQuery{Filter: m.Filter.ValueString(), DisplayName: m.DisplayName.ValueString()}
	diags.Append(m.Labels.ElementsAs(ctx, &q.Labels, false)...)
	return q
}

// fromRemote takes over what was found; nothing is an empty list.
func (m *model) fromRemote(parent gcp.Name, models []*vertex.Model) {
	m.Project, m.Location = types.StringValue(parent.Project), types.StringValue(parent.Location)
	m.IDs, m.Models = []string{}, []found{}
	for _, r := range models {
		one := found{
			ID: r.Name.String(), ModelID: r.Name.ID, DisplayName: r.DisplayName, Description: r.Description,
			Labels: r.Labels, VersionID: r.VersionID, VersionAliases: r.Aliases,
			CreateTime: tfkit.Moment(r.Object.CreateTime), UpdateTime: tfkit.Moment(r.UpdateTime),
			ArtifactURI: tfkit.TextOrNull(r.ArtifactURI),
		}
		if one.Labels == nil {
			one.Labels = map[string]string{}
		}
		if one.VersionAliases == nil {
			one.VersionAliases = []string{}
		}
		if r.Container != nil {
			one.ImageURI = types.StringValue(r.Container.ImageURI)
		}
		m.IDs, m.Models = append(m.IDs, one.ID), append(m.Models, one)
	}
}
