// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"testing"
)

// Model Garden is asked in its location, at a custom endpoint's host, in another
// universe, on loopback and on the emulator, with what every request carries.
func TestPublisherModelAddress(t *testing.T) {
	const name = "publishers/google/models/gemma3@gemma-3-1b-it"
	for want, c := range map[string]Config{
		"https://us-central1-aiplatform.googleapis.com/v1beta1/" + name: {AccessToken: "t"},
		"https://psc.example/v1beta1/" + name:                           {AccessToken: "t", VertexAIEndpoint: "https://psc.example/v1/"},
		"https://psc.example:8443/v1beta1/" + name:                      {AccessToken: "t", VertexAIEndpoint: "https://psc.example:8443/v1/"},
		"https://us-central1-aiplatform.u.example/v1beta1/" + name:      {AccessToken: "t", UniverseDomain: "u.example"},
		"http://127.0.0.1:9/v1beta1/" + name:                            {EmulatorHost: "127.0.0.1:9"},
	} {
		t.Run(want, func(t *testing.T) {
			w := newWire(t)
			c.UserAgent = "gcpml/test"
			clients, err := w.connect(t, c)
			if err != nil {
				t.Fatal(err)
			}
			content, err := clients.PublisherModel(t.Context(), "us-central1", name, false)
			if err != nil || string(content) != "{}" {
				t.Fatalf("%s, %v", content, err)
			}
			r := w.http[len(w.http)-1]
			query := r.URL.Query()
			if got := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path; got != want || query.Get("view") != "PUBLISHER_MODEL_VIEW_FULL" || query.Has("isHuggingFaceModel") {
				t.Errorf("asked at %s", r.URL)
			}
			if authorization := r.Header.Get("Authorization"); (authorization == "Bearer t") != (c.AccessToken != "") {
				t.Errorf("authorization %q", authorization)
			}
			if _, err := clients.PublisherModel(t.Context(), "us-central1", name, true); err != nil {
				t.Fatal(err)
			}
			query = w.http[len(w.http)-1].URL.Query()
			if query.Get("isHuggingFaceModel") != "true" || query.Get("includeEquivalentModelGardenModelDeploymentConfigs") != "true" {
				t.Errorf("a model of Hugging Face asked for with %s", query.Encode())
			}
		})
	}
}
