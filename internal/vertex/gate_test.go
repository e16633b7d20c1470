// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func TestDifference(t *testing.T) {
	object := func(score float64, label any) map[string]any {
		return map[string]any{"scores": []any{score, 0.5}, "label": label}
	}
	for name, c := range map[string]struct {
		expected, got any
		tolerance     float64
		at            string // "" for no difference
	}{
		"equal":                   {object(0.25, "good"), object(0.25, "good"), 0, ""},
		"within the tolerance":    {object(0.25, "good"), object(0.3, "good"), 0.1, ""},
		"at the tolerance":        {1.0, 1.5, 0.5, ""},
		"outside of it":           {object(0.25, "good"), object(0.75, "good"), 0.25, "$.scores[0]"},
		"no tolerance":            {0.25, 0.2500001, 0, "$"},
		"not a number":            {0.25, math.NaN(), 10, "$"},
		"text for a number":       {0.25, "0.25", 1, "$"},
		"a number for text":       {"0.25", 0.25, 1, "$"},
		"another text":            {object(0.25, "good"), object(0.25, "bad"), 1, "$.label"},
		"a list that is shorter":  {[]any{1.0, 2.0}, []any{1.0}, 1, "$[1]"},
		"a list that is longer":   {[]any{1.0}, []any{1.0, 2.0}, 1, "$[1]"},
		"a list for a number":     {1.0, []any{1.0}, 1, "$"},
		"a number for a list":     {[]any{1.0}, 1.0, 1, "$"},
		"a list for text":         {"a", []any{"a"}, 1, "$"},
		"a member that is absent": {object(0.25, "good"), map[string]any{"label": "good"}, 1, "$.scores"},
		"a member too many":       {map[string]any{}, map[string]any{"label": "good"}, 1, "$.label"},
		"null for absence":        {map[string]any{"a": nil}, map[string]any{}, 1, "$.a"},
		"null":                    {nil, nil, 0, ""},
		"truth":                   {true, false, 1, "$"},
		"an object for a list":    {[]any{}, map[string]any{}, 1, "$"},
		"a list for an object":    {map[string]any{}, []any{}, 1, "$"},
	} {
		at, _, _, differs := difference("$", c.expected, c.got, c.tolerance)
		if differs != (c.at != "") || differs && at != c.at {
			t.Errorf("%s: %v at %q, want %q", name, differs, at, c.at)
		}
	}
}

// gated is an endpoint that serves version 1, and its spec with version 2, which
// has to pass a gate.
func gated(t *testing.T, f *fake, s *Service) (before *Endpoint, spec EndpointSpec) {
	t.Helper()
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/2/"), "1", Report{}))
	spec = reviews("1")
	before = must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
	f.predict = func(version string, instance any) (any, error) {
		return map[string]any{"score": map[string]float64{"1": 0.5, "2": 0.9}[version], "of": instance}, nil
	}
	marker := spec.Marker
	spec = reviews("2")
	spec.Marker = marker
	spec.Rollout.Gate = &Gate{Instances: []any{"good", "better"}, Expect: []any{map[string]any{"score": 0.88, "of": "good"}, map[string]any{"score": 0.9, "of": "better"}}, Tolerance: 0.05}
	clear(f.effects)
	return before, spec
}

