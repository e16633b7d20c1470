// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexmodel is the data source gcpml_vertex_model: a model of the Vertex AI
// Model Registry at one of its versions.
package vertexmodel

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ datasource.DataSourceWithConfigure      = (*DataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*DataSource)(nil)
)

// TypeName is the name of the data source in HCL.
const TypeName = "gcpml_vertex_model"

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
	computed := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	strings := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	ports := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Computed: true, ElementType: types.Int32Type, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A model of the Vertex AI Model Registry at one of its versions, whoever made it, with a list of all of its versions. A model or version that does not exist is an error.",
		Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Id of the model, or its full name `projects/PROJECT/locations/LOCATION/models/ID`; either may end in `@VERSION`, a version id or an alias.",
			},
			"version": schema.StringAttribute{Optional: true, MarkdownDescription: "Version id or alias, if `model` names none. By default it is the default version."},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id. By default the one in `model`, else the provider's.",
			},
			"location": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.Location()},
				MarkdownDescription: "Region. By default the one in `model`, else the provider's.",
			},
			"id":             computed("Full name of the model, `projects/{project}/locations/{location}/models/{model_id}`."),
			"model_id":       computed("Id of the model."),
			"display_name":   computed("Name for people."),
			"description":    computed("Description of the model."),
			"labels":         schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Labels of the model and of the version, apart from the marks of gcpml (`gcpml-…`) and of Google (`goog-…`)."},
			"create_time":    computed("When the model was created (RFC 3339)."),
			"update_time":    computed("When the model was last changed (RFC 3339)."),
			"version_id":     computed("Id of the version."),
			"versioned_name": computed("Name of the version, `projects/{project}/locations/{location}/models/{model_id}@{version_id}`: what a deployment refers to."),
			"version_aliases": schema.SetAttribute{
				Computed: true, ElementType: types.StringType, MarkdownDescription: "Aliases of the version, apart from the marks of gcpml.",
			},
			"version_description": computed("Description of the version."),
			"version_create_time": computed("When the version was uploaded (RFC 3339)."),
			"artifact_uri":        computed("Folder in Cloud Storage that holds the artifact."),
			"container_spec": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Container that serves the version, without the values of its environment variables; null when Google does not give it back.",
				Attributes: map[string]schema.Attribute{
					"image_uri":             computed("Image."),
					"command":               strings("What runs instead of the image's ENTRYPOINT."),
					"args":                  strings("What is used instead of the image's CMD."),
					"env_names":             strings("Names of the environment variables, in order."),
					"ports":                 ports("Ports that the container listens on."),
					"grpc_ports":            ports("Ports for predictions over gRPC."),
					"predict_route":         computed("Path that answers predictions."),
					"health_route":          computed("Path that answers health checks."),
					"deployment_timeout":    computed("How long a deployment may take, in seconds (`1800s`)."),
					"shared_memory_size_mb": schema.Int64Attribute{Computed: true, MarkdownDescription: "Shared memory in megabytes."},
				},
			},
			"predict_schemata": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "YAML files that describe requests and answers.",
				Attributes: map[string]schema.Attribute{
					"instance_schema_uri":   computed("Schema of one instance of a request."),
					"parameters_schema_uri": computed("Schema of the parameters of a request."),
					"prediction_schema_uri": computed("Schema of one prediction."),
				},
			},
			"metadata_schema_uri": computed("YAML file with the schema of `metadata`."),
			"metadata":            computed("Further information about the model, as JSON."),
			"encryption_spec": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Customer-managed key that encrypts the model; null for none.",
				Attributes: map[string]schema.Attribute{"kms_key_name": computed("Key of Cloud KMS.")},
			},
			"deployed_models": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Deployed models that serve the version.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"endpoint":          computed("Full name of the endpoint."),
					"deployed_model_id": computed("Id of the deployed model."),
				}},
			},
			"versions": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "All versions of the model, oldest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"version_id":          computed("Id of the version."),
					"version_aliases":     schema.SetAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Its aliases, apart from the marks of gcpml."},
					"version_description": computed("Its description."),
					"version_create_time": computed("When it was uploaded (RFC 3339)."),
					"artifact_uri":        computed("Folder in Cloud Storage that holds its artifact."),
					"deployed":            schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether an endpoint serves it."},
				}},
			},
		},
	}
}

// Configure takes the clients.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig checks how the model is named.
func (*DataSource) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); !resp.Diagnostics.HasError() {
		m.validate(&resp.Diagnostics)
	}
}

// Read looks the model up.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	name := m.name(d.clients.Project(), d.clients.Region(), &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	service := vertex.New(d.clients)
	found, err := service.ReadModel(ctx, name)
	if err != nil {
		tfkit.AddAttributeError(&resp.Diagnostics, path.Root("model"), "read", "model", m.Model.ValueString(), err)
		return
	}
	versions, err := service.Versions(ctx, name)
	if err != nil {
		tfkit.AddAttributeError(&resp.Diagnostics, path.Root("model"), "list the versions of", "model", m.Model.ValueString(), err)
		return
	}
	m.fromRemote(ctx, name, found, versions, func(endpoint string) string {
		// Google spells the project as a number.
		parsed, err := gcp.ParseName(gcp.KindEndpoint, endpoint)
		if err != nil {
			return endpoint
		}
		return parsed.Canonical(func(project string) (string, error) { return d.clients.ProjectID(ctx, project) }).String()
	}, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}
