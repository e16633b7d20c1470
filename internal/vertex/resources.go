// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"maps"
	"slices"
	"strings"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// KindPool is the collection of deployment resource pools.
const KindPool gcp.Kind = "deploymentResourcePools"

// ResourceKind is whose machines serve a deployed model.
type ResourceKind string

// The kinds. Other is none of them: such a model is not of gcpml's making.
const (
	Dedicated ResourceKind = "" // its own
	Automatic ResourceKind = "automatic"
	Shared    ResourceKind = "shared"
	Other     ResourceKind = "other"
)

// Resources are the machines that serve a deployed model.
type Resources struct {
	Kind        ResourceKind
	MachineType string
	// AcceleratorType is a name such as "NVIDIA_TESLA_T4", "" for none.
	AcceleratorType  string
	AcceleratorCount int32
	// TPUTopology is such as "2x2x1", "" for machines without TPUs.
	TPUTopology string
	// Spot machines may be taken away at any time.
	Spot        bool
	Reservation Reservation
	// Pool is what is shared (Shared); the machines are the pool's.
	Pool gcp.Name
	// MaxReplicas is 0 for no bound (Automatic), or as many as MinReplicas.
	MinReplicas int32
	MaxReplicas int32
	// RequiredReplicas have to be there for a deployment to be a success; 0 means as
	// many as MinReplicas.
	RequiredReplicas int32
	// Targets are what more replicas are started at, by metric: mostly percentages of
	// utilization. 0 means 60.
	Targets map[string]int32
}

// Reservation is which reserved machines are used; the zero value leaves it to Google.
type Reservation struct {
	// Type is a name such as "SPECIFIC_RESERVATION".
	Type string
	Key  string
	// Values are names of reservations, projects/{}/zones/{}/reservations/{}.
	Values []string
}

// Metrics that replicas depend on without being asked for.
const (
	metricCPU         = "aiplatform.googleapis.com/prediction/online/cpu/utilization"
	metricAccelerator = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"
	defaultTarget     = 60
)

// Settings are how a model is deployed, apart from its machines.
type Settings struct {
	// ServiceAccount is the e-mail address of whom the container runs as.
	ServiceAccount string
	AccessLogging  bool
	// NoExplanations leaves out the explanations that the model is configured for.
	NoExplanations bool
	// FastTryout asks for the faster way of deploying, which is for experiments.
	FastTryout bool
	// NoContainerLogging can change in place.
	NoContainerLogging bool
}

// normal makes resources that mean the same equal.
func (r Resources) normal() Resources {
	if r.Kind == Dedicated {
		r.MaxReplicas = max(r.MaxReplicas, r.MinReplicas)
	}
	if r.RequiredReplicas == r.MinReplicas {
		r.RequiredReplicas = 0
	}
	targets := map[string]int32{}
	for metric, target := range r.Targets {
		if target == 0 {
			target = defaultTarget
		}
		byDefault := metric == metricCPU || metric == metricAccelerator && r.AcceleratorCount > 0
		if target != defaultTarget || !byDefault {
			targets[metric] = target
		}
	}
	r.Targets = targets
	return r
}

// Same reports whether resources mean the same.
func (r Resources) Same(o Resources) bool { return r.sameMachine(o) && len(r.changes(o)) == 0 }

// SameTargets reports whether the targets for autoscaling mean the same.
func (r Resources) SameTargets(o Resources) bool {
	return maps.Equal(r.normal().Targets, o.normal().Targets)
}

// sameMachine compares what cannot change in place.
func (r Resources) sameMachine(o Resources) bool {
	return r.Kind == o.Kind && r.MachineType == o.MachineType && r.AcceleratorType == o.AcceleratorType && r.AcceleratorCount == o.AcceleratorCount &&
		r.TPUTopology == o.TPUTopology && r.Spot == o.Spot && r.Pool == o.Pool && r.Reservation.same(o.Reservation)
}

func (r Reservation) same(o Reservation) bool {
	return r.Type == o.Type && r.Key == o.Key && slices.Equal(sorted(r.Values), sorted(o.Values))
}

