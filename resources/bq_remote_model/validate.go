// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

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
	connection, hasConnection := m.connection(&diags)
	target, hasEndpoint := m.endpoint(&diags)
	m.validateKind(target, &diags)
	m.validateService(&diags)
	validateOpenModel(openModelOf(m.OpenModel), &diags)
	m.validateProbe(&diags)
	if region := cmp.Or(target.Endpoint.Location, target.HostedLocation()); hasConnection && hasEndpoint && connection.Location != "" && region != "" {
		warning, err := bqml.CheckRegions(connection.Location, region)
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

// defaultConnection is the connection_name that stands for BigQuery's default one.
const defaultConnection = "DEFAULT"

// connection is the zero name for the default one; ok is false while it is not known or
// not valid.
func (m *model) connection(diags *diag.Diagnostics) (n gcp.Name, ok bool) {
	if !isKnown(m.Connection) {
		return n, false
	}
	if m.Connection.ValueString() == defaultConnection {
		return n, true
	}
	n, err := gcp.ParseName(gcp.KindConnection, m.Connection.ValueString())
	if err != nil {
		diags.AddAttributeError(path.Root("connection_name"), "Invalid resource name", sentence(err.Error()+", nor is it "+defaultConnection))
	}
	return n, err == nil
}

// endpoint is what endpoint names; ok is false while there is none that is known.
func (m *model) endpoint(diags *diag.Diagnostics) (t bqml.Target, ok bool) {
	if !isKnown(m.Endpoint) {
		return t, false
	}
	t, err := bqml.ParseEndpoint(m.Endpoint.ValueString())
	if err != nil {
		diags.AddAttributeError(path.Root("endpoint"), "Invalid resource name", sentence(err.Error()))
	}
	return t, err == nil
}

// validateKind checks that the model calls one thing, and has columns only where that
// takes some.
func (m *model) validateKind(target bqml.Target, diags *diag.Diagnostics) {
	var given []string
	unknown := false
	for _, a := range []struct {
		name  string
		value attr.Value
	}{{"endpoint", m.Endpoint}, {"remote_service_type", m.ServiceType}, {"open_model", m.OpenModel}} {
		if !a.value.IsNull() {
			given = append(given, a.name)
			unknown = unknown || a.value.IsUnknown()
		}
	}
	switch {
	case len(given) == 0:
		diags.AddAttributeError(path.Root("endpoint"), "Nothing to call", "Set endpoint, remote_service_type or open_model.")
		return
	case len(given) > 1:
		if !unknown { // what is not known may turn out to be null
			diags.AddAttributeError(path.Root(given[1]), "More than one thing to call", "Set only one of "+strings.Join(given, " and ")+".")
		}
		return
	}
	custom := given[0] == "endpoint" && target.Hosted == ""
	switch {
	case m.Input.IsNull() && isKnown(m.Output):
		diags.AddAttributeError(path.Root("input"), "Missing input", "Set input and output, or neither.")
	case m.Output.IsNull() && isKnown(m.Input):
		diags.AddAttributeError(path.Root("output"), "Missing output", "Set input and output, or neither.")
	case !custom && isKnown(m.Input):
		diags.AddAttributeError(path.Root("input"), "Input of a model that has none", "Only a model over an endpoint of your own has input and output: leave them out.")
	case !custom && isKnown(m.Probe):
		diags.AddAttributeError(path.Root("probe"), "Probe of a model that cannot be probed", "Only a model over an endpoint of your own can be probed, since a probe runs ML.PREDICT: leave it out.")
	}
}

func (m *model) validateService(diags *diag.Diagnostics) {
	if m.ServiceType.IsUnknown() {
		return
	}
	service := m.ServiceType.ValueString()
	if service == bqml.ServiceDocument && m.DocumentProcessor.IsNull() {
		diags.AddAttributeError(path.Root("document_processor"), "Missing document processor", service+" needs document_processor.")
	}
	if service != bqml.ServiceDocument && isKnown(m.DocumentProcessor) {
		diags.AddAttributeError(path.Root("document_processor"), "Document processor without its service", "document_processor goes with remote_service_type = \""+bqml.ServiceDocument+"\" only.")
	}
	if service != bqml.ServiceSpeech && isKnown(m.SpeechRecognizer) {
		diags.AddAttributeError(path.Root("speech_recognizer"), "Speech recognizer without its service", "speech_recognizer goes with remote_service_type = \""+bqml.ServiceSpeech+"\" only.")
	}
}

func validateOpenModel(o openModel, diags *diag.Diagnostics) {
	if !o.given {
		return
	}
	at := path.Root("open_model")
	switch {
	case o.HuggingFaceID.IsNull() && o.ModelGarden.IsNull():
		diags.AddAttributeError(at, "No open model", "Set hugging_face_model_id or model_garden_model_name.")
	case isKnown(o.HuggingFaceID) && isKnown(o.ModelGarden):
		diags.AddAttributeError(at.AtName("model_garden_model_name"), "Two open models", "Set only one of hugging_face_model_id and model_garden_model_name.")
	}
	if o.HuggingFaceID.IsNull() && !o.Token.IsNull() {
		diags.AddAttributeError(at.AtName("hugging_face_token_wo"), "Token without a Hugging Face model", "hugging_face_token_wo goes with hugging_face_model_id only.")
	}
	if least, most := o.MinReplicas.ValueInt64(), o.MaxReplicas.ValueInt64(); isKnown(o.MaxReplicas) && !o.MinReplicas.IsUnknown() && most < least {
		diags.AddAttributeError(at.AtName("max_replica_count"), "Fewer replicas at most than at least", fmt.Sprintf("max_replica_count is %d, min_replica_count %d.", most, least))
	}
	if _, err := o.idleTTL(); err != nil {
		diags.AddAttributeError(at.AtName("endpoint_idle_ttl"), "Invalid idle time", sentence(err.Error()))
	}
	r := o.reservation()
	at = at.AtName("reservation_affinity")
	if !r.given || r.Type.IsUnknown() {
		return
	}
	specific := r.Type.ValueString() == "SPECIFIC_RESERVATION"
	switch {
	case specific && r.Key.IsNull():
		diags.AddAttributeError(at.AtName("key"), "Missing reservation key", "SPECIFIC_RESERVATION needs key = \""+reservationKey+"\".")
	case specific && r.Values.IsNull():
		diags.AddAttributeError(at.AtName("values"), "Missing reservations", "SPECIFIC_RESERVATION needs values.")
	case !specific && isKnown(r.Key):
		diags.AddAttributeError(at.AtName("key"), "Key without a specific reservation", "key goes with SPECIFIC_RESERVATION only.")
	case !specific && isKnown(r.Values):
		diags.AddAttributeError(at.AtName("values"), "Reservations without a specific reservation", "values go with SPECIFIC_RESERVATION only.")
	}
}

func (m *model) validateProbe(diags *diag.Diagnostics) {
	if !isKnown(m.Probe) {
		return
	}
	at := path.Root("probe")
	query, rows := as[types.String](m.Probe, "query"), as[types.List](m.Probe, "rows")
	switch {
	case query.IsNull() && rows.IsNull():
		diags.AddAttributeError(at, "Empty probe", "Set query or rows.")
	case isKnown(query) && isKnown(rows):
		diags.AddAttributeError(at.AtName("rows"), "Probe with a query and rows", "Set only one of query and rows.")
	case isKnown(query) && strings.TrimSpace(query.ValueString()) == "":
		diags.AddAttributeError(at.AtName("query"), "Empty query", "Give one SELECT, or leave the query out.")
	}
	for i, e := range rows.Elements() {
		text, _ := e.(types.String)
		if !isKnown(text) {
			continue
		}
		if _, err := probeRow(text.ValueString()); err != nil {
			diags.AddAttributeError(at.AtName("rows").AtListIndex(i), "Invalid row", "Give a JSON object with a value for each input, such as jsonencode({ text = \"a film\" }): "+err.Error()+".")
		}
	}
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
