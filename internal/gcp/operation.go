// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/googleapis/gax-go/v2"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// OperationGetter is the part of a generated client that reads operations.
type OperationGetter interface {
	GetOperation(context.Context, *longrunningpb.GetOperationRequest, ...gax.CallOption) (*longrunningpb.Operation, error)
}

// ErrOperationLost means that the server no longer knows the operation. Its
// effect is unknown: look at the resource.
var ErrOperationLost = errors.New("the operation is no longer known to the server")

// OperationError is the failure that an operation ended with. It unwraps to a
// gRPC status error, so [Code] and the rest apply.
type OperationError struct {
	Name   string
	Status *spb.Status
}

func (e *OperationError) Error() string {
	return fmt.Sprintf("%s (%s, operation %s)", e.Status.GetMessage(), codes.Code(e.Status.GetCode()), e.Name) //nolint:gosec // codes are small
}

func (e *OperationError) Unwrap() error { return status.ErrorProto(e.Status) }

// WaitError means that the caller's context ended while the operation ran on. It
// unwraps to the context's error. The operation still runs on the server.
type WaitError struct {
	Name    string
	Elapsed time.Duration
	// LastStatus is the last stage that was seen, or the last error of a poll.
	LastStatus string
	Err        error
}

func (e *WaitError) Error() string {
	s := fmt.Sprintf("stopped waiting for operation %s after %s: %s", e.Name, e.Elapsed.Round(time.Second), e.Err)
	if e.LastStatus != "" {
		s += "; last seen: " + e.LastStatus
	}
	return s
}

func (e *WaitError) Unwrap() error { return e.Err }

// An operation may be unknown for a moment after it was started.
const operationVisibleAfter = 20 * time.Second

// Polls start fast for operations of a second and slow down for those of minutes.
const (
	firstPoll = 200 * time.Millisecond
	maxPoll   = 10 * time.Second
)

// pollKey is of the longest pause between two polls, see [Clients.Polling].
type pollKey struct{}

func longestPoll(ctx context.Context) time.Duration {
	if d, ok := ctx.Value(pollKey{}).(time.Duration); ok && d > 0 {
		return d
	}
	return maxPoll
}

// WaitOperation polls an operation until it is done and returns it, with its
// response in it. Failed polls are tolerated as long as ctx lives, apart from
// lasting refusals. onPoll, when not nil, is given every answer (for progress).
//
// Errors: [*OperationError] when the operation failed, [*WaitError] when ctx ended,
// [ErrOperationLost], or the refusal of the poll.
func WaitOperation(ctx context.Context, client OperationGetter, name string, onPoll func(*longrunningpb.Operation)) (*longrunningpb.Operation, error) {
	longest := longestPoll(ctx)
	start, interval, last := time.Now(), min(firstPoll, longest), ""
	var refusedSince time.Time
	for {
		var op *longrunningpb.Operation
		err := Retry(ctx, "vertex.operations.get", func(ctx context.Context) (err error) {
			op, err = client.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
			return err
		})
		switch code := Code(err); {
		case ctx.Err() != nil && err != nil:
			return nil, &WaitError{name, time.Since(start), last, ctx.Err()}
		case err == nil:
			refusedSince = time.Time{}
			last = Stage(op)
			if onPoll != nil {
				onPoll(op)
			}
			if op.GetError() != nil {
				return nil, &OperationError{name, op.GetError()}
			}
			if op.GetDone() {
				return op, nil
			}
		case code == codes.NotFound || code == codes.PermissionDenied || code == codes.Unauthenticated:
			// Just started and not visible yet, or a token between two lives.
			if refusedSince.IsZero() {
				refusedSince = time.Now()
			}
			last = Message(err)
			if time.Since(refusedSince) > operationVisibleAfter {
				if code == codes.NotFound {
					return nil, fmt.Errorf("%w: %s", ErrOperationLost, name)
				}
				return nil, err
			}
		case code == codes.InvalidArgument || code == codes.Unimplemented:
			return nil, err
		default:
			last = Message(err)
		}
		if Sleep(ctx, interval) != nil {
			return nil, &WaitError{name, time.Since(start), last, ctx.Err()}
		}
		interval = min(interval*3/2, longest)
	}
}

// Stage tells how far an operation is, from metadata that has a deployment
// stage; "" when it has none.
func Stage(op *longrunningpb.Operation) string {
	m, err := op.GetMetadata().UnmarshalNew()
	if err != nil {
		return ""
	}
	field := m.ProtoReflect().Descriptor().Fields().ByName("deployment_stage")
	if field == nil || field.Enum() == nil {
		return ""
	}
	stage := field.Enum().Values().ByNumber(m.ProtoReflect().Get(field).Enum())
	if stage == nil || stage.Number() == 0 {
		return ""
	}
	return string(stage.Name())
}
