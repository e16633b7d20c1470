// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	processor  = "projects/" + acctest.Project + "/locations/us/processors/a1b2c3"
	recognizer = "projects/" + acctest.Project + "/locations/us/recognizers/chirp"
	keys       = "projects/" + acctest.Project + "/locations/us/keyRings/ring/cryptoKeys/"
)

// kind is a kind of remote model: what makes it, a change that CREATE OR REPLACE makes,
// and what somebody else could put in its place.
type kind struct {
	arguments, changed map[string]string
	theirs             string // OPTIONS
	role               string
	ignore             []string                               // what an import cannot find
	has, hasChanged    func(m *bigquery.Model, n string) bool // n is the project's number, or id
}

func endpointEnds(suffix string) func(*bigquery.Model, string) bool {
	return func(m *bigquery.Model, _ string) bool { return strings.HasSuffix(m.RemoteModelInfo.Endpoint, suffix) }
}

var kinds = map[string]kind{
	"hosted by name": {
		arguments: map[string]string{"endpoint": `"gemini-2.5-flash"`}, changed: map[string]string{"endpoint": `"gemini-2.5-pro"`},
		theirs: "ENDPOINT = 'gemini-2.0-flash-001'", role: "roles/aiplatform.user", ignore: []string{"endpoint"},
		has: endpointEnds("gemini-2.5-flash"), hasChanged: endpointEnds("gemini-2.5-pro"),
	},
	"hosted by URL": {
		arguments: map[string]string{"endpoint": `"https://us-central1-aiplatform.googleapis.com/v1/projects/` + acctest.Project + `/locations/us-central1/publishers/google/models/text-embedding-005"`},
		changed:   map[string]string{"endpoint": `"https://aiplatform.googleapis.com/v1/projects/` + acctest.Project + `/locations/global/publishers/google/models/text-embedding-005"`},
		theirs:    "ENDPOINT = 'text-multilingual-embedding-002'", role: "roles/aiplatform.user",
		has:        endpointEnds("/locations/us-central1/publishers/google/models/text-embedding-005"),
		hasChanged: endpointEnds("/locations/global/publishers/google/models/text-embedding-005"),
	},
	"partner": {
		arguments: map[string]string{"endpoint": `"openapi/meta/llama-3.3-70b-instruct-maas"`}, changed: map[string]string{"endpoint": `"claude-sonnet-4@20250514"`},
		theirs: "ENDPOINT = 'mistral-small-2503'", role: "roles/aiplatform.user",
		has: endpointEnds("meta/llama-3.3-70b-instruct-maas"), hasChanged: endpointEnds("claude-sonnet-4@20250514"),
	},
	"service": {
		arguments: map[string]string{"remote_service_type": `"CLOUD_AI_TRANSLATE_V3"`}, changed: map[string]string{"remote_service_type": `"CLOUD_AI_VISION_V1"`},
		theirs: "REMOTE_SERVICE_TYPE = 'CLOUD_AI_NATURAL_LANGUAGE_V1'", role: "roles/cloudtranslate.user",
		has: func(m *bigquery.Model, _ string) bool {
			return m.RemoteModelInfo.RemoteServiceType == "CLOUD_AI_TRANSLATE_V3"
		},
		hasChanged: func(m *bigquery.Model, _ string) bool {
			return m.RemoteModelInfo.RemoteServiceType == "CLOUD_AI_VISION_V1"
		},
	},
	"speech": {
		arguments: map[string]string{"remote_service_type": `"CLOUD_AI_SPEECH_TO_TEXT_V2"`, "speech_recognizer": `"` + recognizer + `"`},
		changed:   map[string]string{"remote_service_type": `"CLOUD_AI_SPEECH_TO_TEXT_V2"`}, // the service's own
		theirs:    "REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2', SPEECH_RECOGNIZER = '" + recognizer + "2'", role: "roles/speech.serviceAgent",
		has: func(m *bigquery.Model, _ string) bool { return m.RemoteModelInfo.SpeechRecognizer == recognizer },
		hasChanged: func(m *bigquery.Model, _ string) bool {
			return strings.HasSuffix(m.RemoteModelInfo.SpeechRecognizer, "/locations/global/recognizers/_")
		},
	},
	"open model": {
		arguments: map[string]string{"open_model": `{ hugging_face_model_id = "google/gemma-3-1b-it" }`},
		changed: map[string]string{"open_model": `{
    model_garden_model_name = "publishers/google/models/gemma3@gemma-3-270m-it"
    machine_type            = "g2-standard-12"
    min_replica_count       = 2
    max_replica_count       = 4
    endpoint_idle_ttl       = "8h"
    reservation_affinity = {
      reservation_affinity_type = "SPECIFIC_RESERVATION"
      key                       = "compute.googleapis.com/reservation-name"
      values                    = ["projects/p/zones/us-central1-a/reservations/r"]
    }
  }`},
		theirs: "HUGGING_FACE_MODEL_ID = 'Qwen/Qwen3-0.6B'", role: "roles/aiplatform.user",
		ignore: []string{"open_model.min_replica_count", "open_model.max_replica_count", "open_model.endpoint_idle_ttl"},
		has: func(m *bigquery.Model, _ string) bool {
			return m.TrainingRuns[0].TrainingOptions.HuggingFaceModelId == "google/gemma-3-1b-it"
		},
		hasChanged: func(m *bigquery.Model, _ string) bool {
			o := m.TrainingRuns[0].TrainingOptions
			return o.ModelGardenModelName == "publishers/google/models/gemma3@gemma-3-270m-it" && o.MachineType == "g2-standard-12" && o.MinReplicaCount == 2 && o.MaxReplicaCount == 4 &&
				o.EndpointIdleTtl == "28800s" && o.ReservationAffinityType == "SPECIFIC_RESERVATION" && len(o.ReservationAffinityValues) == 1
		},
	},
}

