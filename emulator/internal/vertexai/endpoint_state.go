// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/serving"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

type endpoint struct {
	name    resource
	spec    *aiplatformpb.Endpoint // what the user sets, without the split
	created time.Time
	updated time.Time
	etag    string

	deployed  []*deployed          // in order of deployment
	deploying map[string]*deployed // by id, while their operations run
	split     split
	turns     turns
}

// deployed is a model version that an endpoint serves.
type deployed struct {
	spec    *aiplatformpb.DeployedModel
	model   resource
	version string
	server  serving.Server
	pool    *pool // whose machines it shares; nil for its own
}

func (e *endpoint) find(id string) *deployed {
	for _, d := range e.deployed {
		if d.spec.GetId() == id {
			return d
		}
	}
	return nil
}

func (e *endpoint) ids() []string {
	ids := make([]string, len(e.deployed))
	for i, d := range e.deployed {
		ids[i] = d.spec.GetId()
	}
	return ids
}

// setSplit replaces the traffic split.
func (e *endpoint) setSplit(s split) {
	e.split = s
	e.turns = turns{}
}

// changed marks the endpoint as updated and records the change; s.mu is held.
func (s *Service) changed(e *endpoint, event string) {
	e.updated, e.etag = s.cfg.Clock.Now(), store.NewEtag()
	s.cfg.Timeline.Record(inventory.Change{
		Time: e.updated, Endpoint: s.cfg.Names.ByID(e.name.String()), Event: event,
		DeployedModels: e.ids(), TrafficSplit: e.split,
	})
}

// endpointProto renders an endpoint; s.mu is held.
func (s *Service) endpointProto(e *endpoint) *aiplatformpb.Endpoint {
	out := proto.CloneOf(e.spec)
	out.Name = s.show(e.name)
	out.Etag = e.etag
	out.CreateTime = timestamppb.New(e.created)
	out.UpdateTime = timestamppb.New(e.updated)
	out.TrafficSplit = maps.Clone(e.split)
	for _, d := range e.deployed {
		shown := s.deployedProto(d)
		shown.PrivateEndpoints = e.private(shown.GetId())
		out.DeployedModels = append(out.DeployedModels, shown)
	}
	if config := out.GetPrivateServiceConnectConfig(); len(e.deployed) > 0 && config.GetEnablePrivateServiceConnect() {
		config.ServiceAttachment = e.attachment()
	}
	if out.GetDedicatedEndpointEnabled() {
		out.DedicatedEndpointDns = e.name.id + "." + e.name.location() + "-" + e.uid() + ".prediction.vertexai.goog"
	}
	return out
}

// uid is what the domain of a dedicated endpoint has after its region.
func (e *endpoint) uid() string {
	for _, d := range e.deployed {
		if d.spec.GetFasterDeploymentConfig().GetFastTryoutEnabled() {
			return "fasttryout"
		}
	}
	return strings.Split(e.name.parent, "/")[1]
}

// private is where a private endpoint serves a deployed model; nil for a public one.
func (e *endpoint) private(deployedModel string) *aiplatformpb.PrivateEndpoints {
	switch {
	case e.spec.GetNetwork() != "":
		base := "http://" + e.name.id + ".aiplatform.googleapis.com/v1/models/" + deployedModel
		return &aiplatformpb.PrivateEndpoints{PredictHttpUri: base + ":predict", ExplainHttpUri: base + ":explain", HealthHttpUri: base}
	case e.spec.GetPrivateServiceConnectConfig().GetEnablePrivateServiceConnect():
		return &aiplatformpb.PrivateEndpoints{ServiceAttachment: e.attachment()}
	}
	return nil
}

func (e *endpoint) attachment() string {
	return "projects/emulated-tp/regions/" + e.name.location() + "/serviceAttachments/gkedpm-" + e.name.id
}

// shared reports whether the endpoint answers on the domain that all share.
func (e *endpoint) shared() bool {
	return !e.spec.GetDedicatedEndpointEnabled() && e.private("") == nil
}

