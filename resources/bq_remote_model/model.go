// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

type model struct {
	tfkit.LabelSet
	ID                    types.String   `tfsdk:"id"`
	Project               types.String   `tfsdk:"project"`
	DatasetID             types.String   `tfsdk:"dataset_id"`
	ModelID               types.String   `tfsdk:"model_id"`
	Connection            types.String   `tfsdk:"connection_name"`
	Endpoint              types.String   `tfsdk:"endpoint"`
	Input                 types.List     `tfsdk:"input"`
	Output                types.List     `tfsdk:"output"`
	Description           types.String   `tfsdk:"description"`
	ExpirationTime        types.String   `tfsdk:"expiration_time"`
	IAMPropagationTimeout types.String   `tfsdk:"iam_propagation_timeout"`
	Location              types.String   `tfsdk:"location"`
	EndpointURL           types.String   `tfsdk:"endpoint_url"`
	DeletionPolicy        types.String   `tfsdk:"deletion_policy"`
	Timeouts              timeouts.Value `tfsdk:"timeouts"`
}

var columnType = types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "type": types.StringType}}

// column is an element of input or output; its fields can be unknown.
type column struct{ name, typ types.String }

// columnsOf reads a list of columns; ok is false while the list is not known.
func columnsOf(list types.List) (columns []column, ok bool) {
	if list.IsNull() || list.IsUnknown() {
		return nil, false
	}
	for _, element := range list.Elements() {
		object, isObject := element.(types.Object)
		if !isObject || object.IsNull() || object.IsUnknown() {
			columns = append(columns, column{types.StringUnknown(), types.StringUnknown()})
			continue
		}
		name, _ := object.Attributes()["name"].(types.String)
		typ, _ := object.Attributes()["type"].(types.String)
		columns = append(columns, column{name, typ})
	}
	return columns, true
}

func isKnown(v interface {
	IsNull() bool
	IsUnknown() bool
}) bool {
	return !v.IsNull() && !v.IsUnknown()
}

// validate checks what one attribute cannot tell alone, and all that has a grammar
// in the domain. Unknown values pass.
func (m *model) validate() (diags diag.Diagnostics) {
	for name, list := range map[string]types.List{"input": m.Input, "output": m.Output} {
		columns, _ := columnsOf(list)
		seen := map[string]bool{}
		for i, c := range columns {
			at := path.Root(name).AtListIndex(i)
			if isKnown(c.name) {
				text := c.name.ValueString()
				if err := bqml.CheckColumnName(text); err != nil {
					diags.AddAttributeError(at.AtName("name"), "Invalid column name", err.Error()+".")
				}
				if seen[strings.ToLower(text)] {
					diags.AddAttributeError(at.AtName("name"), "Duplicate column name", fmt.Sprintf("%q occurs twice in %s; the case of letters does not count.", text, name))
				}
				seen[strings.ToLower(text)] = true
			}
			if isKnown(c.typ) {
				if _, err := bqml.NormalType(c.typ.ValueString()); err != nil {
					diags.AddAttributeError(at.AtName("type"), "Invalid column type", err.Error()+".")
				}
			}
		}
	}
	connection, hasConnection := parse(gcp.KindConnection, m.Connection, "connection_name", &diags)
	endpoint, hasEndpoint := parse(gcp.KindEndpoint, m.Endpoint, "endpoint", &diags)
	if hasConnection && hasEndpoint {
		warning, err := bqml.CheckRegions(connection.Location, endpoint.Location)
		if err != nil {
			diags.AddAttributeError(path.Root("endpoint"), "Regions that cannot work together", sentence(err.Error()))
		} else if warning != "" {
			diags.AddAttributeWarning(path.Root("endpoint"), "Regions that may not work together", sentence(warning))
		}
	}
	if _, err := m.expiration(); err != nil {
		diags.AddAttributeError(path.Root("expiration_time"), "Invalid time", err.Error())
	}
	if _, err := m.propagation(); err != nil {
		diags.AddAttributeError(path.Root("iam_propagation_timeout"), "Invalid duration", err.Error())
	}
	return diags
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

func parse(kind gcp.Kind, v types.String, attribute string, diags *diag.Diagnostics) (gcp.Name, bool) {
	if !isKnown(v) {
		return gcp.Name{}, false
	}
	n, err := gcp.ParseName(kind, v.ValueString())
	if err != nil {
		diags.AddAttributeError(path.Root(attribute), "Invalid resource name", sentence(err.Error()))
	}
	return n, err == nil
}

// expiration is the zero time if there is none.
func (m *model) expiration() (time.Time, error) {
	if !isKnown(m.ExpirationTime) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, m.ExpirationTime.ValueString())
	switch {
	case err != nil:
		return t, fmt.Errorf("%q is not a time of RFC 3339, such as 2031-12-31T23:59:59Z", m.ExpirationTime.ValueString())
	case t.UnixMilli() <= 0:
		return t, fmt.Errorf("%q is not after 1970", m.ExpirationTime.ValueString())
	case !t.Equal(t.Truncate(time.Millisecond)):
		return t, fmt.Errorf("%q is finer than a millisecond, which is all that BigQuery keeps", m.ExpirationTime.ValueString())
	}
	return t, nil
}

