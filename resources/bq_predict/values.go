// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

// unknownError means that a part of an argument is not known yet.
type unknownError struct{}

func (*unknownError) Error() string { return "it is not known before apply" }

// values fills in rows and parameters, whose types are those of the configuration.
func (m *model) values(ctx context.Context, r *bqml.PredictRequest) error {
	rows, err := decode(ctx, m.Rows)
	if err != nil {
		return err
	}
	parameters, err := decode(ctx, m.Parameters)
	if err != nil {
		return err
	}
	if rows != nil {
		if r.Rows, err = asRows(rows); err != nil {
			return err
		}
		r.Rows.Types = map[string]string{}
		for name, value := range m.RowTypes.Elements() {
			text, ok := value.(types.String)
			if !ok || text.IsUnknown() {
				return &unknownError{}
			}
			r.Rows.Types[name] = text.ValueString()
		}
		if m.RowTypes.IsUnknown() {
			return &unknownError{}
		}
	}
	if parameters != nil {
		var ok bool
		if r.Parameters, ok = parameters.(map[string]any); !ok {
			return &bqml.FieldError{Field: "parameters", Message: "it is not an object: write { name = value }"}
		}
	}
	return nil
}

func asRows(value any) (*bqml.InlineRows, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, &bqml.FieldError{Field: "rows", Message: "it is not a list: write [{ … }, { … }]"}
	}
	rows := &bqml.InlineRows{Rows: make([]map[string]any, len(list))}
	for i, element := range list {
		if rows.Rows[i], ok = element.(map[string]any); !ok {
			return nil, &bqml.FieldError{Field: "rows", Message: fmt.Sprintf("element %d is not an object", i)}
		}
	}
	return rows, nil
}

// decode turns a value of any type into decoded JSON, numbers with all their digits;
// nil is null.
func decode(ctx context.Context, value types.Dynamic) (any, error) {
	if value.IsNull() || value.IsUnderlyingValueNull() {
		return nil, nil
	}
	v, err := value.ToTerraformValue(ctx)
	if err != nil {
		return nil, err
	}
	if !v.IsFullyKnown() {
		return nil, &unknownError{}
	}
	return decoded(v)
}

func decoded(v tftypes.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		return s, v.As(&s)
	case t.Is(tftypes.Bool):
		var b bool
		return b, v.As(&b)
	case t.Is(tftypes.Number):
		var n *big.Float
		if err := v.As(&n); err != nil {
			return nil, err
		}
		if n.IsInt() {
			return json.Number(n.Text('f', 0)), nil
		}
		return json.Number(n.Text('g', -1)), nil
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		fields := map[string]tftypes.Value{}
		if err := v.As(&fields); err != nil {
			return nil, err
		}
		object := map[string]any{}
		for name, field := range fields {
			value, err := decoded(field)
			if err != nil {
				return nil, err
			}
			object[name] = value
		}
		return object, nil
	}
	var elements []tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	list := make([]any, len(elements))
	for i, element := range elements {
		var err error
		if list[i], err = decoded(element); err != nil {
			return nil, err
		}
	}
	return list, nil
}
