// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package sqlscript

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/cloudspannerecosystem/memefish/token"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Expectation is what a comment says that the result of a statement has to be like:
//
//	-- expect: rows > 0
//	-- expect: rows between 1 and 10
//	-- expect: column score between 0 and 1
//	-- expect: column label in ('positive', 'negative')
//	-- expect: column id is not null
//	-- expect: column id is unique
//	-- expect: no failed predictions
//
// A comment in front of a statement or within it is about that statement; so is one
// after its semicolon on the same line. Rows are those of the result set, or those
// that DML changed. A column's condition holds for every row; in an ARRAY column for
// every element. NULL meets no condition but "is null" and "is unique", which looks
// at the other values only.
type Expectation struct {
	// Text is the condition as it was written.
	Text string
	// Line and Column are where it was.
	Line, Column int

	subject  string // rows, column, predictions
	column   string
	operator string // =, !=, <, <=, >, >=, between, in, null, notnull, unique
	values   []literal
}

// ExpectationError tells that an expectation does not hold.
type ExpectationError struct {
	Expectation Expectation
	Message     string
}

func (e *ExpectationError) Error() string {
	return fmt.Sprintf("expected %s: %s", e.Expectation.Text, e.Message)
}

// literal is a value in an expectation.
type literal struct {
	text   string
	quoted bool
	number *big.Rat // nil if it is none
}

func (l literal) String() string {
	if l.quoted {
		return "'" + l.text + "'"
	}
	return l.text
}

// comment is a comment with the statement that was complete when it was read.
type comment struct {
	token.TokenComment
	after   int  // statements that were complete
	between bool // no token of the next one had been read
}

var expectComment = regexp.MustCompile(`^(?:--|#)\s*expect\s*:\s*(.*?)\s*$`)

// expectations parses the comments and gives them to their statements.
func (s *Source) expectations(statements []Statement, comments []comment) error {
	for _, c := range comments {
		m := expectComment.FindStringSubmatch(strings.TrimRight(c.Raw, "\r\n"))
		if m == nil {
			continue
		}
		e, err := parseExpectation(m[1])
		if err != nil {
			return s.errorAt(int(c.Pos), fmt.Errorf("expect: %w", err))
		}
		e.Line, e.Column = s.place(int(c.Pos))
		i := c.after
		if c.between && i > 0 && !strings.ContainsAny(s.Text[statements[min(i, len(statements))-1].end():c.Pos], "\r\n") {
			i-- // after the semicolon, on its line
		}
		i = min(i, len(statements)-1) // the last one's, or the only script's
		statements[i].Expect = append(statements[i].Expect, e)
	}
	return nil
}

func (s Statement) end() int { return s.start + len(s.SQL) }

const expectSyntax = "want rows OP N, rows between N and N, column NAME OP VALUE, column NAME between A and B, column NAME in (A, …), column NAME is [not] null, column NAME is unique, or no failed predictions"

func parseExpectation(text string) (Expectation, error) {
	e := Expectation{Text: text}
	words, err := expectWords(text)
	if err != nil {
		return e, err
	}
	p := expectParser{words}
	switch {
	case p.take("no", "failed", "predictions"):
		e.subject = "predictions"
	case p.take("rows"):
		e.subject = "rows"
		err = p.condition(&e)
		if err == nil && slices.ContainsFunc(e.values, func(l literal) bool { return l.number == nil || l.quoted }) {
			err = errors.New("rows are compared with numbers")
		}
		if err == nil && slices.Contains([]string{"null", "notnull", "unique"}, e.operator) {
			err = errors.New(expectSyntax)
		}
	case p.take("column"):
		e.subject = "column"
		if len(p.words) > 0 {
			e.column, p.words = p.words[0].text, p.words[1:]
		}
		err = p.condition(&e)
	default:
		err = errors.New(expectSyntax)
	}
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%s is too much: %s", p.words[0], expectSyntax)
	}
	return e, err
}

var expectWord = regexp.MustCompile(`^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|` + "`([^`]+)`" + `|(<=|>=|!=|<>|==|[=<>(),])|([^\s'"` + "`" + `<>=!(),]+))\s*`)

