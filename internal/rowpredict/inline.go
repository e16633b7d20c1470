// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"context"
	"fmt"
	"iter"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Predictions are rows of ML.PREDICT: OUTPUT columns, remote_model_status and the
// columns of the input. Total is their number. Measured is complete when Rows were read
// to their end.
type Predictions struct {
	Schema   query.Schema
	Total    uint64
	Rows     iter.Seq2[query.Row, error]
	Measured *Measured
}

// predictions watches rows that come from jobs which m has counted, or will.
func predictions(schema query.Schema, total uint64, rows iter.Seq2[query.Row, error], m *Measured) *Predictions {
	return &Predictions{schema, total, m.watch(schema, rows), m}
}

// PredictQuery predicts the rows of a source that is a query in one job, once.
func PredictQuery(ctx context.Context, w Warehouse, name gcp.RemoteModelName, m *bqml.Model, source Source, base query.Request) (*Predictions, error) {
	// The user's own text first, so that its mistakes are reported at its own places.
	check := base
	check.SQL = source.Query
	schema, err := w.Columns(ctx, check)
	if err != nil {
		return nil, err
	}
	if text := m.Missing(schema, source.Name); len(schema) > 0 && text != "" {
		return nil, inputErrorf("%s", text)
	}
	var s sqlText
	s.fixed("SELECT * FROM ML.PREDICT(").model(name).fixed(", ").Subquery(source.Query)
	sql, err := s.fixed(")").Finish()
	if err != nil {
		return nil, err
	}
	base.SQL = sql
	rows, err := w.Open(ctx, base)
	if err != nil {
		return nil, err
	}
	measured := &Measured{}
	measured.job(int64(rows.Total), rows.Statistics) //nolint:gosec // a number of rows
	return predictions(rows.Schema, rows.Total, rows.All(ctx), measured), nil
}

// PredictFile predicts the rows of a file, once and in their order, in jobs that
// carry the rows as a parameter: no table is made. A job is run when its rows are
// asked for; the first one at once. run is the id of the run.
func PredictFile(ctx context.Context, w Warehouse, name gcp.RemoteModelName, m *bqml.Model, f *File, base query.Request, run string) (*Predictions, error) {
	var s sqlText
	s.fixed("SELECT * EXCEPT (" + lineColumn + ") FROM ML.PREDICT(").model(name).fixed(", (").add(f.selectRows)
	sql, err := s.fixed(")) ORDER BY " + lineColumn).Finish()
	if err != nil {
		return nil, err
	}
	l := limitsOf(m.MaxBatchingRows)
	// Sizes are checked to the end of the file before anything is sent.
	for _, err := range f.batches(&l) {
		if err != nil {
			return nil, err
		}
	}
	measured := &Measured{}
	open := func(b batch) (*query.Rows, error) {
		request := base
		request.SQL = sql
		request.Parameters = append(request.Parameters, text("rows", string(b.json)))
		request.ID = request.JobID(run, fmt.Sprintf("row%d", b.first))
		rows, err := w.Open(ctx, request)
		if err == nil && rows.Total != uint64(b.rows) { //nolint:gosec // not negative
			err = fmt.Errorf("ML.PREDICT returned %d rows for %d", rows.Total, b.rows)
		}
		if err == nil {
			measured.job(b.rows, rows.Statistics)
		}
		return rows, err
	}
	next, stop := iter.Pull2(f.batches(&l))
	b, err, _ := next()
	if err != nil {
		stop()
		return nil, err
	}
	first, err := open(b)
	if err != nil {
		stop()
		return nil, err
	}
	rows := func(yield func(query.Row, error) bool) {
		defer stop()
		for current := first; ; {
			for row, err := range current.All(ctx) {
				if !yield(row, err) || err != nil {
					return
				}
			}
			b, err, more := next()
			if !more {
				return
			}
			if err == nil {
				current, err = open(b)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
	return predictions(first.Schema, uint64(f.Rows), rows, measured), nil //nolint:gosec // not negative
}
