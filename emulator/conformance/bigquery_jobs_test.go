// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// job runs a query to its end.
func (w warehouse) job(t *testing.T, q *bigquery.Query) (*bigquery.Job, *bigquery.JobStatus) {
	t.Helper()
	j, err := q.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, err := j.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j, status
}

// The official client reads a script: its child jobs with their places, its result,
// and where it fails.
func TestBigQueryClientRunsScripts(t *testing.T) {
	w := newWarehouse(t, start(t, emulator.Options{}))
	w.must(t, "CREATE SCHEMA d")
	script := "DECLARE n INT64 DEFAULT (SELECT COUNT(*) FROM UNNEST([1, 2, 3]));\n" +
		"CREATE TABLE d.t AS SELECT n AS x;\n" +
		"WHILE n > 1 DO\n  INSERT d.t VALUES (n * 10);\n  SET n = n - 1;\nEND WHILE;\n" +
		"SELECT x FROM d.t WHERE x > @least ORDER BY x;"
	q := w.Query(script)
	q.Parameters = []bigquery.QueryParameter{{Name: "least", Value: 3}}
	j, status := w.job(t, q)
	if status.Err() != nil || status.Statistics.NumChildJobs != 5 {
		t.Fatalf("%v, %+v", status.Err(), status.Statistics)
	}
	it, err := j.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []bigquery.Value
	for {
		var row []bigquery.Value
		if err := it.Next(&row); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, row...)
	}
	if !slices.Equal(got, []bigquery.Value{int64(20), int64(30)}) {
		t.Errorf("rows %v", got)
	}
	var places []string
	for children := j.Children(t.Context()); ; {
		child, err := children.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		s := child.LastStatus().Statistics
		frame := s.ScriptStatistics.StackFrames[0]
		lines := strings.Split(script, "\n")
		if at := lines[frame.StartLine-1][frame.StartColumn-1:]; !strings.HasPrefix(at, strings.Split(frame.Text, "\n")[0]) || s.ParentJobID != j.ID() {
			t.Errorf("the frame %+v of %s is not where its text is", frame, s.ParentJobID)
		}
		query, _ := s.Details.(*bigquery.QueryStatistics)
		places = append(places, s.ScriptStatistics.EvaluationKind+" "+query.StatementType)
	}
	slices.Reverse(places) // the newest comes first
	want := []string{"EXPRESSION SELECT", "STATEMENT CREATE_TABLE_AS_SELECT", "STATEMENT INSERT", "STATEMENT INSERT", "STATEMENT SELECT"}
	if !slices.Equal(places, want) {
		t.Errorf("children %v, want %v", places, want)
	}
	_, err = w.run(t, "BEGIN\n  SELECT 1;\n  RAISE USING MESSAGE = 'no good';\nEND")
	if failed, ok := errors.AsType[*googleapi.Error](err); !ok || failed.Code != 400 || !strings.Contains(failed.Message, "no good at [3:3]") {
		t.Errorf("%v", err)
	}
}

// A session by the official client, and what the statistics of its jobs tell.
func TestBigQueryClientInASession(t *testing.T) {
	w := newWarehouse(t, start(t, emulator.Options{}))
	first := w.Query("CREATE TEMP TABLE kept AS SELECT x FROM UNNEST([1, 2, 3]) AS x")
	first.CreateSession = true
	_, status := w.job(t, first)
	if status.Err() != nil || status.Statistics.SessionInfo == nil || status.Statistics.SessionInfo.SessionID == "" {
		t.Fatalf("%v, %+v", status.Err(), status.Statistics)
	}
	id := status.Statistics.SessionInfo.SessionID
	within := func(sql string) *bigquery.JobStatus {
		q := w.Query(sql)
		q.ConnectionProperties = []*bigquery.ConnectionProperty{{Key: "session_id", Value: id}}
		_, status := w.job(t, q)
		return status
	}
	if status := within("DELETE kept WHERE x = 2"); status.Err() != nil || status.Statistics.Details.(*bigquery.QueryStatistics).DMLStats.DeletedRowCount != 1 {
		t.Errorf("%v, %+v", status.Err(), status.Statistics)
	}
	if status := within("ASSERT (SELECT SUM(x) FROM kept) = 4"); status.Err() != nil || status.Statistics.SessionInfo.SessionID != id {
		t.Errorf("%v, %+v", status.Err(), status.Statistics)
	}
	if _, err := w.run(t, "SELECT x FROM kept"); err == nil {
		t.Error("a temporary table is seen outside of its session")
	}
}

// The plan of a query tells the rows that it read and wrote.
func TestBigQueryClientReadsAPlan(t *testing.T) {
	w := newWarehouse(t, start(t, emulator.Options{}))
	w.must(t, "CREATE SCHEMA d")
	w.must(t, "CREATE TABLE d.t AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 12)) AS x")
	_, status := w.job(t, w.Query("SELECT x FROM d.t WHERE x > 10"))
	details, ok := status.Statistics.Details.(*bigquery.QueryStatistics)
	if !ok || len(details.QueryPlan) != 1 || details.QueryPlan[0].RecordsRead != 12 || details.QueryPlan[0].RecordsWritten != 2 || details.QueryPlan[0].EndTime.Before(details.QueryPlan[0].StartTime) {
		t.Errorf("%+v", details)
	}
}