func expectWords(text string) ([]literal, error) {
	var words []literal
	for text = strings.TrimSpace(text); text != ""; {
		m := expectWord.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%q is not understood: %s", text, expectSyntax)
		}
		text = text[len(m[0]):]
		w := literal{text: m[1] + m[2] + m[3] + m[4] + m[5]}
		if m[3]+m[4]+m[5] == "" {
			w.quoted = true
			w.text = unescape.Replace(w.text)
		} else if len(w.text) < 400 && plainNumber.MatchString(w.text) {
			w.number, _ = new(big.Rat).SetString(w.text)
		}
		words = append(words, w)
	}
	return words, nil
}

var (
	unescape    = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`)
	plainNumber = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`)
)

type expectParser struct{ words []literal }

// take consumes the words if they come next, in any case.
func (p *expectParser) take(words ...string) bool {
	if len(p.words) < len(words) {
		return false
	}
	for i, w := range words {
		if p.words[i].quoted || !strings.EqualFold(p.words[i].text, w) {
			return false
		}
	}
	p.words = p.words[len(words):]
	return true
}

func (p *expectParser) value(e *Expectation) error {
	if len(p.words) == 0 || !p.words[0].quoted && strings.ContainsAny(p.words[0].text, "<>=!(),") {
		return errors.New("a value is missing: " + expectSyntax)
	}
	e.values = append(e.values, p.words[0])
	p.words = p.words[1:]
	return nil
}

func (p *expectParser) condition(e *Expectation) error {
	for _, op := range []string{"<=", ">=", "!=", "<>", "==", "=", "<", ">"} {
		if p.take(op) {
			e.operator = map[string]string{"<>": "!=", "==": "="}[op]
			if e.operator == "" {
				e.operator = op
			}
			return p.value(e)
		}
	}
	switch {
	case p.take("is", "not", "null"):
		e.operator = "notnull"
	case p.take("is", "null"):
		e.operator = "null"
	case p.take("is", "unique"):
		e.operator = "unique"
	case p.take("between"):
		e.operator = "between"
		if err := p.value(e); err != nil {
			return err
		}
		if !p.take("and") {
			return errors.New(expectSyntax)
		}
		return p.value(e)
	case p.take("in", "("):
		e.operator = "in"
		for {
			if err := p.value(e); err != nil {
				return err
			}
			if p.take(")") {
				return nil
			}
			if !p.take(",") {
				return errors.New(expectSyntax)
			}
		}
	default:
		return errors.New(expectSyntax)
	}
	return nil
}

// StatusColumn returns the index of the column in which a function on a remote
// model tells why a row has no prediction, or -1: the job succeeds all the same.
func StatusColumn(schema query.Schema) int {
	return slices.IndexFunc(schema, func(f query.Field) bool { return statusColumn.MatchString(f.Name) })
}

var statusColumn = regexp.MustCompile(`^(remote_model_status|ml_[a-z_]+_status)$`)

// Checker looks at the rows of one result set for the expectations of a statement.
type Checker struct {
	checks []*check
}

// NewChecker returns the checker for a result set; schema is empty for a statement
// without one.
func (s Statement) NewChecker(schema query.Schema) *Checker {
	c := new(Checker)
	for _, e := range s.Expect {
		k := &check{Expectation: e, column: -1}
		switch e.subject {
		case "column":
			k.column = slices.IndexFunc(schema, func(f query.Field) bool { return strings.EqualFold(f.Name, e.column) })
			if k.column < 0 {
				k.problem = fmt.Sprintf("the result has no column %s", e.column)
				break
			}
			k.field = schema[k.column]
			if k.field.Type == "STRUCT" {
				k.problem = fmt.Sprintf("column %s is a %s, and only scalars can be compared", e.column, k.field.SQLType())
			}
			if e.operator == "unique" {
				k.seen = map[string]bool{}
			}
		case "predictions":
			if k.column = StatusColumn(schema); k.column < 0 {
				k.problem = "the result has no column remote_model_status"
			}
		}
		c.checks = append(c.checks, k)
	}
	return c
}

// NeedsRows reports whether an expectation is about the rows themselves.
func (c *Checker) NeedsRows() bool {
	return slices.ContainsFunc(c.checks, func(k *check) bool { return k.column >= 0 && k.problem == "" })
}

