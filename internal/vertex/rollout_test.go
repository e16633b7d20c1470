// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func model(id, version string) gcp.Name {
	return gcp.Name{Project: "p", Location: "us-central1", Kind: gcp.KindModel, ID: id, Version: version}
}

func small(minReplicas, maxReplicas int32) Resources {
	return Resources{MachineType: "n1-standard-2", MinReplicas: minReplicas, MaxReplicas: maxReplicas}
}

// sim is an endpoint that obeys the preconditions of Vertex AI's documentation.
type sim struct {
	t     *testing.T
	e     Endpoint
	clock int64
}

func (s *sim) do(st step) {
	s.t.Helper()
	ids := map[string]bool{}
	for _, d := range s.e.Deployed {
		ids[d.ID] = true
	}
	switch st.kind {
	case stepDeploy:
		// "The traffic percentage values must add up to 100."
		if sum(st.split) != 100 {
			s.t.Fatalf("deploy %s: split %v does not sum to 100", st.key, st.split)
		}
		if ids[st.id] {
			s.t.Fatalf("deploy %s: id %s is taken", st.key, st.id)
		}
		s.clock++
		s.e.Deployed = append(s.e.Deployed, Deployed{Object: Object{CreateTime: time.Unix(s.clock, 0)}, ID: st.id, Key: st.key, Model: st.deployment.Model, Resources: st.deployment.Resources, Settings: st.deployment.Settings})
		s.e.Traffic = map[string]int32{}
		for id, share := range st.split {
			if id == newcomer {
				id = st.id
			} else if !ids[id] {
				s.t.Fatalf("deploy %s: split %v names %s, which is not deployed", st.key, st.split, id)
			}
			s.e.Traffic[id] = share
		}
	case stepAdjust:
		i := slices.IndexFunc(s.e.Deployed, func(d Deployed) bool { return d.ID == st.id })
		if i < 0 {
			s.t.Fatalf("resize: %s is not deployed", st.id)
		}
		if !s.e.Deployed[i].Resources.sameMachine(st.deployment.Resources) {
			s.t.Fatalf("resize of %s changes the machine", st.key)
		}
		s.e.Deployed[i].Resources, s.e.Deployed[i].Settings = st.deployment.Resources, st.deployment.Settings
	case stepShift:
		if total := sum(st.split); total != 100 && total != 0 {
			s.t.Fatalf("split %v does not sum to 100", st.split)
		}
		for id, share := range st.split {
			if !ids[id] {
				s.t.Fatalf("split %v names %s, which is not deployed", st.split, id)
			}
			if share < 0 {
				s.t.Fatalf("split %v is negative", st.split)
			}
		}
		s.e.Traffic = st.split
	case stepUndeploy:
		// "A DeployedModel will be successfully undeployed only if it doesn't have any
		// traffic assigned"; the last one empties the split.
		if !ids[st.id] || s.e.Traffic[st.id] > 0 && len(s.e.Deployed) > 1 {
			s.t.Fatalf("undeploy %s: not deployed, or has traffic (%v)", st.id, s.e.Traffic)
		}
		s.e.Deployed = slices.DeleteFunc(s.e.Deployed, func(d Deployed) bool { return d.ID == st.id })
		if s.e.Traffic[st.id] > 0 {
			s.e.Traffic = nil
		}
	}
}

// show renders a step for comparison.
func show(st *step) string {
	if st == nil {
		return "done"
	}
	var split []string
	for _, id := range slices.Sorted(maps.Keys(st.split)) {
		split = append(split, fmt.Sprintf("%s=%d", id, st.split[id]))
	}
	patience := ""
	if st.patient {
		patience = "wait, "
	}
	return strings.TrimSpace(fmt.Sprintf("%s%s %s %s", patience, st.kind, st.key+strings.Join(st.keys, ","), strings.Join(split, " ")))
}

func selfMade(d Deployed) bool { return d.SelfMade() }

func deployed(key string, d Deployment) Deployed {
	return Deployed{ID: deploymentID(key, d), Key: key, Model: d.Model, Resources: d.Resources, Settings: d.Settings}
}