func (f *fake) endpointNames() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.endpoints))
}

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fake, *Gate)
		passes bool
		says   []string
	}{
		"passes":              {func(*fake, *Gate) {}, true, nil},
		"any prediction does": {func(_ *fake, g *Gate) { g.Expect, g.Tolerance = nil, 0 }, true, nil},
		"differs":             {func(_ *fake, g *Gate) { g.Tolerance = 0.01 }, false, []string{`"main"`, "bert@2", "instance 1 of 2", `"good"`, "$.score", "expected 0.88", "got 0.9", "tolerance 0.01"}},
		"the second differs":  {func(_ *fake, g *Gate) { g.Expect[1] = map[string]any{"score": 0.1} }, false, []string{"instance 2 of 2", `"better"`, `$.of`, "expected nothing"}},
		"cannot predict": {func(f *fake, _ *Gate) {
			f.predict = func(string, any) (any, error) { return nil, status.Error(codes.Internal, "shape mismatch") }
		}, false, []string{"instance 1 of 2", "shape mismatch"}},
		"answers late": {func(f *fake, _ *Gate) {
			answer, asked := f.predict, 0
			f.predict = func(version string, instance any) (any, error) {
				if asked++; asked < 3 {
					return nil, status.Error(codes.Unavailable, "starting")
				}
				return answer(version, instance)
			}
		}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := newFake(t)
			before, spec := gated(t, f, s)
			c.change(f, spec.Rollout.Gate)
			var shown []gcp.Name
			e, err := s.UpdateEndpoint(t.Context(), spec, Report{Endpoint: func(e *Endpoint) { shown = append(shown, e.Name) }})
			if got := f.endpointNames(); !slices.Equal(got, []string{spec.Name.String()}) {
				t.Errorf("the gate left something: %v", got)
			}
			if slices.ContainsFunc(shown, func(n gcp.Name) bool { return n != spec.Name }) {
				t.Errorf("the gate's endpoint was reported as the endpoint: %v", shown)
			}
			if c.passes {
				if err != nil || e.Deployed[0].Model.Version != "2" || len(e.Deployed) != 1 || f.effects["deploy"] != 2 {
					t.Errorf("%v, %+v, %v", err, e, f.effects)
				}
				return
			}
			var refused *GateError
			if !errors.As(err, &refused) {
				t.Fatalf("error %v, want that of the gate", err)
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			after := must[*Endpoint](t)(s.ReadEndpoint(t.Context(), spec.Name))
			if len(after.Deployed) != 1 || !reflect.DeepEqual(after.Deployed[0], before.Deployed[0]) || after.Traffic[before.Deployed[0].ID] != 100 || after.etag != before.etag {
				t.Errorf("what served was touched: %+v, before %+v", after, before)
			}
			if f.effects["deploy"] != 1 || f.effects["undeploy"] != 1 {
				t.Errorf("effects %v", f.effects)
			}
		})
	}
}

// The model of the very first deployment is tried, too.
func TestGateOfTheFirst(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	f.predict = func(string, any) (any, error) { return 1.0, nil }
	spec := reviews("1")
	spec.Rollout.Gate = &Gate{Instances: []any{"x"}, Expect: []any{2.0}}
	_, err := s.CreateEndpoint(t.Context(), spec, Report{})
	var refused *GateError
	var notMade *NotMadeError
	if !errors.As(err, &refused) || errors.As(err, &notMade) {
		t.Errorf("error %v", err)
	}
	if e := must[*Endpoint](t)(s.ReadEndpoint(t.Context(), spec.Name)); len(e.Deployed) != 0 {
		t.Errorf("deployed: %v", e.Deployed)
	}
}

// A model that cannot be deployed fails at the gate.
func TestGateWithABrokenModel(t *testing.T) {
	f, s := newFake(t)
	before, spec := gated(t, f, s)
	f.mu.Lock()
	f.versions[model("bert", "").String()][1].ContainerSpec.ImageUri = "broken"
	f.mu.Unlock()
	_, err := s.UpdateEndpoint(t.Context(), spec, Report{})
	if err == nil || !strings.Contains(err.Error(), "at the gate") || !strings.Contains(err.Error(), "exited unexpectedly") {
		t.Errorf("error %v", err)
	}
	if got := f.endpointNames(); len(got) != 1 || f.endpoints[got[0]].GetEtag() != before.etag {
		t.Errorf("endpoints %v", got)
	}
}

