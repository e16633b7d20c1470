// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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

// observedUnary bounds each gRPC call and tells of it.
func observedUnary(timeout time.Duration, observe CallObserver) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		start := time.Now()
		err := bounded(ctx, timeout, method, func(ctx context.Context) error { return invoker(ctx, method, req, reply, cc, opts...) })
		if observe != nil {
			observe(ctx, Call{Method: method, Code: Code(err), Latency: time.Since(start), Attempt: attemptOf(ctx)})
		}
		return err
	}
}

// bounded gives a call its time. Predictions have no bound: they take as long as a
// model does.
func bounded(ctx context.Context, timeout time.Duration, method string, call func(context.Context) error) error {
	if timeout == 0 || strings.Contains(method, ".PredictionService/") {
		return call(ctx)
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := call(within)
	// The server knows our deadline, and may say a moment before us that it is over.
	over := within.Err() != nil || Code(err) == codes.DeadlineExceeded && isAtDeadline(within) && !isAtDeadline(ctx)
	if err != nil && over && ctx.Err() == nil {
		// The answer is lost, as far as anybody can tell: the retry table knows which
		// calls may be sent again.
		return status.Error(codes.Unavailable, unanswered{timeout}.Error())
	}
	return err
}

// unanswered is a call that request_timeout ended. It is a [net.Error], and no
// [context.DeadlineExceeded], which would be the end of the caller's own time.
type unanswered struct{ after time.Duration }

func (e unanswered) Error() string {
	return "no answer within " + e.after.String() + " (request_timeout)"
}
func (unanswered) Timeout() bool   { return true }
func (unanswered) Temporary() bool { return true }

// observedTransport bounds each HTTP call, its answer included, and tells of it.
type observedTransport struct {
	base    http.RoundTripper
	timeout time.Duration
	observe CallObserver
}

func (t observedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.bounded(r)
	if t.observe == nil {
		return resp, err
	}
	call := Call{Method: r.Method + " " + r.URL.Path, Latency: time.Since(start), Attempt: attemptOf(r.Context())}
	if err != nil {
		call.Code = Code(err)
	} else {
		call.Code = codeOfHTTP(resp.StatusCode)
		call.RequestID = resp.Header.Get("X-Goog-Request-Id")
	}
	t.observe(r.Context(), call)
	return resp, err
}

func (t observedTransport) bounded(r *http.Request) (*http.Response, error) {
	if t.timeout == 0 {
		return t.base.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	resp, err := t.base.RoundTrip(r.WithContext(ctx))
	body := boundedBody{outer: r.Context(), ctx: ctx, cancel: cancel, timeout: t.timeout}
	if err != nil {
		err = body.explained(err)
		cancel()
		return nil, err
	}
	body.ReadCloser = resp.Body
	resp.Body = body
	return resp, nil
}

// boundedBody is an answer that has to be read before its time ends.
type boundedBody struct {
	io.ReadCloser
	outer, ctx context.Context
	cancel     context.CancelFunc
	timeout    time.Duration
}

func (b boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, b.explained(err)
}

func (b boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

func (b boundedBody) explained(err error) error {
	if err == nil || errors.Is(err, io.EOF) || b.ctx.Err() == nil || b.outer.Err() != nil {
		return err
	}
	return unanswered{b.timeout}
}
