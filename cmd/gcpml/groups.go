// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// optionGroup is a set of options that belong together. Help shows it under its
// title with examples; commands share groups, so that an option means the same
// everywhere.
type optionGroup struct {
	title string
	// examples together use every option: each the options to put after a plain
	// command, or a whole command line, which begins with gcpml.
	examples []string
	define   func(*pflag.FlagSet)
}

// profileGroup is shown for the options that all commands have.
var profileGroup = optionGroup{"Profile options", []string{"--profile dev", "--config ci/gcpml.yaml --profile nightly"}, func(*pflag.FlagSet) {}}

// lines are the examples of a group for a command: plain is a call of the command
// without the group's options.
func (g optionGroup) lines(plain string) []string {
	lines := make([]string, len(g.examples))
	for i, e := range g.examples {
		if lines[i] = e; !strings.HasPrefix(e, "gcpml ") {
			lines[i] = plain + " " + e
		}
	}
	return lines
}

// addGroups gives a command its options, in groups, and the help that shows them so.
func addGroups(cmd *cobra.Command, plain string, groups ...optionGroup) {
	groups = append(groups, profileGroup)
	sets := make([]*pflag.FlagSet, len(groups))
	for i, g := range groups {
		sets[i] = pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		sets[i].SortFlags = false
		g.define(sets[i])
		cmd.Flags().AddFlagSet(sets[i])
	}
	cmd.Flags().SortFlags = false
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
		if cmd.HasExample() {
			fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
		}
		for i, g := range groups {
			fmt.Fprintf(&b, "\n%s:\n", g.title)
			for _, line := range g.lines(plain) {
				fmt.Fprintf(&b, "  for instance: %s\n", line)
			}
			if g.title == profileGroup.title {
				b.WriteString(cmd.InheritedFlags().FlagUsagesWrapped(100))
			}
			b.WriteString(sets[i].FlagUsagesWrapped(100))
		}
		_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
		return err
	})
}
