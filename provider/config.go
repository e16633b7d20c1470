// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

type model struct {
	Project                   types.String `tfsdk:"project"`
	Region                    types.String `tfsdk:"region"`
	Credentials               types.String `tfsdk:"credentials"`
	AccessToken               types.String `tfsdk:"access_token"`
	External                  *external    `tfsdk:"external_credentials"`
	ImpersonateServiceAccount types.String `tfsdk:"impersonate_service_account"`
	ImpersonateDelegates      []string     `tfsdk:"impersonate_service_account_delegates"`
	Scopes                    []string     `tfsdk:"scopes"`
	UserProjectOverride       types.Bool   `tfsdk:"user_project_override"`
	BillingProject            types.String `tfsdk:"billing_project"`
	RequestReason             types.String `tfsdk:"request_reason"`
	RequestTimeout            types.String `tfsdk:"request_timeout"`
	PollInterval              types.String `tfsdk:"poll_interval"`
	UniverseDomain            types.String `tfsdk:"universe_domain"`
	VertexAI                  types.String `tfsdk:"vertex_ai_custom_endpoint"`
	BigQuery                  types.String `tfsdk:"big_query_custom_endpoint"`
	BigQueryConnection        types.String `tfsdk:"bigquery_connection_custom_endpoint"`
	ResourceManager           types.String `tfsdk:"resource_manager_custom_endpoint"`
	Storage                   types.String `tfsdk:"storage_custom_endpoint"`
	EmulatorHost              types.String `tfsdk:"emulator_host"`
	OwnershipID               types.String `tfsdk:"ownership_id"`
	DefaultLabels             types.Map    `tfsdk:"default_labels"`
	AddAttribution            types.Bool   `tfsdk:"add_terraform_attribution_label"`
	AttributionStrategy       types.String `tfsdk:"terraform_attribution_label_addition_strategy"`
	DeletionPolicy            types.String `tfsdk:"deletion_policy"`
}

type external struct {
	Audience            types.String `tfsdk:"audience"`
	ServiceAccountEmail types.String `tfsdk:"service_account_email"`
	IdentityToken       types.String `tfsdk:"identity_token"`
}

// defaultRequestTimeout is that of terraform-provider-google.
const defaultRequestTimeout = 120 * time.Second

// config turns the block, in which everything is known, into a configuration that
// the environment has yet to complete.
func (m *model) config() (gcp.Config, error) {
	timeout, err := duration("request_timeout", m.RequestTimeout, defaultRequestTimeout)
	if err != nil {
		return gcp.Config{}, err
	}
	poll, err := duration("poll_interval", m.PollInterval, 0)
	if err != nil {
		return gcp.Config{}, err
	}
	c := gcp.Config{
		Project:                    m.Project.ValueString(),
		Region:                     m.Region.ValueString(),
		Credentials:                m.Credentials.ValueString(),
		AccessToken:                m.AccessToken.ValueString(),
		ImpersonateServiceAccount:  m.ImpersonateServiceAccount.ValueString(),
		ImpersonateDelegates:       m.ImpersonateDelegates,
		Scopes:                     m.Scopes,
		UserProjectOverride:        m.UserProjectOverride.ValueBoolPointer(),
		BillingProject:             m.BillingProject.ValueString(),
		RequestReason:              m.RequestReason.ValueString(),
		RequestTimeout:             timeout,
		PollInterval:               poll,
		UniverseDomain:             m.UniverseDomain.ValueString(),
		VertexAIEndpoint:           m.VertexAI.ValueString(),
		BigQueryEndpoint:           m.BigQuery.ValueString(),
		BigQueryConnectionEndpoint: m.BigQueryConnection.ValueString(),
		ResourceManagerEndpoint:    m.ResourceManager.ValueString(),
		StorageEndpoint:            m.Storage.ValueString(),
		EmulatorHost:               m.EmulatorHost.ValueString(),
		OwnershipID:                m.OwnershipID.ValueString(),
		DefaultLabels:              m.defaultLabels(),
		DeletionPolicy:             m.DeletionPolicy.ValueString(),
		Attribution:                gcp.AttributionCreationOnly,
	}
	if x := m.External; x != nil {
		c.ExternalCredentials = &gcp.ExternalCredentials{
			Audience: x.Audience.ValueString(), ServiceAccountEmail: x.ServiceAccountEmail.ValueString(), IdentityToken: x.IdentityToken.ValueString(),
		}
	}
	switch strategy := m.AttributionStrategy; {
	case !m.AddAttribution.IsNull() && !m.AddAttribution.ValueBool():
		c.Attribution = ""
		if !strategy.IsNull() {
			return c, &gcp.ConfigError{Setting: "terraform_attribution_label_addition_strategy", Message: "has no effect while add_terraform_attribution_label is false: leave one of the two out"}
		}
	case !strategy.IsNull():
		c.Attribution = gcp.Attribution(strategy.ValueString())
	}
	return c, nil
}

