// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"

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

// httpCode is the HTTP status of a REST error, 0 for other errors.
func httpCode(err error) int {
	if api, ok := errors.AsType[*googleapi.Error](err); ok {
		return api.Code
	}
	return 0
}