// Interrupted at the gate, at any call: the next update goes on, or, when it is no
// longer wanted, removes what is left; and so does the deletion.
func TestInterruptedGate(t *testing.T) {
	for _, method := range []string{"CreateEndpoint", "DeployModel", "Predict", "UndeployModel", "DeleteEndpoint"} {
		for name, goOn := range map[string]func(*testing.T, *fake, *Service, EndpointSpec, *Endpoint){
			"again": func(t *testing.T, _ *fake, s *Service, spec EndpointSpec, _ *Endpoint) {
				if e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{})); e.Deployed[0].Model.Version != "2" || len(e.Deployed) != 1 {
					t.Errorf("deployed %v", e.Deployed)
				}
			},
			"not wanted any more": func(t *testing.T, _ *fake, s *Service, spec EndpointSpec, _ *Endpoint) {
				old := reviews("1")
				old.Marker = spec.Marker
				if e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), old, Report{})); e.Deployed[0].Model.Version != "1" || len(e.Deployed) != 1 {
					t.Errorf("deployed %v", e.Deployed)
				}
			},
			"deleted": func(t *testing.T, f *fake, s *Service, spec EndpointSpec, before *Endpoint) {
				if err := s.DeleteEndpoint(t.Context(), spec.Name, before.Object, spec.Ours, false, Report{}); err != nil {
					t.Error(err)
				}
				if got := f.endpointNames(); len(got) != 0 {
					t.Errorf("left: %v", got)
				}
			},
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				f, s := newFake(t)
				before, spec := gated(t, f, s)
				ctx, cancel := context.WithCancel(t.Context())
				f.mu.Lock()
				clear(f.calls)
				f.after = once(method, errLost)
				f.before = func(m string, n int) error {
					if m == method && n == 1 {
						time.AfterFunc(2*time.Millisecond, cancel)
					}
					return nil
				}
				f.mu.Unlock()
				if _, err := s.UpdateEndpoint(ctx, spec, Report{}); err == nil {
					t.Fatal("it was not interrupted")
				}
				f.mu.Lock()
				f.before, f.after = nil, nil
				f.mu.Unlock()
				goOn(t, f, s, spec, before)
				if got := f.endpointNames(); len(got) > 1 {
					t.Errorf("the gate is left: %v", got)
				}
			})
		}
	}
}

// An endpoint that has the gate's name, but was not made for it, is left alone.
func TestGateOfSomebodyElse(t *testing.T) {
	f, s := newFake(t)
	_, spec := gated(t, f, s)
	theirs := reviews("1")
	theirs.Name = gateName(spec.Name)
	must[*Endpoint](t)(s.create(t.Context(), theirs, Report{}))
	_, err := s.UpdateEndpoint(t.Context(), spec, Report{})
	if err == nil || !strings.Contains(err.Error(), theirs.Name.ID) {
		t.Errorf("error %v, want one that names the endpoint", err)
	}
	if len(f.endpointNames()) != 2 || f.effects["deploy"] != 0 {
		t.Errorf("endpoints %v, effects %v", f.endpointNames(), f.effects)
	}
}

// Who may see only its own endpoint needs no gate to change it.
func TestGateThatMayNotBeSeen(t *testing.T) {
	f, s := newFake(t)
	before, spec := gated(t, f, s)
	spec.Rollout.Gate = nil
	f.hidden = gateName(spec.Name).String()
	if e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{})); e.Deployed[0].Model.Version != "2" {
		t.Errorf("deployed %v", e.Deployed)
	}
	if err := s.DeleteEndpoint(t.Context(), spec.Name, before.Object, spec.Ours, false, Report{}); err != nil {
		t.Error(err)
	}
}

// Success that shows nowhere is an error, soon and only once tried.
func TestSilentRollback(t *testing.T) {
	for lie, says := range map[string]string{"deploy": "not deployed", "undeploy": "still deployed", "mutate": "1 to 1 replicas", "shift": "traffic split"} {
		t.Run(lie, func(t *testing.T) {
			t.Parallel()
			f, s := newFake(t)
			_, spec := gated(t, f, s)
			spec.Rollout.Gate = nil
			if lie == "mutate" {
				spec.Deployments = map[string]Deployment{"main": {Model: model("bert", "1"), Resources: small(1, 5)}}
			}
			f.lies = map[string]bool{lie: true}
			_, err := s.UpdateEndpoint(t.Context(), spec, Report{})
			var none *NoEffectError
			if !errors.As(err, &none) || !strings.Contains(err.Error(), says) {
				t.Errorf("error %v, want %q", err, says)
			}
		})
	}
}

