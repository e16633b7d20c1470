// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

func (r *request) tableRef() tableRef {
	return tableRef{r.project, r.PathValue("datasetId"), r.PathValue("tableId")}
}

func (t tableRef) path() string { return "/datasets/" + t.dataset + "/tables/" + t.table }

// tables lists the tables of a dataset in the engine.
func (s *Server) tables(ctx context.Context, k datasetKey) ([]*bq.TableListTables, error) {
	var list bq.TableList
	if err := s.cfg.Engine.Do(ctx, http.MethodGet, k.project, "/datasets/"+k.dataset+"/tables", nil, &list); err != nil {
		return nil, err
	}
	for _, t := range list.Tables {
		t.CreationTime = milliseconds(t.CreationTime)
		t.Id = tableRef{k.project, k.dataset, t.TableReference.TableId}.String()
	}
	return list.Tables, nil
}

// table reads a table's metadata from the engine; a missing one is a notFound.
func (s *Server) table(ctx context.Context, t tableRef) (*bq.Table, error) {
	if _, err := s.dataset(t.key()); err != nil {
		return nil, err
	}
	return s.tableOfDataset(ctx, t)
}

func (s *Server) tableOfDataset(ctx context.Context, t tableRef) (*bq.Table, error) {
	var table bq.Table
	err := s.cfg.Engine.Do(ctx, http.MethodGet, t.project, t.path(), nil, &table)
	if isMissing(err) {
		return nil, notFound("Table %s", t)
	}
	if err != nil {
		return nil, err
	}
	return &table, nil
}

// shown completes the engine's metadata with what it does not keep.
func (s *Server) shown(t tableRef, table *bq.Table) *bq.Table {
	table.Kind = "bigquery#table"
	table.Id = t.String()
	table.TableReference = t.reference()
	table.SelfLink = s.link("/projects/%s%s", t.project, t.path())
	table.CreationTime = milliseconds(table.CreationTime)
	table.LastModifiedTime = uint64(milliseconds(int64(table.LastModifiedTime)))
	if d, ok := s.datasets[t.key()]; ok {
		table.Location = d.meta.Location
	}
	// The engine keeps no version of a table: its etag stands for its content.
	table.Etag = ""
	if body, err := json.Marshal(table); err == nil {
		table.Etag = hash(string(body))
	}
	return table
}

// milliseconds turns the engine's seconds into BigQuery's milliseconds.
func milliseconds(t int64) int64 {
	if t < 1e11 {
		return t * 1000
	}
	return t
}

func (s *Server) listTables(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := r.datasetKey()
	if _, err := s.dataset(k); err != nil {
		return nil, err
	}
	all, err := s.tables(r.Context(), k)
	if err != nil {
		return nil, err
	}
	start, end, next, err := r.window(len(all))
	if err != nil {
		return nil, err
	}
	return &bq.TableList{Kind: "bigquery#tableList", Etag: newEtag(), Tables: all[start:end], TotalItems: int64(len(all)), NextPageToken: next}, nil
}

