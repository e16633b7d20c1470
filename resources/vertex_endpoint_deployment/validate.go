// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// validate checks the rules between values; what is unknown passes.
func (m *model) validate(ctx context.Context, diags *diag.Diagnostics) {
	all, keys := m.deployments(ctx, diags)
	for key, d := range all {
		at := path.Root("deployments").AtMapKey(key)
		if n := utf8.RuneCountInString(key); n < 1 || n > 128 {
			diags.AddAttributeError(at, "Invalid deployment key", "A key has 1 to 128 characters.")
		}
		if _, err := gcp.ParseName(gcp.KindModel, d.Model.ValueString()); err != nil && !d.Model.IsNull() && !d.Model.IsUnknown() {
			diags.AddAttributeError(at.AtName("model"), "Invalid model", err.Error()+". Use the versioned_name of a gcpml_vertex_model_upload.")
		}
		d.validate(ctx, at, diags)
	}
	m.validateEndpoint(ctx, keys, diags)
	m.validateTraffic(ctx, keys, diags)
	m.rollout(ctx, diags).validate(ctx, diags)
	m.validateWaits(ctx, diags)
}

// validateWaits refuses waits that no update could end before its timeout.
func (m *model) validateWaits(ctx context.Context, diags *diag.Diagnostics) {
	r := m.rollout(ctx, diags)
	if r.Steps.IsUnknown() || r.Wait.IsUnknown() || diags.HasError() {
		return
	}
	spec := r.toSpec(ctx, diags)
	timeout, d := m.Timeouts.Update(ctx, updateTimeout)
	diags.Append(d...)
	if waits := spec.Wait * time.Duration(max(len(spec.Steps), 1)); waits >= timeout && spec.Wait > 0 {
		diags.AddAttributeError(path.Root("rollout").AtName("wait"), "Waits longer than the timeout",
			fmt.Sprintf("The waits of a roll-out sum to %s, but an update may take %s: shorten wait, or set update in the timeouts block.", waits, timeout))
	}
}

func (m *model) validateTraffic(ctx context.Context, keys []string, diags *diag.Diagnostics) {
	at := path.Root("traffic")
	if m.Traffic.IsUnknown() {
		return
	}
	if m.Traffic.IsNull() {
		if len(keys) > 1 {
			diags.AddAttributeError(at, "Missing traffic", fmt.Sprintf("With several deployments (%s) traffic must say what percentage each one gets.", strings.Join(keys, ", ")))
		}
		return
	}
	shares := map[string]types.Int32{}
	diags.Append(m.Traffic.ElementsAs(ctx, &shares, false)...)
	total, complete := int32(0), true
	for key, share := range shares {
		if !m.Deployments.IsUnknown() && !slices.Contains(keys, key) {
			diags.AddAttributeError(at.AtMapKey(key), "Unknown deployment", fmt.Sprintf("traffic names %q, but deployments has only: %s.", key, strings.Join(keys, ", ")))
		}
		if share.IsUnknown() || share.IsNull() {
			complete = false
			continue
		}
		if share.ValueInt32() < 0 || share.ValueInt32() > 100 {
			diags.AddAttributeError(at.AtMapKey(key), "Invalid percentage", fmt.Sprintf("%d is not between 0 and 100.", share.ValueInt32()))
			complete = false
		}
		total += share.ValueInt32()
	}
	if complete && total != 100 {
		diags.AddAttributeError(at, "Invalid traffic", fmt.Sprintf("The percentages sum to %d; they must sum to 100.", total))
	}
}
