// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// The provider for Terraform and OpenTofu that declares model serving on Google
// Cloud, from a model artifact to rows predicted in BigQuery.
package main

import (
	"flag"
	"log"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/gcpml/terraform-provider-gcpml/provider"
)

// version is set at release time.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "run under a debugger, apart from Terraform")
	flag.Parse()
	var options []tf6server.ServeOpt
	if *debug {
		options = append(options, tf6server.WithManagedDebug())
	} else {
		go exitWithParent()
	}
	err := tf6server.Serve(provider.Address, func() tfprotov6.ProviderServer { return provider.NewServer(version) }, options...)
	if err != nil {
		log.Fatal(err)
	}
}

// exitWithParent ends the process soon after the CLI that started it has died. A
// killed CLI cannot end its providers, and one that lived on would be in the way
// of the next apply.
func exitWithParent() {
	parent := os.Getppid()
	for range time.Tick(500 * time.Millisecond) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}
