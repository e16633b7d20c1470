// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// This file decides, and does nothing: from what an endpoint has and what it is
// to have, [next] picks one step. Doing it, reading the endpoint again and asking
// for the next one until there is none is the rollout. Each step is safe on its
// own: at every instant the traffic split sums to 100 (or is empty, before the
// first deployment and after the last), and no request goes to a model that is
// not there.

// Resources are the machines that serve a deployed model.
type Resources struct {
	MachineType string
	// AcceleratorType is a name such as "NVIDIA_TESLA_T4", "" for none.
	AcceleratorType  string
	AcceleratorCount int32
	MinReplicas      int32
	MaxReplicas      int32
}

// sameMachine ignores the replica counts, which can change in place.
func (r Resources) sameMachine(o Resources) bool {
	r.MinReplicas, r.MaxReplicas = o.MinReplicas, o.MaxReplicas
	return r == o
}

// Deployment is a model that an endpoint is to serve.
type Deployment struct {
	// Model names the model; its Version is a version's number.
	Model     gcp.Name
	Resources Resources
}

// Deployed is a model that an endpoint serves.
type Deployed struct {
	// ID is the server's id of the deployment, Key the one in the configuration.
	ID        string
	Key       string
	Model     gcp.Name // with the number of the version
	Resources Resources
	// Dedicated is false for a model on automatic or shared resources, which
	// gcpml does not make.
	Dedicated bool
	Object    Object
}

// deploymentID makes the id of a deployment from all that cannot change about
// it, in words that the server gives back on reading. A deployment whose answer
// was lost is found by it, and one of our making can be told from any other.
func deploymentID(key string, d Deployment) string {
	return gcp.SpecNumber([]any{
		key, d.Model.Location, d.Model.ID, d.Model.Version,
		d.Resources.MachineType, d.Resources.AcceleratorType, d.Resources.AcceleratorCount,
	})
}

// SelfMade reports whether the id proves that gcpml made this deployment.
func (d Deployed) SelfMade() bool {
	return d.Dedicated && d.ID == deploymentID(d.Key, Deployment{d.Model, d.Resources})
}

// serves reports whether what is deployed is what is wanted, apart from replicas.
func (d Deployed) serves(key string, want Deployment) bool {
	return d.Dedicated && d.Key == key && d.Model == want.Model && d.Resources.sameMachine(want.Resources)
}

// target is what an endpoint is to have.
type target struct {
	deployments map[string]Deployment
	// traffic has percentages by key that sum to 100; empty without deployments.
	traffic map[string]int32
	// ours tells what may be changed or undeployed. The rest is left alone.
	ours func(Deployed) bool
}

type stepKind string

const (
	stepDeploy   stepKind = "deploy"
	stepResize   stepKind = "resize"
	stepShift    stepKind = "shift traffic"
	stepUndeploy stepKind = "undeploy"
)

// step is one call of the API.
type step struct {
	kind       stepKind
	key        string
	id         string     // of the deployed model
	deployment Deployment // deploy, resize
	// split is the whole new traffic split by id (deploy, shift); in a deploy, "0"
	// stands for the new one.
	split map[string]int32
}

// newcomer stands for the model that is being deployed, in its traffic split.
const newcomer = "0"

// next returns the next step from have to want, nil when there is none left:
// resize what stays, deploy what is new without traffic, move all traffic at
// once, undeploy what is not wanted any more.
func next(have *Endpoint, want target) *step {
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
	for _, key := range slices.Sorted(maps.Keys(current)) {
		d, w := current[key], want.deployments[key]
		if d.Resources != w.Resources {
			return &step{kind: stepResize, key: key, id: d.ID, deployment: w}
		}
	}
	for _, key := range byTraffic(want) {
		if _, there := current[key]; !there {
			w := want.deployments[key]
			return &step{kind: stepDeploy, key: key, id: deploymentID(key, w), deployment: w, split: splitWithNewcomer(have.Traffic)}
		}
	}
	keep := map[string]bool{}
	for _, d := range current {
		keep[d.ID] = true
	}
	leaving := slices.DeleteFunc(slices.Clone(have.Deployed), func(d Deployed) bool { return keep[d.ID] || !want.ours(d) })
	if split := wantedSplit(have, want, current); !sameSplit(split, have.Traffic) {
		// The last deployed model takes its traffic along when it goes.
		if last := len(have.Deployed) == 1 && len(leaving) == 1; !last {
			return &step{kind: stepShift, split: split}
		}
	}
	if len(leaving) > 0 {
		return &step{kind: stepUndeploy, key: leaving[0].Key, id: leaving[0].ID}
	}
	return nil
}

