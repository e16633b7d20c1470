// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	bq "google.golang.org/api/bigquery/v2"
)

// The examples of Google's pages on CREATE MODEL for remote models, and what their REST
// reference says models.get shows of them.
func TestRemoteModelKinds(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	const key = "projects/kp/locations/us/keyRings/r/cryptoKeys/k"
	for options, want := range map[string]string{
		"ENDPOINT = 'gemini-2.5-flash'":                          `{"remoteModelInfo": {"endpoint": "https://us-central1-aiplatform.googleapis.com/v1/projects/NUMBER/locations/us-central1/publishers/google/models/gemini-2.5-flash"}}`,
		"ENDPOINT = 'text-embedding-005'":                        `{"remoteModelInfo": {"endpoint": "https://us-central1-aiplatform.googleapis.com/v1/projects/NUMBER/locations/us-central1/publishers/google/models/text-embedding-005"}}`,
		"ENDPOINT = 'mistral-small-2503'":                        `{"remoteModelInfo": {"endpoint": "https://us-central1-aiplatform.googleapis.com/v1/projects/NUMBER/locations/us-central1/publishers/mistralai/models/mistral-small-2503"}}`,
		"ENDPOINT = 'openapi/meta/llama-3.1-405b-instruct-maas'": `{"remoteModelInfo": {"endpoint": "openapi/meta/llama-3.1-405b-instruct-maas"}}`,
		"ENDPOINT = 'https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/publishers/google/models/gemini-2.5-flash'": `{"remoteModelInfo": {"endpoint": "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/publishers/google/models/gemini-2.5-flash"}}`,
		"ENDPOINT = '" + modelURL + "'":                                                                                   `{"remoteModelInfo": {"endpoint": "` + modelURL + `"}}`, // an open model that was deployed by hand
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_TRANSLATE_V3'":                                                                   `{"remoteModelInfo": {"remoteServiceType": "CLOUD_AI_TRANSLATE_V3"}}`,
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'a1b2'":                                       `{"remoteModelInfo": {"remoteServiceType": "CLOUD_AI_DOCUMENT_V1"}}`,
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2'":                                                              `{"remoteModelInfo": {"remoteServiceType": "CLOUD_AI_SPEECH_TO_TEXT_V2", "speechRecognizer": "projects/my-project/locations/global/recognizers/_"}}`,
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2', SPEECH_RECOGNIZER = 'projects/p/locations/us/recognizers/r'": `{"remoteModelInfo": {"remoteServiceType": "CLOUD_AI_SPEECH_TO_TEXT_V2", "speechRecognizer": "projects/p/locations/us/recognizers/r"}}`,
		"HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it'":                                                                  `{"trainingRuns": [{"trainingOptions": {"huggingFaceModelId": "google/gemma-3-1b-it", "minReplicaCount": "1", "maxReplicaCount": "1", "endpointIdleTtl": "23400s"}}], "remoteModelInfo": {}}`,
		"MODEL_GARDEN_MODEL_NAME = 'publishers/qwen/models/qwen3@qwen3-4b', MACHINE_TYPE = 'g2-standard-12', MIN_REPLICA_COUNT = 2, MAX_REPLICA_COUNT = 3, " +
			"RESERVATION_AFFINITY_TYPE = 'SPECIFIC_RESERVATION', RESERVATION_AFFINITY_KEY = 'compute.googleapis.com/reservation-name', " +
			"RESERVATION_AFFINITY_VALUES = ['projects/p/zones/us-central1-a/reservations/r'], ENDPOINT_IDLE_TTL = INTERVAL 8 HOUR": `{"trainingRuns": [{"trainingOptions": {"modelGardenModelName": "publishers/qwen/models/qwen3@qwen3-4b", "machineType": "g2-standard-12", "minReplicaCount": "2", "maxReplicaCount": "3",
			"reservationAffinityType": "SPECIFIC_RESERVATION", "reservationAffinityKey": "compute.googleapis.com/reservation-name", "reservationAffinityValues": ["projects/p/zones/us-central1-a/reservations/r"], "endpointIdleTtl": "28800s"}}], "remoteModelInfo": {}}`,
		"ENDPOINT = 'gemini-2.5-flash', KMS_KEY_NAME = '" + key + "'": `{"remoteModelInfo": {"endpoint": "https://us-central1-aiplatform.googleapis.com/v1/projects/NUMBER/locations/us-central1/publishers/google/models/gemini-2.5-flash"}, "encryptionConfiguration": {"kmsKeyName": "` + key + `"}}`,
	} {
		b.do("%s", "CREATE OR REPLACE MODEL d.kind REMOTE WITH CONNECTION `my-project.us.c` OPTIONS ("+options+")")
		m, err := b.Models.Get(projectID, "d", "kind").Do()
		if err != nil {
			t.Fatal(err)
		}
		number := strings.Split(m.RemoteModelInfo.Connection, "/")[1]
		got := &bq.Model{RemoteModelInfo: m.RemoteModelInfo, TrainingRuns: m.TrainingRuns, EncryptionConfiguration: m.EncryptionConfiguration}
		got.RemoteModelInfo.Connection = ""
		var expected bq.Model
		if err := json.Unmarshal([]byte(strings.ReplaceAll(want, "NUMBER", number)), &expected); err != nil {
			t.Fatal(err)
		}
		if g, w := text(t, got), text(t, &expected); g != w || m.FeatureColumns != nil || m.ModelType != "" {
			t.Errorf("%s:\n%s, want\n%s", options, g, w)
		}
	}
}

