// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

// in runs SQL that must succeed in a project and answers the first cell of each
// row.
func (b *bigQuery) in(project, sql string) []string {
	b.t.Helper()
	answer, err := b.Jobs.Query(project, &bq.QueryRequest{Query: sql, UseLegacySql: new(false)}).Do()
	if err != nil {
		b.t.Fatalf("%s in %s: %v", sql, project, err)
	}
	var out []string
	for _, row := range answer.Rows {
		out = append(out, cellText(row.F[0].V))
	}
	return out
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A table belongs to a dataset of a project: a name without a project means the
// project of the job.
func TestProjectsAreApart(t *testing.T) {
	b := start(t)
	for project, rows := range map[string]string{"proj-aaa": "(1)", "proj-bbb": "(2), (3)"} {
		b.in(project, "CREATE SCHEMA d")
		b.in(project, "CREATE TABLE d.t (x INT64)")
		b.in(project, "INSERT d.t VALUES "+rows)
	}
	equal(t, "proj-aaa", b.in("proj-aaa", "SELECT x FROM d.t ORDER BY x"), "1")
	equal(t, "proj-bbb", b.in("proj-bbb", "SELECT x FROM d.t ORDER BY x"), "2", "3")
	equal(t, "named in full", b.in("proj-bbb", "SELECT t.x FROM `proj-aaa`.d.t"), "1")
	equal(t, "with a dash", b.in("proj-bbb", "SELECT x FROM proj-aaa.d.t"), "1")
	equal(t, "in one pair of backticks", b.in("proj-bbb", "SELECT x FROM `proj-aaa.d.t`"), "1")
	equal(t, "joined", b.in("proj-bbb", "SELECT a.x + b.x FROM d.t AS a CROSS JOIN `proj-aaa.d.t` AS b ORDER BY 1"), "3", "4")
	b.in("proj-aaa", "UPDATE d.t SET x = 10 WHERE true")
	b.in("proj-aaa", "MERGE d.t USING (SELECT 11 AS x) s ON t.x = s.x WHEN NOT MATCHED THEN INSERT ROW")
	b.in("proj-bbb", "DELETE FROM d.t WHERE x IN (SELECT x FROM d.t WHERE x = 3)")
	equal(t, "proj-aaa after DML", b.in("proj-aaa", "SELECT x FROM d.t ORDER BY x"), "10", "11")
	equal(t, "proj-bbb after DML", b.in("proj-bbb", "SELECT x FROM d.t ORDER BY x"), "2")
	for project, want := range map[string]uint64{"proj-aaa": 2, "proj-bbb": 1} {
		table, err := b.Tables.Get(project, "d", "t").Do()
		if err != nil || table.NumRows != want || table.TableReference.DatasetId != "d" || table.TableReference.ProjectId != project || table.Id != project+":d.t" {
			t.Errorf("%s: %+v, %v, want %d rows", project, table, err, want)
		}
		list, err := b.Tables.List(project, "d").Do()
		if err != nil || len(list.Tables) != 1 || list.Tables[0].TableReference.DatasetId != "d" || list.Tables[0].Id != project+":d.t" {
			t.Errorf("%s: tables.list %+v, %v", project, list, err)
		}
	}
	b.in("proj-aaa", "DROP SCHEMA d CASCADE")
	equal(t, "proj-bbb after the other's end", b.in("proj-bbb", "SELECT x FROM d.t"), "2")
	if _, err := b.Jobs.Query("proj-aaa", &bq.QueryRequest{Query: "SELECT x FROM d.t", UseLegacySql: new(false)}).Do(); reason(err) != "404 notFound" {
		t.Errorf("a dropped table: %v", err)
	}
}

// Datasets a and a_b do not mix, whatever their tables are called.
func TestNamesAreNotGlued(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA a; CREATE SCHEMA a_b; CREATE TABLE a.b_c AS SELECT 1 AS x; CREATE TABLE a_b.c AS SELECT 2 AS x")
	b.want("SELECT x FROM a.b_c", [][]string{{"1"}})
	b.want("SELECT x FROM a_b.c", [][]string{{"2"}})
}

// What looks like a table need not be one.
func TestNamesInQueries(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x, [10, 20] AS d")
	b.do("CREATE TABLE d.a AS SELECT 7 AS x")
	b.do("CREATE FUNCTION d.twice(x INT64) AS (x * 2)")
	b.want("WITH a AS (SELECT 5 AS x) SELECT x FROM a", [][]string{{"5"}})
	b.want("WITH a AS (SELECT x FROM d.a), b AS (SELECT x + 1 AS x FROM a) SELECT a.x, b.x AS y FROM a, b", [][]string{{"7", "8"}})
	b.want("SELECT v FROM d.t, t.d AS v ORDER BY v", [][]string{{"10"}, {"20"}})
	b.want("SELECT v FROM d.t AS d, d.d AS v ORDER BY v", [][]string{{"10"}, {"20"}})
	b.want("SELECT (SELECT SUM(v) FROM q.d AS v) FROM d.t AS q", [][]string{{"30"}})
	b.want("SELECT t.x, d.twice(t.x) FROM d.t", [][]string{{"1", "2"}})
	b.want("SELECT SAFE.SUBSTR('abc', 0, -2), NET.HOST('http://h/x')", [][]string{{"NULL", "h"}})
	b.do("CREATE VIEW d.v AS SELECT x + 1 AS y FROM d.t")
	b.want("SELECT v.y FROM d.v", [][]string{{"2"}})
	view, err := b.Tables.Get(projectID, "d", "v").Do()
	if err != nil || view.View == nil || view.View.Query != "SELECT x + 1 AS y FROM d.t" {
		t.Errorf("view %+v, %v: not the query it was created with", view, err)
	}
	if _, err := b.Tables.Insert(projectID, "d", &bq.Table{
		TableReference: &bq.TableReference{ProjectId: projectID, DatasetId: "d", TableId: "w"}, View: &bq.ViewDefinition{Query: "SELECT x FROM d.a", UseLegacySql: false},
	}).Do(); err != nil {
		t.Fatal(err)
	}
	b.want("SELECT x FROM d.w", [][]string{{"7"}})
	b.want("SELECT table_catalog, table_schema, table_name FROM d.INFORMATION_SCHEMA.TABLES WHERE table_name = 'a'", [][]string{{projectID, "d", "a"}})
	// Positions are those of the text that was sent.
	b.fails("SELECT x FROM d.t WHERE nope", "invalidQuery", "Unrecognized name: nope at [1:25]")
	b.fails("SELECT x FROM d.t JOIN\nd.a USING (x) WHERE nope", "invalidQuery", "Unrecognized name: nope at [2:21]")
	b.fails("SELECT x FROM t", "invalidQuery", `Table "t" must be qualified with a dataset (e.g. dataset.table)`)
	for _, sql := range []string{"SELECT x FROM d.t WHERE nope", "SELECT * FROM d.none", "SELECT d.none(1)", "INSERT d.t (y) VALUES (1)"} {
		if _, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: sql, UseLegacySql: new(false)}).Do(); err == nil || strings.Contains(err.Error(), "d:.") || strings.Contains(err.Error(), ":d:") || strings.Contains(err.Error(), "gcpml") {
			t.Errorf("%s: %v shows a name of the engine", sql, err)
		}
	}
}
