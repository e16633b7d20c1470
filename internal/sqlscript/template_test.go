// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

func TestExpand(t *testing.T) {
	source := sqlscript.Source{Name: "f.sql", Text: "\ufeff-- ${{ env }}\nSELECT '${{env}}', ${{ long_name }},\n  nope FROM ${{ env }}.t;"}
	expanded, used, err := sqlscript.Expand(source, map[string]string{"env": "d", "long_name": "1,\n2", "other": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "-- d\nSELECT 'd', 1,\n2,\n  nope FROM d.t;"; expanded.Text != want || len(used) != 2 || used["other"] {
		t.Errorf("got %q, %v", expanded.Text, used)
	}
	statements, err := sqlscript.Split(expanded)
	if err != nil {
		t.Fatal(err)
	}
	// BigQuery complains about "nope", which is on line 3 of the statement and on
	// line 3 of the file.
	if line, column := statements[0].Position(3, 3); statements[0].Line != 2 || line != 3 || column != 3 {
		t.Errorf("the statement is on line %d, the place %d:%d", statements[0].Line, line, column)
	}
	// A place within a value is where the variable is.
	if line, column := statements[0].Position(2, 1); line != 2 || column != 20 {
		t.Errorf("got %d:%d, want 2:20", line, column)
	}
}

func TestExpandErrors(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT\n  ${{ nope }}":    "f.sql:2:3: the variable nope has no value: --var nope=VALUE",
		"SELECT ${{ 1a }}":         "f.sql:1:8: ${{ begins no variable",
		"SELECT ${{":               "f.sql:1:8: ${{ begins no variable",
		"-- ${{ nope }}\nSELECT 1": "f.sql:1:4: the variable nope has no value",
	} {
		_, _, err := sqlscript.Expand(sqlscript.Source{Name: "f.sql", Text: text}, map[string]string{"a": "b"})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
