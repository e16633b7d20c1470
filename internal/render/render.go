// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package render writes a result set for a person (table) or a program (csv, json).
// It decides nothing else: where the text goes and which result sets are written is
// the caller's business.
//
// Machine formats never cut anything and write while they read. When reading fails
// halfway their text stays unfinished on purpose: a truncated document that parses
// would be taken for the whole.
package render

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// Result is a result set. The zero Result stands for "there is none".
type Result struct {
	Schema query.Schema
	// Total is the number of rows to come.
	Total uint64
	Rows  iter.Seq2[query.Row, error]
}

// Renderer writes one result set. It stops at the first error that the rows bring
// and returns it.
type Renderer interface {
	Render(io.Writer, Result) (Summary, error)
}

// Summary tells what was written.
type Summary struct {
	Written uint64 // rows
	// Cut says that rows were left out, as only a table does.
	Cut bool
}

// Options apply to the formats that know them.
type Options struct {
	// MaxRows is the most rows that a table shows; 0 shows all.
	MaxRows uint64
}

var formats = map[string]func(Options) Renderer{
	"table": func(o Options) Renderer { return table{o.MaxRows} },
	"csv":   func(Options) Renderer { return csv{} },
	"json":  func(Options) Renderer { return json{} },
}

// Formats lists the names that [New] knows, sorted.
func Formats() []string {
	var names []string
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ForMachines reports whether a format is one that programs read: then the output
// has to be one valid document.
func ForMachines(format string) bool { return format != "table" }

// New returns the renderer of a format.
func New(format string, o Options) (Renderer, error) {
	renderer, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("%q is not a format: use one of %s", format, strings.Join(Formats(), ", "))
	}
	return renderer(o), nil
}
