// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// What BigQuery answers decides about the exit code
// (https://cloud.google.com/bigquery/docs/error-messages).
func TestExitCodesOfAnswers(t *testing.T) {
	for reason, want := range map[string]struct{ status, code int }{
		"authError":     {http.StatusUnauthorized, exitAuth},
		"accessDenied":  {http.StatusForbidden, exitAuth},
		"notFound":      {http.StatusNotFound, exitInvalid},
		"invalidQuery":  {http.StatusBadRequest, exitInvalid},
		"quotaExceeded": {http.StatusForbidden, exitFailed},
	} {
		t.Run(reason, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(want.status)
				fmt.Fprintf(w, `{"error": {"code": %d, "message": "no: %s", "errors": [{"reason": %q, "message": "no: %s"}]}}`, want.status, reason, reason, reason)
			}))
			defer server.Close()
			cmd := exec.CommandContext(t.Context(), "gcpml", "run", "-e", "SELECT 1", "--format", "json", "--project", "p", "--emulator-host", strings.TrimPrefix(server.URL, "http://"), "--timeout", "20s")
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != want.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), "no: "+reason) {
				t.Errorf("exit code %d, want %d; stdout %q, stderr %q", code, want.code, stdout.String(), stderr.String())
			}
		})
	}
}
