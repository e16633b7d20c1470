// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func TestEquivalentSpellingsAreKept(t *testing.T) {
	same := SameName(gcp.KindConnection, nil)
	const inState = "projects/p-1/locations/US/connections/c"
	for configured, want := range map[string]string{
		inState: inState,
		"projects/p-1/locations/us/connections/c":                                              inState,
		"https://bigqueryconnection.googleapis.com/v1/projects/p-1/locations/us/connections/c": inState,
		"projects/p-1/locations/eu/connections/c":                                              "projects/p-1/locations/eu/connections/c",
		"not a name": "not a name",
	} {
		req := planmodifier.StringRequest{StateValue: types.StringValue(inState), PlanValue: types.StringValue(configured)}
		resp := &planmodifier.StringResponse{PlanValue: req.PlanValue}
		same.KeepEquivalent().PlanModifyString(t.Context(), req, resp)
		if got := resp.PlanValue.ValueString(); got != want {
			t.Errorf("%s is planned as %s, want %s", configured, got, want)
		}
	}
}

func TestReservedAndInvalidLabels(t *testing.T) {
	for key, value := range map[string]string{"gcpml-owner": "x", "goog-x": "x", "Upper": "x", "1st": "x", "ok": "Not OK", "a b": ""} {
		req := validator.MapRequest{Path: path.Root("labels"), ConfigValue: types.MapValueMust(types.StringType, map[string]attr.Value{key: types.StringValue(value)})}
		resp := &validator.MapResponse{}
		labelsValidator{}.ValidateMap(t.Context(), req, resp)
		if resp.Diagnostics.ErrorsCount() != 1 {
			t.Errorf("%s=%s: %v", key, value, resp.Diagnostics)
		}
	}
	fine := types.MapValueMust(types.StringType, map[string]attr.Value{"env": types.StringValue("prod-1"), "later": types.StringUnknown(), "empty": types.StringValue("")})
	resp := &validator.MapResponse{}
	labelsValidator{}.ValidateMap(t.Context(), validator.MapRequest{ConfigValue: fine}, resp)
	if resp.Diagnostics.HasError() {
		t.Error(resp.Diagnostics)
	}
}

type keys map[string][]byte

func (k keys) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) { return k[key], nil }

func (k keys) SetKey(_ context.Context, key string, value []byte) diag.Diagnostics {
	k[key] = value
	return nil
}

func TestStateOfTheOtherModeIsNotReadAsGone(t *testing.T) {
	emulator, err := gcp.Connect(t.Context(), gcp.Config{EmulatorHost: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := gcp.Connect(t.Context(), gcp.Config{AccessToken: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var diags diag.Diagnostics
	store := keys{}
	WritePrivate(t.Context(), store, Private{Incarnation: "abc"}, emulator, &diags)
	p := ReadPrivate(t.Context(), store, &diags)
	if p.Incarnation != "abc" || !p.CheckMode(emulator, &diags) || diags.HasError() {
		t.Fatalf("%+v, %v", p, diags)
	}
	if p.CheckMode(cloud, &diags) || !diags.HasError() {
		t.Error("an object of the emulator was looked for on Google Cloud")
	}
	if !(Private{}).CheckMode(cloud, &diags) {
		t.Error("an imported object has no mode yet")
	}
}

func TestPartialStateHasNoUnknowns(t *testing.T) {
	s := schema.Schema{Attributes: map[string]schema.Attribute{
		"id":   schema.StringAttribute{Computed: true},
		"name": schema.StringAttribute{Required: true},
		"map":  schema.MapAttribute{Computed: true, ElementType: types.StringType},
	}}
	state := tfsdk.State{Schema: s, Raw: tftypes.NewValue(s.Type().TerraformType(t.Context()), nil)}
	model := struct {
		ID   types.String `tfsdk:"id"`
		Name types.String `tfsdk:"name"`
		Map  types.Map    `tfsdk:"map"`
	}{types.StringUnknown(), types.StringValue("n"), types.MapUnknown(types.StringType)}
	var diags diag.Diagnostics
	SetPartial(t.Context(), &state, model, &diags)
	if diags.HasError() || !state.Raw.IsFullyKnown() {
		t.Fatalf("%v, %s", diags, state.Raw)
	}
	var name types.String
	state.GetAttribute(t.Context(), path.Root("name"), &name)
	if name.ValueString() != "n" {
		t.Errorf("the known value was lost: %s", state.Raw)
	}
}

func TestDiagnostics(t *testing.T) {
	var diags diag.Diagnostics
	AddError(&diags, "create", "endpoint", "e", status.Error(codes.PermissionDenied, "no: Authorization: Bearer abc.def ya29.secret"))
	d := diags[0]
	if d.Summary() != `Unable to create endpoint "e"` {
		t.Errorf("summary %q", d.Summary())
	}
	if strings.Contains(d.Detail(), "abc.def") || strings.Contains(d.Detail(), "ya29.secret") {
		t.Errorf("a token is shown: %s", d.Detail())
	}
	if !strings.Contains(d.Detail(), "Hint: ") || !strings.Contains(d.Detail(), "PermissionDenied") {
		t.Errorf("detail %q", d.Detail())
	}
	AddError(&diags, "create", "endpoint", "e", errors.New(strings.Repeat("x", 10_000)))
	if len(diags[1].Detail()) > 3000 {
		t.Error("an endless message is not cut")
	}
}

func TestInterruptionIsAWarningAndTimeoutAnError(t *testing.T) {
	for want, err := range map[diag.Severity]error{
		diag.SeverityWarning: fmt.Errorf("waiting: %w", &gcp.WaitError{Name: "op-1", Err: context.Canceled}),
		diag.SeverityError:   &gcp.WaitError{Name: "op-1", Err: context.DeadlineExceeded},
	} {
		var diags diag.Diagnostics
		AddInterrupted(t.Context(), &diags, "create", "endpoint", "e", err)
		if len(diags) != 1 || diags[0].Severity() != want || !strings.Contains(diags[0].Detail(), "op-1") {
			t.Errorf("%v: %v", err, diags)
		}
	}
}

func TestPlace(t *testing.T) {
	for attribute, cure := range map[string]string{"project": "GOOGLE_PROJECT", "location": "GOOGLE_REGION"} {
		var diags diag.Diagnostics
		if got := Place(attribute, &diags, "", "here", "there"); got != "here" || diags.HasError() {
			t.Errorf("%s: %q (%v), want the first that is not empty", attribute, got, diags)
		}
		planned := types.StringUnknown()
		PlanPlace(attribute, &planned, types.StringUnknown(), "there", &diags)
		if !planned.IsUnknown() {
			t.Errorf("%s: what the configuration gives later is planned as %s", attribute, planned)
		}
		PlanPlace(attribute, &planned, types.StringNull(), "there", &diags)
		if planned.ValueString() != "there" || diags.HasError() {
			t.Errorf("%s: planned %s (%v), want the default", attribute, planned, diags)
		}
		planned = types.StringUnknown()
		PlanPlace(attribute, &planned, types.StringNull(), "", &diags)
		if len(diags) != 1 || diags[0].Summary() != "Missing "+attribute || !strings.Contains(diags[0].Detail(), cure) {
			t.Errorf("%s: %v, want an error that names %s", attribute, diags, cure)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "3600s", 1500 * time.Millisecond: "1.5s"} {
		if got := SecondsOrNull(d).ValueString(); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(want); err != nil || back != d {
			t.Errorf("%s is read as %s (%v)", want, back, err)
		}
	}
	if !SecondsOrNull(0).IsNull() {
		t.Error("no duration is not null")
	}
}
