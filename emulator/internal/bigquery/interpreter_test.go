// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	bq "google.golang.org/api/bigquery/v2"
)

// The examples are those of
// https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language
// or follow its sentences; what they answer is arithmetic.
func TestProceduralLanguage(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT * FROM UNNEST([STRUCT(1 AS id, 'a' AS s), (2, 'b'), (3, 'c')])")
	for name, c := range map[string]struct {
		sql  string
		want [][]string
	}{
		"DECLARE without a default is NULL":        {"DECLARE x INT64; SELECT x IS NULL", [][]string{{"true"}}},
		"DECLARE of several":                       {"DECLARE x, y, z INT64 DEFAULT 7; SELECT x + y + z", [][]string{{"21"}}},
		"the type of the default":                  {"DECLARE item DEFAULT (SELECT s FROM d.t WHERE id = 2); SELECT item", [][]string{{"b"}}},
		"defaults see the variables before":        {"DECLARE x INT64 DEFAULT 2; DECLARE y INT64 DEFAULT x * x; SELECT y", [][]string{{"4"}}},
		"names have no case":                       {"DECLARE Foo INT64 DEFAULT 1; SET FOO = foo + 1; SELECT fOO", [][]string{{"2"}}},
		"the default is coerced":                   {"DECLARE d DATE DEFAULT '2020-02-29'; DECLARE n NUMERIC DEFAULT 1; SELECT CAST(d AS STRING), CAST(n AS STRING)", [][]string{{"2020-02-29", "1"}}},
		"SET of several":                           {"DECLARE a, c INT64; DECLARE b STRING; SET (a, b, c) = (1 + 3, 'foo', NULL); SELECT a, b, c IS NULL", [][]string{{"4", "foo", "true"}}},
		"SET from a query":                         {"DECLARE n INT64; DECLARE s STRING; SET (n, s) = (SELECT AS STRUCT COUNT(*), MAX(s) FROM d.t); SELECT n, s", [][]string{{"3", "c"}}},
		"arrays":                                   {"DECLARE names ARRAY<STRING>; SET names = (SELECT ARRAY_AGG(s ORDER BY s) FROM d.t); SELECT n FROM UNNEST(names) AS n WHERE n > 'a' ORDER BY n", [][]string{{"b"}, {"c"}}},
		"a column hides a variable":                {"DECLARE id INT64 DEFAULT 9; SELECT id FROM d.t WHERE id = 1", [][]string{{"1"}}},
		"a variable where there is no such column": {"DECLARE wanted INT64 DEFAULT 3; SELECT s FROM d.t WHERE id = wanted", [][]string{{"c"}}},
		"both in one statement":                    {"DECLARE id INT64 DEFAULT 2; SELECT id, (SELECT s FROM d.t WHERE t.id = 1) FROM UNNEST([1])", [][]string{{"2", "a"}}},
		"a struct and its fields":                  {"DECLARE p STRUCT<a INT64, b STRUCT<c STRING>> DEFAULT (1, STRUCT('deep')); SELECT p.a, p.b.c", [][]string{{"1", "deep"}}},
		"quotes and newlines stay":                 {`DECLARE s STRING DEFAULT 'it\'s\n"x" \\ \t'; SELECT s = 'it\'s\n"x" \\ \t'`, [][]string{{"true"}}},
		"DATE_TRUNC and a variable called month":   {"DECLARE month INT64 DEFAULT 1; SELECT CAST(DATE_TRUNC(DATE '2020-05-06', MONTH) AS STRING), month", [][]string{{"2020-05-01", "1"}}},
		"LIMIT":                                    {"DECLARE n INT64 DEFAULT 1; SELECT s FROM d.t ORDER BY id DESC LIMIT n", [][]string{{"c"}}},
		"IF":                                       {"DECLARE x INT64 DEFAULT 2; IF x = 1 THEN SELECT 'one'; ELSEIF x = 2 THEN SELECT 'two'; ELSE SELECT 'many'; END IF", [][]string{{"two"}}},
		"IF on a query":                            {"IF EXISTS (SELECT 1 FROM d.t WHERE id = 7) THEN SELECT 'found'; ELSE SELECT 'not found'; END IF", [][]string{{"not found"}}},
		"NULL is not true":                         {"IF CAST(NULL AS BOOL) THEN SELECT 1; ELSE SELECT 2; END IF", [][]string{{"2"}}},
		"CASE":                                     {"DECLARE x INT64 DEFAULT 3; CASE WHEN x < 3 THEN SELECT 'less'; WHEN x = 3 THEN SELECT 'same'; ELSE SELECT 'more'; END CASE", [][]string{{"same"}}},
		"CASE of a value":                          {"DECLARE x STRING DEFAULT 'b'; CASE x WHEN 'a' THEN SELECT 1; WHEN 'b' THEN SELECT 2; END CASE", [][]string{{"2"}}},
		"LOOP":                                     {"DECLARE x INT64 DEFAULT 0; LOOP SET x = x + 1; IF x >= 10 THEN LEAVE; END IF; END LOOP; SELECT x", [][]string{{"10"}}},
		"WHILE":                                    {"DECLARE x INT64 DEFAULT 0; WHILE x < 5 DO SET x = x + 2; END WHILE; SELECT x", [][]string{{"6"}}},
		"REPEAT":                                   {"DECLARE x INT64 DEFAULT 0; REPEAT SET x = x + 1; UNTIL x >= 3 END REPEAT; SELECT x", [][]string{{"3"}}},
		"CONTINUE":                                 {"DECLARE x, odd INT64 DEFAULT 0; WHILE x < 5 DO SET x = x + 1; IF MOD(x, 2) = 0 THEN CONTINUE; END IF; SET odd = odd + x; END WHILE; SELECT odd", [][]string{{"9"}}},
		"labels":                                   {"DECLARE n INT64 DEFAULT 0; outer_loop: LOOP LOOP SET n = n + 1; IF n > 3 THEN BREAK outer_loop; END IF; CONTINUE outer_loop; END LOOP; END LOOP; SELECT n", [][]string{{"4"}}},
		"a labelled block":                         {"DECLARE n INT64 DEFAULT 0; b: BEGIN SET n = 1; LEAVE b; SET n = 2; END; SELECT n", [][]string{{"1"}}},
		"FOR":                                      {"DECLARE all_of STRING DEFAULT ''; FOR r IN (SELECT id, s FROM d.t ORDER BY id) DO SET all_of = CONCAT(all_of, r.s, CAST(r.id AS STRING)); END FOR; SELECT all_of", [][]string{{"a1b2c3"}}},
		"a block has its variables":                {"DECLARE x INT64 DEFAULT 1; BEGIN DECLARE y INT64 DEFAULT 2; SET x = x + y; END; SELECT x", [][]string{{"3"}}},
		"RETURN":                                   {"SELECT 1; BEGIN RETURN; END; SELECT 2", [][]string{{"1"}}},
		"EXECUTE IMMEDIATE":                        {"DECLARE n INT64; EXECUTE IMMEDIATE CONCAT('SELECT COUNT(*) FROM d.', 't', ' WHERE id < ?') INTO n USING 3; SELECT n", [][]string{{"2"}}},
		"EXECUTE IMMEDIATE with names":             {"DECLARE n INT64 DEFAULT 5; EXECUTE IMMEDIATE 'SELECT @a * @b' USING n AS a, 2 AS b", [][]string{{"10"}}},
		"EXECUTE IMMEDIATE without a row":          {"DECLARE n INT64 DEFAULT 5; EXECUTE IMMEDIATE 'SELECT id FROM d.t WHERE FALSE' INTO n; SELECT n IS NULL", [][]string{{"true"}}},
		"EXECUTE IMMEDIATE USING an array":         {"DECLARE a ARRAY<INT64> DEFAULT [1, 3]; EXECUTE IMMEDIATE 'SELECT STRING_AGG(s, \\'\\' ORDER BY id) FROM d.t WHERE id IN UNNEST(?)' USING a", [][]string{{"ac"}}},
		"a handled error":                          {"BEGIN SELECT 1/0; SELECT 'no'; EXCEPTION WHEN ERROR THEN SELECT @@error.statement_text, @@error.formatted_stack_trace; END", [][]string{{"SELECT 1/0", "At [1:7]"}}},
		"no error, no handler":                     {"BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END", [][]string{{"1"}}},
		"RAISE is handled":                         {"BEGIN RAISE USING MESSAGE = CONCAT('a', 'b'); EXCEPTION WHEN ERROR THEN SELECT STRPOS(@@error.message, 'ab') > 0; END", [][]string{{"true"}}},
		"the outer handler gets what is raised":    {"BEGIN BEGIN SELECT 1/0; EXCEPTION WHEN ERROR THEN RAISE; END; EXCEPTION WHEN ERROR THEN SELECT @@error.statement_text; END", [][]string{{"SELECT 1/0"}}},
		"@@row_count":                              {"CREATE TEMP TABLE u (x INT64); INSERT u VALUES (1), (2); SELECT @@row_count", [][]string{{"2"}}},
		"DDL and DML see variables":                {"DECLARE x INT64 DEFAULT 4; CREATE TEMP TABLE u AS SELECT x AS y; INSERT u VALUES (x + 1); UPDATE u SET y = x * 10 WHERE y = x; SELECT y FROM u ORDER BY y", [][]string{{"5"}, {"40"}}},
		"@@dataset_id":                             {"SET @@dataset_id = 'd'; SELECT COUNT(*) FROM t", [][]string{{"3"}}},
		"@@project_id alone":                       {"SELECT @@project_id", [][]string{{projectID}}},
		"the column of a variable":                 {"DECLARE x INT64 DEFAULT 1; CREATE TEMP TABLE u AS SELECT x, x + 1 AS y; SELECT x, y FROM u", [][]string{{"1", "2"}}},
		"types survive":                            {"DECLARE ts TIMESTAMP DEFAULT TIMESTAMP '2020-01-02 03:04:05.678901+00'; DECLARE raw BYTES DEFAULT b'\\x00\\xff'; DECLARE f FLOAT64 DEFAULT 0.1; DECLARE n BIGNUMERIC DEFAULT BIGNUMERIC '1.00000000000000000001'; SELECT FORMAT_TIMESTAMP('%E6S', ts), TO_HEX(raw), f = 0.1, CAST(n AS STRING)", [][]string{{"05.678901", "00ff", "true", "1.00000000000000000001"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bigQuery{b.Service, t, b.w}
			b.want(c.sql, c.want)
		})
	}
}

// Variables reach the input of an ML.PREDICT, in a script and in a table of it.
func TestPredictInScript(t *testing.T) {
	b := start(t)
	b.tutorial()
	b.want("DECLARE wanted INT64 DEFAULT 2; SELECT id, scores FROM ML.PREDICT(MODEL d.m, (SELECT id, review AS text FROM d.reviews WHERE id = wanted))",
		[][]string{{"2", "[5.1]"}})
	b.want("CREATE TEMP TABLE p AS SELECT id, scores FROM ML.PREDICT(MODEL d.m, (SELECT id, review AS text FROM d.reviews WHERE id < 3)); SELECT COUNT(*) FROM p",
		[][]string{{"2"}})
	b.want("DECLARE best FLOAT64; SET best = (SELECT MAX(s) FROM ML.PREDICT(MODEL d.m, (SELECT 'four' AS text)), UNNEST(scores) AS s); SELECT best",
		[][]string{{"4.1"}})
}

func TestProceduralErrors(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	for _, c := range []struct{ sql, reason, message string }{
		{"DECLARE x INT64;\n  SELECT nope", "invalidQuery", "Query error: Unrecognized name: nope at [2:10]"},
		{"DECLARE x INT64 DEFAULT 5;\nSELECT x, x,\n  nope", "invalidQuery", "Unrecognized name: nope at [3:3]"},
		{"DECLARE x INT64 DEFAULT 123456789;\n\tSELECT\tx,\tnope", "invalidQuery", "Unrecognized name: nope at [2:25]"},
		{"DECLARE x INT64 DEFAULT 'a'", "invalidQuery", "Expected type INT64; found STRING at [1:"},
		{"DECLARE x INT64;\nSET x = 'a' || 'b'", "invalidQuery", "Expected type INT64; found STRING at [2:"},
		{"DECLARE x INT64; DECLARE x STRING", "invalidQuery", "redecl"},
		{"SET x = 1", "invalidQuery", "Undeclared variable: x at [1:1]"},
		{"BEGIN DECLARE y INT64; END; SELECT y", "invalidQuery", "Unrecognized name: y"},
		{"SELECT 1;\nRAISE USING MESSAGE = 'no good'", "invalidQuery", "Query error: no good at [2:1]"},
		{"RAISE", "invalidQuery", "RAISE"},
		{"BEGIN SELECT 1/0; EXCEPTION WHEN ERROR THEN RAISE; END", "invalidQuery", "at [1:7]"},
		{"DECLARE x INT64 DEFAULT 0;\nWHILE TRUE DO\n  SET x = x + 1;\n  IF x = 3 THEN\n    SELECT 1 / (x - 3);\n  END IF;\nEND WHILE", "invalidQuery", "at [5:5]"},
		{"EXECUTE IMMEDIATE 'SELECT nope'", "invalidQuery", "Unrecognized name: nope"},
		{"EXECUTE IMMEDIATE 'SELECT 1; SELECT 2'", "invalidQuery", "one SQL statement"},
		{"EXECUTE IMMEDIATE 'SELEC 1'", "invalidQuery", "Syntax error"},
		{"DECLARE a INT64; EXECUTE IMMEDIATE 'SELECT 1 UNION ALL SELECT 2' INTO a", "invalidQuery", "at most one row"},
		// These are found before anything is run.
		{"SELECT 1 / 0;\nBREAK", "invalidQuery", "BREAK is only allowed inside of a loop body at [2:1]"},
		{"BEGIN SELECT 1 / 0; CONTINUE; END", "invalidQuery", "CONTINUE is only allowed inside of a loop body at [1:21]"},
		{"SELECT 1 / 0; DECLARE x INT64", "invalidQuery", "Variable declarations are allowed only at the start of a block or script at [1:15]"},
		{"SELECT 1 / 0; IF TRUE THEN DECLARE x INT64; END IF", "invalidQuery", "Variable declarations are allowed only"},
		{"a: LOOP BREAK b; END LOOP", "invalidQuery", "Label b does not exist"},
		{"DECLARE x INT64; SELECT * FROM d.none WHERE a = x", "notFound", "Table my-project:d.none"},
		{"BEGIN TRANSACTION; COMMIT TRANSACTION", "notImplemented", "BEGIN TRANSACTION"},
		{"CALL d.p()", "notImplemented", "CALL"},
		// What the emulator cannot do is not hidden by a handler.
		{"BEGIN EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 1; END", "notImplemented", "EXPORT_DATA"},
		{"ASSERT FALSE AS 'too few rows'", "invalidQuery", "Assertion failed: too few rows"},
		{"SELECT 1;\nASSERT 1 > 2 AS 'too few rows'", "invalidQuery", "Assertion failed: too few rows at [2:1]"},
		{"ASSERT CAST(NULL AS BOOL)", "invalidQuery", "Assertion failed"},
		{"ASSERT\n  nope", "invalidQuery", "Unrecognized name: nope at [2:3]"},
	} {
		b.fails(c.sql, c.reason, c.message)
	}
	for _, sql := range []string{"ASSERT (SELECT COUNT(*) > 5 FROM UNNEST([1, 2, 3, 4, 5, 6]))", "DECLARE x INT64 DEFAULT 2; ASSERT x = 2 AS 'two'"} {
		b.do("%s", sql)
	}
	if j := b.do("ASSERT TRUE"); j.Statistics.Query.StatementType != "ASSERT" {
		t.Errorf("statement type %s", j.Statistics.Query.StatementType)
	}
}

// Each statement and each query in an expression is a child job that tells its
// place.
func TestScriptChildren(t *testing.T) {
	b := start(t)
	sql := "DECLARE x INT64;\nSET x = (SELECT MAX(y) FROM UNNEST([1, 2]) AS y);\nIF x = 2 THEN\n  SELECT x;\nEND IF;\nEXECUTE IMMEDIATE 'SELECT 5'"
	j := b.do("%s", sql)
	if j.Statistics.NumChildJobs != 3 || j.Statistics.Query.StatementType != "SCRIPT" {
		t.Fatalf("%+v", j.Statistics)
	}
	list, err := b.Jobs.List(projectID).ParentJobId(j.JobReference.JobId).Projection("full").Do()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, child := range list.Jobs {
		s := child.Statistics.ScriptStatistics
		line := s.EvaluationKind + " " + child.Configuration.Query.Query
		for _, f := range s.StackFrames {
			line += fmt.Sprintf(" [%d:%d-%d:%d]", f.StartLine, f.StartColumn, f.EndLine, f.EndColumn)
		}
		got = append([]string{line}, got...)
		if child.Statistics.ParentJobId != j.JobReference.JobId {
			t.Errorf("parent %s", child.Statistics.ParentJobId)
		}
	}
	want := []string{
		"EXPRESSION (SELECT MAX(y) FROM UNNEST([1, 2]) AS y) [2:9-2:49]",
		"STATEMENT SELECT x [4:3-4:11]",
		"STATEMENT SELECT 5 [1:1-1:9] [6:1-6:29]",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A loop without an end is ended by a cancellation, whatever handler is around it.
func TestCancelScript(t *testing.T) {
	b := start(t)
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: query("BEGIN LOOP BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END; END LOOP; EXCEPTION WHEN ERROR THEN SELECT 3; END")}).Do()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); j.Statistics.NumChildJobs == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the script does not begin")
		}
		if j, err = b.Jobs.Get(projectID, j.JobReference.JobId).Do(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Jobs.Cancel(projectID, j.JobReference.JobId).Do(); err != nil {
		t.Fatal(err)
	}
	if e := b.ended(j).Status.ErrorResult; e == nil || e.Reason != "stopped" {
		t.Errorf("error %+v", e)
	}
}

