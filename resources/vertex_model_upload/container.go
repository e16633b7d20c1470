// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

type containerSpec struct {
	ImageURI           types.String `tfsdk:"image_uri"`
	Command            types.List   `tfsdk:"command"`
	Args               types.List   `tfsdk:"args"`
	Env                types.List   `tfsdk:"env"`
	Ports              types.List   `tfsdk:"ports"`
	GRPCPorts          types.List   `tfsdk:"grpc_ports"`
	PredictRoute       types.String `tfsdk:"predict_route"`
	HealthRoute        types.String `tfsdk:"health_route"`
	DeploymentTimeout  types.String `tfsdk:"deployment_timeout"`
	SharedMemorySizeMB types.Int64  `tfsdk:"shared_memory_size_mb"`
	StartupProbe       types.Object `tfsdk:"startup_probe"`
	HealthProbe        types.Object `tfsdk:"health_probe"`
	LivenessProbe      types.Object `tfsdk:"liveness_probe"`
}

type envVar struct {
	Name           types.String `tfsdk:"name"`
	Value          types.String `tfsdk:"value"`
	ValueWO        types.String `tfsdk:"value_wo"` // in the configuration only
	ValueWOVersion types.Int64  `tfsdk:"value_wo_version"`
}

// toContainer converts container_spec, which is fully known. Secrets are not in it:
// see [model.addSecrets].
func toContainer(ctx context.Context, from types.Object, diags *diag.Diagnostics) (out vertex.Container) {
	var c containerSpec
	diags.Append(from.As(ctx, &c, basetypes.ObjectAsOptions{})...)
	out = vertex.Container{
		ImageURI: c.ImageURI.ValueString(), PredictRoute: c.PredictRoute.ValueString(), HealthRoute: c.HealthRoute.ValueString(),
		Ports: portNumbers(ctx, c.Ports, diags), GRPCPorts: portNumbers(ctx, c.GRPCPorts, diags),
		SharedMemoryMB: c.SharedMemorySizeMB.ValueInt64(),
		StartupProbe:   toProbe(ctx, c.StartupProbe, diags), HealthProbe: toProbe(ctx, c.HealthProbe, diags), LivenessProbe: toProbe(ctx, c.LivenessProbe, diags),
	}
	out.DeploymentTimeout, _ = time.ParseDuration(c.DeploymentTimeout.ValueString()) // validated
	diags.Append(c.Command.ElementsAs(ctx, &out.Command, false)...)
	diags.Append(c.Args.ElementsAs(ctx, &out.Args, false)...)
	var env []envVar
	diags.Append(c.Env.ElementsAs(ctx, &env, false)...)
	for _, e := range env {
		out.Env = append(out.Env, vertex.EnvVar{
			Name: e.Name.ValueString(), Value: e.Value.ValueString(), Secret: e.Value.IsNull(), SecretVersion: e.ValueWOVersion.ValueInt64(),
		})
	}
	return out
}

func portNumbers(ctx context.Context, from types.List, diags *diag.Diagnostics) (out []int32) {
	var ports []tfkit.Port
	diags.Append(from.ElementsAs(ctx, &ports, false)...)
	for _, p := range ports {
		out = append(out, p.ContainerPort.ValueInt32())
	}
	return out
}

func toProbe(ctx context.Context, from types.Object, diags *diag.Diagnostics) *vertex.Probe {
	if from.IsNull() {
		return nil
	}
	var p tfkit.Probe
	diags.Append(from.As(ctx, &p, basetypes.ObjectAsOptions{})...)
	return p.Vertex()
}

