// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the resource in HCL and in state. Maps may be unknown, and so may
// their values, so they stay framework maps.
type model struct {
	tfkit.LabelSet
	ID                                  types.String   `tfsdk:"id"`
	Project                             types.String   `tfsdk:"project"`
	Location                            types.String   `tfsdk:"location"`
	EndpointID                          types.String   `tfsdk:"endpoint_id"`
	DisplayName                         types.String   `tfsdk:"display_name"`
	Description                         types.String   `tfsdk:"description"`
	Deployments                         types.Map      `tfsdk:"deployments"`
	Traffic                             types.Map      `tfsdk:"traffic"`
	Rollout                             types.Object   `tfsdk:"rollout"`
	DesiredState                        types.String   `tfsdk:"desired_state"`
	EncryptionSpec                      types.Object   `tfsdk:"encryption_spec"`
	Network                             types.String   `tfsdk:"network"`
	PrivateServiceConnectConfig         types.Object   `tfsdk:"private_service_connect_config"`
	DedicatedEndpointEnabled            types.Bool     `tfsdk:"dedicated_endpoint_enabled"`
	PrivateModelServerEnabled           types.Bool     `tfsdk:"private_model_server_enabled"`
	PredictRequestResponseLoggingConfig types.Object   `tfsdk:"predict_request_response_logging_config"`
	ClientConnectionConfig              types.Object   `tfsdk:"client_connection_config"`
	EffectiveTraffic                    types.Map      `tfsdk:"effective_traffic"`
	Deployed                            types.Map      `tfsdk:"deployed"`
	ForceDestroy                        types.Bool     `tfsdk:"force_destroy"`
	DedicatedEndpointDNS                types.String   `tfsdk:"dedicated_endpoint_dns"`
	CreateTime                          types.String   `tfsdk:"create_time"`
	DeletionPolicy                      types.String   `tfsdk:"deletion_policy"`
	Timeouts                            timeouts.Value `tfsdk:"timeouts"`
}

// name is the endpoint's name, built from what is configured: Google answers with
// the project's number.
func (m *model) name() gcp.Name {
	return gcp.Name{Project: m.Project.ValueString(), Location: m.Location.ValueString(), Kind: gcp.KindEndpoint, ID: m.EndpointID.ValueString()}
}

// identity is what the name is made of.
func (m *model) identity() tfkit.Identity {
	return tfkit.Identity{"project": m.Project, "location": m.Location, "endpoint_id": m.EndpointID}
}

// labelsOf are the labels of a state, nil when there is none.
func labelsOf(state *model) *tfkit.LabelSet {
	if state == nil {
		return nil
	}
	return &state.LabelSet
}

// setDefaults fills in what is not in the configuration. What is there, but not
// yet known, stays unknown.
// state is nil when the endpoint is yet to be made.
func (m *model) setDefaults(c *gcp.Clients, config, state *model, diags *diag.Diagnostics) {
	if c == nil {
		return
	}
	m.PlanLabels(labelsOf(state), c.Config().DefaultLabels)
	tfkit.PlanDeletionPolicy(&m.DeletionPolicy, config.DeletionPolicy, c)
	tfkit.PlanPlace("project", &m.Project, config.Project, c.Project(), diags)
	tfkit.PlanPlace("location", &m.Location, config.Location, c.Region(), diags)
	if m.EndpointID.IsUnknown() && config.EndpointID.IsNull() && !m.DisplayName.IsUnknown() {
		if slug := gcp.Slug(m.DisplayName.ValueString(), "-"); slug != "" {
			m.EndpointID = types.StringValue(slug)
		} else {
			diags.AddAttributeError(path.Root("endpoint_id"), "Missing endpoint id", fmt.Sprintf("No id can be made from the display name %q: set endpoint_id.", m.DisplayName.ValueString()))
		}
	}
	if m.ID.IsUnknown() && !m.Project.IsUnknown() && !m.Location.IsUnknown() && !m.EndpointID.IsUnknown() {
		m.ID = types.StringValue(m.name().String())
	}
}

// deployments decodes what is known of the deployments: a value that is unknown
// as a whole is left out, but counted in keys.
func (m *model) deployments(ctx context.Context, diags *diag.Diagnostics) (known map[string]deployment, keys []string) {
	known = map[string]deployment{}
	objects := map[string]types.Object{}
	if m.Deployments.IsUnknown() || m.Deployments.IsNull() {
		return known, nil
	}
	diags.Append(m.Deployments.ElementsAs(ctx, &objects, false)...)
	for key, o := range objects {
		keys = append(keys, key)
		if o.IsUnknown() || o.IsNull() {
			continue
		}
		var d deployment
		diags.Append(o.As(ctx, &d, basetypes.ObjectAsOptions{})...)
		known[key] = d
	}
	slices.Sort(keys)
	return known, keys
}