func duration(setting string, text types.String, otherwise time.Duration) (time.Duration, error) {
	if text.IsNull() {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text.ValueString())
	if err != nil || d <= 0 {
		return 0, &gcp.ConfigError{Setting: setting, Message: fmt.Sprintf("%q is not a duration of more than zero, such as \"30s\"", text.ValueString())}
	}
	return d, nil
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

// checkKnown refuses values that are unknown during plan, and empty ones: an
// empty emulator_host, from a variable that was not set, must not turn into
// calls to the real Google Cloud. Only a label may be empty.
func checkKnown(config tftypes.Value) (diags diag.Diagnostics) {
	found := map[string]diag.Diagnostic{}
	_ = tftypes.Walk(config, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		where, name := frameworkPath(at), at.String()
		var text string
		switch {
		case !v.IsKnown():
			found[name] = diag.NewAttributeErrorDiagnostic(where, "Unknown provider argument",
				where.String()+" is not known before apply. Give the provider values that are known during plan: a variable, or a value from another configuration.")
		case v.IsNull() && isElement(at):
			found[name] = diag.NewAttributeErrorDiagnostic(where, "Missing value", where.String()+" is null. Leave it out, or give it a value.")
		case v.IsNull() || !v.Type().Is(tftypes.String) || v.As(&text) != nil || text != "":
		case len(where.Steps()) > 1 && where.Steps()[0].Equal(path.PathStepAttributeName("default_labels")):
		default:
			found[name] = diag.NewAttributeErrorDiagnostic(where, "Empty provider argument",
				where.String()+" is set but empty. Leave it out, or set it to null, to use the environment.")
		}
		return v.IsKnown() && !v.IsNull(), nil
	})
	for _, name := range slices.Sorted(maps.Keys(found)) {
		diags.Append(found[name])
	}
	return diags
}

// isElement reports whether a path leads to an element of a list or a map.
func isElement(at *tftypes.AttributePath) bool {
	switch at.LastStep().(type) {
	case tftypes.ElementKeyInt, tftypes.ElementKeyString:
		return true
	}
	return false
}

func frameworkPath(at *tftypes.AttributePath) path.Path {
	p := path.Empty()
	for _, step := range at.Steps() {
		switch step := step.(type) {
		case tftypes.AttributeName:
			p = p.AtName(string(step))
		case tftypes.ElementKeyString:
			p = p.AtMapKey(string(step))
		case tftypes.ElementKeyInt:
			p = p.AtListIndex(int(step))
		}
	}
	return p
}

// pathOf is the argument that an error is about, or the part of it.
func pathOf(e *gcp.ConfigError) path.Path {
	at := path.Root(e.Setting)
	switch element := e.Element.(type) {
	case int:
		return at.AtListIndex(element)
	case string:
		if e.Setting == "default_labels" {
			return at.AtMapKey(element)
		}
		return at.AtName(element)
	}
	return at
}
