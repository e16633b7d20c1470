// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/auth"
	resourcemanager "cloud.google.com/go/resourcemanager/apiv3"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"google.golang.org/api/bigquery/v2"
	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
	gtransport "google.golang.org/api/transport/grpc"
	htransport "google.golang.org/api/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Clients makes the Google clients that a configuration calls for, each once.
// It is safe for concurrent use.
type Clients struct {
	config Config
	creds  *auth.Credentials // nil on the emulator and on loopback endpoints

	mu       sync.Mutex
	made     map[string]any
	projects map[string]string // project number or id → id
	locks    map[string]chan struct{}
	policies map[string]*policyWrite // by project
	closers  []func() error
}

// Connect checks the credentials of a configuration that came from
// [Config.WithEnvironment] and returns its clients. It makes no API call.
func Connect(ctx context.Context, c Config) (*Clients, error) {
	c, err := c.normalised()
	if err != nil {
		return nil, err
	}
	clients := &Clients{config: c, made: map[string]any{}, projects: map[string]string{}, locks: map[string]chan struct{}{}}
	if clients.plaintext() {
		return clients, nil
	}
	clients.creds, err = c.credentials(ctx)
	return clients, err
}

// Config returns the configuration in use.
func (c *Clients) Config() Config { return c.config }

// Emulated reports whether calls go to the emulator.
func (c *Clients) Emulated() bool { return c.config.EmulatorHost != "" }

// Project returns the default project id, "" when none is set.
func (c *Clients) Project() string { return c.config.Project }

// Region returns the default Vertex AI location, "" when none is set.
func (c *Clients) Region() string { return c.config.Region }

// Marked completes a marker with what the configuration says about labels.
func (c *Clients) Marked(m Marker) Marker {
	m.Attribution = c.config.Attribution
	return m
}

// Polling returns a context under which operations are looked at as often as the
// configuration says.
func (c *Clients) Polling(ctx context.Context) context.Context {
	return context.WithValue(ctx, pollKey{}, c.config.PollInterval)
}

// OwnershipID returns the configured ownership id, "" when adoption is off.
func (c *Clients) OwnershipID() string { return c.config.OwnershipID }

// plaintext reports whether calls go to loopback or the emulator: without TLS
// and without a credential.
func (c *Clients) plaintext() bool {
	return c.Emulated() || strings.HasPrefix(c.config.BigQueryEndpoint, "http://")
}

