// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"context"
	"net/http"
	"slices"

	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bqconnection"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/engine"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/iam"
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
func (s *Server) wire(ctx context.Context, opts Options) (http.Handler, error) {
	switches, err := assume.Parse(opts.Assume)
	if err != nil {
		return nil, err
	}
	var (
		now      = new(clock.Virtual)
		projects = project.NewRegistry()
		inv      = inventory.New()
		timeline = new(inventory.Timeline)
		names    = project.Names{Registry: projects, ShowID: switches.Is(assume.ProjectInNames, "id")}
		calls    = journal.New(now)
		effects  = journal.NewCounters(names.ByID)
		server   = grpc.NewServer(
			grpc.MaxRecvMsgSize(rest.MaxBody),
			grpc.ChainUnaryInterceptor(calls.Unary, s.faults.Unary, effects.Unary, explainUnary),
			grpc.StreamInterceptor(explainStream),
		)
		routes = new(router)
	)

	// Vertex AI, with the operations of its resources and the model servers.
	models, err := serving.NewCatalog(opts.ModelServers, now, opts.Logger)
	if err != nil {
		return nil, err
	}
	s.onClose(models.Close)
	work := operations.New(now, names)
	s.onClose(work.Close)
	work.OnEnd(effects.OperationEnded)
	work.Register(server)
	garden, err := vertexai.ReadPublisherModels(opts.PublisherModels)
	if err != nil {
		return nil, err
	}
	vertex := vertexai.New(vertexai.Config{
		Clock: now, Assume: switches, Names: names, Operations: work, Serving: models, Timeline: timeline,
		OperationLatency: opts.OperationLatency, DeployLatency: opts.DeployLatency, PublisherModels: garden,
	})
	vertex.Register(server)
	inv.Add("models", vertex.Models)
	inv.Add("endpoints", vertex.Endpoints)
	inv.Add("deployment_resource_pools", vertex.Pools)

	// Project IAM, BigQuery connections, BigQuery.
	policies := iam.New(iam.Config{Projects: projects, Clock: now, Lag: opts.IAMLag})
	resourcemanagerpb.RegisterProjectsServer(server, policies)
	inv.Add("iam_bindings", policies.Inventory)
	connections := bqconnection.New(bqconnection.Config{Projects: projects, Clock: now, Assume: switches})
	connectionpb.RegisterConnectionServiceServer(server, connections)
	policies.ConnectionAccounts(connections.AccountCreated)
	inv.Add("connections", connections.Inventory)
	sql, err := engine.Start(ctx)
	if err != nil {
		return nil, err
	}
	s.onClose(func() { _ = sql.Close() })
	front := bigquery.New(bigquery.Config{
		Addr: s.Addr, Projects: projects, Clock: now, Assume: switches,
		Engine: sql, Connections: connections, Permissions: policies, Vertex: vertexForBigQuery{vertex}, Effects: effects,
		JobLatency: opts.JobLatency,
	})
	s.onClose(front.Close)
	inv.Add("datasets", front.Datasets)
	inv.Add("remote_models", front.RemoteModels)
	for _, prefix := range []string{"/bigquery/v2/", "/projects/", "/upload/bigquery/", "/resumable/upload/bigquery/", "/$discovery/"} {
		routes.handle(prefix, front)
	}

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
	connectionsByREST, err := bqconnection.Schema()
	if err != nil {
		return nil, err
	}
	transcoder, err := rest.New(server, connectionsByREST)
	if err != nil {
		return nil, err
	}
	routes.handle("/v1/projects/", policies.V1(transcoder)) // Resource Manager v1 has no gRPC
	for _, prefix := range []string{"/v1/", "/v3/", "/v1beta1/"} {
		routes.handle(prefix, transcoder)
	}
	routes.handle("/", bucket)

	admin := s.admin(views{inv, timeline, calls, effects}, controls{now, work, policies, front})
	native, api := calls.Middleware(server), calls.Middleware(routes)
	if opts.EnableFaults {
		s.faults.Know(grpcMethods(server), slices.Concat(front.Routes(), iam.V1Routes, storage.Routes))
		native, api = s.faults.Wire(native), s.faults.Wire(calls.Middleware(s.faults.Middleware(routes)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isGRPC(r):
			native.ServeHTTP(w, r)
		case isAdmin(r):
			admin.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	}), nil
}

// grpcMethods lists the full names of a server's methods.
func grpcMethods(server *grpc.Server) []string {
	var out []string
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			out = append(out, "/"+service+"/"+m.Name)
		}
	}
	slices.Sort(out)
	return out
}

func storageObjects(objects []Object) []storage.Object {
	out := make([]storage.Object, len(objects))
	for i, o := range objects {
		out[i] = storage.Object(o)
	}
	return out
}

// vertexForBigQuery shows Vertex AI as BigQuery sees it.
type vertexForBigQuery struct{ *vertexai.Service }

func (v vertexForBigQuery) Endpoint(ctx context.Context, name string) (bigquery.Endpoint, error) {
	info, err := v.Service.Endpoint(ctx, name)
	return bigquery.Endpoint{Dedicated: info.Dedicated, Deployed: info.Deployed}, err
}

func (v vertexForBigQuery) Predict(ctx context.Context, name string, instances []*structpb.Value, parameters *structpb.Value) ([]*structpb.Value, error) {
	return v.PredictBatch(ctx, name, instances, parameters)
}
