// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexmodels is the data source gcpml_vertex_models: the models of the Vertex AI
// Model Registry that a search finds.
package vertexmodels

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var _ datasource.DataSourceWithConfigure = (*DataSource)(nil)

// TypeName is the name of the data source in HCL.
const TypeName = "gcpml_vertex_models"

// DataSource is the data source type.
type DataSource struct{ clients *gcp.Clients }

// New returns the data source type.
func New() datasource.DataSource { return &DataSource{} }

// Metadata names the type.
func (*DataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = TypeName
}

// Schema describes the attributes.
func (*DataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The models of the Vertex AI Model Registry that all of `filter`, `display_name` and `labels` are true of, whoever made them, each at its default version. " +
			"Without any of the three, all models of the region. None found is an empty list, not an error. For one model with its container and all of its versions, see `gcpml_vertex_model`.",
		Attributes: map[string]schema.Attribute{
			"project": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id. By default the provider's.",
			},
			"location": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.Location()},
				MarkdownDescription: "Region. By default the provider's.",
			},
			"filter": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Filter in the language of [`models.list`](https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models/list), sent as it is: " +
					"`model` (the id) and `display_name` with `=` and `!=`, `labels.KEY=VALUE`, `labels.KEY:*`, `labels:KEY`, and `base_model_name` with `=`; joined with `AND` and `OR`, of which `OR` binds tighter.",
			},
			"display_name": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Only models that have exactly this display name, of which there may be several.",
			},
			"labels": schema.MapAttribute{
				Optional: true, ElementType: types.StringType, Validators: []validator.Map{tfkit.Labels()},
				MarkdownDescription: "Only models that carry all of these labels. For the mere presence of a key, or for labels of Google (`goog-…`), use `filter`.",
			},
			"ids": schema.ListAttribute{
				Computed: true, ElementType: types.StringType, MarkdownDescription: "Full names of the models that were found, sorted: for `for_each` as `toset(….ids)`.",
			},
			"models": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The models that were found, in order of `id`.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":           text("Full name of the model, `projects/{project}/locations/{location}/models/{model_id}`."),
					"model_id":     text("Id of the model."),
					"display_name": text("Name for people."),
					"description":  text("Description of the model."),
					"labels": schema.MapAttribute{
						Computed: true, ElementType: types.StringType, MarkdownDescription: "Labels of the model and of its default version, apart from the marks of gcpml (`gcpml-…`) and of Google (`goog-…`).",
					},
					"version_id": text("Id of the default version."),
					"version_aliases": schema.SetAttribute{
						Computed: true, ElementType: types.StringType, MarkdownDescription: "Aliases of the default version, apart from the marks of gcpml.",
					},
					"create_time":  text("When the model was created (RFC 3339)."),
					"update_time":  text("When the model was last changed (RFC 3339)."),
					"artifact_uri": text("Folder in Cloud Storage that holds the artifact of the default version; null for none."),
					"image_uri":    text("Image that serves the default version; null when Google does not give it back."),
				}},
			},
		},
	}
}

// Configure takes the clients.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// Read searches.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	parent := m.parent(d.clients.Project(), d.clients.Region(), &resp.Diagnostics)
	query := m.query(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	found, err := vertex.New(d.clients).ListModels(ctx, parent, query)
	if err != nil {
		tfkit.AddError(&resp.Diagnostics, "list", "models of", parent.Parent(), err)
		return
	}
	m.fromRemote(parent, found)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}
