// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqpredict is the data source gcpml_bq_predict: predictions of a remote
// model for the rows of a query or a table.
package bqpredict

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/datasource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ datasource.DataSourceWithConfigure        = (*DataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*DataSource)(nil)
	_ datasource.DataSourceWithValidateConfig   = (*DataSource)(nil)
)

// TypeName is the name of the data source in HCL.
const TypeName = "gcpml_bq_predict"

const kind = "with remote model"

const defaultTimeout = 30 * time.Minute

// DataSource is the data source type.
type DataSource struct {
	clients *gcp.Clients
}

// New returns the data source type.
func New() datasource.DataSource { return &DataSource{} }

// Metadata names the type.
func (*DataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = TypeName
}

// Schema describes the attributes.
func (*DataSource) Schema(ctx context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Predictions of a remote model (`ML.PREDICT`) for the rows of a query or a table.\n\n" +
			"The query runs, and is billed, each time that Terraform reads the data source: at every plan, unless something that it refers to is not known yet. " +
			"Use `depends_on` for the endpoint deployment, or predictions run before it serves. BigQuery guarantees no order of rows; `ORDER BY` with `LIMIT` in the query fixes which rows they are. " +
			"To check predictions without a failure blocking `terraform destroy`, put the data source into a `check` block.",
		Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{Required: true, MarkdownDescription: "Remote model: `projects/PROJECT/datasets/DATASET/models/MODEL`, as the `id` of a `gcpml_bq_remote_model`, or `PROJECT.DATASET.MODEL`."},
			"query": schema.StringAttribute{Optional: true, MarkdownDescription: "One GoogleSQL `SELECT` with a column for each input of the model. Further columns are passed through. Conflicts with `table`."},
			"table": schema.StringAttribute{Optional: true, MarkdownDescription: "Table whose rows are predicted: `DATASET.TABLE` in the model's project, or `PROJECT.DATASET.TABLE`. Conflicts with `query`."},
			"project": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project that runs and pays for the query. Default: the provider's project, else the model's.",
			},
			"max_rows": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.Between(1, 100_000)},
				MarkdownDescription: "Most rows that may be predicted, default 100; a query with more is an error. They are stored in the state.",
			},
			"maximum_bytes_billed": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)},
				MarkdownDescription: "BigQuery refuses a query that would be billed for more bytes. Default 10737418240 (10 GiB).",
			},
			"allow_failed_rows": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Accept rows without a prediction, whose column `remote_model_status` tells why. By default they are an error that shows the first reasons.",
			},
			"iam_propagation_timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a refusal of the connection's service account is retried, from the first one on, while a grant takes effect. Default `10m`; `0s` fails at once.",
			},
			"predictions": schema.DynamicAttribute{
				Computed: true,
				MarkdownDescription: "List of one object for each row: the columns of the result, `remote_model_status` among them. Numeric columns are numbers (NaN and the infinities null, with a warning), `BYTES` are base64, dates and times are strings, " +
					"`ARRAY` and `STRUCT` are lists and objects. The type is that of the result also when there are no rows.",
			},
			"predictions_json": schema.StringAttribute{Computed: true, MarkdownDescription: "The same as a JSON array, exactly: all digits, and NaN and the infinities as the strings `NaN`, `Infinity` and `-Infinity`."},
			"row_count":        schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of rows."},
			"failed_rows":      schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of rows without a prediction."},
			"bytes_processed":  schema.Int64Attribute{Computed: true, MarkdownDescription: "Bytes that the query read."},
			"job_id":           schema.StringAttribute{Computed: true, MarkdownDescription: "The job, as `PROJECT:LOCATION.JOB`, which the `bq` tool accepts."},
		},
		Blocks: map[string]schema.Block{"timeouts": timeouts.Block(ctx)},
	}
}

// Configure takes the clients.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// ConfigValidators are the rules about which attributes go together.
func (*DataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{datasourcevalidator.ExactlyOneOf(path.MatchRoot("query"), path.MatchRoot("table"))}
}

// ValidateConfig checks what has a grammar.
func (*DataSource) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(m.validate()...)
	}
}

// Read predicts.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	timeout, diags := m.Timeouts.Read(ctx, defaultTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := m.toRequest(d.clients.Project())
	request.Progress = tfkit.Progress(ctx)
	var p *bqml.Prediction
	if err == nil {
		p, err = bqml.New(d.clients).Predict(ctx, request)
	}
	var field *bqml.FieldError
	var overflow *bqml.OverflowError
	switch {
	case errors.As(err, &field):
		tfkit.AddAttributeError(&resp.Diagnostics, path.Root(field.Field), "predict", kind, m.Model.ValueString(), err)
		return
	case errors.As(err, &overflow):
		tfkit.AddAttributeError(&resp.Diagnostics, path.Root("max_rows"), "predict", kind, m.Model.ValueString(), err)
		return
	case err != nil:
		tfkit.AddError(&resp.Diagnostics, "predict", kind, m.Model.ValueString(), err)
		return
	case p.Failed > 0 && !m.AllowFailedRows.ValueBool():
		tfkit.AddError(&resp.Diagnostics, "predict", kind, m.Model.ValueString(),
			errors.New(failure(p)+"\n\nHint: repair the cause, or set allow_failed_rows = true to accept rows without a prediction"))
		return
	}
	if m.fromPrediction(p) {
		resp.Diagnostics.AddAttributeWarning(path.Root("predictions"), "Values without a number in Terraform",
			"Some predictions are NaN or infinite. They are null in predictions; predictions_json holds them as text.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}
