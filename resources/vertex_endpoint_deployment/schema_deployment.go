// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// The types of reservation affinity.
const (
	noReservation       = "NO_RESERVATION"
	anyReservation      = "ANY_RESERVATION"
	specificReservation = "SPECIFIC_RESERVATION"
)

// deploymentsAttribute is what the endpoint is to serve.
func deploymentsAttribute() schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Required: true,
		MarkdownDescription: "What the endpoint serves, by a key of your choice, which becomes the display name of the deployed model. " +
			"What changes in place says so below; any other change, such as of a model or a machine, is a new deployment under the same key, which is rolled out. " +
			"Each has exactly one of `dedicated_resources`, `automatic_resources` and `shared_resources`. It may be empty.",
		NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("model"), Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Full name of the model, required; best the `versioned_name` of a `gcpml_vertex_model_upload`, so that each new version is rolled out. " +
					"Without a version, or with an alias, it is the version that the name stands for when the deployment is made; it does not follow later, and the plan warns of that.",
			},
			"dedicated_resources": dedicatedResourcesAttribute(),
			"automatic_resources": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Machines that Vertex AI chooses. Few kinds of models support them; those with a container of your own mostly do not.",
				Attributes: map[string]schema.Attribute{
					"min_replica_count": schema.Int32Attribute{Required: true, MarkdownDescription: "Replicas that always run. Changes in place."},
					"max_replica_count": schema.Int32Attribute{Optional: true, MarkdownDescription: "Replicas that may run under load; without it there is no bound. Changes in place."},
				},
			},
			"shared_resources": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Name of a deployment resource pool whose machines the model shares with others, `projects/{project}/locations/{location}/deploymentResourcePools/{pool}`, such as the `id` of a " +
					"`google_vertex_ai_deployment_resource_pool`. It needs the same encryption key as the endpoint.",
			},
			"service_account": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^[^@\s]+@[^@\s]+$`), "Invalid service_account", "the e-mail address of a service account")},
				MarkdownDescription: "E-mail address of the service account that the container runs as. Who deploys needs `iam.serviceAccounts.actAs` on it. Without it the container has no access to the project.",
			},
			"enable_access_logging": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether each prediction request is logged to Cloud Logging, with its time and latency. It costs money when there are many.",
			},
			"disable_container_logging": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether what the container writes is kept out of Cloud Logging. Changes in place.",
			},
			"disable_explanations": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether to deploy without the explanations that the model is configured for. Models that BigQuery ML registered (`model_registry = 'VERTEX_AI'`) may not deploy otherwise.",
			},
			"faster_deployment_config": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "How to deploy faster.",
				Attributes: map[string]schema.Attribute{
					"fast_tryout_enabled": schema.BoolAttribute{
						Optional: true,
						MarkdownDescription: "Whether to deploy in the faster way that is there for the most popular models of Model Garden on certain machine types. It is for quick experiments, **not for production**. " +
							"A dedicated endpoint may change its `dedicated_endpoint_dns` with it.",
					},
				},
			},
		}},
	}
}

func dedicatedResourcesAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Machines that serve this model only.",
		Attributes: map[string]schema.Attribute{
			"machine_type": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "[Machine type](https://cloud.google.com/vertex-ai/docs/predictions/configure-compute#machine-types), such as `n1-standard-2`.",
			},
			"accelerator_type":  schema.StringAttribute{Optional: true, MarkdownDescription: "Accelerator type, such as `NVIDIA_TESLA_T4`; needs `accelerator_count`."},
			"accelerator_count": schema.Int32Attribute{Optional: true, MarkdownDescription: "Accelerators of each machine."},
			"tpu_topology": schema.StringAttribute{
				Optional: true, Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^[1-9][0-9]*(x[1-9][0-9]*){1,2}$`), "Invalid tpu_topology", "a topology such as 2x2 or 2x2x1")},
				MarkdownDescription: "[Topology](https://cloud.google.com/vertex-ai/docs/predictions/use-tpu) of the TPUs of a machine type that has them, such as `2x2`.",
			},
			"min_replica_count": schema.Int32Attribute{Required: true, MarkdownDescription: "Machines that always run. Changes in place."},
			"max_replica_count": schema.Int32Attribute{
				Optional:            true,
				MarkdownDescription: "Machines that may run under load; `min_replica_count` by default. Quota is needed for all of them. Changes in place.",
			},
			"required_replica_count": schema.Int32Attribute{
				Optional:            true,
				MarkdownDescription: "Machines that must run for a deployment to be a success; the others are tried again later. From 1 to `min_replica_count`, which is the default. Changes in place.",
			},
			"autoscaling_metric_specs": schema.ListNestedAttribute{
				Optional:            true,
				MarkdownDescription: "When more machines are started. Without an entry the target is 60 percent of processor time and, with accelerators, 60 percent of theirs. Changes in place.",
				NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("metric_name"), Attributes: map[string]schema.Attribute{
					"metric_name": schema.StringAttribute{
						Optional: true,
						MarkdownDescription: "Metric, required, once each: `aiplatform.googleapis.com/prediction/online/cpu/utilization`, `aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle`, " +
							"`aiplatform.googleapis.com/prediction/online/request_count` or another one that Vertex AI knows.",
					},
					"target": schema.Int32Attribute{Optional: true, MarkdownDescription: "What to keep it at, 60 by default. For the first two metrics a percentage from 1 to 100."},
				}},
			},
			"spot": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether to use [Spot VMs](https://cloud.google.com/vertex-ai/docs/predictions/use-spot-vms), which cost less and may be taken away at any time. They cannot use a specific reservation.",
			},
			"reservation_affinity": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Which [reserved machines](https://cloud.google.com/vertex-ai/docs/predictions/use-reservations) are used.",
				Attributes: map[string]schema.Attribute{
					"reservation_affinity_type": schema.StringAttribute{
						Required: true, Validators: []validator.String{stringvalidator.OneOf(noReservation, anyReservation, specificReservation)},
						MarkdownDescription: "`NO_RESERVATION`, `ANY_RESERVATION` (reserved machines if there are any) or `SPECIFIC_RESERVATION`, which needs `key` and `values`.",
					},
					"key": schema.StringAttribute{
						Optional: true, MarkdownDescription: "Label of the reservation; `compute.googleapis.com/reservation-name` names it.",
					},
					"values": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						MarkdownDescription: "Values of the label: full names of reservations, `projects/{project}/zones/{zone}/reservations/{reservation}`.",
					},
				},
			},
		},
	}
}

