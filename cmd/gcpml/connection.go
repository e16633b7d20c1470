// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// connectionOptions say where calls go and as whom. They are the settings of the
// provider: the same names, environment variables and precedence, from internal/gcp.
// A value of the profile counts where neither a flag nor the environment has one.
type connectionOptions struct {
	config          gcp.Config
	accessTokenFile string
	verbose         bool
}

func (o *connectionOptions) group() optionGroup {
	return optionGroup{"Connection options", []string{"--project my-project --region europe-west1 --impersonate-service-account ci@my-project.iam.gserviceaccount.com", "--credentials key.json --verbose", "--project my-project --access-token-file token", "--emulator-host 127.0.0.1:9123", "--big-query-custom-endpoint https://bigquery-psc.p.googleapis.com/bigquery/v2/ --bigquery-connection-custom-endpoint https://bigqueryconnection-psc.p.googleapis.com/v1/", "--vertex-ai-custom-endpoint https://aiplatform-psc.p.googleapis.com/v1/ --resource-manager-custom-endpoint https://cloudresourcemanager-psc.p.googleapis.com/v1/ --storage-custom-endpoint https://storage-psc.p.googleapis.com/storage/v1/", "--project my-project --billing-project shared-billing --request-reason TICKET-42", "--project my-project --universe-domain cloud.example"}, func(f *pflag.FlagSet) {
		f.StringVar(&o.config.Project, "project", "", "project that runs and pays for the jobs (GOOGLE_PROJECT)")
		f.StringVar(&o.config.Region, "region", "", "Vertex AI region of endpoints (GOOGLE_REGION)")
		f.StringVar(&o.config.Credentials, "credentials", "", "credentials `FILE` (GOOGLE_CREDENTIALS)")
		f.StringVar(&o.accessTokenFile, "access-token-file", "", "`FILE` that holds an OAuth access token (GOOGLE_OAUTH_ACCESS_TOKEN is the token)")
		f.StringVar(&o.config.ImpersonateServiceAccount, "impersonate-service-account", "", "service account to act as (GOOGLE_IMPERSONATE_SERVICE_ACCOUNT)")
		f.StringVar(&o.config.BillingProject, "billing-project", "", "project to charge quota and cost of API calls to, in the place of the credential's (GOOGLE_BILLING_PROJECT with USER_PROJECT_OVERRIDE=true)")
		f.StringVar(&o.config.RequestReason, "request-reason", "", "reason of the calls, for audit logs (CLOUDSDK_CORE_REQUEST_REASON)")
		f.StringVar(&o.config.UniverseDomain, "universe-domain", "", "domain of the APIs, for a Google Cloud other than the public one")
		f.StringVar(&o.config.EmulatorHost, "emulator-host", "", "`HOST:PORT` of a gcpml-emulator to send every call to, without credentials (GCPML_EMULATOR_HOST)")
		f.StringVar(&o.config.BigQueryEndpoint, "big-query-custom-endpoint", "", "`URL` of the BigQuery API, ending in /bigquery/v2/ (GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT)")
		f.StringVar(&o.config.VertexAIEndpoint, "vertex-ai-custom-endpoint", "", "`URL` of the Vertex AI API, ending in /v1/ (GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT)")
		f.StringVar(&o.config.BigQueryConnectionEndpoint, "bigquery-connection-custom-endpoint", "", "`URL` of the BigQuery Connection API, ending in /v1/ (GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT)")
		f.StringVar(&o.config.ResourceManagerEndpoint, "resource-manager-custom-endpoint", "", "`URL` of the Resource Manager API, ending in /v1/ (GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT)")
		f.StringVar(&o.config.StorageEndpoint, "storage-custom-endpoint", "", "`URL` of the Cloud Storage API, ending in /storage/v1/ (GOOGLE_STORAGE_CUSTOM_ENDPOINT)")
		f.BoolVarP(&o.verbose, "verbose", "v", false, "tell of every API call on standard error")
	}}
}

