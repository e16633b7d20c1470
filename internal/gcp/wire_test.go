// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// wire is the network as the clients see it: it takes every connection, to whatever
// address, and notes what arrives.
type wire struct {
	listener *bufconn.Listener
	mu       sync.Mutex
	http     []*httpCall
	dialled  []string
	grpc     []grpcCall
	stall    chan struct{} // closed: answer; nil: answer at once
}

type httpCall struct {
	*http.Request
	body string
}

type grpcCall struct {
	method string
	md     metadata.MD
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{listener: bufconn.Listen(1 << 16)}
	// For its certificate only.
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	t.Cleanup(cert.Close)
	server := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&cert.TLS.Certificates[0])),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			md, _ := metadata.FromIncomingContext(stream.Context())
			w.mu.Lock()
			w.grpc = append(w.grpc, grpcCall{method, md})
			first := len(w.grpc) == 1
			w.mu.Unlock()
			if w.stall != nil && first {
				<-stream.Context().Done()
				return stream.Context().Err()
			}
			return status.Error(codes.NotFound, "nothing is here")
		}))
	go func() { _ = server.Serve(w.listener) }()
	t.Cleanup(server.Stop)
	return w
}

// connect is Connect with the wire in the place of the network.
func (w *wire) connect(t *testing.T, c Config, env ...string) (*Clients, error) {
	t.Helper()
	c.transport = w
	c.dialOptions = []grpc.DialOption{
		grpc.WithContextDialer(func(_ context.Context, address string) (net.Conn, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.dialled = append(w.dialled, address)
			return w.listener.Dial()
		}),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})), //nolint:gosec // the wire is a pipe
	}
	c, err := c.WithEnvironment(environment(env...))
	if err != nil {
		return nil, err
	}
	clients, err := Connect(t.Context(), c)
	if err == nil {
		t.Cleanup(func() { _ = clients.Close() })
	}
	return clients, err
}

// RoundTrip answers what the token services and the REST APIs would.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	w.mu.Lock()
	w.http = append(w.http, &httpCall{r, body})
	w.mu.Unlock()
	answer := "{}"
	switch {
	case strings.HasPrefix(r.URL.Host, "sts."):
		answer = `{"access_token": "token-of-sts", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600}`
	case strings.HasPrefix(r.URL.Host, "oauth2."):
		answer = `{"access_token": "token-of-file", "token_type": "Bearer", "expires_in": 3600}`
	case strings.HasPrefix(r.URL.Host, "iamcredentials."):
		account := strings.TrimSuffix(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], ":generateAccessToken")
		answer = fmt.Sprintf(`{"accessToken": "token-of-%s", "expireTime": %q}`, account, time.Now().Add(time.Hour).Format(time.RFC3339))
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// call makes one call by REST and one by gRPC and returns what each carried, under
// the keys of HTTP headers and "host".
func (w *wire) call(t *testing.T, c *Clients) (rest, rpc map[string]string) {
	t.Helper()
	bq, err := c.BigQuery(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bq.Datasets.List("p").Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	connections, err := c.Connections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connections.Get("projects/p/locations/us/connections/c").Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	models, err := c.Models(t.Context(), "europe-west4")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: "projects/p/locations/europe-west4/models/m"}); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, connection := w.lastTo("/datasets"), w.lastTo("/v1/projects/p/locations/us/connections/c")
	// All REST APIs are called alike, each at its own address.
	for _, key := range []string{"Authorization", "X-Goog-User-Project", "X-Goog-Request-Reason", "User-Agent"} {
		if got, want := connection.Header.Get(key), last.Header.Get(key); got != want {
			t.Errorf("%s: %q to connections and %q to BigQuery", key, got, want)
		}
	}
	if domain, ok := strings.CutPrefix(last.URL.Host, "bigquery."); ok && connection.URL.Host != "bigqueryconnection."+domain {
		t.Errorf("connections were asked at %s, BigQuery at %s", connection.URL, last.URL)
	}
	rest, rpc = map[string]string{"host": last.URL.Host}, map[string]string{"host": w.dialled[len(w.dialled)-1]}
	for key, values := range last.Header {
		rest[key] = strings.Join(values, ",")
	}
	for key, values := range w.grpc[len(w.grpc)-1].md {
		rpc[http.CanonicalHeaderKey(key)] = strings.Join(values, ",")
	}
	return rest, rpc
}

