// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// DefaultAlias is carried by exactly one version of a model: the one that is
// meant when none is named.
const DefaultAlias = "default"

// ModelSpec is what a model is to be.
type ModelSpec struct {
	Name        gcp.Name
	DisplayName string
	Description string
	Labels      map[string]string
	// DropLabels are keys of labels to remove. Others than these and Labels stay.
	DropLabels []string
	// Content is what the version holds.
	Content Content
	// KMSKey encrypts the model with all its versions; "" leaves that to Google. It
	// cannot change.
	KMSKey string
	// VersionDescription is of the version.
	VersionDescription string
	// Aliases are those that the version is to have; others that it has stay. nil
	// means the default one. DropAliases are taken from it; an earlier version keeps
	// what it has and nobody else got.
	Aliases     []string
	DropAliases []string
	// Version is the one that is meant as long as there is no newer one, "" for the
	// default one.
	Version string
	// Within tells that the model is somebody else's: only the version is ours. It
	// becomes the default one only when Aliases say so.
	Within bool
	// Marker is written on the model.
	Marker gcp.Marker
}

// ModelMarker returns the marker for a new model.
func ModelMarker(owner string, spec ModelSpec) gcp.Marker {
	return gcp.NewMarker(owner, spec.fixed())
}

// fixed is what tells one model of this name from another.
func (s ModelSpec) fixed() any {
	fixed := []any{s.Name.String(), s.Content.public()}
	if s.KMSKey != "" {
		fixed = append(fixed, s.KMSKey)
	}
	return fixed
}

// Hash is the mark that a model of this specification carries.
func (s ModelSpec) Hash() string { return gcp.SpecHash(s.fixed()) }

// MakesDefault reports whether the version with these aliases is the default one.
func MakesDefault(aliases []string) bool {
	return aliases == nil || slices.Contains(aliases, DefaultAlias)
}

// followsDefault reports whether the version is found as the default one.
func (s ModelSpec) followsDefault() bool { return !s.Within && MakesDefault(s.Aliases) }

// wanted are the aliases that the version is to have.
func (s ModelSpec) wanted() []string {
	if s.Aliases == nil && !s.Within {
		return []string{DefaultAlias}
	}
	return s.Aliases
}

// merged are all labels of the model, made of those that it has.
func (s ModelSpec) merged(old map[string]string) map[string]string {
	all := s.Marker.Merge(old, s.Labels, s.DropLabels)
	if hidden := s.Content.Container.hidden(); hidden != "" {
		all[labelHiddenEnv] = hidden
	}
	return all
}

// Model is a model as the server has it, at one version.
type Model struct {
	Name        gcp.Name // as it was asked for, without a version
	DisplayName string
	Description string
	Labels      map[string]string // the user's
	Marker      gcp.Marker
	KMSKey      string
	UpdateTime  time.Time
	Object      Object

	VersionID          string
	VersionDescription string
	VersionCreateTime  time.Time
	Aliases            []string // the user's and [DefaultAlias], sorted
	Marks              []string // aliases that we put on the version when we uploaded it
	ArtifactURI        string
	// Container is nil when the server does not give it back. Values that are
	// marked as secret are not in it.
	Container *Container
	// Schemata and MetadataSchemaURI may point to a copy of what was given.
	Schemata          Schemata
	MetadataSchemaURI string
	Metadata          string // JSON in the form of [CanonicalJSON]
	// BaseModel is zero when the server does not show it.
	BaseModel BaseModel
	// Deployed are the deployed models that serve the version.
	Deployed []DeployedTo

	labels map[string]string // all of them
}

// DeployedTo names a deployed model.
type DeployedTo struct {
	Endpoint string // full name, as the server spells it
	ID       string
}

