// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/provider"
)

// block is a provider block: argument to a Go value, or a tftypes.Value.
type block map[string]any

// configure does what Terraform does with a provider block. Nothing of the
// environment is there but env.
func configure(t *testing.T, b block, env map[string]string) (gcp.Config, diag.Diagnostics) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"GOOGLE_", "GCLOUD_", "CLOUDSDK_", "GCPML_", "USER_PROJECT_OVERRIDE"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // to be restored
				os.Unsetenv(name)
			}
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	p := provider.New("1.2.3")()
	var s fwprovider.SchemaResponse
	p.Schema(t.Context(), fwprovider.SchemaRequest{}, &s)
	object := s.Schema.Type().TerraformType(t.Context()).(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, of := range object.AttributeTypes {
		switch v := b[name].(type) {
		case nil:
			values[name] = tftypes.NewValue(of, nil)
		case tftypes.Value:
			values[name] = v
		case []string:
			var list []tftypes.Value
			for _, e := range v {
				list = append(list, tftypes.NewValue(tftypes.String, e))
			}
			values[name] = tftypes.NewValue(of, list)
		case map[string]string:
			m := map[string]tftypes.Value{}
			for k, e := range v {
				m[k] = tftypes.NewValue(tftypes.String, e)
			}
			values[name] = tftypes.NewValue(of, m)
		default:
			values[name] = tftypes.NewValue(of, v)
		}
	}
	for name := range b {
		if _, ok := object.AttributeTypes[name]; !ok {
			t.Fatalf("the provider has no argument %s", name)
		}
	}
	var resp fwprovider.ConfigureResponse
	p.Configure(t.Context(), fwprovider.ConfigureRequest{TerraformVersion: "1.9.9", Config: tfsdk.Config{Raw: tftypes.NewValue(object, values), Schema: s.Schema}}, &resp)
	if clients, ok := resp.ResourceData.(*gcp.Clients); ok {
		return clients.Config(), resp.Diagnostics
	}
	return gcp.Config{}, resp.Diagnostics
}