// model is a configuration with these arguments beside the names.
func modelOf(arguments map[string]string) string {
	return resourceOf(merge(map[string]string{"dataset_id": `"ds"`, "model_id": `"m"`, "connection_name": "gcpml_bq_connection.c.id"}, arguments))
}

// startDataset starts a twin with a dataset.
func startDataset(t *testing.T, flags ...string) *acctest.Twin {
	t.Helper()
	twin := acctest.Start(t, flags...)
	twin.SQL(t, "CREATE SCHEMA ds OPTIONS (location = 'US')")
	return twin
}

// Every kind of model is made, imported, changed in place, put right after somebody else
// replaced it, and made again after somebody dropped it.
func kindLifecycle(t *testing.T, flags ...string) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := startDataset(t, flags...)
			server := func(has func(*bigquery.Model, string) bool) resource.TestCheckFunc {
				return func(*terraform.State) error {
					if m := get(t, twin); !has(m, "") {
						return fmt.Errorf("the server has %+v, %+v", m.RemoteModelInfo, m.TrainingRuns)
					}
					return nil
				}
			}
			hcl, changed := twin.Config(modelOf(k.arguments)), twin.Config(modelOf(k.changed))
			ignore := append(append([]string{}, spellings...), k.ignore...)
			steps := []resource.TestStep{
				{
					Config: hcl, Check: server(k.has),
					ConfigStateChecks: []statecheck.StateCheck{value("connection_role", knownvalue.StringExact(k.role)), value("input", knownvalue.Null())},
				},
				{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: ignore},
				{Config: changed, ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: server(k.hasChanged)},
				{
					PreConfig: func() {
						twin.SQL(t, "CREATE OR REPLACE MODEL ds.m REMOTE WITH CONNECTION `"+acctest.Project+".us.acc` OPTIONS ("+k.theirs+")")
					},
					Config: changed, ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: server(k.hasChanged),
				},
				{PreConfig: func() { twin.SQL(t, "DROP MODEL ds.m") }, Config: changed, ConfigPlanChecks: action(plancheck.ResourceActionCreate), Check: server(k.hasChanged)},
			}
			if len(k.ignore) == 0 || name == "hosted by name" { // what is left out may plan an update
				steps = append(steps[:2:2], append([]resource.TestStep{{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID}}, steps[2:]...)...)
			}
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: destroyed(twin, t), Steps: steps})
		})
	}
}

