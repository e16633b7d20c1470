// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/gcpml/terraform-provider-gcpml/provider"
)

// attributesOf are the attributes of the schema of a type, as the framework has them:
// with their validators, which no protocol tells.
func (p *Planner) attributesOf(t *testing.T) any {
	t.Helper()
	served, ctx := provider.New("test")(), context.Background()
	for _, create := range served.Resources(ctx) {
		var named resource.MetadataResponse
		r := create()
		if r.Metadata(ctx, resource.MetadataRequest{}, &named); named.TypeName == p.typeName && !p.data {
			var resp resource.SchemaResponse
			r.Schema(ctx, resource.SchemaRequest{}, &resp)
			return resp.Schema.Attributes
		}
	}
	for _, create := range served.DataSources(ctx) {
		var named datasource.MetadataResponse
		d := create()
		if d.Metadata(ctx, datasource.MetadataRequest{}, &named); named.TypeName == p.typeName && p.data {
			var resp datasource.SchemaResponse
			d.Schema(ctx, datasource.SchemaRequest{}, &resp)
			return resp.Schema.Attributes
		}
	}
	t.Fatalf("no type %s is served", p.typeName)
	return nil
}

// validated lists where validators are, with * for any element: "env.*.name". The kinds of
// attributes, of resources and of data sources, have nothing in common but the names of
// their fields.
func validated(at string, attributes any) (paths []string) {
	for _, key := range reflect.ValueOf(attributes).MapKeys() {
		paths = append(paths, validatedIn(at+key.String(), reflect.ValueOf(attributes).MapIndex(key).Elem())...)
	}
	return paths
}

func validatedIn(at string, attribute reflect.Value) (paths []string) {
	if v := attribute.FieldByName("Validators"); v.IsValid() && v.Len() > 0 {
		paths = append(paths, at)
	}
	if inside := attribute.FieldByName("Attributes"); inside.IsValid() {
		paths = append(paths, validated(at+".", inside.Interface())...)
	}
	if element := attribute.FieldByName("NestedObject"); element.IsValid() {
		paths = append(paths, validatedIn(at+".*", element)...)
	}
	return paths
}

// covered reports whether an error is at a place, or within it.
func covered(place string, errors []string) bool {
	want := strings.Split(place, ".")
	return slices.ContainsFunc(errors, func(e string) bool {
		at, _, _ := strings.Cut(e, ": ")
		got := strings.Split(at, ".")
		if len(got) < len(want) {
			return false
		}
		for i, step := range want {
			if step != "*" && step != got[i] {
				return false
			}
		}
		return true
	})
}

// checkCovered expects an error at each place that has validators.
func (p *Planner) checkCovered(t *testing.T, table []Refusal) {
	t.Helper()
	var errors []string
	for _, c := range table {
		errors = append(errors, c.want)
	}
	places := validated("", p.attributesOf(t))
	slices.Sort(places)
	for _, place := range places {
		if !covered(place, errors) {
			t.Errorf("%s has validators, and no configuration that they refuse", place)
		}
	}
	t.Logf("%s refuses %d configurations; %d places have validators", p.typeName, len(table), len(places))
}
