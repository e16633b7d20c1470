// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Content is what one version of a model holds; it never changes. Its JSON form is
// hashed into labels and aliases of what exists, so a field that is added here is
// left out of it while it is empty.
type Content struct {
	ArtifactURI string
	Container   Container

	Schemata          Schemata `json:",omitzero"`
	MetadataSchemaURI string   `json:",omitempty"`
	Metadata          string   `json:",omitempty"` // JSON in the form of [CanonicalJSON]

	// BaseModel is what the model was made of.
	BaseModel BaseModel `json:",omitzero"`

	// Revision is the user's own word for what is in the artifact, Fingerprint is
	// that of its files. Neither is sent: a change of one makes a new version.
	Revision    string `json:",omitempty"`
	Fingerprint string `json:",omitempty"`
}

// BaseModel is a model of Model Garden; Name is publishers/PUBLISHER/models/MODEL.
type BaseModel struct {
	Name    string `json:",omitempty"`
	Version string `json:",omitempty"`
}

// Schemata are YAML files in Cloud Storage that describe requests and answers.
type Schemata struct {
	InstanceURI   string `json:",omitempty"`
	ParametersURI string `json:",omitempty"`
	PredictionURI string `json:",omitempty"`
}

// Container is what serves a version of a model.
type Container struct {
	ImageURI     string
	Env          []EnvVar // in order: later ones may refer to earlier ones
	Ports        []int32
	PredictRoute string
	HealthRoute  string

	Command           []string      `json:",omitempty"`
	Args              []string      `json:",omitempty"`
	GRPCPorts         []int32       `json:",omitempty"`
	DeploymentTimeout time.Duration `json:",omitempty"`
	SharedMemoryMB    int64         `json:",omitempty"`
	StartupProbe      *Probe        `json:",omitempty"`
	HealthProbe       *Probe        `json:",omitempty"`
	LivenessProbe     *Probe        `json:",omitempty"`
}

// EnvVar is an environment variable of a container.
type EnvVar struct {
	Name, Value string
	// Secret tells that Value is never shown, hashed or read back. SecretVersion
	// changes when it does.
	Secret        bool  `json:",omitempty"`
	SecretVersion int64 `json:",omitempty"`
}

// Probe is how a container is asked whether it is well. At most one of Exec,
// HTTPGet, GRPC and TCPSocket is set; 0 means the default of the API.
type Probe struct {
	Exec      []string   `json:",omitempty"`
	HTTPGet   *HTTPGet   `json:",omitempty"`
	GRPC      *GRPCCheck `json:",omitempty"`
	TCPSocket *TCPSocket `json:",omitempty"`

	PeriodSeconds       int32 `json:",omitempty"`
	TimeoutSeconds      int32 `json:",omitempty"`
	FailureThreshold    int32 `json:",omitempty"`
	SuccessThreshold    int32 `json:",omitempty"`
	InitialDelaySeconds int32 `json:",omitempty"`
}

// HTTPGet is a GET request to the container.
type HTTPGet struct {
	Path    string   `json:",omitempty"`
	Port    int32    `json:",omitempty"`
	Host    string   `json:",omitempty"`
	Scheme  string   `json:",omitempty"`
	Headers []Header `json:",omitempty"`
}

// Header is a header field of a request.
type Header struct{ Name, Value string }

// GRPCCheck asks the standard health service of gRPC.
type GRPCCheck struct {
	Port    int32
	Service string `json:",omitempty"`
}

// TCPSocket opens a connection.
type TCPSocket struct {
	Port int32
	Host string `json:",omitempty"`
}

// Defaults of the API (ModelContainerSpec.ports and Probe, model.proto).
const (
	defaultPort             = 8080
	defaultPeriodSeconds    = 10
	defaultTimeoutSeconds   = 1
	defaultFailureThreshold = 3
	defaultSuccessThreshold = 1
	defaultScheme           = "HTTP"
)

// Same reports whether two containers mean the same. Secrets are compared by name
// and version.
func (c Container) Same(d Container) bool { return reflect.DeepEqual(c.normal(), d.normal()) }

// normal spells a container out: with the defaults of the API, and without secrets.
func (c Container) normal() Container {
	if len(c.Ports) == 0 {
		c.Ports = []int32{defaultPort}
	}
	c.Env = withoutSecrets(c.Env)
	for _, list := range []*[]string{&c.Command, &c.Args} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if len(c.GRPCPorts) == 0 {
		c.GRPCPorts = nil
	}
	for _, probe := range []**Probe{&c.StartupProbe, &c.HealthProbe, &c.LivenessProbe} {
		if *probe != nil {
			p := (*probe).normal()
			*probe = &p
		}
	}
	return c
}

