// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// diagnosed is what the provider says about a configuration before anything is known
// but the configuration, as "severity path: summary".
func diagnosed(t *testing.T, config map[string]any) (all []string) {
	t.Helper()
	server, err := acctest.Factories["gcpml"]()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: "gcpml_vertex_endpoint_deployment", Config: &tfprotov6.DynamicValue{JSON: text},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range resp.Diagnostics {
		all = append(all, fmt.Sprintf("%s %s: %s", d.Severity, at(d), d.Summary))
	}
	return all
}

func at(d *tfprotov6.Diagnostic) string {
	if d.Attribute == nil {
		return ""
	}
	path := d.Attribute.String() // AttributeName("a").ElementKeyString("k").ElementKeyInt(0)
	for _, r := range []struct{ from, to string }{{`AttributeName("`, ""}, {`ElementKeyString("`, ""}, {"ElementKeyInt(", ""}, {`")`, ""}, {")", ""}} {
		path = strings.ReplaceAll(path, r.from, r.to)
	}
	return path
}

type object = map[string]any

// with is an object with further members; a nil one is left out.
func with(base, more object) object {
	out := object{}
	for _, m := range []object{base, more} {
		for k, v := range m {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

const (
	anyModel = "projects/demo-gcpml/locations/us-central1/models/a@1"
	anyPool  = "projects/demo-gcpml/locations/us-central1/deploymentResourcePools/pool"
	anyKey   = "projects/demo-gcpml/locations/us-central1/keyRings/r/cryptoKeys/k"
	anyNet   = "projects/123456/global/networks/n"
	cpu      = "aiplatform.googleapis.com/prediction/online/cpu/utilization"
	duty     = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"
)

var (
	machines   = object{"machine_type": "n1-standard-2", "min_replica_count": 1}
	main       = object{"model": anyModel, "dedicated_resources": machines}
	valid      = object{"display_name": "Reviews", "deployments": object{"main": main}}
	recreated  = object{"strategy": "recreate"}
	peered     = object{"network": anyNet, "rollout": recreated}
	connected  = object{"private_service_connect_config": object{"enable_private_service_connect": true}}
	specific   = object{"reservation_affinity_type": "SPECIFIC_RESERVATION", "key": "compute.googleapis.com/reservation-name", "values": []string{"projects/p/zones/z/reservations/r"}}
	everything = object{
		"project": "demo-gcpml", "location": "us-central1", "endpoint_id": "reviews", "display_name": "Reviews", "description": "d", "labels": object{"a": "b"},
		"deployments": object{
			"a": object{
				"model": anyModel, "service_account": "runner@demo-gcpml.iam.gserviceaccount.com", "enable_access_logging": true, "disable_container_logging": true, "disable_explanations": true,
				"dedicated_resources": object{
					"machine_type": "n1-standard-4", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1, "min_replica_count": 2, "max_replica_count": 4,
					"required_replica_count": 1, "autoscaling_metric_specs": []object{{"metric_name": cpu, "target": 80}, {"metric_name": duty}}, "reservation_affinity": specific,
				},
			},
			"tpu": object{"model": anyModel, "dedicated_resources": object{"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x2", "min_replica_count": 1}},
			"b":   object{"model": anyModel, "automatic_resources": object{"min_replica_count": 1, "max_replica_count": 2}},
			"c":   object{"model": anyModel, "shared_resources": anyPool},
		},
		"traffic": object{"a": 60, "b": 20, "c": 10, "tpu": 10}, "rollout": object{"strategy": "blue_green", "steps": []int{50, 100}, "wait": "1s"},
		"encryption_spec":                         object{"kms_key_name": anyKey},
		"private_service_connect_config":          object{"enable_private_service_connect": true, "project_allowlist": []string{"demo-gcpml"}, "psc_automation_configs": []object{{"project_id": "demo-gcpml", "network": anyNet}}},
		"predict_request_response_logging_config": object{"enabled": true, "sampling_rate": 0.1, "bigquery_destination": object{"output_uri": "bq://demo-gcpml.logs"}},
		"client_connection_config":                object{"inference_timeout": "10m"},
	}
)

// deploys is a valid configuration with something changed about its deployment, and
// dedicates with something changed about the machines of that.
func deploys(more object) object {
	return with(valid, object{"deployments": object{"main": with(main, more)}})
}

func dedicates(more object) object {
	return deploys(object{"dedicated_resources": with(machines, more)})
}

func gates(more object) object {
	return with(valid, object{"rollout": object{"gate": with(object{"instances": []string{"1"}}, more)}})
}

// Every validator and every rule between values refuses something, at the attribute
// where it is, and no two of these say the same.
func TestInvalidConfigurations(t *testing.T) {
	for _, config := range []object{
		valid, everything, with(valid, peered), with(valid, connected), with(valid, object{"dedicated_endpoint_enabled": true}), with(valid, object{"deployments": object{}}),
		dedicates(object{"spot": true, "reservation_affinity": object{"reservation_affinity_type": "ANY_RESERVATION"}}),
		with(valid, object{"predict_request_response_logging_config": object{"enabled": false}}),
	} {
		if said := diagnosed(t, config); len(said) > 0 {
			t.Errorf("a valid configuration is refused: %v", said)
		}
	}
	cases := []struct {
		config object
		want   string
	}{
		{with(valid, object{"project": "1"}), "project: Invalid project id"},
		{with(valid, object{"location": "US"}), "location: Invalid location"},
		{with(valid, object{"endpoint_id": "Reviews"}), "endpoint_id: Invalid endpoint id"},
		{with(valid, object{"display_name": ""}), "display_name: Invalid Attribute Value Length"},
		{with(valid, object{"labels": object{"team": "ML"}}), "labels.team: Invalid label value"},
		{with(valid, object{"labels": object{"Team": "ml"}}), "labels.Team: Invalid label key"},
		{with(valid, object{"deletion_policy": "KEEP"}), "deletion_policy: Invalid Attribute Value Match"},
		{with(valid, object{"desired_state": "stopped"}), "desired_state: Invalid Attribute Value Match"},

		{with(valid, object{"deployments": object{"": main}}), "deployments.: Invalid deployment key"},
		{deploys(object{"model": "bert"}), "deployments.main.model: Invalid model"},
		{deploys(object{"dedicated_resources": nil}), "deployments.main: Missing resources"},
		{deploys(object{"shared_resources": anyPool}), "deployments.main: Conflicting resources"},
		{deploys(object{"dedicated_resources": nil, "shared_resources": "pool"}), "deployments.main.shared_resources: Invalid shared_resources"},
		{deploys(object{"dedicated_resources": nil, "automatic_resources": object{"min_replica_count": 0}}), "deployments.main.automatic_resources.min_replica_count: Invalid min_replica_count"},
		{deploys(object{"dedicated_resources": nil, "automatic_resources": object{"min_replica_count": 2, "max_replica_count": 1}}), "deployments.main.automatic_resources.max_replica_count: Invalid max_replica_count"},
		{deploys(object{"service_account": "runner"}), "deployments.main.service_account: Invalid service_account"},
		{dedicates(object{"machine_type": ""}), "deployments.main.dedicated_resources.machine_type: Missing machine_type"},
		{dedicates(object{"min_replica_count": 0}), "deployments.main.dedicated_resources.min_replica_count: Invalid min_replica_count"},
		{dedicates(object{"min_replica_count": 2, "max_replica_count": 1}), "deployments.main.dedicated_resources.max_replica_count: Invalid max_replica_count"},
		{dedicates(object{"required_replica_count": 0}), "deployments.main.dedicated_resources.required_replica_count: Invalid required_replica_count"},
		{dedicates(object{"required_replica_count": 2}), "deployments.main.dedicated_resources.required_replica_count: Too many required replicas"},
		{dedicates(object{"accelerator_type": "NVIDIA_H9000", "accelerator_count": 1}), "deployments.main.dedicated_resources.accelerator_type: Invalid accelerator_type"},
		{dedicates(object{"accelerator_count": 1}), "deployments.main.dedicated_resources.accelerator_type: Missing accelerator_type"},
		{dedicates(object{"accelerator_type": "NVIDIA_L4"}), "deployments.main.dedicated_resources.accelerator_count: Missing accelerator_count"},
		{dedicates(object{"accelerator_type": "NVIDIA_L4", "accelerator_count": 0}), "deployments.main.dedicated_resources.accelerator_count: Invalid accelerator_count"},
		{dedicates(object{"tpu_topology": "large"}), "deployments.main.dedicated_resources.tpu_topology: Invalid tpu_topology"},
		{dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": ""}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.metric_name: Missing metric_name"},
		{dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": cpu}, {"metric_name": cpu}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.1.metric_name: Repeated metric_name"},
		{dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": duty}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.metric_name: Metric without accelerators"},
		{dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": cpu, "target": 101}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.target: Invalid target"},
		{dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "MINE"}}), "deployments.main.dedicated_resources.reservation_affinity.reservation_affinity_type: Invalid Attribute Value Match"},
		{dedicates(object{"reservation_affinity": with(specific, object{"key": nil})}), "deployments.main.dedicated_resources.reservation_affinity.key: Missing key of the reservation"},
		{dedicates(object{"reservation_affinity": with(specific, object{"values": []string{}})}), "deployments.main.dedicated_resources.reservation_affinity.values: Missing values of the reservation"},
		{dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "ANY_RESERVATION", "key": "k"}}), "deployments.main.dedicated_resources.reservation_affinity.key: Unused key of a reservation"},
		{dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "NO_RESERVATION", "values": []string{"v"}}}), "deployments.main.dedicated_resources.reservation_affinity.values: Unused values of a reservation"},
		{dedicates(object{"spot": true, "reservation_affinity": specific}), "deployments.main.dedicated_resources.spot: Spot machines of a reservation"},

		{with(valid, object{"deployments": object{"a": main, "b": main}}), "traffic: Missing traffic"},
		{with(valid, object{"traffic": object{"main": 99}}), "traffic: Invalid traffic"},
		{with(valid, object{"traffic": object{"main": 101}}), "traffic.main: Invalid percentage"},
		{with(valid, object{"traffic": object{"mian": 100}}), "traffic.mian: Unknown deployment"},

		{with(valid, object{"rollout": object{"strategy": "yolo"}}), "rollout.strategy: Invalid Attribute Value Match"},
		{with(valid, object{"rollout": object{"strategy": "recreate", "steps": []int{100}}}), "rollout.steps: Steps without blue_green"},
		{with(valid, object{"rollout": object{"steps": []int{}}}), "rollout.steps: Invalid steps"},
		{with(valid, object{"rollout": object{"steps": []int{0, 100}}}), "rollout.steps.0: Invalid step"},
		{with(valid, object{"rollout": object{"steps": []int{50, 40, 100}}}), "rollout.steps.1: Invalid steps"},
		{with(valid, object{"rollout": object{"steps": []int{50}}}), "rollout.steps.0: Invalid steps"},
		{with(valid, object{"rollout": object{"wait": "soon"}}), "rollout.wait: Invalid wait"},
		{with(valid, object{"rollout": object{"wait": "4h"}}), "rollout.wait: Waits longer than the timeout"},
		{gates(object{"instances": []string{}}), "rollout.gate.instances: Invalid instances"},
		{gates(object{"instances": []string{"{"}}), "rollout.gate.instances.0: Invalid JSON"},
		{gates(object{"expect": []string{"{"}}), "rollout.gate.expect.0: Invalid JSON"},
		{gates(object{"expect": []string{"1", "2"}}), "rollout.gate.expect: Invalid expect"},
		{gates(object{"tolerance": -1, "expect": []string{"1"}}), "rollout.gate.tolerance: Invalid tolerance"},
		{gates(object{"tolerance": 1}), "rollout.gate.tolerance: Tolerance without expect"},

		{with(valid, with(peered, object{"network": "n"})), "network: Invalid network"},
		{with(with(valid, peered), connected), "network: Network and Private Service Connect"},
		{with(with(valid, peered), object{"dedicated_endpoint_enabled": true}), "network: Network and dedicated endpoint"},
		{with(with(valid, connected), object{"dedicated_endpoint_enabled": true}), "private_service_connect_config: Private Service Connect and dedicated endpoint"},
		{with(valid, object{"network": anyNet}), "rollout: Roll-out of a peered endpoint"},
		{with(with(valid, peered), object{"deployments": object{"a": main, "b": main}, "traffic": object{"a": 100}}), "deployments: Several deployments on a peered endpoint"},
		{with(with(valid, connected), gates(nil)), "rollout.gate: Gate of a private endpoint"},
		{with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": false, "project_allowlist": []string{"p"}}}), "private_service_connect_config.enable_private_service_connect: Private Service Connect is off"},
		{with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"project_id": "P", "network": anyNet}}}}), "private_service_connect_config.psc_automation_configs.0.project_id: Invalid project_id"},
		{with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"project_id": "demo-gcpml", "network": "n"}}}}), "private_service_connect_config.psc_automation_configs.0.network: Invalid network"},
		{with(valid, object{"encryption_spec": object{"kms_key_name": anyKey + "/cryptoKeyVersions/1"}}), "encryption_spec.kms_key_name: Invalid kms_key_name"},
		{with(valid, object{"location": "europe-west4", "encryption_spec": object{"kms_key_name": anyKey}}), "encryption_spec.kms_key_name: Key of another region"},
		{with(valid, object{"predict_request_response_logging_config": object{"enabled": true}}), "predict_request_response_logging_config.sampling_rate: Missing sampling_rate"},
		{with(valid, object{"predict_request_response_logging_config": object{"enabled": true, "sampling_rate": 1.5}}), "predict_request_response_logging_config.sampling_rate: Invalid sampling_rate"},
		{with(valid, object{"predict_request_response_logging_config": object{"enabled": true, "sampling_rate": 1, "bigquery_destination": object{"output_uri": "gs://b"}}}), "predict_request_response_logging_config.bigquery_destination.output_uri: Invalid output_uri"},
		{with(valid, object{"client_connection_config": object{"inference_timeout": "61m"}}), "client_connection_config.inference_timeout: Invalid inference_timeout"},
	}
	seen := map[string]bool{}
	for _, c := range cases {
		want := "ERROR " + c.want
		if seen[want] {
			t.Errorf("two configurations are refused with %q", want)
		}
		seen[want] = true
		if said := diagnosed(t, c.config); len(said) != 1 || said[0] != want {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}
