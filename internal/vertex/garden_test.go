// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"testing"
	"time"
)

func TestParsePublisherName(t *testing.T) {
	for text, want := range map[string]PublisherName{
		"publishers/google/models/gemma2@gemma-2-2b-it": {Publisher: "google", Model: "gemma2", Version: "gemma-2-2b-it"},
		"publishers/google/models/gemma2":               {Publisher: "google", Model: "gemma2"},
		"google/gemma2@gemma-2-9b":                      {Publisher: "google", Model: "gemma2", Version: "gemma-2-9b"},
		"meta-llama/Meta-Llama-3-8B":                    {Publisher: "meta-llama", Model: "meta-llama-3-8b", HuggingFace: true},
		"Qwen/Qwen2.5-0.5B_x":                           {Publisher: "qwen", Model: "qwen2.5-0.5b_x", HuggingFace: true},
	} {
		if got, err := ParsePublisherName(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "gemma2", "publishers/google/gemma2", "google/models/gemma2", "publishers/google/models/gemma2/x", "google/gemma2@", "google/gemma2@a@b", "a b/c", "a/../b", "a/b?x=1",
		"projects/p/locations/l/models/m",
	} {
		if got, err := ParsePublisherName(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func read(t *testing.T, actions string) *PublisherModel {
	t.Helper()
	m, err := readPublisherModel([]byte(`{"name": "publishers/p/models/m", "versionId": "1", "fieldOfTomorrow": {"a": [1]}, "supportedActions": ` + actions + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What v1beta1 has and v1 has not is read; what neither has is passed over.
func TestReadPublisherModelDeployments(t *testing.T) {
	const (
		one = `{"title": "one", "containerSpec": {"imageUri": "us-docker.pkg.dev/a/b/one", "deploymentTimeout": "7200s", "newField": 1},
			"dedicatedResources": {"machineSpec": {"machineType": "g2-standard-12", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}, "minReplicaCount": 1}}`
		two = `{"title": "two", "automaticResources": {"minReplicaCount": 2, "maxReplicaCount": 5}, "artifactUri": "gs://b/m/", "publicArtifactUri": "https://signed"}`
	)
	several := read(t, `{"deploy": `+two+`, "multiDeployVertex": {"multiDeployVertex": [`+one+`, `+two+`]}}`).Deployments
	if len(several) != 2 || several[0].Title != "one" || several[1].Title != "two" {
		t.Fatalf("%+v", several)
	}
	first := several[0]
	if first.Container == nil || first.Container.ImageURI != "us-docker.pkg.dev/a/b/one" || first.Container.DeploymentTimeout != 2*time.Hour {
		t.Errorf("container %+v", first.Container)
	}
	if r := first.Resources; r.Kind != Dedicated || r.MachineType != "g2-standard-12" || r.AcceleratorType != "NVIDIA_L4" || r.AcceleratorCount != 1 || r.MinReplicas != 1 {
		t.Errorf("resources %+v", r)
	}
	second := several[1]
	if r := second.Resources; r.Kind != Automatic || r.MinReplicas != 2 || r.MaxReplicas != 5 {
		t.Errorf("resources %+v", r)
	}
	if second.Container != nil || second.ArtifactURI != "gs://b/m/" {
		t.Errorf("%+v", second)
	}
	if only := read(t, `{"deploy": `+two+`}`).Deployments; len(only) != 1 || only[0].Title != "two" {
		t.Errorf("the one deployment of v1: %+v", only)
	}
	if none := read(t, `{}`); len(none.Deployments) != 0 || none.LaunchStage != "" || none.OpenSourceCategory != "" || none.VersionState != "" {
		t.Errorf("nothing to deploy: %+v", none)
	}
	if bare := read(t, `{"deploy": {"title": "t"}}`).Deployments; bare[0].Resources.Kind != Other {
		t.Errorf("no machines: %+v", bare[0].Resources)
	}
}

func TestReadPublisherModelRefusesOtherAnswers(t *testing.T) {
	for _, answer := range []string{"", "<html>", `[]`, `{"name": 1}`, `{"supportedActions": {"multiDeployVertex": {"multiDeployVertex": [{"title": 1}]}}}`} {
		if m, err := readPublisherModel([]byte(answer)); err == nil {
			t.Errorf("%q was read as %+v", answer, m)
		}
	}
}
