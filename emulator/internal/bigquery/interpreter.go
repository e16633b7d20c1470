// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// The procedural language: https://cloud.google.com/bigquery/docs/reference/standard-sql/procedural-language.
// Every SQL statement, and every expression with a query in it, is a child job.

// signal is how a step ended other than by going on to the next one: BREAK or
// CONTINUE, maybe of a labelled loop, or RETURN.
type signal struct {
	kind  ast.Kind
	label string
}

// scriptError is a failure at a place of a script.
type scriptError struct {
	*apiError
	statement string
	frames    []*bq.ScriptStackFrame // the innermost first
}

func (e *scriptError) Unwrap() error { return e.apiError }

// trace is @@error.formatted_stack_trace.
func (e *scriptError) trace() string {
	lines := make([]string, len(e.frames))
	for i, f := range e.frames {
		lines[i] = fmt.Sprintf("At [%d:%d]", f.StartLine, f.StartColumn)
	}
	return strings.Join(lines, "\n")
}

var (
	placedAtEnd = regexp.MustCompile(` at \[\d+:\d+\]$`)
	doesNotFit  = regexp.MustCompile(`Struct field 1 has type (.+) which does not coerce to (.+?)( at |$)`)
)

// failed says where in the script an error happened. The end of the job, and what
// the emulator cannot do, are no errors that a script could handle.
func (x *execution) failed(ctx context.Context, err error, at ast.Range, statement string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, ok := errors.AsType[*scriptError](err); ok {
		return err
	}
	api := *asAPIError(ctx, err)
	if api.Reason == "notImplemented" || api.Reason == "internalError" {
		return err
	}
	frame := x.frame(at, statement)
	if !placedAtEnd.MatchString(api.Message) {
		api.Message += fmt.Sprintf(" at [%d:%d]", frame.StartLine, frame.StartColumn)
	}
	if api.Reason == "invalidQuery" {
		api.Message = "Query error: " + api.Message
	}
	return &scriptError{&api, statement, append([]*bq.ScriptStackFrame{frame}, x.callers...)}
}

// frame is a place in the text that is executed.
func (x *execution) frame(at ast.Range, text string) *bq.ScriptStackFrame {
	f := &bq.ScriptStackFrame{Text: text}
	line, column := ast.Place(x.text, at.Start)
	f.StartLine, f.StartColumn = int64(line), int64(column)
	line, column = ast.Place(x.text, at.End)
	f.EndLine, f.EndColumn = int64(line), int64(column)
	return f
}

// script runs a script. Its result is that of its last statement.
func (x *execution) script(ctx context.Context) (outcome, error) {
	out := outcome{statementType: "SCRIPT"}
	x.scripted, x.out = true, &out
	if x.dryRun {
		return out, x.rehearseScript(ctx)
	}
	_, err := x.steps(ctx, x.job.script.Steps)
	return out, err
}

func (x *execution) steps(ctx context.Context, steps []*ast.Step) (signal, error) {
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return signal{}, err
		}
		if s, err := x.step(ctx, step); err != nil || s.kind != "" {
			return s, err
		}
	}
	return signal{}, nil
}

func (x *execution) step(ctx context.Context, step *ast.Step) (signal, error) {
	fail := func(err error) (signal, error) {
		return signal{}, x.failed(ctx, err, step.Range, step.In(x.text))
	}
	switch step.Kind {
	case ast.Run:
		_, err := x.child(ctx, step.Statement.Source, "STATEMENT", func(key jobKey) (outcome, error) {
			return x.statement(ctx, key, step.Statement)
		})
		return signal{}, err
	case ast.Declare:
		return fail(x.declare(ctx, step))
	case ast.Set:
		return fail(x.set(ctx, step))
	case ast.If:
		for _, b := range step.Branches {
			yes, err := x.holds(ctx, step, b.When, b.Reads)
			if err != nil {
				return fail(err)
			}
			if yes {
				return x.steps(ctx, b.Body)
			}
		}
		return signal{}, nil
	case ast.Case:
		return x.chooses(ctx, step)
	case ast.Loop, ast.While, ast.Repeat:
		return x.loop(ctx, step)
	case ast.For:
		return x.forEach(ctx, step)
	case ast.Block:
		return x.block(ctx, step)
	case ast.Raise:
		return fail(x.raise(ctx, step))
	case ast.Return, ast.Break, ast.Continue:
		return signal{step.Kind, step.Label}, nil
	case ast.ExecuteImmediate:
		return fail(x.executeImmediate(ctx, step))
	case ast.AbortSession:
		return fail(x.abortSession(ctx, step))
	}
	return signal{}, notImplemented("the procedural language's %s in scripts", step.Construct)
}

