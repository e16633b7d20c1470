// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"context"
	"net/http"

	"google.golang.org/grpc"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/journal"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/rest"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/serving"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/storage"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/vertexai"
)

// wire builds every service, in the order in which they need each other, and
// returns the handler for all of them. A gRPC service is registered on server
// and thereby has its REST routes too; an API without gRPC is given a path in
// routes. What a service holds is reported to the inventory.
func (s *Server) wire(_ context.Context, opts Options) (http.Handler, error) {
	switches, err := assume.Parse(opts.Assume)
	if err != nil {
		return nil, err
	}
	var (
		now      = clock.Real{}
		projects = project.NewRegistry()
		inv      = inventory.New()
		timeline = new(inventory.Timeline)
		calls    = journal.New(now)
		server   = grpc.NewServer(
			grpc.MaxRecvMsgSize(rest.MaxBody),
			grpc.ChainUnaryInterceptor(calls.Unary, s.faults.Unary, explainUnary),
			grpc.StreamInterceptor(explainStream),
		)
		routes = new(router)
	)
	names := project.Names{Registry: projects, ShowID: switches.Is(assume.ProjectInNames, "id")}

	// Vertex AI, with the operations of its resources and the model servers.
	models, err := serving.NewCatalog(opts.ModelServers, now, opts.Logger)
	if err != nil {
		return nil, err
	}
	s.onClose(models.Close)
	work := operations.New(now, names)
	s.onClose(work.Close)
	work.Register(server)
	vertex := vertexai.New(vertexai.Config{
		Clock: now, Assume: switches, Names: names, Operations: work, Serving: models, Timeline: timeline, Log: opts.Logger,
		OperationLatency: opts.OperationLatency, DeployLatency: opts.DeployLatency,
	})
	vertex.Register(server)
	inv.Add("models", vertex.Models)
	inv.Add("endpoints", vertex.Endpoints)

	// Cloud Storage.
	bucket, err := storage.New(storage.Config{Addr: s.Addr, Objects: storageObjects(opts.Objects), Dir: opts.StorageDir})
	if err != nil {
		return nil, err
	}
	s.onClose(bucket.Close)
	inv.Add("buckets", bucket.Inventory)
	for _, prefix := range []string{"/storage/", "/upload/storage/", "/upload/resumable/", "/download/", "/batch/storage/"} {
		routes.handle(prefix, bucket)
	}

	// The REST face of all gRPC services; then whatever is left is Cloud Storage's
	// XML API, which owns "/bucket/object".
	transcoder, err := rest.New(server)
	if err != nil {
		return nil, err
	}
	for _, prefix := range []string{"/v1/", "/v3/", "/v1beta1/"} {
		routes.handle(prefix, transcoder)
	}
	routes.handle("/", bucket)

	admin := s.admin(inv, timeline, calls, opts.EnableFaults)
	api := calls.Middleware(s.faults.Middleware(routes))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isGRPC(r):
			calls.Middleware(server).ServeHTTP(w, r)
		case isAdmin(r):
			admin.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	}), nil
}

func storageObjects(objects []Object) []storage.Object {
	out := make([]storage.Object, len(objects))
	for i, o := range objects {
		out[i] = storage.Object(o)
	}
	return out
}
