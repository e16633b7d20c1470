// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gcpml-emulator",
		Short: "A local twin of the Google APIs that gcpml uses. It is not Google Cloud.",
		Example: `  gcpml-emulator start                       # keeps running; prints its address
  eval "$(gcpml-emulator env)"               # points gcloud, bq and the client libraries at it
  gcpml-emulator exec -- terraform apply     # a twin for this one command`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newStart(), newExec(), newEnv())
	return root
}

// emulatorFlags are the flags that configure an emulator, shared by start and
// exec.
type emulatorFlags struct {
	listen           string
	operationLatency time.Duration
	deployLatency    time.Duration
	jobLatency       time.Duration
	iamLag           time.Duration
	assume           []string
	modelServers     []string
	publisherModels  []string
	storageDir       string
	enableFaults     bool
	faultToken       string
	verbose          bool
}

func (f *emulatorFlags) register(cmd *cobra.Command, listen string) {
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", listen, "loopback `address` to listen on; port 0 takes a free one")
	flags.DurationVar(&f.operationLatency, "operation-latency", 0, "how long a long-running operation takes")
	flags.DurationVar(&f.deployLatency, "deploy-latency", 0, "how long deploying a model takes (default: --operation-latency)")
	flags.DurationVar(&f.jobLatency, "job-latency", 0, "how long a BigQuery job runs before it has an effect")
	flags.DurationVar(&f.iamLag, "iam-lag", 0, "how long a changed IAM policy takes to have an effect")
	flags.StringArrayVar(&f.assume, "assume", nil, "pick the other answer to a question of UNKNOWNS.md, as `key=value`; repeatable")
	flags.StringArrayVar(&f.modelServers, "model-server", nil, "serve a container image (may hold *) from a loopback URL, as `IMAGE=URL`; repeatable")
	flags.StringArrayVar(&f.publisherModels, "publisher-model", nil, "have a model of Model Garden: a `file` with its PublisherModel in JSON; repeatable")
	flags.StringVar(&f.storageDir, "storage-dir", "", "`folder` with one sub-folder for each Cloud Storage bucket to start with")
	flags.BoolVar(&f.enableFaults, "enable-faults", false, "open the parts of /_emulator/ that inject faults, for tests")
	flags.StringVar(&f.faultToken, "fault-token", os.Getenv(tokenVariable), "the `token` that --enable-faults asks for (default: $"+tokenVariable+", else a random one)")
	flags.Lookup("fault-token").DefValue = "" // no token on a screen
	flags.BoolVar(&f.verbose, "verbose", false, "log more on standard error")
}

func (f *emulatorFlags) options(stderr io.Writer) emulator.Options {
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelDebug
	}
	return emulator.Options{
		Listen:           f.listen,
		OperationLatency: f.operationLatency,
		DeployLatency:    f.deployLatency,
		JobLatency:       f.jobLatency,
		IAMLag:           f.iamLag,
		Assume:           f.assume,
		ModelServers:     f.modelServers,
		PublisherModels:  f.publisherModels,
		StorageDir:       f.storageDir,
		EnableFaults:     f.enableFaults,
		FaultToken:       f.faultToken,
		Logger:           slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	}
}
