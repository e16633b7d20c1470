// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package gcp is the ground that everything else of gcpml stands on: from
// configuration to Google clients, resource names, error classes, long-running
// operations, the one retry table, ownership markers and IAM. It knows nothing of
// Terraform, of the command line or of any single resource.
package gcp

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
)

// Config is what a user can set, in the provider block, by flags or by the
// environment. The zero value of a field means that it is not set.
type Config struct {
	// Project is the default project id, Region the default Vertex AI location.
	Project string
	Region  string

	// Credentials is a path to a credentials file or its JSON text. AccessToken is
	// a bearer token that is never refreshed. With none of these and no
	// ExternalCredentials, Application Default Credentials are used.
	Credentials         string
	AccessToken         string
	ExternalCredentials *ExternalCredentials
	// ImpersonateServiceAccount is an e-mail address that the credential then acts
	// as, ImpersonateDelegates are the accounts in between, if there are any.
	ImpersonateServiceAccount string
	ImpersonateDelegates      []string
	// Scopes are those of the token, "https://www.googleapis.com/auth/…"; by default
	// cloud-platform. An access token has its own.
	Scopes []string

	// UserProjectOverride charges quota and cost to BillingProject, or to Project if
	// that is empty, instead of to the project of the credential. nil is not set.
	UserProjectOverride *bool
	BillingProject      string
	// RequestReason goes into audit logs (the header X-Goog-Request-Reason).
	RequestReason string
	// RequestTimeout bounds each API call but predictions, which take as long as a
	// model does; 0 bounds reads only, as the retry table says.
	RequestTimeout time.Duration
	// PollInterval is the longest pause between two looks at a long-running
	// operation; 0 is 10 s.
	PollInterval time.Duration
	// UniverseDomain is the domain of the APIs, "googleapis.com" if empty.
	UniverseDomain string

	// Custom endpoints end in "/" and hold the API version, as in
	// "https://bigquery.googleapis.com/bigquery/v2/".
	VertexAIEndpoint           string
	BigQueryEndpoint           string
	BigQueryConnectionEndpoint string
	ResourceManagerEndpoint    string
	StorageEndpoint            string

	// EmulatorHost ("127.0.0.1:9050") sends every call there, without a credential.
	EmulatorHost string

	// OwnershipID allows existing objects that carry it to be adopted.
	OwnershipID string

	// DefaultLabels are for every object that has labels; its own win.
	DefaultLabels map[string]string

	// DeletionPolicy is one of [DeletionPolicies] for resources that name none, or "".
	DeletionPolicy string

	// Attribution says when objects get the label that tells of Terraform; "" is never.
	Attribution Attribution

	// UserAgent is added to the one of Google's clients.
	UserAgent string

	// OnCall, when set, is told of every API call after it ended.
	OnCall CallObserver

	// What tests put in the place of the network.
	transport   http.RoundTripper
	dialOptions []grpc.DialOption
}

// ExternalCredentials exchange a token of another identity provider (workload
// identity federation) for one of a service account.
type ExternalCredentials struct {
	// Audience names the workload identity pool provider.
	Audience string
	// ServiceAccountEmail is the account to act as.
	ServiceAccountEmail string
	// IdentityToken is the OIDC token (a JWT) of the other identity provider.
	IdentityToken string
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
	billingVariables     = []string{"GOOGLE_BILLING_PROJECT"}
	reasonVariables      = []string{"CLOUDSDK_CORE_REQUEST_REASON"}
	vertexVariables      = []string{"GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT"}
	bigQueryVariables    = []string{"GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT"}
	connectionVariables  = []string{"GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT"}
	managerVariables     = []string{"GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT"}
	storageVariables     = []string{"GOOGLE_STORAGE_CUSTOM_ENDPOINT"}
)

const (
	emulatorVariable  = "GCPML_EMULATOR_HOST"
	ownershipVariable = "GCPML_OWNERSHIP_ID"
	overrideVariable  = "USER_PROJECT_OVERRIDE"
	agentVariable     = "GOOGLE_TERRAFORM_USERAGENT_EXTENSION"
)

// defaultUniverse is Google Cloud as most people know it.
const defaultUniverse = "googleapis.com"

// ConfigError says which setting is wrong and what would be right. Setting is the
// name of the provider argument; Element is the part of it that is wrong, the index
// in a list (int) or the key in a map or an object (string), or nil.
type ConfigError struct {
	Setting string
	Element any
	Message string
}

func (e *ConfigError) Error() string {
	switch element := e.Element.(type) {
	case string:
		return e.Setting + "." + element + ": " + e.Message
	case int:
		return fmt.Sprintf("%s[%d]: %s", e.Setting, element, e.Message)
	}
	return e.Setting + ": " + e.Message
}

func wrong(setting, format string, args ...any) error {
	return wrongPart(setting, nil, format, args...)
}

