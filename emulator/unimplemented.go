// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The generated services answer a method that nobody wrote with "method X not
// implemented"; these two interceptors say whose limit that is.

func explainUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	return res, explain(info.FullMethod, err)
}

func explainStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return explain(info.FullMethod, handler(srv, stream))
}

func explain(method string, err error) error {
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.Unimplemented || !strings.HasPrefix(s.Message(), "method ") {
		return err
	}
	return status.Errorf(codes.Unimplemented, "%s is not implemented by the emulator. What it implements is listed in its README.",
		strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
}
