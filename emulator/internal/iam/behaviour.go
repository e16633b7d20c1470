// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package iam

import (
	"encoding/json"
	"net/http"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/inventory"
)

// behaviour is how IAM lags behind, and can be changed while it runs.
type behaviour struct {
	// Lag is the time after which a policy that was set takes effect.
	Lag fault.Duration `json:"lag"`
	// AccountLag is the time for which IAM does not know the service account of a new
	// connection.
	AccountLag fault.Duration `json:"account_lag"`
	// StaleReads is how many of the next reads answer the policy before the current
	// one, where there is one.
	StaleReads int `json:"stale_reads"`
}

// knows reports whether IAM knows a connection's service account by now; s.mu is
// held.
func (s *Server) knows(email string) bool {
	created, exists := s.accounts(email)
	return exists && s.cfg.Clock.Now().Sub(created) >= time.Duration(s.behaviour.AccountLag)
}

// read is the policy that a read answers; s.mu is held.
func (s *Server) read(h *history) *iampb.Policy {
	if s.behaviour.StaleReads > 0 && h.replaced != nil {
		s.behaviour.StaleReads--
		return h.replaced
	}
	return h.current()
}

// Behaviour is the control surface: POST {"lag": "2m", "account_lag": "1m",
// "stale_reads": 2} changes what it names; POST and GET answer how things are.
func (s *Server) Behaviour(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodPost:
		next := s.behaviour
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&next); err != nil {
			inventory.WriteError(w, http.StatusBadRequest, err.Error())
			return
		}
		if next.StaleReads < 0 {
			inventory.WriteError(w, http.StatusBadRequest, `"stale_reads" is negative`)
			return
		}
		s.behaviour = next
	case http.MethodGet:
	default:
		w.Header().Set("Allow", "GET, POST")
		inventory.WriteError(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	inventory.WriteJSON(w, http.StatusOK, s.behaviour)
}
