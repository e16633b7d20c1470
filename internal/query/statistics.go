// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
)

// Statistics is what BigQuery tells about a job that ended.
type Statistics struct {
	StatementType  string // SELECT, INSERT, CREATE_MODEL, SCRIPT, …
	BytesProcessed int64
	// Accuracy is how exact BytesProcessed is in a dry run: PRECISE, LOWER_BOUND,
	// UPPER_BOUND or UNKNOWN; "" if BigQuery does not say.
	Accuracy    string
	BytesBilled int64
	CacheHit    bool
	SlotTime    time.Duration // of all slots together
	Reservation string        // in which the job ran; "" for on-demand
	Session     string        // id of the session, if the job ran in one

	// DDLOperation is CREATE, REPLACE, SKIP, DROP or ALTER; "" if the statement is
	// no DDL. DDLTarget names the table, view, routine or dataset; BigQuery does
	// not tell the model of CREATE MODEL.
	DDLOperation string
	DDLTarget    string

	// Rows changed by DML.
	Affected, Inserted, Updated, Deleted int64

	Created time.Time
	// Duration is from the start of the execution to its end.
	Duration  time.Duration
	ChildJobs int64 // of a script
}

// Stage is one stage of a query plan.
type Stage struct {
	Name   string
	Status string // COMPLETE, RUNNING, PENDING, …
	// RowsRead and RowsWritten count the stage's input and output.
	RowsRead, RowsWritten int64
	ShuffleBytes          int64
	SlotTime              time.Duration
	// Wait, Read, Compute and Write are the average times of its workers.
	Wait, Read, Compute, Write time.Duration
	Steps                      []string
}

// Function is what BigQuery tells about one generative AI function of a statement
// (genAiStats.functionStats). Other functions, ML.PREDICT too, are not documented to
// be among them.
type Function struct {
	Name   string `json:"function"`         // AI.GENERATE, …
	Prompt string `json:"prompt,omitempty"` // as far as BigQuery tells it: 20 characters
	// Rows were processed. Among them: Failed ones have no result, Cached ones were
	// served from the cache and Optimized ones by the cost optimized workflow.
	Rows      int64 `json:"rows"`
	Failed    int64 `json:"failed_rows"`
	Cached    int64 `json:"cached_rows"`
	Optimized int64 `json:"cost_optimized_rows"`
	// Optimization is what BigQuery says about cost optimization.
	Optimization string `json:"cost_optimization,omitempty"`
	// Errors are up to 5 of them, each different, cut at 100 characters.
	Errors []string `json:"errors,omitempty"`
}

// Service is the part of a job's cost that another service made
// (externalServiceCosts).
type Service struct {
	Name           string  `json:"service"`
	BillingMethod  string  `json:"billing_method,omitempty"`
	BytesProcessed int64   `json:"bytes_processed"`
	BytesBilled    int64   `json:"bytes_billed"`
	SlotSeconds    float64 `json:"slot_seconds"`
	ReservedSlots  int64   `json:"reserved_slots,omitempty"`
}

// Parameter is a query parameter that a statement uses and nobody gave.
type Parameter struct {
	Name string // "" for a positional one
	Type string // as GoogleSQL writes it: "ARRAY<INT64>"
}

func typeText(t *bigquery.QueryParameterType) string {
	switch {
	case t.Type == "ARRAY" && t.ArrayType != nil:
		return "ARRAY<" + typeText(t.ArrayType) + ">"
	case t.Type == "RANGE" && t.RangeElementType != nil:
		return "RANGE<" + typeText(t.RangeElementType) + ">"
	case t.Type == "STRUCT":
		fields := make([]string, len(t.StructTypes))
		for i, f := range t.StructTypes {
			if f != nil && f.Type != nil {
				fields[i] = strings.TrimSpace(f.Name + " " + typeText(f.Type))
			}
		}
		return "STRUCT<" + strings.Join(fields, ", ") + ">"
	}
	return t.Type
}

func functionsOf(stats *bigquery.GenAiStats) (functions []Function, errors []string) {
	if stats == nil {
		return nil, nil
	}
	for _, f := range stats.FunctionStats {
		if f == nil {
			continue
		}
		one := Function{Name: f.FunctionName, Prompt: f.Prompt, Rows: f.NumProcessedRows}
		if c := f.CacheStats; c != nil {
			one.Cached = c.NumCacheHitRows
		}
		if c := f.CostOptimizationStats; c != nil {
			one.Optimized, one.Optimization = c.NumCostOptimizedRows, c.Message
		}
		if e := f.ErrorStats; e != nil {
			one.Failed, one.Errors = e.NumFailedRows, e.Errors
		}
		functions = append(functions, one)
	}
	if stats.ErrorStats != nil {
		errors = stats.ErrorStats.Errors
	}
	return functions, errors
}

func servicesOf(costs []*bigquery.ExternalServiceCost) (services []Service) {
	for _, c := range costs {
		if c != nil {
			services = append(services, Service{c.ExternalService, c.BillingMethod, c.BytesProcessed, c.BytesBilled, float64(c.SlotMs) / 1000, c.ReservedSlotCount})
		}
	}
	return services
}