func TestNext(t *testing.T) {
	v1 := Deployment{Model: model("bert", "1"), Resources: small(1, 1)}
	v2 := Deployment{Model: model("bert", "2"), Resources: small(1, 1)}
	v1Wide := Deployment{Model: model("bert", "1"), Resources: small(1, 3)}
	gpu := Deployment{Model: model("bert", "1"), Resources: Resources{MachineType: "n1-standard-4", AcceleratorType: "NVIDIA_TESLA_T4", AcceleratorCount: 1, MinReplicas: 1, MaxReplicas: 1}}
	main1, main2, mainGPU := deployed("main", v1), deployed("main", v2), deployed("main", gpu)
	main1.Object.CreateTime, main2.Object.CreateTime = time.Unix(1, 0), time.Unix(2, 0)
	canary2 := deployed("canary", v2)
	foreign := Deployed{ID: "77", Key: "main", Model: model("other", "1"), Resources: small(1, 1)}

	for _, c := range []struct {
		name    string
		have    Endpoint
		deploy  map[string]Deployment
		traffic map[string]int32
		want    []string
	}{
		{
			"first ever", Endpoint{},
			map[string]Deployment{"main": v1},
			map[string]int32{"main": 100},
			[]string{"deploy main 0=100", "done"},
		},
		{
			"two at once: the one with more traffic first", Endpoint{},
			map[string]Deployment{"canary": v2, "main": v1},
			map[string]int32{"main": 90, "canary": 10},
			[]string{"deploy main 0=100", "deploy canary 0=0 " + main1.ID + "=100", "shift traffic  " + pair(main1.ID, 90, canary2.ID, 10), "done"},
		},
		{
			"a new version: deploy, shift, undeploy", Endpoint{Deployed: []Deployed{main1}, Traffic: map[string]int32{main1.ID: 100}},
			map[string]Deployment{"main": v2},
			map[string]int32{"main": 100},
			[]string{"deploy main 0=0 " + main1.ID + "=100", "shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"another machine is a new deployment", Endpoint{Deployed: []Deployed{main1}, Traffic: map[string]int32{main1.ID: 100}},
			map[string]Deployment{"main": gpu},
			map[string]int32{"main": 100},
			[]string{"deploy main 0=0 " + main1.ID + "=100", "shift traffic  " + mainGPU.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"replicas change in place", Endpoint{Deployed: []Deployed{main1}, Traffic: map[string]int32{main1.ID: 100}},
			map[string]Deployment{"main": v1Wide},
			map[string]int32{"main": 100},
			[]string{"adjust main", "done"},
		},
		{
			"interrupted after the deployment", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 100}},
			map[string]Deployment{"main": v2},
			map[string]int32{"main": 100},
			[]string{"shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"interrupted after the shift", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main2.ID: 100}},
			map[string]Deployment{"main": v2},
			map[string]int32{"main": 100},
			[]string{"wait, undeploy main", "done"},
		},
		{
			"interrupted, and wanted back", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 100}},
			map[string]Deployment{"main": v1},
			map[string]int32{"main": 100},
			[]string{"undeploy main", "done"},
		},
		{
			"a blanked split is restored", Endpoint{Deployed: []Deployed{main1}},
			map[string]Deployment{"main": v1},
			map[string]int32{"main": 100},
			[]string{"shift traffic  " + main1.ID + "=100", "done"},
		},
		{
			"one is removed", Endpoint{Deployed: []Deployed{main1, canary2}, Traffic: map[string]int32{main1.ID: 90, canary2.ID: 10}},
			map[string]Deployment{"main": v1},
			map[string]int32{"main": 100},
			[]string{"shift traffic  " + main1.ID + "=100", "undeploy canary", "done"},
		},
		{
			"the last one is removed", Endpoint{Deployed: []Deployed{main1}, Traffic: map[string]int32{main1.ID: 100}},
			nil, nil,
			[]string{"undeploy main", "done"},
		},
		{
			"all are removed", Endpoint{Deployed: []Deployed{main1, canary2}, Traffic: map[string]int32{main1.ID: 90, canary2.ID: 10}},
			nil, nil,
			[]string{"shift traffic", "undeploy main", "undeploy canary", "done"},
		},
		{
			"a foreign model keeps its share, even under our key", Endpoint{Deployed: []Deployed{foreign, main1}, Traffic: map[string]int32{foreign.ID: 40, main1.ID: 60}},
			map[string]Deployment{"main": v2},
			map[string]int32{"main": 100},
			[]string{"deploy main 0=0 " + pair(main1.ID, 60, foreign.ID, 40), "shift traffic  " + pair(main2.ID, 60, foreign.ID, 40), "wait, undeploy main", "done"},
		},
		{
			"a foreign model takes over when ours go", Endpoint{Deployed: []Deployed{foreign, main1}, Traffic: map[string]int32{foreign.ID: 40, main1.ID: 60}},
			nil, nil,
			[]string{"shift traffic  77=100", "undeploy main", "done"},
		},
		{
			"a foreign model with all traffic keeps it", Endpoint{Deployed: []Deployed{foreign}, Traffic: map[string]int32{foreign.ID: 100}},
			map[string]Deployment{"main": v1},
			map[string]int32{"main": 100},
			[]string{"deploy main 0=0 77=100", "done"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sim{t: t, e: c.have, clock: 2}
			want := target{deployments: c.deploy, traffic: c.traffic, ours: selfMade}
			var got []string
			for range c.want {
				st := next(&s.e, want)
				got = append(got, show(st))
				if st == nil {
					break
				}
				s.do(*st)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestNextByStrategy(t *testing.T) {
	v1, v2 := Deployment{Model: model("bert", "1"), Resources: small(1, 1)}, Deployment{Model: model("bert", "2"), Resources: small(1, 1)}
	at := func(d Deployed, seconds int64) Deployed { d.Object.CreateTime = time.Unix(seconds, 0); return d }
	main1, main2 := at(deployed("main", v1), 1), at(deployed("main", v2), 2)
	side1, side2 := at(deployed("side", v1), 1), at(deployed("side", v2), 2)
	foreign := Deployed{ID: "77", Key: "theirs", Model: model("other", "1"), Resources: small(1, 1)}
	toV2, all := map[string]Deployment{"main": v2}, map[string]int32{"main": 100}
	both := map[string]Deployment{"main": v2, "side": v2}
	only1 := Endpoint{Deployed: []Deployed{main1}, Traffic: map[string]int32{main1.ID: 100}}
	steps := []int32{10, 50, 100}
	shift := func(a string, x int, b string, y int) string { return "shift traffic  " + pair(a, x, b, y) }

	for _, c := range []struct {
		name string
		have Endpoint
		want target
		does []string
	}{
		{
			"in steps", only1,
			target{deployments: toV2, traffic: all, steps: steps},
			[]string{
				"deploy main 0=0 " + main1.ID + "=100", shift(main2.ID, 10, main1.ID, 90), "wait, " + shift(main2.ID, 50, main1.ID, 50),
				"wait, shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done",
			},
		},
		{
			"interrupted between steps", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 90, main2.ID: 10}},
			target{deployments: toV2, traffic: all, steps: steps},
			[]string{"wait, " + shift(main2.ID, 50, main1.ID, 50), "wait, shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"somebody moved the traffic between steps", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 67, main2.ID: 33}},
			target{deployments: toV2, traffic: all, steps: steps},
			[]string{"wait, " + shift(main2.ID, 50, main1.ID, 50), "wait, shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"interrupted between steps, and wanted back: at once", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 90, main2.ID: 10}},
			target{deployments: map[string]Deployment{"main": v1}, traffic: all, steps: steps},
			[]string{"shift traffic  " + main1.ID + "=100", "undeploy main", "done"},
		},
		{
			"steps divide what others leave", Endpoint{Deployed: []Deployed{main1, foreign}, Traffic: map[string]int32{main1.ID: 60, "77": 40}},
			target{deployments: toV2, traffic: all, steps: []int32{50, 100}},
			[]string{
				"deploy main 0=0 " + pair(main1.ID, 60, "77", 40), three(main1.ID, 30, main2.ID, 30, "77", 40),
				"wait, " + shift(main2.ID, 60, "77", 40), "wait, undeploy main", "done",
			},
		},
		{
			"a share too small for its steps", Endpoint{Deployed: []Deployed{main1, side1}, Traffic: map[string]int32{main1.ID: 97, side1.ID: 3}},
			target{deployments: map[string]Deployment{"main": v1, "side": v2}, traffic: map[string]int32{"main": 97, "side": 3}, steps: steps},
			[]string{ // 10 % of 3 is 1 at least, 50 % is 2
				"deploy side 0=0 " + pair(main1.ID, 97, side1.ID, 3),
				three(main1.ID, 97, side1.ID, 2, side2.ID, 1), "wait, " + three(main1.ID, 97, side1.ID, 1, side2.ID, 2),
				"wait, " + shift(main1.ID, 97, side2.ID, 3), "wait, undeploy side", "done",
			},
		},
		{
			"all at once: the deployment itself moves the traffic", only1,
			target{deployments: toV2, traffic: all, strategy: AllAtOnce},
			[]string{"deploy main 0=100", "wait, undeploy main", "done"},
		},
		{
			"all at once, beside others", Endpoint{Deployed: []Deployed{main1, foreign}, Traffic: map[string]int32{main1.ID: 60, "77": 40}},
			target{deployments: toV2, traffic: all, strategy: AllAtOnce},
			[]string{"deploy main " + pair("0", 60, "77", 40), "wait, undeploy main", "done"},
		},
		{
			"recreate: the old one goes first", only1,
			target{deployments: toV2, traffic: all, strategy: Recreate},
			[]string{"undeploy main", "deploy main 0=100", "done"},
		},
		{
			"recreate: another one takes the traffic meanwhile", Endpoint{Deployed: []Deployed{main1, side1}, Traffic: map[string]int32{main1.ID: 90, side1.ID: 10}},
			target{deployments: map[string]Deployment{"main": v2, "side": v1}, traffic: map[string]int32{"main": 90, "side": 10}, strategy: Recreate},
			[]string{"shift traffic  " + side1.ID + "=100", "undeploy main", "deploy main 0=0 " + side1.ID + "=100", shift(main2.ID, 90, side1.ID, 10), "done"},
		},
		{
			"recreate: one after the other", Endpoint{Deployed: []Deployed{main1, side1}, Traffic: map[string]int32{main1.ID: 90, side1.ID: 10}},
			target{deployments: both, traffic: map[string]int32{"main": 90, "side": 10}, strategy: Recreate},
			[]string{
				"shift traffic  " + side1.ID + "=100", "undeploy main", "deploy main 0=0 " + side1.ID + "=100",
				"shift traffic  " + main2.ID + "=100", "undeploy side", "deploy side 0=0 " + main2.ID + "=100", shift(main2.ID, 90, side2.ID, 10), "done",
			},
		},
		{
			"the gate comes before anything is touched", Endpoint{Deployed: []Deployed{main1, side1}, Traffic: map[string]int32{main1.ID: 90, side1.ID: 10}},
			target{deployments: both, traffic: map[string]int32{"main": 90, "side": 10}, strategy: Recreate, gated: true},
			[]string{"gate main,side", "gate main,side"}, // as long as it was not passed
		},
		{
			"what passed the gate does not pass it again", only1,
			target{deployments: toV2, traffic: all, gated: true, passed: map[string]bool{main2.ID: true}},
			[]string{"deploy main 0=0 " + main1.ID + "=100", "shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"what is there passed the gate before", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 100}},
			target{deployments: toV2, traffic: all, gated: true},
			[]string{"shift traffic  " + main2.ID + "=100", "wait, undeploy main", "done"},
		},
		{
			"paused", Endpoint{Deployed: []Deployed{main1, main2}, Traffic: map[string]int32{main1.ID: 90, main2.ID: 10}},
			target{paused: true, steps: steps},
			[]string{"shift traffic", "undeploy main", "undeploy main", "done"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sim{t: t, e: c.have, clock: 2}
			s.e.Deployed = slices.Clone(s.e.Deployed)
			c.want.ours = selfMade
			var got []string
			for range c.does {
				st := next(&s.e, c.want)
				got = append(got, show(st))
				if st == nil {
					break
				}
				s.do(*st)
				if missed := st.missed(&s.e); missed != "" {
					t.Errorf("after %q: %s", show(st), missed)
				}
			}
			if !slices.Equal(got, c.does) {
				t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.does, "\n"))
			}
		})
	}
}

// three renders a shift to a split of three as show does.
func three(a string, x int, b string, y int, c string, z int) string {
	parts := []string{fmt.Sprintf("%s=%d", a, x), fmt.Sprintf("%s=%d", b, y), fmt.Sprintf("%s=%d", c, z)}
	slices.Sort(parts)
	return "shift traffic  " + strings.Join(parts, " ")
}

func TestImpossible(t *testing.T) {
	v1, v2 := Deployment{Model: model("bert", "1"), Resources: small(1, 1)}, Deployment{Model: model("bert", "2"), Resources: small(1, 1)}
	main1, side1 := deployed("main", v1), deployed("side", v1)
	foreign := Deployed{ID: "77", Key: "theirs", Model: model("other", "1")}
	split := func(ours, theirs int32) Endpoint {
		return Endpoint{Deployed: []Deployed{main1, foreign}, Traffic: map[string]int32{main1.ID: ours, "77": theirs}}
	}
	three := Endpoint{Deployed: []Deployed{main1, side1, foreign}, Traffic: map[string]int32{main1.ID: 50, side1.ID: 10, "77": 40}}
	toV2 := map[string]Deployment{"main": v2}
	for name, c := range map[string]struct {
		have Endpoint
		want target
		why  string
	}{
		"pause beside others":            {split(60, 40), target{paused: true}, "when it serves again"},
		"pause beside idle ones":         {split(100, 0), target{paused: true}, ""},
		"paused already":                 {split(0, 100), target{paused: true}, ""},
		"recreate beside others":         {split(60, 40), target{deployments: toV2, strategy: Recreate}, "recreate"},
		"recreate what has no traffic":   {split(0, 100), target{deployments: toV2, strategy: Recreate}, ""},
		"blue-green beside others":       {split(60, 40), target{deployments: toV2}, ""},
		"recreate with one of our own":   {three, target{deployments: map[string]Deployment{"main": v2, "side": v1}, traffic: map[string]int32{"main": 90, "side": 10}, strategy: Recreate}, ""},
		"nothing changes while recreate": {split(60, 40), target{deployments: map[string]Deployment{"main": v1}, strategy: Recreate}, ""},
	} {
		c.want.ours = selfMade
		if got := impossible(&c.have, c.want); (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("%s: %q, want %q", name, got, c.why)
		}
	}
}

// What the server reports as done is looked for on the endpoint.
func TestMissed(t *testing.T) {
	v1, v2 := Deployment{Model: model("bert", "1"), Resources: small(1, 1)}, Deployment{Model: model("bert", "2"), Resources: small(1, 1)}
	main1, main2 := deployed("main", v1), deployed("main", v2)
	other := main2
	other.Model.Version = "3"
	wide := main1
	wide.Resources.MaxReplicas = 4
	has := func(traffic map[string]int32, d ...Deployed) *Endpoint {
		return &Endpoint{Deployed: d, Traffic: traffic}
	}
	deploy := step{kind: stepDeploy, key: "main", id: main2.ID, deployment: v2, split: map[string]int32{newcomer: 0, main1.ID: 100}}
	resize := step{kind: stepAdjust, key: "main", id: main1.ID, deployment: Deployment{Model: v1.Model, Resources: small(1, 4)}}
	for name, c := range map[string]struct {
		step step
		have *Endpoint
		want string
	}{
		"deployed":                 {deploy, has(map[string]int32{main1.ID: 100}, main1, main2), ""},
		"not deployed":             {deploy, has(map[string]int32{main1.ID: 100}, main1), "not deployed"},
		"something else deployed":  {deploy, has(map[string]int32{main1.ID: 100}, main1, other), "bert@3"},
		"traffic not asked for":    {deploy, has(map[string]int32{main2.ID: 100}, main1, main2), "100%"},
		"resized":                  {resize, has(nil, wide), ""},
		"not resized":              {resize, has(nil, main1), "1 to 1"},
		"resized and gone":         {resize, has(nil), "not deployed"},
		"shifted":                  {step{kind: stepShift, split: map[string]int32{main2.ID: 100}}, has(map[string]int32{main2.ID: 100, main1.ID: 0}, main1, main2), ""},
		"not shifted":              {step{kind: stepShift, split: map[string]int32{main2.ID: 100}}, has(map[string]int32{main1.ID: 100}, main1, main2), "split"},
		"undeployed":               {step{kind: stepUndeploy, id: main1.ID}, has(nil, main2), ""},
		"said to be undeployed":    {step{kind: stepUndeploy, id: main1.ID}, has(nil, main1), "still"},
		"gate leaves nothing here": {step{kind: stepGate, keys: []string{"main"}}, has(nil), ""},
	} {
		if got := c.step.missed(c.have); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// pair renders a split as show does, which sorts by id.
func pair(a string, x int, b string, y int) string {
	parts := []string{fmt.Sprintf("%s=%d", a, x), fmt.Sprintf("%s=%d", b, y)}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// Whatever is wanted, from wherever, interrupted anywhere: the simulated endpoint
// refuses nothing, the split sums to 100 at every instant in which something of
// ours is to be served, no traffic is moved away from a model before its
// successor is there, and the end is what was wanted.
func TestRolloutsConverge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	keys := []string{"a", "b", "c"}
	for run := range 2000 {
		s := &sim{t: t}
		if random.IntN(3) == 0 {
			s.e = Endpoint{Deployed: []Deployed{{ID: "77", Key: "a", Model: model("other", "1"), Resources: Resources{Kind: []ResourceKind{Dedicated, Other}[random.IntN(2)]}}}}
			if random.IntN(2) == 0 {
				s.e.Traffic = map[string]int32{"77": 100}
			}
		}
		for change := range 4 {
			want := target{
				deployments: map[string]Deployment{}, traffic: map[string]int32{}, ours: selfMade,
				strategy: Strategies()[random.IntN(3)], paused: random.IntN(8) == 0, gated: random.IntN(4) == 0, passed: map[string]bool{},
			}
			if want.strategy == BlueGreen {
				want.steps = [][]int32{nil, {100}, {50, 100}, {1, 2, 100}, {10, 50, 99, 100}}[random.IntN(5)]
			}
			for _, k := range keys[:random.IntN(len(keys)+1)] {
				r := small(int32(1+random.IntN(2)), 2)
				if random.IntN(3) == 0 {
					r.MachineType = "n1-standard-4"
				}
				var settings Settings
				switch random.IntN(8) { // what changes in place, and what does not
				case 0:
					r.Spot = true
				case 1:
					r.Targets = map[string]int32{metricCPU: 80}
				case 2:
					r.RequiredReplicas = 1
				case 3:
					r = Resources{Kind: Automatic, MinReplicas: 1, MaxReplicas: int32(random.IntN(3))}
				case 4:
					r = Resources{Kind: Shared, Pool: gcp.Name{Project: "p", Location: "us-central1", Kind: KindPool, ID: "pool"}}
				case 5:
					settings.ServiceAccount = "runner@p.iam.gserviceaccount.com"
				case 6:
					settings.NoContainerLogging = true
				}
				want.deployments[k] = Deployment{model("m", fmt.Sprint(1+random.IntN(3))), r, settings}
				want.traffic[k] = int32(random.IntN(5))
			}
			if sum(want.traffic) == 0 && len(want.deployments) > 0 {
				want.traffic[keys[0]] = 1
			}
			want.traffic = scale(want.traffic, 100)
			if want.paused {
				want.deployments, want.traffic = nil, nil
			}
			if impossible(&s.e, want) != "" {
				continue
			}
			// Only these ever leave a moment without a split.
			gaps := len(want.deployments) == 0 || want.strategy == Recreate
			foreign := ForeignTraffic(&s.e, selfMade)
			steps, interruptAt := 0, 1000
			if change < 3 && random.IntN(2) == 0 {
				interruptAt = random.IntN(6)
			}
			for ; steps < interruptAt; steps++ {
				st := next(&s.e, want)
				if st == nil {
					break
				}
				if steps > 40 {
					t.Fatalf("run %d: no end: %s", run, show(st))
				}
				if st.kind == stepGate {
					for _, key := range st.keys {
						want.passed[deploymentID(key, want.deployments[key])] = true
					}
					continue
				}
				if st.kind == stepDeploy && want.gated && !want.passed[st.id] {
					t.Fatalf("run %d: %s without passing the gate", run, show(st))
				}
				served := sum(s.e.Traffic) == 100
				s.do(*st)
				if missed := st.missed(&s.e); missed != "" {
					t.Fatalf("run %d: %s: %s", run, show(st), missed)
				}
				if served && !gaps && sum(s.e.Traffic) != 100 {
					t.Fatalf("run %d: after %s the split is %v", run, show(st), s.e.Traffic)
				}
				if len(want.deployments) > 0 && ForeignTraffic(&s.e, selfMade) != foreign {
					t.Fatalf("run %d: %s changed the traffic of a foreign model from %d: %v", run, show(st), foreign, s.e.Traffic)
				}
			}
			if steps == interruptAt {
				continue
			}
			own := map[string]int32{}
			for _, d := range s.e.Deployed {
				if !selfMade(d) {
					continue
				}
				w, wanted := want.deployments[d.Key]
				if !wanted || d.Model != w.Model || !d.Resources.Same(w.Resources) || d.Settings != w.Settings {
					t.Fatalf("run %d: %+v is left, want %+v", run, d, w)
				}
				if _, twice := own[d.Key]; twice {
					t.Fatalf("run %d: %s is deployed twice", run, d.Key)
				}
				own[d.Key] = s.e.Traffic[d.ID]
			}
			if len(own) != len(want.deployments) {
				t.Fatalf("run %d: deployed %v, want %v", run, own, want.deployments)
			}
			if !sameSplit(own, Shares(want.traffic, foreign)) {
				t.Fatalf("run %d: traffic %v, want %v beside %d of others", run, own, want.traffic, foreign)
			}
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct {
		shares map[string]int32
		total  int32
		want   map[string]int32
	}{
		{map[string]int32{"a": 100}, 100, map[string]int32{"a": 100}},
		{map[string]int32{"a": 90, "b": 10}, 100, map[string]int32{"a": 90, "b": 10}},
		{map[string]int32{"a": 100, "b": 0}, 60, map[string]int32{"a": 60}},
		{map[string]int32{"a": 50, "b": 50}, 75, map[string]int32{"a": 38, "b": 37}}, // 37.5 each: the tie goes to the first
		{map[string]int32{"a": 34, "b": 33, "c": 33}, 10, map[string]int32{"a": 4, "b": 3, "c": 3}},
		{map[string]int32{"a": 1, "b": 99}, 50, map[string]int32{"a": 1, "b": 49}}, // 0.5 and 49.5: the tie goes to the first
		{map[string]int32{"a": 100}, 0, map[string]int32{}},
		{nil, 100, map[string]int32{}},
	} {
		if got := scale(c.shares, c.total); !maps.Equal(got, c.want) {
			t.Errorf("scale(%v, %d) = %v, want %v", c.shares, c.total, got, c.want)
		}
	}
}

func reserved(name string) Reservation {
	return Reservation{Type: "SPECIFIC_RESERVATION", Key: "compute.googleapis.com/reservation-name", Values: []string{name}}
}

// What was deployed by earlier releases is recognised: the ids of deployments without
// anything that came later are as they have been from the first one on. The numbers
// are computed by another program (Python's hashlib and json) from
// [key, location, model, version, machine, accelerator, count].
func TestDeploymentIDsOfEarlierReleases(t *testing.T) {
	for want, got := range map[string]string{
		"4871655946": deploymentID("main", Deployment{Model: model("bert", "1"), Resources: small(1, 2)}),
		"5831625189": deploymentID("canary", Deployment{
			Model:     gcp.Name{Project: "p", Location: "europe-west4", Kind: gcp.KindModel, ID: "bert", Version: "12"},
			Resources: Resources{MachineType: "n1-standard-4", AcceleratorType: "NVIDIA_TESLA_T4", AcceleratorCount: 2, MinReplicas: 1},
		}),
	} {
		if got != want {
			t.Errorf("the id is %s, was %s", got, want)
		}
	}
	name := gcp.Name{Project: "p", Location: "us-central1", Kind: gcp.KindEndpoint, ID: "e"}
	if got, want := EndpointMarker("o", name, EndpointConfig{RequestLogging: RequestLogging{Enabled: true}}).Spec, gcp.NewMarker("o", name.String()).Spec; got != want {
		t.Errorf("the mark of an endpoint is %s, was %s", got, want)
	}
}

func TestDeploymentIDs(t *testing.T) {
	base := Deployment{Model: model("bert", "1"), Resources: small(1, 2)}
	id := deploymentID("main", base)
	// "This value should be 1-10 characters, and valid characters are /[0-9]/."
	if len(id) != 10 || strings.Trim(id, "0123456789") != "" || id[0] == '0' {
		t.Errorf("id %q is not 10 digits", id)
	}
	changed := func(f func(*Deployment)) Deployment { d := base; f(&d); return d }
	if other := deploymentID("main", changed(func(d *Deployment) { d.Resources.MaxReplicas = 9 })); other != id {
		t.Error("replicas change the id")
	}
	if other := deploymentID("main", changed(func(d *Deployment) { d.Model.Project = "123456" })); other != id {
		t.Error("how the project is spelled changes the id")
	}
	ids := map[string]bool{
		id: true, deploymentID("other", base): true,
		deploymentID("main", changed(func(d *Deployment) { d.Model.Version = "2" })):                     true,
		deploymentID("main", changed(func(d *Deployment) { d.Model.ID = "bart" })):                       true,
		deploymentID("main", changed(func(d *Deployment) { d.Resources.MachineType = "n1-standard-4" })): true,
		deploymentID("main", changed(func(d *Deployment) { d.Resources.AcceleratorType = "NVIDIA_L4" })): true,
		deploymentID("main", changed(func(d *Deployment) { d.Resources.AcceleratorCount = 1 })):          true,
		deploymentID("main", changed(func(d *Deployment) { d.Model.Location = "europe-west4" })):         true,
	}
	for _, change := range []func(*Deployment){
		func(d *Deployment) { d.Resources.Spot = true },
		func(d *Deployment) { d.Resources.Kind = Automatic },
		func(d *Deployment) { d.Resources.Kind = Shared },
		func(d *Deployment) { d.Resources.Pool = gcp.Name{Project: "p", Location: "us-central1", ID: "a"} },
		func(d *Deployment) { d.Resources.Pool = gcp.Name{Project: "p", Location: "us-central1", ID: "b"} },
		func(d *Deployment) { d.Resources.Reservation.Type = "ANY_RESERVATION" },
		func(d *Deployment) { d.Resources.Reservation = reserved("projects/p/zones/z/reservations/a") },
		func(d *Deployment) { d.Resources.Reservation = reserved("projects/p/zones/z/reservations/b") },
		func(d *Deployment) { d.Settings.ServiceAccount = "a@p.iam.gserviceaccount.com" },
		func(d *Deployment) { d.Settings.ServiceAccount = "b@p.iam.gserviceaccount.com" },
		func(d *Deployment) { d.Settings.AccessLogging = true },
		func(d *Deployment) { d.Settings.NoExplanations = true },
		func(d *Deployment) { d.Settings.FastTryout = true },
		func(d *Deployment) { d.Resources.TPUTopology = "2x2" },
	} {
		ids[deploymentID("main", changed(change))] = true
	}
	if len(ids) != 22 {
		t.Errorf("22 different deployments have %d ids", len(ids))
	}
	for what, change := range map[string]func(*Deployment){
		"required replicas": func(d *Deployment) { d.Resources.RequiredReplicas = 1 },
		"targets":           func(d *Deployment) { d.Resources.Targets = map[string]int32{metricCPU: 80} },
		"container logging": func(d *Deployment) { d.Settings.NoContainerLogging = true },
	} {
		if deploymentID("main", changed(change)) != id {
			t.Errorf("%s, which can change in place, are part of the id", what)
		}
	}
	spelled := func(project string) string {
		return deploymentID("main", changed(func(d *Deployment) {
			d.Resources.Pool = gcp.Name{Project: project, Location: "us-central1", ID: "a"}
			d.Resources.Reservation = reserved("projects/" + project + "/zones/z/reservations/a")
		}))
	}
	if spelled("p") != spelled("123456") {
		t.Error("how the project of a pool or a reservation is spelled changes the id")
	}
	d := Deployed{ID: id, Key: "main", Model: base.Model, Resources: base.Resources}
	if !d.SelfMade() {
		t.Error("our own deployment is not recognised")
	}
	if d.asAskedFor().Settings.FastTryout {
		t.Error("fast tryout was not asked for")
	}
	hidden := d
	hidden.ID = deploymentID("main", changed(func(d *Deployment) { d.Settings.FastTryout = true }))
	if got := hidden.asAskedFor(); !got.Settings.FastTryout || !got.SelfMade() {
		t.Error("fast tryout that the server does not show is not recognised")
	}
	d.Key = "renamed"
	if d.SelfMade() {
		t.Error("a deployment of another key is taken for ours")
	}
}
