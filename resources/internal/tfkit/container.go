// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// What follows are the parts of container_spec that a resource and a data source
// have in common: ModelContainerSpec of aiplatform/v1/model.proto in HCL.

// Port is an element of ports and grpc_ports.
type Port struct {
	ContainerPort types.Int32 `tfsdk:"container_port"`
}

// Ports are port numbers in HCL.
func Ports(numbers []int32) (out []Port) {
	for _, n := range numbers {
		out = append(out, Port{types.Int32Value(n)})
	}
	return out
}

// OwnPorts is nil for the ports that a container has by default (ports of
// ModelContainerSpec), which servers spell out.
func OwnPorts(numbers []int32) []int32 {
	if slices.Equal(numbers, []int32{8080}) {
		return nil
	}
	return numbers
}

// NameValue is a header field of a probe, or an environment variable that is no secret.
type NameValue struct {
	Name  types.String `tfsdk:"name"`
	Value types.String `tfsdk:"value"`
}

// Probe is startup_probe, health_probe or liveness_probe. One of its actions is set.
type Probe struct {
	Exec                *ExecAction      `tfsdk:"exec"`
	HTTPGet             *HTTPGetAction   `tfsdk:"http_get"`
	GRPC                *GRPCAction      `tfsdk:"grpc"`
	TCPSocket           *TCPSocketAction `tfsdk:"tcp_socket"`
	PeriodSeconds       types.Int32      `tfsdk:"period_seconds"`
	TimeoutSeconds      types.Int32      `tfsdk:"timeout_seconds"`
	FailureThreshold    types.Int32      `tfsdk:"failure_threshold"`
	SuccessThreshold    types.Int32      `tfsdk:"success_threshold"`
	InitialDelaySeconds types.Int32      `tfsdk:"initial_delay_seconds"`
}

// ExecAction runs a command in the container.
type ExecAction struct {
	Command []string `tfsdk:"command"`
}

// HTTPGetAction sends a GET request to the container.
type HTTPGetAction struct {
	Path        types.String `tfsdk:"path"`
	Port        types.Int32  `tfsdk:"port"`
	Host        types.String `tfsdk:"host"`
	Scheme      types.String `tfsdk:"scheme"`
	HTTPHeaders []NameValue  `tfsdk:"http_headers"`
}

// GRPCAction asks gRPC's health service.
type GRPCAction struct {
	Port    types.Int32  `tfsdk:"port"`
	Service types.String `tfsdk:"service"`
}

// TCPSocketAction opens a connection.
type TCPSocketAction struct {
	Port types.Int32  `tfsdk:"port"`
	Host types.String `tfsdk:"host"`
}

// ProbeOf is a probe in HCL; what it leaves to the defaults is null. nil gives nil.
func ProbeOf(p *vertex.Probe) *Probe {
	if p == nil {
		return nil
	}
	out := &Probe{
		PeriodSeconds: Int32OrNull(p.PeriodSeconds), TimeoutSeconds: Int32OrNull(p.TimeoutSeconds), FailureThreshold: Int32OrNull(p.FailureThreshold),
		SuccessThreshold: Int32OrNull(p.SuccessThreshold), InitialDelaySeconds: Int32OrNull(p.InitialDelaySeconds),
	}
	switch {
	case p.HTTPGet != nil:
		out.HTTPGet = &HTTPGetAction{Path: TextOrNull(p.HTTPGet.Path), Port: Int32OrNull(p.HTTPGet.Port), Host: TextOrNull(p.HTTPGet.Host), Scheme: TextOrNull(p.HTTPGet.Scheme)}
		for _, h := range p.HTTPGet.Headers {
			out.HTTPGet.HTTPHeaders = append(out.HTTPGet.HTTPHeaders, NameValue{types.StringValue(h.Name), types.StringValue(h.Value)})
		}
	case p.GRPC != nil:
		out.GRPC = &GRPCAction{Port: types.Int32Value(p.GRPC.Port), Service: TextOrNull(p.GRPC.Service)}
	case p.TCPSocket != nil:
		out.TCPSocket = &TCPSocketAction{Port: types.Int32Value(p.TCPSocket.Port), Host: TextOrNull(p.TCPSocket.Host)}
	case len(p.Exec) > 0:
		out.Exec = &ExecAction{p.Exec}
	}
	return out
}

// Vertex is the probe, whose values are all known, as the domain package has it.
func (p *Probe) Vertex() *vertex.Probe {
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

// Schemata is predict_schemata.
type Schemata struct {
	InstanceSchemaURI   types.String `tfsdk:"instance_schema_uri"`
	ParametersSchemaURI types.String `tfsdk:"parameters_schema_uri"`
	PredictionSchemaURI types.String `tfsdk:"prediction_schema_uri"`
}

// SchemataOf is predict_schemata of a model; nil for none.
func SchemataOf(s vertex.Schemata) *Schemata {
	if s == (vertex.Schemata{}) {
		return nil
	}
	return &Schemata{TextOrNull(s.InstanceURI), TextOrNull(s.ParametersURI), TextOrNull(s.PredictionURI)}
}