// connectionSettings are the keys of a profile that [connectionOptions.connect]
// reads, because the environment comes before them.
func (o *connectionOptions) settings() map[string]*string {
	return map[string]*string{
		"project": &o.config.Project, "region": &o.config.Region, "credentials": &o.config.Credentials,
		"impersonate_service_account": &o.config.ImpersonateServiceAccount, "emulator_host": &o.config.EmulatorHost,
		"big_query_custom_endpoint": &o.config.BigQueryEndpoint, "vertex_ai_custom_endpoint": &o.config.VertexAIEndpoint,
		"bigquery_connection_custom_endpoint": &o.config.BigQueryConnectionEndpoint,
		"resource_manager_custom_endpoint":    &o.config.ResourceManagerEndpoint, "storage_custom_endpoint": &o.config.StorageEndpoint,
		"billing_project": &o.config.BillingProject, "request_reason": &o.config.RequestReason, "universe_domain": &o.config.UniverseDomain,
	}
}

// connect resolves flags, environment and profile and returns the clients. No call
// is made.
func (o connectionOptions) connect(ctx context.Context, a *app) (*gcp.Clients, error) {
	if o.verbose {
		o.config.OnCall = a.ui.call
	}
	if o.accessTokenFile != "" {
		if err := o.readToken(o.accessTokenFile); err != nil {
			return nil, err
		}
	}
	o.config.UserAgent = "gcpml/" + versionText()
	if o.config.BillingProject != "" {
		o.config.UserProjectOverride = new(true) // nobody names a project that is not to be charged
	}
	config, err := o.config.WithEnvironment(a.lookupEnv)
	if err != nil {
		return nil, configError(err)
	}
	o.config = config
	hasCredential := config.Credentials != "" || config.AccessToken != ""
	for key, field := range o.settings() {
		if *field == "" && (key != "credentials" || !hasCredential) {
			*field = a.profile.text(key)
		}
	}
	if o.config.UserProjectOverride == nil && config.BillingProject == "" && o.config.BillingProject != "" {
		o.config.UserProjectOverride = new(true)
	}
	if file := a.profile.text("access_token_file"); file != "" && !hasCredential && o.config.Credentials == "" {
		if err := o.readToken(file); err != nil {
			return nil, err
		}
	}
	if o.config.Project == "" {
		return nil, usagef("no project: set --project or GOOGLE_PROJECT")
	}
	clients, err := gcp.Connect(ctx, o.config)
	if err != nil {
		return nil, configError(err)
	}
	return clients, nil
}

func (o *connectionOptions) readToken(file string) error {
	token, err := os.ReadFile(file)
	if err != nil {
		return usagef("--access-token-file: %w", err)
	}
	if o.config.AccessToken = string(bytes.TrimSpace(token)); o.config.AccessToken == "" {
		return usagef("--access-token-file: %s is empty", file)
	}
	return nil
}

// configError names the flag in the place of the provider's argument.
func configError(err error) error {
	if c, ok := errors.AsType[*gcp.ConfigError](err); ok {
		return usagef("--%s: %s", strings.ReplaceAll(c.Setting, "_", "-"), c.Message)
	}
	return &exitError{exitUsage, err}
}

// reach makes a connection to the API, or to the proxy on the way there, and drops
// it. The retries further down are patient, as they should be with a service that
// is known to be there; an address where nothing listens has to fail at once.
func reach(ctx context.Context, c gcp.Config) error {
	target, setting := "https://bigquery.googleapis.com/", ""
	switch {
	case c.EmulatorHost != "":
		target, setting = "http://"+c.EmulatorHost+"/", "is the emulator running (gcpml-emulator start), and does --emulator-host or GCPML_EMULATOR_HOST name its address?"
	case c.BigQueryEndpoint != "":
		target, setting = c.BigQueryEndpoint, "check --big-query-custom-endpoint or GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	server := request.URL
	if proxy, err := http.ProxyFromEnvironment(request); err != nil {
		return usagef("HTTPS_PROXY: %w", err)
	} else if proxy != nil {
		server, setting = proxy, "it is the proxy that HTTPS_PROXY or HTTP_PROXY names"
	}
	port := server.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[server.Scheme]
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(server.Hostname(), port))
	if err != nil {
		err = fmt.Errorf("cannot reach %s: %w", server.Host, err)
		if setting != "" {
			err = fmt.Errorf("%w; %s", err, setting)
		}
		return err
	}
	return connection.Close()
}