func text(t *testing.T, m *bq.Model) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRemoteModelOptionErrors(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	const open, reserved = "HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it'", "RESERVATION_AFFINITY_TYPE = 'SPECIFIC_RESERVATION'"
	for _, c := range []struct{ options, message string }{
		{"KMS_KEY_NAME = 'projects/p/locations/us/keyRings/r/cryptoKeys/k'", "exactly one of the options ENDPOINT"},
		{"ENDPOINT = 'gemini-2.5-flash', REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1'", "exactly one of the options ENDPOINT"},
		{open + ", MODEL_GARDEN_MODEL_NAME = 'publishers/p/models/m@1'", "exactly one of the options ENDPOINT"},
		{"ENDPOINT = 'Gemini'", "Invalid endpoint"},
		{"ENDPOINT = 'https://example.com/v1/projects/p/locations/us-central1/publishers/google/models/m'", "Invalid endpoint"},
		{"ENDPOINT = 'https://us-east1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/m'", "is not that of location us-central1"},
		{"ENDPOINT = 'https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google/models/m'", "which is not in the location of the dataset"},
		{"ENDPOINT = 'gemini-2.5-flash', MACHINE_TYPE = 'n1-standard-4'", "MACHINE_TYPE is not supported for remote models over"},
		{"ENDPOINT = 'gemini-2.5-flash', HUGGING_FACE_TOKEN = 'hf'", "HUGGING_FACE_TOKEN is not supported"},
		{"ENDPOINT = 'gemini-2.5-flash', KMS_KEY_NAME = 'k'", "Invalid KMS key"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_LARGE_LANGUAGE_MODEL_V2'", "for option REMOTE_SERVICE_TYPE"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1'", "DOCUMENT_PROCESSOR is required"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'x y'", "for option DOCUMENT_PROCESSOR"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'projects/p/locations/eu/processors/x'", "The document processor is in location eu"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1', DOCUMENT_PROCESSOR = 'a1'", "DOCUMENT_PROCESSOR is supported only when"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1', SPEECH_RECOGNIZER = 'projects/p/locations/us/recognizers/r'", "SPEECH_RECOGNIZER is supported only when"},
		{"REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2', SPEECH_RECOGNIZER = 'r'", "for option SPEECH_RECOGNIZER"},
		{"HUGGING_FACE_MODEL_ID = 'gemma'", "for option HUGGING_FACE_MODEL_ID"},
		{"MODEL_GARDEN_MODEL_NAME = 'publishers/p/models/m'", "for option MODEL_GARDEN_MODEL_NAME"},
		{open + ", MIN_REPLICA_COUNT = 0", "for option MIN_REPLICA_COUNT"},
		{open + ", MAX_REPLICA_COUNT = 4097", "for option MAX_REPLICA_COUNT"},
		{open + ", MIN_REPLICA_COUNT = 3, MAX_REPLICA_COUNT = 2", "MAX_REPLICA_COUNT is less"},
		{open + ", MACHINE_TYPE = 4", "for option machine_type"},
		{open + ", RESERVATION_AFFINITY_TYPE = 'SOME'", "for option RESERVATION_AFFINITY_TYPE"},
		{open + ", " + reserved, "RESERVATION_AFFINITY_VALUES are required"},
		{open + ", RESERVATION_AFFINITY_KEY = 'compute.googleapis.com/reservation-name'", "are supported only when"},
		{open + ", " + reserved + ", RESERVATION_AFFINITY_KEY = 'k', RESERVATION_AFFINITY_VALUES = ['projects/p/zones/z/reservations/r']", "for option RESERVATION_AFFINITY_KEY"},
		{open + ", " + reserved + ", RESERVATION_AFFINITY_KEY = 'compute.googleapis.com/reservation-name', RESERVATION_AFFINITY_VALUES = ['r']", "for option RESERVATION_AFFINITY_VALUES"},
		{open + ", ENDPOINT_IDLE_TTL = INTERVAL 389 MINUTE", "between 390 minutes and 7 days"},
		{open + ", ENDPOINT_IDLE_TTL = INTERVAL 8 DAY", "between 390 minutes and 7 days"},
		{open + ", ENDPOINT_IDLE_TTL = 8", "want an INTERVAL"},
	} {
		b.fails("CREATE MODEL d.m REMOTE WITH CONNECTION `my-project.us.c` OPTIONS ("+c.options+")", "invalidQuery", c.message)
	}
	for _, options := range []string{"ENDPOINT = 'gemini-2.5-flash'", "REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1'", open} {
		b.fails("CREATE MODEL d.m INPUT (a INT64) OUTPUT (b INT64) REMOTE WITH CONNECTION `my-project.us.c` OPTIONS ("+options+")", "invalidQuery", "INPUT and OUTPUT are not supported for remote models over")
	}
}

// Models that the emulator does not run are never answered for.
func TestOtherFunctionsAreNotMadeUp(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE MODEL d.m REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (ENDPOINT = 'gemini-2.5-flash')")
	b.fails("SELECT * FROM ML.PREDICT(MODEL d.m, (SELECT 'a' AS prompt))", "invalidQuery", "which has no INPUT and OUTPUT")
	for _, query := range []string{
		"SELECT * FROM ML.GENERATE_TEXT(MODEL d.m, (SELECT 'a' AS prompt), STRUCT(TRUE AS flatten_json_output))",
		"SELECT * FROM AI.GENERATE_TEXT(MODEL d.m, (SELECT 'a' AS prompt))",
		"SELECT * FROM ML.GENERATE_EMBEDDING(MODEL d.m, (SELECT 'a' AS content))",
		"SELECT * FROM AI.GENERATE_EMBEDDING(MODEL d.m, (SELECT 'a' AS content))",
		"SELECT * FROM ML.TRANSLATE(MODEL d.m, (SELECT 'a' AS text_content), STRUCT('TRANSLATE_TEXT' AS translate_mode, 'de' AS target_language_code))",
		"SELECT AI.GENERATE('a', connection_id => 'us.c', endpoint => 'gemini-2.5-flash')",
	} {
		b.fails(query, "notImplemented", "")
	}
}

func TestAlterOpenModelAndKeys(t *testing.T) {
	b := start(t)
	b.do("CREATE SCHEMA d")
	b.do("CREATE MODEL d.o REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it')")
	b.do("ALTER MODEL d.o SET OPTIONS (deploy_model = FALSE, endpoint_idle_ttl = INTERVAL 1 DAY)")
	m, err := b.Models.Get(projectID, "d", "o").Do()
	if err != nil || m.TrainingRuns[0].TrainingOptions.EndpointIdleTtl != "86400s" {
		t.Errorf("%+v %v", m, err)
	}
	b.fails("ALTER MODEL d.o SET OPTIONS (deploy_model = 'no')", "invalidQuery", "want a BOOL")
	b.do("CREATE MODEL d.g REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (ENDPOINT = 'gemini-2.5-flash')")
	b.fails("ALTER MODEL d.g SET OPTIONS (deploy_model = TRUE)", "invalidQuery", "only for remote models over automatically deployed open models")

	const first, second = "projects/p/locations/us/keyRings/r/cryptoKeys/one", "projects/p/locations/us/keyRings/r/cryptoKeys/two"
	rekey := func(id, key string) error {
		_, err := b.Models.Patch(projectID, "d", id, &bq.Model{EncryptionConfiguration: &bq.EncryptionConfiguration{KmsKeyName: key}}).Do()
		return err
	}
	if err := rekey("g", first); reason(err) != "400 invalid" {
		t.Errorf("a key was added: %v", err)
	}
	b.do("%s", "CREATE MODEL d.k REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (ENDPOINT = 'gemini-2.5-flash', KMS_KEY_NAME = '"+first+"')")
	if err := rekey("k", second); err != nil {
		t.Fatal(err)
	}
	if m, err = b.Models.Get(projectID, "d", "k").Do(); err != nil || m.EncryptionConfiguration.KmsKeyName != second {
		t.Errorf("%+v %v", m, err)
	}
	b.do("ALTER MODEL d.k SET OPTIONS (kms_key_name = '%s')", first)
	if m, err = b.Models.Get(projectID, "d", "k").Do(); err != nil || m.EncryptionConfiguration.KmsKeyName != first {
		t.Errorf("%+v %v", m, err)
	}
}

// The roles are those of https://cloud.google.com/bigquery/docs/default-connections.
func TestDefaultConnection(t *testing.T) {
	for options, role := range map[string]string{
		"ENDPOINT = 'gemini-2.5-flash'":                                               "roles/aiplatform.user",
		"HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it'":                              "roles/aiplatform.user",
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2'":                          "roles/speech.serviceAgent",
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'a1b2c3'": "roles/documentai.apiUser",
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_NATURAL_LANGUAGE_V1'":                        "roles/serviceusage.serviceUsageConsumer",
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1'":                                  "roles/serviceusage.serviceUsageConsumer",
		"REMOTE_SERVICE_TYPE = 'CLOUD_AI_TRANSLATE_V3'":                               "roles/cloudtranslate.user",
	} {
		b := start(t)
		b.do("CREATE SCHEMA d")
		b.do("CREATE MODEL d.m REMOTE WITH CONNECTION DEFAULT OPTIONS (%s)", options)
		m, err := b.Models.Get(projectID, "d", "m").Do()
		if err != nil || !strings.HasSuffix(m.RemoteModelInfo.Connection, "/locations/us/connections/__default_cloudresource_connection__") {
			t.Errorf("%+v %v", m, err)
		}
		if want := []string{role + " serviceAccount:" + account}; !slices.Equal(b.w.grants, want) {
			t.Errorf("%s: granted %v, want %v", options, b.w.grants, want)
		}
	}
}

func TestRemoteModelSwitches(t *testing.T) {
	b := start(t, "hosted-endpoint-echo=as-given", "document-service-echo=no", "kms-key-version-in-model=yes")
	b.do("CREATE SCHEMA d")
	b.do("CREATE MODEL d.g REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (ENDPOINT = 'gemini-2.5-flash', KMS_KEY_NAME = 'projects/p/locations/us/keyRings/r/cryptoKeys/k')")
	m, err := b.Models.Get(projectID, "d", "g").Do()
	if err != nil || m.RemoteModelInfo.Endpoint != "gemini-2.5-flash" || !strings.HasSuffix(m.EncryptionConfiguration.KmsKeyName, "/cryptoKeys/k/cryptoKeyVersions/1") {
		t.Errorf("%+v %v", m, err)
	}
	b.do("CREATE MODEL d.d REMOTE WITH CONNECTION `my-project.us.c` OPTIONS (REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'a1')")
	if m, err = b.Models.Get(projectID, "d", "d").Do(); err != nil || m.RemoteModelInfo.RemoteServiceType != "" {
		t.Errorf("%+v %v", m, err)
	}
}
