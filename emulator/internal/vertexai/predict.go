// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"strings"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// maxPredictRequest is the limit for a request to a shared endpoint.
const maxPredictRequest = 1_500_000

// Predict answers with one deployed model, chosen by the traffic split.
func (s *predictionService) Predict(ctx context.Context, req *aiplatformpb.PredictRequest) (*aiplatformpb.PredictResponse, error) {
	return s.predict(ctx, req)
}

func (s *Service) predict(ctx context.Context, req *aiplatformpb.PredictRequest) (*aiplatformpb.PredictResponse, error) {
	if size := proto.Size(req); size > maxPredictRequest {
		return nil, status.Errorf(codes.FailedPrecondition, "The request size (%d bytes) exceeds 1.500MB limit.", size)
	}
	if len(req.GetInstances()) == 0 {
		return nil, invalid("instances is required and must not be empty.")
	}
	d, answer, err := s.choose(req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	predictions, err := d.server.Predict(ctx, req.GetInstances(), req.GetParameters())
	if err != nil {
		return nil, err
	}
	answer.Predictions = predictions
	return answer, nil
}

// choose picks the deployed model whose turn it is and prepares the answer. The
// deployed model can be undeployed right after; its server goes on answering
// what was started.
func (s *Service) choose(name string) (*deployed, *aiplatformpb.PredictResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint", name)
	if err != nil {
		return nil, nil, err
	}
	if e.spec.GetDedicatedEndpointEnabled() {
		return nil, nil, status.Errorf(codes.FailedPrecondition,
			"Dedicated Endpoint cannot be accessed through the shared Vertex AI domain: %q has the domain %s, which the emulator does not serve.",
			s.show(e.name), s.endpointProto(e).GetDedicatedEndpointDns())
	}
	if !e.shared() {
		return nil, nil, status.Errorf(codes.FailedPrecondition, "Endpoint %q is private: it is reached through its own network only, which the emulator does not have.", s.show(e.name))
	}
	if len(e.deployed) == 0 {
		return nil, nil, status.Errorf(codes.FailedPrecondition, "Endpoint %s doesn't have traffic_split: no model is deployed to it.", s.show(e.name))
	}
	d := e.find(e.turns.next(e.split))
	if d == nil {
		return nil, nil, noSplit(s.show(e.name))
	}
	answer := &aiplatformpb.PredictResponse{
		DeployedModelId: d.spec.GetId(), Model: s.show(d.model), ModelVersionId: d.version,
	}
	if m, ok := s.models[d.model]; ok {
		answer.ModelDisplayName = m.displayName
	}
	return d, answer, nil
}

// EndpointInfo is what BigQuery needs to know of an endpoint.
type EndpointInfo struct {
	// Name is the full name as API answers show it.
	Name     string
	Location string
	// Dedicated says that the endpoint answers only on a domain or in a network of
	// its own.
	Dedicated bool
	// Deployed says that at least one model is deployed.
	Deployed bool
}

// Endpoint finds an endpoint by its full name, with the project's id or number.
// The error has the code NOT_FOUND or INVALID_ARGUMENT.
func (s *Service) Endpoint(_ context.Context, name string) (EndpointInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint", strings.TrimSpace(name))
	if err != nil {
		return EndpointInfo{}, err
	}
	return EndpointInfo{
		Name: s.show(e.name), Location: e.name.location(),
		Dedicated: !e.shared(), Deployed: len(e.deployed) > 0,
	}, nil
}

// PredictBatch is Predict for callers in this process: the same path that a
// client's :predict takes, traffic split included.
func (s *Service) PredictBatch(ctx context.Context, endpoint string, instances []*structpb.Value, parameters *structpb.Value) ([]*structpb.Value, error) {
	answer, err := s.predict(ctx, &aiplatformpb.PredictRequest{Endpoint: endpoint, Instances: instances, Parameters: parameters})
	if err != nil {
		return nil, err
	}
	return answer.GetPredictions(), nil
}
