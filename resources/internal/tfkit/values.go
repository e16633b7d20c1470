// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// LabelsAttribute is the labels argument of a resource.
func LabelsAttribute(of string) schema.MapAttribute {
	return schema.MapAttribute{
		ElementType: types.StringType,
		Optional:    true,
		MarkdownDescription: "Labels of " + of + ". Keys start with a lower-case letter; keys and values have at most 63 lower-case letters, digits, `_` and `-`. " +
			"Labels that others set outside of this configuration are shown as drift; those of gcpml itself (`gcpml-…`) are not shown.",
		Validators: []validator.Map{labelsValidator{}},
	}
}

var (
	labelKey   = regexp.MustCompile(`^\p{Ll}[\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

type labelsValidator struct{}

func (labelsValidator) Description(context.Context) string { return "valid Google Cloud labels" }

func (v labelsValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (labelsValidator) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for key, value := range req.ConfigValue.Elements() {
		at := req.Path.AtMapKey(key)
		switch {
		case strings.HasPrefix(key, "gcpml-") || strings.HasPrefix(key, "goog-"):
			resp.Diagnostics.AddAttributeError(at, "Reserved label key", fmt.Sprintf("Keys that start with gcpml- or goog- are not for users; rename %q.", key))
		case !labelKey.MatchString(key):
			resp.Diagnostics.AddAttributeError(at, "Invalid label key", fmt.Sprintf("%q must start with a lower-case letter and have at most 63 lower-case letters, digits, _ and -.", key))
		}
		if s, ok := value.(types.String); ok && !s.IsUnknown() && !labelValue.MatchString(s.ValueString()) {
			resp.Diagnostics.AddAttributeError(at, "Invalid label value", fmt.Sprintf("%q must have at most 63 lower-case letters, digits, _ and -.", s.ValueString()))
		}
	}
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
