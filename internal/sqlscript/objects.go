// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cloudspannerecosystem/memefish/token"
	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Keyword is the first word of the statement in upper case: SELECT, CREATE, ….
func (s Statement) Keyword() string { return wordAt(s.words, 0) }

func wordAt(words []token.Token, i int) string {
	if i < 0 || i >= len(words) {
		return ""
	}
	return strings.ToUpper(words[i].Raw) // a quoted name keeps its quotes
}

// Object is something that a statement makes or changes.
type Object struct {
	Kind string // TABLE, VIEW, MODEL, SCHEMA, FUNCTION, …
	Name string // as it was written, without quotes
}

// Makes returns what the statement makes or changes, as far as its text tells: the
// target of DDL and DML. A script can make anything, and is not looked into.
func (s Statement) Makes() (Object, bool) {
	if s.Script {
		return Object{}, false
	}
	i := 1
	kind := "TABLE"
	skip := func(words ...string) {
		for slices.Contains(words, wordAt(s.words, i)) {
			i++
		}
	}
	switch s.Keyword() {
	case "INSERT", "MERGE":
		skip("INTO")
	case "DELETE":
		skip("FROM")
	case "UPDATE":
	case "TRUNCATE":
		skip("TABLE")
	case "LOAD":
		skip("DATA", "INTO", "OVERWRITE")
	case "CREATE", "ALTER", "DROP":
		skip("OR", "REPLACE", "TEMP", "TEMPORARY", "EXTERNAL", "SNAPSHOT", "MATERIALIZED", "AGGREGATE")
		kind = wordAt(s.words, i)
		i++
		if kind == "TABLE" && wordAt(s.words, i) == "FUNCTION" {
			kind = "FUNCTION"
			i++
		}
		skip("IF", "NOT", "EXISTS")
	default:
		return Object{}, false
	}
	parts, _ := s.pathAt(i)
	if len(parts) == 0 {
		return Object{}, false
	}
	return Object{kind, strings.Join(parts, ".")}, true
}

// pathAt reads the name that begins at a token, "`my-project.d`.t" or
// my-project.d.t, and returns its parts and the number of its tokens.
func (s Statement) pathAt(i int) (parts []string, n int) {
	text := s.source.Text
	for begin := i; i < len(s.words); {
		t := s.words[i]
		if t.Kind != token.TokenIdent && (i == begin || !isName(t)) {
			break
		}
		end := int(t.End)
		if t.Kind == token.TokenIdent && t.Raw[0] == '`' {
			parts = append(parts, strings.Split(t.AsString, ".")...)
			i++
		} else {
			// The dashes of a project's name; the lexer takes what is between them for
			// names and numbers, and a dot after a digit for a part of the number.
			name := dashed.FindString(text[t.Pos:])
			parts = append(parts, name)
			for end = int(t.Pos) + len(name); i < len(s.words) && int(s.words[i].Pos) < end; i++ {
			}
		}
		n = i - begin
		switch {
		case i < len(s.words) && s.words[i].Raw == ".":
			i++
		case i == len(s.words) || end == len(text) || text[end] != '.':
			return parts, n
		}
	}
	return parts, n
}

var dashed = regexp.MustCompile(`^\w+(-\w+)*`)

// isName reports whether a token can be a part of a name after its first: keywords
// and numbers can.
func isName(t token.Token) bool {
	if t.Kind == token.TokenIdent || t.Kind == token.TokenInt {
		return true
	}
	c := t.Raw[:min(1, len(t.Raw))]
	return c != "" && (c >= "A" && c <= "Z" || c >= "a" && c <= "z" || c == "_")
}

