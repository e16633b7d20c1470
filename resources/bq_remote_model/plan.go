// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// complete fills what follows from other attributes, the provider's configuration and
// what was there; prior is nil if nothing was.
func (m *model) complete(config, prior *model, c *gcp.Clients, diags *diag.Diagnostics) {
	var before *tfkit.LabelSet
	if prior != nil {
		before = &prior.LabelSet
	}
	m.PlanLabels(before, c.Config().DefaultLabels)
	tfkit.PlanDeletionPolicy(&m.DeletionPolicy, config.DeletionPolicy, c)
	tfkit.PlanPlace("project", &m.Project, config.Project, c.Project(), diags)
	if m.ID.IsUnknown() && isKnown(m.Project) && isKnown(m.DatasetID) && isKnown(m.ModelID) {
		m.ID = types.StringValue(m.name().String())
	}
	if prior != nil && prior.Location.IsNull() {
		prior = nil // of an interrupted create not all is known
	}
	m.completeTarget(config, prior, c.Universe())
	m.checkUniverse(c.Universe(), diags)
	switch {
	case m.Probe.IsNull():
		m.ProbePassed = types.BoolNull()
	case m.Probe.IsUnknown():
		m.ProbePassed = types.BoolUnknown()
	default:
		m.ProbePassed = types.BoolValue(true)
	}
}

// checkUniverse refuses the URL of an endpoint that the provider is not configured for.
func (m *model) checkUniverse(universe string, diags *diag.Diagnostics) {
	if of := gcp.UniverseOf(m.Endpoint.ValueString()); of != "" && of != universe {
		diags.AddAttributeError(path.Root("endpoint"), "Endpoint of another universe",
			fmt.Sprintf("The URL is of the universe %s, and the provider is configured for %s: set the provider's universe_domain, or name the endpoint without a host.", of, universe))
	}
}

// completeTarget plans what follows from what the model calls. What was there stays
// where nothing that it depends on changes.
func (m *model) completeTarget(config, prior *model, universe string) {
	var ignored diag.Diagnostics // validate has reported what does not parse
	target, _ := m.endpoint(&ignored)
	custom := m.Endpoint.IsUnknown() || target.Custom()
	sameEndpoint := prior != nil && m.Endpoint.Equal(prior.Endpoint)
	for _, list := range []struct{ planned, configured, was *types.List }{
		{&m.Input, &config.Input, m.was(prior, func(p *model) *types.List { return &p.Input })},
		{&m.Output, &config.Output, m.was(prior, func(p *model) *types.List { return &p.Output })},
	} {
		switch {
		case !list.configured.IsNull():
		case !custom:
			*list.planned = types.ListNull(columnType)
		case sameEndpoint:
			*list.planned = *list.was
		default:
			*list.planned = types.ListUnknown(columnType)
		}
	}
	same := prior != nil && m.callsTheSame(prior)
	role := bqml.Target{}
	if isKnown(m.ServiceType) {
		role.Service = &bqml.CloudService{Type: m.ServiceType.ValueString()}
	}
	m.ConnectionRole = types.StringValue(role.Role())
	if m.ServiceType.IsUnknown() {
		m.ConnectionRole = types.StringUnknown()
	}
	switch {
	case target.Custom():
		m.EndpointURL = types.StringValue(bqml.EndpointURL(universe, target.Endpoint))
	case same:
		m.EndpointURL = prior.EndpointURL
	default:
		m.EndpointURL = types.StringUnknown()
	}
	switch {
	case isKnown(m.Connection) && m.Connection.ValueString() != defaultConnection:
		m.EffectiveConnection = m.Connection
	case prior != nil && m.Connection.Equal(prior.Connection):
		m.EffectiveConnection = prior.EffectiveConnection
	default:
		m.EffectiveConnection = types.StringUnknown()
	}
	if config.KMSKey.IsNull() {
		m.KMSKey = types.StringUnknown()
		if prior != nil && (same || !prior.KMSKey.IsNull()) {
			m.KMSKey = prior.KMSKey // a model that is replaced may get the dataset's
		}
	}
}

func (m *model) was(prior *model, list func(*model) *types.List) *types.List {
	if prior == nil {
		return nil
	}
	return list(prior)
}

// callsTheSame reports whether nothing changes that only CREATE OR REPLACE can change.
func (m *model) callsTheSame(prior *model) bool {
	return m.Connection.Equal(prior.Connection) && m.Endpoint.Equal(prior.Endpoint) && m.ServiceType.Equal(prior.ServiceType) &&
		m.OpenModel.Equal(prior.OpenModel) && m.Input.Equal(prior.Input) && m.Output.Equal(prior.Output) && !m.untold(prior)
}

