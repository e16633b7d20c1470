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
// title with an example; commands share groups, so that an option means the same
// everywhere.
type optionGroup struct {
	title   string
	example string // one command line
	define  func(*pflag.FlagSet)
}

// addGroups gives a command its options, in groups, and the help that shows them so.
func addGroups(cmd *cobra.Command, groups ...optionGroup) {
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
			if g.example != "" {
				fmt.Fprintf(&b, "  for instance: %s\n", g.example)
			}
			b.WriteString(sets[i].FlagUsagesWrapped(100))
		}
		_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
		return err
	})
}
