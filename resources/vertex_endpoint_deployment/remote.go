// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// object is what tells our endpoint from another of its name.
func (m *model) object(p tfkit.Private) vertex.Object {
	created, _ := time.Parse(time.RFC3339Nano, m.CreateTime.ValueString())
	return vertex.Object{Incarnation: p.Incarnation, CreateTime: created}
}

// ours tells which deployed models are managed here: those whose id proves it, and
// those in state. At import all are, apart from those on resources that cannot be
// configured here.
func (m *model) ours(ctx context.Context, diags *diag.Diagnostics) func(vertex.Deployed) bool {
	if m.Deployments.IsNull() && m.Deployed.IsNull() {
		return func(d vertex.Deployed) bool { return d.Resources.Kind != vertex.Other }
	}
	ids := map[string]bool{}
	for _, d := range m.had(ctx, diags) {
		ids[d.ID.ValueString()] = true
	}
	return func(d vertex.Deployed) bool { return d.SelfMade() || ids[d.ID] }
}

// byKey gives each of our deployed models a key of its own. When a roll-out was
// interrupted a key has two: the one with more traffic, then the newer one, goes
// by the key; the other is shown as "key (id)", so that it is a difference.
func byKey(e *vertex.Endpoint, ours func(vertex.Deployed) bool) map[string]vertex.Deployed {
	out := map[string]vertex.Deployed{}
	for _, d := range e.Deployed {
		if !ours(d) {
			continue
		}
		other, taken := out[d.Key]
		if taken && (e.Traffic[other.ID] > e.Traffic[d.ID] || e.Traffic[other.ID] == e.Traffic[d.ID] && other.Object.CreateTime.After(d.Object.CreateTime)) {
			d, other = other, d
		}
		out[d.Key] = d
		if taken {
			out[fmt.Sprintf("%s (%s)", d.Key, other.ID)] = other
		}
	}
	return out
}

// fromRemote takes over what the server has. m is what was there before: a state,
// or a plan. Spellings that mean the same stay as they are in it. A paused endpoint keeps the deployments it is to have when
// it serves again; one that was resumed by others serves, which is a difference.
func (m *model) fromRemote(ctx context.Context, e *vertex.Endpoint, ours func(vertex.Deployed) bool, same spelling, diags *diag.Diagnostics) {
	m.takeConfig(ctx, e.Config, same, diags)
	if m.paused() && len(byKey(e, ours)) == 0 {
		m.takeMetadata(e)
		m.Deployed = types.MapValueMust(types.ObjectType{AttrTypes: deployedType}, map[string]attr.Value{})
		m.EffectiveTraffic = int32Map(nil)
		return
	}
	m.DesiredState = types.StringValue(serving)
	imported := m.Deployments.IsNull()
	prior, _ := m.deployments(ctx, diags)
	had := m.had(ctx, diags)
	wanted := m.traffic(ctx, diags)
	remote := byKey(e, ours)

	m.takeMetadata(e)
	deployments, deployedNow, traffic := map[string]attr.Value{}, map[string]attr.Value{}, map[string]int32{}
	for key, d := range remote {
		traffic[key] = e.Traffic[d.ID]
		deployments[key] = prior[key].merge(ctx, d, had[key].ModelVersionID.ValueString(), same, diags)
		deployedNow[key] = deployedValue(d, traffic[key])
	}
	m.Deployments = types.MapValueMust(types.ObjectType{AttrTypes: deploymentType}, deployments)
	m.Deployed = types.MapValueMust(types.ObjectType{AttrTypes: deployedType}, deployedNow)
	m.EffectiveTraffic = int32Map(traffic)

	switch foreign := vertex.ForeignTraffic(e, ours); {
	case imported && len(remote) == 0:
	case imported && len(remote) == 1:
		if only := slices.Collect(maps.Keys(remote))[0]; traffic[only] != 100-foreign {
			m.Traffic = int32Map(traffic)
		}
	case imported:
		m.Traffic = int32Map(withoutZeros(traffic))
	case slices.ContainsFunc(slices.Collect(maps.Keys(wanted)), func(key string) bool { _, there := remote[key]; return !there }):
		// What is to get the traffic is missing, which is difference enough.
	case wanted == nil && len(withoutZeros(traffic)) == 0:
	case !maps.Equal(withoutZeros(traffic), vertex.Shares(wanted, foreign)):
		m.Traffic = int32Map(traffic)
	}
}

// takeMetadata takes over what does not depend on what is deployed.
func (m *model) takeMetadata(e *vertex.Endpoint) {
	m.DisplayName = types.StringValue(e.DisplayName)
	m.Description = tfkit.StringOrNull(e.Description, m.Description)
	m.ReadLabels(e.Labels)
	m.DedicatedEndpointDNS = types.StringValue(e.DedicatedDNS)
	m.CreateTime = types.StringValue(e.Object.CreateTime.Format(time.RFC3339Nano))
}

func int32Map(m map[string]int32) types.Map {
	values := map[string]attr.Value{}
	for k, v := range m {
		values[k] = types.Int32Value(v)
	}
	return types.MapValueMust(types.Int32Type, values)
}

func withoutZeros(m map[string]int32) map[string]int32 {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(_ string, v int32) bool { return v == 0 })
	return out
}
