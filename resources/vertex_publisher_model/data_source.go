// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexpublishermodel is the data source gcpml_vertex_publisher_model: a
// model of Model Garden, with what it takes to upload and deploy it by the resources
// for that.
package vertexpublishermodel

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ datasource.DataSourceWithConfigure      = (*DataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*DataSource)(nil)
)

// TypeName is the name of the data source in HCL.
const TypeName = "gcpml_vertex_publisher_model"

// catalogue is where Google's own tools read Model Garden, wherever the model is to
// be deployed.
const catalogue = "us-central1"

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
	resp.Schema = dataSourceSchema()
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
	m.validate(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	name, location := m.wanted()
	found, err := vertex.New(d.clients).ReadPublisherModel(ctx, location, name)
	if err != nil {
		tfkit.AddAttributeError(&resp.Diagnostics, path.Root("model"), "read", "publisher model", m.Model.ValueString(), err)
		return
	}
	m.fromRemote(name, location, found)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}