// lastTo is the last request with this in its path; there is one.
func (w *wire) lastTo(path string) *httpCall {
	i := len(w.http) - 1
	for i > 0 && !strings.Contains(w.http[i].URL.Path, path) {
		i--
	}
	return w.http[i]
}

// sent are the bodies that went to a host.
func (w *wire) sent(host string) (bodies []string) {
	for _, r := range w.http {
		if r.URL.Host == host {
			bodies = append(bodies, r.URL.Path+" "+r.body)
		}
	}
	return bodies
}

const userFile = `{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"`

// What an argument says is in every call, by REST and by gRPC.
func TestArgumentsOnTheWire(t *testing.T) {
	// Google's libraries would look for the credentials of whoever runs the tests.
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none"))
	t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "")
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, []byte(userFile+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	external := &ExternalCredentials{Audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q", ServiceAccountEmail: "tf@p.iam.gserviceaccount.com", IdentityToken: "a.b.c"}
	for name, c := range map[string]struct {
		config Config
		env    []string
		want   map[string]string // "" is absent
		hosts  [2]string         // REST, gRPC
	}{
		"access_token":                 {config: Config{AccessToken: "t"}, want: map[string]string{"Authorization": "Bearer t", "X-Goog-User-Project": "", "X-Goog-Request-Reason": ""}, hosts: [2]string{"bigquery.googleapis.com", "europe-west4-aiplatform.googleapis.com:443"}},
		"credentials, text":            {config: Config{Credentials: userFile + "}"}, want: map[string]string{"Authorization": "Bearer token-of-file"}},
		"credentials, file":            {config: Config{Credentials: file}, want: map[string]string{"Authorization": "Bearer token-of-file"}},
		"credentials, environment":     {env: []string{"GOOGLE_CREDENTIALS", file}, want: map[string]string{"Authorization": "Bearer token-of-file"}},
		"external_credentials":         {config: Config{ExternalCredentials: external}, env: []string{"GOOGLE_OAUTH_ACCESS_TOKEN", "t"}, want: map[string]string{"Authorization": "Bearer token-of-tf@p.iam.gserviceaccount.com"}},
		"impersonate_service_account":  {config: Config{AccessToken: "t", ImpersonateServiceAccount: "ci@p"}, want: map[string]string{"Authorization": "Bearer token-of-ci@p"}},
		"user_project_override":        {config: Config{AccessToken: "t", Project: "mine", UserProjectOverride: &yes}, want: map[string]string{"X-Goog-User-Project": "mine"}},
		"billing_project":              {config: Config{AccessToken: "t", Project: "mine", UserProjectOverride: &yes, BillingProject: "payer"}, want: map[string]string{"X-Goog-User-Project": "payer"}},
		"billing_project alone":        {config: Config{AccessToken: "t", BillingProject: "payer"}, want: map[string]string{"X-Goog-User-Project": ""}},
		"no override over environment": {config: Config{AccessToken: "t", UserProjectOverride: &no}, env: []string{"USER_PROJECT_OVERRIDE", "true", "GOOGLE_BILLING_PROJECT", "payer"}, want: map[string]string{"X-Goog-User-Project": ""}},
		"override of the environment":  {config: Config{AccessToken: "t"}, env: []string{"USER_PROJECT_OVERRIDE", "1", "GOOGLE_BILLING_PROJECT", "payer"}, want: map[string]string{"X-Goog-User-Project": "payer"}},
		"quota project of a file":      {config: Config{Credentials: userFile + `, "quota_project_id": "filed"}`}, want: map[string]string{"X-Goog-User-Project": "filed"}},
		"override over a file":         {config: Config{Credentials: userFile + `, "quota_project_id": "filed"}`, UserProjectOverride: &yes, BillingProject: "payer"}, want: map[string]string{"X-Goog-User-Project": "payer"}},
		"request_reason":               {config: Config{AccessToken: "t", RequestReason: "ticket 42"}, want: map[string]string{"X-Goog-Request-Reason": "ticket 42"}},
		"request_reason, environment":  {config: Config{AccessToken: "t"}, env: []string{"CLOUDSDK_CORE_REQUEST_REASON", "ticket 43"}, want: map[string]string{"X-Goog-Request-Reason": "ticket 43"}},
		"universe_domain":              {config: Config{AccessToken: "t", UniverseDomain: "cloud.example"}, hosts: [2]string{"bigquery.cloud.example", "europe-west4-aiplatform.cloud.example:443"}},
		"universe of a file":           {config: Config{Credentials: userFile + `, "universe_domain": "cloud.example"}`, UniverseDomain: "cloud.example"}, hosts: [2]string{"bigquery.cloud.example", "europe-west4-aiplatform.cloud.example:443"}},
		"custom endpoints":             {config: Config{AccessToken: "t", BigQueryEndpoint: "https://bq.psc.example/bigquery/v2/", VertexAIEndpoint: "https://vx.psc.example:8443/v1/"}, hosts: [2]string{"bq.psc.example", "vx.psc.example:8443"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			clients, err := w.connect(t, c.config, c.env...)
			if err != nil {
				t.Fatal(err)
			}
			rest, rpc := w.call(t, clients)
			for key, want := range c.want {
				if rest[key] != want || rpc[key] != want {
					t.Errorf("%s: %q by REST and %q by gRPC, want %q", key, rest[key], rpc[key], want)
				}
			}
			if c.hosts[0] != "" && (rest["host"] != c.hosts[0] || rpc["host"] != c.hosts[1]) {
				t.Errorf("calls went to %q and %q, want %q", rest["host"], rpc["host"], c.hosts)
			}
		})
	}
}

// A user's setting wins over what Google's own libraries read.
func TestBillingProjectBeatsTheLibrary(t *testing.T) {
	t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "of-the-library")
	w, yes := newWire(t), true
	clients, err := w.connect(t, Config{AccessToken: "t", UserProjectOverride: &yes, BillingProject: "payer"})
	if err != nil {
		t.Fatal(err)
	}
	if rest, rpc := w.call(t, clients); rest["X-Goog-User-Project"] != "payer" || rpc["X-Goog-User-Project"] != "payer" {
		t.Errorf("%q by REST and %q by gRPC", rest["X-Goog-User-Project"], rpc["X-Goog-User-Project"])
	}
}