func (m *model) propagation() (time.Duration, error) {
	if !isKnown(m.IAMPropagationTimeout) {
		return bqml.DefaultPropagation, nil
	}
	d, err := time.ParseDuration(m.IAMPropagationTimeout.ValueString())
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as \"10m\", or \"0s\" to fail at the first refusal", m.IAMPropagationTimeout.ValueString())
	}
	return d, nil
}

// complete fills what follows from other attributes and the provider's configuration.
// before is what was there, nil if nothing was.
func (m *model) complete(config *model, before *tfkit.LabelSet, c *gcp.Clients, diags *diag.Diagnostics) {
	m.PlanLabels(before, c.Config().DefaultLabels)
	tfkit.PlanDeletionPolicy(&m.DeletionPolicy, config.DeletionPolicy, c)
	project := c.Project()
	if m.Project.IsUnknown() && config.Project.IsNull() {
		if project == "" {
			diags.AddAttributeError(path.Root("project"), "No project", "Set project here or in the provider block, or GOOGLE_PROJECT in the environment.")
			return
		}
		m.Project = types.StringValue(project)
	}
	if m.ID.IsUnknown() && isKnown(m.Project) && isKnown(m.DatasetID) && isKnown(m.ModelID) {
		m.ID = types.StringValue(m.name().String())
	}
	if endpoint, err := gcp.ParseName(gcp.KindEndpoint, m.Endpoint.ValueString()); err == nil {
		m.EndpointURL = types.StringValue(bqml.EndpointURL(endpoint))
	}
}

// keepSpelling takes the prior spelling of values that still mean the same, so that
// they are no difference.
func (m *model) keepSpelling(prior *model, same func(kind gcp.Kind, a, b string) bool) {
	keep := func(v *types.String, prior types.String, same func(a, b string) bool) {
		if isKnown(*v) && isKnown(prior) && same(v.ValueString(), prior.ValueString()) {
			*v = prior
		}
	}
	keep(&m.Connection, prior.Connection, func(a, b string) bool { return same(gcp.KindConnection, a, b) })
	keep(&m.Endpoint, prior.Endpoint, func(a, b string) bool { return same(gcp.KindEndpoint, a, b) })
	keep(&m.ExpirationTime, prior.ExpirationTime, sameTime)
	m.Input = keepTypes(m.Input, prior.Input)
	m.Output = keepTypes(m.Output, prior.Output)
}

func sameTime(a, b string) bool {
	x, errX := time.Parse(time.RFC3339Nano, a)
	y, errY := time.Parse(time.RFC3339Nano, b)
	return errX == nil && errY == nil && x.Equal(y)
}

// keepTypes returns the list with the type spelled as in prior wherever it means the same.
func keepTypes(list, prior types.List) types.List {
	columns, ok := columnsOf(list)
	was, okPrior := columnsOf(prior)
	if !ok || !okPrior {
		return list
	}
	for i := range columns {
		if i < len(was) && isKnown(columns[i].typ) && bqml.SameType(columns[i].typ.ValueString(), was[i].typ.ValueString()) {
			columns[i].typ = was[i].typ
		}
	}
	return listOf(columns)
}

func listOf(columns []column) types.List {
	elements := make([]attr.Value, len(columns))
	for i, c := range columns {
		elements[i] = types.ObjectValueMust(columnType.AttrTypes, map[string]attr.Value{"name": c.name, "type": c.typ})
	}
	return basetypes.NewListValueMust(columnType, elements)
}