// Row looks at the next row.
func (c *Checker) Row(row query.Row) {
	for _, k := range c.checks {
		k.rows++
		if k.column >= 0 && k.problem == "" && k.column < len(row) {
			k.look(row[k.column])
		}
	}
}

// Failures returns the expectations that do not hold; rows is the number of rows of
// the result set, or of those changed.
func (c *Checker) Failures(rows uint64) []*ExpectationError {
	var out []*ExpectationError
	for _, k := range c.checks {
		message := k.problem
		switch {
		case message != "":
		case k.subject == "rows":
			n := new(big.Rat).SetUint64(rows)
			if !k.holds(n.Cmp, func(l literal) *big.Rat { return l.number }) {
				message = fmt.Sprintf("there are %d", rows)
			}
		case k.failed > 0:
			message = fmt.Sprintf("%d of %d rows fail, the first is row %d with %s", k.failed, k.rows, k.firstRow, k.first)
			if k.subject == "predictions" {
				message = fmt.Sprintf("%d of %d rows have none; row %d says %s", k.failed, k.rows, k.firstRow, k.first)
			}
		}
		if message != "" {
			out = append(out, &ExpectationError{k.Expectation, message})
		}
	}
	return out
}

// check is an expectation at work.
type check struct {
	Expectation
	column   int
	field    query.Field
	problem  string
	rows     int
	failed   int
	firstRow int
	first    string
	seen     map[string]bool
}

func (k *check) look(value any) {
	bad := false
	switch list, isList := value.([]any); {
	case k.subject == "predictions":
		bad = value != nil && value != ""
	case k.operator == "null" || k.operator == "notnull":
		bad = (value == nil) != (k.operator == "null")
	case isList:
		for _, element := range list {
			if !k.meets(element) {
				bad, value = true, element
				break
			}
		}
	default:
		bad = !k.meets(value)
	}
	if !bad {
		return
	}
	if k.failed++; k.failed == 1 {
		k.firstRow, k.first = k.rows, show(value)
	}
}

func show(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(value)
}

// meets reports whether one scalar meets the condition.
func (k *check) meets(value any) bool {
	if k.operator == "unique" {
		if value == nil {
			return true
		}
		key := show(value)
		again := k.seen[key]
		k.seen[key] = true
		return !again
	}
	if value == nil {
		return false
	}
	switch k.field.Type {
	case "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC":
		if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return false
		}
		if l := slices.IndexFunc(k.values, func(l literal) bool { return l.number == nil || l.quoted }); l >= 0 {
			k.problem = fmt.Sprintf("column %s is %s and %s is no number", k.Expectation.column, k.field.Type, k.values[l])
			return true
		}
		n := new(big.Rat)
		switch v := value.(type) {
		case int64:
			n.SetInt64(v)
		case float64: // "= 0.1" means the FLOAT64 that 0.1 is
			return k.holds(func(l *big.Rat) int {
				f, _ := l.Float64()
				return cmp.Compare(v, f)
			}, func(l literal) *big.Rat { return l.number })
		case string:
			if _, ok := n.SetString(v); !ok {
				return false
			}
		default:
			return false
		}
		return k.holds(n.Cmp, func(l literal) *big.Rat { return l.number })
	}
	text := fmt.Sprint(value)
	return holds(k.Expectation, func(l string) int { return strings.Compare(text, l) }, func(l literal) string { return l.text })
}

func (e Expectation) holds(compare func(*big.Rat) int, of func(literal) *big.Rat) bool {
	return holds(e, compare, of)
}

// holds evaluates the condition, given how the value compares with a literal.
func holds[T any](e Expectation, compare func(T) int, of func(literal) T) bool {
	first := compare(of(e.values[0]))
	switch e.operator {
	case "=":
		return first == 0
	case "!=":
		return first != 0
	case "<":
		return first < 0
	case "<=":
		return first <= 0
	case ">":
		return first > 0
	case ">=":
		return first >= 0
	case "between":
		return first >= 0 && compare(of(e.values[1])) <= 0
	}
	return slices.ContainsFunc(e.values, func(l literal) bool { return compare(of(l)) == 0 })
}
