// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package gcp is the ground that everything else of gcpml stands on: from
// configuration to Google clients, resource names, error classes, long-running
// operations, the one retry table, ownership markers and IAM. It knows nothing of
// Terraform, of the command line or of any single resource.
package gcp

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Config is what a user can set, in the provider block, by flags or by the
// environment. The zero value of a field means that it is not set.
type Config struct {
	// Project is the default project id, Region the default Vertex AI location.
	Project string
	Region  string

	// Credentials is a path to a credentials file or its JSON text. AccessToken is
	// a bearer token that is never refreshed. With neither, Application Default
	// Credentials are used. ImpersonateServiceAccount is an e-mail address that
	// the credential then acts as.
	Credentials               string
	AccessToken               string
	ImpersonateServiceAccount string

	// Custom endpoints end in "/" and hold the API version, as in
	// "https://bigquery.googleapis.com/bigquery/v2/".
	VertexAIEndpoint           string
	BigQueryEndpoint           string
	BigQueryConnectionEndpoint string

	// EmulatorHost ("127.0.0.1:9050") sends every call there, without a credential.
	EmulatorHost string

	// OwnershipID allows existing objects that carry it to be adopted.
	OwnershipID string

	// DefaultLabels are for every object that has labels; its own win.
	DefaultLabels map[string]string

	// DeletionPolicy is one of [DeletionPolicies] for resources that name none, or "".
	DeletionPolicy string

	// UserAgent is added to the one of Google's clients.
	UserAgent string

	// OnCall, when set, is told of every API call after it ended.
	OnCall CallObserver
}

// What destroying a resource does to its object, as in terraform-provider-google.
const (
	DeletionDelete  = "DELETE"
	DeletionPrevent = "PREVENT"
	DeletionAbandon = "ABANDON"
)

// DeletionPolicies are the values of deletion_policy.
var DeletionPolicies = []string{DeletionDelete, DeletionPrevent, DeletionAbandon}

// Environment variables, each list in order of precedence. Those that start with
// GOOGLE_, GCLOUD_ and CLOUDSDK_ are the ones of terraform-provider-google.
var (
	projectVariables     = []string{"GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"}
	regionVariables      = []string{"GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"}
	credentialsVariables = []string{"GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"}
	accessTokenVariables = []string{"GOOGLE_OAUTH_ACCESS_TOKEN"}
	impersonateVariables = []string{"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"}
	vertexVariables      = []string{"GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT"}
	bigQueryVariables    = []string{"GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT"}
	connectionVariables  = []string{"GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT"}
)

const (
	emulatorVariable  = "GCPML_EMULATOR_HOST"
	ownershipVariable = "GCPML_OWNERSHIP_ID"
)

// ConfigError says which setting is wrong and what would be right. Setting is the
// name of the provider argument.
type ConfigError struct {
	Setting string
	Message string
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.Message }

// WithEnvironment returns the configuration with unset fields taken from the
// environment, and checks it. A value in the configuration always beats the
// environment; credentials of the environment are read only if the configuration
// has none. lookup is [os.LookupEnv] outside of tests.
func (c Config) WithEnvironment(lookup func(string) (string, bool)) (Config, error) {
	fill := func(field *string, variables ...string) {
		for _, v := range variables {
			if *field != "" {
				return
			}
			*field, _ = lookup(v)
		}
	}
	fill(&c.Project, projectVariables...)
	fill(&c.Region, regionVariables...)
	if c.Credentials == "" && c.AccessToken == "" {
		fill(&c.AccessToken, accessTokenVariables...)
		if c.AccessToken == "" {
			fill(&c.Credentials, credentialsVariables...)
		}
	}
	fill(&c.ImpersonateServiceAccount, impersonateVariables...)
	fill(&c.VertexAIEndpoint, vertexVariables...)
	fill(&c.BigQueryEndpoint, bigQueryVariables...)
	fill(&c.BigQueryConnectionEndpoint, connectionVariables...)
	fill(&c.OwnershipID, ownershipVariable)
	if c.EmulatorHost == "" {
		host, set := lookup(emulatorVariable)
		if set && host == "" {
			return Config{}, &ConfigError{"emulator_host", emulatorVariable + " is set but empty, which could send calls to the real Google Cloud: give it host:port or unset it"}
		}
		c.EmulatorHost = host
	}
	return c.normalised()
}

