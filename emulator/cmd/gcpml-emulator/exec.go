// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

func newExec() *cobra.Command {
	var flags emulatorFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG…]",
		Short: "Run a command against the emulator",
		Long: `Run a command against the emulator: the one that GCPML_EMULATOR_HOST names, if it
answers, else one that is started for this command and stopped after it. Standard
error says which. The command's exit code becomes this program's, and signals are
passed on to it.`,
		Example: `  gcpml-emulator exec -- terraform apply
  gcpml-emulator exec --operation-latency 1s -- ./ci.sh`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host := os.Getenv(hostVariable)
			if host != "" && answers(cmd.Context(), host) {
				fmt.Fprintf(cmd.ErrOrStderr(), "gcpml-emulator: using the emulator at %s\n", host)
				return runCommand(cmd, args, host, "")
			}
			srv, err := emulator.Start(cmd.Context(), flags.options(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer srv.Close()
			if host != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "gcpml-emulator: nothing answers at %s; ", host)
			} else {
				fmt.Fprint(cmd.ErrOrStderr(), "gcpml-emulator: ")
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "started an emulator for this command at %s\n", srv.Addr)
			return runCommand(cmd, args, srv.Addr, srv.FaultToken)
		},
	}
	cmd.Flags().SetInterspersed(false)
	flags.register(cmd, "127.0.0.1:0")
	return cmd
}

// runCommand runs args with the environment that names the emulator.
func runCommand(cmd *cobra.Command, args []string, host, token string) error {
	child := exec.Command(args[0], args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	child.Env = append(os.Environ(), variables(host, token)...)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return fmt.Errorf("cannot run %s: %w", args[0], err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case sig := <-signals:
				if !fromTerminal(sig) {
					_ = child.Process.Signal(sig)
				}
			case <-ended:
				return
			}
		}
	}()
	err := child.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code := exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			code = 128 + int(ws.Signal()) // the shell's convention
		}
		return exitError{code}
	}
	return err
}

// fromTerminal reports whether the child has the signal already: a terminal sends
// Ctrl-C to the whole process group, and a second interrupt makes programs such
// as terraform give up at once.
func fromTerminal(sig os.Signal) bool {
	return (sig == os.Interrupt || sig == syscall.SIGQUIT) && isatty.IsTerminal(os.Stdin.Fd())
}
