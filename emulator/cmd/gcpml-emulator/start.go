// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// defaultListen is where start listens and where env looks, unless told
// otherwise.
const defaultListen = "127.0.0.1:9123"

func newStart() *cobra.Command {
	var (
		flags       emulatorFlags
		addressFile string
	)
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the emulator and keep it running until SIGINT or SIGTERM",
		Long: `Start the emulator and keep it running until SIGINT or SIGTERM.

The first line on standard output is GCPML_EMULATOR_HOST=HOST:PORT. With
--enable-faults the second is GCPML_EMULATOR_FAULT_TOKEN=TOKEN. Everything is kept in
memory and gone when it stops.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			srv, err := emulator.Start(cmd.Context(), flags.options(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if addressFile != "" {
				if err := writeAddress(addressFile, srv.Addr, srv.FaultToken); err != nil {
					_ = srv.Close()
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s=%s\n", hostVariable, srv.Addr)
			if srv.FaultToken != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s=%s\n", tokenVariable, srv.FaultToken)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "gcpml-emulator: a local twin, not Google Cloud; listening on %s, nothing is kept after it stops\n", srv.Addr)
			<-cmd.Context().Done()
			return srv.Close()
		},
	}
	flags.register(cmd, defaultListen)
	cmd.Flags().StringVar(&addressFile, "address-file", "", "write HOST:PORT, and with --enable-faults a second line with the token, to this `file` once the emulator answers")
	return cmd
}

// writeAddress writes the file in one step, so that who waits for it never reads
// half an address.
func writeAddress(file, address, token string) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("--address-file: %w", err)
	}
	_, err = tmp.WriteString(strings.TrimSpace(address+"\n"+token) + "\n")
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("--address-file: %w", err)
	}
	return nil
}