func (s *Service) deployedProto(d *deployed) *aiplatformpb.DeployedModel {
	out := proto.CloneOf(d.spec)
	out.Model = s.show(d.model)
	if d.pool != nil {
		out.PredictionResources = &aiplatformpb.DeployedModel_SharedResources{SharedResources: s.show(d.pool.name)}
	}
	if s.cfg.Assume.Is(assume.DeployedModelVersion, "yes") {
		out.Model += "@" + d.version
	}
	if s.cfg.Assume.Is(assume.FastTryoutShown, "no") {
		out.FasterDeploymentConfig = nil
	}
	out.ModelVersionId = d.version
	if r := out.GetDedicatedResources(); r != nil {
		s.showDefaults(r)
	}
	return out
}

// showDefaults lists what was not set, if the service is assumed to.
func (s *Service) showDefaults(r *aiplatformpb.DedicatedResources) {
	if r.GetRequiredReplicaCount() == 0 && s.cfg.Assume.Is(assume.RequiredReplicas, "min_replica_count") {
		r.RequiredReplicaCount = r.GetMinReplicaCount()
	}
	if len(r.GetAutoscalingMetricSpecs()) > 0 || !s.cfg.Assume.Is(assume.AutoscalingDefaults, "yes") {
		return
	}
	metrics := percentages
	if r.GetMachineSpec().GetAcceleratorCount() == 0 {
		metrics = metrics[:1] // the processor's
	}
	for _, name := range metrics {
		r.AutoscalingMetricSpecs = append(r.AutoscalingMetricSpecs, &aiplatformpb.AutoscalingMetricSpec{MetricName: name, Target: 60})
	}
}

// sortedEndpoints are the endpoints in order of creation; s.mu is held.
func (s *Service) sortedEndpoints() []*endpoint {
	return slices.SortedFunc(maps.Values(s.endpoints), func(a, b *endpoint) int {
		if d := a.created.Compare(b.created); d != 0 {
			return d
		}
		return compareNames(a.name, b.name)
	})
}

func compareNames(a, b resource) int { return cmp.Compare(a.String(), b.String()) }

// split maps ids of deployed models to percentages of the traffic.
type split map[string]int32

// newSplit checks a traffic split against the ids it may name.
func newSplit(in map[string]int32, ids []string) (split, error) {
	sum := int32(0)
	for _, id := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(ids, id) {
			return nil, invalid("traffic_split names %q, which is not the id of a deployed model.", id)
		}
		if in[id] < 0 || in[id] > 100 {
			return nil, invalid("traffic_split: %d for %q is not a percentage.", in[id], id)
		}
		sum += in[id]
	}
	if len(in) > 0 && sum != 100 {
		return nil, invalid("traffic_split adds up to %d: it must be 100.", sum)
	}
	return maps.Clone(in), nil
}

// turns is the state of a smooth weighted round robin: over any 100 predictions
// each deployed model gets exactly its percentage, spread evenly.
type turns map[string]int32

func (t turns) next(s split) string {
	best := ""
	for _, id := range slices.Sorted(maps.Keys(s)) {
		if s[id] == 0 {
			continue
		}
		t[id] += s[id]
		if best == "" || t[id] > t[best] {
			best = id
		}
	}
	if best != "" {
		t[best] -= 100
	}
	return best
}

// lookupEndpoint finds an endpoint; s.mu is held.
func (s *Service) lookupEndpoint(field, name string) (*endpoint, error) {
	r, _, err := s.resource(field, "endpoints", name)
	if err != nil {
		return nil, err
	}
	e, ok := s.endpoints[r]
	if !ok {
		return nil, notFound("endpoint", name)
	}
	return e, nil
}

// still checks that an endpoint was not deleted meanwhile; s.mu is held.
func (s *Service) still(e *endpoint) error {
	if s.endpoints[e.name] != e {
		return notFound("endpoint", s.show(e.name))
	}
	return nil
}

func noSplit(name string) error {
	return status.Errorf(codes.FailedPrecondition, "Endpoint %s doesn't have traffic_split.", name)
}