func TestAccRemoteModelKinds(t *testing.T) {
	t.Parallel()
	kindLifecycle(t)
}

func TestAccRemoteModelKindsOtherwise(t *testing.T) {
	t.Parallel()
	kindLifecycle(t, "--assume", "project-in-names=id", "--assume", "multi-region-case=upper", "--assume", "hosted-endpoint-echo=as-given",
		"--assume", "permission-checked-at=predict", "--assume", "replace-keeps-labels=yes")
}

// From one kind to another is an update in place, and a model of each kind can become one
// of any other.
func TestAccRemoteModelChangesKind(t *testing.T) {
	t.Parallel()
	twin := start(t)
	custom := render(map[string]string{"description": `"kept"`})
	described := func(k string) string {
		return modelOf(merge(kinds[k].arguments, map[string]string{"description": `"kept"`}))
	}
	kept := func(*terraform.State) error {
		if m := get(t, twin); m.Description != "kept" {
			return fmt.Errorf("the description is %q", m.Description)
		}
		return nil
	}
	var steps []resource.TestStep
	for i, hcl := range []string{custom, described("hosted by name"), described("service"), described("open model"), custom, described("open model"), described("speech"), described("partner"), custom} {
		step := resource.TestStep{Config: twin.Config(hcl), Check: kept}
		if i > 0 {
			step.ConfigPlanChecks = action(plancheck.ResourceActionUpdate)
		}
		steps = append(steps, step)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Factories, CheckDestroy: destroyed(twin, t), Steps: steps})
}

// The server does not tell the processor, and perhaps not the service: a change is made
// all the same, and what was configured stays.
func TestAccRemoteModelDocument(t *testing.T) {
	t.Parallel()
	for _, echo := range []string{"yes", "no"} {
		t.Run(echo, func(t *testing.T) {
			t.Parallel()
			twin := startDataset(t, "--assume", "document-service-echo="+echo)
			hcl := func(processor string) string {
				return twin.Config(modelOf(map[string]string{"remote_service_type": `"CLOUD_AI_DOCUMENT_V1"`, "document_processor": `"` + processor + `"`}))
			}
			created := int64(0)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps: []resource.TestStep{
					{
						Config:            hcl(processor),
						ConfigStateChecks: []statecheck.StateCheck{value("connection_role", knownvalue.StringExact("roles/documentai.apiUser"))},
						Check:             func(*terraform.State) error { created = get(t, twin).CreationTime; return nil },
					},
					{ResourceName: address, ImportState: true, ImportStateVerify: echo == "yes", ImportStateVerifyIgnore: append([]string{"document_processor"}, spellings...)},
					{
						Config: hcl("d4e5f6"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
						ConfigStateChecks: []statecheck.StateCheck{value("document_processor", knownvalue.StringExact("d4e5f6"))},
						Check: func(*terraform.State) error {
							if get(t, twin).CreationTime == created {
								return fmt.Errorf("the model was not replaced")
							}
							return nil
						},
					},
				},
			})
		})
	}
}

