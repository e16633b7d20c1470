// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// validate checks what is known of a deployment, apart from its model.
func (d deployment) validate(ctx context.Context, at path.Path, diags *diag.Diagnostics) {
	var set []string
	complete := true
	kinds := map[string]attr.Value{"dedicated_resources": d.DedicatedResources, "automatic_resources": d.AutomaticResources, "shared_resources": d.SharedResources}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		switch v := kinds[name]; {
		case v.IsUnknown():
			complete = false
		case !v.IsNull():
			set = append(set, name)
		}
	}
	switch {
	case len(set) > 1:
		diags.AddAttributeError(at, "Conflicting resources", fmt.Sprintf("%s are set; a deployment has one kind of resources.", strings.Join(set, " and ")))
	case len(set) == 0 && complete:
		diags.AddAttributeError(at, "Missing resources", "A deployment needs dedicated_resources, automatic_resources or shared_resources.")
	}
	if r, ok := known[dedicatedResources](ctx, d.DedicatedResources, diags); ok {
		r.validate(ctx, at.AtName("dedicated_resources"), diags)
	}
	if r, ok := known[automaticResources](ctx, d.AutomaticResources, diags); ok {
		validateReplicas(at.AtName("automatic_resources"), r.MinReplicaCount, r.MaxReplicaCount, diags)
	}
	if _, err := gcp.ParseName(vertex.KindPool, d.SharedResources.ValueString()); err != nil && !d.SharedResources.IsNull() && !d.SharedResources.IsUnknown() {
		diags.AddAttributeError(at.AtName("shared_resources"), "Invalid shared_resources", err.Error()+".")
	}
}

func validateReplicas(at path.Path, lowest, highest types.Int32, diags *diag.Diagnostics) {
	if !lowest.IsUnknown() && lowest.ValueInt32() < 1 {
		diags.AddAttributeError(at.AtName("min_replica_count"), "Invalid min_replica_count", fmt.Sprintf("min_replica_count is %d; at least 1 machine must run.", lowest.ValueInt32()))
	}
	if !highest.IsNull() && !highest.IsUnknown() && !lowest.IsUnknown() && highest.ValueInt32() < lowest.ValueInt32() {
		diags.AddAttributeError(at.AtName("max_replica_count"), "Invalid max_replica_count",
			fmt.Sprintf("max_replica_count (%d) must not be less than min_replica_count (%d).", highest.ValueInt32(), lowest.ValueInt32()))
	}
}

func (r dedicatedResources) validate(ctx context.Context, at path.Path, diags *diag.Diagnostics) {
	validateReplicas(at, r.MinReplicaCount, r.MaxReplicaCount, diags)
	if required := r.RequiredReplicaCount; !required.IsNull() && !required.IsUnknown() {
		switch lowest := r.MinReplicaCount; {
		case required.ValueInt32() < 1:
			diags.AddAttributeError(at.AtName("required_replica_count"), "Invalid required_replica_count", "required_replica_count must be at least 1; leave it out for all of min_replica_count.")
		case !lowest.IsUnknown() && required.ValueInt32() > lowest.ValueInt32():
			diags.AddAttributeError(at.AtName("required_replica_count"), "Too many required replicas",
				fmt.Sprintf("required_replica_count (%d) must not be more than min_replica_count (%d).", required.ValueInt32(), lowest.ValueInt32()))
		}
	}
	if !r.MachineType.IsUnknown() && r.MachineType.ValueString() == "" {
		diags.AddAttributeError(at.AtName("machine_type"), "Missing machine_type", "machine_type must not be empty.")
	}
	r.validateAccelerators(at, diags)
	r.validateMetrics(ctx, at.AtName("autoscaling_metric_specs"), diags)
	if v, ok := known[reservationAffinity](ctx, r.ReservationAffinity, diags); ok {
		v.validate(at.AtName("reservation_affinity"), diags)
		if r.Spot.ValueBool() && v.Type.ValueString() == specificReservation {
			diags.AddAttributeError(at.AtName("spot"), "Spot machines of a reservation", "Spot VMs cannot use a specific reservation: leave out spot or reservation_affinity.")
		}
	}
}

func (r dedicatedResources) validateAccelerators(at path.Path, diags *diag.Diagnostics) {
	kind, count := r.AcceleratorType, r.AcceleratorCount
	switch {
	case kind.IsUnknown() || count.IsUnknown():
	case !count.IsNull() && count.ValueInt32() < 1:
		diags.AddAttributeError(at.AtName("accelerator_count"), "Invalid accelerator_count", "accelerator_count must be at least 1; leave it out for none.")
	case !kind.IsNull() && count.IsNull():
		diags.AddAttributeError(at.AtName("accelerator_count"), "Missing accelerator_count", "accelerator_type and accelerator_count go together: set both or neither.")
	case kind.IsNull() && !count.IsNull():
		diags.AddAttributeError(at.AtName("accelerator_type"), "Missing accelerator_type", "accelerator_type and accelerator_count go together: set both or neither.")
	}
	if !kind.IsNull() && !kind.IsUnknown() && !vertex.IsAccelerator(kind.ValueString()) {
		diags.AddAttributeError(at.AtName("accelerator_type"), "Invalid accelerator_type", fmt.Sprintf("%q is not an accelerator type such as NVIDIA_TESLA_T4 or NVIDIA_L4.", kind.ValueString()))
	}
}

func (r dedicatedResources) validateMetrics(ctx context.Context, at path.Path, diags *diag.Diagnostics) {
	seen := map[string]bool{}
	for i, o := range elements[types.Object](ctx, r.AutoscalingMetricSpecs, diags) {
		spec, ok := known[metricSpec](ctx, o, diags)
		if !ok || spec.MetricName.IsUnknown() {
			continue
		}
		at, name := at.AtListIndex(i), spec.MetricName.ValueString()
		switch {
		case name == "":
			diags.AddAttributeError(at.AtName("metric_name"), "Missing metric_name", "metric_name must not be empty.")
		case seen[name]:
			diags.AddAttributeError(at.AtName("metric_name"), "Repeated metric_name", fmt.Sprintf("There is another entry for %s; each metric has one.", name))
		case vertex.NeedsAccelerator(name) && r.AcceleratorType.IsNull() && r.AcceleratorCount.IsNull():
			diags.AddAttributeError(at.AtName("metric_name"), "Metric without accelerators", name+" needs accelerators: set accelerator_type and accelerator_count, or choose another metric.")
		}
		seen[name] = true
		target := spec.Target.ValueInt32()
		if !spec.Target.IsNull() && !spec.Target.IsUnknown() && (target < 1 || target > 100 && vertex.IsPercentage(name)) {
			diags.AddAttributeError(at.AtName("target"), "Invalid target", fmt.Sprintf("%d is not a target for %s: at least 1 and, for a percentage, up to 100.", target, name))
		}
	}
}

func (v reservationAffinity) validate(at path.Path, diags *diag.Diagnostics) {
	if v.Type.IsUnknown() {
		return
	}
	specific := v.Type.ValueString() == specificReservation
	for name, value := range map[string]attr.Value{"key": v.Key, "values": v.Values} {
		empty := value.IsNull() || value.Equal(types.StringValue("")) || name == "values" && !value.IsUnknown() && len(v.Values.Elements()) == 0
		switch {
		case specific && empty:
			diags.AddAttributeError(at.AtName(name), "Missing "+name+" of the reservation", specificReservation+" needs key and values, which tell the reservation.")
		case !specific && !value.IsNull():
			diags.AddAttributeError(at.AtName(name), "Unused "+name+" of a reservation", "key and values are for "+specificReservation+" only.")
		}
	}
}
