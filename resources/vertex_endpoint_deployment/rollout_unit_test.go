// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

var (
	gateType = map[string]attr.Type{"instances": types.ListType{ElemType: types.StringType}, "expect": types.ListType{ElemType: types.StringType}, "tolerance": types.Float64Type}
	unset    = rollout{Strategy: types.StringNull(), Steps: types.ListNull(types.Int32Type), Wait: types.StringNull(), Gate: types.ObjectNull(gateType)}
)

func stepsOf(steps ...attr.Value) types.List { return types.ListValueMust(types.Int32Type, steps) }

func percent(p int32) attr.Value { return types.Int32Value(p) }

func jsons(texts ...attr.Value) attr.Value { return types.ListValueMust(types.StringType, texts) }

func str(s string) attr.Value { return types.StringValue(s) }

func gateValue(instances, expect attr.Value, tolerance types.Float64) types.Object {
	if expect == nil {
		expect = types.ListNull(types.StringType)
	}
	return types.ObjectValueMust(gateType, map[string]attr.Value{"instances": instances, "expect": expect, "tolerance": tolerance})
}

func with(change func(*rollout)) rollout { r := unset; change(&r); return r }

func TestRolloutToSpec(t *testing.T) {
	for name, c := range map[string]struct {
		rollout rollout
		want    vertex.Rollout
	}{
		"nothing":              {rollout{}, vertex.Rollout{}},
		"nothing in it":        {unset, vertex.Rollout{}},
		"one step":             {with(func(r *rollout) { r.Steps = stepsOf(percent(100)) }), vertex.Rollout{Steps: []int32{100}}},
		"several steps wait":   {with(func(r *rollout) { r.Steps = stepsOf(percent(10), percent(100)) }), vertex.Rollout{Steps: []int32{10, 100}, Wait: 30 * time.Second}},
		"as long as they want": {with(func(r *rollout) { r.Steps, r.Wait = stepsOf(percent(10), percent(100)), types.StringValue("0s") }), vertex.Rollout{Steps: []int32{10, 100}}},
		"all at once": {
			with(func(r *rollout) { r.Strategy, r.Wait = types.StringValue("all_at_once"), types.StringValue("1h30m") }),
			vertex.Rollout{Strategy: vertex.AllAtOnce, Wait: 90 * time.Minute},
		},
		"gate": {
			with(func(r *rollout) {
				r.Gate = gateValue(jsons(str(`{"text":"a"}`), str(`2`)), jsons(str(`[0.5]`), str(`null`)), types.Float64Value(0.1))
			}),
			vertex.Rollout{Gate: &vertex.Gate{Instances: []any{map[string]any{"text": "a"}, 2.0}, Expect: []any{[]any{0.5}, nil}, Tolerance: 0.1}},
		},
		"gate that expects nothing": {
			with(func(r *rollout) { r.Gate = gateValue(jsons(str(`"a"`)), nil, types.Float64Null()) }),
			vertex.Rollout{Gate: &vertex.Gate{Instances: []any{"a"}}},
		},
	} {
		var diags diag.Diagnostics
		if got := c.rollout.toSpec(t.Context(), &diags); diags.HasError() || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v %v", name, got, c.want, diags)
		}
	}
}

