// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/serving"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

// thisModel is the key that means the model being deployed in the traffic split
// of DeployModel.
const thisModel = "0"

// The stages that a deployment passes through before its model server starts.
var stages = []aiplatformpb.DeploymentStage{
	aiplatformpb.DeploymentStage_STARTING_DEPLOYMENT,
	aiplatformpb.DeploymentStage_PREPARING_MODEL,
	aiplatformpb.DeploymentStage_CREATING_SERVING_CLUSTER,
	aiplatformpb.DeploymentStage_ADDING_NODES_TO_CLUSTER,
	aiplatformpb.DeploymentStage_GETTING_CONTAINER_IMAGE,
	aiplatformpb.DeploymentStage_STARTING_MODEL_SERVER,
}

// DeployModel deploys a model version. It starts to serve, and the traffic split
// changes, when the operation completes; if that fails nothing has changed.
func (s *endpointService) DeployModel(_ context.Context, req *aiplatformpb.DeployModelRequest) (*longrunningpb.Operation, error) {
	if req.GetDeployedModel() == nil {
		return nil, invalid("deployed_model is required.")
	}
	spec := proto.CloneOf(req.GetDeployedModel())
	dropOutputOnly(spec.ProtoReflect())
	if err := validDeployedModel(spec); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	m, v, err := s.lookup("deployed_model.model", spec.GetModel())
	if err != nil {
		return nil, err
	}
	shared, err := s.fits(e, spec)
	if err != nil {
		return nil, err
	}
	if spec.GetId() == "" {
		spec.Id = store.NewID()
	}
	if spec.GetDisplayName() == "" {
		spec.DisplayName = m.displayName
	}
	if e.find(spec.GetId()) != nil || e.deploying[spec.GetId()] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Endpoint %q already has a deployed model with the id %q.", s.show(e.name), spec.GetId())
	}
	d := &deployed{spec: spec, model: m.name, version: v.id, pool: shared}
	if _, err := s.splitAfterDeploy(e, d, req.GetTrafficSplit()); err != nil {
		return nil, err
	}
	e.deploying[spec.GetId()] = d
	container := containerOf(e, d, v)
	metadata := &aiplatformpb.DeployModelOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.cfg.Operations.Start(operations.Spec{
		Parent: e.name.String(), Metadata: metadata, Generic: metadata.GetGenericMetadata(),
		Run: func(ctx context.Context, h *operations.Handle) (proto.Message, error) {
			stage := func(st aiplatformpb.DeploymentStage) { h.Update(func() { metadata.DeploymentStage = st }) }
			response, err := s.runDeploy(ctx, h, e, d, container, req.GetTrafficSplit(), stage)
			if err != nil {
				stage(aiplatformpb.DeploymentStage_FAILED_TO_DEPLOY)
				return nil, err
			}
			stage(aiplatformpb.DeploymentStage_SUCCESSFULLY_DEPLOYED)
			return response, nil
		},
	}), nil
}

// fits checks what is to be deployed against its endpoint, and returns the pool of
// machines that it shares, if any; s.mu is held.
func (s *Service) fits(e *endpoint, spec *aiplatformpb.DeployedModel) (*pool, error) {
	if e.spec.GetNetwork() != "" && len(e.deployed)+len(e.deploying) > 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "Endpoint %q is peered with a network and supports only one deployed model.", s.show(e.name))
	}
	if _, shared := spec.GetPredictionResources().(*aiplatformpb.DeployedModel_SharedResources); !shared {
		return nil, nil
	}
	p, err := s.lookupPool("deployed_model.shared_resources", spec.GetSharedResources())
	if err != nil {
		return nil, err
	}
	if p.spec.GetEncryptionSpec().GetKmsKeyName() != e.spec.GetEncryptionSpec().GetKmsKeyName() {
		return nil, invalid("deployed_model.shared_resources: the endpoint %q and the pool %q need to have the same encryption_spec.", s.show(e.name), s.show(p.name))
	}
	return p, nil
}

func (s *endpointService) runDeploy(ctx context.Context, h *operations.Handle, e *endpoint, d *deployed, container serving.Container,
	requested map[string]int32, stage func(aiplatformpb.DeploymentStage),
) (_ proto.Message, err error) {
	defer func() {
		s.mu.Lock()
		delete(e.deploying, d.spec.GetId())
		s.mu.Unlock()
	}()
	for _, st := range stages {
		stage(st)
		if err := h.Sleep(ctx, s.cfg.DeployLatency/time.Duration(len(stages))); err != nil {
			return nil, err
		}
	}
	server, err := s.cfg.Serving.Start(ctx, container)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.still(e); err != nil {
		return nil, err
	}
	if d.pool != nil && s.pools[d.pool.name] != d.pool {
		return nil, notFound("deployment resource pool", d.spec.GetSharedResources())
	}
	next, err := s.splitAfterDeploy(e, d, requested)
	if err != nil {
		return nil, err
	}
	d.server = server
	d.spec.CreateTime = timestamppb.New(s.cfg.Clock.Now())
	e.deployed = append(e.deployed, d)
	e.setSplit(next)
	s.changed(e, "deployed")
	return &aiplatformpb.DeployModelResponse{DeployedModel: s.deployedProto(d)}, nil
}

