// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/render"
)

// outputOptions say how a result set is written, and where to.
type outputOptions struct {
	format  string
	file    string
	maxRows uint64
}

func (o *outputOptions) group() optionGroup {
	return optionGroup{"Output options", "gcpml run report.sql --format csv --output report.csv", func(f *pflag.FlagSet) {
		f.StringVar(&o.format, "format", "table", "output format: "+strings.Join(render.Formats(), ", "))
		f.StringVarP(&o.file, "output", "o", "", "write the result to `FILE` (mode 0600), which appears under its name only when it is complete; - is standard output")
		f.Uint64Var(&o.maxRows, "max-rows", 1000, "most rows of each result set that a table shows; 0 shows all. Formats for programs are always whole")
	}}
}

// renderer returns what writes a result set in the format.
func (o *outputOptions) renderer() (render.Renderer, error) {
	renderer, err := render.New(o.format, render.Options{MaxRows: o.maxRows})
	if err != nil {
		return nil, usagef("--format: %w", err)
	}
	return renderer, nil
}
