// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package functions

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func find(t *testing.T, name string) function.Function {
	t.Helper()
	for _, build := range All {
		f := build()
		var m function.MetadataResponse
		f.Metadata(t.Context(), function.MetadataRequest{}, &m)
		if m.Name == name {
			return f
		}
	}
	t.Fatalf("there is no function %s", name)
	return nil
}

// call calls a function as the framework does. Strings of the result are returned as
// one, an object as "key=value …" in the order of the keys.
func call(t *testing.T, name string, arguments ...attr.Value) (string, *function.FuncError) {
	t.Helper()
	f := find(t, name)
	var d function.DefinitionResponse
	f.Definition(t.Context(), function.DefinitionRequest{}, &d)
	result, err := d.Definition.Return.NewResultData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resp := function.RunResponse{Result: result}
	f.Run(t.Context(), function.RunRequest{Arguments: function.NewArgumentsData(arguments)}, &resp)
	switch v := resp.Result.Value().(type) {
	case types.String:
		return v.ValueString(), resp.Error
	case types.Object:
		var fields []string
		for key, value := range v.Attributes() {
			fields = append(fields, key+"="+strings.Trim(value.String(), `"`))
		}
		slices.Sort(fields)
		return strings.Join(fields, " "), resp.Error
	}
	return "", resp.Error
}

func strs(s ...string) (values []attr.Value) {
	for _, v := range s {
		values = append(values, types.StringValue(v))
	}
	return values
}

var columnType = types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "type": types.StringType}}

func cols(pairs ...string) attr.Value {
	var list []attr.Value
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.ObjectValueMust(columnType.AttrTypes, map[string]attr.Value{"name": types.StringValue(pairs[i]), "type": types.StringValue(pairs[i+1])}))
	}
	return types.ListValueMust(columnType, list)
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		function  string
		arguments []string
		want      string
	}{
		{"parse_vertex_name", []string{"projects/p-1/locations/us-central1/models/bert"}, "id=bert kind=models location=us-central1 project=p-1 version=<null>"},
		{"parse_vertex_name", []string{"projects/p-1/locations/us-central1/models/bert@2"}, "id=bert kind=models location=us-central1 project=p-1 version=2"},
		{"parse_vertex_name", []string{"//aiplatform.googleapis.com/projects/123/locations/global/endpoints/471147"}, "id=471147 kind=endpoints location=global project=123 version=<null>"},
		{"parse_vertex_name", []string{"https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/e"}, "id=e kind=endpoints location=us-central1 project=p version=<null>"},
		{"format_vertex_name", []string{"p-1", "us-central1", "models", "bert@2"}, "projects/p-1/locations/us-central1/models/bert@2"},
		{"format_vertex_name", []string{"p-1", "us-central1", "endpoints", "e"}, "projects/p-1/locations/us-central1/endpoints/e"},
		{"parse_bigquery_name", []string{"projects/p-1/datasets/d/models/m"}, "dataset=d id=m kind=models project=p-1"},
		{"parse_bigquery_name", []string{"https://bigquery.googleapis.com/bigquery/v2/projects/p-1/datasets/d/tables/t-1"}, "dataset=d id=t-1 kind=tables project=p-1"},
		{"parse_bigquery_name", []string{"p-1.d.m"}, "dataset=d id=m kind=<null> project=p-1"},
		{"parse_bigquery_name", []string{"example.com:p-1.d.m"}, "dataset=d id=m kind=<null> project=example.com:p-1"},
		{"parse_bigquery_name", []string{"p-1:d.m"}, "dataset=d id=m kind=<null> project=p-1"},
		{"format_bigquery_name", []string{"p-1", "d", "models", "m"}, "projects/p-1/datasets/d/models/m"},
		{"parse_connection_name", []string{"projects/p-1/locations/us/connections/c_1"}, "id=c_1 location=us project=p-1"},
		{"parse_connection_name", []string{"p-1.us.c_1"}, "id=c_1 location=us project=p-1"},
		{"format_connection_name", []string{"p-1", "us", "c_1"}, "projects/p-1/locations/us/connections/c_1"},
		// As in https://cloud.google.com/bigquery/docs/reference/standard-sql/bigqueryml-syntax-create-remote-model-https
		{"endpoint_url", []string{"projects/p-1/locations/us-central1/endpoints/1234"}, "https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1/endpoints/1234"},
		{"endpoint_url", []string{"projects/p-1/locations/global/endpoints/1234"}, "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/endpoints/1234"},
		{"endpoint_url", []string{"https://u-r1-aiplatform.cloud.example/v1/projects/p-1/locations/u-r1/endpoints/1234"}, "https://u-r1-aiplatform.cloud.example/v1/projects/p-1/locations/u-r1/endpoints/1234"},
		{"endpoint_url", []string{"projects/p-1/locations/u-r1/endpoints/1234", "cloud.example"}, "https://u-r1-aiplatform.cloud.example/v1/projects/p-1/locations/u-r1/endpoints/1234"},
		{"parse_vertex_name", []string{"https://u-r1-aiplatform.cloud.example/v1/projects/p-1/locations/u-r1/endpoints/1234"}, "id=1234 kind=endpoints location=u-r1 project=p-1 version=<null>"},
	} {
		arguments := strs(c.arguments...)
		if c.function == "endpoint_url" {
			arguments = variadic(arguments)
		}
		got, err := call(t, c.function, arguments...)
		if err != nil || got != c.want {
			t.Errorf("%s(%q) is %q (%v), want %q", c.function, c.arguments, got, err, c.want)
		}
	}
}

