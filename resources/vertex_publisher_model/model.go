// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexpublishermodel

import (
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the data source in HCL and in state.
type model struct {
	Model              types.String    `tfsdk:"model"`
	Location           types.String    `tfsdk:"location"`
	ID                 types.String    `tfsdk:"id"`
	Name               types.String    `tfsdk:"name"`
	VersionID          types.String    `tfsdk:"version_id"`
	HuggingFace        types.Bool      `tfsdk:"hugging_face"`
	OpenSourceCategory types.String    `tfsdk:"open_source_category"`
	LaunchStage        types.String    `tfsdk:"launch_stage"`
	VersionState       types.String    `tfsdk:"version_state"`
	Frameworks         []string        `tfsdk:"frameworks"`
	Template           types.String    `tfsdk:"template"`
	BaseModelSource    *baseSource     `tfsdk:"base_model_source"`
	PredictSchemata    *tfkit.Schemata `tfsdk:"predict_schemata"`
	Deployments        []deployment    `tfsdk:"deployments"`
}

type baseSource struct {
	ModelGardenSource gardenSource `tfsdk:"model_garden_source"`
}

type gardenSource struct {
	PublicModelName types.String `tfsdk:"public_model_name"`
	VersionID       types.String `tfsdk:"version_id"`
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
	ImageURI           types.String      `tfsdk:"image_uri"`
	Command            []string          `tfsdk:"command"`
	Args               []string          `tfsdk:"args"`
	Env                []tfkit.NameValue `tfsdk:"env"`
	Ports              []tfkit.Port      `tfsdk:"ports"`
	GRPCPorts          []tfkit.Port      `tfsdk:"grpc_ports"`
	PredictRoute       types.String      `tfsdk:"predict_route"`
	HealthRoute        types.String      `tfsdk:"health_route"`
	DeploymentTimeout  types.String      `tfsdk:"deployment_timeout"`
	SharedMemorySizeMB types.Int64       `tfsdk:"shared_memory_size_mb"`
	StartupProbe       *tfkit.Probe      `tfsdk:"startup_probe"`
	HealthProbe        *tfkit.Probe      `tfsdk:"health_probe"`
	LivenessProbe      *tfkit.Probe      `tfsdk:"liveness_probe"`
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
	m.Name, m.VersionID = tfkit.TextOrNull(r.Name), tfkit.TextOrNull(r.VersionID)
	m.ID = m.Name
	if r.VersionID != "" {
		m.ID = types.StringValue(r.Name + "@" + r.VersionID)
	}
	m.OpenSourceCategory, m.LaunchStage, m.VersionState = tfkit.TextOrNull(r.OpenSourceCategory), tfkit.TextOrNull(r.LaunchStage), tfkit.TextOrNull(r.VersionState)
	m.Frameworks, m.Template = r.Frameworks, tfkit.TextOrNull(r.Template)
	m.BaseModelSource = &baseSource{gardenSource{m.Name, m.VersionID}}
	m.PredictSchemata = tfkit.SchemataOf(r.Schemata)
	m.Deployments = []deployment{}
	for _, d := range r.Deployments {
		m.Deployments = append(m.Deployments, deploymentOf(d))
	}
}

func deploymentOf(d vertex.PublisherDeployment) deployment {
	out := deployment{
		Title: tfkit.TextOrNull(d.Title), DeployTaskName: tfkit.TextOrNull(d.Task), ModelDisplayName: tfkit.TextOrNull(d.ModelDisplayName), ArtifactURI: tfkit.TextOrNull(d.ArtifactURI),
		ContainerSpec: containerOf(d.Container), Labels: d.Labels, SampleRequest: tfkit.TextOrNull(d.SampleRequest),
	}
	switch r := d.Resources; r.Kind {
	case vertex.Dedicated:
		out.DedicatedResources = dedicatedOf(r)
	case vertex.Automatic:
		out.AutomaticResources = &automaticResources{types.Int32Value(r.MinReplicas), tfkit.Int32OrNull(r.MaxReplicas)}
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
		ImageURI: tfkit.TextOrNull(c.ImageURI), Command: c.Command, Args: c.Args, Ports: tfkit.Ports(tfkit.OwnPorts(c.Ports)), GRPCPorts: tfkit.Ports(c.GRPCPorts),
		PredictRoute: tfkit.TextOrNull(c.PredictRoute), HealthRoute: tfkit.TextOrNull(c.HealthRoute), DeploymentTimeout: tfkit.SecondsOrNull(c.DeploymentTimeout),
		StartupProbe: tfkit.ProbeOf(c.StartupProbe), HealthProbe: tfkit.ProbeOf(c.HealthProbe), LivenessProbe: tfkit.ProbeOf(c.LivenessProbe),
	}
	for _, e := range c.Env {
		out.Env = append(out.Env, tfkit.NameValue{Name: types.StringValue(e.Name), Value: types.StringValue(e.Value)})
	}
	if c.SharedMemoryMB != 0 {
		out.SharedMemorySizeMB = types.Int64Value(c.SharedMemoryMB)
	}
	return out
}

// dedicatedOf leaves out, as null, what the resource has the same default for.
func dedicatedOf(r vertex.Resources) *dedicatedResources {
	least := max(r.MinReplicas, 1)
	out := &dedicatedResources{
		MachineType: tfkit.TextOrNull(r.MachineType), AcceleratorType: tfkit.TextOrNull(r.AcceleratorType), AcceleratorCount: tfkit.Int32OrNull(r.AcceleratorCount), TPUTopology: tfkit.TextOrNull(r.TPUTopology),
		MinReplicaCount: types.Int32Value(least), RequiredReplicaCount: tfkit.Int32OrNull(r.RequiredReplicas),
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
