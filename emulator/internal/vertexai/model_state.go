// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// defaultAlias is carried by exactly one version of every model.
const defaultAlias = "default"

// model is a model with at least one version. What its versions share is here.
type model struct {
	name        resource
	displayName string
	description string
	labels      map[string]string
	created     time.Time
	updated     time.Time
	etag        string
	key         *aiplatformpb.EncryptionSpec // of all versions
	versions    []*version                   // oldest first
	lastVersion int                          // ids are never used again
}

// version is one version of a model.
type version struct {
	id          string
	aliases     []string
	description string
	labels      map[string]string
	created     time.Time
	updated     time.Time
	// spec has what is immutable: artifact, container, schemata, metadata.
	spec *aiplatformpb.Model
}

// find returns the version with an id or alias; "" and "-" mean the default one.
func (m *model) find(idOrAlias string) *version {
	if idOrAlias == "" || idOrAlias == "-" {
		idOrAlias = defaultAlias
	}
	for _, v := range m.versions {
		if v.id == idOrAlias || slices.Contains(v.aliases, idOrAlias) {
			return v
		}
	}
	return nil
}

// give moves an alias to a version.
func (m *model) give(alias string, to *version) {
	for _, v := range m.versions {
		v.aliases = slices.DeleteFunc(v.aliases, func(a string) bool { return a == alias })
	}
	to.aliases = append(to.aliases, alias)
}

func (m *model) nextVersion() string {
	m.lastVersion++
	return strconv.Itoa(m.lastVersion)
}

// proto renders a version of a model as GetModel does; s.mu is held.
func (s *Service) modelProto(m *model, v *version) *aiplatformpb.Model {
	out := proto.CloneOf(v.spec)
	out.Name = s.show(m.name)
	out.VersionId = v.id
	out.VersionAliases = slices.Clone(v.aliases)
	out.VersionCreateTime = timestamppb.New(v.created)
	out.VersionUpdateTime = timestamppb.New(v.updated)
	out.EncryptionSpec = m.key
	out.DisplayName = m.displayName
	out.Description = m.description
	out.VersionDescription = v.description
	out.SupportedDeploymentResourcesTypes = []aiplatformpb.Model_DeploymentResourcesType{aiplatformpb.Model_DEDICATED_RESOURCES}
	out.CreateTime = timestamppb.New(m.created)
	out.UpdateTime = timestamppb.New(m.updated)
	out.Etag = m.etag
	out.Labels = maps.Clone(m.labels)
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	maps.Copy(out.Labels, v.labels)
	if s.cfg.Assume.Is(assume.ContainerSpecEcho, "no") {
		out.ContainerSpec = nil
	}
	if s.cfg.Assume.Is(assume.BaseModelEcho, "no") {
		out.BaseModelSource = nil
	}
	for _, e := range s.sortedEndpoints() {
		for _, d := range e.deployed {
			if d.model == m.name && d.version == v.id {
				out.DeployedModels = append(out.DeployedModels, &aiplatformpb.DeployedModelRef{
					Endpoint: s.show(e.name), DeployedModelId: d.spec.GetId(),
				})
			}
		}
	}
	return out
}

// inUse reports whether an endpoint serves the model, or the version if one is
// named, or is about to; s.mu is held.
func (s *Service) inUse(name resource, versionID string) (resource, bool) {
	for _, e := range s.sortedEndpoints() {
		for _, d := range e.deployed {
			if d.model == name && (versionID == "" || d.version == versionID) {
				return e.name, true
			}
		}
		for _, d := range e.deploying {
			if d.model == name && (versionID == "" || d.version == versionID) {
				return e.name, true
			}
		}
	}
	return resource{}, false
}

// sortedModels are the models in order of creation; s.mu is held.
func (s *Service) sortedModels() []*model {
	return slices.SortedFunc(maps.Values(s.models), func(a, b *model) int {
		if d := a.created.Compare(b.created); d != 0 {
			return d
		}
		return compareNames(a.name, b.name)
	})
}
