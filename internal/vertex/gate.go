// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// A request names an endpoint, never one of its deployed models: nothing can ask
// one that has no traffic. So a gate asks the same model on the same machines on an
// endpoint of its own, which is there only for the time of the questions.

// Gate is what a new deployment must predict before it is made.
type Gate struct {
	// Instances are JSON values, as of encoding/json.
	Instances []any
	// Expect has a prediction for each instance; empty when any prediction will do.
	Expect []any
	// Tolerance is by how much a number may differ from the expected one.
	Tolerance float64
}

// GateError means that a new deployment did not pass the gate.
type GateError struct {
	Key   string
	Model gcp.Name
	// Instance counts from 0.
	Instance int
	Asked    any
	// Refusal is why there was no prediction. If it is nil the prediction differs:
	// At is a path within it, such as $.scores[1].
	Refusal        error
	At             string
	Expected, Got  any
	Tolerance      float64
	numberOfChecks int
}

func (e *GateError) Error() string {
	what := fmt.Sprintf("at %s expected %s, got %s (tolerance %g)", e.At, brief(e.Expected), brief(e.Got), e.Tolerance)
	if e.Refusal != nil {
		what = e.Refusal.Error()
	}
	return fmt.Sprintf("%q (%s) did not pass the gate: instance %d of %d, %s: %s. It was undeployed before it got any traffic; what served goes on serving",
		e.Key, e.Model, e.Instance+1, e.numberOfChecks, brief(e.Asked), what)
}

func (e *GateError) Unwrap() error { return e.Refusal }

// absent stands for what is not there.
type absent struct{}

func (absent) MarshalJSON() ([]byte, error) { return []byte(`"nothing"`), nil }

