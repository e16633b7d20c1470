// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-log/tflog"
)

// NewServer returns the provider as the server that Terraform talks to.
func NewServer(version string) tfprotov6.ProviderServer {
	return guarded{providerserver.NewProtocol6(New(version)())()}
}

// guarded turns a panic in one resource into an error of that resource. The
// others, which run in the same process, come to their end; without this their
// half-done work would be lost, too.
type guarded struct{ tfprotov6.ProviderServer }

func guard[Request, Response any](ctx context.Context, call func(context.Context, Request) (Response, error), req Request) (resp Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			tflog.Error(ctx, "panic", map[string]any{"stack": string(debug.Stack())})
			err = fmt.Errorf("the provider has a bug here: %v. What was known of the resource before is kept in the state; "+
				"the log (TF_LOG=ERROR) has the stack. Please report both", p)
		}
	}()
	return call(ctx, req)
}

func (g guarded) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return guard(ctx, g.ProviderServer.ConfigureProvider, req)
}

func (g guarded) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return guard(ctx, g.ProviderServer.ValidateResourceConfig, req)
}

func (g guarded) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return guard(ctx, g.ProviderServer.UpgradeResourceState, req)
}

func (g guarded) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return guard(ctx, g.ProviderServer.ReadResource, req)
}

func (g guarded) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return guard(ctx, g.ProviderServer.PlanResourceChange, req)
}

func (g guarded) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return guard(ctx, g.ProviderServer.ApplyResourceChange, req)
}

func (g guarded) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return guard(ctx, g.ProviderServer.ImportResourceState, req)
}

func (g guarded) ValidateDataResourceConfig(ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return guard(ctx, g.ProviderServer.ValidateDataResourceConfig, req)
}

func (g guarded) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	return guard(ctx, g.ProviderServer.ReadDataSource, req)
}

func (g guarded) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	return guard(ctx, g.ProviderServer.CallFunction, req)
}
