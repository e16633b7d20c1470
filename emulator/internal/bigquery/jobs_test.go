// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/types/known/structpb"
)

func query(sql string) *bq.JobConfiguration {
	return &bq.JobConfiguration{Query: &bq.JobConfigurationQuery{Query: sql, UseLegacySql: new(false)}}
}

func TestJobIDs(t *testing.T) {
	b := start(t)
	insert := func(location string) error {
		_, err := b.Jobs.Insert(projectID, &bq.Job{JobReference: &bq.JobReference{JobId: "j1", Location: location}, Configuration: query("SELECT 1")}).Do()
		return err
	}
	if err := insert("us"); err != nil {
		t.Fatal(err)
	}
	if got := reason(insert("US")); got != "409 duplicate" {
		t.Errorf("the same id again: %s", got)
	}
	if err := insert("us-central1"); err != nil {
		t.Errorf("the same id elsewhere: %v", err)
	}
	if _, err := b.Jobs.Get(projectID, "j1").Do(); err != nil {
		t.Errorf("without a location US is searched: %v", err)
	}
	if _, err := b.Jobs.Get(projectID, "j1").Location("EU").Do(); reason(err) != "404 notFound" {
		t.Errorf("in another location: %v", err)
	}
	if _, err := b.Jobs.Insert(projectID, &bq.Job{JobReference: &bq.JobReference{JobId: "a b"}, Configuration: query("SELECT 1")}).Do(); reason(err) != "400 invalid" {
		t.Errorf("an invalid id: %v", err)
	}
}

// A failed statement is a job with an errorResult, but the failure of jobs.query
// and of getQueryResults.
func TestFailures(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x")
	for _, c := range []struct{ sql, reason, message, http string }{
		{"SELEC 1", "invalidQuery", `Syntax error: Unexpected identifier "SELEC" at [1:1]`, "400 invalidQuery"},
		{"SELECT nope FROM d.t", "invalidQuery", "Unrecognized name: nope at [1:8]", "400 invalidQuery"},
		{"SELECT 1;\n  SELECT nope FROM d.t", "invalidQuery", "Unrecognized name: nope at [2:10]", "400 invalidQuery"},
		{"SELECT\t1,\tnope", "invalidQuery", "Unrecognized name: nope at [1:17]", "400 invalidQuery"},
		{"CREATE TABLE d.u AS SELECT\tnope", "invalidQuery", "Unrecognized name: nope at [1:33]", "400 invalidQuery"},
		{"SELECT * FROM d.none", "notFound", "Not found: Table my-project:d.none was not found in location US", "404 notFound"},
		{"SELECT * FROM none.t", "notFound", "Not found: Dataset my-project:none was not found in location US", "404 notFound"},
		{"CREATE TABLE d.t AS SELECT 2 AS x", "duplicate", "Already Exists: Table my-project:d.t", "409 duplicate"},
		{"CREATE TABLE none.t AS SELECT 2 AS x", "notFound", "Not found: Dataset my-project:none was not found in location US", "404 notFound"},
		{"CREATE SCHEMA d", "duplicate", "Already Exists: Dataset my-project:d", "409 duplicate"},
		{"SELECT 1 AS a, 2 AS A", "invalidQuery", "Duplicate column names", "400 invalidQuery"},
		{"EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT 1", "notImplemented", "EXPORT_DATA", "501 notImplemented"},
	} {
		b.fails(c.sql, c.reason, c.message)
		if _, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: c.sql, UseLegacySql: new(false)}).Do(); reason(err) != c.http {
			t.Errorf("jobs.query %s: %s, want %s", c.sql, reason(err), c.http)
		}
	}
	if _, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: "SELECT 1"}).Do(); reason(err) != "501 notImplemented" {
		t.Errorf("legacy SQL by default: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d OPTIONS (location = 'EU')")
	for _, c := range []struct {
		sql, typ, ddl string
		affected      int64
	}{
		{"CREATE TABLE d.t (x INT64, s STRING)", "CREATE_TABLE", "CREATE", 0},
		{"CREATE TABLE IF NOT EXISTS d.t (x INT64, s STRING)", "CREATE_TABLE", "SKIP", 0},
		{"INSERT INTO d.t (x, s) VALUES (1, 'a'), (2, 'bc')", "INSERT", "", 2},
		{"UPDATE d.t SET s = 'c' WHERE x > 1", "UPDATE", "", 1},
		{"DELETE FROM d.t WHERE x = 1", "DELETE", "", 1},
		{"SELECT * FROM d.t", "SELECT", "", 0},
		{"CREATE OR REPLACE TABLE d.t AS SELECT 1 AS x, 'a' AS s", "CREATE_TABLE_AS_SELECT", "REPLACE", 0},
		{"CREATE VIEW d.v AS SELECT x FROM d.t", "CREATE_VIEW", "CREATE", 0},
		{"DROP VIEW d.v", "DROP_VIEW", "DROP", 0},
		{"DROP TABLE d.t", "DROP_TABLE", "DROP", 0},
		{"DROP TABLE IF EXISTS d.t", "DROP_TABLE", "SKIP", 0},
		{"DROP MODEL IF EXISTS d.m", "DROP_MODEL", "SKIP", 0},
		{"CREATE SCHEMA IF NOT EXISTS d OPTIONS (location = 'EU')", "CREATE_SCHEMA", "SKIP", 0},
		{"DROP SCHEMA d", "DROP_SCHEMA", "DROP", 0},
	} {
		j := b.do("%s", c.sql)
		got := j.Statistics.Query
		if got.StatementType != c.typ || got.DdlOperationPerformed != c.ddl || got.NumDmlAffectedRows != c.affected {
			t.Errorf("%s: %s %s %d rows", c.sql, got.StatementType, got.DdlOperationPerformed, got.NumDmlAffectedRows)
		}
		if j.JobReference.Location != "EU" {
			t.Errorf("%s: ran in %s, its dataset is in EU", c.sql, j.JobReference.Location)
		}
		if strings.HasPrefix(c.sql, "SELECT") && got.TotalBytesProcessed != 8+2+1 {
			t.Errorf("%s: %d bytes, want 11", c.sql, got.TotalBytesProcessed)
		}
	}
}

