// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package ast

import bq "google.golang.org/api/bigquery/v2"

// SessionDataset is the dataset in whose name a temporary table may be qualified.
const SessionDataset = "_SESSION"

// Query is one statement to run.
type Query struct {
	// Project is the id of the project that names without a project refer to.
	Project string
	// DatasetProject and Dataset complete names of one part; may be empty.
	DatasetProject, Dataset string
	SQL                     string
	Parameters              []*bq.QueryParameter
	Positional              bool
	// ReadOnly promises that SQL is a query or, for a rehearsal that is rolled
	// back, DML; never DDL.
	ReadOnly bool
	// Temporary maps the names of temporary tables to the tables, each a path of
	// three parts.
	Temporary map[string]Path
}

// Field is a column of a result, as BigQuery describes it (type INTEGER, FLOAT,
// BOOLEAN, RECORD …; mode REPEATED for an array).
type Field struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Mode   string   `json:"mode,omitempty"`
	Fields []*Field `json:"fields,omitempty"`
}

// Result is what a statement answers. A cell is nil, a string, for a REPEATED
// column a list of {"v": cell}, for a RECORD {"f": [{"v": cell}, …]} – decoded
// JSON of BigQuery's own format.
type Result struct {
	Fields []*Field
	Rows   [][]any
}

// Table is a table that a statement may name, and how.
type Table struct {
	Path   Path
	Fields []*Field
}
