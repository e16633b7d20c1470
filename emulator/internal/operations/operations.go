// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package operations is google.longrunning.Operations as Vertex AI has it: work
// that goes on after the call which started it was answered, typed metadata that
// changes on the way, and one result.
package operations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/store"
)

// Manager runs operations and answers for them. Call [Manager.Close] to stop
// what runs.
type Manager struct {
	longrunningpb.UnimplementedOperationsServer

	clock  clock.Clock
	names  project.Names
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	onEnd  func(name string, response proto.Message, err error)

	mu    sync.Mutex
	ops   map[string]*operation // by canonical name
	order []string

	scripts    []*scripted
	lastScript int
}

// Spec describes an operation to start.
type Spec struct {
	// Parent is the canonical name of the resource the operation is about, or of
	// its location.
	Parent string
	// Metadata is the operation's typed metadata; Generic is the part of it that
	// holds the times.
	Metadata proto.Message
	Generic  *aiplatformpb.GenericOperationMetadata
	// Run does the work and returns the response. It must stop when ctx ends.
	Run func(ctx context.Context, h *Handle) (proto.Message, error)
}

type operation struct {
	spec   Spec
	name   string // canonical
	cancel context.CancelFunc
	done   chan struct{}
	// Set under Manager.mu before done is closed.
	response proto.Message
	err      error
	ended    time.Time

	script *Script      // nil for an operation that goes as usual
	gets   []codes.Code // what polling answers next
}

// Handle lets running work report what it does.
type Handle struct {
	m     *Manager
	op    *operation
	slept bool
}

// Update changes the metadata.
func (h *Handle) Update(change func()) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	change()
	h.op.spec.Generic.UpdateTime = timestamppb.New(h.m.clock.Now())
}

// Sleep waits for d or until the operation is cancelled. Work sleeps before it has
// an effect: what a script does instead of the work happens the first time.
func (h *Handle) Sleep(ctx context.Context, d time.Duration) error {
	script := h.op.script
	if script == nil || h.slept {
		return h.m.clock.Sleep(ctx, d)
	}
	h.slept = true
	if err := h.m.clock.Sleep(ctx, d+time.Duration(script.Delay)); err != nil {
		return err
	}
	return script.act(ctx, fault.Before)
}

// New returns a manager without operations.
func New(c clock.Clock, names project.Names) *Manager {
	base, cancel := context.WithCancel(context.Background())
	return &Manager{clock: c, names: names, base: base, cancel: cancel, ops: map[string]*operation{}, onEnd: func(string, proto.Message, error) {}}
}

// OnEnd sets a function that is told the outcome of every operation; call it before
// the first one starts.
func (m *Manager) OnEnd(f func(name string, response proto.Message, err error)) { m.onEnd = f }

// Register adds the Operations service to a gRPC server.
func (m *Manager) Register(s grpc.ServiceRegistrar) { longrunningpb.RegisterOperationsServer(s, m) }

// Close cancels every running operation and waits for it to end.
func (m *Manager) Close() {
	m.cancel()
	m.wg.Wait()
}

