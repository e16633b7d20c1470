// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// hashOf is how labels and aliases were made by the first released version: the
// first 10 bytes of SHA-256 of this text.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// What exists is found again by versions that know more fields.
func TestMarksOfTheFirstRelease(t *testing.T) {
	const content = `{"ArtifactURI":"gs://b/1/","Container":{"ImageURI":"image","Env":[{"Name":"A","Value":"1"}],"Ports":[8081],"PredictRoute":"/p","HealthRoute":""}}`
	spec := ModelSpec{
		Name: model("bert", ""), DisplayName: "any", Labels: map[string]string{"any": "any"}, VersionDescription: "any", Aliases: []string{"any"},
		Content: Content{ArtifactURI: "gs://b/1/", Container: Container{ImageURI: "image", Env: []EnvVar{{Name: "A", Value: "1"}}, Ports: []int32{8081}, PredictRoute: "/p"}},
	}
	if got, want := ModelMarker("", spec).Spec, hashOf(`["projects/p/locations/us-central1/models/bert",`+content+`]`); got != want {
		t.Errorf("gcpml-spec is %s, want %s", got, want)
	}
	if got, want := versionAlias(spec.Content, "3"), "gcpml-"+hashOf(`[`+content+`,"3"]`); got != want {
		t.Errorf("the alias is %s, want %s", got, want)
	}
	const plain = `{"ArtifactURI":"","Container":{"ImageURI":"image","Env":null,"Ports":null,"PredictRoute":"","HealthRoute":""}}`
	if got, want := versionAlias(Content{Container: Container{ImageURI: "image"}}, "1"), "gcpml-"+hashOf(`[`+plain+`,"1"]`); got != want {
		t.Errorf("the alias is %s, want %s", got, want)
	}
}

// everything is a content with every field.
func everything() Content {
	return Content{
		ArtifactURI: "gs://b/1/", Revision: "r1", Fingerprint: "f1", Metadata: `{"a":[1,null,"x"]}`, MetadataSchemaURI: "gs://b/m.yaml",
		Schemata: Schemata{"gs://b/i.yaml", "gs://b/p.yaml", "gs://b/o.yaml"}, BaseModel: BaseModel{"publishers/google/models/gemma3", "gemma-3-1b-it"},
		Container: Container{
			ImageURI: "image", Env: []EnvVar{{Name: "A", Value: "1"}, {Name: "KEY", Value: "hush", Secret: true, SecretVersion: 1}}, Ports: []int32{1}, PredictRoute: "/p", HealthRoute: "/h",
			Command: []string{"c"}, Args: []string{"a"}, GRPCPorts: []int32{2}, DeploymentTimeout: time.Hour, SharedMemoryMB: 3,
			StartupProbe:  &Probe{Exec: []string{"true"}, PeriodSeconds: 1, TimeoutSeconds: 2, FailureThreshold: 3, SuccessThreshold: 4, InitialDelaySeconds: 5},
			HealthProbe:   &Probe{HTTPGet: &HTTPGet{Path: "/x", Port: 4, Host: "h", Scheme: "HTTPS", Headers: []Header{{"N", "v"}}}},
			LivenessProbe: &Probe{GRPC: &GRPCCheck{Port: 5, Service: "s"}},
		},
	}
}

