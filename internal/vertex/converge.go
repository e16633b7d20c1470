// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// UpdateEndpoint makes an endpoint what spec says, without a moment in which a
// request could not be served (apart from [Recreate]), and resumes an update that
// was interrupted. A [GateError] means that a new deployment was refused and
// nothing of what served was touched.
func (s *Service) UpdateEndpoint(ctx context.Context, spec EndpointSpec, r Report) (*Endpoint, error) {
	ctx, spec.Marker = s.clients.Polling(ctx), s.clients.Marked(spec.Marker)
	e, err := s.update(ctx, spec, r)
	if err != nil {
		return nil, err
	}
	// An earlier update may have been killed while it tried what is not wanted any more.
	return e, s.removeGate(ctx, spec.Name, r)
}

func (s *Service) update(ctx context.Context, spec EndpointSpec, r Report) (*Endpoint, error) {
	u := &update{Service: s, spec: spec, r: r, want: spec.target(), moved: time.Now(), pause: s.patience.begin(), times: map[string]int{}}
	return s.converge(ctx, spec.Name, r, u.decide)
}

// target is what a spec aims at; the versions of models are still as configured.
func (s EndpointSpec) target() target {
	t := target{
		traffic: s.Traffic, ours: s.Ours, paused: s.Paused, strategy: s.Rollout.Strategy, gated: s.Rollout.Gate != nil, passed: map[string]bool{},
	}
	if t.strategy == BlueGreen || t.strategy == "" {
		t.steps = s.Rollout.Steps
	}
	if t.traffic == nil && len(s.Deployments) == 1 {
		for key := range s.Deployments {
			t.traffic = map[string]int32{key: 100}
		}
	}
	return t
}

// update is one update under way. It remembers only what the endpoint cannot
// show: a new one that starts anywhere comes to the same end.
type update struct {
	*Service
	spec EndpointSpec
	r    Report
	want target
	// done is the last step, until the endpoint shows it; pause is for that time.
	done  *step
	pause *pause
	// moved is when the traffic last changed here, times how often each step was done.
	moved time.Time
	times map[string]int
}

// fight is how often one step may be done: another writer may undo it, but not
// again and again.
const fight = 3

func (u *update) decide(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint) (func(context.Context) error, error) {
	if wait := u.confirm(have); wait != nil {
		return wait, nil
	}
	if paths := u.changes(ctx, u.spec, have); len(paths) > 0 {
		return u.once("updating "+strings.Join(paths, ", "), func(ctx context.Context) error {
			e := u.spec.Config.into(&pb.Endpoint{
				DisplayName: u.spec.DisplayName, Description: u.spec.Description, Labels: u.spec.Marker.Merge(have.labels, u.spec.Labels, u.spec.DropLabels),
			})
			if e.GetPredictRequestResponseLoggingConfig() == nil { // says that it is off, not just nothing
				e.PredictRequestResponseLoggingConfig = &pb.PredictRequestResponseLoggingConfig{}
			}
			_, err := u.patch(ctx, client, have, paths, e)
			return err
		})
	}
	if timeout := u.spec.Config.InferenceTimeout; timeout != 0 && timeout != have.Config.InferenceTimeout {
		return u.once(fmt.Sprintf("setting the inference timeout to %s", timeout), func(ctx context.Context) error {
			return u.setTimeout(ctx, client, have, u.spec.Config, u.r)
		})
	}
	if u.want.deployments == nil && !u.spec.Paused {
		var err error
		if u.want.deployments, err = u.resolve(ctx, u.spec.Deployments, have); err != nil {
			return nil, err
		}
	}
	if why := impossible(have, u.want); why != "" {
		return nil, &ForeignTrafficError{have.Name, why}
	}
	do := next(have, u.want)
	if do == nil {
		return nil, nil
	}
	if left := u.spec.Rollout.Wait - time.Since(u.moved); do.patient && left > 0 {
		return func(ctx context.Context) error {
			u.r.progress("waiting %s before %s", left.Round(time.Second), do)
			if err := gcp.Sleep(ctx, left); err != nil {
				return fmt.Errorf("stopped while waiting for %s; the traffic split stays %v: %w", do, have.Traffic, err)
			}
			return nil
		}, nil
	}
	if u.times[do.String()] >= fight {
		return nil, &NoEffectError{do.String(), fmt.Sprintf("after %d times the traffic split is %v", fight, have.Traffic)}
	}
	return func(ctx context.Context) error { return u.run(ctx, client, have, do) }, nil
}

