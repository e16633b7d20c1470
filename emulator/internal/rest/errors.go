// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
)

// WriteError answers in Google's error envelope,
// {"error":{"code":404,"message":"…","status":"NOT_FOUND"}}.
func WriteError(w http.ResponseWriter, code codes.Code, message string) {
	writeError(w, HTTPStatus(code), code, message, nil)
}

func writeError(w http.ResponseWriter, httpStatus int, code codes.Code, message string, details json.RawMessage) {
	body := envelope(httpStatus, code, message, details)
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(httpStatus)
	_, _ = w.Write(body)
}

func envelope(httpStatus int, code codes.Code, message string, details json.RawMessage) []byte {
	type object struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Status  string          `json:"status"`
		Details json.RawMessage `json:"details,omitempty"`
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(map[string]object{"error": {httpStatus, message, StatusName(code), details}})
	return out.Bytes()
}

// statusEnvelope renders a google.rpc.Status as the envelope.
func statusEnvelope(s *statuspb.Status) []byte {
	var details json.RawMessage
	if len(s.GetDetails()) > 0 {
		var fields struct {
			Details json.RawMessage `json:"details"`
		}
		if raw, err := protojson.Marshal(s); err == nil && json.Unmarshal(raw, &fields) == nil {
			details = fields.Details
		}
	}
	code := codes.Code(uint32(s.GetCode()))
	return envelope(HTTPStatus(code), code, s.GetMessage(), details)
}

// StatusName is the canonical spelling of a code, such as NOT_FOUND.
func StatusName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range code.String() {
		if i > 0 && r >= 'A' && r <= 'Z' && code != codes.OK {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// HTTPStatus is Google's mapping of canonical codes (google/rpc/code.proto).
func HTTPStatus(code codes.Code) int {
	switch code {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return 499
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}
