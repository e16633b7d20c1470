// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	// Registers the codec that rawCodec extends.
	_ "google.golang.org/grpc/encoding/proto"
)

const (
	dataset, table = "bench", "result"
	// maxPage is the most rows of a page: about the 10 MB that BigQuery sends at most.
	maxPage = 50_000
	// restOnly is a project whose sessions are refused, so that its rows have to be
	// read page by page.
	restOnly = "rest-only"
)

// server answers as BigQuery does, with bytes that were made beforehand: what is left
// to measure is the client. Any statement has the rows of data as its result, but
// "SELECT 1", which has one row.
type server struct {
	storagepb.UnimplementedBigQueryReadServer
	data *data
	rows int
	addr string

	mu   sync.Mutex
	jobs map[string]*job
}

type job struct {
	body map[string]any // the job resource
	one  bool           // SELECT 1
}

// serve answers on a free port of the loopback until the process ends.
func serve(rows int, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &server{data: newData(), rows: rows, addr: listener.Addr().String(), jobs: map[string]*job{}}
	rpc := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{encoding.GetCodecV2("proto")}))
	storagepb.RegisterBigQueryReadServer(rpc, s)
	rest := s.routes()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	fmt.Fprintln(out, s.addr)
	return (&http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // on loopback, for minutes
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			rpc.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})}).Serve(listener)
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"/bigquery/v2/projects/{project}", "/projects/{project}"} {
		mux.HandleFunc("POST "+prefix+"/jobs", s.insert)
		mux.HandleFunc("GET "+prefix+"/jobs/{job}", s.get)
		mux.HandleFunc("POST "+prefix+"/queries", s.query)
		mux.HandleFunc("GET "+prefix+"/queries/{job}", func(w http.ResponseWriter, r *http.Request) { s.page(w, r, r.PathValue("job")) })
	}
	mux.HandleFunc("GET /$discovery/rest", s.discovery)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(v)
}

// add makes a job that is done.
func (s *server) add(project, id, sql string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		id = fmt.Sprintf("job_%d", len(s.jobs))
	}
	j := &job{one: strings.TrimSpace(sql) == "SELECT 1", body: map[string]any{
		"kind": "bigquery#job", "id": project + ":US." + id,
		"jobReference": map[string]any{"projectId": project, "location": "US", "jobId": id},
		"status":       map[string]any{"state": "DONE"},
		"configuration": map[string]any{"jobType": "QUERY", "query": map[string]any{
			"query": sql, "useLegacySql": false, "destinationTable": map[string]any{"projectId": project, "datasetId": dataset, "tableId": table},
		}},
		"statistics": map[string]any{
			"creationTime": "1700000000000", "startTime": "1700000000000", "endTime": "1700000000001", "totalBytesProcessed": "0",
			"query": map[string]any{"statementType": "SELECT", "totalBytesProcessed": "0", "totalBytesBilled": "0", "cacheHit": false},
		},
	}}
	s.jobs[id] = j
	return j
}

func (s *server) insert(w http.ResponseWriter, r *http.Request) {
	var body struct {
		JobReference  struct{ JobID string }
		Configuration struct{ Query struct{ Query string } }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, s.add(r.PathValue("project"), body.JobReference.JobID, body.Configuration.Query.Query).body)
}

func (s *server) find(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	if j := s.find(r.PathValue("job")); j != nil {
		answer(w, j.body)
		return
	}
	http.NotFound(w, r)
}

// query is jobs.query, with which Google's Go client begins.
func (s *server) query(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Query         string
		MaxResults    int
		FormatOptions struct{ UseInt64Timestamp bool }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	j := s.add(r.PathValue("project"), "", body.Query)
	s.write(w, j, 0, body.MaxResults, body.FormatOptions.UseInt64Timestamp)
}

// page is jobs.getQueryResults. A page token is the number of its first row.
func (s *server) page(w http.ResponseWriter, r *http.Request, id string) {
	j := s.find(id)
	if j == nil {
		http.NotFound(w, r)
		return
	}
	start, _ := strconv.Atoi(r.FormValue("pageToken"))
	most := -1
	if text := r.FormValue("maxResults"); text != "" {
		if most, _ = strconv.Atoi(text); most == 0 {
			most = -2 // the client only waits for the end of the job
		}
	}
	s.write(w, j, start, most, r.FormValue("formatOptions.useInt64Timestamp") == "true")
}

