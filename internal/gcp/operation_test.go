// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/googleapis/gax-go/v2"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// answers is an operation whose polls are scripted; the last answer stays.
type answers []func() (*longrunningpb.Operation, error)

func (a *answers) GetOperation(context.Context, *longrunningpb.GetOperationRequest, ...gax.CallOption) (*longrunningpb.Operation, error) {
	next := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return next()
}

func refused(c codes.Code) func() (*longrunningpb.Operation, error) {
	return func() (*longrunningpb.Operation, error) { return nil, status.Error(c, "refused") }
}

func running() (*longrunningpb.Operation, error) {
	m, err := anypb.New(&aiplatformpb.DeployModelOperationMetadata{DeploymentStage: aiplatformpb.DeploymentStage_ADDING_NODES_TO_CLUSTER})
	return &longrunningpb.Operation{Name: "op", Metadata: m}, err
}

func done() (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: "op", Done: true}, nil
}

func failed() (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: "op", Done: true, Result: &longrunningpb.Operation_Error{
		Error: &spb.Status{Code: int32(codes.FailedPrecondition), Message: "Model server exited unexpectedly"},
	}}, nil
}

func TestWaitOperation(t *testing.T) {
	for name, c := range map[string]struct {
		script answers
		check  func(error) bool
	}{
		"done":                          {answers{running, running, done}, func(err error) bool { return err == nil }},
		"polls that fail are tolerated": {answers{refused(codes.Unavailable), running, refused(codes.Internal), done}, func(err error) bool { return err == nil }},
		"not visible at first":          {answers{refused(codes.NotFound), refused(codes.NotFound), running, done}, func(err error) bool { return err == nil }},
		"forbidden for a moment":        {answers{running, refused(codes.Unauthenticated), refused(codes.PermissionDenied), done}, func(err error) bool { return err == nil }},
		"forgotten for good":            {answers{running, refused(codes.NotFound)}, func(err error) bool { return errors.Is(err, ErrOperationLost) }},
		"forbidden for good":            {answers{refused(codes.PermissionDenied)}, func(err error) bool { return Code(err) == codes.PermissionDenied }},
		"failed": {answers{running, failed}, func(err error) bool {
			var e *OperationError
			return errors.As(err, &e) && Code(err) == codes.FailedPrecondition && strings.Contains(err.Error(), "operation op")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, err := WaitOperation(t.Context(), &c.script, "op", nil); !c.check(err) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestWaitOperationTellsWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		start := time.Now()
		_, err := WaitOperation(ctx, &answers{running}, "projects/1/operations/2", nil)
		var stopped *WaitError
		if !errors.As(err, &stopped) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Minute {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		for _, want := range []string{"projects/1/operations/2", "20m0s", "ADDING_NODES_TO_CLUSTER"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not tell %q", err, want)
			}
		}
	})
}
