// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	connection "cloud.google.com/go/bigquery/connection/apiv1"
	resourcemanager "cloud.google.com/go/resourcemanager/apiv3"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	gtransport "google.golang.org/api/transport/grpc"
	htransport "google.golang.org/api/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const cloudPlatformScope = "https://www.googleapis.com/auth/cloud-platform"

// Clients makes the Google clients that a configuration calls for, each once.
// It is safe for concurrent use.
type Clients struct {
	config Config
	creds  *auth.Credentials // nil on the emulator and on loopback endpoints

	mu       sync.Mutex
	made     map[string]any
	projects map[string]string // project number or id → id
	locks    map[string]chan struct{}
	closers  []func() error
}

// Connect checks the credentials of a configuration that came from
// [Config.WithEnvironment] and returns its clients. It makes no API call.
func Connect(_ context.Context, c Config) (*Clients, error) {
	c, err := c.normalised()
	if err != nil {
		return nil, err
	}
	clients := &Clients{config: c, made: map[string]any{}, projects: map[string]string{}, locks: map[string]chan struct{}{}}
	if clients.plaintext() {
		return clients, nil
	}
	clients.creds, err = c.credentials()
	return clients, err
}

// credentials resolves the user's credential settings. Errors never hold the
// text of a credential.
func (c Config) credentials() (*auth.Credentials, error) {
	creds, err := c.sourceCredentials()
	if err != nil || c.ImpersonateServiceAccount == "" {
		return creds, err
	}
	creds, err = impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: c.ImpersonateServiceAccount,
		Scopes:          []string{cloudPlatformScope},
		Credentials:     creds,
	})
	if err != nil {
		return nil, &ConfigError{"impersonate_service_account", "cannot be used: " + err.Error()}
	}
	return creds, nil
}

func (c Config) sourceCredentials() (*auth.Credentials, error) {
	options := &credentials.DetectOptions{Scopes: []string{cloudPlatformScope}}
	if c.AccessToken != "" {
		return auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: staticToken(c.AccessToken)}), nil
	}
	if c.Credentials == "" {
		creds, err := credentials.DetectDefault(options)
		if err != nil {
			return nil, &ConfigError{"credentials", "none are set and no Application Default Credentials were found: run `gcloud auth application-default login`, set credentials or access_token, or set emulator_host (" + emulatorVariable + ") to work with the emulator"}
		}
		return creds, nil
	}
	content := []byte(c.Credentials)
	if !strings.HasPrefix(strings.TrimSpace(c.Credentials), "{") {
		var err error
		if content, err = os.ReadFile(c.Credentials); err != nil {
			return nil, &ConfigError{"credentials", "is neither JSON nor a readable file"}
		}
	}
	var kind struct{ Type credentials.CredType }
	if err := json.Unmarshal(content, &kind); err != nil {
		return nil, &ConfigError{"credentials", "is not valid JSON"}
	}
	switch kind.Type {
	case credentials.ServiceAccount, credentials.AuthorizedUser, credentials.ImpersonatedServiceAccount, credentials.ExternalAccount:
	default:
		return nil, &ConfigError{"credentials", fmt.Sprintf("the type %q is not supported: use service_account, authorized_user, impersonated_service_account or external_account", kind.Type)}
	}
	creds, err := credentials.NewCredentialsFromJSON(kind.Type, content, options)
	if err != nil {
		return nil, &ConfigError{"credentials", fmt.Sprintf("this %s credential cannot be used: a field is missing or malformed", kind.Type)}
	}
	return creds, nil
}

type staticToken string

func (t staticToken) Token(context.Context) (*auth.Token, error) {
	// A year ahead, so that no refresh is tried: a refused token shows as UNAUTHENTICATED.
	return &auth.Token{Value: string(t), Type: "Bearer", Expiry: time.Now().AddDate(1, 0, 0)}, nil
}

// Config returns the configuration in use.
func (c *Clients) Config() Config { return c.config }

// Emulated reports whether calls go to the emulator.
func (c *Clients) Emulated() bool { return c.config.EmulatorHost != "" }

// Project returns the default project id, "" when none is set.
func (c *Clients) Project() string { return c.config.Project }

// Region returns the default Vertex AI location, "" when none is set.
func (c *Clients) Region() string { return c.config.Region }

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

