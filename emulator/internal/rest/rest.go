// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package rest turns Google's REST surface into gRPC calls. The routes come from
// the HTTP annotations of the services; vanguard transcodes. What vanguard leaves
// open is closed here: strict JSON, the routes of operations, Google's system
// parameters, Google's error envelope.
package rest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"connectrpc.com/vanguard/vanguardgrpc"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// New returns a handler for the REST surface of every service registered on the
// gRPC server.
func New(server *grpc.Server) (http.Handler, error) {
	opts := []vanguard.TranscoderOption{
		vanguard.WithCodec(newCodec),
		vanguard.WithUnknownHandler(http.HandlerFunc(notFound)),
		vanguard.WithDefaultServiceOptions(vanguard.WithMaxMessageBufferBytes(MaxBody)),
	}
	if _, ok := server.GetServiceInfo()["google.longrunning.Operations"]; ok {
		opts = append(opts, vanguard.WithRules(operationRules()...))
	}
	transcoder, err := vanguardgrpc.NewTranscoder(server, opts...)
	if err != nil {
		return nil, fmt.Errorf("REST routes: %w", err)
	}
	return systemParameters(inGoogleShape(transcoder)), nil
}

// operationRules adds the routes at which the operations of projects live;
// operations.proto itself only has "/v1/{name=operations/**}".
func operationRules() []*annotations.HttpRule {
	var rules []*annotations.HttpRule
	const service = "google.longrunning.Operations."
	for _, parent := range []string{
		"projects/*/locations/*",
		"projects/*/locations/*/models/*",
		"projects/*/locations/*/endpoints/*",
	} {
		name := "/v1/{name=" + parent + "/operations/*}"
		rules = append(rules,
			&annotations.HttpRule{Selector: service + "GetOperation", Pattern: &annotations.HttpRule_Get{Get: name}},
			&annotations.HttpRule{Selector: service + "ListOperations", Pattern: &annotations.HttpRule_Get{Get: "/v1/{name=" + parent + "}/operations"}},
			&annotations.HttpRule{Selector: service + "WaitOperation", Pattern: &annotations.HttpRule_Post{Post: name + ":wait"}},
			&annotations.HttpRule{Selector: service + "CancelOperation", Pattern: &annotations.HttpRule_Post{Post: name + ":cancel"}},
			&annotations.HttpRule{Selector: service + "DeleteOperation", Pattern: &annotations.HttpRule_Delete{Delete: name}},
		)
	}
	return rules
}

func notFound(w http.ResponseWriter, r *http.Request) {
	WriteError(w, codes.NotFound, fmt.Sprintf("The requested URL %s was not found on this server.", r.URL.Path))
}

// inGoogleShape rewrites the plain-text answers that vanguard gives before it
// knows the method (wrong verb, wrong content type, …) into Google's envelope.
func inGoogleShape(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&shaper{ResponseWriter: w, request: r}, r)
	})
}

type shaper struct {
	http.ResponseWriter
	request *http.Request
	plain   bool // the answer is being replaced
}

func (s *shaper) WriteHeader(status int) {
	h := s.Header()
	if status < 400 || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		if strings.HasPrefix(h.Get("Content-Type"), "application/json") {
			h.Set("Content-Type", "application/json; charset=UTF-8")
		}
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.plain = true
	switch status {
	case http.StatusMethodNotAllowed, http.StatusNotFound:
		h.Del("Allow")
		notFound(s.ResponseWriter, s.request)
	case http.StatusUnsupportedMediaType:
		writeError(s.ResponseWriter, http.StatusBadRequest, codes.InvalidArgument,
			fmt.Sprintf("Request with content type %q is not supported: use application/json.", s.request.Header.Get("Content-Type")), nil)
	default:
		writeError(s.ResponseWriter, status, codes.InvalidArgument, http.StatusText(status), nil)
	}
}

func (s *shaper) Write(b []byte) (int, error) {
	if s.plain {
		return len(b), nil
	}
	return s.ResponseWriter.Write(b)
}

// Flush lets streams through.
func (s *shaper) Flush() {
	if f, ok := s.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// payloadError words a JSON error as Google does and gives it its code.
func payloadError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	if m := unknownField.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("Invalid JSON payload received. Unknown name %q: Cannot find field.", m[1])
	} else {
		text = "Invalid JSON payload received. " + strings.TrimPrefix(text, "proto: ")
	}
	return connect.NewError(connect.CodeInvalidArgument, errors.New(text))
}
