// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package operations

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

type work = func(context.Context, *Handle) (proto.Message, error)

// begin starts an operation about a model of the project "some-project".
func begin(t *testing.T, m *Manager, run work) *longrunningpb.Operation {
	t.Helper()
	parent, err := m.names.Canonical("projects/some-project/locations/l/models/m")
	if err != nil {
		t.Fatal(err)
	}
	meta := &aiplatformpb.DeleteOperationMetadata{GenericMetadata: &aiplatformpb.GenericOperationMetadata{}}
	return m.Start(Spec{Parent: parent, Metadata: meta, Generic: meta.GetGenericMetadata(), Run: run})
}

func newManager(t *testing.T) *Manager {
	t.Helper()
	m := New(clock.Real{}, project.Names{Registry: project.NewRegistry()})
	t.Cleanup(m.Close)
	return m
}

func done(context.Context, *Handle) (proto.Message, error) { return &emptypb.Empty{}, nil }

func forever(ctx context.Context, h *Handle) (proto.Message, error) {
	return nil, h.Sleep(ctx, time.Hour)
}

func wait(t *testing.T, m *Manager, name string, d time.Duration) *longrunningpb.Operation {
	t.Helper()
	op, err := m.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(d)})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestAnOperationEndsWithItsResult(t *testing.T) {
	m := newManager(t)
	op := begin(t, m, done)
	if op.GetDone() || !strings.Contains(op.GetName(), "/models/m/operations/") {
		t.Errorf("at the start: %v", op)
	}
	end := wait(t, m, op.GetName(), time.Minute)
	if !end.GetDone() || end.GetResponse() == nil {
		t.Errorf("at the end: %v", end)
	}
	var meta aiplatformpb.DeleteOperationMetadata
	if err := end.GetMetadata().UnmarshalTo(&meta); err != nil || meta.GetGenericMetadata().GetUpdateTime().AsTime().Before(meta.GetGenericMetadata().GetCreateTime().AsTime()) {
		t.Errorf("metadata %v, %v", &meta, err)
	}
	failed := begin(t, m, func(context.Context, *Handle) (proto.Message, error) {
		return nil, status.Error(codes.FailedPrecondition, "no")
	})
	if end := wait(t, m, failed.GetName(), time.Minute); end.GetError().GetCode() != int32(codes.FailedPrecondition) || end.GetError().GetMessage() != "no" {
		t.Errorf("a failure: %v", end)
	}
}

func TestOperationsAreFoundByProjectIDToo(t *testing.T) {
	m := newManager(t)
	op := begin(t, m, done)
	_, rest, _ := strings.Cut(strings.TrimPrefix(op.GetName(), "projects/"), "/")
	got, err := m.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "projects/some-project/" + rest})
	if err != nil || got.GetName() != op.GetName() {
		t.Errorf("%v, %v", got, err)
	}
	for name, code := range map[string]codes.Code{"projects/some-project/locations/l/operations/1": codes.NotFound, "operations/1": codes.InvalidArgument} {
		if _, err := m.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name}); status.Code(err) != code {
			t.Errorf("%s: %v, want %v", name, err, code)
		}
	}
}

func TestWaitReturnsAtItsTimeout(t *testing.T) {
	m := newManager(t)
	op := begin(t, m, forever)
	if got := wait(t, m, op.GetName(), 5*time.Millisecond); got.GetDone() {
		t.Errorf("done: %v", got)
	}
}

func TestCancelListDelete(t *testing.T) {
	m := newManager(t)
	first, second := begin(t, m, forever), begin(t, m, done)
	if _, err := m.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: first.GetName()}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("deleting a running operation: %v", err)
	}
	if _, err := m.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: first.GetName()}); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, m, first.GetName(), time.Minute); end.GetError().GetCode() != int32(codes.Canceled) {
		t.Errorf("after cancelling: %v", end)
	}
	wait(t, m, second.GetName(), time.Minute)
	list, err := m.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: "projects/some-project/locations/l"})
	if err != nil || len(list.GetOperations()) != 2 || list.GetOperations()[0].GetName() != second.GetName() {
		t.Errorf("list, newest first: %v, %v", list, err)
	}
	if _, err := m.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: first.GetName()}); err != nil {
		t.Fatal(err)
	}
	list, err = m.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: "projects/some-project/locations/other"})
	if err != nil || len(list.GetOperations()) != 0 {
		t.Errorf("another location: %v, %v", list, err)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	m := New(clock.Real{}, project.Names{Registry: project.NewRegistry()})
	ended := make(chan error, 1)
	begin(t, m, func(ctx context.Context, h *Handle) (proto.Message, error) {
		err := h.Sleep(ctx, time.Hour)
		ended <- err
		return nil, err
	})
	m.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	default:
		t.Error("Close returned before the operation ended")
	}
}
