// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// legacy reports whether a job asks for legacy SQL, which is BigQuery's default.
func legacy(c *bq.JobConfiguration) bool {
	text := strings.TrimSpace(c.Query.Query)
	if strings.HasPrefix(strings.ToLower(text), "#standardsql") {
		return false
	}
	return c.Query.UseLegacySql == nil || *c.Query.UseLegacySql
}

// execution runs the statements of one job.
type execution struct {
	*Server
	job      *job
	query    *bq.JobConfigurationQuery
	dryRun   bool
	project  string
	location string
	env      *environment
	// text is what positions refer to: the text of the job, or that of an EXECUTE
	// IMMEDIATE, whose frames are in callers.
	text    string
	callers []*bq.ScriptStackFrame
	// scripted is set in a script, whose outcome so far is out.
	scripted bool
	out      *outcome
	// resolved remembers which names of a statement mean variables.
	resolved map[*ast.Source]chosen
}

func (s *Server) execute(ctx context.Context, j *job) (outcome, error) {
	x := &execution{
		Server: s, job: j, query: j.config.Query, dryRun: j.config.DryRun, project: j.key.project, location: j.key.location,
		env: newEnvironment(), resolved: map[*ast.Source]chosen{},
	}
	switch {
	case j.config.Load != nil:
		return x.load(ctx)
	case legacy(j.config):
		return outcome{}, notImplemented("legacy SQL, which is what BigQuery runs unless useLegacySql is false: set it")
	}
	x.text = j.config.Query.Query
	if j.session == nil {
		defer x.forget(ctx, &x.env.temp)
	} else {
		j.session.running.Lock()
		defer j.session.running.Unlock()
		x.env = j.session.env
		x.env.scopes = x.env.scopes[:1] // a script that failed leaves its blocks
	}
	if script := j.script; script.ControlFlow == "" && onlyFunctions(script.Statements[:len(script.Statements)-1]) {
		// Functions before a statement do not make a script of it.
		last := script.Statements[len(script.Statements)-1]
		for _, st := range script.Statements {
			var undeclared []*bq.QueryParameter
			if x.dryRun {
				undeclared = x.infer(ctx, st)
			}
			out, err := x.statement(ctx, j.key, st)
			if out.undeclared = undeclared; err != nil || st == last {
				return out, err
			}
		}
	}
	if x.query.DestinationTable != nil {
		return outcome{}, invalid("configuration.query.destinationTable cannot be set for scripts")
	}
	return x.script(ctx)
}

// resolve completes a table's or model's name.
func (x *execution) resolve(p ast.Path) (tableRef, error) {
	if t, ok := x.temporary(p); ok {
		return t, nil
	}
	switch len(p) {
	case 1:
		d := x.defaultDataset()
		if d == nil {
			return tableRef{}, invalidQuery("Table %q must be qualified with a dataset (e.g. dataset.table).", p[0])
		}
		return tableRef{x.defaultProject(), d.DatasetId, p[0]}, nil
	case 2:
		return tableRef{x.project, p[0], p[1]}, nil
	case 3:
		return tableRef{p[0], p[1], p[2]}, nil
	}
	return tableRef{}, invalidQuery("Invalid name %q: want project.dataset.name.", strings.Join(p, "."))
}

func (x *execution) defaultProject() string {
	if d := x.defaultDataset(); d != nil && d.ProjectId != "" {
		return d.ProjectId
	}
	return x.project
}

// resolveDataset completes a dataset's name.
func (x *execution) resolveDataset(p ast.Path) (datasetKey, error) {
	switch len(p) {
	case 1:
		return datasetKey{x.project, p[0]}, nil
	case 2:
		return datasetKey{p[0], p[1]}, nil
	}
	return datasetKey{}, invalidQuery("Invalid dataset name %q: want project.dataset.", strings.Join(p, "."))
}

// here finds a dataset in the location of the job; the server's lock is held.
func (x *execution) here(k datasetKey) (*dataset, error) {
	d, ok := x.datasets[k]
	if !ok || d.meta.Location != x.location {
		return nil, notFound("Dataset %s was not found in location %s", k, x.location)
	}
	return d, nil
}

