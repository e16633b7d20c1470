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

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

// CreateEndpoint creates an endpoint with nothing deployed.
func (s *endpointService) CreateEndpoint(_ context.Context, req *aiplatformpb.CreateEndpointRequest) (*longrunningpb.Operation, error) {
	parent, err := s.parent("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if req.GetEndpoint() == nil {
		return nil, invalid("endpoint is required.")
	}
	in := proto.CloneOf(req.GetEndpoint())
	dropOutputOnly(in.ProtoReflect())
	in.Name, in.Etag = "", ""
	if err := onlyFields("endpoint", in, "display_name", "description", "labels", "dedicated_endpoint_enabled", "traffic_split"); err != nil {
		return nil, err
	}
	if err := validDisplayName("endpoint", in.GetDisplayName()); err != nil {
		return nil, err
	}
	if err := validLabels("endpoint", in.GetLabels()); err != nil {
		return nil, err
	}
	if len(in.GetTrafficSplit()) > 0 {
		return nil, invalid("endpoint.traffic_split must be empty: the endpoint has no deployed models yet.")
	}
	id := req.GetEndpointId()
	if id == "" {
		id = store.NewID()
	} else if !endpointIDPattern.MatchString(id) {
		return nil, invalid("endpoint_id %q is not valid: up to 63 of [a-z0-9-] starting with a letter and ending with a letter or digit, or up to 9 digits without leading zeros.", id)
	}
	name := resource{parent, "endpoints", id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserve(name); err != nil {
		return nil, err
	}
	metadata := &aiplatformpb.CreateEndpointOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.cfg.Operations.Start(operations.Spec{
		Parent: name.String(), Metadata: metadata, Generic: metadata.GetGenericMetadata(),
		Run: func(ctx context.Context, h *operations.Handle) (proto.Message, error) {
			err := h.Sleep(ctx, s.cfg.OperationLatency)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.reserved, name)
			if err != nil {
				return nil, err
			}
			e := &endpoint{name: name, spec: in, created: s.cfg.Clock.Now(), deploying: map[string]*deployed{}, turns: turns{}}
			s.endpoints[name] = e
			s.changed(e, "created")
			return s.endpointProto(e), nil
		},
	}), nil
}

// GetEndpoint returns an endpoint.
func (s *endpointService) GetEndpoint(_ context.Context, req *aiplatformpb.GetEndpointRequest) (*aiplatformpb.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("name", req.GetName())
	if err != nil {
		return nil, err
	}
	return s.endpointProto(e), nil
}

// ListEndpoints lists the endpoints of a location.
func (s *endpointService) ListEndpoints(_ context.Context, req *aiplatformpb.ListEndpointsRequest) (*aiplatformpb.ListEndpointsResponse, error) {
	parent, err := s.parent("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*aiplatformpb.Endpoint
	for _, e := range s.sortedEndpoints() {
		if e.name.parent == parent {
			all = append(all, s.endpointProto(e))
		}
	}
	page, next, err := list(all, query[*aiplatformpb.Endpoint]{
		filter: req.GetFilter(), orderBy: req.GetOrderBy(), idField: "endpoint", pageSize: req.GetPageSize(),
		orderable: []string{"display_name", "create_time", "update_time"},
		pageToken: req.GetPageToken(), readMask: req.GetReadMask(),
		created: func(e *aiplatformpb.Endpoint) time.Time { return e.GetCreateTime().AsTime() },
		updated: func(e *aiplatformpb.Endpoint) time.Time { return e.GetUpdateTime().AsTime() },
	})
	if err != nil {
		return nil, err
	}
	return &aiplatformpb.ListEndpointsResponse{Endpoints: page, NextPageToken: next}, nil
}

// UpdateEndpoint changes the descriptive fields and the traffic split.
func (s *endpointService) UpdateEndpoint(_ context.Context, req *aiplatformpb.UpdateEndpointRequest) (*aiplatformpb.Endpoint, error) {
	in := req.GetEndpoint()
	if in == nil {
		return nil, invalid("endpoint is required.")
	}
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		return nil, invalid("update_mask is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("endpoint.name", in.GetName())
	if err != nil {
		return nil, err
	}
	if in.GetEtag() != "" && in.GetEtag() != e.etag {
		return nil, staleEtag()
	}
	next := e.split
	for _, path := range paths {
		switch path {
		case "display_name":
			err = validDisplayName("endpoint", in.GetDisplayName())
		case "labels":
			err = validLabels("endpoint", in.GetLabels())
		case "traffic_split":
			next, err = newSplit(in.GetTrafficSplit(), e.ids())
		case "description":
		default:
			err = s.immutable(in, path)
		}
		if err != nil {
			return nil, err
		}
	}
	event := "updated"
	for _, path := range paths {
		switch path {
		case "display_name":
			e.spec.DisplayName = in.GetDisplayName()
		case "description":
			e.spec.Description = in.GetDescription()
		case "labels":
			e.spec.Labels = maps.Clone(in.GetLabels())
		case "traffic_split":
			e.setSplit(next)
			event = "split"
		}
	}
	s.changed(e, event)
	return s.endpointProto(e), nil
}

// immutable words why a path cannot be updated.
func (s *Service) immutable(in *aiplatformpb.Endpoint, path string) error {
	if path == "*" {
		return status.Error(codes.Unimplemented, `update_mask "*" is not implemented by the emulator: name the fields.`)
	}
	if !slices.ContainsFunc(fieldNames(in), func(name string) bool { return name == path }) {
		return invalid("update_mask: there is no field %q.", path)
	}
	return status.Errorf(codes.Unimplemented, "Updating endpoint.%s is not implemented by the emulator; display_name, description, labels and traffic_split are.", path)
}

// DeleteEndpoint deletes an endpoint that serves nothing.
func (s *endpointService) DeleteEndpoint(_ context.Context, req *aiplatformpb.DeleteEndpointRequest) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.lookupEndpoint("name", req.GetName())
	if err != nil {
		return nil, err
	}
	precondition := func() error {
		if err := s.still(e); err != nil {
			return err
		}
		if len(e.deployed)+len(e.deploying) > 0 {
			return status.Errorf(codes.FailedPrecondition, "Endpoint %q has deployed or being-deployed models: undeploy them first.", s.show(e.name))
		}
		return nil
	}
	if err := precondition(); err != nil {
		return nil, err
	}
	return s.startDelete(e.name, func() error {
		if err := precondition(); err != nil {
			return err
		}
		delete(s.endpoints, e.name)
		s.deleted[e.name] = s.cfg.Clock.Now()
		s.changed(e, "deleted")
		return nil
	}), nil
}
