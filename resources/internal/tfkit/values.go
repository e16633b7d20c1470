// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// LabelsAttribute is the labels argument of a resource without the other two.
func LabelsAttribute(of string) schema.MapAttribute {
	labels, _ := WithLabels(of, map[string]schema.Attribute{})["labels"].(schema.MapAttribute)
	return labels
}

// StringMap reads a known map of strings; null is nil.
func StringMap(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]string {
	if m.IsNull() || m.IsUnknown() {
		return nil
	}
	out := map[string]string{}
	diags.Append(m.ElementsAs(ctx, &out, false)...)
	return out
}

// MapValue is the reverse of [StringMap]. An empty map becomes null unless prior
// is an empty map: both mean no labels, and the user's spelling stays.
func MapValue(m map[string]string, prior types.Map) types.Map {
	if len(m) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.MapNull(types.StringType)
	}
	elements := map[string]attr.Value{}
	for k, v := range m {
		elements[k] = types.StringValue(v)
	}
	return types.MapValueMust(types.StringType, elements)
}

// StringOrNull is null for the empty string, unless prior is the empty string:
// Google does not tell the two apart.
func StringOrNull(s string, prior types.String) types.String {
	if s == "" && (prior.IsNull() || prior.IsUnknown() || prior.ValueString() != "") {
		return types.StringNull()
	}
	return types.StringValue(s)
}
