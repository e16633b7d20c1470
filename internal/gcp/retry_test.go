// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/api/googleapi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func withDetails(t *testing.T, code codes.Code, detail *errdetails.RetryInfo) error {
	t.Helper()
	s, err := status.New(code, "busy").WithDetails(detail)
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

func TestRetryTable(t *testing.T) {
	after3s := withDetails(t, codes.ResourceExhausted, &errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	for name, c := range map[string]struct {
		call    string
		err     error
		retried bool
	}{
		"read, unavailable":            {"vertex.models.get", status.Error(codes.Unavailable, "x"), true},
		"read, connection lost":        {"bigquery.jobs.get", fmt.Errorf("get: %w", io.ErrUnexpectedEOF), true},
		"read, 503":                    {"bigquery.jobs.get", &googleapi.Error{Code: 503}, true},
		"read, not found":              {"vertex.models.get", status.Error(codes.NotFound, "x"), false},
		"read, permission":             {"vertex.models.get", status.Error(codes.PermissionDenied, "x"), false},
		"read, bad request":            {"bigquery.jobs.get", &googleapi.Error{Code: 400}, false},
		"create with our id":           {"vertex.endpoints.create", status.Error(codes.Unavailable, "x"), true},
		"create with our id, internal": {"vertex.endpoints.create", status.Error(codes.Internal, "x"), false},
		"new version":                  {"vertex.models.uploadVersion", status.Error(codes.Unavailable, "x"), false},
		"policy write":                 {"resourcemanager.projects.setIamPolicy", status.Error(codes.Aborted, "x"), false},
		"quota without a delay":        {"vertex.endpoints.deployModel", status.Error(codes.ResourceExhausted, "quota"), false},
		"rate limit with a delay":      {"vertex.endpoints.deployModel", after3s, true},
		"rate limit by reason":         {"bigquery.jobs.insert", &googleapi.Error{Code: 403, Errors: []googleapi.ErrorItem{{Reason: "rateLimitExceeded"}}}, true},
		"update, conflict over REST":   {"bigqueryconnection.connections.update", &googleapi.Error{Code: 409, Body: `{"error": {"code": 409, "status": "ABORTED"}}`}, true},
		"create, taken over REST":      {"bigqueryconnection.connections.create", &googleapi.Error{Code: 409, Body: `{"error": {"code": 409, "status": "ALREADY_EXISTS"}}`}, false},
		"rate limit over REST": {"bigqueryconnection.connections.get", &googleapi.Error{Code: 429, Body: `{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
			{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}]}}`}, true},
		"rate limit over REST by reason": {"bigqueryconnection.connections.get", &googleapi.Error{Code: 429, Body: `{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
			{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"}]}}`}, true},
		"quota over REST":           {"bigqueryconnection.connections.get", &googleapi.Error{Code: 429, Body: `{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}`}, false},
		"duplicate job":             {"bigquery.jobs.insert", &googleapi.Error{Code: 409, Errors: []googleapi.ErrorItem{{Reason: "duplicate"}}}, false},
		"a call that is not listed": {"vertex.unheardOf", status.Error(codes.Unavailable, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := Retry(t.Context(), c.call, func(context.Context) error {
					if tries++; tries == 1 {
						return c.err
					}
					return nil
				})
				if retried := tries > 1; retried != c.retried || (err == nil) != c.retried {
					t.Errorf("%d tries, error %v", tries, err)
				}
			})
		})
	}
}

func TestRetryHonoursTheServersDelay(t *testing.T) {
	for name, refusal := range map[string]error{
		"RetryInfo":   withDetails(t, codes.ResourceExhausted, &errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)}),
		"Retry-After": &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {"7"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, tries := time.Now(), 0
				_ = Retry(t.Context(), "vertex.models.get", func(context.Context) error {
					if tries++; tries == 1 {
						return refusal
					}
					return nil
				})
				if waited := time.Since(start); waited < 7*time.Second || waited > 7*time.Second+firstCrowdDelay {
					t.Errorf("waited %s, the server asked for 7s", waited)
				}
			})
		})
	}
}

