// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package functions

import (
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func object(fields ...string) function.ObjectReturn {
	of := map[string]attr.Type{}
	for _, f := range fields {
		of[f] = types.StringType
	}
	return function.ObjectReturn{AttributeTypes: of}
}

// orNull is null for what a name does not tell.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type vertexName struct {
	Project  string  `tfsdk:"project"`
	Location string  `tfsdk:"location"`
	Kind     string  `tfsdk:"kind"`
	ID       string  `tfsdk:"id"`
	Version  *string `tfsdk:"version"`
}

// parseVertex reads the name of a model or an endpoint.
func parseVertex(s string) (gcp.Name, error) {
	for _, kind := range []gcp.Kind{gcp.KindModel, gcp.KindEndpoint} {
		if n, err := gcp.ParseName(kind, s); err == nil {
			return n, nil
		}
	}
	return gcp.Name{}, fmt.Errorf("%q is not of the form projects/PROJECT/locations/LOCATION/models/ID, …/models/ID@VERSION or …/endpoints/ID", s)
}

func newParseVertexName() function.Function {
	return &pure{"parse_vertex_name", function.Definition{
		Summary: "Takes the name of a Vertex AI model or endpoint apart.",
		MarkdownDescription: "Returns `project`, `location`, `kind` (`models` or `endpoints`), `id` and `version` of a model or an endpoint. `version` is null unless the name has one. " +
			"The project is as it is spelled in the name: an id or a number.",
		Parameters: []function.Parameter{text("name", "`projects/PROJECT/locations/LOCATION/models/ID`, with or without `@VERSION`, or `…/endpoints/ID`. It may be part of a URL of the API, or start with `//aiplatform.googleapis.com/`.")},
		Return:     object("project", "location", "kind", "id", "version"),
	}, texts(1, func(a []string) (any, *function.FuncError) {
		n, err := parseVertex(a[0])
		if err != nil {
			return nil, wrong(0, err)
		}
		return vertexName{n.Project, n.Location, string(n.Kind), n.ID, orNull(n.Version)}, nil
	})}
}

func newFormatVertexName() function.Function {
	return &pure{"format_vertex_name", function.Definition{
		Summary:             "Puts the name of a Vertex AI model or endpoint together.",
		MarkdownDescription: "Returns `projects/PROJECT/locations/LOCATION/KIND/ID`, after a check that it is such a name.",
		Parameters: []function.Parameter{
			text("project", "Project id or number."), text("location", "Vertex AI location, such as `us-central1`."), text("kind", "`models` or `endpoints`."), text("id", "The id; that of a model may end in `@VERSION`."),
		},
		Return: function.StringReturn{},
	}, texts(4, func(a []string) (any, *function.FuncError) {
		if a[2] != string(gcp.KindModel) && a[2] != string(gcp.KindEndpoint) {
			return nil, wrong(2, fmt.Errorf("%q is neither models nor endpoints", a[2]))
		}
		name := "projects/" + a[0] + "/locations/" + a[1] + "/" + a[2] + "/" + a[3]
		if n, err := parseVertex(name); err != nil || n.String() != name {
			return nil, function.NewFuncError(fmt.Sprintf("%q is not the name of one of the %s: one of the parts has characters that it cannot have", name, a[2]))
		}
		return name, nil
	})}
}

type objectName struct {
	Project string  `tfsdk:"project"`
	Dataset string  `tfsdk:"dataset"`
	Kind    *string `tfsdk:"kind"`
	ID      string  `tfsdk:"id"`
}

func newParseBigQueryName() function.Function {
	return &pure{"parse_bigquery_name", function.Definition{
		Summary: "Takes the name of a BigQuery model, table or routine apart.",
		MarkdownDescription: "Returns `project`, `dataset`, `kind` (`models`, `tables` or `routines`) and `id`. `kind` is null for a name with dots, which does not tell. " +
			"It reads the ids of `gcpml_bq_remote_model` and of `google_bigquery_table`, and what SQL uses.",
		Parameters: []function.Parameter{text("name", "`projects/PROJECT/datasets/DATASET/models/ID` (or `tables`, `routines`), also within a URL, or `PROJECT.DATASET.ID`.")},
		Return:     object("project", "dataset", "kind", "id"),
	}, texts(1, func(a []string) (any, *function.FuncError) {
		n, err := gcp.ParseObjectName(a[0])
		if err != nil {
			return nil, wrong(0, err)
		}
		return objectName{n.Project, n.Dataset, orNull(n.Kind), n.ID}, nil
	})}
}