// ReadModel returns a model at the version that its name has, the default one if
// it has none. [gcp.IsNotFound] tells that there is none.
func (s *Service) ReadModel(ctx context.Context, name gcp.Name) (*Model, error) {
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	var m *pb.Model
	err = gcp.Retry(ctx, "vertex.models.get", func(ctx context.Context) (err error) {
		m, err = client.GetModel(ctx, &pb.GetModelRequest{Name: name.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return readModel(m, name), nil
}

func readModel(m *pb.Model, name gcp.Name) *Model {
	marker := gcp.MarkerOf(m.GetLabels())
	out := &Model{
		Name: name.WithVersion(""), DisplayName: m.GetDisplayName(), Description: m.GetDescription(),
		Labels: gcp.UserLabels(m.GetLabels()), Marker: marker, KMSKey: m.GetEncryptionSpec().GetKmsKeyName(),
		UpdateTime: timeOf(m.GetUpdateTime()), Object: Object{marker.Incarnation, timeOf(m.GetCreateTime()), marker.Owner},
		VersionID: m.GetVersionId(), VersionDescription: m.GetVersionDescription(), VersionCreateTime: timeOf(m.GetVersionCreateTime()),
		Aliases: usersAliases(m.GetVersionAliases()), Marks: marks(m.GetVersionAliases()), ArtifactURI: m.GetArtifactUri(),
		Container: readContainer(m.GetContainerSpec(), m.GetLabels()[labelHiddenEnv]),
		Schemata:  readSchemata(m.GetPredictSchemata()), MetadataSchemaURI: m.GetMetadataSchemaUri(), Metadata: readMetadata(m.GetMetadata()),
		BaseModel: BaseModel{m.GetBaseModelSource().GetModelGardenSource().GetPublicModelName(), m.GetBaseModelSource().GetModelGardenSource().GetVersionId()},
		labels:    m.GetLabels(),
	}
	for _, d := range m.GetDeployedModels() {
		out.Deployed = append(out.Deployed, DeployedTo{d.GetEndpoint(), d.GetDeployedModelId()})
	}
	return out
}

// upload is the message of a version.
func (s ModelSpec) upload(labels map[string]string, aliases ...string) (*pb.Model, error) {
	m, err := s.Content.proto()
	if err != nil {
		return nil, err
	}
	m.DisplayName, m.Description, m.Labels, m.VersionAliases = s.DisplayName, s.Description, labels, aliases
	m.VersionDescription = s.VersionDescription
	if s.KMSKey != "" {
		m.EncryptionSpec = &pb.EncryptionSpec{KmsKeyName: s.KMSKey}
	}
	return m, nil
}

// UploadModel uploads a model's first version, or adopts the model that an
// earlier attempt made. [NotMadeError] tells that there is none.
func (s *Service) UploadModel(ctx context.Context, spec ModelSpec, r Report) (*Model, error) {
	ctx, spec.Marker = s.clients.Polling(ctx), s.clients.Marked(spec.Marker)
	client, err := s.clients.Models(ctx, spec.Name.Location)
	if err != nil {
		return nil, &NotMadeError{err}
	}
	// The first version is the default one, whatever else it is called.
	message, err := spec.upload(spec.merged(nil), slices.Compact(slices.Sorted(slices.Values(append([]string{versionAlias(spec.Content, ""), DefaultAlias}, spec.wanted()...))))...)
	if err != nil {
		return nil, &NotMadeError{err}
	}
	m, adopted, err := creation[*Model]{
		kind: "model", name: spec.Name, marker: spec.Marker,
		create: func(ctx context.Context) error {
			_, err := start(ctx, client, "vertex.models.upload", "uploading the model", r, func(ctx context.Context) (*aiplatform.UploadModelOperation, error) {
				return client.UploadModel(ctx, &pb.UploadModelRequest{
					Parent: spec.Name.Parent(), ModelId: spec.Name.ID, Model: message,
				})
			})
			return err
		},
		read:   func(ctx context.Context) (*Model, error) { return s.ReadModel(ctx, spec.Name) },
		settle: func(ctx context.Context) (bool, error) { return settle(ctx, client, spec.Name, r) },
		marked: func(m *Model) gcp.Marker { return m.Marker },
	}.do(ctx, s.patience)
	if err != nil || !adopted {
		return m, err
	}
	if r.Model != nil {
		r.Model(m)
	}
	return s.UpdateModel(ctx, spec, "", r)
}

// UpdateModel makes a model what spec says. A from that is not empty means that
// its content changed since that version: a version with the new content is
// uploaded, unless an earlier attempt did, and becomes the default one.
func (s *Service) UpdateModel(ctx context.Context, spec ModelSpec, from string, r Report) (*Model, error) {
	ctx, spec.Marker = s.clients.Polling(ctx), s.clients.Marked(spec.Marker)
	client, err := s.clients.Models(ctx, spec.Name.Location)
	if err != nil {
		return nil, err
	}
	unlock, err := s.clients.Lock(ctx, spec.Name.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if spec.Within {
		// Whether an upload replaces what the model is called is not documented.
		model, err := s.ReadModel(ctx, spec.Name)
		if err != nil {
			return nil, err
		}
		spec.DisplayName, spec.Description = model.DisplayName, model.Description
	}
	at := spec.Name.WithVersion(spec.Version)
	if from != "" {
		version, err := s.newVersion(ctx, client, spec, from, r)
		if err != nil {
			return nil, fmt.Errorf("uploading a new version: %w", err)
		}
		if err := s.mergeAliases(ctx, client, spec.Name.WithVersion(version), spec.wanted(), nil); err != nil {
			return nil, err
		}
		if at.Version = version; spec.followsDefault() {
			at.Version = ""
		}
	}
	spec.Marker.Spec = spec.Hash()
	m, err := s.ReadModel(ctx, at)
	if err != nil {
		return nil, err
	}
	// Labels are kept for the model and for each version, and read merged: what is
	// still there after the first call belongs to the version.
	for _, name := range []gcp.Name{spec.Name, spec.Name.WithVersion(m.VersionID)} {
		if r.Model != nil {
			r.Model(m)
		}
		paths := spec.changes(m, name.Version != "")
		if len(paths) == 0 {
			continue
		}
		r.progress("updating %s", strings.Join(paths, ", "))
		err := gcp.Retry(ctx, "vertex.models.update", func(ctx context.Context) error {
			_, err := client.UpdateModel(ctx, &pb.UpdateModelRequest{
				Model: &pb.Model{
					Name: name.String(), DisplayName: spec.DisplayName, Description: spec.Description, VersionDescription: spec.VersionDescription,
					Labels: spec.merged(m.labels),
				},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
			})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("updating %s: %w", strings.Join(paths, ", "), err)
		}
		if m, err = s.ReadModel(ctx, at); err != nil {
			return nil, err
		}
	}
	return s.settleAliases(ctx, client, spec, at, m)
}

// changes are the fields of the model, or of its version, that differ, as paths of
// an update mask. One call cannot change both.
func (s ModelSpec) changes(have *Model, ofVersion bool) []string {
	if s.Within {
		if ofVersion && s.VersionDescription != have.VersionDescription {
			return []string{"version_description"}
		}
		return nil
	}
	want := described{s.DisplayName, s.Description, s.merged(have.labels)}
	paths := want.changes(described{have.DisplayName, have.Description, have.labels})
	if !ofVersion {
		return paths
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return p != "labels" })
	if s.VersionDescription != have.VersionDescription {
		paths = append(paths, "version_description")
	}
	return paths
}

// maxUploads bounds the uploads of one version, each sent only after the one
// before was seen to have had no effect.
const maxUploads = 3

// newVersion uploads the version that follows from, unless it is there, and
// returns its id.
func (s *Service) newVersion(ctx context.Context, client *aiplatform.ModelClient, spec ModelSpec, from string, r Report) (string, error) {
	alias := versionAlias(spec.Content, from)
	message, err := spec.upload(nil, alias)
	if err != nil {
		return "", err
	}
	find := func() (string, error) {
		m, err := s.ReadModel(ctx, spec.Name.WithVersion(alias))
		if err != nil {
			return "", err
		}
		r.progress("version %s has the content already", m.VersionID)
		return m.VersionID, nil
	}
	if _, err := settle(ctx, client, spec.Name, r); err != nil {
		return "", err
	}
	version, err := find()
	for attempt := 1; gcp.IsNotFound(err) && attempt <= maxUploads; attempt++ {
		var uploaded string
		op, uploadErr := start(ctx, client, "vertex.models.uploadVersion", "uploading a new version", r, func(ctx context.Context) (*aiplatform.UploadModelOperation, error) {
			return client.UploadModel(ctx, &pb.UploadModelRequest{
				Parent: spec.Name.Parent(), ParentModel: spec.Name.String(), Model: message,
			})
		})
		if uploadErr == nil {
			var response pb.UploadModelResponse
			if err := op.GetResponse().UnmarshalTo(&response); err == nil {
				uploaded = response.GetModelVersionId()
			}
		}
		if uploaded != "" {
			return uploaded, nil
		}
		var failed *gcp.OperationError
		if uploadErr != nil && (errors.As(uploadErr, &failed) || ctx.Err() != nil ||
			!errors.Is(uploadErr, gcp.ErrOperationLost) && !isOneOf(uploadErr, codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.Internal, codes.Unknown)) {
			return "", interrupted(ctx, uploadErr)
		}
		// The answer was lost: see what came of it before sending another.
		for pause := s.patience.begin(); ; {
			if _, err := settle(ctx, client, spec.Name, r); err != nil {
				return "", err
			}
			if version, err = find(); !gcp.IsNotFound(err) || !pause.wait(ctx, s.patience.appear) {
				break
			}
		}
		if gcp.IsNotFound(err) && attempt == maxUploads {
			return "", interrupted(ctx, uploadErr)
		}
	}
	return version, err
}

// StillDeployedError means that endpoints serve a model, so that it cannot be
// deleted.
type StillDeployedError struct {
	Model     gcp.Name
	Endpoints []string
}

func (e *StillDeployedError) Error() string {
	return fmt.Sprintf("the model is still deployed to %s: undeploy it there first", strings.Join(e.Endpoints, ", "))
}

// DeleteModel deletes a model with all its versions, if it is still the object
// given; otherwise the error is [ErrReplaced]. A model that is gone is no error.
func (s *Service) DeleteModel(ctx context.Context, name gcp.Name, object Object, r Report) error {
	ctx = s.clients.Polling(ctx)
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return err
	}
	object.Owner = s.clients.OwnershipID()
	var lag *pause
	for pause := s.patience.begin(); ; {
		m, err := s.ReadModel(ctx, name)
		if gcp.IsNotFound(err) && object.forgotten() {
			// The upload may still run.
			if waited, err := settle(ctx, client, name, r); err != nil || !waited {
				return err
			}
			m, err = s.ReadModel(ctx, name)
		}
		switch {
		case gcp.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case !object.Is(m.Object):
			return ErrReplaced
		}
		_, err = start(ctx, client, "vertex.models.delete", "deleting the model", r, func(ctx context.Context) (*aiplatform.DeleteModelOperation, error) {
			return client.DeleteModel(ctx, &pb.DeleteModelRequest{Name: name.String()})
		})
		budget := s.patience.release
		switch {
		case err == nil:
			return nil
		case errors.Is(err, gcp.ErrOperationLost):
			// The next look tells.
		case gcp.IsNotFound(err):
			// The next look tells, which may lag behind.
			if lag == nil {
				lag = s.patience.begin()
			} else if !lag.wait(ctx, s.patience.appear) {
				return interrupted(ctx, fmt.Errorf("%w: %w", &StillThereError{name}, err))
			}
			continue
		case isOneOf(err, codes.FailedPrecondition, codes.Aborted):
			// The registry may not have noticed yet that an endpoint let go of the model;
			// and one that serves it may be about to go, in the same apply.
			holding, lookErr := s.endpointsServing(ctx, name)
			if lookErr == nil && len(holding) > 0 {
				budget, err = s.patience.precondition, &StillDeployedError{name, holding}
			}
		default:
			return interrupted(ctx, err)
		}
		r.progress("the model is not deleted yet (%s): trying again", gcp.Message(err))
		if !pause.wait(ctx, budget) {
			return interrupted(ctx, err)
		}
	}
}

// endpointsServing are the endpoints that serve any version of a model, asked one
// by one: what the model itself says may lag behind.
func (s *Service) endpointsServing(ctx context.Context, name gcp.Name) ([]string, error) {
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	err = gcp.Retry(ctx, "vertex.models.listVersions", func(ctx context.Context) error {
		clear(held)
		for v, err := range client.ListModelVersions(ctx, &pb.ListModelVersionsRequest{Name: name.String()}).All() {
			if err != nil {
				return err
			}
			for _, ref := range v.GetDeployedModels() {
				held[ref.GetEndpoint()+"\n"+ref.GetDeployedModelId()] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var holding []string
	for ref := range held {
		endpoint, id, _ := strings.Cut(ref, "\n")
		parsed, err := gcp.ParseName(gcp.KindEndpoint, endpoint)
		if err != nil {
			return nil, err
		}
		e, err := s.ReadEndpoint(ctx, parsed)
		if gcp.IsNotFound(err) {
			continue
		}
		if err != nil || slices.ContainsFunc(e.Deployed, func(d Deployed) bool { return d.ID == id }) {
			holding = append(holding, endpoint)
		}
	}
	slices.Sort(holding)
	return slices.Compact(holding), nil
}