// Each field makes another version, except for the value of a secret, from whose
// hash it could be guessed.
func TestEveryFieldIsHashed(t *testing.T) {
	base := versionAlias(everything(), "1")
	for name, change := range map[string]func(*Content){
		"artifact":     func(c *Content) { c.ArtifactURI = "gs://b/2/" },
		"revision":     func(c *Content) { c.Revision = "r2" },
		"fingerprint":  func(c *Content) { c.Fingerprint = "f2" },
		"metadata":     func(c *Content) { c.Metadata = `{}` },
		"schema":       func(c *Content) { c.MetadataSchemaURI = "" },
		"schemata":     func(c *Content) { c.Schemata.PredictionURI = "" },
		"base":         func(c *Content) { c.BaseModel.Name = "publishers/google/models/gemma2" },
		"base version": func(c *Content) { c.BaseModel.Version = "" },
		"command":      func(c *Content) { c.Container.Command = nil },
		"args":         func(c *Content) { c.Container.Args = []string{"b"} },
		"grpc":         func(c *Content) { c.Container.GRPCPorts = nil },
		"timeout":      func(c *Content) { c.Container.DeploymentTimeout++ },
		"memory":       func(c *Content) { c.Container.SharedMemoryMB++ },
		"startup":      func(c *Content) { c.Container.StartupProbe = nil },
		"health":       func(c *Content) { c.Container.HealthProbe = &Probe{TCPSocket: &TCPSocket{Port: 1}} },
		"liveness":     func(c *Content) { c.Container.LivenessProbe = &Probe{GRPC: &GRPCCheck{Port: 6, Service: "s"}} },
		"secret named": func(c *Content) { c.Container.Env[1].Name = "KEY2" },
		"secret's turn": func(c *Content) {
			c.Container.Env[1].SecretVersion = 2
		},
		"no secret": func(c *Content) { c.Container.Env[1].Secret = false },
	} {
		c := everything()
		change(&c)
		if versionAlias(c, "1") == base {
			t.Errorf("%s: the same version", name)
		}
	}
	c := everything()
	c.Container.Env[1].Value = "other"
	if versionAlias(c, "1") != base {
		t.Error("a secret is hashed")
	}
}

// What is sent and echoed is the same; secrets that the label names are dropped.
func TestContentThroughTheWire(t *testing.T) {
	c := everything()
	sent, err := c.proto()
	if err != nil {
		t.Fatal(err)
	}
	if sent.GetContainerSpec().GetEnv()[1].GetValue() != "hush" || sent.GetContainerSpec().GetDeploymentTimeout().GetSeconds() != 3600 ||
		sent.GetMetadata().GetStructValue().GetFields()["a"].GetListValue().GetValues()[0].GetNumberValue() != 1 {
		t.Errorf("sent %v", sent)
	}
	sent.Labels = map[string]string{labelHiddenEnv: c.Container.hidden()}
	got := readModel(sent, model("bert", ""))
	if !reflect.DeepEqual(got.Container.Env, []EnvVar{{Name: "A", Value: "1"}, {Name: "KEY", Secret: true}}) {
		t.Errorf("environment %v", got.Container.Env)
	}
	got.Container.Env = c.Container.Env
	if !got.Container.Same(c.Container) || got.Schemata != c.Schemata || got.Metadata != c.Metadata || got.MetadataSchemaURI != c.MetadataSchemaURI || got.BaseModel != c.BaseModel {
		t.Errorf("read %+v", got)
	}
	sent.GetContainerSpec().LivenessProbe = &pb.Probe{ProbeType: &pb.Probe_TcpSocket{TcpSocket: &pb.Probe_TcpSocketAction{Port: 7, Host: "h"}}}
	if p := readModel(sent, model("bert", "")).Container.LivenessProbe; *p.TCPSocket != (TCPSocket{7, "h"}) {
		t.Errorf("probe %+v", p)
	}
}

