// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/rest"
)

const (
	// batchSize is the number of rows that BigQuery sends to an endpoint at once.
	batchSize = 128
	// parallel is the number of batches on their way at the same time.
	parallel = 4
	// attempts is how often a batch is sent when it fails for a passing reason.
	attempts = 3
	// statusColumn holds the error of a row; NULL is success.
	statusColumn = "remote_model_status"
	// rowColumn numbers rows in scratch tables; sideColumn tells them apart.
	rowColumn, sideColumn = "_gcpml_row", "_gcpml_side"
)

// scratch is a project of the engine that no client can name. It holds the input
// and the output of ML.PREDICT while a statement runs.
type scratch struct {
	dml  sync.Mutex // held while DML is counted
	last atomic.Int64

	mu   sync.Mutex
	made bool
}

const scratchProject, scratchDataset = "_scratch", "s"

func scratchTable(name string) string {
	return quote(scratchProject + "." + scratchDataset + "." + name)
}

func (s *scratch) name(kind string) string { return kind + strconv.FormatInt(s.last.Add(1), 10) }

func (s *scratch) prepare(ctx context.Context, e Engine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	in := bq.Dataset{DatasetReference: datasetKey{scratchProject, scratchDataset}.reference()}
	if err := e.Do(ctx, http.MethodPost, scratchProject, "/datasets", in, nil); err != nil {
		return err
	}
	s.made = true
	return nil
}

// create makes a table of a query's result.
func (s *scratch) create(ctx context.Context, x *execution, name string, query piece) error {
	if err := s.prepare(ctx, x.cfg.Engine); err != nil {
		return err
	}
	_, err := x.run(ctx, query.with("CREATE TABLE "+scratchTable(name)+" AS\n", ""), false)
	return err
}

// drop drops a table if it is there.
func (s *scratch) drop(ctx context.Context, x *execution, name string) {
	_ = x.cfg.Engine.Do(context.WithoutCancel(ctx), http.MethodDelete, scratchProject, "/datasets/"+scratchDataset+"/tables/"+name, nil, nil)
}

// prediction is one ML.PREDICT of a statement, found to be well-formed.
type prediction struct {
	*ast.Predict
	model  *model
	fields []*ast.Field // the columns of the input
	input  []string     // for each INPUT column the input's column, as spelled there
}

// predicts evaluates every ML.PREDICT of a statement and answers the edits that
// put their results in place, and a function that drops the tables behind them.
// Nothing is sent to an endpoint before all of the statement is known to be
// valid; a dry run ends there, with edits that stand for empty results.
func (x *execution) predicts(ctx context.Context, st *ast.Statement, first int, result *outcome) (edits []edit, cleanUp func(), err error) {
	var tables []string
	cleanUp = func() {
		for _, name := range tables {
			x.scratch.drop(ctx, x, name)
		}
	}
	if len(st.Predicts) == 0 {
		return nil, cleanUp, nil
	}
	var all []*prediction
	for _, p := range st.Predicts {
		found, err := x.analyse(ctx, st, first, p, edits)
		if err != nil {
			return nil, cleanUp, err
		}
		all = append(all, found)
		edits = append(edits, edit{p.Range, found.empty()})
	}
	if err := x.rehearse(ctx, st, first, edits, result); err != nil || x.dryRun || result.ddl == "SKIP" {
		return edits, cleanUp, err
	}
	edits = nil
	for _, p := range all {
		in, out := x.scratch.name("in"), x.scratch.name("out")
		tables = append(tables, in, out)
		if err := x.evaluate(ctx, p, inputQuery(st, first, p.Predict, edits), in, out); err != nil {
			return nil, cleanUp, err
		}
		edits = append(edits, edit{p.Range, p.joined(in, out)})
	}
	// What the engine would make of an ML.PREDICT that is left is not ours.
	rest, err := x.cfg.Engine.Parse(cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits).sql)
	if err != nil {
		return nil, cleanUp, err
	}
	for _, left := range rest.Statements {
		if len(left.Predicts) > 0 || left.OtherML != "" {
			return nil, cleanUp, notImplemented("this use of ML.PREDICT")
		}
	}
	return edits, cleanUp, nil
}

