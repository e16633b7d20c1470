// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bigquery is the BigQuery v2 API as far as remote models need it. It owns
// jobs, datasets and models, evaluates ML.PREDICT, and leaves tables and plain SQL
// to an [Engine].
package bigquery

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

// Engine parses and runs plain SQL and keeps tables.
type Engine interface {
	Parse(sql string) (*ast.Script, error)
	// Infer tells the types of the positional parameters of a statement, none of
	// which is declared.
	Infer(sql string, tables []ast.Table) ([]string, error)
	Query(ctx context.Context, q ast.Query) (*ast.Result, error)
	// Do sends a BigQuery v2 request for datasets or tables; path starts after the
	// project.
	Do(ctx context.Context, method, project, path string, in, out any) error
}

// Connections finds the service account of a connection.
type Connections interface {
	Account(projectIDOrNumber, location, id string) (email string, ok bool)
	// Ensure answers the account of a connection, which it makes if there is none.
	Ensure(projectID, location, id string) (email string)
}

// Permissions answers whether a member may use a permission in a project now.
type Permissions interface {
	Allowed(projectID, member, permission string) bool
	// Grant gives a member a role in a project, unless it has it.
	Grant(projectID, role, member string)
}

// Endpoint is what BigQuery looks at before it uses a Vertex AI endpoint.
type Endpoint struct {
	// Dedicated endpoints do not answer on the shared DNS name.
	Dedicated bool
	// Deployed says that at least one model is deployed.
	Deployed bool
}

// Vertex reaches Vertex AI endpoints by their full resource name. Errors carry a
// gRPC status.
type Vertex interface {
	Endpoint(ctx context.Context, name string) (Endpoint, error)
	Predict(ctx context.Context, name string, instances []*structpb.Value, parameters *structpb.Value) ([]*structpb.Value, error)
}

// Config is what a Server needs.
type Config struct {
	// Addr is the emulator's "host:port", for links in answers.
	Addr        string
	Projects    *project.Registry
	Clock       clock.Clock
	Assume      assume.Set
	Engine      Engine
	Connections Connections
	Permissions Permissions
	Vertex      Vertex
	Effects     Effects // nil: nobody counts
	// JobLatency is how long a job runs before it has an effect.
	JobLatency time.Duration
}

// Server is the API. It is an http.Handler for the paths under /bigquery/v2/,
// /projects/, /upload/bigquery/v2/ and /$discovery/.
type Server struct {
	cfg     Config
	mux     *http.ServeMux
	jobs    jobs
	scratch scratch
	uploads uploads
	scripts scripts

	sessions sessions

	// mu guards datasets and everything below them. It is held across calls to the
	// engine that make or drop a dataset or table, so that the two stay in step.
	mu       sync.Mutex
	datasets map[datasetKey]*dataset
}

// New returns a server without datasets. Jobs run until they end or [Server.Close]
// is called, whatever becomes of the client that started them.
func New(cfg Config) *Server {
	if cfg.Effects == nil {
		cfg.Effects = noEffects{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		cfg:      cfg,
		mux:      http.NewServeMux(),
		jobs:     jobs{ctx: ctx, cancel: cancel, byKey: map[jobKey]*job{}, byRequest: map[string]*job{}},
		uploads:  uploads{byID: map[string]*upload{}},
		scripts:  scripts{clock: cfg.Clock},
		sessions: sessions{byID: map[string]*session{}},
		datasets: map[datasetKey]*dataset{},
	}
	s.routes()
	return s
}

// Close cancels the jobs that run and waits for them.
func (s *Server) Close() {
	s.jobs.cancel()
	s.jobs.running.Wait()
}

// handler answers one method: a value to send as JSON (nil: 204) or an error.
type handler func(r *request) (any, error)

// request is one call, its project resolved.
type request struct {
	*http.Request
	project string // the id
}

// method is one method of the API: what serves it and what a discovery document
// says of it.
type method struct {
	id    string // "datasets.list"
	route string // HTTP method and path
	query string // query parameters, "name:type" each
	serve handler
}

func (s *Server) methods() []method {
	const (
		datasets = "/projects/{projectId}/datasets"
		dataset  = datasets + "/{datasetId}"
		tables   = dataset + "/tables"
		table    = tables + "/{tableId}"
		models   = dataset + "/models"
		model    = models + "/{modelId}"
		jobs     = "/projects/{projectId}/jobs"
		job      = jobs + "/{jobId}"
		queries  = "/projects/{projectId}/queries"
		page     = "maxResults:integer pageToken:string "
		format   = "formatOptions.useInt64Timestamp:boolean formatOptions.timestampOutputFormat:string startIndex:string "
		version  = "accessPolicyVersion:integer "
	)
	return []method{
		{"datasets.list", "GET " + datasets, page + "all:boolean filter:string", s.listDatasets},
		{"datasets.insert", "POST " + datasets, version, s.insertDataset},
		{"datasets.get", "GET " + dataset, version + "datasetView:string", s.getDataset},
		{"datasets.patch", "PATCH " + dataset, version + "updateMode:string", s.patchDataset},
		{"datasets.update", "PUT " + dataset, version + "updateMode:string", s.updateDataset},
		{"datasets.delete", "DELETE " + dataset, "deleteContents:boolean", s.deleteDataset},
		{"tables.list", "GET " + tables, page, s.listTables},
		{"tables.insert", "POST " + tables, "", s.insertTable},
		{"tables.get", "GET " + table, "selectedFields:string view:string", s.getTable},
		{"tables.patch", "PATCH " + table, "autodetect_schema:boolean", s.changeTable},
		{"tables.update", "PUT " + table, "autodetect_schema:boolean", s.changeTable},
		{"tables.delete", "DELETE " + table, "", s.deleteTable},
		{"tabledata.insertAll", "POST " + table + "/insertAll", "", s.insertRows},
		{"tabledata.list", "GET " + table + "/data", page + format + "selectedFields:string", s.listRows},
		{"models.list", "GET " + models, page, s.listModels},
		{"models.get", "GET " + model, "", s.getModel},
		{"models.patch", "PATCH " + model, "", s.patchModel},
		{"models.delete", "DELETE " + model, "", s.deleteModel},
		{"jobs.list", "GET " + jobs, page + "allUsers:boolean maxCreationTime:string minCreationTime:string parentJobId:string projection:string stateFilter:string*", s.listJobs},
		{"jobs.insert", "POST " + jobs, "", s.insertJob},
		{"jobs.get", "GET " + job, "location:string", s.getJob},
		{"jobs.cancel", "POST " + job + "/cancel", "location:string", s.cancelJob},
		{"jobs.delete", "DELETE " + job + "/delete", "location:string", s.deleteJob},
		{"jobs.query", "POST " + queries, "", s.query},
		{"jobs.getQueryResults", "GET " + queries + "/{jobId}", page + format + "location:string timeoutMs:integer", s.queryResults},
	}
}

func (s *Server) routes() {
	for _, m := range s.methods() {
		s.mux.Handle(m.route, s.handle(m.serve))
	}
	s.mux.HandleFunc("POST /upload/projects/{projectId}/jobs", s.upload)
	s.mux.HandleFunc("PUT /upload/projects/{projectId}/jobs", s.upload)
	s.mux.HandleFunc("GET /$discovery/rest", s.discovery)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		(&apiError{http.StatusNotFound, "notFound", fmt.Sprintf("The emulator has no BigQuery method %s %s.", r.Method, r.URL.Path), ""}).write(w)
	})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context())
	if override := r.Header.Get("X-HTTP-Method-Override"); override != "" && r.Method == http.MethodPost {
		r.Method = strings.ToUpper(override)
	}
	r.URL.RawPath = ""
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/resumable")
	for _, prefix := range []string{"", "/upload"} {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix+"/bigquery/v2/"); ok {
			r.URL.Path = prefix + "/" + rest
		}
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.cfg.Projects.Lookup(r.PathValue("projectId"))
		if err != nil {
			notFound("Project %s: %v", r.PathValue("projectId"), err).write(w)
			return
		}
		answer, err := h(&request{Request: r, project: p.ID})
		switch {
		case err != nil:
			asAPIError(r.Context(), err).write(w)
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, answer)
		}
	})
}

