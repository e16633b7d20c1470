// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
)

// What Google's REST clients make of an answer in the form of
// https://cloud.google.com/apis/design/errors#http_mapping keeps its details.
func TestDetailsOfRESTErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w, `{"error": {"code": 429, "message": "busy", "status": "RESOURCE_EXHAUSTED", "details": [
			{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"},
			{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}]}}`)
	}))
	defer server.Close()
	client, err := bigqueryconnection.NewService(t.Context(), option.WithEndpoint(server.URL), option.WithHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Projects.Locations.Connections.Get("projects/p/locations/us/connections/c").Context(t.Context()).Do()
	if Code(err) != codes.ResourceExhausted || Reason(err) != "RATE_LIMIT_EXCEEDED" || retryDelay(err) != 3*time.Second || Message(err) != "busy" {
		t.Errorf("%s, reason %q, delay %s, message %q", Code(err), Reason(err), retryDelay(err), Message(err))
	}
}
