// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CLI is Terraform or OpenTofu as a user runs it: a program of its own that
// starts the provider as another program. terraform-plugin-testing serves the
// provider inside the test, where it cannot be killed.
type CLI struct {
	t      testing.TB
	binary string
	dir    string
	mirror string
	env    []string
}

// NewCLI makes a working directory with this configuration, in which `init` has
// run. The provider comes from bin/ (or GCPML_BIN_DIR), by a mirror of its own, so
// that its process can be told from those of other tests.
func (tw *Twin) NewCLI(t testing.TB, configuration string) *CLI {
	t.Helper()
	binary := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if binary == "" {
		t.Fatal("set TF_ACC_TERRAFORM_PATH to a terraform or tofu (make test does)")
	}
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	programs := os.Getenv("GCPML_BIN_DIR")
	if programs == "" {
		programs = filepath.Join(root, "bin")
	}
	c := &CLI{t: t, binary: binary, dir: t.TempDir(), mirror: t.TempDir()}
	mirror := exec.Command(filepath.Join(root, "tools", "mirror.sh"), filepath.Join(programs, "terraform-provider-gcpml"),
		"0.1.0", runtime.GOOS+"_"+runtime.GOARCH, c.mirror)
	if out, err := mirror.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TF_") && !strings.HasPrefix(pair, "GOOGLE_") && !strings.HasPrefix(pair, "GCPML_") {
			c.env = append(c.env, pair)
		}
	}
	c.env = append(c.env, "TF_CLI_CONFIG_FILE="+filepath.Join(c.mirror, "gcpml.tfrc"), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
	c.Write(configuration)
	c.Must("init", "-no-color")
	return c
}

// For returns the same working directory for another test, with further
// environment variables ("KEY=value") in its commands.
func (c *CLI) For(t testing.TB, env ...string) *CLI {
	other := *c
	other.t, other.env = t, append(slices.Clip(c.env), env...)
	return &other
}

// Dir is the working directory.
func (c *CLI) Dir() string { return c.dir }

// Write replaces the configuration.
func (c *CLI) Write(configuration string) {
	c.t.Helper()
	const requirement = "terraform {\n  required_providers {\n    gcpml = { source = \"gcpml/gcpml\" }\n  }\n}\n\n"
	if err := os.WriteFile(filepath.Join(c.dir, "main.tf"), []byte(requirement+configuration), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// Run runs one command and returns its output, stderr included, and exit code.
func (c *CLI) Run(args ...string) (output string, exit int) {
	c.t.Helper()
	return c.Start(args...).Wait()
}

// Must is Run for a command that has to succeed.
func (c *CLI) Must(args ...string) string {
	c.t.Helper()
	out, exit := c.Run(args...)
	if exit != 0 {
		c.t.Fatalf("%s %s: exit code %d\n%s", filepath.Base(c.binary), strings.Join(args, " "), exit, out)
	}
	return out
}

// Running is a command that was started.
type Running struct {
	cli *CLI
	cmd *exec.Cmd
	out bytes.Buffer
}

// Start starts a command.
func (c *CLI) Start(args ...string) *Running {
	c.t.Helper()
	r := &Running{cli: c, cmd: exec.Command(c.binary, args...)}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = c.dir, c.env, &r.out, &r.out
	r.cmd.WaitDelay = 30 * time.Second
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// Wait waits for the command to end.
func (r *Running) Wait() (output string, exit int) {
	r.cli.t.Helper()
	err := r.cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		r.cli.t.Fatalf("%v\n%s", err, r.out.String())
	}
	return r.out.String(), r.cmd.ProcessState.ExitCode()
}

// Interrupt is Ctrl-C: the CLI tells its providers to stop, and ends.
func (r *Running) Interrupt() {
	r.cli.t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		r.cli.t.Fatal(err)
	}
}

// Signal sends a signal to the CLI, and to nobody else.
func (r *Running) Signal(sig syscall.Signal) {
	r.cli.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.cli.t.Fatal(err)
	}
}

// KillProvider kills the provider processes that this CLI started, with SIGKILL,
// and returns how many there were.
func (c *CLI) KillProvider() int {
	c.t.Helper()
	return c.SignalProvider(syscall.SIGKILL)
}

// SignalProvider sends a signal to the provider processes that this CLI started
// and returns how many there were. Signal 0 only counts them.
func (c *CLI) SignalProvider(sig syscall.Signal) int {
	c.t.Helper()
	signalled := 0
	programs, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil || len(programs) == 0 {
		c.t.Skip("finding the provider's process needs /proc")
	}
	for _, exe := range programs {
		target, err := os.Readlink(exe)
		if err != nil || !strings.HasPrefix(target, c.mirror) && !strings.HasPrefix(target, c.dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
		if err != nil {
			continue
		}
		if syscall.Kill(pid, sig) == nil {
			signalled++
		}
	}
	return signalled
}
