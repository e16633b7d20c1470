// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

var probeTypes = map[string]attr.Type{"query": types.StringType, "rows": types.DynamicType}

// probe is nil if there is none.
func (m *model) probe() *bqml.Probe {
	if !isKnown(m.Probe) {
		return nil
	}
	rows, _, _ := probeRows(as[types.Dynamic](m.Probe, "rows")) // validate has reported what is wrong
	return &bqml.Probe{Query: as[types.String](m.Probe, "query").ValueString(), Rows: rows}
}

// probeAgain makes the next apply repeat the probe, if there is one.
func (m *model) probeAgain() {
	if !m.Probe.IsNull() {
		m.ProbePassed = types.BoolValue(false)
	}
}

// probeRows reads a list of objects; known is false while any part is not.
func probeRows(v types.Dynamic) (rows []map[string]any, known bool, err error) {
	value, known, err := plain(v)
	if !known || err != nil || value == nil {
		return nil, known, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, true, errors.New("it is not a list")
	}
	for i, element := range list {
		row, ok := element.(map[string]any)
		if !ok {
			return nil, true, fmt.Errorf("element %d is not an object", i)
		}
		rows = append(rows, row)
	}
	return rows, true, nil
}

// plain turns a value into nil, bool, string, [bqml.Number], []any or map[string]any.
func plain(v attr.Value) (value any, known bool, err error) {
	if v == nil || v.IsNull() {
		return nil, true, nil
	}
	if v.IsUnknown() {
		return nil, false, nil
	}
	list := func(elements []attr.Value) (any, bool, error) {
		out, known := make([]any, len(elements)), true
		for i, e := range elements {
			value, ok, err := plain(e)
			if err != nil {
				return nil, true, err
			}
			out[i], known = value, known && ok
		}
		return out, known, nil
	}
	object := func(elements map[string]attr.Value) (any, bool, error) {
		out, known := map[string]any{}, true
		for name, e := range elements {
			value, ok, err := plain(e)
			if err != nil {
				return nil, true, err
			}
			out[name], known = value, known && ok
		}
		return out, known, nil
	}
	switch v := v.(type) {
	case types.Dynamic:
		return plain(v.UnderlyingValue())
	case types.Bool:
		return v.ValueBool(), true, nil
	case types.String:
		return v.ValueString(), true, nil
	case types.Number:
		return bqml.Number(v.ValueBigFloat().Text('g', -1)), true, nil
	case types.Int64:
		return bqml.Number(v.String()), true, nil
	case types.Float64:
		return bqml.Number(v.String()), true, nil
	case types.Tuple:
		return list(v.Elements())
	case types.List:
		return list(v.Elements())
	case types.Set:
		return list(v.Elements())
	case types.Object:
		return object(v.Attributes())
	case types.Map:
		return object(v.Elements())
	}
	return nil, true, fmt.Errorf("a value is of a type that cannot be used, %T", v)
}
