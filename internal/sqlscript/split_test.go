// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

func texts(statements []sqlscript.Statement) []string {
	var out []string
	for _, s := range statements {
		out = append(out, s.SQL)
	}
	return out
}

func TestSplit(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"one":                        {"SELECT 1", []string{"SELECT 1"}},
		"trailing semicolon":         {"SELECT 1;", []string{"SELECT 1"}},
		"two":                        {"SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		"empty ones between":         {";;SELECT 1;; ;\n;SELECT 2;", []string{"SELECT 1", "SELECT 2"}},
		"comments around":            {"-- a;b\nSELECT 1 /* c;d */ + 2 -- e\n; # f;g\nSELECT 2 -- h", []string{"SELECT 1 /* c;d */ + 2", "SELECT 2"}},
		"dash comment ends the file": {"SELECT 1 --;", []string{"SELECT 1"}},
		"comments do not nest":       {"SELECT 1 /* /* */; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		"single quotes":              {"SELECT ';--'; SELECT 2", []string{"SELECT ';--'", "SELECT 2"}},
		"double quotes":              {"SELECT \";/*\"; SELECT 2", []string{"SELECT \";/*\"", "SELECT 2"}},
		"escaped quote":              {"SELECT 'it\\'s;'; SELECT 2", []string{"SELECT 'it\\'s;'", "SELECT 2"}},
		"escaped backslash":          {"SELECT 'a\\\\'; SELECT 2", []string{"SELECT 'a\\\\'", "SELECT 2"}},
		"triple quotes":              {"SELECT '''a';\n''b;'''; SELECT \"\"\"c\";\n\"\"\"", []string{"SELECT '''a';\n''b;'''", "SELECT \"\"\"c\";\n\"\"\""}},
		"raw string":                 {"SELECT r'\\d;', R\"\\'\"; SELECT 2", []string{"SELECT r'\\d;', R\"\\'\"", "SELECT 2"}},
		"raw and bytes":              {"SELECT rb'\\;', bR\"\"\";\"\"\", b';'; SELECT 2", []string{"SELECT rb'\\;', bR\"\"\";\"\"\", b';'", "SELECT 2"}},
		"backticks":                  {"SELECT `a;b`, `--`, `it's`; SELECT 2", []string{"SELECT `a;b`, `--`, `it's`", "SELECT 2"}},
		"system variable":            {"SELECT @@project_id, @p, ?; SELECT 2", []string{"SELECT @@project_id, @p, ?", "SELECT 2"}},
		"path with dashes and digits": {
			"SELECT * FROM my-project-1a.d.t; SELECT * FROM p-1.d.t", []string{"SELECT * FROM my-project-1a.d.t", "SELECT * FROM p-1.d.t"},
		},
		"characters outside of SQL": {"SELECT ähm; SELECT 'ä;' AS x", []string{"SELECT ähm", "SELECT 'ä;' AS x"}},
		"byte order mark":           {"\ufeffSELECT 1", []string{"SELECT 1"}},
		"carriage returns":          {"SELECT 1; -- a;\r\nSELECT 2;\r-- b;\rSELECT 3", []string{"SELECT 1", "SELECT 2", "SELECT 3"}},
		"keyword as a column":       {"SELECT 1 AS `BEGIN`, t.begin, t.set FROM t; SELECT 2", []string{"SELECT 1 AS `BEGIN`, t.begin, t.set FROM t", "SELECT 2"}},
		"quoted name first":         {"`set`; SELECT 2", []string{"`set`", "SELECT 2"}},
		"IF as a function":          {"SELECT IF(TRUE, 1, 2); SELECT CASE WHEN TRUE THEN 1 END", []string{"SELECT IF(TRUE, 1, 2)", "SELECT CASE WHEN TRUE THEN 1 END"}},
		"create model": {
			"CREATE MODEL `d.m` INPUT (a STRING) OUTPUT (b ARRAY<FLOAT64>) REMOTE WITH CONNECTION `p.us.c` OPTIONS (ENDPOINT = 'https://x/y;z');\nDROP MODEL d.m;",
			[]string{
				"CREATE MODEL `d.m` INPUT (a STRING) OUTPUT (b ARRAY<FLOAT64>) REMOTE WITH CONNECTION `p.us.c` OPTIONS (ENDPOINT = 'https://x/y;z')",
				"DROP MODEL d.m",
			},
		},
		"merge, pipes, lambdas": {"FROM t |> WHERE a => b |> SELECT e -> e; MERGE a USING b ON TRUE", []string{"FROM t |> WHERE a => b |> SELECT e -> e", "MERGE a USING b ON TRUE"}},
	} {
		t.Run(name, func(t *testing.T) {
			statements, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: test.text})
			if err != nil {
				t.Fatal(err)
			}
			if got := texts(statements); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			for _, s := range statements {
				if s.Script {
					t.Errorf("%q was taken for a script", s.SQL)
				}
			}
		})
	}
}

