// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

// apiError is a failure as BigQuery reports it: over HTTP as an error envelope,
// in a job as its errorResult. The reasons and their HTTP codes are those of
// https://cloud.google.com/bigquery/docs/error-messages.
type apiError struct {
	Status   int
	Reason   string
	Message  string
	Location string // "query" for an error in the SQL text
}

func (e *apiError) Error() string { return e.Message }

func invalidQuery(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "invalidQuery", fmt.Sprintf(format, args...), "query"}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...), ""}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{http.StatusNotFound, "notFound", "Not found: " + fmt.Sprintf(format, args...), ""}
}

func duplicate(format string, args ...any) *apiError {
	return &apiError{http.StatusConflict, "duplicate", "Already Exists: " + fmt.Sprintf(format, args...), ""}
}

func resourceInUse(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "resourceInUse", fmt.Sprintf(format, args...), ""}
}

func notImplemented(format string, args ...any) *apiError {
	return &apiError{http.StatusNotImplemented, "notImplemented", "The emulator does not support " + fmt.Sprintf(format, args...) + ".", ""}
}

func conditionNotMet() *apiError {
	return &apiError{http.StatusPreconditionFailed, "conditionNotMet", "Precondition check failed.", "If-Match"}
}

func stopped() *apiError {
	return &apiError{http.StatusBadRequest, "stopped", "Job execution was cancelled: User requested cancellation", ""}
}

func (e *apiError) proto() *bq.ErrorProto {
	return &bq.ErrorProto{Reason: e.Reason, Message: e.Message, Location: e.Location}
}

// statusNames are the canonical codes that belong to the HTTP codes in use.
var statusNames = map[int]string{
	http.StatusBadRequest:          "INVALID_ARGUMENT",
	http.StatusForbidden:           "PERMISSION_DENIED",
	http.StatusNotFound:            "NOT_FOUND",
	http.StatusConflict:            "ALREADY_EXISTS",
	http.StatusPreconditionFailed:  "FAILED_PRECONDITION",
	http.StatusInternalServerError: "INTERNAL",
	http.StatusNotImplemented:      "UNIMPLEMENTED",
}

func (e *apiError) write(w http.ResponseWriter) {
	type item struct {
		Message  string `json:"message"`
		Domain   string `json:"domain"`
		Reason   string `json:"reason"`
		Location string `json:"location,omitempty"`
	}
	writeJSON(w, e.Status, map[string]any{"error": map[string]any{
		"code":    e.Status,
		"message": e.Message,
		"errors":  []item{{e.Message, "global", e.Reason, e.Location}},
		"status":  statusNames[e.Status],
	}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// asAPIError turns whatever went wrong while a statement ran into what BigQuery
// would say.
func asAPIError(ctx context.Context, err error) *apiError {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*apiError](err); ok {
		return known
	}
	if syntax, ok := errors.AsType[*ast.SyntaxError](err); ok {
		return invalidQuery("%s", syntax.Message)
	}
	if engine, ok := errors.AsType[*ast.Error](err); ok {
		return invalidQuery("%s", engine.Message)
	}
	if errors.Is(context.Cause(ctx), errTimedOut) {
		return &apiError{http.StatusBadRequest, "stopped", "Job execution was cancelled: Job timed out", ""}
	}
	if ctx.Err() != nil {
		return stopped()
	}
	return &apiError{http.StatusInternalServerError, "internalError", "The emulator failed: " + err.Error(), ""}
}

var tableNotFound = regexp.MustCompile(`^Table not found: ([^;]+?)(?:; Did you mean .*)?(?: at \[\d+:\d+\])?$`)

// missingTable is the path in the engine's "Table not found" error.
func missingTable(err error) (ast.Path, bool) {
	engine, ok := errors.AsType[*ast.Error](err)
	if !ok {
		return nil, false
	}
	m := tableNotFound.FindStringSubmatch(engine.Message)
	if m == nil {
		return nil, false
	}
	return strings.Split(strings.ReplaceAll(m[1], "`", ""), "."), true
}
