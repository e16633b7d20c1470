// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

// UploadModel creates a model, or a version of parent_model.
func (s *modelService) UploadModel(_ context.Context, req *aiplatformpb.UploadModelRequest) (*longrunningpb.Operation, error) {
	parent, err := s.parent("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if err := onlyFields("request", req, "parent", "parent_model", "model_id", "model", "service_account"); err != nil {
		return nil, err
	}
	if req.GetModel() == nil {
		return nil, invalid("model is required.")
	}
	in := proto.CloneOf(req.GetModel())
	dropOutputOnly(in.ProtoReflect())
	in.Name, in.Etag = "", ""
	if err := onlyFields("model", in, "display_name", "description", "version_description", "version_aliases", "labels",
		"artifact_uri", "container_spec", "predict_schemata", "metadata_schema_uri", "metadata", "base_model_source", "encryption_spec"); err != nil {
		return nil, err
	}
	if err := validModel(in); err != nil {
		return nil, err
	}
	if err := validModelKey("model", parent, in.GetEncryptionSpec()); err != nil {
		return nil, err
	}
	if req.GetParentModel() != "" {
		return s.uploadVersion(parent, req, in)
	}
	id := req.GetModelId()
	if id == "" {
		id = store.NewID()
	} else if !modelIDPattern.MatchString(id) {
		return nil, invalid("model_id %q is not valid: up to 63 of [a-z0-9_-], not starting with a digit or hyphen.", id)
	}
	name := resource{parent, "models", id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserve(name); err != nil {
		return nil, err
	}
	m := &model{name: name}
	versionID := m.nextVersion()
	return s.startUpload(name, func() (*version, error) {
		now := s.cfg.Clock.Now()
		m.displayName, m.description, m.labels = in.GetDisplayName(), in.GetDescription(), in.GetLabels()
		m.created, m.updated, m.etag, m.key = now, now, store.NewEtag(), in.GetEncryptionSpec()
		v := s.addVersion(m, versionID, in, now)
		v.labels = nil
		m.give(defaultAlias, v)
		s.models[name] = m
		return v, nil
	}), nil
}

func (s *modelService) uploadVersion(parent string, req *aiplatformpb.UploadModelRequest, in *aiplatformpb.Model) (*longrunningpb.Operation, error) {
	if req.GetModelId() != "" {
		return nil, invalid("model_id and parent_model exclude each other: a new version has the id of its model.")
	}
	name, at, err := s.resource("parent_model", "models", req.GetParentModel())
	if err != nil {
		return nil, err
	}
	if at != "" || name.parent != parent {
		return nil, invalid("parent_model %q is not valid: want a model of %s without a version.", req.GetParentModel(), req.GetParent())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.models[name]
	if !ok {
		return nil, notFound("model", req.GetParentModel())
	}
	if key := in.GetEncryptionSpec(); key != nil && key.GetKmsKeyName() != m.key.GetKmsKeyName() {
		return nil, invalid("model.encryption_spec.kms_key_name %q is not the key of the model, %q, which secures all of its versions.", key.GetKmsKeyName(), m.key.GetKmsKeyName())
	}
	versionID := m.nextVersion()
	return s.startUpload(name, func() (*version, error) {
		if s.models[name] != m {
			return nil, notFound("model", req.GetParentModel())
		}
		now := s.cfg.Clock.Now()
		m.updated, m.etag = now, store.NewEtag()
		if s.cfg.Assume.Is(assume.NewVersionFields, "replace") {
			m.displayName, m.description = in.GetDisplayName(), in.GetDescription()
		}
		v := s.addVersion(m, versionID, in, now)
		if len(in.GetVersionAliases()) == 0 && s.cfg.Assume.Is(assume.DefaultAliasOnUpload, "moves") {
			m.give(defaultAlias, v)
		}
		return v, nil
	}), nil
}

// addVersion adds a version as uploaded; s.mu is held.
func (s *Service) addVersion(m *model, id string, in *aiplatformpb.Model, now time.Time) *version {
	v := &version{
		id: id, description: in.GetVersionDescription(), labels: maps.Clone(in.GetLabels()), created: now, updated: now,
		spec: &aiplatformpb.Model{
			ArtifactUri: in.GetArtifactUri(), ContainerSpec: in.GetContainerSpec(), PredictSchemata: in.GetPredictSchemata(),
			MetadataSchemaUri: in.GetMetadataSchemaUri(), Metadata: in.GetMetadata(), BaseModelSource: in.GetBaseModelSource(),
		},
	}
	if s.cfg.Assume.Is(assume.SchemaURIEcho, "moved") {
		moveSchemas(m.name, v)
	}
	m.versions = append(m.versions, v)
	for _, alias := range in.GetVersionAliases() {
		m.give(alias, v)
	}
	return v
}

// startUpload runs an upload; commit is its effect. s.mu is held.
func (s *Service) startUpload(name resource, commit func() (*version, error)) *longrunningpb.Operation {
	metadata := &aiplatformpb.UploadModelOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
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
			v, err := commit()
			if err != nil {
				return nil, err
			}
			return &aiplatformpb.UploadModelResponse{Model: s.show(name), ModelVersionId: v.id}, nil
		},
	})
}

