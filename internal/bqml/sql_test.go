// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"strings"
	"testing"

	"github.com/cloudspannerecosystem/memefish/token"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// hostile are names and values that try to leave their quotes.
var hostile = []string{
	"`", "'", `"`, `\`, "\\`", `\'`, "a`.b", "a'); DROP MODEL x; --", "x` OPTIONS(ENDPOINT='https://evil", "/*", "*/", "--", "#", "\n", "\r\n", "\t", "\x00", "\x7f",
	"\u2028", "\u200b", "\ufeff", "\U000e0041", "é", "漢字", "😀", `\u0060`, `\x60`, `'''`, `"""`, "@p", "?", "${x}", "a b", strings.Repeat("`", 100),
}

// FuzzQuote: whatever is quoted lexes as one token that means the original text.
func FuzzQuote(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for delimiter, kind := range map[rune]token.TokenKind{'`': token.TokenIdent, '\'': token.TokenString} {
			quoted, err := quote(s, delimiter)
			if err != nil {
				continue // refused: empty identifier or invalid UTF-8
			}
			tokens, err := lex(quoted)
			if err != nil {
				t.Fatalf("%q as %s does not lex: %v", s, quoted, err)
			}
			if len(tokens) != 1 || tokens[0].Kind != kind || tokens[0].AsString != s {
				t.Errorf("%q as %s lexes as %v", s, quoted, tokens)
			}
			if strings.ContainsAny(quoted, "\n\r\x00") {
				t.Errorf("%q is written with control characters: %q", s, quoted)
			}
		}
	})
}

func TestQuoteRefuses(t *testing.T) {
	if _, err := quote("", '`'); err == nil {
		t.Error("an empty identifier was quoted")
	}
	if _, err := quote("\xff", '\''); err == nil {
		t.Error("invalid UTF-8 was quoted")
	}
	if got, err := quote("", '\''); err != nil || got != "''" {
		t.Errorf("empty literal: %q, %v", got, err)
	}
}

// A statement whose text does not lex as the writer meant it is not returned. The
// test breaks the invariant from inside, since no input can.
func TestFinishFailsClosed(t *testing.T) {
	var s Statement
	s.Fixed("SELECT ")
	s.append("`a`, `b`", token.Token{Kind: token.TokenIdent, AsString: "a`, `b"})
	if sql, err := s.Finish(); err == nil {
		t.Errorf("an escaped identifier was accepted: %s", sql)
	}
	var open Statement
	open.append("'never closed", token.Token{Kind: token.TokenString, AsString: "never closed"})
	if sql, err := open.Finish(); err == nil {
		t.Errorf("an open literal was accepted: %s", sql)
	}
}

func tutorial() ModelSpec {
	return ModelSpec{
		Name:       gcp.RemoteModelName{Project: "my-project", Dataset: "bqml_tutorial", ID: "bert_sentiment"},
		Connection: gcp.Name{Project: "my-project", Location: "US", Kind: gcp.KindConnection, ID: "bqml_tutorial"},
		Target:     Target{Endpoint: gcp.Name{Project: "my-project", Location: "us-central1", Kind: gcp.KindEndpoint, ID: "1234"}},
		Input:      []Column{{"text", "string"}},
		Output:     []Column{{"scores", "array< float64 >"}},
	}
}

// The statement of Google's tutorial, token by token.
func TestCreateSQL(t *testing.T) {
	const google = "CREATE OR REPLACE MODEL `my-project.bqml_tutorial.bert_sentiment`\n" +
		"INPUT (`text` STRING)\nOUTPUT(`scores` ARRAY<FLOAT64>)\n" +
		"REMOTE WITH CONNECTION `my-project.us.bqml_tutorial`\n" +
		"OPTIONS(ENDPOINT = 'https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-central1/endpoints/1234')"
	got, err := tutorial().CreateSQL(true)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := squeeze(t, got), squeeze(t, google); a != b {
		t.Errorf("rendered\n%s\nwant\n%s", a, b)
	}
	create, err := tutorial().CreateSQL(false)
	if err != nil || strings.Contains(create, "REPLACE") || !strings.HasPrefix(create, "CREATE MODEL ") {
		t.Errorf("create without clobber: %s, %v", create, err)
	}
}

func squeeze(t *testing.T, sql string) string {
	t.Helper()
	tokens, err := lex(sql)
	if err != nil {
		t.Fatal(err)
	}
	words := make([]string, len(tokens))
	for i, tok := range tokens {
		words[i] = tok.Raw
	}
	return strings.Join(words, " ")
}

// Hostile text in any place is refused by that place's grammar.
func TestCreateSQLRefusesHostileNames(t *testing.T) {
	places := map[string]func(*ModelSpec, string){
		"project":             func(m *ModelSpec, s string) { m.Name.Project = s },
		"dataset":             func(m *ModelSpec, s string) { m.Name.Dataset = s },
		"model":               func(m *ModelSpec, s string) { m.Name.ID = s },
		"connection project":  func(m *ModelSpec, s string) { m.Connection.Project = s },
		"connection location": func(m *ModelSpec, s string) { m.Connection.Location = s },
		"connection id":       func(m *ModelSpec, s string) { m.Connection.ID = s },
		"endpoint project":    func(m *ModelSpec, s string) { m.Endpoint.Project = s },
		"endpoint location":   func(m *ModelSpec, s string) { m.Endpoint.Location = s },
		"endpoint id":         func(m *ModelSpec, s string) { m.Endpoint.ID = s },
		"input name":          func(m *ModelSpec, s string) { m.Input[0].Name = s },
		"input type":          func(m *ModelSpec, s string) { m.Input[0].Type = s },
		"output name":         func(m *ModelSpec, s string) { m.Output[0].Name = s },
		"output type":         func(m *ModelSpec, s string) { m.Output[0].Type = s },
	}
	for place, set := range places {
		for _, s := range append(hostile, "") {
			spec := tutorial()
			set(&spec, s)
			if sql, err := spec.CreateSQL(false); err == nil {
				t.Errorf("%s %q was rendered:\n%s", place, s, sql)
			}
		}
	}
	for _, spec := range []ModelSpec{
		func() ModelSpec { s := tutorial(); s.Input = nil; return s }(),
		func() ModelSpec { s := tutorial(); s.Output = nil; return s }(),
	} {
		if sql, err := spec.CreateSQL(false); err == nil {
			t.Errorf("a model without input or output was rendered:\n%s", sql)
		}
	}
}

