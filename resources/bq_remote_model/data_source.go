// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ datasource.DataSource              = (*DataSource)(nil)
	_ datasource.DataSourceWithConfigure = (*DataSource)(nil)
)

// DataSource reads a remote model that anybody made.
type DataSource struct {
	clients *gcp.Clients
}

// NewDataSource returns the data source type.
func NewDataSource() datasource.DataSource { return &DataSource{} }

// dataModel is the data source's state.
type dataModel struct {
	ID               types.String `tfsdk:"id"`
	Project          types.String `tfsdk:"project"`
	DatasetID        types.String `tfsdk:"dataset_id"`
	ModelID          types.String `tfsdk:"model_id"`
	Location         types.String `tfsdk:"location"`
	Connection       types.String `tfsdk:"connection_name"`
	ConnectionRole   types.String `tfsdk:"connection_role"`
	Endpoint         types.String `tfsdk:"endpoint"`
	EndpointURL      types.String `tfsdk:"endpoint_url"`
	ServiceType      types.String `tfsdk:"remote_service_type"`
	SpeechRecognizer types.String `tfsdk:"speech_recognizer"`
	OpenModel        types.Object `tfsdk:"open_model"`
	Input            types.List   `tfsdk:"input"`
	Output           types.List   `tfsdk:"output"`
	MaxBatchingRows  types.Int64  `tfsdk:"max_batching_rows"`
	KMSKey           types.String `tfsdk:"kms_key_name"`
	Description      types.String `tfsdk:"description"`
	Labels           types.Map    `tfsdk:"labels"`
	ExpirationTime   types.String `tfsdk:"expiration_time"`
	CreationTime     types.String `tfsdk:"creation_time"`
	LastModifiedTime types.String `tfsdk:"last_modified_time"`
}

// shownOpenModel is what the server tells of an open model.
var shownOpenModel = map[string]attr.Type{
	"hugging_face_model_id": types.StringType, "model_garden_model_name": types.StringType, "machine_type": types.StringType,
	"min_replica_count": types.Int64Type, "max_replica_count": types.Int64Type,
	"reservation_affinity": types.ObjectType{AttrTypes: reservationTypes}, "endpoint_idle_ttl": types.StringType,
}

// Metadata names the type.
func (*DataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = TypeName
}

// Schema describes the attributes.
func (*DataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	id := []validator.String{tfkit.Matches(idPattern, "Invalid id", "letters, digits and underscores")}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	columns := func(description string) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"name": text("Name of the column."), "type": text("Type of the column, in GoogleSQL."),
		}}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A BigQuery remote model that exists, of any kind, whoever made it: for `gcpml_bq_predict`, for policies, or to write the configuration of one that is to be imported.",
		Attributes: map[string]schema.Attribute{
			"dataset_id":          schema.StringAttribute{Required: true, Validators: id, MarkdownDescription: "Dataset of the model."},
			"model_id":            schema.StringAttribute{Required: true, Validators: id, MarkdownDescription: "Id of the model."},
			"project":             schema.StringAttribute{Optional: true, Computed: true, Validators: []validator.String{tfkit.ProjectID()}, MarkdownDescription: "Project id of the dataset. Default: the provider's project."},
			"id":                  text("`projects/PROJECT/datasets/DATASET_ID/models/MODEL_ID`."),
			"location":            text("Location of the dataset."),
			"connection_name":     text("Connection that the model uses: `projects/PROJECT/locations/LOCATION/connections/ID`."),
			"connection_role":     text("Role that the service account of the connection needs for this kind of model."),
			"endpoint":            text("Vertex AI endpoint of one's own, `projects/PROJECT/locations/LOCATION/endpoints/ID`, or a model that Google or a partner hosts, as BigQuery shows it. Null for other kinds."),
			"endpoint_url":        text("URL that the model calls, if it has one."),
			"remote_service_type": text("Cloud AI service. Null for other kinds, and for services for which the API has no name."),
			"speech_recognizer":   text("Recognizer of a speech service."),
			"open_model": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Open model that BigQuery deployed. Null for other kinds.",
				Attributes: map[string]schema.Attribute{
					"hugging_face_model_id":   text("Model of Hugging Face."),
					"model_garden_model_name": text("Model of Vertex AI Model Garden."),
					"machine_type":            text("Machine type."),
					"min_replica_count":       number("Least replicas."),
					"max_replica_count":       number("Most replicas."),
					"endpoint_idle_ttl":       text("How long without a request the model stays deployed."),
					"reservation_affinity": schema.SingleNestedAttribute{
						Computed: true, MarkdownDescription: "Compute Engine reservation that is used.",
						Attributes: map[string]schema.Attribute{
							"reservation_affinity_type": text("Type of the affinity."),
							"key":                       text("Key of the reservation's label."),
							"values":                    schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Reservations."},
						},
					},
				},
			},
			"input":              columns("Columns that the model takes, null if it has none."),
			"output":             columns("Columns that the model returns, null if it has none."),
			"max_batching_rows":  number("Most rows in one request to the endpoint; null leaves it to BigQuery."),
			"kms_key_name":       text("Cloud KMS key that encrypts the model."),
			"description":        text("Description."),
			"labels":             schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Labels, apart from the marks of gcpml (`gcpml-…`) and of Google itself (`goog-…`)."},
			"expiration_time":    text("When BigQuery deletes the model, in RFC 3339; null if it does not."),
			"creation_time":      text("When the model was made or last replaced, in RFC 3339."),
			"last_modified_time": text("When the model was last changed, in RFC 3339."),
		},
	}
}

