// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

type model struct {
	ID               types.String   `tfsdk:"id"`
	Project          types.String   `tfsdk:"project"`
	Location         types.String   `tfsdk:"location"`
	ConnectionID     types.String   `tfsdk:"connection_id"`
	FriendlyName     types.String   `tfsdk:"friendly_name"`
	Description      types.String   `tfsdk:"description"`
	Roles            types.Set      `tfsdk:"roles"`
	ServiceAccountID types.String   `tfsdk:"service_account_id"`
	DeletionPolicy   types.String   `tfsdk:"deletion_policy"`
	Timeouts         timeouts.Value `tfsdk:"timeouts"`
}

// validate checks what one attribute cannot tell alone. Unknown values pass.
func (m *model) validate() (diags diag.Diagnostics) {
	if bqml.IsMarker(m.FriendlyName.ValueString()) {
		diags.AddAttributeError(path.Root("friendly_name"), "Reserved friendly name", "This text is the marker that gcpml itself writes; leave friendly_name out, or choose another text.")
	}
	if !m.ConnectionID.IsNull() || m.FriendlyName.IsUnknown() {
		return diags
	}
	if slug(m.FriendlyName) == "" {
		diags.AddAttributeError(path.Root("connection_id"), "Missing connection id",
			"Set connection_id. It can be left out only if friendly_name has letters or digits to make an id of.")
	}
	return diags
}

func slug(friendlyName types.String) string { return gcp.Slug(friendlyName.ValueString(), "_") }

// complete fills what follows from other attributes and the provider's project.
func (m *model) complete(config *model, project string, diags *diag.Diagnostics) {
	if m.Project.IsUnknown() && config.Project.IsNull() {
		if project == "" {
			diags.AddAttributeError(path.Root("project"), "No project", "Set project here or in the provider block, or GOOGLE_PROJECT in the environment.")
			return
		}
		m.Project = types.StringValue(project)
	}
	if m.ConnectionID.IsUnknown() && config.ConnectionID.IsNull() && !m.FriendlyName.IsUnknown() {
		m.ConnectionID = types.StringValue(slug(m.FriendlyName))
	}
	if m.ID.IsUnknown() && !m.Project.IsUnknown() && !m.Location.IsUnknown() && !m.ConnectionID.IsUnknown() {
		m.ID = types.StringValue(m.name().String())
	}
}

func (m *model) name() gcp.Name {
	return gcp.Name{Project: m.Project.ValueString(), Location: m.Location.ValueString(), Kind: gcp.KindConnection, ID: m.ConnectionID.ValueString()}
}

// identity is what the name is made of.
func (m *model) identity() tfkit.Identity {
	return tfkit.Identity{"project": m.Project, "location": m.Location, "connection_id": m.ConnectionID}
}

func (m *model) roles(ctx context.Context, diags *diag.Diagnostics) []string {
	if m.Roles.IsNull() || m.Roles.IsUnknown() {
		return nil
	}
	var roles []string
	diags.Append(m.Roles.ElementsAs(ctx, &roles, false)...)
	slices.Sort(roles)
	return roles
}

func (m *model) toSpec(ctx context.Context, diags *diag.Diagnostics) bqml.ConnectionSpec {
	return bqml.ConnectionSpec{
		Name:         m.name(),
		FriendlyName: m.FriendlyName.ValueString(),
		Description:  m.Description.ValueString(),
		Roles:        m.roles(ctx, diags),
	}
}

// fromRemote takes what the server has. Of the roles only those that the state
// names are shown: others are not this resource's business. After an import it
// names none yet, and all are taken.
func (m *model) fromRemote(ctx context.Context, c *bqml.Connection, imported bool, diags *diag.Diagnostics) {
	m.ID = types.StringValue(m.name().String())
	m.FriendlyName = tfkit.StringOrNull(c.FriendlyName, m.FriendlyName)
	m.Description = tfkit.StringOrNull(c.Description, m.Description)
	m.ServiceAccountID = types.StringValue(c.ServiceAccount)
	if c.RolesErr != nil {
		return
	}
	declared := m.roles(ctx, diags)
	switch {
	case imported && len(c.Roles) > 0:
		m.Roles = setOf(c.Roles)
	case !m.Roles.IsNull():
		m.Roles = setOf(slices.DeleteFunc(declared, func(r string) bool { return !slices.Contains(c.Roles, r) }))
	}
}

func setOf(roles []string) types.Set {
	elements := make([]attr.Value, len(roles))
	for i, r := range roles {
		elements[i] = types.StringValue(r)
	}
	return types.SetValueMust(types.StringType, elements)
}

// What private state remembers beside the incarnation.
const (
	extraCreated = "created" // time of creation on the server, milliseconds since 1970
	extraGranted = "granted" // roles that this resource granted, separated by commas
)

func remember(p *tfkit.Private, c *bqml.Connection, granted []string) {
	if c.Identity.Marker.Incarnation != "" {
		p.Incarnation = c.Identity.Marker.Incarnation
	}
	slices.Sort(granted)
	p.Extra = map[string]string{
		extraCreated: strconv.FormatInt(c.Identity.Created, 10),
		extraGranted: strings.Join(slices.Compact(granted), ","),
	}
}

func created(p tfkit.Private) int64 {
	n, _ := strconv.ParseInt(p.Extra[extraCreated], 10, 64)
	return n
}

func granted(p tfkit.Private) []string {
	return strings.FieldsFunc(p.Extra[extraGranted], func(r rune) bool { return r == ',' })
}

// isImported reports that nothing is remembered yet.
func isImported(p tfkit.Private) bool { return p.Incarnation == "" && p.Extra[extraCreated] == "" }

// without returns the elements of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
