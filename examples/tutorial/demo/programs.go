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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// demo is what the steps share.
type demo struct {
	cli   string
	root  string // of the repository
	dir   string // a copy of the tutorial that the CLI works in
	host  string // of the emulator
	env   []string
	times []stepTime

	emulator *exec.Cmd
}

const project = "demo-gcpml"

func (d *demo) bin(name string) string { return filepath.Join(d.root, "bin", name) }

func (d *demo) build(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("finding the repository: %w", err)
	}
	d.root = strings.TrimSpace(string(out))
	if err := d.command(ctx, d.root, "make", "mirror", "cli", "CLI="+d.cli).Run(); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "gcpml-demo-"); err != nil {
		return err
	}
	for _, pattern := range []string{"*.tf", "*.sql"} {
		files, err := filepath.Glob(filepath.Join(d.root, "examples", "tutorial", pattern))
		if err != nil {
			return err
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(d.dir, filepath.Base(f)), content, 0o600); err != nil {
				return err
			}
		}
	}
	fmt.Printf("Terraform CLI: %s\n", d.cli)
	return nil
}

func (d *demo) start(ctx context.Context) error {
	// Not tied to ctx: after Ctrl-C the demo still talks to it to clean up.
	d.emulator = exec.Command(d.bin("gcpml-emulator"), "start", "--listen", "127.0.0.1:0",
		"--operation-latency", operationLatency, "--deploy-latency", deployLatency, "--iam-lag", iamLag)
	d.emulator.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	var log bytes.Buffer
	d.emulator.Stderr = &log
	stdout, err := d.emulator.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.emulator.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, host, found := strings.Cut(strings.TrimSpace(line), "GCPML_EMULATOR_HOST=")
	if err != nil || !found {
		return fmt.Errorf("no address from the emulator, but %q: %s", line, log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	d.host = host
	d.env = append(withoutGoogle(os.Environ()),
		"GCPML_EMULATOR_HOST="+host, "GOOGLE_PROJECT="+project, "TF_VAR_project="+project,
		"TF_CLI_CONFIG_FILE="+d.bin("gcpml.tfrc"), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
	fmt.Printf("http://%s, operations take %s, deployments %s, grants take effect after %s\n", host, operationLatency, deployLatency, iamLag)
	return ctx.Err()
}

// withoutGoogle drops settings that could reach a real project, or contradict
// the emulator.
func withoutGoogle(env []string) []string {
	return slices.DeleteFunc(env, func(pair string) bool {
		for _, prefix := range []string{"GOOGLE_", "GCLOUD_", "CLOUDSDK_", "GCPML_", "TF_"} {
			if strings.HasPrefix(pair, prefix) {
				return true
			}
		}
		return false
	})
}

// command prepares a program that shows its output, and is interrupted rather
// than killed when ctx ends.
func (d *demo) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	fmt.Printf("$ %s %s\n", filepath.Base(name), strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, d.env, os.Stdout, os.Stderr
	return cmd
}

func (d *demo) terraform(ctx context.Context, args ...string) error {
	return d.command(ctx, d.dir, d.cli, args...).Run()
}

// output runs a program and returns what it wrote to stdout.
func (d *demo) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = d.dir, d.env, os.Stderr
	return cmd.Output()
}

// query runs SQL with the runner and decodes its rows.
func (d *demo) query(ctx context.Context, sql string, rows any) error {
	out, err := d.output(ctx, d.bin("gcpml"), "run", "-e", sql, "--format", "json")
	if err != nil {
		return err
	}
	return json.Unmarshal(out, rows)
}

// get reads JSON from the emulator's own surface.
func (d *demo) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.host+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (d *demo) close() error {
	var errs []error
	if d.emulator != nil && d.emulator.Process != nil {
		errs = append(errs, d.emulator.Process.Signal(os.Interrupt))
		if err := d.emulator.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("the emulator: %w", err))
		}
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}
