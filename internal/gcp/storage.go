// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"errors"

	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
)

// ErrNoStorage means that Cloud Storage cannot be asked: calls go to loopback
// addresses, and none is configured for it.
var ErrNoStorage = errors.New("the configuration names loopback addresses, and none for Cloud Storage")

// Storage returns the raw Cloud Storage client, with which artifacts are looked at.
func (c *Clients) Storage(ctx context.Context) (*storage.Service, error) {
	if c.plaintext() && !c.Emulated() {
		return nil, ErrNoStorage
	}
	transport, err := c.BigQueryHTTP(ctx) // the same credential and log
	if err != nil {
		return nil, err
	}
	return once(c, "Cloud Storage", func() (*storage.Service, func() error, error) {
		options := []option.ClientOption{option.WithHTTPClient(transport), option.WithUserAgent(c.config.UserAgent)}
		if c.Emulated() {
			options = append(options, option.WithEndpoint("http://"+c.config.EmulatorHost+"/storage/v1/"))
		}
		s, err := storage.NewService(detached(ctx), options...)
		return s, func() error { return nil }, err
	})
}
