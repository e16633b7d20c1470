// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/externalaccount"
	"cloud.google.com/go/auth/credentials/impersonate"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const cloudPlatformScope = "https://www.googleapis.com/auth/cloud-platform"

// credentials resolves the user's credential settings. Errors never hold the
// text of a credential.
func (c Config) credentials(ctx context.Context) (*auth.Credentials, error) {
	creds, err := c.sourceCredentials()
	if err != nil {
		return nil, err
	}
	if err := c.checkUniverse(creds); err != nil {
		return nil, err
	}
	if c.ImpersonateServiceAccount == "" {
		return patient(creds), nil
	}
	options := &impersonate.CredentialsOptions{
		TargetPrincipal: c.ImpersonateServiceAccount,
		Delegates:       c.ImpersonateDelegates,
		Scopes:          c.scopes(),
		Credentials:     creds,
	}
	if c.transport != nil {
		transport, err := htransport.NewTransport(detached(ctx), c.transport, option.WithAuthCredentials(creds), option.WithUniverseDomain(c.universe()))
		if err != nil {
			return nil, err
		}
		options.Client = &http.Client{Transport: transport}
	}
	if creds, err = impersonate.NewCredentials(options); err != nil {
		return nil, wrong("impersonate_service_account", "cannot be used: %v", err)
	}
	return patient(creds), nil
}

// patient are credentials that ask for a token again when the token service has a
// passing fault, which Google's library does not do.
func patient(creds *auth.Credentials) *auth.Credentials {
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          patientTokens{creds},
		JSON:                   creds.JSON(),
		ProjectIDProvider:      auth.CredentialsPropertyFunc(creds.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(creds.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(creds.UniverseDomain),
	})
}

type patientTokens struct{ from auth.TokenProvider }

// Token implements auth.TokenProvider. Its errors are gRPC statuses, because gRPC keeps
// those, while it takes any other error for a refusal and REST for a lost connection.
func (t patientTokens) Token(ctx context.Context) (token *auth.Token, err error) {
	err = Retry(ctx, "token", func(ctx context.Context) (err error) {
		token, err = t.from.Token(ctx)
		return err
	})
	if err == nil {
		return token, nil
	}
	code := Code(err)
	if !slices.Contains([]codes.Code{codes.Unavailable, codes.Canceled, codes.DeadlineExceeded}, code) {
		code = codes.Unauthenticated
	}
	return nil, status.Errorf(code, "no access token could be had with the credentials: %v", err)
}

func (c Config) sourceCredentials() (*auth.Credentials, error) {
	var client *http.Client // the library's own
	if c.transport != nil {
		client = &http.Client{Transport: c.transport}
	}
	options := &credentials.DetectOptions{Scopes: c.scopes(), Client: client}
	switch {
	case c.ExternalCredentials != nil:
		return c.externalCredentials(client)
	case c.AccessToken != "":
		return auth.NewCredentials(&auth.CredentialsOptions{
			TokenProvider: staticToken(c.AccessToken),
			// A token does not tell where it is from.
			UniverseDomainProvider: auth.CredentialsPropertyFunc(func(context.Context) (string, error) { return c.universe(), nil }),
		}), nil
	case c.Credentials == "":
		creds, err := credentials.DetectDefault(options)
		if err != nil {
			return nil, wrong("credentials", "none are set and no Application Default Credentials were found: run `gcloud auth application-default login`, set credentials or access_token, or set emulator_host (%s) to work with the emulator", emulatorVariable)
		}
		return creds, nil
	}
	content := []byte(c.Credentials)
	if !strings.HasPrefix(strings.TrimSpace(c.Credentials), "{") {
		var err error
		if content, err = os.ReadFile(c.Credentials); err != nil {
			return nil, wrong("credentials", "is neither JSON nor a readable file")
		}
	}
	var kind struct{ Type credentials.CredType }
	if err := json.Unmarshal(content, &kind); err != nil {
		return nil, wrong("credentials", "is not valid JSON")
	}
	switch kind.Type {
	case credentials.ServiceAccount, credentials.AuthorizedUser, credentials.ImpersonatedServiceAccount, credentials.ExternalAccount:
	default:
		return nil, wrong("credentials", "the type %q is not supported: use service_account, authorized_user, impersonated_service_account or external_account", kind.Type)
	}
	creds, err := credentials.NewCredentialsFromJSON(kind.Type, content, options)
	if err != nil {
		return nil, wrong("credentials", "this %s credential cannot be used: a field is missing or malformed", kind.Type)
	}
	return creds, nil
}

// externalCredentials exchange the identity token at the Security Token Service and
// then act as the service account.
func (c Config) externalCredentials(client *http.Client) (*auth.Credentials, error) {
	x := c.ExternalCredentials
	creds, err := externalaccount.NewCredentials(&externalaccount.Options{
		Audience:                       x.Audience,
		SubjectTokenType:               "urn:ietf:params:oauth:token-type:jwt",
		SubjectTokenProvider:           identityToken(x.IdentityToken),
		ServiceAccountImpersonationURL: "https://iamcredentials." + c.universe() + "/v1/projects/-/serviceAccounts/" + x.ServiceAccountEmail + ":generateAccessToken",
		Scopes:                         c.scopes(),
		UniverseDomain:                 c.universe(),
		Client:                         client,
	})
	if err != nil {
		return nil, wrong("external_credentials", "cannot be used: the audience, the e-mail address or the token is malformed")
	}
	return creds, nil
}

type identityToken string

func (t identityToken) SubjectToken(context.Context, *externalaccount.RequestOptions) (string, error) {
	return string(t), nil
}

type staticToken string

func (t staticToken) Token(context.Context) (*auth.Token, error) {
	// A year ahead, so that no refresh is tried: a refused token shows as UNAUTHENTICATED.
	return &auth.Token{Value: string(t), Type: "Bearer", Expiry: time.Now().AddDate(1, 0, 0)}, nil
}

// checkUniverse compares the configured universe with that of a credential that
// tells its own. The others are compared by Google's library, at the first call.
func (c Config) checkUniverse(creds *auth.Credentials) error {
	of := universeOf(creds.JSON())
	switch {
	case of == "" || of == c.universe():
		return nil
	case c.UniverseDomain == "":
		return wrong("universe_domain", "the credential is of the universe %s: set universe_domain to it, or use another credential", of)
	}
	return wrong("universe_domain", "the credential is of the universe %s and not of %s; one that names none is of %s", of, c.UniverseDomain, defaultUniverse)
}

// universeOf is the universe of a credentials file, "" if it is none.
func universeOf(file []byte) string {
	f := struct {
		UniverseDomain string `json:"universe_domain"`
	}{UniverseDomain: defaultUniverse}
	if json.Unmarshal(file, &f) != nil {
		return ""
	}
	return f.UniverseDomain
}
