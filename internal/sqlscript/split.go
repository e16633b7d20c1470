// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package sqlscript turns SQL text into jobs and runs them in order.
//
// A text of plain statements becomes one job each, so that each has its own
// result, its own cost and its own place in the file when it fails. A text with
// control flow, variables, transactions or temporary objects only makes sense as a
// whole: it becomes a single job, which BigQuery executes as a script.
//
// Splitting needs a lexer and no grammar; it is memefish's, because a semicolon in
// a string, a quoted name or a comment ends nothing. Whether a statement is valid
// is for BigQuery to say.
package sqlscript

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/cloudspannerecosystem/memefish"
	"github.com/cloudspannerecosystem/memefish/token"
	bigquery "google.golang.org/api/bigquery/v2"
)

// Source is one text to run. Name stands in messages: the file's path, or what
// else tells the user where the text came from.
type Source struct {
	Name, Text string

	template *template // where the text came from, if [Expand] made it
}

// Statement is what becomes one job.
type Statement struct {
	// SQL starts at the first token of the statement and ends with its last one;
	// for a script it is the whole text.
	SQL string
	// Script says that SQL is to be executed by BigQuery as one script.
	Script bool
	// Line and Column (from 1, in characters) are where SQL starts.
	Line, Column int
	// Parameters are set by [Bind].
	Parameters []*bigquery.QueryParameter
	// Expect are the expectations that comments state of the statement.
	Expect []Expectation

	source *Source
	start  int           // of SQL in the source's text
	words  []token.Token // without semicolons, except for a script
}

// File is the name of the source.
func (s Statement) File() string { return s.source.Name }

// Same reports whether both are the same statement of the same source, not only
// equal in text.
func (s Statement) Same(other Statement) bool {
	return s.source == other.source && s.start == other.start
}

// PositionError is a mistake at a place in a source.
type PositionError struct {
	File         string
	Line, Column int // from 1; 0 when the mistake is of the file as a whole
	Err          error
}

// Error has the form that editors understand: "file:line:column: message".
func (e *PositionError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Err)
}

func (e *PositionError) Unwrap() error { return e.Err }

// ErrEmpty tells that a source holds no statement.
var ErrEmpty = errors.New("there is no statement to run")

// Split cuts a source into statements. Its errors are [*PositionError]s.
func Split(source Source) ([]Statement, error) {
	// Some editors begin a file with a byte order mark; BigQuery refuses it.
	source.Text = strings.TrimPrefix(source.Text, "\ufeff")
	if i := invalidUTF8(source.Text); i >= 0 {
		return nil, source.errorAt(i, errors.New("the text is not valid UTF-8"))
	}
	l := newLexer(source)
	var (
		statements []Statement
		words      []token.Token // of the statement that is being read
		first      = -1          // where the first statement starts
		last       int           // where the last token, semicolons included, ends
		script     bool
		all        []token.Token // of the whole source
		comments   []comment
	)
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		for _, c := range t.Comments {
			comments = append(comments, comment{c, len(statements), len(words) == 0})
		}
		all = append(all, t)
		if t.Kind != ";" && t.Kind != token.TokenEOF {
			words = append(words, t)
			continue
		}
		if len(words) > 0 {
			start, end := int(words[0].Pos), int(words[len(words)-1].End)
			if first < 0 {
				first = start
			}
			last = end
			script = script || needsScript(words)
			s := source.statement(start, end)
			s.words = words
			statements = append(statements, s)
			words = nil
		}
		if t.Kind == token.TokenEOF {
			break
		}
		last = int(t.End)
	}
	if len(statements) == 0 {
		return nil, &PositionError{File: source.Name, Err: ErrEmpty}
	}
	if script {
		whole := source.statement(first, last)
		whole.Script, whole.words = true, all[:len(all)-1]
		statements = []Statement{whole}
	}
	return statements, source.expectations(statements, comments)
}

// Statements that BigQuery only knows inside of a script: the procedural language.
// A label in front of a block or a loop is found by its colon. END closes a block
// whose inner semicolons were taken for ends of statements.
var procedural = map[string]bool{
	"BEGIN": true, "BREAK": true, "CALL": true, "CASE": true, "COMMIT": true, "CONTINUE": true, "DECLARE": true, "END": true,
	"EXECUTE": true, "FOR": true, "IF": true, "ITERATE": true, "LEAVE": true, "LOOP": true, "RAISE": true, "REPEAT": true,
	"RETURN": true, "ROLLBACK": true, "SET": true, "WHILE": true,
}

// needsScript reports whether the statement forces its whole text into one job.
func needsScript(words []token.Token) bool {
	word := func(i int) string {
		if i >= len(words) {
			return ""
		}
		return strings.ToUpper(words[i].Raw) // a quoted name keeps its quotes
	}
	if procedural[word(0)] || word(1) == ":" {
		return true
	}
	if word(0) != "CREATE" {
		return false
	}
	i := 1
	if word(1) == "OR" && word(2) == "REPLACE" {
		i = 3
	}
	// A temporary object lives as long as the job that makes it. The body of a
	// procedure is a block with semicolons of its own.
	return word(i) == "TEMP" || word(i) == "TEMPORARY" || word(i) == "PROCEDURE"
}

// lexer reads tokens and forgives what only BigQuery may judge.
type lexer struct {
	memefish.Lexer
	source Source
}

func newLexer(source Source) *lexer {
	// A lone carriage return ends a line, and so a comment, for BigQuery but not
	// for this lexer, which reads a copy where it is a line feed. Statements are
	// cut from the original, which has the same length.
	text := []byte(source.Text)
	for i, c := range text {
		if c == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			text[i] = '\n'
		}
	}
	return &lexer{memefish.Lexer{File: &token.File{Buffer: string(text)}}, source}
}

// next returns the next token; a comment is none.
func (l *lexer) next() (token.Token, error) {
	for {
		err := l.nextToken()
		if err == nil {
			return l.Token, nil
		}
		if errors.Is(err, errUnfinished) {
			return token.Token{}, l.source.errorAt(int(l.Token.Pos), err)
		}
		lexical, ok := errors.AsType[*memefish.Error](err)
		if !ok {
			return token.Token{}, err
		}
		at := int(lexical.Position.Pos)
		switch {
		case strings.HasPrefix(lexical.Message, "number literal"):
			// "my-project-1a.dataset.table" is a path to BigQuery and a bad number
			// here. The digits are consumed; go on with the rest of the name.
		case strings.HasPrefix(lexical.Message, "illegal input character"):
			// Whatever it is, it ends no statement. Nothing is consumed: blank it.
			l.Buffer = l.Buffer[:at] + " " + l.Buffer[at+1:]
		default:
			return token.Token{}, l.source.errorAt(at, errors.New(lexical.Message))
		}
	}
}

var errUnfinished = errors.New("the text ends within an escape sequence")

// nextToken is NextToken, which reads over the end of a text that ends within an
// escape sequence.
func (l *lexer) nextToken() (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(runtime.Error); !ok {
				panic(r)
			}
			err = errUnfinished
		}
	}()
	return l.NextToken()
}

func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}