func TestPredictSQL(t *testing.T) {
	model := gcp.RemoteModelName{Project: "p-1", Dataset: "d", ID: "m"}
	for _, c := range []struct {
		name, query, table, want string
	}{
		{"query", "SELECT review AS text FROM t", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT review AS text FROM t\n) LIMIT 11\n))"},
		{"semicolon", "SELECT 1; -- done", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT 1\n) LIMIT 11\n))"},
		{"comment at the end", "SELECT 1 -- )", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT 1 -- )\n) LIMIT 11\n))"},
		{"another comment", "SELECT 1 # )", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT 1 # )\n) LIMIT 11\n))"},
		{"name with a hyphen", "SELECT x FROM my-project-1a.d.t", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT x FROM my-project-1a.d.t\n) LIMIT 11\n))"},
		{"parenthesis in text", "SELECT ')' AS text", "", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT ')' AS text\n) LIMIT 11\n))"},
		{"table", "", "d.reviews", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT * FROM `p-1.d.reviews`\n) LIMIT 11\n))"},
		{"table of another project", "", "other.d.reviews", "SELECT * FROM ML.PREDICT(MODEL `p-1.d.m`, (\nSELECT * FROM (\nSELECT * FROM `other.d.reviews`\n) LIMIT 11\n))"},
	} {
		got, err := PredictRequest{Model: model, Query: c.query, Table: c.table, MaxRows: 10}.SQL()
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, query := range []string{"", " ", "-- nothing", ";", "SELECT 1; SELECT 2", "SELECT 1)", "SELECT (1", "SELECT 1) UNION ALL (SELECT 2", "SELECT 'open", "SELECT /* open"} {
		if got, err := (PredictRequest{Model: model, Query: query, MaxRows: 10}).SQL(); err == nil {
			t.Errorf("query %q was rendered: %s", query, got)
		}
	}
	for _, table := range []string{"reviews", "a.b.c.d", "d.`x`", "d.x y", "d.x;", "d.", ".x"} {
		if got, err := (PredictRequest{Model: model, Table: table, MaxRows: 10}).SQL(); err == nil {
			t.Errorf("table %q was rendered: %s", table, got)
		}
	}
}

// FuzzSubquery: an accepted query stays inside of its parentheses.
func FuzzSubquery(f *testing.F) {
	for _, s := range append(hostile, "SELECT 1", "SELECT (1)", "SELECT 1) -- (", "SELECT '\\')'", "SELECT r'\\'", "SELECT \"\"\")\"\"\"", "SELECT 1 /* ) */", "SELECT 1; -- ;", "SELECT [1][OFFSET(0)]", "SELECT 1 FROM my-project-1a.d.t", "SELECT 1 § 2", "FROM t |> SELECT x") {
		f.Add(s)
	}
	head := lexed(f, "SELECT * FROM ML.PREDICT(MODEL `p.d.m`, (SELECT * FROM (")
	tail := lexed(f, ") LIMIT 2))")
	f.Fuzz(func(t *testing.T, s string) {
		sql, err := PredictRequest{Model: gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"}, Query: s, MaxRows: 1}.SQL()
		if err != nil {
			return
		}
		got, err := lexUser(sql)
		if err != nil {
			t.Fatalf("%q is rendered as what does not lex: %v", s, err)
		}
		depth := 0
		for i, tok := range got[:len(got)-len(tail)] {
			switch tok.Kind {
			case "(":
				depth++
			case ")":
				depth--
			case ";":
				t.Fatalf("%q ends the statement: %s", s, sql)
			}
			if i < len(head) && tok.Raw != head[i].Raw || i >= len(head) && depth < 3 {
				t.Fatalf("%q leaves its place: %s", s, sql)
			}
		}
		for i, tok := range tail {
			if got[len(got)-len(tail)+i].Raw != tok.Raw {
				t.Fatalf("%q swallows what follows: %s", s, sql)
			}
		}
	})
}

func lexed(t testing.TB, sql string) []token.Token {
	t.Helper()
	tokens, err := lex(sql)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// A user's query stands as it is between parentheses, also if it holds names that
// only BigQuery lexes; one that would end before its place does is refused.
func TestStatementSubquery(t *testing.T) {
	for _, query := range []string{"SELECT 1", "SELECT * FROM my-project-1a.d.t -- all", "SELECT ')', \"(\"\n;"} {
		var s Statement
		got, err := s.Fixed("SELECT * FROM ").Subquery(query).Fixed(" AS ").Identifier("a`b").Finish()
		want := "SELECT * FROM (\n" + strings.TrimSuffix(query, ";") + "\n) AS `a\\`b`"
		if err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	for _, query := range []string{"", "SELECT 1) UNION ALL (SELECT 2", "SELECT 1; DROP TABLE t", "SELECT (1"} {
		var s Statement
		if got, err := s.Fixed("SELECT * FROM ").Subquery(query).Finish(); err == nil {
			t.Errorf("%q became %q", query, got)
		}
	}
}