// What can be altered deploys nothing anew; a token is sent with the DDL and kept nowhere
// in the state.
func TestAccRemoteModelOpenModel(t *testing.T) {
	t.Parallel()
	twin := startDataset(t)
	open := func(more string) string {
		return twin.Config(modelOf(map[string]string{"open_model": "{\n    hugging_face_model_id = \"google/gemma-3-1b-it\"\n    " + more + "\n  }"}))
	}
	statements := func() (all []string) {
		bq, err := twin.Clients(t).BigQuery(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := bq.Jobs.List(acctest.Project).Projection("full").Do()
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs.Jobs {
			all = append(all, j.Configuration.Query.Query)
		}
		return all
	}
	var created int64
	untouched := func(ttl string, statement string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			m := get(t, twin)
			if m.CreationTime != created || m.TrainingRuns[0].TrainingOptions.EndpointIdleTtl != ttl {
				return fmt.Errorf("the server has %+v", m)
			}
			if newest := statements()[0]; !strings.Contains(newest, statement) {
				return fmt.Errorf("the last statement was %s, want %s", newest, statement)
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy: func(state *terraform.State) error {
			// Documented to delete also what BigQuery deployed.
			if newest := statements()[0]; !strings.Contains(newest, "DROP MODEL") {
				return fmt.Errorf("the last statement was %s", newest)
			}
			return destroyed(twin, t)(state)
		},
		Steps: []resource.TestStep{
			{
				Config: open(`endpoint_idle_ttl = "8h"`),
				Check:  func(*terraform.State) error { created = get(t, twin).CreationTime; return nil },
			},
			{Config: open(`endpoint_idle_ttl = "480m"`), PlanOnly: true},
			{Config: open(`endpoint_idle_ttl = "9h"`), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: untouched("32400s", "ENDPOINT_IDLE_TTL = INTERVAL 540 MINUTE")},
			{Config: open("endpoint_idle_ttl = \"9h\"\n    deploy_model = false"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: untouched("32400s", "DEPLOY_MODEL = FALSE")},
			{Config: open("endpoint_idle_ttl = \"9h\"\n    deploy_model = true"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: untouched("32400s", "DEPLOY_MODEL = TRUE")},
			{
				Config:           open("hugging_face_token_wo = \"hf_secret_1\"\n    hugging_face_token_wo_version = \"1\""),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check: func(s *terraform.State) error {
					if !strings.Contains(statements()[0], "HUGGING_FACE_TOKEN = 'hf_secret_1'") {
						return fmt.Errorf("the token was not sent: %s", statements()[0])
					}
					if strings.Contains(s.String(), "hf_secret_1") {
						return fmt.Errorf("the token is in the state")
					}
					return nil
				},
			},
			{Config: open("hugging_face_token_wo = \"hf_secret_2\"\n    hugging_face_token_wo_version = \"1\""), PlanOnly: true},
			{
				Config:           open("hugging_face_token_wo = \"hf_secret_2\"\n    hugging_face_token_wo_version = \"2\""),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				Check: func(*terraform.State) error {
					if !strings.Contains(statements()[0], "HUGGING_FACE_TOKEN = 'hf_secret_2'") {
						return fmt.Errorf("the new token was not sent")
					}
					return nil
				},
			},
		},
	})
}

// BigQuery's own connection: made, granted the role and left behind by BigQuery.
func TestAccRemoteModelDefaultConnection(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"at once": nil, "with a lag": {"--iam-lag", "3s", "--assume", "multi-region-case=upper"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := startDataset(t, flags...)
			hcl := func(connection string) string {
				return twin.Config(modelOf(map[string]string{"connection_name": connection, "endpoint": `"gemini-2.5-flash"`}))
			}
			uses := func(id string) resource.TestCheckFunc {
				return func(*terraform.State) error {
					if got := get(t, twin).RemoteModelInfo.Connection; !strings.HasSuffix(got, "/connections/"+id) {
						return fmt.Errorf("the model uses %s", got)
					}
					return nil
				}
			}
			const theirs = "__default_cloudresource_connection__"
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy: func(*terraform.State) error {
					if inventory := twin.Inventory(t); len(inventory["remote_models"]) > 0 || len(inventory["connections"]) != 1 {
						return fmt.Errorf("left: %s", inventory)
					}
					return nil
				},
				Steps: []resource.TestStep{
					{
						Config: hcl(`"DEFAULT"`), Check: uses(theirs),
						ConfigStateChecks: []statecheck.StateCheck{
							value("connection_name", knownvalue.StringExact("DEFAULT")),
							value("effective_connection_name", knownvalue.StringRegexp(regexp.MustCompile("^projects/"+acctest.Project+"/locations/(us|US)/connections/"+theirs+"$"))),
						},
					},
					{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
					{Config: hcl("gcpml_bq_connection.c.id"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: uses("acc")},
					{Config: hcl(`"DEFAULT"`), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: uses(theirs)},
					{ // somebody takes another connection
						PreConfig: func() {
							twin.SQL(t, "CREATE OR REPLACE MODEL ds.m REMOTE WITH CONNECTION `"+acctest.Project+".us.acc` OPTIONS (ENDPOINT = 'gemini-2.5-flash')")
						},
						Config: hcl(`"DEFAULT"`), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: uses(theirs),
					},
				},
			})
		})
	}
}

// A key is set with the DDL, exchanged by a patch, and added by a replacement.
func TestAccRemoteModelKey(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"no", "yes"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			twin := startDataset(t, "--assume", "kms-key-version-in-model="+version)
			hcl := func(key string) string {
				arguments := map[string]string{"endpoint": `"gemini-2.5-flash"`}
				if key != "" {
					arguments["kms_key_name"] = `"` + keys + key + `"`
				}
				return twin.Config(modelOf(arguments))
			}
			var created int64
			encrypted := func(key string, replaced bool) resource.TestCheckFunc {
				return func(*terraform.State) error {
					m := get(t, twin)
					was := created
					created = m.CreationTime
					if m.EncryptionConfiguration == nil || !strings.HasPrefix(m.EncryptionConfiguration.KmsKeyName, keys+key) || (m.CreationTime != was) != replaced {
						return fmt.Errorf("the server has %+v, %+v", m, m.EncryptionConfiguration)
					}
					return nil
				}
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps: []resource.TestStep{
					{Config: hcl(""), ConfigStateChecks: []statecheck.StateCheck{value("kms_key_name", knownvalue.Null())}},
					{Config: hcl("one"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: encrypted("one", true)},
					{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
					{Config: hcl("two"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: encrypted("two", false)},
					{Config: hcl(""), PlanOnly: true}, // left out: whatever it is
				},
			})
		})
	}
}

