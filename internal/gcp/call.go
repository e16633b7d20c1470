// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
)

// Call is one API call that ended. It never holds a body or a header, so that no
// secret can reach a log through it.
type Call struct {
	// Method is the full gRPC method, or the HTTP method and the path.
	Method    string
	Code      codes.Code
	Latency   time.Duration
	Attempt   int
	RequestID string
}

// CallObserver is told of calls; it must not block.
type CallObserver func(context.Context, Call)

type attemptKey struct{}

func withAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

func attemptOf(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}