// The table of the provider's arguments, as terraform-provider-google has it: each
// from the block, from each environment variable in its order of precedence, and the
// block before all of them.
var arguments = map[string]struct {
	value any      // in the block
	want  any      // what it becomes; value if nil
	unset any      // without it; the zero value if nil
	env   []string // in order
	text  string   // a value in the environment, with %d for its number; "env-%d" if empty
	get   func(gcp.Config) any
	bare  bool // nothing but the argument itself is to be in the block
	with  block
}{
	"project":                               {value: "p", env: []string{"GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"}, get: func(c gcp.Config) any { return c.Project }},
	"region":                                {value: "https://www.googleapis.com/compute/v1/projects/p/regions/us-east1", want: "us-east1", env: []string{"GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"}, get: func(c gcp.Config) any { return c.Region }},
	"credentials":                           {bare: true, value: userFile("block"), env: []string{"GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"}, text: userFile("env-%d"), get: func(c gcp.Config) any { return c.Credentials }},
	"access_token":                          {bare: true, value: "t", env: []string{"GOOGLE_OAUTH_ACCESS_TOKEN"}, get: func(c gcp.Config) any { return c.AccessToken }},
	"impersonate_service_account":           {value: "a@b", env: []string{"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"}, text: "env-%d@b", get: func(c gcp.Config) any { return c.ImpersonateServiceAccount }},
	"impersonate_service_account_delegates": {value: []string{"c@d", "e@f"}, unset: []string(nil), with: block{"impersonate_service_account": "a@b"}, get: func(c gcp.Config) any { return c.ImpersonateDelegates }},
	"external_credentials": {
		bare: true, value: federation("//iam.googleapis.com/x", "a@b", "jwt"), want: gcp.ExternalCredentials{Audience: "//iam.googleapis.com/x", ServiceAccountEmail: "a@b", IdentityToken: "jwt"}, unset: gcp.ExternalCredentials{},
		get: func(c gcp.Config) any {
			if c.ExternalCredentials == nil {
				return gcp.ExternalCredentials{}
			}
			return *c.ExternalCredentials
		},
	},
	"scopes":                                        {value: []string{"https://www.googleapis.com/auth/bigquery"}, unset: []string(nil), get: func(c gcp.Config) any { return c.Scopes }},
	"user_project_override":                         {value: false, unset: "unset", env: []string{"USER_PROJECT_OVERRIDE"}, text: "true", with: block{"billing_project": "payer"}, get: func(c gcp.Config) any { return boolean(c.UserProjectOverride) }},
	"billing_project":                               {value: "payer", env: []string{"GOOGLE_BILLING_PROJECT"}, get: func(c gcp.Config) any { return c.BillingProject }},
	"request_reason":                                {value: "ticket", env: []string{"CLOUDSDK_CORE_REQUEST_REASON"}, get: func(c gcp.Config) any { return c.RequestReason }},
	"request_timeout":                               {value: "90s", want: 90 * time.Second, unset: 120 * time.Second, get: func(c gcp.Config) any { return c.RequestTimeout }},
	"poll_interval":                                 {value: "30s", want: 30 * time.Second, unset: time.Duration(0), get: func(c gcp.Config) any { return c.PollInterval }},
	"universe_domain":                               {value: "cloud.example", get: func(c gcp.Config) any { return c.UniverseDomain }},
	"vertex_ai_custom_endpoint":                     {value: "https://b.example/v1/", env: []string{"GOOGLE_VERTEX_AI_CUSTOM_ENDPOINT"}, text: "https://e%d.example/v1/", get: func(c gcp.Config) any { return c.VertexAIEndpoint }},
	"big_query_custom_endpoint":                     {value: "https://b.example/bigquery/v2/", env: []string{"GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT"}, text: "https://e%d.example/bigquery/v2/", get: func(c gcp.Config) any { return c.BigQueryEndpoint }},
	"bigquery_connection_custom_endpoint":           {value: "https://b.example/v1/", env: []string{"GOOGLE_BIGQUERY_CONNECTION_CUSTOM_ENDPOINT"}, text: "https://e%d.example/v1/", get: func(c gcp.Config) any { return c.BigQueryConnectionEndpoint }},
	"resource_manager_custom_endpoint":              {value: "https://b.example/v1/", env: []string{"GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT"}, text: "https://e%d.example/v1/", get: func(c gcp.Config) any { return c.ResourceManagerEndpoint }},
	"storage_custom_endpoint":                       {value: "https://b.example/storage/v1/", env: []string{"GOOGLE_STORAGE_CUSTOM_ENDPOINT"}, text: "https://e%d.example/storage/v1/", get: func(c gcp.Config) any { return c.StorageEndpoint }},
	"emulator_host":                                 {bare: true, value: "127.0.0.1:1", env: []string{"GCPML_EMULATOR_HOST"}, text: "localhost:%d", get: func(c gcp.Config) any { return c.EmulatorHost }},
	"ownership_id":                                  {value: "prod", env: []string{"GCPML_OWNERSHIP_ID"}, get: func(c gcp.Config) any { return c.OwnershipID }},
	"default_labels":                                {value: map[string]string{"team": "ml", "empty": ""}, unset: map[string]string{}, get: func(c gcp.Config) any { return c.DefaultLabels }},
	"add_terraform_attribution_label":               {value: false, want: gcp.Attribution(""), unset: gcp.AttributionCreationOnly, get: func(c gcp.Config) any { return c.Attribution }},
	"terraform_attribution_label_addition_strategy": {value: "PROACTIVE", want: gcp.AttributionProactive, unset: gcp.AttributionCreationOnly, get: func(c gcp.Config) any { return c.Attribution }},
	"deletion_policy":                               {value: "PREVENT", get: func(c gcp.Config) any { return c.DeletionPolicy }},
}

func userFile(client string) string {
	return `{"type": "authorized_user", "client_id": "` + client + `", "client_secret": "s", "refresh_token": "r"}`
}

func federation(audience, account, token any) tftypes.Value {
	of := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"audience": tftypes.String, "service_account_email": tftypes.String, "identity_token": tftypes.String}}
	return tftypes.NewValue(of, map[string]tftypes.Value{
		"audience": tftypes.NewValue(tftypes.String, audience), "service_account_email": tftypes.NewValue(tftypes.String, account), "identity_token": tftypes.NewValue(tftypes.String, token),
	})
}

func boolean(b *bool) any {
	if b == nil {
		return "unset"
	}
	return *b
}

