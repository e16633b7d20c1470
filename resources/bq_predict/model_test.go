// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
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
	r, err := m.toRequest(t.Context(), "default")
	if err != nil || r.Model.String() != "projects/p/datasets/d/models/m" || r.Project != "default" || r.MaxRows != 100 || r.MaximumBytesBilled != 10737418240 || r.Propagation != 10*time.Minute {
		t.Errorf("defaults: %+v, %v", r, err)
	}
	m = model{
		Model: types.StringValue("d.m"), Table: types.StringValue("d.t"), Project: types.StringValue("payer"), MaxRows: types.Int64Value(5),
		MaximumBytesBilled: types.Int64Value(6), IAMPropagationTimeout: types.StringValue("0s"),
	}
	if r, err = m.toRequest(t.Context(), "default"); err != nil || r.Model.Project != "default" || r.Project != "payer" || r.MaxRows != 5 || r.MaximumBytesBilled != 6 || r.Propagation != 0 {
		t.Errorf("given: %+v, %v", r, err)
	}
	if _, err := m.toRequest(t.Context(), ""); err == nil {
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
	m := model{Model: u, Query: u, Table: u, Rows: types.DynamicUnknown(), Parameters: types.DynamicUnknown(), IAMPropagationTimeout: u, MaxRows: types.Int64Unknown(), RowTypes: types.MapUnknown(types.StringType)}
	if diags := m.validate(t.Context()); len(diags) > 0 {
		t.Errorf("%v", diags)
	}
}

func TestRows(t *testing.T) {
	number := func(text string) types.Number {
		f, _, err := big.ParseFloat(text, 10, 512, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		return types.NumberValue(f)
	}
	object := func(fields map[string]attr.Value) attr.Value {
		of := map[string]attr.Type{}
		for name, v := range fields {
			of[name] = v.Type(t.Context())
		}
		return types.ObjectValueMust(of, fields)
	}
	tuple := func(values ...attr.Value) types.Dynamic {
		of := make([]attr.Type, len(values))
		for i, v := range values {
			of[i] = v.Type(t.Context())
		}
		return types.DynamicValue(types.TupleValueMust(of, values))
	}
	m := model{Model: types.StringValue("p.d.m"), RowTypes: types.MapValueMust(types.StringType, map[string]attr.Value{"day": types.StringValue("DATE")}), Rows: tuple(
		object(map[string]attr.Value{"text": types.StringValue("a"), "n": number("9007199254740993"), "d": number("0.12345678901234567890123456789012345678"), "day": types.StringValue("2026-01-31")}),
		object(map[string]attr.Value{"text": types.StringNull(), "ok": types.BoolValue(true), "list": types.ListValueMust(types.StringType, []attr.Value{types.StringValue("x")})}),
	)}
	r, err := m.toRequest(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"text": "a", "n": json.Number("9007199254740993"), "d": json.Number("0.12345678901234567890123456789012345678"), "day": "2026-01-31"},
		{"text": nil, "ok": true, "list": []any{"x"}},
	}
	if !reflect.DeepEqual(r.Rows.Rows, want) || r.Rows.Types["day"] != "DATE" {
		t.Errorf("%v\n%v", r.Rows, want)
	}
	if diags := m.validate(t.Context()); diags.HasError() {
		t.Error(diags)
	}
	for name, c := range map[string]struct {
		rows types.Dynamic
		at   string
	}{
		"not a list":      {types.DynamicValue(types.StringValue("x")), "rows"},
		"not an object":   {tuple(types.StringValue("x")), "rows"},
		"two by case":     {tuple(object(map[string]attr.Value{"a": types.StringValue("x"), "A": types.StringValue("y")})), "rows"},
		"no column name":  {tuple(object(map[string]attr.Value{"a b": types.StringValue("x")})), "rows"},
		"type of nothing": {tuple(object(map[string]attr.Value{"text": types.StringValue("x")})), "row_types"}, // it names day
	} {
		m.Rows = c.rows
		diags := m.validate(t.Context())
		if len(diags) != 1 || diags[0].(diag.DiagnosticWithPath).Path().String() != c.at {
			t.Errorf("%s: %v", name, diags)
		}
	}
	m.RowTypes = types.MapNull(types.StringType)
	m.Rows, m.MaxRows = tuple(object(map[string]attr.Value{"a": types.StringValue("x")}), object(map[string]attr.Value{"a": types.StringValue("x")})), types.Int64Value(1)
	if diags := m.validate(t.Context()); len(diags) != 1 || !strings.Contains(diags[0].Detail(), "2 rows, more than max_rows = 1") {
		t.Errorf("%v", diags)
	}
	m.Rows = tuple(object(map[string]attr.Value{"a": types.StringUnknown()}))
	if diags := m.validate(t.Context()); diags.HasError() {
		t.Errorf("an unknown value was judged: %v", diags)
	}
}

