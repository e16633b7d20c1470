// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// hostVariable names the emulator to every program of gcpml.
const hostVariable = "GCPML_EMULATOR_HOST"

// tokenVariable holds the token for what --enable-faults enables.
const tokenVariable = "GCPML_EMULATOR_FAULT_TOKEN"

// variables are what the programs around gcpml read to find the emulator.
func variables(host, token string) []string {
	url := "http://" + host
	out := []string{
		hostVariable + "=" + host,
		// Google Cloud client libraries.
		"STORAGE_EMULATOR_HOST=" + url,
		"BIGQUERY_EMULATOR_HOST=" + url,
		// gcloud and bq. No credential is sent; bq wants one all the same, see README.md.
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM=" + url + "/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY=" + url + "/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER=" + url + "/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=" + url + "/storage/v1/",
	}
	if token != "" {
		out = append(out, tokenVariable+"="+token)
	}
	return out
}

func newEnv() *cobra.Command {
	var host, addressFile string
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the shell exports that point other programs at the emulator",
		Example: `  eval "$(gcpml-emulator env)"
  eval "$(gcpml-emulator env --host 127.0.0.1:9200)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token := os.Getenv(tokenVariable)
			if addressFile != "" {
				raw, err := os.ReadFile(addressFile)
				if err != nil {
					return fmt.Errorf("--address-file: %w", err)
				}
				host, token, _ = strings.Cut(strings.TrimSpace(string(raw)), "\n")
			}
			if host == "" {
				host = os.Getenv(hostVariable)
			}
			if host == "" {
				host = defaultListen
			}
			if !answers(cmd.Context(), host) {
				fmt.Fprintf(cmd.ErrOrStderr(), "gcpml-emulator: nothing answers at %s yet; start it with gcpml-emulator start --listen %s\n", host, host)
			}
			for _, v := range variables(host, token) {
				name, value, _ := strings.Cut(v, "=")
				fmt.Fprintf(cmd.OutOrStdout(), "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&host, "host", "", "`host:port` of the emulator (default: $GCPML_EMULATOR_HOST, else "+defaultListen+")")
	cmd.Flags().StringVar(&addressFile, "address-file", "", "the `file` that start wrote: the host, and the token of --enable-faults")
	cmd.MarkFlagsMutuallyExclusive("host", "address-file")
	return cmd
}

// answers reports whether an emulator runs at host.
func answers(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/_emulator/health", nil)
	if err != nil {
		return false
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	var health struct{ Service string }
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<10)).Decode(&health)
	return err == nil && res.StatusCode == http.StatusOK && health.Service == "gcpml-emulator"
}
