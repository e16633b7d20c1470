// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel

import (
	"context"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	idPattern          = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	keyPattern         = regexp.MustCompile(`^projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+$`)
	processorPattern   = regexp.MustCompile(`^([0-9a-f]+|projects/[^/\s]+/locations/[a-z0-9-]+/processors/[^/\s]+(/processorVersions/[^/\s]+)?)$`)
	recognizerPattern  = regexp.MustCompile(`^projects/[^/\s]+/locations/[a-z0-9-]+/recognizers/[^/\s]+$`)
	huggingFacePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)
	gardenPattern      = regexp.MustCompile(`^publishers/[^/@\s]+/models/[^/@\s]+@[^/@\s]+$`)
	machinePattern     = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	reservationPattern = regexp.MustCompile(`^projects/[^/\s]+/zones/[^/\s]+/reservations/[^/\s]+$`)
)

// reservationKey is the one key that BigQuery documents.
const reservationKey = "compute.googleapis.com/reservation-name"

func oneOf(values []string) string { return "`" + strings.Join(values, "`, `") + "`" }

// Schema describes the attributes.
func (*Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := stringplanmodifier.UseNonNullStateForUnknown()
	id := []validator.String{tfkit.Matches(idPattern, "Invalid id", "letters, digits and underscores"), stringvalidator.LengthAtMost(1024)}
	columns := func(description string) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{
			Optional: true, Computed: true, Validators: []validator.List{listvalidator.SizeAtLeast(1)}, MarkdownDescription: description,
			NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("name", "type"), Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the column, and of the field of the endpoint's request or response; required."},
				"type": schema.StringAttribute{Optional: true, MarkdownDescription: "Required: `BOOL`, `INT64`, `FLOAT64`, `NUMERIC`, `BIGNUMERIC`, `STRING`, or `ARRAY<…>` of one of them. Case and spaces do not matter."},
			}},
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A BigQuery remote model: over a Vertex AI endpoint of your own (`ML.PREDICT`), a model that Google or a partner hosts (Gemini, embeddings, Claude, …), a Cloud AI service, or an open model that BigQuery deploys.\n\n" +
			"It is made by `CREATE MODEL … REMOTE WITH CONNECTION`, which never replaces a model that exists. A changed connection, endpoint, service, open model, input or output is an update in place by `CREATE OR REPLACE MODEL`, during which the name stays usable. " +
			"Right after the connection was granted its role, BigQuery refuses the statement until the grant is effective; it is retried for `iam_propagation_timeout`.\n\n" +
			"Set exactly one of `endpoint`, `remote_service_type` and `open_model`.\n\n" +
			"| kind | arguments | role of the connection's account |\n|---|---|---|\n" +
			"| endpoint of your own | `endpoint`, `input`, `output` | `roles/aiplatform.user` in the endpoint's project |\n" +
			"| hosted model | `endpoint = \"gemini-2.5-flash\"` | `roles/aiplatform.user` |\n" +
			"| Cloud AI service | `remote_service_type`, … | see `connection_role` |\n" +
			"| open model | `open_model` | `roles/aiplatform.user` |",
		Attributes: tfkit.WithLabels("the model", tfkit.WithDeletionPolicy("the model", map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{keep},
				MarkdownDescription: "`projects/PROJECT/datasets/DATASET_ID/models/MODEL_ID`.",
			},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.String{keep}, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id of the dataset, which also runs the DDL jobs. Default: the provider's project. A change replaces the model.",
			},
			"dataset_id": schema.StringAttribute{
				Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, Validators: id,
				MarkdownDescription: "Dataset, which must exist in the location of the connection. Refer to its resource (`google_bigquery_dataset.x.dataset_id`), so that a destroy drops the model first: " +
					"of a dataset that is deleted with its contents, what BigQuery deployed for open models goes on running and costing money. A change replaces the model.",
			},
			"model_id": schema.StringAttribute{
				Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, Validators: id,
				MarkdownDescription: "Id of the model. A change replaces the model.",
			},
			"connection_name": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "Connection whose service account is used: `projects/PROJECT/locations/LOCATION/connections/ID`, as the `id` of a `gcpml_bq_connection`. " +
					"Or `DEFAULT`: the project's default connection, which BigQuery makes, with the role that it needs, if there is none; destroying the model leaves it.",
			},
			"endpoint": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Shared public Vertex AI endpoint: `projects/PROJECT/locations/LOCATION/endpoints/ID`, as the `id` of a `gcpml_vertex_endpoint_deployment`, or its `https` URL. " +
					"A connection in a region needs an endpoint in the same region, one in `US` or `EU` an endpoint inside of it. Dedicated and private endpoints are refused.\n" +
					"Or a model that Google or a partner hosts: its name, such as `gemini-2.5-flash`, `text-embedding-005`, `claude-sonnet-4@20250514` or `openapi/meta/llama-3.3-70b-instruct-maas`, which BigQuery completes for the location of the dataset, " +
					"or its URL `https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/PUBLISHER/models/MODEL`. Models of partners must have been enabled in Model Garden.",
			},
			"remote_service_type": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.OneOf(bqml.ServiceTypes...)},
				MarkdownDescription: "Cloud AI service: " + oneOf(bqml.ServiceTypes) + ".",
			},
			"document_processor": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(processorPattern, "Invalid document processor", "a processor's id, or projects/PROJECT/locations/LOCATION/processors/ID, with or without /processorVersions/VERSION")},
				MarkdownDescription: "Document AI processor, which `" + bqml.ServiceDocument + "` needs: its id or full name, with a version or without. It must be in the location of the dataset. BigQuery does not tell it: an import does not find it, and drift is not seen.",
			},
			"speech_recognizer": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(recognizerPattern, "Invalid speech recognizer", "projects/PROJECT/locations/LOCATION/recognizers/ID")},
				MarkdownDescription: "Recognizer for `" + bqml.ServiceSpeech + "`: `projects/PROJECT/locations/LOCATION/recognizers/ID`. Default: the service's own.",
			},
			"open_model": openModelAttribute(),
			"input": columns("Columns that a model over an endpoint of your own takes, in this order. The query of a prediction must have a column of each name. " +
				"Left out together with `output`, they are taken from the signature `serving_default` in the `saved_model.pb` of the model that is deployed at the endpoint and gets most traffic, when the model is made and when `endpoint` changes. " +
				"If there is none that can be read, the model is made without, as open language models on an endpoint of your own need it, and a warning tells why."),
			"output": columns("Columns that the model returns, in this order. A single one may have any name."),
			"kms_key_name": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.Matches(keyPattern, "Invalid KMS key", "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")},
				MarkdownDescription: "Cloud KMS key that encrypts the model. Default: that of the dataset or project, if they have one. Another key is exchanged in place; adding the first one replaces the model by `CREATE OR REPLACE MODEL`. BigQuery's service account must be allowed to use the key.",
			},
			"probe":           probeAttribute(),
			"description":     schema.StringAttribute{Optional: true, MarkdownDescription: "Description."},
			"expiration_time": schema.StringAttribute{Optional: true, MarkdownDescription: "When BigQuery deletes the model, in RFC 3339 with at most milliseconds, such as `2031-12-31T23:59:59Z`. Without it the model does not expire, also in a dataset with a default expiration."},
			"iam_propagation_timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a refusal of the connection's service account is retried, from the first one on, while a grant takes effect. Default `10m`; `0s` fails at once.",
			},
			"location":                  schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{keep}, MarkdownDescription: "Location of the dataset."},
			"endpoint_url":              schema.StringAttribute{Computed: true, MarkdownDescription: "URL that the model calls, the value of its `ENDPOINT` option; of a hosted model what BigQuery shows."},
			"effective_connection_name": schema.StringAttribute{Computed: true, MarkdownDescription: "Connection that the model uses, also where `connection_name` is `DEFAULT`."},
			"connection_role":           schema.StringAttribute{Computed: true, MarkdownDescription: "Role that the service account of the connection needs for this kind of model."},
			"probe_passed":              schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the last probe succeeded. After one that failed, the next apply probes again."},
		})),
		Blocks: map[string]schema.Block{"timeouts": timeouts.BlockAll(ctx)},
	}
}

func openModelAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Open model that BigQuery deploys on Vertex AI, where it costs money while it is deployed; it undeploys it after `endpoint_idle_ttl` without a request, and deletes what it deployed with the model. Set one of `hugging_face_model_id` and `model_garden_model_name`. " +
			"Apart from `deploy_model` and `endpoint_idle_ttl`, a change deploys the model anew. What is left out is BigQuery's choice.",
		Attributes: map[string]schema.Attribute{
			"hugging_face_model_id": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(huggingFacePattern, "Invalid Hugging Face model", "PROVIDER/MODEL")},
				MarkdownDescription: "Model of Hugging Face: `google/gemma-3-1b-it`.",
			},
			"model_garden_model_name": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(gardenPattern, "Invalid Model Garden model", "publishers/PUBLISHER/models/MODEL@VERSION")},
				MarkdownDescription: "Model of Vertex AI Model Garden: `publishers/google/models/gemma3@gemma-3-270m-it`.",
			},
			"hugging_face_token_wo": schema.StringAttribute{
				Optional: true, Sensitive: true, WriteOnly: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Hugging Face token for a gated model. It is in no state and no plan. **BigQuery keeps the text of statements, and the token in it, in the project's job history (`INFORMATION_SCHEMA.JOBS`, `bq show -j`) and audit logs**: use a token that can only read this model, and revoke it afterwards. " +
					"To keep a token out of there, deploy the model from Model Garden to an endpoint of your own, and name that in `endpoint`.",
			},
			"hugging_face_token_wo_version": schema.StringAttribute{Optional: true, MarkdownDescription: "Any text; changing it sends the token again, and so deploys the model anew."},
			"machine_type": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(machinePattern, "Invalid machine type", "a machine type such as g2-standard-12")},
				MarkdownDescription: "Machine type, such as `g2-standard-12`.",
			},
			"min_replica_count": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, bqml.MaxReplicas)}, MarkdownDescription: "Least replicas, 1 to 4096. BigQuery's default is 1."},
			"max_replica_count": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, bqml.MaxReplicas)}, MarkdownDescription: "Most replicas, 1 to 4096. BigQuery's default is `min_replica_count`."},
			"reservation_affinity": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Compute Engine reservation to use.",
				Attributes: map[string]schema.Attribute{
					"reservation_affinity_type": schema.StringAttribute{Required: true, Validators: []validator.String{stringvalidator.OneOf(bqml.ReservationTypes...)}, MarkdownDescription: oneOf(bqml.ReservationTypes) + "."},
					"key":                       schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.OneOf(reservationKey)}, MarkdownDescription: "`" + reservationKey + "`, with `SPECIFIC_RESERVATION` only."},
					"values": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(tfkit.Matches(reservationPattern, "Invalid reservation", "projects/PROJECT/zones/ZONE/reservations/ID"))},
						MarkdownDescription: "Reservations, `projects/PROJECT/zones/ZONE/reservations/ID`, with `SPECIFIC_RESERVATION` only.",
					},
				},
			},
			"endpoint_idle_ttl": schema.StringAttribute{Optional: true, MarkdownDescription: "How long without a request the model stays deployed, in whole minutes: `390m` to `168h`. BigQuery's default is `6h30m`. Changed without deploying anew."},
			"deploy_model":      schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the model is to be deployed; `false` undeploys it, and it can then not be used. Deploying again takes up to half an hour. BigQuery does not tell the state: what it undeploys by itself is no difference."},
		},
	}
}

func probeAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Rows that a model over an endpoint of your own must predict (`ML.PREDICT`) after it was made or replaced. If one has no prediction, the apply fails and tells why, while the model stays as it is; the probe is repeated by the next apply. " +
			"Terraform marks a new model whose probe failed as tainted: `terraform untaint` it, if only the probe was wrong. Set one of `query` and `rows`.",
		Attributes: map[string]schema.Attribute{
			"query": schema.StringAttribute{Optional: true, MarkdownDescription: "One GoogleSQL `SELECT` of at most 1000 rows, with a column for each input."},
			"rows": schema.ListAttribute{
				Optional: true, ElementType: types.StringType, Validators: []validator.List{listvalidator.SizeBetween(1, 1000)},
				MarkdownDescription: "Rows, each as JSON with a value for each input: `[jsonencode({ text = \"a good film\" })]`. Numbers may be written as text, which keeps all digits.",
			},
		},
	}
}
