// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"fmt"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// patch writes fields of an endpoint, unless it has changed since it was read, and
// returns what the server then has.
func (s *Service) patch(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint, paths []string, e *pb.Endpoint) (got *pb.Endpoint, err error) {
	e.Name, e.Etag = have.Name.String(), have.etag
	err = gcp.Retry(ctx, "vertex.endpoints.update", func(ctx context.Context) (err error) {
		got, err = client.UpdateEndpoint(ctx, &pb.UpdateEndpointRequest{Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	})
	return got, err
}

// setTimeout changes how long a prediction may take, which has a call of its own. It
// takes the whole endpoint and refuses other changes, so it gets what was read.
func (s *Service) setTimeout(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint, c EndpointConfig, r Report) error {
	e := proto.CloneOf(have.read)
	e.Name = have.Name.String()
	e.ClientConnectionConfig = c.connection()
	_, err := start(ctx, client, "vertex.endpoints.update", "changing the inference timeout", r, func(ctx context.Context) (*aiplatform.UpdateEndpointLongRunningOperation, error) {
		return client.UpdateEndpointLongRunning(ctx, &pb.UpdateEndpointLongRunningRequest{Endpoint: e})
	})
	return err
}

// run does one step of a roll-out.
func (s *Service) run(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint, do step, r Report) error {
	name := have.Name.String()
	switch do.kind {
	case stepDeploy:
		_, err := start(ctx, client, "vertex.endpoints.deployModel", do.String(), r,
			func(ctx context.Context) (*aiplatform.DeployModelOperation, error) {
				return client.DeployModel(ctx, &pb.DeployModelRequest{Endpoint: name, TrafficSplit: do.split, DeployedModel: deployedModel(do.id, do.key, do.deployment)})
			})
		return describe(err, do)
	case stepAdjust:
		_, err := start(ctx, client, "vertex.endpoints.mutateDeployed", do.String(), r,
			func(ctx context.Context) (*aiplatform.MutateDeployedModelOperation, error) {
				return client.MutateDeployedModel(ctx, &pb.MutateDeployedModelRequest{
					Endpoint: name, DeployedModel: deployedModel(do.id, do.key, do.deployment), UpdateMask: &fieldmaskpb.FieldMask{Paths: do.changes},
				})
			})
		return describe(err, do)
	case stepShift:
		r.progress("%s", do)
		got, err := s.patch(ctx, client, have, []string{"traffic_split"}, &pb.Endpoint{TrafficSplit: do.split})
		if err == nil && !sameSplit(got.GetTrafficSplit(), do.split) {
			return &NoEffectError{do.String(), fmt.Sprintf("the traffic split is %v", got.GetTrafficSplit())}
		}
		return describe(err, do)
	case stepUndeploy:
		_, err := start(ctx, client, "vertex.endpoints.undeployModel", do.String(), r,
			func(ctx context.Context) (*aiplatform.UndeployModelOperation, error) {
				return client.UndeployModel(ctx, &pb.UndeployModelRequest{Endpoint: name, DeployedModelId: do.id})
			})
		if gcp.IsNotFound(err) {
			return nil // gone is gone; an endpoint that is gone shows on the next reading
		}
		return describe(err, do)
	case stepGate: // which needs more than the endpoint: the roll-out does it
	}
	return fmt.Errorf("vertex: step %q cannot be run", do.kind)
}

// NoEffectError means that the server reported a step as done, but the endpoint
// does not show it.
type NoEffectError struct {
	// Step and Shown say what was done, and what is there instead.
	Step, Shown string
}

func (e *NoEffectError) Error() string {
	return fmt.Sprintf("%s was reported as done, but had no lasting effect: %s. The server has undone it, or somebody else is changing the endpoint", e.Step, e.Shown)
}

func describe(err error, do step) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", do, err)
}
