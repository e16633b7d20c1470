// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	bq "google.golang.org/api/bigquery/v2"
)

// uploads are the resumable uploads that have begun.
type uploads struct {
	mu   sync.Mutex
	byID map[string]*upload
}

type upload struct {
	project string
	job     bq.Job
	content []byte
}

// upload is jobs.insert with a file: in one request (multipart) or in several
// (resumable).
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	p, err := s.cfg.Projects.Lookup(r.PathValue("projectId"))
	if err != nil {
		notFound("Project %s: %v", r.PathValue("projectId"), err).write(w)
		return
	}
	answer, err := s.uploadStep(w, &request{Request: r, project: p.ID})
	switch {
	case err != nil:
		asAPIError(r.Context(), err).write(w)
	case answer != nil:
		writeJSON(w, http.StatusOK, answer)
	}
}

// uploadStep answers the job once its content is complete; else it has written the
// answer itself.
func (s *Server) uploadStep(w http.ResponseWriter, r *request) (*bq.Job, error) {
	switch kind := r.FormValue("uploadType"); {
	case r.FormValue("upload_id") != "":
		return s.resume(w, r)
	case kind == "multipart":
		u := &upload{project: r.project}
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			return nil, invalid("Content-Type: %v.", err)
		}
		parts := multipart.NewReader(r.Body, params["boundary"])
		metadata, err := parts.NextPart()
		if err != nil {
			return nil, invalid("The multipart body could not be read: %v.", err)
		}
		if err := json.NewDecoder(metadata).Decode(&u.job); err != nil {
			return nil, invalid("Invalid JSON payload received. %v", err)
		}
		file, err := parts.NextPart()
		if err == nil {
			u.content, err = io.ReadAll(file)
		}
		if err != nil {
			return nil, invalid("The multipart body could not be read: %v.", err)
		}
		return s.insertLoad(u)
	case kind == "resumable":
		u := &upload{project: r.project}
		if _, err := r.decode(&u.job); err != nil {
			return nil, err
		}
		id := rand.Text()
		s.uploads.mu.Lock()
		s.uploads.byID[id] = u
		s.uploads.mu.Unlock()
		w.Header().Set("Location", fmt.Sprintf("http://%s/upload/bigquery/v2/projects/%s/jobs?uploadType=resumable&upload_id=%s", r.Host, r.project, id))
		w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	return nil, invalid("uploadType must be multipart or resumable.")
}

var contentRange = regexp.MustCompile(`^bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$`)

// resume takes the next chunk of a resumable upload.
func (s *Server) resume(w http.ResponseWriter, r *request) (*bq.Job, error) {
	id := r.FormValue("upload_id")
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	u, ok := s.uploads.byID[id]
	if !ok || u.project != r.project {
		return nil, notFound("Upload %s", id)
	}
	chunk, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, invalid("The request could not be read: %v.", err)
	}
	complete := true
	if header := r.Header.Get("Content-Range"); header != "" {
		m := contentRange.FindStringSubmatch(header)
		if m == nil || m[1] != "" && m[1] != strconv.Itoa(len(u.content)) {
			return nil, invalid("Content-Range %q does not go on where the upload is, at byte %d.", header, len(u.content))
		}
		complete = m[3] == strconv.Itoa(len(u.content)+len(chunk))
	}
	u.content = append(u.content, chunk...)
	if !complete {
		if len(u.content) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(u.content)-1))
		}
		// 308 is "Resume Incomplete" in this protocol. A client that would take it for
		// a redirect asks for another form.
		if r.Header.Get("X-GUploader-No-308") == "yes" {
			w.Header().Set("X-Http-Status-Code-Override", "308")
			w.WriteHeader(http.StatusOK)
		} else {
			w.WriteHeader(http.StatusPermanentRedirect)
		}
		return nil, nil
	}
	delete(s.uploads.byID, id)
	return s.insertLoad(u)
}

func (s *Server) insertLoad(u *upload) (*bq.Job, error) {
	if u.job.Configuration == nil || u.job.Configuration.Load == nil {
		return nil, invalid("A job with a file needs configuration.load.")
	}
	j, err := s.newJob(u.project, u.job.JobReference, u.job.Configuration)
	if err != nil {
		return nil, err
	}
	j.content = u.content
	s.start(j)
	return s.resource(j), nil
}