// child runs a part of the script as a job of its own.
func (x *execution) child(ctx context.Context, source ast.Source, kind string, run func(key jobKey) (outcome, error)) (outcome, error) {
	config := *x.job.config
	query := *x.query
	query.Query, query.DefaultDataset = source.Text, x.defaultDataset()
	config.Query, config.Labels = &query, x.labels()
	at := ast.Range{Start: source.Offset, End: source.Offset + len(source.Text)}
	now := x.cfg.Clock.Now().UnixMilli()
	x.job.mu.Lock()
	n := len(x.job.children)
	x.job.mu.Unlock()
	child := &job{
		key:    jobKey{x.project, x.location, fmt.Sprintf("script_job_%s_%d", hash(x.job.key.id), n)},
		parent: x.job, session: x.job.session, config: &config, state: "RUNNING", done: make(chan struct{}), created: now, started: now,
		evaluation: kind, frames: append([]*bq.ScriptStackFrame{x.frame(at, source.Text)}, x.callers...),
	}
	x.jobs.mu.Lock()
	x.jobs.add(child)
	x.jobs.mu.Unlock()
	x.job.mu.Lock()
	x.job.children = append(x.job.children, child)
	x.job.mu.Unlock()

	done, err := run(child.key)
	child.mu.Lock()
	child.state, child.ended, child.outcome, child.failure = "DONE", x.cfg.Clock.Now().UnixMilli(), done, asAPIError(ctx, err)
	child.mu.Unlock()
	close(child.done)
	if err != nil {
		return done, x.failed(ctx, err, at, source.Text)
	}
	x.out.bytes += done.bytes
	x.out.took += done.took
	if kind == "STATEMENT" {
		x.out.result, x.out.destination, x.out.affected, x.out.dml = done.result, done.destination, done.affected, nil
		if done.affected != nil {
			x.out.dml = done.dmlStats()
		}
		x.env.changed = done.affected
	}
	return done, nil
}

// expression evaluates an expression of a step, as a job of its own if it has a
// query. typ is the type that it has to fit, or empty.
func (x *execution) expression(ctx context.Context, step *ast.Step, source *ast.Source, reads bool, typ string) (v value, err error) {
	compute := func(out *outcome) error {
		v, err = x.compute(ctx, source, typ, out)
		return err
	}
	if !reads || x.dryRun {
		return v, x.failed(ctx, compute(x.out), step.Range, step.In(x.text))
	}
	_, err = x.child(ctx, *source, "EXPRESSION", func(jobKey) (outcome, error) {
		out := outcome{statementType: "SELECT"}
		return out, compute(&out)
	})
	return v, err
}

// holds evaluates a condition: NULL is not true. No condition always is.
func (x *execution) holds(ctx context.Context, step *ast.Step, condition *ast.Source, reads bool) (bool, error) {
	if condition == nil {
		return true, nil
	}
	v, err := x.expression(ctx, step, condition, reads, "BOOL")
	return v.cell == "true", err
}

