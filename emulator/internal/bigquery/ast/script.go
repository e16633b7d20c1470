// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package ast

// Script is a parsed SQL text: one statement or several.
type Script struct {
	// Statements are the SQL statements in the order of the text, wherever in the
	// script they stand.
	Statements []*Statement
	// ControlFlow names the first construct of the procedural language that was
	// met ("IF", "DECLARE", …); empty for a plain list of statements.
	ControlFlow string
	// Steps are what the script does.
	Steps []*Step
}

// Source is a part of a script that is run or evaluated.
type Source struct {
	// Text is the part, without the semicolon that ends a statement.
	Text string
	// Offset is where Text starts in the script, in bytes.
	Offset int
	// First is the number of positional parameters in the script before it.
	First int
	// Params are the query parameters, in order of appearance.
	Params []Param
	// Names are the places where a variable of the script can be meant.
	Names []Name
}

// Name is a name in an expression.
type Name struct {
	Range
	Path Path
	// Ends are the ends of the parts of Path in the text: a prefix of the path may
	// be the variable and the rest its fields.
	Ends []int
	// System is set by a system variable, @@path.
	System bool
	// Certain is set where no column can be in sight. Elsewhere a column of the same
	// name takes precedence over a variable.
	Certain bool
	// Column is set where the name also names a column or a field of the result.
	Column bool
}

// Kind is what a step of a script does.
type Kind string

// The kinds of steps. What belongs to each is said at the fields of [Step].
const (
	Run              Kind = "SQL"
	Declare          Kind = "DECLARE"
	Set              Kind = "SET"
	If               Kind = "IF"
	Case             Kind = "CASE"
	While            Kind = "WHILE"
	Loop             Kind = "LOOP"
	Repeat           Kind = "REPEAT"
	For              Kind = "FOR"
	Block            Kind = "BEGIN"
	Raise            Kind = "RAISE"
	Return           Kind = "RETURN"
	Break            Kind = "BREAK"
	Continue         Kind = "CONTINUE"
	ExecuteImmediate Kind = "EXECUTE IMMEDIATE"
	AbortSession     Kind = "CALL BQ.ABORT_SESSION"
	// Unsupported is named by Construct.
	Unsupported Kind = ""
)

// Step is one statement of a script: SQL, or a construct of the procedural language
// with the steps within it.
type Step struct {
	// Range is where the step is in the script.
	Range
	Kind Kind
	// Construct names a step that is not supported.
	Construct string
	// Statement is the SQL to run.
	Statement *Statement
	// Names are the variables of DECLARE, SET, FOR … IN and EXECUTE IMMEDIATE … INTO.
	Names []string
	// System is the system variable of SET @@name.
	System Path
	// Type is the type in a DECLARE as written; may be empty.
	Type string
	// Value is the default of DECLARE, what SET assigns, the condition of WHILE and
	// of REPEAT … UNTIL, the query of FOR, the operand of CASE, the message of RAISE,
	// the text of EXECUTE IMMEDIATE. Nil where there is none.
	Value *Source
	// Reads is set if Value has a query in it.
	Reads bool
	// Branches are those of IF and CASE; that of ELSE, the last, has no When.
	Branches []Branch
	// Body is what is in a loop or block.
	Body []*Step
	// Handler is what follows EXCEPTION WHEN ERROR THEN, if Handles is set.
	Handles bool
	Handler []*Step
	// Label is that of a loop or block, or the one that BREAK or CONTINUE names.
	Label string
	// Using are the arguments of EXECUTE IMMEDIATE.
	Using []Argument
}

// Branch is one branch of IF or CASE.
type Branch struct {
	When  *Source
	Reads bool
	Body  []*Step
}

// Argument is a query parameter of EXECUTE IMMEDIATE. Name is empty for a
// positional one.
type Argument struct {
	Name  string
	Value *Source
}