// variadic has all but the first argument in the tuple that a variadic parameter is.
func variadic(arguments []attr.Value) []attr.Value {
	kinds := make([]attr.Type, len(arguments)-1)
	for i := range kinds {
		kinds[i] = types.StringType
	}
	return []attr.Value{arguments[0], types.TupleValueMust(kinds, arguments[1:])}
}

// What cannot be is an error at the argument that is wrong.
func TestWrongArguments(t *testing.T) {
	for _, c := range []struct {
		function  string
		arguments []attr.Value
		at        int64 // -1 is all of them
	}{
		{"parse_vertex_name", strs("bert"), 0},
		{"parse_vertex_name", strs("projects/p/locations/l/connections/c"), 0},
		{"parse_vertex_name", strs("projects/p/locations/l/endpoints/e@1"), 0},
		{"format_vertex_name", strs("p", "l", "model", "m"), 2},
		{"format_vertex_name", strs("p", "l", "models", "a/b"), -1},
		{"format_vertex_name", strs("p", "l", "endpoints", "e@1"), -1},
		{"format_vertex_name", strs("", "l", "models", "m"), -1},
		{"parse_bigquery_name", strs("d.m"), 0},
		{"parse_bigquery_name", strs("projects/p/datasets/d/views/v"), 0},
		{"format_bigquery_name", strs("p", "d", "views", "v"), -1},
		{"format_bigquery_name", strs("p", "d-1", "models", "m"), -1},
		{"format_bigquery_name", strs("p", "d", "", "m"), -1},
		{"parse_connection_name", strs("us.c"), 0},
		{"parse_connection_name", strs("projects/p/locations/l/models/m"), 0},
		{"format_connection_name", strs("p", "u s", "c"), -1},
		{"endpoint_url", variadic(strs("projects/p/locations/l/models/m")), 0},
		{"endpoint_url", variadic(strs("projects/p/locations/l/endpoints/e", "https://x")), 1},
		{"endpoint_url", variadic(strs("projects/p/locations/l/endpoints/e", "a.b", "c.d")), 2},
		{"ml_predict_sql", strs("d.m", "SELECT 1"), 0},
		{"ml_predict_sql", strs("projects/p/datasets/d/tables/t", "SELECT 1"), 0},
		{"ml_predict_sql", strs("p.d.m", "SELECT 1)); DROP TABLE t; SELECT ((1"), 1},
		{"ml_predict_sql", strs("p.d.m", "SELECT 1; SELECT 2"), 1},
		{"ml_predict_sql", strs("p.d.m", " -- nothing"), 1},
		{"quote_identifier", append(strs(""), types.TupleValueMust(nil, nil)), -1},
		{"quote_identifier", append(strs("a"), types.TupleValueMust([]attr.Type{types.StringType}, strs(""))), -1},
		{"remote_model_ddl", append(strs("d.m", "p.us.c", "projects/p/locations/l/endpoints/e"), cols("a", "STRING"), cols("b", "STRING"), types.BoolValue(false)), 0},
		{"remote_model_ddl", append(strs("p.d.m", "c", "projects/p/locations/l/endpoints/e"), cols("a", "STRING"), cols("b", "STRING"), types.BoolValue(false)), 1},
		{"remote_model_ddl", append(strs("p.d.m", "p.us.c", "e"), cols("a", "STRING"), cols("b", "STRING"), types.BoolValue(false)), 2},
		{"remote_model_ddl", append(strs("p.d.m", "p.us.c", "projects/p/locations/l/endpoints/e"), cols("a", "DATE"), cols("b", "STRING"), types.BoolValue(false)), -1},
		{"remote_model_ddl", append(strs("p.d.m", "p.us.c", "projects/p/locations/l/endpoints/e"), cols("a` STRING) --", "STRING"), cols("b", "STRING"), types.BoolValue(false)), -1},
	} {
		got, err := call(t, c.function, c.arguments...)
		switch {
		case err == nil:
			t.Errorf("%s(%v) is %q", c.function, c.arguments, got)
		case (err.FunctionArgument == nil) != (c.at < 0) || err.FunctionArgument != nil && *err.FunctionArgument != c.at:
			t.Errorf("%s(%v): the error %q is not about argument %d", c.function, c.arguments, err.Text, c.at)
		}
	}
}

