// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/query/storage"
)

// queryClient returns a client that reads large results through the Storage Read
// API where it may. told, unless it is nil, hears why it may not.
func queryClient(ctx context.Context, clients *gcp.Clients, told func(format string, args ...any)) (*query.Client, error) {
	service, err := clients.BigQuery(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := clients.BigQueryHTTP(ctx)
	if err != nil {
		return nil, err
	}
	client := query.New(service, raw, clients.Project())
	connect := func(ctx context.Context) (grpc.ClientConnInterface, error) { return clients.BigQueryStorage(ctx) }
	client.ReadTables(storage.New(connect, clients.Project()), func(err error) {
		if told != nil {
			told("the Storage Read API refused, so rows are read page by page: %s", gcp.Message(err))
		}
	})
	return client, nil
}
