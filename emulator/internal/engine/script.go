// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-googlesql"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// scriptBuilder turns the syntax tree of a script into steps.
type scriptBuilder struct {
	sql        string
	script     *ast.Script
	positional int // parameters met so far
}

func (b *scriptBuilder) steps(list googlesql.ASTNode) []*ast.Step {
	if list == nil {
		return nil
	}
	var steps []*ast.Step
	for _, n := range children(list) {
		step := b.step(n)
		step.Range = location(n)
		steps = append(steps, step)
	}
	return steps
}

// block is the steps of a node that has a list of statements.
func (b *scriptBuilder) block(n googlesql.ASTNode) []*ast.Step {
	return b.steps(child(n, "StatementList"))
}

func (b *scriptBuilder) step(n googlesql.ASTNode) *ast.Step {
	construct, procedural := controlFlow[kind(n)]
	if !procedural {
		return b.sqlStep(n)
	}
	if b.script.ControlFlow == "" {
		b.script.ControlFlow = construct
	}
	switch n := n.(type) {
	case *googlesql.ASTVariableDeclaration:
		step := &ast.Step{Kind: ast.Declare, Names: identifiers(must(n.VariableList()))}
		if t := must(n.Type()); t != nil {
			step.Type = location(t).In(b.sql)
		}
		if v := must(n.DefaultValue()); v != nil {
			step.Value, step.Reads = b.source(v)
		}
		return step
	case *googlesql.ASTSingleAssignment:
		step := &ast.Step{Kind: ast.Set, Names: []string{identifier(must(n.Variable()))}}
		step.Value, step.Reads = b.source(must(n.Expression()))
		return step
	case *googlesql.ASTAssignmentFromStruct:
		step := &ast.Step{Kind: ast.Set, Names: identifiers(must(n.Variables()))}
		step.Value, step.Reads = b.source(must(n.StructExpression()))
		return step
	case *googlesql.ASTSystemVariableAssignment:
		step := &ast.Step{Kind: ast.Set, System: path(must(must(n.SystemVariable()).Path()))}
		step.Value, step.Reads = b.source(must(n.Expression()))
		return step
	case *googlesql.ASTIfStatement:
		step := &ast.Step{Kind: ast.If}
		b.branch(step, must(n.Condition()), must(n.ThenList()))
		if list := must(n.ElseifClauses()); list != nil {
			for _, c := range children(list) {
				clause, ok := c.(*googlesql.ASTElseifClause)
				if !ok {
					panic(walkError{fmt.Errorf("found %T where an ELSEIF belongs", c)})
				}
				b.branch(step, must(clause.Condition()), must(clause.Body()))
			}
		}
		if list := must(n.ElseList()); list != nil {
			step.Branches = append(step.Branches, ast.Branch{Body: b.steps(list)})
		}
		return step
	case *googlesql.ASTCaseStatement:
		step := &ast.Step{Kind: ast.Case}
		if operand := must(n.Expression()); operand != nil {
			step.Value, step.Reads = b.source(operand)
		}
		for _, c := range children(must(n.WhenThenClauses())) {
			b.branch(step, children(c)[0], child(c, "StatementList"))
		}
		if list := must(n.ElseList()); list != nil {
			step.Branches = append(step.Branches, ast.Branch{Body: b.steps(list)})
		}
		return step
	case *googlesql.ASTWhileStatement: // LOOP is one without a condition
		step := &ast.Step{Kind: ast.Loop, Label: label(n)}
		if condition := must(n.Condition()); condition != nil {
			step.Kind = ast.While
			step.Value, step.Reads = b.source(condition)
		}
		step.Body = b.block(n)
		return step
	case *googlesql.ASTRepeatStatement:
		step := &ast.Step{Kind: ast.Repeat, Label: label(n), Body: b.block(n)}
		step.Value, step.Reads = b.source(children(must(n.UntilClause()))[0])
		return step
	case *googlesql.ASTForInStatement:
		step := &ast.Step{Kind: ast.For, Label: label(n), Names: []string{identifier(must(n.Variable()))}}
		step.Value, _ = b.source(must(n.Query()))
		step.Body = b.block(n)
		return step
	case *googlesql.ASTBeginEndBlock:
		step := &ast.Step{Kind: ast.Block, Label: label(n), Body: b.block(n)}
		if handlers := must(n.HandlerList()); handlers != nil {
			step.Handles = true
			for _, h := range children(handlers) {
				step.Handler = append(step.Handler, b.block(h)...)
			}
		}
		return step
	case *googlesql.ASTRaiseStatement:
		step := &ast.Step{Kind: ast.Raise}
		if message := must(n.Message()); message != nil {
			step.Value, step.Reads = b.source(message)
		}
		return step
	case *googlesql.ASTReturnStatement:
		return &ast.Step{Kind: ast.Return}
	case *googlesql.ASTBreakStatement:
		return &ast.Step{Kind: ast.Break, Label: label(n)}
	case *googlesql.ASTContinueStatement:
		return &ast.Step{Kind: ast.Continue, Label: label(n)}
	case *googlesql.ASTExecuteImmediateStatement:
		step := &ast.Step{Kind: ast.ExecuteImmediate}
		step.Value, step.Reads = b.source(must(n.Sql()))
		if into := must(n.IntoClause()); into != nil {
			step.Names = identifiers(must(into.Identifiers()))
		}
		if using := must(n.UsingClause()); using != nil {
			for _, a := range children(using) {
				var argument ast.Argument
				argument.Value, _ = b.source(children(a)[0])
				if alias := child(a, "Alias"); alias != nil {
					argument.Name = identifier(child(alias, "Identifier"))
				}
				step.Using = append(step.Using, argument)
			}
		}
		return step
	}
	return &ast.Step{Construct: construct}
}

