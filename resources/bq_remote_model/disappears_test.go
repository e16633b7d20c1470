// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"fmt"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// What a model stands on goes away behind Terraform's back: its dataset, with it; the
// connection that it uses; the endpoint that it calls. One apply puts it right.
func TestAccRemoteModelDisappearsWithWhatItStandsOn(t *testing.T) {
	t.Parallel()
	twin := start(t)
	const grant = "gcpml_bq_connection.c"
	hcl := twin.Config(render(nil))
	account := ""
	predicts := func(*terraform.State) error {
		rows := twin.SQL(t, "SELECT remote_model_status IS NULL OR remote_model_status = '' FROM ML.PREDICT(MODEL ds.m, (SELECT 'a good film' AS text))").Rows
		if len(rows) != 1 || rows[0].F[0].V != "true" {
			return fmt.Errorf("the model predicts %+v", rows)
		}
		return nil
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: hcl, Check: resource.ComposeTestCheckFunc(predicts, func(s *terraform.State) error {
				account = s.RootModule().Resources[grant].Primary.Attributes["service_account_id"]
				return nil
			})},
			{
				PreConfig: func() {
					bq, err := twin.Clients(t).BigQuery(t.Context())
					must(err)
					must(bq.Datasets.Delete(acctest.Project, "ds").DeleteContents(true).Do())
					twin.SQL(t, "CREATE SCHEMA ds OPTIONS (location = 'US')")
				},
				Config: hcl, ConfigPlanChecks: action(plancheck.ResourceActionCreate), Check: predicts,
			},
			{ // another one of the same name has another service account, and no role
				PreConfig: func() {
					connections, err := twin.Clients(t).Connections(t.Context())
					must(err)
					_, err = connections.Delete("projects/" + acctest.Project + "/locations/us/connections/acc").Context(t.Context()).Do()
					must(err)
					must(twin.Clients(t).RevokeRoles(t.Context(), acctest.Project, "serviceAccount:"+account, []string{"roles/aiplatform.user"}))
				},
				Config: hcl, Check: predicts,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(grant, plancheck.ResourceActionCreate)}},
			},
			{ // the endpoint is not managed here: there is nothing to change about the model
				PreConfig: func() {
					endpoints, err := twin.Clients(t).Endpoints(t.Context(), acctest.Region)
					must(err)
					found, err := endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: one})
					must(err)
					undeploy, err := endpoints.UndeployModel(t.Context(), &aiplatformpb.UndeployModelRequest{Endpoint: one, DeployedModelId: found.GetDeployedModels()[0].GetId()})
					must(err)
					_, err = undeploy.Wait(t.Context())
					must(err)
					gone, err := endpoints.DeleteEndpoint(t.Context(), &aiplatformpb.DeleteEndpointRequest{Name: one})
					must(err)
					must(gone.Wait(t.Context()))
				},
				Config: hcl, PlanOnly: true,
			},
		},
	})
}
