// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"net/http"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/journal"
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

// admin is the emulator's own surface. It is not journalled.
func (s *Server) admin(inv *inventory.Inventory, timeline *inventory.Timeline, calls *journal.Journal, faults bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_emulator/health", func(w http.ResponseWriter, _ *http.Request) {
		inventory.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok", "service": "gcpml-emulator"})
	})
	mux.Handle("GET /_emulator/inventory", inv)
	mux.Handle("GET /_emulator/timeline", timeline)
	mux.Handle("GET /_emulator/journal", calls)
	if faults {
		mux.Handle("/_emulator/faults", s.faults)
	} else {
		mux.HandleFunc("/_emulator/faults", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "faults are off: start the emulator with --enable-faults", http.StatusForbidden)
		})
	}
	return mux
}
