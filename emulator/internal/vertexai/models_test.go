// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const testKey = "projects/test-project/locations/us-central1/keyRings/r/cryptoKeys/k"

func TestUploadRefusesBadInput(t *testing.T) {
	r := newRig(t, 0)
	for _, c := range []struct {
		name   string
		change func(*aiplatformpb.UploadModelRequest)
		code   codes.Code
		part   string
	}{
		{"parent", func(q *aiplatformpb.UploadModelRequest) { q.Parent = "projects/p" }, codes.InvalidArgument, "parent"},
		{"project", func(q *aiplatformpb.UploadModelRequest) { q.Parent = "projects/P/locations/l" }, codes.InvalidArgument, `"P"`},
		{"no model", func(q *aiplatformpb.UploadModelRequest) { q.Model = nil }, codes.InvalidArgument, "model is required"},
		{"digit first", func(q *aiplatformpb.UploadModelRequest) { q.ModelId = "1bert" }, codes.InvalidArgument, "model_id"},
		{"long id", func(q *aiplatformpb.UploadModelRequest) { q.ModelId = strings.Repeat("a", 64) }, codes.InvalidArgument, "model_id"},
		{"no display name", func(q *aiplatformpb.UploadModelRequest) { q.Model.DisplayName = "" }, codes.InvalidArgument, "display_name"},
		{"long display name", func(q *aiplatformpb.UploadModelRequest) { q.Model.DisplayName = strings.Repeat("é", 129) }, codes.InvalidArgument, "128"},
		{"no image", func(q *aiplatformpb.UploadModelRequest) { q.Model.ContainerSpec = nil }, codes.InvalidArgument, "image_uri"},
		{"foreign image", func(q *aiplatformpb.UploadModelRequest) { q.Model.ContainerSpec.ImageUri = "docker.io/x" }, codes.InvalidArgument, "image_uri"},
		{"artifact", func(q *aiplatformpb.UploadModelRequest) { q.Model.ArtifactUri = "s3://b/x" }, codes.InvalidArgument, "artifact_uri"},
		{"label", func(q *aiplatformpb.UploadModelRequest) { q.Model.Labels = map[string]string{"Team": "x"} }, codes.InvalidArgument, "labels"},
		{"alias", func(q *aiplatformpb.UploadModelRequest) { q.Model.VersionAliases = []string{"2"} }, codes.InvalidArgument, "version_aliases"},
		{"route", func(q *aiplatformpb.UploadModelRequest) { q.Model.ContainerSpec.PredictRoute = "p" }, codes.InvalidArgument, "predict_route"},
		{"explanation", func(q *aiplatformpb.UploadModelRequest) { q.Model.ExplanationSpec = &aiplatformpb.ExplanationSpec{} }, codes.Unimplemented, "model.explanation_spec"},
		{"gRPC port", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.GrpcPorts = []*aiplatformpb.Port{{ContainerPort: 65536}}
		}, codes.InvalidArgument, "grpc_ports"},
		{"deployment timeout", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.DeploymentTimeout = durationpb.New(2*time.Hour + time.Second)
		}, codes.InvalidArgument, "deployment_timeout"},
		{"shared memory", func(q *aiplatformpb.UploadModelRequest) { q.Model.ContainerSpec.SharedMemorySizeMb = -1 }, codes.InvalidArgument, "shared_memory_size_mb"},
		{"empty probe", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.HealthProbe = &aiplatformpb.Probe{}
		}, codes.InvalidArgument, "container_spec.health_probe"},
		{"probe port", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.LivenessProbe = &aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_Grpc{Grpc: &aiplatformpb.Probe_GrpcAction{}}}
		}, codes.InvalidArgument, "liveness_probe.grpc.port"},
		{"probe scheme", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.StartupProbe = &aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_HttpGet{HttpGet: &aiplatformpb.Probe_HttpGetAction{Scheme: "FTP"}}}
		}, codes.InvalidArgument, "startup_probe.http_get.scheme"},
		{"probe command", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.StartupProbe = &aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_Exec{Exec: &aiplatformpb.Probe_ExecAction{}}}
		}, codes.InvalidArgument, "startup_probe.exec.command"},
		{"probe period", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.ContainerSpec.StartupProbe = &aiplatformpb.Probe{PeriodSeconds: -1, ProbeType: &aiplatformpb.Probe_TcpSocket{TcpSocket: &aiplatformpb.Probe_TcpSocketAction{Port: 1}}}
		}, codes.InvalidArgument, "startup_probe.period_seconds"},
		{"schema", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.PredictSchemata = &aiplatformpb.PredictSchemata{InstanceSchemaUri: "https://b/x.yaml"}
		}, codes.InvalidArgument, "instance_schema_uri"},
		{"metadata schema", func(q *aiplatformpb.UploadModelRequest) { q.Model.MetadataSchemaUri = "x.yaml" }, codes.InvalidArgument, "metadata_schema_uri"},
		{"base model", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.BaseModelSource = gardenSource("gemma3")
		}, codes.InvalidArgument, "public_model_name"},
		{"base model of Genie", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.BaseModelSource = &aiplatformpb.Model_BaseModelSource{Source: &aiplatformpb.Model_BaseModelSource_GenieSource{GenieSource: &aiplatformpb.GenieSource{}}}
		}, codes.Unimplemented, "genie_source"},
		{"key", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.EncryptionSpec = &aiplatformpb.EncryptionSpec{KmsKeyName: "key"}
		}, codes.InvalidArgument, "kms_key_name"},
		{"key elsewhere", func(q *aiplatformpb.UploadModelRequest) {
			q.Model.EncryptionSpec = &aiplatformpb.EncryptionSpec{KmsKeyName: strings.Replace(testKey, "us-central1", "us-east1", 1)}
		}, codes.InvalidArgument, "another region"},
		{"parent model", func(q *aiplatformpb.UploadModelRequest) { q.ParentModel = testParent + "/models/none" }, codes.NotFound, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &aiplatformpb.UploadModelRequest{Parent: testParent, Model: testModel()}
			c.change(req)
			_, err := r.models.UploadModel(t.Context(), req)
			refused(t, err, c.code, c.part)
		})
	}
	if left := r.models.Models(); len(left) != 0 {
		t.Errorf("refused uploads left %v", left)
	}
}

