// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// switches reads the guesses about Google's services, and their other values,
// from the list that people read.
func switches(t *testing.T) (settings []string) {
	t.Helper()
	page, err := os.ReadFile("../emulator/UNKNOWNS.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|[^|]*\\|[^|]*\\| ([^|]*) \\|")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		for value := range strings.SplitSeq(m[2], ",") {
			settings = append(settings, m[1]+"="+strings.Trim(strings.TrimSpace(value), "`"))
		}
	}
	if len(settings) < 12 {
		t.Fatalf("only %d switches were found in UNKNOWNS.md: %v", len(settings), settings)
	}
	return settings
}

// What is not known about Google's services must not matter: the whole stack is
// made, changed and destroyed with each guess turned the other way, and with all
// of them at once.
func TestAccEverySwitchFlipped(t *testing.T) {
	all := switches(t)
	cases := map[string][]string{"all at once": all}
	for _, setting := range all {
		cases[setting] = []string{setting}
	}
	// A number, since ids with letters may not be accepted in OPTIONS(ENDPOINT).
	configuration := func(release string) string {
		return strings.Replace(stack(release), `resource "gcpml_vertex_endpoint_deployment" "e" {`, "resource \"gcpml_vertex_endpoint_deployment\" \"e\" {\n  endpoint_id = \"471147\"", 1)
	}
	for name, settings := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			for _, s := range settings {
				flags = append(flags, "--assume", s)
			}
			tw := acctest.Start(t, flags...)
			tw.SQL(t, "CREATE SCHEMA ds OPTIONS(location='US')")
			cli := tw.NewCLI(t, tw.Config(configuration("1")))
			for _, release := range []string{"1", "2"} {
				cli.Write(tw.Config(configuration(release)))
				cli.Must("apply", "-auto-approve", "-no-color")
				if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
					t.Errorf("release %s: the plan after apply is not empty (exit code %d):\n%s", release, exit, out)
				}
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}
