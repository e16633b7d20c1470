// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import bq "google.golang.org/api/bigquery/v2"

// plan is the query plan of a statement that ended at a time. The engine has one
// worker and tells nothing of its own plan, so there is one stage: one slot that
// read all rows of all tables and wrote the result. Where that is not known to be
// all that was read there is no plan.
func (o outcome) plan(ended int64) []*bq.ExplainQueryStage {
	written := int64(0)
	switch {
	case o.unmeasured:
		return nil
	case o.statementType == "SELECT" && o.result != nil:
		written = int64(len(o.result.Rows))
	case o.affected != nil && o.statementType != "SCRIPT":
		written = *o.affected
	default:
		return nil
	}
	took := o.took.Milliseconds()
	stage := &bq.ExplainQueryStage{
		Name: "S00: Output", Status: "COMPLETE", StartMs: ended - took, EndMs: ended, SlotMs: took, ComputeMsAvg: took, ComputeMsMax: took,
		ParallelInputs: 1, CompletedParallelInputs: 1, RecordsRead: o.read, RecordsWritten: written,
		ForceSendFields: []string{"Id", "SlotMs", "RecordsRead", "RecordsWritten", "ComputeMsAvg", "ComputeMsMax"},
	}
	for _, t := range o.referenced {
		stage.Steps = append(stage.Steps, &bq.ExplainQueryStep{Kind: "READ", Substeps: []string{"FROM " + t.ProjectId + "." + t.DatasetId + "." + t.TableId}})
	}
	stage.Steps = append(stage.Steps, &bq.ExplainQueryStep{Kind: "WRITE", Substeps: []string{"TO __stage00_output"}})
	return []*bq.ExplainQueryStage{stage}
}
