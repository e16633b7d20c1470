// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package tfkit holds what every Terraform type of gcpml shares: configuration,
// errors as diagnostics, private state, names that are spelled in several ways,
// labels and partial state.
package tfkit

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Clients takes the clients out of a Configure request. It returns nil, without
// an error, as long as the provider is not configured (during validation).
func Clients(providerData any, diags *diag.Diagnostics) *gcp.Clients {
	if providerData == nil {
		return nil
	}
	c, ok := providerData.(*gcp.Clients)
	if !ok {
		diags.AddError("Unable to configure the resource", fmt.Sprintf("The provider handed over a %T. This is a bug of the provider; please report it.", providerData))
	}
	return c
}

// Progress returns a function that logs how far a wait is. It quotes what servers
// say, so it is cleaned of secrets as errors are.
func Progress(ctx context.Context) func(format string, args ...any) {
	return func(format string, args ...any) {
		tflog.Info(ctx, secrets.ReplaceAllString(fmt.Sprintf(format, args...), "[redacted]"))
	}
}