// inferLocation is where a job without a location runs: where the first dataset
// is that it names, else US.
func (s *Server) inferLocation(j *job) string {
	x := &execution{Server: s, job: j, query: j.config.Query, project: j.key.project, env: newEnvironment()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if load := j.config.Load; load != nil {
		if t := load.DestinationTable; t != nil && s.datasets[datasetKey{t.ProjectId, t.DatasetId}] != nil {
			return s.datasets[datasetKey{t.ProjectId, t.DatasetId}].meta.Location
		}
		return "US"
	}
	at := func(k datasetKey, err error) (string, bool) {
		if d, ok := s.datasets[k]; err == nil && ok {
			return d.meta.Location, true
		}
		return "", false
	}
	if j.script != nil {
		for _, st := range j.script.Statements {
			if st.Type == "CREATE_SCHEMA" {
				for _, o := range st.Options {
					if strings.EqualFold(o.Name, "location") {
						return canonicalLocation(strings.Trim(o.Value.In(st.Text), `'"`))
					}
				}
			}
			if st.Type == "DROP_SCHEMA" {
				if l, ok := at(x.resolveDataset(st.Target)); ok {
					return l
				}
			}
			paths := slices.Clone(st.Tables)
			if st.Target != nil {
				paths = append([]ast.Path{st.Target}, paths...)
			}
			for _, p := range st.Predicts {
				paths = append(paths, p.Model)
			}
			for _, p := range paths {
				t, err := x.resolve(p)
				if l, ok := at(t.key(), err); ok {
					return l
				}
			}
		}
	}
	if d := x.query.DefaultDataset; d != nil {
		if l, ok := at(datasetKey{x.defaultProject(), d.DatasetId}, nil); ok {
			return l
		}
	}
	if d := x.query.DestinationTable; d != nil {
		if l, ok := at(datasetKey{d.ProjectId, d.DatasetId}, nil); ok {
			return l
		}
	}
	return "US"
}

// piece is SQL text to run with the positional parameters that are in it.
type piece struct {
	sql        string
	positional []int // indices into the job's parameters
	names      map[string]bool
}

// edit replaces a range of a statement's text.
type edit struct {
	ast.Range
	text string
}

// cut takes a range of a statement with edits applied. first is the index of the
// statement's first positional parameter among those of the job. An edit within
// another one is ignored.
func cut(st *ast.Statement, first int, r ast.Range, edits []edit) piece {
	var outer []edit
	for i, e := range edits {
		covered := !r.Contains(e.Range) || slices.ContainsFunc(edits[i+1:], func(o edit) bool { return o.Contains(e.Range) })
		if !covered {
			outer = append(outer, e)
		}
	}
	slices.SortFunc(outer, func(a, b edit) int { return a.Start - b.Start })
	p := piece{names: map[string]bool{}}
	var b strings.Builder
	from := r.Start
	for _, e := range outer {
		b.WriteString(st.Text[from:e.Start])
		b.WriteString(e.text)
		from = e.End
	}
	b.WriteString(st.Text[from:r.End])
	p.sql = b.String()
	index := first
	for _, param := range st.Params {
		kept := r.Contains(param.Range) && !slices.ContainsFunc(outer, func(e edit) bool { return e.Contains(param.Range) })
		switch {
		case param.Name != "" && kept:
			p.names[strings.ToLower(param.Name)] = true
		case param.Name == "" && kept:
			p.positional = append(p.positional, index)
		}
		if param.Name == "" {
			index++
		}
	}
	return p
}

// with surrounds a piece with text that has no parameters.
func (p piece) with(before, after string) piece {
	p.sql = before + p.sql + after
	return p
}

// then puts another piece behind.
func (p piece) then(q piece) piece {
	out := piece{sql: p.sql + q.sql, positional: append(slices.Clone(p.positional), q.positional...), names: map[string]bool{}}
	for _, from := range []piece{p, q} {
		for name := range from.names {
			out.names[name] = true
		}
	}
	return out
}

// parameters are edits that put typed literals in place of the query parameters:
// the engine forgets the types of some.
func (x *execution) parameters(source *ast.Source) []edit {
	var edits []edit
	index := source.First
	for _, param := range source.Params {
		i := index
		if param.Name == "" {
			index++
		} else {
			i = slices.IndexFunc(x.query.QueryParameters, func(p *bq.QueryParameter) bool { return strings.EqualFold(p.Name, param.Name) })
		}
		if i < 0 || i >= len(x.query.QueryParameters) || x.query.QueryParameters[i].ParameterType == nil {
			continue // [execution.run] says so
		}
		typ, value := x.query.QueryParameters[i].ParameterType, x.query.QueryParameters[i].ParameterValue
		if value != nil && value.Value == "" && !slices.Contains(value.ForceSendFields, "Value") && typ.Type != "ARRAY" && typ.Type != "STRUCT" {
			value = nil
		}
		edits = append(edits, edit{param.Range, literal(typ, value)})
	}
	return edits
}

// run sends a piece to the engine with the parameters it needs.
func (x *execution) run(ctx context.Context, p piece, readOnly bool) (*ast.Result, error) {
	q := ast.Query{Project: x.project, SQL: p.sql, ReadOnly: readOnly}
	if d := x.defaultDataset(); d != nil {
		q.DatasetProject, q.Dataset = x.defaultProject(), d.DatasetId
	}
	for _, i := range p.positional {
		if i >= len(x.query.QueryParameters) {
			return nil, invalidQuery("Query parameter number %d is not defined.", i+1)
		}
		q.Parameters, q.Positional = append(q.Parameters, x.query.QueryParameters[i]), true
	}
	for name := range p.names {
		i := slices.IndexFunc(x.query.QueryParameters, func(p *bq.QueryParameter) bool { return strings.EqualFold(p.Name, name) })
		if i < 0 {
			return nil, invalidQuery("Query parameter %q is not defined.", name)
		}
		q.Parameters = append(q.Parameters, x.query.QueryParameters[i])
	}
	functions := strings.Join(x.env.temp.functions, "")
	q.SQL, q.Temporary = functions+q.SQL, x.env.temp.tables
	result, err := x.cfg.Engine.Query(ctx, q)
	line := strings.Count(functions, "\n")
	return result, moved(err, -line)
}

// worded words the absence of a table as BigQuery does; other errors stay. The
// server's lock is free.
func (x *execution) worded(err error) error {
	path, ok := missingTable(err)
	if !ok {
		return err
	}
	t, err := x.resolve(path)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, err := x.here(t.key()); err != nil {
		return err
	}
	return notFound("Table %s was not found in location %s", t, x.location)
}

// columns analyses a query without running it and answers its columns.
func (x *execution) columns(ctx context.Context, query piece) ([]*ast.Field, error) {
	result, err := x.run(ctx, query.with("SELECT * FROM (\n", "\n) LIMIT 0"), true)
	if err != nil {
		return nil, moved(err, -1)
	}
	return result.Fields, nil
}

var at = regexp.MustCompile(` at \[(\d+):(\d+)\]`)

// moved moves the positions in an error of the engine by some lines.
func moved(err error, lines int) error {
	return replaced(err, func(line, column int) (int, int) { return line + lines, column })
}

// within moves the positions in an error about a part of a statement, which starts
// at a byte of it, to where they are in the statement.
func within(err error, st *ast.Statement, start int, part string) error {
	return replaced(err, func(line, column int) (int, int) {
		return ast.Place(st.Text, min(max(start+ast.Offset(part, line, column), 0), len(st.Text)))
	})
}

// predictable are the statements in which ML.PREDICT can be evaluated.
var predictable = []string{"SELECT", "CREATE_TABLE_AS_SELECT", "INSERT", "MERGE"}

// unsupported are statements that BigQuery has and the emulator does not.
var unsupported = []string{
	"CALL", "EXPORT_DATA", "EXPORT_MODEL", "LOAD_DATA", "ALTER_SCHEMA", "CREATE_PROCEDURE", "DROP_PROCEDURE", "CREATE_EXTERNAL_TABLE",
	"DROP_EXTERNAL_TABLE", "CREATE_SNAPSHOT_TABLE", "DROP_SNAPSHOT_TABLE", "CREATE_MATERIALIZED_VIEW", "ALTER_MATERIALIZED_VIEW",
	"DROP_MATERIALIZED_VIEW", "CREATE_ROW_ACCESS_POLICY", "DROP_ROW_ACCESS_POLICY", "DROP_ALL_ROW_ACCESS_POLICIES",
}

// statement runs one statement, with the values of variables in it.
func (x *execution) statement(ctx context.Context, key jobKey, st *ast.Statement) (outcome, error) {
	var out outcome
	begun := time.Now()
	err := x.resolving(ctx, &st.Source, st, "", "", func(in *instance) error {
		out = outcome{statementType: st.Type}
		return x.dispatch(ctx, key, in.Statement, st.First, &out)
	})
	if !x.dryRun {
		out.took = time.Since(begun)
	}
	return out, err
}

func isDDL(st *ast.Statement) bool {
	return strings.HasPrefix(st.Type, "CREATE_") || strings.HasPrefix(st.Type, "DROP_") || strings.HasPrefix(st.Type, "ALTER_")
}

func (x *execution) dispatch(ctx context.Context, key jobKey, st *ast.Statement, first int, out *outcome) error {
	switch {
	case st.Type == "":
		return notImplemented("statements of the kind %s", st.Node)
	case slices.Contains(unsupported, st.Type):
		return notImplemented("%s statements", st.Type)
	case st.OtherML != "":
		return notImplemented("%s; of the ML and AI functions it evaluates ML.PREDICT in a FROM clause", st.OtherML)
	case len(st.Predicts) > 0 && !slices.Contains(predictable, st.Type):
		return notImplemented("ML.PREDICT in a %s statement", st.Type)
	}
	ddl := isDDL(st)
	if ddl && x.query.DestinationTable != nil {
		return invalid("Cannot set destination table in jobs with DDL statements")
	}
	if ddl && x.query.CreateDisposition != "" {
		return invalid("Cannot set create disposition in jobs with DDL statements")
	}
	if ddl && x.query.WriteDisposition != "" {
		return invalid("Cannot set write disposition in jobs with DDL statements")
	}
	switch st.Type {
	case "CREATE_MODEL":
		return x.createModel(ctx, st, out)
	case "ALTER_MODEL":
		return x.alterModel(ctx, st, out)
	case "DROP_MODEL":
		return x.dropModel(ctx, st, out)
	case "CREATE_SCHEMA":
		return x.createSchema(ctx, st, out)
	case "DROP_SCHEMA":
		return x.dropSchema(ctx, st, out)
	}
	if st.Type == "CREATE_FUNCTION" && st.Temporary {
		return x.temporaryFunction(ctx, st, out)
	}
	if err := x.scan(ctx, st, out); err != nil {
		return err
	}
	whole := ast.Range{Start: 0, End: len(st.Text)}
	edits, cleanUp, err := x.predicts(ctx, st, first, out)
	defer cleanUp()
	if err != nil {
		return err
	}
	p := cut(st, first, whole, edits)
	_, known := x.temporary(st.Target)
	drops := known && st.Type == "DROP_TABLE"
	inSession := len(st.Target) == 2 && strings.EqualFold(st.Target[0], ast.SessionDataset) // makes any table temporary
	switch {
	case st.Type == "SELECT":
		return x.selectRows(ctx, key, p, out)
	case st.Temporary, inSession && strings.HasPrefix(st.Type, "CREATE_TABLE"):
		return x.temporaryTable(ctx, st, first, edits, out)
	case st.Type == "ASSERT":
		return x.assert(ctx, st, first, edits)
	case drops:
		return x.dropTemporary(ctx, st.Target, out)
	case ddl:
		return x.ddl(ctx, st, first, edits, out)
	case st.Type == "MERGE":
		return x.merge(ctx, st, first, edits, out)
	}
	return x.dml(ctx, st, first, edits, p, out)
}

// assert evaluates the condition of an ASSERT.
func (x *execution) assert(ctx context.Context, st *ast.Statement, first int, edits []edit) error {
	const before = "SELECT ("
	condition := cut(st, first, *st.Condition, edits).with(before, "\n) IS TRUE")
	result, err := x.run(ctx, condition, true)
	if err != nil {
		return within(err, st, st.Condition.Start-len(before), condition.sql)
	}
	switch {
	case x.dryRun, result.Rows[0][0] == "true":
		return nil
	case st.Description != "":
		return invalidQuery("Assertion failed: %s", st.Description)
	}
	return invalidQuery("Assertion failed")
}

// selectRows runs a query. Its result goes to the destination table or, without
// one, to an anonymous table.
func (x *execution) selectRows(ctx context.Context, key jobKey, p piece, out *outcome) error {
	if x.dryRun || x.query.DestinationTable != nil {
		fields, err := x.columns(ctx, p)
		if err != nil {
			return err
		}
		if err := distinct(fields); err != nil {
			return err
		}
		if x.dryRun {
			out.result = &ast.Result{Fields: fields}
			return nil
		}
		return x.selectInto(ctx, p, out)
	}
	result, err := x.run(ctx, p, true)
	if err != nil {
		return err
	}
	out.result, out.destination = result, key.anonymousTable().reference()
	return distinct(result.Fields)
}

// distinct refuses columns of the same name: a result is a table.
func distinct(fields []*ast.Field) error {
	seen := map[string]bool{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if seen[name] && !strings.HasPrefix(name, "$col") {
			return invalidQuery("Duplicate column names in the result are not supported when a destination table is present. Found duplicate(s): %s", f.Name)
		}
		seen[name] = true
	}
	return nil
}

// selectInto writes the result of a query to the destination table of the job.
func (x *execution) selectInto(ctx context.Context, p piece, out *outcome) error {
	name := x.scratch.name("select")
	if err := x.scratch.create(ctx, x, name, p); err != nil {
		return err
	}
	defer x.scratch.drop(ctx, x, name)
	result := piece{sql: "SELECT * FROM " + scratchTable(name)}
	x.mu.Lock()
	defer x.mu.Unlock()
	t, exists, err := x.destination(ctx)
	if err != nil {
		return err
	}
	before := "CREATE TABLE " + t.sql() + " AS "
	switch {
	case exists && x.query.WriteDisposition == "WRITE_APPEND":
		before = "INSERT INTO " + t.sql() + " "
	case exists:
		if err := x.cfg.Engine.Do(ctx, http.MethodDelete, t.project, t.path(), nil, nil); err != nil {
			return err
		}
	}
	if _, err := x.run(ctx, result.with(before, ""), false); err != nil {
		return err
	}
	out.destination = t.reference()
	out.result, err = x.run(ctx, result, true)
	return err
}

// destination is the destination table of the job, if the result of a query may
// be written to it. The server's lock is held.
func (x *execution) destination(ctx context.Context) (t tableRef, exists bool, err error) {
	ref := x.query.DestinationTable
	t = tableRef{ref.ProjectId, ref.DatasetId, ref.TableId}
	if t.project == "" {
		t.project = x.project
	}
	d, err := x.here(t.key())
	if err != nil {
		return t, false, err
	}
	if x.model(d, t.table) != nil {
		return t, false, duplicate("Model %s", t)
	}
	exists, err = x.tableExists(ctx, t)
	switch {
	case err != nil:
		return t, false, err
	case !exists && x.query.CreateDisposition == "CREATE_NEVER":
		return t, false, notFound("Table %s", t)
	case exists && (x.query.WriteDisposition == "" || x.query.WriteDisposition == "WRITE_EMPTY"):
		return t, true, duplicate("Table %s", t)
	}
	return t, exists, nil
}

// ddl runs a DDL statement about tables, views and functions. The engine can only
// be trusted with one that is going to succeed, so that is found out first.
func (x *execution) ddl(ctx context.Context, st *ast.Statement, first int, edits []edit, out *outcome) error {
	t, err := x.resolve(st.Target)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return err
	}
	creates, drops := strings.HasPrefix(st.Type, "CREATE_"), strings.HasPrefix(st.Type, "DROP_")
	isTable := strings.Contains(st.Type, "TABLE") && st.Type != "CREATE_TABLE_FUNCTION" && st.Type != "DROP_TABLE_FUNCTION" || strings.HasSuffix(st.Type, "_VIEW")
	if isTable {
		out.targetTable = t.reference()
		exists, err := x.tableExists(ctx, t)
		switch {
		case err != nil:
			return err
		case creates && x.model(d, t.table) != nil:
			return duplicate("Model %s", t)
		case creates && exists && st.IfNotExists, drops && !exists && st.IfExists:
			out.ddl = "SKIP"
			return nil
		case creates && exists && !st.OrReplace:
			return duplicate("Table %s", t)
		case !creates && !exists:
			return notFound("Table %s was not found in location %s", t, x.location)
		case creates && exists:
			out.ddl = "REPLACE"
		}
	}
	if out.ddl == "" {
		out.ddl = st.Type[:strings.IndexByte(st.Type, '_')]
	}
	if st.Query != nil {
		query := cut(st, first, *st.Query, edits)
		if _, err := x.columns(ctx, query); err != nil {
			return within(err, st, st.Query.Start, query.sql)
		}
	}
	if x.dryRun {
		return nil
	}
	if out.ddl == "REPLACE" && isTable {
		return x.replace(ctx, t, st, first, edits)
	}
	_, err = x.run(ctx, cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits), false)
	return err
}

