// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Identity is what names an object for ever, by attribute: its resource identity.
type Identity map[string]types.String

// IdentitySchema is the schema of an identity. Attributes that have a default in the
// provider block are optional for import.
func IdentitySchema(required, optional map[string]string) identityschema.Schema {
	attributes := map[string]identityschema.Attribute{}
	for name, description := range required {
		attributes[name] = identityschema.StringAttribute{RequiredForImport: true, Description: description}
	}
	for name, description := range optional {
		attributes[name] = identityschema.StringAttribute{OptionalForImport: true, Description: description}
	}
	return identityschema.Schema{Attributes: attributes}
}

// Replaces reports whether an object with the identity planned is another one.
func (i Identity) Replaces(prior Identity) bool {
	return !maps.EqualFunc(i, prior, func(a, b types.String) bool { return a.Equal(b) })
}

// Write sets the identity of a response.
func (i Identity) Write(ctx context.Context, to *tfsdk.ResourceIdentity, diags *diag.Diagnostics) {
	if to == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(i)) {
		diags.Append(to.SetAttribute(ctx, path.Root(name), i[name])...)
	}
}

// ReadIdentity returns what an import by identity names, with defaults filled in.
// given is false for an import by id.
func ReadIdentity(ctx context.Context, req resource.ImportStateRequest, defaults map[string]string, names []string, diags *diag.Diagnostics) (values map[string]string, given bool) {
	if req.ID != "" || req.Identity == nil || req.Identity.Raw.IsNull() {
		return nil, false
	}
	values = map[string]string{}
	for _, name := range names {
		var v types.String
		diags.Append(req.Identity.GetAttribute(ctx, path.Root(name), &v)...)
		if values[name] = v.ValueString(); values[name] == "" {
			values[name] = defaults[name]
		}
		if values[name] == "" {
			diags.AddAttributeError(path.Root(name), "Incomplete identity", fmt.Sprintf("The identity needs %s, here or as the provider's default.", name))
		}
	}
	return values, true
}

// Import fills the state, and the identity, of an imported object with its name. id is
// the attribute that holds the last part of the name. Names are given as an id, in
// full, PROJECT/LOCATION/ID or LOCATION/ID, or as an identity. region is the default
// location, if there is one.
func Import(ctx context.Context, kind gcp.Kind, id, region string, c *gcp.Clients, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	text := req.ID
	identity, given := ReadIdentity(ctx, req, map[string]string{"project": c.Project(), "location": region}, []string{"project", "location", id}, &resp.Diagnostics)
	if given {
		text = gcp.Name{Project: identity["project"], Location: identity["location"], Kind: kind, ID: identity[id]}.String()
	}
	if resp.Diagnostics.HasError() {
		return
	}
	name, err := gcp.ParseImportID(kind, text, c.Project())
	if err == nil && name.Version != "" {
		err = fmt.Errorf("import it without @%s: versions belong to their model", name.Version)
	}
	if err != nil {
		resp.Diagnostics.AddError("Invalid import id", err.Error()+".")
		return
	}
	if project, err := c.ProjectID(ctx, name.Project); err == nil {
		name.Project = project
	}
	WriteImport(ctx, name.String(), map[string]string{"project": name.Project, "location": name.Location, id: name.ID}, resp)
}

// WriteImport writes id, and the attributes that the identity consists of, to the
// state and the identity of an import.
func WriteImport(ctx context.Context, id string, attributes map[string]string, resp *resource.ImportStateResponse) {
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), id)...)
	identity := Identity{}
	for name, value := range attributes {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
		identity[name] = types.StringValue(value)
	}
	identity.Write(ctx, resp.Identity, &resp.Diagnostics)
}