// once builds the client called key unless it was built before.
func once[T any](c *Clients, key string, build func() (T, func() error, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.made[key]; ok {
		return v.(T), nil //nolint:forcetypeassert // a key has one type, by construction
	}
	v, closer, err := build()
	if err != nil {
		return v, fmt.Errorf("unable to make the client for %s: %w", key, err)
	}
	c.made[key] = v
	c.closers = append(c.closers, closer)
	return v, nil
}

// Models returns the client for models in a Vertex AI location.
func (c *Clients) Models(ctx context.Context, location string) (*aiplatform.ModelClient, error) {
	return once(c, "Vertex AI models in "+location, func() (*aiplatform.ModelClient, func() error, error) {
		m, err := aiplatform.NewModelClient(detached(ctx), c.grpcOptions(c.vertexHost(location))...)
		if err != nil {
			return nil, nil, err
		}
		m.CallOptions = &aiplatform.ModelCallOptions{}
		return m, m.Close, nil
	})
}

// Endpoints returns the client for endpoints in a Vertex AI location.
func (c *Clients) Endpoints(ctx context.Context, location string) (*aiplatform.EndpointClient, error) {
	return once(c, "Vertex AI endpoints in "+location, func() (*aiplatform.EndpointClient, func() error, error) {
		e, err := aiplatform.NewEndpointClient(detached(ctx), c.grpcOptions(c.vertexHost(location))...)
		if err != nil {
			return nil, nil, err
		}
		e.CallOptions = &aiplatform.EndpointCallOptions{}
		return e, e.Close, nil
	})
}

// Predictions returns the client that calls deployed models in a location.
func (c *Clients) Predictions(ctx context.Context, location string) (*aiplatform.PredictionClient, error) {
	return once(c, "Vertex AI predictions in "+location, func() (*aiplatform.PredictionClient, func() error, error) {
		p, err := aiplatform.NewPredictionClient(detached(ctx), c.grpcOptions(c.vertexHost(location))...)
		if err != nil {
			return nil, nil, err
		}
		p.CallOptions = &aiplatform.PredictionCallOptions{}
		return p, p.Close, nil
	})
}

// Connections returns the client for BigQuery connections. It is that of the REST
// API: the protos of the gRPC one lack kmsKeyName.
func (c *Clients) Connections(ctx context.Context) (*bigqueryconnection.ProjectsLocationsConnectionsService, error) {
	// The version is a part of the client's paths.
	base := c.base(strings.TrimSuffix(c.config.BigQueryConnectionEndpoint, "v1/"), "bigqueryconnection", "/")
	return restClient(ctx, c, "BigQuery connections", base, func(ctx context.Context, o ...option.ClientOption) (*bigqueryconnection.ProjectsLocationsConnectionsService, error) {
		s, err := bigqueryconnection.NewService(ctx, o...)
		if err != nil {
			return nil, err
		}
		return s.Projects.Locations.Connections, nil
	})
}

// Projects returns the Resource Manager client, which also reads and writes the
// IAM policy of projects.
func (c *Clients) Projects(ctx context.Context) (*resourcemanager.ProjectsClient, error) {
	return once(c, "projects", func() (*resourcemanager.ProjectsClient, func() error, error) {
		p, err := resourcemanager.NewProjectsClient(detached(ctx), c.grpcOptions(c.host(c.config.ResourceManagerEndpoint, "cloudresourcemanager"))...)
		if err != nil {
			return nil, nil, err
		}
		p.CallOptions = &resourcemanager.ProjectsCallOptions{}
		return p, p.Close, nil
	})
}

// BigQuery returns the raw BigQuery v2 client: the high-level one hides the
// fields of remote models and retries on its own.
func (c *Clients) BigQuery(ctx context.Context) (*bigquery.Service, error) {
	return restClient(ctx, c, "BigQuery", c.base(c.config.BigQueryEndpoint, "bigquery", "/bigquery/v2/"), bigquery.NewService)
}

// BigQueryHTTP returns the HTTP client that the client of [Clients.BigQuery] uses,
// for answers that are too large to be decoded by it.
func (c *Clients) BigQueryHTTP(ctx context.Context) (*http.Client, error) { return c.http(ctx) }

// Storage returns the raw Cloud Storage v1 client, which does not retry by itself.
func (c *Clients) Storage(ctx context.Context) (*storage.Service, error) {
	return restClient(ctx, c, "Cloud Storage", c.base(c.config.StorageEndpoint, "storage", "/storage/v1/"), storage.NewService)
}

// base is the address of a REST API.
func (c *Clients) base(endpoint, api, path string) string {
	switch {
	case c.Emulated():
		return "http://" + c.config.EmulatorHost + path
	case endpoint != "":
		return endpoint
	}
	return "https://" + api + "." + c.config.universe() + path
}

func restClient[T any](ctx context.Context, c *Clients, key, base string, build func(context.Context, ...option.ClientOption) (T, error)) (T, error) {
	transport, err := c.http(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return once(c, key, func() (T, func() error, error) {
		s, err := build(detached(ctx), option.WithHTTPClient(transport), option.WithUserAgent(c.config.UserAgent), option.WithEndpoint(base))
		return s, func() error { return nil }, err
	})
}

// http returns the HTTP client of the REST APIs.
func (c *Clients) http(ctx context.Context) (*http.Client, error) {
	return once(c, "HTTP", func() (*http.Client, func() error, error) {
		base, idle := c.config.transport, func() {}
		if base == nil {
			own := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented type
			base, idle = own, own.CloseIdleConnections
		}
		transport := http.RoundTripper(observedTransport{base, c.config.RequestTimeout, c.config.OnCall})
		if !c.plaintext() {
			var err error
			if transport, err = htransport.NewTransport(detached(ctx), transport, c.identity()...); err != nil {
				return nil, nil, err
			}
		}
		return &http.Client{Transport: transport}, func() error { idle(); return nil }, nil
	})
}

// BigQueryStorage returns a connection to the BigQuery Storage API, for the generated
// stub: what the generated client adds to it are retries, which are ours to decide.
func (c *Clients) BigQueryStorage(ctx context.Context) (*grpc.ClientConn, error) {
	return once(c, "BigQuery Storage", func() (*grpc.ClientConn, func() error, error) {
		connection, err := gtransport.Dial(detached(ctx), append(c.grpcOptions(c.storageReadHost()),
			// Messages hold up to 10 MB of rows, more than gRPC accepts by itself.
			option.WithGRPCDialOption(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32))),
			// What may be on its way at any time. Left alone gRPC lets it grow to 16 MB,
			// all of which waits in memory for a reader that is slower than the line.
			option.WithGRPCDialOption(grpc.WithStaticStreamWindowSize(storageWindow)),
			option.WithGRPCDialOption(grpc.WithStaticConnWindowSize(storageWindow)),
		)...)
		if err != nil {
			return nil, nil, err
		}
		return connection, connection.Close, nil
	})
}