func TestTokensAreAskedForWithTheScopes(t *testing.T) {
	scopes := []string{"https://www.googleapis.com/auth/bigquery", "https://www.googleapis.com/auth/cloud-platform.read-only"}
	w := newWire(t)
	clients, err := w.connect(t, Config{
		ExternalCredentials:       &ExternalCredentials{Audience: "//iam.googleapis.com/x", ServiceAccountEmail: "tf@p", IdentityToken: "a.b.c"},
		ImpersonateServiceAccount: "last@p", ImpersonateDelegates: []string{"via@p"}, Scopes: scopes,
	})
	if err != nil {
		t.Fatal(err)
	}
	rest, rpc := w.call(t, clients)
	if want := "Bearer token-of-last@p"; rest["Authorization"] != want || rpc["Authorization"] != want {
		t.Errorf("token %q and %q", rest["Authorization"], rpc["Authorization"])
	}
	// RFC 8693, as the Security Token Service documents it.
	form, err := url.ParseQuery(strings.SplitN(w.sent("sts.googleapis.com")[0], " ", 2)[1])
	if err != nil || form.Get("subject_token") != "a.b.c" || form.Get("audience") != "//iam.googleapis.com/x" || form.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
		t.Errorf("the exchange asked for %v (%v)", form, err)
	}
	var of []string
	for _, body := range w.sent("iamcredentials.googleapis.com") {
		path, text, _ := strings.Cut(body, " ")
		var request struct{ Scope, Delegates []string }
		if err := json.Unmarshal([]byte(text), &request); err != nil {
			t.Fatal(err)
		}
		if strings.Join(request.Scope, " ") != strings.Join(scopes, " ") {
			t.Errorf("%s has the scopes %v", path, request.Scope)
		}
		of = append(of, path+fmt.Sprint(request.Delegates))
	}
	want := "/v1/projects/-/serviceAccounts/tf@p:generateAccessToken[] /v1/projects/-/serviceAccounts/last@p:generateAccessToken[projects/-/serviceAccounts/via@p]"
	if strings.Join(of[:2], " ") != want {
		t.Errorf("tokens were asked for as %v, want %s", of, want)
	}
}