func (p Probe) normal() Probe {
	p.PeriodSeconds = cmp.Or(p.PeriodSeconds, defaultPeriodSeconds)
	p.TimeoutSeconds = cmp.Or(p.TimeoutSeconds, defaultTimeoutSeconds)
	p.FailureThreshold = cmp.Or(p.FailureThreshold, defaultFailureThreshold)
	p.SuccessThreshold = cmp.Or(p.SuccessThreshold, defaultSuccessThreshold)
	if p.HTTPGet != nil {
		get := *p.HTTPGet
		get.Scheme = cmp.Or(get.Scheme, defaultScheme)
		get.Headers = slices.Clone(get.Headers)
		for i, h := range get.Headers {
			get.Headers[i].Name = strings.ToLower(h.Name) // "canonicalized upon output"
		}
		p.HTTPGet = &get
	}
	return p
}

func withoutSecrets(env []EnvVar) []EnvVar {
	var public []EnvVar
	for _, e := range env {
		if e.Secret {
			e.Value = ""
		}
		public = append(public, e)
	}
	return public
}

// public is the content as it may be hashed: the hash of a secret could be guessed
// from.
func (c Content) public() Content {
	c.Container.Env = withoutSecrets(c.Container.Env)
	return c
}

// labelHiddenEnv tells which environment variables hold secrets, by their places in
// the list, so that an import does not bring their values into a state.
const (
	labelHiddenEnv = "gcpml-hidden-env"
	allHidden      = "all"
	longestLabel   = 63
)

func (c Container) hidden() string {
	var places []string
	for i, e := range c.Env {
		if e.Secret {
			places = append(places, strconv.Itoa(i))
		}
	}
	if label := strings.Join(places, "_"); len(label) <= longestLabel {
		return label
	}
	return allHidden
}

// hide drops the values that the label names.
func hide(env []EnvVar, label string) {
	places := strings.Split(label, "_")
	for i := range env {
		if label == allHidden || slices.Contains(places, strconv.Itoa(i)) {
			env[i] = EnvVar{Name: env[i].Name, Secret: true}
		}
	}
}

// CanonicalJSON spells JSON that means the same in the same way.
func CanonicalJSON(text string) (string, error) {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return "", fmt.Errorf("not valid JSON: %w", err)
	}
	b, err := json.Marshal(value)
	return string(b), err
}

