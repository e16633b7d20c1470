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
	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

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
		MarkdownDescription: "Predictions of a remote model (`ML.PREDICT`) for the rows of a query or a table, or for rows of the configuration.\n\n" +
			"The query runs, and is billed, each time that Terraform reads the data source: at every plan, unless something that it refers to is not known yet. " +
			"Use `depends_on` for the endpoint deployment, or predictions run before it serves. BigQuery guarantees no order of rows; `ORDER BY` with `LIMIT` in the query fixes which rows they are. " +
			"To check predictions without a failure blocking `terraform destroy`, put the data source into a `check` block.\n\n" +
			"Nothing but a `SELECT` is ever run: a dry run asks BigQuery what the query is before it counts. The settings of `ML.PREDICT` (`threshold`, `keep_original_columns`, `trial_id`) are for models that BigQuery trained; a remote model takes none.",
		Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{Required: true, MarkdownDescription: "Remote model: `projects/PROJECT/datasets/DATASET/models/MODEL`, as the `id` of a `gcpml_bq_remote_model`, or `PROJECT.DATASET.MODEL`."},
			"query": schema.StringAttribute{Optional: true, MarkdownDescription: "One GoogleSQL `SELECT` with a column for each input of the model. Further columns are passed through. Exactly one of `query`, `table` and `rows` is given."},
			"table": schema.StringAttribute{Optional: true, MarkdownDescription: "Table whose rows are predicted: `DATASET.TABLE` in the model's project, or `PROJECT.DATASET.TABLE`."},
			"rows": schema.DynamicAttribute{
				Optional: true,
				MarkdownDescription: "Rows to predict: a list of objects with an attribute for each input of the model, such as `[{ text = \"A moving film.\" }]`. They come back in their order. Further attributes are passed through; lists are `ARRAY`, objects `STRUCT`. " +
					"An attribute that an object leaves out is NULL. The rows are sent as a query parameter, so that they are in no statement.",
			},
			"row_types": schema.MapAttribute{
				Optional: true, ElementType: types.StringType, Validators: []validator.Map{mapvalidator.AlsoRequires(path.MatchRoot("rows"))},
				MarkdownDescription: "GoogleSQL types of attributes of `rows`, such as `{ price = \"NUMERIC\", day = \"DATE\" }`. By default inputs of the model have its types; others are `STRING`, `BOOL`, `INT64`, or, for numbers that are not whole, `FLOAT64`, or `BIGNUMERIC` if that would lose digits.",
			},
			"parameters": schema.DynamicAttribute{
				Optional: true,
				MarkdownDescription: "Values for the named parameters of `query` (`@since`): an object with a value for each, which is a `STRING`, `BOOL`, `INT64`, `FLOAT64` or an `ARRAY` of one of them, or an object with `type` and `value`, such as `{ type = \"DATE\", value = \"2026-01-31\" }`. " +
					"`BYTES` are base64, a `STRUCT` is an object. Conflicts with `table` and `rows`.",
			},
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
				MarkdownDescription: "Accept any number of rows without a prediction, whose column `remote_model_status` tells why. By default they are an error that shows the first reasons.",
			},
			"max_failed_rows": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0), int64validator.ConflictsWith(path.MatchRoot("allow_failed_rows"))},
				MarkdownDescription: "Accept so many rows without a prediction. With `max_failed_fraction` too, both limits hold. Conflicts with `allow_failed_rows`.",
			},
			"max_failed_fraction": schema.Float64Attribute{
				Optional: true, Validators: []validator.Float64{float64validator.Between(0, 1), float64validator.ConflictsWith(path.MatchRoot("allow_failed_rows"))},
				MarkdownDescription: "Accept this part of the rows without a prediction, such as `0.05`. Conflicts with `allow_failed_rows`.",
			},
			"labels": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Labels of the query's jobs, which show in the billing export. The provider's `default_labels` are added.",
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
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("query"), path.MatchRoot("table"), path.MatchRoot("rows")),
		datasourcevalidator.Conflicting(path.MatchRoot("parameters"), path.MatchRoot("table")),
		datasourcevalidator.Conflicting(path.MatchRoot("parameters"), path.MatchRoot("rows")),
	}
}

// ValidateConfig checks what has a grammar.
func (*DataSource) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(m.validate(ctx)...)
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
	request, err := m.toRequest(ctx, d.clients.Project())
	request.Progress = tfkit.Progress(ctx)
	request.Labels = m.labels(d.clients.Config().DefaultLabels)
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
	case !m.accepts(p):
		tfkit.AddError(&resp.Diagnostics, "predict", kind, m.Model.ValueString(),
			errors.New(failure(p)+"\n\nHint: repair the cause, or accept rows without a prediction: up to max_failed_rows, up to max_failed_fraction, or all with allow_failed_rows = true"))
		return
	}
	if m.fromPrediction(p) {
		resp.Diagnostics.AddAttributeWarning(path.Root("predictions"), "Values without a number in Terraform",
			"Some predictions are NaN or infinite. They are null in predictions; predictions_json holds them as text.")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}
