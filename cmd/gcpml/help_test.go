// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var substitution = regexp.MustCompile(`\$\([^)]*\)`)

// words splits a command line as a shell does.
func words(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `gcpml() { printf '%s\n' "$@"; }; `+substitution.ReplaceAllString(line, "JOB")).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// The help of every command shows its options in groups, each option has an example
// in its group, and every example is a command line that the command takes.
func TestHelpExamples(t *testing.T) {
	example := regexp.MustCompile(`(?m)^  for instance: (gcpml .*)$`)
	var check func(path []string, cmd *cobra.Command)
	check = func(path []string, cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			check(append(path[:len(path):len(path)], sub.Name()), sub)
		}
		if !cmd.Runnable() || !cmd.HasLocalFlags() || cmd.HasSubCommands() {
			return
		}
		var help bytes.Buffer
		cmd.SetOut(&help)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, m := range example.FindAllStringSubmatch(help.String(), -1) {
			args := words(t, m[1])
			fresh := newRootCommand(&app{ui: newUI(io.Discard, io.Discard), stdin: strings.NewReader(""), lookupEnv: func(string) (string, bool) { return "", false }})
			found, rest, err := fresh.Find(args)
			if err != nil || found.CommandPath() != strings.Join(path, " ") {
				t.Errorf("%s: the example %q is not one of it: %v", strings.Join(path, " "), m[1], err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", strings.Join(path, " "), m[1], err)
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: %q: %v", strings.Join(path, " "), m[1], err)
			}
			found.Flags().Visit(func(f *pflag.Flag) { used[f.Name] = true })
		}
		groups := 0
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !used[f.Name] {
				t.Errorf("%s: --%s has no example", strings.Join(path, " "), f.Name)
			}
			if f.Name != "help" && !strings.Contains(help.String(), "--"+f.Name+" ") {
				t.Errorf("%s: --%s is not in the help", strings.Join(path, " "), f.Name)
			}
			groups++
		})
		if groups == 0 {
			t.Errorf("%s has no options", strings.Join(path, " "))
		}
	}
	root := newRootCommand(&app{ui: newUI(io.Discard, io.Discard), stdin: strings.NewReader(""), lookupEnv: func(string) (string, bool) { return "", false }})
	for _, sub := range root.Commands() {
		if sub.Name() != "man" && sub.Name() != "completion" && sub.Name() != "help" {
			check([]string{"gcpml", sub.Name()}, sub)
		}
	}
}
