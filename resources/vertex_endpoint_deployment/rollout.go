// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// The values of desired_state.
const (
	serving = "serving"
	paused  = "paused"
)

// rollout is the rollout argument; its zero value stands for none.
type rollout struct {
	Strategy types.String `tfsdk:"strategy"`
	Steps    types.List   `tfsdk:"steps"`
	Wait     types.String `tfsdk:"wait"`
	Gate     types.Object `tfsdk:"gate"`
}

type gate struct {
	Instances types.List    `tfsdk:"instances"`
	Expect    types.List    `tfsdk:"expect"`
	Tolerance types.Float64 `tfsdk:"tolerance"`
}

const (
	// stepWait is how long a step lasts by default when there are several.
	stepWait     = 30 * time.Second
	maxInstances = 100
)

func strategies() []string {
	var names []string
	for _, s := range vertex.Strategies() {
		names = append(names, string(s))
	}
	return names
}

func (m *model) paused() bool { return m.DesiredState.ValueString() == paused }

// rollout decodes what is known of the argument.
func (m *model) rollout(ctx context.Context, diags *diag.Diagnostics) rollout {
	var r rollout
	if !m.Rollout.IsNull() && !m.Rollout.IsUnknown() {
		diags.Append(m.Rollout.As(ctx, &r, basetypes.ObjectAsOptions{})...)
	}
	return r
}

func (r rollout) gate(ctx context.Context, diags *diag.Diagnostics) (g gate, configured bool) {
	if r.Gate.IsNull() || r.Gate.IsUnknown() {
		return g, false
	}
	diags.Append(r.Gate.As(ctx, &g, basetypes.ObjectAsOptions{})...)
	return g, true
}

// toSpec converts a roll-out that is known and valid.
func (r rollout) toSpec(ctx context.Context, diags *diag.Diagnostics) vertex.Rollout {
	spec := vertex.Rollout{Strategy: vertex.Strategy(r.Strategy.ValueString())}
	for _, s := range elements[types.Int32](ctx, r.Steps, diags) {
		spec.Steps = append(spec.Steps, s.ValueInt32())
	}
	spec.Wait, _ = time.ParseDuration(r.Wait.ValueString())
	if r.Wait.IsNull() && len(spec.Steps) > 1 {
		spec.Wait = stepWait
	}
	if g, configured := r.gate(ctx, diags); configured {
		spec.Gate = &vertex.Gate{
			Instances: decoded(elements[types.String](ctx, g.Instances, diags)), Expect: decoded(elements[types.String](ctx, g.Expect, diags)),
			Tolerance: g.Tolerance.ValueFloat64(),
		}
	}
	return spec
}

// elements decodes a list; unknown and null are empty.
func elements[T any](ctx context.Context, list types.List, diags *diag.Diagnostics) (out []T) {
	if !list.IsNull() && !list.IsUnknown() {
		diags.Append(list.ElementsAs(ctx, &out, false)...)
	}
	return out
}

// decoded are JSON texts that were found valid.
func decoded(texts []types.String) (values []any) {
	for _, text := range texts {
		var v any
		_ = json.Unmarshal([]byte(text.ValueString()), &v)
		values = append(values, v)
	}
	return values
}

// validate checks what is known.
func (r rollout) validate(ctx context.Context, diags *diag.Diagnostics) {
	at := path.Root("rollout")
	if s := r.Strategy.ValueString(); s != "" && s != string(vertex.BlueGreen) && !r.Steps.IsNull() {
		diags.AddAttributeError(at.AtName("steps"), "Steps without blue_green", fmt.Sprintf("With the strategy %s the traffic does not move in steps: leave steps out, or use blue_green.", s))
	}
	r.validateSteps(ctx, at.AtName("steps"), diags)
	if d, err := time.ParseDuration(r.Wait.ValueString()); !r.Wait.IsNull() && !r.Wait.IsUnknown() && (err != nil || d < 0) {
		diags.AddAttributeError(at.AtName("wait"), "Invalid wait", fmt.Sprintf("%q is not a duration of 0 or more, such as 30s or 10m.", r.Wait.ValueString()))
	}
	if g, configured := r.gate(ctx, diags); configured {
		g.validate(ctx, at.AtName("gate"), diags)
	}
}

func (r rollout) validateSteps(ctx context.Context, at path.Path, diags *diag.Diagnostics) {
	if r.Steps.IsNull() || r.Steps.IsUnknown() {
		return
	}
	steps, before := elements[types.Int32](ctx, r.Steps, diags), int32(0)
	if len(steps) == 0 {
		diags.AddAttributeError(at, "Invalid steps", "There is no step: leave steps out for a single one of 100.")
	}
	for i, s := range steps {
		switch step := s.ValueInt32(); {
		case s.IsUnknown():
			before = 0
			continue
		case s.IsNull() || step < 1 || step > 100:
			diags.AddAttributeError(at.AtListIndex(i), "Invalid step", fmt.Sprintf("%d is not a percentage from 1 to 100.", step))
		case step <= before:
			diags.AddAttributeError(at.AtListIndex(i), "Invalid steps", fmt.Sprintf("Steps must ascend, but %d comes after %d.", step, before))
		case i == len(steps)-1 && step != 100:
			diags.AddAttributeError(at.AtListIndex(i), "Invalid steps", fmt.Sprintf("The last step must be 100, not %d.", step))
		}
		before = s.ValueInt32()
	}
}

func (g gate) validate(ctx context.Context, at path.Path, diags *diag.Diagnostics) {
	instances, expect := elements[types.String](ctx, g.Instances, diags), elements[types.String](ctx, g.Expect, diags)
	for name, texts := range map[string][]types.String{"instances": instances, "expect": expect} {
		for i, text := range texts {
			if message := notJSON(text.ValueString()); message != "" && !text.IsUnknown() {
				diags.AddAttributeError(at.AtName(name).AtListIndex(i), "Invalid JSON", message+". Use jsonencode.")
			}
		}
	}
	known := !g.Instances.IsUnknown()
	if n := len(instances); known && (n < 1 || n > maxInstances) {
		diags.AddAttributeError(at.AtName("instances"), "Invalid instances", fmt.Sprintf("There are %d instances; a gate has 1 to %d.", n, maxInstances))
	}
	if known && !g.Expect.IsNull() && !g.Expect.IsUnknown() && len(expect) != len(instances) {
		diags.AddAttributeError(at.AtName("expect"), "Invalid expect", fmt.Sprintf("There are %d predictions for %d instances; leave expect out, or give one for each.", len(expect), len(instances)))
	}
	if t := g.Tolerance.ValueFloat64(); t < 0 || math.IsInf(t, 0) {
		diags.AddAttributeError(at.AtName("tolerance"), "Invalid tolerance", fmt.Sprintf("%g is not a number of 0 or more.", t))
	}
	if !g.Tolerance.IsNull() && g.Expect.IsNull() {
		diags.AddAttributeError(at.AtName("tolerance"), "Tolerance without expect", "There is nothing that predictions may differ from: set expect, or leave tolerance out.")
	}
}

// notJSON says what is wrong with a text; "" if it is one JSON value.
func notJSON(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Sprintf("%q is not JSON: %s", shorten(text), strings.TrimPrefix(err.Error(), "json: "))
	}
	return ""
}

func shorten(text string) string {
	const limit = 60
	if r := []rune(text); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return text
}
