// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gcpml": main})
}

// commands of the scripts besides those of testscript.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	// exits CODE COMMAND… runs a command that has to end with that exit code.
	"exits": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: exits CODE COMMAND…")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		err = ts.Exec(args[1], args[2:]...)
		got := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		} else {
			ts.Check(err)
		}
		if got != want {
			ts.Fatalf("exit code %d, want %d", got, want)
		}
	},
	// validjson FILE checks that the file (or stdout) is exactly one JSON document.
	"validjson": func(ts *testscript.TestScript, neg bool, args []string) {
		if !json.Valid([]byte(ts.ReadFile(args[0]))) != neg {
			ts.Fatalf("%s: valid JSON is %t", args[0], neg)
		}
	},
}

// TestOffline runs the scripts that need no server.
func TestOffline(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/offline", Cmds: scriptCommands, RequireUniqueNames: true})
}

// TestScripts runs the scripts against the emulator: the running one that
// GCPML_EMULATOR_HOST names, else one of its own from GCPML_EMULATOR_BIN.
func TestScripts(t *testing.T) {
	host := os.Getenv("GCPML_EMULATOR_HOST")
	if host == "" {
		bin := os.Getenv("GCPML_EMULATOR_BIN")
		if bin == "" {
			t.Skip("no emulator: set GCPML_EMULATOR_HOST to a running one or GCPML_EMULATOR_BIN to the binary (make test does)")
		}
		host = startEmulator(t, bin)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Cmds: scriptCommands, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GCPML_EMULATOR_HOST", host)
			// A project per script, new each time: they run side by side, and the
			// emulator may have been running before.
			env.Setenv("GOOGLE_PROJECT", "script-"+query.NewRunID())
			return nil
		},
	})
}

func startEmulator(t *testing.T, bin string, flags ...string) string {
	host, stop, err := launchEmulator(bin, t.Output(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	// The scripts are parallel subtests: they are over when the cleanup runs.
	t.Cleanup(stop)
	return host
}

func launchEmulator(bin string, log io.Writer, flags ...string) (host string, stop func(), err error) {
	cmd := exec.Command(bin, append([]string{"start", "--listen", "127.0.0.1:0"}, flags...)...)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, host, found := strings.Cut(strings.TrimSpace(line), "GCPML_EMULATOR_HOST=")
	if err != nil || !found {
		stop()
		return "", nil, fmt.Errorf("the emulator did not print its address but %q (%w)", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return host, stop, nil
}

// endless is a BigQuery whose jobs run until they are cancelled.
func endless(t *testing.T) (host string, polled chan struct{}, cancelled *atomic.Bool) {
	polled, cancelled = make(chan struct{}, 1), new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		job := map[string]any{"status": map[string]string{"state": "RUNNING"}}
		switch {
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			cancelled.Store(true)
			job = map[string]any{"job": job}
		case r.Method == http.MethodGet:
			select {
			case polled <- struct{}{}:
			default:
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(job)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), polled, cancelled
}

func TestCtrlC(t *testing.T) {
	for name, test := range map[string]struct {
		signal os.Signal
		code   int
	}{"Ctrl-C": {os.Interrupt, 130}, "terminated": {syscall.SIGTERM, 143}} {
		t.Run(name, func(t *testing.T) {
			host, polled, cancelled := endless(t)
			ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
			defer stop()
			cmd := exec.CommandContext(ctx, "gcpml", "run", "-e", "SELECT 1", "--project", "p", "--emulator-host", host, "--format", "json")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-polled:
			case <-ctx.Done():
				t.Fatal("the job was never looked at")
			}
			begun := time.Now()
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !cancelled.Load() {
				t.Errorf("exit code %d, want %d; job cancelled: %t", code, test.code, cancelled.Load())
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			if stdout.Len() > 0 || !strings.Contains(stderr.String(), "-e:1:1: interrupted; BigQuery was asked to cancel job p:gcpml_") {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	host, _, cancelled := endless(t)
	cmd := exec.Command("gcpml", "run", "-e", "SELECT 1", "--project", "p", "--emulator-host", host, "--timeout", "300ms")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitTimeout || !cancelled.Load() || !strings.Contains(string(out), "-e:1:1: out of time; BigQuery was asked to cancel job") {
		t.Errorf("exit code %d, job cancelled: %t, output %q", code, cancelled.Load(), out)
	}
}

// The command line becomes options, without anything being run.
func TestFlags(t *testing.T) {
	o := &runOptions{}
	cmd := &cobra.Command{Use: "run", RunE: func(_ *cobra.Command, args []string) error { o.files = args; return nil }}
	addGroups(cmd, "gcpml run", o.sourceOptions.group("run"), o.guardOptions.group(), o.jobOptions.group(), o.outputOptions.group(), o.connectionOptions.group())
	cmd.SetArgs(strings.Fields("a.sql - --format csv --project p --location EU --label a=b --label c= --maximum-bytes-billed 5 --max-rows 0 --timeout 3s --default-dataset d --emulator-host h:1 --priority batch"))
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if strings.Join(o.files, " ") != "a.sql -" || o.format != "csv" || o.config.Project != "p" || o.config.EmulatorHost != "h:1" ||
		o.maxRows != 0 || o.timeout != 3*time.Second || o.maximumBytesBilled != 5 {
		t.Errorf("got %+v", o)
	}
	r, err := o.request()
	if err != nil || r.Location != "EU" || r.Labels["a"] != "b" || r.Labels["c"] != "" || len(r.Labels) != 2 || r.DefaultDataset != "d" || r.Priority != "BATCH" {
		t.Errorf("got %+v, %v", r, err)
	}
}