func newFormatBigQueryName() function.Function {
	return &pure{"format_bigquery_name", function.Definition{
		Summary:             "Puts the name of a BigQuery model, table or routine together.",
		MarkdownDescription: "Returns `projects/PROJECT/datasets/DATASET/KIND/ID`, after a check that it is such a name. For a name in SQL, see `quote_identifier`.",
		Parameters: []function.Parameter{
			text("project", "Project id."), text("dataset", "Dataset id."), text("kind", "`models`, `tables` or `routines`."), text("id", "The id of the model, table or routine."),
		},
		Return: function.StringReturn{},
	}, texts(4, func(a []string) (any, *function.FuncError) {
		n := gcp.ObjectName{Project: a[0], Dataset: a[1], Kind: a[2], ID: a[3]}
		if parsed, err := gcp.ParseObjectName(n.String()); err != nil || parsed != n {
			return nil, function.NewFuncError(fmt.Sprintf("%q is not the name of a model, table or routine: one of the parts is empty, or has characters that it cannot have", n))
		}
		return n.String(), nil
	})}
}

type connectionName struct {
	Project  string `tfsdk:"project"`
	Location string `tfsdk:"location"`
	ID       string `tfsdk:"id"`
}

func newParseConnectionName() function.Function {
	return &pure{"parse_connection_name", function.Definition{
		Summary:             "Takes the name of a BigQuery connection apart.",
		MarkdownDescription: "Returns `project`, `location` and `id` of a connection.",
		Parameters:          []function.Parameter{text("name", "`projects/PROJECT/locations/LOCATION/connections/ID`, or `PROJECT.LOCATION.ID` as in SQL.")},
		Return:              object("project", "location", "id"),
	}, texts(1, func(a []string) (any, *function.FuncError) {
		n, err := gcp.ParseConnectionName(a[0])
		if err != nil {
			return nil, wrong(0, err)
		}
		return connectionName{n.Project, n.Location, n.ID}, nil
	})}
}

func newFormatConnectionName() function.Function {
	return &pure{"format_connection_name", function.Definition{
		Summary:             "Puts the name of a BigQuery connection together.",
		MarkdownDescription: "Returns `projects/PROJECT/locations/LOCATION/connections/ID`, after a check that it is such a name.",
		Parameters: []function.Parameter{
			text("project", "Project id or number."), text("location", "BigQuery location, such as `us` or `europe-west4`."), text("id", "The id of the connection."),
		},
		Return: function.StringReturn{},
	}, texts(3, func(a []string) (any, *function.FuncError) {
		n := gcp.Name{Project: a[0], Location: a[1], Kind: gcp.KindConnection, ID: a[2]}
		if parsed, err := gcp.ParseName(gcp.KindConnection, n.String()); err != nil || parsed != n {
			return nil, function.NewFuncError(fmt.Sprintf("%q is not the name of a connection: one of the parts is empty, or has characters that it cannot have", n))
		}
		return n.String(), nil
	})}
}

// endpoint reads the name of an endpoint for the argument of this number.
func endpoint(argument int64, s string) (gcp.Name, *function.FuncError) {
	n, err := gcp.ParseName(gcp.KindEndpoint, s)
	if err != nil {
		return n, wrong(argument, err)
	}
	return n, nil
}

// remoteModel reads the name of a remote model for the argument of this number.
func remoteModel(argument int64, s string) (gcp.RemoteModelName, *function.FuncError) {
	n, err := gcp.ParseObjectName(s)
	if err == nil && n.Kind != "" && n.Kind != "models" {
		err = errors.New("it is not the name of a model")
	}
	if err != nil {
		return gcp.RemoteModelName{}, wrong(argument, err)
	}
	return gcp.RemoteModelName{Project: n.Project, Dataset: n.Dataset, ID: n.ID}, nil
}