func TestUploadIgnoresOutputOnlyFields(t *testing.T) {
	r := newRig(t, 0)
	m := testModel()
	m.VersionId = "9"
	m.DeployedModels = []*aiplatformpb.DeployedModelRef{{Endpoint: "x"}}
	r.ok(r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: m}))
	if got := r.model(testParent + "/models/m"); got.GetVersionId() != "1" || len(got.GetDeployedModels()) != 0 {
		t.Errorf("version %q, deployed %v", got.GetVersionId(), got.GetDeployedModels())
	}
}

func TestModelIsVisibleWhenItsUploadCompletes(t *testing.T) {
	r := newRig(t, 50*time.Millisecond)
	op, err := r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: testModel()})
	if err != nil || op.GetDone() {
		t.Fatalf("done %v, %v", op.GetDone(), err)
	}
	_, err = r.models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: testParent + "/models/m"})
	refused(t, err, codes.NotFound, "models/m")
	_, err = r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: testModel()})
	refused(t, err, codes.AlreadyExists, "models/m")
	r.ok(op, nil)
	r.model(testParent + "/models/m")
}

func TestVersionsAndAliases(t *testing.T) {
	r := newRig(t, 0)
	name := r.upload("m")
	r.upload("m", "golden")
	if v := r.model(name).GetVersionId(); v != "1" {
		t.Errorf("the default version is %q after a second upload, want 1", v)
	}
	if v := r.model(name + "@golden").GetVersionId(); v != "2" {
		t.Errorf("golden is version %q, want 2", v)
	}
	r.upload("m", "default", "golden") // both move to version 3
	if v := r.model(name); v.GetVersionId() != "3" || !slices.Contains(v.GetVersionAliases(), "golden") {
		t.Errorf("default: version %q with %v", v.GetVersionId(), v.GetVersionAliases())
	}
	if a := r.model(name + "@2").GetVersionAliases(); len(a) != 0 {
		t.Errorf("version 2 still has %v", a)
	}
	merge := func(version string, aliases ...string) error {
		_, err := r.models.MergeVersionAliases(t.Context(), &aiplatformpb.MergeVersionAliasesRequest{Name: name + "@" + version, VersionAliases: aliases})
		return err
	}
	refused(t, merge("3", "-default"), codes.InvalidArgument, "default")
	refused(t, merge("2", "Upper"), codes.InvalidArgument, "Upper")
	if err := merge("2", "default", "canary"); err != nil {
		t.Fatal(err)
	}
	if v := r.model(name).GetVersionId(); v != "2" {
		t.Errorf("the default version is %q, want 2", v)
	}
	if err := merge("3", "-golden"); err != nil {
		t.Fatal(err)
	}
	_, err := r.models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: name + "@golden"})
	refused(t, err, codes.NotFound, "golden")

	deleteVersion := func(v string) error {
		op, err := r.models.DeleteModelVersion(t.Context(), &aiplatformpb.DeleteModelVersionRequest{Name: name + "@" + v})
		if err == nil {
			r.ok(op, nil)
		}
		return err
	}
	refused(t, deleteVersion("2"), codes.FailedPrecondition, "default version")
	for _, v := range []string{"1", "3"} {
		if err := deleteVersion(v); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, deleteVersion("2"), codes.FailedPrecondition, "only version")
	r.upload("m")
	if v := r.model(name + "@4").GetVersionId(); v != "4" {
		t.Errorf("a new version after deletions is %q: ids are not used again", v)
	}
	list, err := r.models.ListModelVersions(t.Context(), &aiplatformpb.ListModelVersionsRequest{Name: name})
	if err != nil || len(list.GetModels()) != 2 || !strings.HasSuffix(list.GetModels()[1].GetName(), "/models/m@4") {
		t.Errorf("versions: %v, %v", list, err)
	}
}

