// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package rest turns Google's REST surface into gRPC calls. The routes come from
// the HTTP annotations of the services; vanguard transcodes. What vanguard leaves
// open is closed here: strict JSON, the routes of operations, Google's system
// parameters, Google's error envelope.
package rest

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"connectrpc.com/vanguard"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// New returns a handler for the REST surface of every service registered on the
// gRPC server. Of a service whose REST API has more than its protos, wider is the
// description to use instead.
func New(server *grpc.Server, wider ...protoreflect.ServiceDescriptor) (http.Handler, error) {
	schemas := map[string]protoreflect.ServiceDescriptor{}
	for _, schema := range wider {
		schemas[string(schema.FullName())] = schema
	}
	var services []*vanguard.Service
	for name := range server.GetServiceInfo() {
		if schema, ok := schemas[name]; ok {
			services = append(services, vanguard.NewServiceWithSchema(schema, server))
			continue
		}
		services = append(services, vanguard.NewService(name, server))
	}
	opts := []vanguard.TranscoderOption{
		vanguard.WithCodec(newCodec),
		vanguard.WithUnknownHandler(http.HandlerFunc(notFound)),
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
			vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithMaxMessageBufferBytes(MaxBody),
			// Else the gRPC server answers a compressed request with a compressed
			// answer, whether or not the client accepts one.
			vanguard.WithNoTargetCompression(),
		),
	}
	if _, ok := server.GetServiceInfo()["google.longrunning.Operations"]; ok {
		opts = append(opts, vanguard.WithRules(operationRules()...))
	}
	transcoder, err := vanguard.NewTranscoder(services, opts...)
	if err != nil {
		return nil, fmt.Errorf("REST routes: %w", err)
	}
	return systemParameters(booleanParameters(server), plainJSON(inGoogleShape(transcoder))), nil
}

// operationRules adds the routes at which the operations of projects live;
// operations.proto itself only has "/v1/{name=operations/**}". An operation is
// the same in every version of the API, and gcloud polls at v1beta1 what it
// started at v1.
func operationRules() []*annotations.HttpRule {
	var rules []*annotations.HttpRule
	const service = "google.longrunning.Operations."
	for _, version := range []string{"v1", "v1beta1"} {
		for _, parent := range []string{
			"projects/*/locations/*",
			"projects/*/locations/*/models/*",
			"projects/*/locations/*/endpoints/*",
		} {
			name := "/" + version + "/{name=" + parent + "/operations/*}"
			rules = append(rules,
				&annotations.HttpRule{Selector: service + "GetOperation", Pattern: &annotations.HttpRule_Get{Get: name}},
				&annotations.HttpRule{Selector: service + "ListOperations", Pattern: &annotations.HttpRule_Get{Get: "/" + version + "/{name=" + parent + "}/operations"}},
				&annotations.HttpRule{Selector: service + "WaitOperation", Pattern: &annotations.HttpRule_Post{Post: name + ":wait"}, Body: "*"},
				&annotations.HttpRule{Selector: service + "CancelOperation", Pattern: &annotations.HttpRule_Post{Post: name + ":cancel"}, Body: "*"},
				&annotations.HttpRule{Selector: service + "DeleteOperation", Pattern: &annotations.HttpRule_Delete{Delete: name}},
			)
		}
	}
	return rules
}

func notFound(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1beta1/") {
		WriteError(w, codes.Unimplemented, fmt.Sprintf("%s is not implemented by the emulator: of v1beta1 it has only operations and publisher models; use v1.", r.URL.Path))
		return
	}
	WriteError(w, codes.NotFound, fmt.Sprintf("The requested URL %s was not found on this server. What the emulator implements is listed in its README.", r.URL.Path))
}

// plainJSON lets every spelling of the JSON content type through to vanguard,
// which knows only some.
func plainJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && mediaType == "application/json" {
			r.Header.Set("Content-Type", mediaType)
		}
		next.ServeHTTP(w, r)
	})
}
