// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
	"github.com/gcpml/terraform-provider-gcpml/provider"
)

func functions(t *testing.T) (names []string) {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(provider.New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.GetFunctions(t.Context(), &tfprotov6.GetFunctionsRequest{})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatalf("%v %v", err, resp.Diagnostics)
	}
	for name := range resp.Functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A function that was dropped or renamed fails here, and so does one without an
// example.
func TestFunctions(t *testing.T) {
	want := []string{
		"endpoint_url", "format_bigquery_name", "format_connection_name", "format_vertex_name", "ml_predict_sql",
		"parse_bigquery_name", "parse_connection_name", "parse_vertex_name", "quote_identifier", "remote_model_ddl",
	}
	got := functions(t)
	if !slices.Equal(got, want) {
		t.Errorf("functions %v, want %v", got, want)
	}
	for _, name := range got {
		if _, err := os.Stat(filepath.Join("..", "examples", "functions", name, "function.tf")); err != nil {
			t.Errorf("%s has no example: %v", name, err)
		}
	}
}

// The functions work in a configuration, also on ids that are not known before
// apply, and the emulator's own parser of GoogleSQL takes the SQL that they write:
// the model that the DDL makes is the one that the resource makes.
func TestAccFunctions(t *testing.T) {
	t.Parallel()
	tw, cli := start(t, stack("1")+`
locals {
  model    = provider::gcpml::parse_bigquery_name(gcpml_bq_remote_model.r.id)
  vertex   = provider::gcpml::parse_vertex_name(gcpml_vertex_model_upload.m.versioned_name)
  endpoint = provider::gcpml::parse_vertex_name(gcpml_vertex_endpoint_deployment.e.id)
  copy     = provider::gcpml::format_bigquery_name(local.model.project, local.model.dataset, local.model.kind, "by_hand")
}

output "names" {
  value = {
    version    = local.vertex.version
    vertex     = provider::gcpml::format_vertex_name(local.vertex.project, local.vertex.location, local.vertex.kind, local.vertex.id) == gcpml_vertex_model_upload.m.id
    endpoint   = provider::gcpml::format_vertex_name(local.endpoint.project, local.endpoint.location, local.endpoint.kind, local.endpoint.id) == gcpml_vertex_endpoint_deployment.e.id
    connection = provider::gcpml::format_connection_name("demo-gcpml", "US", provider::gcpml::parse_connection_name(gcpml_bq_connection.c.id).id) == gcpml_bq_connection.c.id
    url        = provider::gcpml::endpoint_url(gcpml_vertex_endpoint_deployment.e.id)
    none       = local.endpoint.version == null
  }
}

output "ddl" {
  value = provider::gcpml::remote_model_ddl(local.copy, gcpml_bq_connection.c.id, gcpml_vertex_endpoint_deployment.e.id,
    gcpml_bq_remote_model.r.input, gcpml_bq_remote_model.r.output, false)
}

output "predict" {
  value = provider::gcpml::ml_predict_sql(local.copy, "SELECT 'A moving film.' AS text -- one")
}

output "quoted" {
  value = "SELECT 1 AS ${provider::gcpml::quote_identifier("a column")} FROM (SELECT 1)"
}
`)
	cli.Must("apply", "-auto-approve", "-no-color")
	var outputs struct {
		Names struct {
			Value struct {
				Version, URL                       string
				Vertex, Endpoint, Connection, None bool
			}
		}
		DDL, Predict, Quoted struct{ Value string }
	}
	if err := json.Unmarshal([]byte(cli.Must("output", "-json")), &outputs); err != nil {
		t.Fatal(err)
	}
	n := outputs.Names.Value
	url := "https://" + acctest.Region + "-aiplatform.googleapis.com/v1/" + endpointName
	if n.Version != "1" || n.URL != url || !n.Vertex || !n.Endpoint || !n.Connection || !n.None {
		t.Errorf("names: %+v", n)
	}
	tw.SQL(t, outputs.DDL.Value)
	rows := tw.SQL(t, outputs.Predict.Value)
	if rows.TotalRows != 1 || !strings.Contains(fmt.Sprint(rows.Schema.Fields[0].Name), "scores") {
		t.Errorf("the prediction has %d rows of %v", rows.TotalRows, rows.Schema)
	}
	if rows = tw.SQL(t, outputs.Quoted.Value); rows.Schema.Fields[0].Name != "a column" {
		t.Errorf("the quoted column is %q", rows.Schema.Fields[0].Name)
	}
	_, _, bq := apis(t, tw)
	byHand, err := bq.Models.Get(acctest.Project, "ds", "by_hand").Do()
	if err != nil {
		t.Fatal(err)
	}
	made, err := bq.Models.Get(acctest.Project, "ds", "kill_test").Do()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal([]any{byHand.RemoteModelInfo, byHand.FeatureColumns, byHand.LabelColumns})
	b, _ := json.Marshal([]any{made.RemoteModelInfo, made.FeatureColumns, made.LabelColumns})
	if string(a) != string(b) {
		t.Errorf("the DDL made  %s\nthe resource %s", a, b)
	}
	cli.Write(tw.Config(`output "x" { value = provider::gcpml::endpoint_url("e") }`))
	if out, exit := cli.Run("plan", "-no-color"); exit == 0 || !strings.Contains(out, "while calling provider::gcpml::endpoint_url(endpoint") || !strings.Contains(out, "is not of the form") {
		t.Errorf("exit code %d:\n%s", exit, out)
	}
}
