// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// The provider for Terraform and OpenTofu that declares model serving on Google
// Cloud, from a model artifact to rows predicted in BigQuery.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/gcpml/terraform-provider-gcpml/provider"
)

// version is set at release time.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "run under a debugger, apart from Terraform")
	flag.Parse()
	if !*debug {
		go exitWithParent()
	}
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: provider.Address,
		Debug:   *debug,
	})
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
