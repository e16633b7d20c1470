// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

var notInDatasets = regexp.MustCompile(`[^A-Za-z0-9_]`)

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
	location := parent[strings.LastIndex(parent, "/")+1:]
	if err := validEndpoint(in, location); err != nil {
		return nil, err
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
	return s.startCreate(name, metadata, func() proto.Message {
		e := &endpoint{name: name, spec: in, created: s.cfg.Clock.Now(), deploying: map[string]*deployed{}, turns: turns{}}
		in.PredictRequestResponseLoggingConfig = s.logging(e, in.GetPredictRequestResponseLoggingConfig())
		s.endpoints[name] = e
		s.changed(e, "created")
		return s.endpointProto(e)
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

// UpdateEndpoint changes the descriptive fields, the logging of requests, the projects
// of Private Service Connect and the traffic split.
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
	in = proto.CloneOf(in)
	dropOutputOnly(in.ProtoReflect())
	next := e.split
	for _, path := range paths {
		switch path {
		case "display_name":
			err = validDisplayName("endpoint", in.GetDisplayName())
		case "labels":
			err = validLabels("endpoint", in.GetLabels())
		case "traffic_split":
			next, err = newSplit(in.GetTrafficSplit(), e.ids())
		case "predict_request_response_logging_config":
			err = validRequestLogging("endpoint", in.GetPredictRequestResponseLoggingConfig())
		case "private_service_connect_config":
			err = s.validChange(e, in.GetPrivateServiceConnectConfig())
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
		case "predict_request_response_logging_config":
			e.spec.PredictRequestResponseLoggingConfig = s.logging(e, in.GetPredictRequestResponseLoggingConfig())
		case "private_service_connect_config":
			e.spec.PrivateServiceConnectConfig = proto.CloneOf(in.GetPrivateServiceConnectConfig())
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
	return status.Errorf(codes.Unimplemented, "Updating endpoint.%s is not implemented by the emulator; display_name, description, labels, traffic_split, predict_request_response_logging_config and private_service_connect_config are.", path)
}

// validChange checks a change of Private Service Connect, which can be switched neither
// on nor off.
func (s *Service) validChange(e *endpoint, psc *aiplatformpb.PrivateServiceConnectConfig) error {
	if psc.GetEnablePrivateServiceConnect() != e.spec.GetPrivateServiceConnectConfig().GetEnablePrivateServiceConnect() {
		return invalid("endpoint.private_service_connect_config.enable_private_service_connect of %q cannot be changed.", s.show(e.name))
	}
	return validPrivateServiceConnect("endpoint", psc)
}

// logging is a configuration of request logging as it is read afterwards.
func (s *Service) logging(e *endpoint, c *aiplatformpb.PredictRequestResponseLoggingConfig) *aiplatformpb.PredictRequestResponseLoggingConfig {
	out := proto.CloneOf(c)
	if to := out.GetBigqueryDestination(); to != nil && s.cfg.Assume.Is(assume.LoggingDestination, "expanded") {
		if !strings.Contains(to.GetOutputUri(), ".") {
			to.OutputUri += ".logging_" + notInDatasets.ReplaceAllString(e.spec.GetDisplayName(), "_") + "_" + notInDatasets.ReplaceAllString(e.name.id, "_")
		}
		if strings.Count(to.GetOutputUri(), ".") == 1 {
			to.OutputUri += ".request_response_logging"
		}
	}
	return out
}

// UpdateEndpointLongRunning changes client_connection_config, and nothing else.
func (s *endpointService) UpdateEndpointLongRunning(_ context.Context, req *aiplatformpb.UpdateEndpointLongRunningRequest) (*longrunningpb.Operation, error) {
	in := proto.CloneOf(req.GetEndpoint())
	if in == nil {
		return nil, invalid("endpoint is required.")
	}
	if err := validClientConnection("endpoint", in.GetClientConnectionConfig()); err != nil {
		return nil, err
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
	if field := s.differs(e, in); field != "" {
		return nil, invalid("UpdateEndpointLongRunning updates only client_connection_config: endpoint.%s must not differ from what it is.", field)
	}
	metadata := &aiplatformpb.UpdateEndpointOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
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
			e.spec.ClientConnectionConfig = in.GetClientConnectionConfig()
			s.changed(e, "updated")
			return s.endpointProto(e), nil
		},
	}), nil
}

// differs names a field that a whole endpoint sets to something else than it is, apart
// from client_connection_config; "" when there is none. s.mu is held.
func (s *Service) differs(e *endpoint, in *aiplatformpb.Endpoint) (field string) {
	wanted, is := proto.CloneOf(in), s.endpointProto(e)
	dropOutputOnly(wanted.ProtoReflect())
	dropOutputOnly(is.ProtoReflect())
	wanted.ClientConnectionConfig, wanted.Name, wanted.Etag = nil, "", ""
	wanted.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !v.Equal(is.ProtoReflect().Get(fd)) {
			field = string(fd.Name())
		}
		return field == ""
	})
	return field
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
