// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// deployment is a value of deployments. Exactly one of the three kinds of resources is
// set.
type deployment struct {
	Model                   types.String `tfsdk:"model"`
	DedicatedResources      types.Object `tfsdk:"dedicated_resources"`
	AutomaticResources      types.Object `tfsdk:"automatic_resources"`
	SharedResources         types.String `tfsdk:"shared_resources"`
	ServiceAccount          types.String `tfsdk:"service_account"`
	EnableAccessLogging     types.Bool   `tfsdk:"enable_access_logging"`
	DisableContainerLogging types.Bool   `tfsdk:"disable_container_logging"`
	DisableExplanations     types.Bool   `tfsdk:"disable_explanations"`
	FasterDeploymentConfig  types.Object `tfsdk:"faster_deployment_config"`
}

type fasterDeployment struct {
	FastTryoutEnabled types.Bool `tfsdk:"fast_tryout_enabled"`
}

type dedicatedResources struct {
	MachineType            types.String `tfsdk:"machine_type"`
	AcceleratorType        types.String `tfsdk:"accelerator_type"`
	AcceleratorCount       types.Int32  `tfsdk:"accelerator_count"`
	TPUTopology            types.String `tfsdk:"tpu_topology"`
	MinReplicaCount        types.Int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount        types.Int32  `tfsdk:"max_replica_count"`
	RequiredReplicaCount   types.Int32  `tfsdk:"required_replica_count"`
	AutoscalingMetricSpecs types.List   `tfsdk:"autoscaling_metric_specs"`
	Spot                   types.Bool   `tfsdk:"spot"`
	ReservationAffinity    types.Object `tfsdk:"reservation_affinity"`
}

type automaticResources struct {
	MinReplicaCount types.Int32 `tfsdk:"min_replica_count"`
	MaxReplicaCount types.Int32 `tfsdk:"max_replica_count"`
}

type metricSpec struct {
	MetricName types.String `tfsdk:"metric_name"`
	Target     types.Int32  `tfsdk:"target"`
}

type reservationAffinity struct {
	Type   types.String `tfsdk:"reservation_affinity_type"`
	Key    types.String `tfsdk:"key"`
	Values types.List   `tfsdk:"values"`
}

type deployed struct {
	ID                types.String `tfsdk:"id"`
	Model             types.String `tfsdk:"model"`
	ModelVersionID    types.String `tfsdk:"model_version_id"`
	MachineType       types.String `tfsdk:"machine_type"`
	AcceleratorType   types.String `tfsdk:"accelerator_type"`
	AcceleratorCount  types.Int32  `tfsdk:"accelerator_count"`
	SharedResources   types.String `tfsdk:"shared_resources"`
	MinReplicaCount   types.Int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount   types.Int32  `tfsdk:"max_replica_count"`
	ServiceAccount    types.String `tfsdk:"service_account"`
	Traffic           types.Int32  `tfsdk:"traffic"`
	CreateTime        types.String `tfsdk:"create_time"`
	PredictHTTPURI    types.String `tfsdk:"predict_http_uri"`
	ServiceAttachment types.String `tfsdk:"service_attachment"`
}