func (x *execution) declare(ctx context.Context, step *ast.Step) error {
	if strings.Contains(step.Type, "(") {
		return notImplemented("DECLARE with a parameterized type such as %s", step.Type)
	}
	for _, name := range step.Names {
		if x.env.find(name) != nil {
			return invalidQuery("Variable '%s' redeclaration", name)
		}
	}
	source := step.Value
	if source == nil {
		source = &ast.Source{Text: "NULL", Offset: step.Start}
	}
	v, err := x.expression(ctx, step, source, step.Reads, step.Type)
	if err != nil {
		return err
	}
	scope := x.env.scopes[len(x.env.scopes)-1]
	for _, name := range step.Names {
		scope[strings.ToLower(name)] = new(v)
	}
	return nil
}

func (x *execution) set(ctx context.Context, step *ast.Step) error {
	if step.System != nil {
		return x.setSystemVariable(ctx, step)
	}
	targets, types, err := x.targets(step.Names)
	if err != nil {
		return err
	}
	if len(targets) == 1 {
		v, err := x.expression(ctx, step, step.Value, step.Reads, targets[0].typ)
		if err == nil {
			*targets[0] = v
		}
		return err
	}
	v, err := x.expression(ctx, step, step.Value, step.Reads, "STRUCT<"+strings.Join(types, ", ")+">")
	if err != nil {
		return err
	}
	x.spread(v, targets)
	return nil
}

// targets are variables to assign to, and their types as fields of a struct.
func (x *execution) targets(names []string) (targets []*value, types []string, err error) {
	for i, name := range names {
		v := x.env.find(name)
		if v == nil {
			return nil, nil, invalidQuery("Undeclared variable: %s", name)
		}
		targets, types = append(targets, v), append(types, fmt.Sprintf("f%d %s", i, v.typ))
	}
	return targets, types, nil
}

// spread assigns the fields of a struct.
func (x *execution) spread(v value, targets []*value) {
	for i, target := range targets {
		field, _ := v.inField(fmt.Sprintf("f%d", i))
		target.cell = field.cell
	}
}

func (x *execution) chooses(ctx context.Context, step *ast.Step) (signal, error) {
	before, after := "SELECT (", "\n) AS v"
	if step.Value != nil {
		operand, err := x.expression(ctx, step, step.Value, step.Reads, "")
		if err != nil {
			return signal{}, x.failed(ctx, err, step.Range, step.In(x.text))
		}
		before, after = "SELECT "+operand.literal()+" = (", "\n) AS v"
	}
	for _, b := range step.Branches {
		if b.When == nil {
			return x.steps(ctx, b.Body)
		}
		v, err := x.computeWithin(ctx, b.When, before, after, x.out)
		if err != nil {
			return signal{}, x.failed(ctx, err, step.Range, step.In(x.text))
		}
		if v.cell == "true" {
			return x.steps(ctx, b.Body)
		}
	}
	return signal{}, nil
}

// ends tells whether a signal from its body ends a loop, and what is left of the
// signal for what is around the loop.
func (s signal) ends(step *ast.Step) (bool, signal) {
	ours := s.label == "" || strings.EqualFold(s.label, step.Label)
	switch {
	case s.kind == "", s.kind == ast.Continue && ours:
		return false, signal{}
	case s.kind == ast.Break && ours:
		return true, signal{}
	}
	return true, s
}

func (x *execution) loop(ctx context.Context, step *ast.Step) (signal, error) {
	condition := func() (bool, error) {
		yes, err := x.holds(ctx, step, step.Value, step.Reads)
		return yes, x.failed(ctx, err, step.Range, step.In(x.text))
	}
	for {
		if err := ctx.Err(); err != nil { // an empty loop has no step that would notice
			return signal{}, err
		}
		if step.Kind == ast.While {
			if yes, err := condition(); err != nil || !yes {
				return signal{}, err
			}
		}
		s, err := x.steps(ctx, step.Body)
		if err != nil {
			return signal{}, err
		}
		if end, rest := s.ends(step); end {
			return rest, nil
		}
		if step.Kind == ast.Repeat {
			if yes, err := condition(); err != nil || yes {
				return signal{}, err
			}
		}
	}
}

