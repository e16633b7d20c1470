// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"context"
	"maps"
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
	KMSKeyName       types.String   `tfsdk:"kms_key_name"`
	Roles            types.Set      `tfsdk:"roles"`
	ProjectRoles     types.Map      `tfsdk:"project_roles"`
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

// checkProjects is for when the project is known.
func (m *model) checkProjects(diags *diag.Diagnostics) {
	if own := m.Project.ValueString(); !m.ProjectRoles.IsUnknown() && slices.Contains(m.otherProjects(), own) {
		diags.AddAttributeError(path.Root("project_roles").AtMapKey(own), "The connection's own project", "Roles in the project of the connection belong in roles.")
	}
}

func slug(friendlyName types.String) string { return gcp.Slug(friendlyName.ValueString(), "_") }

// complete fills what follows from other attributes and the provider's project.
func (m *model) complete(config *model, project string, diags *diag.Diagnostics) {
	tfkit.PlanPlace("project", &m.Project, config.Project, project, diags)
	m.checkProjects(diags)
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

// grants are those that the model lists, own project first.
func (m *model) grants(ctx context.Context, diags *diag.Diagnostics) (grants []bqml.Grant) {
	add := func(project string, set types.Set) {
		if set.IsNull() || set.IsUnknown() {
			return
		}
		var roles []string
		diags.Append(set.ElementsAs(ctx, &roles, false)...)
		slices.Sort(roles)
		for _, role := range roles {
			grants = append(grants, bqml.Grant{Project: project, Role: role})
		}
	}
	add(m.Project.ValueString(), m.Roles)
	for _, project := range m.otherProjects() {
		set, _ := m.ProjectRoles.Elements()[project].(types.Set)
		add(project, set)
	}
	return grants
}

func (m *model) otherProjects() []string { return slices.Sorted(maps.Keys(m.ProjectRoles.Elements())) }

// listed are the projects of which the policies matter; own adds the connection's.
func (m *model) listed(own bool) []string {
	if !own && m.Roles.IsNull() {
		return m.otherProjects()
	}
	return append([]string{m.Project.ValueString()}, m.otherProjects()...)
}

func (m *model) toSpec(ctx context.Context, diags *diag.Diagnostics) bqml.ConnectionSpec {
	m.checkProjects(diags)
	return bqml.ConnectionSpec{
		Name:         m.name(),
		FriendlyName: m.FriendlyName.ValueString(),
		Description:  m.Description.ValueString(),
		KMSKey:       m.KMSKeyName.ValueString(),
		Grants:       m.grants(ctx, diags),
	}
}

// fromRemote takes what the server has. Of the roles only those that the state
// names are shown: others are not this resource's business. After an import it
// names none yet, and all of the connection's project are taken.
func (m *model) fromRemote(c *bqml.Connection, imported bool) {
	m.ID = types.StringValue(m.name().String())
	m.FriendlyName = tfkit.StringOrNull(c.FriendlyName, m.FriendlyName)
	m.Description = tfkit.StringOrNull(c.Description, m.Description)
	m.KMSKeyName = tfkit.StringOrNull(c.KMSKey, m.KMSKeyName)
	m.ServiceAccountID = types.StringValue(c.ServiceAccount)
	own := m.Project.ValueString()
	switch has := rolesIn(c.Grants, own); {
	case c.Unread[own] != nil:
	case imported && len(has) > 0:
		m.Roles = setOf(has)
	case !m.Roles.IsNull():
		m.Roles = held(m.Roles, has)
	}
	if m.ProjectRoles.IsNull() {
		return
	}
	others := map[string]attr.Value{}
	for project, listed := range m.ProjectRoles.Elements() {
		others[project] = listed
		if set, ok := listed.(types.Set); ok && c.Unread[project] == nil {
			others[project] = held(set, rolesIn(c.Grants, project))
		}
	}
	m.ProjectRoles = types.MapValueMust(types.SetType{ElemType: types.StringType}, others)
}

func rolesIn(grants []bqml.Grant, project string) (roles []string) {
	for _, g := range grants {
		if g.Project == project {
			roles = append(roles, g.Role)
		}
	}
	return roles
}

// held are the listed roles that the account has.
func held(listed types.Set, has []string) types.Set {
	elements := slices.DeleteFunc(slices.Clone(listed.Elements()), func(v attr.Value) bool {
		role, _ := v.(types.String)
		return !slices.Contains(has, role.ValueString())
	})
	return types.SetValueMust(types.StringType, elements)
}

// withGrants lists also these, of which fromRemote keeps those that are there.
func (m *model) withGrants(grants []bqml.Grant) {
	byProject := map[string][]string{}
	for _, g := range grants {
		if !slices.Contains(byProject[g.Project], g.Role) {
			byProject[g.Project] = append(byProject[g.Project], g.Role)
		}
	}
	if own := byProject[m.Project.ValueString()]; len(own) > 0 {
		m.Roles = setOf(own)
	}
	delete(byProject, m.Project.ValueString())
	if len(byProject) == 0 {
		return
	}
	others := map[string]attr.Value{}
	for project, roles := range byProject {
		others[project] = setOf(roles)
	}
	m.ProjectRoles = types.MapValueMust(types.SetType{ElemType: types.StringType}, others)
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
	// extraGranted are the grants that this resource gave, extraAgain those that it gave
	// once more after somebody had taken them: "PROJECT ROLE", separated by commas.
	extraGranted = "granted"
	extraAgain   = "again"
)

func remember(p *tfkit.Private, c *bqml.Connection, granted, again []bqml.Grant) {
	if c.Identity.Marker.Incarnation != "" {
		p.Incarnation = c.Identity.Marker.Incarnation
	}
	p.Extra = map[string]string{
		extraCreated: strconv.FormatInt(c.Identity.Created, 10),
		extraGranted: encode(granted),
		extraAgain:   encode(again),
	}
}

// forget drops what is neither listed nor held any more: listing it again begins anew.
func forget(p *tfkit.Private, c *bqml.Connection, listed []bqml.Grant) {
	if p.Extra == nil {
		return
	}
	keep := func(grants []bqml.Grant) string {
		return encode(slices.DeleteFunc(grants, func(g bqml.Grant) bool {
			return !slices.Contains(listed, g) && !slices.Contains(c.Grants, g) && c.Unread[g.Project] == nil
		}))
	}
	p.Extra[extraGranted], p.Extra[extraAgain] = keep(granted(*p)), keep(again(*p))
}

// outlived tells what was granted here to the service account of a connection that
// somebody deleted: IAM keeps the roles of an account that is gone, and with the state
// goes the last knowledge of them.
func (m *model) outlived(p tfkit.Private, diags *diag.Diagnostics) {
	if ours := granted(p); len(ours) > 0 {
		account := m.ServiceAccountID.ValueString()
		diags.AddWarning("The grants of a "+kind+" that is gone may be left",
			m.ID.ValueString()+" was deleted, and not by Terraform. "+words(ours)+" had been granted to its service account, "+account+
				". IAM keeps the roles of a deleted account, as deleted:serviceAccount:"+account+"?uid=…, until they are removed: gcloud projects remove-iam-policy-binding.")
	}
}

func encode(grants []bqml.Grant) string {
	texts := make([]string, len(grants))
	for i, g := range grants {
		texts[i] = g.Project + " " + g.Role
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

func decode(text string) (grants []bqml.Grant) {
	for _, t := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		project, role, _ := strings.Cut(t, " ")
		grants = append(grants, bqml.Grant{Project: project, Role: role})
	}
	return grants
}

func created(p tfkit.Private) int64 {
	n, _ := strconv.ParseInt(p.Extra[extraCreated], 10, 64)
	return n
}

func granted(p tfkit.Private) []bqml.Grant { return decode(p.Extra[extraGranted]) }

func again(p tfkit.Private) []bqml.Grant { return decode(p.Extra[extraAgain]) }

// isImported reports that nothing is remembered yet.
func isImported(p tfkit.Private) bool { return p.Incarnation == "" && p.Extra[extraCreated] == "" }

// without returns the elements of a that are not in b.
func without[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(e T) bool { return slices.Contains(b, e) })
}

// both returns the elements of a that are also in b.
func both[T comparable](a, b []T) []T { return without(a, without(a, b)) }

func words(grants []bqml.Grant) string {
	texts := make([]string, len(grants))
	for i, g := range grants {
		texts[i] = g.String()
	}
	return strings.Join(texts, ", ")
}
