// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"slices"
	"strings"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// EndpointConfig is how an endpoint is reached, and what it does besides predicting.
// The zero value is an endpoint on the domain that all share.
type EndpointConfig struct {
	// KMSKey encrypts the endpoint and what is deployed to it. It never changes.
	KMSKey string
	// At most one of Network, Connect.Enabled and Dedicated is set; which never changes.
	Network   string // to peer with, projects/{}/global/networks/{}
	Connect   Connect
	Dedicated bool // a domain of its own

	RequestLogging RequestLogging
	// InferenceTimeout is how long a prediction may take; 0 leaves it as it is.
	InferenceTimeout time.Duration
}

// Connect is Private Service Connect.
type Connect struct {
	Enabled bool
	// Projects may connect.
	Projects []string
	// Automation is where Google makes the connecting side, too.
	Automation []Automation
}

// Automation is a network in which Google makes a connection to the endpoint.
type Automation struct{ Project, Network string }

// RequestLogging is what becomes of requests and responses.
type RequestLogging struct {
	Enabled bool
	// SamplingRate is the part of them that is logged, more than 0 and up to 1.
	SamplingRate float64
	// Destination is bq://PROJECT, with a dataset and a table or without; Google makes
	// what is left out. "" leaves all to it.
	Destination string
}

// Same reports whether what the server has is what was wanted.
func (want RequestLogging) Same(have RequestLogging) bool {
	if !want.Enabled || !have.Enabled {
		return want.Enabled == have.Enabled
	}
	return want.SamplingRate == have.SamplingRate && want.SameDestination(have)
}

// SameDestination reports whether requests go where they are wanted, perhaps to a
// dataset and a table that were made for it.
func (want RequestLogging) SameDestination(have RequestLogging) bool {
	return want.Destination == "" || have.Destination == want.Destination || strings.HasPrefix(have.Destination, want.Destination+".")
}

// same compares lists whose order does not matter.
func (c Connect) same(o Connect) bool {
	pairs := func(c Connect) (out []string) {
		for _, a := range c.Automation {
			out = append(out, a.Project+" "+a.Network)
		}
		return sorted(out)
	}
	return slices.Equal(sorted(c.Projects), sorted(o.Projects)) && slices.Equal(pairs(c), pairs(o))
}

// fixed is what cannot change, for the mark on an endpoint; nil for the zero value.
func (c EndpointConfig) fixed() (parts []any) {
	if c.KMSKey != "" {
		parts = append(parts, []any{"kms_key", c.KMSKey})
	}
	if c.Network != "" {
		parts = append(parts, []any{"network", withoutProject(c.Network)})
	}
	if c.Connect.Enabled {
		parts = append(parts, "private_service_connect")
	}
	if c.Dedicated {
		parts = append(parts, "dedicated")
	}
	return parts
}

// changes are the fields that differ and can be patched, as paths of an update mask.
// Both are to be canonical.
func (c EndpointConfig) changes(have EndpointConfig) (paths []string) {
	if !c.RequestLogging.Same(have.RequestLogging) {
		paths = append(paths, "predict_request_response_logging_config")
	}
	if c.Connect.Enabled && have.Connect.Enabled && !c.Connect.same(have.Connect) {
		paths = append(paths, "private_service_connect_config")
	}
	return paths
}

// canonical spells projects in the same way wherever that is known.
func (c EndpointConfig) canonical(path func(string) string) EndpointConfig {
	project := func(p string) string { return strings.TrimPrefix(path("projects/"+p), "projects/") }
	c.Network = path(c.Network)
	c.Connect.Projects = slices.Clone(c.Connect.Projects)
	for i, p := range c.Connect.Projects {
		c.Connect.Projects[i] = project(p)
	}
	c.Connect.Automation = slices.Clone(c.Connect.Automation)
	for i, a := range c.Connect.Automation {
		c.Connect.Automation[i] = Automation{project(a.Project), path(a.Network)}
	}
	return c
}

// into writes the configuration into an endpoint that is to be made or changed.
func (c EndpointConfig) into(e *pb.Endpoint) *pb.Endpoint {
	e.Network, e.DedicatedEndpointEnabled = c.Network, c.Dedicated
	if c.KMSKey != "" {
		e.EncryptionSpec = &pb.EncryptionSpec{KmsKeyName: c.KMSKey}
	}
	if c.Connect.Enabled {
		e.PrivateServiceConnectConfig = &pb.PrivateServiceConnectConfig{EnablePrivateServiceConnect: true, ProjectAllowlist: c.Connect.Projects}
		for _, a := range c.Connect.Automation {
			e.PrivateServiceConnectConfig.PscAutomationConfigs = append(e.PrivateServiceConnectConfig.PscAutomationConfigs,
				&pb.PSCAutomationConfig{ProjectId: a.Project, Network: a.Network})
		}
	}
	if l := c.RequestLogging; l != (RequestLogging{}) {
		e.PredictRequestResponseLoggingConfig = &pb.PredictRequestResponseLoggingConfig{Enabled: l.Enabled, SamplingRate: l.SamplingRate}
		if l.Destination != "" {
			e.PredictRequestResponseLoggingConfig.BigqueryDestination = &pb.BigQueryDestination{OutputUri: l.Destination}
		}
	}
	e.ClientConnectionConfig = c.connection()
	return e
}

func (c EndpointConfig) connection() *pb.ClientConnectionConfig {
	if c.InferenceTimeout == 0 {
		return nil
	}
	return &pb.ClientConnectionConfig{InferenceTimeout: durationpb.New(c.InferenceTimeout)}
}

func configOf(e *pb.Endpoint) EndpointConfig {
	connect, logging := e.GetPrivateServiceConnectConfig(), e.GetPredictRequestResponseLoggingConfig()
	c := EndpointConfig{
		KMSKey: e.GetEncryptionSpec().GetKmsKeyName(), Network: e.GetNetwork(), Dedicated: e.GetDedicatedEndpointEnabled(),
		Connect:          Connect{Enabled: connect.GetEnablePrivateServiceConnect(), Projects: connect.GetProjectAllowlist()},
		RequestLogging:   RequestLogging{logging.GetEnabled(), logging.GetSamplingRate(), logging.GetBigqueryDestination().GetOutputUri()},
		InferenceTimeout: e.GetClientConnectionConfig().GetInferenceTimeout().AsDuration(),
	}
	for _, a := range connect.GetPscAutomationConfigs() {
		c.Connect.Automation = append(c.Connect.Automation, Automation{a.GetProjectId(), a.GetNetwork()})
	}
	return c
}

// pathSpelling returns what spells the project of a name projects/{}/… as in asked when
// both are known to be the same project: number is how the server spells that of asked.
func (s *Service) pathSpelling(ctx context.Context, asked gcp.Name, number string) func(string) string {
	return func(name string) string {
		rest, ok := strings.CutPrefix(name, "projects/")
		if !ok {
			return name
		}
		project, _, _ := strings.Cut(rest, "/")
		spelled := project
		if project == number {
			spelled = asked.Project
		}
		if id, err := s.clients.ProjectID(ctx, spelled); err == nil {
			spelled = id
		}
		return "projects/" + spelled + strings.TrimPrefix(rest, project)
	}
}
