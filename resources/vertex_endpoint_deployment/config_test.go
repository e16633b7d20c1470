// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

type object = acctest.Object

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
			"b":   object{"model": anyModel, "automatic_resources": object{"min_replica_count": 1, "max_replica_count": 2}, "faster_deployment_config": object{"fast_tryout_enabled": true}},
			"c":   object{"model": anyModel, "shared_resources": anyPool},
		},
		"traffic": object{"a": 60, "b": 20, "c": 10, "tpu": 10}, "rollout": object{"strategy": "blue_green", "steps": []int{50, 100}, "wait": "1s"},
		"private_model_server_enabled":            true,
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
func TestEndpointInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_vertex_endpoint_deployment")
	p.Accepts(t,
		valid, everything, with(valid, peered), with(valid, connected), with(valid, object{"dedicated_endpoint_enabled": true}), with(valid, object{"deployments": object{}}),
		dedicates(object{"spot": true, "reservation_affinity": object{"reservation_affinity_type": "ANY_RESERVATION"}}),
		with(valid, object{"predict_request_response_logging_config": object{"enabled": false}}),
	)
	refused := acctest.Refused
	p.Refuses(t, []acctest.Refusal{
		refused(with(valid, object{"project": "1"}), "project", "Invalid project id"),
		refused(with(valid, object{"location": "US"}), "location", "Invalid location"),
		refused(with(valid, object{"endpoint_id": "Reviews"}), "endpoint_id", "Invalid endpoint id"),
		refused(with(valid, object{"display_name": "日本"}), "endpoint_id", "Missing endpoint id"),
		refused(with(valid, object{"labels": object{"team": nil}}), "labels.team", "Missing label value"),
		refused(with(valid, object{"display_name": ""}), "display_name", "Invalid Attribute Value Length"),
		refused(with(valid, object{"labels": object{"team": "ML"}}), "labels.team", "Invalid label value"),
		refused(with(valid, object{"labels": object{"Team": "ml"}}), "labels.Team", "Invalid label key"),
		refused(with(valid, object{"deletion_policy": "KEEP"}), "deletion_policy", "Invalid Attribute Value Match"),
		refused(with(valid, object{"desired_state": "stopped"}), "desired_state", "Invalid Attribute Value Match"),

		refused(with(valid, object{"deployments": object{"": main}}), "deployments.", "Invalid deployment key"),
		refused(deploys(object{"model": nil}), "deployments.main.model", "Missing model"),
		refused(deploys(object{"model": "bert"}), "deployments.main.model", "Invalid model"),
		refused(deploys(object{"dedicated_resources": nil}), "deployments.main", "Missing resources"),
		refused(deploys(object{"shared_resources": anyPool}), "deployments.main", "Conflicting resources"),
		refused(deploys(object{"dedicated_resources": nil, "shared_resources": "pool"}), "deployments.main.shared_resources", "Invalid shared_resources"),
		refused(deploys(object{"dedicated_resources": nil, "automatic_resources": object{"min_replica_count": 0}}), "deployments.main.automatic_resources.min_replica_count", "Invalid min_replica_count"),
		refused(deploys(object{"dedicated_resources": nil, "automatic_resources": object{"min_replica_count": 2, "max_replica_count": 1}}), "deployments.main.automatic_resources.max_replica_count", "Invalid max_replica_count"),
		refused(deploys(object{"service_account": "runner"}), "deployments.main.service_account", "Invalid service_account"),
		refused(dedicates(object{"machine_type": ""}), "deployments.main.dedicated_resources.machine_type", "Missing machine_type"),
		refused(dedicates(object{"min_replica_count": 0}), "deployments.main.dedicated_resources.min_replica_count", "Invalid min_replica_count"),
		refused(dedicates(object{"min_replica_count": 2, "max_replica_count": 1}), "deployments.main.dedicated_resources.max_replica_count", "Invalid max_replica_count"),
		refused(dedicates(object{"required_replica_count": 0}), "deployments.main.dedicated_resources.required_replica_count", "Invalid required_replica_count"),
		refused(dedicates(object{"required_replica_count": 2}), "deployments.main.dedicated_resources.required_replica_count", "Too many required replicas"),
		refused(dedicates(object{"accelerator_type": "NVIDIA_H9000", "accelerator_count": 1}), "deployments.main.dedicated_resources.accelerator_type", "Invalid accelerator_type"),
		refused(dedicates(object{"accelerator_count": 1}), "deployments.main.dedicated_resources.accelerator_type", "Missing accelerator_type"),
		refused(dedicates(object{"accelerator_type": "NVIDIA_L4"}), "deployments.main.dedicated_resources.accelerator_count", "Missing accelerator_count"),
		refused(dedicates(object{"accelerator_type": "NVIDIA_L4", "accelerator_count": 0}), "deployments.main.dedicated_resources.accelerator_count", "Invalid accelerator_count"),
		refused(dedicates(object{"tpu_topology": "large"}), "deployments.main.dedicated_resources.tpu_topology", "Invalid tpu_topology"),
		refused(dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": ""}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.metric_name", "Missing metric_name"),
		refused(dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": cpu}, {"metric_name": cpu}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.1.metric_name", "Repeated metric_name"),
		refused(dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": duty}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.metric_name", "Metric without accelerators"),
		refused(dedicates(object{"autoscaling_metric_specs": []object{{"metric_name": cpu, "target": 101}}}), "deployments.main.dedicated_resources.autoscaling_metric_specs.0.target", "Invalid target"),
		refused(dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "MINE"}}), "deployments.main.dedicated_resources.reservation_affinity.reservation_affinity_type", "Invalid Attribute Value Match"),
		refused(dedicates(object{"reservation_affinity": with(specific, object{"key": nil})}), "deployments.main.dedicated_resources.reservation_affinity.key", "Missing key of the reservation"),
		refused(dedicates(object{"reservation_affinity": with(specific, object{"values": []string{}})}), "deployments.main.dedicated_resources.reservation_affinity.values", "Missing values of the reservation"),
		refused(dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "ANY_RESERVATION", "key": "k"}}), "deployments.main.dedicated_resources.reservation_affinity.key", "Unused key of a reservation"),
		refused(dedicates(object{"reservation_affinity": object{"reservation_affinity_type": "NO_RESERVATION", "values": []string{"v"}}}), "deployments.main.dedicated_resources.reservation_affinity.values", "Unused values of a reservation"),
		refused(dedicates(object{"spot": true, "reservation_affinity": specific}), "deployments.main.dedicated_resources.spot", "Spot machines of a reservation"),

		refused(with(valid, object{"deployments": object{"a": main, "b": main}}), "traffic", "Missing traffic"),
		refused(with(valid, object{"traffic": object{"main": 99}}), "traffic", "Invalid traffic"),
		refused(with(valid, object{"traffic": object{"main": 101}}), "traffic.main", "Invalid percentage"),
		refused(with(valid, object{"traffic": object{"mian": 100}}), "traffic.mian", "Unknown deployment"),

		refused(with(valid, object{"rollout": object{"strategy": "yolo"}}), "rollout.strategy", "Invalid Attribute Value Match"),
		refused(with(valid, object{"rollout": object{"strategy": "recreate", "steps": []int{100}}}), "rollout.steps", "Steps without blue_green"),
		refused(with(valid, object{"rollout": object{"steps": []int{}}}), "rollout.steps", "Invalid steps"),
		refused(with(valid, object{"rollout": object{"steps": []int{0, 100}}}), "rollout.steps.0", "Invalid step"),
		refused(with(valid, object{"rollout": object{"steps": []int{50, 40, 100}}}), "rollout.steps.1", "Invalid steps"),
		refused(with(valid, object{"rollout": object{"steps": []int{50}}}), "rollout.steps.0", "Invalid steps"),
		refused(with(valid, object{"rollout": object{"wait": "soon"}}), "rollout.wait", "Invalid wait"),
		refused(with(valid, object{"rollout": object{"wait": "4h"}}), "rollout.wait", "Waits longer than the timeout"),
		refused(gates(object{"instances": []string{}}), "rollout.gate.instances", "Invalid instances"),
		refused(gates(object{"instances": []string{"{"}}), "rollout.gate.instances.0", "Invalid JSON"),
		refused(gates(object{"expect": []string{"{"}}), "rollout.gate.expect.0", "Invalid JSON"),
		refused(gates(object{"expect": []string{"1", "2"}}), "rollout.gate.expect", "Invalid expect"),
		refused(gates(object{"tolerance": -1, "expect": []string{"1"}}), "rollout.gate.tolerance", "Invalid tolerance"),
		refused(gates(object{"tolerance": 1}), "rollout.gate.tolerance", "Tolerance without expect"),

		refused(with(valid, with(peered, object{"network": "n"})), "network", "Invalid network"),
		refused(with(with(valid, peered), connected), "network", "Network and Private Service Connect"),
		refused(with(with(valid, peered), object{"dedicated_endpoint_enabled": true}), "network", "Network and dedicated endpoint"),
		refused(with(with(valid, connected), object{"dedicated_endpoint_enabled": true}), "private_service_connect_config", "Private Service Connect and dedicated endpoint"),
		refused(with(valid, object{"network": anyNet}), "rollout", "Roll-out of a peered endpoint"),
		refused(with(with(valid, peered), object{"deployments": object{"a": main, "b": main}, "traffic": object{"a": 100}}), "deployments", "Several deployments on a peered endpoint"),
		refused(with(with(valid, connected), gates(nil)), "rollout.gate", "Gate of a private endpoint"),
		refused(with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": false, "project_allowlist": []string{"p"}}}), "private_service_connect_config.enable_private_service_connect", "Private Service Connect is off"),
		refused(with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"project_id": "P", "network": anyNet}}}}), "private_service_connect_config.psc_automation_configs.0.project_id", "Invalid project_id"),
		refused(with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"project_id": "demo-gcpml", "network": "n"}}}}), "private_service_connect_config.psc_automation_configs.0.network", "Invalid network"),
		refused(with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"network": anyNet}}}}), "private_service_connect_config.psc_automation_configs.0.project_id", "Missing project_id"),
		refused(with(valid, object{"private_service_connect_config": object{"enable_private_service_connect": true, "psc_automation_configs": []object{{"project_id": "demo-gcpml"}}}}), "private_service_connect_config.psc_automation_configs.0.network", "Missing network"),
		refused(with(valid, object{"encryption_spec": object{"kms_key_name": anyKey + "/cryptoKeyVersions/1"}}), "encryption_spec.kms_key_name", "Invalid kms_key_name"),
		refused(with(valid, object{"location": "europe-west4", "encryption_spec": object{"kms_key_name": anyKey}}), "encryption_spec.kms_key_name", "Key of another region"),
		refused(with(valid, object{"predict_request_response_logging_config": object{"enabled": true}}), "predict_request_response_logging_config.sampling_rate", "Missing sampling_rate"),
		refused(with(valid, object{"predict_request_response_logging_config": object{"enabled": true, "sampling_rate": 1.5}}), "predict_request_response_logging_config.sampling_rate", "Invalid sampling_rate"),
		refused(with(valid, object{"predict_request_response_logging_config": object{"enabled": true, "sampling_rate": 1, "bigquery_destination": object{"output_uri": "gs://b"}}}), "predict_request_response_logging_config.bigquery_destination.output_uri", "Invalid output_uri"),
		refused(with(valid, object{"client_connection_config": object{"inference_timeout": "61m"}}), "client_connection_config.inference_timeout", "Invalid inference_timeout"),
	})
}

// Whatever is not known when planning is no error and no crash, at every depth.
func TestEndpointUnknown(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_vertex_endpoint_deployment")
	n := 0
	for _, base := range unknowns {
		n += p.AcceptsUnknown(t, base)
	}
	if n < 120 {
		t.Errorf("only %d parts", n)
	}
}