// Start starts the work and returns the operation as it is at the start.
func (m *Manager) Start(spec Spec) *longrunningpb.Operation {
	ctx, cancel := context.WithCancel(m.base)
	now := timestamppb.New(m.clock.Now())
	spec.Generic.CreateTime, spec.Generic.UpdateTime = now, now
	op := &operation{
		spec: spec, name: spec.Parent + "/operations/" + store.NewID(),
		cancel: cancel, done: make(chan struct{}),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if op.script = m.take(op); op.script != nil {
		op.gets = op.script.gets
	}
	m.ops[op.name] = op
	m.order = append(m.order, op.name)
	started := m.show(op)
	m.wg.Add(1)
	go m.run(ctx, op)
	return started
}

func (m *Manager) run(ctx context.Context, op *operation) {
	defer m.wg.Done()
	defer op.cancel()
	response, err := op.spec.Run(ctx, &Handle{m: m, op: op})
	m.onEnd(op.name, response, err)
	if err == nil {
		err = op.script.act(ctx, fault.AfterEffect)
	}
	switch {
	case errors.Is(err, context.Canceled):
		err = status.Error(codes.Canceled, "The operation was cancelled.")
	case errors.Is(err, errEmpty):
		response, err = nil, nil
	case errors.Is(err, errNoEffect):
		_, response = kindOf(op.spec)
		err = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	op.response, op.err, op.ended = response, err, m.clock.Now()
	op.spec.Generic.UpdateTime = timestamppb.New(m.clock.Now())
	close(op.done)
}

// show renders an operation; m.mu is held.
func (m *Manager) show(op *operation) *longrunningpb.Operation {
	out := &longrunningpb.Operation{Name: m.names.Show(op.name), Metadata: pack(op.spec.Metadata)}
	select {
	case <-op.done:
	default:
		return out
	}
	out.Done = true
	switch {
	case op.err != nil:
		out.Result = &longrunningpb.Operation_Error{Error: status.Convert(op.err).Proto()}
	case op.response == nil: // a script has it so
	default:
		out.Result = &longrunningpb.Operation_Response{Response: pack(op.response)}
	}
	return out
}

func pack(msg proto.Message) *anypb.Any {
	packed, err := anypb.New(msg)
	if err != nil {
		panic(err) // our own generated messages always marshal
	}
	return packed
}

func (m *Manager) find(name string) (*operation, error) {
	canonical, err := m.names.Canonical(name)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	op, ok := m.ops[canonical]
	if !ok || m.forgotten(op) {
		return nil, status.Errorf(codes.NotFound, "Operation %q is not found.", name)
	}
	return op, nil
}

// GetOperation returns the latest state.
func (m *Manager) GetOperation(_ context.Context, req *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	op, err := m.find(req.GetName())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := op.polled(); err != nil {
		return nil, err
	}
	return m.show(op), nil
}

// ListOperations lists the operations of a resource or of everything in a
// location, newest first.
func (m *Manager) ListOperations(_ context.Context, req *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	if req.GetFilter() != "" {
		return nil, status.Error(codes.Unimplemented, "filter is not implemented for operations: leave it out and filter the answer.")
	}
	parent, err := m.names.Canonical(strings.TrimSuffix(req.GetName(), "/operations"))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*longrunningpb.Operation
	for _, name := range slices.Backward(m.order) {
		if strings.HasPrefix(name, parent+"/") && !m.forgotten(m.ops[name]) {
			all = append(all, m.show(m.ops[name]))
		}
	}
	page, next, err := store.Page(all, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &longrunningpb.ListOperationsResponse{Operations: page, NextPageToken: next}, nil
}

// WaitOperation waits until the operation is done or the timeout is over.
func (m *Manager) WaitOperation(ctx context.Context, req *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	op, err := m.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetTimeout() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.GetTimeout().AsDuration())
		defer cancel()
	}
	select {
	case <-op.done:
	case <-ctx.Done():
	case <-m.base.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.show(op), nil
}

// CancelOperation asks running work to stop; what has taken effect stays.
func (m *Manager) CancelOperation(_ context.Context, req *longrunningpb.CancelOperationRequest) (*emptypb.Empty, error) {
	op, err := m.find(req.GetName())
	if err != nil {
		return nil, err
	}
	op.cancel()
	return &emptypb.Empty{}, nil
}

// DeleteOperation forgets a finished operation.
func (m *Manager) DeleteOperation(_ context.Context, req *longrunningpb.DeleteOperationRequest) (*emptypb.Empty, error) {
	op, err := m.find(req.GetName())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-op.done:
	default:
		return nil, status.Error(codes.FailedPrecondition, fmt.Sprintf("Operation %q is still running: cancel it or wait for it.", req.GetName()))
	}
	delete(m.ops, op.name)
	m.order = slices.DeleteFunc(m.order, func(n string) bool { return n == op.name })
	return &emptypb.Empty{}, nil
}
