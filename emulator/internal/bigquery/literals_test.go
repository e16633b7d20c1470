// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

func TestStructParameters(t *testing.T) {
	b := start(t)
	scalar := func(name string) *bq.QueryParameterType { return &bq.QueryParameterType{Type: name} }
	person := &bq.QueryParameterType{Type: "STRUCT", StructTypes: []*bq.QueryParameterTypeStructTypes{
		{Name: "age", Type: scalar("INT64")}, {Name: "name", Type: scalar("STRING")}, {Name: "born", Type: scalar("DATE")},
		{Name: "marks", Type: &bq.QueryParameterType{Type: "ARRAY", ArrayType: scalar("FLOAT64")}},
	}}
	value := func(age, name string) *bq.QueryParameterValue {
		return &bq.QueryParameterValue{StructValues: map[string]bq.QueryParameterValue{
			"age": {Value: age}, "name": {Value: name}, "born": {Value: "2001-02-03"},
			"marks": {ArrayValues: []*bq.QueryParameterValue{{Value: "1.5"}, {Value: "2"}}},
		}}
	}
	b.want("SELECT @p.age + 1, @p.name, EXTRACT(YEAR FROM @p.born), @p.marks[OFFSET(0)]", [][]string{{"42", "O'Neil \\ ``", "2001", "1.5"}},
		&bq.QueryParameter{Name: "p", ParameterType: person, ParameterValue: value("41", "O'Neil \\ ``")})
	b.want("SELECT e.name FROM UNNEST(?) AS e WHERE e.age > ? ORDER BY 1", [][]string{{"b"}, {"c"}},
		&bq.QueryParameter{
			ParameterType:  &bq.QueryParameterType{Type: "ARRAY", ArrayType: person},
			ParameterValue: &bq.QueryParameterValue{ArrayValues: []*bq.QueryParameterValue{value("1", "a"), value("3", "c"), value("2", "b")}},
		},
		&bq.QueryParameter{ParameterType: scalar("INT64"), ParameterValue: &bq.QueryParameterValue{Value: "1"}})
}
