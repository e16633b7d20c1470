// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// EndpointSpec is what an endpoint is to be.
type EndpointSpec struct {
	Name        gcp.Name
	DisplayName string
	Description string
	Labels      map[string]string
	// DropLabels are keys of labels to remove. Others than these and Labels stay.
	DropLabels []string
	Config     EndpointConfig
	// Deployments are by key. A Model without a version, or with an alias, means
	// the version that this names now.
	Deployments map[string]Deployment
	// Traffic has percentages by key that sum to 100; nil means all to the only
	// deployment.
	Traffic map[string]int32
	// Rollout is how new deployments take the place of old ones.
	Rollout Rollout
	// Paused tells that nothing is to be deployed for now.
	Paused bool
	// Known are the ids of deployed models that are ours though their ids do not
	// prove it, because they were imported.
	Known []string
	// Marker is written on the endpoint.
	Marker gcp.Marker
}

// Rollout is how new deployments take the place of old ones.
type Rollout struct {
	// Strategy is [BlueGreen] when it is "".
	Strategy Strategy
	// Steps are percentages of a deployment's traffic, ascending to 100, that it
	// gets one after the other. None is the same as only 100. [BlueGreen] only.
	Steps []int32
	// Wait is how long the traffic stays as it is after each step, and after the
	// last one before what was replaced is undeployed.
	Wait time.Duration
	// Gate is what a new deployment must pass before it is made; nil for none.
	Gate *Gate
}

// Ours tells which deployed models may be changed or undeployed.
func (s EndpointSpec) Ours(d Deployed) bool { return d.SelfMade() || slices.Contains(s.Known, d.ID) }

// EndpointMarker returns the marker for a new endpoint. What cannot change about an
// endpoint is part of it, apart from the shared domain: that was the only one once.
func EndpointMarker(owner string, name gcp.Name, c EndpointConfig) gcp.Marker {
	if fixed := c.fixed(); fixed != nil {
		return gcp.NewMarker(owner, append([]any{name.String()}, fixed...))
	}
	return gcp.NewMarker(owner, name.String())
}

// Endpoint is an endpoint as the server has it.
type Endpoint struct {
	Name        gcp.Name // as it was asked for
	DisplayName string
	Description string
	Labels      map[string]string // the user's
	Marker      gcp.Marker
	Deployed    []Deployed // sorted by key
	// Traffic has percentages by the ids of deployed models.
	Traffic    map[string]int32
	UpdateTime time.Time
	// DedicatedDNS is "" unless the endpoint is dedicated; then the shared DNS
	// does not serve it.
	DedicatedDNS string
	Object       Object
	Config       EndpointConfig // projects spelled as ids where that is known

	read   *pb.Endpoint
	etag   string
	labels map[string]string // all of them
	number string            // how the server spells the project
}

