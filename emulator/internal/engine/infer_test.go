// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"slices"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/engine"
)

// What a parameter is compared with, or given to, settles its type; one that nothing
// settles is an INT64, as NULL is.
func TestInfer(t *testing.T) {
	tables := []ast.Table{{Path: ast.Path{"p", "d", "t"}, Fields: []*ast.Field{
		{Name: "day", Type: "DATE"}, {Name: "n", Type: "INTEGER"}, {Name: "price", Type: "NUMERIC"}, {Name: "tags", Type: "STRING", Mode: "REPEATED"},
		{Name: "place", Type: "RECORD", Fields: []*ast.Field{{Name: "x", Type: "FLOAT"}}},
	}}, {Path: ast.Path{"d", "u"}, Fields: []*ast.Field{{Name: "s", Type: "STRING"}}}}
	for sql, want := range map[string][]string{
		"SELECT n FROM p.d.t WHERE day = ? AND n IN UNNEST(?) AND ? < price": {"DATE", "ARRAY<INT64>", "NUMERIC"},
		"SELECT n FROM `p.d.t` WHERE ? IN UNNEST(tags) AND place.x > ?":      {"STRING", "FLOAT64"},
		"SELECT UPPER(?), ? FROM d.u LIMIT ?":                                {"STRING", "INT64", "INT64"},
		"UPDATE d.u SET s = ? WHERE u.s = ?":                                 {"STRING", "STRING"},
		"INSERT INTO d.u (s) VALUES (?)":                                     {"STRING"},
		"SELECT 1":                                                           nil,
	} {
		if got, err := engine.Infer(sql, tables); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", sql, got, err, want)
		}
	}
	if _, err := engine.Infer("SELECT ? FROM d.none", tables); err == nil {
		t.Error("no error for a table that is not there")
	}
}