// What is wrong is told with the path of the attribute; what is unknown passes.
func TestValidateRollout(t *testing.T) {
	at := path.Root("rollout")
	gate := at.AtName("gate")
	for name, c := range map[string]struct {
		rollout rollout
		want    []path.Path
	}{
		"nothing":      {rollout{}, nil},
		"fine":         {with(func(r *rollout) { r.Steps, r.Wait = stepsOf(percent(1), percent(100)), types.StringValue("0s") }), nil},
		"descending":   {with(func(r *rollout) { r.Steps = stepsOf(percent(50), percent(10), percent(100)) }), []path.Path{at.AtName("steps").AtListIndex(1)}},
		"short":        {with(func(r *rollout) { r.Steps = stepsOf(percent(50), percent(99)) }), []path.Path{at.AtName("steps").AtListIndex(1)}},
		"out of range": {with(func(r *rollout) { r.Steps = stepsOf(percent(0), percent(100)) }), []path.Path{at.AtName("steps").AtListIndex(0)}},
		"none":         {with(func(r *rollout) { r.Steps = stepsOf() }), []path.Path{at.AtName("steps")}},
		"unknown step": {with(func(r *rollout) { r.Steps = stepsOf(percent(50), types.Int32Unknown(), percent(100)) }), nil},
		"unknown last": {with(func(r *rollout) { r.Steps = stepsOf(percent(50), types.Int32Unknown()) }), nil},
		"steps of another": {
			with(func(r *rollout) { r.Strategy, r.Steps = types.StringValue("recreate"), stepsOf(percent(100)) }),
			[]path.Path{at.AtName("steps")},
		},
		"wait":         {with(func(r *rollout) { r.Wait = types.StringValue("-1m") }), []path.Path{at.AtName("wait")}},
		"empty wait":   {with(func(r *rollout) { r.Wait = types.StringValue("") }), []path.Path{at.AtName("wait")}},
		"unknown wait": {with(func(r *rollout) { r.Wait = types.StringUnknown() }), nil},
		"not JSON": {
			with(func(r *rollout) { r.Gate = gateValue(jsons(str(`1`), str(`{`)), nil, types.Float64Null()) }),
			[]path.Path{gate.AtName("instances").AtListIndex(1)},
		},
		"two values in one": {
			with(func(r *rollout) { r.Gate = gateValue(jsons(str(`1 2`)), nil, types.Float64Null()) }),
			[]path.Path{gate.AtName("instances").AtListIndex(0)},
		},
		"too few expected": {
			with(func(r *rollout) { r.Gate = gateValue(jsons(str(`1`), str(`2`)), jsons(str(`1`)), types.Float64Null()) }),
			[]path.Path{gate.AtName("expect")},
		},
		"tolerance": {
			with(func(r *rollout) { r.Gate = gateValue(jsons(str(`1`)), jsons(str(`1`)), types.Float64Value(-1)) }),
			[]path.Path{gate.AtName("tolerance")},
		},
		"unknown gate": {with(func(r *rollout) { r.Gate = types.ObjectUnknown(gateType) }), nil},
		"unknown in the gate": {
			with(func(r *rollout) {
				r.Gate = gateValue(types.ListUnknown(types.StringType), jsons(str(`1`), types.StringUnknown()), types.Float64Unknown())
			}),
			nil,
		},
		"unknown instance": {with(func(r *rollout) { r.Gate = gateValue(jsons(types.StringUnknown()), nil, types.Float64Null()) }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			c.rollout.validate(t.Context(), &diags)
			var got []path.Path
			for _, d := range diags.Errors() {
				got = append(got, d.(diag.DiagnosticWithPath).Path())
			}
			if !slices.EqualFunc(got, c.want, path.Path.Equal) {
				t.Errorf("errors %v, want at %v", diags, c.want)
			}
		})
	}
}

// A paused endpoint keeps the deployments of the configuration; one on which ours
// are deployed again behind Terraform's back is shown as serving.
func TestFromRemotePaused(t *testing.T) {
	deployments := deps(map[string]attr.Value{"main": dep(bert+"@2", res("n1-standard-2", 1, nil))})
	split := int32Map(shares{"main": 100})
	for name, c := range map[string]struct {
		endpoint vertex.Endpoint
		state    string
		deployed int
	}{
		"nothing deployed":  {vertex.Endpoint{}, paused, 0},
		"others deployed":   {vertex.Endpoint{Deployed: []vertex.Deployed{served("9", "theirs", "1", 0, one)}, Traffic: shares{"9": 100}}, paused, 0},
		"ours are deployed": {vertex.Endpoint{Deployed: []vertex.Deployed{served("1", "main", "2", 0, one)}, Traffic: shares{"1": 100}}, serving, 1},
	} {
		var diags diag.Diagnostics
		m := before(deployments, split)
		m.DesiredState = types.StringValue(paused)
		c.endpoint.DisplayName = "renamed"
		m.fromRemote(t.Context(), &c.endpoint, func(d vertex.Deployed) bool { return d.Key != "theirs" }, sameModel, &diags)
		if diags.HasError() || m.DesiredState.ValueString() != c.state || len(m.Deployed.Elements()) != c.deployed || len(m.EffectiveTraffic.Elements()) != c.deployed {
			t.Errorf("%s: state %s, deployed %s, traffic %s %v", name, m.DesiredState, m.Deployed, m.EffectiveTraffic, diags)
		}
		if !m.Deployments.Equal(deployments) || !m.Traffic.Equal(split) || m.DisplayName.ValueString() != "renamed" {
			t.Errorf("%s: deployments %s, traffic %s, name %s", name, m.Deployments, m.Traffic, m.DisplayName)
		}
	}
}