// The traffic moves in steps, each of which lasts, and the wait ends at once when
// it is cancelled; the next update goes on from there.
func TestStepsWaitAndResume(t *testing.T) {
	f, s := newFake(t)
	_, spec := gated(t, f, s)
	spec.Rollout = Rollout{Steps: []int32{25, 100}, Wait: 150 * time.Millisecond}
	var splits []map[string]int32
	var times []time.Time
	watch := Report{Endpoint: func(e *Endpoint) {
		if len(splits) == 0 || !sameSplit(splits[len(splits)-1], e.Traffic) {
			splits, times = append(splits, e.Traffic), append(times, time.Now())
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	slow := spec
	slow.Rollout.Wait = time.Hour
	var cancelled time.Time
	_, err := s.UpdateEndpoint(ctx, slow, Report{Endpoint: watch.Endpoint, Progress: func(format string, _ ...any) {
		if strings.HasPrefix(format, "waiting %s before") {
			cancelled = time.Now()
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || time.Since(cancelled) > time.Second || !gcp.IsInterrupted(ctx, err) {
		t.Errorf("error %v after %s", err, time.Since(cancelled))
	}
	e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, watch))
	old, id := "", e.Deployed[0].ID
	for d := range splits[0] {
		old = d
	}
	want := []map[string]int32{{old: 100}, {old: 75, id: 25}, {id: 100}}
	if !slices.EqualFunc(splits, want, sameSplit) || len(e.Deployed) != 1 {
		t.Fatalf("splits %v, want %v", splits, want)
	}
	if waited := times[2].Sub(cancelled); waited < 150*time.Millisecond {
		t.Errorf("the step lasted %s", waited)
	}
}

func TestPauseAndResume(t *testing.T) {
	f, s := newFake(t)
	_, spec := gated(t, f, s)
	spec.Rollout.Gate = nil
	spec.Paused = true
	e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	if len(e.Deployed) != 0 || f.effects["undeploy"] != 1 || f.effects["deploy"] != 0 {
		t.Errorf("paused: %+v, %v", e.Deployed, f.effects)
	}
	must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	spec.Paused = false
	e = must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	if len(e.Deployed) != 1 || e.Traffic[e.Deployed[0].ID] != 100 || f.effects["deploy"] != 1 {
		t.Errorf("resumed: %+v, %v", e.Deployed, f.effects)
	}
}

// What would give all traffic to others for good is refused, and nothing changes.
func TestForeignTrafficInTheWay(t *testing.T) {
	for name, change := range map[string]func(*EndpointSpec){
		"pause":    func(s *EndpointSpec) { s.Paused = true },
		"recreate": func(s *EndpointSpec) { s.Rollout = Rollout{Strategy: Recreate} },
	} {
		f, s := newFake(t)
		_, spec := gated(t, f, s)
		e := f.endpoints[spec.Name.String()]
		foreign := &pb.DeployedModel{Id: "77", DisplayName: "theirs", Model: model("other", "1").String()}
		e.DeployedModels = append(e.GetDeployedModels(), foreign)
		e.TrafficSplit = map[string]int32{e.GetDeployedModels()[0].GetId(): 60, "77": 40}
		change(&spec)
		_, err := s.UpdateEndpoint(t.Context(), spec, Report{})
		var inTheWay *ForeignTrafficError
		if !errors.As(err, &inTheWay) || len(e.GetDeployedModels()) != 2 || e.GetTrafficSplit()["77"] != 40 {
			t.Errorf("%s: error %v, endpoint %v", name, err, e)
		}
	}
}
