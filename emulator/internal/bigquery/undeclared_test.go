// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

// JobStatistics2.undeclaredQueryParameters: "list of undeclared query parameters
// detected during a dry run validation".
func TestUndeclaredParameters(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE TABLE d.t (day DATE, n INT64, name STRING, tags ARRAY<STRING>)")
	declared := &bq.QueryParameter{Name: "n", ParameterType: &bq.QueryParameterType{Type: "INT64"}, ParameterValue: &bq.QueryParameterValue{Value: "3"}}
	for _, c := range []struct {
		sql      string
		declared []*bq.QueryParameter
		want     string
		columns  int
	}{
		{"SELECT name, n FROM d.t WHERE day >= @since AND n = @n AND day < @Since", []*bq.QueryParameter{declared}, "since DATE", 2},
		{"SELECT name FROM `" + projectID + ".d.t` WHERE name IN UNNEST(@names) LIMIT @most", nil, "names ARRAY<STRING>, most INT64", 1},
		{"SELECT ? AS a, n FROM d.t AS x WHERE x.day = ?", nil, " INT64,  DATE", 2},
		{"INSERT d.t (name, day) VALUES (@name, @day)", nil, "name STRING, day DATE", 0},
		{"WITH u AS (SELECT day AS d FROM d.t) SELECT d FROM u WHERE d = @d", nil, "d DATE", 1},
		{"SELECT n FROM d.t WHERE n = @n", []*bq.QueryParameter{declared}, "", 1},
	} {
		config := query(c.sql)
		config.DryRun, config.Query.QueryParameters = true, c.declared
		j, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do()
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		var got []string
		for _, p := range j.Statistics.Query.UndeclaredQueryParameters {
			text := p.ParameterType.Type
			if p.ParameterType.ArrayType != nil {
				text += "<" + p.ParameterType.ArrayType.Type + ">"
			}
			if p.ParameterValue != nil {
				t.Errorf("%s: %s has a value", c.sql, p.Name)
			}
			got = append(got, p.Name+" "+text)
		}
		columns := 0
		if s := j.Statistics.Query.Schema; s != nil {
			columns = len(s.Fields)
		}
		if fmt.Sprint(got) != "["+strings.ReplaceAll(c.want, ", ", " ")+"]" || columns != c.columns {
			t.Errorf("%s: %q with %d columns, want %s with %d", c.sql, got, columns, c.want, c.columns)
		}
	}
	// What is run needs all of them, and so does what cannot be settled.
	if _, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: "SELECT n FROM d.t WHERE n = @n", UseLegacySql: new(bool)}).Do(); reason(err) != "400 invalidQuery" {
		t.Errorf("a query without its parameter: %v", err)
	}
	config := query("SELECT n FROM d.t WHERE name = @x AND day = @x")
	config.DryRun = true
	if _, err := b.Jobs.Insert(projectID, &bq.Job{Configuration: config}).Do(); reason(err) != "400 invalidQuery" {
		t.Errorf("one parameter as a STRING and a DATE: %v", err)
	}
}
