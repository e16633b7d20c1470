// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/datasource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

type model struct {
	Model                 types.String   `tfsdk:"model"`
	Query                 types.String   `tfsdk:"query"`
	Table                 types.String   `tfsdk:"table"`
	Rows                  types.Dynamic  `tfsdk:"rows"`
	RowTypes              types.Map      `tfsdk:"row_types"`
	Parameters            types.Dynamic  `tfsdk:"parameters"`
	Project               types.String   `tfsdk:"project"`
	MaxRows               types.Int64    `tfsdk:"max_rows"`
	MaximumBytesBilled    types.Int64    `tfsdk:"maximum_bytes_billed"`
	AllowFailedRows       types.Bool     `tfsdk:"allow_failed_rows"`
	MaxFailedRows         types.Int64    `tfsdk:"max_failed_rows"`
	MaxFailedFraction     types.Float64  `tfsdk:"max_failed_fraction"`
	Labels                types.Map      `tfsdk:"labels"`
	IAMPropagationTimeout types.String   `tfsdk:"iam_propagation_timeout"`
	Predictions           types.Dynamic  `tfsdk:"predictions"`
	PredictionsJSON       types.String   `tfsdk:"predictions_json"`
	RowCount              types.Int64    `tfsdk:"row_count"`
	FailedRows            types.Int64    `tfsdk:"failed_rows"`
	BytesProcessed        types.Int64    `tfsdk:"bytes_processed"`
	JobID                 types.String   `tfsdk:"job_id"`
	Timeouts              timeouts.Value `tfsdk:"timeouts"`
}

const (
	defaultMaxRows            = 100
	defaultMaximumBytesBilled = 10 << 30 // 10 GiB
)

// validate checks what has a grammar in the domain. Unknown values pass.
func (m *model) validate(ctx context.Context) (diags diag.Diagnostics) {
	if !m.Model.IsNull() && !m.Model.IsUnknown() {
		if _, err := gcp.ParseRemoteModelName(m.Model.ValueString(), "default"); err != nil {
			diags.AddAttributeError(path.Root("model"), "Invalid model name", err.Error()+".")
		}
	}
	if !m.IAMPropagationTimeout.IsUnknown() {
		if _, err := m.propagation(); err != nil {
			diags.AddAttributeError(path.Root("iam_propagation_timeout"), "Invalid duration", err.Error()+".")
		}
	}
	for key, value := range m.Labels.Elements() {
		text, _ := value.(types.String)
		if err := gcp.CheckLabel(key, text.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("labels").AtMapKey(key), "Invalid label", err.Error()+".")
		}
	}
	request := bqml.PredictRequest{Query: m.Query.ValueString(), Table: m.Table.ValueString(), MaxRows: 1}
	request.Model = gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"}
	err := m.values(ctx, &request)
	var unknown *unknownError
	if errors.As(err, &unknown) || m.Query.IsUnknown() || m.Table.IsUnknown() || given(m.Query, m.Table, m.Rows) != 1 {
		return diags // not known, or refused by the schema
	}
	if request.Rows != nil {
		request.MaxRows = int64(len(request.Rows.Rows))
		if !m.MaxRows.IsUnknown() {
			request.MaxRows = m.maxRows()
		}
	}
	if err == nil {
		_, err = request.SQL()
	}
	if err == nil {
		err = request.CheckParameters()
	}
	var field *bqml.FieldError
	switch {
	case errors.As(err, &field):
		diags.AddAttributeError(path.Root(field.Field), "Invalid "+field.Field, field.Message+".")
	case err != nil:
		diags.AddError("Invalid prediction", err.Error()+".")
	}
	return diags
}

func given(values ...attr.Value) (n int) {
	for _, v := range values {
		if !v.IsNull() {
			n++
		}
	}
	return n
}

func (m *model) propagation() (time.Duration, error) {
	if m.IAMPropagationTimeout.IsNull() {
		return bqml.DefaultPropagation, nil
	}
	d, err := time.ParseDuration(m.IAMPropagationTimeout.ValueString())
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as \"10m\", or \"0s\" to fail at the first refusal", m.IAMPropagationTimeout.ValueString())
	}
	return d, nil
}

func (m *model) maxRows() int64 {
	if m.MaxRows.IsNull() {
		return defaultMaxRows
	}
	return m.MaxRows.ValueInt64()
}

// labels are those of the jobs.
func (m *model) labels(defaults map[string]string) map[string]string {
	all := maps.Clone(defaults)
	for key, value := range m.Labels.Elements() {
		if all == nil {
			all = map[string]string{}
		}
		text, _ := value.(types.String)
		all[key] = text.ValueString()
	}
	return all
}

// accepts reports whether as many rows without a prediction are within the limits.
func (m *model) accepts(p *bqml.Prediction) bool {
	limited := !m.MaxFailedRows.IsNull() || !m.MaxFailedFraction.IsNull()
	switch {
	case p.Failed == 0 || m.AllowFailedRows.ValueBool():
		return true
	case !limited:
		return false
	case !m.MaxFailedRows.IsNull() && p.Failed > m.MaxFailedRows.ValueInt64():
		return false
	}
	return m.MaxFailedFraction.IsNull() || float64(p.Failed) <= m.MaxFailedFraction.ValueFloat64()*float64(len(p.Rows))
}

