// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

var probeTypes = map[string]attr.Type{"query": types.StringType, "rows": types.ListType{ElemType: types.StringType}}

// probe is nil if there is none.
func (m *model) probe() *bqml.Probe {
	if !isKnown(m.Probe) {
		return nil
	}
	p := &bqml.Probe{Query: as[types.String](m.Probe, "query").ValueString()}
	for _, text := range texts(as[types.List](m.Probe, "rows")) {
		row, _ := probeRow(text) // validate has reported what is wrong
		p.Rows = append(p.Rows, row)
	}
	return p
}

// probeAgain makes the next apply repeat the probe, if there is one.
func (m *model) probeAgain() {
	if !m.Probe.IsNull() {
		m.ProbePassed = types.BoolValue(false)
	}
}

// probeRow reads a row: a JSON object.
func probeRow(text string) (row map[string]any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&row); err != nil || row == nil || d.More() {
		return nil, errors.New("it is not one JSON object")
	}
	for name, v := range row {
		row[name] = plain(v)
	}
	return row, nil
}

// plain has numbers as [bqml.Number].
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return bqml.Number(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}
