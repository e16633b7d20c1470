// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// gcloud runs the real gcloud against the emulator, with a configuration of its
// own and a token that nobody issued.
type gcloud struct {
	path string
	env  []string
}

func newGcloud(t *testing.T, srv *emulator.Server) gcloud {
	t.Helper()
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("gcloud is not installed: its conformance is not tested")
	}
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("not-a-real-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return gcloud{path: path, env: append(os.Environ(),
		"CLOUDSDK_CONFIG="+filepath.Join(dir, "config"),
		"CLOUDSDK_CORE_PROJECT="+projectID,
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1",
		"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+token,
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM=http://"+srv.Addr+"/",
	)}
}

// ai runs "gcloud ai …" and returns what it printed on standard output.
func (g gcloud) ai(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := g.try(t, args...)
	if err != nil {
		t.Fatalf("gcloud ai %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

func (g gcloud) try(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), g.path, append([]string{"ai"}, append(args, "--region="+location)...)...)
	cmd.Env = g.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// gcloud takes the tutorial's Vertex AI half from upload to delete.
func TestGcloudWalksTheTutorial(t *testing.T) {
	t.Parallel() // it mostly waits for Python
	srv := start(t, emulator.Options{OperationLatency: 10 * time.Millisecond})
	g := newGcloud(t, srv)

	g.ai(t, "models", "upload", "--model-id=bert", "--display-name=bert_sentiment", "--description=BQML tutorial model",
		"--container-image-uri="+tutorialImage, "--artifact-uri="+tutorialURI)
	if out := g.ai(t, "models", "list"); !strings.Contains(out, "bert_sentiment") {
		t.Errorf("models list: %s", out)
	}
	var model struct{ Name, DisplayName, VersionID, ArtifactURI string }
	if err := json.Unmarshal([]byte(g.ai(t, "models", "describe", "bert", "--format=json")), &model); err != nil {
		t.Fatal(err)
	}
	if model.DisplayName != "bert_sentiment" || model.VersionID != "1" || model.ArtifactURI != tutorialURI {
		t.Errorf("models describe: %+v", model)
	}

	g.ai(t, "endpoints", "create", "--endpoint-id=reviews", "--display-name=bert sentiment endpoint")
	g.ai(t, "endpoints", "deploy-model", "reviews", "--model=bert", "--display-name=main", "--deployed-model-id=7",
		"--machine-type=n1-standard-2", "--min-replica-count=1", "--max-replica-count=3", "--traffic-split=0=100")

	g.ai(t, "endpoints", "update", "reviews", "--display-name=renamed", "--traffic-split=7=100")
	if out := g.ai(t, "endpoints", "list", "--format=value(displayName)"); strings.TrimSpace(out) != "renamed" {
		t.Errorf("endpoints list after the update: %s", out)
	}

	request := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(request, []byte(`{"instances": [{"text": "I loved every minute"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var scores [][]float64
	if err := json.Unmarshal([]byte(g.ai(t, "endpoints", "predict", "reviews", "--json-request="+request, "--format=json(predictions)")), &struct {
		Predictions *[][]float64
	}{&scores}); err != nil {
		t.Fatal(err)
	}
	if len(scores) != 1 || len(scores[0]) != 1 || scores[0][0] <= 0.5 || scores[0][0] > 1 {
		t.Errorf("endpoints predict: %v, want one score above 0.5", scores)
	}

	if _, stderr, err := g.try(t, "endpoints", "delete", "reviews"); err == nil || !strings.Contains(stderr, "FAILED_PRECONDITION") {
		t.Errorf("deleting an endpoint with a deployed model: %v, %s", err, stderr)
	}
	g.ai(t, "endpoints", "undeploy-model", "reviews", "--deployed-model-id=7")
	g.ai(t, "endpoints", "delete", "reviews")
	g.ai(t, "models", "delete", "bert")
	for _, section := range []string{"models", "endpoints"} {
		if left := inventory(t, srv, section); len(left) != 0 {
			t.Errorf("left over in %s: %v", section, left)
		}
	}
}

// gcloud lists the deployments of a publisher model, of the catalogue and of Hugging
// Face, and knows what is said of one that is not there.
func TestGcloudReadsModelGarden(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "model.json")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const deploys = `{"multiDeployVertex": {"multiDeployVertex": [
		{"containerSpec": {"imageUri": "us-docker.pkg.dev/a/b/vllm:1"}, "dedicatedResources": {"machineSpec": {"machineType": "g2-standard-12", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}, "minReplicaCount": 1}},
		{"containerSpec": {"imageUri": "us-docker.pkg.dev/a/b/hexllm:1"}, "dedicatedResources": {"machineSpec": {"machineType": "ct5lp-hightpu-4t"}, "minReplicaCount": 1}}]}}`
	srv := start(t, emulator.Options{PublisherModels: []string{
		file(`{"name": "publishers/google/models/gemma3", "versionId": "gemma-3-1b-it", "supportedActions": ` + deploys + `}`),
		file(`{"name": "publishers/hf-qwen/models/qwen2-0.5b", "supportedActions": ` + deploys + `}`),
	}})
	g := newGcloud(t, srv)
	list := func(model string) (string, string, error) {
		cmd := exec.CommandContext(t.Context(), g.path, "ai", "model-garden", "models", "list-deployment-config", "--model="+model,
			"--format=csv[no-heading](dedicatedResources.machineSpec.machineType,dedicatedResources.machineSpec.acceleratorType,dedicatedResources.machineSpec.acceleratorCount,containerSpec.imageUri)")
		cmd.Env = g.env
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return out.String(), errs.String(), err
	}
	for _, model := range []string{"google/gemma3@gemma-3-1b-it", "Qwen/Qwen2-0.5B"} {
		out, stderr, err := list(model)
		if want := "g2-standard-12,NVIDIA_L4,1,us-docker.pkg.dev/a/b/vllm:1\nct5lp-hightpu-4t,,,us-docker.pkg.dev/a/b/hexllm:1\n"; err != nil || out != want {
			t.Errorf("%s: %q, %v, %s", model, out, err, stderr)
		}
	}
	if out, stderr, err := list("google/gemma3@gemma-3-27b-it"); err == nil || !strings.Contains(stderr, "is not a supported model in Model Garden") {
		t.Errorf("a model that is not there: %q, %v, %s", out, err, stderr)
	}
}
