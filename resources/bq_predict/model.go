// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict

import (
	"encoding/base64"
	"fmt"
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
	Project               types.String   `tfsdk:"project"`
	MaxRows               types.Int64    `tfsdk:"max_rows"`
	MaximumBytesBilled    types.Int64    `tfsdk:"maximum_bytes_billed"`
	AllowFailedRows       types.Bool     `tfsdk:"allow_failed_rows"`
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
func (m *model) validate() (diags diag.Diagnostics) {
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
	request := bqml.PredictRequest{Query: m.Query.ValueString(), Table: m.Table.ValueString(), MaxRows: 1}
	request.Model = gcp.RemoteModelName{Project: "p", Dataset: "d", ID: "m"}
	if m.Query.IsUnknown() || m.Table.IsUnknown() || m.Query.IsNull() == m.Table.IsNull() {
		return diags // not known, or refused by the schema
	}
	at := path.Root("query")
	if m.Query.IsNull() {
		at = path.Root("table")
	}
	if _, err := request.SQL(); err != nil {
		diags.AddAttributeError(at, "Invalid "+at.String(), err.Error()+".")
	}
	return diags
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

// toRequest turns the configuration, all of it known, into a request.
func (m *model) toRequest(project string) (bqml.PredictRequest, error) {
	name, err := gcp.ParseRemoteModelName(m.Model.ValueString(), project)
	if err != nil {
		return bqml.PredictRequest{}, &bqml.FieldError{Field: "model", Message: err.Error()}
	}
	r := bqml.PredictRequest{
		Model:              name,
		Query:              m.Query.ValueString(),
		Table:              m.Table.ValueString(),
		Project:            m.Project.ValueString(),
		MaxRows:            defaultMaxRows,
		MaximumBytesBilled: defaultMaximumBytesBilled,
	}
	if r.Project == "" {
		r.Project = project
	}
	if !m.MaxRows.IsNull() {
		r.MaxRows = m.MaxRows.ValueInt64()
	}
	if !m.MaximumBytesBilled.IsNull() {
		r.MaximumBytesBilled = m.MaximumBytesBilled.ValueInt64()
	}
	r.Propagation, err = m.propagation()
	return r, err
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