// byTraffic are the keys, those with the most traffic first: the first model of
// an endpoint takes all traffic until the others are there.
func byTraffic(want target) []string {
	return slices.SortedFunc(maps.Keys(want.deployments), func(a, b string) int {
		return cmp.Or(cmp.Compare(want.traffic[b], want.traffic[a]), cmp.Compare(a, b))
	})
}

// splitWithNewcomer leaves the traffic as it is; the first model of an endpoint
// gets all of it, since a split cannot sum to less.
func splitWithNewcomer(traffic map[string]int32) map[string]int32 {
	split := map[string]int32{newcomer: 100}
	if sum(traffic) > 0 {
		split = maps.Clone(traffic)
		maps.DeleteFunc(split, func(_ string, share int32) bool { return share == 0 }) // they may name what is gone
		split[newcomer] = 0
	}
	return split
}

// wantedSplit is the traffic split in the end, by id. What others deployed keeps
// its share, and ours is divided as the configuration says. When nothing of ours
// is to stay, the others take over its share.
func wantedSplit(have *Endpoint, want target, current map[string]Deployed) map[string]int32 {
	foreign := map[string]int32{}
	for _, d := range have.Deployed {
		if !want.ours(d) && have.Traffic[d.ID] > 0 {
			foreign[d.ID] = have.Traffic[d.ID]
		}
	}
	if len(current) == 0 {
		return scale(foreign, 100)
	}
	split := map[string]int32{}
	for key, share := range scale(want.traffic, 100-sum(foreign)) {
		split[current[key].ID] = share
	}
	maps.Copy(split, foreign)
	return split
}

// scale divides total in proportion to shares: exact, and the same each time.
// Shares of 0 are left out.
func scale[K cmp.Ordered](shares map[K]int32, total int32) map[K]int32 {
	out := map[K]int32{}
	all := sum(shares)
	if all == 0 || total <= 0 {
		return out
	}
	left := total
	for k, v := range shares {
		out[k] = v * total / all
		left -= out[k]
	}
	// The rest goes, one each, to those that rounding took most from.
	order := slices.SortedFunc(maps.Keys(shares), func(a, b K) int {
		return cmp.Or(cmp.Compare(shares[b]*total%all, shares[a]*total%all), cmp.Compare(a, b))
	})
	for _, k := range order[:left] {
		out[k]++
	}
	maps.DeleteFunc(out, func(_ K, v int32) bool { return v == 0 })
	return out
}

func sum[K comparable](m map[K]int32) (total int32) {
	for _, v := range m {
		total += v
	}
	return total
}

// sameSplit compares splits; a share of 0 is as good as none.
func sameSplit(a, b map[string]int32) bool {
	for _, m := range []map[string]int32{a, b} {
		for id := range m {
			if a[id] != b[id] {
				return false
			}
		}
	}
	return true
}

// ForeignTraffic is the percentage that goes to models which are not ours.
func ForeignTraffic(e *Endpoint, ours func(Deployed) bool) (percent int32) {
	for _, d := range e.Deployed {
		if !ours(d) {
			percent += e.Traffic[d.ID]
		}
	}
	return percent
}

// Shares divides what foreign models leave of the traffic as wanted says. It is
// what a rollout aims at, by key and without zeros.
func Shares(wanted map[string]int32, foreign int32) map[string]int32 {
	return scale(wanted, 100-foreign)
}
