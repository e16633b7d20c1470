// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"reflect"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

func parse(t *testing.T, sql string) *ast.Script {
	t.Helper()
	script, err := Parse(sql)
	if err != nil {
		t.Fatalf("Parse(%q): %v", sql, err)
	}
	return script
}

func TestStatementTypes(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                   "SELECT",
		"CREATE TABLE d.t (x INT64)": "CREATE_TABLE",
		"CREATE OR REPLACE TABLE d.t AS SELECT 1 AS x":                  "CREATE_TABLE_AS_SELECT",
		"CREATE VIEW d.v AS SELECT 1 AS x":                              "CREATE_VIEW",
		"INSERT INTO d.t (x) VALUES (1)":                                "INSERT",
		"UPDATE d.t SET x = 1 WHERE true":                               "UPDATE",
		"DELETE FROM d.t WHERE x = 1":                                   "DELETE",
		"TRUNCATE TABLE d.t":                                            "TRUNCATE_TABLE",
		"MERGE d.t USING d.s ON false WHEN NOT MATCHED THEN INSERT ROW": "MERGE",
		"CREATE SCHEMA d":                                               "CREATE_SCHEMA",
		"DROP SCHEMA IF EXISTS d CASCADE":                               "DROP_SCHEMA",
		"DROP TABLE d.t":                                                "DROP_TABLE",
		"DROP VIEW d.t":                                                 "DROP_VIEW",
		"DROP MODEL IF EXISTS d.m":                                      "DROP_MODEL",
		"ALTER MODEL d.m SET OPTIONS (description = 'x')":               "ALTER_MODEL",
		"CREATE MODEL d.m REMOTE WITH CONNECTION DEFAULT OPTIONS (endpoint = 'x')": "CREATE_MODEL",
	} {
		if got := parse(t, sql).Statements[0].Type; got != want {
			t.Errorf("%s: type %q, want %q", sql, got, want)
		}
	}
}

func TestCreateModel(t *testing.T) {
	s := parse(t, "\nCREATE OR REPLACE MODEL `p-1.d.m` INPUT (text STRING, v ARRAY < FLOAT64 >) OUTPUT (scores ARRAY<float64>)\n"+
		"REMOTE WITH CONNECTION `p-1.us.c` OPTIONS (ENDPOINT = 'https://h/x', labels = [('a', 'b')])").Statements[0]
	if !reflect.DeepEqual(s.Target, ast.Path{"p-1", "d", "m"}) || !s.OrReplace || s.IfNotExists {
		t.Errorf("target %v, or replace %v, if not exists %v", s.Target, s.OrReplace, s.IfNotExists)
	}
	want := &ast.CreateModel{
		Remote: true, Connection: ast.Path{"p-1", "us", "c"}, HasInput: true, HasOutput: true,
		Input:  []ast.Column{{Name: "text", Type: "STRING"}, {Name: "v", Type: "ARRAY<FLOAT64>"}},
		Output: []ast.Column{{Name: "scores", Type: "ARRAY<FLOAT64>"}},
	}
	if !reflect.DeepEqual(s.Model, want) {
		t.Errorf("model %+v, want %+v", s.Model, want)
	}
	if len(s.Options) != 2 || s.Options[0].Name != "ENDPOINT" || s.Options[0].Value.In(s.Text) != "'https://h/x'" || s.Options[1].Value.In(s.Text) != "[('a', 'b')]" {
		t.Errorf("options %+v", s.Options)
	}
}

func TestScript(t *testing.T) {
	script := parse(t, "SELECT 'é;' ; DROP MODEL d.m;\n-- end\n")
	if len(script.Statements) != 2 || script.ControlFlow != "" {
		t.Fatalf("%d statements, control flow %q", len(script.Statements), script.ControlFlow)
	}
	if got := script.Statements[1].Text; got != "DROP MODEL d.m" {
		t.Errorf("second statement %q", got)
	}
	if got := parse(t, "DECLARE x INT64; SELECT x").ControlFlow; got != "DECLARE" {
		t.Errorf("control flow %q, want DECLARE", got)
	}
}

func TestSyntaxError(t *testing.T) {
	_, err := Parse("SELECT 1;\nSELEC 2")
	if _, ok := errors.AsType[*ast.SyntaxError](err); !ok {
		t.Fatalf("error %T %v, want a *SyntaxError", err, err)
	}
	if want := `Syntax error: Unexpected identifier "SELEC" at [2:1]`; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if _, err := Parse("-- nothing"); err == nil {
		t.Error("an empty script parses")
	}
}

func TestPredicts(t *testing.T) {
	s := parse(t, `WITH a AS (SELECT ? AS x), b AS (SELECT * FROM ML.PREDICT(MODEL d.m1, (SELECT x FROM a)) p)
SELECT * FROM b JOIN ml.predict(MODEL `+"`p.d.m2`"+`, (SELECT * FROM ML.PREDICT(MODEL d.m3, TABLE d.t))) -- )
AS q ON true WHERE EXISTS (SELECT 1 FROM ML.PREDICT(MODEL d.m4, (SELECT b.x, @n)))`).Statements[0]
	type seen struct {
		Model, Text, Input string
		Table, Nested      bool
		Scopes             int
	}
	var got []seen
	for _, p := range s.Predicts {
		names := 0
		for _, with := range p.Scopes {
			names += len(with)
		}
		got = append(got, seen{p.Model[len(p.Model)-1], p.In(s.Text)[:10], p.Input.In(s.Text), p.Table, p.Nested, names})
	}
	want := []seen{
		{"m1", "ML.PREDICT", "SELECT x FROM a", false, false, 1},
		{"m3", "ML.PREDICT", "d.t", true, false, 2},
		{"m2", "ml.predict", "SELECT * FROM ML.PREDICT(MODEL d.m3, TABLE d.t)", false, false, 2},
		{"m4", "ML.PREDICT", "SELECT b.x, @n", false, true, 2},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(s.Params) != 2 || s.Params[0].Name != "" || s.Params[1].Name != "n" {
		t.Errorf("params %+v", s.Params)
	}
}

func TestPredictsThatCannotBeEvaluated(t *testing.T) {
	for sql, want := range map[string]string{
		"WITH RECURSIVE a AS (SELECT 1) SELECT * FROM ML.PREDICT(MODEL d.m, TABLE a)": "WITH RECURSIVE",
		"FROM d.t |> CALL ML.PREDICT(MODEL d.m)":                                      "the pipe form |> CALL ML.PREDICT",
		"SELECT * FROM ML.PREDICT(MODEL d.m)":                                         "a form of ML.PREDICT other than ML.PREDICT(MODEL name, (query)) and ML.PREDICT(MODEL name, TABLE name)",
	} {
		if got := parse(t, sql).Statements[0].Predicts[0].Unsupported; got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if got := parse(t, "SELECT * FROM AI.GENERATE_TEXT(MODEL d.m, TABLE d.t)").Statements[0].OtherML; got != "AI.GENERATE_TEXT" {
		t.Errorf("other ML function %q", got)
	}
	if got := parse(t, "SELECT ML.PREDICT(1, 2)").Statements[0].OtherML; got != "ML.PREDICT" {
		t.Errorf("other ML function %q", got)
	}
}
