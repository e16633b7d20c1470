// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package functions

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

const endpointDescription = "The endpoint: `projects/PROJECT/locations/LOCATION/endpoints/ID`, as the `id` of a `gcpml_vertex_endpoint_deployment`."

func newEndpointURL() function.Function {
	return &pure{"endpoint_url", function.Definition{
		Summary:             "Returns the URL of a Vertex AI endpoint.",
		MarkdownDescription: "Returns `https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/endpoints/ID`, as the option `ENDPOINT` of a remote model has it. With `:predict` behind it, it takes prediction requests.",
		Parameters:          []function.Parameter{text("endpoint", endpointDescription)},
		VariadicParameter:   text("universe_domain", "Domain of the APIs, once, for a Google Cloud other than the public one. By default that of `endpoint` if it is a URL, else `googleapis.com`."),
		Return:              function.StringReturn{},
	}, func(ctx context.Context, data function.ArgumentsData) (any, *function.FuncError) {
		var name string
		var universes []string
		if err := data.Get(ctx, &name, &universes); err != nil {
			return nil, err
		}
		n, err := endpoint(0, name)
		if err != nil {
			return nil, err
		}
		universe := gcp.UniverseOf(name)
		switch {
		case len(universes) > 1:
			return nil, function.NewArgumentFuncError(2, "there is one universe_domain at most")
		case len(universes) == 1:
			universe = universes[0]
		}
		if universe != "" && !gcp.IsDomain(universe) {
			return nil, function.NewArgumentFuncError(1, fmt.Sprintf("%q is not a domain such as googleapis.com", universe))
		}
		return bqml.EndpointURL(universe, n), nil
	}}
}

func newQuoteIdentifier() function.Function {
	return &pure{
		"quote_identifier", function.Definition{
			Summary: "Quotes an identifier, or a path of several, for GoogleSQL.",
			MarkdownDescription: "Returns the parts with dots between them, within backticks, with everything escaped that needs it: `quote_identifier(\"p\", \"d\", \"t\")` is `` `p.d.t` ``. " +
				"What is quoted cannot end its quotes, so that a value of somebody else can be put into a statement.",
			Parameters:        []function.Parameter{text("part", "The name, or the first part of the path.")},
			VariadicParameter: text("parts", "Further parts of the path."),
			Return:            function.StringReturn{},
		},
		func(ctx context.Context, data function.ArgumentsData) (any, *function.FuncError) {
			var first string
			var others []string
			if err := data.Get(ctx, &first, &others); err != nil {
				return nil, err
			}
			sql, err := bqml.QuoteIdentifier(append([]string{first}, others...)...)
			if err != nil {
				return nil, function.NewFuncError(err.Error())
			}
			return sql, nil
		},
	}
}

const modelDescription = "The remote model: `projects/PROJECT/datasets/DATASET/models/ID`, as the `id` of a `gcpml_bq_remote_model`, or `PROJECT.DATASET.ID`."

func newMLPredictSQL() function.Function {
	return &pure{"ml_predict_sql", function.Definition{
		Summary:             "Returns the SQL that predicts the rows of a query with a remote model.",
		MarkdownDescription: "Returns ``SELECT * FROM ML.PREDICT(MODEL `…`, (query))``, for a scheduled query, a view of another tool or `gcpml run`. The query has to be one whole expression: one that ends its parentheses, or has a second statement, is an error.",
		Parameters: []function.Parameter{
			text("model", modelDescription), text("query", "A GoogleSQL query with a column for each input of the model. Further columns are passed through."),
		},
		Return: function.StringReturn{},
	}, texts(2, func(a []string) (any, *function.FuncError) {
		model, failed := remoteModel(0, a[0])
		if failed != nil {
			return nil, failed
		}
		sql, err := bqml.PredictSQL(model, a[1])
		if err != nil {
			return nil, wrong(1, err)
		}
		return sql, nil
	})}
}

type column struct {
	Name string `tfsdk:"name"`
	Type string `tfsdk:"type"`
}

func columns(name, description string) function.ListParameter {
	return function.ListParameter{
		Name: name, MarkdownDescription: description,
		ElementType: types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "type": types.StringType}},
	}
}

func newRemoteModelDDL() function.Function {
	return &pure{
		"remote_model_ddl", function.Definition{
			Summary:             "Returns the DDL of a remote model over a Vertex AI endpoint.",
			MarkdownDescription: "Returns `CREATE MODEL … REMOTE WITH CONNECTION … OPTIONS (ENDPOINT = …)`, the statement that `gcpml_bq_remote_model` runs, for those who run it elsewhere. Names are checked and quoted.",
			Parameters: []function.Parameter{
				text("model", modelDescription),
				text("connection", "The connection: `projects/PROJECT/locations/LOCATION/connections/ID`, as the `id` of a `gcpml_bq_connection`, or `PROJECT.LOCATION.ID`."),
				text("endpoint", endpointDescription),
				columns("input", "The inputs: a list of objects with `name` and `type`, as `input` of a `gcpml_bq_remote_model`."),
				columns("output", "The outputs, in the same form."),
				function.BoolParameter{Name: "replace", MarkdownDescription: "Whether the statement replaces a model that exists (`CREATE OR REPLACE MODEL`)."},
			},
			Return: function.StringReturn{},
		},
		func(ctx context.Context, data function.ArgumentsData) (any, *function.FuncError) {
			var name, connection, to string
			var input, output []column
			var replace bool
			failed := data.Get(ctx, &name, &connection, &to, &input, &output, &replace)
			if failed != nil {
				return nil, failed
			}
			spec := bqml.ModelSpec{Input: asColumns(input), Output: asColumns(output), Universe: gcp.UniverseOf(to)}
			if spec.Name, failed = remoteModel(0, name); failed != nil {
				return nil, failed
			}
			var err error
			if spec.Connection, err = gcp.ParseConnectionName(connection); err != nil {
				return nil, wrong(1, err)
			}
			if spec.Endpoint, failed = endpoint(2, to); failed != nil {
				return nil, failed
			}
			sql, err := spec.CreateSQL(replace)
			if err != nil {
				return nil, function.NewFuncError(err.Error())
			}
			return sql, nil
		},
	}
}

func asColumns(list []column) []bqml.Column {
	all := make([]bqml.Column, len(list))
	for i, c := range list {
		all[i] = bqml.Column(c)
	}
	return all
}
