// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// This file decides, and does nothing: from what an endpoint has and what it is
// to have, [next] picks one step. Doing it, reading the endpoint again and asking
// for the next one until there is none is the rollout. Each step is safe on its
// own: at every instant the traffic split sums to 100 (or is empty, before the
// first deployment, after the last, and while the only one is recreated), and no
// request goes to a model that is not there.

// Deployment is a model that an endpoint is to serve.
type Deployment struct {
	// Model names the model; its Version is a version's number.
	Model     gcp.Name
	Resources Resources
	Settings  Settings
}

// Deployed is a model that an endpoint serves.
type Deployed struct {
	// ID is the server's id of the deployment, Key the one in the configuration.
	ID        string
	Key       string
	Model     gcp.Name // with the number of the version
	Resources Resources
	Settings  Settings
	// Private is where a private endpoint serves it.
	Private Private
	Object  Object
}

// Private is where a deployed model of a private endpoint is reached; "" for what its
// kind of endpoint does not have.
type Private struct {
	PredictHTTPURI    string
	ServiceAttachment string
}

// deploymentID makes the id of a deployment from all that cannot change about
// it, in words that the server gives back on reading. A deployment whose answer
// was lost is found by it, and one of our making can be told from any other.
func deploymentID(key string, d Deployment) string {
	return gcp.SpecNumber(append([]any{
		key, d.Model.Location, d.Model.ID, d.Model.Version,
		d.Resources.MachineType, d.Resources.AcceleratorType, d.Resources.AcceleratorCount,
	}, d.identity()...))
}

// SelfMade reports whether the id proves that gcpml made this deployment.
func (d Deployed) SelfMade() bool {
	return d.Resources.Kind != Other && d.ID == deploymentID(d.Key, Deployment{d.Model, d.Resources, d.Settings})
}

// asAskedFor adds that fast tryout was asked for, which the id proves: it may be that the
// server does not show it, or does not when it had to deploy in the other way.
func (d Deployed) asAskedFor() Deployed {
	asked := d
	if asked.Settings.FastTryout = true; asked.SelfMade() {
		return asked
	}
	return d
}

// serves reports whether what is deployed is what is wanted, apart from what can
// change in place.
func (d Deployed) serves(key string, want Deployment) bool {
	return d.Resources.Kind != Other && d.Key == key && d.Model == want.Model && d.Resources.sameMachine(want.Resources) &&
		d.Settings.ServiceAccount == want.Settings.ServiceAccount && d.Settings.AccessLogging == want.Settings.AccessLogging &&
		d.Settings.NoExplanations == want.Settings.NoExplanations && d.Settings.FastTryout == want.Settings.FastTryout
}

// target is what an endpoint is to have, and how it is to get there.
type target struct {
	deployments map[string]Deployment
	// traffic has percentages by key that sum to 100; empty without deployments.
	traffic map[string]int32
	// ours tells what may be changed or undeployed. The rest is left alone.
	ours func(Deployed) bool

	strategy Strategy
	// steps are percentages of a deployment's traffic, ascending to 100.
	steps []int32
	// gated tells that nothing is deployed which has not passed the gate; passed
	// has the ids of what did.
	gated  bool
	passed map[string]bool
	// paused tells that there are no deployments now, but will be again.
	paused bool
}

// Strategy is how a deployment takes the place of another.
type Strategy string

// The strategies.
const (
	// BlueGreen deploys the new one beside the old one, looks whether it is there,
	// moves the traffic in steps, and then undeploys the old one.
	BlueGreen Strategy = "blue_green"
	// AllAtOnce is BlueGreen with the traffic moved by the deployment itself.
	AllAtOnce Strategy = "all_at_once"
	// Recreate undeploys the old one first. It needs no second set of machines.
	Recreate Strategy = "recreate"
)

// Strategies are all of them.
func Strategies() []Strategy { return []Strategy{BlueGreen, AllAtOnce, Recreate} }

type stepKind string

