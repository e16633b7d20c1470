// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// An Equivalence turns spellings that mean the same thing into equal text. It is
// the one comparison behind semantic equality, the kept spelling and replacement.
type Equivalence func(string) string

// SameLocation treats US and us as equal.
func SameLocation(s string) string { return strings.ToLower(s) }

// SameName returns the equivalence of resource names: full name or API URL,
// location in any case, and, where clients are given and may look it up, project
// number or id. clients is read when used, since a schema is built before the
// provider is configured; it may be nil or return nil.
func SameName(kind gcp.Kind, clients func() *gcp.Clients) Equivalence {
	return func(s string) string {
		n, err := gcp.ParseName(kind, s)
		if err != nil {
			return s
		}
		var projectID func(string) (string, error)
		if clients != nil && clients() != nil {
			projectID = func(p string) (string, error) { return clients().ProjectID(context.Background(), p) }
		}
		return n.Canonical(projectID).String()
	}
}

// Equal compares two spellings.
func (e Equivalence) Equal(a, b string) bool { return a == b || e(a) == e(b) }

// KeepEquivalent is a plan modifier that keeps the spelling in state while the
// configured one means the same.
func (e Equivalence) KeepEquivalent() planmodifier.String { return keepEquivalent{e} }

// ReplaceUnlessEquivalent is a plan modifier that replaces the resource when
// the value changes its meaning.
func (e Equivalence) ReplaceUnlessEquivalent() planmodifier.String {
	const description = "A value that means something else replaces the resource."
	return stringplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		resp.RequiresReplace = req.PlanValue.IsUnknown() || !e.Equal(req.StateValue.ValueString(), req.PlanValue.ValueString())
	}, description, description)
}

type keepEquivalent struct{ same Equivalence }

func (keepEquivalent) Description(context.Context) string {
	return "Keeps the spelling in state while the configured one means the same."
}

func (m keepEquivalent) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (m keepEquivalent) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.StateValue.IsNull() || req.PlanValue.IsNull() || req.PlanValue.IsUnknown() {
		return
	}
	if m.same.Equal(req.StateValue.ValueString(), req.PlanValue.ValueString()) {
		resp.PlanValue = req.StateValue
	}
}

// Matches is a validator that tells in words what a value must look like.
func Matches(pattern *regexp.Regexp, summary, want string) validator.String {
	return matches{pattern, summary, want}
}

type matches struct {
	pattern *regexp.Regexp
	summary string
	want    string
}

func (m matches) Description(context.Context) string { return m.want }

func (m matches) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (m matches) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || m.pattern.MatchString(req.ConfigValue.ValueString()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, m.summary, fmt.Sprintf("%q is not valid: want %s.", req.ConfigValue.ValueString(), m.want))
}

// ProjectID validates a project id.
func ProjectID() validator.String {
	return Matches(regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`), "Invalid project id", "a project id: 6 to 30 lower-case letters, digits and hyphens, starting with a letter (not a project number)")
}

// Location validates a region or multi-region.
func Location() validator.String {
	return Matches(regexp.MustCompile(`^[A-Za-z]+(-[A-Za-z]+[0-9]+)?$`), "Invalid location", "a region such as us-central1, or a multi-region such as US")
}

// SameProject reports whether two spellings of a project mean the same: its id, or
// its number where that may be looked up. A value that is not known means another.
func SameProject(ctx context.Context, clients *gcp.Clients, a, b types.String) bool {
	if a.Equal(b) {
		return !a.IsUnknown()
	}
	if a.IsNull() || a.IsUnknown() || b.IsNull() || b.IsUnknown() {
		return false
	}
	x, errX := clients.ProjectID(ctx, a.ValueString())
	y, errY := clients.ProjectID(ctx, b.ValueString())
	return errX == nil && errY == nil && x == y
}
