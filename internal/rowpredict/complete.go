// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rowpredict

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Complete predicts all rows of the source into the target. See the package's
// documentation. The report is returned with a [*StoppedError] too.
func Complete(ctx context.Context, w Warehouse, s Spec) (*Report, error) {
	c := &completion{Spec: s, warehouse: w, sleep: gcp.Sleep}
	return c.run(ctx)
}

// completion is one process's work on a run.
type completion struct {
	Spec
	warehouse Warehouse
	sleep     func(context.Context, time.Duration) error

	tables
	runID   string // the id of the run, from the work table
	resumed bool
	rows    int64 // of the source
	big     int64 // rows beyond the ordinary size, but not too large
	huge    int64 // rows that no request can hold
	// done and failed count the rows of finished chunks.
	done, failed int64
	lastStatus   string
	measured     Measured
}

func (c *completion) run(ctx context.Context) (*Report, error) {
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	if err := c.checkpoint(ctx); err != nil {
		return nil, err
	}
	err := c.predictAll(ctx)
	stopped := (*StoppedError)(nil)
	if err != nil && !errors.As(err, &stopped) {
		return nil, err
	}
	report, tallyErr := c.report(ctx, stopped != nil)
	if stopped != nil {
		return report, stopped
	}
	if tallyErr != nil {
		return nil, tallyErr
	}
	if err := c.write(ctx); err != nil {
		return nil, err
	}
	report.Written = true
	return report, c.drop(ctx, c.in, c.out)
}

// do executes a rendered statement.
func (c *completion) do(ctx context.Context, sql string, err error, parameters ...*bigquery.QueryParameter) error {
	if err == nil {
		_, err = c.warehouse.Do(ctx, c.request(sql, parameters...))
	}
	return err
}

func (c *completion) read(ctx context.Context, sql string, err error, parameters ...*bigquery.QueryParameter) ([]query.Row, error) {
	if err != nil {
		return nil, err
	}
	r := c.request(sql, parameters...)
	r.NoCache = true // the journal grows
	return c.warehouse.Select(ctx, r)
}

func (c *completion) request(sql string, parameters ...*bigquery.QueryParameter) query.Request {
	r := c.Base
	r.SQL, r.Parameters = sql, parameters
	return r
}

// columns returns the columns of a table; nil if there is none.
func (c *completion) columns(ctx context.Context, t query.Table) (query.Schema, error) {
	sql, err := SelectAll(t)
	if err != nil {
		return nil, err
	}
	schema, err := c.warehouse.Columns(ctx, c.request(sql))
	if job, ok := errors.AsType[*query.JobError](err); ok && job.Reason == "notFound" && strings.Contains(job.Message, "Table ") {
		return nil, nil
	}
	return schema, err
}

// prepare finds the columns of the source and names the work tables.
func (c *completion) prepare(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	m := c.Model
	if m.Input == nil || m.Output == nil {
		return inputErrorf("BigQuery does not tell the INPUT and OUTPUT columns of model %s, and rows cannot be completed without them", c.Name)
	}
	var schema query.Schema
	if f := c.Source.File; f != nil {
		for _, column := range f.Columns {
			schema = append(schema, fieldOf(column))
		}
	} else {
		var err error
		if schema, err = c.warehouse.Columns(ctx, c.request(c.Source.Query)); err != nil {
			return err
		}
	}
	if text := m.Missing(schema, c.Source.Name); text != "" {
		return inputErrorf("%s", text)
	}
	find := func(name string) *query.Field {
		i := slices.IndexFunc(schema, func(f query.Field) bool { return strings.EqualFold(f.Name, name) })
		if i < 0 {
			return nil
		}
		return &schema[i]
	}
	t := tables{model: c.Name, output: m.Output, nullable: c.Nullable, source: schema, into: c.Into, write: c.Write, limits: limitsOf(m.MaxBatchingRows)}
	for _, key := range c.Keys {
		f := find(key)
		switch {
		case f == nil:
			return inputErrorf("%s has no column %q to be a key; it has %s", c.Source.Name, key, strings.Join(fieldNames(schema), ", "))
		case f.Repeated || !slices.Contains(keyTypes, f.Type):
			return inputErrorf("column %q is of type %s and cannot be a key: use %s", f.Name, f.SQLType(), strings.Join(keyTypes, ", "))
		case containsFold(fieldNames(t.keys), f.Name):
			return inputErrorf("column %q is named twice as a key", f.Name)
		}
		t.keys = append(t.keys, *f)
	}
	for _, column := range m.Input {
		t.input = append(t.input, find(column.Name).Name)
	}
	for _, column := range m.Output {
		if find(column.Name) != nil {
			return inputErrorf("%s has a column %q, which is also an OUTPUT column of the model: rename it", c.Source.Name, column.Name)
		}
	}
	for _, name := range c.Nullable {
		if !containsFold(t.outputNames(), name) {
			return inputErrorf("the model has no OUTPUT column %q to be nullable; it has %s", name, strings.Join(t.outputNames(), ", "))
		}
	}
	if find(bqml.StatusColumn) != nil {
		return inputErrorf("%s has a column %s, which ML.PREDICT adds: leave it out", c.Source.Name, bqml.StatusColumn)
	}
	for _, f := range schema {
		if strings.HasPrefix(strings.ToLower(f.Name), ownPrefix) {
			return inputErrorf("%s has a column %q: names that start with %s are gcpml's own", c.Source.Name, f.Name, ownPrefix)
		}
	}
	id := c.fingerprint(t)
	work := func(suffix string) query.Table {
		return query.Table{Project: c.Into.Project, Dataset: c.Into.Dataset, ID: "gcpml_predict_" + id + suffix}
	}
	t.in, t.out = work("_in"), work("_out")
	c.tables = t
	return nil
}

// keyTypes are the types whose values can be compared and never lose a digit.
var keyTypes = []string{"INT64", "STRING", "BYTES", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP", "NUMERIC", "BIGNUMERIC"}

func fieldOf(c bqml.Column) query.Field {
	element, array := strings.CutPrefix(c.Type, "ARRAY<")
	return query.Field{Name: c.Name, Type: strings.TrimSuffix(element, ">"), Repeated: array}
}

// fingerprint tells runs apart: whoever asks for the same goes on with the same run.
func (c *completion) fingerprint(t tables) string {
	source := c.Source.Query
	if c.Source.File != nil {
		source = "sha256:" + c.Source.File.Sum
	}
	asked, err := json.Marshal([]any{
		c.Name, c.Model.Input, c.Model.Output, t.limits.batch, source, t.source, fieldNames(t.keys), t.into, t.write, c.ChunkRows, c.Nullable, c.RunID,
		c.Base.DefaultDataset,
	})
	if err != nil { // strings, numbers and slices of them always marshal
		panic(err)
	}
	sum := sha256.Sum256(asked)
	return hex.EncodeToString(sum[:8])
}

// checkpoint finds the work tables of an earlier process or makes them, after all
// checks that can be made before a row is predicted.
func (c *completion) checkpoint(ctx context.Context) error {
	target, err := c.exists(ctx, c.into)
	if err != nil {
		return err
	}
	c.targetExists = target
	if c.Restart {
		if err := c.drop(ctx, c.in, c.out); err != nil {
			return err
		}
	}
	begun, err := c.exists(ctx, c.in)
	if err != nil {
		return err
	}
	if !begun {
		// A journal without rows is what is left of a run that was killed at its very
		// end, after the target was written.
		if err := c.drop(ctx, c.out); err != nil {
			return err
		}
		if err := c.snapshotRows(ctx); err != nil {
			return err
		}
	}
	if c.resumed, err = c.exists(ctx, c.out); err != nil {
		return err
	}
	if err := c.measure(ctx); err != nil {
		return err
	}
	if c.resumed {
		c.tell("going on with run %s of the same command, on the rows as they were when it began (--restart begins anew)", c.runID)
	} else {
		if err := c.checkRows(ctx); err != nil {
			if dropErr := c.drop(ctx, c.in); dropErr != nil && ctx.Err() == nil {
				c.tell("the work table %s could not be dropped: %s", tablePath(c.in), dropErr)
			}
			return err
		}
		sql, err := c.journal()
		if err := c.do(ctx, sql, err); err != nil {
			return err
		}
	}
	// Whether the target can take the rows is found out before they cost anything.
	sql, err := c.target()
	if err != nil {
		return err
	}
	if _, err = c.warehouse.Columns(ctx, c.request(sql)); err != nil {
		if !c.resumed {
			_ = c.drop(ctx, c.in, c.out) // the error below is the one that matters
		}
		return fmt.Errorf("the predictions could not be written to %s: %w", tablePath(c.into), err)
	}
	return nil
}

func (c *completion) exists(ctx context.Context, t query.Table) (bool, error) {
	schema, err := c.columns(ctx, t)
	return schema != nil, err
}

// snapshotRows copies the source into the work table.
func (c *completion) snapshotRows(ctx context.Context) error {
	run := query.NewRunID()
	source := c.Source.Query
	if f := c.Source.File; f != nil {
		staged := query.Table{Project: c.in.Project, Dataset: c.in.Dataset, ID: "gcpml_predict_" + run + "_file"}
		defer func() {
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer stop()
			_ = c.drop(ctx, staged) // else BigQuery does when it expires
		}()
		if err := c.stage(ctx, f, staged); err != nil {
			return err
		}
		var s sqlText
		var err error
		if source, err = s.fixed("SELECT * EXCEPT (" + lineColumn + ") FROM ").table(staged).Finish(); err != nil {
			return err
		}
	}
	sql, err := c.snapshot(source, run)
	return c.do(ctx, sql, err)
}

// stage copies a local file into a table.
func (c *completion) stage(ctx context.Context, f *File, to query.Table) error {
	for b, err := range f.batches(nil) {
		if err != nil {
			return err
		}
		var s sqlText
		if b.first == 1 {
			s.fixed("CREATE TABLE ").table(to).fixed("\n" + expiry + " AS\n")
		} else {
			names := make([]string, len(f.Columns))
			for i, column := range f.Columns {
				names[i] = column.Name
			}
			s.fixed("INSERT INTO ").table(to).fixed(" (").names("", names...).fixed(", " + lineColumn + ")\n")
		}
		sql, err := s.add(f.selectRows).Finish()
		if err := c.do(ctx, sql, err, text("rows", string(b.json))); err != nil {
			return err
		}
	}
	return nil
}

// measure reads the sizes of the work table and the id of its run.
func (c *completion) measure(ctx context.Context) error {
	sql, err := c.statistics()
	rows, err := c.read(ctx, sql, err, integer("limit", requestFor), integer("ordinary", c.limits.ordinary))
	if err != nil {
		return err
	}
	numbers, err := integers(rows, 5)
	if err != nil {
		return err
	}
	total, nulls, huge, large, largest := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	c.rows, c.big, c.huge = total, large-huge, huge
	if run, ok := rows[0][5].(string); ok {
		c.runID = run
	} else {
		c.runID = query.NewRunID() // there is no row, so there will be no job of it
	}
	if nulls > 0 {
		return c.refuse(ctx, "%d of %d rows have NULL in the key (%s): a key has to name each row", nulls, total, strings.Join(c.keyNames(), ", "))
	}
	if huge > 0 && !c.AllowFailed && !c.resumed {
		sql, err := c.tooLarge()
		rows, err := c.read(ctx, sql, err, integer("limit", requestFor))
		if err != nil {
			return err
		}
		var named []string
		for _, r := range rows {
			named = append(named, fmt.Sprintf("%v (%v bytes)", r[0], r[1]))
		}
		return c.refuse(ctx, "%d of %d rows are too large for a request to the endpoint, in which %d bytes are left for rows: %s; leave them out, or count them as failed with --allow-failed-rows", huge, total, requestFor, strings.Join(named, ", "))
	}
	if c.big > 0 {
		c.tell("%d of %d rows take more than %d bytes, up to %d: %d rows of that size do not fit into one request to the endpoint. They go in jobs of fewer rows, which takes longer; a model with a smaller max_batching_rows does not need that",
			c.big, total, c.limits.ordinary, largest, c.limits.batch)
	}
	return nil
}

// refuse drops the work tables, so that the corrected command begins anew.
func (c *completion) refuse(ctx context.Context, format string, args ...any) error {
	if err := c.drop(ctx, c.in, c.out); err != nil {
		return err
	}
	return rowsErrorf(format, args...)
}

// checkRows finds keys that are not unique.
func (c *completion) checkRows(ctx context.Context) error {
	sql, err := c.duplicates()
	rows, err := c.read(ctx, sql, err)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		var named []string
		for _, r := range rows {
			named = append(named, fmt.Sprintf("%v (%v rows)", r[0], r[1]))
		}
		return rowsErrorf("the key (%s) does not name one row: %s", strings.Join(c.keyNames(), ", "), listed(named))
	}
	if c.Write != Append || !c.targetExists {
		return nil
	}
	sql, err = c.conflicts()
	if rows, err = c.read(ctx, sql, err); err != nil {
		return err
	}
	if len(rows) > 0 {
		var named []string
		for _, r := range rows {
			named = append(named, fmt.Sprint(r[0]))
		}
		return rowsErrorf("%s has rows with these keys already: %s; --write merge replaces them", tablePath(c.into), listed(named))
	}
	return nil
}