// Each API goes where its own endpoint says.
func TestEveryCustomEndpoint(t *testing.T) {
	w := newWire(t)
	clients, err := w.connect(t, Config{
		AccessToken: "t", BigQueryConnectionEndpoint: "https://conn.example/y/v1/", ResourceManagerEndpoint: "https://crm.example/v1/", StorageEndpoint: "https://gcs.example/x/storage/v1/",
	})
	if err != nil {
		t.Fatal(err)
	}
	storage, err := clients.Storage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Objects.Get("bucket", "o").Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	if u := w.http[len(w.http)-1].URL; u.Host != "gcs.example" || u.Path != "/x/storage/v1/b/bucket/o/o" {
		t.Errorf("Cloud Storage was asked at %s", u)
	}
	if _, err := clients.ReadObject(t.Context(), "gs://bucket/a/b", 10); err != nil {
		t.Fatal(err)
	}
	if u := w.http[len(w.http)-1].URL; u.Host != "gcs.example" || u.EscapedPath() != "/x/storage/v1/b/bucket/o/a%2Fb" {
		t.Errorf("an object was read at %s", u)
	}
	projects, err := clients.Projects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = projects.GetProject(t.Context(), &resourcemanagerpb.GetProjectRequest{Name: "projects/p"})
	connections, err := clients.Connections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connections.Get("projects/p/locations/us/connections/c").Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	if u := w.http[len(w.http)-1].URL; u.Host != "conn.example" || u.Path != "/y/v1/projects/p/locations/us/connections/c" {
		t.Errorf("connections were asked at %s", u)
	}
	if got := strings.Join(w.dialled, " "); got != "crm.example:443" {
		t.Errorf("gRPC went to %s", got)
	}
}

func TestUserAgentExtension(t *testing.T) {
	w := newWire(t)
	clients, err := w.connect(t, Config{AccessToken: "t", UserAgent: "terraform-provider-gcpml/1"}, "GOOGLE_TERRAFORM_USERAGENT_EXTENSION", "pipeline/7")
	if err != nil {
		t.Fatal(err)
	}
	rest, rpc := w.call(t, clients)
	for _, agent := range []string{rest["User-Agent"], rpc["User-Agent"]} {
		if !strings.Contains(agent, "terraform-provider-gcpml/1 pipeline/7") {
			t.Errorf("user agent %q", agent)
		}
	}
}