// A hundred callers who are refused at the same moment, and told the same, do not come
// back as one: they fit through a limit of ten a second in a few tries each.
func TestRetrySpreadsACrowd(t *testing.T) {
	const callers, limit, told = 100, 10, 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var tries int
		var passed []time.Time
		refusal := withDetails(t, codes.ResourceExhausted, &errdetails.RetryInfo{RetryDelay: durationpb.New(told)})
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				mine, last := 0, time.Time{}
				err := Retry(t.Context(), "vertex.models.get", func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					tries, mine = tries+1, mine+1
					if now := time.Now(); !last.IsZero() && now.Sub(last) < told {
						t.Errorf("came back after %s, was told %s", now.Sub(last), told)
					}
					last = time.Now()
					passed = slices.DeleteFunc(passed, func(p time.Time) bool { return time.Since(p) >= time.Second })
					if len(passed) >= limit {
						return refusal
					}
					passed = append(passed, last)
					return nil
				})
				if err != nil || mine > 7 {
					t.Errorf("%d tries, %v", mine, err)
				}
			})
		}
		all.Wait()
		if tries > 4*callers {
			t.Errorf("%d tries of %d callers", tries, callers)
		}
	})
}

type tokenFunc func(context.Context) (*auth.Token, error)

func (f tokenFunc) Token(ctx context.Context) (*auth.Token, error) { return f(ctx) }

// A token service has passing faults like any other; what it refuses is told at once,
// and not taken for a lost connection, as REST would.
func TestTokensAreAskedForAgain(t *testing.T) {
	refusal := func(status int) error {
		return &url.Error{Op: "Post", URL: "token", Err: &auth.Error{Response: &http.Response{StatusCode: status}}}
	}
	for name, c := range map[string]struct {
		err   error
		again bool
		code  codes.Code
	}{
		"503":             {refusal(http.StatusServiceUnavailable), true, codes.Unavailable},
		"429":             {refusal(http.StatusTooManyRequests), true, codes.Unavailable},
		"connection lost": {&url.Error{Op: "Post", URL: "token", Err: io.ErrUnexpectedEOF}, true, codes.Unavailable},
		"400":             {refusal(http.StatusBadRequest), false, codes.Unauthenticated},
		"401":             {refusal(http.StatusUnauthorized), false, codes.Unauthenticated},
		"no key":          {errors.New("the key does not parse"), false, codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				once := patient(auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: tokenFunc(func(context.Context) (*auth.Token, error) {
					if tries++; tries > 1 {
						return &auth.Token{Value: "t"}, nil
					}
					return nil, c.err
				})}))
				if token, err := once.Token(t.Context()); (err == nil) != c.again || c.again && token.Value != "t" || tries > 1 != c.again {
					t.Errorf("%d tries, %v", tries, err)
				}
				always := patient(auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: tokenFunc(func(context.Context) (*auth.Token, error) { return nil, c.err })}))
				if _, err := always.Token(t.Context()); status.Code(err) != c.code || Code(&url.Error{Op: "Get", URL: "x", Err: err}) != c.code {
					t.Errorf("%v, want %s", err, c.code)
				}
			})
		})
	}
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		down := status.Error(codes.Unavailable, "down")
		err := Retry(t.Context(), "vertex.models.get", func(context.Context) error { tries++; return down })
		if elapsed := time.Since(start); !errors.Is(err, down) || elapsed > 2*time.Minute || tries < 5 || tries > 60 {
			t.Errorf("%d tries in %s, %v", tries, elapsed, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		down := status.Error(codes.Unavailable, "down")
		start := time.Now()
		err := Retry(ctx, "vertex.models.get", func(context.Context) error { return down })
		if !errors.Is(err, down) || time.Since(start) > 10*time.Second {
			t.Errorf("after the caller's deadline: %v in %s; want the server's own error", err, time.Since(start))
		}
	})
}

func TestAReadThatIsNeverAnsweredIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Retry(t.Context(), "bigquery.models.get", func(ctx context.Context) error {
			if tries++; tries > 1 {
				return nil
			}
			<-ctx.Done() // accepted, and never answered
			return ctx.Err()
		})
		if err != nil || tries != 2 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

// A write that was sent when Ctrl-C comes gets its answer, for a while; a read is
// dropped at once; a deadline is kept by both.
func TestACancelledWriteGetsItsAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		call     string
		answer   time.Duration // the server's time
		deadline time.Duration
		took     time.Duration
		ok       bool
	}{
		"write":               {"vertex.models.upload", 2500 * time.Millisecond, 0, 2500 * time.Millisecond, true},
		"write, stalled":      {"vertex.models.upload", time.Hour, 0, time.Second + writeGrace, false},
		"write, deadline":     {"vertex.models.upload", time.Hour, 2 * time.Second, 2 * time.Second, false},
		"read":                {"vertex.models.get", 2500 * time.Millisecond, 0, time.Second, false},
		"job of our own name": {"bigquery.jobs.insert", 2500 * time.Millisecond, 0, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), c.deadline)
				} else {
					time.AfterFunc(time.Second, cancel)
				}
				defer cancel()
				start := time.Now()
				err := Retry(ctx, c.call, func(ctx context.Context) error { return Sleep(ctx, c.answer) })
				if took := time.Since(start); took != c.took || (err == nil) != c.ok {
					t.Errorf("%v after %s; want %s", err, took, c.took)
				}
				if err != nil && !IsInterrupted(ctx, err) {
					t.Errorf("%v does not count as an interruption", err)
				}
			})
		})
	}
}

// The server is sent the deadline and may notice it first.
func TestADeadlineThatTheServerNoticedFirstIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		late := status.Error(codes.DeadlineExceeded, "context deadline exceeded")
		if IsInterrupted(ctx, late) {
			t.Error("an answer of the server in the middle counts as our deadline")
		}
		time.Sleep(10*time.Second - time.Millisecond)
		if ctx.Err() != nil || !IsInterrupted(ctx, late) {
			t.Errorf("%v: a millisecond early, it does not count", ctx.Err())
		}
	})
}

func TestNothingListensIsToldInSeconds(t *testing.T) {
	for name, down := range map[string]error{
		"gRPC": status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`),
		"REST": fmt.Errorf("Get: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, tries := time.Now(), 0
				err := Retry(t.Context(), "bigquery.jobs.get", func(context.Context) error { tries++; return down })
				if elapsed := time.Since(start); err == nil || elapsed > 10*time.Second || tries < 2 {
					t.Errorf("%d tries in %s, %v", tries, elapsed, err)
				}
			})
		})
	}
}

func TestCode(t *testing.T) {
	for want, err := range map[codes.Code]error{
		codes.OK:                nil,
		codes.NotFound:          &googleapi.Error{Code: 404},
		codes.AlreadyExists:     &googleapi.Error{Code: 409},
		codes.Unavailable:       io.EOF,
		codes.Canceled:          fmt.Errorf("x: %w", context.Canceled),
		codes.DeadlineExceeded:  context.DeadlineExceeded,
		codes.Unknown:           errors.New("other"),
		codes.Aborted:           fmt.Errorf("x: %w", status.Error(codes.Aborted, "etag")),
		codes.Internal:          &googleapi.Error{Code: 500},
		codes.ResourceExhausted: &googleapi.Error{Code: 429},
		// The name says more than the number.
		codes.FailedPrecondition: &googleapi.Error{Code: 400, Body: `{"error": {"code": 400, "status": "FAILED_PRECONDITION"}}`},
		// What is not a name of a code says nothing.
		codes.PermissionDenied: &googleapi.Error{Code: 403, Body: `{"error": {"code": 403, "status": "FORBIDDEN"}}`},
		codes.Unauthenticated:  &googleapi.Error{Code: 401, Body: `<html>`},
	} {
		if got := Code(err); got != want {
			t.Errorf("Code(%v) = %v, want %v", err, got, want)
		}
	}
}
