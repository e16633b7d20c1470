// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// InlineRows are rows to predict that are in no table. They travel as one query
// parameter, ARRAY<STRUCT<…>>: exact, and in no text of a statement.
type InlineRows struct {
	// Rows are decoded JSON, numbers as [json.Number]. A column that a row does not
	// have is NULL.
	Rows []map[string]any
	// Types are GoogleSQL types of columns, as a query parameter can have. A column
	// that is not listed has the type of the model's input of that name, or else the
	// one that its values suggest.
	Types map[string]string
}

const (
	inlineParameter = "gcpml_rows"
	inlineColumn    = "gcpml_row" // the number of a row
	selectInline    = "SELECT r.*, " + inlineColumn + " FROM UNNEST(@" + inlineParameter + ") AS r WITH OFFSET AS " + inlineColumn
)

// inlineSQL renders the prediction of inline rows, which come back in their order.
func (r PredictRequest) inlineSQL() (string, error) {
	if n := int64(len(r.Rows.Rows)); n > r.MaxRows {
		return "", &FieldError{"rows", fmt.Sprintf("there are %d rows, more than max_rows = %d", n, r.MaxRows)}
	}
	if _, err := r.Rows.names(); err != nil {
		return "", &FieldError{"rows", err.Error()}
	}
	if err := r.Rows.checkTypes(); err != nil {
		return "", err
	}
	var s Statement
	s.Fixed("SELECT * EXCEPT (" + inlineColumn + ") FROM ML.PREDICT(MODEL ").Identifier(path(r.Model.Project, r.Model.Dataset, r.Model.ID))
	return s.Fixed(", (" + selectInline + ")) ORDER BY " + inlineColumn).Finish()
}

// names are the names of the columns, in order.
func (r *InlineRows) names() ([]string, error) {
	found := map[string]bool{}
	for _, row := range r.Rows {
		for name := range row {
			found[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(found))
	for i, name := range names {
		if err := CheckColumnName(name); err != nil {
			return nil, err
		}
		if j := indexFold(names[:i], name); j >= 0 {
			return nil, fmt.Errorf("the columns %s and %s differ only in case, which counts for nothing in SQL", names[j], name)
		}
	}
	return names, nil
}

// checkTypes reports types that are none, that belong to no column, and values that do
// not fit theirs.
func (r *InlineRows) checkTypes() error {
	for _, name := range slices.Sorted(maps.Keys(r.Types)) {
		fits := func(value any) error {
			_, err := query.ParseParameterMap(map[string]any{inlineColumn: map[string]any{"type": r.Types[name], "value": value}})
			if err != nil {
				return errors.New(name + strings.TrimPrefix(err.Error(), "parameter "+inlineColumn))
			}
			return nil
		}
		if err := fits(nil); err != nil {
			return &FieldError{"row_types", err.Error()}
		}
		has := len(r.Rows) == 0
		for i, row := range r.Rows {
			value, ok := row[name]
			has = has || ok
			if err := fits(value); err != nil {
				return &FieldError{"rows", fmt.Sprintf("row %d, %v", i, err)}
			}
		}
		if !has {
			return &FieldError{"row_types", fmt.Sprintf("it names the column %q, which no row has", name)}
		}
	}
	return nil
}

func indexFold(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// columns are the columns of the rows with their types, for a model that takes these.
// Without a row they are the model's.
func (r *InlineRows) columns(input []Column) ([]Column, error) {
	if len(r.Rows) == 0 {
		return input, nil
	}
	names, err := r.names()
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(names))
	for i, name := range names {
		c := Column{name, r.Types[name]}
		if j := slices.IndexFunc(input, func(c Column) bool { return strings.EqualFold(c.Name, name) }); j >= 0 && c.Type == "" {
			c.Type = input[j].Type
		}
		if c.Type == "" {
			values := make([]any, len(r.Rows))
			for k, row := range r.Rows {
				values[k] = row[name]
			}
			if c.Type, err = suggestedType(values); err != nil {
				return nil, fmt.Errorf("column %s: %w", name, err)
			}
		}
		columns[i] = c
	}
	return columns, nil
}

// parameter makes the query parameter, for a model that takes these columns.
func (r *InlineRows) parameter(input []Column) (*bigquery.QueryParameter, error) {
	columns, err := r.columns(input)
	if err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		return nil, errors.New("there are no rows, and the model does not tell its columns")
	}
	fields := make([]string, len(columns))
	for i, c := range columns {
		fields[i] = c.Name + " " + c.Type
	}
	rows := make([]any, len(r.Rows))
	for i, row := range r.Rows {
		whole := map[string]any{}
		for _, c := range columns {
			whole[c.Name] = row[c.Name]
		}
		rows[i] = whole
	}
	list, err := query.ParseParameterMap(map[string]any{
		inlineParameter: map[string]any{"type": "ARRAY<STRUCT<" + strings.Join(fields, ", ") + ">>", "value": rows},
	})
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "parameter "+inlineParameter+": "))
	}
	return list[0], nil
}

// suggestedType is the type that holds all of the values exactly.
func suggestedType(values []any) (string, error) {
	found := ""
	var elements []any
	fields := map[string][]any{}
	for _, value := range values {
		var t string
		switch v := value.(type) {
		case nil:
			continue
		case string:
			t = "STRING"
		case bool:
			t = "BOOL"
		case json.Number:
			t = numberType(v.String())
			if i := slices.Index(numberTypes, found); i >= 0 {
				t = numberTypes[max(i, slices.Index(numberTypes, t))]
				found = t
			}
		case []any:
			t = "ARRAY"
			elements = append(elements, v...)
		case map[string]any:
			t = "STRUCT"
			for name, field := range v {
				fields[name] = append(fields[name], field)
			}
		default:
			return "", fmt.Errorf("a value of type %T has no type in SQL", v)
		}
		if found != "" && found != t {
			return "", fmt.Errorf("some values are %s and others %s: give its type in row_types", found, t)
		}
		found = t
	}
	switch found {
	case "":
		return "STRING", nil // all are NULL
	case "ARRAY":
		if slices.Contains(elements, nil) {
			return "", errors.New("an array cannot have null elements")
		}
		element, err := suggestedType(elements)
		if err == nil && strings.HasPrefix(element, "ARRAY") {
			err = errors.New("BigQuery has no ARRAY of ARRAYs")
		}
		return "ARRAY<" + element + ">", err
	case "STRUCT":
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if err := CheckColumnName(name); err != nil {
				return "", err
			}
			t, err := suggestedType(fields[name])
			if err != nil {
				return "", fmt.Errorf("field %s: %w", name, err)
			}
			parts = append(parts, name+" "+t)
		}
		if len(parts) == 0 {
			return "", errors.New("an object without fields has no type in SQL")
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">", nil
	}
	return found, nil
}

// numberTypes are those that numbers suggest, the ones that hold more later.
var numberTypes = []string{"INT64", "FLOAT64", "BIGNUMERIC"}

// numberType is INT64, or FLOAT64 if that has the number (or its digits, as in 0.1),
// or else BIGNUMERIC.
func numberType(text string) string {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return "INT64"
	}
	f, err := strconv.ParseFloat(text, 64)
	given, ok := new(big.Rat).SetString(text)
	if err != nil || !ok {
		return "BIGNUMERIC"
	}
	exact := new(big.Rat).SetFloat64(f)
	digits, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if given.Cmp(exact) == 0 || given.Cmp(digits) == 0 {
		return "FLOAT64"
	}
	return "BIGNUMERIC"
}
