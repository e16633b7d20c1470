// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package provider is the provider block: its schema, how it becomes clients, and
// the list of what the provider serves.
package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Address is the provider's address in the Terraform registry.
const Address = "registry.terraform.io/gcpml/gcpml"

var _ provider.Provider = (*gcpml)(nil)

type gcpml struct{ version string }

// New returns a factory of the provider for a server.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &gcpml{version} }
}

type model struct {
	Project                   types.String `tfsdk:"project"`
	Region                    types.String `tfsdk:"region"`
	Credentials               types.String `tfsdk:"credentials"`
	AccessToken               types.String `tfsdk:"access_token"`
	ImpersonateServiceAccount types.String `tfsdk:"impersonate_service_account"`
	VertexAI                  types.String `tfsdk:"vertex_ai_custom_endpoint"`
	BigQuery                  types.String `tfsdk:"big_query_custom_endpoint"`
	BigQueryConnection        types.String `tfsdk:"bigquery_connection_custom_endpoint"`
	EmulatorHost              types.String `tfsdk:"emulator_host"`
	OwnershipID               types.String `tfsdk:"ownership_id"`
	DefaultLabels             types.Map    `tfsdk:"default_labels"`
	DeletionPolicy            types.String `tfsdk:"deletion_policy"`
}

func (p *gcpml) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "gcpml"
	resp.Version = p.version
}

func (p *gcpml) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	optional := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares model serving on Google Cloud: a model in Vertex AI, its endpoint, and the BigQuery remote model through which SQL predicts with it.",
		Attributes: map[string]schema.Attribute{
			"project": optional("Default project id. Environment: `GOOGLE_PROJECT`, `GOOGLE_CLOUD_PROJECT`, `GCLOUD_PROJECT`, `CLOUDSDK_CORE_PROJECT`."),
			"region":  optional("Default Vertex AI region, for instance `us-central1`. Environment: `GOOGLE_REGION`, `GCLOUD_REGION`, `CLOUDSDK_COMPUTE_REGION`."),
			"credentials": secret("Path or JSON text of a credentials file. Environment: `GOOGLE_CREDENTIALS`, `GOOGLE_CLOUD_KEYFILE_JSON`, `GCLOUD_KEYFILE_JSON`. " +
				"Without it and `access_token`, Application Default Credentials are used. Conflicts with `access_token`."),
			"access_token":                        secret("OAuth 2.0 access token, which is not refreshed. Environment: `GOOGLE_OAUTH_ACCESS_TOKEN`."),
			"impersonate_service_account":         optional("E-mail address of a service account to act as. Environment: `GOOGLE_IMPERSONATE_SERVICE_ACCOUNT`."),
			"vertex_ai_custom_endpoint":           optional("Endpoint of the Vertex AI API, for instance `https://us-central1-aiplatform.googleapis.com/v1/`. It is called by gRPC, so the path must be `/v1/`. Environment: `GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT`."),
			"big_query_custom_endpoint":           optional("Endpoint of the BigQuery API, for instance `https://bigquery.googleapis.com/bigquery/v2/`. Environment: `GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT`."),
			"bigquery_connection_custom_endpoint": optional("Endpoint of the BigQuery Connection API, for instance `https://bigqueryconnection.googleapis.com/v1/`. Environment: `GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT`."),
			"emulator_host":                       optional("`host:port` of a gcpml-emulator. Every call goes there, without a credential. Conflicts with credentials and custom endpoints. Environment: `GCPML_EMULATOR_HOST`."),
			"ownership_id": optional("Lets an apply adopt existing objects that carry this id in their `gcpml-owner` label and were made from the same configuration, so that an apply that was killed can be repeated. " +
				"Use one id for each state. Without it, an object that exists already is an error that names the import command. Environment: `GCPML_OWNERSHIP_ID`."),
			"default_labels": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Labels for every object that has labels (models, endpoints, remote models). `labels` of a resource win over them.",
			},
			"deletion_policy": optional("What destroying does to the objects of resources that do not say it themselves: `DELETE` (the default) deletes them, `PREVENT` is an error, `ABANDON` leaves them as they are and only forgets them."),
		},
	}
}

