// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"google.golang.org/grpc/codes"
)

// Body limits. Uploads to Cloud Storage and load jobs carry files.
const (
	MaxBody       = 10 << 20
	MaxUploadBody = 1 << 30
)

// Guard lets through only what a program on this machine sends: the Host header
// must be a loopback name (which stops DNS rebinding), a web page of another
// origin is refused, and bodies are bounded.
func Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			WriteError(w, codes.PermissionDenied, fmt.Sprintf("Host %q is not a loopback name: the emulator serves this machine only.", r.Host))
			return
		}
		if r.Header.Get("Origin") != "" {
			WriteError(w, codes.PermissionDenied, "The emulator does not answer web pages (no CORS).")
			return
		}
		limit := int64(MaxBody)
		if isUpload(r.URL.Path) {
			limit = MaxUploadBody
		}
		if r.ContentLength > limit {
			tooLarge(w, limit)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

func tooLarge(w http.ResponseWriter, limit int64) {
	writeError(w, http.StatusRequestEntityTooLarge, codes.InvalidArgument, fmt.Sprintf("Request payload size exceeds the limit: %d bytes.", limit), nil)
}

func isUpload(path string) bool {
	return strings.HasPrefix(path, "/upload/") || strings.HasPrefix(path, "/resumable/")
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
