// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The guide of features promises a test for each: the tests exist.
func TestFeaturesGuide(t *testing.T) {
	exists := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, ".txtar"):
			exists[d.Name()] = true
		case strings.HasSuffix(path, "_test.go"):
			source, err := os.ReadFile(path)
			for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
				exists[m[1]] = true
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../templates/guides/features.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	row, name := regexp.MustCompile(`(?m)^\| (.+?) \| (yes|no) \|(.*)\|$`), regexp.MustCompile("`([^`]+)`")
	rows := row.FindAllStringSubmatch(string(guide), -1)
	if len(rows) < 90 {
		t.Errorf("only %d features", len(rows))
	}
	for _, r := range rows {
		tests := name.FindAllStringSubmatch(r[3], -1)
		if (len(tests) > 0) != (r[2] == "yes") {
			t.Errorf("%s: %s, with the tests %v", r[1], r[2], tests)
		}
		for _, test := range tests {
			if !exists[test[1]] {
				t.Errorf("%s: there is no %s", r[1], test[1])
			}
		}
	}
}
