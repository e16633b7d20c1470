// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"maps"
	"slices"
	"strings"
)

type modelItem struct {
	Name        string            `json:"name"` // project by its id
	Project     string            `json:"project"`
	Location    string            `json:"location"`
	ModelID     string            `json:"model_id"`
	DisplayName string            `json:"display_name"`
	Labels      map[string]string `json:"labels"`
	Versions    []versionItem     `json:"versions"`
}

type versionItem struct {
	VersionID   string            `json:"version_id"`
	Aliases     []string          `json:"aliases"`
	Labels      map[string]string `json:"labels"`
	ArtifactURI string            `json:"artifact_uri"`
	ImageURI    string            `json:"image_uri"`
}

type endpointItem struct {
	Name           string            `json:"name"` // project by its id
	Project        string            `json:"project"`
	Location       string            `json:"location"`
	EndpointID     string            `json:"endpoint_id"`
	DisplayName    string            `json:"display_name"`
	Labels         map[string]string `json:"labels"`
	DeployedModels []deployedItem    `json:"deployed_models"`
	TrafficSplit   map[string]int32  `json:"traffic_split"`
}

type deployedItem struct {
	ID              string `json:"id"`
	DisplayName     string `json:"display_name"`
	Model           string `json:"model"`
	ModelVersionID  string `json:"model_version_id"`
	MachineType     string `json:"machine_type"`
	MinReplicaCount int32  `json:"min_replica_count"`
	MaxReplicaCount int32  `json:"max_replica_count"`
}

// Models lists the models for the inventory, in order of their names.
func (s *Service) Models() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []any{}
	for _, name := range slices.SortedFunc(maps.Keys(s.models), compareNames) {
		m := s.models[name]
		full := s.cfg.Names.ByID(name.String())
		item := modelItem{
			Name: full, Project: strings.Split(full, "/")[1], Location: name.location(), ModelID: name.id,
			DisplayName: m.displayName, Labels: labels(m.labels), Versions: []versionItem{},
		}
		for _, v := range m.versions {
			item.Versions = append(item.Versions, versionItem{
				VersionID: v.id, Aliases: slices.Sorted(slices.Values(v.aliases)), Labels: labels(v.labels),
				ArtifactURI: v.spec.GetArtifactUri(), ImageURI: v.spec.GetContainerSpec().GetImageUri(),
			})
		}
		out = append(out, item)
	}
	return out
}

// Endpoints lists the endpoints for the inventory, in order of their names.
func (s *Service) Endpoints() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []any{}
	for _, name := range slices.SortedFunc(maps.Keys(s.endpoints), compareNames) {
		e := s.endpoints[name]
		full := s.cfg.Names.ByID(name.String())
		item := endpointItem{
			Name: full, Project: strings.Split(full, "/")[1], Location: name.location(), EndpointID: name.id,
			DisplayName: e.spec.GetDisplayName(), Labels: labels(e.spec.GetLabels()),
			DeployedModels: []deployedItem{}, TrafficSplit: map[string]int32{},
		}
		maps.Copy(item.TrafficSplit, e.split)
		for _, d := range e.deployed {
			item.DeployedModels = append(item.DeployedModels, deployedItem{
				ID: d.spec.GetId(), DisplayName: d.spec.GetDisplayName(),
				Model: s.cfg.Names.ByID(d.model.String()), ModelVersionID: d.version,
				MachineType:     d.spec.GetDedicatedResources().GetMachineSpec().GetMachineType(),
				MinReplicaCount: d.spec.GetDedicatedResources().GetMinReplicaCount(),
				MaxReplicaCount: d.spec.GetDedicatedResources().GetMaxReplicaCount(),
			})
		}
		out = append(out, item)
	}
	return out
}

// labels copies labels; no labels are an empty object in JSON, not null.
func labels(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	maps.Copy(out, in)
	return out
}
