// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Forms of ENDPOINT on Google's pages about CREATE MODEL, and what is none of them.
func TestParseEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"projects/p/locations/us-central1/endpoints/123":                                                  "endpoint 123",
		"https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/123": "endpoint 123",
		"gemini-2.5-flash":                         "gemini-2.5-flash",
		"gemini-2.0-flash-001":                     "gemini-2.0-flash-001",
		"multimodalembedding@001":                  "multimodalembedding@001",
		"claude-3-5-sonnet-v2@20241022":            "claude-3-5-sonnet-v2@20241022",
		"openapi/meta/llama-3.1-8b-maas":           "openapi/meta/llama-3.1-8b-maas",
		"meta/llama-4-scout-17b-16e-instruct-maas": "meta/llama-4-scout-17b-16e-instruct-maas",
		"https://europe-west6-aiplatform.googleapis.com/v1/projects/p/locations/europe-west6/publishers/google/models/m-1": "https://europe-west6-aiplatform.googleapis.com/v1/projects/p/locations/europe-west6/publishers/google/models/m-1",
		"projects/p/locations/global/publishers/google/models/m-1":                                                         "projects/p/locations/global/publishers/google/models/m-1",
		"https://u-r1-aiplatform.cloud.example/v1/projects/p/locations/u-r1/publishers/google/models/m-1":                  "https://u-r1-aiplatform.cloud.example/v1/projects/p/locations/u-r1/publishers/google/models/m-1",
		"https://u-r1-aiplatform.cloud.example/v1/projects/p/locations/u-r1/endpoints/123":                                 "endpoint 123",
		"https://u-r1-bigquery.cloud.example/v1/projects/p/locations/u-r1/publishers/google/models/m-1":                    "",
		"": "", "1234": "", "projects/p/locations/l/models/m": "", "https://example.com/m": "", "a b": "", "x' OR '1": "", "a/b/c/d": "",
	} {
		got, err := ParseEndpoint(text)
		found := got.Hosted
		if got.Custom() {
			found = "endpoint " + got.Endpoint.ID
		}
		if found != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", text, found, err, want)
		}
	}
}

