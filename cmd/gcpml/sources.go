// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
	"github.com/gcpml/terraform-provider-gcpml/internal/sqlscript"
)

// sourceOptions name the SQL to run and what is put into it.
type sourceOptions struct {
	files      []string // "-" is standard input
	execute    []string
	parameters []string
	paramsFile string
	vars       []string
}

// group is shared by commands: command is the name of the one.
func (o *sourceOptions) group(command string) optionGroup {
	return optionGroup{"SQL options", []string{"--param since:DATE:2026-01-31 --param 'ids:ARRAY<INT64>:[1, 2]'", "--params-file params.yaml --var table=reviews_2026", "gcpml " + command + " -e 'SELECT COUNT(*) AS n FROM my_dataset.reviews'"}, func(f *pflag.FlagSet) {
		f.StringArrayVarP(&o.execute, "execute", "e", nil, "`SQL` text to run instead of a file (repeatable)")
		f.StringArrayVarP(&o.parameters, "param", "p", nil, "query parameter `NAME:TYPE:VALUE` for @NAME, or :TYPE:VALUE for the next ?; the type may be left out for a STRING; arrays and structs are JSON; NULL is null (repeatable)")
		f.StringVar(&o.paramsFile, "params-file", "", "JSON or YAML `FILE` with query parameters: name → value, name → {type, value}, or the list that the API takes")
		f.StringArrayVar(&o.vars, "var", nil, "`NAME=TEXT` to put into the SQL, unquoted, in the place of ${{ NAME }} (repeatable; nothing is replaced without this option)")
	}}
}

// load reads the SQL and cuts it into statements, by file. Everything that can be
// found wrong without a server is found here, in every file.
func (o *sourceOptions) load(stdin io.Reader) ([][]sqlscript.Statement, error) {
	sources, err := o.sources(stdin)
	if err != nil {
		return nil, err
	}
	if sources, err = o.expand(sources); err != nil {
		return nil, err
	}
	files := make([][]sqlscript.Statement, len(sources))
	for i, source := range sources {
		if files[i], err = sqlscript.Split(source); err != nil {
			return nil, &exitError{exitUsage, err}
		}
	}
	parameters, err := o.queryParameters()
	if err != nil {
		return nil, err
	}
	if err := sqlscript.Bind(files, parameters); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return files, nil
}

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
	names, err := o.fileNames()
	if err != nil {
		return nil, err
	}
	read := false
	for _, name := range names {
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
			return nil, cannotRead(name, err)
		}
		sources = append(sources, sqlscript.Source{Name: name, Text: string(text)})
	}
	if len(sources) == 0 {
		return nil, usagef("nothing to run: name a file, give -e SQL, or - to read standard input")
	}
	return sources, nil
}

func cannotRead(name string, err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	return usagef("cannot read %s: %w", name, err)
}

// fileNames puts the .sql files of a directory, in the order of their paths, in the
// place of its name. Hidden ones are left out.
func (o *sourceOptions) fileNames() ([]string, error) {
	var names []string
	for _, name := range o.files {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.IsDir() {
			names = append(names, name)
			continue
		}
		var found []string
		err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case strings.HasPrefix(entry.Name(), ".") && path != name:
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir() && strings.EqualFold(filepath.Ext(path), ".sql"):
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			return nil, cannotRead(name, err)
		}
		if len(found) == 0 {
			return nil, usagef("there is no .sql file in %s", name)
		}
		slices.Sort(found)
		names = append(names, found...)
	}
	return names, nil
}

// expand replaces the variables, if any are given.
func (o *sourceOptions) expand(sources []sqlscript.Source) ([]sqlscript.Source, error) {
	if len(o.vars) == 0 {
		return sources, nil
	}
	values := map[string]string{}
	for _, v := range o.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usagef("--var %q is not of the form NAME=TEXT", v)
		}
		values[name] = value
	}
	used := map[string]bool{}
	out := make([]sqlscript.Source, len(sources))
	for i, source := range sources {
		expanded, names, err := sqlscript.Expand(source, values)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		for name := range names {
			used[name] = true
		}
		out[i] = expanded
	}
	for name := range values {
		if !used[name] {
			return nil, usagef("--var %s: there is no ${{ %s }} in the SQL", name, name)
		}
	}
	return out, nil
}

// queryParameters returns those of the file and then those of the flags, which win.
func (o *sourceOptions) queryParameters() ([]*bigquery.QueryParameter, error) {
	var out []*bigquery.QueryParameter
	if o.paramsFile != "" {
		var err error
		if out, err = readParameters(o.paramsFile); err != nil {
			return nil, usagef("--params-file: %w", err)
		}
	}
	for _, text := range o.parameters {
		p, err := query.ParseParameter(text)
		if err != nil {
			return nil, usagef("--param: %w", err)
		}
		if p.Name != "" && o.paramsFile != "" {
			out = slices.DeleteFunc(out, func(of *bigquery.QueryParameter) bool { return strings.EqualFold(of.Name, p.Name) })
		}
		out = append(out, p)
	}
	return out, nil
}

func readParameters(file string) ([]*bigquery.QueryParameter, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("[")) { // as the API and the bq tool have them
		var list []*bigquery.QueryParameter
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for i, p := range list {
			if p == nil || p.ParameterType == nil {
				return nil, fmt.Errorf("%s: parameter %d has no parameterType", file, i+1)
			}
		}
		return list, nil
	}
	values := map[string]any{}
	if bytes.HasPrefix(text, []byte("{")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&values)
	} else {
		err = yaml.Unmarshal(text, &values)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	list, err := query.ParseParameterMap(values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}
