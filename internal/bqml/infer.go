// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"fmt"
	"strings"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// maxSavedModel bounds the memory that reading a saved_model.pb takes.
const maxSavedModel = 128 << 20

// infer fills in the columns of a model over an endpoint from the signature of what is
// deployed there. What cannot be read is a notice, since a model without columns is what
// an open language model on an endpoint needs.
func (s *Service) infer(ctx context.Context, spec *ModelSpec) (notices []string, err error) {
	if !spec.Custom() || len(spec.Input)+len(spec.Output) > 0 {
		return nil, nil
	}
	input, output, err := s.InferColumns(ctx, spec.Endpoint)
	if gcp.IsInterrupted(ctx, err) {
		return nil, err
	}
	if err != nil {
		notice := "input and output are left out, and they cannot be taken from what is deployed: " + err.Error() +
			". The model was made without them, which is right for an open language or embedding model (AI.GENERATE_TEXT, AI.GENERATE_EMBEDDING) and of no use for ML.PREDICT: for that, write input and output"
		return []string{notice}, nil //nolint:nilerr // the notice tells it
	}
	spec.Input, spec.Output = input, output
	return nil, nil
}

// InferColumns reads the columns of the model that gets most of an endpoint's traffic,
// from the SavedModel in its artifact.
func (s *Service) InferColumns(ctx context.Context, endpoint gcp.Name) (input, output []Column, err error) {
	endpoint = apiName(endpoint)
	e, err := s.endpoint(ctx, endpoint)
	if err != nil {
		return nil, nil, fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	var main *aiplatformpb.DeployedModel
	for _, d := range e.GetDeployedModels() {
		if main == nil || e.GetTrafficSplit()[d.GetId()] > e.GetTrafficSplit()[main.GetId()] {
			main = d
		}
	}
	if main == nil {
		return nil, nil, fmt.Errorf("endpoint %s has no deployed model", endpoint)
	}
	name, err := gcp.ParseName(gcp.KindModel, main.GetModel())
	if err != nil {
		return nil, nil, err
	}
	if v := main.GetModelVersionId(); v != "" {
		name = name.WithVersion(v)
	}
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return nil, nil, err
	}
	var model *aiplatformpb.Model
	err = gcp.Retry(ctx, "vertex.models.get", func(ctx context.Context) (err error) {
		model, err = client.GetModel(ctx, &aiplatformpb.GetModelRequest{Name: name.String()})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("model %s: %w", name, err)
	}
	if model.GetArtifactUri() == "" {
		return nil, nil, fmt.Errorf("model %s has no artifact", name)
	}
	uri := strings.TrimSuffix(model.GetArtifactUri(), "/") + "/saved_model.pb"
	pb, err := s.clients.ReadObject(ctx, uri, maxSavedModel)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", uri, err)
	}
	signature, err := ParseSavedModel(pb)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", uri, err)
	}
	if input, output, err = signature.Columns(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", uri, err)
	}
	return input, output, nil
}
