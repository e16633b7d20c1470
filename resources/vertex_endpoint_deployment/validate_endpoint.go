// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

const maxInferenceTimeout = time.Hour

// validateEndpoint checks how the endpoint is reached and what it does besides
// predicting, as far as that is known.
func (m *model) validateEndpoint(ctx context.Context, keys []string, diags *diag.Diagnostics) {
	m.validateNetworking(ctx, keys, diags)
	if v, ok := known[encryptionSpec](ctx, m.EncryptionSpec, diags); ok {
		match := keyPattern.FindStringSubmatch(v.KMSKeyName.ValueString())
		if region := m.Location.ValueString(); match != nil && region != "" && !strings.EqualFold(match[1], region) {
			diags.AddAttributeError(path.Root("encryption_spec").AtName("kms_key_name"), "Key of another region",
				fmt.Sprintf("The key is in %s; it needs to be in the region of the endpoint, %s.", match[1], region))
		}
	}
	if v, ok := known[loggingConfig](ctx, m.PredictRequestResponseLoggingConfig, diags); ok {
		v.validate(path.Root("predict_request_response_logging_config"), diags)
	}
	if v, ok := known[connectionConfig](ctx, m.ClientConnectionConfig, diags); ok && !v.InferenceTimeout.IsUnknown() {
		d, err := time.ParseDuration(v.InferenceTimeout.ValueString())
		if err != nil || d <= 0 || d > maxInferenceTimeout {
			diags.AddAttributeError(path.Root("client_connection_config").AtName("inference_timeout"), "Invalid inference_timeout",
				fmt.Sprintf("%q is not a duration of more than 0 and up to an hour, such as 600s or 10m.", v.InferenceTimeout.ValueString()))
		}
	}
}

func (m *model) validateNetworking(ctx context.Context, keys []string, diags *diag.Diagnostics) {
	psc, _ := known[connectConfig](ctx, m.PrivateServiceConnectConfig, diags)
	c, network := m.config(ctx, diags), path.Root("network")
	switch {
	case c.Network != "" && c.Connect.Enabled:
		diags.AddAttributeError(network, "Network and Private Service Connect", "network and private_service_connect_config are two ways to reach a private endpoint: choose one.")
	case c.Network != "" && c.Dedicated:
		diags.AddAttributeError(network, "Network and dedicated endpoint", "network and dedicated_endpoint_enabled are two kinds of endpoint: choose one.")
	case c.Connect.Enabled && c.Dedicated:
		diags.AddAttributeError(path.Root("private_service_connect_config"), "Private Service Connect and dedicated endpoint",
			"private_service_connect_config and dedicated_endpoint_enabled are two kinds of endpoint: choose one.")
	}
	if off := !psc.Enable.IsUnknown() && !psc.Enable.IsNull() && !psc.Enable.ValueBool(); off && (!psc.ProjectAllowlist.IsNull() || !psc.Automation.IsNull()) {
		diags.AddAttributeError(path.Root("private_service_connect_config").AtName("enable_private_service_connect"), "Private Service Connect is off",
			"project_allowlist and psc_automation_configs have no effect without it: leave them out, or switch it on.")
	}
	rollout := m.rollout(ctx, diags)
	if c.Network != "" && len(keys) > 1 {
		diags.AddAttributeError(path.Root("deployments"), "Several deployments on a peered endpoint",
			fmt.Sprintf("An endpoint with network serves one model only, and deployments has %s.", strings.Join(keys, ", ")))
	}
	if c.Network != "" && !m.Rollout.IsUnknown() && !rollout.Strategy.IsUnknown() && rollout.Strategy.ValueString() != string(vertex.Recreate) {
		diags.AddAttributeError(path.Root("rollout"), "Roll-out of a peered endpoint",
			"An endpoint with network serves one model only, so a new one cannot be deployed beside the old one: set rollout = { strategy = \"recreate\" }. Requests fail while a new model is deployed.")
	}
	if _, gated := rollout.gate(ctx, diags); gated && m.private(ctx, diags) {
		diags.AddAttributeError(path.Root("rollout").AtName("gate"), "Gate of a private endpoint",
			"A gate asks a new model on an endpoint of the shared domain, which would take a private model out of its network: leave the gate out.")
	}
}

// validate checks what is logged.
func (l loggingConfig) validate(at path.Path, diags *diag.Diagnostics) {
	rate := l.SamplingRate
	switch {
	case rate.IsUnknown():
	case rate.IsNull() && l.Enabled.ValueBool():
		diags.AddAttributeError(at.AtName("sampling_rate"), "Missing sampling_rate", "When logging is enabled sampling_rate must say what part of the requests is logged; 1 is all.")
	case !rate.IsNull() && (rate.ValueFloat64() <= 0 || rate.ValueFloat64() > 1):
		diags.AddAttributeError(at.AtName("sampling_rate"), "Invalid sampling_rate", fmt.Sprintf("%v is not more than 0 and up to 1.", rate.ValueFloat64()))
	}
}

// warn tells what is allowed and perhaps not meant.
func (m *model) warn(ctx context.Context, diags *diag.Diagnostics) {
	all, keys := m.deployments(ctx, diags)
	for _, key := range keys {
		name, err := gcp.ParseName(gcp.KindModel, all[key].Model.ValueString())
		if err != nil || isNumber(name.Version) {
			continue
		}
		at := path.Root("deployments").AtMapKey(key).AtName("model")
		if name.Version == "" {
			diags.AddAttributeWarning(at, "Model without a version",
				fmt.Sprintf("%s is the version that is the default one when the deployment is made. A later version is not rolled out: use versioned_name, or add @VERSION.", name))
		} else {
			diags.AddAttributeWarning(at, "Model by an alias",
				fmt.Sprintf("%s is the version that has the alias when the deployment is made. It is not rolled out when the alias moves: use versioned_name, or a number.", name))
		}
	}
	c := m.config(ctx, diags)
	sure := !slices.Contains([]bool{m.Network.IsUnknown(), m.DedicatedEndpointEnabled.IsUnknown(), m.PrivateServiceConnectConfig.IsUnknown()}, true)
	if c.InferenceTimeout != 0 && sure && !c.Dedicated && !m.private(ctx, diags) {
		diags.AddAttributeWarning(path.Root("client_connection_config"), "Timeout of a shared endpoint",
			"Requests to the shared domain end after 60 seconds in any case: inference_timeout is for dedicated endpoints and Private Service Connect.")
	}
}
