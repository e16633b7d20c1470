// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict_test

import (
	"maps"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

type object = acctest.Object

// dynamic is a value of a dynamic attribute: its type, as JSON has types, and itself.
func dynamic(kind, value any) object { return object{"type": kind, "value": value} }

// texts are rows with one text each.
func texts(values ...string) object {
	var kinds, rows []any
	for _, v := range values {
		kinds, rows = append(kinds, []any{"object", object{"text": "string"}}), append(rows, object{"text": v})
	}
	return dynamic([]any{"tuple", kinds}, rows)
}

// parameter is one named a.
func parameter(kind, value any) object {
	return dynamic([]any{"object", object{"a": kind}}, object{"a": value})
}

// asking is a configuration with this query, if any, and set.
func asking(query string, set object) object {
	all := object{"model": "p.d.m"}
	if query != "" {
		all["query"] = query
	}
	maps.Copy(all, set)
	return all
}

// Every rule refuses its configuration at its attribute, before any call.
func TestPredictInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, "data.gcpml_bq_predict")
	typed := parameter([]any{"object", object{"type": "string", "value": "string"}}, object{"type": "DATE", "value": "2026-01-31"})
	p.Accepts(t, asking("SELECT 1", nil), asking("", object{"table": "d.t"}), asking("", object{"rows": texts("a", "b")}), asking("SELECT @a", object{"parameters": typed}))
	refused := acctest.Refused
	p.Refuses(t, []acctest.Refusal{
		refused(object{"query": "SELECT 1"}, "model", "Missing Configuration for Required Attribute"),
		refused(asking("SELECT 1", object{"model": "m"}), "model", "Invalid model name"),
		refused(asking("", nil), "", "Missing Attribute Configuration"),
		refused(asking("SELECT 1", object{"table": "d.t"}), "query", "Invalid Attribute Combination"),
		refused(asking("SELECT 1; DROP TABLE t", nil), "query", "Invalid query"),
		refused(asking("", object{"table": "reviews"}), "table", "Invalid table"),
		refused(asking("", object{"rows": dynamic([]any{"tuple", []any{"string"}}, []any{"x"})}), "rows", "Invalid rows"),
		refused(asking("", object{"table": "d.t", "rows": texts("x")}), "table", "Invalid Attribute Combination"),
		refused(asking("SELECT 1", object{"row_types": object{"a": "DATE"}}), "row_types", "Invalid Attribute Combination"),
		refused(asking("", object{"rows": texts("x"), "row_types": object{"text": "TEXT"}}), "row_types", "Invalid row_types"),
		refused(asking("", object{"table": "d.t", "parameters": parameter("string", "x")}), "parameters", "Invalid Attribute Combination"),
		refused(asking("SELECT @a", object{"parameters": parameter([]any{"object", object{"type": "string", "value": "string"}}, object{"type": "TEXT", "value": "x"})}), "parameters", "Invalid parameters"),
		refused(asking("SELECT 1", object{"project": "123456789"}), "project", "Invalid project id"),
		refused(asking("SELECT 1", object{"max_rows": 0}), "max_rows", "Invalid Attribute Value"),
		refused(asking("SELECT 1", object{"maximum_bytes_billed": 0}), "maximum_bytes_billed", "Invalid Attribute Value"),
		refused(asking("SELECT 1", object{"max_failed_rows": -1}), "max_failed_rows", "Invalid Attribute Value"),
		refused(asking("SELECT 1", object{"allow_failed_rows": true, "max_failed_rows": 1}), "max_failed_rows", "Invalid Attribute Combination"),
		refused(asking("SELECT 1", object{"max_failed_fraction": 1.5}), "max_failed_fraction", "Invalid Attribute Value"),
		refused(asking("SELECT 1", object{"allow_failed_rows": true, "max_failed_fraction": 0.5}), "max_failed_fraction", "Invalid Attribute Combination"),
		refused(asking("SELECT 1", object{"labels": object{"gcpml-x": "y"}}), "labels.gcpml-x", "Invalid label"),
		refused(asking("SELECT 1", object{"iam_propagation_timeout": "soon"}), "iam_propagation_timeout", "Invalid duration"),
		refused(asking("SELECT 1", object{"timeouts": object{"read": "soon"}}), "timeouts.read", "Invalid Attribute Value Time Duration"),
	})
}

// Whatever is not known when planning is no error and no crash, at every depth.
func TestPredictUnknown(t *testing.T) {
	p := acctest.NewPlanner(t, "data.gcpml_bq_predict")
	limits := object{
		"project": acctest.Project, "max_rows": 5, "maximum_bytes_billed": 1, "max_failed_rows": 1, "max_failed_fraction": 0.5, "labels": object{"team": "a"}, "iam_propagation_timeout": "1m",
	}
	typed := parameter([]any{"object", object{"type": "string", "value": "string"}}, object{"type": "DATE", "value": "2026-01-31"})
	n := 0
	for _, full := range []object{
		asking("SELECT 1", limits), asking("", object{"table": "d.t", "allow_failed_rows": true}), asking("SELECT @a", object{"parameters": typed}),
		asking("SELECT @a", object{"parameters": parameter("string", "x")}), asking("", object{"rows": texts("a", "b"), "row_types": object{"text": "STRING"}}),
	} {
		n += p.AcceptsUnknown(t, full)
	}
	if n < 25 {
		t.Errorf("only %d parts", n)
	}
}