func TestMaximumBytesBilled(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x")
	for limit, want := range map[int64]string{10<<20 - 1: "bytesBilledLimitExceeded", 10 << 20: ""} {
		j := b.job(&bq.JobConfigurationQuery{Query: "SELECT * FROM d.t", MaximumBytesBilled: limit})
		got := ""
		if j.Status.ErrorResult != nil {
			got = j.Status.ErrorResult.Reason
		}
		if got != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

func TestPaging(t *testing.T) {
	b := start(t)
	j := b.do("SELECT x FROM UNNEST([10, 20, 30, 40, 50]) AS x ORDER BY x")
	var got []string
	var pages int
	err := b.Jobs.GetQueryResults(projectID, j.JobReference.JobId).MaxResults(2).Pages(t.Context(), func(page *bq.GetQueryResultsResponse) error {
		pages++
		if page.TotalRows != 5 {
			t.Errorf("%d rows in all", page.TotalRows)
		}
		for _, row := range page.Rows {
			got = append(got, row.F[0].V.(string))
		}
		return nil
	})
	if err != nil || pages != 3 || fmt.Sprint(got) != "[10 20 30 40 50]" {
		t.Errorf("%d pages, %v, %v", pages, got, err)
	}
	// The same rows are in the anonymous destination table.
	ref := j.Configuration.Query.DestinationTable
	list, err := b.Tabledata.List(ref.ProjectId, ref.DatasetId, ref.TableId).StartIndex(3).Do()
	if err != nil || list.TotalRows != 5 || len(list.Rows) != 2 || list.Rows[0].F[0].V != "40" {
		t.Errorf("anonymous table: %+v %v", list, err)
	}
}

func TestDestinationTable(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	into := func(disposition string) string {
		j := b.job(&bq.JobConfigurationQuery{
			Query: "SELECT 1 AS x", WriteDisposition: disposition, DestinationTable: &bq.TableReference{ProjectId: projectID, DatasetId: "d", TableId: "t"},
		})
		if j.Status.ErrorResult != nil {
			return j.Status.ErrorResult.Reason
		}
		return b.rows("SELECT COUNT(*) FROM d.t")[0][0]
	}
	for _, c := range []struct{ disposition, want string }{{"", "1"}, {"WRITE_EMPTY", "duplicate"}, {"WRITE_APPEND", "2"}, {"WRITE_TRUNCATE", "1"}} {
		if got := into(c.disposition); got != c.want {
			t.Errorf("%q: %s, want %s", c.disposition, got, c.want)
		}
	}
	j := b.job(&bq.JobConfigurationQuery{Query: "DROP TABLE d.t", DestinationTable: &bq.TableReference{ProjectId: projectID, DatasetId: "d", TableId: "x"}})
	if j.Status.ErrorResult == nil || j.Status.ErrorResult.Message != "Cannot set destination table in jobs with DDL statements" {
		t.Errorf("DDL with a destination: %+v", j.Status.ErrorResult)
	}
}

func TestScript(t *testing.T) {
	b := start(t)
	j := b.do("CREATE SCHEMA d; CREATE TABLE d.t AS SELECT 1 AS x; SELECT x FROM d.t; DROP SCHEMA d CASCADE;")
	if j.Statistics.Query.StatementType != "SCRIPT" || j.Statistics.NumChildJobs != 4 {
		t.Errorf("%s with %d children", j.Statistics.Query.StatementType, j.Statistics.NumChildJobs)
	}
	list, err := b.Jobs.List(projectID).ParentJobId(j.JobReference.JobId).Do()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, child := range list.Jobs {
		got = append([]string{child.Statistics.Query.StatementType}, got...)
	}
	if want := []string{"CREATE_SCHEMA", "CREATE_TABLE_AS_SELECT", "SELECT", "DROP_SCHEMA"}; !reflect.DeepEqual(got, want) {
		t.Errorf("children %v", got)
	}
	result, err := b.Jobs.GetQueryResults(projectID, j.JobReference.JobId).Do()
	if err != nil || len(result.Rows) != 0 || result.Schema != nil {
		t.Errorf("the script's result is that of its last statement, which has none: %+v %v", result, err)
	}
	b.want("SELECT 1; SELECT 2 AS x", [][]string{{"2"}})
	b.fails("CREATE SCHEMA e; SELECT 1/0; CREATE SCHEMA f", "invalidQuery", "zero")
	if _, err := b.Datasets.Get(projectID, "e").Do(); err != nil {
		t.Errorf("a statement before the failure: %v", err)
	}
	if _, err := b.Datasets.Get(projectID, "f").Do(); reason(err) != "404 notFound" {
		t.Errorf("a statement after the failure: %v", err)
	}
}

func TestRequestID(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t (x INT64)")
	var ids []string
	for range 2 {
		answer, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: "INSERT INTO d.t (x) VALUES (1)", UseLegacySql: new(false), RequestId: "r1"}).Do()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, answer.JobReference.JobId)
	}
	if ids[0] != ids[1] {
		t.Errorf("jobs %v", ids)
	}
	b.want("SELECT COUNT(*) FROM d.t", [][]string{{"1"}})
}