// proto returns the fields of a model's message that hold the content.
func (c Content) proto() (*pb.Model, error) {
	m := &pb.Model{ArtifactUri: c.ArtifactURI, ContainerSpec: c.Container.proto(), MetadataSchemaUri: c.MetadataSchemaURI}
	if s := c.Schemata; s != (Schemata{}) {
		m.PredictSchemata = &pb.PredictSchemata{InstanceSchemaUri: s.InstanceURI, ParametersSchemaUri: s.ParametersURI, PredictionSchemaUri: s.PredictionURI}
	}
	if b := c.BaseModel; b != (BaseModel{}) {
		m.BaseModelSource = &pb.Model_BaseModelSource{Source: &pb.Model_BaseModelSource_ModelGardenSource{
			ModelGardenSource: &pb.ModelGardenSource{PublicModelName: b.Name, VersionId: b.Version},
		}}
	}
	if c.Metadata != "" {
		m.Metadata = new(structpb.Value)
		if err := m.GetMetadata().UnmarshalJSON([]byte(c.Metadata)); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	return m, nil
}

func (c Container) proto() *pb.ModelContainerSpec {
	out := &pb.ModelContainerSpec{
		ImageUri: c.ImageURI, Command: c.Command, Args: c.Args, PredictRoute: c.PredictRoute, HealthRoute: c.HealthRoute,
		Ports: portsProto(c.Ports), GrpcPorts: portsProto(c.GRPCPorts), SharedMemorySizeMb: c.SharedMemoryMB,
		StartupProbe: c.StartupProbe.proto(), HealthProbe: c.HealthProbe.proto(), LivenessProbe: c.LivenessProbe.proto(),
	}
	for _, e := range c.Env {
		out.Env = append(out.Env, &pb.EnvVar{Name: e.Name, Value: e.Value})
	}
	if c.DeploymentTimeout != 0 {
		out.DeploymentTimeout = durationpb.New(c.DeploymentTimeout)
	}
	return out
}

func portsProto(ports []int32) (out []*pb.Port) {
	for _, p := range ports {
		out = append(out, &pb.Port{ContainerPort: p})
	}
	return out
}

func (p *Probe) proto() *pb.Probe {
	if p == nil {
		return nil
	}
	out := &pb.Probe{
		PeriodSeconds: p.PeriodSeconds, TimeoutSeconds: p.TimeoutSeconds, FailureThreshold: p.FailureThreshold,
		SuccessThreshold: p.SuccessThreshold, InitialDelaySeconds: p.InitialDelaySeconds,
	}
	switch {
	case p.HTTPGet != nil:
		get := &pb.Probe_HttpGetAction{Path: p.HTTPGet.Path, Port: p.HTTPGet.Port, Host: p.HTTPGet.Host, Scheme: p.HTTPGet.Scheme}
		for _, h := range p.HTTPGet.Headers {
			get.HttpHeaders = append(get.HttpHeaders, &pb.Probe_HttpHeader{Name: h.Name, Value: h.Value})
		}
		out.ProbeType = &pb.Probe_HttpGet{HttpGet: get}
	case p.GRPC != nil:
		out.ProbeType = &pb.Probe_Grpc{Grpc: &pb.Probe_GrpcAction{Port: p.GRPC.Port, Service: p.GRPC.Service}}
	case p.TCPSocket != nil:
		out.ProbeType = &pb.Probe_TcpSocket{TcpSocket: &pb.Probe_TcpSocketAction{Port: p.TCPSocket.Port, Host: p.TCPSocket.Host}}
	default:
		out.ProbeType = &pb.Probe_Exec{Exec: &pb.Probe_ExecAction{Command: p.Exec}}
	}
	return out
}

// readContainer returns what the server gives back; nil if it gives nothing. hidden
// is the label that tells which values are secrets.
func readContainer(c *pb.ModelContainerSpec, hidden string) *Container {
	if c == nil {
		return nil
	}
	out := &Container{
		ImageURI: c.GetImageUri(), Command: c.GetCommand(), Args: c.GetArgs(), PredictRoute: c.GetPredictRoute(), HealthRoute: c.GetHealthRoute(),
		DeploymentTimeout: c.GetDeploymentTimeout().AsDuration(), SharedMemoryMB: c.GetSharedMemorySizeMb(),
		StartupProbe: readProbe(c.GetStartupProbe()), HealthProbe: readProbe(c.GetHealthProbe()), LivenessProbe: readProbe(c.GetLivenessProbe()),
	}
	for _, e := range c.GetEnv() {
		out.Env = append(out.Env, EnvVar{Name: e.GetName(), Value: e.GetValue()})
	}
	if hidden != "" {
		hide(out.Env, hidden)
	}
	for _, p := range c.GetPorts() {
		out.Ports = append(out.Ports, p.GetContainerPort())
	}
	for _, p := range c.GetGrpcPorts() {
		out.GRPCPorts = append(out.GRPCPorts, p.GetContainerPort())
	}
	return out
}

func readProbe(p *pb.Probe) *Probe {
	if p == nil {
		return nil
	}
	out := &Probe{
		PeriodSeconds: p.GetPeriodSeconds(), TimeoutSeconds: p.GetTimeoutSeconds(), FailureThreshold: p.GetFailureThreshold(),
		SuccessThreshold: p.GetSuccessThreshold(), InitialDelaySeconds: p.GetInitialDelaySeconds(),
	}
	switch action := p.GetProbeType().(type) {
	case *pb.Probe_Exec:
		out.Exec = action.Exec.GetCommand()
	case *pb.Probe_HttpGet:
		get := action.HttpGet
		out.HTTPGet = &HTTPGet{Path: get.GetPath(), Port: get.GetPort(), Host: get.GetHost(), Scheme: get.GetScheme()}
		for _, h := range get.GetHttpHeaders() {
			out.HTTPGet.Headers = append(out.HTTPGet.Headers, Header{h.GetName(), h.GetValue()})
		}
	case *pb.Probe_Grpc:
		out.GRPC = &GRPCCheck{Port: action.Grpc.GetPort(), Service: action.Grpc.GetService()}
	case *pb.Probe_TcpSocket:
		out.TCPSocket = &TCPSocket{Port: action.TcpSocket.GetPort(), Host: action.TcpSocket.GetHost()}
	}
	return out
}

func readSchemata(s *pb.PredictSchemata) Schemata {
	return Schemata{InstanceURI: s.GetInstanceSchemaUri(), ParametersURI: s.GetParametersSchemaUri(), PredictionURI: s.GetPredictionSchemaUri()}
}

// readMetadata returns JSON in its canonical form, "" for none.
func readMetadata(v *structpb.Value) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v.AsInterface())
	if err != nil {
		return "" // infinite numbers, which JSON does not have either
	}
	return string(b)
}

// SameKey compares the names of keys; that Google spells the project as a number
// makes no other key.
func SameKey(a, b string) bool {
	const project = 1
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if a == b || len(x) != len(y) || len(x) <= project {
		return a == b
	}
	number := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if number(x[project]) != number(y[project]) {
		x[project] = y[project]
	}
	return slices.Equal(x, y)
}

// versionAlias is the alias that a version of our making carries from its upload
// on. It is made of what the version holds and which one it follows ("" for the
// first), so that an upload whose answer was lost is found, while a return to
// earlier content is a version of its own.
func versionAlias(c Content, from string) string {
	return aliasPrefix + gcp.SpecHash([]any{c.public(), from})
}

const aliasPrefix = "gcpml-"

// UploadedAs reports whether the version with this id, which carries these marks,
// was uploaded by us with this content. An update may have got as far as that
// without the state having learned of it.
func (c Content) UploadedAs(version string, marks []string) bool {
	n, err := strconv.Atoi(version)
	if err != nil || len(marks) == 0 {
		return false
	}
	for from := range n { // whichever version it followed; 0 is for one that was not known
		if slices.Contains(marks, versionAlias(c, strconv.Itoa(from))) {
			return true
		}
	}
	return slices.Contains(marks, versionAlias(c, ""))
}
