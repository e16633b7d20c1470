// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
)

// ReadObject returns the content of a Cloud Storage object, gs://BUCKET/OBJECT, of at
// most limit bytes; a larger one is an error.
func (c *Clients) ReadObject(ctx context.Context, uri string, limit int64) (content []byte, err error) {
	bucket, object, ok := strings.Cut(strings.TrimPrefix(uri, "gs://"), "/")
	if !strings.HasPrefix(uri, "gs://") || !ok || bucket == "" || object == "" {
		return nil, fmt.Errorf("%q is not of the form gs://BUCKET/OBJECT", uri)
	}
	base := c.base(c.config.StorageEndpoint, "storage", "/storage/v1/")
	client, err := c.http(ctx)
	if err != nil {
		return nil, err
	}
	err = Retry(ctx, "storage.objects.get", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"b/"+url.PathEscape(bucket)+"/o/"+url.PathEscape(object)+"?alt=media", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if err := googleapi.CheckResponse(resp); err != nil {
			return err
		}
		if content, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err == nil && int64(len(content)) > limit {
			err = fmt.Errorf("the object is larger than %d bytes", limit)
		}
		return err
	})
	return content, err
}