func (x *execution) forEach(ctx context.Context, step *ast.Step) (signal, error) {
	var rows *ast.Result
	_, err := x.child(ctx, *step.Value, "EXPRESSION", func(jobKey) (outcome, error) {
		out := outcome{statementType: "SELECT"}
		err := x.resolving(ctx, step.Value, nil, "", "", func(in *instance) (err error) {
			rows, err = x.rowsOf(ctx, in, &out)
			return err
		})
		return out, err
	})
	if err != nil {
		return signal{}, x.failed(ctx, err, step.Range, step.In(x.text))
	}
	record := &ast.Field{Type: "RECORD", Fields: rows.Fields}
	for _, row := range rows.Rows {
		cells := make([]any, len(row))
		for i, cell := range row {
			cells[i] = map[string]any{"v": cell}
		}
		v := &value{sqlType(record), record, map[string]any{"f": cells}}
		x.env.scopes = append(x.env.scopes, map[string]*value{strings.ToLower(step.Names[0]): v})
		s, err := x.steps(ctx, step.Body)
		x.env.scopes = x.env.scopes[:len(x.env.scopes)-1]
		if err != nil {
			return signal{}, err
		}
		if end, rest := s.ends(step); end {
			return rest, nil
		}
	}
	return signal{}, nil
}

func (x *execution) block(ctx context.Context, step *ast.Step) (signal, error) {
	depth := len(x.env.scopes)
	x.env.scopes = append(x.env.scopes, map[string]*value{})
	s, err := x.steps(ctx, step.Body)
	x.env.scopes = x.env.scopes[:depth]
	failure, ok := errors.AsType[*scriptError](err)
	if ok && step.Handles && ctx.Err() == nil {
		x.env.failures = append(x.env.failures, failure)
		s, err = x.steps(ctx, step.Handler)
		x.env.failures = x.env.failures[:len(x.env.failures)-1]
	}
	if s.kind == ast.Break && s.label != "" && strings.EqualFold(s.label, step.Label) {
		s = signal{} // LEAVE of a labelled block
	}
	return s, err
}

func (x *execution) raise(ctx context.Context, step *ast.Step) error {
	if step.Value == nil {
		if len(x.env.failures) == 0 {
			return invalidQuery("RAISE without a message is only allowed in an exception handler")
		}
		return x.env.failures[len(x.env.failures)-1]
	}
	v, err := x.expression(ctx, step, step.Value, step.Reads, "STRING")
	if err != nil {
		return err
	}
	text, ok := v.cell.(string)
	if !ok {
		text = "NULL"
	}
	return invalidQuery("%s", text)
}

func (x *execution) executeImmediate(ctx context.Context, step *ast.Step) error {
	text, err := x.expression(ctx, step, step.Value, step.Reads, "STRING")
	if err != nil {
		return err
	}
	sql, ok := text.cell.(string)
	if !ok {
		return invalidQuery("The SQL text of EXECUTE IMMEDIATE cannot be NULL")
	}
	script, err := x.cfg.Engine.Parse(sql)
	if err != nil {
		return err
	}
	if len(script.Steps) != 1 || script.Steps[0].Kind != ast.Run {
		return invalidQuery("EXECUTE IMMEDIATE takes one SQL statement, which is none of the procedural language")
	}
	query := *x.query
	query.QueryParameters = nil
	for _, a := range step.Using {
		v, err := x.expression(ctx, step, a.Value, false, "")
		if err != nil {
			return err
		}
		if len(query.QueryParameters) > 0 && (query.QueryParameters[0].Name == "") != (a.Name == "") {
			return invalidQuery("EXECUTE IMMEDIATE USING takes either named or positional parameters")
		}
		query.QueryParameters = append(query.QueryParameters, v.parameter(a.Name))
	}
	targets, types, err := x.targets(step.Names)
	if err != nil {
		return err
	}
	dynamic := *x
	dynamic.text, dynamic.query = sql, &query
	dynamic.callers = append([]*bq.ScriptStackFrame{x.frame(step.Range, step.In(x.text))}, x.callers...)
	st := script.Steps[0].Statement
	done, err := dynamic.child(ctx, st.Source, "STATEMENT", func(key jobKey) (outcome, error) { return dynamic.statement(ctx, key, st) })
	if failure, ok := errors.AsType[*scriptError](err); ok {
		// The last place is the one in the text of the job.
		api, caller := *failure.apiError, dynamic.callers[0]
		api.Message += fmt.Sprintf(" at [%d:%d]", caller.StartLine, caller.StartColumn)
		err = &scriptError{&api, failure.statement, failure.frames}
	}
	if err != nil || len(targets) == 0 {
		return err
	}
	return x.into(ctx, done.result, targets, types)
}

