// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// runOptions is all that "gcpml run" was asked for.
type runOptions struct {
	files   []string // "-" is standard input
	execute []string
	stdin   io.Reader

	config          gcp.Config
	accessTokenFile string
	lookupEnv       func(string) (string, bool)

	location           string
	defaultDataset     string
	labels             []string
	maximumBytesBilled int64
	runID              string
	format             string
	maxRows            uint64
	timeout            time.Duration
	verbose            bool
}

const runHelp = `Run SQL on BigQuery: files in the given order, -e texts, or standard input (-).

Each statement is one BigQuery job, and the run stops at the first that fails. A
file that declares variables, uses control flow, transactions or temporary objects
is sent as one job, which BigQuery executes as a script; its result is the one of
its last statement.

Results go to standard output, everything else to standard error. As a table every
result set is shown, up to --max-rows rows of each. csv and json write one valid
document, the last result set, whole; json writes [] if no statement has one.

json writes values as TO_JSON_STRING does: INT64 beyond 2^53 and NUMERIC with
digits after the point as strings; NaN, Infinity and -Infinity as strings; BYTES in
base64; TIMESTAMP in RFC 3339; STRUCT and ARRAY nested. csv leaves NULL empty, quotes
the empty string and writes nested values as JSON.

Where a flag is not given the environment counts, with the names of
terraform-provider-google: GOOGLE_PROJECT, GOOGLE_CREDENTIALS,
GOOGLE_OAUTH_ACCESS_TOKEN, GOOGLE_IMPERSONATE_SERVICE_ACCOUNT,
GOOGLE_BIG_QUERY_CUSTOM_ENDPOINT; GCPML_EMULATOR_HOST sends every call to the
emulator. Without credentials Application Default Credentials are used.

Exit codes: 0 all statements succeeded, 1 one failed, 2 usage or configuration,
8 out of time, 130 interrupted (the running job is cancelled), 143 terminated.`

const runExample = `  gcpml run setup.sql
  gcpml run -e 'SELECT 1 AS x' --format json
  generate-sql | gcpml run - --project my-project --location EU`

func newRunCommand(u *ui, runF func(context.Context, *runOptions, *ui) error) *cobra.Command {
	o := &runOptions{lookupEnv: os.LookupEnv}
	cmd := &cobra.Command{
		Use:     "run {FILE… | -e SQL… | -}",
		Short:   "Run SQL statements and print their results",
		Long:    runHelp,
		Example: runExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files, o.stdin = args, cmd.InOrStdin()
			return runF(cmd.Context(), o, u)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.execute, "execute", "e", nil, "SQL text to run instead of a file (repeatable)")
	f.StringVar(&o.format, "format", "table", "output format: "+strings.Join(render.Formats(), ", "))
	f.Uint64Var(&o.maxRows, "max-rows", 1000, "most rows of each result set that a table shows; 0 shows all. csv and json are always whole")
	f.DurationVar(&o.timeout, "timeout", 6*time.Hour, "most time for the whole run; the job that is running then is cancelled")
	f.StringVar(&o.config.Project, "project", "", "project that runs and pays for the jobs")
	f.StringVar(&o.location, "location", "", "BigQuery location of the jobs (default: where the tables are, else US)")
	f.StringVar(&o.defaultDataset, "default-dataset", "", "dataset, or PROJECT.DATASET, for table names without one")
	f.Int64Var(&o.maximumBytesBilled, "maximum-bytes-billed", 0, "refuse a statement that would be billed for more bytes; 0 is no limit")
	f.StringArrayVar(&o.labels, "label", nil, "label KEY=VALUE to put on the jobs (repeatable)")
	f.StringVar(&o.runID, "run-id", "", "id of this run: a second run with the same id and text attaches to the jobs of the first instead of executing again")
	f.StringVar(&o.config.EmulatorHost, "emulator-host", "", "HOST:PORT of a gcpml-emulator to send every call to, without credentials")
	f.StringVar(&o.config.Credentials, "credentials", "", "credentials file")
	f.StringVar(&o.accessTokenFile, "access-token-file", "", "file that holds an OAuth access token")
	f.StringVar(&o.config.ImpersonateServiceAccount, "impersonate-service-account", "", "service account to act as")
	f.StringVar(&o.config.BigQueryEndpoint, "big-query-custom-endpoint", "", "BigQuery API endpoint, ending in /bigquery/v2/")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell of every API call on standard error")
	f.SortFlags = false
	return cmd
}

// sources reads the texts to run.
func (o *runOptions) sources() ([]sqlscript.Source, error) {
	if len(o.execute) > 0 && len(o.files) > 0 {
		return nil, usagef("give files or -e, not both")
	}
	var sources []sqlscript.Source
	for i, text := range o.execute {
		name := "-e"
		if i > 0 {
			name = fmt.Sprintf("-e#%d", i+1)
		}
		sources = append(sources, sqlscript.Source{Name: name, Text: text})
	}
	stdin := false
	for _, name := range o.files {
		var text []byte
		var err error
		if name == "-" {
			if stdin {
				return nil, usagef("standard input (-) can be read only once")
			}
			stdin = true
			name = "<stdin>"
			text, err = io.ReadAll(o.stdin)
		} else {
			text, err = os.ReadFile(name)
		}
		if err != nil {
			if path, ok := errors.AsType[*os.PathError](err); ok {
				err = path.Err
			}
			return nil, usagef("cannot read %s: %w", name, err)
		}
		sources = append(sources, sqlscript.Source{Name: name, Text: string(text)})
	}
	if len(sources) == 0 {
		return nil, usagef("nothing to run: name a file, give -e SQL, or - to read standard input")
	}
	return sources, nil
}

// request returns what is the same for every job.
func (o *runOptions) request() (query.Request, error) {
	r := query.Request{Location: o.location, DefaultDataset: o.defaultDataset, MaximumBytesBilled: o.maximumBytesBilled}
	if o.maximumBytesBilled < 0 {
		return r, usagef("--maximum-bytes-billed cannot be negative")
	}
	for _, label := range o.labels {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key == "" {
			return r, usagef("--label %q is not of the form KEY=VALUE", label)
		}
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		r.Labels[key] = value
	}
	return r, nil
}

// connect resolves flags and environment and returns the clients.
func (o *runOptions) connect(ctx context.Context, u *ui) (*gcp.Clients, error) {
	config := o.config
	if o.verbose {
		config.OnCall = u.call
	}
	if o.accessTokenFile != "" {
		token, err := os.ReadFile(o.accessTokenFile)
		if err != nil {
			return nil, usagef("--access-token-file: %w", err)
		}
		if config.AccessToken = string(bytes.TrimSpace(token)); config.AccessToken == "" {
			return nil, usagef("--access-token-file: %s is empty", o.accessTokenFile)
		}
	}
	config.UserAgent = "gcpml/" + versionText()
	config, err := config.WithEnvironment(o.lookupEnv)
	if err != nil {
		return nil, configError(err)
	}
	if config.Project == "" {
		return nil, usagef("no project: set --project or GOOGLE_PROJECT")
	}
	clients, err := gcp.Connect(ctx, config)
	if err != nil {
		return nil, configError(err)
	}
	return clients, nil
}

// configError names the flag in the place of the provider's argument.
func configError(err error) error {
	if c, ok := errors.AsType[*gcp.ConfigError](err); ok {
		return usagef("--%s: %s", strings.ReplaceAll(c.Setting, "_", "-"), c.Message)
	}
	return &exitError{exitUsage, err}
}