func (m *model) name() gcp.RemoteModelName {
	return gcp.RemoteModelName{Project: m.Project.ValueString(), Dataset: m.DatasetID.ValueString(), ID: m.ModelID.ValueString()}
}

// identity is what the name is made of.
func (m *model) identity() tfkit.Identity {
	return tfkit.Identity{"project": m.Project, "dataset_id": m.DatasetID, "model_id": m.ModelID}
}

// toSpec turns a plan, in which everything that was configured is known, into a spec.
// before is what was there, nil if nothing was.
func (m *model) toSpec(before *tfkit.LabelSet, diags *diag.Diagnostics) bqml.ModelSpec {
	diags.Append(m.validate().Errors()...)
	spec := bqml.ModelSpec{
		Name:        m.name(),
		Input:       domainColumns(m.Input),
		Output:      domainColumns(m.Output),
		Description: m.Description.ValueString(),
	}
	spec.Labels, spec.DropLabels = m.WantedLabels(before)
	// validate has reported what does not parse.
	spec.Connection, _ = gcp.ParseName(gcp.KindConnection, m.Connection.ValueString())
	spec.Endpoint, _ = gcp.ParseName(gcp.KindEndpoint, m.Endpoint.ValueString())
	spec.Expiration, _ = m.expiration()
	return spec
}

func domainColumns(list types.List) []bqml.Column {
	columns, _ := columnsOf(list)
	out := make([]bqml.Column, len(columns))
	for i, c := range columns {
		out[i] = bqml.Column{Name: c.name.ValueString(), Type: c.typ.ValueString()}
	}
	return out
}

// fromRemote takes what the server has, in the spelling of the state where that
// means the same. canonical names a project by its id.
func (m *model) fromRemote(r *bqml.Model, same func(a, b gcp.Name) bool, canonical func(gcp.Name) gcp.Name) {
	m.ID = types.StringValue(m.name().String())
	m.Connection = nameValue(gcp.KindConnection, m.Connection, r.Connection, same, canonical)
	m.Endpoint = nameValue(gcp.KindEndpoint, m.Endpoint, r.Endpoint, same, canonical)
	if endpoint, err := gcp.ParseName(gcp.KindEndpoint, m.Endpoint.ValueString()); err == nil {
		m.EndpointURL = types.StringValue(bqml.EndpointURL(endpoint))
	}
	m.Input = remoteColumns(m.Input, r.Input)
	m.Output = remoteColumns(m.Output, r.Output)
	m.Description = tfkit.StringOrNull(r.Description, m.Description)
	m.ReadLabels(r.Labels)
	m.Location = types.StringValue(r.Location)
	switch {
	case r.Expiration.IsZero():
		m.ExpirationTime = types.StringNull()
	case !sameTime(m.ExpirationTime.ValueString(), r.Expiration.Format(time.RFC3339Nano)):
		m.ExpirationTime = types.StringValue(r.Expiration.UTC().Format(time.RFC3339Nano))
	}
}

func nameValue(kind gcp.Kind, prior types.String, have gcp.Name, same func(a, b gcp.Name) bool, canonical func(gcp.Name) gcp.Name) types.String {
	if n, err := gcp.ParseName(kind, prior.ValueString()); err == nil && same(n, have) {
		return prior
	}
	return types.StringValue(canonical(have).String())
}

func remoteColumns(prior types.List, have []bqml.Column) types.List {
	if have == nil {
		return prior
	}
	columns := make([]column, len(have))
	for i, c := range have {
		columns[i] = column{types.StringValue(c.Name), types.StringValue(c.Type)}
	}
	return keepTypes(listOf(columns), prior)
}

// extraCreated is the server's time of creation in private state, in milliseconds
// since 1970.
const extraCreated = "created"

func remember(p *tfkit.Private, r *bqml.Model) {
	if r.Identity.Marker.Incarnation != "" {
		p.Incarnation = r.Identity.Marker.Incarnation
	}
	p.Extra = map[string]string{extraCreated: strconv.FormatInt(r.Identity.Created, 10)}
}

func created(p tfkit.Private) int64 {
	n, _ := strconv.ParseInt(p.Extra[extraCreated], 10, 64)
	return n
}
