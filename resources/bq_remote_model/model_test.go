// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

func columns(pairs ...string) types.List {
	var list []column
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, column{types.StringValue(pair[0]), types.StringValue(pair[1])})
	}
	return listOf(list)
}

func valid() model {
	return model{
		Project: types.StringValue("p"), DatasetID: types.StringValue("d"), ModelID: types.StringValue("m"),
		Connection: types.StringValue("projects/p/locations/US/connections/c"),
		Endpoint:   types.StringValue("https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/1"),
		Input:      columns("text", "string"), Output: columns("scores", "array<float64>"),
		LabelSet: tfkit.NoLabels(), OpenModel: types.ObjectNull(openModelTypes), Probe: types.ObjectNull(probeTypes),
	}
}

// literally compares without looking anything up; project number 42 is p.
func literally() spelling {
	projectID := func(p string) (string, error) {
		if p == "42" {
			return "p", nil
		}
		return p, nil
	}
	return spelling{
		sameName:     func(a, b gcp.Name) bool { return a.Canonical(projectID) == b.Canonical(projectID) },
		sameHosted:   func(a, b string) bool { return a == b },
		sameResource: func(a, b string) bool { return a == b },
		canonical:    func(n gcp.Name) gcp.Name { return n.Canonical(projectID) },
	}
}

