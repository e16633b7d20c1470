// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// The parts of a result set.
type (
	// Schema is the columns of a result set.
	Schema = query.Schema
	// Field is a column, or a field of a STRUCT.
	Field = query.Field
	// Row holds one value for each column.
	Row = query.Row
)

// PredictRequest asks for predictions for the rows of a query, of a table, or for
// rows that it holds.
type PredictRequest struct {
	Model gcp.RemoteModelName
	// Query is one SELECT, Table "dataset.table" or "project.dataset.table", Rows is
	// not nil; one of the three is set.
	Query string
	Table string
	Rows  *InlineRows
	// Parameters are those of Query, by name: a plain value, or a map with the keys
	// type and value, as [query.ParseParameterMap] reads them.
	Parameters map[string]any
	// Labels are put on the jobs.
	Labels map[string]string
	// Project runs and pays for the jobs; the model's project if empty.
	Project string
	// MaxRows is the most rows that may be predicted; more are an error. Not more
	// than one row above it is sent to the endpoint.
	MaxRows int64
	// MaximumBytesBilled makes BigQuery refuse a query that costs more.
	MaximumBytesBilled int64
	Options
}

// Prediction is the result of a job that succeeded. Rows may still have failed.
type Prediction struct {
	Job            query.Reference
	Schema         query.Schema
	Rows           []query.Row
	BytesProcessed int64
	// Failed is the number of rows with a status; Statuses are the different ones,
	// most frequent first.
	Failed   int64
	Statuses []Status
}

// Status is a reason why rows have no prediction, and how many.
type Status struct {
	Text string
	Rows int64
}

// OverflowError means that the query has more rows than the request allows.
type OverflowError struct {
	Limit int64
	Job   query.Reference
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("the query has more than max_rows = %d rows (job %s): add a LIMIT to the query, or raise max_rows", e.Limit, e.Job)
}

var tableGrammar = regexp.MustCompile(`^(?:((?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*)[.:])?([A-Za-z0-9_]+)\.([\p{L}\p{N}_-]+)$`)

// input is the SELECT that yields the rows to predict.
func (r PredictRequest) input() (string, error) {
	if r.Rows != nil {
		return selectInline, nil
	}
	if r.Table == "" {
		sql, err := subquery(r.Query)
		if err != nil {
			return "", &FieldError{"query", err.Error()}
		}
		return sql, nil
	}
	t, err := ParseTable(r.Table, r.Model.Project)
	if err != nil {
		return "", &FieldError{"table", err.Error()}
	}
	var s Statement
	return s.Fixed("SELECT * FROM ").Identifier(path(t.Project, t.Dataset, t.ID)).Finish()
}

// ParseTable reads DATASET.TABLE, which is in the default project, or
// PROJECT.DATASET.TABLE.
func ParseTable(text, defaultProject string) (query.Table, error) {
	t := tableGrammar.FindStringSubmatch(text)
	if t == nil {
		return query.Table{}, fmt.Errorf("%q is not of the form DATASET.TABLE or PROJECT.DATASET.TABLE", text)
	}
	if t[1] == "" {
		t[1] = defaultProject
	}
	return query.Table{Project: t[1], Dataset: t[2], ID: t[3]}, nil
}

// SQL renders the prediction. One row more than allowed is asked for, to notice
// that there are more.
func (r PredictRequest) SQL() (string, error) {
	input, err := r.input()
	if err != nil {
		return "", err
	}
	if r.Rows != nil {
		return r.inlineSQL()
	}
	// The line breaks end a comment at the end of the query.
	return PredictSQL(r.Model, "SELECT * FROM (\n"+input+"\n) LIMIT "+strconv.FormatInt(r.MaxRows+1, 10))
}

// PredictSQL renders the prediction for every row of a user's query.
func PredictSQL(model gcp.RemoteModelName, query string) (string, error) {
	var s Statement
	return s.Fixed("SELECT * FROM ML.PREDICT(MODEL ").Identifier(path(model.Project, model.Dataset, model.ID)).Fixed(", ").Subquery(query).Fixed(")").Finish()
}