// toRequest turns the configuration, all of it known, into a request.
func (m *model) toRequest(ctx context.Context, project string) (bqml.PredictRequest, error) {
	name, err := gcp.ParseRemoteModelName(m.Model.ValueString(), project)
	if err != nil {
		return bqml.PredictRequest{}, &bqml.FieldError{Field: "model", Message: err.Error()}
	}
	r := bqml.PredictRequest{
		Model:              name,
		Query:              m.Query.ValueString(),
		Table:              m.Table.ValueString(),
		Project:            m.Project.ValueString(),
		MaxRows:            m.maxRows(),
		MaximumBytesBilled: defaultMaximumBytesBilled,
	}
	if r.Project == "" {
		r.Project = project
	}
	if !m.MaximumBytesBilled.IsNull() {
		r.MaximumBytesBilled = m.MaximumBytesBilled.ValueInt64()
	}
	if r.Propagation, err = m.propagation(); err != nil {
		return r, err
	}
	return r, m.values(ctx, &r)
}

// fromPrediction fills the computed attributes. nonFinite tells that a NaN or an
// infinity became null in predictions.
func (m *model) fromPrediction(p *bqml.Prediction) (nonFinite bool) {
	text, nonFinite := p.JSON()
	object := objectType(p.Schema)
	rows := make([]attr.Value, len(p.Rows))
	for i, row := range p.Rows {
		rows[i] = objectValue(object, p.Schema, row)
	}
	m.Predictions = types.DynamicValue(types.ListValueMust(object, rows))
	m.PredictionsJSON = types.StringValue(text)
	m.RowCount = types.Int64Value(int64(len(p.Rows)))
	m.FailedRows = types.Int64Value(p.Failed)
	m.BytesProcessed = types.Int64Value(p.BytesProcessed)
	m.JobID = types.StringValue(p.Job.String())
	return nonFinite
}

// maxStatuses is how many different reasons an error shows.
const maxStatuses = 3

// failure tells why rows failed.
func failure(p *bqml.Prediction) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d rows have no prediction (job %s):", p.Failed, len(p.Rows), p.Job)
	for i, s := range p.Statuses {
		if i == maxStatuses {
			fmt.Fprintf(&b, "\n  … and %d other reasons", len(p.Statuses)-maxStatuses)
			break
		}
		fmt.Fprintf(&b, "\n  %d × %s", s.Rows, s.Text)
	}
	return b.String()
}

// The types of a result set in Terraform: numbers for all numeric types, lists,
// objects, and strings for the rest (BYTES in base64).
func typeOf(f bqml.Field) attr.Type {
	if f.Repeated {
		f.Repeated = false
		return types.ListType{ElemType: typeOf(f)}
	}
	switch f.Type {
	case "BOOL":
		return types.BoolType
	case "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC":
		return types.NumberType
	case "STRUCT":
		return objectType(f.Fields)
	}
	return types.StringType
}

func objectType(fields []bqml.Field) types.ObjectType {
	t := types.ObjectType{AttrTypes: map[string]attr.Type{}}
	for i, f := range fields {
		t.AttrTypes[bqml.FieldName(f, i)] = typeOf(f)
	}
	return t
}

func objectValue(t types.ObjectType, fields []bqml.Field, row bqml.Row) attr.Value {
	values := map[string]attr.Value{}
	for i, f := range fields {
		values[bqml.FieldName(f, i)] = valueOf(f, row[i])
	}
	return types.ObjectValueMust(t.AttrTypes, values)
}

// valueOf is the value in Terraform; null for NULL and for what has no number there.
func valueOf(f bqml.Field, v any) attr.Value {
	switch v := v.(type) {
	case bool:
		return types.BoolValue(v)
	case int64:
		return types.NumberValue(new(big.Float).SetInt64(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return types.NumberNull()
		}
		return types.NumberValue(big.NewFloat(v))
	case []byte:
		return types.StringValue(base64.StdEncoding.EncodeToString(v))
	case bqml.Row:
		return objectValue(objectType(f.Fields), f.Fields, v)
	case []any:
		f.Repeated = false
		elements := make([]attr.Value, len(v))
		for i, element := range v {
			elements[i] = valueOf(f, element)
		}
		return types.ListValueMust(typeOf(f), elements)
	case string:
		if typeOf(f) != types.NumberType {
			return types.StringValue(v)
		}
		if n, _, err := big.ParseFloat(v, 10, 512, big.ToNearestEven); err == nil {
			return types.NumberValue(n)
		}
		return types.NumberNull()
	}
	return nullOf(f)
}

func nullOf(f bqml.Field) attr.Value {
	switch t := typeOf(f).(type) {
	case types.ListType:
		return types.ListNull(t.ElemType)
	case types.ObjectType:
		return types.ObjectNull(t.AttrTypes)
	default:
		switch t {
		case types.BoolType:
			return types.BoolNull()
		case types.NumberType:
			return types.NumberNull()
		}
		return types.StringNull()
	}
}
