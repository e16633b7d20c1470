// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

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
	ServiceType           types.String   `tfsdk:"remote_service_type"`
	DocumentProcessor     types.String   `tfsdk:"document_processor"`
	SpeechRecognizer      types.String   `tfsdk:"speech_recognizer"`
	OpenModel             types.Object   `tfsdk:"open_model"`
	Input                 types.List     `tfsdk:"input"`
	Output                types.List     `tfsdk:"output"`
	KMSKey                types.String   `tfsdk:"kms_key_name"`
	Probe                 types.Object   `tfsdk:"probe"`
	Description           types.String   `tfsdk:"description"`
	ExpirationTime        types.String   `tfsdk:"expiration_time"`
	IAMPropagationTimeout types.String   `tfsdk:"iam_propagation_timeout"`
	Location              types.String   `tfsdk:"location"`
	EndpointURL           types.String   `tfsdk:"endpoint_url"`
	EffectiveConnection   types.String   `tfsdk:"effective_connection_name"`
	ConnectionRole        types.String   `tfsdk:"connection_role"`
	ProbePassed           types.Bool     `tfsdk:"probe_passed"`
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

func (m *model) name() gcp.RemoteModelName {
	return gcp.RemoteModelName{Project: m.Project.ValueString(), Dataset: m.DatasetID.ValueString(), ID: m.ModelID.ValueString()}
}

func (m *model) writeTimeout() time.Duration {
	if m.OpenModel.IsNull() {
		return defaultWriteTimeout
	}
	return openModelTimeout
}

// identity is what the name is made of.
func (m *model) identity() tfkit.Identity {
	return tfkit.Identity{"project": m.Project, "dataset_id": m.DatasetID, "model_id": m.ModelID}
}

// toSpec turns a plan, in which everything that was configured is known, into a spec.
// before is what was there, nil if nothing was; config has what is write-only.
func (m *model) toSpec(before, config *model, diags *diag.Diagnostics) bqml.ModelSpec {
	diags.Append(m.validate().Errors()...)
	open := openModelOf(m.OpenModel)
	spec := bqml.ModelSpec{
		Name:        m.name(),
		Input:       domainColumns(m.Input),
		Output:      domainColumns(m.Output),
		KMSKey:      m.KMSKey.ValueString(),
		Probe:       m.probe(),
		Description: m.Description.ValueString(),
	}
	// validate has reported what does not parse.
	var ignored diag.Diagnostics
	spec.Target, _ = m.endpoint(&ignored)
	spec.Connection, _ = m.connection(&ignored)
	spec.Expiration, _ = m.expiration()
	spec.Open = open.toSpec(openModelOf(config.OpenModel).Token)
	if isKnown(m.ServiceType) {
		spec.Service = &bqml.CloudService{Type: m.ServiceType.ValueString(), DocumentProcessor: m.DocumentProcessor.ValueString(), SpeechRecognizer: m.SpeechRecognizer.ValueString()}
	}
	if isKnown(open.Deploy) {
		spec.Deploy = new(open.Deploy.ValueBool())
	}
	if before == nil {
		spec.Labels, spec.DropLabels = m.WantedLabels(nil)
		return spec
	}
	spec.Labels, spec.DropLabels = m.WantedLabels(&before.LabelSet)
	spec.Untold = m.untold(before)
	spec.DeployChanged = !open.Deploy.Equal(openModelOf(before.OpenModel).Deploy)
	spec.ProbeAgain = !before.ProbePassed.ValueBool() || !m.Probe.Equal(before.Probe)
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
// means the same.
func (m *model) fromRemote(r *bqml.Model, s spelling) {
	m.ID = types.StringValue(m.name().String())
	m.readConnection(r, s)
	m.readTarget(r, s)
	m.Input = remoteColumns(m.Input, r.Input)
	m.Output = remoteColumns(m.Output, r.Output)
	m.KMSKey = tfkit.StringOrNull(r.KMSKey, m.KMSKey)
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

// readConnection keeps DEFAULT as long as the connection stays the one that it was.
func (m *model) readConnection(r *bqml.Model, s spelling) {
	if m.Connection.ValueString() == defaultConnection {
		have := s.canonical(r.Connection)
		was, err := gcp.ParseName(gcp.KindConnection, m.EffectiveConnection.ValueString())
		if err == nil && !s.sameName(was, have) {
			m.Connection = types.StringValue(have.String())
		}
		m.EffectiveConnection = nameValue(gcp.KindConnection, m.EffectiveConnection, r.Connection, s)
		return
	}
	m.Connection = nameValue(gcp.KindConnection, m.Connection, r.Connection, s)
	m.EffectiveConnection = m.Connection
}

// readTarget takes what the model calls. What the server does not tell stays.
func (m *model) readTarget(r *bqml.Model, s spelling) {
	t := r.Target
	if t == (bqml.Target{}) { // a service that the API has no name for
		t.Service = &bqml.CloudService{}
	}
	if t.Service == nil {
		m.ServiceType, m.DocumentProcessor, m.SpeechRecognizer = types.StringNull(), types.StringNull(), types.StringNull()
	}
	if t.Open == nil {
		m.OpenModel = types.ObjectNull(openModelTypes)
	}
	if !t.Custom() && t.Hosted == "" {
		m.Endpoint = types.StringNull()
	}
	m.ConnectionRole = types.StringValue(t.Role())
	m.EndpointURL = tfkit.TextOrNull(r.EndpointURL)
	switch {
	case t.Custom():
		m.Endpoint = nameValue(gcp.KindEndpoint, m.Endpoint, t.Endpoint, s)
		if endpoint, err := gcp.ParseName(gcp.KindEndpoint, m.Endpoint.ValueString()); err == nil {
			m.EndpointURL = types.StringValue(bqml.EndpointURL(s.universe, endpoint))
		}
	case t.Hosted != "":
		if !isKnown(m.Endpoint) || !s.sameHosted(m.Endpoint.ValueString(), t.Hosted) {
			m.Endpoint = types.StringValue(t.Hosted)
		}
	case t.Service != nil:
		m.readService(t.Service, s)
	case t.Open != nil:
		m.OpenModel = openModelOf(m.OpenModel).read(t.Open).object()
	}
}

func (m *model) readService(have *bqml.CloudService, s spelling) {
	if have.Type != "" {
		m.ServiceType = types.StringValue(have.Type)
	}
	if have.Type != "" && have.Type != bqml.ServiceDocument {
		m.DocumentProcessor = types.StringNull()
	}
	m.ConnectionRole = tfkit.TextOrNull(bqml.Target{Service: &bqml.CloudService{Type: m.ServiceType.ValueString()}}.Role())
	switch speech := have.SpeechRecognizer; {
	case speech == "" || m.SpeechRecognizer.IsNull() && strings.HasSuffix(speech, "/recognizers/_"): // the service's own
		m.SpeechRecognizer = types.StringNull()
	case !s.sameResource(m.SpeechRecognizer.ValueString(), speech):
		m.SpeechRecognizer = types.StringValue(speech)
	}
}

func nameValue(kind gcp.Kind, prior types.String, have gcp.Name, s spelling) types.String {
	if n, err := gcp.ParseName(kind, prior.ValueString()); err == nil && s.sameName(n, have) {
		return prior
	}
	return types.StringValue(s.canonical(have).String())
}

func remoteColumns(prior types.List, have []bqml.Column) types.List {
	if have == nil {
		if prior.IsUnknown() {
			return types.ListNull(columnType)
		}
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