func statistics(job *bigquery.Job) Statistics {
	if job.Statistics == nil {
		return Statistics{}
	}
	s := Statistics{BytesProcessed: job.Statistics.TotalBytesProcessed, ChildJobs: job.Statistics.NumChildJobs}
	if job.Statistics.CreationTime > 0 {
		s.Created = time.UnixMilli(job.Statistics.CreationTime).UTC()
	}
	s.SlotTime = time.Duration(job.Statistics.TotalSlotMs) * time.Millisecond
	s.Reservation = job.Statistics.ReservationId
	if job.Statistics.SessionInfo != nil {
		s.Session = job.Statistics.SessionInfo.SessionId
	}
	if job.Statistics.StartTime > 0 && job.Statistics.EndTime >= job.Statistics.StartTime {
		s.Duration = time.Duration(job.Statistics.EndTime-job.Statistics.StartTime) * time.Millisecond
	}
	q := job.Statistics.Query
	if q == nil {
		return s
	}
	s.StatementType = q.StatementType
	s.BytesProcessed = max(s.BytesProcessed, q.TotalBytesProcessed)
	s.Accuracy = q.TotalBytesProcessedAccuracy
	s.SlotTime = max(s.SlotTime, time.Duration(q.TotalSlotMs)*time.Millisecond)
	s.BytesBilled = q.TotalBytesBilled
	s.CacheHit = q.CacheHit
	s.DDLOperation = q.DdlOperationPerformed
	switch {
	case q.DdlTargetTable != nil:
		s.DDLTarget = q.DdlTargetTable.ProjectId + "." + q.DdlTargetTable.DatasetId + "." + q.DdlTargetTable.TableId
	case q.DdlTargetRoutine != nil:
		s.DDLTarget = q.DdlTargetRoutine.ProjectId + "." + q.DdlTargetRoutine.DatasetId + "." + q.DdlTargetRoutine.RoutineId
	case q.DdlTargetDataset != nil:
		s.DDLTarget = q.DdlTargetDataset.ProjectId + "." + q.DdlTargetDataset.DatasetId
	}
	s.Affected = q.NumDmlAffectedRows
	if d := q.DmlStats; d != nil {
		s.Inserted, s.Updated, s.Deleted = d.InsertedRowCount, d.UpdatedRowCount, d.DeletedRowCount
	}
	return s
}

// describe adds what is too large for [Statistics].
func (j *Job) describe(remote *bigquery.Job) {
	if remote.Status != nil {
		j.State = remote.Status.State
	}
	if remote.Statistics == nil || remote.Statistics.Query == nil {
		return
	}
	q := remote.Statistics.Query
	for _, t := range q.ReferencedTables {
		if t != nil {
			j.Tables = append(j.Tables, t.ProjectId+"."+t.DatasetId+"."+t.TableId)
		}
	}
	j.Stages = stagesOf(q)
	j.Functions, j.FunctionErrors = functionsOf(q.GenAiStats)
	j.Services = servicesOf(q.ExternalServiceCosts)
	for _, p := range q.UndeclaredQueryParameters {
		if p != nil && p.ParameterType != nil {
			j.Undeclared = append(j.Undeclared, Parameter{p.Name, typeText(p.ParameterType)})
		}
	}
}

func stagesOf(q *bigquery.JobStatistics2) []Stage {
	var stages []Stage
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, w := range q.QueryPlan {
		if w == nil {
			continue
		}
		s := Stage{
			Name: w.Name, Status: w.Status, RowsRead: w.RecordsRead, RowsWritten: w.RecordsWritten, ShuffleBytes: w.ShuffleOutputBytes,
			SlotTime: ms(w.SlotMs), Wait: ms(w.WaitMsAvg), Read: ms(w.ReadMsAvg), Compute: ms(w.ComputeMsAvg), Write: ms(w.WriteMsAvg),
		}
		for _, step := range w.Steps {
			if step != nil {
				s.Steps = append(s.Steps, step.Kind)
			}
		}
		stages = append(stages, s)
	}
	return stages
}

// progressOf reads from a running job what its plan tells so far.
func progressOf(job *bigquery.Job) Progress {
	var p Progress
	if job.Statistics == nil {
		return p
	}
	p.SlotTime = time.Duration(job.Statistics.TotalSlotMs) * time.Millisecond
	p.Bytes = job.Statistics.TotalBytesProcessed
	q := job.Statistics.Query
	if q == nil {
		return p
	}
	p.Bytes = max(p.Bytes, q.TotalBytesProcessed, q.EstimatedBytesProcessed)
	p.SlotTime = max(p.SlotTime, time.Duration(q.TotalSlotMs)*time.Millisecond)
	for _, stage := range stagesOf(q) {
		p.Stages++
		if stage.Status == "COMPLETE" {
			p.StagesDone++
		} else if p.Stage == "" {
			p.Stage = stage.Name
		}
		p.RowsRead += stage.RowsRead
	}
	if n := len(q.Timeline); n > 0 && q.Timeline[n-1] != nil {
		last := q.Timeline[n-1]
		p.ActiveUnits, p.PendingUnits = last.ActiveUnits, last.PendingUnits
		p.SlotTime = max(p.SlotTime, time.Duration(last.TotalSlotMs)*time.Millisecond)
	}
	return p
}
