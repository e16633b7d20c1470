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

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
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
		return func(d vertex.Deployed) bool { return d.Dedicated }
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
// or a plan. Spellings that mean the same stay as they are in it. same compares
// the names of models. A paused endpoint keeps the deployments it is to have when
// it serves again; one that was resumed by others serves, which is a difference.
func (m *model) fromRemote(ctx context.Context, e *vertex.Endpoint, ours func(vertex.Deployed) bool, same tfkit.Equivalence, diags *diag.Diagnostics) {
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

// merge is a deployment as the server has it, each part in the spelling of before
// if that means the same. version is the number that a model without one stood for.
func (before deployment) merge(ctx context.Context, d vertex.Deployed, version string, same tfkit.Equivalence, diags *diag.Diagnostics) attr.Value {
	model := types.StringValue(d.Model.String())
	if name, err := gcp.ParseName(gcp.KindModel, before.Model.ValueString()); err == nil {
		if !isNumber(name.Version) && (version == "" || version == d.Model.Version) {
			name.Version = d.Model.Version
		}
		if same.Equal(name.String(), d.Model.String()) {
			model = before.Model
		}
	}
	was, _ := before.resources(ctx, diags)
	r := d.Resources
	now := dedicatedResources{
		MachineType: types.StringValue(r.MachineType), AcceleratorType: tfkit.StringOrNull(r.AcceleratorType, was.AcceleratorType),
		AcceleratorCount: int32OrNull(r.AcceleratorCount, was.AcceleratorCount, 0), MinReplicaCount: types.Int32Value(r.MinReplicas),
		MaxReplicaCount: int32OrNull(r.MaxReplicas, was.MaxReplicaCount, r.MinReplicas),
	}
	return types.ObjectValueMust(deploymentType, map[string]attr.Value{
		"model": model,
		"dedicated_resources": types.ObjectValueMust(resourcesType, map[string]attr.Value{
			"machine_type": now.MachineType, "accelerator_type": now.AcceleratorType, "accelerator_count": now.AcceleratorCount,
			"min_replica_count": now.MinReplicaCount, "max_replica_count": now.MaxReplicaCount,
		}),
	})
}

// int32OrNull is null for the value that leaving it out means, unless it was
// there before.
func int32OrNull(v int32, before types.Int32, otherwise int32) types.Int32 {
	if v == otherwise && before.IsNull() {
		return types.Int32Null()
	}
	return types.Int32Value(v)
}

func deployedValue(d vertex.Deployed, traffic int32) attr.Value {
	r := d.Resources
	return types.ObjectValueMust(deployedType, map[string]attr.Value{
		"id": types.StringValue(d.ID), "model": types.StringValue(d.Model.WithVersion("").String()), "model_version_id": types.StringValue(d.Model.Version),
		"machine_type": types.StringValue(r.MachineType), "accelerator_type": types.StringValue(r.AcceleratorType), "accelerator_count": types.Int32Value(r.AcceleratorCount),
		"min_replica_count": types.Int32Value(r.MinReplicas), "max_replica_count": types.Int32Value(r.MaxReplicas),
		"traffic": types.Int32Value(traffic), "create_time": types.StringValue(d.Object.CreateTime.Format(time.RFC3339Nano)),
	})
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
