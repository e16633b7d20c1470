// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

func TestTemporaryFunctions(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.want("CREATE TEMP FUNCTION twice(x INT64) AS (x * 2); SELECT twice(21)", [][]string{{"42"}})
	b.want("CREATE TEMP FUNCTION f(x INT64) AS (x + 1); CREATE TEMPORARY FUNCTION g(x INT64) AS (f(x) * 2); SELECT g(?)", [][]string{{"4"}},
		&bq.QueryParameter{ParameterType: &bq.QueryParameterType{Type: "INT64"}, ParameterValue: &bq.QueryParameterValue{Value: "1"}})
	// Functions before a query do not make a script of it.
	j := b.do("CREATE TEMP FUNCTION twice(x INT64) AS (x * 2);\nSELECT twice(1) AS y")
	if j.Statistics.Query.StatementType != "SELECT" || j.Statistics.NumChildJobs != 0 {
		t.Errorf("%s with %d child jobs, want a SELECT", j.Statistics.Query.StatementType, j.Statistics.NumChildJobs)
	}
	b.do("CREATE TEMP FUNCTION twice(x INT64) AS (x * 2); CREATE TABLE d.t AS SELECT twice(4) AS x")
	b.want("SELECT x FROM d.t", [][]string{{"8"}})
	b.fails("SELECT twice(1)", "invalidQuery", "Function not found: twice")
	b.fails("CREATE TEMP FUNCTION twice(x INT64) AS (x * 2);\nSELECT nope", "invalidQuery", "Unrecognized name: nope at [2:8]")
}

func TestTemporaryTables(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	for range 2 { // a second script does not see the first one's tables
		b.want("CREATE TEMP TABLE t (x INT64); INSERT INTO t VALUES (1), (2); UPDATE t SET x = 3 WHERE t.x = 2; SELECT t.x FROM t ORDER BY x", [][]string{{"1"}, {"3"}})
	}
	b.want("CREATE TEMP TABLE a AS SELECT 5 AS x; CREATE TABLE d.t AS SELECT x + 1 AS x FROM a; DROP TABLE a; SELECT x FROM d.t", [][]string{{"6"}})
	b.want("CREATE TEMP TABLE a AS SELECT 5 AS x; CREATE TEMP FUNCTION f(x INT64) AS (x * 10); SELECT f(x) FROM a", [][]string{{"50"}})
	b.fails("CREATE TEMP TABLE t AS SELECT 1 AS x", "invalidQuery", "requires a script or session")
	b.fails("SELECT * FROM t", "invalidQuery", `Table "t" must be qualified with a dataset`)
	b.fails("CREATE TEMP TABLE t AS SELECT 1 AS x; CREATE TEMP TABLE t AS SELECT 2 AS x", "duplicate", "Already Exists")
	b.want("CREATE TEMP TABLE t AS SELECT 1 AS x; CREATE OR REPLACE TEMP TABLE t AS SELECT x + 1 AS y FROM t; SELECT y FROM t", [][]string{{"2"}})
	b.want("CREATE TEMP TABLE t AS SELECT 1 AS x; INSERT _SESSION.t VALUES (2); SELECT SUM(x) FROM _SESSION.t", [][]string{{"3"}})
	b.want("CREATE TABLE _SESSION.u AS SELECT 7 AS x; SELECT x FROM u", [][]string{{"7"}})
	b.fails("SELECT x", "invalidQuery", "Unrecognized name: x")
}
