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
	"sync"
	"sync/atomic"

	"github.com/goccy/bigquery-emulator/server"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// Engine is a running SQL engine with a database of its own in memory.
type Engine struct {
	server *server.Server
	base   string // "http://127.0.0.1:port"
	client *http.Client
	served chan error

	mu       sync.Mutex
	projects map[string]bool
}

// databases numbers the in-memory databases of this process, so that two engines
// do not share one.
var databases atomic.Int64

// Start starts an engine; Close stops it.
func Start(ctx context.Context) (*Engine, error) {
	if err := initParser(); err != nil {
		return nil, fmt.Errorf("load the SQL parser: %w", err)
	}
	inner, err := server.New(server.Storage(fmt.Sprintf("file:gcpml-%d?mode=memory&cache=shared", databases.Add(1))))
	if err != nil {
		return nil, fmt.Errorf("open the SQL engine: %w", err)
	}
	e := &Engine{
		server:   inner,
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		served:   make(chan error, 1),
		projects: map[string]bool{},
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
	err := e.server.Stop(ctx)
	e.client.CloseIdleConnections()
	for _, err := range []error{err, <-e.served} {
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("stop the SQL engine: %w", err)
		}
	}
	return nil
}

// Do sends one BigQuery v2 request to the engine: path starts after
// "/bigquery/v2/projects/" with the project. A nil in sends no body; a nil out
// drops the answer. An answer other than 2xx is an *ast.Error.
func (e *Engine) Do(ctx context.Context, method, project, path string, in, out any) error {
	if err := e.ensureProject(project); err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode a request to the SQL engine: %w", err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, e.base+"/bigquery/v2/projects/"+project+path, body)
	if err != nil {
		return err
	}
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
		return &ast.Error{Status: response.StatusCode, Message: Message(failed.Error.Message)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("decode the SQL engine's answer: %w", err)
	}
	return nil
}

func (e *Engine) ensureProject(project string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.projects[project] {
		return nil
	}
	if err := e.server.SetProject(project); err != nil {
		return fmt.Errorf("make a project in the SQL engine: %w", err)
	}
	e.projects[project] = true
	return nil
}

// Query runs one statement. A read-only statement leaves no trace.
func (e *Engine) Query(ctx context.Context, q ast.Query) (*ast.Result, error) {
	in := map[string]any{
		"query":         q.SQL,
		"useLegacySql":  false,
		"dryRun":        q.ReadOnly,
		"formatOptions": map[string]any{"useInt64Timestamp": true},
	}
	if q.Dataset != "" {
		in["defaultDataset"] = map[string]any{"projectId": q.DatasetProject, "datasetId": q.Dataset}
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
	if err := e.Do(ctx, http.MethodPost, q.Project, "/queries", in, &out); err != nil {
		return nil, err
	}
	if !q.ReadOnly {
		// The statement has happened; what is left of its job inside the engine
		// only costs memory, so a failure to delete it is of no consequence.
		_ = e.Do(context.WithoutCancel(ctx), http.MethodDelete, q.Project, "/jobs/"+out.JobReference.JobID+"/delete", nil, nil)
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