// A dry run of a script goes as far as can be told without running it:
// https://cloud.google.com/bigquery/docs/multi-statement-queries#dry-run
func TestDryRunOfScripts(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x") // 8 bytes
	for _, c := range []struct {
		sql, accuracy, reason string
		bytes                 int64
	}{
		{"SELECT x FROM d.t; SELECT x FROM d.t", "PRECISE", "", 16},
		{"DECLARE n INT64 DEFAULT 1; SELECT x FROM d.t WHERE x = n", "PRECISE", "", 8},
		{"DECLARE n INT64 DEFAULT (SELECT MAX(x) FROM d.t); SELECT x FROM d.t WHERE x = n", "PRECISE", "", 16},
		{"SELECT x FROM d.t; CREATE TABLE d.u AS SELECT x FROM d.t; SELECT * FROM d.u", "UNKNOWN", "", 16},
		{"SELECT x FROM d.t; IF nope THEN SELECT x FROM d.t; END IF", "UNKNOWN", "", 8},
		{"BEGIN SELECT x FROM d.t; END; CREATE TEMP TABLE u AS SELECT 1 AS y; SELECT y FROM u", "UNKNOWN", "", 8},
		{"INSERT d.t VALUES (2); SELECT nope FROM d.t", "", "400 invalidQuery", 0},
	} {
		config := query(c.sql)
		config.DryRun = true
		j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do()
		if err != nil || c.reason != "" {
			if reason(err) != c.reason {
				t.Errorf("%s: %v", c.sql, err)
			}
			continue
		}
		if got := j.Statistics.Query; got.TotalBytesProcessed != c.bytes || got.TotalBytesProcessedAccuracy != c.accuracy || got.StatementType != "SCRIPT" {
			t.Errorf("%s: %d bytes, %s, %s", c.sql, got.TotalBytesProcessed, got.TotalBytesProcessedAccuracy, got.StatementType)
		}
	}
	b.want("SELECT COUNT(*) FROM d.t", [][]string{{"1"}})
}

