// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
)

// policy says which codes are tried again, and for how long at most.
type policy struct {
	codes  []codes.Code
	budget time.Duration
	// attempt bounds one try, so that a server that accepts a call and never
	// answers is asked again; 0 leaves the bound to the caller's context.
	attempt time.Duration
	// grace is how long a call that was sent may go on after a cancellation, so
	// that what it did is learned and can be remembered. The caller's deadline
	// holds all the same.
	grace time.Duration
}

// writeGrace is most of what a cancellation may take (5 s) and enough for the
// answer to a call that only starts something.
const writeGrace = 3 * time.Second

var (
	// read: asking again changes nothing, so any passing fault is tried again.
	read = policy{[]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Aborted}, 2 * time.Minute, 30 * time.Second, 0}
	// longRead: a read of which the answer may take long to make or to send.
	longRead = policy{read.codes, read.budget, 0, 0}
	// recoverable: the id is ours, so a second send of a call whose answer was
	// lost meets ALREADY_EXISTS (or NOT_FOUND for a delete) and the caller looks
	// whether the object is the one it made.
	recoverable = policy{[]codes.Code{codes.Unavailable, codes.Aborted}, 2 * time.Minute, 0, writeGrace}
	// job: its id is ours, so what came of it can be asked for at any time.
	job = policy{recoverable.codes, recoverable.budget, 0, 0}
	// idempotent: a write of absolute values, or one guarded by an etag.
	idempotent = policy{[]codes.Code{codes.Unavailable, codes.Internal, codes.Aborted}, 2 * time.Minute, 0, writeGrace}
	// replanned: after a conflict the request itself may be stale (its etag, its
	// traffic split), so the caller reads the endpoint again and decides anew;
	// only a lost answer is met by sending the same again.
	replanned = policy{[]codes.Code{codes.Unavailable}, 2 * time.Minute, 0, writeGrace}
	// sentOnce: a second send could double the effect; the caller looks what there
	// is. Only a rate limit, which had no effect, is waited for.
	sentOnce = policy{nil, 2 * time.Minute, 0, writeGrace}
)

// retries is the one retry table. The generated clients' own retries are off.
// RESOURCE_EXHAUSTED is tried again wherever anything is, but only when the
// server names a delay or a rate limit: exhausted quota does not refill in
// minutes. A call that is not listed is sent once, whatever is answered.
var retries = map[string]policy{
	"token": read, // of the credentials; each answer is another token, and all are good

	"vertex.models.get":               read,
	"vertex.models.list":              read,
	"vertex.models.listVersions":      read,
	"vertex.models.upload":            recoverable, // model_id is ours
	"vertex.models.uploadVersion":     sentOnce,    // each one adds a version
	"vertex.models.update":            idempotent,
	"vertex.models.mergeAliases":      idempotent,
	"vertex.models.delete":            recoverable,
	"vertex.models.deleteVersion":     recoverable,
	"vertex.endpoints.get":            read,
	"vertex.endpoints.list":           read,
	"vertex.endpoints.create":         recoverable, // endpoint_id is ours
	"vertex.endpoints.update":         replanned,   // etag
	"vertex.endpoints.delete":         recoverable,
	"vertex.endpoints.deployModel":    replanned, // DeployedModel.id is ours
	"vertex.endpoints.undeployModel":  replanned,
	"vertex.endpoints.mutateDeployed": replanned,
	"vertex.publisherModels.get":      read,
	"vertex.operations.get":           read,
	"vertex.operations.list":          read,
	"vertex.predict":                  longRead,

	"bigquery.jobs.insert":          job,
	"bigquery.jobs.get":             read,
	"bigquery.jobs.list":            read,
	"bigquery.jobs.cancel":          idempotent,
	"bigquery.jobs.getQueryResults": longRead,
	"bigquery.models.get":           read,
	"bigquery.models.list":          read,
	"bigquery.models.patch":         idempotent, // etag
	"bigquery.models.delete":        recoverable,
	"bigquery.datasets.get":         read,
	"bigquery.tables.get":           read,

	"storage.objects.get": longRead,

	"bigquerystorage.readRows": longRead, // one stream for many messages; again from where the last ended

	"bigqueryconnection.connections.get":    read,
	"bigqueryconnection.connections.create": recoverable, // connection_id is ours
	"bigqueryconnection.connections.update": idempotent,
	"bigqueryconnection.connections.delete": recoverable,

	"storage.objects.list": read,

	"resourcemanager.projects.get":          read,
	"resourcemanager.projects.getIamPolicy": read,
	// Sent once: after a lost answer or a conflict the whole read-modify-write is
	// done again, by editPolicy.
	"resourcemanager.projects.setIamPolicy": sentOnce,
}