func wrongPart(setting string, element any, format string, args ...any) error {
	return &ConfigError{setting, element, fmt.Sprintf(format, args...)}
}

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
	if c.Credentials == "" && c.AccessToken == "" && c.ExternalCredentials == nil {
		fill(&c.AccessToken, accessTokenVariables...)
		if c.AccessToken == "" {
			fill(&c.Credentials, credentialsVariables...)
		}
	}
	fill(&c.ImpersonateServiceAccount, impersonateVariables...)
	fill(&c.BillingProject, billingVariables...)
	fill(&c.RequestReason, reasonVariables...)
	fill(&c.VertexAIEndpoint, vertexVariables...)
	fill(&c.BigQueryEndpoint, bigQueryVariables...)
	fill(&c.BigQueryConnectionEndpoint, connectionVariables...)
	fill(&c.ResourceManagerEndpoint, managerVariables...)
	fill(&c.StorageEndpoint, storageVariables...)
	fill(&c.OwnershipID, ownershipVariable)
	if text, _ := lookup(overrideVariable); text != "" && c.UserProjectOverride == nil {
		override, err := strconv.ParseBool(text)
		if err != nil {
			return Config{}, wrong("user_project_override", "%s is %q, which is neither true nor false", overrideVariable, text)
		}
		c.UserProjectOverride = &override
	}
	if more, _ := lookup(agentVariable); more != "" {
		c.UserAgent = strings.TrimSpace(c.UserAgent + " " + more)
	}
	if c.EmulatorHost == "" {
		host, set := lookup(emulatorVariable)
		if set && host == "" {
			return Config{}, wrong("emulator_host", "%s is set but empty, which could send calls to the real Google Cloud: give it host:port or unset it", emulatorVariable)
		}
		c.EmulatorHost = host
	}
	return c.normalised()
}

// Environ is [Config.WithEnvironment] with the process's environment.
func (c Config) Environ() (Config, error) { return c.WithEnvironment(os.LookupEnv) }

// Label values of Google Cloud: at most 63 characters. Upper case is refused there.
var labelValue = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)