// The defaults are those of Probe and ModelContainerSpec in model.proto.
func TestSameContainer(t *testing.T) {
	c := Container{ImageURI: "image", HealthProbe: &Probe{HTTPGet: &HTTPGet{Path: "/", Headers: []Header{{"X-Any", "v"}}}}}
	spelled := c.proto()
	spelled.Ports = []*pb.Port{{ContainerPort: 8080}}
	probe := spelled.GetHealthProbe()
	probe.PeriodSeconds, probe.TimeoutSeconds, probe.FailureThreshold, probe.SuccessThreshold = 10, 1, 3, 1
	probe.GetHttpGet().Scheme = "HTTP"
	probe.GetHttpGet().HttpHeaders[0].Name = "x-any"
	if !readContainer(spelled, "").Same(c) {
		t.Error("the defaults, spelled out, are a difference")
	}
	for name, change := range map[string]func(*pb.ModelContainerSpec){
		"port":    func(c *pb.ModelContainerSpec) { c.Ports[0].ContainerPort = 1 },
		"period":  func(c *pb.ModelContainerSpec) { c.HealthProbe.PeriodSeconds = 11 },
		"scheme":  func(c *pb.ModelContainerSpec) { c.GetHealthProbe().GetHttpGet().Scheme = "HTTPS" },
		"timeout": func(c *pb.ModelContainerSpec) { c.DeploymentTimeout = durationpb.New(time.Second) },
		"command": func(c *pb.ModelContainerSpec) { c.Command = []string{"x"} },
	} {
		other := proto.CloneOf(spelled)
		change(other)
		if readContainer(other, "").Same(c) {
			t.Errorf("%s: no difference", name)
		}
	}
	secret := func(version int64, value string) Container {
		return Container{ImageURI: "image", Env: []EnvVar{{Name: "KEY", Value: value, Secret: true, SecretVersion: version}}}
	}
	if !secret(1, "a").Same(secret(1, "b")) || secret(1, "a").Same(secret(2, "a")) {
		t.Error("secrets are to be compared by their version")
	}
}

func TestHiddenEnv(t *testing.T) {
	var c Container
	for i := range 40 {
		c.Env = append(c.Env, EnvVar{Name: "N", Value: "v", Secret: i%2 == 1})
	}
	if label := c.hidden(); len(label) > 63 {
		t.Errorf("a label of %d characters: %s", len(label), label)
	}
	c.Env = c.Env[:4]
	if label := c.hidden(); label != "1_3" {
		t.Errorf("label %q", label)
	}
	hide(c.Env, "1_3")
	if c.Env[0].Value != "v" || c.Env[1].Value != "" || c.Env[3].Value != "" {
		t.Errorf("%v", c.Env)
	}
	if hide(c.Env, allHidden); c.Env[0].Value != "" {
		t.Errorf("%v", c.Env)
	}
}

func TestSameKey(t *testing.T) {
	const key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
	number := strings.Replace(key, "/p/", "/123/", 1)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{key, key, true}, {"", "", true}, {key, number, true}, {number, key, true}, {key, key + "2", false}, {key, "", false},
		{key, strings.Replace(key, "/p/", "/q/", 1), false}, {number, strings.Replace(number, "123", "124", 1), false},
	} {
		if SameKey(c.a, c.b) != c.want {
			t.Errorf("SameKey(%q, %q) is not %v", c.a, c.b, c.want)
		}
	}
	spec := bert("gs://b/1/")
	before := spec.Hash()
	if spec.KMSKey = key; spec.Hash() == before {
		t.Error("a model with a key is marked as one without")
	}
	if got, want := spec.Hash(), gcp.SpecHash([]any{spec.Name.String(), spec.Content, key}); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

// What an interrupted update uploaded is known by its marks, whichever version it
// followed; other content is not, nor are versions of others.
func TestUploadedAs(t *testing.T) {
	c := everything()
	other := everything()
	other.ArtifactURI = "gs://bucket/other/"
	marks := []string{versionAlias(c, "2")}
	for name, got := range map[string]struct{ is, want bool }{
		"after version 2":        {c.UploadedAs("3", marks), true},
		"the first":              {c.UploadedAs("1", []string{versionAlias(c, "")}), true},
		"of an unknown state":    {c.UploadedAs("3", []string{versionAlias(c, "0")}), true},
		"before what it follows": {c.UploadedAs("2", marks), false},
		"other content":          {other.UploadedAs("3", marks), false},
		"not ours":               {c.UploadedAs("3", nil), false},
	} {
		if got.is != got.want {
			t.Errorf("%s: %t", name, got.is)
		}
	}
}