func (p *gcpml) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.checkKnown(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	config, err := m.config(p.version, req.TerraformVersion).Environ()
	if err == nil {
		var clients *gcp.Clients
		if clients, err = gcp.Connect(ctx, config); err == nil {
			resp.ResourceData, resp.DataSourceData = clients, clients
			return
		}
	}
	var wrong *gcp.ConfigError
	if errors.As(err, &wrong) {
		resp.Diagnostics.AddAttributeError(path.Root(wrong.Setting), "Unable to configure the provider", wrong.Error())
		return
	}
	resp.Diagnostics.AddError("Unable to configure the provider", err.Error())
}

// checkKnown refuses values that are unknown during plan, and empty ones: an
// empty emulator_host, from a variable that was not set, must not turn into
// calls to the real Google Cloud.
func (m *model) checkKnown(diags *diag.Diagnostics) {
	arguments := map[string]types.String{
		"project": m.Project, "region": m.Region, "credentials": m.Credentials, "access_token": m.AccessToken,
		"impersonate_service_account": m.ImpersonateServiceAccount, "vertex_ai_custom_endpoint": m.VertexAI,
		"big_query_custom_endpoint": m.BigQuery, "bigquery_connection_custom_endpoint": m.BigQueryConnection,
		"emulator_host": m.EmulatorHost, "ownership_id": m.OwnershipID, "deletion_policy": m.DeletionPolicy,
	}
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		switch v := arguments[name]; {
		case v.IsUnknown():
			diags.AddAttributeError(path.Root(name), "Unknown provider argument",
				name+" is not known before apply. Give the provider values that are known during plan: a variable, or a value from another configuration.")
		case !v.IsNull() && v.ValueString() == "":
			diags.AddAttributeError(path.Root(name), "Empty provider argument",
				name+" is set but empty. Leave it out, or set it to null, to use the environment.")
		}
	}
	at := path.Root("default_labels")
	if m.DefaultLabels.IsUnknown() {
		diags.AddAttributeError(at, "Unknown provider argument", "default_labels is not known before apply. Give it values that are known during plan.")
	}
	for key, value := range m.DefaultLabels.Elements() {
		if value.IsUnknown() || value.IsNull() {
			diags.AddAttributeError(at.AtMapKey(key), "Unknown or missing label value", "Give the label a value that is known during plan.")
		}
	}
}

// defaultLabels are known, as checkKnown has seen.
func (m *model) defaultLabels() map[string]string {
	labels := map[string]string{}
	for key, value := range m.DefaultLabels.Elements() {
		if s, ok := value.(types.String); ok {
			labels[key] = s.ValueString()
		}
	}
	return labels
}

func (m *model) config(version, terraformVersion string) gcp.Config {
	return gcp.Config{
		Project:                    m.Project.ValueString(),
		Region:                     m.Region.ValueString(),
		Credentials:                m.Credentials.ValueString(),
		AccessToken:                m.AccessToken.ValueString(),
		ImpersonateServiceAccount:  m.ImpersonateServiceAccount.ValueString(),
		VertexAIEndpoint:           m.VertexAI.ValueString(),
		BigQueryEndpoint:           m.BigQuery.ValueString(),
		BigQueryConnectionEndpoint: m.BigQueryConnection.ValueString(),
		EmulatorHost:               m.EmulatorHost.ValueString(),
		OwnershipID:                m.OwnershipID.ValueString(),
		DefaultLabels:              m.defaultLabels(),
		DeletionPolicy:             m.DeletionPolicy.ValueString(),
		UserAgent:                  fmt.Sprintf("terraform-provider-gcpml/%s terraform/%s", version, terraformVersion),
		OnCall:                     logCall,
	}
}

// logCall writes the one line that each API call leaves.
func logCall(ctx context.Context, c gcp.Call) {
	tflog.Debug(ctx, "Google API call", map[string]any{
		"method": c.Method, "status": c.Code.String(), "latency_ms": c.Latency.Milliseconds(), "attempt": c.Attempt, "request_id": c.RequestID,
	})
}

func (p *gcpml) Resources(context.Context) []func() resource.Resource { return resources }

func (p *gcpml) DataSources(context.Context) []func() datasource.DataSource { return dataSources }