func TestUpdateModel(t *testing.T) {
	r := newRig(t, 0)
	name := r.upload("m")
	update := func(m *aiplatformpb.Model, paths ...string) (*aiplatformpb.Model, error) {
		return r.models.UpdateModel(t.Context(), &aiplatformpb.UpdateModelRequest{Model: m, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	before := r.model(name)
	got, err := update(&aiplatformpb.Model{Name: name, DisplayName: "new", Description: "ignored", Labels: map[string]string{"a": "model"}, Etag: before.GetEtag()}, "display_name", "labels")
	if err != nil || got.GetDisplayName() != "new" || got.GetDescription() != "" || got.GetLabels()["a"] != "model" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = update(&aiplatformpb.Model{Name: name + "@1", VersionDescription: "first", Labels: map[string]string{"b": "version"}}, "version_description", "labels")
	if err != nil || got.GetVersionDescription() != "first" || got.GetLabels()["a"] != "model" || got.GetLabels()["b"] != "version" {
		t.Errorf("model and version labels are merged on reading: %v, %v", got, err)
	}
	_, err = update(&aiplatformpb.Model{Name: name, DisplayName: "x", Etag: before.GetEtag()}, "display_name")
	refused(t, err, codes.Aborted, "etag")
	_, err = update(&aiplatformpb.Model{Name: name + "@1", DisplayName: "x"}, "display_name")
	refused(t, err, codes.FailedPrecondition, "display_name")
	_, err = update(&aiplatformpb.Model{Name: name}, "version_description")
	refused(t, err, codes.FailedPrecondition, "version_description")
	_, err = update(&aiplatformpb.Model{Name: name, ArtifactUri: "gs://b/"}, "artifact_uri")
	refused(t, err, codes.InvalidArgument, "artifact_uri")
	_, err = update(&aiplatformpb.Model{Name: name})
	refused(t, err, codes.InvalidArgument, "update_mask")
}

func TestModelInUseIsNotDeleted(t *testing.T) {
	r := newRig(t, 0)
	name, endpoint := r.upload("m"), r.create("e")
	r.upload("m", "default")
	r.ok(r.deployRequest(endpoint, name+"@1", "5", nil))
	_, err := r.models.DeleteModel(t.Context(), &aiplatformpb.DeleteModelRequest{Name: name})
	refused(t, err, codes.FailedPrecondition, "endpoints/e")
	_, err = r.models.DeleteModelVersion(t.Context(), &aiplatformpb.DeleteModelVersionRequest{Name: name + "@1"})
	refused(t, err, codes.FailedPrecondition, "endpoints/e")
	if refs := r.model(name + "@1").GetDeployedModels(); len(refs) != 1 || refs[0].GetDeployedModelId() != "5" {
		t.Errorf("deployed_models: %v", refs)
	}
	r.ok(r.undeployRequest(endpoint, "5", nil))
	r.ok(r.models.DeleteModel(t.Context(), &aiplatformpb.DeleteModelRequest{Name: name}))
	r.upload("m") // the id is free again
}

// Every switch that concerns models really switches.
func TestModelSwitches(t *testing.T) {
	t.Run("project-in-names", func(t *testing.T) {
		if name := newNamed(newRig(t, 0)); strings.Contains(name, "test-project") {
			t.Errorf("default: %s has the project's id", name)
		}
		if name := newNamed(newRig(t, 0, "project-in-names=id")); !strings.HasPrefix(name, testParent) {
			t.Errorf("id: %s", name)
		}
	})
	t.Run("container-spec-echo", func(t *testing.T) {
		r := newRig(t, 0, "container-spec-echo=no")
		if m := r.model(r.upload("m")); m.GetContainerSpec() != nil || m.GetArtifactUri() == "" {
			t.Errorf("%v", m)
		}
	})
	t.Run("taken-model-id-code", func(t *testing.T) {
		r := newRig(t, 0, "taken-model-id-code=INVALID_ARGUMENT")
		r.upload("m")
		_, err := r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: testModel()})
		refused(t, err, codes.InvalidArgument, "already exists")
	})
	t.Run("default-alias-after-upload", func(t *testing.T) {
		r := newRig(t, 0, "default-alias-after-upload=moves")
		name := r.upload("m")
		r.upload("m")
		if v := r.model(name).GetVersionId(); v != "2" {
			t.Errorf("default version %s", v)
		}
	})
	t.Run("model-fields-on-new-version", func(t *testing.T) {
		for value, want := range map[string]string{"keep": "sentiment", "replace": "renamed"} {
			r := newRig(t, 0, "model-fields-on-new-version="+value)
			name := r.upload("m")
			m := testModel()
			m.DisplayName = "renamed"
			r.ok(r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ParentModel: name, Model: m}))
			if got := r.model(name).GetDisplayName(); got != want {
				t.Errorf("%s: display name %q, want %q", value, got, want)
			}
		}
	})
	t.Run("ids-reusable-after-delete", func(t *testing.T) {
		r := newRig(t, 0, "ids-reusable-after-delete=after-30s")
		r.ok(r.models.DeleteModel(t.Context(), &aiplatformpb.DeleteModelRequest{Name: r.upload("m")}))
		_, err := r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: testModel()})
		refused(t, err, codes.AlreadyExists, "models/m")
	})
}