// replace runs a CREATE OR REPLACE of a table or view that exists. The engine
// fails half-way through one, so the old object is dropped first; a query, which
// may read it, is run before that.
func (x *execution) replace(ctx context.Context, t tableRef, st *ast.Statement, first int, edits []edit) error {
	if st.Query != nil {
		name := x.scratch.name("replace")
		if err := x.scratch.create(ctx, x, name, cut(st, first, *st.Query, edits)); err != nil {
			return err
		}
		defer x.scratch.drop(ctx, x, name)
		edits = append(slices.Clone(edits), edit{*st.Query, "SELECT * FROM " + scratchTable(name)})
	}
	if err := x.cfg.Engine.Do(ctx, http.MethodDelete, t.project, t.path(), nil, nil); err != nil {
		return err
	}
	_, err := x.run(ctx, cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits), false)
	return err
}

// dml runs an INSERT, UPDATE, DELETE or TRUNCATE and counts the rows it changes.
func (x *execution) dml(ctx context.Context, st *ast.Statement, first int, edits []edit, p piece, out *outcome) error {
	t, err := x.resolve(st.Target)
	if err != nil {
		return err
	}
	if x.dryRun {
		_, err := x.run(ctx, p, true)
		return err
	}
	x.scratch.dml.Lock() // so that nobody else changes the table while it is counted
	defer x.scratch.dml.Unlock()
	count := func(where piece) (int64, error) { return x.count(ctx, t, where) }
	if st.Type == "UPDATE" {
		if st.Where != nil {
			// Only a condition on the table's own columns can be counted like this.
			if n, err := count(cut(st, first, *st.Where, edits).with(" WHERE ", "")); err == nil {
				out.affected = &n
			}
		}
		_, err := x.run(ctx, p, false)
		return err
	}
	before, err := count(piece{})
	if err != nil {
		return err
	}
	if _, err := x.run(ctx, p, false); err != nil {
		return err
	}
	after, err := count(piece{})
	if err != nil {
		return err
	}
	out.affected = new(max(after-before, before-after))
	return nil
}

