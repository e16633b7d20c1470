// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexpublishermodel

import (
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the data source in HCL and in state.
type model struct {
	Model              types.String `tfsdk:"model"`
	Location           types.String `tfsdk:"location"`
	ID                 types.String `tfsdk:"id"`
	Name               types.String `tfsdk:"name"`
	VersionID          types.String `tfsdk:"version_id"`
	HuggingFace        types.Bool   `tfsdk:"hugging_face"`
	OpenSourceCategory types.String `tfsdk:"open_source_category"`
	LaunchStage        types.String `tfsdk:"launch_stage"`
	VersionState       types.String `tfsdk:"version_state"`
	Frameworks         []string     `tfsdk:"frameworks"`
	Template           types.String `tfsdk:"template"`
	BaseModelSource    *baseSource  `tfsdk:"base_model_source"`
	PredictSchemata    *schemata    `tfsdk:"predict_schemata"`
	Deployments        []deployment `tfsdk:"deployments"`
}

type baseSource struct {
	ModelGardenSource gardenSource `tfsdk:"model_garden_source"`
}

type gardenSource struct {
	PublicModelName types.String `tfsdk:"public_model_name"`
	VersionID       types.String `tfsdk:"version_id"`
}

type schemata struct {
	InstanceSchemaURI   types.String `tfsdk:"instance_schema_uri"`
	ParametersSchemaURI types.String `tfsdk:"parameters_schema_uri"`
	PredictionSchemaURI types.String `tfsdk:"prediction_schema_uri"`
}

type deployment struct {
	Title              types.String        `tfsdk:"title"`
	DeployTaskName     types.String        `tfsdk:"deploy_task_name"`
	ModelDisplayName   types.String        `tfsdk:"model_display_name"`
	ArtifactURI        types.String        `tfsdk:"artifact_uri"`
	ContainerSpec      *containerSpec      `tfsdk:"container_spec"`
	DedicatedResources *dedicatedResources `tfsdk:"dedicated_resources"`
	AutomaticResources *automaticResources `tfsdk:"automatic_resources"`
	Labels             map[string]string   `tfsdk:"labels"`
	SampleRequest      types.String        `tfsdk:"sample_request"`
}

type containerSpec struct {
	ImageURI           types.String `tfsdk:"image_uri"`
	Command            []string     `tfsdk:"command"`
	Args               []string     `tfsdk:"args"`
	Env                []pair       `tfsdk:"env"`
	Ports              []port       `tfsdk:"ports"`
	GRPCPorts          []port       `tfsdk:"grpc_ports"`
	PredictRoute       types.String `tfsdk:"predict_route"`
	HealthRoute        types.String `tfsdk:"health_route"`
	DeploymentTimeout  types.String `tfsdk:"deployment_timeout"`
	SharedMemorySizeMB types.Int64  `tfsdk:"shared_memory_size_mb"`
	StartupProbe       *probe       `tfsdk:"startup_probe"`
	HealthProbe        *probe       `tfsdk:"health_probe"`
	LivenessProbe      *probe       `tfsdk:"liveness_probe"`
}

type pair struct {
	Name  types.String `tfsdk:"name"`
	Value types.String `tfsdk:"value"`
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
	HTTPHeaders []pair       `tfsdk:"http_headers"`
}

type grpcAction struct {
	Port    types.Int32  `tfsdk:"port"`
	Service types.String `tfsdk:"service"`
}

type tcpSocketAction struct {
	Port types.Int32  `tfsdk:"port"`
	Host types.String `tfsdk:"host"`
}

type dedicatedResources struct {
	MachineType            types.String `tfsdk:"machine_type"`
	AcceleratorType        types.String `tfsdk:"accelerator_type"`
	AcceleratorCount       types.Int32  `tfsdk:"accelerator_count"`
	TPUTopology            types.String `tfsdk:"tpu_topology"`
	MinReplicaCount        types.Int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount        types.Int32  `tfsdk:"max_replica_count"`
	RequiredReplicaCount   types.Int32  `tfsdk:"required_replica_count"`
	AutoscalingMetricSpecs []metricSpec `tfsdk:"autoscaling_metric_specs"`
	Spot                   types.Bool   `tfsdk:"spot"`
}

type metricSpec struct {
	MetricName types.String `tfsdk:"metric_name"`
	Target     types.Int32  `tfsdk:"target"`
}

type automaticResources struct {
	MinReplicaCount types.Int32 `tfsdk:"min_replica_count"`
	MaxReplicaCount types.Int32 `tfsdk:"max_replica_count"`
}

// validate checks how the model is named; what is unknown passes.
func (m *model) validate(diags *diag.Diagnostics) {
	if m.Model.IsUnknown() {
		return
	}
	if _, err := vertex.ParsePublisherName(m.Model.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("model"), "Invalid model", err.Error()+".")
	}
}

// wanted is what is looked up, and where.
func (m *model) wanted() (name vertex.PublisherName, location string) {
	name, _ = vertex.ParsePublisherName(m.Model.ValueString()) // validated
	if location = m.Location.ValueString(); location == "" {
		location = catalogue
	}
	return name, location
}

