// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// What is seen for a while is no error; what stays is named; what cannot be looked at
// is a warning. None of it takes longer than it may.
func TestConfirmGone(t *testing.T) {
	for name, c := range map[string]struct {
		look             func(since time.Duration) ([]string, error)
		errors, warnings int
	}{
		"gone":              {func(time.Duration) ([]string, error) { return nil, nil }, 0, 0},
		"seen for a while":  {func(d time.Duration) ([]string, error) { return []string{"it"}[:min(1, int(5*time.Second/(d+1)))], nil }, 0, 0},
		"stays":             {func(time.Duration) ([]string, error) { return []string{"the grant of x", "the model y"}, nil }, 1, 0},
		"cannot be checked": {func(time.Duration) ([]string, error) { return nil, status.Error(codes.PermissionDenied, "no") }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var diags diag.Diagnostics
				began := time.Now()
				ConfirmGone(t.Context(), &diags, "model", "m", func(context.Context) ([]string, error) { return c.look(time.Since(began)) })
				if diags.ErrorsCount() != c.errors || diags.WarningsCount() != c.warnings {
					t.Fatal(diags)
				}
				if c.errors > 0 && !strings.Contains(diags[0].Detail(), "the grant of x, the model y") {
					t.Errorf("what is left is not named: %s", diags[0].Detail())
				}
				if took := time.Since(began); took > goneWithin {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestDeletionPolicy(t *testing.T) {
	for policy, want := range map[string]struct {
		keeps            bool
		errors, warnings int
	}{"DELETE": {}, "": {}, "PREVENT": {true, 1, 0}, "ABANDON": {true, 0, 1}} {
		var diags diag.Diagnostics
		if got := Keeps(types.StringValue(policy), "model", "m", &diags); got != want.keeps || diags.ErrorsCount() != want.errors || diags.WarningsCount() != want.warnings {
			t.Errorf("%q: %v, %v", policy, got, diags)
		}
	}
	c, err := gcp.Connect(t.Context(), gcp.Config{EmulatorHost: "127.0.0.1:1", DeletionPolicy: "PREVENT"})
	if err != nil {
		t.Fatal(err)
	}
	for configured, want := range map[types.String]string{types.StringNull(): "PREVENT", types.StringValue("ABANDON"): "ABANDON"} {
		planned := configured
		if PlanDeletionPolicy(&planned, configured, c); planned.ValueString() != want {
			t.Errorf("%s becomes %s, want %s", configured, planned, want)
		}
	}
}

// The diagnostic of a timeout tells the limit and what was waited for.
func TestTimeoutTellsWhatWasAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := WithTimeout(t.Context(), "create", 90*time.Second)
		defer cancel()
		<-ctx.Done()
		for verb, add := range map[string]func(*diag.Diagnostics, error){
			"create": func(d *diag.Diagnostics, err error) { AddCreateFailure(ctx, d, "create", "model", "m", err) },
			"update": func(d *diag.Diagnostics, err error) { AddChangeFailure(ctx, d, "update", "model", "m", err) },
			"read":   func(d *diag.Diagnostics, err error) { AddReadFailure(ctx, d, "model", "m", err) },
		} {
			var diags diag.Diagnostics
			add(&diags, &gcp.WaitError{Name: "operations/7", Elapsed: 89 * time.Second, LastStatus: "DEPLOYING", Err: ctx.Err()})
			if diags.ErrorsCount() != 1 || diags[0].Summary() != "Unable to "+verb+` model "m": timeout` {
				t.Fatal(diags)
			}
			for _, want := range []string{"1m30s (timeouts: create = 1m30s)", "operations/7", "1m29s", "DEPLOYING"} {
				if !strings.Contains(diags[0].Detail(), want) {
					t.Errorf("%s: %q is missing in %s", verb, want, diags[0].Detail())
				}
			}
		}
		var diags diag.Diagnostics
		if AddReadFailure(ctx, &diags, "model", "m", errors.New("other")); !strings.HasSuffix(diags[0].Summary(), `model "m"`) {
			t.Errorf("another failure is told as a timeout: %s", diags[0].Summary())
		}
	})
}