// splitAfterDeploy is the traffic split that the endpoint has once d is deployed;
// s.mu is held.
func (s *Service) splitAfterDeploy(e *endpoint, d *deployed, requested map[string]int32) (split, error) {
	id := d.spec.GetId()
	if len(requested) == 0 {
		if len(e.deployed) > 0 {
			return e.split, nil
		}
		if s.cfg.Assume.Is(assume.MissingTrafficSplit, "error") {
			return nil, noSplit(s.show(e.name))
		}
		return split{id: 100}, nil
	}
	own := maps.Clone(requested)
	if percentage, ok := own[thisModel]; ok {
		delete(own, thisModel)
		own[id] = percentage
	}
	return newSplit(own, append(e.ids(), id))
}

// containerOf is what the model server of a deployment is asked for.
func containerOf(e *endpoint, d *deployed, v *version) serving.Container {
	route := "/v1/endpoints/" + e.name.id + "/deployedModels/" + d.spec.GetId()
	c := serving.Container{
		ImageURI:     v.spec.GetContainerSpec().GetImageUri(),
		ArtifactURI:  v.spec.GetArtifactUri(),
		PredictRoute: v.spec.GetContainerSpec().GetPredictRoute(),
		HealthRoute:  v.spec.GetContainerSpec().GetHealthRoute(),
	}
	if c.PredictRoute == "" {
		c.PredictRoute = route + ":predict"
	}
	if c.HealthRoute == "" {
		c.HealthRoute = route
	}
	return c
}

// UndeployModel removes a deployed model that carries no traffic, or whose
// traffic the request gives to others. Removing the last one empties the split.
func (s *endpointService) UndeployModel(_ context.Context, req *aiplatformpb.UndeployModelRequest) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	id := req.GetDeployedModelId()
	if id == "" {
		return nil, invalid("deployed_model_id is required.")
	}
	if _, err := s.splitAfterUndeploy(e, id, req.GetTrafficSplit()); err != nil {
		return nil, err
	}
	metadata := &aiplatformpb.UndeployModelOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.cfg.Operations.Start(operations.Spec{
		Parent: e.name.String(), Metadata: metadata, Generic: metadata.GetGenericMetadata(),
		Run: func(ctx context.Context, h *operations.Handle) (proto.Message, error) {
			if err := h.Sleep(ctx, s.cfg.OperationLatency); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := s.still(e); err != nil {
				return nil, err
			}
			next, err := s.splitAfterUndeploy(e, id, req.GetTrafficSplit())
			if err != nil {
				return nil, err
			}
			e.deployed = slices.DeleteFunc(e.deployed, func(d *deployed) bool { return d.spec.GetId() == id })
			e.setSplit(next)
			s.changed(e, "undeployed")
			return &aiplatformpb.UndeployModelResponse{}, nil
		},
	}), nil
}

// splitAfterUndeploy is the traffic split that the endpoint has once the deployed
// model is gone; s.mu is held.
func (s *Service) splitAfterUndeploy(e *endpoint, id string, requested map[string]int32) (split, error) {
	if e.find(id) == nil {
		return nil, status.Errorf(codes.NotFound, "Endpoint %q has no deployed model with the id %q.", s.show(e.name), id)
	}
	if len(e.deployed) == 1 {
		return nil, nil
	}
	next := e.split
	if len(requested) > 0 {
		var err error
		if next, err = newSplit(requested, e.ids()); err != nil {
			return nil, err
		}
	}
	if next[id] > 0 {
		return nil, status.Errorf(codes.FailedPrecondition,
			"The deployed model %q carries %d percent of the traffic of endpoint %q: give its traffic to others, in traffic_split of this call or by UpdateEndpoint.", id, next[id], s.show(e.name))
	}
	next = maps.Clone(next)
	delete(next, id)
	return next, nil
}

// MutateDeployedModel changes the scaling and the container logging of a deployed
// model in place.
func (s *endpointService) MutateDeployedModel(_ context.Context, req *aiplatformpb.MutateDeployedModelRequest) (*longrunningpb.Operation, error) {
	in := req.GetDeployedModel()
	switch {
	case in == nil || in.GetId() == "":
		return nil, invalid("deployed_model.id is required.")
	case len(req.GetUpdateMask().GetPaths()) == 0:
		return nil, invalid("update_mask is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	// mutated is what the deployed model becomes; it is computed again when the
	// operation completes, because others may have changed it meanwhile.
	mutated := func() (*deployed, *aiplatformpb.DeployedModel, error) {
		d := e.find(in.GetId())
		if err := s.still(e); err != nil {
			return nil, nil, err
		}
		if d == nil {
			return nil, nil, status.Errorf(codes.NotFound, "Endpoint %q has no deployed model with the id %q.", s.show(e.name), in.GetId())
		}
		next, err := mutate(d.spec, in, req.GetUpdateMask().GetPaths())
		return d, next, err
	}
	if _, _, err := mutated(); err != nil {
		return nil, err
	}
	metadata := &aiplatformpb.MutateDeployedModelOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.cfg.Operations.Start(operations.Spec{
		Parent: e.name.String(), Metadata: metadata, Generic: metadata.GetGenericMetadata(),
		Run: func(ctx context.Context, h *operations.Handle) (proto.Message, error) {
			if err := h.Sleep(ctx, s.cfg.OperationLatency); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			d, next, err := mutated()
			if err != nil {
				return nil, err
			}
			d.spec = next
			s.changed(e, "mutated")
			return &aiplatformpb.MutateDeployedModelResponse{DeployedModel: s.deployedProto(d)}, nil
		},
	}), nil
}
