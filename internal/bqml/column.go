// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"
)

// StatusColumn is the column that ML.PREDICT adds: the reason why the row has no
// prediction; NULL or empty for success.
const StatusColumn = "remote_model_status"

// Column is an input or output of a remote model. Name is the field of the
// endpoint's request or response.
type Column struct {
	Name string
	// Type is GoogleSQL, as [NormalType] writes it.
	Type string
}

// columnTypes are the types that BigQuery documents for INPUT and OUTPUT of a
// remote model, beside an ARRAY of each.
var columnTypes = []string{"BOOL", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "STRING"}

// NormalType writes a column type in upper case and without spaces. An error
// names the types that remote models can have.
func NormalType(text string) (string, error) {
	tokens, err := lex(text)
	words := make([]string, len(tokens))
	for i, t := range tokens {
		words[i] = strings.ToUpper(t.Raw)
	}
	element := words
	if len(words) == 4 && words[0] == "ARRAY" && words[1] == "<" && words[3] == ">" {
		element = words[2:3]
	}
	if err != nil || len(element) != 1 || !slices.Contains(columnTypes, element[0]) {
		return "", fmt.Errorf("%q is not a type that a remote model can have: use %s, or ARRAY<…> of one of them", text, strings.Join(columnTypes, ", "))
	}
	return strings.Join(words, ""), nil
}

// SameType reports whether two spellings mean the same type.
func SameType(a, b string) bool {
	x, errX := NormalType(a)
	y, errY := NormalType(b)
	return a == b || errX == nil && errY == nil && x == y
}

var (
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,299}$`)
	// reservedPrefixes are those that BigQuery refuses for columns.
	reservedPrefixes = []string{"_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"}
)

// CheckColumnName reports why a name cannot be the name of an input or output.
func CheckColumnName(name string) error {
	if !columnName.MatchString(name) {
		return fmt.Errorf("%q is not a column name: start with a letter or underscore and use letters, digits and underscores, 300 at most", name)
	}
	if strings.EqualFold(name, StatusColumn) {
		return fmt.Errorf("%q is the column in which ML.PREDICT reports the status of each row: choose another name", name)
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(strings.ToUpper(name), p) {
			return fmt.Errorf("%q starts with %s, which BigQuery reserves: choose another name", name, p)
		}
	}
	return nil
}

// normalColumns checks columns and returns them with normal types.
func normalColumns(columns []Column) ([]Column, error) {
	out := make([]Column, len(columns))
	seen := map[string]bool{}
	for i, c := range columns {
		if err := CheckColumnName(c.Name); err != nil {
			return nil, err
		}
		if key := strings.ToLower(c.Name); seen[key] {
			return nil, fmt.Errorf("column %q occurs twice (the case of letters does not count)", c.Name)
		} else {
			seen[key] = true
		}
		t, err := NormalType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		out[i] = Column{c.Name, t}
	}
	return out, nil
}

// columnsOf reads the columns that models.get reports. A type that this package
// does not know is kept as it is, so that it shows as a difference.
func columnsOf(fields []*bigquery.StandardSqlField) []Column {
	columns := make([]Column, 0, len(fields))
	for _, f := range fields {
		columns = append(columns, Column{f.Name, typeOf(f.Type)})
	}
	return columns
}

func typeOf(t *bigquery.StandardSqlDataType) string {
	switch {
	case t == nil:
		return ""
	case t.TypeKind == "ARRAY":
		return "ARRAY<" + typeOf(t.ArrayElementType) + ">"
	}
	return t.TypeKind
}
