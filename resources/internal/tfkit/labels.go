// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// LabelSet is the part of a resource's model that holds its labels, as in
// terraform-provider-google: what the resource lists, that together with the
// provider's default_labels, and all that is on the object. Only keys that are in
// one of the first two are ever changed.
type LabelSet struct {
	Labels          types.Map `tfsdk:"labels"`
	TerraformLabels types.Map `tfsdk:"terraform_labels"`
	EffectiveLabels types.Map `tfsdk:"effective_labels"`
}

// NoLabels is the label set of a resource without any.
func NoLabels() LabelSet {
	null := types.MapNull(types.StringType)
	return LabelSet{null, null, null}
}

// WithLabels adds the attributes of a [LabelSet] to those of a resource.
func WithLabels(of string, attributes map[string]schema.Attribute) map[string]schema.Attribute {
	attributes["labels"] = schema.MapAttribute{
		ElementType: types.StringType, Optional: true, Validators: []validator.Map{Labels()},
		MarkdownDescription: "Labels of " + of + ". Keys start with a lower-case letter; keys and values have at most 63 lower-case letters, digits, `_` and `-`. " +
			"The list is not authoritative: labels that others set stay as they are, and show in `effective_labels`. An import takes all labels over.",
	}
	attributes["terraform_labels"] = schema.MapAttribute{
		ElementType: types.StringType, Computed: true,
		MarkdownDescription: "Labels that are managed here: `labels`, and those of the provider's `default_labels` that it does not override.",
	}
	attributes["effective_labels"] = schema.MapAttribute{
		ElementType: types.StringType, Computed: true,
		MarkdownDescription: "All labels of " + of + ", also those that others set, apart from the marks of gcpml (`gcpml-…`) and of Google itself (`goog-…`).",
	}
	return attributes
}

// PlanLabels computes what follows from labels and the provider's defaults. prior
// is the state, nil when the object is yet to be made. As long as a label is not
// known, nothing that follows is.
func (l *LabelSet) PlanLabels(prior *LabelSet, defaults map[string]string) {
	own, known := stringsOf(l.Labels)
	if !known {
		l.TerraformLabels, l.EffectiveLabels = types.MapUnknown(types.StringType), types.MapUnknown(types.StringType)
		return
	}
	managed := map[string]string{}
	maps.Copy(managed, defaults)
	maps.Copy(managed, own)
	effective := map[string]string{}
	if prior != nil {
		all, _ := stringsOf(prior.EffectiveLabels)
		maps.Copy(effective, all)
		for _, key := range dropped(prior, managed) {
			delete(effective, key)
		}
	}
	maps.Copy(effective, managed)
	l.TerraformLabels, l.EffectiveLabels = mapOf(managed), mapOf(effective)
}

// WantedLabels returns what a plan calls for: the labels to set, and the keys to
// remove because they were managed and are no longer.
func (l *LabelSet) WantedLabels(prior *LabelSet) (set map[string]string, drop []string) {
	set, _ = stringsOf(l.TerraformLabels)
	if prior != nil {
		drop = dropped(prior, set)
	}
	return set, drop
}

func dropped(prior *LabelSet, managed map[string]string) (keys []string) {
	before, _ := stringsOf(prior.TerraformLabels)
	for key := range before {
		if _, stays := managed[key]; !stays {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ReadLabels takes over what the server has, given without marks.
func (l *LabelSet) ReadLabels(remote map[string]string) {
	pick := func(keys types.Map) map[string]string {
		picked := map[string]string{}
		for key := range keys.Elements() {
			if value, ok := remote[key]; ok {
				picked[key] = value
			}
		}
		return picked
	}
	l.Labels = MapValue(pick(l.Labels), l.Labels)
	l.TerraformLabels = mapOf(pick(l.TerraformLabels))
	l.EffectiveLabels = mapOf(remote)
}

// Applied is what a plan has become: as ReadLabels, but what others set meanwhile
// shows on the next reading only, since a plan must come true as it was shown.
func (l LabelSet) Applied(remote map[string]string) LabelSet {
	planned := l.EffectiveLabels
	l.ReadLabels(remote)
	l.EffectiveLabels = planned
	return l
}

// ImportLabels takes all labels over, so that the plan after an import shows what
// the configuration does not list. Those that are the provider's defaults do not
// become labels of the resource.
func (l *LabelSet) ImportLabels(remote, defaults map[string]string) {
	own := map[string]string{}
	for key, value := range remote {
		if standard, ok := defaults[key]; !ok || standard != value {
			own[key] = value
		}
	}
	l.Labels, l.TerraformLabels, l.EffectiveLabels = MapValue(own, l.Labels), mapOf(remote), mapOf(remote)
}

// stringsOf reads a map of strings; known is false while any part of it is not.
func stringsOf(m types.Map) (values map[string]string, known bool) {
	values, known = map[string]string{}, !m.IsUnknown()
	for key, element := range m.Elements() {
		s, ok := element.(types.String)
		if !ok || s.IsUnknown() {
			known = false
			continue
		}
		values[key] = s.ValueString()
	}
	return values, known
}

func mapOf(m map[string]string) types.Map {
	return MapValue(m, types.MapValueMust(types.StringType, nil))
}

// Labels validates labels that a user sets or looks for.
func Labels() validator.Map { return labelsValidator{} }

type labelsValidator struct{}

func (labelsValidator) Description(context.Context) string { return "valid Google Cloud labels" }

func (v labelsValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (labelsValidator) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for key, value := range req.ConfigValue.Elements() {
		at := req.Path.AtMapKey(key)
		text, ok := value.(types.String)
		if ok && text.IsNull() {
			resp.Diagnostics.AddAttributeError(at, "Missing label value", fmt.Sprintf("%q is null: leave the label out, or give it an empty value.", key))
			continue
		}
		// An unknown value is empty here, which is valid.
		if err := gcp.CheckLabel(key, ""); err != nil {
			resp.Diagnostics.AddAttributeError(at, "Invalid label key", sentence(err))
		} else if err := gcp.CheckLabel(key, text.ValueString()); err != nil {
			resp.Diagnostics.AddAttributeError(at, "Invalid label value", sentence(err))
		}
	}
}
