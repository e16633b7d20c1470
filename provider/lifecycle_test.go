// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

const (
	modelName    = "projects/" + acctest.Project + "/locations/" + acctest.Region + "/models/kill_test"
	endpointName = "projects/" + acctest.Project + "/locations/" + acctest.Region + "/endpoints/471147"
)

// labelled is the stack with these labels on everything that has labels.
func labelled(labels string) string {
	return regexp.MustCompile(`(?m)^(resource "gcpml_(vertex|bq_remote)[^\n]*\{)$`).ReplaceAllString(stack("1"), "$1\n  labels = "+labels)
}

// labels reads the labels on the server, without marks, by resource type.
func labels(t *testing.T, tw *acctest.Twin) map[string]map[string]string {
	t.Helper()
	all := allLabels(t, tw)
	for resource := range all {
		all[resource] = gcp.UserLabels(all[resource])
	}
	return all
}

// allLabels reads the labels on the server, by resource type.
func allLabels(t *testing.T, tw *acctest.Twin) map[string]map[string]string {
	t.Helper()
	models, endpoints, bq := apis(t, tw)
	m, err := models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: modelName})
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpointName})
	if err != nil {
		t.Fatal(err)
	}
	r, err := bq.Models.Get(acctest.Project, "ds", "kill_test").Do()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]map[string]string{"model": m.GetLabels(), "endpoint": e.GetLabels(), "remote model": r.Labels}
}

// relabel changes the labels on the server, marks included.
func relabel(t *testing.T, tw *acctest.Twin, change func(resource string, labels map[string]string)) {
	t.Helper()
	models, endpoints, bq := apis(t, tw)
	mask := &fieldmaskpb.FieldMask{Paths: []string{"labels"}}
	m, err := models.GetModel(t.Context(), &aiplatformpb.GetModelRequest{Name: modelName})
	if err == nil {
		change("gcpml_vertex_model_upload", m.GetLabels())
		_, err = models.UpdateModel(t.Context(), &aiplatformpb.UpdateModelRequest{Model: &aiplatformpb.Model{Name: modelName, Labels: m.GetLabels()}, UpdateMask: mask})
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpointName})
	if err == nil {
		change("gcpml_vertex_endpoint_deployment", e.GetLabels())
		_, err = endpoints.UpdateEndpoint(t.Context(), &aiplatformpb.UpdateEndpointRequest{Endpoint: &aiplatformpb.Endpoint{Name: endpointName, Labels: e.GetLabels()}, UpdateMask: mask})
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := bq.Models.Get(acctest.Project, "ds", "kill_test").Do()
	if err == nil {
		change("gcpml_bq_remote_model", r.Labels)
		_, err = bq.Models.Patch(acctest.Project, "ds", "kill_test", &bigquery.Model{Labels: r.Labels}).Do()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, configuration string, flags ...string) (*acctest.Twin, *acctest.CLI) {
	t.Helper()
	tw := acctest.Start(t, flags...)
	tw.SQL(t, "CREATE SCHEMA ds OPTIONS(location='US')")
	return tw, tw.NewCLI(t, tw.Config(configuration))
}

func emptyPlan(t *testing.T, cli *acctest.CLI) {
	t.Helper()
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
	}
}