// decode reads the JSON body; a field that the API does not have is an error.
func (r *request) decode(into any) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, invalid("The request could not be read: %v.", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return nil, invalid("Invalid JSON payload received. %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return data, nil
}

// number reads a numeric query parameter; absent is -1.
func (r *request) number(name string) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("Invalid value %q for %s.", text, name)
	}
	return n, nil
}

// window finds the part of n elements that maxResults, pageToken and startIndex
// ask for and the token of the next page. A token is the index of its first
// element.
func (r *request) window(n int) (start, end int, next string, err error) {
	size, err := r.number("maxResults")
	if err != nil {
		return 0, 0, "", err
	}
	name := "pageToken"
	if r.FormValue(name) == "" {
		name = "startIndex"
	}
	if start, err = r.number(name); err != nil {
		return 0, 0, "", err
	}
	start = min(max(start, 0), n)
	end = n
	if size >= 0 && start+size < n {
		end = start + size
		next = strconv.Itoa(end)
	}
	return start, end, next, nil
}

// ifMatch checks the If-Match header against an etag.
func (r *request) ifMatch(etag string) error {
	if want := r.Header.Get("If-Match"); want != "" && want != "*" && want != etag {
		return conditionNotMet()
	}
	return nil
}

func (s *Server) link(format string, args ...any) string {
	return "http://" + s.cfg.Addr + "/bigquery/v2" + fmt.Sprintf(format, args...)
}

func newEtag() string { return rand.Text()[:22] + "==" }

// merge applies a JSON merge patch (RFC 7396) to a resource. Fields of the patch
// that are not in allowed are output only and change nothing.
func merge[T any](resource *T, patch []byte, allowed ...string) (*T, error) {
	current := map[string]any{}
	if err := convert(resource, &current); err != nil {
		return nil, err
	}
	var changes map[string]any
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, invalid("Invalid JSON payload received. %v", err)
	}
	for _, field := range allowed {
		if value, ok := changes[field]; ok {
			mergeValue(current, field, value)
		}
	}
	out := new(T)
	return out, convert(current, out)
}

func mergeValue(into map[string]any, field string, value any) {
	switch value := value.(type) {
	case nil:
		delete(into, field)
	case map[string]any:
		inner, ok := into[field].(map[string]any)
		if !ok {
			inner = map[string]any{}
		}
		inner = maps.Clone(inner)
		for k, v := range value {
			mergeValue(inner, k, v)
		}
		into[field] = inner
	default:
		into[field] = value
	}
}

// convert copies by way of JSON.
func convert(from, into any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}

// tableRef is a table's or model's full name.
type tableRef struct{ project, dataset, table string }

func (t tableRef) String() string { return t.project + ":" + t.dataset + "." + t.table }

// sql is the name as an identifier in SQL.
func (t tableRef) sql() string { return quote(t.project + "." + t.dataset + "." + t.table) }

func (t tableRef) key() datasetKey { return datasetKey{t.project, t.dataset} }

func (t tableRef) reference() *bq.TableReference {
	return &bq.TableReference{ProjectId: t.project, DatasetId: t.dataset, TableId: t.table}
}

// quote writes an identifier in backticks.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`", "\n", "\\n", "\r", "\\r").Replace(name) + "`"
}
