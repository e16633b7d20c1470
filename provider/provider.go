// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package provider is the provider block: its schema, how it becomes clients, and
// the list of what the provider serves.
package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Address is the provider's address in the Terraform registry.
const Address = "registry.terraform.io/gcpml/gcpml"

var _ provider.ProviderWithFunctions = (*gcpml)(nil)

type gcpml struct{ version string }

// New returns a factory of the provider for a server.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &gcpml{version} }
}

func (p *gcpml) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "gcpml"
	resp.Version = p.version
}

func (p *gcpml) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	resp.Diagnostics.Append(checkKnown(req.Config.Raw)...)
	if resp.Diagnostics.HasError() {
		return
	}
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	config, err := m.config()
	if err == nil {
		config.UserAgent = fmt.Sprintf("terraform-provider-gcpml/%s terraform/%s", p.version, req.TerraformVersion)
		config.OnCall = logCall
		config, err = config.Environ()
	}
	if err == nil {
		var clients *gcp.Clients
		if clients, err = gcp.Connect(ctx, config); err == nil {
			resp.ResourceData, resp.DataSourceData = clients, clients
			return
		}
	}
	var wrong *gcp.ConfigError
	if errors.As(err, &wrong) {
		resp.Diagnostics.AddAttributeError(pathOf(wrong), "Unable to configure the provider", wrong.Error())
		return
	}
	resp.Diagnostics.AddError("Unable to configure the provider", err.Error())
}

// logCall writes the one line that each API call leaves.
func logCall(ctx context.Context, c gcp.Call) {
	tflog.Debug(ctx, "Google API call", map[string]any{
		"method": c.Method, "status": c.Code.String(), "latency_ms": c.Latency.Milliseconds(), "attempt": c.Attempt, "request_id": c.RequestID,
	})
}

func (p *gcpml) Resources(context.Context) []func() resource.Resource { return resources }

func (p *gcpml) DataSources(context.Context) []func() datasource.DataSource { return dataSources }

func (p *gcpml) Functions(context.Context) []func() function.Function { return functions }
