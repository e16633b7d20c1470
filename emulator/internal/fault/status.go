// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/rest"
)

// Status is an error to answer.
type Status struct {
	// Code is canonical, such as "UNAVAILABLE"; by default it follows HTTPStatus.
	Code string `json:"code,omitempty"`
	// HTTPStatus is the status of an answer by an API without gRPC; by default it
	// follows Code.
	HTTPStatus int    `json:"http_status,omitempty"`
	Message    string `json:"message,omitempty"`
	// Reason is the reason of an ErrorInfo detail, and of BigQuery's error items.
	Reason string `json:"reason,omitempty"`
	// Domain is the domain of that ErrorInfo; default "googleapis.com".
	Domain string `json:"domain,omitempty"`
	// Details are further details in protocol buffers' JSON, such as
	// {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": […]}.
	Details []json.RawMessage `json:"details,omitempty"`
	// RetryAfter becomes a RetryInfo detail and, over HTTP, a Retry-After header.
	RetryAfter Duration `json:"retry_after,omitempty"`

	proto *statuspb.Status
}

// Duration is a time.Duration that JSON spells "1m30s".
type Duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New(`a duration is a text such as "1m30s"`)
	}
	v, err := time.ParseDuration(text)
	if err == nil && v < 0 {
		err = fmt.Errorf("the duration %q is negative", text)
	}
	*d = Duration(v)
	return err
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// codeOf is the canonical code that Google gives with an HTTP status.
var codeOf = map[int]codes.Code{
	http.StatusBadRequest:          codes.InvalidArgument,
	http.StatusUnauthorized:        codes.Unauthenticated,
	http.StatusForbidden:           codes.PermissionDenied,
	http.StatusNotFound:            codes.NotFound,
	http.StatusConflict:            codes.AlreadyExists,
	http.StatusPreconditionFailed:  codes.FailedPrecondition,
	http.StatusTooManyRequests:     codes.ResourceExhausted,
	http.StatusInternalServerError: codes.Internal,
	http.StatusNotImplemented:      codes.Unimplemented,
	http.StatusBadGateway:          codes.Unavailable,
	http.StatusServiceUnavailable:  codes.Unavailable,
	http.StatusGatewayTimeout:      codes.DeadlineExceeded,
}

// Complete fills the defaults in and builds the status, or says what is wrong.
func (s *Status) Complete() error {
	code, ok := codeOf[s.HTTPStatus]
	switch {
	case s.Code != "":
		if err := code.UnmarshalJSON([]byte(strconv.Quote(s.Code))); err != nil {
			return fmt.Errorf(`"status": %w`, err)
		}
	case s.HTTPStatus == 0:
		return errors.New(`"status" needs a "code" such as "UNAVAILABLE", or an "http_status"`)
	case !ok:
		return fmt.Errorf(`"status": no "code" goes with "http_status" %d: give one`, s.HTTPStatus)
	}
	if code == codes.OK {
		return errors.New(`"status": OK is not an error`)
	}
	s.Code = rest.StatusName(code)
	if s.HTTPStatus == 0 {
		s.HTTPStatus = rest.HTTPStatus(code)
	}
	if s.HTTPStatus < 400 || s.HTTPStatus > 599 {
		return fmt.Errorf(`"status": "http_status" %d is not that of an error`, s.HTTPStatus)
	}
	if s.Message == "" {
		s.Message = "A fault that was set answers " + s.Code + "."
	}
	s.proto = &statuspb.Status{Code: int32(code), Message: s.Message}
	for _, raw := range s.Details {
		detail := new(anypb.Any)
		if err := protojson.Unmarshal(raw, detail); err != nil {
			return fmt.Errorf(`"details": %w`, err)
		}
		s.proto.Details = append(s.proto.Details, detail)
	}
	if s.Reason != "" {
		domain := s.Domain
		if domain == "" {
			domain = "googleapis.com"
		}
		s.add(&errdetails.ErrorInfo{Reason: s.Reason, Domain: domain})
	}
	if s.RetryAfter > 0 {
		s.add(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(s.RetryAfter))})
	}
	return nil
}

func (s *Status) add(detail proto.Message) {
	packed, err := anypb.New(detail)
	if err != nil {
		panic(err) // generated messages marshal
	}
	s.proto.Details = append(s.proto.Details, packed)
}

// Err is the status, once it is complete, as a gRPC service returns it.
func (s *Status) Err() error { return status.FromProto(s.proto).Err() }

// retryAfter sets the header, in whole seconds as HTTP has it.
func (s *Status) retryAfter(h http.Header) {
	if s.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(time.Duration(s.RetryAfter).Seconds()))))
	}
}

// reasonOf is BigQuery's usual reason for an HTTP status
// (https://cloud.google.com/bigquery/docs/error-messages).
var reasonOf = map[int]string{
	http.StatusBadRequest:          "invalid",
	http.StatusUnauthorized:        "authError",
	http.StatusForbidden:           "accessDenied",
	http.StatusNotFound:            "notFound",
	http.StatusConflict:            "duplicate",
	http.StatusPreconditionFailed:  "conditionNotMet",
	http.StatusTooManyRequests:     "rateLimitExceeded",
	http.StatusInternalServerError: "internalError",
	http.StatusNotImplemented:      "notImplemented",
}

// write answers in the envelope of an API without gRPC, which has BigQuery's
// items beside what all of Google's envelopes have.
func (s *Status) write(w http.ResponseWriter) {
	type item struct {
		Message string `json:"message"`
		Domain  string `json:"domain"`
		Reason  string `json:"reason"`
	}
	type envelope struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Errors  []item          `json:"errors"`
		Status  string          `json:"status"`
		Details json.RawMessage `json:"details,omitempty"`
	}
	reason := s.Reason
	if reason == "" {
		reason = reasonOf[s.HTTPStatus]
	}
	if reason == "" {
		reason = "backendError"
	}
	var detailed struct{ Details json.RawMessage }
	if raw, err := protojson.Marshal(s.proto); err == nil {
		_ = json.Unmarshal(raw, &detailed) // what protojson wrote is JSON
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	_ = enc.Encode(map[string]envelope{"error": {s.HTTPStatus, s.Message, []item{{s.Message, "global", reason}}, s.Code, detailed.Details}})
	s.retryAfter(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(s.HTTPStatus)
	_, _ = w.Write(body.Bytes())
}