const (
	stepGate     stepKind = "gate"
	stepDeploy   stepKind = "deploy"
	stepAdjust   stepKind = "adjust"
	stepShift    stepKind = "shift traffic"
	stepUndeploy stepKind = "undeploy"
)

// step is one call of the API, or (gate) a series of them on another endpoint.
type step struct {
	kind       stepKind
	key        string
	id         string     // of the deployed model
	deployment Deployment // deploy, adjust
	// changes are the fields to change, as paths of an update mask (adjust).
	changes []string
	// keys are those whose deployments are to be tried (gate).
	keys []string
	// split is the whole new traffic split by id (deploy, shift); in a deploy, "0"
	// stands for the new one.
	split map[string]int32
	// patient tells that the traffic as it is now is to be kept for a while first.
	patient bool
}

// newcomer stands for the model that is being deployed, in its traffic split.
const newcomer = "0"

// next returns the next step from have to want, nil when there is none left:
// adjust what stays, try what is new, deploy it, move the traffic, undeploy what
// is not wanted any more.
func next(have *Endpoint, want target) *step {
	current := current(have, want)
	for _, key := range slices.Sorted(maps.Keys(current)) {
		d, w := current[key], want.deployments[key]
		if changes := w.changes(d); len(changes) > 0 {
			return &step{kind: stepAdjust, key: key, id: d.ID, deployment: w, changes: changes}
		}
	}
	missing := slices.DeleteFunc(byTraffic(want), func(key string) bool { _, there := current[key]; return there })
	untried := slices.DeleteFunc(slices.Clone(missing), func(key string) bool { return want.passed[deploymentID(key, want.deployments[key])] })
	if want.gated && len(untried) > 0 {
		return &step{kind: stepGate, keys: untried}
	}
	leaving := leaving(have, want, current)
	if len(missing) > 0 {
		key := missing[0]
		if want.strategy == Recreate && len(leaving[key]) > 0 {
			return makeRoom(have, want, current, leaving[key])
		}
		w := want.deployments[key]
		return &step{kind: stepDeploy, key: key, id: deploymentID(key, w), deployment: w, split: splitWithNewcomer(have.Traffic, want.strategy, leaving[key])}
	}
	if final := finalSplit(have, want, current); !sameSplit(final, have.Traffic) {
		// The last deployed model takes its traffic along when it goes.
		if last := len(have.Deployed) == 1 && len(leaving) == 1; !last {
			split, patient := nextSplit(have, want, current, leaving, final)
			return &step{kind: stepShift, split: split, patient: patient}
		}
	}
	for _, d := range have.Deployed {
		if !slices.ContainsFunc(leaving[d.Key], func(o Deployed) bool { return o.ID == d.ID }) {
			continue
		}
		successor, replaced := current[d.Key]
		return &step{kind: stepUndeploy, key: d.Key, id: d.ID, patient: replaced && !successor.olderThan(d)}
	}
	return nil
}

// current are the deployments that are there as wanted, apart from what can change in
// place.
func current(have *Endpoint, want target) map[string]Deployed {
	current := map[string]Deployed{}
	for _, d := range have.Deployed {
		w, wanted := want.deployments[d.Key]
		if !wanted || !want.ours(d) || !d.serves(d.Key, w) {
			continue
		}
		if other, twice := current[d.Key]; !twice || have.Traffic[d.ID] > have.Traffic[other.ID] {
			current[d.Key] = d
		}
	}
	return current
}

// leaving are the deployments of ours that are not to stay, by key.
func leaving(have *Endpoint, want target, current map[string]Deployed) map[string][]Deployed {
	leaving := map[string][]Deployed{}
	for _, d := range have.Deployed {
		if want.ours(d) && current[d.Key].ID != d.ID {
			leaving[d.Key] = append(leaving[d.Key], d)
		}
	}
	return leaving
}

// makeRoom is the next step to undeploy what a new deployment is to replace. The
// other deployments of the endpoint take its traffic meanwhile; with no other, the
// endpoint serves nothing.
func makeRoom(have *Endpoint, want target, current map[string]Deployed, old []Deployed) *step {
	if len(have.Deployed) > 1 && sum(trafficOf(have, old)) > 0 {
		return &step{kind: stepShift, split: splitWithout(have, want, current, old)}
	}
	return &step{kind: stepUndeploy, key: old[0].Key, id: old[0].ID}
}

