// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

// A dry run tells type, bytes, tables and columns, and has no effect.
func TestDryRun(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t AS SELECT 1 AS x, 'ab' AS s")
	for sql, c := range map[string]struct {
		typ     string
		bytes   int64 // 8 for the INT64, 2 and the length for the STRING
		columns int
	}{
		"SELECT x, s FROM d.t":                                              {"SELECT", 12, 2},
		"INSERT INTO d.t (x) SELECT x FROM d.t":                             {"INSERT", 12, 0},
		"UPDATE d.t SET x = 2 WHERE true":                                   {"UPDATE", 0, 0},
		"DELETE FROM d.t WHERE true":                                        {"DELETE", 0, 0},
		"CREATE TABLE d.u AS SELECT x FROM d.t":                             {"CREATE_TABLE_AS_SELECT", 12, 0},
		"DROP TABLE d.t":                                                    {"DROP_TABLE", 0, 0},
		"CREATE TEMP FUNCTION f(x INT64) AS (x); SELECT f(x) AS y FROM d.t": {"SELECT", 12, 1},
	} {
		config := query(sql)
		config.DryRun = true
		j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do()
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		got := j.Statistics.Query
		if got.StatementType != c.typ || c.bytes > 0 && (j.Statistics.TotalBytesProcessed != c.bytes || len(got.ReferencedTables) != 1 || got.ReferencedTables[0].TableId != "t") || got.TotalBytesProcessedAccuracy != "PRECISE" {
			t.Errorf("%s: %s, %d bytes (%s), tables %v", sql, got.StatementType, j.Statistics.TotalBytesProcessed, got.TotalBytesProcessedAccuracy, got.ReferencedTables)
		}
		columns := 0
		if got.Schema != nil {
			columns = len(got.Schema.Fields)
		}
		if columns != c.columns {
			t.Errorf("%s: %d columns, want %d", sql, columns, c.columns)
		}
	}
	b.want("SELECT x, s FROM d.t", [][]string{{"1", "ab"}})
	if _, err := b.Tables.Get(projectID, "d", "u").Do(); reason(err) != "404 notFound" {
		t.Errorf("a table of a dry run: %v", err)
	}
	config := query("SELECT x FROM d.t")
	config.DryRun, config.Query.MaximumBytesBilled = true, 1
	if _, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do(); reason(err) != "400 bytesBilledLimitExceeded" {
		t.Errorf("a dry run over maximumBytesBilled: %v", err)
	}
}

func TestDMLStatistics(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t (x INT64)")
	for _, c := range []struct {
		sql  string
		want bq.DmlStatistics
	}{
		{"INSERT d.t VALUES (1), (2)", bq.DmlStatistics{InsertedRowCount: 2}},
		{"MERGE d.t USING (SELECT * FROM UNNEST([2, 3, 4]) AS x) s ON t.x = s.x WHEN NOT MATCHED THEN INSERT (x) VALUES (x)", bq.DmlStatistics{InsertedRowCount: 2}},
		{"UPDATE d.t SET x = 0 WHERE x > 2", bq.DmlStatistics{UpdatedRowCount: 2}},
		{"DELETE FROM d.t WHERE x = 1", bq.DmlStatistics{DeletedRowCount: 1}},
		{"TRUNCATE TABLE d.t", bq.DmlStatistics{DeletedRowCount: 3}},
	} {
		j := b.do("%s", c.sql)
		got := j.Statistics.Query.DmlStats
		if got == nil || got.InsertedRowCount != c.want.InsertedRowCount || got.UpdatedRowCount != c.want.UpdatedRowCount || got.DeletedRowCount != c.want.DeletedRowCount {
			t.Errorf("%s: %+v, want %+v", c.sql, got, c.want)
		}
		if total := c.want.InsertedRowCount + c.want.UpdatedRowCount + c.want.DeletedRowCount; j.Statistics.Query.NumDmlAffectedRows != total {
			t.Errorf("%s: %d rows affected, want %d", c.sql, j.Statistics.Query.NumDmlAffectedRows, total)
		}
	}
}

// Each clause of a MERGE counts the rows that it is the first to have.
func TestMergeStatistics(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	for _, c := range []struct {
		sql                        string
		inserted, updated, deleted int64
		rest                       [][]string
	}{
		{"MERGE d.t USING (SELECT * FROM UNNEST([2, 3, 9]) AS x) s ON t.x = s.x WHEN MATCHED THEN UPDATE SET y = 1 WHEN NOT MATCHED THEN INSERT (x, y) VALUES (x, 2)",
			1, 2, 0, [][]string{{"1", "0"}, {"2", "1"}, {"3", "1"}, {"4", "0"}, {"9", "2"}}},
		{"MERGE d.t AS old USING d.u AS now ON old.x = now.x WHEN MATCHED AND now.x > 2 THEN DELETE WHEN MATCHED THEN UPDATE SET y = 5 WHEN NOT MATCHED BY SOURCE AND old.x = 1 THEN DELETE",
			0, 1, 2, [][]string{{"2", "5"}, {"4", "0"}}},
		{"MERGE INTO d.t USING d.u ON FALSE WHEN NOT MATCHED AND x = 3 THEN INSERT (x, y) VALUES (30, 0) WHEN NOT MATCHED BY SOURCE THEN DELETE",
			1, 0, 4, [][]string{{"30", "0"}}},
		{"MERGE d.t USING d.u ON t.x = u.x WHEN MATCHED AND t.x > 100 THEN DELETE", 0, 0, 0, [][]string{{"1", "0"}, {"2", "0"}, {"3", "0"}, {"4", "0"}}},
	} {
		b.do("CREATE OR REPLACE TABLE d.t AS SELECT x, 0 AS y FROM UNNEST([1, 2, 3, 4]) AS x")
		b.do("CREATE OR REPLACE TABLE d.u AS SELECT x FROM UNNEST([2, 3]) AS x")
		j := b.do("%s", c.sql)
		got := j.Statistics.Query.DmlStats
		if got == nil || got.InsertedRowCount != c.inserted || got.UpdatedRowCount != c.updated || got.DeletedRowCount != c.deleted || j.Statistics.Query.NumDmlAffectedRows != c.inserted+c.updated+c.deleted {
			t.Errorf("%s: %+v", c.sql, got)
		}
		b.want("SELECT x, y FROM d.t ORDER BY x", c.rest)
	}
}
