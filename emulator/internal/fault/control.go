// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// ServeHTTP is the control surface: POST sets a fault, GET lists them, DELETE
// (with ?id=) removes one or all, and POST with ?release=ID lets go of the calls
// that a fault holds.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		if r.URL.Query().Has("release") {
			if !s.Release(r.URL.Query().Get("release")) {
				inventory.WriteError(w, http.StatusNotFound, "no such fault")
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var spec Spec
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&spec); err != nil {
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
			return
		}
		f, err := s.Add(spec)
		switch {
		case errors.Is(err, errDuplicate):
			inventory.WriteError(w, http.StatusConflict, err.Error())
		case err != nil:
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
		default:
			inventory.WriteJSON(w, http.StatusCreated, f)
		}
	case http.MethodGet:
		inventory.WriteJSON(w, http.StatusOK, map[string]any{"faults": s.List()})
	case http.MethodDelete:
		if !s.Remove(r.URL.Query().Get("id")) && r.URL.Query().Has("id") {
			inventory.WriteError(w, http.StatusNotFound, "no such fault")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		inventory.WriteError(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}