// Environ is [Config.WithEnvironment] with the process's environment.
func (c Config) Environ() (Config, error) { return c.WithEnvironment(os.LookupEnv) }

// Label values of Google Cloud: at most 63 characters. Upper case is refused there.
var labelValue = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)

func (c Config) normalised() (Config, error) {
	// Self links are accepted for a region, as terraform-provider-google does.
	c.Region = c.Region[strings.LastIndex(c.Region, "/")+1:]
	if c.OwnershipID != "" && !labelValue.MatchString(c.OwnershipID) {
		return Config{}, &ConfigError{"ownership_id", fmt.Sprintf("%q cannot be a label value: use 1 to 63 lower-case letters, digits, _ and -", c.OwnershipID)}
	}
	for _, key := range slices.Sorted(maps.Keys(c.DefaultLabels)) {
		if err := CheckLabel(key, c.DefaultLabels[key]); err != nil {
			return Config{}, &ConfigError{"default_labels", err.Error()}
		}
	}
	if c.DeletionPolicy != "" && !slices.Contains(DeletionPolicies, c.DeletionPolicy) {
		return Config{}, &ConfigError{"deletion_policy", fmt.Sprintf("%q is not one of %s", c.DeletionPolicy, strings.Join(DeletionPolicies, ", "))}
	}
	if c.Credentials != "" && c.AccessToken != "" {
		return Config{}, &ConfigError{"access_token", "conflicts with credentials: set only one of the two"}
	}
	endpoints := []struct {
		setting string
		value   string
		path    string
	}{
		{"vertex_ai_custom_endpoint", c.VertexAIEndpoint, "/v1/"},
		{"big_query_custom_endpoint", c.BigQueryEndpoint, "/bigquery/v2/"},
		{"bigquery_connection_custom_endpoint", c.BigQueryConnectionEndpoint, "/v1/"},
	}
	loopback, remote := "", ""
	for _, e := range endpoints {
		if e.value == "" {
			remote = e.setting
			continue
		}
		if c.EmulatorHost != "" {
			return Config{}, &ConfigError{e.setting, "conflicts with emulator_host (" + emulatorVariable + "), which sends every call to the emulator: unset one of the two"}
		}
		u, err := url.Parse(e.value)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "":
			return Config{}, &ConfigError{e.setting, fmt.Sprintf("%q is not a URL of the form https://HOST%s", e.value, e.path)}
		case !strings.HasSuffix(u.Path, e.path):
			return Config{}, &ConfigError{e.setting, fmt.Sprintf("%q must end in %q", e.value, e.path)}
		case e.setting != "big_query_custom_endpoint" && u.Path != e.path:
			return Config{}, &ConfigError{e.setting, fmt.Sprintf("the path of %q must be %q: the API is called by gRPC, which knows no path prefix", e.value, e.path)}
		case isLoopback(u.Hostname()):
			loopback = e.setting
		case u.Scheme != "https":
			return Config{}, &ConfigError{e.setting, fmt.Sprintf("%q must start with https:// (plain http is for loopback addresses only)", e.value)}
		default:
			remote = e.setting
		}
	}
	if loopback != "" && remote != "" {
		return Config{}, &ConfigError{loopback, "is on a loopback address but " + remote + " is not, so one apply would touch both: set all three custom endpoints, or use emulator_host"}
	}
	if c.EmulatorHost == "" {
		return c, nil
	}
	for setting, value := range map[string]string{
		"credentials": c.Credentials, "access_token": c.AccessToken, "impersonate_service_account": c.ImpersonateServiceAccount,
	} {
		if value != "" {
			return Config{}, &ConfigError{"emulator_host", "conflicts with " + setting + " (set in the configuration or the environment): the emulator takes no credential, so unset one of the two"}
		}
	}
	host := strings.TrimSuffix(strings.TrimPrefix(c.EmulatorHost, "http://"), "/")
	if h, p, err := net.SplitHostPort(host); err != nil || h == "" || p == "" {
		return Config{}, &ConfigError{"emulator_host", fmt.Sprintf("%q is not of the form host:port", c.EmulatorHost)}
	}
	c.EmulatorHost = host
	return c, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
