// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
)

// largestPublisherModel bounds the answer about a publisher model, in bytes.
const largestPublisherModel = 16 << 20

// PublisherModel returns what Model Garden tells of a model, as the JSON of a
// PublisherModel. name is publishers/PUBLISHER/models/MODEL, with or without
// @VERSION; location is where Model Garden is asked.
//
// It is the one call at v1beta1, and so by REST: v1 lacks the field in which the
// verified deployments of open models are (supportedActions.multiDeployVertex), and
// the generated client of v1beta1 would make every program half as large again.
func (c *Clients) PublisherModel(ctx context.Context, location, name string, huggingFace bool) (content []byte, err error) {
	client, err := c.http(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{"view": {"PUBLISHER_MODEL_VIEW_FULL"}, "alt": {"json"}}
	if huggingFace {
		query.Set("isHuggingFaceModel", "true")
		query.Set("includeEquivalentModelGardenModelDeploymentConfigs", "true")
	}
	address := c.vertexBase(location) + "/v1beta1/" + name + "?" + query.Encode()
	err = Retry(ctx, "vertex.publisherModels.get", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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
		if content, err = io.ReadAll(io.LimitReader(resp.Body, largestPublisherModel+1)); err == nil && len(content) > largestPublisherModel {
			err = errors.New("the answer is larger than 16 MiB")
		}
		return err
	})
	return content, err
}

// vertexBase is the address of Vertex AI's REST API, without a version.
func (c *Clients) vertexBase(location string) string {
	switch {
	case c.Emulated():
		return "http://" + c.config.EmulatorHost
	case c.plaintext():
		return "http://" + c.vertexHost(location)
	}
	return "https://" + strings.TrimSuffix(c.vertexHost(location), ":443")
}