func TestValidate(t *testing.T) {
	unknownColumns := types.ListUnknown(columnType)
	partly := listOf([]column{{types.StringUnknown(), types.StringValue("INT64")}, {types.StringUnknown(), types.StringUnknown()}})
	wholeUnknown := types.ListValueMust(columnType, []attr.Value{types.ObjectUnknown(columnType.AttrTypes)})
	for name, c := range map[string]struct {
		change  func(*model)
		at      string // path of the one error; "" is none
		warning bool
	}{
		"valid":           {func(*model) {}, "", false},
		"unknown lists":   {func(m *model) { m.Input, m.Output = unknownColumns, unknownColumns }, "", false},
		"unknown columns": {func(m *model) { m.Input, m.Output = partly, wholeUnknown }, "", false},
		"unknown names":   {func(m *model) { m.Connection, m.Endpoint = types.StringUnknown(), types.StringUnknown() }, "", false},
		"unknown times": {func(m *model) {
			m.ExpirationTime, m.IAMPropagationTimeout = types.StringUnknown(), types.StringUnknown()
		}, "", false},
		"bad type":              {func(m *model) { m.Input = columns("a", "INT64", "b", "DATE") }, "input[1].type", false},
		"bad name":              {func(m *model) { m.Output = columns("a b", "INT64") }, "output[0].name", false},
		"duplicate":             {func(m *model) { m.Output = columns("a", "INT64", "A", "INT64") }, "output[1].name", false},
		"one name in both":      {func(m *model) { m.Input, m.Output = columns("a", "INT64"), columns("a", "INT64") }, "", false},
		"status column":         {func(m *model) { m.Output = columns("remote_model_status", "STRING") }, "output[0].name", false},
		"bad connection":        {func(m *model) { m.Connection = types.StringValue("c") }, "connection_name", false},
		"version of a model":    {func(m *model) { m.Endpoint = types.StringValue("projects/p/locations/l/models/m@1") }, "endpoint", false},
		"regions apart":         {func(m *model) { m.Connection = types.StringValue("projects/p/locations/europe-west4/connections/c") }, "endpoint", false},
		"regions in doubt":      {func(m *model) { m.Connection = types.StringValue("projects/p/locations/eu/connections/c") }, "", true},
		"expiration":            {func(m *model) { m.ExpirationTime = types.StringValue("2099-01-01") }, "expiration_time", false},
		"expiration in the 60s": {func(m *model) { m.ExpirationTime = types.StringValue("1960-01-01T00:00:00Z") }, "expiration_time", false},
		"propagation":           {func(m *model) { m.IAMPropagationTimeout = types.StringValue("ten minutes") }, "iam_propagation_timeout", false},
	} {
		m := valid()
		c.change(&m)
		diags := m.validate()
		var at []string
		for _, d := range diags.Errors() {
			at = append(at, d.(diag.DiagnosticWithPath).Path().String())
		}
		if strings.Join(at, " ") != c.at || (diags.WarningsCount() > 0) != c.warning {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestToSpec(t *testing.T) {
	m := valid()
	m.Description, m.ExpirationTime = types.StringValue("x"), types.StringValue("2100-01-01T00:00:00+00:00")
	m.Labels = types.MapValueMust(types.StringType, map[string]attr.Value{"a": types.StringValue("b")})
	var diags diag.Diagnostics
	m.TerraformLabels = m.Labels
	s := m.toSpec(nil, &m, &diags)
	if diags.HasError() || s.Name.String() != "projects/p/datasets/d/models/m" || s.Endpoint.ID != "1" || s.Connection.Location != "US" ||
		s.Input[0] != (bqml.Column{Name: "text", Type: "string"}) || s.Labels["a"] != "b" || s.Expiration.UnixMilli() != 4102444800000 {
		t.Errorf("%+v, %v", s, diags)
	}
}

// What the server spells otherwise keeps the spelling of the state; what it has
// otherwise is taken, in canonical form.
func TestFromRemote(t *testing.T) {
	remote := func() *bqml.Model {
		return &bqml.Model{
			Location:   "US",
			Connection: gcp.Name{Project: "42", Location: "us", Kind: gcp.KindConnection, ID: "c"},
			Target:     bqml.Target{Endpoint: gcp.Name{Project: "42", Location: "us-central1", Kind: gcp.KindEndpoint, ID: "1"}},
			Input:      []bqml.Column{{Name: "text", Type: "STRING"}}, Output: []bqml.Column{{Name: "scores", Type: "ARRAY<FLOAT64>"}},
			Expiration: time.UnixMilli(4102444800000),
		}
	}
	m := valid()
	m.ExpirationTime = types.StringValue("2100-01-01T01:00:00+01:00")
	before := m
	m.fromRemote(remote(), literally())
	if m.Connection != before.Connection || m.Endpoint != before.Endpoint || !m.Input.Equal(before.Input) || !m.Output.Equal(before.Output) || m.ExpirationTime != before.ExpirationTime {
		t.Errorf("a spelling was lost: %+v", m)
	}
	if got := m.EndpointURL.ValueString(); got != before.Endpoint.ValueString() {
		t.Errorf("endpoint_url %s", got)
	}

	r := remote()
	r.Endpoint.ID, r.Expiration = "2", time.Time{}
	r.Output = []bqml.Column{{Name: "score", Type: "FLOAT64"}}
	m.fromRemote(r, literally())
	if m.Endpoint.ValueString() != "projects/p/locations/us-central1/endpoints/2" || !m.Output.Equal(columns("score", "FLOAT64")) || !m.ExpirationTime.IsNull() {
		t.Errorf("drift is not shown: %+v", m)
	}

	imported := model{Project: types.StringValue("p"), DatasetID: types.StringValue("d"), ModelID: types.StringValue("m")}
	imported.fromRemote(remote(), literally())
	if imported.Connection.ValueString() != "projects/p/locations/us/connections/c" || !imported.Input.Equal(columns("text", "STRING")) || imported.ExpirationTime.ValueString() != "2100-01-01T00:00:00Z" {
		t.Errorf("import: %+v", imported)
	}

	r.Input, r.Output = nil, nil // a server that does not tell
	m.fromRemote(r, literally())
	if !m.Output.Equal(columns("score", "FLOAT64")) {
		t.Errorf("columns that the server does not tell were dropped: %s", m.Output)
	}
}

func TestKeepSpelling(t *testing.T) {
	prior, plan := valid(), valid()
	plan.Connection = types.StringValue("projects/p/locations/us/connections/c")
	plan.Endpoint = types.StringValue("projects/p/locations/us-central1/endpoints/1")
	plan.Output = columns("scores", "ARRAY< FLOAT64 >")
	plan.keepSpelling(&prior, literally())
	if plan.Connection != prior.Connection || plan.Endpoint != prior.Endpoint || !plan.Output.Equal(prior.Output) {
		t.Errorf("equivalent spellings make a difference: %+v", plan)
	}
	plan.Endpoint, plan.Output, plan.Input = types.StringUnknown(), columns("scores", "FLOAT64"), types.ListUnknown(columnType)
	plan.keepSpelling(&prior, literally())
	if !plan.Endpoint.IsUnknown() || !plan.Output.Equal(columns("scores", "FLOAT64")) || !plan.Input.IsUnknown() {
		t.Errorf("differences were lost: %+v", plan)
	}
}