// listed joins what may be the first of more.
func listed(named []string) string {
	text := strings.Join(named, ", ")
	if len(named) == shown {
		text += ", …"
	}
	return text
}

func (c *completion) drop(ctx context.Context, all ...query.Table) error {
	for _, t := range all {
		sql, err := drop(t)
		if err := c.do(ctx, sql, err); err != nil {
			return err
		}
	}
	return nil
}

// progressOf is what the journal holds of a chunk.
type progressOf struct{ round, rows, failed int64 }

// predictAll works through all chunks.
func (c *completion) predictAll(ctx context.Context) error {
	journal := map[int64]progressOf{}
	if c.resumed {
		sql, err := c.progress()
		rows, err := c.read(ctx, sql, err)
		if err != nil {
			return err
		}
		for i := range rows {
			n, err := integers(rows[i:i+1], 4)
			if err != nil {
				return err
			}
			journal[n[0]] = progressOf{n[1], n[2], n[3]}
		}
	}
	chunks, err := c.chunks(ctx)
	if err != nil {
		return err
	}
	for i, chunk := range chunks {
		before, begun := journal[chunk.number]
		if !begun {
			before.round = -1
		}
		if begun && before.failed == 0 {
			c.done += before.rows
			continue
		}
		if err := c.predictChunk(ctx, chunk, before); err != nil {
			return err
		}
		if len(chunks) > 1 {
			left := c.measured.lasting(c.rows - c.huge - c.done)
			if left != "" {
				left = ", about " + left + " to go"
			}
			c.tell("chunk %d of %d: %d of %d rows done, %d without a prediction%s", i+1, len(chunks), c.done, c.rows, c.failed, left)
		}
		if c.failed > 0 && float64(c.failed) > c.MaxErrorRate*float64(c.done) {
			return &StoppedError{Failed: c.failed, Rows: c.done, Limit: c.MaxErrorRate, Status: c.lastStatus}
		}
	}
	return nil
}

