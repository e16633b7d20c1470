// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import "net/http"

func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	notFound("Discovery document").write(w)
}
