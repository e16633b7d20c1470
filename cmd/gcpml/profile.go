// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// profile is one named set of option values of the configuration file: the name of
// an option, with underscores, to its values.
type profile map[string][]string

func (p profile) text(key string) string {
	if values := p[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// configFile is the configuration file:
//
//	default_profile: dev
//	profiles:
//	  dev:
//	    project: my-project-dev
//	    location: EU
//	    maximum_bytes_billed: 10000000000
//	    label: [team=ml]
type configFile struct {
	DefaultProfile string                          `yaml:"default_profile"`
	Profiles       map[string]map[string]yaml.Node `yaml:"profiles"`
}

const (
	configVariable  = "GCPML_CONFIG"
	profileVariable = "GCPML_PROFILE"
)

// addProfileFlags lets every command take values from a profile. A flag beats the
// environment, the environment beats the profile, the profile beats the default.
func (a *app) addProfileFlags(root *cobra.Command) {
	var file, name string
	root.PersistentFlags().StringVar(&file, "config", "", "configuration `FILE` (GCPML_CONFIG; default $XDG_CONFIG_HOME/gcpml/config.yaml)")
	root.PersistentFlags().StringVar(&name, "profile", "", "profile of the configuration file to take values from (GCPML_PROFILE)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if a.profile, err = a.loadProfile(file, name); err != nil {
			return &exitError{exitUsage, err}
		}
		return a.applyProfile(cmd, root)
	}
}

// loadProfile reads the profile that flags, environment or file name. Only a file or
// a profile that was asked for has to exist.
func (a *app) loadProfile(file, name string) (profile, error) {
	if file == "" {
		file, _ = a.lookupEnv(configVariable)
	}
	asked := file != ""
	if !asked {
		if file = a.defaultConfigFile(); file == "" {
			file = os.DevNull
		}
	}
	if name == "" {
		name, _ = a.lookupEnv(profileVariable)
	}
	var config configFile
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !asked && name == "":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	if len(strings.TrimSpace(string(text))) > 0 {
		decoder := yaml.NewDecoder(strings.NewReader(string(text)))
		decoder.KnownFields(true)
		if err := decoder.Decode(&config); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if name == "" {
		if name = config.DefaultProfile; name == "" {
			return nil, nil
		}
	}
	settings, ok := config.Profiles[name]
	if !ok {
		return nil, fmt.Errorf("%s has no profile %q; it has %s", file, name, strings.Join(slices.Sorted(maps.Keys(config.Profiles)), ", "))
	}
	p := profile{}
	for key, node := range settings {
		var one string
		var many []string
		if node.Decode(&one) == nil {
			many = []string{one}
		} else if err := node.Decode(&many); err != nil {
			return nil, fmt.Errorf("%s:%d: %s is neither a value nor a list of values", file, node.Line, key)
		}
		p[key] = many
	}
	return p, nil
}

func (a *app) defaultConfigFile() string {
	base, _ := a.lookupEnv("XDG_CONFIG_HOME")
	if base == "" {
		home, _ := a.lookupEnv("HOME")
		if home == "" {
			return ""
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "gcpml", "config.yaml")
}

// applyProfile sets the flags that the command line does not. Connection settings
// wait for [connectionOptions.connect], since the environment comes before them.
// A key that no command knows is a mistake; one of another command is not.
func (a *app) applyProfile(cmd, root *cobra.Command) error {
	connection := new(connectionOptions).settings()
	for _, key := range slices.Sorted(maps.Keys(a.profile)) {
		name := strings.ReplaceAll(key, "_", "-")
		if _, ok := connection[key]; ok || key == "access_token_file" {
			continue
		}
		flag := cmd.Flags().Lookup(name)
		switch {
		case key == "config" || key == "profile" || strings.Contains(key, "-") || flag == nil && !known(root, name):
			return usagef("the profile sets %s, which is not an option", key)
		case flag == nil || flag.Changed:
			continue
		}
		for _, value := range a.profile[key] {
			if err := flag.Value.Set(value); err != nil {
				return usagef("the profile sets %s to %q: %w", key, value, err)
			}
		}
	}
	return nil
}

// known reports whether some command has the flag.
func known(cmd *cobra.Command, name string) bool {
	found := false
	cmd.Flags().VisitAll(func(f *pflag.Flag) { found = found || f.Name == name })
	return found || slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return known(c, name) })
}
