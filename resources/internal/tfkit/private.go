// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package tfkit

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// privateKey is the one key of private state that gcpml uses.
const privateKey = "gcpml"

// Private is what a resource remembers beside its state. It never holds secrets:
// Terraform stores it in the state file.
type Private struct {
	// Incarnation is the random mark of the object that we made or adopted;
	// Delete acts on no other.
	Incarnation string `json:"incarnation,omitempty"`
	// Operation is the name of the operation or job that was last started.
	Operation string `json:"operation,omitempty"`
	// Emulated tells where the object lives; nil when not yet known (after import).
	Emulated *bool `json:"emulated,omitempty"`
	// Extra has what only one type needs.
	Extra map[string]string `json:"extra,omitempty"`
}

// Unfinished reports whether a creation was interrupted: its operation is known, or
// the state, which is not an import's, has no time of creation yet. What is not
// found then may still be on its way.
func (p Private) Unfinished(createTime types.String) bool {
	return p.Operation != "" || createTime.IsNull() && p.Emulated != nil
}

// PrivateReader and PrivateWriter are the private-state parts of requests and responses.
type PrivateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

// PrivateWriter writes private state.
type PrivateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// ReadPrivate returns the private state, the zero value when there is none.
func ReadPrivate(ctx context.Context, from PrivateReader, diags *diag.Diagnostics) Private {
	var p Private
	b, d := from.GetKey(ctx, privateKey)
	diags.Append(d...)
	if len(b) == 0 {
		return p
	}
	if err := json.Unmarshal(b, &p); err != nil {
		diags.AddError("Unable to read the provider's private state", "It is not valid: "+err.Error()+". Remove the resource from the state and import it again.")
	}
	return p
}

// WritePrivate stores p, with the mode of c in it.
func WritePrivate(ctx context.Context, to PrivateWriter, p Private, c *gcp.Clients, diags *diag.Diagnostics) {
	emulated := c.Emulated()
	p.Emulated = &emulated
	b, err := json.Marshal(p)
	if err != nil {
		diags.AddError("Unable to write the provider's private state", err.Error())
		return
	}
	diags.Append(to.SetKey(ctx, privateKey, b)...)
}

// CheckMode refuses to look for an object of the emulator on Google Cloud, or
// the other way round: there it would look as if it had been deleted. It
// reports whether the modes agree.
func (p Private) CheckMode(c *gcp.Clients, diags *diag.Diagnostics) bool {
	if p.Emulated == nil || *p.Emulated == c.Emulated() {
		return true
	}
	was, is := "Google Cloud", "the emulator"
	if *p.Emulated {
		was, is = is, was
	}
	diags.AddError("Wrong target for this state",
		"The resource was made on "+was+", but the provider is now configured for "+is+
			". Set or unset emulator_host (GCPML_EMULATOR_HOST), or use a state of its own for each (terraform workspace).")
	return false
}
