// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"google.golang.org/api/storage/v1"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Artifact is what a folder in Cloud Storage holds.
type Artifact struct {
	URI   string
	Files []ArtifactFile // sorted by name
}

// ArtifactFile is one object. Its generation changes whenever it is written.
type ArtifactFile struct {
	Name       string // within the folder
	Generation int64
}

// ReadArtifact lists the folder gs://BUCKET/PATH/. One that does not exist is
// empty; a bucket that does not is an error for which [gcp.IsNotFound] is true.
func (s *Service) ReadArtifact(ctx context.Context, uri string) (*Artifact, error) {
	client, err := s.clients.Storage(ctx)
	if err != nil {
		return nil, err
	}
	bucket, folder, _ := strings.Cut(strings.TrimPrefix(uri, "gs://"), "/")
	if folder = strings.TrimRight(folder, "/"); folder != "" {
		folder += "/"
	}
	a := &Artifact{URI: uri}
	for token, more := "", true; more; more = token != "" {
		var page *storage.Objects
		err := gcp.Retry(ctx, "storage.objects.list", func(ctx context.Context) (err error) {
			page, err = client.Objects.List(bucket).Prefix(folder).PageToken(token).Fields("items(name,generation)", "nextPageToken").Context(ctx).Do()
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			// Some tools make an empty object for a folder.
			if name := strings.TrimPrefix(o.Name, folder); name != "" && !strings.HasSuffix(name, "/") {
				a.Files = append(a.Files, ArtifactFile{name, o.Generation})
			}
		}
		token = page.NextPageToken
	}
	slices.SortFunc(a.Files, func(x, y ArtifactFile) int { return cmp.Compare(x.Name, y.Name) })
	return a, nil
}

// Fingerprint changes when a file is added, written or removed.
func (a *Artifact) Fingerprint() string { return gcp.SpecHash(a.Files) }

// modelFiles are the files of which a prebuilt container wants exactly one, at the
// top of the folder, by framework.
// Source: https://cloud.google.com/vertex-ai/docs/training/exporting-model-artifacts
var modelFiles = map[string][]string{
	"tf": {savedModel}, "tf2": {savedModel}, "tf_opt": {savedModel},
	"sklearn": {"model.joblib", "model.pkl"},
	"xgboost": {"model.bst", "model.joblib", "model.pkl"},
	"pytorch": {"model.mar"},
}

const savedModel = "saved_model.pb"

// Problem says what is wrong with an artifact for a container image; "" for
// nothing. Of images that are not Google's prebuilt ones nothing is known.
func (a *Artifact) Problem(image string) string {
	if len(a.Files) == 0 {
		return fmt.Sprintf("There is nothing in %s yet.", a.URI)
	}
	container, ok := parsePrebuilt(image)
	wanted := modelFiles[container.framework]
	if !ok || len(wanted) == 0 {
		return ""
	}
	var here, below []string
	for _, f := range a.Files {
		switch {
		case slices.Contains(wanted, f.Name):
			here = append(here, f.Name)
		case slices.Contains(wanted, path.Base(f.Name)):
			below = append(below, path.Dir(f.Name)+"/")
		}
	}
	names := strings.Join(wanted, " or ")
	switch {
	case len(here) > 1:
		return fmt.Sprintf("%s holds %s, but the container loads exactly one of them.", a.URI, strings.Join(here, " and "))
	case len(here) == 1:
		return ""
	case len(below) > 0:
		return fmt.Sprintf("The container looks for %s at the top of %s; it is in %s there. Name that folder.", names, a.URI, strings.Join(below, ", "))
	}
	return fmt.Sprintf("The container looks for %s in %s, which has no such file.", names, a.URI)
}