// untold reports whether something changes that the server does not tell and that only
// CREATE OR REPLACE can change.
func (m *model) untold(prior *model) bool {
	return !m.DocumentProcessor.Equal(prior.DocumentProcessor) || !m.SpeechRecognizer.Equal(prior.SpeechRecognizer) ||
		!openModelOf(m.OpenModel).TokenVersion.Equal(openModelOf(prior.OpenModel).TokenVersion) ||
		m.Connection.ValueString() == defaultConnection && !m.Connection.Equal(prior.Connection)
}

// keepUntold takes back what the server does not tell, after an update that failed.
func (m *model) keepUntold(prior *model) {
	m.DocumentProcessor, m.SpeechRecognizer = prior.DocumentProcessor, prior.SpeechRecognizer
	if open, was := openModelOf(m.OpenModel), openModelOf(prior.OpenModel); open.given && was.given {
		open.TokenVersion, open.Deploy = was.TokenVersion, was.Deploy
		m.OpenModel = open.object()
	}
	if m.Connection.ValueString() == defaultConnection {
		m.Connection = prior.Connection
	}
}

// spelling tells what means the same.
type spelling struct {
	sameName                 func(a, b gcp.Name) bool
	sameHosted, sameResource func(a, b string) bool
	universe                 string
	// canonical names a project by its id.
	canonical func(gcp.Name) gcp.Name
}

// spellingOf compares with the project numbers that clients can look up.
func spellingOf(ctx context.Context, c *gcp.Clients, service *bqml.Service) spelling {
	return spelling{
		sameName:     func(a, b gcp.Name) bool { return service.SameName(ctx, a, b) },
		sameHosted:   func(a, b string) bool { return service.SameHosted(ctx, a, b) },
		sameResource: func(a, b string) bool { return service.SameResource(ctx, a, b) },
		universe:     c.Universe(),
		canonical: func(n gcp.Name) gcp.Name {
			return n.Canonical(func(p string) (string, error) { return c.ProjectID(ctx, p) })
		},
	}
}

// sameConnection compares connections; the default one is told by its id.
func (s spelling) sameConnection(a, b string) bool {
	isDefault := func(text string) bool {
		n, err := gcp.ParseName(gcp.KindConnection, text)
		return text == defaultConnection || err == nil && n.ID == bqml.DefaultConnectionID
	}
	x, errX := gcp.ParseName(gcp.KindConnection, a)
	y, errY := gcp.ParseName(gcp.KindConnection, b)
	if errX != nil || errY != nil {
		return a == b || isDefault(a) && isDefault(b)
	}
	return s.sameName(x, y)
}

func (s spelling) sameEndpoint(a, b string) bool {
	x, errX := bqml.ParseEndpoint(a)
	y, errY := bqml.ParseEndpoint(b)
	switch {
	case errX != nil || errY != nil || x.Custom() != y.Custom():
		return false
	case x.Custom():
		return s.sameName(x.Endpoint, y.Endpoint)
	}
	return s.sameHosted(x.Hosted, y.Hosted)
}

// keepSpelling takes the prior spelling of values that still mean the same, so that
// they are no difference.
func (m *model) keepSpelling(prior *model, s spelling) {
	keep := func(v *types.String, prior types.String, same func(a, b string) bool) {
		if isKnown(*v) && isKnown(prior) && same(v.ValueString(), prior.ValueString()) {
			*v = prior
		}
	}
	keep(&m.Connection, prior.Connection, s.sameConnection)
	keep(&m.Endpoint, prior.Endpoint, s.sameEndpoint)
	keep(&m.SpeechRecognizer, prior.SpeechRecognizer, s.sameResource)
	keep(&m.ExpirationTime, prior.ExpirationTime, sameTime)
	if open, was := openModelOf(m.OpenModel), openModelOf(prior.OpenModel); open.given && was.given {
		keep(&open.IdleTTL, was.IdleTTL, sameDuration)
		m.OpenModel = open.object()
	}
	m.Input = keepTypes(m.Input, prior.Input)
	m.Output = keepTypes(m.Output, prior.Output)
}

func sameDuration(a, b string) bool {
	x, errX := time.ParseDuration(a)
	y, errY := time.ParseDuration(b)
	return errX == nil && errY == nil && x == y
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