// chunks plans the work: the same each time for the same work table.
func (c *completion) chunks(ctx context.Context) ([]chunk, error) {
	var chunks []chunk
	if ordinary := c.rows - c.big - c.huge; ordinary > 0 {
		chunks = ordinaryChunks(ordinary, c.ChunkRows)
	}
	if c.big == 0 {
		return chunks, nil
	}
	sql, err := c.large()
	rows, err := c.read(ctx, sql, err, integer("limit", requestFor), integer("ordinary", c.limits.ordinary))
	if err != nil {
		return nil, err
	}
	large := make([]measured, len(rows))
	for i := range rows {
		n, err := integers(rows[i:i+1], 2)
		if err != nil {
			return nil, err
		}
		large[i] = measured{n[0], n[1]}
	}
	return append(chunks, packs(large, c.limits, int64(len(chunks)))...), nil
}

// predictChunk predicts the rows of a chunk until each has a prediction or the retries
// are used up. before is where the journal says that it stands: the last round may be
// half done, so its jobs are submitted again, and found by their ids where they exist.
func (c *completion) predictChunk(ctx context.Context, k chunk, before progressOf) error {
	rows := before.rows
	round := max(before.round, 0)
	for try := 0; ; {
		size := 0
		if round == 0 {
			n, err := c.job(ctx, k, k.hashes, 0, 0)
			if err != nil {
				return err
			}
			rows = n
		} else {
			left, err := c.left(ctx, k, round)
			if err != nil {
				return err
			}
			size = retrySize(len(left), round, c.limits)
			for slot, part := range split(left, size) {
				if _, err := c.job(ctx, k, hashesOf(part), round, int64(slot)); err != nil {
					return err
				}
			}
		}
		round++
		left, err := c.left(ctx, k, round)
		if err != nil {
			return err
		}
		for _, row := range left {
			c.measured.fail(row.status)
		}
		if len(left) == 0 || try == c.Retries || hopeless(left, size) {
			c.done += max(rows, int64(len(left)))
			c.failed += int64(len(left))
			if len(left) > 0 {
				c.lastStatus = left[0].status
			}
			return nil
		}
		try++
		pause := rand.N(min(c.Delay<<min(try-1, 10), time.Minute) + 1) // full jitter
		c.tell("chunk %d: %d rows without a prediction, such as: %s; retry %d of %d in %s", k.number+1, len(left), oneLine(left[0].status), try, c.Retries, pause.Round(time.Millisecond))
		if err := c.sleep(ctx, pause); err != nil {
			return context.Cause(ctx)
		}
	}
}

