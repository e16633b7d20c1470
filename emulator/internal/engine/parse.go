// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-googlesql"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// initParser loads the parser once for the process.
var initParser = sync.OnceValue(googlesql.Init)

// statementTypes maps the parser's statements to BigQuery's statementType. What
// is absent has no statementType or is decided in [parser.statement].
var statementTypes = map[string]string{
	"QueryStatement":                    "SELECT",
	"InsertStatement":                   "INSERT",
	"UpdateStatement":                   "UPDATE",
	"DeleteStatement":                   "DELETE",
	"MergeStatement":                    "MERGE",
	"TruncateStatement":                 "TRUNCATE_TABLE",
	"AssertStatement":                   "ASSERT",
	"CallStatement":                     "CALL",
	"CreateTableStatement":              "CREATE_TABLE",
	"CreateExternalTableStatement":      "CREATE_EXTERNAL_TABLE",
	"CreateSnapshotTableStatement":      "CREATE_SNAPSHOT_TABLE",
	"CreateViewStatement":               "CREATE_VIEW",
	"CreateMaterializedViewStatement":   "CREATE_MATERIALIZED_VIEW",
	"CreateFunctionStatement":           "CREATE_FUNCTION",
	"CreateTableFunctionStatement":      "CREATE_TABLE_FUNCTION",
	"CreateProcedureStatement":          "CREATE_PROCEDURE",
	"CreateRowAccessPolicyStatement":    "CREATE_ROW_ACCESS_POLICY",
	"CreateSchemaStatement":             "CREATE_SCHEMA",
	"CreateModelStatement":              "CREATE_MODEL",
	"AlterTableStatement":               "ALTER_TABLE",
	"AlterViewStatement":                "ALTER_VIEW",
	"AlterMaterializedViewStatement":    "ALTER_MATERIALIZED_VIEW",
	"AlterSchemaStatement":              "ALTER_SCHEMA",
	"AlterModelStatement":               "ALTER_MODEL",
	"DropFunctionStatement":             "DROP_FUNCTION",
	"DropTableFunctionStatement":        "DROP_TABLE_FUNCTION",
	"DropMaterializedViewStatement":     "DROP_MATERIALIZED_VIEW",
	"DropSnapshotTableStatement":        "DROP_SNAPSHOT_TABLE",
	"DropRowAccessPolicyStatement":      "DROP_ROW_ACCESS_POLICY",
	"DropAllRowAccessPoliciesStatement": "DROP_ALL_ROW_ACCESS_POLICIES",
	"ExportDataStatement":               "EXPORT_DATA",
	"ExportModelStatement":              "EXPORT_MODEL",
	"AuxLoadDataStatement":              "LOAD_DATA",
}

var dropTypes = map[googlesql.SchemaObjectKind]string{
	googlesql.SchemaObjectKindKModel:         "DROP_MODEL",
	googlesql.SchemaObjectKindKSchema:        "DROP_SCHEMA",
	googlesql.SchemaObjectKindKTable:         "DROP_TABLE",
	googlesql.SchemaObjectKindKExternalTable: "DROP_EXTERNAL_TABLE",
	googlesql.SchemaObjectKindKView:          "DROP_VIEW",
	googlesql.SchemaObjectKindKProcedure:     "DROP_PROCEDURE",
}

// controlFlow lists the statements of the procedural language.
var controlFlow = map[string]string{
	"VariableDeclaration":       "DECLARE",
	"SingleAssignment":          "SET",
	"AssignmentFromStruct":      "SET",
	"ParameterAssignment":       "SET",
	"SystemVariableAssignment":  "SET",
	"IfStatement":               "IF",
	"CaseStatement":             "CASE",
	"WhileStatement":            "WHILE",
	"LoopStatement":             "LOOP",
	"RepeatStatement":           "REPEAT",
	"ForInStatement":            "FOR … IN",
	"BeginEndBlock":             "BEGIN … END",
	"BeginStatement":            "BEGIN TRANSACTION",
	"CommitStatement":           "COMMIT TRANSACTION",
	"RollbackStatement":         "ROLLBACK TRANSACTION",
	"RaiseStatement":            "RAISE",
	"ReturnStatement":           "RETURN",
	"BreakStatement":            "BREAK",
	"ContinueStatement":         "CONTINUE",
	"ExecuteImmediateStatement": "EXECUTE IMMEDIATE",
}