var (
	projectWhole  = regexp.MustCompile(`^` + projectPart + `$`)
	universeWhole = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

func (c Config) normalised() (Config, error) {
	// Self links are accepted for a region, as terraform-provider-google does.
	c.Region = c.Region[strings.LastIndex(c.Region, "/")+1:]
	for _, check := range []func(Config) error{Config.checkObjects, Config.checkIdentity, Config.checkCalls, Config.checkEndpoints} {
		if err := check(c); err != nil {
			return Config{}, err
		}
	}
	if c.EmulatorHost == "" {
		return c, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(c.EmulatorHost, "http://"), "/")
	if h, p, err := net.SplitHostPort(host); err != nil || h == "" || p == "" {
		return Config{}, wrong("emulator_host", "%q is not of the form host:port", c.EmulatorHost)
	}
	c.EmulatorHost = host
	return c, nil
}

// checkObjects checks what is about the objects that are made.
func (c Config) checkObjects() error {
	if c.OwnershipID != "" && !labelValue.MatchString(c.OwnershipID) {
		return wrong("ownership_id", "%q cannot be a label value: use 1 to 63 lower-case letters, digits, _ and -", c.OwnershipID)
	}
	for _, key := range slices.Sorted(maps.Keys(c.DefaultLabels)) {
		if err := CheckLabel(key, c.DefaultLabels[key]); err != nil {
			return wrongPart("default_labels", key, "%v", err)
		}
	}
	if c.DeletionPolicy != "" && !slices.Contains(DeletionPolicies, c.DeletionPolicy) {
		return wrong("deletion_policy", "%q is not one of %s", c.DeletionPolicy, strings.Join(DeletionPolicies, ", "))
	}
	if c.Attribution != "" && !slices.Contains(Attributions, c.Attribution) {
		return wrong("terraform_attribution_label_addition_strategy", "%q is not one of %s", c.Attribution, joined(Attributions))
	}
	return nil
}

func joined[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// checkIdentity checks as whom calls are made.
func (c Config) checkIdentity() error {
	switch x := c.ExternalCredentials; {
	case c.Credentials != "" && c.AccessToken != "":
		return wrong("access_token", "conflicts with credentials: set only one of the two")
	case x == nil:
	case c.Credentials != "" || c.AccessToken != "":
		return wrong("external_credentials", "conflicts with credentials and access_token: set only one of the three")
	case x.Audience == "":
		return wrongPart("external_credentials", "audience", "is empty: name the workload identity pool provider, //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
	case !strings.Contains(x.ServiceAccountEmail, "@"):
		return wrongPart("external_credentials", "service_account_email", "%q is not an e-mail address", x.ServiceAccountEmail)
	case x.IdentityToken == "":
		return wrongPart("external_credentials", "identity_token", "is empty")
	}
	if c.ImpersonateServiceAccount != "" && !strings.Contains(c.ImpersonateServiceAccount, "@") {
		return wrong("impersonate_service_account", "%q is not an e-mail address", c.ImpersonateServiceAccount)
	}
	if len(c.ImpersonateDelegates) > 0 && c.ImpersonateServiceAccount == "" {
		return wrong("impersonate_service_account_delegates", "delegates lead to an account: set impersonate_service_account too")
	}
	for i, d := range c.ImpersonateDelegates {
		if !strings.Contains(d, "@") {
			return wrongPart("impersonate_service_account_delegates", i, "%q is not an e-mail address", d)
		}
	}
	for i, scope := range c.Scopes {
		if !strings.HasPrefix(scope, "https://") {
			return wrongPart("scopes", i, "%q is not a scope: write it in full, such as %s", scope, cloudPlatformScope)
		}
	}
	if c.EmulatorHost == "" {
		return nil
	}
	external := ""
	if c.ExternalCredentials != nil {
		external = "set"
	}
	for _, credential := range []struct{ setting, value string }{
		{"credentials", c.Credentials},
		{"access_token", c.AccessToken},
		{"external_credentials", external},
		{"impersonate_service_account", c.ImpersonateServiceAccount},
	} {
		if credential.value != "" {
			return wrong("emulator_host", "conflicts with %s (set in the configuration or the environment): the emulator takes no credential, so unset one of the two", credential.setting)
		}
	}
	return nil
}

// checkCalls checks how calls are made.
func (c Config) checkCalls() error {
	switch {
	case c.BillingProject != "" && !projectWhole.MatchString(c.BillingProject):
		return wrong("billing_project", "%q is not a project", c.BillingProject)
	case c.overridesProject() && c.quotaProject() == "":
		return wrong("user_project_override", "there is no project to charge: set billing_project or project")
	case strings.ContainsFunc(c.RequestReason, func(r rune) bool { return r < ' ' || r > '~' }):
		return wrong("request_reason", "it is sent in a header: use printable ASCII characters only")
	case c.RequestTimeout < 0:
		return wrong("request_timeout", "must be more than zero")
	case c.PollInterval < 0:
		return wrong("poll_interval", "must be more than zero")
	case c.UniverseDomain != "" && !IsDomain(c.UniverseDomain):
		return wrong("universe_domain", "%q is not a domain such as %s", c.UniverseDomain, defaultUniverse)
	}
	return nil
}

// checkEndpoints checks where calls go: all of them to the emulator, all to
// loopback addresses, or none.
func (c Config) checkEndpoints() error {
	endpoints := []struct {
		setting string
		value   string
		path    string
		byGRPC  bool
	}{
		{"vertex_ai_custom_endpoint", c.VertexAIEndpoint, "/v1/", true},
		{"big_query_custom_endpoint", c.BigQueryEndpoint, "/bigquery/v2/", false},
		{"bigquery_connection_custom_endpoint", c.BigQueryConnectionEndpoint, "/v1/", false},
		{"resource_manager_custom_endpoint", c.ResourceManagerEndpoint, "/v1/", true},
		{"storage_custom_endpoint", c.StorageEndpoint, "/storage/v1/", false},
	}
	loopback, scheme, remote := "", "", ""
	for _, e := range endpoints {
		if e.value == "" {
			remote = e.setting
			continue
		}
		if c.EmulatorHost != "" {
			return wrong(e.setting, "conflicts with emulator_host (%s), which sends every call to the emulator: unset one of the two", emulatorVariable)
		}
		u, err := url.Parse(e.value)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "":
			return wrong(e.setting, "%q is not a URL of the form https://HOST%s", e.value, e.path)
		case !strings.HasSuffix(u.Path, e.path):
			return wrong(e.setting, "%q must end in %q", e.value, e.path)
		case e.byGRPC && u.Path != e.path:
			return wrong(e.setting, "the path of %q must be %q: the API is called by gRPC, which knows no path prefix", e.value, e.path)
		case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
			return wrong(e.setting, "%q must start with https:// (plain http is for loopback addresses only)", e.value)
		case !isLoopback(u.Hostname()):
			remote = e.setting
		case scheme != "" && scheme != u.Scheme:
			return wrong(e.setting, "%q and %s must both be http, without credentials, or both be https", e.value, loopback)
		default:
			loopback, scheme = e.setting, u.Scheme
		}
	}
	if loopback != "" && remote != "" {
		return wrong(loopback, "is on a loopback address but %s is not, so one apply would touch both: set all five custom endpoints, or use emulator_host", remote)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) overridesProject() bool {
	return c.UserProjectOverride != nil && *c.UserProjectOverride
}

// quotaProject is the project that X-Goog-User-Project names; "" leaves that to the
// credential.
func (c Config) quotaProject() string {
	if !c.overridesProject() {
		return ""
	}
	return cmp.Or(c.BillingProject, c.Project)
}

func (c Config) scopes() []string {
	if len(c.Scopes) == 0 {
		return []string{cloudPlatformScope}
	}
	return c.Scopes
}

// IsDomain reports whether a text is the domain of a universe, such as googleapis.com.
func IsDomain(text string) bool { return universeWhole.MatchString(text) }

func (c Config) universe() string { return cmp.Or(c.UniverseDomain, defaultUniverse) }
