// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/proto"
)

var (
	machineTypePattern   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	serviceAccountFormat = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
)

// The metrics whose target is a utilization in percent.
var percentages = []string{
	"aiplatform.googleapis.com/prediction/online/cpu/utilization",
	"aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle",
}

// validDeployedModel checks a deployed model that is to be, and fills in what the
// API defaults.
func validDeployedModel(d *aiplatformpb.DeployedModel) error {
	const path = "deployed_model"
	if err := onlyFields(path, d, "id", "model", "display_name", "dedicated_resources", "automatic_resources", "shared_resources",
		"service_account", "disable_container_logging", "enable_access_logging", "disable_explanations", "faster_deployment_config"); err != nil {
		return err
	}
	switch {
	case d.GetModel() == "":
		return invalid("%s.model is required.", path)
	case d.GetId() != "" && !deployedIDPattern.MatchString(d.GetId()):
		return invalid("%s.id %q is not valid: 1 to 10 digits.", path, d.GetId())
	case d.GetId() == "0":
		return invalid(`%s.id "0" is not valid: in a traffic_split it means the model being deployed.`, path)
	case utf8.RuneCountInString(d.GetDisplayName()) > 128:
		return invalid("%s.display_name is longer than 128 characters.", path)
	case d.GetServiceAccount() != "" && !serviceAccountFormat.MatchString(d.GetServiceAccount()):
		return invalid("%s.service_account %q is not an e-mail address.", path, d.GetServiceAccount())
	}
	switch r := d.GetPredictionResources().(type) {
	case *aiplatformpb.DeployedModel_DedicatedResources:
		return validDedicated(path+".dedicated_resources", r.DedicatedResources)
	case *aiplatformpb.DeployedModel_AutomaticResources:
		return validAutomatic(path+".automatic_resources", r.AutomaticResources)
	case *aiplatformpb.DeployedModel_SharedResources:
		return nil // the pool is looked up
	}
	return invalid("%s: one of dedicated_resources, automatic_resources and shared_resources is required.", path)
}

// validDedicated also fills in what the API defaults.
func validDedicated(path string, r *aiplatformpb.DedicatedResources) error {
	if err := onlyFields(path, r, "machine_spec", "min_replica_count", "max_replica_count", "required_replica_count",
		"autoscaling_metric_specs", "spot"); err != nil {
		return err
	}
	machine := r.GetMachineSpec()
	if machine == nil {
		return invalid("%s.machine_spec is required.", path)
	}
	if err := validMachine(path+".machine_spec", machine); err != nil {
		return err
	}
	if r.GetSpot() && machine.GetReservationAffinity().GetReservationAffinityType() == aiplatformpb.ReservationAffinity_SPECIFIC_RESERVATION {
		return invalid("%s: Spot VMs cannot consume reservations.", path)
	}
	return validReplicas(path, r)
}

func validMachine(path string, machine *aiplatformpb.MachineSpec) error {
	if err := onlyFields(path, machine, "machine_type", "accelerator_type", "accelerator_count", "tpu_topology", "reservation_affinity"); err != nil {
		return err
	}
	if machine.GetMachineType() == "" {
		machine.MachineType = "n1-standard-2"
	}
	if !machineTypePattern.MatchString(machine.GetMachineType()) {
		return invalid("%s.machine_type %q is not a machine type such as n1-standard-2.", path, machine.GetMachineType())
	}
	hasType := machine.GetAcceleratorType() != aiplatformpb.AcceleratorType_ACCELERATOR_TYPE_UNSPECIFIED
	if _, known := aiplatformpb.AcceleratorType_name[int32(machine.GetAcceleratorType())]; !known {
		return invalid("%s.accelerator_type %d is not known.", path, machine.GetAcceleratorType())
	}
	if hasType != (machine.GetAcceleratorCount() > 0) || machine.GetAcceleratorCount() < 0 {
		return invalid("%s: accelerator_type and a positive accelerator_count go together.", path)
	}
	affinity := machine.GetReservationAffinity()
	_, known := aiplatformpb.ReservationAffinity_Type_name[int32(affinity.GetReservationAffinityType())]
	switch {
	case affinity == nil:
	case !known, affinity.GetReservationAffinityType() == aiplatformpb.ReservationAffinity_TYPE_UNSPECIFIED:
		return invalid("%s.reservation_affinity.reservation_affinity_type is required.", path)
	case affinity.GetReservationAffinityType() == aiplatformpb.ReservationAffinity_SPECIFIC_RESERVATION && (affinity.GetKey() == "" || len(affinity.GetValues()) == 0):
		return invalid("%s.reservation_affinity: a SPECIFIC_RESERVATION must be identified by key and values.", path)
	}
	return nil
}

