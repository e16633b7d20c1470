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
	"google.golang.org/protobuf/types/known/timestamppb"
)

const poolCollection = "deploymentResourcePools"

var poolIDPattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// pool is machines that several deployed models share.
type pool struct {
	name    resource
	spec    *aiplatformpb.DeploymentResourcePool
	created time.Time
}

// lookupPool finds a pool; s.mu is held.
func (s *Service) lookupPool(field, name string) (*pool, error) {
	r, _, err := s.resource(field, poolCollection, name)
	if err != nil {
		return nil, err
	}
	p, ok := s.pools[r]
	if !ok {
		return nil, notFound("deployment resource pool", name)
	}
	return p, nil
}

// poolProto renders a pool; s.mu is held.
func (s *Service) poolProto(p *pool) *aiplatformpb.DeploymentResourcePool {
	out := proto.CloneOf(p.spec)
	out.Name = s.show(p.name)
	out.CreateTime = timestamppb.New(p.created)
	return out
}

// CreateDeploymentResourcePool creates a pool that nothing uses yet.
func (s *poolService) CreateDeploymentResourcePool(_ context.Context, req *aiplatformpb.CreateDeploymentResourcePoolRequest) (*longrunningpb.Operation, error) {
	const path = "deployment_resource_pool"
	parent, err := s.parent("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if !poolIDPattern.MatchString(req.GetDeploymentResourcePoolId()) {
		return nil, invalid("%s_id %q is not valid: up to 63 of [a-z0-9-], starting with a letter and not ending with a hyphen.", path, req.GetDeploymentResourcePoolId())
	}
	name := resource{parent, poolCollection, req.GetDeploymentResourcePoolId()}
	in := proto.CloneOf(req.GetDeploymentResourcePool())
	if in == nil {
		return nil, invalid("%s is required.", path)
	}
	dropOutputOnly(in.ProtoReflect())
	in.Name = ""
	if err := onlyFields(path, in, "dedicated_resources", "encryption_spec", "service_account", "disable_container_logging"); err != nil {
		return nil, err
	}
	if in.GetDedicatedResources() == nil {
		return nil, invalid("%s.dedicated_resources is required.", path)
	}
	if err := validDedicated(path+".dedicated_resources", in.GetDedicatedResources()); err != nil {
		return nil, err
	}
	if err := validKey(path, in.GetEncryptionSpec(), name.location()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserve(name); err != nil {
		return nil, err
	}
	metadata := &aiplatformpb.CreateDeploymentResourcePoolOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.startCreate(name, metadata, func() proto.Message {
		p := &pool{name: name, spec: in, created: s.cfg.Clock.Now()}
		s.pools[name] = p
		return s.poolProto(p)
	}), nil
}

// GetDeploymentResourcePool returns a pool.
func (s *poolService) GetDeploymentResourcePool(_ context.Context, req *aiplatformpb.GetDeploymentResourcePoolRequest) (*aiplatformpb.DeploymentResourcePool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.lookupPool("name", req.GetName())
	if err != nil {
		return nil, err
	}
	return s.poolProto(p), nil
}

// DeleteDeploymentResourcePool deletes a pool that nothing is deployed to.
func (s *poolService) DeleteDeploymentResourcePool(_ context.Context, req *aiplatformpb.DeleteDeploymentResourcePoolRequest) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.lookupPool("name", req.GetName())
	if err != nil {
		return nil, err
	}
	precondition := func() error {
		if s.pools[p.name] != p {
			return notFound("deployment resource pool", req.GetName())
		}
		for _, e := range s.endpoints {
			if all := append(slices.Collect(maps.Values(e.deploying)), e.deployed...); slices.ContainsFunc(all, func(d *deployed) bool { return d.pool == p }) {
				return status.Errorf(codes.FailedPrecondition, "The deployment resource pool %q has models deployed to it, by endpoint %q: undeploy them first.", s.show(p.name), s.show(e.name))
			}
		}
		return nil
	}
	if err := precondition(); err != nil {
		return nil, err
	}
	return s.startDelete(p.name, func() error {
		if err := precondition(); err != nil {
			return err
		}
		delete(s.pools, p.name)
		s.deleted[p.name] = s.cfg.Clock.Now()
		return nil
	}), nil
}

type poolItem struct {
	Name    string `json:"name"` // project by its id
	Project string `json:"project"`
}

// Pools lists the deployment resource pools for the inventory, in order of their
// names.
func (s *Service) Pools() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []any{}
	for _, name := range slices.SortedFunc(maps.Keys(s.pools), compareNames) {
		full := s.cfg.Names.ByID(name.String())
		out = append(out, poolItem{full, strings.Split(full, "/")[1]})
	}
	return out
}
