// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cloudspannerecosystem/memefish"
	"github.com/cloudspannerecosystem/memefish/token"
)

// Statement writes one SQL statement. Fixed SQL is constant text of the program,
// everything else passes the one quoting function. The tokens that the result must
// consist of are noted while writing, and [Statement.Finish] lexes the result and
// compares: text that would escape from its quotes is never sent.
type Statement struct {
	sql  strings.Builder
	own  strings.Builder // sql with a stand-in for each query of the user
	want []token.Token   // of own
	err  error
}

// Fixed appends SQL that is a constant of the program, never text of a user.
func (s *Statement) Fixed(sql string) *Statement {
	tokens, err := lex(sql)
	s.note(err)
	s.append(sql, tokens...)
	return s
}

// Identifier appends a quoted identifier. A path such as project.dataset.model is
// one identifier to the lexer; its parts have been validated before.
func (s *Statement) Identifier(name string) *Statement {
	quoted, err := quote(name, '`')
	s.note(err)
	s.append(quoted, token.Token{Kind: token.TokenIdent, AsString: name})
	return s
}

// Literal appends a string literal.
func (s *Statement) Literal(text string) *Statement {
	quoted, err := quote(text, '\'')
	s.note(err)
	s.append(quoted, token.Token{Kind: token.TokenString, AsString: text})
	return s
}

// Subquery appends a user's own query between parentheses, after a check that it is
// one whole expression. The line breaks end a comment at its end.
func (s *Statement) Subquery(sql string) *Statement {
	sql, err := subquery(sql)
	s.note(err)
	s.sql.WriteString("(\n" + sql + "\n)")
	s.own.WriteString(" query ")
	s.want = append(s.want, token.Token{Kind: token.TokenIdent, AsString: "query"})
	return s
}

func (s *Statement) append(sql string, tokens ...token.Token) {
	s.sql.WriteString(sql)
	s.own.WriteString(sql)
	s.want = append(s.want, tokens...)
}

func (s *Statement) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Finish returns the statement if a lexer reads it as it was meant.
func (s *Statement) Finish() (string, error) {
	if s.err != nil {
		return "", s.err
	}
	got, err := lex(s.own.String())
	if err != nil {
		return "", fmt.Errorf("the rendered SQL cannot be read back and is not sent: %w", err)
	}
	if len(got) != len(s.want) {
		return "", fmt.Errorf("the rendered SQL reads back as %d tokens instead of %d and is not sent", len(got), len(s.want))
	}
	for i, w := range s.want {
		if got[i].Kind != w.Kind || got[i].AsString != w.AsString {
			return "", fmt.Errorf("the rendered SQL reads back as %s %q instead of %s %q and is not sent", got[i].Kind, got[i].AsString, w.Kind, w.AsString)
		}
	}
	return s.sql.String(), nil
}

// quote is the one quoting function: identifiers (delimiter `) and string literals
// (delimiter ') share the escapes of GoogleSQL's lexical structure. Whatever does
// not print is written as an escape, so that nothing in a statement is invisible.
func quote(text string, delimiter rune) (string, error) {
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%q is not valid UTF-8 and cannot be written in SQL", text)
	}
	if delimiter == '`' && text == "" {
		return "", errors.New("an identifier cannot be empty")
	}
	var b strings.Builder
	b.WriteRune(delimiter)
	for _, r := range text {
		switch {
		case r == delimiter || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteRune(delimiter)
	return b.String(), nil
}

// lex returns the tokens of sql without the end of file.
func lex(sql string) ([]token.Token, error) {
	return scan(sql, func(*memefish.Lexer, *memefish.Error) bool { return false })
}

// scan returns the tokens of sql. skip may make the lexer ready to go on after an
// error.
func scan(sql string, skip func(*memefish.Lexer, *memefish.Error) bool) (tokens []token.Token, err error) {
	defer func() {
		// memefish indexes out of range when the text ends within an escape.
		if r := recover(); r != nil {
			tokens, err = nil, fmt.Errorf("it cannot be split into tokens: %v", r)
		}
	}()
	l := &memefish.Lexer{File: &token.File{Buffer: sql}}
	for {
		err := l.NextToken()
		if lexical, ok := errors.AsType[*memefish.Error](err); ok && skip(l, lexical) {
			continue
		}
		switch {
		case err != nil:
			return nil, err
		case l.Token.Kind == token.TokenEOF:
			return tokens, nil
		}
		tokens = append(tokens, l.Token)
	}
}

const maxPassedOver = 1000

// lexUser returns the tokens of SQL in BigQuery's dialect as far as they structure
// it: strings, comments, parentheses and semicolons. What memefish, made for
// Spanner's dialect, does not know besides is passed over.
func lexUser(sql string) ([]token.Token, error) {
	passed := 0
	return scan(sql, func(l *memefish.Lexer, e *memefish.Error) bool {
		if passed++; passed > maxPassedOver {
			return false // each one costs as much as the text is long
		}
		at := int(e.Position.Pos)
		switch {
		case strings.HasPrefix(e.Message, "number literal"):
			// The name my-project-1a.dataset.table. The digits are consumed.
		case strings.HasPrefix(e.Message, "illegal input character"):
			// Nothing is consumed.
			l.Buffer = l.Buffer[:at] + " " + l.Buffer[at+1:]
		default:
			return false
		}
		return true
	})
}

// subquery checks that a user's query is one whole expression to put between
// parentheses, and returns it without a semicolon at its end. The query is the
// user's own program; this only keeps it from ending before its place does.
func subquery(sql string) (string, error) {
	tokens, err := lexUser(sql)
	if err != nil {
		return "", fmt.Errorf("the query cannot be read: %w", err)
	}
	if n := len(tokens); n > 0 && tokens[n-1].Kind == ";" {
		sql, tokens = sql[:tokens[n-1].Pos], tokens[:n-1]
	}
	if len(tokens) == 0 {
		return "", errors.New("the query is empty")
	}
	depth := 0
	for _, t := range tokens {
		switch t.Kind {
		case "(":
			depth++
		case ")":
			depth--
		case ";":
			return "", errors.New("the query holds more than one statement: give one SELECT")
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return "", errors.New("the parentheses of the query are not balanced")
	}
	return sql, nil
}
