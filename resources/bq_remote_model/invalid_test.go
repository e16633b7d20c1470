// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"maps"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

type object = acctest.Object

var base = object{
	"dataset_id": "ds", "model_id": "m", "connection_name": "projects/" + acctest.Project + "/locations/us-central1/connections/acc", "endpoint": one,
	"input": []any{object{"name": "text", "type": "STRING"}}, "output": []any{object{"name": "scores", "type": "ARRAY<FLOAT64>"}},
}

var invalids = []acctest.Refusal{
	acctest.Refused(with(base, object{"project": "123456789012"}), "project", "Invalid project id"),
	acctest.Refused(with(base, object{"dataset_id": "my-dataset"}), "dataset_id", "Invalid id"),
	acctest.Refused(with(base, object{"model_id": "m`; DROP MODEL x; --"}), "model_id", "Invalid id"),
	acctest.Refused(with(base, object{"connection_name": "acc"}), "connection_name", "Invalid resource name"),
	acctest.Refused(with(base, object{"endpoint": "1234"}), "endpoint", "Invalid resource name"),
	acctest.Refused(with(base, object{"endpoint": europe}), "endpoint", "Regions that cannot work together"),
	acctest.Refused(with(base, object{"endpoint": "https://us-central1-aiplatform.cloud.example/v1/" + one}), "endpoint", "Endpoint of another universe"),
	acctest.Refused(with(base, object{"endpoint": nil, "input": nil, "output": nil}), "endpoint", "Nothing to call"),
	acctest.Refused(with(base, object{"remote_service_type": "CLOUD_AI_VISION_V1"}), "remote_service_type", "More than one thing to call"),
	acctest.Refused(with(base, object{"open_model": object{"hugging_face_model_id": "google/gemma-3-1b-it"}}), "open_model", "More than one thing to call"),
	acctest.Refused(with(base, object{"output": nil}), "output", "Missing output"),
	acctest.Refused(with(base, object{"input": nil}), "input", "Missing input"),
	acctest.Refused(with(base, object{"output": []any{}}), "output", "Invalid Attribute Value"),
	acctest.Refused(with(base, object{"input": []any{}}), "input", "Invalid Attribute Value"),
	acctest.Refused(with(base, object{"input": []any{object{"type": "INT64"}}}), "input.0.name", "Missing name"),
	acctest.Refused(with(base, object{"input": []any{object{"name": "x"}}}), "input.0.type", "Missing type"),
	acctest.Refused(with(base, object{"output": []any{object{"type": "INT64"}}}), "output.0.name", "Missing name"),
	acctest.Refused(with(base, object{"output": []any{object{"name": "x"}}}), "output.0.type", "Missing type"),
	acctest.Refused(with(base, object{"input": []any{object{"name": "x", "type": "BYTES"}}}), "input.0.type", "Invalid column type"),
	acctest.Refused(with(base, object{"output": []any{object{"name": "x", "type": "ARRAY<ARRAY<INT64>>"}}}), "output.0.type", "Invalid column type"),
	acctest.Refused(with(base, object{"input": []any{object{"name": "x` INT64) --", "type": "INT64"}}}), "input.0.name", "Invalid column name"),
	acctest.Refused(with(base, object{"output": []any{object{"name": "Remote_Model_Status", "type": "STRING"}}}), "output.0.name", "Invalid column name"),
	acctest.Refused(with(base, object{"input": []any{object{"name": "x", "type": "INT64"}, object{"name": "X", "type": "INT64"}}}), "input.1.name", "Duplicate column name"),
	acctest.Refused(with(base, object{"endpoint": "gemini-2.5-flash"}), "input", "Input of a model that has none"),
	acctest.Refused(with(base, service(object{"endpoint": "gemini-2.5-flash", "remote_service_type": nil, "probe": object{"query": "SELECT 1"}})), "probe", "Probe of a model that cannot be probed"),
	acctest.Refused(with(base, service(object{"remote_service_type": "CLOUD_AI_LARGE_LANGUAGE_MODEL_V1"})), "remote_service_type", "Invalid Attribute Value Match"),
	acctest.Refused(with(base, service(object{"remote_service_type": "CLOUD_AI_DOCUMENT_V1"})), "document_processor", "Missing document processor"),
	acctest.Refused(with(base, service(object{"remote_service_type": "CLOUD_AI_DOCUMENT_V1", "document_processor": "my processor"})), "document_processor", "Invalid document processor"),
	acctest.Refused(with(base, service(object{"document_processor": "a1"})), "document_processor", "Document processor without its service"),
	acctest.Refused(with(base, service(object{"remote_service_type": "CLOUD_AI_SPEECH_TO_TEXT_V2", "speech_recognizer": "r"})), "speech_recognizer", "Invalid speech recognizer"),
	acctest.Refused(with(base, service(object{"speech_recognizer": recognizer})), "speech_recognizer", "Speech recognizer without its service"),
	acctest.Refused(with(base, open(object{"hugging_face_model_id": nil})), "open_model", "No open model"),
	acctest.Refused(with(base, open(object{"model_garden_model_name": "publishers/p/models/m@1"})), "open_model.model_garden_model_name", "Two open models"),
	acctest.Refused(with(base, open(object{"hugging_face_model_id": "gemma"})), "open_model.hugging_face_model_id", "Invalid Hugging Face model"),
	acctest.Refused(with(base, open(object{"hugging_face_model_id": nil, "model_garden_model_name": "gemma"})), "open_model.model_garden_model_name", "Invalid Model Garden model"),
	acctest.Refused(with(base, open(object{"hugging_face_model_id": nil, "model_garden_model_name": "publishers/p/models/m@1", "hugging_face_token_wo": "hf"})), "open_model.hugging_face_token_wo", "Token without a Hugging Face model"),
	acctest.Refused(with(base, open(object{"hugging_face_token_wo": ""})), "open_model.hugging_face_token_wo", "Invalid Attribute Value Length"),
	acctest.Refused(with(base, open(object{"machine_type": "large"})), "open_model.machine_type", "Invalid machine type"),
	acctest.Refused(with(base, open(object{"min_replica_count": 0})), "open_model.min_replica_count", "Invalid Attribute Value"),
	acctest.Refused(with(base, open(object{"max_replica_count": 4097})), "open_model.max_replica_count", "Invalid Attribute Value"),
	acctest.Refused(with(base, open(object{"min_replica_count": 3, "max_replica_count": 2})), "open_model.max_replica_count", "Fewer replicas at most than at least"),
	acctest.Refused(with(base, open(object{"endpoint_idle_ttl": "6h"})), "open_model.endpoint_idle_ttl", "Invalid idle time"),
	acctest.Refused(with(base, open(object{"reservation_affinity": object{"reservation_affinity_type": "SOME"}})), "open_model.reservation_affinity.reservation_affinity_type", "Invalid Attribute Value Match"),
	acctest.Refused(with(base, reserved(object{"key": nil})), "open_model.reservation_affinity.key", "Missing reservation key"),
	acctest.Refused(with(base, reserved(object{"key": "name"})), "open_model.reservation_affinity.key", "Invalid Attribute Value Match"),
	acctest.Refused(with(base, reserved(object{"values": nil})), "open_model.reservation_affinity.values", "Missing reservations"),
	acctest.Refused(with(base, reserved(object{"values": []any{"r"}})), "open_model.reservation_affinity.values.0", "Invalid reservation"),
	acctest.Refused(with(base, reserved(object{"reservation_affinity_type": "ANY_RESERVATION", "values": nil})), "open_model.reservation_affinity.key", "Key without a specific reservation"),
	acctest.Refused(with(base, reserved(object{"reservation_affinity_type": "ANY_RESERVATION", "key": nil})), "open_model.reservation_affinity.values", "Reservations without a specific reservation"),
	acctest.Refused(with(base, object{"probe": object{}}), "probe", "Empty probe"),
	acctest.Refused(with(base, object{"probe": object{"query": " "}}), "probe.query", "Empty query"),
	acctest.Refused(with(base, object{"probe": object{"query": "SELECT 1", "rows": []any{"{}"}}}), "probe.rows", "Probe with a query and rows"),
	acctest.Refused(with(base, object{"probe": object{"rows": []any{"{}", "text"}}}), "probe.rows.1", "Invalid row"),
	acctest.Refused(with(base, object{"probe": object{"rows": []any{}}}), "probe.rows", "Invalid Attribute Value"),
	acctest.Refused(with(base, object{"kms_key_name": "projects/p/keys/k"}), "kms_key_name", "Invalid KMS key"),
	acctest.Refused(with(base, object{"expiration_time": "tomorrow"}), "expiration_time", "Invalid time"),
	acctest.Refused(with(base, object{"iam_propagation_timeout": "10"}), "iam_propagation_timeout", "Invalid duration"),
	acctest.Refused(with(base, object{"labels": object{"gcpml-owner": "me"}}), "labels.gcpml-owner", "Invalid label key"),
	acctest.Refused(with(base, object{"labels": object{"team": "ML"}}), "labels.team", "Invalid label value"),
	acctest.Refused(with(base, object{"labels": object{"team": nil}}), "labels.team", "Missing label value"),
	acctest.Refused(with(base, object{"deletion_policy": "KEEP"}), "deletion_policy", "Invalid Attribute Value Match"),
}

