// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand is "gcpml man", which packagers call.
func newManCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages of all commands into a directory",
		Example: "  gcpml man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &exitError{exitUsage, err}
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the same input makes the same pages
			root.InitDefaultCompletionCmd()
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "GCPML", Section: "1", Source: "gcpml " + versionText(), Manual: "gcpml"}, args[0]); err != nil {
				return &exitError{exitInternal, err}
			}
			return nil
		},
	}
}
