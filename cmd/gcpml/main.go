// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Command gcpml runs SQL on BigQuery, or on the local emulator, from files, the
// command line or standard input. See "gcpml run --help".
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the release build.
var version string

// app is what every command needs: where it reads, prints and looks settings up.
type app struct {
	ui        *ui
	stdin     io.Reader
	lookupEnv func(string) (string, bool)
	profile   profile // of the configuration file
}

// memoryLimit is where the garbage collector begins to work harder. Rows stream, so
// what is alive at any time is a few megabytes, and most of a process that reads
// millions of them would be garbage that waits to be collected: by itself Go lets it
// grow to as much as is alive, and to more while the collector is at work. The limit
// is soft: a run that needs more gets it, for at most half of the processor time. The
// lower percentage makes it begin early enough on a machine that is busy.
const (
	memoryLimit = 24 << 20
	gcPercent   = 50
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	a := &app{ui: newUI(os.Stdout, os.Stderr), stdin: os.Stdin, lookupEnv: os.LookupEnv}
	err := newRootCommand(a).ExecuteContext(context.Background())
	if err == nil {
		return
	}
	a.ui.error(err)
	os.Exit(exitCodeOf(err))
}

// newRootCommand builds the command line.
func newRootCommand(a *app) *cobra.Command {
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
	root.SetIn(a.stdin)
	root.SetOut(a.ui.out)
	root.SetErr(a.ui.err)
	root.SetVersionTemplate("gcpml {{.Version}}\n")
	a.addProfileFlags(root)
	for _, build := range commands {
		root.AddCommand(build(a))
	}
	return root
}

// commands are the subcommands besides help and completion, each in its own file.
var commands = []func(*app) *cobra.Command{
	newRunCommand,
	newPlanCommand,
	newPredictCommand,
	newJobsCommand,
	newManCommand,
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