func (b *bigQuery) inSession(id, sql string) (*bq.QueryResponse, error) {
	in := &bq.QueryRequest{Query: sql, UseLegacySql: new(false), CreateSession: id == "", TimeoutMs: 120_000}
	if id != "" {
		in.ConnectionProperties = []*bq.ConnectionProperty{{Key: "session_id", Value: id}}
	}
	return b.Jobs.Query(projectID, in).Do()
}

// https://cloud.google.com/bigquery/docs/sessions-write-queries
func TestSessions(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d OPTIONS (location = 'EU')")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x")
	first, err := b.inSession("", "CREATE TEMP TABLE kept AS SELECT x + 1 AS y FROM d.t")
	if err != nil || first.SessionInfo == nil || first.SessionInfo.SessionId == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	id := first.SessionInfo.SessionId
	one := func(sql, want string) {
		t.Helper()
		answer, err := b.inSession(id, sql)
		if err != nil || len(answer.Rows) != 1 || answer.Rows[0].F[0].V != want {
			t.Errorf("%s: %+v, %v", sql, answer, err)
			return
		}
		if answer.SessionInfo == nil || answer.SessionInfo.SessionId != id || answer.JobReference.Location != "EU" {
			t.Errorf("%s: session %+v in %s", sql, answer.SessionInfo, answer.JobReference.Location)
		}
	}
	one("SELECT y FROM kept", "2")
	one("SELECT @@session_id", id)
	one("DECLARE n INT64 DEFAULT 40; SELECT n", "40")
	one("SELECT n + y FROM kept", "42")
	one("SET n = n + 1; BEGIN DECLARE inner_one INT64 DEFAULT 1; SET n = n + inner_one; END; SELECT n", "42")
	one("CREATE TEMP FUNCTION twice(x INT64) AS (x * 2); SELECT 1", "1")
	one("SELECT twice(n)", "84")
	if _, err := b.inSession(id, "SELECT inner_one"); reason(err) != "400 invalidQuery" {
		t.Errorf("a variable of a block: %v", err)
	}
	j, err := b.Jobs.Get(projectID, first.JobReference.JobId).Location("EU").Do()
	if err != nil || j.Statistics.SessionInfo.SessionId != id {
		t.Errorf("%+v, %v", j, err)
	}
	// Nothing of it is seen elsewhere.
	b.fails("SELECT y FROM kept", "invalidQuery", `Table "kept" must be qualified`)
	other, err := b.inSession("", "SELECT 1")
	if err != nil || other.SessionInfo.SessionId == id {
		t.Fatalf("%+v, %v", other, err)
	}
	if _, err := b.inSession(other.SessionInfo.SessionId, "SELECT y FROM kept"); reason(err) != "400 invalidQuery" {
		t.Errorf("a table of another session: %v", err)
	}
	if _, err := b.inSession("nope", "SELECT 1"); reason(err) != "404 notFound" {
		t.Errorf("an unknown session: %v", err)
	}
	if _, err := b.inSession(id, "CALL BQ.ABORT_SESSION()"); err != nil {
		t.Error(err)
	}
	if _, err := b.inSession(id, "SELECT 1"); reason(err) != "404 notFound" {
		t.Errorf("a session that was ended: %v", err)
	}
	if _, err := b.inSession(other.SessionInfo.SessionId, "SELECT 1"); err != nil {
		t.Errorf("the other one goes on: %v", err)
	}
}

// @@query_label adds labels to the jobs after it.
func TestQueryLabel(t *testing.T) {
	b := start(t)
	j := b.do("SET @@query_label = 'team:ml,run:1'; SELECT 1")
	list, err := b.Jobs.List(projectID).ParentJobId(j.JobReference.JobId).Projection("full").Do()
	if err != nil || len(list.Jobs) != 1 || !reflect.DeepEqual(list.Jobs[0].Configuration.Labels, map[string]string{"team": "ml", "run": "1"}) {
		t.Errorf("%+v, %v", list, err)
	}
}