// fromRemote takes over what Google tells.
func (m *model) fromRemote(name vertex.PublisherName, location string, r *vertex.PublisherModel) {
	m.Location, m.HuggingFace = types.StringValue(location), types.BoolValue(name.HuggingFace)
	m.Name, m.VersionID = orNull(r.Name), orNull(r.VersionID)
	m.ID = m.Name
	if r.VersionID != "" {
		m.ID = types.StringValue(r.Name + "@" + r.VersionID)
	}
	m.OpenSourceCategory, m.LaunchStage, m.VersionState = orNull(r.OpenSourceCategory), orNull(r.LaunchStage), orNull(r.VersionState)
	m.Frameworks, m.Template = r.Frameworks, orNull(r.Template)
	m.BaseModelSource = &baseSource{gardenSource{m.Name, m.VersionID}}
	m.PredictSchemata = nil
	if s := r.Schemata; s != (vertex.Schemata{}) {
		m.PredictSchemata = &schemata{orNull(s.InstanceURI), orNull(s.ParametersURI), orNull(s.PredictionURI)}
	}
	m.Deployments = []deployment{}
	for _, d := range r.Deployments {
		m.Deployments = append(m.Deployments, deploymentOf(d))
	}
}

func deploymentOf(d vertex.PublisherDeployment) deployment {
	out := deployment{
		Title: orNull(d.Title), DeployTaskName: orNull(d.Task), ModelDisplayName: orNull(d.ModelDisplayName), ArtifactURI: orNull(d.ArtifactURI),
		ContainerSpec: containerOf(d.Container), Labels: d.Labels, SampleRequest: orNull(d.SampleRequest),
	}
	switch r := d.Resources; r.Kind {
	case vertex.Dedicated:
		out.DedicatedResources = dedicatedOf(r)
	case vertex.Automatic:
		out.AutomaticResources = &automaticResources{types.Int32Value(r.MinReplicas), number(r.MaxReplicas)}
	case vertex.Shared, vertex.Other:
	}
	return out
}

// containerOf spells a container as an import of gcpml_vertex_model_upload does, so
// that nothing is to change after one.
func containerOf(c *vertex.Container) *containerSpec {
	if c == nil {
		return nil
	}
	out := &containerSpec{
		ImageURI: orNull(c.ImageURI), Command: c.Command, Args: c.Args, Ports: ports(c.Ports), GRPCPorts: ports(c.GRPCPorts),
		PredictRoute: orNull(c.PredictRoute), HealthRoute: orNull(c.HealthRoute),
		StartupProbe: probeOf(c.StartupProbe), HealthProbe: probeOf(c.HealthProbe), LivenessProbe: probeOf(c.LivenessProbe),
	}
	if slices.Equal(c.Ports, []int32{defaultPort}) {
		out.Ports = nil
	}
	for _, e := range c.Env {
		out.Env = append(out.Env, pair{types.StringValue(e.Name), types.StringValue(e.Value)})
	}
	if c.DeploymentTimeout != 0 {
		out.DeploymentTimeout = types.StringValue(strconv.FormatFloat(c.DeploymentTimeout.Seconds(), 'f', -1, 64) + "s")
	}
	if c.SharedMemoryMB != 0 {
		out.SharedMemorySizeMB = types.Int64Value(c.SharedMemoryMB)
	}
	return out
}

// defaultPort is what ModelContainerSpec.ports is if it is left out (model.proto).
const defaultPort = 8080

func ports(numbers []int32) (out []port) {
	for _, n := range numbers {
		out = append(out, port{types.Int32Value(n)})
	}
	return out
}

func probeOf(p *vertex.Probe) *probe {
	if p == nil {
		return nil
	}
	out := &probe{
		PeriodSeconds: number(p.PeriodSeconds), TimeoutSeconds: number(p.TimeoutSeconds), FailureThreshold: number(p.FailureThreshold),
		SuccessThreshold: number(p.SuccessThreshold), InitialDelaySeconds: number(p.InitialDelaySeconds),
	}
	switch {
	case p.HTTPGet != nil:
		out.HTTPGet = &httpGetAction{Path: orNull(p.HTTPGet.Path), Port: number(p.HTTPGet.Port), Host: orNull(p.HTTPGet.Host), Scheme: orNull(p.HTTPGet.Scheme)}
		for _, h := range p.HTTPGet.Headers {
			out.HTTPGet.HTTPHeaders = append(out.HTTPGet.HTTPHeaders, pair{types.StringValue(h.Name), types.StringValue(h.Value)})
		}
	case p.GRPC != nil:
		out.GRPC = &grpcAction{Port: types.Int32Value(p.GRPC.Port), Service: orNull(p.GRPC.Service)}
	case p.TCPSocket != nil:
		out.TCPSocket = &tcpSocketAction{Port: types.Int32Value(p.TCPSocket.Port), Host: orNull(p.TCPSocket.Host)}
	case len(p.Exec) > 0:
		out.Exec = &execAction{p.Exec}
	}
	return out
}

// dedicatedOf leaves out, as null, what the resource has the same default for.
func dedicatedOf(r vertex.Resources) *dedicatedResources {
	least := max(r.MinReplicas, 1)
	out := &dedicatedResources{
		MachineType: orNull(r.MachineType), AcceleratorType: orNull(r.AcceleratorType), AcceleratorCount: number(r.AcceleratorCount), TPUTopology: orNull(r.TPUTopology),
		MinReplicaCount: types.Int32Value(least), RequiredReplicaCount: number(r.RequiredReplicas),
	}
	if r.MaxReplicas > least {
		out.MaxReplicaCount = types.Int32Value(r.MaxReplicas)
	}
	for _, metric := range slices.Sorted(maps.Keys(r.Targets)) {
		out.AutoscalingMetricSpecs = append(out.AutoscalingMetricSpecs, metricSpec{types.StringValue(metric), types.Int32Value(r.Targets[metric])})
	}
	if r.Spot {
		out.Spot = types.BoolValue(true)
	}
	return out
}

// orNull is null for the empty string.
func orNull(s string) types.String { return tfkit.StringOrNull(s, types.StringNull()) }

// number is null for 0, which is how the API leaves a number out.
func number(n int32) types.Int32 {
	if n == 0 {
		return types.Int32Null()
	}
	return types.Int32Value(n)
}
