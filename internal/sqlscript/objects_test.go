// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

func TestMakes(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE SCHEMA d": "SCHEMA d",
		"create or replace table `my-p.d`.t AS SELECT 1":   "TABLE my-p.d.t",
		"CREATE TABLE IF NOT EXISTS my-p-1.d.t (a INT64)":  "TABLE my-p-1.d.t",
		"DROP TABLE my-project-1a.d.t":                     "TABLE my-project-1a.d.t",
		"DROP TABLE `a-1`.d . t":                           "TABLE a-1.d.t",
		"CREATE MODEL `p.d.m` REMOTE WITH CONNECTION x":    "MODEL p.d.m",
		"CREATE MATERIALIZED VIEW d.v AS SELECT 1":         "VIEW d.v",
		"CREATE OR REPLACE TABLE FUNCTION d.f() AS SELECT": "FUNCTION d.f",
		"ALTER TABLE IF EXISTS d.t ADD COLUMN x INT64":     "TABLE d.t",
		"DROP VIEW d.v":                            "VIEW d.v",
		"INSERT INTO d.t VALUES (1)":               "TABLE d.t",
		"INSERT d.t (a) VALUES (1)":                "TABLE d.t",
		"UPDATE d.t SET a = 1 WHERE TRUE":          "TABLE d.t",
		"DELETE FROM d.t WHERE TRUE":               "TABLE d.t",
		"MERGE d.t USING d.u ON TRUE":              "TABLE d.t",
		"TRUNCATE TABLE d.t":                       "TABLE d.t",
		"LOAD DATA OVERWRITE d.t FROM FILES (x=1)": "TABLE d.t",
		"SELECT 1": "", "WITH a AS (SELECT 1) SELECT * FROM a": "",
		"BEGIN CREATE TABLE d.t (a INT64); END": "", // a script
	} {
		got := ""
		if o, ok := split(t, text)[0].Makes(); ok {
			got = o.Kind + " " + o.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestModels(t *testing.T) {
	for text, want := range map[string][]string{
		"SELECT * FROM ML.PREDICT(MODEL `p.d.m`, (SELECT 1 AS x))":                            {"p.d.m"},
		"SELECT * FROM ML.PREDICT(MODEL d.m, TABLE d.t), ML.EVALUATE( MODEL d.n, TABLE d.t )": {"d.m", "d.n"},
		"CREATE MODEL d.m OPTIONS (x=1) AS SELECT 1":                                          {"d.m"},
		"SELECT model FROM d.models":                                                          nil,
	} {
		if got := split(t, text)[0].Models(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestBind(t *testing.T) {
	named := []*bigquery.QueryParameter{{Name: "a"}, {Name: "B"}}
	positional := []*bigquery.QueryParameter{{ParameterType: &bigquery.QueryParameterType{Type: "INT64"}}, {ParameterType: &bigquery.QueryParameterType{Type: "DATE"}}}
	files := [][]sqlscript.Statement{split(t, "SELECT @A, @a; SELECT '@x ?', @@project_id -- @x ?\n; SELECT @b + @a")}
	if err := sqlscript.Bind(files, named); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0, 2} {
		if got := len(files[0][i].Parameters); got != want {
			t.Errorf("statement %d has %d parameters, want %d", i, got, want)
		}
	}
	files = [][]sqlscript.Statement{split(t, "SELECT ?; SELECT 1"), split(t, "SELECT ?")}
	if err := sqlscript.Bind(files, positional); err != nil {
		t.Fatal(err)
	}
	if got := files[1][0].Parameters; len(got) != 1 || got[0].ParameterType.Type != "DATE" || len(files[0][1].Parameters) != 0 {
		t.Errorf("got %v", got)
	}
	for want, test := range map[string]struct {
		sql        string
		parameters []*bigquery.QueryParameter
	}{
		"f.sql:1:12: the query parameter @x is not given":                   {"SELECT @a, @x", named},
		"f.sql:2:1: a positional query parameter is not given: there are 2": {"SELECT ?, ?,\n?", positional},
		"2 positional query parameters are given and 1 are used":            {"SELECT ?", positional},
		"the query parameter B is used by no statement":                     {"SELECT @a", named},
		"the parameter A is given twice":                                    {"SELECT @a", []*bigquery.QueryParameter{{Name: "a"}, {Name: "A"}}},
		"query parameters must be all named or all positional":              {"SELECT @a", append(named[:1:1], positional...)},
	} {
		if err := sqlscript.Bind([][]sqlscript.Statement{split(t, test.sql)}, test.parameters); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", test.sql, err, want)
		}
	}
}

// A statement that needs what an earlier one makes is no failure of the plan.
func TestEstimates(t *testing.T) {
	missing := &query.JobError{Reason: "notFound", Message: "no"}
	invalid := &query.JobError{Reason: "invalidQuery", Message: "no", Line: 1, Column: 8}
	denied := &query.JobError{Reason: "accessDenied", Message: "no"}
	r := &recorder{errors: map[string]error{
		"CREATE TABLE d.t (a INT64)": missing, "SELECT * FROM d.t": missing, "SELECT * FROM p.d.u": missing, "SELECT x FROM d.other": missing, "SELECT * FROM e.t": missing,
		"SELECT n FROM e.old": invalid, "SELECT d.f(1)": denied, "SELECT oops": invalid,
	}}
	files := [][]sqlscript.Statement{
		split(t, "CREATE SCHEMA d; CREATE TABLE d.t (a INT64); SELECT * FROM d.t"),
		split(t, "SELECT * FROM p.d.u; SELECT * FROM e.t; ALTER TABLE e.old ADD COLUMN n INT64; SELECT n FROM e.old; SELECT d.f(1); SELECT oops; SELECT 1"),
	}
	var got []string
	for _, e := range sqlscript.Estimates(context.Background(), r, files, query.Request{}) {
		var failed *query.JobError
		switch {
		case e.Job != nil:
			got = append(got, "ok")
		case errors.As(e.Err, &failed):
			got = append(got, failed.Reason)
		default:
			got = append(got, fmt.Sprint(e.Needs))
		}
	}
	want := []string{"ok", "[{SCHEMA d}]", "[{SCHEMA d} {TABLE d.t}]", "[{SCHEMA d}]", "notFound", "ok", "[{TABLE e.old}]", "accessDenied", "invalidQuery", "ok"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, request := range r.requests {
		if !request.DryRun {
			t.Fatalf("%s was run", request.SQL)
		}
	}
}