func TestArguments(t *testing.T) {
	for name, a := range arguments {
		t.Run(name, func(t *testing.T) {
			given := func(value any) block {
				b := block{}
				if !a.bare {
					b["access_token"] = "t"
				}
				maps.Copy(b, a.with)
				if value != nil {
					b[name] = value
				}
				return b
			}
			expect := func(what string, b block, env map[string]string, want any) {
				t.Helper()
				c, diags := configure(t, b, env)
				if diags.HasError() {
					t.Fatalf("%s: %v", what, diags)
				}
				if got := a.get(c); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			want, unset := a.want, a.unset
			if want == nil {
				want = a.value
			}
			if unset == nil {
				unset = reflect.Zero(reflect.TypeOf(want)).Interface()
			}
			if !a.bare {
				expect("unset", given(nil), nil, unset)
			}
			env := map[string]string{}
			texts := map[string]any{}
			for i, variable := range a.env {
				text := a.text
				if text == "" {
					text = "env-%d"
				}
				if strings.Contains(text, "%d") {
					text = fmt.Sprintf(text, i+1)
				}
				env[variable], texts[variable] = text, text
				if text == "true" {
					texts[variable] = true
				}
			}
			expect("in the block, over the environment", given(a.value), env, want)
			for i, variable := range a.env {
				left := maps.Clone(env)
				for _, earlier := range a.env[:i] {
					delete(left, earlier)
					os.Unsetenv(earlier)
				}
				expect("from "+variable+", over what comes after it", given(nil), left, texts[variable])
			}
		})
	}
}

// The table holds every argument.
func TestArgumentsAreComplete(t *testing.T) {
	var s fwprovider.SchemaResponse
	provider.New("test")().Schema(t.Context(), fwprovider.SchemaRequest{}, &s)
	if got, want := slices.Sorted(maps.Keys(s.Schema.Attributes)), slices.Sorted(maps.Keys(arguments)); !slices.Equal(got, want) {
		t.Errorf("the provider has %v\nthe table has %v", got, want)
	}
}

// Among credentials of the environment the token wins; any credential of the block
// wins over all of them.
func TestCredentialPrecedence(t *testing.T) {
	env := map[string]string{"GOOGLE_CREDENTIALS": userFile("env"), "GOOGLE_OAUTH_ACCESS_TOKEN": "token"}
	for name, c := range map[string]struct {
		block block
		want  string
	}{
		"environment alone":          {block{}, "token "},
		"credentials in the block":   {block{"credentials": userFile("block")}, " " + userFile("block")},
		"token in the block":         {block{"access_token": "mine"}, "mine "},
		"federation in the block":    {block{"external_credentials": federation("a", "b@c", "d")}, " "},
		"impersonation changes none": {block{"impersonate_service_account": "a@b"}, "token "},
	} {
		t.Run(name, func(t *testing.T) {
			got, diags := configure(t, c.block, env)
			if text := got.AccessToken + " " + got.Credentials; diags.HasError() || text != c.want {
				t.Errorf("%s, want %s (%v)", text, c.want, diags)
			}
		})
	}
}

// What is wrong is told at the argument, or at the part of it, and the secret part
// of it never.
func TestBadArguments(t *testing.T) {
	const secret = "s3cr3t-canary"
	unknown := tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	labels := func(v tftypes.Value) tftypes.Value {
		return tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, map[string]tftypes.Value{"team": v})
	}
	token := block{"access_token": secret}
	for name, c := range map[string]struct {
		block block
		env   map[string]string
		path  string
		words string
	}{
		"unknown project":             {block{"project": unknown}, nil, "project", "not known before apply"},
		"unknown label":               {block{"default_labels": labels(unknown)}, nil, `default_labels["team"]`, "not known before apply"},
		"null label":                  {block{"default_labels": labels(tftypes.NewValue(tftypes.String, nil))}, nil, `default_labels["team"]`, "is null"},
		"unknown token of federation": {block{"external_credentials": federation("a", "b@c", tftypes.UnknownValue)}, nil, "external_credentials.identity_token", "not known before apply"},
		"unknown override":            {block{"user_project_override": tftypes.NewValue(tftypes.Bool, tftypes.UnknownValue)}, nil, "user_project_override", "not known before apply"},
		"empty emulator host":         {block{"emulator_host": ""}, nil, "emulator_host", "set but empty"},
		"empty audience":              {block{"external_credentials": federation("", "b@c", secret)}, nil, "external_credentials.audience", "set but empty"},
		"federation as nobody":        {block{"external_credentials": federation("a", "b", secret)}, nil, "external_credentials.service_account_email", "e-mail"},
		"two credentials":             {block{"credentials": secret, "access_token": secret}, nil, "access_token", "conflicts"},
		"three credentials":           {block{"access_token": secret, "external_credentials": federation("a", "b@c", secret)}, nil, "external_credentials", "conflicts"},
		"file that is not there":      {block{"credentials": "/no/such/" + secret}, nil, "credentials", "readable file"},
		"credential of another kind":  {block{"credentials": `{"type": "gdch_service_account", "x": "` + secret + `"}`}, nil, "credentials", "not supported"},
		"impersonating nobody":        {block{"access_token": secret, "impersonate_service_account": "ci"}, nil, "impersonate_service_account", "e-mail"},
		"delegates to nobody":         {block{"access_token": secret, "impersonate_service_account_delegates": []string{"a@b"}}, nil, "impersonate_service_account_delegates", "impersonate_service_account"},
		"delegate that is nobody":     {block{"access_token": secret, "impersonate_service_account": "a@b", "impersonate_service_account_delegates": []string{"c@d", "e"}}, nil, "impersonate_service_account_delegates[1]", "e-mail"},
		"scope by its short name":     {block{"access_token": secret, "scopes": []string{"cloud-platform"}}, nil, "scopes[0]", "in full"},
		"empty scope":                 {block{"access_token": secret, "scopes": []string{"https://x", ""}}, nil, "scopes[1]", "empty"},
		"override without a project":  {block{"access_token": secret, "user_project_override": true}, nil, "user_project_override", "billing_project"},
		"override that is no boolean": {token, map[string]string{"USER_PROJECT_OVERRIDE": "maybe"}, "user_project_override", `"maybe"`},
		"billing project with spaces": {block{"access_token": secret, "billing_project": "My Project"}, nil, "billing_project", "not a project"},
		"reason over two lines":       {block{"access_token": secret, "request_reason": "a\nb"}, nil, "request_reason", "printable"},
		"timeout without a unit":      {block{"access_token": secret, "request_timeout": "120"}, nil, "request_timeout", "duration"},
		"no time at all":              {block{"access_token": secret, "request_timeout": "0s"}, nil, "request_timeout", "more than zero"},
		"poll in the past":            {block{"access_token": secret, "poll_interval": "-1s"}, nil, "poll_interval", "more than zero"},
		"universe with a scheme":      {block{"access_token": secret, "universe_domain": "https://x.y"}, nil, "universe_domain", "domain"},
		"universe of others":          {block{"credentials": userFile(secret), "universe_domain": "x.y"}, nil, "universe_domain", "of the universe googleapis.com"},
		"endpoint without a version":  {block{"access_token": secret, "resource_manager_custom_endpoint": "https://x.y/"}, nil, "resource_manager_custom_endpoint", `"/v1/"`},
		"endpoint without its path":   {token, map[string]string{"GOOGLE_STORAGE_CUSTOM_ENDPOINT": "https://x.y/v1/"}, "storage_custom_endpoint", `"/storage/v1/"`},
		"emulator and endpoint":       {block{"emulator_host": "localhost:1", "storage_custom_endpoint": "https://x.y/storage/v1/"}, nil, "storage_custom_endpoint", "conflicts with emulator_host"},
		"emulator and federation":     {block{"emulator_host": "localhost:1", "external_credentials": federation("a", "b@c", secret)}, nil, "emulator_host", "external_credentials"},
		"emulator and a token":        {block{"emulator_host": "localhost:1"}, map[string]string{"GOOGLE_OAUTH_ACCESS_TOKEN": secret}, "emulator_host", "access_token"},
		"label in upper case":         {block{"access_token": secret, "default_labels": map[string]string{"a": "b", "team": "ML"}}, nil, `default_labels["team"]`, "lower-case"},
		"strategy of another name":    {block{"access_token": secret, "terraform_attribution_label_addition_strategy": "NEVER"}, nil, "terraform_attribution_label_addition_strategy", "CREATION_ONLY, PROACTIVE"},
		"strategy for no label":       {block{"access_token": secret, "add_terraform_attribution_label": false, "terraform_attribution_label_addition_strategy": "PROACTIVE"}, nil, "terraform_attribution_label_addition_strategy", "no effect"},
		"policy of another name":      {block{"access_token": secret, "deletion_policy": "KEEP"}, nil, "deletion_policy", "DELETE, PREVENT, ABANDON"},
		"owner in upper case":         {block{"access_token": secret, "ownership_id": "Prod"}, nil, "ownership_id", "lower-case"},
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := configure(t, c.block, c.env)
			if len(diags) != 1 {
				t.Fatalf("%d diagnostics: %v", len(diags), diags)
			}
			d, ok := diags[0].(diag.DiagnosticWithPath)
			if !ok || d.Path().String() != c.path || !strings.Contains(d.Detail(), c.words) {
				t.Errorf("got %v, want %s at %s", diags, c.words, c.path)
			}
			if strings.Contains(diags[0].Summary()+diags[0].Detail(), secret) {
				t.Errorf("the secret is in %v", diags)
			}
		})
	}
}

func TestUserAgent(t *testing.T) {
	c, diags := configure(t, block{"access_token": "t"}, map[string]string{"GOOGLE_TERRAFORM_USERAGENT_EXTENSION": "pipeline/7"})
	if want := "terraform-provider-gcpml/1.2.3 terraform/1.9.9 pipeline/7"; diags.HasError() || c.UserAgent != want {
		t.Errorf("user agent %q, want %q (%v)", c.UserAgent, want, diags)
	}
}