// changes are the fields that change in place and differ from have, as paths of an
// update mask.
func (r Resources) changes(have Resources) (paths []string) {
	field := "dedicated_resources."
	switch r.Kind {
	case Automatic:
		field = "automatic_resources."
	case Shared, Other:
		return nil
	case Dedicated:
	}
	want, is := r.normal(), have.normal()
	add := func(name string, differs bool) {
		if differs {
			paths = append(paths, field+name)
		}
	}
	add("min_replica_count", want.MinReplicas != is.MinReplicas)
	add("max_replica_count", want.MaxReplicas != is.MaxReplicas)
	add("required_replica_count", want.RequiredReplicas != is.RequiredReplicas)
	add("autoscaling_metric_specs", !maps.Equal(want.Targets, is.Targets))
	return paths
}

// changes are what of a deployment can change in place and differs from what is
// deployed, as paths of an update mask.
func (d Deployment) changes(have Deployed) []string {
	paths := d.Resources.changes(have.Resources)
	if d.Settings.NoContainerLogging != have.Settings.NoContainerLogging {
		paths = append(paths, "disable_container_logging")
	}
	return paths
}

// identity is what of resources and settings tells a deployment from others, besides
// its machine. Each part has a name, so that no two can be mistaken for each other,
// and what is not set is left out: it is as if it had never been there to be set.
func (d Deployment) identity() (parts []any) {
	r := d.Resources
	if r.Kind != Dedicated {
		parts = append(parts, []any{"kind", r.Kind})
	}
	if r.Pool.ID != "" { // Google spells the project in another way
		parts = append(parts, []any{"pool", r.Pool.Location, r.Pool.ID})
	}
	if r.TPUTopology != "" {
		parts = append(parts, []any{"tpu_topology", r.TPUTopology})
	}
	if r.Spot {
		parts = append(parts, "spot")
	}
	if v := r.Reservation; v.Type != "" {
		names := sorted(v.Values)
		for i, name := range names {
			names[i] = withoutProject(name)
		}
		parts = append(parts, []any{"reservation", v.Type, v.Key, names})
	}
	if d.Settings.ServiceAccount != "" {
		parts = append(parts, []any{"service_account", d.Settings.ServiceAccount})
	}
	if d.Settings.AccessLogging {
		parts = append(parts, "access_logging")
	}
	if d.Settings.NoExplanations {
		parts = append(parts, "disable_explanations")
	}
	if d.Settings.FastTryout {
		parts = append(parts, "fast_tryout")
	}
	return parts
}

func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }

// withoutProject is what follows projects/{project}/ in a name.
func withoutProject(name string) string {
	if rest, ok := strings.CutPrefix(name, "projects/"); ok {
		if _, rest, ok = strings.Cut(rest, "/"); ok {
			return rest
		}
	}
	return name
}

// IsAccelerator reports whether the API knows this accelerator type.
func IsAccelerator(name string) bool {
	v, known := pb.AcceleratorType_value[name]
	return known && v != 0
}

// NeedsAccelerator reports whether a metric is about accelerators.
func NeedsAccelerator(metric string) bool { return metric == metricAccelerator }

// IsPercentage reports whether the target for a metric is a percentage.
func IsPercentage(metric string) bool { return metric == metricCPU || metric == metricAccelerator }

// deployedModel is what DeployModel is asked for; MutateDeployedModel takes what its
// mask names from the same.
func deployedModel(id, key string, d Deployment) *pb.DeployedModel {
	out := &pb.DeployedModel{
		Id: id, DisplayName: key, Model: d.Model.String(), ServiceAccount: d.Settings.ServiceAccount,
		EnableAccessLogging: d.Settings.AccessLogging, DisableContainerLogging: d.Settings.NoContainerLogging, DisableExplanations: d.Settings.NoExplanations,
	}
	if d.Settings.FastTryout {
		out.FasterDeploymentConfig = &pb.FasterDeploymentConfig{FastTryoutEnabled: true}
	}
	r := d.Resources
	switch r.Kind {
	case Automatic:
		out.PredictionResources = &pb.DeployedModel_AutomaticResources{AutomaticResources: &pb.AutomaticResources{
			MinReplicaCount: r.MinReplicas, MaxReplicaCount: r.MaxReplicas,
		}}
	case Shared:
		out.PredictionResources = &pb.DeployedModel_SharedResources{SharedResources: r.Pool.String()}
	case Dedicated, Other:
		out.PredictionResources = &pb.DeployedModel_DedicatedResources{DedicatedResources: r.dedicated()}
	}
	return out
}