var (
	metricType      = map[string]attr.Type{"metric_name": types.StringType, "target": types.Int32Type}
	reservationType = map[string]attr.Type{"reservation_affinity_type": types.StringType, "key": types.StringType, "values": types.ListType{ElemType: types.StringType}}
	resourcesType   = map[string]attr.Type{
		"machine_type": types.StringType, "accelerator_type": types.StringType, "accelerator_count": types.Int32Type, "tpu_topology": types.StringType,
		"min_replica_count": types.Int32Type, "max_replica_count": types.Int32Type, "required_replica_count": types.Int32Type,
		"autoscaling_metric_specs": types.ListType{ElemType: types.ObjectType{AttrTypes: metricType}},
		"spot":                     types.BoolType, "reservation_affinity": types.ObjectType{AttrTypes: reservationType},
	}
	automaticType  = map[string]attr.Type{"min_replica_count": types.Int32Type, "max_replica_count": types.Int32Type}
	fasterType     = map[string]attr.Type{"fast_tryout_enabled": types.BoolType}
	deploymentType = map[string]attr.Type{
		"model": types.StringType, "dedicated_resources": types.ObjectType{AttrTypes: resourcesType}, "automatic_resources": types.ObjectType{AttrTypes: automaticType},
		"shared_resources": types.StringType, "service_account": types.StringType, "enable_access_logging": types.BoolType, "disable_container_logging": types.BoolType,
		"disable_explanations": types.BoolType, "faster_deployment_config": types.ObjectType{AttrTypes: fasterType},
	}
	deployedType = map[string]attr.Type{
		"id": types.StringType, "model": types.StringType, "model_version_id": types.StringType,
		"machine_type": types.StringType, "accelerator_type": types.StringType, "accelerator_count": types.Int32Type, "shared_resources": types.StringType,
		"min_replica_count": types.Int32Type, "max_replica_count": types.Int32Type, "service_account": types.StringType, "traffic": types.Int32Type,
		"create_time": types.StringType, "predict_http_uri": types.StringType, "service_attachment": types.StringType,
	}
)

// known decodes an object; ok is false while it is null or unknown.
func known[T any](ctx context.Context, o types.Object, diags *diag.Diagnostics) (v T, ok bool) {
	if o.IsNull() || o.IsUnknown() {
		return v, false
	}
	diags.Append(o.As(ctx, &v, basetypes.ObjectAsOptions{})...)
	return v, true
}

// object encodes a struct.
func object(ctx context.Context, t map[string]attr.Type, v any, diags *diag.Diagnostics) types.Object {
	o, d := types.ObjectValueFrom(ctx, t, v)
	diags.Append(d...)
	return o
}

// list encodes a slice; an empty one is null.
func list[T any](ctx context.Context, t attr.Type, values []T, diags *diag.Diagnostics) types.List {
	if len(values) == 0 {
		return types.ListNull(t)
	}
	l, d := types.ListValueFrom(ctx, t, values)
	diags.Append(d...)
	return l
}

func texts(values []types.String) (out []string) {
	for _, v := range values {
		out = append(out, v.ValueString())
	}
	return out
}

// toSpec converts what serves a deployment and how.
func (d deployment) toSpec(ctx context.Context, diags *diag.Diagnostics) (r vertex.Resources, s vertex.Settings) {
	if dedicated, ok := known[dedicatedResources](ctx, d.DedicatedResources, diags); ok {
		r = dedicated.toSpec(ctx, diags)
	}
	if automatic, ok := known[automaticResources](ctx, d.AutomaticResources, diags); ok {
		r = vertex.Resources{Kind: vertex.Automatic, MinReplicas: automatic.MinReplicaCount.ValueInt32(), MaxReplicas: automatic.MaxReplicaCount.ValueInt32()}
	}
	if pool, err := gcp.ParseName(vertex.KindPool, d.SharedResources.ValueString()); err == nil {
		r = vertex.Resources{Kind: vertex.Shared, Pool: pool}
	}
	return r, vertex.Settings{
		ServiceAccount: d.ServiceAccount.ValueString(), AccessLogging: d.EnableAccessLogging.ValueBool(), NoContainerLogging: d.DisableContainerLogging.ValueBool(),
		NoExplanations: d.DisableExplanations.ValueBool(), FastTryout: d.fastTryout(ctx, diags).ValueBool(),
	}
}

// fastTryout is fast_tryout_enabled: false when it is left out, and possibly unknown.
func (d deployment) fastTryout(ctx context.Context, diags *diag.Diagnostics) types.Bool {
	faster, _ := known[fasterDeployment](ctx, d.FasterDeploymentConfig, diags)
	if d.FasterDeploymentConfig.IsUnknown() || faster.FastTryoutEnabled.IsUnknown() {
		return types.BoolUnknown()
	}
	return types.BoolValue(faster.FastTryoutEnabled.ValueBool())
}