func validReplicas(path string, r *aiplatformpb.DedicatedResources) error {
	if r.GetMinReplicaCount() < 1 {
		return invalid("%s.min_replica_count is %d: it must be at least 1.", path, r.GetMinReplicaCount())
	}
	if r.GetMaxReplicaCount() == 0 {
		r.MaxReplicaCount = r.GetMinReplicaCount()
	}
	if r.GetMaxReplicaCount() < r.GetMinReplicaCount() {
		return invalid("%s.max_replica_count is %d: it must be at least min_replica_count, %d.", path, r.GetMaxReplicaCount(), r.GetMinReplicaCount())
	}
	if n := r.GetRequiredReplicaCount(); n < 0 || n > r.GetMinReplicaCount() {
		return invalid("%s.required_replica_count is %d: it must be between 1 and min_replica_count, %d.", path, n, r.GetMinReplicaCount())
	}
	seen := map[string]bool{}
	for _, spec := range r.GetAutoscalingMetricSpecs() {
		switch name, target := spec.GetMetricName(), spec.GetTarget(); {
		case name == "":
			return invalid("%s.autoscaling_metric_specs: metric_name is required.", path)
		case seen[name]:
			return invalid("%s.autoscaling_metric_specs: there is more than one entry for %q.", path, name)
		case target < 0, target > 100 && slices.Contains(percentages, name):
			return invalid("%s.autoscaling_metric_specs: the target %d of %q is not between 1 and 100 percent.", path, target, name)
		}
		seen[spec.GetMetricName()] = true
		if spec.GetTarget() == 0 {
			spec.Target = 60
		}
	}
	return nil
}

// validAutomatic checks the replicas; without a maximum there is no bound.
func validAutomatic(path string, r *aiplatformpb.AutomaticResources) error {
	switch low, high := r.GetMinReplicaCount(), r.GetMaxReplicaCount(); {
	case low < 0:
		return invalid("%s.min_replica_count is %d: it must not be negative.", path, low)
	case high != 0 && high < low:
		return invalid("%s.max_replica_count is %d: it must be at least min_replica_count, %d.", path, high, low)
	}
	return nil
}

// mutate returns a deployed model with some fields of another.
func mutate(spec, in *aiplatformpb.DeployedModel, paths []string) (*aiplatformpb.DeployedModel, error) {
	next, change := proto.CloneOf(spec), proto.CloneOf(in)
	dedicated, automatic := next.GetDedicatedResources(), next.GetAutomaticResources()
	for _, path := range paths {
		switch kind, field := splitPath(path); {
		case path == "disable_container_logging":
			next.DisableContainerLogging = change.GetDisableContainerLogging()
		case dedicated != nil && kind != "automatic_resources" && mutateDedicated(dedicated, change.GetDedicatedResources(), field):
		case automatic != nil && kind != "dedicated_resources" && mutateAutomatic(automatic, change.GetAutomaticResources(), field):
		default:
			return nil, invalid("update_mask: %q cannot be mutated here; min_replica_count and max_replica_count of dedicated_resources or automatic_resources, "+
				"required_replica_count and autoscaling_metric_specs of dedicated_resources, and disable_container_logging can.", path)
		}
	}
	switch {
	case dedicated != nil:
		return next, validReplicas("deployed_model.dedicated_resources", dedicated)
	case automatic != nil:
		return next, validAutomatic("deployed_model.automatic_resources", automatic)
	}
	return next, nil
}

// splitPath takes the field of prediction resources out of the path of a mask, which may
// name it with or without their kind.
func splitPath(path string) (kind, field string) {
	if kind, field, found := strings.Cut(path, "."); found {
		return kind, field
	}
	return "", path
}

func mutateDedicated(to, from *aiplatformpb.DedicatedResources, field string) bool {
	switch field {
	case "min_replica_count":
		to.MinReplicaCount = from.GetMinReplicaCount()
	case "max_replica_count":
		to.MaxReplicaCount = from.GetMaxReplicaCount()
	case "required_replica_count":
		to.RequiredReplicaCount = from.GetRequiredReplicaCount()
	case "autoscaling_metric_specs":
		to.AutoscalingMetricSpecs = from.GetAutoscalingMetricSpecs()
	default:
		return false
	}
	return true
}

func mutateAutomatic(to, from *aiplatformpb.AutomaticResources, field string) bool {
	switch field {
	case "min_replica_count":
		to.MinReplicaCount = from.GetMinReplicaCount()
	case "max_replica_count":
		to.MaxReplicaCount = from.GetMaxReplicaCount()
	default:
		return false
	}
	return true
}
