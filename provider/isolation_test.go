// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// all are the addresses of the stack.
var all = []string{"gcpml_vertex_model_upload.m", "gcpml_vertex_endpoint_deployment.e", "gcpml_bq_connection.c", "gcpml_bq_remote_model.r"}

// snapshot is what exists, in text that can be compared.
func snapshot(t *testing.T, tw *acctest.Twin) string {
	t.Helper()
	var lines []string
	for _, objects := range tw.Inventory(t) {
		for _, o := range objects {
			var line bytes.Buffer
			if err := json.Compact(&line, o); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line.String())
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// oneOfEach checks that everything exists once and the plan is empty.
func oneOfEach(t *testing.T, tw *acctest.Twin, cli *acctest.CLI) {
	t.Helper()
	for _, section := range []string{"models", "endpoints", "connections", "iam_bindings", "remote_models"} {
		if objects := tw.Inventory(t)[section]; len(objects) != 1 {
			t.Errorf("%d in %s, want 1: %s", len(objects), section, objects)
		}
	}
	emptyPlan(t, cli)
}

// plain is output without the frames of diagnostics and their line breaks.
func plain(out string) string { return regexp.MustCompile(`[│╷╵\s]+`).ReplaceAllString(out, " ") }

// The configuration of another state that names the same objects is refused, and
// neither its apply nor its destroy touches them.
func TestAccTwoStates(t *testing.T) {
	for name, owners := range map[string][2]string{
		"without an owner": {"", ""},
		"with two owners":  {`ownership_id = "one"`, `ownership_id = "two"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw, first := start(t, "")
			first.Write(tw.Config(stack("1"), owners[0]))
			first.Must("apply", "-auto-approve", "-no-color")
			before := snapshot(t, tw)
			second := tw.NewCLI(t, tw.Config(stack("1"), owners[1]))
			for _, address := range []string{all[0], all[2]} { // the others need one of these
				out, exit := second.Run("apply", "-auto-approve", "-no-color", "-target="+address)
				if text := plain(out); exit == 0 || !strings.Contains(text, "already exists and was not adopted") || !strings.Contains(text, "terraform import") {
					t.Errorf("%s: exit code %d, want a refusal that names the import command:\n%s", address, exit, out)
				}
			}
			second.Must("destroy", "-auto-approve", "-no-color")
			if after := snapshot(t, tw); after != before {
				t.Errorf("the second state changed what the first has, from\n%s\nto\n%s", before, after)
			}
			oneOfEach(t, tw, first)
			first.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// `-replace` makes everything anew; with create_before_destroy and fixed ids the
// new ones cannot be made beside the old: that is refused, or, with an owner, the
// old ones are taken over, and their "destroy" leaves them alone.
func TestAccReplace(t *testing.T) {
	replace := []string{"apply", "-auto-approve", "-no-color"}
	for _, address := range all {
		replace = append(replace, "-replace="+address)
	}
	before := regexp.MustCompile(`(?m)^resource .*\{$`).ReplaceAllString(stack("1"), "$0\n  lifecycle {\n    create_before_destroy = true\n  }")
	for name, c := range map[string]struct {
		hcl, owner string
		want       string
		refused    bool
		anew       bool
	}{
		"plain":                           {hcl: stack("1"), want: "4 added, 0 changed, 4 destroyed", anew: true},
		"create before destroy":           {hcl: before, want: "already exists and was not adopted", refused: true},
		"create before destroy, adopting": {hcl: before, owner: ownership, want: "4 added, 0 changed, 4 destroyed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw, cli := start(t, "")
			cli.Write(tw.Config(c.hcl, c.owner))
			cli.Must("apply", "-auto-approve", "-no-color")
			old := marks(t, tw)
			out, exit := cli.Run(replace...)
			if (exit != 0) != c.refused || !strings.Contains(plain(out), c.want) {
				t.Errorf("exit code %d, want %q:\n%s", exit, c.want, out)
			}
			oneOfEach(t, tw, cli)
			if c.anew && marks(t, tw) == old {
				t.Error("nothing was made anew")
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Errorf("%v\nthe replacement said:\n%s", err, out)
			}
		})
	}
}

func marks(t *testing.T, tw *acctest.Twin) string {
	t.Helper()
	return strings.Join(regexp.MustCompile(`incarnation[^0-9a-f]+[0-9a-f]{16}`).FindAllString(snapshot(t, tw), -1), "\n")
}

// A state of the emulator is never held against Google Cloud, where all of it
// would look deleted: reading, changing and destroying are refused, and nothing
// is lost. Here the other side is the same server, called as if it were Google.
func TestAccWrongTarget(t *testing.T) {
	t.Parallel()
	tw, cli := start(t, stack("1"))
	cli.Must("apply", "-auto-approve", "-no-color")
	before := snapshot(t, tw)
	const other = `provider "gcpml" {
  project = %q
  region  = %q
  vertex_ai_custom_endpoint           = "http://%[3]s/v1/"
  big_query_custom_endpoint           = "http://%[3]s/bigquery/v2/"
  bigquery_connection_custom_endpoint = "http://%[3]s/v1/"
  resource_manager_custom_endpoint    = "http://%[3]s/v1/"
  storage_custom_endpoint             = "http://%[3]s/storage/v1/"
}
`
	cli.Write(fmt.Sprintf(other, acctest.Project, acctest.Region, tw.Host) + stack("2"))
	for _, command := range [][]string{
		{"plan"}, {"apply", "-auto-approve"}, {"apply", "-auto-approve", "-refresh=false"}, {"destroy", "-auto-approve"}, {"destroy", "-auto-approve", "-refresh=false"},
	} {
		out, exit := cli.Run(append(command, "-no-color")...)
		if exit != 1 || !strings.Contains(plain(out), "The resource was made on the emulator, but the provider is now configured for Google Cloud") {
			t.Errorf("%s: exit code %d:\n%s", strings.Join(command, " "), exit, out)
		}
	}
	if after := snapshot(t, tw); after != before {
		t.Errorf("something changed, from\n%s\nto\n%s", before, after)
	}
	cli.Write(tw.Config(stack("1")))
	emptyPlan(t, cli)
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// Endpoints do not wait for each other: 30 of them take less than their deployments
// would one after the other, everything else included.
func TestAccManyEndpoints(t *testing.T) {
	t.Parallel()
	const count, latency = 30, 2 * time.Second
	hcl := strings.NewReplacer(
		`resource "gcpml_vertex_endpoint_deployment" "e" {`, `resource "gcpml_vertex_endpoint_deployment" "e" {`+fmt.Sprintf("\n  count = %d", count),
		`"471147"`, `"many-${count.index}"`,
	).Replace(stack("1")[:strings.Index(stack("1"), `resource "gcpml_bq_connection"`)])
	tw, cli := start(t, hcl, "--deploy-latency", latency.String())
	began := time.Now()
	cli.Must("apply", "-auto-approve", "-no-color", fmt.Sprintf("-parallelism=%d", count))
	if took := time.Since(began); took > count*latency {
		t.Errorf("%d endpoints took %s, of which one takes %s", count, took, latency)
	}
	emptyPlan(t, cli)
	if n := len(tw.Inventory(t)["endpoints"]); n != count {
		t.Errorf("%d endpoints, want %d", n, count)
	}
	cli.Must("destroy", "-auto-approve", "-no-color", fmt.Sprintf("-parallelism=%d", count))
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// What Terraform marked as tainted, because its creation took too long, is replaced
// by the next apply, although nothing but its name is left of it in the state by
// then, and its operation may still run.
func TestAccTainted(t *testing.T) {
	for name, c := range map[string]struct{ target, flag, owner string }{
		"model":                   {all[0], "--operation-latency", ""},
		"model with an owner":     {all[0], "--operation-latency", ownership},
		"endpoint":                {all[1], "--deploy-latency", ""},
		"endpoint being created":  {all[1], "--operation-latency", ""},
		"endpoint, with an owner": {all[1], "--deploy-latency", ownership},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(c.target, ".")
			head := regexp.MustCompile(`resource "` + kind + `" "\w+" \{`)
			tw, cli := start(t, "", c.flag, "4s")
			cli.Write(tw.Config(head.ReplaceAllString(stack("1"), "$0\n  timeouts {\n    create = \"2s\"\n  }"), c.owner))
			if out, exit := cli.Run("apply", "-auto-approve", "-no-color", "-target="+c.target); exit == 0 {
				t.Fatalf("the timeout is not kept:\n%s", out)
			}
			cli.Write(tw.Config(stack("1"), c.owner))
			out := cli.Must("apply", "-auto-approve", "-no-color")
			if !strings.Contains(out, "is tainted, so") {
				t.Errorf("nothing was replaced:\n%s", out)
			}
			oneOfEach(t, tw, cli)
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Errorf("%v\nthe replacement said:\n%s", err, out)
			}
		})
	}
}