func (r dedicatedResources) toSpec(ctx context.Context, diags *diag.Diagnostics) vertex.Resources {
	out := vertex.Resources{
		MachineType: r.MachineType.ValueString(), AcceleratorType: r.AcceleratorType.ValueString(), AcceleratorCount: r.AcceleratorCount.ValueInt32(),
		MinReplicas: r.MinReplicaCount.ValueInt32(), MaxReplicas: max(r.MaxReplicaCount.ValueInt32(), r.MinReplicaCount.ValueInt32()),
		RequiredReplicas: r.RequiredReplicaCount.ValueInt32(), TPUTopology: r.TPUTopology.ValueString(), Spot: r.Spot.ValueBool(), Targets: r.targets(ctx, diags),
	}
	if v, ok := known[reservationAffinity](ctx, r.ReservationAffinity, diags); ok {
		out.Reservation = vertex.Reservation{Type: v.Type.ValueString(), Key: v.Key.ValueString(), Values: texts(elements[types.String](ctx, v.Values, diags))}
	}
	return out
}

func (r dedicatedResources) targets(ctx context.Context, diags *diag.Diagnostics) map[string]int32 {
	targets := map[string]int32{}
	for _, o := range elements[types.Object](ctx, r.AutoscalingMetricSpecs, diags) {
		if spec, ok := known[metricSpec](ctx, o, diags); ok {
			targets[spec.MetricName.ValueString()] = spec.Target.ValueInt32()
		}
	}
	return targets
}

// merge is a deployment as the server has it, each part in the spelling of before
// if that means the same. version is the number that a model without one stood for.
func (before deployment) merge(ctx context.Context, d vertex.Deployed, version string, same spelling, diags *diag.Diagnostics) attr.Value {
	now := deployment{
		Model: types.StringValue(d.Model.String()), DedicatedResources: types.ObjectNull(resourcesType), AutomaticResources: types.ObjectNull(automaticType),
		ServiceAccount:          tfkit.StringOrNull(d.Settings.ServiceAccount, before.ServiceAccount),
		EnableAccessLogging:     boolOrNull(d.Settings.AccessLogging, before.EnableAccessLogging),
		DisableContainerLogging: boolOrNull(d.Settings.NoContainerLogging, before.DisableContainerLogging),
		DisableExplanations:     boolOrNull(d.Settings.NoExplanations, before.DisableExplanations),
		FasterDeploymentConfig:  types.ObjectNull(fasterType),
	}
	if was, ok := known[fasterDeployment](ctx, before.FasterDeploymentConfig, diags); ok || d.Settings.FastTryout {
		now.FasterDeploymentConfig = object(ctx, fasterType, fasterDeployment{boolOrNull(d.Settings.FastTryout, was.FastTryoutEnabled)}, diags)
	}
	if name, err := gcp.ParseName(gcp.KindModel, before.Model.ValueString()); err == nil {
		if !isNumber(name.Version) && (version == "" || version == d.Model.Version) {
			name.Version = d.Model.Version
		}
		if same.model.Equal(name.String(), d.Model.String()) {
			now.Model = before.Model
		}
	}
	switch d.Resources.Kind {
	case vertex.Automatic:
		was, _ := known[automaticResources](ctx, before.AutomaticResources, diags)
		now.AutomaticResources = object(ctx, automaticType, automaticResources{
			MinReplicaCount: types.Int32Value(d.Resources.MinReplicas), MaxReplicaCount: int32OrNull(d.Resources.MaxReplicas, was.MaxReplicaCount, 0),
		}, diags)
	case vertex.Shared:
		now.SharedResources = types.StringValue(d.Resources.Pool.String())
		if same.pool.Equal(before.SharedResources.ValueString(), d.Resources.Pool.String()) {
			now.SharedResources = before.SharedResources
		}
	case vertex.Dedicated:
		was, _ := known[dedicatedResources](ctx, before.DedicatedResources, diags)
		now.DedicatedResources = object(ctx, resourcesType, was.merge(ctx, d.Resources, same, diags), diags)
	case vertex.Other: // never ours
	}
	return object(ctx, deploymentType, now, diags)
}