// service is a model over a service, open over an open model, reserved over one with a
// reservation, each with changes.
func service(changes object) object {
	return with(object{"endpoint": nil, "input": nil, "output": nil, "remote_service_type": "CLOUD_AI_VISION_V1"}, changes)
}

func open(changes object) object {
	return object{"endpoint": nil, "input": nil, "output": nil, "open_model": with(object{"hugging_face_model_id": "google/gemma-3-1b-it"}, changes)}
}

func reserved(changes object) object {
	return open(object{"reservation_affinity": with(object{
		"reservation_affinity_type": "SPECIFIC_RESERVATION", "key": "compute.googleapis.com/reservation-name", "values": []any{"projects/p/zones/z/reservations/r"},
	}, changes)})
}

// with merges; nil removes.
func with(a, changes object) object {
	out := maps.Clone(a)
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// Each is refused before any call, on its attribute, and no two alike.
func TestRemoteModelInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_bq_remote_model")
	p.Accepts(t, base, with(base, service(nil)), with(base, open(nil)), with(base, reserved(nil)), with(base, object{"connection_name": "DEFAULT"}), with(base, object{"input": nil, "output": nil}))
	p.Refuses(t, invalids)
}

// Whatever is not known when planning is no error and no crash, at every depth.
func TestRemoteModelUnknown(t *testing.T) {
	p := acctest.NewPlanner(t, "gcpml_bq_remote_model")
	whole := with(base, object{
		"project": acctest.Project, "description": "text", "labels": object{"team": "a"}, "deletion_policy": "DELETE", "expiration_time": "2099-01-01T00:00:00Z",
		"iam_propagation_timeout": "1m", "kms_key_name": keys + "k", "probe": object{"rows": []any{`{"text":"fine"}`}},
	})
	wholeOpen := open(object{
		"hugging_face_token_wo": "hf", "hugging_face_token_wo_version": "1", "machine_type": "g2-standard-12", "min_replica_count": 1, "max_replica_count": 2, "endpoint_idle_ttl": "8h", "deploy_model": true,
		"reservation_affinity": object{"reservation_affinity_type": "SPECIFIC_RESERVATION", "key": "compute.googleapis.com/reservation-name", "values": []any{"projects/p/zones/z/reservations/r"}},
	})
	n := 0
	for _, full := range []object{
		whole, with(whole, object{"probe": object{"query": "SELECT 'a' AS text"}}), with(base, object{"endpoint": "gemini-2.5-flash", "input": nil, "output": nil}),
		with(base, service(object{"remote_service_type": "CLOUD_AI_DOCUMENT_V1", "document_processor": "a1"})),
		with(base, service(object{"remote_service_type": "CLOUD_AI_SPEECH_TO_TEXT_V2", "speech_recognizer": recognizer})),
		with(base, wholeOpen), with(base, open(object{"hugging_face_model_id": nil, "model_garden_model_name": "publishers/p/models/m@1"})),
	} {
		n += p.AcceptsUnknown(t, full)
	}
	if n < 60 {
		t.Errorf("only %d parts", n)
	}
}
