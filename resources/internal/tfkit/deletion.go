// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// WithDeletionPolicy adds deletion_policy to the attributes of a resource. Its model
// has it as a types.String.
func WithDeletionPolicy(of string, attributes map[string]schema.Attribute) map[string]schema.Attribute {
	attributes["deletion_policy"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{stringvalidator.OneOf(gcp.DeletionPolicies...)},
		MarkdownDescription: "What destroying or replacing does to " + of + ": `DELETE` deletes it, `PREVENT` is an error, `ABANDON` leaves it as it is and only forgets it. " +
			"What counts is the value in the state, so a change must be applied before the destroy. Default: the provider's `deletion_policy`, else `DELETE`.",
	}
	return attributes
}

// PlanDeletionPolicy fills in the default.
func PlanDeletionPolicy(planned *types.String, configured types.String, c *gcp.Clients) {
	if configured.IsNull() && c != nil {
		*planned = types.StringValue(cmp.Or(c.Config().DeletionPolicy, gcp.DeletionDelete))
	}
}

// ReadDeletionPolicy fills in the default after an import.
func ReadDeletionPolicy(inState *types.String, c *gcp.Clients) {
	if inState.IsNull() {
		PlanDeletionPolicy(inState, types.StringNull(), c)
	}
}

// PlanDestroy says during plan what the state's deletion_policy will do to an object
// that is to be destroyed, or, where its name changes, replaced.
func PlanDestroy(ctx context.Context, state tfsdk.State, kind string, diags *diag.Diagnostics) {
	if state.Raw.IsNull() {
		return
	}
	var policy, id types.String
	diags.Append(state.GetAttribute(ctx, path.Root("deletion_policy"), &policy)...)
	diags.Append(state.GetAttribute(ctx, path.Root("id"), &id)...)
	Keeps(policy, kind, id.ValueString(), diags)
}

// Keeps reports that an object must not be deleted, and tells the user: PREVENT is an
// error, ABANDON a warning.
func Keeps(policy types.String, kind, name string, diags *diag.Diagnostics) bool {
	switch policy.ValueString() {
	case gcp.DeletionPrevent:
		diags.AddAttributeError(path.Root("deletion_policy"), summary("destroy", kind, name),
			"Its deletion_policy is PREVENT. To destroy it, set deletion_policy = \"DELETE\" on the resource, or on the provider if the resource has none, and apply that first.")
	case gcp.DeletionAbandon:
		diags.AddAttributeWarning(path.Root("deletion_policy"), fmt.Sprintf("The %s %q is left as it is", kind, name),
			"Its deletion_policy is ABANDON: Terraform forgets it, and it goes on to exist, and to cost what it costs. To manage it again, import it.")
	default:
		return false
	}
	return true
}

// goneWithin is how long something may still be seen after it was deleted.
const goneWithin = 20 * time.Second

// ConfirmGone looks, after a delete, whether anything of ours still exists, and names
// it in an error. look returns the names of what it finds. What cannot be looked at is
// a warning: the delete itself succeeded.
func ConfirmGone(ctx context.Context, diags *diag.Diagnostics, kind, name string, look func(context.Context) ([]string, error)) {
	pause := 250 * time.Millisecond
	for began := time.Now(); ; pause *= 2 {
		left, err := look(ctx)
		switch {
		case err != nil:
			diags.AddWarning(fmt.Sprintf("Whether anything of %s %q is left was not checked", kind, name), "It was deleted. "+detail(err))
			return
		case len(left) == 0:
			return
		case time.Since(began)+pause > goneWithin || gcp.Sleep(ctx, pause) != nil:
			diags.AddError(fmt.Sprintf("Something of %s %q is left", kind, name),
				"Deleting it succeeded, but this still exists: "+strings.Join(left, ", ")+". Destroy again; what is left even then is to be deleted by hand.")
			return
		}
	}
}