// ReadEndpoint returns an endpoint; [gcp.IsNotFound] tells that there is none.
func (s *Service) ReadEndpoint(ctx context.Context, name gcp.Name) (*Endpoint, error) {
	client, err := s.clients.Endpoints(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	var e *pb.Endpoint
	err = gcp.Retry(ctx, "vertex.endpoints.get", func(ctx context.Context) (err error) {
		e, err = client.GetEndpoint(ctx, &pb.GetEndpointRequest{Name: name.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.endpoint(ctx, name, e), nil
}

// FindEndpoints returns the endpoints of a location that have this display name, in
// order of their names. parent names the location; its ID is not read.
func (s *Service) FindEndpoints(ctx context.Context, parent gcp.Name, displayName string) (found []*Endpoint, err error) {
	client, err := s.clients.Endpoints(ctx, parent.Location)
	if err != nil {
		return nil, err
	}
	req := &pb.ListEndpointsRequest{Parent: parent.Parent()}
	if !strings.ContainsAny(displayName, `"\\`) {
		req.Filter = fmt.Sprintf(`display_name="%s"`, displayName)
	}
	err = gcp.Retry(ctx, "vertex.endpoints.list", func(ctx context.Context) error {
		found = nil
		for e, err := range client.ListEndpoints(ctx, proto.CloneOf(req)).All() {
			if err != nil {
				return err
			}
			if e.GetDisplayName() == displayName {
				name := parent
				name.Kind, name.ID = gcp.KindEndpoint, e.GetName()[strings.LastIndex(e.GetName(), "/")+1:]
				found = append(found, s.endpoint(ctx, name, e))
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b *Endpoint) int { return cmp.Compare(a.Name.ID, b.Name.ID) })
	return found, err
}

func (s *Service) endpoint(ctx context.Context, name gcp.Name, e *pb.Endpoint) *Endpoint {
	marker := gcp.MarkerOf(e.GetLabels())
	out := &Endpoint{
		Name: name, DisplayName: e.GetDisplayName(), Description: e.GetDescription(),
		Labels: gcp.UserLabels(e.GetLabels()), Marker: marker, Traffic: e.GetTrafficSplit(), UpdateTime: timeOf(e.GetUpdateTime()),
		DedicatedDNS: e.GetDedicatedEndpointDns(), Object: Object{marker.Incarnation, timeOf(e.GetCreateTime()), marker.Owner},
		etag: e.GetEtag(), labels: e.GetLabels(), number: projectIn(e.GetName()), read: e,
	}
	out.Config = configOf(e).canonical(s.pathSpelling(ctx, name, out.number))
	for _, d := range e.GetDeployedModels() {
		out.Deployed = append(out.Deployed, s.deployed(ctx, out, d))
	}
	slices.SortFunc(out.Deployed, func(a, b Deployed) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (s *Service) deployed(ctx context.Context, of *Endpoint, d *pb.DeployedModel) Deployed {
	model, err := gcp.ParseName(gcp.KindModel, d.GetModel())
	if err == nil {
		model = s.canonical(ctx, model, of.Name, of.number)
	}
	if v := d.GetModelVersionId(); v != "" {
		model.Version = v
	}
	out := Deployed{
		ID: d.GetId(), Key: d.GetDisplayName(), Model: model, Object: Object{CreateTime: timeOf(d.GetCreateTime())},
		Resources: resourcesOf(d, s.pathSpelling(ctx, of.Name, of.number)),
		Settings:  settingsOf(d),
		Private:   Private{d.GetPrivateEndpoints().GetPredictHttpUri(), d.GetPrivateEndpoints().GetServiceAttachment()},
	}
	return out.asAskedFor()
}

// CreateEndpoint makes an endpoint, or adopts the one that an earlier attempt
// made, and then rolls out what it is to serve. A failed roll-out leaves the
// endpoint; [NotMadeError] tells that there is none.
func (s *Service) CreateEndpoint(ctx context.Context, spec EndpointSpec, r Report) (*Endpoint, error) {
	ctx, spec.Marker = s.clients.Polling(ctx), s.clients.Marked(spec.Marker)
	e, err := s.create(ctx, spec, r)
	if err != nil {
		return nil, err
	}
	if r.Endpoint != nil {
		r.Endpoint(e)
	}
	return s.UpdateEndpoint(ctx, spec, r)
}

// create makes or adopts an endpoint, with nothing deployed to it.
func (s *Service) create(ctx context.Context, spec EndpointSpec, r Report) (*Endpoint, error) {
	client, err := s.clients.Endpoints(ctx, spec.Name.Location)
	if err != nil {
		return nil, &NotMadeError{err}
	}
	e, _, err := creation[*Endpoint]{
		kind: "endpoint", name: spec.Name, marker: spec.Marker,
		create: func(ctx context.Context) error {
			_, err := start(ctx, client, "vertex.endpoints.create", "creating the endpoint", r, func(ctx context.Context) (*aiplatform.CreateEndpointOperation, error) {
				return client.CreateEndpoint(ctx, &pb.CreateEndpointRequest{
					Parent: spec.Name.Parent(), EndpointId: spec.Name.ID,
					Endpoint: spec.Config.into(&pb.Endpoint{DisplayName: spec.DisplayName, Description: spec.Description, Labels: spec.Marker.Labels(spec.Labels)}),
				})
			})
			return err
		},
		read:   func(ctx context.Context) (*Endpoint, error) { return s.ReadEndpoint(ctx, spec.Name) },
		settle: func(ctx context.Context) (bool, error) { return settle(ctx, client, spec.Name, r) },
		marked: func(e *Endpoint) gcp.Marker { return e.Marker },
	}.do(ctx, s.patience)
	return e, err
}

// changes are the fields that differ and can be patched, as paths of an update mask.
func (s *Service) changes(ctx context.Context, want EndpointSpec, have *Endpoint) []string {
	is := described{have.DisplayName, have.Description, have.labels}
	paths := described{want.DisplayName, want.Description, want.Marker.Merge(have.labels, want.Labels, want.DropLabels)}.changes(is)
	return append(paths, want.Config.canonical(s.pathSpelling(ctx, have.Name, have.number)).changes(have.Config)...)
}

// resolve gives every deployment the number of its model's version, and its
// project the spelling that deployed models are read with.
func (s *Service) resolve(ctx context.Context, deployments map[string]Deployment, have *Endpoint) (map[string]Deployment, error) {
	out := map[string]Deployment{}
	for _, key := range slices.Sorted(maps.Keys(deployments)) {
		d := deployments[key]
		if strings.Trim(d.Model.Version, "0123456789") != "" || d.Model.Version == "" {
			m, err := s.ReadModel(ctx, d.Model)
			if err != nil {
				return nil, fmt.Errorf("unable to find the model %s of the deployment %q: %w", d.Model, key, err)
			}
			d.Model.Version = m.VersionID
		}
		d.Model = s.canonical(ctx, d.Model, have.Name, have.number)
		spelled := s.pathSpelling(ctx, have.Name, have.number)
		if d.Resources.Kind == Shared {
			d.Resources.Pool = s.canonical(ctx, d.Resources.Pool, have.Name, have.number)
		}
		d.Resources.Reservation.Values = slices.Clone(d.Resources.Reservation.Values)
		for i, name := range d.Resources.Reservation.Values {
			d.Resources.Reservation.Values[i] = spelled(name)
		}
		out[key] = d
	}
	return out, nil
}

// ForeignError means that an endpoint serves models that are not ours, so that
// it was not deleted.
type ForeignError struct {
	Endpoint gcp.Name
	Models   []Deployed
}

func (e *ForeignError) Error() string {
	var names []string
	for _, d := range e.Models {
		names = append(names, fmt.Sprintf("%q (id %s, model %s)", d.Key, d.ID, d.Model))
	}
	return fmt.Sprintf("the endpoint also serves what was not deployed by this resource: %s. Undeploy it, or set force_destroy = true and apply before destroying", strings.Join(names, ", "))
}

// DeleteEndpoint undeploys what is ours and deletes the endpoint, if it is still
// the object given; otherwise the error is [ErrReplaced]. What others deployed is
// a [ForeignError] unless force is set. An endpoint that is gone is no error.
func (s *Service) DeleteEndpoint(ctx context.Context, name gcp.Name, object Object, ours func(Deployed) bool, force bool, r Report) error {
	ctx = s.clients.Polling(ctx)
	if err := s.removeGate(ctx, name, r); err != nil {
		return err
	}
	object.Owner = s.clients.OwnershipID()
	if object.forgotten() { // its creation may still run
		client, err := s.clients.Endpoints(ctx, name.Location)
		if err != nil {
			return err
		}
		if _, err := settle(ctx, client, name, r); err != nil {
			return err
		}
	}
	return s.remove(ctx, name, object, ours, force, r)
}

func (s *Service) remove(ctx context.Context, name gcp.Name, object Object, ours func(Deployed) bool, force bool, r Report) error {
	_, err := s.converge(ctx, name, r, func(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint) (func(context.Context) error, error) {
		if !object.Is(have.Object) {
			return nil, ErrReplaced
		}
		foreign := slices.DeleteFunc(slices.Clone(have.Deployed), ours)
		if len(foreign) > 0 && !force {
			return nil, &ForeignError{name, foreign}
		}
		if next := next(have, target{ours: func(Deployed) bool { return true }}); next != nil {
			return func(ctx context.Context) error { return s.run(ctx, client, have, *next, r) }, nil
		}
		return func(ctx context.Context) error {
			_, err := start(ctx, client, "vertex.endpoints.delete", "deleting the endpoint", r, func(ctx context.Context) (*aiplatform.DeleteEndpointOperation, error) {
				return client.DeleteEndpoint(ctx, &pb.DeleteEndpointRequest{Name: name.String()})
			})
			var failed *gcp.OperationError
			if errors.As(err, &failed) && isOneOf(err, codes.FailedPrecondition) {
				err = failed.Unwrap() // an undeployment that is not yet noticed: look again
			}
			if gcp.IsNotFound(err) {
				// It had just been read, so only reading tells that it is gone.
				if _, readErr := s.ReadEndpoint(ctx, name); !gcp.IsNotFound(readErr) {
					return fmt.Errorf("deleting the endpoint was answered that there is none, and it is still there: %w", status.Error(codes.FailedPrecondition, gcp.Message(err)))
				}
			}
			return err
		}, nil
	})
	if gcp.IsNotFound(err) {
		return nil
	}
	return err
}
