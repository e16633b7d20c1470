// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// container is a container_spec in the spelling of a configuration.
func container(image string, ports types.List) types.Object {
	attributes := map[string]attr.Value{}
	for name, kind := range containerType.AttrTypes {
		null, err := kind.ValueFromTerraform(context.Background(), tftypes.NewValue(kind.TerraformType(context.Background()), nil))
		if err != nil {
			panic(err)
		}
		attributes[name] = null
	}
	attributes["image_uri"], attributes["ports"] = types.StringValue(image), ports
	return types.ObjectValueMust(containerType.AttrTypes, attributes)
}

var portType = containerType.AttrTypes["ports"].(types.ListType).ElemType.(types.ObjectType)

func ports(numbers ...int32) types.List {
	var all []attr.Value
	for _, n := range numbers {
		all = append(all, types.ObjectValueMust(portType.AttrTypes, map[string]attr.Value{"container_port": types.Int32Value(n)}))
	}
	return types.ListValueMust(portType, all)
}

func state(artifact string, spec types.Object) model {
	return model{
		Project: types.StringValue("p"), Location: types.StringValue("us-central1"), ModelID: types.StringValue("bert"), DisplayName: types.StringValue("Bert"),
		LabelSet: tfkit.NoLabels(), ArtifactURI: types.StringValue(artifact), ContainerSpec: spec, VersionID: types.StringValue("1"),
	}
}

func TestContentChanged(t *testing.T) {
	had := container("image", types.ListNull(portType))
	for name, c := range map[string]struct {
		plan model
		want bool
	}{
		"nothing":           {state("gs://b/1/", had), false},
		"a slash":           {state("gs://b/1", had), false},
		"the default port":  {state("gs://b/1/", container("image", ports(8080))), false},
		"another port":      {state("gs://b/1/", container("image", ports(8081))), true},
		"artifact":          {state("gs://b/2/", had), true},
		"image":             {state("gs://b/1/", container("image:2", types.ListNull(portType))), true},
		"unknown container": {state("gs://b/1/", types.ObjectUnknown(containerType.AttrTypes)), true},
		"unknown ports":     {state("gs://b/1/", container("image", types.ListUnknown(portType))), true},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			before := state("gs://b/1/", had)
			if got := c.plan.contentChanged(t.Context(), &before, tfkit.Private{}, &diags); got != c.want || diags.HasError() {
				t.Errorf("changed %v, want %v %v", got, c.want, diags)
			}
		})
	}
	var diags diag.Diagnostics
	before, plan := state("gs://b/1/", had), state("gs://b/1/", had)
	plan.ArtifactURI = types.StringUnknown()
	if !plan.contentChanged(t.Context(), &before, tfkit.Private{}, &diags) {
		t.Error("an unknown artifact_uri is no change")
	}

	// After an import without container_spec.
	before.ContainerSpec = types.ObjectNull(containerType.AttrTypes)
	plan = state("gs://b/1/", had)
	for extra, want := range map[string]bool{"": true, "true": false} {
		if got := plan.contentChanged(t.Context(), &before, tfkit.Private{Extra: map[string]string{hiddenContainer: extra}}, &diags); got != want {
			t.Errorf("with %q changed is %v, want %v", extra, got, want)
		}
	}
}

func TestFromRemote(t *testing.T) {
	spelled := container("image", types.ListNull(portType))
	echo := func(image string, ports ...int32) *vertex.Container {
		return &vertex.Container{ImageURI: image, Ports: ports}
	}
	for name, c := range map[string]struct {
		remote        vertex.Model
		wantArtifact  string
		wantContainer types.Object
	}{
		"as it was":                    {vertex.Model{ArtifactURI: "gs://b/1", VersionID: "1", Container: echo("image")}, "gs://b/1/", spelled},
		"the default port given back":  {vertex.Model{ArtifactURI: "gs://b/1/", VersionID: "1", Container: echo("image", 8080)}, "gs://b/1/", spelled},
		"not given back":               {vertex.Model{ArtifactURI: "gs://b/1/", VersionID: "1"}, "gs://b/1/", spelled},
		"another version, not given":   {vertex.Model{ArtifactURI: "gs://b/1/", VersionID: "2"}, "gs://b/1/", types.ObjectNull(containerType.AttrTypes)},
		"another version, given":       {vertex.Model{ArtifactURI: "gs://b/2/", VersionID: "2", Container: echo("other", 9090)}, "gs://b/2/", container("other", ports(9090))},
		"another version, of the same": {vertex.Model{ArtifactURI: "gs://b/1/", VersionID: "2", Container: echo("image")}, "gs://b/1/", spelled},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			m := state("gs://b/1/", spelled)
			c.remote.DisplayName = "Bert"
			m.fromRemote(t.Context(), &c.remote, &diags)
			if m.ArtifactURI.ValueString() != c.wantArtifact || !m.ContainerSpec.Equal(c.wantContainer) || diags.HasError() {
				t.Errorf("artifact %s, container %s; want %s, %s %v", m.ArtifactURI, m.ContainerSpec, c.wantArtifact, c.wantContainer, diags)
			}
			// The name has the project as it is configured, whatever the server calls it.
			if want := "projects/p/locations/us-central1/models/bert@" + c.remote.VersionID; m.VersionedName.ValueString() != want {
				t.Errorf("versioned_name %s, want %s", m.VersionedName, want)
			}
			if !m.Description.IsNull() || !m.Labels.IsNull() {
				t.Errorf("description %s and labels %s came from nothing", m.Description, m.Labels)
			}
		})
	}
}
