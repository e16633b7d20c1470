// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/gcpml/terraform-provider-gcpml/provider"
)

func schemas(t *testing.T) *tfprotov6.GetProviderSchemaResponse {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(provider.New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.GetProviderSchema(context.Background(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range resp.Diagnostics {
		t.Errorf("%s: %s", d.Summary, d.Detail)
	}
	return resp
}

// A factory that was dropped, or a type that was renamed, fails here.
func TestTypes(t *testing.T) {
	resp := schemas(t)
	var resources, dataSources []string
	for name := range resp.ResourceSchemas {
		resources = append(resources, name)
	}
	for name := range resp.DataSourceSchemas {
		dataSources = append(dataSources, name)
	}
	slices.Sort(resources)
	want := []string{"gcpml_bq_connection", "gcpml_bq_remote_model", "gcpml_vertex_endpoint_deployment", "gcpml_vertex_model_upload"}
	if !slices.Equal(resources, want) {
		t.Errorf("resources %v, want %v", resources, want)
	}
	slices.Sort(dataSources)
	if want := []string{"gcpml_bq_predict", "gcpml_bq_remote_model", "gcpml_vertex_endpoint", "gcpml_vertex_model", "gcpml_vertex_models", "gcpml_vertex_publisher_model"}; !slices.Equal(dataSources, want) {
		t.Errorf("data sources %v, want %v", dataSources, want)
	}
}

func TestEveryAttributeIsDescribed(t *testing.T) {
	resp := schemas(t)
	check := func(name string, s *tfprotov6.Schema) {
		for path, description := range descriptions(name, s.Block) {
			if strings.TrimSpace(description) == "" {
				t.Errorf("%s has no description", path)
			}
		}
	}
	check("provider", resp.Provider)
	for name, s := range resp.ResourceSchemas {
		check(name, s)
	}
	for name, s := range resp.DataSourceSchemas {
		check(name, s)
	}
}

func descriptions(at string, block *tfprotov6.SchemaBlock) map[string]string {
	found := map[string]string{}
	var attributes func(at string, list []*tfprotov6.SchemaAttribute)
	attributes = func(at string, list []*tfprotov6.SchemaAttribute) {
		for _, a := range list {
			found[at+"."+a.Name] = a.Description
			if a.NestedType != nil {
				attributes(at+"."+a.Name, a.NestedType.Attributes)
			}
		}
	}
	attributes(at, block.Attributes)
	for _, b := range block.BlockTypes {
		if b.TypeName != "timeouts" { // its texts come from the timeouts library
			found[at+"."+b.TypeName] = b.Block.Description
		}
	}
	return found
}

// Plan rule 2: a map of nested objects has nothing computed inside, unless the
// whole map is computed.
func TestNothingComputedInsideConfiguredMaps(t *testing.T) {
	var walk func(at string, list []*tfprotov6.SchemaAttribute, inMap bool)
	walk = func(at string, list []*tfprotov6.SchemaAttribute, inMap bool) {
		for _, a := range list {
			if inMap && a.Computed {
				t.Errorf("%s.%s is computed inside a configured map", at, a.Name)
			}
			if a.NestedType != nil && (a.Optional || a.Required) {
				walk(at+"."+a.Name, a.NestedType.Attributes, inMap || a.NestedType.Nesting == tfprotov6.SchemaObjectNestingModeMap)
			}
		}
	}
	for name, s := range schemas(t).ResourceSchemas {
		walk(name, s.Block.Attributes, false)
	}
}
