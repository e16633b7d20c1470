// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// AddError adds the diagnostic for a failed operation on a resource. The
// summary is always `Unable to <verb> <kind> "<name>"`; the detail has the
// message, the code, the operation or job, and one hint when the cure is known.
func AddError(diags *diag.Diagnostics, verb, kind, name string, err error) {
	diags.AddError(summary(verb, kind, name), detail(err))
}

// AddAttributeError is [AddError] for a failure that one attribute causes.
func AddAttributeError(diags *diag.Diagnostics, at path.Path, verb, kind, name string, err error) {
	diags.AddAttributeError(at, summary(verb, kind, name), detail(err))
}

// AddInterrupted adds the diagnostic for a wait that ended before the operation
// did. The caller has written to state what exists. After a cancellation that is
// a warning, so that the object is not tainted and the next apply resumes; after
// a timeout it is an error.
func AddInterrupted(ctx context.Context, diags *diag.Diagnostics, verb, kind, name string, err error) {
	goesOn := ""
	if wait := (*gcp.WaitError)(nil); errors.As(err, &wait) {
		goesOn = "The operation goes on in the background. "
	}
	if errors.Is(err, context.Canceled) || gcp.Code(err) == codes.Canceled {
		diags.AddWarning(summary(verb, kind, name)+": interrupted",
			"What was done so far is in the state. "+goesOn+"The next apply resumes it.\n\n"+detail(err))
		return
	}
	diags.AddError(summary(verb, kind, name)+": timeout",
		spent(ctx)+detail(err)+"\n\n"+goesOn+"Apply again to resume it, or raise the time in the timeouts block. "+
			"If Terraform marked the resource as tainted although what exists is good, `terraform untaint` it first.")
}

// AddCreateFailure adds the diagnostic of a create that failed after it may have
// had an effect; the caller has written to state what was planned.
func AddCreateFailure(ctx context.Context, diags *diag.Diagnostics, verb, kind, name string, err error) {
	if gcp.IsInterrupted(ctx, err) {
		AddInterrupted(ctx, diags, verb, kind, name, err)
		return
	}
	AddError(diags, verb, kind, name, err)
}

// AddReadFailure adds the diagnostic of a reading that failed.
func AddReadFailure(ctx context.Context, diags *diag.Diagnostics, kind, name string, err error) {
	if gcp.IsInterrupted(ctx, err) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		diags.AddError(summary("read", kind, name)+": timeout", spent(ctx)+detail(err)+"\n\nRaise the time in the timeouts block, if the service is that slow.")
		return
	}
	AddError(diags, "read", kind, name, err)
}

// AddChangeFailure is [AddCreateFailure] for an update or a delete. There a
// cancellation is an error too: it taints nothing, while without one Terraform
// would take the change for complete.
func AddChangeFailure(ctx context.Context, diags *diag.Diagnostics, verb, kind, name string, err error) {
	if gcp.IsInterrupted(ctx, err) && !errors.Is(err, context.Canceled) && gcp.Code(err) != codes.Canceled {
		AddInterrupted(ctx, diags, verb, kind, name, err)
		return
	}
	AddError(diags, verb, kind, name, err)
}

// limit is what the timeouts block allows, and since when.
type limit struct {
	action string
	length time.Duration
	began  time.Time
}

type limitKey struct{}

// WithTimeout ends ctx after the time that the timeouts block gives to an action
// ("create", …). Diagnostics of its end tell how long it was.
func WithTimeout(ctx context.Context, action string, length time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, limitKey{}, limit{action, length, time.Now()}), length)
}

// spent tells how long was waited.
func spent(ctx context.Context) string {
	l, ok := ctx.Value(limitKey{}).(limit)
	if !ok {
		return ""
	}
	return fmt.Sprintf("The time for this was over after %s (timeouts: %s = %s).\n\n", time.Since(l.began).Round(100*time.Millisecond), l.action, l.length)
}

func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func summary(verb, kind, name string) string {
	return fmt.Sprintf("Unable to %s %s %q", verb, kind, name)
}

const maxMessage = 2048

// secrets are never shown, wherever a server may have put them.
var secrets = regexp.MustCompile(`(?i)bearer\s+\S+|ya29\.\S+|-----BEGIN[^-]*PRIVATE KEY-----[\s\S]*?(-----END[^-]*-----|$)`)

// Said is what an error says, of which servers wrote a part, fit to be shown: not
// endless, and without what looks like a secret. A diagnostic that does not come from
// one of the functions above goes by it.
func Said(err error) string {
	text := err.Error()
	if len(text) > maxMessage {
		text = text[:maxMessage] + " … (truncated)"
	}
	return secrets.ReplaceAllString(text, "[redacted]")
}

func detail(err error) string {
	text := Said(err)
	code := gcp.Code(err)
	if code != codes.Unknown && !strings.Contains(text, code.String()) {
		text += fmt.Sprintf(" (%s)", code)
	}
	if h := hint(err, code); h != "" {
		text += "\n\n" + h
	}
	return text
}

func hint(err error, code codes.Code) string {
	switch reason := gcp.Reason(err); {
	case reason == "SERVICE_DISABLED":
		return "Hint: enable the API in the project (gcloud services enable …) and apply again."
	case code == codes.Unauthenticated:
		return "Hint: the credential was refused or has expired. Refresh it (gcloud auth application-default login), or check credentials and access_token."
	case code == codes.PermissionDenied:
		return "Hint: grant the caller the missing permission; the provider's documentation lists what each operation needs."
	case code == codes.ResourceExhausted:
		return "Hint: the quota named above is used up. Request more, choose another machine type or region, or free what is not needed."
	case code == codes.Unavailable:
		return "Hint: the service did not answer. Check the network and, if one is set, emulator_host or the custom endpoint; then apply again."
	}
	return ""
}
