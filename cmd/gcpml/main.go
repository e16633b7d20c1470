// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Command gcpml runs SQL on BigQuery, or on the local emulator, from files, the
// command line or standard input. See "gcpml run --help".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build.
var version string

// Exit codes. Anything that is wrong before a statement was sent is usage.
const (
	exitFailed     = 1   // a statement failed, or BigQuery could not be used
	exitUsage      = 2   // flags, environment, files or the text of a script
	exitTimeout    = 8   // --timeout is over
	exitInterrupt  = 130 // Ctrl-C, as a shell reports it
	exitTerminated = 143
)

// exitError is an error with the exit code that it calls for.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	u := newUI(os.Stdout, os.Stderr)
	err := newRootCommand(u, run).ExecuteContext(context.Background())
	if err == nil {
		return
	}
	u.error(err)
	code := exitUsage // an error of the flag parser carries no code
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	}
	os.Exit(code)
}

// newRootCommand builds the command line. runF does the work of "gcpml run".
func newRootCommand(u *ui, runF func(context.Context, *runOptions, *ui) error) *cobra.Command {
	root := &cobra.Command{
		Use:           "gcpml",
		Short:         "Run SQL on BigQuery, the companion of terraform-provider-gcpml",
		Version:       versionText(),
		Args:          cobra.NoArgs,
		SilenceErrors: true, // the ui prints them
		SilenceUsage:  true,
		// Only a command that can be run complains about an unknown subcommand.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(u.out)
	root.SetErr(u.err)
	root.SetVersionTemplate("gcpml {{.Version}}\n")
	root.AddCommand(newRunCommand(u, runF))
	return root
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}
