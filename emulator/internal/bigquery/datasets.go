// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/bigquery/ast"
)

type datasetKey struct{ project, dataset string }

func (k datasetKey) String() string { return k.project + ":" + k.dataset }

func (k datasetKey) reference() *bq.DatasetReference {
	return &bq.DatasetReference{ProjectId: k.project, DatasetId: k.dataset}
}

// dataset is a dataset with the models in it; its tables live in the engine.
type dataset struct {
	meta   *bq.Dataset
	models map[string]*model
}

var datasetID = regexp.MustCompile(`^[A-Za-z0-9_]{1,1000}$`)

// dataset finds a dataset; s.mu is held.
func (s *Server) dataset(k datasetKey) (*dataset, error) {
	if d, ok := s.datasets[k]; ok {
		return d, nil
	}
	return nil, notFound("Dataset %s", k)
}

func (r *request) datasetKey() datasetKey { return datasetKey{r.project, r.PathValue("datasetId")} }

// createDataset makes a dataset, here and in the engine; s.mu is held.
func (s *Server) createDataset(ctx context.Context, k datasetKey, meta *bq.Dataset) (*dataset, error) {
	if !datasetID.MatchString(k.dataset) {
		return nil, invalid("Invalid dataset ID %q. Dataset IDs must be alphanumeric (plus underscores) and must be at most 1024 characters long.", k.dataset)
	}
	if _, taken := s.datasets[k]; taken {
		return nil, duplicate("Dataset %s", k)
	}
	in := bq.Dataset{DatasetReference: k.reference()}
	if err := s.cfg.Engine.Do(ctx, http.MethodPost, k.project, "/datasets", in, nil); err != nil {
		return nil, err
	}
	now := s.cfg.Clock.Now().UnixMilli()
	if meta.Location = canonicalLocation(meta.Location); meta.Location == "" {
		meta.Location = "US"
	}
	meta.Kind = "bigquery#dataset"
	meta.Type = "DEFAULT"
	meta.DatasetReference = k.reference()
	meta.Id = k.String()
	meta.SelfLink = s.link("/projects/%s/datasets/%s", k.project, k.dataset)
	meta.Etag = newEtag()
	meta.CreationTime, meta.LastModifiedTime = now, now
	d := &dataset{meta: meta, models: map[string]*model{}}
	s.datasets[k] = d
	return d, nil
}

// canonicalLocation spells multi-regions in upper and regions in lower case.
func canonicalLocation(location string) string {
	if upper := strings.ToUpper(location); upper == "US" || upper == "EU" {
		return upper
	}
	return strings.ToLower(location)
}

// dropDataset deletes a dataset; s.mu is held. With contents it takes tables and
// models along, without it refuses when there are any.
func (s *Server) dropDataset(ctx context.Context, k datasetKey, contents bool) error {
	d, err := s.dataset(k)
	if err != nil {
		return err
	}
	if !contents {
		tables, err := s.tables(ctx, k)
		if err != nil {
			return err
		}
		if len(tables) > 0 || len(d.models) > 0 {
			return resourceInUse("Dataset %s is still in use", k)
		}
	}
	if err := s.cfg.Engine.Do(ctx, http.MethodDelete, k.project, "/datasets/"+k.dataset+"?deleteContents=true", nil, nil); err != nil {
		return err
	}
	delete(s.datasets, k)
	return nil
}

func (s *Server) insertDataset(r *request) (any, error) {
	var in bq.Dataset
	if _, err := r.decode(&in); err != nil {
		return nil, err
	}
	if in.DatasetReference == nil || in.DatasetReference.DatasetId == "" {
		return nil, invalid("datasetReference.datasetId is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.createDataset(r.Context(), datasetKey{r.project, in.DatasetReference.DatasetId}, &in)
	if err != nil {
		return nil, err
	}
	return d.meta, nil
}

func (s *Server) getDataset(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(r.datasetKey())
	if err != nil {
		return nil, err
	}
	return d.meta, nil
}

// datasetFields are the fields of a dataset that a client can change.
var datasetFields = []string{
	"friendlyName", "description", "labels", "access", "defaultTableExpirationMs",
	"defaultPartitionExpirationMs", "maxTimeTravelHours", "storageBillingModel",
}

func (s *Server) patchDataset(r *request) (any, error) {
	return s.changeDataset(r, func(d *bq.Dataset, body []byte) (*bq.Dataset, error) {
		return merge(d, body, datasetFields...)
	})
}

// updateDataset replaces the fields that a client can change.
func (s *Server) updateDataset(r *request) (any, error) {
	return s.changeDataset(r, func(d *bq.Dataset, body []byte) (*bq.Dataset, error) {
		bare := *d
		bare.FriendlyName, bare.Description, bare.Labels, bare.Access = "", "", nil, nil
		bare.DefaultTableExpirationMs, bare.DefaultPartitionExpirationMs = 0, 0
		return merge(&bare, body, datasetFields...)
	})
}

func (s *Server) changeDataset(r *request, change func(*bq.Dataset, []byte) (*bq.Dataset, error)) (any, error) {
	body, err := r.decode(new(bq.Dataset))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(r.datasetKey())
	if err != nil {
		return nil, err
	}
	if err := r.ifMatch(d.meta.Etag); err != nil {
		return nil, err
	}
	next, err := change(d.meta, body)
	if err != nil {
		return nil, err
	}
	next.Etag, next.LastModifiedTime = newEtag(), s.cfg.Clock.Now().UnixMilli()
	d.meta = next
	return d.meta, nil
}

func (s *Server) deleteDataset(r *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nil, s.dropDataset(r.Context(), r.datasetKey(), r.FormValue("deleteContents") == "true")
}

func (s *Server) listDatasets(r *request) (any, error) {
	if r.FormValue("filter") != "" {
		return nil, notImplemented("a filter in datasets.list")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []*bq.DatasetListDatasets{}
	for k, d := range s.datasets {
		if k.project == r.project {
			all = append(all, &bq.DatasetListDatasets{
				Kind: d.meta.Kind, Id: d.meta.Id, DatasetReference: d.meta.DatasetReference,
				FriendlyName: d.meta.FriendlyName, Labels: d.meta.Labels, Location: d.meta.Location,
			})
		}
	}
	slices.SortFunc(all, func(a, b *bq.DatasetListDatasets) int { return cmp.Compare(a.Id, b.Id) })
	start, end, next, err := r.window(len(all))
	if err != nil {
		return nil, err
	}
	return &bq.DatasetList{Kind: "bigquery#datasetList", Etag: newEtag(), Datasets: all[start:end], NextPageToken: next}, nil
}

// Datasets lists the datasets for the inventory.
func (s *Server) Datasets() []any {
	type dataset struct {
		Name     string `json:"name"`
		Location string `json:"location"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, k := range s.datasetKeys() {
		all = append(all, dataset{k.String(), s.datasets[k].meta.Location})
	}
	return all
}

func (s *Server) datasetKeys() []datasetKey {
	keys := make([]datasetKey, 0, len(s.datasets))
	for k := range s.datasets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b datasetKey) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

// isMissing reports whether the engine answered that something does not exist.
func isMissing(err error) bool {
	engine, ok := errors.AsType[*ast.Error](err)
	return ok && engine.Status == http.StatusNotFound
}
