// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexendpoint is the data source gcpml_vertex_endpoint: a Vertex AI endpoint
// with what it serves, whoever made it.
package vertexendpoint

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/datasource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
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
	_ datasource.DataSourceWithConfigure        = (*DataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*DataSource)(nil)
	_ datasource.DataSourceWithValidateConfig   = (*DataSource)(nil)
)

// TypeName is the name of the data source in HCL.
const TypeName = "gcpml_vertex_endpoint"

const readTimeout = 10 * time.Minute

// DataSource is the data source type.
type DataSource struct{ clients *gcp.Clients }

// New returns the data source type.
func New() datasource.DataSource { return &DataSource{} }

// Metadata names the type.
func (*DataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = TypeName
}

// Schema describes the attributes.
func (*DataSource) Schema(ctx context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Int32Attribute {
		return schema.Int32Attribute{Computed: true, MarkdownDescription: description}
	}
	flag := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A Vertex AI endpoint with what it serves, whoever made it. It is found by its id or by its display name; none, or several of one display name, are an error.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional: true, MarkdownDescription: "Id of the endpoint, or its full name `projects/PROJECT/locations/LOCATION/endpoints/ID`. Conflicts with `display_name`.",
			},
			"display_name": schema.StringAttribute{
				Optional: true, Computed: true, MarkdownDescription: "Name for people. Given instead of `endpoint`, it is what the endpoint is found by: exactly one endpoint of the region must have it.",
			},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.ProjectID()}, MarkdownDescription: "Project id. By default the one in `endpoint`, else the provider's.",
			},
			"location": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.Location()}, MarkdownDescription: "Region. By default the one in `endpoint`, else the provider's.",
			},
			"id":          text("Full name, `projects/{project}/locations/{location}/endpoints/{endpoint_id}`."),
			"endpoint_id": text("Id of the endpoint, the last part of its name."),
			"description": text("Description of the endpoint."),
			"labels":      schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Labels, apart from the marks of gcpml (`gcpml-…`) and of Google (`goog-…`)."},
			"create_time": text("When it was created (RFC 3339)."),
			"update_time": text("When it was last changed (RFC 3339)."),
			"shared": flag("Whether it answers on the domain that all endpoints share, which is what BigQuery remote models need. " +
				"It is false for dedicated endpoints and for private ones."),
			"dedicated_endpoint_enabled": flag("Whether it has a domain of its own."),
			"dedicated_endpoint_dns":     text("That domain, empty for none."),
			"network":                    text("Network that it is peered with, empty for none."),
			"encryption_spec": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Customer-managed encryption, null for none.",
				Attributes: map[string]schema.Attribute{"kms_key_name": text("Cloud KMS key.")},
			},
			"private_service_connect_config": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Private Service Connect, null when it is off.",
				Attributes: map[string]schema.Attribute{
					"enable_private_service_connect": flag("Whether it is on."),
					"project_allowlist":              schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Projects that may connect."},
				},
			},
			"predict_request_response_logging_config": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Logging of requests and responses, null when it is off.",
				Attributes: map[string]schema.Attribute{
					"enabled":       flag("Whether they are logged."),
					"sampling_rate": schema.Float64Attribute{Computed: true, MarkdownDescription: "Part of them that is logged."},
					"output_uri":    text("BigQuery project, dataset or table that they are logged to."),
				},
			},
			"inference_timeout": text("How long a prediction may take, such as `600s`; empty when that was never set."),
			"deployed_models": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "What it serves, in order of display names and ids.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":                text("Id of the deployed model."),
					"display_name":      text("Name for people; the key of `deployments` in a `gcpml_vertex_endpoint_deployment`."),
					"model":             text("Full name of the model, without a version."),
					"model_version_id":  text("Version of the model."),
					"traffic":           number("Percentage of the requests."),
					"machine_type":      text("Machine type, empty if the machines are not its own."),
					"accelerator_type":  text("Accelerator type, empty for none."),
					"accelerator_count": number("Accelerators of each machine."),
					"spot":              flag("Whether Spot VMs serve it."),
					"min_replica_count": number("Machines that always run."),
					"max_replica_count": number("Machines that may run; 0 for no bound."),
					"shared_resources":  text("Deployment resource pool, empty for none."),
					"service_account":   text("Service account that the container runs as, empty for none."),
					"predict_http_uri":  text("Where it predicts within the peered network, empty for others."), "service_attachment": text("Service attachment of Private Service Connect, empty for others."),
					"create_time": text("When it was deployed (RFC 3339)."),
				}},
			},
		},
		Blocks: map[string]schema.Block{"timeouts": timeouts.Block(ctx)},
	}
}

// Configure takes the clients.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// ConfigValidators are the rules about which attributes go together.
func (*DataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{datasourcevalidator.ExactlyOneOf(path.MatchRoot("endpoint"), path.MatchRoot("display_name"))}
}

// ValidateConfig checks how the endpoint is named.
func (*DataSource) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	m.validate(&resp.Diagnostics)
}

// Read finds the endpoint.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	timeout, diags := m.Timeouts.Read(ctx, readTimeout)
	resp.Diagnostics.Append(diags...)
	m.validate(&resp.Diagnostics)
	name := m.name(d.clients, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	e, err := d.find(ctx, name, m.DisplayName.ValueString())
	if err != nil {
		tfkit.AddError(&resp.Diagnostics, "read", "endpoint", m.asked(), err)
		return
	}
	m.fromRemote(e)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// find reads the endpoint of this name or, if it has no id, of this display name.
func (d *DataSource) find(ctx context.Context, name gcp.Name, displayName string) (*vertex.Endpoint, error) {
	service := vertex.New(d.clients)
	if name.ID != "" {
		return service.ReadEndpoint(ctx, name)
	}
	found, err := service.FindEndpoints(ctx, name, displayName)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("no endpoint of %s has this display name", name.Parent())
	case len(found) > 1:
		var ids []string
		for _, e := range found {
			ids = append(ids, e.Name.ID)
		}
		return nil, fmt.Errorf("several endpoints of %s have this display name, %s: set endpoint instead", name.Parent(), strings.Join(ids, ", "))
	}
	return found[0], nil
}