// Parse parses a script of one or more statements. A text that does not parse is
// a *ast.SyntaxError.
func (e *Engine) Parse(sql string) (script *ast.Script, err error) { return Parse(sql) }

// Parse is [Engine.Parse] without a running engine.
func Parse(sql string) (script *ast.Script, err error) {
	defer exclusively()()
	root, err := parseTree(sql)
	if err != nil {
		return nil, err
	}
	defer caught(&err)
	b := &scriptBuilder{sql: sql, script: &ast.Script{}}
	script = b.script
	for _, list := range children(root) {
		script.Steps = append(script.Steps, b.steps(list)...)
	}
	if err := b.check(script.Steps, true, nil); err != nil {
		return nil, err
	}
	if len(script.Statements) == 0 && script.ControlFlow == "" {
		return nil, &ast.SyntaxError{Message: "Syntax error: Unexpected end of statement at [1:1]"}
	}
	return script, nil
}

// parseTree parses a script. The caller holds the library until it is done with
// the tree.
func parseTree(sql string) (*googlesql.ASTScript, error) {
	if err := initParser(); err != nil {
		return nil, fmt.Errorf("load the SQL parser: %w", err)
	}
	language, err := googlesql.NewLanguageOptions()
	if err != nil {
		return nil, err
	}
	if err := language.EnableMaximumLanguageFeaturesForDevelopment(); err != nil {
		return nil, err
	}
	options, err := googlesql.NewParserOptions2(nil, nil, language)
	if err != nil {
		return nil, err
	}
	out, err := googlesql.ParseScript(sql, options, &googlesql.ErrorMessageOptions{
		Mode:      googlesql.ErrorMessageModeErrorMessageOneLine,
		Stability: googlesql.ErrorMessageStabilityProduction,
	})
	if err != nil {
		return nil, &ast.SyntaxError{Message: Message(err.Error())}
	}
	return out.Script()
}

// caught turns a walkError into an error. The bindings hand out nodes through a
// hundred accessors that can each fail; walks panic instead of testing every one.
func caught(err *error) {
	if r := recover(); r != nil {
		failed, ok := r.(walkError)
		if !ok {
			panic(r)
		}
		*err = fmt.Errorf("read the syntax tree: %w", failed.error)
	}
}

type walkError struct{ error }

func must[T any](v T, err error) T {
	if err != nil {
		panic(walkError{err})
	}
	return v
}

func kind(n googlesql.ASTNode) string { return must(n.GetNodeKindString()) }

func location(n googlesql.ASTNode) ast.Range {
	at := must(n.Location())
	return ast.Range{
		Start: int(must(must(at.Start()).GetByteOffset())),
		End:   int(must(must(at.End()).GetByteOffset())),
	}
}

func children(n googlesql.ASTNode) []googlesql.ASTNode {
	all := make([]googlesql.ASTNode, must(n.NumChildren()))
	for i := range all {
		all[i] = must(n.Child(int32(i)))
	}
	return all
}

func child(n googlesql.ASTNode, kinds ...string) googlesql.ASTNode {
	for _, c := range children(n) {
		if slices.Contains(kinds, kind(c)) {
			return c
		}
	}
	return nil
}

func path(n googlesql.ASTNode) ast.Path {
	var parts ast.Path
	for _, c := range children(n) {
		if kind(c) == "Identifier" {
			parts = append(parts, strings.Split(identifier(c), ".")...)
		}
	}
	return parts
}

// identifier is the text of an identifier without its quotes.
func identifier(n googlesql.ASTNode) string {
	id, ok := n.(*googlesql.ASTIdentifier)
	if !ok {
		panic(walkError{fmt.Errorf("found %T where an identifier belongs", n)})
	}
	return must(id.GetAsStringView())
}

// parser fills one statement in.
type parser struct {
	base int // where the statement starts in the script
	stmt *ast.Statement
}

