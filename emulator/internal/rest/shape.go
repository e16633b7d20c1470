// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
)

// inGoogleShape rewrites the answers that vanguard gives of its own accord – in
// plain text before it knows the method, as an unknown error when the query does
// not fit the request – into Google's.
func inGoogleShape(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &shaper{ResponseWriter: w, request: r, contentType: r.Header.Get("Content-Type")}
		next.ServeHTTP(s, r)
		if s.held != 0 { // no body came
			w.WriteHeader(s.held)
		}
	})
}

type shaper struct {
	http.ResponseWriter
	request     *http.Request
	contentType string // of the request; vanguard removes it
	replaced    bool   // the answer was replaced: drop the original
	held        int    // the status, while the body decides whether it is right
}

func (s *shaper) WriteHeader(status int) {
	h := s.Header()
	if strings.HasPrefix(h.Get("Content-Type"), "application/json") {
		h.Set("Content-Type", "application/json; charset=UTF-8")
	}
	isText := strings.HasPrefix(h.Get("Content-Type"), "text/plain")
	switch {
	case (status == http.StatusInternalServerError || status == http.StatusServiceUnavailable) && !isText:
		s.held = status
		return
	case status < 400 || !isText:
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.replaced = true
	switch status {
	case http.StatusMethodNotAllowed, http.StatusNotFound:
		h.Del("Allow")
		notFound(s.ResponseWriter, s.request)
	case http.StatusUnsupportedMediaType:
		WriteError(s.ResponseWriter, codes.InvalidArgument, fmt.Sprintf("The content type %q is not supported here: use application/json.", s.contentType))
	default:
		writeError(s.ResponseWriter, status, codes.InvalidArgument, http.StatusText(status), nil)
	}
}

func (s *shaper) Write(b []byte) (int, error) {
	if s.held != 0 {
		var answer struct {
			Error struct{ Message, Status string }
		}
		_ = json.Unmarshal(b, &answer)
		s.replaced = true
		switch {
		case answer.Error.Message == new(http.MaxBytesError).Error():
			tooLarge(s.ResponseWriter, MaxBody)
		case answer.Error.Status == "UNKNOWN":
			// No service answers UNKNOWN: it is vanguard's word for a request that does
			// not fit its message.
			WriteError(s.ResponseWriter, codes.InvalidArgument, requestError(answer.Error.Message))
		default:
			s.replaced = false
			s.ResponseWriter.WriteHeader(s.held)
		}
		s.held = 0
	}
	if s.replaced {
		return len(b), nil
	}
	return s.ResponseWriter.Write(b)
}

// Flush lets streams through.
func (s *shaper) Flush() {
	if f, ok := s.ResponseWriter.(http.Flusher); ok && s.held == 0 {
		f.Flush()
	}
}

var queryField = regexp.MustCompile(`unknown field in field path "([^"]*)"`)

// requestError words as Google does what does not fit the request's message.
func requestError(message string) string {
	if m := queryField.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. Field %q could not be found in request message.", m[1], m[1])
	}
	return "Invalid request: " + message
}
