// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Schema describes the arguments of the provider block: those of
// terraform-provider-google that have a meaning here, and our own.
func (p *gcpml) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	optional := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: description}
	}
	flag := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
	}
	list := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares model serving on Google Cloud: a model in Vertex AI, its endpoint, and the BigQuery remote model through which SQL predicts with it.\n\n" +
			"The arguments are those of `terraform-provider-google`, with the same environment variables and the same precedence, so that both providers can be given the same values. What is written in the block always wins over the environment.",
		Attributes: map[string]schema.Attribute{
			"project": optional("Default project id. Environment: `GOOGLE_PROJECT`, `GOOGLE_CLOUD_PROJECT`, `GCLOUD_PROJECT`, `CLOUDSDK_CORE_PROJECT`."),
			"region":  optional("Default Vertex AI region, for instance `us-central1`. Environment: `GOOGLE_REGION`, `GCLOUD_REGION`, `CLOUDSDK_COMPUTE_REGION`."),

			"credentials": secret("Path or JSON text of a credentials file. Environment: `GOOGLE_CREDENTIALS`, `GOOGLE_CLOUD_KEYFILE_JSON`, `GCLOUD_KEYFILE_JSON`, which are read only if the block has no credential at all. " +
				"Without any credential, Application Default Credentials are used. Conflicts with `access_token` and `external_credentials`."),
			"access_token": secret("OAuth 2.0 access token, which is not refreshed, and has scopes of its own. Environment: `GOOGLE_OAUTH_ACCESS_TOKEN`, which wins over a credential of the environment. Conflicts with `credentials` and `external_credentials`."),
			"external_credentials": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "Workload identity federation: a token of another identity provider is exchanged for one of a service account, without any key. For the workload identity tokens of HCP Terraform, for instance. " +
					"Conflicts with `credentials` and `access_token`.",
				Attributes: map[string]schema.Attribute{
					"audience":              schema.StringAttribute{Required: true, MarkdownDescription: "The provider of the workload identity pool: `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`."},
					"service_account_email": schema.StringAttribute{Required: true, MarkdownDescription: "E-mail address of the service account to act as."},
					"identity_token":        schema.StringAttribute{Required: true, Sensitive: true, MarkdownDescription: "The OIDC token (a JWT) of the other identity provider."},
				},
			},
			"impersonate_service_account":           optional("E-mail address of a service account to act as, with any of the credentials above. Environment: `GOOGLE_IMPERSONATE_SERVICE_ACCOUNT`."),
			"impersonate_service_account_delegates": list("E-mail addresses of the service accounts in between, each of which may create tokens for the next one and the last one for `impersonate_service_account`."),
			"scopes":                                list("OAuth 2.0 scopes of the token, written in full. Default: `https://www.googleapis.com/auth/cloud-platform`. `access_token` has its own."),

			"user_project_override": flag("Charge quota and cost of calls to `billing_project`, or if that is not set to `project`, instead of to the project of the credential (the header `X-Goog-User-Project`). " +
				"The caller needs `serviceusage.services.use` there. Default `false`. Environment: `USER_PROJECT_OVERRIDE`."),
			"billing_project": optional("Project for `user_project_override`; without that it has no effect. Environment: `GOOGLE_BILLING_PROJECT`."),
			"request_reason":  optional("Reason of the calls, for audit logs (the header `X-Goog-Request-Reason`). Environment: `CLOUDSDK_CORE_REQUEST_REASON`."),
			"request_timeout": optional("Longest time for one API call, such as `90s`; default `120s`. Predictions have no such limit. What is waited for after a call, such as a deployment, has the `timeouts` of its resource."),
			"poll_interval":   optional("Longest time between two looks at a long-running operation, such as `30s`; default `10s`. The first looks are faster."),
			"universe_domain": optional("Domain of the APIs, for a Google Cloud other than the public one; default `googleapis.com`. It must be that of the credential."),

			"vertex_ai_custom_endpoint":           optional("Endpoint of the Vertex AI API, for instance `https://us-central1-aiplatform.googleapis.com/v1/`. It is called by gRPC, so the path must be `/v1/`. Environment: `GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT`."),
			"big_query_custom_endpoint":           optional("Endpoint of the BigQuery API, for instance `https://bigquery.googleapis.com/bigquery/v2/`. Environment: `GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT`."),
			"bigquery_connection_custom_endpoint": optional("Endpoint of the BigQuery Connection API, for instance `https://bigqueryconnection.googleapis.com/v1/`. Environment: `GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT`."),
			"resource_manager_custom_endpoint":    optional("Endpoint of the Resource Manager API, for instance `https://cloudresourcemanager.googleapis.com/v1/`. It is called by gRPC, at version 3, so only its host counts. Environment: `GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT`."),
			"storage_custom_endpoint":             optional("Endpoint of the Cloud Storage JSON API, for instance `https://storage.googleapis.com/storage/v1/`. Environment: `GOOGLE_STORAGE_CUSTOM_ENDPOINT`."),
			"emulator_host":                       optional("`host:port` of a gcpml-emulator. Every call goes there, without a credential. Conflicts with credentials and custom endpoints. Environment: `GCPML_EMULATOR_HOST`."),

			"ownership_id": optional("Lets an apply adopt existing objects that carry this id in their `gcpml-owner` label and were made from the same configuration, so that an apply that was killed can be repeated. " +
				"Use one id for each state. Without it, an object that exists already is an error that names the import command. Environment: `GCPML_OWNERSHIP_ID`."),
			"default_labels": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Labels for every object that has labels (models, endpoints, remote models). `labels` of a resource win over them.",
			},
			"add_terraform_attribution_label":               flag("Put the label `goog-terraform-provisioned = true` on objects. It does not show in `effective_labels`. Default `true`."),
			"terraform_attribution_label_addition_strategy": optional("`CREATION_ONLY` (the default) puts that label on objects when they are made, `PROACTIVE` also when existing ones are changed."),
			"deletion_policy":                               optional("What destroying does to the objects of resources that do not say it themselves: `DELETE` (the default) deletes them, `PREVENT` is an error, `ABANDON` leaves them as they are and only forgets them."),
		},
	}
}