// Only labels that are managed are touched: default labels come and go, and what
// others set stays, without a difference.
func TestAccLabels(t *testing.T) {
	t.Parallel()
	tw, cli := start(t, labelled(`{ team = "a", stage = "own" }`))
	for _, step := range []struct {
		name, labels, defaults string
		before                 func()
		want                   map[string]string
	}{
		{"defaults", `{ team = "a", stage = "own" }`, `{ stage = "default", cost = "1" }`, nil, map[string]string{"team": "a", "stage": "own", "cost": "1"}},
		{
			"others", `{ team = "b" }`, `{ stage = "default", cost = "1" }`,
			func() { relabel(t, tw, func(_ string, l map[string]string) { l["theirs"], l["cost"] = "x", "99" }) },
			map[string]string{"team": "b", "stage": "default", "cost": "1", "theirs": "x"},
		},
		{"only defaults change", `{ team = "b" }`, `{ cost = "2" }`, nil, map[string]string{"team": "b", "cost": "2", "theirs": "x"}},
		{"nothing is managed", `{}`, `{}`, nil, map[string]string{"theirs": "x"}},
		{"theirs becomes ours", `{ theirs = "y" }`, `{}`, nil, map[string]string{"theirs": "y"}},
	} {
		cli.Write(tw.Config(labelled(step.labels), "default_labels = "+step.defaults))
		if step.before != nil {
			step.before()
		}
		out := cli.Must("apply", "-auto-approve", "-no-color")
		if !strings.Contains(out, " 0 destroyed") {
			t.Errorf("%s: something was destroyed:\n%s", step.name, out)
		}
		for resource, got := range labels(t, tw) {
			if !maps.Equal(got, step.want) {
				t.Errorf("%s: the %s has %v, want %v", step.name, resource, got, step.want)
			}
		}
		emptyPlan(t, cli)
	}
	relabel(t, tw, func(_ string, l map[string]string) { l["late"] = "z" })
	emptyPlan(t, cli)
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// The label that tells of Terraform comes with the first apply, or with a later
// change if that is what the provider is told. It makes no difference in any plan.
func TestAccAttributionLabel(t *testing.T) {
	t.Parallel()
	const no, proactive = "add_terraform_attribution_label = false", `terraform_attribution_label_addition_strategy = "PROACTIVE"`
	expect := func(t *testing.T, tw *acctest.Twin, want string) {
		t.Helper()
		for resource, got := range allLabels(t, tw) {
			if got["goog-terraform-provisioned"] != want {
				t.Errorf("the %s has %v, want %q", resource, got, want)
			}
		}
	}
	t.Run("by default", func(t *testing.T) {
		tw, cli := start(t, stack("1"))
		cli.Must("apply", "-auto-approve", "-no-color")
		expect(t, tw, "true")
		emptyPlan(t, cli)
		cli.Write(tw.Config(labelled(`{ team = "a" }`), no))
		cli.Must("apply", "-auto-approve", "-no-color")
		expect(t, tw, "true") // what is there stays
		emptyPlan(t, cli)
	})
	t.Run("later", func(t *testing.T) {
		tw, cli := start(t, "")
		for _, step := range []struct{ labels, argument, want string }{
			{`{}`, no, ""}, {`{ team = "a" }`, "", ""}, {`{ team = "a" }`, proactive, ""}, {`{ team = "b" }`, proactive, "true"},
		} {
			cli.Write(tw.Config(labelled(step.labels), step.argument))
			cli.Must("apply", "-auto-approve", "-no-color")
			expect(t, tw, step.want)
			emptyPlan(t, cli)
		}
	})
}

// What the state says decides: PREVENT is an error of the plan, ABANDON leaves all
// as it is. The resource's value wins over the provider's.
func TestAccDeletionPolicy(t *testing.T) {
	t.Parallel()
	tw, cli := start(t, stack("1"))
	const prevent = `deletion_policy = "PREVENT"`
	cli.Write(tw.Config(stack("1"), prevent))
	cli.Must("apply", "-auto-approve", "-no-color")
	cli.Write(tw.Config(stack("1"))) // not applied, so that it does not count
	out, exit := cli.Run("plan", "-destroy", "-no-color")
	if exit == 0 || !strings.Contains(out, "Its deletion_policy is PREVENT") {
		t.Errorf("exit code %d, and a destroy is planned:\n%s", exit, out)
	}
	for _, address := range []string{"gcpml_vertex_model_upload.m", "gcpml_vertex_endpoint_deployment.e", "gcpml_bq_connection.c", "gcpml_bq_remote_model.r"} {
		head := `resource "` + strings.Replace(address, ".", `" "`, 1) + `" {`
		cli.Write(tw.Config(strings.Replace(stack("1"), head, head+"\n  "+prevent, 1)))
		cli.Must("apply", "-auto-approve", "-no-color")
		if out, exit = cli.Run("plan", "-destroy", "-no-color"); exit == 0 || !strings.Contains(out, "with "+address) {
			t.Errorf("exit code %d, and a destroy of %s is planned:\n%s", exit, address, out)
		}
	}
	cli.Write(tw.Config(stack("1"), prevent))
	cli.Must("apply", "-auto-approve", "-no-color")
	renamed := strings.Replace(stack("1"), `"kill_test"`+"\n  roles", `"another"`+"\n  roles", 1)
	cli.Write(tw.Config(renamed, prevent))
	if out, exit = cli.Run("plan", "-no-color"); exit == 0 || !strings.Contains(out, "Its deletion_policy is PREVENT") {
		t.Errorf("exit code %d, and a replacement is planned:\n%s", exit, out)
	}
	cli.Write(tw.Config(stack("1"), prevent))
	if out, exit = cli.Run("apply", "-auto-approve", "-no-color", "-replace=gcpml_bq_remote_model.r"); exit == 0 || !strings.Contains(out, "Its deletion_policy is PREVENT") {
		t.Errorf("exit code %d, and -replace was carried out:\n%s", exit, out)
	}
	emptyPlan(t, cli)

	own := strings.Replace(stack("1"), "roles         =", "deletion_policy = \"DELETE\"\n  roles         =", 1)
	cli.Write(tw.Config(own, `deletion_policy = "ABANDON"`))
	cli.Must("apply", "-auto-approve", "-no-color")
	out = cli.Must("destroy", "-auto-approve", "-no-color")
	if !strings.Contains(out, "left as it is") {
		t.Errorf("nobody is told that objects are left:\n%s", out)
	}
	left := tw.Inventory(t)
	if len(left["models"]) != 1 || len(left["endpoints"]) != 1 || len(left["remote_models"]) != 1 || len(left["connections"]) != 0 {
		t.Errorf("the server has %s", left)
	}
}

// A name that is given part by part imports as an id does.
func TestAccImportByIdentity(t *testing.T) {
	binary := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if tofu, err := filepath.Abs("../bin/tofu"); err == nil && !strings.Contains(filepath.Base(binary), "tofu") {
		if _, err := os.Stat(tofu); err != nil {
			t.Skip("an import by identity needs OpenTofu 1.12: make tools")
		}
		t.Setenv("TF_ACC_TERRAFORM_PATH", tofu)
	}
	tw, cli := start(t, labelled(`{ team = "a" }`))
	cli.Must("apply", "-auto-approve", "-no-color")
	blocks := `
import {
  to       = gcpml_vertex_model_upload.m
  identity = { project = "demo-gcpml", location = "us-central1", model_id = "kill_test" }
}
import {
  to       = gcpml_vertex_endpoint_deployment.e
  identity = { endpoint_id = "471147" }
}
import {
  to       = gcpml_bq_connection.c
  identity = { location = "US", connection_id = "kill_test" }
}
import {
  to       = gcpml_bq_remote_model.r
  identity = { dataset_id = "ds", model_id = "kill_test" }
}
`
	imported := tw.NewCLI(t, tw.Config(blocks+labelled(`{ team = "a" }`)))
	out := imported.Must("apply", "-auto-approve", "-no-color")
	want := "4 imported, 0 added, 0 changed, 0 destroyed"
	if tw.Assumed(t, "container-spec-echo") == "no" {
		want = "4 imported, 0 added, 1 changed, 0 destroyed" // the container, of which the server shows nothing
	}
	if !strings.Contains(out, want) {
		t.Errorf("the import changes something:\n%s", out)
	}
	emptyPlan(t, imported)
	imported.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// timeouts are kept to within a tenth, and the error tells what was awaited.
func TestAccTimeouts(t *testing.T) {
	const limit = 4 * time.Second
	for name, c := range map[string]struct {
		flags  []string
		stall  string
		target string
		want   string
	}{
		"model":        {[]string{"--operation-latency", "10m"}, "", "gcpml_vertex_model_upload.m", `(?s)upload model "kill_test".*operation projects/\S+/operations/\S+ after 4s`},
		"endpoint":     {[]string{"--deploy-latency", "10m"}, "", "gcpml_vertex_endpoint_deployment.e", `(?s)create endpoint "471147".*operation projects/\S+/operations/\S+ after [34]s`},
		"connection":   {[]string{"--enable-faults"}, "*ConnectionService/CreateConnection", "gcpml_bq_connection.c", `(?s)create BigQuery connection "projects/`},
		"remote model": {[]string{"--enable-faults"}, "POST /bigquery/v2/projects/*/jobs", "gcpml_bq_remote_model.r", `(?s)create BigQuery remote model "projects/.*gcpml_`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(c.target, ".")
			head := regexp.MustCompile(`resource "` + kind + `" "\w+" \{`)
			tw, cli := start(t, head.ReplaceAllString(stack("1"), "$0\n  timeouts {\n    create = \"4s\"\n  }"), c.flags...)
			if c.stall != "" {
				tw.Fault(t, acctest.Fault{Method: c.stall, Times: -1, Stall: acctest.Duration(10 * time.Minute)})
			}
			began := time.Now()
			out, exit := cli.Run("apply", "-auto-approve", "-no-color", "-target="+c.target)
			took := time.Since(began)
			text := plain(out)
			if exit == 0 || !regexp.MustCompile(c.want).MatchString(text) {
				t.Errorf("exit code %d; the error should match %s:\n%s", exit, c.want, out)
			}
			told := regexp.MustCompile(`over after (\S+) \(timeouts: create = 4s\)`).FindStringSubmatch(text)
			if told == nil {
				t.Fatalf("it is not told how long was waited:\n%s", out)
			}
			waited, err := time.ParseDuration(told[1])
			if err != nil || waited < limit*9/10 || waited > limit*11/10 || took < waited {
				t.Errorf("waited %s (all took %s), want %s", told[1], took, limit)
			}
		})
	}
}

// Somebody grants the role again while the connection is being deleted: the check
// after the destroy names what is left.
func TestAccDestroyNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	tw, cli := start(t, stack("1"), "--enable-faults")
	cli.Must("apply", "-auto-approve", "-no-color", "-target=gcpml_bq_connection.c")
	var state struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Values struct {
						Account string `json:"service_account_id"`
					}
				}
			} `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(cli.Must("show", "-json")), &state); err != nil || len(state.Values.RootModule.Resources) != 1 {
		t.Fatalf("%v, %+v", err, state)
	}
	account := state.Values.RootModule.Resources[0].Values.Account
	fault := tw.Fault(t, acctest.Fault{Method: "*ConnectionService/DeleteConnection", Phase: acctest.Before, Action: acctest.Hold})
	running := cli.Start("destroy", "-auto-approve", "-no-color")
	if !fault.Await(time.Minute) {
		t.Fatal("the connection is not deleted")
	}
	if _, err := tw.Clients(t).GrantRoles(t.Context(), acctest.Project, "serviceAccount:"+account, []string{"roles/aiplatform.user"}, 0); err != nil {
		t.Fatal(err)
	}
	fault.Release()
	out, exit := running.Wait()
	text := plain(out)
	if exit == 0 || !strings.Contains(text, "the grant of roles/aiplatform.user in project "+acctest.Project+" to "+account) {
		t.Errorf("exit code %d, and the grant that is left is not named:\n%s", exit, out)
	}
}