func TestUniverseOfCredentials(t *testing.T) {
	for name, c := range map[string]struct{ config, credential, words string }{
		"only in the configuration": {"cloud.example", "", "the credential is of the universe googleapis.com"},
		"only in the credential":    {"", "cloud.example", "set universe_domain to it"},
		"two of them":               {"a.example", "b.example", "of the universe b.example and not of a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			text := userFile + "}"
			if c.credential != "" {
				text = userFile + `, "universe_domain": "` + c.credential + `"}`
			}
			_, err := newWire(t).connect(t, Config{Credentials: text, UniverseDomain: c.config})
			var wrong *ConfigError
			if !errors.As(err, &wrong) || wrong.Setting != "universe_domain" || !strings.Contains(wrong.Message, c.words) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A call that is not answered in time counts as one whose answer was lost: what the
// retry table allows to be sent again is sent again.
func TestRequestTimeout(t *testing.T) {
	w := newWire(t)
	w.stall = make(chan struct{})
	clients, err := w.connect(t, Config{AccessToken: "t", RequestTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	models, err := clients.Models(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	tries, first := 0, error(nil)
	err = Retry(t.Context(), "vertex.models.upload", func(ctx context.Context) error {
		_, err := models.GetModel(ctx, &aiplatformpb.GetModelRequest{Name: "projects/p/locations/r/models/m"})
		if tries++; tries == 1 {
			first = err
		}
		return err
	})
	if tries != 2 || Code(err) != codes.NotFound || Code(first) != codes.Unavailable || !strings.Contains(first.Error(), "no answer within 300ms (request_timeout)") {
		t.Errorf("%d tries: %v, then %v", tries, first, err)
	}

	// The caller's own end is the caller's.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	blocked := observedTransport{base: blocking{}, timeout: time.Minute}
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://x/", nil)
	if _, err := blocked.RoundTrip(request); Code(err) != codes.DeadlineExceeded {
		t.Errorf("the caller's deadline became %v", err)
	}
	blocked.timeout = 20 * time.Millisecond
	if _, err := blocked.RoundTrip(request.WithContext(t.Context())); Code(err) != codes.Unavailable {
		t.Errorf("an answer that does not come is %v", err)
	}
	blocked.base = blocking{body: true}
	resp, err := blocked.RoundTrip(request.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); Code(err) != codes.Unavailable {
		t.Errorf("an answer that does not end is %v", err)
	}
}

// blocking is a server that does not answer, or does not end its answer.
type blocking struct{ body bool }

func (b blocking) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.body {
		return &http.Response{StatusCode: http.StatusOK, Body: endless{r.Context()}}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

type endless struct{ ctx context.Context }

func (e endless) Read([]byte) (int, error) { <-e.ctx.Done(); return 0, e.ctx.Err() }
func (endless) Close() error               { return nil }

// Predictions take as long as the model does.
func TestRequestTimeoutSparesPredictions(t *testing.T) {
	const method = "/google.cloud.aiplatform.v1.PredictionService/Predict"
	if err := bounded(t.Context(), time.Millisecond, method, func(ctx context.Context) error { return Sleep(ctx, 20*time.Millisecond) }); err != nil {
		t.Error(err)
	}
	if err := bounded(t.Context(), time.Millisecond, "/google.cloud.aiplatform.v1.ModelService/GetModel", func(ctx context.Context) error { return Sleep(ctx, time.Minute) }); Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

type slowOperation struct {
	polls []time.Time
	done  int
}

func (o *slowOperation) GetOperation(context.Context, *longrunningpb.GetOperationRequest, ...gax.CallOption) (*longrunningpb.Operation, error) {
	o.polls = append(o.polls, time.Now())
	return &longrunningpb.Operation{Done: len(o.polls) == o.done}, nil
}

func TestPollInterval(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{0: firstPoll, 5 * time.Millisecond: 5 * time.Millisecond, time.Hour: firstPoll} {
		clients := &Clients{config: Config{PollInterval: interval}}
		op := &slowOperation{done: 3}
		if _, err := WaitOperation(clients.Polling(t.Context()), op, "o", nil); err != nil {
			t.Fatal(err)
		}
		// The second pause of a short interval is not longer than the first.
		least, most := want, want+100*time.Millisecond
		if first := op.polls[1].Sub(op.polls[0]); first < least || first > most {
			t.Errorf("interval %s: the first pause was %s", interval, first)
		}
		if second := op.polls[2].Sub(op.polls[1]); interval == 5*time.Millisecond && second > most {
			t.Errorf("interval %s: the second pause was %s", interval, second)
		}
	}
	if d := longestPoll((&Clients{}).Polling(t.Context())); d != 10*time.Second {
		t.Errorf("the default is %s", d)
	}
}

func TestAttribution(t *testing.T) {
	const label = "goog-terraform-provisioned"
	m := Marker{Incarnation: "i"}
	for strategy, want := range map[Attribution][3]bool{"": {}, AttributionCreationOnly: {true, true, false}, AttributionProactive: {true, true, true}} {
		m.Attribution = strategy
		got := [3]bool{}
		_, got[0] = m.Labels(map[string]string{"a": "b"})[label]
		_, got[1] = m.Merge(map[string]string{"theirs": "x"}, nil, nil)[label] // made by DDL, without a label
		_, got[2] = m.Merge(map[string]string{labelIncarnation: "i"}, nil, nil)[label]
		if got != want {
			t.Errorf("%q: made, first marked, changed: %v, want %v", strategy, got, want)
		}
		// Once there it stays.
		if kept := m.Merge(map[string]string{labelIncarnation: "i", label: "true"}, nil, nil)[label]; kept != "true" {
			t.Errorf("%q: the label was removed", strategy)
		}
	}
}
