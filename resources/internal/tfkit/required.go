// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// Needs makes attributes of the objects in a list or map required. Marking them as
// Required would refuse a configuration in which such an object is not known as a whole:
// the framework takes it for one without attributes
// (hashicorp/terraform-plugin-framework#186). They are Optional in the schema, and their
// descriptions say that they are required.
func Needs(attributes ...string) []validator.Object { return []validator.Object{needs(attributes)} }

type needs []string

func (n needs) Description(context.Context) string { return strings.Join(n, " and ") + " must be set" }

func (n needs) MarkdownDescription(ctx context.Context) string { return n.Description(ctx) }

func (n needs) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	for _, name := range n {
		if value := req.ConfigValue.Attributes()[name]; value == nil || value.IsNull() {
			resp.Diagnostics.AddAttributeError(req.Path.AtName(name), "Missing "+name, name+" is required here.")
		}
	}
}
