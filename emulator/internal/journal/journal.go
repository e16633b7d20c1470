// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package journal keeps one entry for every API call: what was called, when, how
// it ended and how long it took. Bodies and headers are never kept, so a journal
// holds no secret.
package journal

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// Entry is one call.
type Entry struct {
	Seq  int       `json:"seq"`
	Time time.Time `json:"time"`
	// Method is the full gRPC method ("/package.Service/Method"), also for calls
	// that came as REST, or "POST /path" for APIs that have no gRPC.
	Method string `json:"method"`
	// Resource is the resource or parent that the request names, if any.
	Resource string `json:"resource,omitempty"`
	// Code is the canonical code ("OK", "NotFound"), empty while the call runs.
	Code      string  `json:"code"`
	LatencyMS float64 `json:"latency_ms"`
}

// maxEntries bounds the journal of a long-running emulator.
const maxEntries = 100_000

// Journal is safe for concurrent use.
type Journal struct {
	clock   clock.Clock
	mu      sync.Mutex
	seq     int
	entries []*Entry
}

// New returns an empty journal.
func New(c clock.Clock) *Journal { return &Journal{clock: c} }

type contextKey struct{}

// Middleware opens an entry for each request of next and closes it when the
// answer is complete. A gRPC call's entry is filled in by [Journal.Unary].
func (j *Journal) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := j.open(r.Method + " " + r.URL.Path)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { j.close(e, codeOf(rec.status)) }()
		next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), contextKey{}, e)))
	})
}

// Unary is the gRPC interceptor that names the method, the resource and the
// code of the call in its entry.
func (j *Journal) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if e, ok := ctx.Value(contextKey{}).(*Entry); ok {
		j.mu.Lock()
		e.Method, e.Resource = info.FullMethod, ResourceOf(req)
		j.mu.Unlock()
		res, err := handler(ctx, req)
		j.close(e, status.Code(err))
		return res, err
	}
	return handler(ctx, req)
}

// Entries returns copies of the entries, oldest first.
func (j *Journal) Entries() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Entry, len(j.entries))
	for i, e := range j.entries {
		out[i] = *e
	}
	return out
}

// ServeHTTP answers GET with {"entries": […]}.
func (j *Journal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	inventory.WriteJSON(w, http.StatusOK, map[string]any{"entries": j.Entries()})
}

func (j *Journal) open(method string) *Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e := &Entry{Seq: j.seq, Time: j.clock.Now(), Method: method}
	if len(j.entries) == maxEntries {
		j.entries = slices.Delete(j.entries, 0, 1)
	}
	j.entries = append(j.entries, e)
	return e
}

// close sets the outcome once; the first caller, who knows most, wins.
func (j *Journal) close(e *Entry, code codes.Code) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Code == "" {
		e.Code = code.String()
		e.LatencyMS = float64(j.clock.Now().Sub(e.Time).Microseconds()) / 1000
	}
}

// codeOf maps an HTTP status to the canonical code.
func codeOf(status int) codes.Code {
	switch {
	case status < 400:
		return codes.OK
	case status == http.StatusUnauthorized:
		return codes.Unauthenticated
	case status == http.StatusForbidden:
		return codes.PermissionDenied
	case status == http.StatusNotFound:
		return codes.NotFound
	case status == http.StatusConflict:
		return codes.AlreadyExists
	case status == http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case status == http.StatusNotImplemented:
		return codes.Unimplemented
	case status == http.StatusServiceUnavailable:
		return codes.Unavailable
	case status == http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	case status < 500:
		return codes.InvalidArgument
	default:
		return codes.Internal
	}
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Flush lets gRPC answers through at once.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
