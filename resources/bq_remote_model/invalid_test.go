// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// invalid is a configuration that must be refused, and where and how. An attribute that
// is nil is left out.
type invalid struct {
	changes       map[string]any
	path, summary string
}

type object = map[string]any

var invalids = []invalid{
	{object{"project": "123456789012"}, `AttributeName("project")`, "Invalid project id"},
	{object{"dataset_id": "my-dataset"}, `AttributeName("dataset_id")`, "Invalid id"},
	{object{"model_id": "m`; DROP MODEL x; --"}, `AttributeName("model_id")`, "Invalid id"},
	{object{"connection_name": "acc"}, `AttributeName("connection_name")`, "Invalid resource name"},
	{object{"endpoint": "1234"}, `AttributeName("endpoint")`, "Invalid resource name"},
	{object{"endpoint": europe}, `AttributeName("endpoint")`, "Regions that cannot work together"},
	{object{"endpoint": nil, "input": nil, "output": nil}, `AttributeName("endpoint")`, "Nothing to call"},
	{object{"remote_service_type": "CLOUD_AI_VISION_V1"}, `AttributeName("remote_service_type")`, "More than one thing to call"},
	{object{"open_model": object{"hugging_face_model_id": "google/gemma-3-1b-it"}}, `AttributeName("open_model")`, "More than one thing to call"},
	{object{"output": nil}, `AttributeName("output")`, "Missing output"},
	{object{"input": nil}, `AttributeName("input")`, "Missing input"},
	{object{"output": []any{}}, `AttributeName("output")`, "Invalid Attribute Value"},
	{object{"input": []any{}}, `AttributeName("input")`, "Invalid Attribute Value"},
	{object{"input": []any{object{"name": "x", "type": "BYTES"}}}, `AttributeName("input").ElementKeyInt(0).AttributeName("type")`, "Invalid column type"},
	{object{"output": []any{object{"name": "x", "type": "ARRAY<ARRAY<INT64>>"}}}, `AttributeName("output").ElementKeyInt(0).AttributeName("type")`, "Invalid column type"},
	{object{"input": []any{object{"name": "x` INT64) --", "type": "INT64"}}}, `AttributeName("input").ElementKeyInt(0).AttributeName("name")`, "Invalid column name"},
	{object{"output": []any{object{"name": "Remote_Model_Status", "type": "STRING"}}}, `AttributeName("output").ElementKeyInt(0).AttributeName("name")`, "Invalid column name"},
	{object{"input": []any{object{"name": "x", "type": "INT64"}, object{"name": "X", "type": "INT64"}}}, `AttributeName("input").ElementKeyInt(1).AttributeName("name")`, "Duplicate column name"},
	{object{"endpoint": "gemini-2.5-flash"}, `AttributeName("input")`, "Input of a model that has none"},
	{service(object{"endpoint": "gemini-2.5-flash", "remote_service_type": nil, "probe": object{"query": "SELECT 1"}}), `AttributeName("probe")`, "Probe of a model that cannot be probed"},
	{service(object{"remote_service_type": "CLOUD_AI_LARGE_LANGUAGE_MODEL_V1"}), `AttributeName("remote_service_type")`, "Invalid Attribute Value Match"},
	{service(object{"remote_service_type": "CLOUD_AI_DOCUMENT_V1"}), `AttributeName("document_processor")`, "Missing document processor"},
	{service(object{"remote_service_type": "CLOUD_AI_DOCUMENT_V1", "document_processor": "my processor"}), `AttributeName("document_processor")`, "Invalid document processor"},
	{service(object{"document_processor": "a1"}), `AttributeName("document_processor")`, "Document processor without its service"},
	{service(object{"remote_service_type": "CLOUD_AI_SPEECH_TO_TEXT_V2", "speech_recognizer": "r"}), `AttributeName("speech_recognizer")`, "Invalid speech recognizer"},
	{service(object{"speech_recognizer": recognizer}), `AttributeName("speech_recognizer")`, "Speech recognizer without its service"},
	{open(object{"hugging_face_model_id": nil}), `AttributeName("open_model")`, "No open model"},
	{open(object{"model_garden_model_name": "publishers/p/models/m@1"}), `AttributeName("open_model").AttributeName("model_garden_model_name")`, "Two open models"},
	{open(object{"hugging_face_model_id": "gemma"}), `AttributeName("open_model").AttributeName("hugging_face_model_id")`, "Invalid Hugging Face model"},
	{open(object{"hugging_face_model_id": nil, "model_garden_model_name": "gemma"}), `AttributeName("open_model").AttributeName("model_garden_model_name")`, "Invalid Model Garden model"},
	{open(object{"hugging_face_model_id": nil, "model_garden_model_name": "publishers/p/models/m@1", "hugging_face_token_wo": "hf"}), `AttributeName("open_model").AttributeName("hugging_face_token_wo")`, "Token without a Hugging Face model"},
	{open(object{"hugging_face_token_wo": ""}), `AttributeName("open_model").AttributeName("hugging_face_token_wo")`, "Invalid Attribute Value Length"},
	{open(object{"machine_type": "large"}), `AttributeName("open_model").AttributeName("machine_type")`, "Invalid machine type"},
	{open(object{"min_replica_count": 0}), `AttributeName("open_model").AttributeName("min_replica_count")`, "Invalid Attribute Value"},
	{open(object{"max_replica_count": 4097}), `AttributeName("open_model").AttributeName("max_replica_count")`, "Invalid Attribute Value"},
	{open(object{"min_replica_count": 3, "max_replica_count": 2}), `AttributeName("open_model").AttributeName("max_replica_count")`, "Fewer replicas at most than at least"},
	{open(object{"endpoint_idle_ttl": "6h"}), `AttributeName("open_model").AttributeName("endpoint_idle_ttl")`, "Invalid idle time"},
	{open(object{"reservation_affinity": object{"reservation_affinity_type": "SOME"}}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("reservation_affinity_type")`, "Invalid Attribute Value Match"},
	{reserved(object{"key": nil}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("key")`, "Missing reservation key"},
	{reserved(object{"key": "name"}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("key")`, "Invalid Attribute Value Match"},
	{reserved(object{"values": nil}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("values")`, "Missing reservations"},
	{reserved(object{"values": []any{"r"}}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("values").ElementKeyInt(0)`, "Invalid reservation"},
	{reserved(object{"reservation_affinity_type": "ANY_RESERVATION", "values": nil}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("key")`, "Key without a specific reservation"},
	{reserved(object{"reservation_affinity_type": "ANY_RESERVATION", "key": nil}), `AttributeName("open_model").AttributeName("reservation_affinity").AttributeName("values")`, "Reservations without a specific reservation"},
	{object{"probe": object{}}, `AttributeName("probe")`, "Empty probe"},
	{object{"probe": object{"query": " "}}, `AttributeName("probe").AttributeName("query")`, "Empty query"},
	{object{"probe": object{"query": "SELECT 1", "rows": []any{"{}"}}}, `AttributeName("probe").AttributeName("rows")`, "Probe with a query and rows"},
	{object{"probe": object{"rows": []any{"{}", "text"}}}, `AttributeName("probe").AttributeName("rows").ElementKeyInt(1)`, "Invalid row"},
	{object{"probe": object{"rows": []any{}}}, `AttributeName("probe").AttributeName("rows")`, "Invalid Attribute Value"},
	{object{"kms_key_name": "projects/p/keys/k"}, `AttributeName("kms_key_name")`, "Invalid KMS key"},
	{object{"expiration_time": "tomorrow"}, `AttributeName("expiration_time")`, "Invalid time"},
	{object{"iam_propagation_timeout": "10"}, `AttributeName("iam_propagation_timeout")`, "Invalid duration"},
	{object{"labels": object{"gcpml-owner": "me"}}, `AttributeName("labels").ElementKeyString("gcpml-owner")`, "Invalid label key"},
	{object{"deletion_policy": "KEEP"}, `AttributeName("deletion_policy")`, "Invalid Attribute Value Match"},
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

// Each is refused before there is a provider configuration that could call anything, on
// its attribute, and no two alike.
func TestInvalidConfigurations(t *testing.T) {
	server, err := acctest.Factories["gcpml"]()
	if err != nil {
		t.Fatal(err)
	}
	validate := func(config object) []*tfprotov6.Diagnostic {
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
			TypeName: "gcpml_bq_remote_model", Config: &tfprotov6.DynamicValue{JSON: text},
			ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		var errors []*tfprotov6.Diagnostic
		for _, d := range resp.Diagnostics {
			if d.Severity == tfprotov6.DiagnosticSeverityError {
				errors = append(errors, d)
			}
		}
		return errors
	}
	valid := object{
		"dataset_id": "ds", "model_id": "m", "connection_name": "projects/" + acctest.Project + "/locations/us-central1/connections/acc", "endpoint": one,
		"input": []any{object{"name": "text", "type": "STRING"}}, "output": []any{object{"name": "scores", "type": "ARRAY<FLOAT64>"}},
	}
	for _, good := range []object{valid, with(valid, service(nil)), with(valid, open(nil)), with(valid, reserved(nil)), with(valid, object{"connection_name": "DEFAULT"}), with(valid, object{"input": nil, "output": nil})} {
		if d := validate(good); len(d) > 0 {
			t.Errorf("%v: %s %s: %s", good, d[0].Attribute, d[0].Summary, d[0].Detail)
		}
	}
	seen := map[string]bool{}
	for _, c := range invalids {
		key := c.path + " " + c.summary
		if seen[key] {
			t.Errorf("twice: %s", key)
		}
		seen[key] = true
		found := false
		var all []string
		for _, d := range validate(with(valid, c.changes)) {
			all = append(all, fmt.Sprintf("%s %s", d.Attribute, d.Summary))
			found = found || d.Attribute.String() == c.path && d.Summary == c.summary
		}
		if !found {
			t.Errorf("%v: %q, want %s %s", c.changes, all, c.path, c.summary)
		}
	}
}
