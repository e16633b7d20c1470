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

// temporaries are the objects that end with their script or session.
type temporaries struct {
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

// forget drops the temporary tables of a script or session.
func (x *execution) forget(ctx context.Context, t *temporaries) {
	if t.dataset != "" {
		_ = x.cfg.Engine.Do(context.WithoutCancel(ctx), http.MethodDelete, scratchProject, "/datasets/"+t.dataset+"?deleteContents=true", nil, nil)
	}
	*t = temporaries{}
}

func (x *execution) temporaryFunction(ctx context.Context, st *ast.Statement, out *outcome) error {
	name := strings.ToLower(strings.Join(st.Target, "."))
	at := slices.Index(x.env.temp.names, name)
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
		x.env.temp.names, x.env.temp.functions = slices.Delete(x.env.temp.names, at, at+1), slices.Delete(x.env.temp.functions, at, at+1)
		out.ddl = "REPLACE"
	} else {
		out.ddl = "CREATE"
	}
	x.env.temp.names, x.env.temp.functions = append(x.env.temp.names, name), append(x.env.temp.functions, text)
	return nil
}

// temporaryTable makes a table that only the rest of the script can name.
func (x *execution) temporaryTable(ctx context.Context, st *ast.Statement, first int, edits []edit, out *outcome) error {
	switch {
	case st.Type != "CREATE_TABLE" && st.Type != "CREATE_TABLE_AS_SELECT":
		return notImplemented("temporary objects other than tables and functions")
	case !x.scripted && x.job.session == nil:
		return invalidQuery("Use of CREATE TEMPORARY TABLE requires a script or session")
	}
	name, ok := temporaryName(st.Target)
	if !ok {
		return invalidQuery("The name of a temporary table cannot have a dataset: %s.", strings.Join(st.Target, "."))
	}
	old := x.env.temp.tables[name]
	switch {
	case old != nil && st.IfNotExists:
		out.ddl = "SKIP"
		return nil
	case old != nil && !st.OrReplace:
		return duplicate("Table %s", name)
	}
	dataset := x.env.temp.dataset
	if dataset == "" {
		dataset = x.scratch.name("temp")
		in := bq.Dataset{DatasetReference: datasetKey{scratchProject, dataset}.reference()}
		if err := x.cfg.Engine.Do(ctx, http.MethodPost, scratchProject, "/datasets", in, nil); err != nil {
			return err
		}
		x.env.temp.dataset, x.env.temp.tables = dataset, map[string]ast.Path{}
	}
	t := tableRef{scratchProject, dataset, name}
	edits = append(slices.Clone(edits), edit{ast.Range{Start: 0, End: st.TargetAt.End}, "CREATE TABLE " + t.sql()})
	if old != nil {
		out.ddl = "REPLACE"
		return x.replace(ctx, t, st, first, edits)
	}
	if _, err := x.run(ctx, cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits), false); err != nil {
		return err
	}
	out.ddl = "CREATE"
	x.env.temp.tables[name] = ast.Path{t.project, t.dataset, t.table}
	return nil
}

// temporaryName is the name of a temporary table: alone, or after _SESSION.
func temporaryName(p ast.Path) (string, bool) {
	switch {
	case len(p) == 1:
		return p[0], true
	case len(p) == 2 && strings.EqualFold(p[0], ast.SessionDataset):
		return p[1], true
	}
	return "", false
}

// temporary finds the temporary table that a name means.
func (x *execution) temporary(p ast.Path) (tableRef, bool) {
	name, ok := temporaryName(p)
	if !ok || x.env.temp.tables[name] == nil {
		return tableRef{}, false
	}
	t := x.env.temp.tables[name]
	return tableRef{t[0], t[1], t[2]}, true
}

func (x *execution) dropTemporary(ctx context.Context, p ast.Path, out *outcome) error {
	t, _ := x.temporary(p)
	name, _ := temporaryName(p)
	delete(x.env.temp.tables, name)
	out.ddl = "DROP"
	return x.cfg.Engine.Do(ctx, http.MethodDelete, scratchProject, t.path(), nil, nil)
}