// hold makes the endpoint answer only when the returned function is called.
func (b *bigQuery) hold() (asked chan struct{}, release func()) {
	asked, released := make(chan struct{}, 10), make(chan struct{})
	b.w.predictor = func(in []*structpb.Value) ([]*structpb.Value, error) {
		asked <- struct{}{}
		<-released
		return lengths(in)
	}
	return asked, func() { close(released) }
}

const slow = "CREATE TABLE d.out AS SELECT scores FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS text))"

func TestJobOutlivesItsClient(t *testing.T) {
	b := start(t)
	b.tutorial()
	asked, release := b.hold()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: slow, UseLegacySql: new(false)}).Context(ctx).Do()
	if err == nil {
		t.Fatal("the client got an answer")
	}
	release()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if list, err := b.Jobs.List(projectID).MaxResults(1).Do(); err == nil && list.Jobs[0].State == "DONE" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the job does not end")
		}
	}
	b.want("SELECT COUNT(*) FROM d.out", [][]string{{"1"}})
}

func TestRunningAndCancel(t *testing.T) {
	b := start(t)
	b.tutorial()
	asked, release := b.hold()
	j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: query(slow)}).Do()
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	id := j.JobReference.JobId
	if j, err = b.Jobs.Get(projectID, id).Do(); err != nil || j.Status.State != "RUNNING" {
		t.Errorf("%+v %v", j.Status, err)
	}
	if r, err := b.Jobs.GetQueryResults(projectID, id).TimeoutMs(1).Do(); err != nil || r.JobComplete {
		t.Errorf("results of a running job: %+v %v", r, err)
	}
	if _, err := b.Jobs.Cancel(projectID, id).Do(); err != nil {
		t.Fatal(err)
	}
	release()
	if _, err = b.Jobs.GetQueryResults(projectID, id).Do(); reason(err) != "400 stopped" {
		t.Errorf("results of a cancelled job: %v", err)
	}
	if j, err = b.Jobs.Get(projectID, id).Do(); err != nil || j.Status.ErrorResult == nil || j.Status.ErrorResult.Reason != "stopped" {
		t.Errorf("%+v %v", j.Status, err)
	}
	b.fails("SELECT * FROM d.out", "notFound", "Table my-project:d.out")
}

