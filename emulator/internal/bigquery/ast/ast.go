// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package ast is what the BigQuery front needs to know about a SQL text: plain
// data with byte ranges, free of the parser that fills it in. Ranges are
// half-open and relative to the text of their statement.
package ast

// Range is a half-open range of bytes of a statement's text.
type Range struct{ Start, End int }

// In returns the part of text that the range covers.
func (r Range) In(text string) string { return text[r.Start:r.End] }

// Contains reports whether o lies within r.
func (r Range) Contains(o Range) bool { return r.Start <= o.Start && o.End <= r.End }

// Path is a name as written, split at its dots: "`p.d.t`" and p.d.t alike are
// [p d t].
type Path []string

// Statement is one statement.
type Statement struct {
	Source
	// Type is BigQuery's statementType: SELECT, CREATE_MODEL, …; empty for a
	// statement that BigQuery does not have.
	Type string
	// Node is the parser's name of the statement, for messages.
	Node string
	// Target is the object that a DDL or DML statement acts on.
	Target   Path
	TargetAt Range
	// Temporary is set by CREATE TEMP ….
	Temporary   bool
	OrReplace   bool
	IfNotExists bool
	IfExists    bool
	// Cascade is set by DROP SCHEMA … CASCADE.
	Cascade bool
	// Options of CREATE MODEL, CREATE SCHEMA and ALTER … SET OPTIONS.
	Options []Option
	// Model is set for CREATE MODEL.
	Model *CreateModel
	// Actions names what an ALTER statement does, one parser name for each action.
	Actions []string
	// Query is the query of a SELECT or of a CREATE TABLE … AS.
	Query *Range
	// Where is the condition of an UPDATE or DELETE.
	Where *Range
	// Condition is what an ASSERT evaluates, Description what it says if that is not
	// true.
	Condition   *Range
	Description string
	// Merge is set for MERGE.
	Merge *Merge
	// Tables are the table names in FROM clauses; some may be names of WITH
	// entries or of array columns, which a parser cannot tell.
	Tables []Path
	// Predicts are the uses of ML.PREDICT, each after those it depends on: the
	// ones nested in it and the ones in WITH entries before it.
	Predicts []*Predict
	// OtherML names the first function of the ML or AI family other than
	// ML.PREDICT as a table function; empty when there is none.
	OtherML string
	// Recursive is set by any WITH RECURSIVE.
	Recursive bool
}

// Option is one name = value of an OPTIONS list; Value covers an expression.
type Option struct {
	Name  string
	Value Range
}

// Param is one use of a query parameter. Name is empty for a positional one.
type Param struct {
	Range
	Name string
}

// CreateModel is the body of a CREATE MODEL statement.
type CreateModel struct {
	Remote bool
	// Connection is the name after WITH CONNECTION; DefaultConnection is set by
	// WITH CONNECTION DEFAULT.
	Connection        Path
	DefaultConnection bool
	// HasInput and HasOutput tell a missing list from an empty one.
	HasInput, HasOutput bool
	Input, Output       []Column
	// HasQuery is set by AS SELECT, HasTransform by TRANSFORM.
	HasQuery, HasTransform bool
}

// Column is one column of INPUT or OUTPUT: its type as written, upper case and
// without spaces ("ARRAY<FLOAT64>").
type Column struct {
	Name string
	Type string
}

// Merge is the body of a MERGE statement.
type Merge struct {
	// TargetName and SourceName are the names under which conditions know the two:
	// the alias or the last part of the name; that of a query may be empty.
	TargetName, SourceName string
	// Source is the table or the parenthesised query after USING, up to its alias;
	// Query tells which.
	Source Range
	Query  bool
	// On is the condition of the match.
	On      Range
	Clauses []MergeClause
}

// MergeClause is one WHEN … THEN ….
type MergeClause struct {
	// Matched rows are in both; of the others those in the source alone are
	// NotMatchedByTarget.
	Matched, NotMatchedByTarget bool
	Condition                   *Range
	Action                      string // INSERT, UPDATE or DELETE
}

// Predict is one ML.PREDICT(MODEL …, input).
type Predict struct {
	// Range covers the whole call up to an alias after it.
	Range
	Model Path
	// Input is the query without its parentheses or, if Table is set, the name
	// of a table.
	Input Range
	Table bool
	// HasSettings is set by a third argument.
	HasSettings bool
	// Scopes are the WITH entries in sight, outermost WITH first; each range
	// covers one "name AS (query)".
	Scopes [][]Range
	// Nested is set when the call stands where it could see the columns of a
	// query around it: in an expression subquery or after LATERAL.
	Nested bool
	// Unsupported says why this use cannot be evaluated; empty if it can.
	Unsupported string
}