func (before dedicatedResources) merge(ctx context.Context, r vertex.Resources, same spelling, diags *diag.Diagnostics) dedicatedResources {
	required := r.RequiredReplicas
	if required == 0 {
		required = r.MinReplicas
	}
	now := dedicatedResources{
		MachineType: types.StringValue(r.MachineType), AcceleratorType: tfkit.StringOrNull(r.AcceleratorType, before.AcceleratorType),
		AcceleratorCount: int32OrNull(r.AcceleratorCount, before.AcceleratorCount, 0), MinReplicaCount: types.Int32Value(r.MinReplicas),
		MaxReplicaCount: int32OrNull(r.MaxReplicas, before.MaxReplicaCount, r.MinReplicas), RequiredReplicaCount: int32OrNull(required, before.RequiredReplicaCount, r.MinReplicas),
		TPUTopology: tfkit.StringOrNull(r.TPUTopology, before.TPUTopology), Spot: boolOrNull(r.Spot, before.Spot),
		AutoscalingMetricSpecs: before.AutoscalingMetricSpecs, ReservationAffinity: before.ReservationAffinity,
	}
	if was := (vertex.Resources{AcceleratorCount: r.AcceleratorCount, Targets: before.targets(ctx, diags)}); !was.SameTargets(r) || now.AutoscalingMetricSpecs.IsNull() {
		var specs []metricSpec
		for _, name := range slices.Sorted(maps.Keys(r.Targets)) {
			specs = append(specs, metricSpec{types.StringValue(name), types.Int32Value(r.Targets[name])})
		}
		now.AutoscalingMetricSpecs = list(ctx, types.ObjectType{AttrTypes: metricType}, specs, diags)
	}
	if was := before.toSpec(ctx, diags).Reservation; !same.reservation(was, r.Reservation) || now.ReservationAffinity.IsNull() {
		now.ReservationAffinity = types.ObjectNull(reservationType)
		if v := r.Reservation; v.Type != "" {
			now.ReservationAffinity = object(ctx, reservationType, reservationAffinity{
				types.StringValue(v.Type), tfkit.TextOrNull(v.Key), list(ctx, types.StringType, v.Values, diags),
			}, diags)
		}
	}
	return now
}

// int32OrNull is null for the value that leaving it out means, unless it was
// there before.
func int32OrNull(v int32, before types.Int32, otherwise int32) types.Int32 {
	if v == otherwise && before.IsNull() {
		return types.Int32Null()
	}
	return types.Int32Value(v)
}

// boolOrNull is null for false, unless it was there before.
func boolOrNull(v bool, before types.Bool) types.Bool {
	if !v && (before.IsNull() || before.IsUnknown()) {
		return types.BoolNull()
	}
	return types.BoolValue(v)
}

func deployedValue(d vertex.Deployed, traffic int32) attr.Value {
	r := d.Resources
	pool := ""
	if r.Kind == vertex.Shared {
		pool = r.Pool.String()
	}
	return types.ObjectValueMust(deployedType, map[string]attr.Value{
		"id": types.StringValue(d.ID), "model": types.StringValue(d.Model.WithVersion("").String()), "model_version_id": types.StringValue(d.Model.Version),
		"machine_type": types.StringValue(r.MachineType), "accelerator_type": types.StringValue(r.AcceleratorType), "accelerator_count": types.Int32Value(r.AcceleratorCount),
		"shared_resources": types.StringValue(pool), "min_replica_count": types.Int32Value(r.MinReplicas), "max_replica_count": types.Int32Value(r.MaxReplicas),
		"service_account": types.StringValue(d.Settings.ServiceAccount), "traffic": types.Int32Value(traffic),
		"create_time":      types.StringValue(d.Object.CreateTime.Format(time.RFC3339Nano)),
		"predict_http_uri": types.StringValue(d.Private.PredictHTTPURI), "service_attachment": types.StringValue(d.Private.ServiceAttachment),
	})
}