func brief(v any) string {
	const limit = 300
	if _, missing := v.(absent); missing {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil { // NaN and infinities
		return fmt.Sprint(v)
	}
	if r := []rune(string(b)); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return string(b)
}

// difference finds the first place where got is not what was expected. Numbers may
// differ by tolerance; everything else must be equal.
func difference(at string, expected, got any, tolerance float64) (where string, e, g any, differs bool) {
	switch want := expected.(type) {
	case float64:
		have, number := got.(float64)
		return at, expected, got, !number || math.IsNaN(have) || math.Abs(want-have) > tolerance
	case []any:
		have, list := got.([]any)
		if !list {
			return at, expected, got, true
		}
		for i := range max(len(want), len(have)) {
			if where, e, g, differs = difference(fmt.Sprintf("%s[%d]", at, i), element(want, i), element(have, i), tolerance); differs {
				return where, e, g, true
			}
		}
		return at, expected, got, false
	case map[string]any:
		have, object := got.(map[string]any)
		if !object {
			return at, expected, got, true
		}
		all := maps.Clone(want)
		maps.Copy(all, have)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if where, e, g, differs = difference(at+"."+key, member(want, key), member(have, key), tolerance); differs {
				return where, e, g, true
			}
		}
		return at, expected, got, false
	}
	switch got.(type) {
	case []any, map[string]any:
		return at, expected, got, true // not comparable
	}
	return at, expected, got, expected != got
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func member(object map[string]any, key string) any {
	if v, ok := object[key]; ok {
		return v
	}
	return absent{}
}

// gateName is the endpoint on which what an endpoint is to serve is tried. There is
// one for each, so that what a killed update left is found again.
func gateName(of gcp.Name) gcp.Name {
	of.ID = "gcpml-gate-" + gcp.SpecNumber([]any{of.Location, of.ID})
	return of
}

// gateMark is the incarnation of a gate's endpoint. It is not random: only who
// manages the endpoint of that name makes a gate for it, and finds it again even
// when it remembers nothing.
func gateMark(of gcp.Name) string { return gcp.SpecHash([]any{"gate", of.Location, of.ID}) }

// gate tries new deployments, one after the other.
func (s *Service) gate(ctx context.Context, spec EndpointSpec, deployments map[string]Deployment, keys []string, r Report) error {
	quiet := Report{Progress: func(format string, args ...any) { r.progress("gate: "+format, args...) }}
	trial := EndpointSpec{
		Name: gateName(spec.Name), DisplayName: "gate of " + spec.Name.ID, Labels: spec.Labels, Rollout: Rollout{Strategy: Recreate},
		Description: "Temporary: what the endpoint " + spec.Name.ID + " is to serve is tried here first.",
	}
	trial.Config.KMSKey = spec.Config.KMSKey
	trial.Marker = EndpointMarker("", trial.Name, trial.Config)
	trial.Marker.Incarnation = gateMark(spec.Name)
	if _, err := s.create(ctx, trial, quiet); err != nil {
		var notMade *NotMadeError
		if errors.As(err, &notMade) {
			err = notMade.Err // it is the trial that was not made
		}
		return fmt.Errorf("unable to make the gate's endpoint %s: %w", trial.Name.ID, err)
	}
	for _, key := range keys {
		d := deployments[key]
		if d.Resources.Kind != Shared {
			d.Resources.MinReplicas, d.Resources.MaxReplicas, d.Resources.RequiredReplicas = 1, 1, 0
		}
		trial.Deployments = map[string]Deployment{key: d}
		_, err := s.update(ctx, trial, quiet)
		if err == nil {
			err = s.try(ctx, trial, key, *spec.Rollout.Gate, quiet)
		} else {
			err = fmt.Errorf("at the gate: %w", err)
		}
		if err != nil {
			if ctx.Err() != nil {
				return err // the next update, or the deletion, removes the gate
			}
			return errors.Join(err, s.removeGate(ctx, spec.Name, r))
		}
	}
	return s.removeGate(ctx, spec.Name, r)
}

// try asks each instance on its own, so that the answer to each is known.
func (s *Service) try(ctx context.Context, trial EndpointSpec, key string, g Gate, r Report) error {
	client, err := s.clients.Predictions(ctx, trial.Name.Location)
	if err != nil {
		return err
	}
	model := trial.Deployments[key].Model
	id := deploymentID(key, trial.Deployments[key])
	for i, asked := range g.Instances {
		failed := &GateError{Key: key, Model: model, Instance: i, Asked: asked, Tolerance: g.Tolerance, numberOfChecks: len(g.Instances)}
		instance, err := structpb.NewValue(asked)
		if err != nil {
			return fmt.Errorf("instance %d of the gate: %w", i+1, err)
		}
		var answer *pb.PredictResponse
		for pause := s.patience.begin(); ; {
			answer, err = client.Predict(ctx, &pb.PredictRequest{Endpoint: trial.Name.String(), Instances: []*structpb.Value{instance}})
			// A model that was deployed a moment ago may not yet answer.
			if err == nil || !isOneOf(err, codes.Unavailable) || !pause.wait(ctx, s.patience.precondition) {
				break
			}
		}
		switch {
		case ctx.Err() != nil && err != nil:
			return interrupted(ctx, err)
		case err != nil:
			failed.Refusal = err
			return failed
		case answer.GetDeployedModelId() != id:
			return fmt.Errorf("the gate asked %s, but %s answered: somebody else deployed to the gate's endpoint %s", id, answer.GetDeployedModelId(), trial.Name.ID)
		case len(answer.GetPredictions()) != 1:
			failed.Refusal = fmt.Errorf("there are %d predictions for one instance", len(answer.GetPredictions()))
			return failed
		}
		got := answer.GetPredictions()[0].AsInterface()
		if len(g.Expect) > 0 {
			at, expected, got, differs := difference("$", g.Expect[i], got, g.Tolerance)
			if differs {
				failed.At, failed.Expected, failed.Got = at, expected, got
				return failed
			}
		}
		r.progress("%q passed instance %d of %d", key, i+1, len(g.Instances))
	}
	return nil
}

// removeGate deletes the gate's endpoint, if there is one and it is ours.
func (s *Service) removeGate(ctx context.Context, of gcp.Name, r Report) error {
	name, incarnation := gateName(of), gateMark(of)
	e, err := s.ReadEndpoint(ctx, name)
	if isOneOf(err, codes.NotFound, codes.PermissionDenied) || err == nil && e.Object.Incarnation != incarnation {
		return nil // who may not see it did not make it
	}
	if err == nil {
		r.progress("removing the gate's endpoint %s", name.ID)
		err = s.remove(ctx, name, Object{Incarnation: incarnation}, func(Deployed) bool { return true }, true, Report{Progress: r.Progress})
	}
	if err != nil {
		return fmt.Errorf("unable to remove the gate's endpoint %s; the next apply or destroy tries again: %w", name, err)
	}
	return nil
}