// count counts the rows of a table, or those that a WHERE clause finds.
func (x *execution) count(ctx context.Context, t tableRef, where piece) (int64, error) {
	result, err := x.run(ctx, where.with("SELECT COUNT(*) FROM "+t.sql(), ""), true)
	if err != nil {
		return 0, err
	}
	text, _ := result.Rows[0][0].(string)
	return strconv.ParseInt(text, 10, 64)
}

// merge runs a MERGE and counts what it does to rows.
func (x *execution) merge(ctx context.Context, st *ast.Statement, first int, edits []edit, out *outcome) error {
	if x.dryRun {
		return x.mergeRows(ctx, st, first, edits, nil)
	}
	x.scratch.dml.Lock() // so that nobody else changes the table while it is counted
	defer x.scratch.dml.Unlock()
	return x.mergeRows(ctx, st, first, edits, out)
}

// mergeRows runs a MERGE. The engine takes only a table as its source: a query is
// made one first.
func (x *execution) mergeRows(ctx context.Context, st *ast.Statement, first int, edits []edit, out *outcome) error {
	if st.Merge.Query {
		source := cut(st, first, st.Merge.Source, edits)
		name := x.scratch.name("merge")
		if err := x.scratch.create(ctx, x, name, source.with("SELECT * FROM ", "")); err != nil {
			return err
		}
		defer x.scratch.drop(ctx, x, name)
		edits = append(slices.Clone(edits), edit{st.Merge.Source, scratchTable(name) + " "})
	}
	var counts *bq.DmlStatistics
	if out != nil {
		counts = x.countMerge(ctx, st, first, edits)
	}
	if _, err := x.run(ctx, cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits), x.dryRun); err != nil || counts == nil {
		return err
	}
	out.dml, out.affected = counts, new(counts.InsertedRowCount+counts.UpdatedRowCount+counts.DeletedRowCount)
	return nil
}