func (s *server) write(w http.ResponseWriter, j *job, start, most int, micros bool) {
	total, schema, rows := s.rows, s.data.schema, &s.data.seconds
	if micros {
		rows = &s.data.micros
	}
	if j.one {
		total, schema, rows = 1, oneSchema, &s.data.one
	}
	n := min(total-start, maxPage)
	switch {
	case most == -2:
		n = 0
	case most > 0:
		n = min(n, most)
	}
	ref, _ := json.Marshal(j.body["jobReference"])
	token := ""
	if start+n < total && n > 0 {
		token = fmt.Sprintf(`"pageToken":"%d",`, start+n)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	fmt.Fprintf(w, `{"kind":"bigquery#getQueryResultsResponse","schema":%s,"jobReference":%s,"totalRows":"%d",%s"rows":[`, schema, ref, total, token)
	for written := 0; written < n; {
		if written > 0 {
			_, _ = io.WriteString(w, ",")
		}
		from := (start + written) % rows.len()
		count := min(n-written, rows.len()-from)
		_, _ = w.Write(rows.slice(from, from+count))
		written += count
	}
	_, _ = io.WriteString(w, `],"totalBytesProcessed":"0","jobComplete":true,"cacheHit":false}`)
}

// discovery describes to bq the methods that it calls.
func (s *server) discovery(w http.ResponseWriter, r *http.Request) {
	type object = map[string]any
	document := func(resources object) {
		root := "http://" + s.addr + "/"
		answer(w, object{
			"kind": "discovery#restDescription", "discoveryVersion": "v1", "protocol": "rest", "id": "bigquery:v2", "name": "bigquery", "version": "v2",
			"rootUrl": root, "servicePath": "bigquery/v2/", "baseUrl": root + "bigquery/v2/", "basePath": "/bigquery/v2/", "batchPath": "batch",
			"schemas": object{"Any": object{"id": "Any", "type": "object"}}, "resources": resources,
		})
	}
	if r.FormValue("version") != "v2" {
		document(object{})
		return
	}
	method := func(id, verb, path string, query object) object {
		parameters := maps.Clone(query)
		var order []string
		for _, name := range []string{"projectId", "jobId"} {
			if strings.Contains(path, "{+"+name+"}") {
				parameters[name] = object{"type": "string", "location": "path", "required": true}
				order = append(order, name)
			}
		}
		m := object{"id": id, "httpMethod": verb, "path": path, "parameters": parameters, "parameterOrder": order, "response": object{"$ref": "Any"}}
		if verb == http.MethodPost {
			m["request"] = object{"$ref": "Any"}
		}
		return m
	}
	parameters := func(names ...string) object {
		out := object{}
		for _, name := range names {
			out[name] = object{"type": "string", "location": "query"}
		}
		return out
	}
	insert := method("bigquery.jobs.insert", "POST", "projects/{+projectId}/jobs", object{})
	insert["supportsMediaUpload"] = true // bq asks for the parameter of load jobs
	insert["mediaUpload"] = object{"accept": []string{"*/*"}, "protocols": object{
		"simple": object{"multipart": true, "path": "/upload/bigquery/v2/projects/{+projectId}/jobs"},
	}}
	document(object{"jobs": object{"methods": object{
		"insert":          insert,
		"get":             method("bigquery.jobs.get", "GET", "projects/{+projectId}/jobs/{+jobId}", parameters("location")),
		"query":           method("bigquery.jobs.query", "POST", "projects/{+projectId}/queries", object{}),
		"getQueryResults": method("bigquery.jobs.getQueryResults", "GET", "projects/{+projectId}/queries/{+jobId}", parameters("location", "maxResults", "pageToken", "startIndex", "timeoutMs")),
	}}})
}

// CreateReadSession is of the Storage Read API.
func (s *server) CreateReadSession(_ context.Context, r *storagepb.CreateReadSessionRequest) (*storagepb.ReadSession, error) {
	if strings.HasPrefix(r.GetReadSession().GetTable(), "projects/"+restOnly+"/") {
		return nil, status.Error(codes.PermissionDenied, "the user does not have bigquery.readsessions.create permission")
	}
	return &storagepb.ReadSession{
		Name: "session", Table: r.GetReadSession().GetTable(), DataFormat: storagepb.DataFormat_ARROW,
		Schema:  &storagepb.ReadSession_ArrowSchema{ArrowSchema: &storagepb.ArrowSchema{SerializedSchema: s.data.arrowSchema}},
		Streams: []*storagepb.ReadStream{{Name: "session/streams/0"}},
	}, nil
}

// ReadRows is of the Storage Read API.
func (s *server) ReadRows(r *storagepb.ReadRowsRequest, stream storagepb.BigQueryRead_ReadRowsServer) error {
	if r.GetOffset()%batchRows != 0 {
		return status.Errorf(codes.InvalidArgument, "the offset must be a multiple of %d", batchRows)
	}
	for n := int(r.GetOffset()); n < s.rows; n += batchRows {
		if err := stream.SendMsg(raw(s.data.batches[n/batchRows%len(s.data.batches)])); err != nil {
			return err
		}
	}
	return nil
}

// raw is a message that is marshalled already.
type raw []byte

type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if message, ok := v.(raw); ok {
		return mem.BufferSlice{mem.SliceBuffer(message)}, nil
	}
	return c.CodecV2.Marshal(v)
}
