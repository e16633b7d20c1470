// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package serving answers predictions. It picks a model server by the container
// image of a model: a URL that the user gave for the image, or a server that is
// built in.
package serving

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
)

// Server answers predictions. It is safe for concurrent use and needs no
// stopping: an answer that was started is finished even if the model was
// undeployed meanwhile.
type Server interface {
	// Predict returns the predictions for the instances.
	Predict(ctx context.Context, instances []*structpb.Value, parameters *structpb.Value) ([]*structpb.Value, error)
}

// Container is what a model says about how it is served.
type Container struct {
	ImageURI    string
	ArtifactURI string
	// PredictRoute and HealthRoute are paths on the model server.
	PredictRoute string
	HealthRoute  string
}

// Catalog knows the model servers.
type Catalog struct {
	mappings []mapping
	clock    clock.Clock
	log      *slog.Logger
	client   *http.Client
	// startFor bounds the wait for a model server's health route.
	startFor time.Duration
}

type mapping struct {
	image *regexp.Regexp
	base  *url.URL
}

// NewCatalog reads mappings "image-pattern=URL", where "*" stands for any
// characters and the URL must be a loopback one.
func NewCatalog(mappings []string, c clock.Clock, log *slog.Logger) (*Catalog, error) {
	cat := &Catalog{
		clock: c, log: log, startFor: 2 * time.Second,
		client: &http.Client{
			Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, text := range mappings {
		m, err := parseMapping(text)
		if err != nil {
			return nil, err
		}
		cat.mappings = append(cat.mappings, m)
	}
	return cat, nil
}

func parseMapping(text string) (mapping, error) {
	pattern, target, ok := strings.Cut(text, "=")
	if !ok || pattern == "" {
		return mapping{}, fmt.Errorf("--model-server %q: want IMAGE=URL such as us-docker.pkg.dev/my-project/*=http://127.0.0.1:8080", text)
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return mapping{}, fmt.Errorf("--model-server %q: %q is not a URL of the form http://127.0.0.1:PORT", text, target)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return mapping{}, fmt.Errorf("--model-server %q: %q is not on this machine; only loopback URLs are called", text, target)
	}
	image := "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
	return mapping{image: regexp.MustCompile(image), base: u}, nil
}

// Start finds the server for a container and waits until it is healthy. The
// user's servers come before the built-in ones.
func (c *Catalog) Start(ctx context.Context, container Container) (Server, error) {
	for _, m := range c.mappings {
		if m.image.MatchString(container.ImageURI) {
			return c.startURL(ctx, m.base, container)
		}
	}
	if tutorialImage.MatchString(container.ImageURI) {
		if container.ArtifactURI == "" {
			return nil, status.Errorf(codes.InvalidArgument, "Model server exited unexpectedly. The prebuilt container %s needs the model's artifact_uri.", container.ImageURI)
		}
		c.log.Warn("the built-in text-sentiment server stands in for the prebuilt container; the model artifact is not read",
			"image", container.ImageURI, "artifact", container.ArtifactURI)
		return sentiment{}, nil
	}
	return nil, status.Errorf(codes.FailedPrecondition,
		"No model server for the container image %q: the emulator runs no containers. Start one yourself and map the image to it with --model-server %s=http://127.0.0.1:PORT.",
		container.ImageURI, container.ImageURI)
}

// Close lets go of idle connections.
func (c *Catalog) Close() { c.client.CloseIdleConnections() }
