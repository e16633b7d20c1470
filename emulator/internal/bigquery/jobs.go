// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// jobs holds every job since the start.
type jobs struct {
	ctx     context.Context // ends when the server is closed
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	byKey     map[jobKey]*job
	byRequest map[string]*job // "project/requestId" of jobs.query
	order     []*job          // oldest first
}

// jobKey identifies a job: ids are unique in a project and location.
type jobKey struct{ project, location, id string }

// job is a query job or a part of a script.
type job struct {
	key      jobKey
	parent   *job
	children []*job
	config   *bq.JobConfiguration
	script   *ast.Script // nil if the text does not parse, and for a load job
	session  *session    // in which the query runs, if in any
	content  []byte      // the file of a load job
	// evaluation and frames say which part of a script this is.
	evaluation string
	frames     []*bq.ScriptStackFrame
	cancel     context.CancelFunc
	done       chan struct{}

	// mu guards what follows while the job runs.
	mu                      sync.Mutex
	state                   string
	created, started, ended int64 // milliseconds
	failure                 *apiError
	outcome                 outcome
}

// outcome is what a statement did.
type outcome struct {
	statementType string
	result        *ast.Result // nil for a statement without rows
	ddl           string      // CREATE, SKIP, REPLACE, DROP, …
	targetTable   *bq.TableReference
	targetDataset *bq.DatasetReference
	destination   *bq.TableReference
	affected      *int64 // rows changed by DML
	dml           *bq.DmlStatistics
	took          time.Duration
	read          int64 // rows of the tables that are read
	unmeasured    bool  // some of what is read is in neither bytes nor read
	exact         bool  // the bytes of the dry run of a script are what it will read
	bytes         int64
	referenced    []*bq.TableReference
	loaded        *bq.JobStatistics3 // what a load job did
	undeclared    []*bq.QueryParameter
}

var jobIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,1000}$`)

// newJob checks a configuration and registers a job for it.
func (s *Server) newJob(project string, ref *bq.JobReference, config *bq.JobConfiguration) (*job, error) {
	j := &job{config: config, state: "PENDING", done: make(chan struct{}), created: s.cfg.Clock.Now().UnixMilli()}
	switch {
	case config == nil || config.Query == nil && config.Load == nil:
		return nil, notImplemented("jobs other than query and load jobs")
	case config.Load != nil:
	case config.Query.Query == "":
		return nil, invalid("Required parameter is missing: query")
	default:
		script, err := s.cfg.Engine.Parse(config.Query.Query)
		j.script, j.failure = script, asAPIError(context.Background(), err)
	}
	j.key = jobKey{project: project}
	if ref != nil {
		if ref.ProjectId != "" {
			p, err := s.cfg.Projects.Lookup(ref.ProjectId)
			if err != nil || p.ID != project {
				return nil, invalid("The project of jobReference, %q, is not the project of the request, %q.", ref.ProjectId, project)
			}
		}
		j.key.id, j.key.location = ref.JobId, canonicalLocation(ref.Location)
	}
	if config.Query != nil {
		var err error
		if j.session, err = s.sessionOf(config.Query, j.key); err != nil {
			return nil, err
		}
	}
	if j.session != nil && j.session.location != "" {
		j.key.location = j.session.location
	}
	if j.key.location == "" {
		j.key.location = s.inferLocation(j)
	}
	if j.key.id == "" {
		j.key.id = "job_" + rand.Text()
	}
	if !jobIDPattern.MatchString(j.key.id) {
		return nil, invalid("Invalid job ID %q: use letters, digits, underscores and dashes, at most 1024.", j.key.id)
	}
	if config.DryRun {
		return j, nil
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if _, taken := s.jobs.byKey[j.key]; taken {
		return nil, duplicate("Job %s:%s.%s", project, j.key.location, j.key.id)
	}
	s.jobs.add(j)
	if j.session != nil && j.session.location == "" {
		s.keep(j.session, j.key.location)
	}
	return j, nil
}

func (js *jobs) add(j *job) {
	js.byKey[j.key] = j
	js.order = append(js.order, j)
}

// errTimedOut ends a job that ran for longer than its jobTimeoutMs.
var errTimedOut = errors.New("job timed out")

// start runs a job to its end in the background. The client that sent it is not
// waited for and may go away.
func (s *Server) start(j *job) {
	ctx, cancel := context.WithCancelCause(s.jobs.ctx)
	j.mu.Lock()
	j.cancel = func() { cancel(nil) }
	j.mu.Unlock()
	if limit := time.Duration(j.config.JobTimeoutMs) * time.Millisecond; limit > 0 {
		s.jobs.running.Go(func() {
			if s.cfg.Clock.Sleep(ctx, limit) == nil {
				cancel(errTimedOut)
			}
		})
	}
	s.jobs.running.Go(func() {
		defer cancel(nil)
		s.run(ctx, j)
	})
}

func (s *Server) run(ctx context.Context, j *job) {
	j.mu.Lock()
	j.state, j.started = "RUNNING", s.cfg.Clock.Now().UnixMilli()
	failure := j.failure
	j.mu.Unlock()
	var out outcome
	if failure == nil && !j.config.DryRun {
		failure = asAPIError(ctx, s.cfg.Clock.Sleep(ctx, s.cfg.JobLatency))
	}
	if failure == nil {
		var err error
		if err = s.scripts.act(ctx, j); err == nil {
			out, err = s.execute(ctx, j)
		}
		failure = asAPIError(ctx, err)
	}
	j.mu.Lock()
	j.state, j.ended, j.outcome, j.failure = "DONE", s.cfg.Clock.Now().UnixMilli(), out, failure
	j.mu.Unlock()
	if j.config.Query != nil && !j.config.DryRun {
		s.cfg.Effects.Executed(j.config.Query.Query, failure == nil)
	}
	close(j.done)
}

// wait waits until a job is done, but not longer than d.
func (s *Server) wait(ctx context.Context, j *job, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-j.done:
	case <-ctx.Done():
	}
	select {
	case <-j.done: // even if the time is up as well
		return true
	default:
		return false
	}
}

func (k jobKey) reference() *bq.JobReference {
	return &bq.JobReference{ProjectId: k.project, JobId: k.id, Location: k.location}
}

// resource is the job as jobs.get answers it.
func (s *Server) resource(j *job) *bq.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	config := j.shownConfig()
	out := &bq.Job{
		Kind:          "bigquery#job",
		Etag:          newEtag(),
		Id:            fmt.Sprintf("%s:%s.%s", j.key.project, j.key.location, j.key.id),
		SelfLink:      s.link("/projects/%s/jobs/%s?location=%s", j.key.project, j.key.id, j.key.location),
		JobReference:  j.key.reference(),
		UserEmail:     "emulator@localhost",
		Configuration: config,
		Status:        &bq.JobStatus{State: j.state},
		Statistics:    &bq.JobStatistics{CreationTime: j.created, StartTime: j.started, EndTime: j.ended, NumChildJobs: int64(len(j.children))},
	}
	if j.parent != nil {
		out.Statistics.ParentJobId = j.parent.key.id
		out.Statistics.ScriptStatistics = &bq.ScriptStatistics{EvaluationKind: j.evaluation, StackFrames: j.frames}
	}
	if j.session != nil && j.session.location != "" { // a dry run makes none
		out.Statistics.SessionInfo = &bq.SessionInfo{SessionId: j.session.id}
	}
	if j.state != "DONE" {
		return out
	}
	if j.failure != nil {
		out.Status.ErrorResult = j.failure.proto()
		out.Status.Errors = []*bq.ErrorProto{j.failure.proto()}
	}
	o := j.outcome
	if j.config.Query == nil {
		out.Statistics.Load = o.loaded
		return out
	}
	out.Statistics.TotalBytesProcessed = o.bytes
	out.Statistics.ForceSendFields = []string{"TotalBytesProcessed"}
	stats := &bq.JobStatistics2{
		StatementType: o.statementType, DdlOperationPerformed: o.ddl, DdlTargetTable: o.targetTable, DdlTargetDataset: o.targetDataset,
		TotalBytesProcessed: o.bytes, TotalBytesBilled: billed(o.bytes), ReferencedTables: o.referenced,
		ForceSendFields: []string{"CacheHit", "TotalBytesProcessed", "TotalBytesBilled"},
	}
	if !j.config.DryRun {
		stats.TotalSlotMs = o.took.Milliseconds()
		stats.QueryPlan = o.plan(j.ended)
		out.Statistics.TotalSlotMs = stats.TotalSlotMs
	}
	if o.affected != nil {
		stats.NumDmlAffectedRows = *o.affected
		stats.ForceSendFields = append(stats.ForceSendFields, "NumDmlAffectedRows")
		stats.DmlStats = o.dmlStats()
	}
	if j.config.DryRun {
		stats.TotalBytesProcessedAccuracy = "PRECISE"
		if o.statementType == "SCRIPT" && !o.exact {
			stats.TotalBytesProcessedAccuracy = "UNKNOWN" // not all of it was looked at
		}
	}
	stats.UndeclaredQueryParameters = o.undeclared
	if j.config.DryRun && o.result != nil {
		stats.Schema = tableSchema(o.result.Fields)
	}
	out.Statistics.Query = stats
	return out
}

// dmlStats tells what became of the rows that DML affected.
func (o outcome) dmlStats() *bq.DmlStatistics {
	if o.dml != nil {
		return o.dml
	}
	stats := &bq.DmlStatistics{}
	switch o.statementType {
	case "INSERT", "MERGE":
		stats.InsertedRowCount, stats.ForceSendFields = *o.affected, []string{"InsertedRowCount"}
	case "UPDATE":
		stats.UpdatedRowCount, stats.ForceSendFields = *o.affected, []string{"UpdatedRowCount"}
	case "DELETE", "TRUNCATE_TABLE":
		stats.DeletedRowCount, stats.ForceSendFields = *o.affected, []string{"DeletedRowCount"}
	}
	return stats
}

// shownConfig is the configuration with what BigQuery fills in; j.mu is held.
func (j *job) shownConfig() *bq.JobConfiguration {
	config := *j.config
	if config.Query == nil {
		config.JobType = "LOAD"
		return &config
	}
	config.JobType = "QUERY"
	query := *config.Query
	query.UseLegacySql = new(legacy(j.config))
	if query.Priority == "" {
		query.Priority = "INTERACTIVE"
	}
	if j.outcome.destination != nil {
		query.DestinationTable = j.outcome.destination
		if query.WriteDisposition == "" {
			query.WriteDisposition = "WRITE_TRUNCATE"
		}
	}
	config.Query = &query
	return &config
}

// billed rounds up as BigQuery bills: whole mebibytes, at least ten.
func billed(bytes int64) int64 {
	const mib = 1 << 20
	if bytes == 0 {
		return 0
	}
	return max(10*mib, (bytes+mib-1)/mib*mib)
}

func (s *Server) insertJob(r *request) (any, error) {
	var in bq.Job
	body, err := r.decode(&in)
	if err != nil {
		return nil, err
	}
	if c := in.Configuration; c != nil && c.Query != nil {
		var raw struct{ Configuration struct{ Query rawParameters } }
		if err := json.Unmarshal(body, &raw); err != nil {
			return nil, invalid("Invalid JSON payload received. %v", err)
		}
		raw.Configuration.Query.keepEmpty(c.Query.QueryParameters)
	}
	if in.Configuration != nil && in.Configuration.Load != nil {
		return nil, notImplemented("load jobs from Cloud Storage; upload the file with the job")
	}
	j, err := s.newJob(r.project, in.JobReference, in.Configuration)
	if err != nil {
		return nil, err
	}
	if in.Configuration.DryRun {
		return s.dryRun(r.Context(), j)
	}
	s.start(j)
	return s.resource(j), nil
}

// rawParameters are query parameters as they were sent. The decoded ones cannot
// tell an empty string from NULL.
type rawParameters struct {
	QueryParameters []struct {
		ParameterValue *rawValue
	}
}

type rawValue struct {
	Value        *string
	ArrayValues  []*rawValue
	StructValues map[string]*rawValue
}

// keepEmpty marks the values that are empty strings, and takes out of arrays and
// structs what is NULL.
func (raw rawParameters) keepEmpty(params []*bq.QueryParameter) {
	for i, p := range params {
		if i < len(raw.QueryParameters) && raw.QueryParameters[i].ParameterValue != nil && p.ParameterValue != nil {
			raw.QueryParameters[i].ParameterValue.mark(p.ParameterValue)
		}
	}
}

func (raw *rawValue) isNull() bool {
	return raw == nil || raw.Value == nil && raw.ArrayValues == nil && raw.StructValues == nil
}

func (raw *rawValue) mark(v *bq.QueryParameterValue) {
	if raw.Value != nil {
		v.ForceSendFields = []string{"Value"}
	}
	for i, element := range raw.ArrayValues {
		if element.isNull() {
			v.ArrayValues[i] = nil
			continue
		}
		element.mark(v.ArrayValues[i])
	}
	for name, field := range raw.StructValues {
		if field.isNull() {
			delete(v.StructValues, name)
			continue
		}
		value := v.StructValues[name]
		field.mark(&value)
		v.StructValues[name] = value
	}
}

// dryRun runs a job at once and without effect. Its failure is the failure of the
// request, and it cannot be found later.
func (s *Server) dryRun(ctx context.Context, j *job) (*bq.Job, error) {
	s.run(ctx, j)
	if j.failure != nil {
		return nil, j.failure
	}
	out := s.resource(j)
	out.JobReference.JobId = ""
	out.Id = ""
	return out, nil
}

// find looks a job up by the request's id and location. Without a location only
// the multi-regions US and EU are searched.
func (s *Server) find(r *request) (*job, error) {
	id := r.PathValue("jobId")
	locations := []string{"US", "EU"}
	if l := r.FormValue("location"); l != "" {
		locations = []string{canonicalLocation(l)}
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	for _, l := range locations {
		if j, ok := s.jobs.byKey[jobKey{r.project, l, id}]; ok {
			return j, nil
		}
	}
	return nil, notFound("Job %s:%s", r.project, id)
}

func (s *Server) getJob(r *request) (any, error) {
	j, err := s.find(r)
	if err != nil {
		return nil, err
	}
	return s.resource(j), nil
}

func (s *Server) cancelJob(r *request) (any, error) {
	j, err := s.find(r)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	cancel := j.cancel
	j.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	return bq.JobCancelResponse{Kind: "bigquery#jobCancelResponse", Job: s.resource(j)}, nil
}

func (s *Server) deleteJob(r *request) (any, error) {
	j, err := s.find(r)
	if err != nil {
		return nil, err
	}
	if !s.wait(r.Context(), j, 0) {
		return nil, invalid("Job %s:%s is running: cancel it first.", r.project, j.key.id)
	}
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	for _, gone := range append([]*job{j}, j.children...) {
		delete(s.jobs.byKey, gone.key)
		s.jobs.order = slices.DeleteFunc(s.jobs.order, func(o *job) bool { return o == gone })
	}
	return nil, nil
}

func (s *Server) listJobs(r *request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, invalid("The query string could not be read: %v.", err)
	}
	states, parent := r.Form["stateFilter"], r.FormValue("parentJobId")
	for _, state := range states {
		if !slices.Contains([]string{"PENDING", "RUNNING", "DONE"}, strings.ToUpper(state)) {
			return nil, invalid("Invalid value %q for stateFilter: want done, pending or running.", state)
		}
	}
	full := false
	switch projection := strings.ToLower(r.FormValue("projection")); projection {
	case "", "minimal":
	case "full":
		full = true
	default:
		return nil, invalid("Invalid value %q for projection: want full or minimal.", projection)
	}
	earliest, err := r.number("minCreationTime")
	if err != nil {
		return nil, err
	}
	latest, err := r.number("maxCreationTime")
	if err != nil {
		return nil, err
	}
	s.jobs.mu.Lock()
	found := slices.Clone(s.jobs.order)
	s.jobs.mu.Unlock()
	slices.Reverse(found)
	all := []*bq.JobListJobs{}
	for _, j := range found {
		isChild := j.parent != nil && j.parent.key.id == parent
		if j.key.project != r.project || (parent == "") != (j.parent == nil) || (parent != "" && !isChild) {
			continue
		}
		job := s.resource(j)
		if len(states) > 0 && !slices.ContainsFunc(states, func(want string) bool { return strings.EqualFold(want, job.Status.State) }) {
			continue
		}
		if earliest >= 0 && j.created < int64(earliest) || latest >= 0 && j.created > int64(latest) {
			continue
		}
		shown := &bq.JobListJobs{
			Kind: job.Kind, Id: job.Id, JobReference: job.JobReference, State: job.Status.State, Status: job.Status,
			ErrorResult: job.Status.ErrorResult, Statistics: job.Statistics,
		}
		if full {
			shown.Configuration, shown.UserEmail = job.Configuration, job.UserEmail
		}
		all = append(all, shown)
	}
	start, end, next, err := r.window(len(all))
	if err != nil {
		return nil, err
	}
	return &bq.JobList{Kind: "bigquery#jobList", Etag: newEtag(), Jobs: all[start:end], NextPageToken: next}, nil
}

// defaultWait is how long jobs.query and getQueryResults wait unless they are told.
const defaultWait = 10 * time.Second

// query is jobs.query: a job whose result is waited for.
func (s *Server) query(r *request) (any, error) {
	var in bq.QueryRequest
	body, err := r.decode(&in)
	if err != nil {
		return nil, err
	}
	var raw rawParameters
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, invalid("Invalid JSON payload received. %v", err)
	}
	raw.keepEmpty(in.QueryParameters)
	replay := r.project + "/" + in.RequestId
	if in.RequestId != "" {
		s.jobs.mu.Lock()
		j, again := s.jobs.byRequest[replay]
		s.jobs.mu.Unlock()
		if again {
			return s.queryAnswer(r, j, &in)
		}
	}
	config := &bq.JobConfiguration{
		DryRun: in.DryRun, Labels: in.Labels, JobTimeoutMs: in.JobTimeoutMs,
		Query: &bq.JobConfigurationQuery{
			Query: in.Query, DefaultDataset: in.DefaultDataset, UseLegacySql: in.UseLegacySql, UseQueryCache: in.UseQueryCache,
			QueryParameters: in.QueryParameters, ParameterMode: in.ParameterMode, MaximumBytesBilled: in.MaximumBytesBilled,
			CreateSession: in.CreateSession, ConnectionProperties: in.ConnectionProperties,
		},
	}
	j, err := s.newJob(r.project, &bq.JobReference{Location: in.Location}, config)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		s.run(r.Context(), j)
		return s.queryAnswer(r, j, &in)
	}
	if in.RequestId != "" {
		s.jobs.mu.Lock()
		s.jobs.byRequest[replay] = j
		s.jobs.mu.Unlock()
	}
	s.start(j)
	return s.queryAnswer(r, j, &in)
}

func (s *Server) queryAnswer(r *request, j *job, in *bq.QueryRequest) (any, error) {
	wait := defaultWait
	if in.TimeoutMs > 0 {
		wait = time.Duration(in.TimeoutMs) * time.Millisecond
	}
	end := -1
	if in.MaxResults > 0 {
		end = int(in.MaxResults)
	}
	answer, err := s.results(r.Context(), j, wait, 0, end, in.FormatOptions != nil && in.FormatOptions.UseInt64Timestamp)
	if err != nil {
		return nil, err
	}
	answer["kind"] = "bigquery#queryResponse"
	if in.DryRun {
		delete(answer, "rows")
		answer["jobReference"] = map[string]any{"projectId": j.key.project, "location": j.key.location}
	}
	return answer, nil
}

// queryResults is jobs.getQueryResults.
func (s *Server) queryResults(r *request) (any, error) {
	j, err := s.find(r)
	if err != nil {
		return nil, err
	}
	wait := defaultWait
	if ms, err := r.number("timeoutMs"); err != nil {
		return nil, err
	} else if ms >= 0 {
		wait = time.Duration(ms) * time.Millisecond
	}
	size, err := r.number("maxResults")
	if err != nil {
		return nil, err
	}
	name := "pageToken"
	if r.FormValue(name) == "" {
		name = "startIndex"
	}
	start, err := r.number(name)
	if err != nil {
		return nil, err
	}
	start = max(start, 0)
	end := -1
	if size >= 0 {
		end = start + size
	}
	answer, err := s.results(r.Context(), j, wait, start, end, r.FormValue("formatOptions.useInt64Timestamp") == "true")
	if err != nil {
		return nil, err
	}
	answer["kind"] = "bigquery#getQueryResultsResponse"
	answer["etag"] = newEtag()
	return answer, nil
}

// results answers rows start to end (-1: as many as fit a page) of a job's result.
// The failure of the job is the failure of the request.
func (s *Server) results(ctx context.Context, j *job, wait time.Duration, start, end int, int64Times bool) (map[string]any, error) {
	if j.config.Query == nil {
		return nil, invalid("Job %s:%s is not a query job.", j.key.project, j.key.id)
	}
	answer := map[string]any{"jobReference": j.key.reference(), "jobComplete": false}
	if !s.wait(ctx, j, wait) {
		return answer, nil
	}
	if j.failure != nil {
		return nil, j.failure
	}
	o := j.outcome
	answer["jobComplete"] = true
	answer["cacheHit"] = false
	if j.session != nil {
		answer["sessionInfo"] = bq.SessionInfo{SessionId: j.session.id}
	}
	answer["totalBytesProcessed"] = strconv.FormatInt(o.bytes, 10)
	if o.affected != nil {
		answer["numDmlAffectedRows"] = strconv.FormatInt(*o.affected, 10)
		answer["dmlStats"] = o.dmlStats()
	}
	if o.result == nil {
		answer["totalRows"] = "0"
		return answer, nil
	}
	total := len(o.result.Rows)
	const pageRows = 10_000
	if end < 0 {
		end = start + pageRows
	}
	start, end = min(start, total), min(end, total)
	answer["schema"] = tableSchema(o.result.Fields)
	answer["totalRows"] = strconv.Itoa(total)
	rows := []json.RawMessage{}
	if !j.config.DryRun {
		rows = encodeRows(o.result, start, end, int64Times)
	}
	answer["rows"] = rows
	if end < total && end > start {
		answer["pageToken"] = strconv.Itoa(end)
	}
	return answer, nil
}

// anonymous finds the result that an anonymous destination table stands for.
func (js *jobs) anonymous(t tableRef) (*ast.Result, bool) {
	if !strings.HasPrefix(t.dataset, "_") {
		return nil, false
	}
	js.mu.Lock()
	found := slices.Clone(js.order)
	js.mu.Unlock()
	for _, j := range found {
		if j.key.project != t.project || j.key.anonymousTable() != t {
			continue
		}
		select {
		case <-j.done:
			if j.outcome.destination != nil && j.outcome.result != nil {
				return j.outcome.result, true
			}
		default:
		}
	}
	return nil, false
}

// anonymousTable is the name of the table that holds a query's result.
func (k jobKey) anonymousTable() tableRef {
	return tableRef{k.project, "_" + hash(k.project+"/"+k.location), "anon" + hash(k.location+"."+k.id)}
}