// countMerge counts the rows that each clause of a MERGE is going to have: the
// engine does not tell. Nil is what it cannot count.
func (x *execution) countMerge(ctx context.Context, st *ast.Statement, first int, edits []edit) *bq.DmlStatistics {
	const inTarget, inSource = "_in_target", "_in_source"
	t, err := x.resolve(st.Target)
	if err != nil {
		return nil
	}
	m := st.Merge
	name := m.SourceName
	if name == "" {
		name = inSource + "_"
	}
	// A condition on rows of one side sees only that side's columns.
	target, source := piece{sql: "SELECT *, 1 AS " + inTarget}, piece{sql: "SELECT *, 1 AS " + inSource}
	q := piece{sql: "SELECT CASE"}
	for i, c := range m.Clauses {
		condition := piece{}
		if c.Condition != nil {
			condition = cut(st, first, *c.Condition, edits).with(" AND (", ")")
		}
		ahead := fmt.Sprintf("_when_%d", i)
		switch {
		case c.Matched:
			q = q.with("", " WHEN "+inTarget+" IS NOT NULL AND "+inSource+" IS NOT NULL").then(condition)
		case c.NotMatchedByTarget:
			q = q.with("", " WHEN "+inTarget+" IS NULL AND "+ahead)
			source = source.with("", ", TRUE").then(condition).with("", " AS "+ahead)
		default:
			q = q.with("", " WHEN "+inSource+" IS NULL AND "+ahead)
			target = target.with("", ", TRUE").then(condition).with("", " AS "+ahead)
		}
		q = q.with("", fmt.Sprintf(" THEN %d", i))
	}
	target = target.with("(", " FROM "+t.sql()+" AS "+quote(m.TargetName)+") AS "+quote(m.TargetName))
	source = source.with("(", " FROM ").then(cut(st, first, m.Source, edits)).with("", " AS "+quote(name)+") AS "+quote(name))
	on := cut(st, first, m.On, edits).with(" ON ", " GROUP BY clause")
	q = q.with("", " END AS clause, COUNT(*) FROM ").then(target).with("", " FULL OUTER JOIN ").then(source).then(on)
	result, err := x.run(ctx, q, true)
	if err != nil {
		return nil
	}
	counts := &bq.DmlStatistics{ForceSendFields: []string{"InsertedRowCount", "UpdatedRowCount", "DeletedRowCount"}}
	for _, row := range result.Rows {
		clause, ok := row[0].(string)
		if !ok {
			continue // rows that no clause has
		}
		i, _ := strconv.Atoi(clause)
		text, _ := row[1].(string)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil
		}
		switch m.Clauses[i].Action {
		case "INSERT":
			counts.InsertedRowCount += n
		case "UPDATE":
			counts.UpdatedRowCount += n
		case "DELETE":
			counts.DeletedRowCount += n
		}
	}
	return counts
}

