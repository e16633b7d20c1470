// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	networkPattern = regexp.MustCompile(`^projects/[a-z0-9.:-]+/global/networks/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	keyPattern     = regexp.MustCompile(`^projects/[a-z0-9.:-]+/locations/([a-z0-9-]+)/keyRings/[a-zA-Z0-9_-]{1,63}/cryptoKeys/[a-zA-Z0-9_-]{1,63}$`)
	tablePattern   = regexp.MustCompile(`^bq://[a-z0-9.:-]+?(\.[A-Za-z0-9_]+(\.[^\s.]+)?)?$`)
	projectPattern = regexp.MustCompile(`^(([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|[1-9][0-9]*)$`)
)

const networkForm = "projects/{project}/global/networks/{network}"

func encryptionAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, PlanModifiers: []planmodifier.Object{objectplanmodifier.RequiresReplace()},
		MarkdownDescription: "Customer-managed encryption of the endpoint and of what is deployed to it. A change replaces the endpoint.",
		Attributes: map[string]schema.Attribute{
			"kms_key_name": schema.StringAttribute{
				Required: true,
				Validators: []validator.String{tfkit.Matches(keyPattern, "Invalid kms_key_name",
					"the full name of a Cloud KMS key, projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}, without a version")},
				MarkdownDescription: "Cloud KMS key in the region of the endpoint, `projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}`.",
			},
		},
	}
}

// networkAttribute has no plan modifiers: what means the same takes clients to tell, and
// ModifyPlan has them.
func networkAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional:   true,
		Validators: []validator.String{tfkit.Matches(networkPattern, "Invalid network", "the full name of a network, "+networkForm)},
		MarkdownDescription: "Network to peer the endpoint with (private services access), `" + networkForm + "`; Google's documentation asks for the number of the project. Predictions can be had within it only, and the endpoint serves one model: " +
			"it takes one deployment and the roll-out strategy `recreate`. Conflicts with `private_service_connect_config` and `dedicated_endpoint_enabled`. A change replaces the endpoint.",
	}
}

func connectAttribute() schema.SingleNestedAttribute {
	const description = "Switching Private Service Connect on or off replaces the endpoint."
	enabled := func(o types.Object) (on, known bool) {
		b, _ := o.Attributes()["enable_private_service_connect"].(types.Bool)
		return b.ValueBool(), !o.IsUnknown() && !b.IsUnknown()
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		PlanModifiers: []planmodifier.Object{objectplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.ObjectRequest, resp *objectplanmodifier.RequiresReplaceIfFuncResponse) {
			was, _ := enabled(req.StateValue)
			is, known := enabled(req.PlanValue)
			resp.RequiresReplace = !known || is != was
		}, description, description)},
		MarkdownDescription: "Private Service Connect: the endpoint is reached through forwarding rules to its service attachment (`deployed.{key}.service_attachment`), and not from the internet. " +
			"Conflicts with `network` and `dedicated_endpoint_enabled`. Switching it on or off replaces the endpoint; the lists change in place.",
		Attributes: map[string]schema.Attribute{
			"enable_private_service_connect": schema.BoolAttribute{Required: true, MarkdownDescription: "Whether it is on."},
			"project_allowlist": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Projects from which forwarding rules may target the service attachment, in any order.",
			},
			"psc_automation_configs": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Networks in which Google makes the forwarding rule, too; in any order.",
				NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("project_id", "network"), Attributes: map[string]schema.Attribute{
					"project_id": schema.StringAttribute{
						Optional: true, Validators: []validator.String{tfkit.Matches(projectPattern, "Invalid project_id", "the id or the number of a project")},
						MarkdownDescription: "Project in which the forwarding rule is made; required.",
					},
					"network": schema.StringAttribute{
						Optional: true, Validators: []validator.String{tfkit.Matches(networkPattern, "Invalid network", "the full name of a network, "+networkForm)},
						MarkdownDescription: "Network of the forwarding rule, `" + networkForm + "`; required.",
					},
				}},
			},
		},
	}
}

// replacingSwitch is an argument that is false by default; another value replaces the
// endpoint.
func replacingSwitch(about string) schema.BoolAttribute {
	const description = "A change replaces the endpoint."
	return schema.BoolAttribute{
		Optional: true,
		PlanModifiers: []planmodifier.Bool{boolplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.BoolRequest, resp *boolplanmodifier.RequiresReplaceIfFuncResponse) {
			resp.RequiresReplace = req.PlanValue.IsUnknown() || req.StateValue.ValueBool() != req.PlanValue.ValueBool()
		}, description, description)},
		MarkdownDescription: about + " " + description,
	}
}

func loggingAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Logging of requests and responses to BigQuery. Changes in place.",
		Attributes: map[string]schema.Attribute{
			"enabled":       schema.BoolAttribute{Required: true, MarkdownDescription: "Whether they are logged."},
			"sampling_rate": schema.Float64Attribute{Optional: true, MarkdownDescription: "Part of them that is logged, more than 0 and up to 1. Needed when logging is enabled."},
			"bigquery_destination": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Where they are logged to.",
				Attributes: map[string]schema.Attribute{
					"output_uri": schema.StringAttribute{
						Required: true, Validators: []validator.String{tfkit.Matches(tablePattern, "Invalid output_uri", "bq://PROJECT, bq://PROJECT.DATASET or bq://PROJECT.DATASET.TABLE")},
						MarkdownDescription: "`bq://PROJECT`, `bq://PROJECT.DATASET` or `bq://PROJECT.DATASET.TABLE`. Vertex AI makes the dataset and the table that are left out; a dataset that is named must exist.",
					},
				},
			},
		},
	}
}

func connectionAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, Computed: true, PlanModifiers: []planmodifier.Object{objectplanmodifier.UseNonNullStateForUnknown()},
		MarkdownDescription: "How clients connect. Left out, it stays as it is on the server. Changes in place.",
		Attributes: map[string]schema.Attribute{
			"inference_timeout": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "How long a prediction may take, such as `600s` or `10m`, up to an hour. It matters for dedicated endpoints and Private Service Connect; the shared domain ends requests after 60 seconds in any case.",
			},
		},
	}
}
