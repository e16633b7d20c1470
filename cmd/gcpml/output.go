// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/gcpml/terraform-provider-gcpml/internal/render"
)

// outputOptions say how a result set is written, and where to.
type outputOptions struct {
	format  string
	file    string
	maxRows uint64
	flags   *pflag.FlagSet
}

func (o *outputOptions) group() optionGroup {
	return optionGroup{"Output options", []string{"--format csv --output report.csv", "--format vertical --max-rows 20"}, func(f *pflag.FlagSet) {
		o.flags = f
		f.StringVar(&o.format, "format", "table", "output format: "+strings.Join(render.Formats(), ", "))
		f.StringVarP(&o.file, "output", "o", "", "write the result to `FILE` (mode 0600), which appears under its name only when it is complete; - is standard output")
		f.Uint64Var(&o.maxRows, "max-rows", render.DefaultMaxRows("table"), "most rows of each result set to write; 0 writes all, which is the default of the formats for programs")
	}}
}

// limit returns the most rows to write.
func (o *outputOptions) limit() uint64 {
	if o.flags == nil || o.flags.Changed("max-rows") {
		return o.maxRows
	}
	return render.DefaultMaxRows(o.format)
}

// output is where results are written, and how. It is to be closed.
type output struct {
	io.Writer
	render.Renderer

	file *os.File // nil if nothing is to be done in the end
	name string   // that file gets in the end; "" if it has it
}

// open prepares the output: a temporary file beside the one that was asked for, so
// that nobody ever sees a part of a result under its name.
func (o *outputOptions) open(stdout io.Writer) (*output, error) {
	toFile := o.file != "" && o.file != "-"
	width := 0
	if terminal, ok := stdout.(*os.File); ok && !toFile && term.IsTerminal(int(terminal.Fd())) {
		if render.Binary(o.format) {
			return nil, usagef("%s is not for a terminal: give --output FILE, or send standard output elsewhere", o.format)
		}
		width, _, _ = term.GetSize(int(terminal.Fd())) // 0: as wide as it is
	}
	renderer, err := render.New(o.format, render.Options{MaxRows: o.limit(), Width: width})
	if err != nil {
		return nil, usagef("--format: %w", err)
	}
	out := &output{Writer: stdout, Renderer: renderer}
	if toFile {
		if err := out.create(o.file); err != nil {
			return nil, usagef("--output: %w", err)
		}
	}
	return out, nil
}

func (o *output) create(name string) (err error) {
	// A link stays one: what it leads to is replaced.
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory", name)
		}
		o.file, err = os.OpenFile(name, os.O_WRONLY, 0) // a device or a pipe: nothing to replace
		o.Writer = o.file
		return err
	}
	// CreateTemp makes files with mode 0600.
	if o.file, err = os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*"); err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // its path is that of a temporary file
		}
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	o.Writer, o.name = o.file, name
	return nil
}

// close ends the output of a run that ended with err, which it returns if it is one.
// Only a run that succeeded leaves a file under its name.
func (o *output) close(err error) error {
	if o.file == nil {
		return err
	}
	var failed error
	if o.name != "" && err == nil {
		failed = o.file.Sync() // some disks are full only now
	}
	if closeErr := o.file.Close(); failed == nil {
		failed = closeErr
	}
	if o.name != "" && err == nil && failed == nil {
		failed = os.Rename(o.file.Name(), o.name)
	}
	if o.name != "" && (err != nil || failed != nil) {
		_ = os.Remove(o.file.Name())
	}
	if err == nil && failed != nil {
		err = &exitError{exitFailed, fmt.Errorf("cannot write the output: %w", failed)}
	}
	return err
}
