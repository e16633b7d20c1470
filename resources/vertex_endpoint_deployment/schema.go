// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// deploymentsAttribute is what the endpoint is to serve.
func deploymentsAttribute() schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Required: true,
		MarkdownDescription: "What the endpoint serves, by a key of your choice, which becomes the display name of the deployed model. " +
			"A changed model or machine is a new deployment under the same key; replica counts change in place. It may be empty.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "Full name of the model, best the `versioned_name` of a `gcpml_vertex_model_upload`, so that each new version is rolled out. " +
					"Without a version, or with an alias, it is the version that the name stands for when the deployment is made; it does not follow later.",
			},
			"dedicated_resources": schema.SingleNestedAttribute{
				Required: true, MarkdownDescription: "Machines that serve the model.",
				Attributes: map[string]schema.Attribute{
					"machine_type": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: "[Machine type](https://cloud.google.com/vertex-ai/docs/predictions/configure-compute#machine-types), such as `n1-standard-2`.",
					},
					"accelerator_type":  schema.StringAttribute{Optional: true, MarkdownDescription: "Accelerator type, such as `NVIDIA_TESLA_T4`; needs `accelerator_count`."},
					"accelerator_count": schema.Int32Attribute{Optional: true, MarkdownDescription: "Accelerators of each machine."},
					"min_replica_count": schema.Int32Attribute{Required: true, MarkdownDescription: "Machines that always run. Changes in place."},
					"max_replica_count": schema.Int32Attribute{
						Optional:            true,
						MarkdownDescription: "Machines that may run under load; `min_replica_count` by default. Quota is needed for all of them. Changes in place.",
					},
				},
			},
		}},
	}
}

// deployedAttribute is what the server has.
func deployedAttribute(keep []planmodifier.Map) schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Computed: true, PlanModifiers: keep,
		MarkdownDescription: "What the server has for each deployment. What an interrupted roll-out left is here as `key (id)`; the next apply removes it.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"id":                schema.StringAttribute{Computed: true, MarkdownDescription: "Id of the deployed model."},
			"model":             schema.StringAttribute{Computed: true, MarkdownDescription: "Name of the model, without a version."},
			"model_version_id":  schema.StringAttribute{Computed: true, MarkdownDescription: "Version of the model."},
			"machine_type":      schema.StringAttribute{Computed: true, MarkdownDescription: "Machine type."},
			"accelerator_type":  schema.StringAttribute{Computed: true, MarkdownDescription: "Accelerator type, empty for none."},
			"accelerator_count": schema.Int32Attribute{Computed: true, MarkdownDescription: "Accelerators of each machine."},
			"min_replica_count": schema.Int32Attribute{Computed: true, MarkdownDescription: "Machines that always run."},
			"max_replica_count": schema.Int32Attribute{Computed: true, MarkdownDescription: "Machines that may run."},
			"traffic":           schema.Int32Attribute{Computed: true, MarkdownDescription: "Percentage of the requests."},
			"create_time":       schema.StringAttribute{Computed: true, MarkdownDescription: "When it was deployed (RFC 3339)."},
		}},
	}
}

// rolloutAttribute is how one deployment takes the place of another.
func rolloutAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "How a new deployment takes the place of the one before it. It matters during an apply only: a change of it alone changes nothing on the server, and what an interrupted roll-out left is carried on in the way that is configured then. " +
			"Without it, traffic moves in one step once the new deployment is there. Going back to a version that is still deployed takes neither steps nor waits.",
		Attributes: map[string]schema.Attribute{
			"strategy": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.OneOf(strategies()...)},
				MarkdownDescription: "`blue_green` (the default): the new one is deployed beside the old one without traffic, the traffic moves in `steps`, and the old one is undeployed. " +
					"`all_at_once`: the same, but the operation that deploys the new one also moves the traffic, all of it. " +
					"`recreate`: the old one is undeployed first, so that no second set of machines is needed; **requests fail meanwhile**, unless other deployments of the endpoint take them over.",
			},
			"steps": schema.ListAttribute{
				Optional: true, ElementType: types.Int32Type,
				MarkdownDescription: "Percentages of the deployment's traffic that the new one gets, one after the other; ascending, the last one 100. `[100]` by default. Only with `blue_green`.",
			},
			"wait": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "How long each step lasts, such as `30s` or `10m`, and how long the old one stays deployed after the last one. By default `30s` with several `steps`, otherwise `0s`. " +
					"After an interruption the wait under way begins anew.",
			},
			"gate": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "What a new model must predict before it is deployed here. Vertex AI has no way to ask a deployed model that has no traffic, so the same version is first deployed, on one machine of the same kind, to an endpoint that exists only for this " +
					"(`gcpml-gate-…`, with the same labels). If a prediction fails or differs the apply is an error that says where, and what served is untouched. A gate therefore takes the time of one more deployment.",
				Attributes: map[string]schema.Attribute{
					"instances": schema.ListAttribute{
						Required: true, ElementType: types.StringType,
						MarkdownDescription: "Instances to predict, 1 to 100, each as JSON: `[jsonencode({ text = \"a film\" })]`.",
					},
					"expect": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						MarkdownDescription: "The prediction for each of `instances`, as JSON, in the same order. Left out, any prediction will do.",
					},
					"tolerance": schema.Float64Attribute{
						Optional:            true,
						MarkdownDescription: "By how much a number in a prediction may differ from the expected one; 0 by default. Everything else must be equal.",
					},
				},
			},
		},
	}
}