const (
	firstDelay = 500 * time.Millisecond
	maxDelay   = 20 * time.Second
	// firstCrowdDelay is that of a caller who met a rate limit, most often one of many
	// who did at the same moment and were told the same: they spread out over it, and
	// over twice of it next time, instead of coming back as one.
	firstCrowdDelay = 2 * time.Second
	// refusedBudget is for an address at which nothing listens: a wrong one, or
	// an emulator that is not running. Google's load balancers always listen.
	refusedBudget = 8 * time.Second
)

// Retry runs fn, and again while the retry table allows it for this call, with
// exponential delays under full jitter, which come on top of a delay that the
// server asked for. It returns fn's last error; when ctx ends during a delay that is
// still the server's error, not the context's.
func Retry(ctx context.Context, call string, fn func(context.Context) error) error {
	p := retries[call]
	start := time.Now()
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		err := p.try(withAttempt(ctx, attempt), fn)
		if err == nil || ctx.Err() != nil || !p.allows(err) {
			return err
		}
		if isRateLimit(err) {
			delay = max(delay, firstCrowdDelay)
		}
		pause := retryDelay(err) + rand.N(delay)
		budget := p.budget
		if isRefused(err) {
			budget = min(budget, refusedBudget)
		}
		if time.Since(start)+pause > budget {
			return err
		}
		if Sleep(ctx, pause) != nil {
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

func (p policy) try(ctx context.Context, fn func(context.Context) error) error {
	if p.attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.attempt)
		defer cancel()
	}
	if p.grace > 0 && ctx.Err() == nil {
		var cancel context.CancelFunc
		ctx, cancel = lingering(ctx, p.grace)
		defer cancel()
	}
	return fn(ctx)
}

// lingering returns a context that ends with ctx's deadline, or a grace after ctx
// is cancelled.
func lingering(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	end := cancel
	if deadline, ok := ctx.Deadline(); ok {
		out, end = context.WithDeadline(out, deadline)
	}
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return out, func() { stop(); end(); cancel() }
}

func (p policy) allows(err error) bool {
	code := Code(err)
	if code == codes.ResourceExhausted {
		return p.budget > 0 && (retryDelay(err) > 0 || slices.Contains(rateLimits, Reason(err)))
	}
	// A REST conflict is ALREADY_EXISTS by its number; BigQuery's own reasons for
	// passing faults come with 4xx numbers too.
	if p.budget > 0 && slices.Contains(append([]string{"backendError", "internalError"}, rateLimits...), Reason(err)) {
		return true
	}
	return slices.Contains(p.codes, code)
}

// rateLimits are the reasons of refusals that end by themselves in seconds: Google's
// own (google/api/error_reason.proto) and BigQuery's.
var rateLimits = []string{"RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "jobRateLimitExceeded"}

func isRateLimit(err error) bool {
	return Code(err) == codes.ResourceExhausted || slices.Contains(rateLimits, Reason(err))
}

// Sleep waits for d, or until ctx ends and returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isRefused reports that nothing listens at the address. gRPC tells it in words
// only.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || Code(err) == codes.Unavailable && strings.Contains(err.Error(), "connection refused")
}

// isNetwork reports a connection that failed without an answer.
func isNetwork(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
