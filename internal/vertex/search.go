// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// ModelQuery tells which models are looked for: those that everything in it is true
// of. The zero value means all.
type ModelQuery struct {
	Filter      string            // in the language of ListModelsRequest.filter, which the server reads
	DisplayName string            // the whole of it; "" for any
	Labels      map[string]string // each with this value
}

// plainKey is a key of labels that a filter takes without quotes.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// filter is what the server is asked for. It may let more through than the query, never
// less: what cannot be said in a filter is left to [ModelQuery.matches]. Filter may have an
// OR, which binds tighter than the ANDs that follow (AIP-160); if it did not, the filter
// would only let more through.
func (q ModelQuery) filter() string {
	var terms []string
	add := func(field, value string) {
		// No escapes are documented, and neither is what the empty text is equal to.
		if value != "" && !strings.ContainsAny(value, "\"\\") {
			terms = append(terms, field+`="`+value+`"`)
		}
	}
	if f := strings.TrimSpace(q.Filter); f != "" {
		terms = append(terms, f)
	}
	add("display_name", q.DisplayName)
	for _, key := range slices.Sorted(maps.Keys(q.Labels)) {
		switch {
		case plainKey.MatchString(key):
			add("labels."+key, q.Labels[key])
		case !strings.ContainsAny(key, "\"\\"):
			add(`labels."`+key+`"`, q.Labels[key])
		}
	}
	return strings.Join(terms, " AND ")
}

// matches reports whether DisplayName and Labels are true of a model.
func (q ModelQuery) matches(m *pb.Model) bool {
	if q.DisplayName != "" && q.DisplayName != m.GetDisplayName() {
		return false
	}
	for key, want := range q.Labels {
		if value, ok := m.GetLabels()[key]; !ok || value != want {
			return false
		}
	}
	return true
}

// ListModels returns the models of a location that a query is true of, each at its
// default version, in order of their ids. parent names the location; its ID is not read.
func (s *Service) ListModels(ctx context.Context, parent gcp.Name, q ModelQuery) (found []*Model, err error) {
	client, err := s.clients.Models(ctx, parent.Location)
	if err != nil {
		return nil, err
	}
	req := &pb.ListModelsRequest{Parent: parent.Parent(), Filter: q.filter()}
	err = gcp.Retry(ctx, "vertex.models.list", func(ctx context.Context) error {
		found = nil
		for m, err := range client.ListModels(ctx, proto.CloneOf(req)).All() {
			if err != nil {
				return err
			}
			if q.matches(m) {
				// Google spells the project as a number.
				_, id, _ := strings.Cut(m.GetName(), "/models/")
				id, _, _ = strings.Cut(id, "@")
				found = append(found, readModel(m, gcp.Name{Project: parent.Project, Location: parent.Location, Kind: gcp.KindModel, ID: id}))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *Model) int { return cmp.Compare(a.Name.ID, b.Name.ID) })
	return found, nil
}
