// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// The one list of what the provider serves.
var (
	resources = []func() resource.Resource{}

	dataSources = []func() datasource.DataSource{}
)