// Connections returns the client for BigQuery connections.
func (c *Clients) Connections(ctx context.Context) (*connection.Client, error) {
	return once(c, "BigQuery connections", func() (*connection.Client, func() error, error) {
		k, err := connection.NewClient(detached(ctx), c.grpcOptions(hostOf(c.config.BigQueryConnectionEndpoint, "bigqueryconnection.googleapis.com:443"))...)
		if err != nil {
			return nil, nil, err
		}
		k.CallOptions = &connection.CallOptions{}
		return k, k.Close, nil
	})
}

// Projects returns the Resource Manager client, which also reads and writes the
// IAM policy of projects.
func (c *Clients) Projects(ctx context.Context) (*resourcemanager.ProjectsClient, error) {
	return once(c, "projects", func() (*resourcemanager.ProjectsClient, func() error, error) {
		p, err := resourcemanager.NewProjectsClient(detached(ctx), c.grpcOptions("cloudresourcemanager.googleapis.com:443")...)
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
	transport, err := c.BigQueryHTTP(ctx)
	if err != nil {
		return nil, err
	}
	return once(c, "BigQuery", func() (*bigquery.Service, func() error, error) {
		options := []option.ClientOption{option.WithHTTPClient(transport), option.WithUserAgent(c.config.UserAgent)}
		endpoint := c.config.BigQueryEndpoint
		if c.Emulated() {
			endpoint = "http://" + c.config.EmulatorHost + "/bigquery/v2/"
		}
		if endpoint != "" {
			options = append(options, option.WithEndpoint(endpoint))
		}
		s, err := bigquery.NewService(detached(ctx), options...)
		return s, func() error { return nil }, err
	})
}

// BigQueryHTTP returns the HTTP client that the client of [Clients.BigQuery] uses,
// for answers that are too large to be decoded by it.
func (c *Clients) BigQueryHTTP(ctx context.Context) (*http.Client, error) {
	return once(c, "BigQuery over HTTP", func() (*http.Client, func() error, error) {
		base := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented type
		transport := http.RoundTripper(observedTransport{base, c.config.OnCall})
		if !c.plaintext() {
			var err error
			if transport, err = htransport.NewTransport(detached(ctx), transport, option.WithAuthCredentials(c.creds), option.WithUserAgent(c.config.UserAgent)); err != nil {
				return nil, nil, err
			}
		}
		return &http.Client{Transport: transport}, func() error { base.CloseIdleConnections(); return nil }, nil
	})
}

// BigQueryStorage returns a connection to the BigQuery Storage API, for the generated
// stub: what the generated client adds to it are retries, which are ours to decide.
func (c *Clients) BigQueryStorage(ctx context.Context) (*grpc.ClientConn, error) {
	return once(c, "BigQuery Storage", func() (*grpc.ClientConn, func() error, error) {
		connection, err := gtransport.Dial(detached(ctx), append(c.grpcOptions("bigquerystorage.googleapis.com:443"),
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

func (c *Clients) vertexHost(location string) string {
	host := location + "-aiplatform.googleapis.com:443"
	if location == "global" {
		host = "aiplatform.googleapis.com:443"
	}
	return hostOf(c.config.VertexAIEndpoint, host)
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
	observe := option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(observedUnary(c.config.OnCall)))
	agent := option.WithUserAgent(c.config.UserAgent)
	if c.plaintext() {
		if c.Emulated() {
			host = c.config.EmulatorHost
		}
		return []option.ClientOption{
			observe, agent, option.WithEndpoint(host), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	}
	return []option.ClientOption{observe, agent, option.WithEndpoint(host), option.WithAuthCredentials(c.creds)}
}

func observedUnary(observe CallObserver) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		start := time.Now()
		err := invoker(ctx, method, req, reply, cc, opts...)
		if observe != nil {
			observe(ctx, Call{Method: method, Code: Code(err), Latency: time.Since(start), Attempt: attemptOf(ctx)})
		}
		return err
	}
}

type observedTransport struct {
	base    http.RoundTripper
	observe CallObserver
}

func (t observedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.base.RoundTrip(r)
	if t.observe == nil {
		return resp, err
	}
	call := Call{Method: r.Method + " " + r.URL.Path, Latency: time.Since(start), Attempt: attemptOf(r.Context())}
	if err != nil {
		call.Code = Code(err)
	} else {
		call.Code = codeOfHTTP(resp.StatusCode)
		call.RequestID = resp.Header.Get("X-Goog-Request-Id")
	}
	t.observe(r.Context(), call)
	return resp, err
}
