// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// Google's own tool makes and shows a remote model of each kind.
func TestBQShowsEveryKind(t *testing.T) {
	srv := start(t, emulator.Options{})
	bq := newBQ(t, srv)
	bq.run(t, "mk", "--dataset", "--location=US", "d")
	kinds := map[string]struct{ options, shown string }{
		"gemini":    {"ENDPOINT = 'gemini-2.5-flash'", `"endpoint":"https://us-central1-aiplatform.googleapis.com/v1/projects/`},
		"embedding": {"ENDPOINT = 'https://aiplatform.googleapis.com/v1/projects/" + projectID + "/locations/global/publishers/google/models/gemini-embedding-001'", `/locations/global/publishers/google/models/gemini-embedding-001"`},
		"vision":    {"REMOTE_SERVICE_TYPE = 'CLOUD_AI_VISION_V1'", `"remoteServiceType":"CLOUD_AI_VISION_V1"`},
		"document":  {"REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'a1b2'", `"remoteServiceType":"CLOUD_AI_DOCUMENT_V1"`},
		"speech":    {"REMOTE_SERVICE_TYPE = 'CLOUD_AI_SPEECH_TO_TEXT_V2'", `"speechRecognizer":"projects/`},
		"open":      {"HUGGING_FACE_MODEL_ID = 'google/gemma-3-1b-it', ENDPOINT_IDLE_TTL = INTERVAL 8 HOUR", `"huggingFaceModelId":"google/gemma-3-1b-it"`},
		"key":       {"ENDPOINT = 'gemini-2.5-flash', KMS_KEY_NAME = 'projects/p/locations/us/keyRings/r/cryptoKeys/k'", `"kmsKeyName":"projects/p/locations/us/keyRings/r/cryptoKeys/k"`},
	}
	script := ""
	for name, c := range kinds {
		script += "CREATE MODEL d." + name + " REMOTE WITH CONNECTION DEFAULT OPTIONS (" + c.options + ");\n"
	}
	bq.run(t, "query", "--nouse_legacy_sql", script)
	for name, c := range kinds {
		out := bq.run(t, "--format=json", "show", "-m", "d."+name)
		var shown any
		if err := json.Unmarshal([]byte(out), &shown); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		compact, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(compact), c.shown) || !strings.Contains(string(compact), "/connections/__default_cloudresource_connection__") {
			t.Errorf("%s: %s", name, compact)
		}
	}
	if out := bq.run(t, "ls", "-m", "d"); !strings.Contains(out, "gemini") || !strings.Contains(out, "open") {
		t.Errorf("ls -m: %s", out)
	}
	if out, err := bq.try(t, "query", "--nouse_legacy_sql", "SELECT * FROM AI.GENERATE_TEXT(MODEL d.gemini, (SELECT 'hello' AS prompt))"); err == nil || !strings.Contains(out, "AI.GENERATE_TEXT") {
		t.Errorf("an answer was made up: %v %s", err, out)
	}
}