// lookup finds a model and one of its versions; s.mu is held.
func (s *Service) lookup(field, name string) (*model, *version, error) {
	r, at, err := s.resource(field, "models", name)
	if err != nil {
		return nil, nil, err
	}
	m, ok := s.models[r]
	if !ok {
		return nil, nil, notFound("model", name)
	}
	v := m.find(at)
	if v == nil {
		return nil, nil, notFound("model version", name)
	}
	return m, v, nil
}

// GetModel returns a model at a version: models/ID, models/ID@2, models/ID@alias.
func (s *modelService) GetModel(_ context.Context, req *aiplatformpb.GetModelRequest) (*aiplatformpb.Model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, v, err := s.lookup("name", req.GetName())
	if err != nil {
		return nil, err
	}
	return s.modelProto(m, v), nil
}

// ListModels lists the models of a location at their default versions.
func (s *modelService) ListModels(_ context.Context, req *aiplatformpb.ListModelsRequest) (*aiplatformpb.ListModelsResponse, error) {
	parent, err := s.parent("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*aiplatformpb.Model
	for _, m := range s.sortedModels() {
		if m.name.parent == parent {
			all = append(all, s.modelProto(m, m.find(defaultAlias)))
		}
	}
	page, next, err := list(all, query[*aiplatformpb.Model]{
		filter: req.GetFilter(), orderBy: req.GetOrderBy(), idField: "model", pageSize: req.GetPageSize(),
		orderable: []string{"display_name", "create_time", "update_time"},
		pageToken: req.GetPageToken(), readMask: req.GetReadMask(),
		created: func(m *aiplatformpb.Model) time.Time { return m.GetCreateTime().AsTime() },
		updated: func(m *aiplatformpb.Model) time.Time { return m.GetUpdateTime().AsTime() },
	})
	if err != nil {
		return nil, err
	}
	return &aiplatformpb.ListModelsResponse{Models: page, NextPageToken: next}, nil
}

// ListModelVersions lists the versions of a model; the names carry the version
// id ("In the returned Model name field, version ID instead of regvision tag
// will be included", ListModelVersionsResponse).
func (s *modelService) ListModelVersions(_ context.Context, req *aiplatformpb.ListModelVersionsRequest) (*aiplatformpb.ListModelVersionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, _, err := s.lookup("name", req.GetName())
	if err != nil {
		return nil, err
	}
	var all []*aiplatformpb.Model
	for _, v := range m.versions {
		item := s.modelProto(m, v)
		item.Name += "@" + v.id
		all = append(all, item)
	}
	page, next, err := list(all, query[*aiplatformpb.Model]{
		filter: req.GetFilter(), orderBy: req.GetOrderBy(), idField: "model", pageSize: req.GetPageSize(),
		orderable: []string{"create_time", "update_time"},
		pageToken: req.GetPageToken(), readMask: req.GetReadMask(),
		created: func(m *aiplatformpb.Model) time.Time { return m.GetVersionCreateTime().AsTime() },
		updated: func(m *aiplatformpb.Model) time.Time { return m.GetVersionUpdateTime().AsTime() },
	})
	if err != nil {
		return nil, err
	}
	return &aiplatformpb.ListModelVersionsResponse{Models: page, NextPageToken: next}, nil
}

// UpdateModel changes fields of a model (models/ID) or of one version
// (models/ID@2), never both in one request.
func (s *modelService) UpdateModel(_ context.Context, req *aiplatformpb.UpdateModelRequest) (*aiplatformpb.Model, error) {
	in := req.GetModel()
	if in == nil {
		return nil, invalid("model is required.")
	}
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		return nil, invalid("update_mask is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, v, err := s.lookup("model.name", in.GetName())
	if err != nil {
		return nil, err
	}
	if in.GetEtag() != "" && in.GetEtag() != m.etag {
		return nil, staleEtag()
	}
	_, at, _ := strings.Cut(in.GetName(), "@")
	ofVersion := at != "" && at != "-"
	for _, path := range paths {
		if err := checkModelPath(path, ofVersion, in); err != nil {
			return nil, err
		}
	}
	now := s.cfg.Clock.Now()
	for _, path := range paths {
		switch path {
		case "display_name":
			m.displayName = in.GetDisplayName()
		case "description":
			m.description = in.GetDescription()
		case "version_description":
			v.description = in.GetVersionDescription()
		case "labels":
			if ofVersion {
				v.labels = maps.Clone(in.GetLabels())
			} else {
				m.labels = maps.Clone(in.GetLabels())
			}
		}
	}
	if ofVersion {
		v.updated = now
	}
	m.updated, m.etag = now, store.NewEtag()
	return s.modelProto(m, v), nil
}

func checkModelPath(path string, ofVersion bool, in *aiplatformpb.Model) error {
	switch path {
	case "labels":
		return validLabels("model", in.GetLabels())
	case "display_name", "description":
		if ofVersion {
			return status.Errorf(codes.FailedPrecondition, "%s is a field of the model: name the model without a version to update it.", path)
		}
		if path == "display_name" {
			return validDisplayName("model", in.GetDisplayName())
		}
		return nil
	case "version_description":
		if !ofVersion {
			return status.Errorf(codes.FailedPrecondition, "version_description is a field of a version: name the model as models/ID@VERSION to update it.")
		}
		return nil
	}
	return invalid("update_mask: %q cannot be updated; display_name, description, version_description and labels can.", path)
}

func staleEtag() error {
	return status.Error(codes.Aborted, "The etag does not match: the resource was changed meanwhile. Read it again.")
}

// MergeVersionAliases adds aliases to a version and removes those given as
// "-alias".
func (s *modelService) MergeVersionAliases(_ context.Context, req *aiplatformpb.MergeVersionAliasesRequest) (*aiplatformpb.Model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(req.GetName(), "@") {
		return nil, invalid("name %q is not valid: want a model version, models/ID@VERSION.", req.GetName())
	}
	if len(req.GetVersionAliases()) == 0 {
		return nil, invalid("version_aliases is required.")
	}
	m, v, err := s.lookup("name", req.GetName())
	if err != nil {
		return nil, err
	}
	for _, alias := range req.GetVersionAliases() {
		if err := validAlias(strings.TrimPrefix(alias, "-")); err != nil {
			return nil, err
		}
		if alias == "-"+defaultAlias && !slices.Contains(req.GetVersionAliases(), defaultAlias) && slices.Contains(v.aliases, defaultAlias) {
			return nil, invalid(`version_aliases: "default" cannot be removed, because a model has exactly one default version: give it to another version instead.`)
		}
	}
	for _, alias := range req.GetVersionAliases() {
		bare, removes := strings.CutPrefix(alias, "-")
		opposite := "-" + alias
		if removes {
			opposite = bare
		}
		switch {
		case slices.Contains(req.GetVersionAliases(), opposite): // the two cancel out
		case removes:
			v.aliases = slices.DeleteFunc(v.aliases, func(a string) bool { return a == bare })
		default:
			m.give(alias, v)
		}
	}
	now := s.cfg.Clock.Now()
	v.updated, m.updated, m.etag = now, now, store.NewEtag()
	return s.modelProto(m, v), nil
}

// DeleteModel deletes a model with all its versions.
func (s *modelService) DeleteModel(_ context.Context, req *aiplatformpb.DeleteModelRequest) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(req.GetName(), "@") {
		return nil, invalid("name %q is not valid: DeleteModel takes a model without a version; use DeleteModelVersion.", req.GetName())
	}
	m, _, err := s.lookup("name", req.GetName())
	if err != nil {
		return nil, err
	}
	precondition := func() error {
		if s.models[m.name] != m {
			return notFound("model", req.GetName())
		}
		if endpoint, used := s.inUse(m.name, ""); used {
			return status.Errorf(codes.FailedPrecondition, "The model %q is deployed to the endpoint %q: undeploy it first.", s.show(m.name), s.show(endpoint))
		}
		return nil
	}
	if err := precondition(); err != nil {
		return nil, err
	}
	return s.startDelete(m.name, func() error {
		if err := precondition(); err != nil {
			return err
		}
		delete(s.models, m.name)
		s.deleted[m.name] = s.cfg.Clock.Now()
		return nil
	}), nil
}

// DeleteModelVersion deletes one version; not the only one, nor the default one.
func (s *modelService) DeleteModelVersion(_ context.Context, req *aiplatformpb.DeleteModelVersionRequest) (*longrunningpb.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(req.GetName(), "@") {
		return nil, invalid("name %q is not valid: want a model version, models/ID@VERSION.", req.GetName())
	}
	m, v, err := s.lookup("name", req.GetName())
	if err != nil {
		return nil, err
	}
	precondition := func() error {
		endpoint, used := s.inUse(m.name, v.id)
		switch {
		case s.models[m.name] != m || !slices.Contains(m.versions, v):
			return notFound("model version", req.GetName())
		case len(m.versions) == 1:
			return status.Errorf(codes.FailedPrecondition, "Version %s is the only version of the model %q: delete the model instead.", v.id, s.show(m.name))
		case slices.Contains(v.aliases, defaultAlias):
			return status.Errorf(codes.FailedPrecondition, "Version %s is the default version of the model %q: give the alias default to another version first.", v.id, s.show(m.name))
		case used:
			return status.Errorf(codes.FailedPrecondition, "Version %s of the model %q is deployed to the endpoint %q: undeploy it first.", v.id, s.show(m.name), s.show(endpoint))
		}
		return nil
	}
	if err := precondition(); err != nil {
		return nil, err
	}
	return s.startDelete(m.name, func() error {
		if err := precondition(); err != nil {
			return err
		}
		m.versions = slices.DeleteFunc(m.versions, func(o *version) bool { return o == v })
		m.updated, m.etag = s.cfg.Clock.Now(), store.NewEtag()
		return nil
	}), nil
}

// generic is the metadata of an operation that has the common part.
type generic interface {
	proto.Message
	GetGenericMetadata() *aiplatformpb.GenericOperationMetadata
}

// startCreate starts the operation at whose end what is under a reserved name comes
// into being, which effect does.
func (s *Service) startCreate(name resource, metadata generic, effect func() proto.Message) *longrunningpb.Operation {
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
			return effect(), nil
		},
	})
}

// startDelete runs a deletion; commit is its effect. s.mu is held.
func (s *Service) startDelete(name resource, commit func() error) *longrunningpb.Operation {
	metadata := &aiplatformpb.DeleteOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return s.cfg.Operations.Start(operations.Spec{
		Parent: name.String(), Metadata: metadata, Generic: metadata.GetGenericMetadata(),
		Run: func(ctx context.Context, h *operations.Handle) (proto.Message, error) {
			if err := h.Sleep(ctx, s.cfg.OperationLatency); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := commit(); err != nil {
				return nil, err
			}
			return &emptypb.Empty{}, nil
		},
	})
}