// inputQuery is the input of an ML.PREDICT as a query of its own: under the WITH
// clauses that it can see, outermost first.
func inputQuery(st *ast.Statement, first int, p *ast.Predict, edits []edit) piece {
	before := piece{}
	for _, with := range p.Scopes {
		separator := "WITH "
		for _, entry := range with {
			before = before.then(cut(st, first, entry, edits).with(separator, "\n"))
			separator = ", "
		}
		before = before.with("", "SELECT * FROM (")
	}
	input := cut(st, first, p.Input, edits)
	if p.Table {
		input = input.with("SELECT * FROM ", "")
	}
	return before.then(input).with("", "\n"+strings.Repeat(")", len(p.Scopes)))
}

// analyse checks one ML.PREDICT against its model and the columns of its input.
func (x *execution) analyse(ctx context.Context, st *ast.Statement, first int, p *ast.Predict, edits []edit) (*prediction, error) {
	switch {
	case p.Unsupported == "WITH RECURSIVE":
		return nil, notImplemented("ML.PREDICT together with WITH RECURSIVE")
	case p.Unsupported != "":
		return nil, notImplemented("%s", p.Unsupported)
	case p.HasSettings:
		return nil, invalidQuery("ML.PREDICT takes no settings for a remote model.")
	}
	t, err := x.resolve(p.Model)
	if err != nil {
		return nil, err
	}
	m, err := x.findModel(t)
	if err != nil {
		return nil, err
	}
	if len(m.input) == 0 {
		return nil, invalidQuery("ML.PREDICT is not supported for the remote model %s, which has no INPUT and OUTPUT.", t)
	}
	fields, err := x.columns(ctx, inputQuery(st, first, p, edits))
	if err != nil {
		if p.Nested && strings.HasPrefix(err.Error(), "Unrecognized name") {
			return nil, notImplemented("an input of ML.PREDICT that uses columns of the query around it (%s)", err)
		}
		return nil, err
	}
	found := &prediction{Predict: p, model: m, fields: fields}
	byName := map[string]*ast.Field{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		switch {
		case strings.HasPrefix(f.Name, "$col"):
			return nil, invalidQuery("The input of ML.PREDICT has a column without a name: give it an alias.")
		case byName[name] != nil:
			return nil, invalidQuery("The input of ML.PREDICT has more than one column %s.", f.Name)
		case name == statusColumn:
			return nil, invalidQuery("The input of ML.PREDICT has a column %s, which is also a column of its output: leave it out of the input.", f.Name)
		}
		byName[name] = f
	}
	for _, c := range m.input {
		f := byName[strings.ToLower(c.name)]
		if f == nil {
			return nil, invalidQuery("The input of ML.PREDICT has no column %s, which the model %s needs: its INPUT is (%s), the query has %s.", c.name, t, columnList(m.input), fieldList(fields))
		}
		if !c.typ.accepts(f) {
			return nil, invalidQuery("The column %s of the input of ML.PREDICT is of type %s; the model %s needs %s.", f.Name, sqlType(f), t, c.typ)
		}
		found.input = append(found.input, f.Name)
	}
	for _, c := range m.output {
		if f := byName[strings.ToLower(c.name)]; f != nil {
			return nil, invalidQuery("The input of ML.PREDICT has a column %s, which is also an OUTPUT column of the model %s: rename it.", f.Name, t)
		}
	}
	return found, nil
}

func columnList(columns []column) string {
	var all []string
	for _, c := range columns {
		all = append(all, c.name+" "+c.typ.String())
	}
	return strings.Join(all, ", ")
}

func fieldList(fields []*ast.Field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Name)
	}
	return strings.Join(all, ", ")
}

// empty is a table expression with the columns of the result and no rows.
func (p *prediction) empty() string {
	var columns []string
	null := func(typ, name string) {
		columns = append(columns, fmt.Sprintf("CAST(NULL AS %s) AS %s", typ, quote(name)))
	}
	for _, c := range p.model.output {
		null(c.typ.String(), c.name)
	}
	null("STRING", statusColumn)
	for _, f := range p.fields {
		null(sqlType(f), f.Name)
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM (SELECT 1) WHERE FALSE) "
}

