// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// AssumeVariable flips switches of every emulator that tests start.
const AssumeVariable = "GCPML_EMULATOR_ASSUME"

// Switch is one guess about Google's services, which the emulator can make the
// other way.
type Switch struct {
	Key string
	// Default is the value that is taken by default, Others are all the others.
	Default string
	Others  []string
}

var switchRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|[^|]*\\| `([^`|]+)` \\| ([^|]*) \\|")

// Switches reads the switches from emulator/UNKNOWNS.md, the list that people read;
// a test of the emulator holds it to the code.
func Switches() ([]Switch, error) {
	_, file, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "emulator", "UNKNOWNS.md"))
	if err != nil {
		return nil, err
	}
	var all []Switch
	for _, row := range switchRow.FindAllStringSubmatch(string(page), -1) {
		all = append(all, Switch{Key: row[1], Default: row[2], Others: strings.Split(strings.ReplaceAll(row[3], "`", ""), ", ")})
	}
	if len(all) < 12 {
		return nil, fmt.Errorf("only %d switches were found in UNKNOWNS.md: %v", len(all), all)
	}
	return all, nil
}

// HiddenOfModels are the attributes of gcpml_vertex_model_upload that an import cannot
// see, since this emulator does not give them back.
func (tw *Twin) HiddenOfModels(t testing.TB) (attributes []string) {
	t.Helper()
	if tw.Assumed(t, "container-spec-echo") == "no" {
		attributes = append(attributes, "container_spec")
	}
	if tw.Assumed(t, "base-model-source-echo") == "no" {
		attributes = append(attributes, "base_model_source")
	}
	return attributes
}

// Assumed is the value that this emulator has for a switch, for expectations that
// follow it.
func (tw *Twin) Assumed(t testing.TB, key string) (value string) {
	t.Helper()
	all, err := Switches()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Key == key {
			value = s.Default
		}
	}
	if value == "" {
		t.Fatalf("%q is no switch", key)
	}
	for i := 1; i < len(tw.flags); i++ {
		if v, ok := strings.CutPrefix(tw.flags[i], key+"="); ok && tw.flags[i-1] == "--assume" {
			value = v
		}
	}
	return value
}

// assume turns "KEY=VALUE,KEY=VALUE" into flags of the emulator.
func assume(settings string) (flags []string) {
	for setting := range strings.SplitSeq(settings, ",") {
		if setting != "" {
			flags = append(flags, "--assume", setting)
		}
	}
	return flags
}
