// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// attributes are the arguments and attributes of the endpoint.
func attributes() map[string]schema.Attribute {
	keep := []planmodifier.String{stringplanmodifier.UseNonNullStateForUnknown()}
	keepMap := []planmodifier.Map{mapplanmodifier.UseNonNullStateForUnknown()}
	fixed := append(keep, stringplanmodifier.RequiresReplace())
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed: true, PlanModifiers: keep,
			MarkdownDescription: "Full resource name, `projects/{project}/locations/{location}/endpoints/{endpoint_id}`.",
		},
		"project": schema.StringAttribute{
			Optional: true, Computed: true, PlanModifiers: fixed, Validators: []validator.String{tfkit.ProjectID()},
			MarkdownDescription: "Project id. Defaults to the provider's. A change replaces the endpoint.",
		},
		"location": schema.StringAttribute{
			Optional: true, Computed: true,
			PlanModifiers:       append(keep, tfkit.Equivalence(tfkit.SameLocation).KeepEquivalent(), tfkit.Equivalence(tfkit.SameLocation).ReplaceUnlessEquivalent()),
			Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`), "Invalid location", "a region such as us-central1")},
			MarkdownDescription: "Region, such as `us-central1`. Defaults to the provider's. A change replaces the endpoint.",
		},
		"endpoint_id": schema.StringAttribute{
			Optional: true, Computed: true, PlanModifiers: fixed,
			Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^([a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8})$`), "Invalid endpoint id",
				"1 to 63 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, or a number of up to 9 digits")},
			MarkdownDescription: "Id of the endpoint, the last part of its name. Made from `display_name` at creation by default and then fixed; a number of up to 9 digits, if BigQuery should not take the letters of such an id. A change replaces the endpoint.",
		},
		"display_name": schema.StringAttribute{
			Required: true, Validators: []validator.String{stringvalidator.UTF8LengthBetween(1, 128)},
			MarkdownDescription: "Name for people, up to 128 characters.",
		},
		"description": schema.StringAttribute{Optional: true, MarkdownDescription: "Description of the endpoint."},
		"deployments": deploymentsAttribute(),
		"traffic": schema.MapAttribute{
			Optional: true, ElementType: types.Int32Type,
			MarkdownDescription: "Percentage of the requests for each deployment, by key; they sum to 100, and a key left out gets none. It may be left out with exactly one deployment. " +
				"What others deployed keeps its share, and the rest is divided in this proportion.",
		},
		"effective_traffic": schema.MapAttribute{
			Computed: true, ElementType: types.Int32Type, PlanModifiers: keepMap,
			MarkdownDescription: "Percentage that each deployment gets now.",
		},
		"deployed":                       deployedAttribute(keepMap),
		"encryption_spec":                encryptionAttribute(),
		"network":                        networkAttribute(),
		"private_service_connect_config": connectAttribute(),
		"dedicated_endpoint_enabled": replacingSwitch("Whether the endpoint has a domain of its own, `dedicated_endpoint_dns`, for larger requests and longer timeouts. It does not answer on the shared domain then, so **BigQuery remote models cannot use it**. " +
			"Conflicts with `network` and `private_service_connect_config`."),
		"private_model_server_enabled":            replacingSwitch("Whether the model servers are isolated from the internet."),
		"predict_request_response_logging_config": loggingAttribute(),
		"client_connection_config":                connectionAttribute(),
		"rollout":                                 rolloutAttribute(),
		"desired_state": schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(serving), Validators: []validator.String{stringvalidator.OneOf(serving, paused)},
			MarkdownDescription: "`serving` (the default) or `paused`. While it is paused nothing is deployed, so that no machine runs; the endpoint stays, and with it everything that refers to it, " +
				"such as BigQuery remote models. When it serves again, `deployments` are deployed anew. It cannot be paused while models that others deployed have traffic: they would get all of it.",
		},
		"force_destroy": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether destroying also undeploys models that others deployed to the endpoint; otherwise they are an error. It must be applied before the destroy.",
		},
		"dedicated_endpoint_dns": schema.StringAttribute{
			Computed: true, PlanModifiers: keep,
			MarkdownDescription: "DNS name of a dedicated endpoint, empty for a shared one. BigQuery remote models need a shared one.",
		},
		"create_time": schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "When the endpoint was created (RFC 3339)."},
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