func (b *scriptBuilder) sqlStep(n googlesql.ASTNode) *ast.Step {
	if name := child(n, "PathExpression"); kind(n) == "CallStatement" && name != nil && strings.EqualFold(strings.Join(path(name), "."), "BQ.ABORT_SESSION") {
		step := &ast.Step{Kind: ast.AbortSession}
		if argument := child(n, "TVFArgument"); argument != nil {
			step.Value, step.Reads = b.source(children(argument)[0])
		}
		if b.script.ControlFlow == "" {
			b.script.ControlFlow = "CALL"
		}
		return step
	}
	at := location(n)
	p := &parser{base: at.Start, stmt: &ast.Statement{Source: ast.Source{Text: at.In(b.sql), Offset: at.Start, First: b.positional}}}
	p.statement(n)
	p.stmt.Names = variables(n, at.Start)
	b.count(p.stmt)
	b.script.Statements = append(b.script.Statements, p.stmt)
	return &ast.Step{Kind: ast.Run, Statement: p.stmt}
}

// source is an expression or query of a construct, and whether there is a query in it.
func (b *scriptBuilder) source(n googlesql.ASTNode) (*ast.Source, bool) {
	at := location(n)
	p := &parser{base: at.Start, stmt: &ast.Statement{Source: ast.Source{Text: at.In(b.sql), Offset: at.Start, First: b.positional}}}
	p.walk(n, scope{})
	b.count(p.stmt)
	p.stmt.Names = variables(n, at.Start)
	return &p.stmt.Source, contains(n, "Query")
}

func (b *scriptBuilder) count(st *ast.Statement) {
	for _, p := range st.Params {
		if p.Name == "" {
			b.positional++
		}
	}
}

func (b *scriptBuilder) branch(step *ast.Step, when, body googlesql.ASTNode) {
	var branch ast.Branch
	branch.When, branch.Reads = b.source(when)
	branch.Body = b.steps(body)
	step.Branches = append(step.Branches, branch)
}

