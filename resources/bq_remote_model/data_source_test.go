// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// Models of each kind, made by somebody else, are read as they are.
func TestAccRemoteModelDataSource(t *testing.T) {
	t.Parallel()
	twin := start(t)
	const with = " REMOTE WITH CONNECTION `" + acctest.Project + ".us.acc` OPTIONS ("
	text := func(s string) knownvalue.Check { return knownvalue.StringExact(s) }
	null := knownvalue.Null()
	cases := map[string]struct {
		sql  string
		want map[string]knownvalue.Check
	}{
		"custom": {
			"INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)" + with + "ENDPOINT = 'https://us-central1-aiplatform.googleapis.com/v1/" + one + "', KMS_KEY_NAME = '" + keys + "k', labels = [('team', 'a')])",
			map[string]knownvalue.Check{
				"endpoint": text(one), "endpoint_url": text("https://us-central1-aiplatform.googleapis.com/v1/" + one), "remote_service_type": null, "open_model": null,
				"connection_name": text("projects/" + acctest.Project + "/locations/us/connections/acc"), "kms_key_name": text(keys + "k"), "location": text("US"),
				"labels": knownvalue.MapExact(map[string]knownvalue.Check{"team": text("a")}), "expiration_time": null, "max_batching_rows": null,
				"input":  knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{"name": text("text"), "type": text("STRING")})}),
				"output": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{"name": text("scores"), "type": text("ARRAY<FLOAT64>")})}),
			},
		},
		"service": {
			with + "REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1')",
			map[string]knownvalue.Check{"endpoint": null, "endpoint_url": null, "remote_service_type": text("CLOUD_AI_VISION_V1"), "connection_role": text("roles/serviceusage.serviceUsageConsumer"), "input": null, "kms_key_name": null},
		},
		"open": {
			with + "HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it', ENDPOINT_IDLE_TTL = INTERVAL 8 HOUR)",
			map[string]knownvalue.Check{"endpoint": null, "open_model": knownvalue.ObjectPartial(map[string]knownvalue.Check{
				"hugging_face_model_id": text("google/gemma-3-1b-it"), "model_garden_model_name": null, "machine_type": null, "min_replica_count": knownvalue.Int64Exact(1), "endpoint_idle_ttl": text("28800s"), "reservation_affinity": null,
			})},
		},
		"hosted": {
			with + "ENDPOINT = 'https://aiplatform.googleapis.com/v1/projects/" + acctest.Project + "/locations/global/publishers/google/models/gemini-2.5-flash')",
			map[string]knownvalue.Check{"endpoint": text("https://aiplatform.googleapis.com/v1/projects/" + acctest.Project + "/locations/global/publishers/google/models/gemini-2.5-flash"), "output": null},
		},
	}
	config := func(name string) string {
		return twin.Config(connection + "data \"gcpml_bq_remote_model\" \"m\" {\n  dataset_id = \"ds\"\n  model_id = \"" + name + "\"\n}\n")
	}
	steps := []resource.TestStep{{Config: twin.Config(connection)}, {Config: config("none"), ExpectError: regexp.MustCompile(`(?s)there\s+is\s+no\s+such\s+model`)}}
	for name, c := range cases {
		step := resource.TestStep{Config: config(name), PreConfig: func() { twin.SQL(t, "CREATE MODEL ds."+name+" "+c.sql) }}
		for attribute, want := range c.want {
			step.ConfigStateChecks = append(step.ConfigStateChecks, statecheck.ExpectKnownValue("data.gcpml_bq_remote_model.m", tfjsonpath.New(attribute), want))
		}
		steps = append(steps, step)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, Steps: steps})
}
