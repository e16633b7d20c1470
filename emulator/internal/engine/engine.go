// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package engine runs GoogleSQL. It is the only package that knows
// github.com/goccy/bigquery-emulator, which executes statements, and
// github.com/goccy/go-googlesql, which parses them.
//
// The execution engine is an HTTP server of its own behind a loopback port; it
// serves one request at a time. What the BigQuery front must know about it:
//
//   - A dry run is executed and rolled back, but tables that it created or
//     dropped stay so in its catalog: never dry-run DDL.
//   - A failed CREATE TABLE in a dataset that does not exist leaves a table that
//     nobody can drop: check the dataset first.
//   - A job that is not a dry run is stored for ever: it is deleted here.
package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/goccy/bigquery-emulator/server"
	"github.com/ncruces/go-sqlite3/vfs/memdb"
	"google.golang.org/grpc"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// Engine is a running SQL engine with a database of its own in memory.
type Engine struct {
	server *server.Server
	base   string // "http://127.0.0.1:port"
	client *http.Client
	served chan error

	names    names
	database string
}

// databases numbers the in-memory databases of this process, so that two engines
// do not share one.
var databases atomic.Int64

// Start starts an engine; Close stops it.
func Start(ctx context.Context) (*Engine, error) {
	if err := initParser(); err != nil {
		return nil, fmt.Errorf("load the SQL parser: %w", err)
	}
	// A database that SQLite itself keeps in memory is another one for each
	// connection; this one all connections share.
	database := fmt.Sprintf("gcpml-%d", databases.Add(1))
	memdb.Create(database, nil)
	inner, err := server.New(server.Storage("file:/" + database + "?vfs=memdb&_pragma=busy_timeout(60000)"))
	if err != nil {
		memdb.Delete(database)
		return nil, fmt.Errorf("open the SQL engine: %w", err)
	}
	if err := inner.SetProject(home); err != nil {
		memdb.Delete(database)
		return nil, errors.Join(fmt.Errorf("make a project in the SQL engine: %w", err), inner.Close())
	}
	e := &Engine{
		server:   inner,
		database: database,
		names:    names{datasets: map[string]bool{}, spelled: map[string]named{}, views: map[string]string{}},
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		served:   make(chan error, 1),
	}
	listening := make(chan string, 1)
	inner.SetListenCallback(func(httpAddr, _ string) { listening <- httpAddr })
	go func() { e.served <- inner.Serve(context.WithoutCancel(ctx), "127.0.0.1:0", "127.0.0.1:0") }()
	select {
	case addr := <-listening:
		e.base = "http://" + addr
		return e, nil
	case err := <-e.served:
		return nil, fmt.Errorf("start the SQL engine: %w", err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops the engine and drops its data.
func (e *Engine) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody is left to wait for
	defer memdb.Delete(e.database)
	err := e.server.Stop(ctx)
	e.client.CloseIdleConnections()
	for _, err := range []error{err, <-e.served} {
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("stop the SQL engine: %w", err)
		}
	}
	return nil
}

// Do sends one BigQuery v2 request to the engine: path starts after
// "/bigquery/v2/projects/" with the project. A nil in sends no body; a nil out
// drops the answer. An answer other than 2xx is an *ast.Error.
func (e *Engine) Do(ctx context.Context, method, project, path string, in, out any) error {
	var body any
	if in != nil {
		if err := convert(in, &body); err != nil {
			return fmt.Errorf("encode a request to the SQL engine: %w", err)
		}
	}
	resource, _ := body.(map[string]any)
	rest, named := strings.CutPrefix(path, "/datasets")
	dataset, rest, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	dataset, parameters, _ := strings.Cut(dataset, "?")
	made := named && dataset == "" && method == http.MethodPost
	if made {
		reference, _ := resource["datasetReference"].(map[string]any)
		dataset, _ = reference["datasetId"].(string)
	} else if named && dataset != "" {
		path = "/datasets/" + url.PathEscape(e.names.inner(project, dataset))
		if rest != "" {
			path += "/" + rest
		}
		if parameters != "" {
			path += "?" + parameters
		}
	}
	shown := viewQuery(resource)
	if err := e.rename(project, dataset, resource); err != nil {
		return err
	}
	var answer any
	if err := e.send(ctx, method, path, body, &answer); err != nil {
		return err
	}
	switch table := tableOf(resource); {
	case made:
		e.names.add(project, dataset)
	case named && rest == "" && method == http.MethodDelete:
		e.names.remove(project, dataset)
	case shown != "" && table != "":
		e.names.viewed(inner(project, dataset)+"."+table, shown)
	}
	e.names.restore(answer)
	if out == nil || answer == nil {
		return nil
	}
	if err := convert(answer, out); err != nil {
		return fmt.Errorf("decode the SQL engine's answer: %w", err)
	}
	return nil
}

// rename puts the engine's names into a dataset or table that is sent to it.
func (e *Engine) rename(project, dataset string, resource map[string]any) error {
	for _, field := range []string{"datasetReference", "tableReference"} {
		if reference, ok := resource[field].(map[string]any); ok {
			reference["projectId"] = home
			reference["datasetId"] = e.names.inner(project, dataset)
		}
	}
	view, ok := resource["view"].(map[string]any)
	if !ok {
		return nil
	}
	query, err := e.names.qualify(ast.Query{Project: project, SQL: viewQuery(resource)})
	if err != nil {
		return err
	}
	view["query"] = query.sql
	return nil
}

func viewQuery(table map[string]any) string {
	view, _ := table["view"].(map[string]any)
	query, _ := view["query"].(string)
	return query
}

// tableOf is the id in a table's reference.
func tableOf(table map[string]any) string {
	reference, _ := table["tableReference"].(map[string]any)
	id, _ := reference["tableId"].(string)
	return id
}

// convert copies by way of JSON.
func convert(from, into any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return decode(data, into)
}

func decode(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}

// send sends a request as it is.
func (e *Engine) send(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode a request to the SQL engine: %w", err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, e.base+"/bigquery/v2/projects/"+home+path, body)
	if err != nil {
		return err
	}
	defer exclusively()()
	response, err := e.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the SQL engine: %w", err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the SQL engine's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		var failed struct {
			Error struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if json.Unmarshal(data, &failed) != nil || failed.Error.Message == "" {
			failed.Error.Message = string(data)
		}
		return &ast.Error{Status: response.StatusCode, Message: e.names.outer(Message(failed.Error.Message))}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if err := decode(data, out); err != nil {
		return fmt.Errorf("decode the SQL engine's answer: %w", err)
	}
	return nil
}

// Query runs one statement. A read-only statement leaves no trace.
func (e *Engine) Query(ctx context.Context, q ast.Query) (*ast.Result, error) {
	text, err := e.names.qualify(q)
	if err != nil {
		return nil, err
	}
	result, err := e.query(ctx, q, text.sql)
	if err != nil {
		if failed, ok := errors.AsType[*ast.Error](err); ok {
			failed.Message = placed.ReplaceAllStringFunc(failed.Message, func(at string) string {
				var line, column int
				if _, err := fmt.Sscanf(at, " at [%d:%d]", &line, &column); err != nil {
					return at
				}
				line, column = text.origin(line, column)
				return fmt.Sprintf(" at [%d:%d]", line, column)
			})
		}
		return nil, err
	}
	if text.system {
		e.names.reveal(result, q.Project)
	}
	if text.view != "" && !q.ReadOnly {
		e.names.viewed(text.view, text.query)
	}
	return result, nil
}

func (e *Engine) query(ctx context.Context, q ast.Query, sql string) (*ast.Result, error) {
	in := map[string]any{
		"query":         sql,
		"useLegacySql":  false,
		"dryRun":        q.ReadOnly,
		"formatOptions": map[string]any{"useInt64Timestamp": true},
	}
	if q.Dataset != "" {
		in["defaultDataset"] = map[string]any{"projectId": home, "datasetId": inner(q.DatasetProject, q.Dataset)}
	}
	if len(q.Parameters) > 0 {
		in["queryParameters"] = q.Parameters
		in["parameterMode"] = "NAMED"
		if q.Positional {
			in["parameterMode"] = "POSITIONAL"
		}
	}
	var out struct {
		JobReference struct {
			JobID string `json:"jobId"`
		} `json:"jobReference"`
		Schema struct {
			Fields []*ast.Field `json:"fields"`
		} `json:"schema"`
		Rows []struct {
			F []struct {
				V any `json:"v"`
			} `json:"f"`
		} `json:"rows"`
	}
	if err := e.send(ctx, http.MethodPost, "/queries", in, &out); err != nil {
		return nil, err
	}
	if !q.ReadOnly {
		// The statement has happened; what is left of its job inside the engine
		// only costs memory, so a failure to delete it is of no consequence.
		_ = e.send(context.WithoutCancel(ctx), http.MethodDelete, "/jobs/"+out.JobReference.JobID+"/delete", nil, nil)
	}
	result := &ast.Result{Fields: out.Schema.Fields, Rows: make([][]any, len(out.Rows))}
	for i, row := range out.Rows {
		result.Rows[i] = make([]any, len(row.F))
		for j, cell := range row.F {
			result.Rows[i][j] = cell.V
		}
	}
	return result, nil
}
