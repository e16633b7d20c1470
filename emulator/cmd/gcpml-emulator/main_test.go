// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// The test binary is the program itself when it is asked to be, so that what is
// tested is a real process with real signals and exit codes.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_GCPML_EMULATOR") == "1" {
		os.Unsetenv("RUN_AS_GCPML_EMULATOR")
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func program(t *testing.T, host string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, hostVariable+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "RUN_AS_GCPML_EMULATOR=1")
	if host != "" {
		cmd.Env = append(cmd.Env, hostVariable+"="+host)
	}
	return cmd
}

// finish runs a command to its end and returns its exit code and output.
func finish(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestStartRunsUntilSignalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "address")
	cmd := program(t, "", "start", "--listen", "127.0.0.1:0", "--address-file", file)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%v; standard error: %s", err, stderr.String())
	}
	host, ok := strings.CutPrefix(strings.TrimSpace(line), "GCPML_EMULATOR_HOST=")
	if !ok || !answers(t.Context(), host) {
		t.Errorf("first line %q: nothing answers there", line)
	}
	if written, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(written)) != host {
		t.Errorf("--address-file holds %q, %v; want %s", written, err, host)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if !strings.Contains(stderr.String(), "not Google Cloud") {
		t.Errorf("the banner: %s", stderr.String())
	}
}

// The token is told where the address is: on standard output, in the address file,
// by env, and to the command that exec runs. Without --enable-faults there is none.
func TestTheTokenOfFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "address")
	cmd := program(t, "", "start", "--listen", "127.0.0.1:0", "--address-file", file, "--enable-faults")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	_, _ = lines.ReadString('\n')
	line, err := lines.ReadString('\n')
	token, ok := strings.CutPrefix(strings.TrimSpace(line), tokenVariable+"=")
	if err != nil || !ok || len(token) < 20 {
		t.Fatalf("second line %q, %v", line, err)
	}
	_, exports, _ := finish(t, program(t, "", "env", "--address-file", file))
	if !strings.Contains(exports, "export "+tokenVariable+"='"+token+"'") {
		t.Errorf("env --address-file: %s", exports)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	const show = "echo \"$" + tokenVariable + "\""
	for _, c := range []struct {
		flags []string
		want  func(string) bool
	}{
		{[]string{"--enable-faults"}, func(out string) bool { return len(out) >= 20 && out != token }},
		{[]string{"--enable-faults", "--fault-token", "mine"}, func(out string) bool { return out == "mine" }},
		{[]string{"--fault-token", "mine"}, func(out string) bool { return out == "" }},
	} {
		args := append(append([]string{"exec"}, c.flags...), "--", "sh", "-c", show)
		if code, out, stderr := finish(t, program(t, "", args...)); code != 0 || !c.want(strings.TrimSpace(out)) || strings.Contains(stderr, "mine") {
			t.Errorf("%v: exit %d, %q, %q", c.flags, code, out, stderr)
		}
	}
}

func TestPortInUseIsOneClearError(t *testing.T) {
	srv, err := emulator.Start(t.Context(), emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	code, stdout, stderr := finish(t, program(t, "", "start", "--listen", srv.Addr))
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "--listen") || !strings.Contains(stderr, "in use") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestExecStartsAnEmulatorForOneCommand(t *testing.T) {
	code, stdout, stderr := finish(t, program(t, "", "exec", "--", "sh", "-c", `echo "$GCPML_EMULATOR_HOST $STORAGE_EMULATOR_HOST"; exit 3`))
	host, storage, _ := strings.Cut(strings.TrimSpace(stdout), " ")
	if code != 3 || storage != "http://"+host || !strings.Contains(stderr, "started an emulator for this command at "+host) {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if answers(t.Context(), host) {
		t.Error("the emulator still answers after the command")
	}
}

func TestExecUsesTheRunningEmulator(t *testing.T) {
	srv, err := emulator.Start(t.Context(), emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	code, stdout, stderr := finish(t, program(t, srv.Addr, "exec", "--", "sh", "-c", "echo $GCPML_EMULATOR_HOST"))
	if code != 0 || strings.TrimSpace(stdout) != srv.Addr || !strings.Contains(stderr, "using the emulator at "+srv.Addr) {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if !answers(t.Context(), srv.Addr) {
		t.Error("exec stopped an emulator that it did not start")
	}
	srv.Close()
	code, stdout, stderr = finish(t, program(t, srv.Addr, "exec", "--", "sh", "-c", "echo $GCPML_EMULATOR_HOST"))
	if code != 0 || strings.TrimSpace(stdout) == srv.Addr || !strings.Contains(stderr, "nothing answers at "+srv.Addr) {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestExecPassesSignalsOn(t *testing.T) {
	cmd := program(t, "", "exec", "--", "sh", "-c", `trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done`)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 42 {
		t.Errorf("exit code %d, want the command's own 42", code)
	}
}

func TestExecOfNoCommand(t *testing.T) {
	if code, _, stderr := finish(t, program(t, "", "exec", "--", "no-such-program-anywhere")); code != 1 || !strings.Contains(stderr, "no-such-program-anywhere") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if code, _, _ := finish(t, program(t, "", "exec")); code != 1 {
		t.Errorf("exec without a command: exit %d", code)
	}
}

func TestEnvPrintsExportsAShellCanEvaluate(t *testing.T) {
	code, stdout, stderr := finish(t, program(t, "", "env", "--host", "127.0.0.1:1"))
	if code != 0 || !strings.Contains(stderr, "nothing answers") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", stdout+`printf '%s %s' "$GCPML_EMULATOR_HOST" "$CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"`).Output()
	if err != nil || string(out) != "127.0.0.1:1 http://127.0.0.1:1/" {
		t.Errorf("%q, %v", out, err)
	}
	if _, stdout, _ := finish(t, program(t, "", "env")); !strings.Contains(stdout, "export GCPML_EMULATOR_HOST='"+defaultListen+"'") {
		t.Errorf("without a host: %q", stdout)
	}
}

// A port on which something else answers is not taken for an emulator.
func TestAnswersKnowsAnEmulator(t *testing.T) {
	other := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status": "ok"}`) })}
	listener := listenLocal(t)
	go func() { _ = other.Serve(listener) }()
	defer other.Close()
	if answers(t.Context(), listener.Addr().String()) {
		t.Error("another server was taken for an emulator")
	}
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
