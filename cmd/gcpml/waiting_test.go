// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Ctrl-C stops the job on the emulator, and not only the waiting for it.
func TestCtrlCOnTheEmulator(t *testing.T) {
	host := startEmulator(t, emulatorBinary(t), "--job-latency", "1h")
	project := "ctrlc-" + query.NewRunID()
	args := func(rest ...string) []string { return append(rest, "--project", project, "--emulator-host", host) }
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "gcpml", args("run", "-e", "CREATE SCHEMA never", "--run-id", "stopme")...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	list := func() []map[string]any {
		out, err := exec.CommandContext(t.Context(), "gcpml", args("jobs", "list", "--format", "json")...).Output()
		var jobs []map[string]any
		if err == nil {
			err = json.Unmarshal(out, &jobs)
		}
		if err != nil {
			t.Fatal(err)
		}
		return jobs
	}
	for deadline := time.Now().Add(20 * time.Second); len(list()) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no job was sent")
		}
	}
	begun := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if took := time.Since(begun); took > 2*time.Second || cmd.ProcessState.ExitCode() != exitInterrupt {
		t.Errorf("exit code %d after %s; stderr %q", cmd.ProcessState.ExitCode(), took, &stderr)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		jobs := list()
		if len(jobs) == 1 && jobs[0]["state"] == "DONE" && jobs[0]["failed"] == true {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job is not cancelled: %v", jobs)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "gcpml", args("jobs", "show", "US."+list()[0]["id"].(string))...).CombinedOutput(); err != nil || !strings.Contains(string(out), "failed (stopped)") {
		t.Errorf("%v: %s", err, out)
	}
}

// The second Ctrl-C does not wait for the answer to the cancellation.
func TestSecondCtrlC(t *testing.T) {
	polled, asked := make(chan struct{}, 1), make(chan struct{}, 1)
	over := make(chan struct{})
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			tell(asked)
			<-over
		case r.Method == http.MethodGet:
			tell(polled)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status": {"state": "RUNNING"}}`))
	}))
	defer server.Close()
	defer close(over)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "gcpml", "run", "-e", "SELECT 1", "--project", "p", "--emulator-host", strings.TrimPrefix(server.URL, "http://"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []chan struct{}{polled, asked} {
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatal("the server is not asked")
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	second := time.Now()
	_ = cmd.Wait()
	// The signal itself ends it, which a shell reports as 130.
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if took := time.Since(second); took > time.Second || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("%s, %s after the second Ctrl-C; stderr %q", cmd.ProcessState, took, &stderr)
	}
}

// On a terminal there is one line that is written over, no wider than the terminal,
// and gone before anything else is said.
func TestProgressLine(t *testing.T) {
	var out strings.Builder
	u := newUI(&out, &out)
	u.mode, u.width = progressLine, 40
	p := query.Progress{Job: query.Reference{Project: "p", ID: "j"}, State: "RUNNING", Elapsed: time.Second}
	u.progress(p)
	if out.Len() > 0 {
		t.Errorf("%q is shown of a job that has just begun", &out)
	}
	p.Elapsed, p.Stages, p.StagesDone, p.Stage = 5*time.Second, 3, 1, "S01: Join"
	u.progress(p)
	p.Elapsed, p.Bytes, p.RowsRead, p.ActiveUnits = 6*time.Second, 2_000_000, 1500, 20
	u.progress(p)
	u.read(3)
	u.note("done")
	screen, widest := []rune{}, 0
	lines := []string{}
	for _, r := range strings.ReplaceAll(out.String(), "\x1b[K", "\x00") { // erase to the end of the line
		switch r {
		case '\r':
			widest, screen = max(widest, len(screen)), screen[:0]
		case '\x00':
		case '\n':
			lines, screen = append(lines, string(screen)), screen[:0]
		default:
			screen = append(screen, r)
		}
	}
	if len(lines) != 1 || lines[0] != "gcpml: done" || len(screen) > 0 || widest >= 40 {
		t.Errorf("lines %q, %q left, widest %d, from %q", lines, string(screen), widest, &out)
	}
	for _, text := range []string{"running for 5s, 1 of 3 stages, S01: Join", "running for 6s", "3 rows read"} {
		if !strings.Contains(out.String(), text[:min(len(text), 39)]) {
			t.Errorf("%q was not shown in %q", text, &out)
		}
	}
}

// A role that was just granted takes its time: the statement is tried again until the
// grant has taken effect, and the user is told why it takes long.
func TestIAMWait(t *testing.T) {
	bin := emulatorBinary(t)
	s := newScorer(t)
	host := startEmulator(t, bin, append(s.flags(), "--iam-lag", "4s")...)
	project := "iam-" + query.NewRunID()
	create, err := prepareScorer(host, project)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, stderr string, took time.Duration) {
		begun := time.Now()
		cmd := exec.CommandContext(t.Context(), "gcpml", append([]string{"run", "-e", create, "--project", project, "--emulator-host", host}, args...)...)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out), time.Since(begun)
	}
	if code, text, took := run("--iam-propagation-timeout", "0"); code == 0 || took > 3*time.Second || strings.Contains(text, "waiting") || !strings.Contains(text, "does not have the permission") {
		t.Errorf("without waiting: exit code %d after %s: %s", code, took, text)
	}
	if code, text, _ := run("--iam-propagation-timeout", "1m"); code != 0 || !strings.Contains(text, "gcpml: waiting for a grant of bqcx-") || !strings.Contains(text, "-e:1:1: create model done: ") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if answer, err := (apiCaller{"http://" + host}).call("GET", "/bigquery/v2/projects/"+project+"/datasets/d/models/score", nil); err != nil {
		t.Errorf("%v, %v", answer, err)
	}
}
