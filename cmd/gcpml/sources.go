// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// sourceOptions name the SQL to run.
type sourceOptions struct {
	files   []string // "-" is standard input
	execute []string
}

func (o *sourceOptions) group() optionGroup {
	return optionGroup{"SQL options", "gcpml run -e 'SELECT 1 AS x'", func(f *pflag.FlagSet) {
		f.StringArrayVarP(&o.execute, "execute", "e", nil, "`SQL` text to run instead of a file (repeatable)")
	}}
}

// sources reads the texts to run.
func (o *sourceOptions) sources(stdin io.Reader) ([]sqlscript.Source, error) {
	if len(o.execute) > 0 && len(o.files) > 0 {
		return nil, usagef("give files or -e, not both")
	}
	var sources []sqlscript.Source
	for i, text := range o.execute {
		name := "-e"
		if i > 0 {
			name = fmt.Sprintf("-e#%d", i+1)
		}
		sources = append(sources, sqlscript.Source{Name: name, Text: text})
	}
	read := false
	for _, name := range o.files {
		var text []byte
		var err error
		if name == "-" {
			if read {
				return nil, usagef("standard input (-) can be read only once")
			}
			read = true
			name = "<stdin>"
			text, err = io.ReadAll(stdin)
		} else {
			text, err = os.ReadFile(name)
		}
		if err != nil {
			if path, ok := errors.AsType[*os.PathError](err); ok {
				err = path.Err
			}
			return nil, usagef("cannot read %s: %w", name, err)
		}
		sources = append(sources, sqlscript.Source{Name: name, Text: string(text)})
	}
	if len(sources) == 0 {
		return nil, usagef("nothing to run: name a file, give -e SQL, or - to read standard input")
	}
	return sources, nil
}
