// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package storage is Cloud Storage in memory: fake-gcs-server as a library.
package storage

import (
	"fmt"
	"mime"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// Object is one object to start with.
type Object struct {
	Bucket  string
	Name    string
	Content []byte
}

// Config says what exists at the start.
type Config struct {
	// Addr is the host:port at which clients reach the emulator.
	Addr    string
	Objects []Object
	// Dir, if set, is a folder with one sub-folder for each bucket. It cannot be
	// combined with Objects.
	Dir string
}

// Server answers the JSON API under /storage, /upload, /download and /batch, and
// the XML API on every other path.
type Server struct {
	fake *fakestorage.Server
}

// New returns the service with its buckets and objects.
func New(cfg Config) (*Server, error) {
	if cfg.Dir != "" {
		if info, err := os.Stat(cfg.Dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--storage-dir %q is not a folder", cfg.Dir)
		}
	}
	opts := fakestorage.Options{
		NoListener:  true,
		Scheme:      "http",
		ExternalURL: "http://" + cfg.Addr,
		PublicHost:  cfg.Addr,
		Seed:        cfg.Dir,
	}
	for _, o := range cfg.Objects {
		opts.InitialObjects = append(opts.InitialObjects, fakestorage.Object{
			ObjectAttrs: fakestorage.ObjectAttrs{
				BucketName: o.Bucket, Name: o.Name,
				ContentType: mime.TypeByExtension(path.Ext(o.Name)),
			},
			Content: o.Content,
		})
	}
	fake, err := fakestorage.NewServerWithOptions(opts)
	if err != nil {
		return nil, fmt.Errorf("cloud storage: %w", err)
	}
	return &Server{fake: fake}, nil
}

// ServeHTTP answers a Cloud Storage call. The library's own control paths are
// not reachable.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_internal") {
		http.NotFound(w, r)
		return
	}
	s.fake.HTTPHandler().ServeHTTP(w, r)
}

// Inventory lists the buckets by name, with the number of their objects.
func (s *Server) Inventory() []any {
	buckets, err := s.fake.Backend().ListBuckets()
	if err != nil {
		return nil
	}
	names := make([]string, len(buckets))
	for i, b := range buckets {
		names[i] = b.Name
	}
	slices.Sort(names)
	out := make([]any, 0, len(names))
	for _, name := range names {
		list, err := s.fake.ListObjectsWithOptionsPaginated(name, fakestorage.ListOptions{})
		if err != nil {
			continue // deleted meanwhile
		}
		out = append(out, map[string]any{"name": name, "objects": len(list.Objects)})
	}
	return out
}

// Close releases the service.
func (s *Server) Close() { s.fake.Stop() }