// check finds what stands where it must not: the parser takes it, and BigQuery
// refuses the script before it runs any of it. start is set for a list that may begin
// with declarations; around are the blocks and loops that the list is in.
func (b *scriptBuilder) check(steps []*ast.Step, start bool, around []*ast.Step) error {
	for _, step := range steps {
		start = start && step.Kind == ast.Declare
		loops := func(s *ast.Step) bool { return s.Kind != ast.Block }
		named := func(s *ast.Step) bool { return strings.EqualFold(s.Label, step.Label) }
		switch {
		case step.Kind == ast.Declare && !start:
			return b.misplaced(step, "Variable declarations are allowed only at the start of a block or script")
		case step.Kind != ast.Break && step.Kind != ast.Continue:
		case step.Label == "" && !slices.ContainsFunc(around, loops):
			return b.misplaced(step, string(step.Kind)+" is only allowed inside of a loop body")
		case step.Label != "" && !slices.ContainsFunc(around, named):
			return b.misplaced(step, "Label "+step.Label+" does not exist around this statement")
		}
		inside := around
		if step.Body != nil {
			inside = append(slices.Clone(around), step)
		}
		if err := b.check(step.Body, step.Kind == ast.Block, inside); err != nil {
			return err
		}
		if err := b.check(step.Handler, false, around); err != nil {
			return err
		}
		for _, branch := range step.Branches {
			if err := b.check(branch.Body, false, around); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *scriptBuilder) misplaced(step *ast.Step, message string) error {
	line, column := ast.Place(b.sql, step.Start)
	return &ast.SyntaxError{Message: fmt.Sprintf("%s at [%d:%d]", message, line, column)}
}

func identifiers(list googlesql.ASTNode) []string {
	var names []string
	for _, n := range children(list) {
		names = append(names, identifier(n))
	}
	return names
}

// label is the label of a loop or block, or the one that a statement names.
func label(n googlesql.ASTNode) string {
	if l := child(n, "Label"); l != nil {
		return identifier(child(l, "Identifier"))
	}
	return ""
}

func contains(n googlesql.ASTNode, k string) bool {
	return kind(n) == k || slices.ContainsFunc(children(n), func(c googlesql.ASTNode) bool { return contains(c, k) })
}

// variables finds the names in a statement or expression that can be variables of
// the script. base is where the text starts.
func variables(n googlesql.ASTNode, base int) []ast.Name {
	v := &variableFinder{base: base}
	v.walk(n, nil, true)
	return v.names
}

type variableFinder struct {
	base  int
	typed bool // within a STRUCT<…>(…)
	names []ast.Name
}

// noVariables are the statements whose texts are kept and run later: variables of
// the script that makes them mean nothing in there.
var noVariables = []string{
	"CreateViewStatement", "CreateMaterializedViewStatement", "CreateFunctionStatement", "CreateTableFunctionStatement", "CreateProcedureStatement",
}

// columnsInSight are the nodes within which a name can be a column, or the
// argument of a function.
var columnsInSight = []string{
	"UpdateStatement", "DeleteStatement", "MergeStatement", "AlterTableStatement", "PartitionBy", "ClusterBy", "OrderBy", "Lambda",
	"WithExpression", "FromQuery",
}

// notExpressions are the nodes whose direct child is the name of something else
// than a value.
var notExpressions = []string{
	"TablePathExpression", "SimpleType", "ModelClause", "TableClause", "ConnectionClause", "FunctionDeclaration", "ForeignKeyReference",
	"CloneDataSource", "CopyDataSource", "Descriptor",
}

// parts of a date are arguments of some functions and look like names.
var dateParts = []string{
	"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "DAYOFWEEK", "DAYOFYEAR", "WEEK", "ISOWEEK", "MONTH", "QUARTER", "YEAR",
	"ISOYEAR", "DATE", "TIME", "DATETIME",
}

func (v *variableFinder) walk(n, parent googlesql.ASTNode, certain bool) {
	switch k := kind(n); {
	case slices.Contains(noVariables, k):
		return
	case k == "SystemVariableExpr":
		v.names = append(v.names, ast.Name{Range: v.at(n), Path: path(child(n, "PathExpression")), System: true, Certain: true})
		return
	case k == "PathExpression":
		v.path(n, parent, certain)
		return
	case slices.Contains(columnsInSight, k), k == "Select" && child(n, "FromClause") != nil, strings.HasPrefix(k, "Pipe"):
		certain = false
	}
	parent = n
	if kind(n) == "StructConstructorArg" && v.typed {
		parent = nil // the type names the fields
	}
	if kind(n) == "StructConstructorWithKeyword" {
		outer := v.typed
		defer func() { v.typed = outer }()
		v.typed = child(n, "StructType") != nil
	}
	first := true // the first name below a statement or call is what it acts on
	for _, c := range children(n) {
		if kind(c) == "PathExpression" && first && isObject(n, c) {
			first = false
			continue
		}
		v.walk(c, parent, certain)
	}
}

// isObject reports whether a path that is the first one below a node names what the
// node is about, so that it is no value.
func isObject(n, path googlesql.ASTNode) bool {
	k := kind(n)
	switch {
	case slices.Contains(notExpressions, k), k == "TVF", k == "FunctionCall":
		return true
	case k == "UpdateSetValue", k == "ExtractExpression":
		all := children(n)
		return len(all) > 1 && location(all[0]) == location(path)
	case strings.HasSuffix(k, "Statement"):
		_, procedural := controlFlow[k]
		return !procedural && k != "AssertStatement"
	}
	return false
}

func (v *variableFinder) at(n googlesql.ASTNode) ast.Range {
	r := location(n)
	return ast.Range{Start: r.Start - v.base, End: r.End - v.base}
}

func (v *variableFinder) path(n, parent googlesql.ASTNode, certain bool) {
	name := ast.Name{Range: v.at(n), Certain: certain}
	for _, c := range children(n) {
		name.Path = append(name.Path, identifier(c))
		name.Ends = append(name.Ends, v.at(c).End)
	}
	if len(name.Path) == 1 && slices.Contains(dateParts, strings.ToUpper(name.Path[0])) {
		name.Certain = false
	}
	if parent != nil && child(parent, "Alias") == nil {
		k := kind(parent)
		name.Column = k == "SelectColumn" || k == "StructConstructorArg"
	}
	v.names = append(v.names, name)
}