// Configure takes the clients.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// Read reads the model.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m dataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	m.Project = types.StringValue(tfkit.Place("project", &resp.Diagnostics, m.Project.ValueString(), d.clients.Project()))
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, defaultReadTimeout)
	defer cancel()
	name := gcp.RemoteModelName{Project: m.Project.ValueString(), Dataset: m.DatasetID.ValueString(), ID: m.ModelID.ValueString()}
	service := bqml.New(d.clients)
	remote, err := service.GetModel(ctx, name)
	if gcp.IsNotFound(err) {
		err = fmt.Errorf("there is no such model: %w", err)
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, kind, name.String(), err)
		return
	}
	m.fromRemote(name, remote, spellingOf(ctx, d.clients, service))
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// fromRemote shows a model as an import would take it.
func (d *dataModel) fromRemote(name gcp.RemoteModelName, r *bqml.Model, s spelling) {
	m := model{OpenModel: types.ObjectNull(openModelTypes), Input: types.ListNull(columnType), Output: types.ListNull(columnType), LabelSet: tfkit.NoLabels()}
	m.Project, m.DatasetID, m.ModelID = types.StringValue(name.Project), types.StringValue(name.Dataset), types.StringValue(name.ID)
	m.fromRemote(r, s)
	d.ID, d.Location, d.Connection, d.ConnectionRole = m.ID, m.Location, m.Connection, m.ConnectionRole
	d.Endpoint, d.EndpointURL, d.ServiceType, d.SpeechRecognizer = m.Endpoint, m.EndpointURL, m.ServiceType, m.SpeechRecognizer
	d.Input, d.Output, d.KMSKey, d.Description, d.ExpirationTime = m.Input, m.Output, m.KMSKey, m.Description, m.ExpirationTime
	d.Labels = tfkit.MapValue(r.Labels, types.MapValueMust(types.StringType, nil))
	d.CreationTime, d.LastModifiedTime = types.StringValue(r.Created.UTC().Format(time.RFC3339Nano)), types.StringValue(r.Modified.UTC().Format(time.RFC3339Nano))
	if r.MaxBatchingRows != 0 {
		d.MaxBatchingRows = types.Int64Value(r.MaxBatchingRows)
	}
	d.OpenModel = types.ObjectNull(shownOpenModel)
	if isKnown(m.OpenModel) {
		shown := map[string]attr.Value{}
		for name := range shownOpenModel {
			shown[name] = m.OpenModel.Attributes()[name]
		}
		d.OpenModel = types.ObjectValueMust(shownOpenModel, shown)
	}
}
