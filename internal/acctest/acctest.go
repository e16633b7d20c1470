// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package acctest runs acceptance tests: real Terraform or OpenTofu, the real
// provider, and an emulator of its own for each test, so that tests run in
// parallel and "nothing is left" can be checked over the whole inventory.
// Only tests import it.
package acctest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/provider"
)

const defaultConnection = "/connections/__default_cloudresource_connection__"

// Project and Region are what the tests of the emulator use.
const (
	Project = "demo-gcpml"
	Region  = "us-central1"
)

// Factories serves the provider inside the test process.
var Factories = map[string]func() (tfprotov6.ProviderServer, error){
	"gcpml": func() (tfprotov6.ProviderServer, error) { return provider.NewServer("test"), nil },
}

// Twin is a running emulator.
type Twin struct {
	// Host is host:port, for emulator_host.
	Host string

	token string   // opens what --enable-faults enables
	flags []string // what it was started with
}

// Start starts an emulator with these flags of `gcpml-emulator start`, stops it
// when the test ends, and skips the test unless TF_ACC is set. The binary is
// GCPML_EMULATOR_BIN, else bin/gcpml-emulator in the repository (make build).
// The switches of GCPML_EMULATOR_ASSUME, "KEY=VALUE,KEY=VALUE", are flipped in it,
// except those that flags set.
func Start(t testing.TB, flags ...string) *Twin {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Skip("acceptance test: set TF_ACC=1 (make test does)")
	}
	ctx, cancel := context.WithCancel(context.Background())
	tw := &Twin{token: rand.Text(), flags: append(assume(os.Getenv(AssumeVariable)), flags...)}
	cmd := exec.CommandContext(ctx, binary(t), append([]string{"start", "--listen", "127.0.0.1:0"}, tw.flags...)...)
	cmd.Env = append(os.Environ(), "GCPML_EMULATOR_FAULT_TOKEN="+tw.token)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	log := &tail{}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ended by the signal
		if t.Failed() {
			t.Logf("the emulator's log ended with:\n%s", log)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, host, found := strings.Cut(strings.TrimSpace(line), "GCPML_EMULATOR_HOST=")
	if err != nil || !found {
		t.Fatalf("the emulator did not print its address but %q (%v); its log: %s", line, err, log)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	tw.Host = host
	return tw
}

func binary(t testing.TB) string {
	if bin := os.Getenv("GCPML_EMULATOR_BIN"); bin != "" {
		return bin
	}
	_, file, _, _ := runtime.Caller(0)
	bin := filepath.Join(filepath.Dir(file), "..", "..", "bin", "gcpml-emulator")
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("no emulator: run `make build`, or set GCPML_EMULATOR_BIN (%v)", err)
	}
	return bin
}

// tail keeps the end of a log.
type tail struct{ b []byte }

func (w *tail) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	if over := len(w.b) - 16<<10; over > 0 {
		w.b = w.b[over:]
	}
	return len(p), nil
}

func (w *tail) String() string { return string(w.b) }

// Config returns HCL with a provider block for this emulator in front. arguments
// are further lines of that block.
func (tw *Twin) Config(hcl string, arguments ...string) string {
	return fmt.Sprintf("provider \"gcpml\" {\n  project = %q\n  region = %q\n  emulator_host = %q\n  %s\n}\n\n%s",
		Project, Region, tw.Host, strings.Join(arguments, "\n  "), hcl)
}

// Inventory is what exists on the emulator: section → objects.
type Inventory map[string][]json.RawMessage

// Inventory reads what exists.
func (tw *Twin) Inventory(t testing.TB) Inventory {
	t.Helper()
	inv, err := tw.inventory()
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// Serving is what the inventory tells of models and endpoints.
type Serving struct {
	Models []struct {
		Name     string
		Versions []struct {
			VersionID string `json:"version_id"`
			Aliases   []string
		}
	}
	Endpoints []struct {
		Name           string
		DeployedModels []struct {
			ID             string
			DisplayName    string `json:"display_name"`
			ModelVersionID string `json:"model_version_id"`
		} `json:"deployed_models"`
		TrafficSplit map[string]int `json:"traffic_split"`
	}
}

// Serving reads which models and endpoints exist.
func (tw *Twin) Serving(t testing.TB) (s Serving) {
	t.Helper()
	tw.get(t, "inventory", &s)
	return s
}

func (tw *Twin) inventory() (Inventory, error) {
	inv := Inventory{}
	return inv, tw.read("inventory", &inv)
}

func (tw *Twin) get(t testing.TB, what string, into any) {
	t.Helper()
	if err := tw.read(what, into); err != nil {
		t.Fatal(err)
	}
}

func (tw *Twin) read(what string, into any) error {
	return tw.admin(http.MethodGet, what, nil, into)
}

// managed are the sections of the inventory that hold what the provider makes.
var managed = []string{"models", "endpoints", "connections", "iam_bindings", "remote_models"}

// CheckDestroy fails when anything that the provider makes is left.
//
// The default connection of a project does not count, nor do its roles: BigQuery
// makes it for all, and nobody's destroy deletes it.
func (tw *Twin) CheckDestroy(*terraform.State) error {
	inv, err := tw.inventory()
	if err != nil {
		return err
	}
	defaults := []string{defaultConnection}
	for _, o := range inv["connections"] {
		var c struct{ ServiceAccount string }
		if bytes.Contains(o, []byte(defaultConnection)) && json.Unmarshal(o, &c) == nil {
			defaults = append(defaults, "serviceAccount:"+c.ServiceAccount)
		}
	}
	for _, section := range managed {
		left := slices.DeleteFunc(inv[section], func(o json.RawMessage) bool {
			return slices.ContainsFunc(defaults, func(name string) bool { return bytes.Contains(o, []byte(name)) })
		})
		if len(left) > 0 {
			return fmt.Errorf("destroy left %d in %s: %s", len(left), section, left)
		}
	}
	return nil
}

// Clients returns clients for the emulator, for changes behind Terraform's back.
func (tw *Twin) Clients(t testing.TB) *gcp.Clients {
	t.Helper()
	c, err := gcp.Connect(t.Context(), gcp.Config{Project: Project, Region: Region, EmulatorHost: tw.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// SQL runs a query on the emulator to set a test up.
func (tw *Twin) SQL(t testing.TB, sql string) *bigquery.QueryResponse {
	t.Helper()
	bq, err := tw.Clients(t).BigQuery(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	standard := false
	resp, err := bq.Jobs.Query(Project, &bigquery.QueryRequest{Query: sql, UseLegacySql: &standard, Location: "US", TimeoutMs: 60_000}).Do()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return resp
}

// Call is one API call that the emulator has noted.
type Call struct {
	// Method is the full gRPC method, or the HTTP method and the path.
	Method   string
	Resource string
	// Code is the canonical code, such as "OK".
	Code string
}

// Calls returns the API calls so far, oldest first.
func (tw *Twin) Calls(t testing.TB) []Call {
	t.Helper()
	var journal struct{ Entries []Call }
	tw.get(t, "journal", &journal)
	return journal.Entries
}