func gardenSource(name string) *aiplatformpb.Model_BaseModelSource {
	return &aiplatformpb.Model_BaseModelSource{Source: &aiplatformpb.Model_BaseModelSource_ModelGardenSource{
		ModelGardenSource: &aiplatformpb.ModelGardenSource{PublicModelName: name, VersionId: "v"},
	}}
}

// The source of a model is of a version, and shown or not.
func TestBaseModelSourceIsEchoed(t *testing.T) {
	for _, echo := range []string{"yes", "no"} {
		r := newRig(t, 0, "base-model-source-echo="+echo)
		m := testModel()
		m.BaseModelSource = gardenSource("publishers/google/models/gemma3")
		r.ok(r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: proto.CloneOf(m)}))
		r.upload("m")
		if got := r.model(testParent + "/models/m@1").GetBaseModelSource(); proto.Equal(got, m.GetBaseModelSource()) != (echo == "yes") {
			t.Errorf("%s: read %v", echo, got)
		}
		if got := r.model(testParent + "/models/m@2").GetBaseModelSource(); got != nil {
			t.Errorf("%s: version 2 has %v", echo, got)
		}
	}
}

func newNamed(r *rig) string { return r.model(r.upload("m")).GetName() }

// Every field that an upload takes is there when the model is read; schema URIs
// point elsewhere, as the proto announces.
func TestUploadIsEchoed(t *testing.T) {
	for _, moved := range []bool{true, false} {
		t.Run(map[bool]string{true: "moved", false: "same"}[moved], func(t *testing.T) {
			r := newRig(t, 0, "schema-uri-echo="+map[bool]string{true: "moved", false: "same"}[moved])
			probe := func(action *aiplatformpb.Probe) *aiplatformpb.Probe { action.PeriodSeconds = 5; return action }
			m := testModel()
			m.VersionDescription = "first"
			m.EncryptionSpec = &aiplatformpb.EncryptionSpec{KmsKeyName: testKey}
			m.MetadataSchemaUri, m.Metadata = "gs://b/meta.yaml", structpb.NewStringValue("x")
			m.PredictSchemata = &aiplatformpb.PredictSchemata{InstanceSchemaUri: "gs://b/i.yaml", ParametersSchemaUri: "gs://b/p.yaml", PredictionSchemaUri: "gs://b/o.yaml"}
			m.ContainerSpec = &aiplatformpb.ModelContainerSpec{
				ImageUri: testImage, Command: []string{"serve"}, Args: []string{"--x"}, GrpcPorts: []*aiplatformpb.Port{{ContainerPort: 9000}},
				DeploymentTimeout: durationpb.New(2 * time.Hour), SharedMemorySizeMb: 64,
				StartupProbe:  probe(&aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_Exec{Exec: &aiplatformpb.Probe_ExecAction{Command: []string{"true"}}}}),
				HealthProbe:   probe(&aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_HttpGet{HttpGet: &aiplatformpb.Probe_HttpGetAction{Path: "/h", Port: 80}}}),
				LivenessProbe: probe(&aiplatformpb.Probe{ProbeType: &aiplatformpb.Probe_TcpSocket{TcpSocket: &aiplatformpb.Probe_TcpSocketAction{Port: 80}}}),
			}
			r.ok(r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ModelId: "m", Model: proto.CloneOf(m)}))
			got := r.model(testParent + "/models/m")
			if !proto.Equal(got.GetContainerSpec(), m.GetContainerSpec()) || !proto.Equal(got.GetEncryptionSpec(), m.GetEncryptionSpec()) ||
				!proto.Equal(got.GetMetadata(), m.GetMetadata()) || got.GetVersionDescription() != "first" {
				t.Errorf("read %v", got)
			}
			if uri := got.GetPredictSchemata().GetInstanceSchemaUri(); strings.HasPrefix(uri, "gs://b/") == moved || uri == "" {
				t.Errorf("instance schema %q", uri)
			}
			if uri := got.GetMetadataSchemaUri(); strings.HasPrefix(uri, "gs://b/") == moved || uri == "" {
				t.Errorf("metadata schema %q", uri)
			}

			// A version has the key of its model, whether it is sent or not.
			next := testModel()
			r.ok(r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ParentModel: testParent + "/models/m", Model: next}))
			if key := r.model(testParent + "/models/m@2").GetEncryptionSpec().GetKmsKeyName(); key != testKey {
				t.Errorf("version 2 has the key %q", key)
			}
			next.EncryptionSpec = &aiplatformpb.EncryptionSpec{KmsKeyName: testKey + "2"}
			_, err := r.models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: testParent, ParentModel: testParent + "/models/m", Model: next})
			refused(t, err, codes.InvalidArgument, "not the key of the model")
		})
	}
}
