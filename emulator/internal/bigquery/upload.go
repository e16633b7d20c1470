// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

func (s *Server) uploadJob(*request) (any, error) {
	return nil, notImplemented("load jobs")
}
