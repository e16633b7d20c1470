// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package storage

// Routes are the methods of the JSON API, coarsely.
var Routes = []string{
	"GET /storage/v1/*", "POST /storage/v1/*", "PATCH /storage/v1/*", "PUT /storage/v1/*", "DELETE /storage/v1/*",
	"POST /upload/storage/v1/*", "PUT /upload/storage/v1/*", "GET /download/storage/v1/*",
}
