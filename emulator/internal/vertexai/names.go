// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// resource is the canonical name of a model, an endpoint or a pool, without a version.
type resource struct {
	parent     string // projects/NUMBER/locations/LOCATION
	collection string // models, endpoints or deploymentResourcePools
	id         string
}

func (r resource) String() string { return r.parent + "/" + r.collection + "/" + r.id }

func (r resource) location() string { return r.parent[strings.LastIndex(r.parent, "/")+1:] }

var locationPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// parent reads projects/P/locations/L and returns it canonically.
func (s *Service) parent(field, name string) (string, error) {
	segments := strings.Split(name, "/")
	if len(segments) != 4 || segments[0] != "projects" || segments[2] != "locations" || !locationPattern.MatchString(segments[3]) {
		return "", status.Errorf(codes.InvalidArgument, "%s %q is not valid: want projects/PROJECT/locations/LOCATION.", field, name)
	}
	canonical, err := s.cfg.Names.Canonical(name)
	if err != nil {
		return "", status.Errorf(codes.InvalidArgument, "%s: %v.", field, err)
	}
	return canonical, nil
}

// resource reads parent/collection/id; for a model, what follows "@" is returned
// apart.
func (s *Service) resource(field, collection, name string) (resource, string, error) {
	segments := strings.Split(name, "/")
	if len(segments) != 6 || segments[4] != collection || segments[5] == "" {
		return resource{}, "", status.Errorf(codes.InvalidArgument,
			"%s %q is not valid: want projects/PROJECT/locations/LOCATION/%s/ID.", field, name, collection)
	}
	parent, err := s.parent(field, strings.Join(segments[:4], "/"))
	if err != nil {
		return resource{}, "", err
	}
	id, version := segments[5], ""
	if collection == "models" {
		id, version, _ = strings.Cut(id, "@")
	}
	return resource{parent: parent, collection: collection, id: id}, version, nil
}

// show is a resource's name as answers carry it.
func (s *Service) show(r resource) string { return s.cfg.Names.Show(r.String()) }

// reserve takes an id for a resource that is being created; s.mu is held.
func (s *Service) reserve(r resource) error {
	_, isModel := s.models[r]
	_, isEndpoint := s.endpoints[r]
	_, isPool := s.pools[r]
	taken := isModel || isEndpoint || isPool || s.reserved[r]
	if freed, ok := s.deleted[r]; ok && s.cfg.Assume.Is(assume.IDsReusable, "after-30s") {
		taken = taken || s.cfg.Clock.Now().Sub(freed) < 30*time.Second
	}
	if !taken {
		s.reserved[r] = true
		return nil
	}
	code := codes.AlreadyExists
	if r.collection == "models" && s.cfg.Assume.Is(assume.TakenModelIDCode, "INVALID_ARGUMENT") {
		code = codes.InvalidArgument
	}
	return status.Errorf(code, "%s already exists.", s.show(r))
}

func notFound(kind, name string) error {
	return status.Errorf(codes.NotFound, "The %s %q is not found.", kind, name)
}
