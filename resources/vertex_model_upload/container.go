// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"slices"
	"strconv"
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

type port struct {
	ContainerPort types.Int32 `tfsdk:"container_port"`
}

type probe struct {
	Exec                *execAction      `tfsdk:"exec"`
	HTTPGet             *httpGetAction   `tfsdk:"http_get"`
	GRPC                *grpcAction      `tfsdk:"grpc"`
	TCPSocket           *tcpSocketAction `tfsdk:"tcp_socket"`
	PeriodSeconds       types.Int32      `tfsdk:"period_seconds"`
	TimeoutSeconds      types.Int32      `tfsdk:"timeout_seconds"`
	FailureThreshold    types.Int32      `tfsdk:"failure_threshold"`
	SuccessThreshold    types.Int32      `tfsdk:"success_threshold"`
	InitialDelaySeconds types.Int32      `tfsdk:"initial_delay_seconds"`
}

type execAction struct {
	Command []string `tfsdk:"command"`
}

type httpGetAction struct {
	Path        types.String `tfsdk:"path"`
	Port        types.Int32  `tfsdk:"port"`
	Host        types.String `tfsdk:"host"`
	Scheme      types.String `tfsdk:"scheme"`
	HTTPHeaders []httpHeader `tfsdk:"http_headers"`
}

type httpHeader struct {
	Name  types.String `tfsdk:"name"`
	Value types.String `tfsdk:"value"`
}

type grpcAction struct {
	Port    types.Int32  `tfsdk:"port"`
	Service types.String `tfsdk:"service"`
}

type tcpSocketAction struct {
	Port types.Int32  `tfsdk:"port"`
	Host types.String `tfsdk:"host"`
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
	var ports []port
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
	var p probe
	diags.Append(from.As(ctx, &p, basetypes.ObjectAsOptions{})...)
	out := &vertex.Probe{
		PeriodSeconds: p.PeriodSeconds.ValueInt32(), TimeoutSeconds: p.TimeoutSeconds.ValueInt32(), FailureThreshold: p.FailureThreshold.ValueInt32(),
		SuccessThreshold: p.SuccessThreshold.ValueInt32(), InitialDelaySeconds: p.InitialDelaySeconds.ValueInt32(),
	}
	switch {
	case p.Exec != nil:
		out.Exec = p.Exec.Command
	case p.HTTPGet != nil:
		out.HTTPGet = &vertex.HTTPGet{
			Path: p.HTTPGet.Path.ValueString(), Port: p.HTTPGet.Port.ValueInt32(), Host: p.HTTPGet.Host.ValueString(), Scheme: p.HTTPGet.Scheme.ValueString(),
		}
		for _, h := range p.HTTPGet.HTTPHeaders {
			out.HTTPGet.Headers = append(out.HTTPGet.Headers, vertex.Header{Name: h.Name.ValueString(), Value: h.Value.ValueString()})
		}
	case p.GRPC != nil:
		out.GRPC = &vertex.GRPCCheck{Port: p.GRPC.Port.ValueInt32(), Service: p.GRPC.Service.ValueString()}
	case p.TCPSocket != nil:
		out.TCPSocket = &vertex.TCPSocket{Port: p.TCPSocket.Port.ValueInt32(), Host: p.TCPSocket.Host.ValueString()}
	}
	return out
}

// containerValue is what the server has, in HCL.
func containerValue(ctx context.Context, c vertex.Container, diags *diag.Diagnostics) types.Object {
	spec := containerSpec{
		ImageURI: types.StringValue(c.ImageURI), PredictRoute: text(c.PredictRoute), HealthRoute: text(c.HealthRoute),
		Command: listOrNull(ctx, "command", c.Command, diags), Args: listOrNull(ctx, "args", c.Args, diags),
		Ports: portsValue(ctx, "ports", c.Ports, diags), GRPCPorts: portsValue(ctx, "grpc_ports", c.GRPCPorts, diags),
		SharedMemorySizeMB: types.Int64Null(),
		StartupProbe:       probeValue(ctx, c.StartupProbe, diags), HealthProbe: probeValue(ctx, c.HealthProbe, diags), LivenessProbe: probeValue(ctx, c.LivenessProbe, diags),
	}
	if slices.Equal(c.Ports, []int32{8080}) {
		spec.Ports = portsValue(ctx, "ports", nil, diags) // the default, spelled out by the server
	}
	if c.SharedMemoryMB != 0 {
		spec.SharedMemorySizeMB = types.Int64Value(c.SharedMemoryMB)
	}
	if c.DeploymentTimeout != 0 {
		spec.DeploymentTimeout = types.StringValue(strconv.FormatFloat(c.DeploymentTimeout.Seconds(), 'f', -1, 64) + "s")
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

// text is null for the empty string.
func text(s string) types.String { return tfkit.StringOrNull(s, types.StringNull()) }

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

func portsValue(ctx context.Context, attribute string, ports []int32, diags *diag.Diagnostics) types.List {
	var all []port
	for _, p := range ports {
		all = append(all, port{types.Int32Value(p)})
	}
	return listOrNull(ctx, attribute, all, diags)
}

func probeValue(ctx context.Context, p *vertex.Probe, diags *diag.Diagnostics) types.Object {
	kind := objectType(probeAttribute(""))
	if p == nil {
		return types.ObjectNull(kind.AttrTypes)
	}
	out := probe{
		PeriodSeconds: number(p.PeriodSeconds), TimeoutSeconds: number(p.TimeoutSeconds), FailureThreshold: number(p.FailureThreshold),
		SuccessThreshold: number(p.SuccessThreshold), InitialDelaySeconds: number(p.InitialDelaySeconds),
	}
	switch {
	case p.HTTPGet != nil:
		out.HTTPGet = &httpGetAction{Path: text(p.HTTPGet.Path), Port: number(p.HTTPGet.Port), Host: text(p.HTTPGet.Host), Scheme: text(p.HTTPGet.Scheme)}
		for _, h := range p.HTTPGet.Headers {
			out.HTTPGet.HTTPHeaders = append(out.HTTPGet.HTTPHeaders, httpHeader{types.StringValue(h.Name), types.StringValue(h.Value)})
		}
	case p.GRPC != nil:
		out.GRPC = &grpcAction{Port: types.Int32Value(p.GRPC.Port), Service: text(p.GRPC.Service)}
	case p.TCPSocket != nil:
		out.TCPSocket = &tcpSocketAction{Port: types.Int32Value(p.TCPSocket.Port), Host: text(p.TCPSocket.Host)}
	default:
		out.Exec = &execAction{p.Exec}
	}
	value, d := types.ObjectValueFrom(ctx, kind.AttrTypes, out)
	diags.Append(d...)
	return value
}

// number is null for 0, which is the default of the API.
func number(n int32) types.Int32 {
	if n == 0 {
		return types.Int32Null()
	}
	return types.Int32Value(n)
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
