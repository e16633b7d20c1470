// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/glob"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/journal"
)

// Unary applies faults to gRPC calls, also those that came as REST.
func (s *Set) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	e := s.match(ctx, info.FullMethod, journal.ResourceOf(req))
	if e == nil {
		return handler(ctx, req)
	}
	x := exchangeOf(ctx)
	if e.Phase == Before {
		if err := e.strike(ctx, x); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
	res, err := handler(context.WithoutCancel(ctx), req)
	if e.Phase == MidBody {
		x.cut(e)
		return res, err
	}
	if struck := e.strike(ctx, x); struck != nil {
		return nil, struck
	}
	return res, err
}

// strike does what a fault does before or after the effect. The error, if any, is
// the answer; without one the call goes on.
func (e *entry) strike(ctx context.Context, x *exchange) error {
	e.fire()
	switch e.Action {
	case Fail:
		if x != nil && !x.grpc {
			e.Status.retryAfter(x.Header())
		}
		return e.Status.Err()
	case Reset:
		x.reset()
		return status.Error(codes.Unavailable, "The connection was reset.")
	default:
		if err := e.wait(ctx); err != nil {
			return status.FromContextError(err).Err()
		}
		return nil
	}
}

// Middleware applies faults to APIs without gRPC.
func (s *Set) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := canonicalPath(r.URL.Path)
		var e *entry
		if method := r.Method + " " + path; s.routed(method) {
			e = s.match(r.Context(), method, resourceOf(path))
		}
		if e == nil {
			next.ServeHTTP(w, r)
			return
		}
		x := exchangeOf(r.Context())
		if x == nil {
			x = newExchange(w, r)
			w = x
			defer x.finish(r.Context())
		}
		// The server notices that a client is gone only once it has read the request.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		effect := r.Clone(context.WithoutCancel(r.Context()))
		effect.Body = io.NopCloser(bytes.NewReader(body))
		switch e.Phase {
		case Before:
			if !e.strikeHTTP(w, r, x) {
				next.ServeHTTP(w, effect)
			}
		case AfterEffect:
			reply := &buffer{header: http.Header{}, status: http.StatusOK}
			next.ServeHTTP(reply, effect)
			if !e.strikeHTTP(w, r, x) {
				maps.Copy(w.Header(), reply.header)
				w.WriteHeader(reply.status)
				_, _ = w.Write(reply.body.Bytes())
			}
		case MidBody:
			x.cut(e)
			next.ServeHTTP(w, effect)
		}
	})
}

// strikeHTTP is strike for a call without gRPC; it reports whether the call was
// answered.
func (e *entry) strikeHTTP(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	err := e.strike(r.Context(), x)
	switch {
	case err == nil:
		return false
	case e.Action == Fail:
		e.Status.write(w)
	default:
		x.abort() // there is nobody to answer
	}
	return true
}

// routed reports whether a call without gRPC is one of the routes.
func (s *Set) routed(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return false
	}
	return len(s.routes) == 0 || slices.ContainsFunc(s.routes, func(route string) bool { return glob.Match(route, method) })
}

// canonicalPath spells BigQuery's paths in one way: some clients leave the prefix
// out, and uploads are found at two places.
func canonicalPath(path string) string {
	path = strings.TrimPrefix(path, "/resumable")
	if strings.HasPrefix(path, "/projects/") {
		return "/bigquery/v2" + path
	}
	return path
}

// isRoute tells an HTTP method and path from a gRPC method: the former
// has a space.
func isRoute(method string) bool { return strings.Contains(method, " ") }

// resourceOf is the resource that a path names, without the API's prefix.
func resourceOf(path string) string {
	for _, prefix := range []string{"/upload", "/download"} {
		path = strings.TrimPrefix(path, prefix)
	}
	for _, prefix := range []string{"/bigquery/v2/", "/storage/v1/", "/v1/"} {
		if resource, ok := strings.CutPrefix(path, prefix); ok {
			return resource
		}
	}
	return path
}

// buffer keeps a whole reply.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffer) Header() http.Header         { return b.header }
func (b *buffer) WriteHeader(status int)      { b.status = status }
func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }
