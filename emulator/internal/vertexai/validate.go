// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The rules are those of the comments in google/cloud/aiplatform/v1/*.proto.
var (
	modelIDPattern       = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,62}$`)
	endpointIDPattern    = regexp.MustCompile(`^([a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8})$`)
	deployedIDPattern    = regexp.MustCompile(`^[0-9]{1,10}$`)
	aliasPattern         = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$`)
	machineTypePattern   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	serviceAccountFormat = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func validDisplayName(path, name string) error {
	switch {
	case name == "":
		return invalid("%s.display_name is required.", path)
	case utf8.RuneCountInString(name) > 128:
		return invalid("%s.display_name is longer than 128 characters.", path)
	}
	return nil
}

func validLabels(path string, labels map[string]string) error {
	if len(labels) > 64 {
		return invalid("%s.labels has %d entries: at most 64 are allowed.", path, len(labels))
	}
	for key, value := range labels {
		first, _ := utf8.DecodeRuneInString(key)
		if key == "" || unicode.IsUpper(first) || !unicode.IsLetter(first) || !isLabel(key) {
			return invalid("%s.labels: key %q is not valid: up to 64 lower-case letters, digits, underscores and dashes, starting with a letter.", path, key)
		}
		if !isLabel(value) {
			return invalid("%s.labels: value %q of %q is not valid: up to 64 lower-case letters, digits, underscores and dashes.", path, value, key)
		}
	}
	return nil
}

func isLabel(s string) bool {
	if utf8.RuneCountInString(s) > 64 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsDigit(r) && (!unicode.IsLetter(r) || unicode.IsUpper(r))
	})
}

func validModel(m *aiplatformpb.Model) error {
	const path = "model"
	if err := validDisplayName(path, m.GetDisplayName()); err != nil {
		return err
	}
	if err := validLabels(path, m.GetLabels()); err != nil {
		return err
	}
	if uri := m.GetArtifactUri(); uri != "" && !strings.HasPrefix(uri, "gs://") {
		return invalid("model.artifact_uri %q is not valid: want a Cloud Storage folder gs://BUCKET/PATH.", uri)
	}
	for _, alias := range m.GetVersionAliases() {
		if err := validAlias(alias); err != nil {
			return err
		}
	}
	if err := validSchemas(m); err != nil {
		return err
	}
	return validContainer(m.GetContainerSpec())
}

func validAlias(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return invalid("version_aliases: %q is not valid: want [a-z][a-zA-Z0-9-]{0,126}[a-z0-9].", alias)
	}
	return nil
}

func validDeployedModel(d *aiplatformpb.DeployedModel) error {
	const path = "deployed_model"
	if err := onlyFields(path, d, "id", "model", "display_name", "dedicated_resources", "service_account",
		"disable_container_logging", "enable_access_logging", "disable_explanations"); err != nil {
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
	case d.GetDedicatedResources() == nil:
		return invalid("%s.dedicated_resources is required.", path)
	case d.GetServiceAccount() != "" && !serviceAccountFormat.MatchString(d.GetServiceAccount()):
		return invalid("%s.service_account %q is not an e-mail address.", path, d.GetServiceAccount())
	}
	return validDedicated(d.GetDedicatedResources())
}

// validDedicated also fills in what the API defaults.
func validDedicated(r *aiplatformpb.DedicatedResources) error {
	const path = "deployed_model.dedicated_resources"
	if err := onlyFields(path, r, "machine_spec", "min_replica_count", "max_replica_count", "required_replica_count",
		"autoscaling_metric_specs", "spot"); err != nil {
		return err
	}
	machine := r.GetMachineSpec()
	if machine == nil {
		return invalid("%s.machine_spec is required.", path)
	}
	if err := onlyFields(path+".machine_spec", machine, "machine_type", "accelerator_type", "accelerator_count"); err != nil {
		return err
	}
	if machine.GetMachineType() == "" {
		machine.MachineType = "n1-standard-2"
	}
	if !machineTypePattern.MatchString(machine.GetMachineType()) {
		return invalid("%s.machine_spec.machine_type %q is not a machine type such as n1-standard-2.", path, machine.GetMachineType())
	}
	hasType := machine.GetAcceleratorType() != aiplatformpb.AcceleratorType_ACCELERATOR_TYPE_UNSPECIFIED
	if _, known := aiplatformpb.AcceleratorType_name[int32(machine.GetAcceleratorType())]; !known {
		return invalid("%s.machine_spec.accelerator_type %d is not known.", path, machine.GetAcceleratorType())
	}
	if hasType != (machine.GetAcceleratorCount() > 0) || machine.GetAcceleratorCount() < 0 {
		return invalid("%s.machine_spec: accelerator_type and a positive accelerator_count go together.", path)
	}
	return validReplicas(r)
}

func validReplicas(r *aiplatformpb.DedicatedResources) error {
	const path = "deployed_model.dedicated_resources"
	if r.GetMinReplicaCount() < 1 {
		return invalid("%s.min_replica_count is %d: it must be at least 1.", path, r.GetMinReplicaCount())
	}
	if r.GetMaxReplicaCount() == 0 {
		r.MaxReplicaCount = r.GetMinReplicaCount()
	}
	if r.GetMaxReplicaCount() < r.GetMinReplicaCount() {
		return invalid("%s.max_replica_count is %d: it must be at least min_replica_count, %d.", path, r.GetMaxReplicaCount(), r.GetMinReplicaCount())
	}
	if n := r.GetRequiredReplicaCount(); n < 0 || n > r.GetMaxReplicaCount() {
		return invalid("%s.required_replica_count is %d: it must be between 0 and max_replica_count.", path, n)
	}
	for _, spec := range r.GetAutoscalingMetricSpecs() {
		if spec.GetMetricName() == "" {
			return invalid("%s.autoscaling_metric_specs: metric_name is required.", path)
		}
	}
	return nil
}