// at is the range of a node within the statement.
func (p *parser) at(n googlesql.ASTNode) ast.Range {
	r := location(n)
	return ast.Range{Start: r.Start - p.base, End: r.End - p.base}
}

func (p *parser) statement(n googlesql.ASTNode) {
	s := p.stmt
	s.Node = kind(n)
	s.Type = statementTypes[s.Node]
	if name := child(n, "PathExpression"); name != nil {
		s.Target, s.TargetAt = path(name), p.at(name)
	} else if declaration := child(n, "FunctionDeclaration"); declaration != nil {
		name := child(declaration, "PathExpression")
		s.Target, s.TargetAt = path(name), p.at(name)
	}
	if c, ok := n.(interface{ IsTemp() (bool, error) }); ok {
		s.Temporary = must(c.IsTemp())
	}
	if c, ok := n.(interface {
		IsOrReplace() (bool, error)
		IsIfNotExists() (bool, error)
	}); ok {
		s.OrReplace, s.IfNotExists = must(c.IsOrReplace()), must(c.IsIfNotExists())
	}
	if c, ok := n.(interface{ IsIfExists() (bool, error) }); ok {
		s.IfExists = must(c.IsIfExists())
	}
	if list := child(n, "OptionsList"); list != nil {
		p.options(list)
	}
	switch n := n.(type) {
	case *googlesql.ASTQueryStatement:
		p.query(n)
	case *googlesql.ASTCreateTableStatement:
		if p.query(n); s.Query != nil {
			s.Type = "CREATE_TABLE_AS_SELECT"
		}
	case *googlesql.ASTUpdateStatement:
		s.Where = p.optional(n.Where())
	case *googlesql.ASTDeleteStatement:
		s.Where = p.optional(n.Where())
	case *googlesql.ASTAssertStatement:
		s.Condition = p.optional(n.Expr())
		if text := must(n.Description()); text != nil {
			s.Description = must(text.StringValue())
		}
	case *googlesql.ASTMergeStatement:
		p.merge(n)
	case *googlesql.ASTDropStatement:
		s.Type = dropTypes[must(n.SchemaObjectKind())]
		s.Cascade = must(n.DropMode()) == googlesql.ASTDropStatementEnums_DropModeCascade
	case *googlesql.ASTCreateModelStatement:
		p.createModel(n)
	}
	if actions := child(n, "AlterActionList"); actions != nil {
		for _, action := range children(actions) {
			s.Actions = append(s.Actions, kind(action))
			if list := child(action, "OptionsList"); list != nil {
				p.options(list)
			}
		}
	}
	p.walk(n, scope{})
	slices.SortStableFunc(s.Predicts, func(a, b *ast.Predict) int { return a.End - b.End })
}

func (p *parser) merge(n *googlesql.ASTMergeStatement) {
	source := must(n.TableExpression())
	m := &ast.Merge{
		TargetName: p.stmt.Target[len(p.stmt.Target)-1], Source: p.untilAlias(source), Query: kind(source) == "TableSubquery", On: p.at(must(n.MergeCondition())),
	}
	p.stmt.Merge = m
	if alias := must(n.Alias()); alias != nil {
		m.TargetName = identifier(child(alias, "Identifier"))
	}
	if alias := child(source, "Alias"); alias != nil {
		m.SourceName = identifier(child(alias, "Identifier"))
	} else if name := child(source, "PathExpression"); name != nil {
		parts := path(name)
		m.SourceName = parts[len(parts)-1]
	}
	actions := map[googlesql.ASTMergeActionEnums_ActionType]string{
		googlesql.ASTMergeActionEnums_ActionTypeInsert: "INSERT",
		googlesql.ASTMergeActionEnums_ActionTypeUpdate: "UPDATE",
		googlesql.ASTMergeActionEnums_ActionTypeDelete: "DELETE",
	}
	for _, c := range children(must(n.WhenClauses())) {
		when, ok := c.(*googlesql.ASTMergeWhenClause)
		if !ok {
			panic(walkError{fmt.Errorf("found %T where a WHEN belongs", c)})
		}
		match := must(when.MatchType())
		m.Clauses = append(m.Clauses, ast.MergeClause{
			Matched:            match == googlesql.ASTMergeWhenClauseEnums_MatchTypeMatched,
			NotMatchedByTarget: match == googlesql.ASTMergeWhenClauseEnums_MatchTypeNotMatchedByTarget,
			Condition:          p.optional(when.SearchCondition()),
			Action:             actions[must(must(when.Action()).ActionType())],
		})
	}
}