// containerValue is what the server has, in HCL.
func containerValue(ctx context.Context, c vertex.Container, diags *diag.Diagnostics) types.Object {
	spec := containerSpec{
		ImageURI: types.StringValue(c.ImageURI), PredictRoute: tfkit.TextOrNull(c.PredictRoute), HealthRoute: tfkit.TextOrNull(c.HealthRoute),
		Command: listOrNull(ctx, "command", c.Command, diags), Args: listOrNull(ctx, "args", c.Args, diags),
		Ports: listOrNull(ctx, "ports", tfkit.Ports(tfkit.OwnPorts(c.Ports)), diags), GRPCPorts: listOrNull(ctx, "grpc_ports", tfkit.Ports(c.GRPCPorts), diags),
		DeploymentTimeout: tfkit.SecondsOrNull(c.DeploymentTimeout), SharedMemorySizeMB: types.Int64Null(),
		StartupProbe: probeValue(ctx, c.StartupProbe, diags), HealthProbe: probeValue(ctx, c.HealthProbe, diags), LivenessProbe: probeValue(ctx, c.LivenessProbe, diags),
	}
	if c.SharedMemoryMB != 0 {
		spec.SharedMemorySizeMB = types.Int64Value(c.SharedMemoryMB)
	}
	var env []envVar
	for _, e := range c.Env {
		v := envVar{Name: types.StringValue(e.Name), Value: types.StringValue(e.Value)}
		if e.Secret {
			v.Value = types.StringNull()
			if e.SecretVersion != 0 {
				v.ValueWOVersion = types.Int64Value(e.SecretVersion)
			}
		}
		env = append(env, v)
	}
	spec.Env = listOrNull(ctx, "env", env, diags)
	value, d := types.ObjectValueFrom(ctx, containerType.AttrTypes, spec)
	diags.Append(d...)
	return value
}

// listOrNull is a list in container_spec; null for none.
func listOrNull[T any](ctx context.Context, attribute string, values []T, diags *diag.Diagnostics) types.List {
	list, _ := containerType.AttrTypes[attribute].(types.ListType)
	if len(values) == 0 {
		return types.ListNull(list.ElemType)
	}
	value, d := types.ListValueFrom(ctx, list.ElemType, values)
	diags.Append(d...)
	return value
}

func probeValue(ctx context.Context, p *vertex.Probe, diags *diag.Diagnostics) types.Object {
	kind := objectType(probeAttribute(""))
	if p == nil {
		return types.ObjectNull(kind.AttrTypes)
	}
	value, d := types.ObjectValueFrom(ctx, kind.AttrTypes, tfkit.ProbeOf(p))
	diags.Append(d...)
	return value
}

// addSecrets puts the values of secrets into a container that is about to be
// uploaded. Only the configuration has them.
func (m *model) addSecrets(ctx context.Context, to *vertex.Container, diags *diag.Diagnostics) {
	var c containerSpec
	var env []envVar
	diags.Append(m.ContainerSpec.As(ctx, &c, basetypes.ObjectAsOptions{})...)
	diags.Append(c.Env.ElementsAs(ctx, &env, false)...)
	for i, e := range env {
		if i < len(to.Env) && to.Env[i].Secret {
			to.Env[i].Value = e.ValueWO.ValueString()
		}
	}
}

// spreadEnv plans environment variables of which nothing is known yet as objects
// whose attributes are not known: Terraform refuses a plan in which value_wo could be
// anything but null.
func (m *model) spreadEnv(diags *diag.Diagnostics) {
	attributes := m.ContainerSpec.Attributes()
	env, ok := attributes["env"].(types.List)
	if !ok || env.IsNull() || env.IsUnknown() {
		return
	}
	elements := env.Elements()
	for i, e := range elements {
		if e.IsUnknown() {
			elements[i] = types.ObjectValueMust(envType.AttrTypes, map[string]attr.Value{
				"name": types.StringUnknown(), "value": types.StringUnknown(), "value_wo": types.StringNull(), "value_wo_version": types.Int64Unknown(),
			})
		}
	}
	list, d := types.ListValue(envType, elements)
	diags.Append(d...)
	attributes["env"] = list
	m.ContainerSpec, d = types.ObjectValue(containerType.AttrTypes, attributes)
	diags.Append(d...)
}

// keepSecrets treats as secret in found what is secret in known, by name: servers
// may give values back.
func keepSecrets(found, known vertex.Container) vertex.Container {
	found.Env = slices.Clone(found.Env)
	for i, e := range found.Env {
		if j := slices.IndexFunc(known.Env, func(k vertex.EnvVar) bool { return k.Secret && k.Name == e.Name }); j >= 0 {
			found.Env[i] = known.Env[j]
		}
	}
	return found
}
