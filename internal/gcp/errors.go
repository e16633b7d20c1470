// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/auth"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Code classifies any error of a Google client, gRPC or REST. A connection that
// failed before or while an answer came is Unavailable; an error that came from
// no call is Unknown; nil is OK.
func Code(err error) codes.Code {
	var rest *googleapi.Error
	var token *auth.Error
	switch {
	case err == nil:
		return codes.OK
	case errors.As(err, &rest):
		return codeOfREST(rest)
	case errors.As(err, &token) && token.Temporary():
		return codes.Unavailable
	case errors.As(err, &token):
		return codes.Unauthenticated
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	if isNetwork(err) {
		return codes.Unavailable
	}
	return codes.Unknown
}

// codeOfREST is the code that an answer names, which tells more than its number:
// 409 is ALREADY_EXISTS as well as ABORTED. Answers of BigQuery often name none.
func codeOfREST(e *googleapi.Error) codes.Code {
	var answer struct{ Error struct{ Status string } }
	var named codes.Code
	if json.Unmarshal([]byte(e.Body), &answer) == nil && named.UnmarshalJSON([]byte(strconv.Quote(answer.Error.Status))) == nil && named != codes.OK {
		return named
	}
	return codeOfHTTP(e.Code)
}

// codeOfHTTP maps an HTTP status as google/rpc/code.proto does.
func codeOfHTTP(code int) codes.Code {
	switch code {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.AlreadyExists
	case http.StatusPreconditionFailed:
		return codes.FailedPrecondition
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	}
	switch {
	case code >= 200 && code < 300:
		return codes.OK
	case code >= 500:
		return codes.Internal
	case code >= 400:
		return codes.InvalidArgument
	}
	return codes.Unknown
}

// IsNotFound reports whether the server said that the object does not exist.
func IsNotFound(err error) bool { return Code(err) == codes.NotFound }

// IsAlreadyExists reports whether the server said that the object exists.
func IsAlreadyExists(err error) bool { return Code(err) == codes.AlreadyExists }

// IsInterrupted reports whether the error is the end of the caller's context:
// a cancellation or a deadline, not an answer of the server.
func IsInterrupted(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() == nil && !isAtDeadline(ctx) {
		return false
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		Code(err) == codes.Canceled || Code(err) == codes.DeadlineExceeded
}

// isAtDeadline reports that ctx is about to end. gRPC sends the deadline along, so
// that the server's DEADLINE_EXCEEDED may be here a moment before our own.
func isAtDeadline(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 200*time.Millisecond
}

// Reason returns the machine-readable reason of an error, such as
// "SERVICE_DISABLED", "RATE_LIMIT_EXCEEDED" or BigQuery's "invalidQuery", or "".
func Reason(err error) string {
	var rest *googleapi.Error
	if errors.As(err, &rest) && len(rest.Errors) > 0 {
		return rest.Errors[0].Reason
	}
	if api, ok := detailed(err); ok {
		return api.Reason()
	}
	return ""
}

// detailed gives access to the details of an error. A REST client has parsed them and
// hidden them in its error, where [apierror.FromError] sees no more than the code.
func detailed(err error) (*apierror.APIError, bool) {
	if api, ok := errors.AsType[*apierror.APIError](err); ok {
		return api, true
	}
	return apierror.FromError(err)
}

// Message returns the server's own sentence, without the client's decoration.
func Message(err error) string {
	var rest *googleapi.Error
	if errors.As(err, &rest) && rest.Message != "" {
		return rest.Message
	}
	if s, ok := status.FromError(err); ok && s.Message() != "" {
		return s.Message()
	}
	return err.Error()
}

// retryDelay returns the delay that the server asked for (RetryInfo or
// Retry-After), or 0.
func retryDelay(err error) time.Duration {
	var rest *googleapi.Error
	if errors.As(err, &rest) {
		if d, err := time.ParseDuration(rest.Header.Get("Retry-After") + "s"); err == nil {
			return d
		}
	}
	if api, ok := detailed(err); ok {
		return api.Details().RetryInfo.GetRetryDelay().AsDuration()
	}
	return 0
}