// scan finds the tables that a statement reads, checks where they are and counts
// their bytes: the emulator bills whole tables, whatever columns are read.
func (x *execution) scan(ctx context.Context, st *ast.Statement, out *outcome) error {
	for _, path := range st.Tables {
		t, err := x.resolve(path)
		if _, temporary := x.temporary(path); temporary || isSystemView(path) {
			out.unmeasured = true
			continue
		}
		if err != nil {
			continue // a WITH entry or an array
		}
		x.mu.Lock()
		d, known := x.datasets[t.key()]
		x.mu.Unlock()
		if !known {
			continue
		}
		if d.meta.Location != x.location {
			return notFound("Dataset %s was not found in location %s", t.key(), x.location)
		}
		table, err := x.tableOfDataset(ctx, t)
		if failed := asAPIError(ctx, err); failed != nil {
			if failed.Reason == "notFound" {
				continue // the engine says so better, with the position
			}
			return err
		}
		out.referenced = append(out.referenced, t.reference())
		out.unmeasured = out.unmeasured || table.View != nil
		bytes, rows, err := x.size(ctx, t, table)
		if err != nil {
			return err
		}
		out.bytes += bytes
		out.read += rows
	}
	if limit := x.query.MaximumBytesBilled; limit > 0 && billed(out.bytes) > limit {
		return &apiError{400, "bytesBilledLimitExceeded", fmt.Sprintf("Query exceeded limit for bytes billed: %d. %d or higher required.", limit, billed(out.bytes)), ""}
	}
	return nil
}

