// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/gcpml/terraform-provider-gcpml"

// layers says for each program or package what it must never reach, not even
// through others. .golangci.yml holds what each file may name.
var layers = map[string][]string{
	".": { // what users download: no engine, no emulator, no test framework, no command line
		"github.com/goccy/bigquery-emulator", "github.com/goccy/go-googlesql", "github.com/goccy/googlesqlite", module + "/emulator", "github.com/hashicorp/terraform-plugin-testing", module + "/internal/acctest",
		"github.com/spf13/cobra", module + "/cmd", "github.com/apache/arrow-go",
	},
	"./cmd/gcpml":           {"github.com/goccy/bigquery-emulator", "github.com/goccy/go-googlesql", "github.com/goccy/googlesqlite", module + "/emulator", "github.com/hashicorp/terraform-plugin", module + "/resources"},
	"./functions":           {module + "/resources", module + "/provider", module + "/internal/vertex", module + "/internal/sqlscript", module + "/internal/rowpredict", "github.com/spf13/cobra"},
	"./internal/gcp":        {"github.com/hashicorp/", module + "/internal/vertex", module + "/internal/bqml", module + "/internal/query"},
	"./internal/vertex":     {"github.com/hashicorp/", module + "/internal/bqml", module + "/internal/query"},
	"./internal/bqml":       {"github.com/hashicorp/", module + "/internal/vertex", module + "/internal/sqlscript"},
	"./internal/query":      {"github.com/hashicorp/", module + "/internal/vertex", module + "/internal/bqml", module + "/internal/sqlscript"},
	"./internal/rowpredict": {"github.com/hashicorp/", "github.com/spf13/cobra", module + "/internal/vertex", module + "/internal/sqlscript", module + "/internal/render"},
	"./internal/sqlscript":  {"github.com/hashicorp/", module + "/internal/vertex", module + "/internal/bqml"},
	"./internal/render":     {"github.com/hashicorp/", "github.com/spf13/cobra"},
}

func TestLayers(t *testing.T) {
	for pkg, never := range layers {
		t.Run(pkg, func(t *testing.T) {
			cmd := exec.Command("go", "list", "-deps", pkg)
			cmd.Dir = ".."
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("go list -deps %s: %v", pkg, err)
			}
			deps := strings.Fields(string(out))
			if len(deps) < 10 {
				t.Fatalf("only %d dependencies: the list cannot be right", len(deps))
			}
			for _, dep := range deps {
				for _, n := range never {
					if dep == n || strings.HasPrefix(dep, n) && (strings.HasSuffix(n, "/") || dep[len(n)] == '/' || dep[len(n)] == '-') {
						t.Errorf("%s reaches %s, which it must not", pkg, dep)
					}
				}
			}
		})
	}
}

// Resources never import each other: what they share is in tfkit.
func TestResourcesDoNotImportEachOther(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./resources/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, i := range strings.Fields(imports) {
			if strings.HasPrefix(i, module+"/resources/") && !strings.HasSuffix(i, "/resources/internal/tfkit") {
				t.Errorf("%s imports %s", pkg, i)
			}
		}
	}
}
