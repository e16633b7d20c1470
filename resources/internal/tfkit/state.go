// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// SetPartial writes a model to state with every unknown value replaced by null.
// It is for the time before a wait: should the wait fail, Terraform keeps what is
// there, and an unknown would be an error of its own. The model comes from the
// plan, never from the configuration, so that it holds no write-only value.
func SetPartial(ctx context.Context, state *tfsdk.State, model any, diags *diag.Diagnostics) {
	diags.Append(state.Set(ctx, model)...)
	if diags.HasError() {
		return
	}
	known, err := tftypes.Transform(state.Raw, func(_ *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if !v.IsKnown() {
			return tftypes.NewValue(v.Type(), nil), nil
		}
		return v, nil
	})
	if err != nil {
		diags.AddError("Unable to write partial state", err.Error()+". This is a bug of the provider; please report it.")
		return
	}
	state.Raw = known
}