const storageWindow = 2 << 20

// ProjectID turns a project number into the project's id, with one look-up per
// number; an id is returned as it is.
func (c *Clients) ProjectID(ctx context.Context, project string) (string, error) {
	if strings.Trim(project, "0123456789") != "" || project == "" {
		return project, nil
	}
	c.mu.Lock()
	id, known := c.projects[project]
	c.mu.Unlock()
	if known {
		return id, nil
	}
	projects, err := c.Projects(ctx)
	if err != nil {
		return "", err
	}
	err = Retry(ctx, "resourcemanager.projects.get", func(ctx context.Context) error {
		p, err := projects.GetProject(ctx, &resourcemanagerpb.GetProjectRequest{Name: "projects/" + project})
		id = p.GetProjectId()
		return err
	})
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	c.projects[project] = id
	c.mu.Unlock()
	return id, nil
}

// Lock keeps this process from fighting itself over one object, such as an
// endpoint or a policy. It waits for its turn until ctx ends.
func (c *Clients) Lock(ctx context.Context, key string) (unlock func(), err error) {
	c.mu.Lock()
	turn, ok := c.locks[key]
	if !ok {
		turn = make(chan struct{}, 1)
		c.locks[key] = turn
	}
	c.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close releases every client that was made.
func (c *Clients) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first error
	for _, closer := range c.closers {
		if err := closer(); err != nil && first == nil {
			first = err
		}
	}
	c.made, c.closers = map[string]any{}, nil
	return first
}

// detached keeps a client usable after the call that made it has ended.
func detached(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// Universe is the domain of the APIs.
func (c *Clients) Universe() string { return c.config.universe() }

func (c *Clients) vertexHost(location string) string {
	return c.host(c.config.VertexAIEndpoint, vertexService(location))
}

// storageReadHost is that of the BigQuery Storage API, which has no custom endpoint
// of its own: with the others on loopback, it is where BigQuery is.
func (c *Clients) storageReadHost() string {
	if c.plaintext() {
		return c.host(c.config.BigQueryEndpoint, "")
	}
	return c.host("", "bigquerystorage")
}

// host is where an API is called by gRPC: at a custom endpoint, or the default.
func (c *Clients) host(endpoint, api string) string {
	return hostOf(endpoint, api+"."+c.config.universe()+":443")
}

// hostOf returns host:port of a custom endpoint, or the default.
func hostOf(endpoint, otherwise string) string {
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil {
		return otherwise
	}
	if u.Port() == "" {
		return u.Host + ":443"
	}
	return u.Host
}

func (c *Clients) grpcOptions(host string) []option.ClientOption {
	options := []option.ClientOption{
		option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(observedUnary(c.config.RequestTimeout, c.config.OnCall))),
	}
	for _, o := range c.config.dialOptions {
		options = append(options, option.WithGRPCDialOption(o))
	}
	if !c.plaintext() {
		return append(append(options, option.WithEndpoint(host)), c.identity()...)
	}
	if c.Emulated() {
		host = c.config.EmulatorHost
	}
	return append(options, option.WithUserAgent(c.config.UserAgent), option.WithEndpoint(host), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
}

// identity is what every request says about its sender.
func (c *Clients) identity() []option.ClientOption {
	options := []option.ClientOption{
		option.WithAuthCredentials(c.creds), option.WithUserAgent(c.config.UserAgent), option.WithUniverseDomain(c.config.universe()),
	}
	if project := c.config.quotaProject(); project != "" {
		options = append(options, option.WithQuotaProject(project))
	}
	if c.config.RequestReason != "" {
		options = append(options, option.WithRequestReason(c.config.RequestReason))
	}
	return options
}