// optional is the range of an expression that may be absent.
func (p *parser) optional(n googlesql.ASTExpressionNode, err error) *ast.Range {
	if must(n, err) == nil {
		return nil
	}
	return new(p.at(n))
}

func (p *parser) query(n googlesql.ASTNode) {
	if q := child(n, "Query"); q != nil {
		p.stmt.Query = new(p.at(q))
	}
}

// untilAlias is the range of a table expression without the alias and the
// clauses after it.
func (p *parser) untilAlias(n googlesql.ASTNode) ast.Range {
	r := p.at(n)
	if after := child(n, "Alias", "SampleClause"); after != nil {
		r.End = p.at(after).Start
	}
	return r
}

func (p *parser) options(list googlesql.ASTNode) {
	for _, entry := range children(list) {
		parts := children(entry)
		if kind(entry) != "OptionsEntry" || len(parts) < 2 {
			continue
		}
		p.stmt.Options = append(p.stmt.Options, ast.Option{
			Name:  identifier(parts[0]),
			Value: p.at(parts[1]),
		})
	}
}

func (p *parser) createModel(n *googlesql.ASTCreateModelStatement) {
	m := &ast.CreateModel{Remote: must(n.IsRemote())}
	p.stmt.Model = m
	if io := must(n.InputOutputClause()); io != nil {
		if input := must(io.Input()); input != nil {
			m.HasInput, m.Input = true, p.columns(input)
		}
		if output := must(io.Output()); output != nil {
			m.HasOutput, m.Output = true, p.columns(output)
		}
	}
	if with := child(n, "WithConnectionClause"); with != nil {
		connection := child(with, "ConnectionClause")
		if name := child(connection, "PathExpression"); name != nil {
			m.Connection = path(name)
		} else {
			m.DefaultConnection = true
		}
	}
	m.HasQuery = child(n, "Query", "AliasedQueryList") != nil
	m.HasTransform = child(n, "TransformClause") != nil
}

var spaces = regexp.MustCompile(`\s+`)

func (p *parser) columns(list googlesql.ASTNode) []ast.Column {
	var all []ast.Column
	for _, c := range children(list) {
		parts := children(c)
		if kind(c) != "ColumnDefinition" || len(parts) < 2 {
			continue
		}
		all = append(all, ast.Column{
			Name: identifier(parts[0]),
			Type: strings.ToUpper(spaces.ReplaceAllString(p.at(parts[1]).In(p.stmt.Text), "")),
		})
	}
	return all
}

// scope is what a node can see of the queries around it.
type scope struct {
	withs       [][]ast.Range
	nested      bool
	unsupported string
}

// walk collects parameters, tables and ML.PREDICT calls below n.
func (p *parser) walk(n googlesql.ASTNode, s scope) {
	switch n := n.(type) {
	case *googlesql.ASTParameterExpr:
		param := ast.Param{Range: p.at(n)}
		if name := child(n, "Identifier"); name != nil {
			param.Name = identifier(name)
		}
		p.stmt.Params = append(p.stmt.Params, param)
		return
	case *googlesql.ASTTablePathExpression:
		if name := child(n, "PathExpression"); name != nil {
			p.stmt.Tables = append(p.stmt.Tables, path(name))
		}
	case *googlesql.ASTQuery:
		if with := must(n.WithClause()); with != nil {
			p.walkWith(n, with, s)
			return
		}
	case *googlesql.ASTExpressionSubquery:
		s.nested = true
	case *googlesql.ASTPipeCall:
		s.unsupported = "the pipe form |> CALL ML.PREDICT"
	case *googlesql.ASTTVF:
		p.tvf(n, s)
		return
	case *googlesql.ASTFunctionCall:
		if name := child(n, "PathExpression"); name != nil {
			p.function(path(name))
		}
	}
	for _, c := range children(n) {
		p.walk(c, s)
	}
}

