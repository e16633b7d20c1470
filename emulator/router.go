// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/iam"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/journal"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/operations"
)

// router sends a request to the first handler whose prefix its path has. (Unlike
// http.ServeMux it never cleans a path: names of objects may hold "//".)
type router struct{ entries []routerEntry }

type routerEntry struct {
	prefix  string
	handler http.Handler
}

func (rt *router) handle(prefix string, h http.Handler) {
	rt.entries = append(rt.entries, routerEntry{prefix, h})
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, e := range rt.entries {
		if strings.HasPrefix(r.URL.Path, e.prefix) {
			e.handler.ServeHTTP(w, r)
			return
		}
	}
	http.NotFound(w, r)
}

func isGRPC(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	return r.ProtoMajor == 2 && (ct == "application/grpc" || strings.HasPrefix(ct, "application/grpc+"))
}

func isAdmin(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/_emulator/") }

// views are what the emulator tells of itself.
type views struct {
	inventory *inventory.Inventory
	timeline  *inventory.Timeline
	journal   *journal.Journal
	counters  *journal.Counters
}

// controls are what its behaviour is changed by, beside faults.
type controls struct {
	clock      *clock.Virtual
	operations *operations.Manager
	policies   *iam.Server
	bigquery   *bigquery.Server
}

// admin is the emulator's own surface. It is not journalled. What it tells is open
// to everyone who reaches the port, as the APIs are; what changes the emulator's
// behaviour is off by default and wants a token.
func (s *Server) admin(v views, c controls) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_emulator/health", func(w http.ResponseWriter, _ *http.Request) {
		inventory.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok", "service": "gcpml-emulator"})
	})
	mux.Handle("GET /_emulator/inventory", v.inventory)
	mux.Handle("GET /_emulator/timeline", v.timeline)
	mux.Handle("GET /_emulator/journal", v.journal)
	mux.Handle("GET /_emulator/counters", v.counters)

	mux.Handle("/_emulator/faults", s.guarded(s.faults))
	mux.Handle("GET /_emulator/methods", s.guarded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inventory.WriteJSON(w, http.StatusOK, map[string]any{"methods": s.faults.Methods()})
	})))
	mux.Handle("/_emulator/clock", s.guarded(c.clock))
	mux.Handle("/_emulator/operations", s.guarded(http.HandlerFunc(c.operations.Scripts)))
	mux.Handle("/_emulator/jobs", s.guarded(http.HandlerFunc(c.bigquery.Scripts)))
	mux.Handle("/_emulator/iam", s.guarded(http.HandlerFunc(c.policies.Behaviour)))
	return mux
}

// guarded lets through who brings the token.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-Gcpml-Fault-Token")
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			token = bearer
		}
		switch {
		case s.FaultToken == "":
			inventory.WriteError(w, http.StatusForbidden, "faults are off: start the emulator with --enable-faults")
		case subtle.ConstantTimeCompare([]byte(token), []byte(s.FaultToken)) != 1:
			w.Header().Set("WWW-Authenticate", "Bearer")
			inventory.WriteError(w, http.StatusUnauthorized, "the token that was printed at the start is required: send it as Authorization: Bearer TOKEN")
		default:
			next.ServeHTTP(w, r)
		}
	})
}
