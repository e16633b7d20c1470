// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"os"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// What is not known about Google's services must not matter: the whole stack is
// made, changed and destroyed with each guess turned the other way, and with all
// of them at once.
func TestAccEverySwitchFlipped(t *testing.T) {
	if os.Getenv(acctest.AssumeVariable) != "" {
		t.Skip("flips the switches itself")
	}
	switches, err := acctest.Switches()
	if err != nil {
		t.Fatal(err)
	}
	const all = "all at once"
	cases := map[string][]string{}
	for _, s := range switches {
		cases[all] = append(cases[all], s.Key+"="+s.Others[0])
		for _, value := range s.Others {
			cases[s.Key+"="+value] = []string{s.Key + "=" + value}
		}
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
			cli := tw.NewCLI(t, tw.Config(stack("1")))
			for _, release := range []string{"1", "2"} {
				cli.Write(tw.Config(stack(release)))
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
