// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict

import (
	"context"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
)

func TestFromPrediction(t *testing.T) {
	schema := bqml.Schema{
		{Name: "i", Type: "INT64"}, {Name: "f", Type: "FLOAT64"}, {Name: "n", Type: "BIGNUMERIC"}, {Name: "t", Type: "TIMESTAMP"}, {Name: "y", Type: "BYTES"},
		{Name: "a", Type: "FLOAT64", Repeated: true},
		{Name: "s", Type: "STRUCT", Repeated: true, Fields: []bqml.Field{{Name: "x", Type: "BOOL"}, {Type: "STRING"}}},
	}
	nested := types.ObjectType{AttrTypes: map[string]attr.Type{"x": types.BoolType, "_field_2": types.StringType}}
	object := types.ObjectType{AttrTypes: map[string]attr.Type{
		"i": types.NumberType, "f": types.NumberType, "n": types.NumberType, "t": types.StringType, "y": types.StringType,
		"a": types.ListType{ElemType: types.NumberType}, "s": types.ListType{ElemType: nested},
	}}
	number := func(text string) types.Number {
		f, _, err := big.ParseFloat(text, 10, 512, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		return types.NumberValue(f)
	}
	const digits = "0.12345678901234567890123456789012345678"
	p := &bqml.Prediction{Schema: schema, Rows: []bqml.Row{
		{
			int64(math.MaxInt64), math.NaN(), digits, "2024-05-06T07:08:09Z", []byte{0xff},
			[]any{0.5, math.Inf(1)}, []any{bqml.Row{true, "z"}},
		},
		{nil, nil, nil, nil, nil, nil, []any{}},
	}}
	want := types.DynamicValue(types.ListValueMust(object, []attr.Value{
		types.ObjectValueMust(object.AttrTypes, map[string]attr.Value{
			"i": number("9223372036854775807"), "f": types.NumberNull(), "n": number(digits), "t": types.StringValue("2024-05-06T07:08:09Z"), "y": types.StringValue("/w=="),
			"a": types.ListValueMust(types.NumberType, []attr.Value{number("0.5"), types.NumberNull()}),
			"s": types.ListValueMust(nested, []attr.Value{types.ObjectValueMust(nested.AttrTypes, map[string]attr.Value{"x": types.BoolValue(true), "_field_2": types.StringValue("z")})}),
		}),
		types.ObjectValueMust(object.AttrTypes, map[string]attr.Value{
			"i": types.NumberNull(), "f": types.NumberNull(), "n": types.NumberNull(), "t": types.StringNull(), "y": types.StringNull(),
			"a": types.ListNull(types.NumberType), "s": types.ListValueMust(nested, []attr.Value{}),
		}),
	}))
	var m model
	if nonFinite := m.fromPrediction(p); !nonFinite {
		t.Error("NaN and Infinity became null without a warning")
	}
	if !m.Predictions.Equal(want) {
		t.Errorf("got  %s\nwant %s", m.Predictions, want)
	}
	if !strings.Contains(m.PredictionsJSON.ValueString(), `"f":"NaN"`) || !strings.Contains(m.PredictionsJSON.ValueString(), `[0.5,"Infinity"]`) {
		t.Errorf("predictions_json is %s", m.PredictionsJSON.ValueString())
	}

	m.fromPrediction(&bqml.Prediction{Schema: schema})
	if got := m.Predictions.UnderlyingValue().Type(context.Background()); !got.Equal(types.ListType{ElemType: object}) {
		t.Errorf("without rows the type is %s", got)
	}
}

func TestToRequest(t *testing.T) {
	m := model{Model: types.StringValue("projects/p/datasets/d/models/m"), Query: types.StringValue("SELECT 1")}
	r, err := m.toRequest("default")
	if err != nil || r.Model.String() != "projects/p/datasets/d/models/m" || r.Project != "default" || r.MaxRows != 100 || r.MaximumBytesBilled != 10737418240 || r.Propagation != 10*time.Minute {
		t.Errorf("defaults: %+v, %v", r, err)
	}
	m = model{
		Model: types.StringValue("d.m"), Table: types.StringValue("d.t"), Project: types.StringValue("payer"), MaxRows: types.Int64Value(5),
		MaximumBytesBilled: types.Int64Value(6), IAMPropagationTimeout: types.StringValue("0s"),
	}
	if r, err = m.toRequest("default"); err != nil || r.Model.Project != "default" || r.Project != "payer" || r.MaxRows != 5 || r.MaximumBytesBilled != 6 || r.Propagation != 0 {
		t.Errorf("given: %+v, %v", r, err)
	}
	if _, err := m.toRequest(""); err == nil {
		t.Error("a model without a project was accepted")
	}
}

func TestFailure(t *testing.T) {
	text := failure(&bqml.Prediction{Failed: 10, Rows: make([]bqml.Row, 12), Statuses: []bqml.Status{{Text: "a", Rows: 6}, {Text: "b", Rows: 2}, {Text: "c", Rows: 1}, {Text: "d", Rows: 1}}})
	for _, want := range []string{"10 of 12 rows", "6 × a", "2 × b", "1 × c", "1 other"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

// Unknown values are never judged.
func TestValidateUnknown(t *testing.T) {
	u := types.StringUnknown()
	m := model{Model: u, Query: u, Table: u, IAMPropagationTimeout: u}
	if diags := m.validate(); len(diags) > 0 {
		t.Errorf("%v", diags)
	}
}
