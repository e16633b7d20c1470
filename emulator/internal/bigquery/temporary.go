// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"net/http"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// temporaries are the objects that end with their script.
type temporaries struct {
	script bool
	// dataset of the engine's scratch project holds the tables; empty before the
	// first of them.
	dataset string
	tables  map[string]ast.Path
	// functions are the statements that declare them, each with a line end: they
	// are put before every text that is run.
	functions []string
	names     []string // of functions, in lower case
}

// onlyFunctions reports whether all statements declare temporary functions.
func onlyFunctions(list []*ast.Statement) bool {
	return !slices.ContainsFunc(list, func(st *ast.Statement) bool { return st.Type != "CREATE_FUNCTION" || !st.Temporary })
}

// positional is the number of a statement's positional parameters.
func positional(st *ast.Statement) int {
	n := 0
	for _, p := range st.Params {
		if p.Name == "" {
			n++
		}
	}
	return n
}

// forget drops the temporary tables of a script.
func (x *execution) forget(ctx context.Context) {
	if x.temp.dataset != "" {
		_ = x.cfg.Engine.Do(context.WithoutCancel(ctx), http.MethodDelete, scratchProject, "/datasets/"+x.temp.dataset+"?deleteContents=true", nil, nil)
	}
}

func (x *execution) temporaryFunction(ctx context.Context, st *ast.Statement, out *outcome) error {
	name := strings.ToLower(strings.Join(st.Target, "."))
	at := slices.Index(x.temp.names, name)
	switch {
	case len(st.Params) > 0:
		return invalidQuery("Query parameters cannot be used in CREATE FUNCTION.")
	case len(st.Predicts) > 0:
		return notImplemented("ML.PREDICT in a function")
	case at >= 0 && st.IfNotExists:
		out.ddl = "SKIP"
		return nil
	case at >= 0 && !st.OrReplace:
		return duplicate("Function %s", strings.Join(st.Target, "."))
	}
	text := st.Text + ";\n"
	if _, err := x.run(ctx, piece{sql: text + "SELECT 1"}, true); err != nil {
		return err
	}
	if at >= 0 {
		x.temp.names, x.temp.functions = slices.Delete(x.temp.names, at, at+1), slices.Delete(x.temp.functions, at, at+1)
		out.ddl = "REPLACE"
	} else {
		out.ddl = "CREATE"
	}
	x.temp.names, x.temp.functions = append(x.temp.names, name), append(x.temp.functions, text)
	return nil
}

// temporaryTable makes a table that only the rest of the script can name.
func (x *execution) temporaryTable(ctx context.Context, st *ast.Statement, first int, edits []edit, out *outcome) error {
	switch {
	case st.Type != "CREATE_TABLE" && st.Type != "CREATE_TABLE_AS_SELECT":
		return notImplemented("temporary objects other than tables and functions")
	case !x.temp.script:
		return invalidQuery("Use of CREATE TEMPORARY TABLE requires a script or session")
	case len(st.Target) != 1:
		return invalidQuery("The name of a temporary table cannot have a dataset: %s.", strings.Join(st.Target, "."))
	}
	name := st.Target[0]
	old := x.temp.tables[name]
	switch {
	case old != nil && st.IfNotExists:
		out.ddl = "SKIP"
		return nil
	case old != nil && !st.OrReplace:
		return duplicate("Table %s", name)
	case old != nil:
		return notImplemented("CREATE OR REPLACE TEMP TABLE of a table that exists: drop it first")
	}
	dataset := x.temp.dataset
	if dataset == "" {
		dataset = x.scratch.name("temp")
		in := bq.Dataset{DatasetReference: datasetKey{scratchProject, dataset}.reference()}
		if err := x.cfg.Engine.Do(ctx, http.MethodPost, scratchProject, "/datasets", in, nil); err != nil {
			return err
		}
		x.temp.dataset, x.temp.tables = dataset, map[string]ast.Path{}
	}
	t := tableRef{scratchProject, dataset, name}
	edits = append(slices.Clone(edits), edit{ast.Range{Start: 0, End: st.TargetAt.End}, "CREATE TABLE " + t.sql()})
	if _, err := x.run(ctx, cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits), false); err != nil {
		return err
	}
	out.ddl = "CREATE"
	x.temp.tables[name] = ast.Path{t.project, t.dataset, t.table}
	return nil
}

func (x *execution) dropTemporary(ctx context.Context, name string, out *outcome) error {
	t := x.temp.tables[name]
	delete(x.temp.tables, name)
	out.ddl = "DROP"
	return x.cfg.Engine.Do(ctx, http.MethodDelete, scratchProject, tableRef{t[0], t[1], t[2]}.path(), nil, nil)
}
