// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	betapb "cloud.google.com/go/aiplatform/apiv1beta1/aiplatformpb"
	"google.golang.org/grpc/codes"
)

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPublisherModels(t *testing.T) {
	const deploys = `{"multiDeployVertex": {"multiDeployVertex": [{"title": "A"}]}, "deploy": {"title": "B"}}`
	all, err := ReadPublisherModels([]string{
		write(t, `{"name": "publishers/google/models/gemma2", "versionId": "gemma-2-2b", "supportedActions": `+deploys+`}`),
		write(t, `{"name": "publishers/google/models/gemma2", "versionId": "gemma-2-9b"}`),
		write(t, `{"name": "publishers/hf-org/models/small"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{PublisherModels: all})
	beta, v1 := &gardenService{Service: s}, &gardenServiceV1{Service: s}
	for _, c := range []struct {
		name        string
		huggingFace bool
		version     string // "" for an error
		code        codes.Code
	}{
		{"publishers/google/models/gemma2@gemma-2-2b", false, "gemma-2-2b", codes.OK},
		{"publishers/google/models/gemma2", false, "gemma-2-9b", codes.OK},
		{"publishers/google/models/gemma2@gemma-2-27b", false, "", codes.NotFound},
		{"publishers/google/models/gemma9", false, "", codes.NotFound},
		{"publishers/org/models/small", false, "", codes.NotFound},
		{"projects/p/locations/l/models/m", false, "", codes.InvalidArgument},
		{"publishers/google/models/gemma2@", false, "", codes.InvalidArgument},
	} {
		m, err := beta.GetPublisherModel(t.Context(), &betapb.GetPublisherModelRequest{Name: c.name, IsHuggingFaceModel: c.huggingFace})
		old, errV1 := v1.GetPublisherModel(t.Context(), &aiplatformpb.GetPublisherModelRequest{Name: c.name, IsHuggingFaceModel: c.huggingFace})
		if c.code != codes.OK {
			refused(t, err, c.code, "publisher")
			refused(t, errV1, c.code, "publisher")
			continue
		}
		if err != nil || errV1 != nil || m.GetVersionId() != c.version || old.GetVersionId() != c.version {
			t.Errorf("%s: %v, %v; %v, %v", c.name, m, err, old, errV1)
		}
	}
	if m, err := beta.GetPublisherModel(t.Context(), &betapb.GetPublisherModelRequest{Name: "publishers/org/models/small", IsHuggingFaceModel: true}); err != nil || m.GetName() != "publishers/hf-org/models/small" {
		t.Errorf("a model of Hugging Face: %v, %v", m, err)
	}
	const first = "publishers/google/models/gemma2@gemma-2-2b"
	m, err := beta.GetPublisherModel(t.Context(), &betapb.GetPublisherModelRequest{Name: first})
	if err != nil || m.GetSupportedActions().GetMultiDeployVertex().GetMultiDeployVertex()[0].GetTitle() != "A" {
		t.Errorf("v1beta1: %v, %v", m, err)
	}
	old, err := v1.GetPublisherModel(t.Context(), &aiplatformpb.GetPublisherModelRequest{Name: first})
	if err != nil || old.GetSupportedActions().GetDeploy().GetTitle() != "B" || len(old.GetSupportedActions().ProtoReflect().GetUnknown()) > 0 {
		t.Errorf("v1: %v, %v", old, err)
	}
}

func TestPublisherModelFiles(t *testing.T) {
	good := write(t, `{"name": "publishers/p/models/m"}`)
	for want, files := range map[string][]string{
		"no such file":                            {filepath.Join(t.TempDir(), "none.json")},
		"not a PublisherModel in JSON":            {write(t, `{"name": "publishers/p/models/m", "nonsense": 1}`)},
		"is not of the form publishers/PUBLISHER": {write(t, `{"name": "publishers/p/models/m@1"}`)},
		"publishers/p/models/m@ is there twice":   {good, good},
	} {
		if _, err := ReadPublisherModels(files); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--publisher-model") {
			t.Errorf("%v: want %q", err, want)
		}
	}
}