// joined is a table expression with the result: what the model answered and its
// status, then all columns of the input. It is the join of the two tables by the
// number of the row. The engine joins by comparing every row with every other,
// which takes minutes for the tutorial's 10,000 rows, so the tables are laid one
// on the other, sorted, and each row of the input takes what comes next.
func (p *prediction) joined(in, out string) string {
	var result, taken, above, below []string
	add := func(name, typ string, fromModel bool) {
		name = quote(name)
		null := "CAST(NULL AS " + typ + ") AS " + name
		result = append(result, name)
		if fromModel {
			taken = append(taken, "LEAD("+name+") OVER (ORDER BY "+rowColumn+", "+sideColumn+") AS "+name)
			above, below = append(above, null), append(below, name)
		} else {
			taken = append(taken, name)
			above, below = append(above, name), append(below, null)
		}
	}
	for _, c := range p.model.output {
		add(c.name, c.typ.String(), true)
	}
	add(statusColumn, "STRING", true)
	for _, f := range p.fields {
		add(f.Name, sqlType(f), false)
	}
	list := func(columns []string) string { return strings.Join(columns, ", ") }
	return fmt.Sprintf("(SELECT %s FROM (SELECT %s, %s FROM (SELECT %s, 0 AS %s, %s FROM %s UNION ALL SELECT %s, 1 AS %s, %s FROM %s)) WHERE %s = 0) ",
		list(result), sideColumn, list(taken),
		rowColumn, sideColumn, list(above), scratchTable(in),
		rowColumn, sideColumn, list(below), scratchTable(out), sideColumn)
}

// rehearse analyses a statement with empty results in place of predictions and
// checks where it would write.
func (x *execution) rehearse(ctx context.Context, st *ast.Statement, first int, edits []edit, result *outcome) error {
	rehearsal := *x
	rehearsal.dryRun = true
	whole := cut(st, first, ast.Range{Start: 0, End: len(st.Text)}, edits)
	switch st.Type {
	case "SELECT":
		if x.query.DestinationTable != nil {
			x.mu.Lock()
			_, _, err := x.destination(ctx)
			x.mu.Unlock()
			if err != nil {
				return err
			}
		}
		return rehearsal.selectRows(ctx, jobKey{}, whole, &outcome{})
	case "MERGE":
		return rehearsal.mergeRows(ctx, st, first, edits, nil)
	case "INSERT":
		_, err := x.run(ctx, whole, true)
		return err
	default: // CREATE TABLE … AS
		if st.Temporary {
			query := cut(st, first, *st.Query, edits)
			_, err := x.columns(ctx, query)
			return within(err, st, st.Query.Start, query.sql)
		}
		return rehearsal.ddl(ctx, st, first, edits, result)
	}
}

// evaluate runs the input query into one scratch table, asks the endpoint and
// puts the answers into another.
func (x *execution) evaluate(ctx context.Context, p *prediction, input piece, in, out string) error {
	if err := x.scratch.create(ctx, x, in, input.with("SELECT ROW_NUMBER() OVER () AS "+rowColumn+", * FROM (", ")")); err != nil {
		return err
	}
	selected := []string{rowColumn}
	for _, name := range p.input {
		selected = append(selected, quote(name))
	}
	rows, err := x.run(ctx, piece{sql: "SELECT " + strings.Join(selected, ", ") + " FROM " + scratchTable(in) + " ORDER BY " + rowColumn}, true)
	if err != nil {
		return err
	}
	definition := []string{rowColumn + " INT64"}
	for _, c := range p.model.output {
		definition = append(definition, quote(c.name)+" "+c.typ.String())
	}
	definition = append(definition, statusColumn+" STRING")
	if _, err := x.run(ctx, piece{sql: "CREATE TABLE " + scratchTable(out) + " (" + strings.Join(definition, ", ") + ")"}, false); err != nil {
		return err
	}
	if len(rows.Rows) == 0 {
		return nil
	}
	if err := x.mayPredict(p.model); err != nil {
		return err
	}
	answers, err := x.ask(ctx, p.model, rows.Rows)
	if err != nil {
		return err
	}
	for start := 0; start < len(answers); start += batchSize {
		values := strings.Join(answers[start:min(start+batchSize, len(answers))], ",\n")
		if _, err := x.run(ctx, piece{sql: "INSERT INTO " + scratchTable(out) + " VALUES\n" + values}, false); err != nil {
			return fmt.Errorf("store predictions: %w", err)
		}
	}
	return nil
}

// ask sends rows to the endpoint in batches and answers one SQL row for each:
// number, outputs, status.
func (x *execution) ask(ctx context.Context, m *model, rows [][]any) ([]string, error) {
	answers := make([]string, len(rows))
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for start := 0; start < len(rows); start += batchSize {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			end := min(start+batchSize, len(rows))
			x.askBatch(ctx, m, rows[start:end], answers[start:end])
		})
	}
	wg.Wait()
	return answers, ctx.Err()
}

