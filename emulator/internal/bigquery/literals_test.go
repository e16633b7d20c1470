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

// NULL within a struct is NULL and an empty text is one, as their JSON tells.
func TestStructParametersWithNull(t *testing.T) {
	b := start(t)
	scalar := func(name string) *bq.QueryParameterType { return &bq.QueryParameterType{Type: name} }
	inner := &bq.QueryParameterType{Type: "STRUCT", StructTypes: []*bq.QueryParameterTypeStructTypes{{Name: "x", Type: scalar("INT64")}}}
	of := &bq.QueryParameterType{Type: "STRUCT", StructTypes: []*bq.QueryParameterTypeStructTypes{
		{Name: "id", Type: scalar("INT64")}, {Name: "name", Type: scalar("STRING")}, {Name: "raw", Type: scalar("BYTES")}, {Name: "nested", Type: inner},
		{Name: "list", Type: &bq.QueryParameterType{Type: "ARRAY", ArrayType: scalar("STRING")}},
	}}
	null := bq.QueryParameterValue{NullFields: []string{"Value"}}
	row := func(id string, name, raw, inner, list bq.QueryParameterValue) *bq.QueryParameterValue {
		return &bq.QueryParameterValue{StructValues: map[string]bq.QueryParameterValue{"id": {Value: id}, "name": name, "raw": raw, "nested": inner, "list": list}}
	}
	empty := bq.QueryParameterValue{ForceSendFields: []string{"Value"}}
	b.want("SELECT id, name IS NULL, raw IS NULL, nested IS NULL, ARRAY_LENGTH(list) FROM UNNEST(@rows) ORDER BY id",
		[][]string{{"1", "true", "true", "true", "0"}, {"2", "false", "false", "false", "1"}},
		&bq.QueryParameter{Name: "rows", ParameterType: &bq.QueryParameterType{Type: "ARRAY", ArrayType: of}, ParameterValue: &bq.QueryParameterValue{ArrayValues: []*bq.QueryParameterValue{
			row("1", null, null, null, bq.QueryParameterValue{ArrayValues: []*bq.QueryParameterValue{}, ForceSendFields: []string{"ArrayValues"}}),
			row("2", empty, empty, bq.QueryParameterValue{StructValues: map[string]bq.QueryParameterValue{"x": null}}, bq.QueryParameterValue{ArrayValues: []*bq.QueryParameterValue{&empty}}),
		}}})
}

// A parameter has the type that it is sent with, also in the result's schema.
func TestParameterTypes(t *testing.T) {
	b := start(t)
	value := func(name, typ, v string) *bq.QueryParameter {
		return &bq.QueryParameter{Name: name, ParameterType: &bq.QueryParameterType{Type: typ}, ParameterValue: &bq.QueryParameterValue{Value: v}}
	}
	ids := &bq.QueryParameter{Name: "ids", ParameterType: &bq.QueryParameterType{Type: "ARRAY", ArrayType: &bq.QueryParameterType{Type: "INT64"}}, ParameterValue: &bq.QueryParameterValue{
		ArrayValues: []*bq.QueryParameterValue{{Value: "1"}, {Value: "2"}},
	}}
	b.want("SELECT @n + 1, @b, DATE_ADD(@d, INTERVAL 1 DAY), EXTRACT(YEAR FROM @t), ARRAY_LENGTH(@ids), (SELECT SUM(i) FROM UNNEST(@ids) AS i), @none IS NULL",
		[][]string{{"1.5", "0.12345678901234567890123456789012345678", "2026-02-01", "2026", "2", "3", "true"}},
		value("n", "NUMERIC", "0.5"), value("b", "BIGNUMERIC", "0.12345678901234567890123456789012345678"), value("d", "DATE", "2026-01-31"), value("t", "TIMESTAMP", "2026-01-31T00:00:00Z"), ids,
		&bq.QueryParameter{Name: "none", ParameterType: &bq.QueryParameterType{Type: "DATE"}, ParameterValue: &bq.QueryParameterValue{NullFields: []string{"Value"}}})
}
