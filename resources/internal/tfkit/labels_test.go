// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"maps"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func labels(m map[string]string) types.Map { return mapOf(m) }

func plain(t *testing.T, m types.Map) map[string]string {
	t.Helper()
	values, known := stringsOf(m)
	if !known {
		t.Fatalf("%s is not known", m)
	}
	return values
}

type pairs = map[string]string

// The three maps as terraform-provider-google computes them, and what is sent.
func TestLabelPlan(t *testing.T) {
	for name, c := range map[string]struct {
		own, defaults, terraform, effective pairs // terraform and effective are the state, nil before creation
		wantTerraform, wantEffective        pairs
		drop                                []string
	}{
		"new, none":                 {wantTerraform: pairs{}, wantEffective: pairs{}},
		"new, defaults":             {own: pairs{"a": "1"}, defaults: pairs{"a": "0", "b": "2"}, wantTerraform: pairs{"a": "1", "b": "2"}, wantEffective: pairs{"a": "1", "b": "2"}},
		"foreign stays":             {own: pairs{"a": "1"}, terraform: pairs{"a": "1"}, effective: pairs{"a": "1", "f": "x"}, wantTerraform: pairs{"a": "1"}, wantEffective: pairs{"a": "1", "f": "x"}},
		"own key goes":              {own: pairs{"b": "1"}, terraform: pairs{"a": "1"}, effective: pairs{"a": "1", "f": "x"}, wantTerraform: pairs{"b": "1"}, wantEffective: pairs{"b": "1", "f": "x"}, drop: []string{"a"}},
		"default goes":              {defaults: pairs{}, terraform: pairs{"a": "1"}, effective: pairs{"a": "1"}, wantTerraform: pairs{}, wantEffective: pairs{}, drop: []string{"a"}},
		"falls back to the default": {defaults: pairs{"a": "0"}, terraform: pairs{"a": "1"}, effective: pairs{"a": "1"}, wantTerraform: pairs{"a": "0"}, wantEffective: pairs{"a": "0"}},
		"a foreign key is taken":    {own: pairs{"f": "y"}, terraform: pairs{}, effective: pairs{"f": "x"}, wantTerraform: pairs{"f": "y"}, wantEffective: pairs{"f": "y"}},
		"somebody changed ours":     {own: pairs{"a": "1"}, terraform: pairs{"a": "2"}, effective: pairs{"a": "2"}, wantTerraform: pairs{"a": "1"}, wantEffective: pairs{"a": "1"}},
		"somebody removed ours":     {own: pairs{"a": "1"}, terraform: pairs{}, effective: pairs{}, wantTerraform: pairs{"a": "1"}, wantEffective: pairs{"a": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var prior *LabelSet
			if c.terraform != nil {
				prior = &LabelSet{Labels: labels(c.terraform), TerraformLabels: labels(c.terraform), EffectiveLabels: labels(c.effective)}
			}
			plan := LabelSet{Labels: labels(c.own)}
			plan.PlanLabels(prior, c.defaults)
			if got := plain(t, plan.TerraformLabels); !maps.Equal(got, c.wantTerraform) {
				t.Errorf("terraform_labels %v, want %v", got, c.wantTerraform)
			}
			if got := plain(t, plan.EffectiveLabels); !maps.Equal(got, c.wantEffective) {
				t.Errorf("effective_labels %v, want %v", got, c.wantEffective)
			}
			set, drop := plan.WantedLabels(prior)
			if !maps.Equal(set, c.wantTerraform) || !slices.Equal(drop, c.drop) {
				t.Errorf("sets %v and drops %v, want %v and %v", set, drop, c.wantTerraform, c.drop)
			}
		})
	}
}

func TestUnknownLabelsMakeWhatFollowsUnknown(t *testing.T) {
	for name, own := range map[string]types.Map{
		"map":     types.MapUnknown(types.StringType),
		"element": types.MapValueMust(types.StringType, map[string]attr.Value{"a": types.StringUnknown()}),
	} {
		plan := LabelSet{Labels: own}
		plan.PlanLabels(nil, pairs{"b": "1"})
		if !plan.TerraformLabels.IsUnknown() || !plan.EffectiveLabels.IsUnknown() {
			t.Errorf("%s: %s, %s", name, plan.TerraformLabels, plan.EffectiveLabels)
		}
	}
}

// Only what is managed shows in labels; an import takes over all but the defaults.
func TestReadingLabels(t *testing.T) {
	remote := pairs{"a": "changed", "d": "0", "f": "x"}
	l := LabelSet{Labels: labels(pairs{"a": "1", "gone": "1"}), TerraformLabels: labels(pairs{"a": "1", "gone": "1", "d": "0"}), EffectiveLabels: labels(nil)}
	l.ReadLabels(remote)
	if !maps.Equal(plain(t, l.Labels), pairs{"a": "changed"}) || !maps.Equal(plain(t, l.TerraformLabels), pairs{"a": "changed", "d": "0"}) || !maps.Equal(plain(t, l.EffectiveLabels), remote) {
		t.Errorf("%+v", l)
	}
	imported := NoLabels()
	imported.ImportLabels(remote, pairs{"d": "0", "f": "another"})
	if !maps.Equal(plain(t, imported.Labels), pairs{"a": "changed", "f": "x"}) || !maps.Equal(plain(t, imported.TerraformLabels), remote) {
		t.Errorf("imported %+v", imported)
	}
	none := NoLabels()
	none.ImportLabels(nil, nil)
	if !none.Labels.IsNull() {
		t.Errorf("labels %s came from nothing", none.Labels)
	}
}
