// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

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