// once does something about the endpoint itself, which should show at once: it may be
// undone by another writer, but not again and again.
func (u *update) once(doing string, do func(context.Context) error) (func(context.Context) error, error) {
	if u.times[doing] >= fight {
		return nil, &NoEffectError{doing, fmt.Sprintf("after %d times it is as it was", fight)}
	}
	return func(ctx context.Context) error {
		u.r.progress("%s", doing)
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		u.times[doing]++
		return nil
	}, nil
}

// confirm compares the endpoint with what the last step should have made of it, and
// returns what to do when they differ: to look again, since it may be a matter of a
// moment; after a while that is an error. A split was compared when it was written:
// when it differs now, somebody else changed it.
func (u *update) confirm(have *Endpoint) (wait func(context.Context) error) {
	if u.done == nil || u.done.kind == stepShift {
		return nil
	}
	missed := u.done.missed(have)
	if missed == "" {
		u.done = nil
		return nil
	}
	return func(ctx context.Context) error {
		if u.pause.wait(ctx, u.patience.precondition) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &NoEffectError{u.done.String(), missed}
	}
}

func (u *update) run(ctx context.Context, client *aiplatform.EndpointClient, have *Endpoint, do *step) error {
	if do.kind == stepGate {
		if err := u.gate(ctx, u.spec, u.want.deployments, do.keys, u.r); err != nil {
			return err
		}
		for _, key := range do.keys {
			u.want.passed[deploymentID(key, u.want.deployments[key])] = true
		}
		return nil
	}
	u.done = nil
	if err := u.Service.run(ctx, client, have, *do, u.r); err != nil {
		return err
	}
	u.done, u.pause = do, u.patience.begin()
	u.times[do.String()]++
	if do.split != nil {
		u.moved = time.Now()
	}
	return nil
}

// ForeignTrafficError means that what others deployed to the endpoint is in the
// way. Nothing was changed.
type ForeignTrafficError struct {
	Endpoint gcp.Name
	Why      string
}

func (e *ForeignTrafficError) Error() string {
	return e.Why + ": move the traffic away from them first, or undeploy them"
}

// A round looks at an endpoint and returns what is to be done to it next; nil
// when nothing is.
type round func(context.Context, *aiplatform.EndpointClient, *Endpoint) (func(context.Context) error, error)

// maxRounds ends a fight with somebody who undoes each step.
const maxRounds = 500

// converge reads the endpoint and does the next thing until nothing is left to
// do. When another writer comes in between it reads again and decides anew.
func (s *Service) converge(ctx context.Context, name gcp.Name, r Report, decide round) (*Endpoint, error) {
	client, err := s.clients.Endpoints(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	unlock, err := s.clients.Lock(ctx, name.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := settle(ctx, client, name, r); err != nil {
		return nil, err
	}
	pause := s.patience.begin()
	for range maxRounds {
		have, err := s.ReadEndpoint(ctx, name)
		if err != nil {
			return nil, err
		}
		if r.Endpoint != nil {
			r.Endpoint(have)
		}
		do, err := decide(ctx, client, have)
		if err != nil || do == nil {
			return have, err
		}
		if err = do(ctx); err == nil {
			pause = s.patience.begin()
			continue
		}
		budget := s.budget(err)
		if budget == 0 || ctx.Err() != nil {
			return nil, interrupted(ctx, err)
		}
		r.progress("the endpoint is being changed by somebody else, or not yet ready (%s): looking again", gcp.Message(err))
		waited, settleErr := settle(ctx, client, name, r)
		if settleErr != nil {
			return nil, settleErr
		}
		if waited {
			pause = s.patience.begin()
		}
		if !pause.wait(ctx, budget) {
			return nil, interrupted(ctx, err)
		}
	}
	return nil, fmt.Errorf("the endpoint did not become what it is to be in %d steps: is something else changing it?", maxRounds)
}

// budget is how long a refused step may be tried again, from a fresh look at the
// endpoint; 0 for a refusal that is final.
func (s *Service) budget(err error) time.Duration {
	var failed *gcp.OperationError
	switch isFailed := errors.As(err, &failed); {
	case errors.Is(err, gcp.ErrOperationLost), isOneOf(err, codes.Aborted):
		return s.patience.conflict
	case isOneOf(err, codes.AlreadyExists): // our own deployment, whose answer was lost
		return s.patience.conflict
	case isFailed:
		return 0 // a deployment that failed would fail again
	case isOneOf(err, codes.FailedPrecondition):
		return s.patience.precondition
	}
	return 0
}
