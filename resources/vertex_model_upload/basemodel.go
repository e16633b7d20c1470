// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// baseModelAttribute tells where a model comes from. The names are those of the API
// (Model.base_model_source).
func baseModelAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "What the model was made of, such as the `base_model_source` of data `gcpml_vertex_publisher_model`. A change uploads a new version. " +
			"Google may not show it: then a change behind Terraform's back is not seen.",
		Attributes: map[string]schema.Attribute{
			"model_garden_source": schema.SingleNestedAttribute{
				Required: true, MarkdownDescription: "A model of Model Garden.",
				Attributes: map[string]schema.Attribute{
					"public_model_name": schema.StringAttribute{
						Required:            true,
						Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^publishers/[^/@\s]+/models/[^/@\s]+$`), "Invalid public_model_name", "publishers/PUBLISHER/models/MODEL, without a version")},
						MarkdownDescription: "Name of the model, `publishers/PUBLISHER/models/MODEL`.",
					},
					"version_id": schema.StringAttribute{Optional: true, MarkdownDescription: "Id of its version."},
				},
			},
		},
	}
}

var (
	gardenSourceType = map[string]attr.Type{"public_model_name": types.StringType, "version_id": types.StringType}
	baseModelType    = map[string]attr.Type{"model_garden_source": types.ObjectType{AttrTypes: gardenSourceType}}
)

// baseModel converts base_model_source, which is fully known.
func (m *model) baseModel() vertex.BaseModel {
	source, _ := m.BaseModelSource.Attributes()["model_garden_source"].(types.Object)
	name, _ := source.Attributes()["public_model_name"].(types.String)
	version, _ := source.Attributes()["version_id"].(types.String)
	return vertex.BaseModel{Name: name.ValueString(), Version: version.ValueString()}
}

func baseModelValue(b vertex.BaseModel) types.Object {
	if b == (vertex.BaseModel{}) {
		return types.ObjectNull(baseModelType)
	}
	source := types.ObjectValueMust(gardenSourceType, map[string]attr.Value{"public_model_name": tfkit.TextOrNull(b.Name), "version_id": tfkit.TextOrNull(b.Version)})
	return types.ObjectValueMust(baseModelType, map[string]attr.Value{"model_garden_source": source})
}

// sameBase compares what is planned with what a version has. A version that is not
// named may be any: Google may fill it in.
func sameBase(planned, had vertex.BaseModel) bool {
	return planned.Name == had.Name && (planned.Version == "" || planned.Version == had.Version)
}
