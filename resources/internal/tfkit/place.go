// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"cmp"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The attributes that tell where an object is, for which the provider block has a
// default, and where else they may be set.
var places = map[string]string{
	"project":  "Set project here or in the provider block, or GOOGLE_PROJECT in the environment.",
	"location": "Set location here or region in the provider block, or GOOGLE_REGION in the environment.",
}

// Place is the first of some values of the attribute "project" or "location" that is
// not empty. If all are, the error says where it can be set.
func Place(attribute string, diags *diag.Diagnostics, values ...string) string {
	value := cmp.Or(values...)
	if value == "" {
		diags.AddAttributeError(path.Root(attribute), "Missing "+attribute, places[attribute])
	}
	return value
}

// PlanPlace plans the attribute "project" or "location": if the configuration leaves
// it out, it is what the state has, or else the provider's default.
func PlanPlace(attribute string, planned *types.String, configured types.String, byDefault string, diags *diag.Diagnostics) {
	if !planned.IsUnknown() || !configured.IsNull() {
		return
	}
	if value := Place(attribute, diags, byDefault); value != "" {
		*planned = types.StringValue(value)
	}
}