// load runs a load job: all of the file or nothing.
func (x *execution) load(ctx context.Context) (outcome, error) {
	load := x.job.config.Load
	ref := load.DestinationTable
	if ref == nil {
		return outcome{}, invalid("Required parameter is missing: configuration.load.destinationTable")
	}
	t := tableRef{ref.ProjectId, ref.DatasetId, ref.TableId}
	if t.project == "" {
		t.project = x.project
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d, err := x.here(t.key())
	if err != nil {
		return outcome{}, err
	}
	if x.model(d, t.table) != nil {
		return outcome{}, duplicate("Model %s", t)
	}
	old, err := x.tableOfDataset(ctx, t)
	if failed := asAPIError(ctx, err); failed != nil && failed.Reason != "notFound" {
		return outcome{}, err
	}
	exists := old != nil
	schema := load.Schema
	if schema == nil && exists {
		schema = old.Schema
	}
	rows, schema, err := parseFile(load, schema, x.job.content)
	if err != nil {
		return outcome{}, err
	}
	switch {
	case !exists && load.CreateDisposition == "CREATE_NEVER":
		return outcome{}, notFound("Table %s", t)
	case exists && load.WriteDisposition == "WRITE_EMPTY" && old.NumRows > 0:
		return outcome{}, duplicate("Table %s", t)
	case exists && strings.HasPrefix(load.WriteDisposition, "WRITE_TRUNCATE"):
		if err := x.cfg.Engine.Do(ctx, http.MethodDelete, t.project, t.path(), nil, nil); err != nil {
			return outcome{}, err
		}
		exists = false
	}
	if !exists {
		table := bq.Table{TableReference: t.reference(), Schema: schema}
		if err := x.cfg.Engine.Do(ctx, http.MethodPost, t.project, "/datasets/"+t.dataset+"/tables", table, nil); err != nil {
			return outcome{}, err
		}
	}
	for start := 0; start < len(rows); start += 500 {
		var request bq.TableDataInsertAllRequest
		for _, row := range rows[start:min(start+500, len(rows))] {
			request.Rows = append(request.Rows, &bq.TableDataInsertAllRequestRows{Json: row})
		}
		if err := x.cfg.Engine.Do(ctx, http.MethodPost, t.project, t.path()+"/insertAll", request, nil); err != nil {
			return outcome{}, err
		}
	}
	return outcome{loaded: &bq.JobStatistics3{
		InputFiles: 1, InputFileBytes: int64(len(x.job.content)), OutputRows: int64(len(rows)), OutputBytes: int64(len(x.job.content)),
		ForceSendFields: []string{"OutputRows"},
	}}, nil
}

type loadedRow = map[string]bq.JsonValue

// parseFile reads the rows of a CSV or newline-delimited JSON file and, unless it
// is given, works its schema out.
func parseFile(load *bq.JobConfigurationLoad, schema *bq.TableSchema, content []byte) ([]loadedRow, *bq.TableSchema, error) {
	if load.Encoding != "" && load.Encoding != "UTF-8" {
		return nil, nil, notImplemented("files in the encoding %s", load.Encoding)
	}
	if schema == nil && !load.Autodetect {
		return nil, nil, invalid("No schema specified on job or table.")
	}
	switch load.SourceFormat {
	case "", "CSV":
		return parseCSV(load, schema, content)
	case "NEWLINE_DELIMITED_JSON":
		return parseJSONLines(load, schema, content)
	}
	return nil, nil, notImplemented("files of the format %s", load.SourceFormat)
}

func parseCSV(load *bq.JobConfigurationLoad, schema *bq.TableSchema, content []byte) ([]loadedRow, *bq.TableSchema, error) {
	reader := csv.NewReader(bytes.NewReader(content))
	reader.FieldsPerRecord = -1
	switch d := load.FieldDelimiter; {
	case d == "\\t" || d == "\t":
		reader.Comma = '\t'
	case len(d) == 1:
		reader.Comma = rune(d[0])
	case d != "":
		return nil, nil, invalid("The field delimiter %q is not one character.", d)
	}
	records, err := reader.ReadAll()
	if err != nil {
		return nil, nil, invalid("Error while reading data, error message: %v", err)
	}
	skip := int(load.SkipLeadingRows)
	if schema == nil {
		schema, skip = detectCSV(records, skip)
	}
	var rows []loadedRow
	for i, record := range records {
		if i < skip {
			continue
		}
		if len(record) != len(schema.Fields) {
			return nil, nil, invalid("Error while reading data, error message: CSV row %d has %d columns; the table has %d.", i+1, len(record), len(schema.Fields))
		}
		row := loadedRow{}
		for n, text := range record {
			f := schema.Fields[n]
			if text == load.NullMarker && (text != "" || f.Type != "STRING") {
				continue
			}
			value, ok := cellFromText(f.Type, text)
			if !ok {
				return nil, nil, invalid("Error while reading data, error message: Could not parse '%s' as %s for field %s (position %d) in row %d.", text, f.Type, f.Name, n, i+1)
			}
			row[f.Name] = value
		}
		rows = append(rows, row)
	}
	return rows, schema, nil
}

// cellFromText turns the text of a CSV field into what the engine takes.
func cellFromText(typ, text string) (bq.JsonValue, bool) {
	switch typ {
	case "INTEGER", "INT64":
		_, err := strconv.ParseInt(text, 10, 64)
		return text, err == nil
	case "FLOAT", "FLOAT64":
		n, err := strconv.ParseFloat(text, 64)
		return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	case "BOOLEAN", "BOOL":
		switch strings.ToLower(text) {
		case "true", "t", "yes", "y", "1":
			return true, true
		case "false", "f", "no", "n", "0":
			return false, true
		}
		return nil, false
	}
	return text, true
}

// detectCSV works a schema out: the narrowest of INT64, FLOAT64, BOOL and STRING
// that all values of a column are. The first row is a header if it is text where
// other rows are not, or if the caller skips it.
func detectCSV(records [][]string, skip int) (*bq.TableSchema, int) {
	if len(records) == 0 {
		return &bq.TableSchema{}, 0
	}
	header := records[max(skip-1, 0)]
	types := func(rows [][]string) []string {
		out := make([]string, len(header))
		for n := range out {
			out[n] = "STRING"
			for _, typ := range []string{"INTEGER", "FLOAT", "BOOLEAN"} {
				all := len(rows) > 0
				for _, row := range rows {
					if n < len(row) && row[n] != "" {
						_, ok := cellFromText(typ, row[n])
						word := strings.ToLower(row[n])
						all = all && ok && (typ != "BOOLEAN" || word == "true" || word == "false")
					}
				}
				if all {
					out[n] = typ
					break
				}
			}
		}
		return out
	}
	hasHeader := skip > 0
	rest := types(records[max(skip, 1):])
	if !hasHeader {
		first := types(records[:1])
		for n := range rest {
			hasHeader = hasHeader || rest[n] != "STRING"
			if first[n] != "STRING" {
				hasHeader = false
				break
			}
		}
	}
	schema := &bq.TableSchema{}
	if !hasHeader {
		rest = types(records)
	}
	for n, typ := range rest {
		name := fmt.Sprintf("%s_field_%d", strings.ToLower(typ), n)
		if hasHeader {
			name = notInName.ReplaceAllString(header[n], "_")
		}
		schema.Fields = append(schema.Fields, &bq.TableFieldSchema{Name: name, Type: typ})
	}
	if hasHeader {
		return schema, max(skip, 1)
	}
	return schema, 0
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_]`)

func parseJSONLines(load *bq.JobConfigurationLoad, schema *bq.TableSchema, content []byte) ([]loadedRow, *bq.TableSchema, error) {
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	var rows []loadedRow
	var order []string
	types := map[string]string{}
	for {
		row := loadedRow{}
		err := dec.Decode(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, invalid("Error while reading data, error message: JSON parsing error in row %d: %v", len(rows)+1, err)
		}
		rows = append(rows, row)
		if schema != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(row)) {
			typ, err := detectJSON(row[name])
			if err != nil {
				return nil, nil, err
			}
			if types[name] == "" {
				order = append(order, name)
			}
			types[name] = wider(types[name], typ)
		}
	}
	if schema == nil {
		schema = &bq.TableSchema{}
		for _, name := range order {
			if types[name] != "NULL" {
				schema.Fields = append(schema.Fields, &bq.TableFieldSchema{Name: name, Type: types[name]})
			}
		}
	}
	known := map[string]*bq.TableFieldSchema{}
	for _, f := range schema.Fields {
		known[strings.ToLower(f.Name)] = f
	}
	for i, row := range rows {
		for name, value := range row {
			f := known[strings.ToLower(name)]
			switch {
			case f == nil && value == nil, f == nil && load.IgnoreUnknownValues:
				delete(row, name)
			case f == nil:
				return nil, nil, invalid("Error while reading data, error message: JSON parsing error in row %d: No such field: %s.", i+1, name)
			case f.Mode != "REPEATED" && f.Type != "RECORD" && f.Type != "JSON" && value != nil:
				parsed, ok := cellFromText(f.Type, fmt.Sprint(value))
				if !ok {
					return nil, nil, invalid("Error while reading data, error message: Could not convert value '%v' of field %s to %s in row %d.", value, f.Name, f.Type, i+1)
				}
				delete(row, name)
				row[f.Name] = parsed
			}
		}
	}
	return rows, schema, nil
}

func detectJSON(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "NULL", nil
	case bool:
		return "BOOLEAN", nil
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "INTEGER", nil
		}
		return "FLOAT", nil
	case string:
		return "STRING", nil
	}
	return "", notImplemented("autodetecting the schema of nested or repeated JSON fields; give the schema")
}

// wider is the type that holds values of both.
func wider(a, b string) string {
	switch {
	case a == "" || a == "NULL" || a == b:
		return b
	case b == "NULL":
		return a
	case a == "INTEGER" && b == "FLOAT" || a == "FLOAT" && b == "INTEGER":
		return "FLOAT"
	}
	return "STRING"
}