// triesOut tells that a deployment is made, or may be made, with fast tryout.
func (m *model) triesOut(ctx context.Context, diags *diag.Diagnostics) bool {
	known, keys := m.deployments(ctx, diags)
	for _, d := range known {
		if !d.fastTryout(ctx, diags).Equal(types.BoolValue(false)) {
			return true
		}
	}
	return m.Deployments.IsUnknown() || len(keys) > len(known)
}

// had is what state says is deployed, by key; empty when there is no state yet.
func (m *model) had(ctx context.Context, diags *diag.Diagnostics) map[string]deployed {
	out := map[string]deployed{}
	if m != nil && !m.Deployed.IsNull() && !m.Deployed.IsUnknown() {
		diags.Append(m.Deployed.ElementsAs(ctx, &out, false)...)
	}
	return out
}

// traffic is the configured split, for comparison: nil for none, and all for an
// only deployment.
func (m *model) traffic(ctx context.Context, diags *diag.Diagnostics) map[string]int32 {
	if m.Traffic.IsUnknown() {
		return nil
	}
	if m.Traffic.IsNull() {
		if _, keys := m.deployments(ctx, diags); len(keys) == 1 {
			return map[string]int32{keys[0]: 100}
		}
		return nil
	}
	out := map[string]int32{}
	diags.Append(m.Traffic.ElementsAs(ctx, &out, false)...)
	return out
}

// toSpec converts a plan whose configuration is known. state is nil at creation:
// a deployment that does not change keeps the version which it got then, though
// its model names none.
func (m *model) toSpec(ctx context.Context, state *model, diags *diag.Diagnostics) vertex.EndpointSpec {
	spec := vertex.EndpointSpec{
		Name: m.name(), DisplayName: m.DisplayName.ValueString(), Description: m.Description.ValueString(),
		Deployments: map[string]vertex.Deployment{}, Traffic: m.traffic(ctx, diags),
		Config: m.config(ctx, diags), Rollout: m.rollout(ctx, diags).toSpec(ctx, diags), Paused: m.paused(),
	}
	spec.Labels, spec.DropLabels = m.WantedLabels(labelsOf(state))
	had := state.had(ctx, diags)
	for _, d := range had {
		spec.Known = append(spec.Known, d.ID.ValueString())
	}
	before := map[string]deployment{}
	if state != nil {
		before, _ = state.deployments(ctx, diags)
	}
	known, _ := m.deployments(ctx, diags)
	for key, d := range known {
		at := path.Root("deployments").AtMapKey(key)
		name, err := gcp.ParseName(gcp.KindModel, d.Model.ValueString())
		if err != nil {
			diags.AddAttributeError(at.AtName("model"), "Invalid model", err.Error()+".")
		}
		if was, ok := before[key]; ok && !isNumber(name.Version) && was.Model.Equal(d.Model) && had[key].ModelVersionID.ValueString() != "" {
			name.Version = had[key].ModelVersionID.ValueString()
		}
		resources, settings := d.toSpec(ctx, diags)
		spec.Deployments[key] = vertex.Deployment{Model: name, Resources: resources, Settings: settings}
	}
	return spec
}

func isNumber(version string) bool { return version != "" && strings.Trim(version, "0123456789") == "" }

// keepSpelling keeps the names of the network, of models and of pools in state where
// the planned ones mean the same.
func (m *model) keepSpelling(ctx context.Context, state *model, same spelling, diags *diag.Diagnostics) {
	keep(&m.Network, state.Network, same.path)
	before, _ := state.deployments(ctx, diags)
	now, keys := m.deployments(ctx, diags)
	if len(keys) == 0 {
		return
	}
	elements := maps.Clone(m.Deployments.Elements())
	for key, d := range now {
		was, ok := before[key]
		if !ok {
			continue
		}
		keep(&d.Model, was.Model, same.model)
		keep(&d.SharedResources, was.SharedResources, same.pool)
		elements[key] = object(ctx, deploymentType, d, diags)
	}
	m.Deployments = types.MapValueMust(types.ObjectType{AttrTypes: deploymentType}, elements)
}

func keep(now *types.String, was types.String, same tfkit.Equivalence) {
	if !now.IsNull() && !now.IsUnknown() && !was.IsNull() && same.Equal(now.ValueString(), was.ValueString()) {
		*now = was
	}
}