// widths are the sizes of values as BigQuery documents them; for STRING and BYTES
// the length comes on top, for arrays it is the width of an element.
var widths = map[string]string{
	"INTEGER": "8", "INT64": "8", "FLOAT": "8", "FLOAT64": "8", "BOOLEAN": "1", "BOOL": "1", "NUMERIC": "16", "BIGNUMERIC": "32",
	"DATE": "8", "DATETIME": "8", "TIME": "8", "TIMESTAMP": "8",
}

// size is the logical size of a table, and how many rows it has. Columns of structs,
// JSON, geography and arrays of text count as nothing.
func (x *execution) size(ctx context.Context, t tableRef, table *bq.Table) (bytes, rows int64, err error) {
	if table.Schema == nil || table.View != nil {
		return 0, 0, nil
	}
	terms := []string{"0"}
	for _, f := range table.Schema.Fields {
		name, width := quote(f.Name), widths[f.Type]
		switch {
		case f.Mode == "REPEATED" && width != "":
			terms = append(terms, fmt.Sprintf("IFNULL(SUM(ARRAY_LENGTH(%s)), 0) * %s", name, width))
		case f.Mode == "REPEATED":
		case width != "":
			terms = append(terms, fmt.Sprintf("COUNT(%s) * %s", name, width))
		case f.Type == "STRING" || f.Type == "BYTES":
			terms = append(terms, fmt.Sprintf("IFNULL(SUM(BYTE_LENGTH(%s) + 2), 0)", name))
		}
	}
	result, err := x.cfg.Engine.Query(ctx, ast.Query{Project: x.project, ReadOnly: true, SQL: "SELECT " + strings.Join(terms, " + ") + ", COUNT(*) FROM " + t.sql()})
	if err != nil || len(result.Rows) != 1 {
		return 0, 0, errors.Join(err, fmt.Errorf("measure table %s", t))
	}
	for i, into := range []*int64{&bytes, &rows} {
		text, _ := result.Rows[0][i].(string)
		if *into, err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("measure table %s: %w", t, err)
		}
	}
	return bytes, rows, nil
}