// QuoteIdentifier returns a name, or a path such as project, dataset and table, as
// SQL takes it.
func QuoteIdentifier(parts ...string) (string, error) {
	if slices.Contains(parts, "") || len(parts) == 0 {
		return "", errors.New("an identifier cannot be empty")
	}
	var s Statement
	return s.Identifier(path(parts...)).Finish()
}

// Predict runs the prediction. While the grant of the connection's service account
// has not taken effect, refusals are retried, whether the job fails for it or all
// of its rows do.
func (s *Service) Predict(ctx context.Context, r PredictRequest) (*Prediction, error) {
	sql, err := r.SQL()
	if err != nil {
		return nil, err
	}
	if r.Project == "" {
		r.Project = r.Model.Project
	}
	m, err := s.getModel(ctx, r.Model, false)
	if gcp.IsNotFound(err) {
		return nil, &FieldError{"model", fmt.Sprintf("remote model %s does not exist", r.Model)}
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", r.Model, err)
	}
	client, err := s.queries(ctx, r.Project)
	if err != nil {
		return nil, err
	}
	parameters, err := r.parameters(m)
	if err != nil {
		return nil, err
	}
	base := query.Request{Location: m.Location, MaximumBytesBilled: r.MaximumBytesBilled, Parameters: parameters, Labels: r.Labels}
	nonce := query.NewRunID()
	if err := r.checkColumns(ctx, client, m, base, nonce); err != nil {
		return nil, err
	}
	var out *Prediction
	try := 0
	propagation := s.propagation(ctx, m.Connection, m.Endpoint.Project, r.Options)
	err = propagation.Do(ctx, func(ctx context.Context) error {
		try++
		request := base
		request.SQL = sql
		request.ID = request.JobID(nonce, fmt.Sprintf("predict-%d", try))
		var err error
		if out, err = r.run(ctx, client, request); err != nil {
			return err
		}
		if out.Failed > 0 && out.Failed == int64(len(out.Rows)) {
			return &refusedRowsError{out.Statuses[0].Text}
		}
		return nil
	})
	var refused *refusedRowsError
	if errors.As(err, &refused) && out != nil && ctx.Err() == nil {
		return out, nil // the job succeeded; its caller judges the rows
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AwaitGrant runs fn, which predicts with a model, and again while it is refused
// because a grant of the connection's service account has not taken effect.
func (s *Service) AwaitGrant(ctx context.Context, m *Model, o Options, fn func(context.Context) error) error {
	err := fn(ctx)
	if err == nil || o.Propagation == 0 || !strings.Contains(strings.ToLower(err.Error()), "gserviceaccount.com") {
		return err // no refusal that could be recognised
	}
	return s.propagation(ctx, m.Connection, m.Endpoint.Project, o).Do(ctx, fn)
}

// refusedRowsError lets the propagation loop look at the status of rows.
type refusedRowsError struct{ status string }

func (e *refusedRowsError) Error() string { return e.status }

// field is the name of what says which rows.
func (r PredictRequest) field() string {
	switch {
	case r.Rows != nil:
		return "rows"
	case r.Table != "":
		return "table"
	}
	return "query"
}

// CheckParameters reports what is wrong with the parameters of the query.
func (r PredictRequest) CheckParameters() error {
	if r.Rows != nil {
		return nil // the model has a say in their types
	}
	_, err := r.parameters(nil)
	return err
}

// parameters are those of the jobs.
func (r PredictRequest) parameters(m *Model) ([]*bigquery.QueryParameter, error) {
	if r.Rows != nil {
		p, err := r.Rows.parameter(m.Input)
		if err != nil {
			return nil, &FieldError{"rows", err.Error()}
		}
		return []*bigquery.QueryParameter{p}, nil
	}
	list, err := query.ParseParameterMap(r.Parameters)
	if err != nil {
		return nil, &FieldError{"parameters", err.Error()}
	}
	return list, nil
}

// checkColumns dry-runs the user's own query, so that its mistakes are reported at
// its own positions, refuses what is no SELECT, and compares its columns with what
// the model takes.
func (r PredictRequest) checkColumns(ctx context.Context, client *query.Client, m *Model, request query.Request, nonce string) error {
	input, err := r.input()
	if err != nil {
		return err
	}
	field := r.field()
	request.SQL, request.DryRun = input, true
	request.ID = request.JobID(nonce, "check")
	job, err := client.Run(ctx, request)
	var failed *query.JobError
	if errors.As(err, &failed) {
		return &FieldError{field, failed.Message}
	}
	if err != nil {
		return err
	}
	if len(job.Undeclared) > 0 {
		return &FieldError{field, missingParameters(job.Undeclared)}
	}
	if t := job.Statistics.StatementType; t != "SELECT" {
		return &FieldError{field, fmt.Sprintf("BigQuery says that the statement is %q; only a SELECT can be predicted", t)}
	}
	if len(job.Schema) == 0 || m.Input == nil {
		return nil // nothing to compare; the prediction itself will tell
	}
	columns := slices.DeleteFunc(slices.Clone(job.Schema), func(f Field) bool { return f.Name == inlineColumn })
	if text := m.Missing(columns, "the "+field); text != "" {
		return &FieldError{field, text}
	}
	return nil
}

// missingParameters tells which parameters a query has that were not given, with the
// types that BigQuery infers. A dry run of such a query is no error.
func missingParameters(undeclared []query.Parameter) string {
	var names []string
	for _, p := range undeclared {
		if p.Name == "" {
			return "a parameter ? has no name: name it, as in @name, and set it in parameters"
		}
		names = append(names, "@"+p.Name+" "+p.Type)
	}
	return "parameters has no value for " + strings.Join(names, " and ")
}

// Missing says which input columns of the model a schema lacks; "" is none. source
// names what has the schema, such as "the query".
func (m *Model) Missing(have Schema, source string) string {
	var missing, names []string
	for _, f := range have {
		names = append(names, f.Name)
	}
	for _, c := range m.Input {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, c.Name) }) {
			missing = append(missing, fmt.Sprintf("%s %s", c.Name, c.Type))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("the model takes a column %s, which %s does not give; it gives %s. Name a column after it: SELECT … AS %s",
		strings.Join(missing, " and "), source, strings.Join(names, ", "), strings.Fields(missing[0])[0])
}

func (r PredictRequest) run(ctx context.Context, client *query.Client, request query.Request) (*Prediction, error) {
	job, err := client.Run(ctx, request)
	if err != nil {
		return nil, err
	}
	rows, err := job.Rows(ctx)
	if err != nil {
		return nil, err
	}
	if rows.Total > uint64(max(r.MaxRows, 0)) { //nolint:gosec // not negative
		return nil, &OverflowError{r.MaxRows, job.Reference}
	}
	out := &Prediction{Job: job.Reference, Schema: rows.Schema, BytesProcessed: job.Statistics.BytesProcessed, Rows: []query.Row{}}
	status := slices.IndexFunc(rows.Schema, func(f query.Field) bool { return strings.EqualFold(f.Name, StatusColumn) })
	counts := map[string]int64{}
	for row, err := range rows.All(ctx) {
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, row)
		if status < 0 {
			continue
		}
		if text, _ := row[status].(string); text != "" {
			out.Failed++
			counts[text]++
		}
	}
	for text, n := range counts {
		out.Statuses = append(out.Statuses, Status{text, n})
	}
	slices.SortFunc(out.Statuses, func(a, b Status) int {
		if a.Rows != b.Rows {
			return int(b.Rows - a.Rows)
		}
		return strings.Compare(a.Text, b.Text)
	})
	return out, nil
}