func TestSplitKeepsScriptsWhole(t *testing.T) {
	for _, text := range []string{
		"DECLARE x INT64; SET x = 1; SELECT x;",
		"SELECT 1; set @@time_zone = 'UTC'; SELECT 2;",
		"BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END;",
		"begin transaction; INSERT t VALUES (1); COMMIT TRANSACTION;",
		"IF TRUE THEN SELECT 1; END IF;",
		"LOOP BREAK; END LOOP;",
		"WHILE FALSE DO SELECT 1; END WHILE;",
		"REPEAT SELECT 1; UNTIL TRUE END REPEAT;",
		"FOR r IN (SELECT 1 AS a) DO SELECT r.a; END FOR;",
		"CALL d.p();",
		"EXECUTE IMMEDIATE 'SELECT 1';",
		"RAISE USING MESSAGE = 'no';",
		"outer_loop: LOOP LEAVE outer_loop; END LOOP;",
		"CASE WHEN TRUE THEN SELECT 1; END CASE;",
		"CREATE TEMP TABLE t AS SELECT 1; SELECT * FROM t;",
		"CREATE OR REPLACE TEMPORARY TABLE t AS SELECT 1; SELECT * FROM t;",
		"CREATE TEMP FUNCTION f(x INT64) AS (x + 1); SELECT f(1);",
		"CREATE OR REPLACE PROCEDURE d.p() BEGIN SELECT 1; SELECT 2; END; CALL d.p();",
	} {
		// What stands around the statements does not belong to the script.
		statements, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: "-- why\n" + text + "\n-- done\n"})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if len(statements) != 1 || !statements[0].Script || statements[0].SQL != text || statements[0].Line != 2 {
			t.Errorf("%s: got %+v", text, statements)
		}
	}
}

func TestSplitErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "f.sql: there is no statement to run",
		" ;; -- nothing\n /* */ ":     "f.sql: there is no statement to run",
		"SELECT 1;\n  SELECT 'abc":    "f.sql:2:10: unclosed string literal",
		"SELECT 'abc\n';":             "f.sql:1:8: unclosed string literal",
		"SELECT 1;\n\nSELECT `a":      "f.sql:3:8: unclosed identifier",
		"SELECT '''a\n'":              "f.sql:1:8: unclosed triple-quoted string literal",
		"SELECT ü, /* no end":         "f.sql:1:11: unclosed comment",
		"SELECT 1;\r\nSELECT \"\"\"x": "f.sql:2:8: unclosed triple-quoted string literal",
		`SELECT "\0`:                  "f.sql:1:8: the text ends within an escape sequence",
		"SELECT 1;\n  SELECT b'\\x1":  "f.sql:2:10: the text ends within an escape sequence",
		"SELECT 1,\n  '\xff'":         "f.sql:2:4: the text is not valid UTF-8",
	} {
		_, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: text})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		var where *sqlscript.PositionError
		if !errors.As(err, &where) {
			t.Errorf("%q: %T is not a PositionError", text, err)
		}
	}
}

func TestPosition(t *testing.T) {
	text := "SELECT 1;\n\n  SELECT 'é', x,\n\ty\r\n  , z"
	statements, err := sqlscript.Split(sqlscript.Source{Name: "f.sql", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	second := statements[1]
	if second.Line != 3 || second.Column != 3 || second.File() != "f.sql" {
		t.Fatalf("the statement is at %s:%d:%d, want f.sql:3:3", second.File(), second.Line, second.Column)
	}
	for _, test := range []struct {
		name                               string
		line, column, wantLine, wantColumn int
	}{
		{"its start", 1, 1, 3, 3},
		{"after a wide character", 1, 13, 3, 15},
		{"after a tab, which counts to the next multiple of 8", 2, 9, 4, 2},
		{"after a two-character line break", 3, 5, 5, 5},
		{"past the end of a line", 2, 99, 4, 3},
		{"no position", 0, 0, 3, 3},
		{"a line that does not exist", 9, 1, 3, 3},
	} {
		if line, column := second.Position(test.line, test.column); line != test.wantLine || column != test.wantColumn {
			t.Errorf("%s: [%d:%d] is %d:%d, want %d:%d", test.name, test.line, test.column, line, column, test.wantLine, test.wantColumn)
		}
	}
}

// No text makes the splitter loop, panic or lose a statement's place.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT 2", "p-1.d.t", "'''", "\x00;\xf0", "BEGIN;", "é;`;`", "a.1b;0x", "\r--;\r\n#;", `SELECT "\0`, `'\x`, `b"""\U0001`, "`\\", "/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		statements, err := sqlscript.Split(sqlscript.Source{Name: "f", Text: text})
		if err != nil {
			return
		}
		rest := text
		for _, s := range statements {
			_, after, found := strings.Cut(rest, s.SQL)
			if !found || s.SQL == "" {
				t.Fatalf("%q is not in the rest %q", s.SQL, rest)
			}
			rest = after
			made, _ := s.Makes()
			_, _ = s.Models(), s.Needs([]sqlscript.Object{made})
			if line, column := s.Position(1, 1); line != s.Line || column != s.Column {
				t.Fatalf("start of %q: %d:%d and %d:%d", s.SQL, line, column, s.Line, s.Column)
			}
		}
	})
}

// The corpus is cut as the GoogleSQL parser cuts it: the emulator's tests, which have
// that parser, hold the corpus to it.
func TestSplitCorpus(t *testing.T) {
	content, err := os.ReadFile("testdata/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus []struct {
		Name, SQL  string
		Script     bool
		Statements []string
	}
	if err := json.Unmarshal(content, &corpus); err != nil {
		t.Fatal(err)
	}
	for _, c := range corpus {
		statements, err := sqlscript.Split(sqlscript.Source{Name: c.Name, Text: c.SQL})
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.Name, err)
		case c.Script && (len(statements) != 1 || !statements[0].Script):
			t.Errorf("%s: cut into %q and not kept as a script", c.Name, texts(statements))
		case !c.Script && !slices.Equal(texts(statements), c.Statements):
			t.Errorf("%s:\ngot  %q\nwant %q", c.Name, texts(statements), c.Statements)
		}
	}
}