// deployedAttribute is what the server has.
func deployedAttribute(keep []planmodifier.Map) schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Computed: true, PlanModifiers: keep,
		MarkdownDescription: "What the server has for each deployment. What an interrupted roll-out left is here as `key (id)`; the next apply removes it.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"id":                 schema.StringAttribute{Computed: true, MarkdownDescription: "Id of the deployed model."},
			"model":              schema.StringAttribute{Computed: true, MarkdownDescription: "Name of the model, without a version."},
			"model_version_id":   schema.StringAttribute{Computed: true, MarkdownDescription: "Version of the model."},
			"machine_type":       schema.StringAttribute{Computed: true, MarkdownDescription: "Machine type, empty if the machines are not its own."},
			"accelerator_type":   schema.StringAttribute{Computed: true, MarkdownDescription: "Accelerator type, empty for none."},
			"accelerator_count":  schema.Int32Attribute{Computed: true, MarkdownDescription: "Accelerators of each machine."},
			"shared_resources":   schema.StringAttribute{Computed: true, MarkdownDescription: "Deployment resource pool, empty for none."},
			"min_replica_count":  schema.Int32Attribute{Computed: true, MarkdownDescription: "Machines that always run; 0 in a pool, which has its own number."},
			"max_replica_count":  schema.Int32Attribute{Computed: true, MarkdownDescription: "Machines that may run; 0 for no bound, and in a pool."},
			"service_account":    schema.StringAttribute{Computed: true, MarkdownDescription: "Service account that the container runs as, empty for none."},
			"traffic":            schema.Int32Attribute{Computed: true, MarkdownDescription: "Percentage of the requests."},
			"create_time":        schema.StringAttribute{Computed: true, MarkdownDescription: "When it was deployed (RFC 3339)."},
			"predict_http_uri":   schema.StringAttribute{Computed: true, MarkdownDescription: "Where it predicts within the peered network, empty without `network`."},
			"service_attachment": schema.StringAttribute{Computed: true, MarkdownDescription: "Service attachment to make forwarding rules for, empty without Private Service Connect."},
		}},
	}
}