func TestSameHosted(t *testing.T) {
	s := newFake(t).service(t, "")
	const url = "https://us-central1-aiplatform.googleapis.com/v1/projects/%/locations/us-central1/publishers/google/models/gemini-2.5-flash"
	id, number := strings.Replace(url, "%", "p", 1), strings.Replace(url, "%", "42", 1)
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"gemini-2.5-flash", "gemini-2.5-flash", true},
		{"gemini-2.5-flash", number, true},
		{id, number, true},
		{"gemini-2.5-flash", "gemini-2.5-flash-lite", false},
		{id, strings.ReplaceAll(id, "us-central1", "us-east1"), false},
		{id, strings.Replace(id, "google", "anthropic", 1), false},
		{id, strings.Replace(id, "/p/", "/q/", 1), false},
		{"", "gemini-2.5-flash", false},
	} {
		if got := s.SameHosted(t.Context(), c.a, c.b); got != c.same || s.SameHosted(t.Context(), c.b, c.a) != got {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
}

// The statements of Google's pages on CREATE MODEL, token by token.
func TestCreateSQLOfEachKind(t *testing.T) {
	for want, change := range map[string]func(*ModelSpec){
		"CREATE MODEL `my-project.bqml_tutorial.bert_sentiment` REMOTE WITH CONNECTION DEFAULT OPTIONS (ENDPOINT = 'gemini-2.5-flash')": func(m *ModelSpec) {
			m.Connection, m.Target = gcp.Name{}, Target{Hosted: "gemini-2.5-flash"}
		},
		"CREATE MODEL `my-project.bqml_tutorial.bert_sentiment` REMOTE WITH CONNECTION `my-project.us.bqml_tutorial` OPTIONS (REMOTE_SERVICE_TYPE = 'CLOUD_AI_DOCUMENT_V1', DOCUMENT_PROCESSOR = 'it\\'s', KMS_KEY_NAME = 'k')": func(m *ModelSpec) {
			m.Target, m.KMSKey = Target{Service: &CloudService{Type: ServiceDocument, DocumentProcessor: "it's"}}, "k"
		},
		"CREATE MODEL `my-project.bqml_tutorial.bert_sentiment` REMOTE WITH CONNECTION `my-project.us.bqml_tutorial` OPTIONS (HUGGING_FACE_MODEL_ID = 'a/b', HUGGING_FACE_TOKEN = 'hf_x', MACHINE_TYPE = 'g2-standard-12', MIN_REPLICA_COUNT = 1, MAX_REPLICA_COUNT = 2, " +
			"RESERVATION_AFFINITY_TYPE = 'SPECIFIC_RESERVATION', RESERVATION_AFFINITY_KEY = 'compute.googleapis.com/reservation-name', RESERVATION_AFFINITY_VALUES = ['r', 's'], ENDPOINT_IDLE_TTL = INTERVAL 480 MINUTE)": func(m *ModelSpec) {
			m.Target = Target{Open: &OpenModel{
				HuggingFaceID: "a/b", Token: "hf_x", MachineType: "g2-standard-12", MinReplicas: 1, MaxReplicas: 2, IdleTTL: 8 * time.Hour,
				Reservation: Reservation{"SPECIFIC_RESERVATION", "compute.googleapis.com/reservation-name", []string{"r", "s"}},
			}}
		},
	} {
		spec := tutorial()
		spec.Input, spec.Output = nil, nil
		change(&spec)
		got, err := spec.CreateSQL(false)
		if err != nil || squeeze(t, got) != squeeze(t, want) {
			t.Errorf("rendered\n%s\nwant\n%s (%v)", got, want, err)
		}
		spec.Input, spec.Output = tutorial().Input, tutorial().Output
		if sql, err := spec.CreateSQL(false); err == nil {
			t.Errorf("with input and output:\n%s", sql)
		}
	}
	if sql, err := (ModelSpec{Name: tutorial().Name, Connection: tutorial().Connection}).CreateSQL(false); err == nil {
		t.Errorf("a model that calls nothing:\n%s", sql)
	}
}

// The ENDPOINT of a model in a universe, and in the location that has no host of its own.
func TestEndpointOption(t *testing.T) {
	for _, c := range []struct{ universe, endpoint, want string }{
		{"", "projects/p/locations/us-central1/endpoints/1", "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/1"},
		{"cloud.example", "projects/p/locations/u-r1/endpoints/1", "https://u-r1-aiplatform.cloud.example/v1/projects/p/locations/u-r1/endpoints/1"},
		{"cloud.example", "projects/p/locations/u-r1/publishers/google/models/m", "https://u-r1-aiplatform.cloud.example/v1/projects/p/locations/u-r1/publishers/google/models/m"},
		{"cloud.example", "https://aiplatform.cloud.example/v1/projects/p/locations/global/publishers/google/models/m", "https://aiplatform.cloud.example/v1/projects/p/locations/global/publishers/google/models/m"},
		{"", "projects/p/locations/global/publishers/google/models/m", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/m"},
		{"cloud.example", "gemini-2.5-flash", "gemini-2.5-flash"},
	} {
		target, err := ParseEndpoint(c.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		sql, err := ModelSpec{Name: tutorial().Name, Connection: tutorial().Connection, Target: target, Universe: c.universe}.CreateSQL(false)
		if err != nil || !strings.Contains(sql, "'"+c.want+"'") && !strings.Contains(sql, `"`+c.want+`"`) {
			t.Errorf("%s in %q:\n%s\nwant %s (%v)", c.endpoint, c.universe, sql, c.want, err)
		}
	}
}

func TestAlterSQL(t *testing.T) {
	no := false
	got, err := tutorial().AlterSQL(&no, 9*time.Hour)
	const want = "ALTER MODEL `my-project.bqml_tutorial.bert_sentiment` SET OPTIONS (DEPLOY_MODEL = FALSE, ENDPOINT_IDLE_TTL = INTERVAL 540 MINUTE)"
	if err != nil || squeeze(t, got) != squeeze(t, want) {
		t.Errorf("%s, %v", got, err)
	}
}

// BigQuery may quote the statement in an error; the token in it is not passed on, and the
// error stays what it is.
func TestTokenIsTakenOutOfErrors(t *testing.T) {
	spec := ModelSpec{Target: Target{Open: &OpenModel{Token: "hf_secret"}}}
	err := spec.redact(&query.JobError{Reason: "invalidQuery", Message: "Syntax error near HUGGING_FACE_TOKEN = 'hf_secret'"})
	var job *query.JobError
	if strings.Contains(err.Error(), "hf_secret") || !strings.Contains(err.Error(), "[redacted]") || !errors.As(err, &job) {
		t.Errorf("%v", err)
	}
	if other := errors.New("other"); !errors.Is(spec.redact(other), other) || spec.redact(other).Error() != "other" || spec.redact(nil) != nil {
		t.Error("another error is changed")
	}
}

// The table of https://cloud.google.com/bigquery/docs/default-connections.
func TestRoles(t *testing.T) {
	if got := (Target{Hosted: "gemini-2.5-flash"}).Role(); got != "roles/aiplatform.user" {
		t.Error(got)
	}
	roles := map[string]string{
		"CLOUD_AI_DOCUMENT_V1":         "roles/documentai.apiUser",
		"CLOUD_AI_NATURAL_LANGUAGE_V1": "roles/serviceusage.serviceUsageConsumer",
		"CLOUD_AI_SPEECH_TO_TEXT_V2":   "roles/speech.serviceAgent",
		"CLOUD_AI_TRANSLATE_V3":        "roles/cloudtranslate.user",
		"CLOUD_AI_VISION_V1":           "roles/serviceusage.serviceUsageConsumer",
	}
	for _, service := range ServiceTypes {
		if got := (Target{Service: &CloudService{Type: service}}).Role(); got != roles[service] {
			t.Errorf("%s has the role %q, want %q", service, got, roles[service])
		}
	}
}
