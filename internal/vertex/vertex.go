// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertex manages Vertex AI models with their versions, and endpoints with
// the models deployed to them. It takes and returns Go types and knows nothing of
// Terraform.
//
// Every change starts from a fresh read, so that one which was interrupted, even
// by a kill, is resumed by asking for the same again.
package vertex

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Service manages models and endpoints. It is safe for concurrent use; changes
// of one endpoint wait for each other.
type Service struct {
	clients *gcp.Clients
	// patience is how long to ask again while the server refuses a change because
	// of another one, or has not yet noticed that one is complete.
	patience patience
}

type patience struct {
	// conflict is for ABORTED, and for ids that are taken by nothing visible:
	// somebody else is at work.
	conflict time.Duration
	// precondition is for FAILED_PRECONDITION, which may also be final.
	precondition time.Duration
	// release is for models that nothing serves any more.
	release time.Duration
	// appear is for reads that do not show yet what was made or removed.
	appear time.Duration
	// first and most bound the pauses.
	first, most time.Duration
}

// New returns a service that calls Vertex AI through these clients.
func New(clients *gcp.Clients) *Service {
	return &Service{clients: clients, patience: patience{
		conflict: 5 * time.Minute, precondition: 30 * time.Second, release: 5 * time.Minute, appear: 20 * time.Second,
		first: 500 * time.Millisecond, most: 10 * time.Second,
	}}
}

// Report is how a long change tells what it does. Any field may be nil.
type Report struct {
	// Operation is told the name of each operation that the server accepted,
	// before it is waited for.
	Operation func(name string)
	// Model and Endpoint are told what the server has, after each step.
	Model    func(*Model)
	Endpoint func(*Endpoint)
	// Progress is told what goes on, for people.
	Progress func(format string, args ...any)
}

func (r Report) progress(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(format, args...)
	}
}

// Object is what tells one object from another that has the same name.
type Object struct {
	Incarnation string
	CreateTime  time.Time
	// Owner is the ownership id that the object is marked with.
	Owner string
}

// Is reports whether the object found is the one remembered: by the random mark
// that we put on it, or by its time of creation, should somebody have removed the
// mark or Terraform have lost it with a provider that was killed. Another mark
// means that another state has taken the object over. When nothing is remembered,
// as of a creation that failed and is replaced (Terraform hands on no private state
// then), any mark of the same owner will do.
func (o Object) Is(found Object) bool {
	switch {
	case o.Incarnation != "" && found.Incarnation != "":
		return o.Incarnation == found.Incarnation
	case o.forgotten():
		return found.Incarnation != "" && found.Owner == o.Owner
	}
	return !o.CreateTime.IsZero() && o.CreateTime.Equal(found.CreateTime)
}

func (o Object) forgotten() bool { return o.Incarnation == "" && o.CreateTime.IsZero() }

// ErrReplaced means that another object now has the name of ours, which is gone.
var ErrReplaced = errors.New("an object of this name exists, but it is not the one that was made here: ours is gone")

// A startedOperation is what the generated clients return for an operation.
type startedOperation interface{ Name() string }

// start makes a call that starts an operation, and waits for its end.
func start[O startedOperation](ctx context.Context, client gcp.OperationGetter, call, doing string, r Report, fn func(context.Context) (O, error)) (*longrunningpb.Operation, error) {
	var op O
	err := gcp.Retry(ctx, call, func(ctx context.Context) (err error) {
		op, err = fn(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.Operation != nil {
		r.Operation(op.Name())
	}
	r.progress("%s: operation %s", doing, op.Name())
	began, last := time.Now(), ""
	return gcp.WaitOperation(ctx, client, op.Name(), func(polled *longrunningpb.Operation) {
		if stage := gcp.Stage(polled); stage != last {
			last = stage
			r.progress("%s: %s after %s", doing, stage, time.Since(began).Round(time.Second))
		}
	})
}

// operations is the part of a generated client that knows operations.
type operations interface {
	gcp.OperationGetter
	ListOperations(context.Context, *longrunningpb.ListOperationsRequest, ...gax.CallOption) *aiplatform.OperationIterator
}

// settle waits for the operations that run on an object, and reports whether
// there were any. They may be our own, of a process that was killed. Only the end
// of ctx is an error: what came of the operations is seen on the object.
func settle(ctx context.Context, client operations, name gcp.Name, r Report) (waited bool, err error) {
	var running []string
	_ = gcp.Retry(ctx, "vertex.operations.list", func(ctx context.Context) error {
		running = running[:0]
		all := client.ListOperations(ctx, &longrunningpb.ListOperationsRequest{Name: name.String()})
		for {
			op, err := all.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			if err != nil {
				return err // a server that cannot list leaves us with what the object shows
			}
			if !op.GetDone() {
				running = append(running, op.GetName())
			}
		}
	})
	for _, op := range running {
		r.progress("waiting for operation %s, which already runs", op)
		_, err := gcp.WaitOperation(ctx, client, op, nil)
		var interrupted *gcp.WaitError
		if errors.As(err, &interrupted) {
			return true, err
		}
	}
	return len(running) > 0, ctx.Err()
}

// described is what models and endpoints have that can be written in place.
type described struct {
	displayName, description string
	labels                   map[string]string
}

// changes are the fields in which have differs, as paths of an update mask.
func (want described) changes(have described) (paths []string) {
	if want.displayName != have.displayName {
		paths = append(paths, "display_name")
	}
	if want.description != have.description {
		paths = append(paths, "description")
	}
	if !maps.Equal(want.labels, have.labels) {
		paths = append(paths, "labels")
	}
	return paths
}

// A pause is a series of growing waits with a common end.
type pause struct {
	next, most time.Duration
	since      time.Time
}

func (p patience) begin() *pause { return &pause{next: p.first, most: p.most, since: time.Now()} }

// wait waits, and reports false when that would go past the budget, or ctx ended.
func (p *pause) wait(ctx context.Context, budget time.Duration) bool {
	if time.Since(p.since)+p.next > budget || gcp.Sleep(ctx, p.next) != nil {
		return false
	}
	p.next = min(2*p.next, p.most)
	return true
}

// canonical is a name that the server gave, with its location in lower case and
// the project spelled as in asked when both names are known to be of the same
// project: number is how the server spells the project of asked.
func (s *Service) canonical(ctx context.Context, n, asked gcp.Name, number string) gcp.Name {
	if n.Project == number {
		n.Project = asked.Project
	}
	return n.Canonical(func(p string) (string, error) { return s.clients.ProjectID(ctx, p) })
}

// projectIn returns how the server spells the project in a name of its own.
func projectIn(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// interrupted is err, as the end of ctx if that is what it comes from.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w; last seen: %w", ctx.Err(), err)
}

func isOneOf(err error, wanted ...codes.Code) bool { return slices.Contains(wanted, gcp.Code(err)) }

// Await waits for an operation that an earlier process started on an object of
// this name, should it still run; for all that run on it when the operation is
// not known (""), because its answer was lost. What came of it is seen on the
// object.
func (s *Service) Await(ctx context.Context, name gcp.Name, operation string, r Report) error {
	ctx = s.clients.Polling(ctx)
	client, err := s.clients.Endpoints(ctx, name.Location) // any client of the location can read operations
	if err != nil {
		return err
	}
	if operation == "" {
		_, err := settle(ctx, client, name, r)
		return err
	}
	r.progress("waiting for operation %s, which was started earlier", operation)
	_, err = gcp.WaitOperation(ctx, client, operation, nil)
	var interrupted *gcp.WaitError
	if errors.As(err, &interrupted) {
		return err
	}
	return nil
}