// oneLine shows the beginning of a status, which may hold what a model server said.
func oneLine(status string) string {
	if status == "" {
		return "the prediction is incomplete"
	}
	status = strings.Join(strings.Fields(status), " ")
	if r := []rune(status); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return status
}

func hashesOf(rows []pending) []int64 {
	hashes := make([]int64, len(rows))
	for i, r := range rows {
		hashes[i] = r.hash
	}
	return hashes
}

// job predicts rows of a chunk, all ordinary ones of its range if hashes is nil. Its
// id says which ones, so that a job which was submitted before is found instead.
func (c *completion) job(ctx context.Context, k chunk, hashes []int64, round, slot int64) (rows int64, err error) {
	sql, err := c.predict(hashes != nil)
	if err != nil {
		return 0, err
	}
	r := c.request(sql, append(c.membership(k, hashes), integer("chunk", k.number), integer("round", round), integer("slot", slot))...)
	r.ID = r.JobID(c.runID, fmt.Sprintf("c%d-r%d-s%d", k.number, round, slot))
	statistics, err := c.warehouse.Do(ctx, r)
	rows = max(statistics.Affected, statistics.Inserted)
	if err == nil {
		c.measured.job(rows, statistics)
	}
	return rows, err
}

func (c *completion) membership(k chunk, hashes []int64) []*bigquery.QueryParameter {
	parameters := []*bigquery.QueryParameter{integer("low", k.low), integer("high", k.high)}
	if hashes == nil {
		return append(parameters, integer("ordinary", c.limits.ordinary))
	}
	return append(parameters, hashList(hashes))
}

// left reads the rows of a chunk without a good prediction before a round.
func (c *completion) left(ctx context.Context, k chunk, round int64) ([]pending, error) {
	sql, err := c.pending(k.hashes != nil)
	rows, err := c.read(ctx, sql, err, append(c.membership(k, k.hashes), integer("chunk", k.number), integer("round", round))...)
	if err != nil {
		return nil, err
	}
	out := make([]pending, len(rows))
	for i, r := range rows {
		n, err := integers(rows[i:i+1], 1)
		if err != nil {
			return nil, err
		}
		out[i].hash = n[0]
		out[i].status, _ = r[1].(string) // NULL is ""
	}
	return out, nil
}

// report counts the rows. When the run was stopped those without a try are pending;
// else they should have had one, and failed.
func (c *completion) report(ctx context.Context, stopped bool) (*Report, error) {
	r := &Report{Model: c.Name.String(), Into: tablePath(c.into), Write: c.Write, RunID: c.runID, Resumed: c.resumed, Statuses: []Status{}, Measured: c.measured}
	sql, err := c.tally()
	rows, err := c.read(ctx, sql, err)
	if err != nil {
		return r, err
	}
	n, err := integers(rows, 4)
	if err != nil {
		return r, err
	}
	r.Rows, r.OK, r.Retried = n[0], n[1], n[2]
	if stopped {
		r.Pending = n[3]
	}
	r.Failed = r.Rows - r.OK - r.Pending
	if r.Failed == 0 {
		return r, nil
	}
	sql, err = c.statuses(stopped)
	if rows, err = c.read(ctx, sql, err); err != nil {
		return r, err
	}
	for _, row := range rows {
		var s Status
		s.Text, _ = row[0].(string)
		s.Rows, _ = row[1].(int64)
		s.Key, _ = row[2].(string)
		r.Statuses = append(r.Statuses, s)
	}
	return r, nil
}

// write puts the rows into the target.
func (c *completion) write(ctx context.Context) error {
	sql, err := c.target()
	if err != nil {
		return err
	}
	r := c.request(sql)
	r.ID = r.JobID(c.runID, "write")
	_, err = c.warehouse.Do(ctx, r)
	return err
}

// integers returns the first columns of the only row.
func integers(rows []query.Row, columns int) ([]int64, error) {
	if len(rows) != 1 || len(rows[0]) < columns {
		return nil, errors.New("BigQuery did not answer one row of counts")
	}
	out := make([]int64, columns)
	for i := range out {
		n, ok := rows[0][i].(int64)
		if !ok {
			return nil, fmt.Errorf("BigQuery answered %v instead of a count", rows[0][i])
		}
		out[i] = n
	}
	return out, nil
}
