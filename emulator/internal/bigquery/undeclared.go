// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// infer finds the query parameters that a statement uses and nobody declared, with
// the types that GoogleSQL infers, and declares them for the rest of the dry run: as
// NULL, but for an INT64, which may be a LIMIT. It finds none where that cannot be told, as in a statement with ML.PREDICT or
// a function of the user's: what is missing is an error then.
func (x *execution) infer(ctx context.Context, st *ast.Statement) []*bq.QueryParameter {
	edits := x.parameters(&st.Source)
	var missing []ast.Param
	for _, p := range st.Params {
		if !slices.ContainsFunc(edits, func(e edit) bool { return e.Range == p.Range }) {
			missing = append(missing, p)
			edits = append(edits, edit{p.Range, "?"})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	sql := cut(st, st.First, ast.Range{Start: 0, End: len(st.Text)}, edits).sql
	types, err := x.cfg.Engine.Infer(sql, x.namedTables(ctx, st))
	if err != nil || len(types) != len(missing) {
		return nil
	}
	var found []*bq.QueryParameter
	for i, p := range missing {
		typ := inferredType(types[i])
		known := slices.IndexFunc(found, func(f *bq.QueryParameter) bool { return p.Name != "" && strings.EqualFold(f.Name, p.Name) })
		switch {
		case known < 0:
			found = append(found, &bq.QueryParameter{Name: p.Name, ParameterType: typ})
		case parameterType(found[known].ParameterType) != parameterType(typ):
			return nil // one name, two types
		}
	}
	query := *x.query
	query.QueryParameters = slices.Clone(query.QueryParameters)
	for _, p := range found {
		declared := *p
		if p.ParameterType.Type == "INT64" {
			declared.ParameterValue = &bq.QueryParameterValue{Value: "1"}
		}
		query.QueryParameters = append(query.QueryParameters, &declared)
	}
	x.query = &query
	return found
}

// namedTables are those that a statement names and that are there.
func (x *execution) namedTables(ctx context.Context, st *ast.Statement) []ast.Table {
	paths := slices.Clone(st.Tables)
	if st.Target != nil {
		paths = append(paths, st.Target)
	}
	var out []ast.Table
	for _, p := range paths {
		if slices.ContainsFunc(out, func(t ast.Table) bool { return slices.Equal(t.Path, p) }) {
			continue
		}
		t, err := x.resolve(p)
		if err != nil {
			continue
		}
		// What is not there may be a name of the statement's own.
		if fields, err := x.columns(ctx, piece{sql: "SELECT * FROM " + t.sql()}); err == nil {
			out = append(out, ast.Table{Path: p, Fields: fields})
		}
	}
	return out
}

func inferredType(sql string) *bq.QueryParameterType {
	if element, ok := strings.CutPrefix(sql, "ARRAY<"); ok {
		return &bq.QueryParameterType{Type: "ARRAY", ArrayType: inferredType(strings.TrimSuffix(element, ">"))}
	}
	return &bq.QueryParameterType{Type: sql}
}
