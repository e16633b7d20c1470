// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexai is Vertex AI's Model, Endpoint, DeploymentResourcePool,
// Prediction and Model Garden services, each behind the official generated gRPC
// interface. It keeps models with their versions, and endpoints with their deployed models and traffic split, in
// memory. What changes them goes through long-running operations; an effect is
// applied, all at once, when its operation completes.
package vertexai

import (
	"sync"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	betapb "cloud.google.com/go/aiplatform/apiv1beta1/aiplatformpb"
	"google.golang.org/grpc"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/serving"
)

// Config is what the services need.
type Config struct {
	Clock      clock.Clock
	Assume     assume.Set
	Names      project.Names
	Operations *operations.Manager
	Serving    *serving.Catalog
	Timeline   *inventory.Timeline
	// OperationLatency is how long an operation takes; DeployLatency, if not 0,
	// how long a deployment takes.
	OperationLatency time.Duration
	DeployLatency    time.Duration
	// PublisherModels are what Model Garden has; a later one of a name is its newest
	// version.
	PublisherModels []*betapb.PublisherModel
}

// Service holds the state of the services.
type Service struct {
	cfg Config

	// mu guards everything below. Effects are applied under it, so they are
	// serialised and nobody sees a half-applied one.
	mu        sync.Mutex
	models    map[resource]*model
	endpoints map[resource]*endpoint
	pools     map[resource]*pool
	// reserved are the ids whose create operation runs.
	reserved map[resource]bool
	// deleted remembers when an id was freed (switch ids-reusable-after-delete).
	deleted map[resource]time.Time
}

// New returns services without models and endpoints.
func New(cfg Config) *Service {
	if cfg.DeployLatency == 0 {
		cfg.DeployLatency = cfg.OperationLatency
	}
	return &Service{
		cfg:       cfg,
		models:    map[resource]*model{},
		endpoints: map[resource]*endpoint{},
		pools:     map[resource]*pool{},
		reserved:  map[resource]bool{},
		deleted:   map[resource]time.Time{},
	}
}

// Register adds the services to a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	aiplatformpb.RegisterModelServiceServer(r, &modelService{Service: s})
	aiplatformpb.RegisterEndpointServiceServer(r, &endpointService{Service: s})
	aiplatformpb.RegisterDeploymentResourcePoolServiceServer(r, &poolService{Service: s})
	aiplatformpb.RegisterPredictionServiceServer(r, &predictionService{Service: s})
	aiplatformpb.RegisterModelGardenServiceServer(r, &gardenServiceV1{Service: s})
	betapb.RegisterModelGardenServiceServer(r, &gardenService{Service: s})
}

type modelService struct {
	aiplatformpb.UnimplementedModelServiceServer
	*Service
}

type endpointService struct {
	aiplatformpb.UnimplementedEndpointServiceServer
	*Service
}

type poolService struct {
	aiplatformpb.UnimplementedDeploymentResourcePoolServiceServer
	*Service
}

type predictionService struct {
	aiplatformpb.UnimplementedPredictionServiceServer
	*Service
}

type gardenService struct {
	betapb.UnimplementedModelGardenServiceServer
	*Service
}

type gardenServiceV1 struct {
	aiplatformpb.UnimplementedModelGardenServiceServer
	*Service
}
