// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// A front stands before an emulator as Google's own does: it speaks TLS, wants an
// access token with every call, and gives tokens away.
type front struct {
	*httptest.Server
	ca string // a file with the certificate of the authority

	mu       sync.Mutex
	answers  []int // of the token service, before it gives a token
	tokens   int   // requests for one
	let      map[string]int
	rejected []string
}

func newFront(t *testing.T, tw *acctest.Twin) *front {
	t.Helper()
	f := &front{let: map[string]int{}}
	behind := &url.URL{Scheme: "http", Host: tw.Host}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(behind) },
		Transport:     &http.Transport{Protocols: protocols},
		FlushInterval: -1,
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			f.token(w)
		case f.lets(r):
			proxy.ServeHTTP(w, r)
		default:
			http.Error(w, "no token", http.StatusUnauthorized)
		}
	}))
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(f.Close)
	f.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(f.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// answerTokens sets what the token service answers, by HTTP status, before it gives
// tokens again.
func (f *front) answerTokens(statuses ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = statuses
}

// token answers what is next, and then a token.
func (f *front) token(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
	if len(f.answers) > 0 {
		status := f.answers[0]
		f.answers = f.answers[1:]
		http.Error(w, sentence, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": tokenCanary, "token_type": "Bearer", "expires_in": 3600})
}

// lets reports whether a call has the token, and counts it by its API.
func (f *front) lets(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.TLS == nil || r.Header.Get("Authorization") != "Bearer "+tokenCanary {
		f.rejected = append(f.rejected, r.URL.Path)
		return false
	}
	api, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.let[api]++
	return true
}

// provider is a provider block that calls the front.
func (f *front) provider(project, more string) string {
	text := fmt.Sprintf("provider \"gcpml\" {\n  project      = %q\n  region       = %q\n  ownership_id = \"matrix\"\n  %s\n", project, acctest.Region, more)
	for setting, path := range map[string]string{
		"vertex_ai": "/v1/", "big_query": "/bigquery/v2/", "bigquery_connection": "/v1/", "resource_manager": "/v1/", "storage": "/storage/v1/",
	} {
		text += fmt.Sprintf("  %s_custom_endpoint = %q\n", setting, f.URL+path)
	}
	return text + "}\n"
}

// serviceAccount is the key file of an account whose token service the front is.
func (f *front) serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "matrix@demo-gcpml.iam.gserviceaccount.com", "private_key_id": "1", "token_uri": f.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The APIs that the four resources call, as the paths of their calls begin;
// that of connections begins with the version.
var apis = []string{
	"bigquery", "v1", "google.cloud.aiplatform.v1.EndpointService", "google.cloud.aiplatform.v1.ModelService",
	"google.cloud.resourcemanager.v3.Projects", "google.longrunning.Operations",
}

// A real access token goes to every API, over TLS, and is nowhere else: neither in
// state, plan and logs at TRACE nor in what the CLI says, also when a call fails.
func TestAccTokenStaysSecret(t *testing.T) {
	for name, c := range map[string]struct{ argument, env string }{
		"from the environment": {"", "GOOGLE_OAUTH_ACCESS_TOKEN=" + tokenCanary},
		"from an argument":     {"access_token = var.token", "TF_VAR_token=" + tokenCanary},
		"from a token service": {"credentials = var.token", "TF_VAR_token="},
	} {
		if !everything() && name == "from the environment" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--enable-faults", "--operation-latency", "300ms") // so that operations are polled
			f := newFront(t, tw)
			if strings.HasSuffix(c.env, "=") {
				c.env += f.serviceAccount(t)
			}
			cell := newCell(t, &lab{tw: tw, cli: tw.NewCLI(t, tw.Config(""))})
			cell.cli = cell.cli.For(t, "SSL_CERT_FILE="+f.ca, c.env)
			write := func(s shape) {
				cell.cli.Write(f.provider(cell.project, c.argument) + "\nvariable \"token\" {\n  sensitive = true\n  ephemeral = true\n  default   = null\n}\n\n" + s.hcl())
			}
			write(shapeOne)
			if out, exit := cell.plan(); exit != 2 {
				t.Fatalf("exit code %d\n%s", exit, out)
			}
			refusal := answer("PERMISSION_DENIED")
			refusal.Method = vertexEndpoints + "DeployModel"
			tw.Fault(t, refusal)
			if out, exit := cell.apply(); exit == 0 || !strings.Contains(out, "MATRIX-FAULT") {
				t.Errorf("exit code %d; want what the server said:\n%s", exit, out)
			}
			f.answerTokens(http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError)
			cell.must("apply", "-auto-approve", "-no-color")
			f.answerTokens()
			if out, exit := cell.plan(); exit != 0 {
				t.Errorf("exit code %d\n%s", exit, out)
			}
			cell.end()
			for _, api := range apis {
				if f.let[api] == 0 {
					t.Errorf("%s has not seen the token", api)
				}
			}
			if len(f.rejected) > 0 {
				t.Errorf("calls without it: %s", f.rejected)
			}
			t.Logf("calls with the token: %v; tokens asked for: %d", f.let, f.tokens)
			if raw, err := json.Marshal(tw.Calls(t)); err != nil || strings.Contains(string(raw), tokenCanary) {
				t.Errorf("the token is in the emulator's journal (%v)", err)
			}
		})
	}
}

// A token service that refuses the key is told at once, and its answer with it.
func TestAccTokenRefused(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--enable-faults")
	f := newFront(t, tw)
	f.answerTokens(slices.Repeat([]int{http.StatusUnauthorized}, 1000)...)
	cell := newCell(t, &lab{tw: tw, cli: tw.NewCLI(t, tw.Config(""))})
	cell.cli = cell.cli.For(t, "SSL_CERT_FILE="+f.ca)
	for kind, hcl := range map[string]string{"gRPC": shapeOne.hcl("c"), "REST": shapeOne.hcl("c", "r")} {
		if kind == "REST" { // what it needs is known, so that BigQuery is called first
			hcl = strings.ReplaceAll(remoteModelHCL, "gcpml_bq_connection.c.id", fmt.Sprintf(`"projects/%s/locations/US/connections/c"`, cell.project))
			hcl = strings.ReplaceAll(hcl, "gcpml_vertex_endpoint_deployment.e.id", fmt.Sprintf(`"projects/%s/locations/%s/endpoints/e"`, cell.project, acctest.Region))
			hcl = strings.NewReplacer("SUFFIX", "", "TAG", "").Replace(hcl)
		}
		cell.cli.Write(f.provider(cell.project, fmt.Sprintf("credentials = %q", f.serviceAccount(t))) + hcl)
		before := f.tokens
		out, exit := cell.apply()
		if exit == 0 || !strings.Contains(out, "no access token could be had") || !strings.Contains(out, "MATRIX-FAULT") {
			t.Errorf("%s: exit code %d; the error should tell what the token service said:\n%s", kind, exit, out)
		}
		// Before a job is sent a few calls look whether it can work, each of which asks.
		if tries := f.tokens - before; tries > 8 {
			t.Errorf("%s: a token was asked for %d times", kind, tries)
		}
	}
}