// walkWith walks a query that has a WITH clause: an entry sees the entries before
// it, the rest of the query sees them all.
func (p *parser) walkWith(query googlesql.ASTNode, with *googlesql.ASTWithClause, s scope) {
	if must(with.Recursive()) {
		p.stmt.Recursive = true
		s.unsupported = "WITH RECURSIVE"
	}
	var seen []ast.Range
	visible := func() scope {
		inner := s
		if len(seen) > 0 {
			inner.withs = append(slices.Clone(s.withs), slices.Clone(seen))
		}
		return inner
	}
	for _, entry := range children(with) {
		p.walk(entry, visible())
		seen = append(seen, p.at(entry))
	}
	for _, c := range children(query) {
		if kind(c) != "WithClause" {
			p.walk(c, visible())
		}
	}
}

func (p *parser) function(name ast.Path) {
	if len(name) == 2 && (strings.EqualFold(name[0], "ML") || strings.EqualFold(name[0], "AI")) && p.stmt.OtherML == "" {
		p.stmt.OtherML = strings.ToUpper(strings.Join(name, "."))
	}
}

func (p *parser) tvf(n *googlesql.ASTTVF, s scope) {
	name := path(child(n, "PathExpression"))
	if len(name) != 2 || !strings.EqualFold(name[0], "ML") || !strings.EqualFold(name[1], "PREDICT") {
		p.function(name)
		for _, c := range children(n) {
			p.walk(c, s)
		}
		return
	}
	predict := &ast.Predict{Range: p.untilAlias(n), Scopes: s.withs, Nested: s.nested || must(n.IsLateral()), Unsupported: s.unsupported}
	var args []googlesql.ASTNode
	for _, c := range children(n) {
		switch kind(c) {
		case "TVFArgument":
			args = append(args, c)
		case "SampleClause", "Hint":
			predict.Unsupported = "TABLESAMPLE or a hint on ML.PREDICT"
		}
	}
	if len(args) > 0 {
		if model := child(args[0], "ModelClause"); model != nil {
			predict.Model = path(child(model, "PathExpression"))
		}
	}
	if len(args) > 1 {
		switch input := children(args[1])[0].(type) {
		case *googlesql.ASTExpressionSubquery:
			predict.Input = p.at(child(input, "Query"))
		case *googlesql.ASTTableClause:
			if name := child(input, "PathExpression"); name != nil {
				predict.Input, predict.Table = p.at(name), true
				p.stmt.Tables = append(p.stmt.Tables, path(name))
			}
		}
	}
	predict.HasSettings = len(args) > 2
	if predict.Unsupported == "" && (predict.Model == nil || predict.Input.End == 0) {
		predict.Unsupported = "a form of ML.PREDICT other than ML.PREDICT(MODEL name, (query)) and ML.PREDICT(MODEL name, TABLE name)"
	}
	p.stmt.Predicts = append(p.stmt.Predicts, predict)
	for i, arg := range args {
		if i != 1 || predict.Table || predict.Input.End == 0 {
			p.walk(arg, s)
			continue
		}
		// The input of a call stands on its own: it is no expression subquery.
		p.walk(child(children(arg)[0], "Query"), s)
	}
}

var (
	position = regexp.MustCompile(` \[at (\d+:\d+)\]`)
	placed   = regexp.MustCompile(` at \[\d+:\d+\]`) // what Message makes of it
)

// Message turns an error of the engine into the text BigQuery would show: without
// the engine's own prefixes and with the position as "at [1:8]".
func Message(text string) string {
	for trimmed := true; trimmed; {
		trimmed = false
		for _, prefix := range []string{"INVALID_ARGUMENT: ", "failed to analyze: ", "failed to parse statements: ", "failed to parse statement: ", "failed to scan rows: ", "failed to execute query: "} {
			if rest, ok := strings.CutPrefix(text, prefix); ok {
				text, trimmed = rest, true
			}
		}
	}
	return position.ReplaceAllString(text, " at [$1]")
}
