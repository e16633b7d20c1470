// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

var expectSchema = query.Schema{
	{Name: "id", Type: "INT64"}, {Name: "f", Type: "FLOAT64"}, {Name: "n", Type: "NUMERIC"}, {Name: "s", Type: "STRING"}, {Name: "b", Type: "BOOL"},
	{Name: "d", Type: "DATE"}, {Name: "a", Type: "FLOAT64", Repeated: true}, {Name: "st", Type: "STRUCT", Fields: []query.Field{{Name: "x", Type: "INT64"}}},
	{Name: "remote_model_status", Type: "STRING"},
}

// One row: id, f, n, s, b, d, a, st, status.
var expectRow = query.Row{int64(7), 0.1, "12345678901234567890.123456789", "it's", true, "2024-05-06", []any{0.2, 0.9}, query.Row{int64(1)}, nil}

func holds(t *testing.T, expectation string, rows ...query.Row) bool {
	t.Helper()
	statements := split(t, "-- expect: "+expectation+"\nSELECT 1")
	c := statements[0].NewChecker(expectSchema)
	for _, row := range rows {
		c.Row(row)
	}
	return len(c.Failures(uint64(len(rows)))) == 0
}

func TestExpectations(t *testing.T) {
	for expectation, want := range map[string]bool{
		"rows = 1": true, "rows > 1": false, "rows >= 1": true, "rows between 0 and 3": true, "rows between 2 and 3": false, "rows between -1 and 0": false, "ROWS <> 2": true, "rows in (1, 5)": true,
		"column id = 7": true, "column id == 7.0": true, "column ID != 7": false, "column id < 7": false, "column id <= 7": true, "column `id` in (5, 7)": true,
		"column f = 0.1": true, "column f between 0 and 1": true, "column f between 0 and 0.05": false, "column f > 0.1": false,
		"column n = 12345678901234567890.123456789": true, "column n = 12345678901234567890.12345678": false, // no digit is lost
		`column s = 'it\'s'`: true, `column s = "it's"`: true, "column s in ('a', 'b')": false, "column s = it": false,
		"column b = true": true, "column b = false": false, "column d >= 2024-01-01": true, "column d < '2024-01-01'": false,
		"column a between 0 and 1": true, "column a between 0 and 0.5": false, "column a < 0.5": false, "column id is not null": true, "column id is null": false, "column id is unique": true,
		"no failed predictions": true, "column nope = 1": false, "column st = 1": false, "column id = 'x'": false,
	} {
		if got := holds(t, expectation, expectRow); got != want {
			t.Errorf("%s: %t, want %t", expectation, got, want)
		}
	}
	null := make(query.Row, len(expectSchema))
	for expectation, want := range map[string]bool{
		"column id = 7": false, "column id != 7": false, "column id is null": true, "column id is not null": false, "column s in ('a')": false,
		"column id is unique": true, // NULLs are not compared
	} {
		if got := holds(t, expectation, null, null); got != want {
			t.Errorf("%s of NULL: %t, want %t", expectation, got, want)
		}
	}
	if holds(t, "column id is unique", expectRow, expectRow) {
		t.Error("two equal values are unique")
	}
	bad := append(query.Row(nil), expectRow...)
	bad[1], bad[8] = math.NaN(), "A retryable error occurred"
	if holds(t, "column f between 0 and 1", expectRow, bad) || holds(t, "no failed predictions", expectRow, bad) {
		t.Error("NaN is between 0 and 1, or a failed prediction is none")
	}
	// Nothing to look at: conditions on rows hold, the number of rows may not.
	if !holds(t, "column id = 1") || holds(t, "rows > 0") {
		t.Error("no rows")
	}
}

func TestExpectationMessages(t *testing.T) {
	statements := split(t, "SELECT 1; -- expect: rows > 5\n-- expect: column id < 5\n# expect: column nope is null\nSELECT 2\n-- expect: column s = 'x'\n;\n-- expect: rows = 0")
	if len(statements[0].Expect) != 1 || len(statements[1].Expect) != 4 {
		t.Fatalf("%d and %d expectations, want 1 and 4", len(statements[0].Expect), len(statements[1].Expect))
	}
	c := statements[1].NewChecker(expectSchema)
	c.Row(expectRow)
	c.Row(expectRow)
	var got []string
	for _, f := range c.Failures(2) {
		got = append(got, statements[1].At(f).Error())
	}
	want := []string{
		"f.sql:2:1: expected column id < 5: 2 of 2 rows fail, the first is row 1 with 7",
		"f.sql:3:1: expected column nope is null: the result has no column nope",
		`f.sql:5:1: expected column s = 'x': 2 of 2 rows fail, the first is row 1 with "it's"`,
		"f.sql:7:1: expected rows = 0: there are 2",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestExpectationsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"row > 0": "want rows OP N", "rows > x": "compared with numbers", "rows is null": "want rows OP N", "rows > 1 2": "2 is too much", "column": "want rows OP N",
		"column x": "want rows OP N", "column x > ": "a value is missing", "column x between 1": "want rows OP N", "column x in (1": "want rows OP N", "column x in ()": "a value is missing",
		"column x = 'a": "is not understood", "": "want rows OP N",
	} {
		_, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: "\n  -- expect: " + text + "\nSELECT 1"})
		if err == nil || !strings.HasPrefix(err.Error(), "f.sql:2:3: expect: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	// Other comments are nothing.
	if s := split(t, "-- expected: rows\n-- we expect: rows\n/* expect: rows > 0 */ SELECT '-- expect: x'"); len(s[0].Expect) != 0 {
		t.Errorf("got %+v", s[0].Expect)
	}
}