func (s *Server) insertTable(r *request) (any, error) {
	var in bq.Table
	if _, err := r.decode(&in); err != nil {
		return nil, err
	}
	if in.TableReference == nil || in.TableReference.TableId == "" {
		return nil, invalid("tableReference.tableId is required.")
	}
	if in.ExternalDataConfiguration != nil || in.MaterializedView != nil {
		return nil, notImplemented("external tables and materialized views in tables.insert")
	}
	if in.View != nil {
		script, err := s.cfg.Engine.Parse(in.View.Query)
		if err != nil {
			return nil, err
		}
		for _, st := range script.Statements {
			if len(st.Predicts) > 0 || st.OtherML != "" {
				return nil, notImplemented("ML functions in a view")
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := tableRef{r.project, r.PathValue("datasetId"), in.TableReference.TableId}
	if _, err := s.nameIsFree(r.Context(), t); err != nil {
		return nil, err
	}
	in.TableReference = t.reference()
	if err := s.cfg.Engine.Do(r.Context(), http.MethodPost, t.project, "/datasets/"+t.dataset+"/tables", in, nil); err != nil {
		return nil, err
	}
	table, err := s.tableOfDataset(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return s.shown(t, table), nil
}

// nameIsFree answers the dataset if nothing in it has the name: tables, views and
// models share their names. s.mu is held.
func (s *Server) nameIsFree(ctx context.Context, t tableRef) (*dataset, error) {
	d, err := s.dataset(t.key())
	if err != nil {
		return nil, err
	}
	if s.model(d, t.table) != nil {
		return nil, duplicate("Model %s", t)
	}
	exists, err := s.tableExists(ctx, t)
	if err != nil {
		return nil, err
	}
	if exists {
		return nil, duplicate("Table %s", t)
	}
	return d, nil
}

func (s *Server) tableExists(ctx context.Context, t tableRef) (bool, error) {
	switch _, err := s.tableOfDataset(ctx, t); {
	case err == nil:
		return true, nil
	case asAPIError(ctx, err).Reason == "notFound":
		return false, nil
	default:
		return false, err
	}
}

func (s *Server) getTable(r *request) (any, error) {
	t := r.tableRef()
	if result, ok := s.jobs.anonymous(t); ok {
		return s.shown(t, &bq.Table{
			Type: "TABLE", Schema: tableSchema(result.Fields), NumRows: uint64(len(result.Rows)),
			CreationTime: s.cfg.Clock.Now().UnixMilli(), LastModifiedTime: uint64(s.cfg.Clock.Now().UnixMilli()),
		}), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	table, err := s.table(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return s.shown(t, table), nil
}

// changeTable is tables.patch and tables.update.
func (s *Server) changeTable(r *request) (any, error) {
	body, err := r.decode(new(bq.Table))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := r.tableRef()
	table, err := s.table(r.Context(), t)
	if err != nil {
		return nil, err
	}
	if err := r.ifMatch(s.shown(t, table).Etag); err != nil {
		return nil, err
	}
	if err := s.cfg.Engine.Do(r.Context(), r.Method, t.project, t.path(), json.RawMessage(body), nil); err != nil {
		return nil, err
	}
	if table, err = s.table(r.Context(), t); err != nil {
		return nil, err
	}
	return s.shown(t, table), nil
}

func (s *Server) deleteTable(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := r.tableRef()
	if _, err := s.table(r.Context(), t); err != nil {
		return nil, err
	}
	return nil, s.cfg.Engine.Do(r.Context(), http.MethodDelete, t.project, t.path(), nil, nil)
}

func (s *Server) insertRows(r *request) (any, error) {
	body, err := r.decode(new(bq.TableDataInsertAllRequest))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := r.tableRef()
	if _, err := s.table(r.Context(), t); err != nil {
		return nil, err
	}
	var out map[string]any
	if err := s.cfg.Engine.Do(r.Context(), http.MethodPost, t.project, t.path()+"/insertAll", json.RawMessage(body), &out); err != nil {
		return nil, invalid("%s", err)
	}
	out["kind"] = "bigquery#tableDataInsertAllResponse"
	return out, nil
}

// listRows reads a table or the anonymous table that holds the result of a query.
func (s *Server) listRows(r *request) (any, error) {
	t := r.tableRef()
	int64Times := r.FormValue("formatOptions.useInt64Timestamp") == "true"
	result, ok := s.jobs.anonymous(t)
	total := 0
	if ok {
		total = len(result.Rows)
	} else {
		s.mu.Lock()
		table, err := s.table(r.Context(), t)
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		total = int(table.NumRows)
	}
	start, end, next, err := r.window(total)
	if err != nil {
		return nil, err
	}
	rows := []json.RawMessage{}
	switch {
	case ok:
		rows = encodeRows(result, start, end, int64Times)
	case end > start:
		result, err := s.cfg.Engine.Query(r.Context(), ast.Query{
			Project: t.project, ReadOnly: true,
			SQL: fmt.Sprintf("SELECT * FROM %s LIMIT %d OFFSET %d", t.sql(), end-start, start),
		})
		if err != nil {
			return nil, err
		}
		rows = encodeRows(result, 0, len(result.Rows), int64Times)
	}
	answer := map[string]any{
		"kind": "bigquery#tableDataList", "etag": newEtag(), "totalRows": fmt.Sprint(total), "rows": rows,
	}
	if next != "" {
		answer["pageToken"] = next
	}
	return answer, nil
}

// isSystemView reports whether a path names an INFORMATION_SCHEMA view.
func isSystemView(p ast.Path) bool {
	for _, part := range p {
		if strings.EqualFold(part, "INFORMATION_SCHEMA") {
			return true
		}
	}
	return false
}
