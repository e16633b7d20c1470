// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// results decides which result sets are written, and when, and has their rows looked
// at for the expectations.
type results struct {
	out *output
	one bool // the output has to be one document: only the last result set counts
	ui  *ui

	mu      sync.Mutex
	last    *query.Rows // with one: that of the last statement with rows so far
	lastAt  position    // of that statement
	skipped int
}

// position orders statements of files that are executed at the same time.
type position struct{ file, statement int }

func (p position) before(q position) bool {
	return p.file < q.file || p.file == q.file && p.statement < q.statement
}

// add takes a job that succeeded.
func (r *results) add(ctx context.Context, s sqlscript.Statement, at position, job *query.Job) error {
	// A script is told of even if it has a result set: that is the one of its last
	// statement only.
	if s.Script || !job.HasRows() {
		r.ui.done(s, job)
	}
	var rows *query.Rows
	if job.HasRows() {
		var err error
		if rows, err = job.Rows(ctx); err != nil {
			return err
		}
	}
	if rows == nil || len(rows.Schema) == 0 { // a script can be without a result
		return failures(s.NewChecker(nil), uint64(max(0, job.Statistics.Affected)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	checker := s.NewChecker(rows.Schema)
	if !r.one {
		if err := r.write(ctx, rows, checker); err != nil {
			return err
		}
		return failures(checker, rows.Total)
	}
	if checker.NeedsRows() {
		for row, err := range rows.All(ctx) {
			if err != nil {
				return err
			}
			checker.Row(row)
		}
	}
	if r.last != nil {
		r.skipped++
	}
	if r.last == nil || r.lastAt.before(at) {
		r.last, r.lastAt = rows, at
	}
	return failures(checker, rows.Total)
}

func failures(c *sqlscript.Checker, rows uint64) error {
	var all []error
	for _, f := range c.Failures(rows) {
		all = append(all, f)
	}
	return errors.Join(all...)
}

// finish writes the one document that a machine reads.
func (r *results) finish(ctx context.Context) error {
	if !r.one {
		return nil
	}
	if r.skipped > 0 {
		r.ui.note("only the last of %d result sets is written, because the output is one document; use --format table to see all", r.skipped+1)
	}
	return r.write(ctx, r.last, nil)
}

func (r *results) write(ctx context.Context, rows *query.Rows, checker *sqlscript.Checker) error {
	var result render.Result
	failed := 0
	if rows != nil {
		result = render.Result{Schema: rows.Schema, Total: rows.Total, Rows: countFailed(rows.Schema, r.watch(rows.All(ctx), checker), &failed)}
	}
	r.ui.endProgress()
	summary, err := r.out.Render(r.out, result)
	r.ui.endProgress()
	if err != nil {
		return err
	}
	if failed > 0 {
		r.ui.note("no prediction for %d of %d rows; their %s says why", failed, summary.Written, rows.Schema[sqlscript.StatusColumn(rows.Schema)].Name)
	}
	if summary.Cut {
		r.ui.note("%d of %d rows are shown; --max-rows 0 shows all", summary.Written, result.Total)
	}
	return nil
}

// watch passes rows on, tells of the progress, and shows all of them to the checker,
// also after the renderer has seen enough.
func (r *results) watch(rows iter.Seq2[query.Row, error], checker *sqlscript.Checker) iter.Seq2[query.Row, error] {
	checked := checker != nil && checker.NeedsRows()
	return func(yield func(query.Row, error) bool) {
		wanted := true
		var n uint64
		for row, err := range rows {
			if n++; n%progressRows == 0 {
				r.ui.read(n)
			}
			if err == nil && checked {
				checker.Row(row)
			}
			if wanted = wanted && yield(row, err); !wanted && !checked {
				return
			}
		}
	}
}

// progressRows is after how many rows the progress of reading is told.
const progressRows = 50_000

// countFailed counts the rows that pass with a status: the job succeeds all the same,
// which is easily overlooked among many rows.
func countFailed(schema query.Schema, rows iter.Seq2[query.Row, error], failed *int) iter.Seq2[query.Row, error] {
	column := sqlscript.StatusColumn(schema)
	if column < 0 {
		return rows
	}
	return func(yield func(query.Row, error) bool) {
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			if err == nil && row[column] != nil && row[column] != "" {
				*failed++
			}
		}
	}
}