func (r Resources) dedicated() *pb.DedicatedResources {
	out := &pb.DedicatedResources{
		MachineSpec: &pb.MachineSpec{
			MachineType:      r.MachineType,
			AcceleratorType:  pb.AcceleratorType(pb.AcceleratorType_value[r.AcceleratorType]),
			AcceleratorCount: r.AcceleratorCount,
			TpuTopology:      r.TPUTopology,
		},
		MinReplicaCount: r.MinReplicas, MaxReplicaCount: max(r.MaxReplicas, r.MinReplicas), RequiredReplicaCount: r.RequiredReplicas, Spot: r.Spot,
	}
	for _, metric := range slices.Sorted(maps.Keys(r.Targets)) {
		out.AutoscalingMetricSpecs = append(out.AutoscalingMetricSpecs, &pb.AutoscalingMetricSpec{MetricName: metric, Target: r.Targets[metric]})
	}
	if v := r.Reservation; v.Type != "" {
		out.MachineSpec.ReservationAffinity = &pb.ReservationAffinity{
			ReservationAffinityType: pb.ReservationAffinity_Type(pb.ReservationAffinity_Type_value[v.Type]), Key: v.Key, Values: v.Values,
		}
	}
	return out
}

func settingsOf(d *pb.DeployedModel) Settings {
	return Settings{
		ServiceAccount: d.GetServiceAccount(), AccessLogging: d.GetEnableAccessLogging(), NoExplanations: d.GetDisableExplanations(),
		NoContainerLogging: d.GetDisableContainerLogging(), FastTryout: d.GetFasterDeploymentConfig().GetFastTryoutEnabled(),
	}
}

// resourcesOf reads what serves a deployed model. path gives names of other resources
// the project as it is spelled in the configuration, as far as that is known.
func resourcesOf(d *pb.DeployedModel, path func(string) string) Resources {
	switch r := d.GetPredictionResources().(type) {
	case *pb.DeployedModel_AutomaticResources:
		return Resources{Kind: Automatic, MinReplicas: r.AutomaticResources.GetMinReplicaCount(), MaxReplicas: r.AutomaticResources.GetMaxReplicaCount()}
	case *pb.DeployedModel_SharedResources:
		if pool, err := gcp.ParseName(KindPool, path(r.SharedResources)); err == nil {
			return Resources{Kind: Shared, Pool: pool}
		}
	case *pb.DeployedModel_DedicatedResources:
		return dedicatedOf(r.DedicatedResources, path)
	}
	return Resources{Kind: Other}
}

func dedicatedOf(r *pb.DedicatedResources, path func(string) string) Resources {
	machine := r.GetMachineSpec()
	out := Resources{
		MachineType: machine.GetMachineType(), AcceleratorCount: machine.GetAcceleratorCount(), TPUTopology: machine.GetTpuTopology(), Spot: r.GetSpot(),
		MinReplicas: r.GetMinReplicaCount(), MaxReplicas: r.GetMaxReplicaCount(), RequiredReplicas: r.GetRequiredReplicaCount(),
		Targets: map[string]int32{},
	}
	if t := machine.GetAcceleratorType(); t != pb.AcceleratorType_ACCELERATOR_TYPE_UNSPECIFIED {
		out.AcceleratorType = t.String()
	}
	for _, spec := range r.GetAutoscalingMetricSpecs() {
		out.Targets[spec.GetMetricName()] = spec.GetTarget()
	}
	if v := machine.GetReservationAffinity(); v.GetReservationAffinityType() != pb.ReservationAffinity_TYPE_UNSPECIFIED {
		out.Reservation = Reservation{Type: v.GetReservationAffinityType().String(), Key: v.GetKey()}
		for _, name := range v.GetValues() {
			out.Reservation.Values = append(out.Reservation.Values, path(name))
		}
	}
	return out.normal()
}
