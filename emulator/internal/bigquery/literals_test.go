// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"strings"
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

// Parameters keep their types, by name and by position, and do not move the places
// of errors.
func TestParameterTypes(t *testing.T) {
	b := start(t)
	param := func(name, typ, text string) *bq.QueryParameter {
		return &bq.QueryParameter{Name: name, ParameterType: &bq.QueryParameterType{Type: typ}, ParameterValue: &bq.QueryParameterValue{Value: text, ForceSendFields: []string{"Value"}}}
	}
	b.want("SELECT ?, ?, ?, ? LIMIT ?", [][]string{{"a'b", "-5", "true", ""}},
		param("", "STRING", "a'b"), param("", "INT64", "-5"), param("", "BOOL", "true"), param("", "STRING", ""), param("", "INT64", "1"))
	b.want("SELECT JSON_VALUE(@j, '$.a'), TO_HEX(@b), CAST(@d + 1 AS STRING), FORMAT_TIMESTAMP('%E6S', @t), CAST(@n AS STRING)",
		[][]string{{"x", "00ff", "2024-03-01", "05.600000", "1.000000000000000001"}},
		param("j", "JSON", `{"a":"x"}`), param("b", "BYTES", "AP8="), param("d", "DATE", "2024-02-29"), param("t", "TIMESTAMP", "2024-02-29 03:04:05.6+00:00"),
		param("n", "BIGNUMERIC", "1.000000000000000001"))
	_, err := b.Jobs.Query(projectID, &bq.QueryRequest{Query: "SELECT @s, nope", UseLegacySql: new(false), QueryParameters: []*bq.QueryParameter{param("s", "STRING", "some text")}}).Do()
	if err == nil || !strings.Contains(err.Error(), "Unrecognized name: nope at [1:12]") {
		t.Errorf("%v", err)
	}
}
