// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/render"
)

func oneColumn(values ...string) render.Result {
	return render.Result{Schema: query.Schema{{Name: "c", Type: "STRING"}}, Total: uint64(len(values)), Rows: func(yield func(query.Row, error) bool) {
		for _, v := range values {
			if !yield(query.Row{v}, nil) {
				return
			}
		}
	}}
}

// files lists a folder, temporary files too.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestOutputFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.csv")
	o := outputOptions{format: "csv", file: name}
	for _, value := range []string{"first", "second"} { // the second replaces the first
		out, err := o.open(os.Stdout)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(name)
		if _, err := out.Render(out, oneColumn(value)); err != nil {
			t.Fatal(err)
		}
		if now, _ := os.ReadFile(name); string(now) != string(before) {
			t.Errorf("before the end the file holds %q", now)
		}
		if err := out.close(nil); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != "c\n"+value+"\n" {
			t.Errorf("%q, %v", text, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if got := files(t, dir); got != "out.csv" {
		t.Errorf("left behind: %s", got)
	}
}

// A run that fails leaves what was there, and nothing else.
func TestOutputOfAFailedRun(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.json")
	for _, before := range []string{"", "out.json"} {
		out, err := (&outputOptions{format: "json", file: name}).open(os.Stdout)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = out.Render(out, oneColumn("x"))
		failed := errors.New("the job failed")
		if err := out.close(failed); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		if got := files(t, dir); got != before {
			t.Errorf("left behind: %s", got)
		}
		if err := os.WriteFile(name, []byte("yesterday's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, _ := os.ReadFile(name); string(text) != "yesterday's" {
		t.Errorf("the file holds %q", text)
	}
}

func TestOutputFollowsLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	target := filepath.Join(elsewhere, "real.csv")
	link := filepath.Join(dir, "link.csv")
	if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	out, err := (&outputOptions{format: "csv", file: link}).open(os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Render(out, oneColumn("x"))
	if err := out.close(err); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(target); string(text) != "c\nx\n" {
		t.Errorf("the target holds %q", text)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is one no more: %v, %v", info, err)
	}
	// A device is written to, and not replaced.
	out, err = (&outputOptions{format: "csv", file: os.DevNull}).open(os.Stdout)
	if err == nil {
		_, err = out.Render(out, oneColumn("x"))
		err = out.close(err)
	}
	if info, statErr := os.Stat(os.DevNull); err != nil || statErr != nil || info.Mode().IsRegular() {
		t.Errorf("%v, %v, %v", err, info, statErr)
	}
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for file, want := range map[string]string{
		filepath.Join(dir, "no", "such", "folder.csv"): "no such file or directory",
		dir: "is a directory",
	} {
		_, err := (&outputOptions{format: "csv", file: file}).open(os.Stdout)
		if err == nil || !strings.Contains(err.Error(), want) || exitCodeOf(err) != exitUsage {
			t.Errorf("%s: got %v", file, err)
		}
	}
	if _, err := (&outputOptions{format: "xml", file: filepath.Join(dir, "x")}).open(os.Stdout); err == nil || exitCodeOf(err) != exitUsage {
		t.Errorf("format xml: got %v", err)
	}
	if got := files(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// A disk that is full: no part of a file under its name. The child may write files
// of 4 kB only, which to it is the same.
func TestOutputOnAFullDisk(t *testing.T) {
	if name := os.Getenv("GCPML_TEST_FULL_DISK"); name != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"csv", "json", "table", "parquet"} {
			out, err := (&outputOptions{format: format, file: name, maxRows: 0}).open(os.Stdout)
			if err != nil {
				t.Fatal(err)
			}
			long := make([]string, 3000)
			for i := range long {
				long[i] = strings.Repeat(string(rune('a'+i%26)), i%97)
			}
			_, err = out.Render(out, oneColumn(long...))
			if err = out.close(err); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("%s: got %v", format, err)
			}
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestOutputOnAFullDisk$")
	cmd.Env = append(os.Environ(), "GCPML_TEST_FULL_DISK="+filepath.Join(dir, "out"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if got := files(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// Formats for programs are whole unless somebody asks for less.
func TestMaxRowsByFormat(t *testing.T) {
	for _, test := range []struct {
		args []string
		want uint64
	}{
		{[]string{"--format", "csv"}, 0},
		{[]string{"--format", "table"}, 1000},
		{[]string{"--format", "markdown"}, 1000},
		{[]string{"--format", "csv", "--max-rows", "7"}, 7},
		{[]string{"--format", "table", "--max-rows", "0"}, 0},
	} {
		var o outputOptions
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.group().define(f)
		if err := f.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		if got := o.limit(); got != test.want {
			t.Errorf("%v: %d rows, want %d", test.args, got, test.want)
		}
	}
}
