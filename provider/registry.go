// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	providerfunctions "github.com/gcpml/terraform-provider-gcpml/functions"
	bqconnection "github.com/gcpml/terraform-provider-gcpml/resources/bq_connection"
	bqpredict "github.com/gcpml/terraform-provider-gcpml/resources/bq_predict"
	bqremotemodel "github.com/gcpml/terraform-provider-gcpml/resources/bq_remote_model"
	vertexendpoint "github.com/gcpml/terraform-provider-gcpml/resources/vertex_endpoint"
	vertexendpointdeployment "github.com/gcpml/terraform-provider-gcpml/resources/vertex_endpoint_deployment"
	vertexmodel "github.com/gcpml/terraform-provider-gcpml/resources/vertex_model"
	vertexmodelupload "github.com/gcpml/terraform-provider-gcpml/resources/vertex_model_upload"
	vertexmodels "github.com/gcpml/terraform-provider-gcpml/resources/vertex_models"
	vertexpublishermodel "github.com/gcpml/terraform-provider-gcpml/resources/vertex_publisher_model"
)

// The one list of what the provider serves.
var (
	resources = []func() resource.Resource{
		bqconnection.New,
		bqremotemodel.New,
		vertexendpointdeployment.New,
		vertexmodelupload.New,
	}

	dataSources = []func() datasource.DataSource{
		bqpredict.New,
		bqremotemodel.NewDataSource,
		vertexmodel.New,
		vertexmodels.New,
		vertexendpoint.New,
		vertexpublishermodel.New,
	}

	functions = providerfunctions.All
)
