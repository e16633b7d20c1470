// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// systemVariable is the value of a system variable
// (https://cloud.google.com/bigquery/docs/reference/system-variables).
func (x *execution) systemVariable(p ast.Path) (value, error) {
	name := strings.ToLower(strings.Join(p, "."))
	null := stringValue("").null()
	if rest, ok := strings.CutPrefix(name, "error."); ok {
		if len(x.env.failures) == 0 {
			return null, nil
		}
		failure := x.env.failures[len(x.env.failures)-1]
		switch rest {
		case "message":
			return stringValue(failure.Message), nil
		case "statement_text":
			return stringValue(failure.statement), nil
		case "formatted_stack_trace":
			return stringValue(failure.trace()), nil
		}
	}
	switch name {
	case "project_id":
		return stringValue(x.project), nil
	case "job_id", "script.job_id", "current_job_id":
		return stringValue(x.job.key.id), nil
	case "script.num_child_jobs":
		return intValue(int64(len(x.job.children))), nil
	case "session_id":
		if x.job.session != nil {
			return stringValue(x.job.session.id), nil
		}
		return null, nil
	case "row_count":
		if x.env.changed != nil {
			return intValue(*x.env.changed), nil
		}
		return intValue(0).null(), nil
	case "time_zone":
		return stringValue("UTC"), nil
	case "dataset_id", "dataset_project_id", "query_label":
		if text, ok := x.env.system[name]; ok {
			return stringValue(text), nil
		}
		return null, nil
	}
	return value{}, notImplemented("the system variable @@%s", name)
}

// setSystemVariable assigns to a system variable.
func (x *execution) setSystemVariable(ctx context.Context, step *ast.Step) error {
	name := strings.ToLower(strings.Join(step.System, "."))
	v, err := x.expression(ctx, step, step.Value, step.Reads, "STRING")
	if err != nil {
		return err
	}
	text, _ := v.cell.(string)
	switch name {
	case "dataset_id", "dataset_project_id":
	case "query_label":
		for label := range strings.SplitSeq(text, ",") {
			if key, _, ok := strings.Cut(label, ":"); text != "" && (!ok || key == "") {
				return invalidQuery("Invalid value %q for @@query_label: want key:value, with a comma between two labels", text)
			}
		}
	case "time_zone":
		if strings.EqualFold(text, "UTC") {
			return nil
		}
		return notImplemented("the time zone %s: UTC is the only one", text)
	default:
		return notImplemented("setting the system variable @@%s", name)
	}
	if v.cell == nil {
		delete(x.env.system, name)
	} else {
		x.env.system[name] = text
	}
	return nil
}

// labels are those of a job with the ones that @@query_label adds.
func (x *execution) labels() map[string]string {
	text := x.env.system["query_label"]
	if text == "" {
		return x.job.config.Labels
	}
	all := map[string]string{}
	for key, v := range x.job.config.Labels {
		all[key] = v
	}
	for label := range strings.SplitSeq(text, ",") {
		key, v, _ := strings.Cut(label, ":")
		all[key] = v
	}
	return all
}

// defaultDataset completes names of one part: what the script set, else what the
// job has.
func (x *execution) defaultDataset() *bq.DatasetReference {
	id := x.env.system["dataset_id"]
	if id == "" {
		return x.query.DefaultDataset
	}
	p := x.env.system["dataset_project_id"]
	if p == "" {
		p = x.project
	}
	return &bq.DatasetReference{ProjectId: p, DatasetId: id}
}
