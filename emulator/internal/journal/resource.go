// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package journal

import (
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
)

// ResourceOf finds the name of what a gRPC request is about: what it names, or
// what it will create if the client chose the id, else the parent.
func ResourceOf(req any) string {
	child := func(parent, collection, id string) string {
		if id == "" {
			return parent
		}
		return parent + "/" + collection + "/" + id
	}
	switch r := req.(type) {
	case *aiplatformpb.UploadModelRequest:
		if r.GetParentModel() != "" {
			return r.GetParentModel()
		}
		return child(r.GetParent(), "models", r.GetModelId())
	case *aiplatformpb.UpdateModelRequest:
		return r.GetModel().GetName()
	case *aiplatformpb.CreateEndpointRequest:
		return child(r.GetParent(), "endpoints", r.GetEndpointId())
	case *aiplatformpb.UpdateEndpointRequest:
		return r.GetEndpoint().GetName()
	case *connectionpb.CreateConnectionRequest:
		return child(r.GetParent(), "connections", r.GetConnectionId())
	// Google's other requests name it in one of a few fields.
	case interface{ GetEndpoint() string }:
		return r.GetEndpoint()
	case interface{ GetName() string }:
		return r.GetName()
	case interface{ GetResource() string }:
		return r.GetResource()
	case interface{ GetParent() string }:
		return r.GetParent()
	}
	return ""
}
