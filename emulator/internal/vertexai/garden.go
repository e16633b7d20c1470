// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	betapb "cloud.google.com/go/aiplatform/apiv1beta1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Model Garden's publisher models are data of Google's, of which the emulator has
// none: it serves those that it was started with.

var (
	publisherModelPattern = regexp.MustCompile(`^publishers/[^/@]+/models/[^/@]+$`)
	publisherModelRequest = regexp.MustCompile(`^publishers/([^/@]+)/models/([^/@]+)(?:@([^/@]+))?$`)
)

// ReadPublisherModels reads files that each hold one PublisherModel in JSON, as
// v1beta1's publishers.models.get answers.
func ReadPublisherModels(files []string) ([]*betapb.PublisherModel, error) {
	var all []*betapb.PublisherModel
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // what the user names
		if err != nil {
			return nil, fmt.Errorf("--publisher-model: %w", err)
		}
		m := new(betapb.PublisherModel)
		if err := protojson.Unmarshal(text, m); err != nil {
			return nil, fmt.Errorf("--publisher-model %s: not a PublisherModel in JSON: %w", file, err)
		}
		if !publisherModelPattern.MatchString(m.GetName()) {
			return nil, fmt.Errorf("--publisher-model %s: name %q is not of the form publishers/PUBLISHER/models/MODEL", file, m.GetName())
		}
		if slices.ContainsFunc(all, func(o *betapb.PublisherModel) bool {
			return o.GetName() == m.GetName() && o.GetVersionId() == m.GetVersionId()
		}) {
			return nil, fmt.Errorf("--publisher-model %s: %s@%s is there twice", file, m.GetName(), m.GetVersionId())
		}
		all = append(all, m)
	}
	return all, nil
}

// publisherModel finds a publisher model. Those of Hugging Face are listed with the
// publisher hf-ORGANIZATION and asked for without the prefix.
func (s *Service) publisherModel(name string, huggingFace bool) (*betapb.PublisherModel, error) {
	parts := publisherModelRequest.FindStringSubmatch(name)
	if parts == nil {
		return nil, status.Errorf(codes.InvalidArgument, "name %q is not valid: want publishers/PUBLISHER/models/MODEL, or that with @VERSION.", name)
	}
	publisher, id, version := parts[1], parts[2], parts[3]
	if huggingFace {
		publisher = "hf-" + strings.TrimPrefix(publisher, "hf-")
	}
	wanted := "publishers/" + publisher + "/models/" + id
	for _, m := range slices.Backward(s.cfg.PublisherModels) {
		if m.GetName() == wanted && (version == "" || m.GetVersionId() == version) {
			return m, nil
		}
	}
	return nil, status.Errorf(codes.NotFound,
		"Publisher Model %q is not found. The emulator has none of Google's: it serves those that it is started with, --publisher-model FILE.", name)
}

// GetPublisherModel serves v1beta1, which is what gcloud and Google's SDK read.
func (s *gardenService) GetPublisherModel(_ context.Context, req *betapb.GetPublisherModelRequest) (*betapb.PublisherModel, error) {
	m, err := s.publisherModel(req.GetName(), req.GetIsHuggingFaceModel())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(m), nil
}

// GetPublisherModel serves v1, whose message lacks some fields of v1beta1; those
// that both have bear the same numbers.
func (s *gardenServiceV1) GetPublisherModel(_ context.Context, req *aiplatformpb.GetPublisherModelRequest) (*aiplatformpb.PublisherModel, error) {
	m, err := s.publisherModel(req.GetName(), req.GetIsHuggingFaceModel())
	if err != nil {
		return nil, err
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	out := new(aiplatformpb.PublisherModel)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(wire, out); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return out, nil
}