func TestSQL(t *testing.T) {
	none := types.TupleValueMust(nil, nil)
	more := func(parts ...string) attr.Value {
		of := make([]attr.Type, len(parts))
		for i := range of {
			of[i] = types.StringType
		}
		return types.TupleValueMust(of, strs(parts...))
	}
	for _, c := range []struct {
		function  string
		arguments []attr.Value
		want      string
	}{
		// Escapes as in https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#quoted_identifiers
		{"quote_identifier", append(strs("plain"), none), "`plain`"},
		{"quote_identifier", append(strs("p-1"), more("d", "t")), "`p-1.d.t`"},
		{"quote_identifier", append(strs("a`; DROP TABLE t; --"), none), "`a\\`; DROP TABLE t; --`"},
		{"quote_identifier", append(strs("back\\slash"), none), "`back\\\\slash`"},
		{"ml_predict_sql", strs("projects/p-1/datasets/d/models/m", "SELECT text FROM t -- all"), "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT text FROM t -- all\n))"},
		{
			// The tutorial's statement, https://cloud.google.com/bigquery/docs/bigquery-ml-remote-model-tutorial
			"remote_model_ddl",
			append(strs("p-1.bqml_tutorial.bert_sentiment", "projects/p-1/locations/US/connections/bqml_tutorial", "projects/p-1/locations/us-central1/endpoints/1234"),
				cols("text", "string"), cols("scores", "array<float64>"), types.BoolValue(true)),
			"CREATE OR REPLACE MODEL `p-1.bqml_tutorial.bert_sentiment`\nINPUT (`text` STRING)\nOUTPUT (`scores` ARRAY<FLOAT64>)\nREMOTE WITH CONNECTION `p-1.us.bqml_tutorial`\n" +
				"OPTIONS (ENDPOINT = 'https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1/endpoints/1234')",
		},
	} {
		got, err := call(t, c.function, c.arguments...)
		if err != nil || got != c.want {
			t.Errorf("%s(%v) is\n%s\n(%v), want\n%s", c.function, c.arguments, got, err, c.want)
		}
	}
}

// Every function and every parameter is described, and all have different names.
func TestDescribed(t *testing.T) {
	var seen []string
	for _, build := range All {
		f := build()
		var m function.MetadataResponse
		f.Metadata(context.Background(), function.MetadataRequest{}, &m)
		var d function.DefinitionResponse
		f.Definition(context.Background(), function.DefinitionRequest{}, &d)
		seen = append(seen, m.Name)
		var v function.DefinitionValidateResponse
		d.Definition.ValidateImplementation(t.Context(), function.DefinitionValidateRequest{FuncName: m.Name}, &v)
		if v.Diagnostics.HasError() {
			t.Errorf("%s: %v", m.Name, v.Diagnostics)
		}
		if d.Definition.Summary == "" || d.Definition.MarkdownDescription == "" {
			t.Errorf("%s is not described", m.Name)
		}
		parameters := d.Definition.Parameters
		if d.Definition.VariadicParameter != nil {
			parameters = append(parameters, d.Definition.VariadicParameter)
		}
		for _, p := range parameters {
			if p.GetMarkdownDescription() == "" {
				t.Errorf("%s: %s is not described", m.Name, p.GetName())
			}
		}
	}
	if !slices.IsSorted(seen) || !reflect.DeepEqual(seen, slices.Compact(slices.Clone(seen))) {
		t.Errorf("not in order, or twice: %v", seen)
	}
}