// Needs returns the objects among made that the statement mentions: what it can only
// be checked with once they are there. The comparison is by the parts that both
// names have, so that it finds too much rather than too little.
func (s Statement) Needs(made []Object) []Object {
	var out []Object
	for i := 0; i < len(s.words); i++ {
		if i > 0 && s.words[i-1].Raw == "." {
			continue
		}
		parts, n := s.pathAt(i)
		if n == 0 {
			continue
		}
		for _, o := range made {
			if mentions(parts, o) && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
		i += n - 1
	}
	return out
}

func mentions(path []string, o Object) bool {
	name := strings.Split(o.Name, ".")
	if o.Kind == "SCHEMA" {
		// A dataset is the part in front of the last one, or all of the name of DDL
		// about datasets.
		dataset := name[len(name)-1]
		return len(path) > 1 && path[len(path)-2] == dataset || path[len(path)-1] == dataset && len(path) <= 2
	}
	for n := 1; n <= min(len(path), len(name)); n++ {
		if !strings.EqualFold(path[len(path)-n], name[len(name)-n]) {
			return false
		}
	}
	return true
}

// Models returns the models that the statement reads or makes, as they are written:
// BigQuery's dry run tells of tables only.
func (s Statement) Models() []string {
	var out []string
	for i := range s.words {
		if wordAt(s.words, i) != "MODEL" {
			continue
		}
		parts, n := s.pathAt(i + 1)
		name := strings.Join(parts, ".")
		if previous := wordAt(s.words, i-1); n > 0 && (previous == "(" || previous == ",") && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if o, ok := s.Makes(); ok && o.Kind == "MODEL" && !slices.Contains(out, o.Name) {
		out = append(out, o.Name)
	}
	return out
}

// MissingParameterError means that a statement uses a query parameter that nobody
// gave. [MissingParameters] asks BigQuery about all that are missing.
type MissingParameterError struct {
	statement *Statement // with the parameters that were given
	text      string
}

func (e *MissingParameterError) Error() string { return e.text }

// MissingParameters completes an error of [Bind] about a missing parameter: by the
// types that BigQuery infers in a dry run for all that the statement lacks. Where it
// infers none the error stays as it is.
func MissingParameters(ctx context.Context, runner Runner, base query.Request, err error) error {
	at, ok := errors.AsType[*PositionError](err)
	if !ok {
		return err
	}
	missing, ok := errors.AsType[*MissingParameterError](at.Err)
	if !ok {
		return err
	}
	s := missing.statement
	base.SQL, base.Script, base.Parameters, base.DryRun = s.SQL, s.Script, s.Parameters, true
	job, failed := runner.Run(ctx, base)
	if failed != nil || len(job.Undeclared) == 0 {
		return err
	}
	var names, options []string
	for _, p := range job.Undeclared {
		name := "?"
		if p.Name != "" {
			name = "@" + p.Name
		}
		option := p.Name + ":" + p.Type + ":VALUE"
		if strings.ContainsAny(option, "<> ") {
			option = "'" + option + "'"
		}
		names, options = append(names, name), append(options, "--param "+option)
	}
	completed := *at
	completed.Err = fmt.Errorf("query parameters are not given: %s. With the types that BigQuery infers: %s", strings.Join(names, ", "), strings.Join(options, " "))
	return &completed
}

// Bind gives every statement the parameters that it uses: named ones by name,
// positional ones in the order of the statements. A parameter that a statement uses
// and nobody gave is a [*MissingParameterError] at its place; one that no statement
// uses is an error, too.
func Bind(files [][]Statement, parameters []*bigquery.QueryParameter) error {
	named := map[string]*bigquery.QueryParameter{}
	var positional []*bigquery.QueryParameter
	for _, p := range parameters {
		if p.Name == "" {
			positional = append(positional, p)
			continue
		}
		key := strings.ToLower(p.Name)
		if named[key] != nil {
			return fmt.Errorf("the parameter %s is given twice", p.Name)
		}
		named[key] = p
	}
	if len(named) > 0 && len(positional) > 0 {
		return fmt.Errorf("query parameters must be all named or all positional")
	}
	used := map[string]bool{}
	given := len(positional)
	for _, statements := range files {
		for i := range statements {
			s := &statements[i]
			s.Parameters = nil
			var missing error // at the place of the first one
			for _, t := range s.words {
				switch t.Kind {
				case token.TokenParam:
					key := strings.ToLower(t.AsString)
					p, ok := named[key]
					if !ok {
						missing = cmp.Or(missing, s.source.errorAt(int(t.Pos), &MissingParameterError{s, fmt.Sprintf("the query parameter @%s is not given: --param %s:TYPE:VALUE", t.AsString, t.AsString)}))
						continue
					}
					if used[key] = true; !slices.Contains(s.Parameters, p) {
						s.Parameters = append(s.Parameters, p)
					}
				case "?":
					if len(positional) == 0 {
						missing = cmp.Or(missing, s.source.errorAt(int(t.Pos), &MissingParameterError{s, fmt.Sprintf("a positional query parameter is not given: there are %d; --param :TYPE:VALUE gives one", given)}))
						continue
					}
					s.Parameters = append(s.Parameters, positional[0])
					positional = positional[1:]
				}
			}
			if missing != nil {
				return missing
			}
		}
	}
	if len(positional) > 0 {
		return fmt.Errorf("%d positional query parameters are given and %d are used", given, given-len(positional))
	}
	for _, p := range parameters {
		if p.Name != "" && !used[strings.ToLower(p.Name)] {
			return fmt.Errorf("the query parameter %s is used by no statement", p.Name)
		}
	}
	return nil
}