// into assigns the one row of a result, or NULLs if there is none.
func (x *execution) into(ctx context.Context, result *ast.Result, targets []*value, types []string) error {
	switch {
	case result == nil || len(result.Fields) != len(targets):
		return invalidQuery("EXECUTE IMMEDIATE INTO needs a query with one column for each of the %d variables", len(targets))
	case len(result.Rows) > 1:
		return invalidQuery("EXECUTE IMMEDIATE INTO takes at most one row and the query has %d", len(result.Rows))
	case len(result.Rows) == 0:
		for _, target := range targets {
			*target = target.null()
		}
		return nil
	}
	literals := make([]string, len(targets))
	for i, cell := range result.Rows[0] {
		literals[i] = cellLiteral(sqlType(result.Fields[i]), result.Fields[i], cell)
	}
	row := &ast.Source{Text: "STRUCT(" + strings.Join(literals, ", ") + ")"}
	v, err := x.compute(ctx, row, "STRUCT<"+strings.Join(types, ", ")+">", &outcome{})
	if err != nil {
		return err
	}
	x.spread(v, targets)
	return nil
}

func (x *execution) abortSession(ctx context.Context, step *ast.Step) error {
	if step.Value == nil {
		if x.job.session == nil {
			return invalidQuery("CALL BQ.ABORT_SESSION() without an id is for queries that run in a session")
		}
		return x.abort(ctx, x.job.session.id)
	}
	v, err := x.expression(ctx, step, step.Value, step.Reads, "STRING")
	if err != nil {
		return err
	}
	id, _ := v.cell.(string)
	return x.abort(ctx, id)
}

// rehearseScript is the dry run of a script, as documented
// (https://cloud.google.com/bigquery/docs/multi-statement-queries#dry-run): queries and
// DML are validated and estimated, each on the tables as they are now; it ends with
// the first DDL statement, after that is validated, and before what cannot be known
// without running it.
func (x *execution) rehearseScript(ctx context.Context) error {
	x.out.exact = true
	_, err := x.rehearseSteps(ctx, x.job.script.Steps)
	return err
}

func (x *execution) rehearseSteps(ctx context.Context, steps []*ast.Step) (goOn bool, err error) {
	for _, step := range steps {
		switch step.Kind {
		case ast.Declare, ast.Set:
			if _, err := x.step(ctx, step); err != nil {
				return false, err
			}
		case ast.Block:
			if goOn, err := x.rehearseSteps(ctx, step.Body); !goOn || err != nil {
				return false, err
			}
		case ast.Run:
			st := step.Statement
			x.out.exact = x.out.exact && st.Type == "SELECT"
			if st.Temporary {
				return false, nil
			}
			out, err := x.statement(ctx, jobKey{}, st)
			if err != nil {
				return false, x.failed(ctx, err, step.Range, st.Text)
			}
			x.out.bytes += out.bytes
			for _, t := range out.referenced {
				if !slices.ContainsFunc(x.out.referenced, func(o *bq.TableReference) bool {
					return o.ProjectId == t.ProjectId && o.DatasetId == t.DatasetId && o.TableId == t.TableId
				}) {
					x.out.referenced = append(x.out.referenced, t)
				}
			}
			if isDDL(st) {
				return false, nil
			}
		default:
			x.out.exact = false
			return false, nil
		}
	}
	return true, nil
}