func TestStrictJSON(t *testing.T) {
	b := start(t)
	response, err := http.Post(b.BasePath+"projects/my-project/datasets", "application/json", bytes.NewReader([]byte(`{"datasetReference":{"datasetId":"d"},"nope":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 400 {
		t.Errorf("an unknown field: %s", response.Status)
	}
	if _, err := b.Datasets.Insert("x", &bq.Dataset{DatasetReference: &bq.DatasetReference{DatasetId: "d"}}).Do(); reason(err) != "404 notFound" {
		t.Errorf("an impossible project: %v", err)
	}
}

// The plan is one stage with what was read and written in truth.
func TestQueryPlan(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 20)) AS x")
	b.do("CREATE VIEW d.v AS SELECT x FROM d.t")
	for _, c := range []struct {
		sql           string
		read, written int64
	}{
		{"SELECT x FROM d.t WHERE x > 15", 20, 5},
		{"SELECT COUNT(*) FROM d.t AS a JOIN d.t AS b USING (x)", 40, 1},
		{"DELETE d.t WHERE x > 18", 0, 2},
		{"SELECT 1", 0, 1},
	} {
		j := b.do("%s", c.sql)
		stages := j.Statistics.Query.QueryPlan
		if len(stages) != 1 || stages[0].RecordsRead != c.read || stages[0].RecordsWritten != c.written || stages[0].Status != "COMPLETE" {
			t.Errorf("%s: %+v, want %d rows read and %d written", c.sql, stages, c.read, c.written)
			continue
		}
		if took := stages[0].EndMs - stages[0].StartMs; took != stages[0].SlotMs || took != j.Statistics.TotalSlotMs || took > j.Statistics.EndTime-j.Statistics.StartTime+1 {
			t.Errorf("%s: %d ms, %d slot ms of %d, in a job of %d", c.sql, took, stages[0].SlotMs, j.Statistics.TotalSlotMs, j.Statistics.EndTime-j.Statistics.StartTime)
		}
	}
	for _, sql := range []string{"SELECT x FROM d.v", "CREATE TABLE d.u (x INT64)"} {
		if j := b.do("%s", sql); len(j.Statistics.Query.QueryPlan) != 0 {
			t.Errorf("%s: a plan of what is not known: %+v", sql, j.Statistics.Query.QueryPlan)
		}
	}
}

// Conditions on an INFORMATION_SCHEMA find the names that it shows.
func TestInformationSchema(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE SCHEMA e")
	b.do("CREATE TABLE d.t (x INT64, s STRING)")
	b.do("CREATE TABLE e.other (y INT64)")
	b.want("SELECT table_name FROM d.INFORMATION_SCHEMA.TABLES WHERE table_schema = 'd' AND table_catalog = 'my-project'", [][]string{{"t"}})
	b.want("SELECT TABLES.table_name FROM d.INFORMATION_SCHEMA.TABLES WHERE TABLES.table_schema = 'e'", nil)
	b.want("SELECT c.column_name, c.data_type FROM `my-project`.d.INFORMATION_SCHEMA.COLUMNS AS c JOIN d.INFORMATION_SCHEMA.TABLES AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE c.table_schema = 'd' ORDER BY c.ordinal_position",
		[][]string{{"x", "INT64"}, {"s", "STRING"}})
	b.want("SELECT schema_name FROM e.INFORMATION_SCHEMA.SCHEMATA WHERE schema_name = 'e'", [][]string{{"e"}})
	b.fails("SELECT nope FROM d.INFORMATION_SCHEMA.TABLES", "invalidQuery", "Unrecognized name: nope at [1:8]")
}