func TestParameters(t *testing.T) {
	parameters := func(fields map[string]attr.Value) types.Dynamic {
		of := map[string]attr.Type{}
		for name, v := range fields {
			of[name] = v.Type(t.Context())
		}
		return types.DynamicValue(types.ObjectValueMust(of, fields))
	}
	m := model{Model: types.StringValue("p.d.m"), Query: types.StringValue("SELECT @a AS text")}
	m.Parameters = parameters(map[string]attr.Value{"a": types.StringValue("x")})
	if diags := m.validate(t.Context()); diags.HasError() {
		t.Error(diags)
	}
	for name, p := range map[string]types.Dynamic{
		"a list":       types.DynamicValue(types.ListValueMust(types.StringType, nil)),
		"not a name":   parameters(map[string]attr.Value{"a b": types.StringValue("x")}),
		"null":         parameters(map[string]attr.Value{"a": types.StringNull()}),
		"no such type": parameters(map[string]attr.Value{"a": types.ObjectValueMust(map[string]attr.Type{"type": types.StringType, "value": types.StringType}, map[string]attr.Value{"type": types.StringValue("TEXT"), "value": types.StringValue("x")})}),
	} {
		m.Parameters = p
		diags := m.validate(t.Context())
		if len(diags) != 1 || diags[0].(diag.DiagnosticWithPath).Path().String() != "parameters" {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

func TestAccepts(t *testing.T) {
	rows, fraction := types.Int64Value, types.Float64Value
	for name, c := range map[string]struct {
		m      model
		failed int64
		of     int
		want   bool
	}{
		"none failed":            {model{}, 0, 10, true},
		"no limit is none":       {model{}, 1, 10, false},
		"all are allowed":        {model{AllowFailedRows: types.BoolValue(true)}, 10, 10, true},
		"not allowed":            {model{AllowFailedRows: types.BoolValue(false)}, 1, 10, false},
		"as many rows":           {model{MaxFailedRows: rows(2)}, 2, 10, true},
		"one row more":           {model{MaxFailedRows: rows(2)}, 3, 10, false},
		"no row":                 {model{MaxFailedRows: rows(0)}, 1, 10, false},
		"as large a part":        {model{MaxFailedFraction: fraction(0.2)}, 2, 10, true},
		"a larger part":          {model{MaxFailedFraction: fraction(0.2)}, 3, 10, false},
		"both, one is exceeded":  {model{MaxFailedRows: rows(5), MaxFailedFraction: fraction(0.2)}, 3, 10, false},
		"both, other is":         {model{MaxFailedRows: rows(1), MaxFailedFraction: fraction(0.2)}, 2, 10, false},
		"both hold":              {model{MaxFailedRows: rows(5), MaxFailedFraction: fraction(0.5)}, 5, 10, true},
		"an empty result is one": {model{MaxFailedFraction: fraction(0)}, 0, 0, true},
	} {
		if got := c.m.accepts(&bqml.Prediction{Failed: c.failed, Rows: make([]bqml.Row, c.of)}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