// Which role is missing is said for the kind.
func TestAccRemoteModelNamesTheRole(t *testing.T) {
	t.Parallel()
	twin := startDataset(t, "--assume", "permission-checked-at=create")
	hcl := strings.Replace(modelOf(map[string]string{"endpoint": `"gemini-2.5-flash"`}), connection, strings.ReplaceAll(connection, `["roles/aiplatform.user"]`, `[]`), 1)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps:                    []resource.TestStep{{Config: twin.Config(hcl), ExpectError: regexp.MustCompile(`(?s)grant\s+it\s+roles/aiplatform.user`)}},
	})
}

// In another universe the model calls that universe's host, and nothing differs after it.
func TestAccRemoteModelUniverse(t *testing.T) {
	t.Parallel()
	twin := start(t)
	hcl := twin.Config(render(nil), `universe_domain = "cloud.example"`)
	const url = "https://us-central1-aiplatform.cloud.example/v1/" + one
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: hcl, ConfigStateChecks: []statecheck.StateCheck{value("endpoint_url", knownvalue.StringExact(url))}, Check: func(*terraform.State) error {
				bq, err := twin.Clients(t).BigQuery(t.Context())
				if err != nil {
					return err
				}
				m, err := bq.Models.Get(acctest.Project, "ds", "m").Do()
				if err == nil && m.RemoteModelInfo.Endpoint != url {
					err = fmt.Errorf("the model calls %s, want %s", m.RemoteModelInfo.Endpoint, url)
				}
				return err
			}},
			{Config: hcl, PlanOnly: true},
		},
	})
}
