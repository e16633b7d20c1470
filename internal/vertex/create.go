// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// NotMadeError means that a create made nothing: the server refused it, or what
// has the name belongs to somebody else. After any other error there may be an
// object.
type NotMadeError struct{ Err error }

func (e *NotMadeError) Error() string { return e.Err.Error() }

func (e *NotMadeError) Unwrap() error { return e.Err }

// creation is how an object with an id of our choice is made, or found again
// when an earlier answer was lost.
type creation[T any] struct {
	kind   string
	name   gcp.Name
	marker gcp.Marker
	create func(context.Context) error
	read   func(context.Context) (T, error)
	// settle waits for operations that run on the object.
	settle func(context.Context) (bool, error)
	marked func(T) gcp.Marker
}

// do returns the object; adopted tells that it was there before.
func (c creation[T]) do(ctx context.Context, p patience) (object T, adopted bool, err error) {
	var none T
	pause := p.begin()
	for {
		err := c.create(ctx)
		if err == nil {
			return c.appears(ctx, p)
		}
		var failed *gcp.OperationError
		switch isFailed := errors.As(err, &failed); {
		case gcp.IsInterrupted(ctx, err), errors.Is(err, gcp.ErrOperationLost) && ctx.Err() != nil:
			return none, false, err
		case isFailed, errors.Is(err, gcp.ErrOperationLost):
		case isOneOf(err, codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.Canceled):
			return none, false, err // it may have had its effect
		case !isOneOf(err, codes.AlreadyExists, codes.InvalidArgument, codes.Aborted, codes.FailedPrecondition):
			return none, false, &NotMadeError{err}
		}
		object, readErr := c.read(ctx)
		switch {
		case readErr == nil:
			if found := c.marked(object); !c.marker.Adoptable(found) {
				return none, false, &NotMadeError{c.marker.RefuseAdoption(c.kind, c.name.String(), found)}
			}
			return object, true, nil
		case !gcp.IsNotFound(readErr):
			return none, false, fmt.Errorf("%w; and looking for what exists failed: %w", err, readErr)
		case !isTaken(err):
			return none, false, &NotMadeError{err}
		}
		// The id is taken by what is about to appear, or has just gone.
		if _, settleErr := c.settle(ctx); settleErr != nil {
			return none, false, settleErr
		}
		if !pause.wait(ctx, p.conflict) {
			if ctx.Err() != nil {
				return none, false, interrupted(ctx, err)
			}
			return none, false, &NotMadeError{err}
		}
	}
}

// appears reads what was just made, which may not be visible at once.
func (c creation[T]) appears(ctx context.Context, p patience) (object T, adopted bool, err error) {
	for pause := p.begin(); ; {
		object, err = c.read(ctx)
		if !gcp.IsNotFound(err) || !pause.wait(ctx, p.appear) {
			return object, false, err
		}
	}
}

// isTaken reports whether a create was refused because of the id. Which code
// UploadModel answers then is not documented, so an INVALID_ARGUMENT that says so
// counts, too.
func isTaken(err error) bool {
	return isOneOf(err, codes.AlreadyExists, codes.Aborted) ||
		isOneOf(err, codes.InvalidArgument) && strings.Contains(strings.ToLower(gcp.Message(err)), "already exists")
}
