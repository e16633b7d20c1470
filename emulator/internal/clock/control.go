// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package clock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// ServeHTTP is the control surface: POST {"advance": "7m"} puts the clock forward;
// POST and GET answer what it shows.
func (v *Virtual) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		var in struct {
			Advance string `json:"advance"`
		}
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d <= 0 {
			inventory.WriteError(w, http.StatusBadRequest, fmt.Sprintf(`"advance" is %q: want a duration such as "7m"`, in.Advance))
			return
		}
		v.Advance(d)
	case http.MethodGet:
	default:
		w.Header().Set("Allow", "GET, POST")
		inventory.WriteError(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	inventory.WriteJSON(w, http.StatusOK, map[string]any{"now": v.Now(), "ahead": v.Advance(0).String()})
}
