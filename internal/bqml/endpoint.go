// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/googleapi"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func (s *Service) endpoint(ctx context.Context, name gcp.Name) (found *aiplatformpb.Endpoint, err error) {
	client, err := s.clients.Endpoints(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	err = gcp.Retry(ctx, "vertex.endpoints.get", func(ctx context.Context) (err error) {
		found, err = client.GetEndpoint(ctx, &aiplatformpb.GetEndpointRequest{Name: name.String()})
		return err
	})
	return found, err
}

// Serving is a deployed model that gets traffic of an endpoint, with the machines that
// it may use.
type Serving struct {
	// Deployment is its display name, which is the key in the deployments of a
	// gcpml_vertex_endpoint_deployment; the id if it has none.
	Deployment string `json:"deployment"`
	Traffic    int32  `json:"traffic"` // in percent
	// Resources is dedicated, automatic or shared, as in the API; the machines of
	// shared ones are those of Pool.
	Resources        string `json:"resources"`
	Pool             string `json:"deployment_resource_pool,omitempty"`
	MachineType      string `json:"machine_type,omitempty"`
	AcceleratorType  string `json:"accelerator_type,omitempty"`
	AcceleratorCount int32  `json:"accelerator_count,omitempty"`
	MinReplicas      int32  `json:"min_replica_count,omitempty"`
	// MaxReplicas is 0 for automatic resources without a bound.
	MaxReplicas int32 `json:"max_replica_count,omitempty"`
	// Available is how many replicas there are; 0 if the server does not tell.
	Available int32 `json:"available_replica_count,omitempty"`
}

// Serving reads which deployed models of an endpoint get traffic, in order of their
// names.
func (s *Service) Serving(ctx context.Context, endpoint gcp.Name) ([]Serving, error) {
	e, err := s.endpoint(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	return servingOf(e), nil
}

func servingOf(e *aiplatformpb.Endpoint) []Serving {
	out := []Serving{}
	for _, d := range e.GetDeployedModels() {
		v := Serving{
			Deployment: cmp.Or(d.GetDisplayName(), d.GetId()), Traffic: e.GetTrafficSplit()[d.GetId()], Available: d.GetStatus().GetAvailableReplicaCount(),
		}
		if v.Traffic == 0 {
			continue
		}
		switch r := d.GetPredictionResources().(type) {
		case *aiplatformpb.DeployedModel_DedicatedResources:
			machine := r.DedicatedResources.GetMachineSpec()
			v.Resources, v.MachineType = "dedicated", machine.GetMachineType()
			if v.AcceleratorCount = machine.GetAcceleratorCount(); v.AcceleratorCount > 0 {
				v.AcceleratorType = machine.GetAcceleratorType().String()
			}
			// "If this value is not provided, will use min_replica_count as the default
			// value" (machine_resources.proto).
			v.MinReplicas = r.DedicatedResources.GetMinReplicaCount()
			v.MaxReplicas = cmp.Or(r.DedicatedResources.GetMaxReplicaCount(), v.MinReplicas)
		case *aiplatformpb.DeployedModel_AutomaticResources:
			v.Resources, v.MinReplicas, v.MaxReplicas = "automatic", r.AutomaticResources.GetMinReplicaCount(), r.AutomaticResources.GetMaxReplicaCount()
		case *aiplatformpb.DeployedModel_SharedResources:
			v.Resources, v.Pool = "shared", r.SharedResources
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Serving) int { return cmp.Compare(a.Deployment, b.Deployment) })
	return out
}

// httpCode is the HTTP status of a REST error, 0 for other errors.
func httpCode(err error) int {
	if api, ok := errors.AsType[*googleapi.Error](err); ok {
		return api.Code
	}
	return 0
}