func (x *execution) askBatch(ctx context.Context, m *model, rows [][]any, answers []string) {
	var (
		instances []*structpb.Value
		asked     []int // the rows that the instances belong to
	)
	for i, row := range rows {
		fields := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		var failed error
		for j, c := range m.input {
			v, err := c.typ.toJSON(row[j+1])
			if err != nil {
				failed = fmt.Errorf("column %s: %w", c.name, err)
				break
			}
			fields.Fields[c.name] = v
		}
		if failed != nil {
			answers[i] = m.failedRow(row[0], "INVALID_ARGUMENT: "+failed.Error())
			continue
		}
		instances, asked = append(instances, structpb.NewStructValue(fields)), append(asked, i)
	}
	if len(instances) == 0 {
		return
	}
	predictions, err := x.predict(ctx, m, instances)
	if err == nil && len(predictions) != len(instances) {
		err = status.Errorf(codes.InvalidArgument, "the endpoint answered %d predictions for %d instances", len(predictions), len(instances))
	}
	for n, i := range asked {
		if err != nil {
			answers[i] = m.failedRow(rows[i][0], rowStatus(m, err))
			continue
		}
		answers[i] = m.row(rows[i][0], predictions[n])
	}
}

// predict sends one batch, more than once if it fails for a passing reason.
func (x *execution) predict(ctx context.Context, m *model, instances []*structpb.Value) ([]*structpb.Value, error) {
	for attempt := 1; ; attempt++ {
		predictions, err := x.cfg.Vertex.Predict(ctx, m.endpoint.name(), instances, nil)
		if err == nil || !passing(err) || attempt == attempts {
			return predictions, err
		}
		if slept := x.cfg.Clock.Sleep(ctx, time.Duration(attempt)*100*time.Millisecond); slept != nil {
			return nil, errors.Join(err, slept)
		}
	}
}

func passing(err error) bool {
	switch status.Code(err) {
	case codes.ResourceExhausted, codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.Internal:
		return true
	}
	return false
}

// rowStatus words a failed call as BigQuery does in the status column.
func rowStatus(m *model, err error) string {
	st := status.Convert(err)
	code := strings.ReplaceAll(rest.StatusName(st.Code()), "_", " ")
	text := fmt.Sprintf("%s error from %s: %s", code, m.endpoint.url(), st.Message())
	if passing(err) {
		return "A retryable error occurred: " + text
	}
	return text
}

// failedRow is the SQL row of a row without a prediction.
func (m *model) failedRow(number any, message string) string {
	cells := []string{fmt.Sprint(number)}
	for _, c := range m.output {
		cells = append(cells, "CAST(NULL AS "+c.typ.String()+")")
	}
	return "(" + strings.Join(append(cells, quoteString(message)), ", ") + ")"
}

// row is the SQL row of a prediction: an object with a field for each OUTPUT
// column or, for a model with one, the bare value.
func (m *model) row(number any, prediction *structpb.Value) string {
	object := prediction.GetStructValue()
	cells := []string{fmt.Sprint(number)}
	for _, c := range m.output {
		value := prediction
		if object != nil {
			var there bool
			if value, there = object.GetFields()[c.name]; !there {
				return m.failedRow(number, fmt.Sprintf("INVALID_ARGUMENT: the prediction has no field %s: %s", c.name, excerpt(prediction)))
			}
		} else if len(m.output) > 1 {
			return m.failedRow(number, fmt.Sprintf("INVALID_ARGUMENT: the prediction is no object, but the model has OUTPUT (%s): %s", columnList(m.output), excerpt(prediction)))
		}
		cell, err := c.typ.fromJSON(value)
		if err != nil {
			return m.failedRow(number, fmt.Sprintf("INVALID_ARGUMENT: the prediction for %s is not of type %s: %s", c.name, c.typ, excerpt(value)))
		}
		cells = append(cells, cell)
	}
	return "(" + strings.Join(append(cells, "CAST(NULL AS STRING)"), ", ") + ")"
}

// excerpt shows the beginning of a value.
func excerpt(v *structpb.Value) string {
	text, err := v.MarshalJSON()
	if err != nil {
		return "a value that cannot be written in JSON"
	}
	if len(text) > 200 {
		return strings.ToValidUTF8(string(text[:200]), "") + "…"
	}
	return string(text)
}
