// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"errors"
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestConfigurationBeatsEnvironment(t *testing.T) {
	env := environment("GOOGLE_PROJECT", "from-env", "GOOGLE_CLOUD_PROJECT", "later", "GOOGLE_REGION", "europe-west4",
		"GOOGLE_CREDENTIALS", "creds-env", "GOOGLE_OAUTH_ACCESS_TOKEN", "token-env")
	c, err := Config{Project: "configured"}.WithEnvironment(env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Project != "configured" || c.Region != "europe-west4" {
		t.Errorf("project %q, region %q", c.Project, c.Region)
	}
	// terraform-provider-google: a token of the environment wins over credentials of the environment…
	if c.AccessToken != "token-env" || c.Credentials != "" {
		t.Errorf("token %q, credentials %q", c.AccessToken, c.Credentials)
	}
	// … and neither is read when the configuration has one.
	c, err = Config{Credentials: "key.json"}.WithEnvironment(env)
	if err != nil || c.AccessToken != "" || c.Credentials != "key.json" || c.Project != "from-env" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = (Config{Region: "projects/p/regions/us-east1"}).WithEnvironment(environment()); err != nil || c.Region != "us-east1" {
		t.Errorf("a self link as region: %q, %v", c.Region, err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		config  Config
		env     []string
		setting string
		words   string
	}{
		"empty emulator variable":       {Config{}, []string{"GCPML_EMULATOR_HOST", ""}, "emulator_host", "set but empty"},
		"emulator host without a port":  {Config{EmulatorHost: "localhost"}, nil, "emulator_host", "host:port"},
		"emulator and token":            {Config{EmulatorHost: "localhost:1", AccessToken: "t"}, nil, "emulator_host", "access_token"},
		"emulator and credentials":      {Config{EmulatorHost: "localhost:1"}, []string{"GOOGLE_CREDENTIALS", "x"}, "emulator_host", "credentials"},
		"emulator and impersonation":    {Config{EmulatorHost: "localhost:1", ImpersonateServiceAccount: "a@b"}, nil, "emulator_host", "impersonate_service_account"},
		"emulator and custom endpoint":  {Config{EmulatorHost: "localhost:1", BigQueryEndpoint: "https://x/bigquery/v2/"}, nil, "big_query_custom_endpoint", "conflicts with emulator_host"},
		"only some on loopback":         {Config{VertexAIEndpoint: "http://127.0.0.1:1/v1/"}, nil, "vertex_ai_custom_endpoint", "loopback"},
		"plain http elsewhere":          {Config{VertexAIEndpoint: "http://example.com/v1/"}, nil, "vertex_ai_custom_endpoint", "https://"},
		"endpoint without version":      {Config{VertexAIEndpoint: "https://example.com/"}, nil, "vertex_ai_custom_endpoint", "/v1/"},
		"endpoint with a path in front": {Config{VertexAIEndpoint: "https://example.com/proxy/v1/"}, nil, "vertex_ai_custom_endpoint", "gRPC"},
		"endpoint with user info":       {Config{BigQueryEndpoint: "https://u:p@example.com/bigquery/v2/"}, nil, "big_query_custom_endpoint", "URL"},
		"token and credentials":         {Config{AccessToken: "t", Credentials: "c"}, nil, "access_token", "conflicts"},
		"ownership id in upper case":    {Config{OwnershipID: "Prod"}, nil, "ownership_id", "lower-case"},
		"reserved default label":        {Config{DefaultLabels: map[string]string{"gcpml-owner": "x"}}, nil, "default_labels", "reserved"},
		"default label in upper case":   {Config{DefaultLabels: map[string]string{"team": "ML"}}, nil, "default_labels", "lower-case"},
		"four on loopback":              {func() Config { c := onLoopback(); c.StorageEndpoint = ""; return c }(), nil, "resource_manager_custom_endpoint", "storage_custom_endpoint is not"},
		"http and https on loopback":    {func() Config { c := onLoopback(); c.StorageEndpoint = "https://localhost/storage/v1/"; return c }(), nil, "storage_custom_endpoint", "both be"},
		"emulator and external":         {Config{EmulatorHost: "localhost:1", ExternalCredentials: &ExternalCredentials{"a", "b@c", "d"}}, nil, "emulator_host", "external_credentials"},
		"emulator and storage":          {Config{EmulatorHost: "localhost:1", StorageEndpoint: "https://x/storage/v1/"}, nil, "storage_custom_endpoint", "conflicts with emulator_host"},
		"emulator and manager":          {Config{EmulatorHost: "localhost:1"}, []string{"GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT", "https://x/v1/"}, "resource_manager_custom_endpoint", "conflicts with emulator_host"},
		"unknown deletion policy":       {Config{DeletionPolicy: "KEEP"}, nil, "deletion_policy", "DELETE, PREVENT, ABANDON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.config.WithEnvironment(environment(c.env...))
			var wrong *ConfigError
			if !errors.As(err, &wrong) || wrong.Setting != c.setting || !strings.Contains(wrong.Message, c.words) {
				t.Errorf("got %v, want an error about %s with %q", err, c.setting, c.words)
			}
		})
	}
}

func onLoopback() Config {
	return Config{
		VertexAIEndpoint: "http://127.0.0.1:9/v1/", BigQueryEndpoint: "http://127.0.0.1:9/bigquery/v2/", BigQueryConnectionEndpoint: "http://localhost:9/v1/",
		ResourceManagerEndpoint: "http://[::1]:9/v1/", StorageEndpoint: "http://127.0.0.1:9/storage/v1/",
	}
}

func TestOneCustomEndpointAloneIsLegal(t *testing.T) {
	if _, err := (Config{VertexAIEndpoint: "https://vertex.psc.example.com/v1/"}).WithEnvironment(environment()); err != nil {
		t.Error(err)
	}
	if _, err := onLoopback().WithEnvironment(environment()); err != nil {
		t.Error(err)
	}
	secure := onLoopback()
	for _, e := range []*string{&secure.VertexAIEndpoint, &secure.BigQueryEndpoint, &secure.BigQueryConnectionEndpoint, &secure.ResourceManagerEndpoint, &secure.StorageEndpoint} {
		*e = strings.Replace(*e, "http:", "https:", 1)
	}
	if _, err := secure.WithEnvironment(environment()); err != nil {
		t.Error(err)
	}
}

func TestCredentialErrorsHoldNoSecret(t *testing.T) {
	const canary = "s3cr3t-canary"
	for _, credentials := range []string{
		`{"type": "service_account", "private_key": "` + canary,
		`{"type": "service_account", "private_key": "` + canary + `"}`,
		`{"type": "` + canary[:3] + `", "x": "` + canary + `"}`,
		"/no/such/file/" + canary,
	} {
		_, err := Connect(t.Context(), Config{Credentials: credentials})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("error %v", err)
		}
	}
}