// byTraffic are the keys, those with the most traffic first: the first model of
// an endpoint takes all traffic until the others are there.
func byTraffic(want target) []string {
	return slices.SortedFunc(maps.Keys(want.deployments), func(a, b string) int {
		return cmp.Or(cmp.Compare(want.traffic[b], want.traffic[a]), cmp.Compare(a, b))
	})
}

// olderThan tells a return to what served before from a roll-out of something new.
func (d Deployed) olderThan(o Deployed) bool { return d.Object.CreateTime.Before(o.Object.CreateTime) }

// impossible tells why what is wanted cannot be had beside what others deployed;
// "" if it can. A traffic split always sums to 100: what takes all of ours away
// gives it to the others, and then nothing tells what it was.
func impossible(have *Endpoint, want target) string {
	foreign := foreignSplit(have, want)
	if len(foreign) == 0 {
		return ""
	}
	current := current(have, want)
	for key, old := range leaving(have, want, current) {
		_, wanted := want.deployments[key]
		_, there := current[key]
		switch {
		case sum(trafficOf(have, old)) == 0:
		case want.paused:
			return "models that others deployed to the endpoint would get all of its traffic, and keep it when it serves again"
		case want.strategy == Recreate && wanted && !there:
			without := splitWithout(have, want, current, old)
			if slices.ContainsFunc(slices.Collect(maps.Keys(foreign)), func(id string) bool { return without[id] != foreign[id] }) {
				return "with the strategy recreate, models that others deployed to the endpoint would get all of its traffic, and keep it"
			}
		}
	}
	return ""
}

// missed tells what of a step that the server reported as done the endpoint does
// not show; "" if it shows all.
func (s step) missed(have *Endpoint) string {
	i := slices.IndexFunc(have.Deployed, func(d Deployed) bool { return d.ID == s.id })
	switch {
	case s.kind == stepShift && !sameSplit(have.Traffic, s.split):
		return fmt.Sprintf("the traffic split is %v", have.Traffic)
	case s.kind == stepShift, s.kind == stepGate:
	case s.kind == stepUndeploy && i >= 0:
		return "it is still deployed"
	case s.kind == stepUndeploy:
	case i < 0:
		return "it is not deployed"
	case s.kind == stepDeploy && !have.Deployed[i].serves(s.key, s.deployment):
		return fmt.Sprintf("what is deployed is %s on %+v with %+v", have.Deployed[i].Model, have.Deployed[i].Resources, have.Deployed[i].Settings)
	case s.kind == stepDeploy && s.split[newcomer] == 0 && have.Traffic[s.id] > 0:
		return fmt.Sprintf("it was to get no traffic yet, but has %d%%", have.Traffic[s.id])
	case s.kind == stepAdjust:
		if differs := s.deployment.changes(have.Deployed[i]); len(differs) > 0 {
			r := have.Deployed[i].Resources
			return fmt.Sprintf("%s did not change; it has %d to %d replicas", strings.Join(differs, ", "), r.MinReplicas, r.MaxReplicas)
		}
	}
	return ""
}

// String names a step for people, and tells it from any other.
func (s step) String() string {
	switch s.kind {
	case stepGate:
		return "trying " + strings.Join(s.keys, ", ")
	case stepDeploy:
		return fmt.Sprintf("deploying %q (%s)", s.key, s.deployment.Model)
	case stepAdjust:
		return fmt.Sprintf("changing %s of %q (%d to %d replicas)", strings.Join(s.changes, ", "), s.key, s.deployment.Resources.MinReplicas, s.deployment.Resources.MaxReplicas)
	case stepShift:
		return fmt.Sprintf("shifting traffic to %v", s.split)
	}
	return fmt.Sprintf("undeploying %q (%s)", s.key, s.id)
}
