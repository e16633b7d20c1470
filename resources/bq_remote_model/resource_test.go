// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const address = "gcpml_bq_remote_model.m"

const (
	one       = "projects/" + acctest.Project + "/locations/us-central1/endpoints/1001"
	two       = "projects/" + acctest.Project + "/locations/us-central1/endpoints/1002"
	dedicated = "projects/" + acctest.Project + "/locations/us-central1/endpoints/1003"
	europe    = "projects/" + acctest.Project + "/locations/europe-west4/endpoints/1001"
)

// start starts a twin with a dataset and with serving endpoints that nobody manages.
func start(t *testing.T, flags ...string) *acctest.Twin {
	t.Helper()
	twin := acctest.Start(t, append([]string{"--operation-latency", "0s"}, flags...)...)
	twin.SQL(t, "CREATE SCHEMA ds OPTIONS (location = 'US')")
	twin.SQL(t, "CREATE SCHEMA other OPTIONS (location = 'US')")
	const parent = "projects/" + acctest.Project + "/locations/" + acctest.Region
	clients := twin.Clients(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	models, err := clients.Models(t.Context(), acctest.Region)
	must(err)
	upload, err := models.UploadModel(t.Context(), &aiplatformpb.UploadModelRequest{Parent: parent, ModelId: "m", Model: &aiplatformpb.Model{
		DisplayName: "m", ArtifactUri: "gs://bucket/model/",
		ContainerSpec: &aiplatformpb.ModelContainerSpec{ImageUri: "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"},
	}})
	must(err)
	_, err = upload.Wait(t.Context())
	must(err)
	endpoints, err := clients.Endpoints(t.Context(), acctest.Region)
	must(err)
	for name, e := range map[string]*aiplatformpb.Endpoint{one: {}, two: {}, dedicated: {DedicatedEndpointEnabled: true}} {
		e.DisplayName = name[strings.LastIndex(name, "/")+1:]
		create, err := endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{Parent: parent, EndpointId: e.GetDisplayName(), Endpoint: e})
		must(err)
		_, err = create.Wait(t.Context())
		must(err)
		deploy, err := endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{
			Endpoint: name, TrafficSplit: map[string]int32{"0": 100},
			DeployedModel: &aiplatformpb.DeployedModel{Model: parent + "/models/m", PredictionResources: &aiplatformpb.DeployedModel_DedicatedResources{
				DedicatedResources: &aiplatformpb.DedicatedResources{MachineSpec: &aiplatformpb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1},
			}},
		})
		must(err)
		_, err = deploy.Wait(t.Context())
		must(err)
	}
	return twin
}

const connection = `
resource "gcpml_bq_connection" "c" {
  location      = "US"
  connection_id = "acc"
  roles         = ["roles/aiplatform.user"]
}
`

// attributes are the arguments of a minimal model.
func attributes(changes map[string]string) map[string]string {
	a := map[string]string{
		"dataset_id": `"ds"`, "model_id": `"m"`, "connection_name": "gcpml_bq_connection.c.id", "endpoint": `"` + one + `"`,
		"input": `[{ name = "text", type = "STRING" }]`, "output": `[{ name = "scores", type = "ARRAY<FLOAT64>" }]`,
	}
	for k, v := range changes {
		if a[k] = v; v == "" {
			delete(a, k)
		}
	}
	return a
}

// spellings cannot be known on import: the server has us where the configuration has US.
var spellings = []string{"connection_name", "effective_connection_name"}

func render(changes map[string]string) string { return resourceOf(attributes(changes)) }

// resourceOf is the connection and a model with these arguments.
func resourceOf(a map[string]string) string {
	body := ""
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if k == "timeouts" {
			body += "  timeouts " + a[k] + "\n"
			continue
		}
		body += "  " + k + " = " + a[k] + "\n"
	}
	return connection + "resource \"gcpml_bq_remote_model\" \"m\" {\n" + body + "}\n"
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func value(attribute string, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), want)
}

// destroyed allows for the endpoints that start makes.
func destroyed(twin *acctest.Twin, t *testing.T) resource.TestCheckFunc {
	return func(*terraform.State) error {
		inventory := twin.Inventory(t)
		for _, section := range []string{"connections", "iam_bindings", "remote_models"} {
			if left := inventory[section]; len(left) > 0 {
				return fmt.Errorf("destroy left %d in %s: %s", len(left), section, left)
			}
		}
		return nil
	}
}

func get(t *testing.T, twin *acctest.Twin) *bigquery.Model {
	t.Helper()
	bq, err := twin.Clients(t).BigQuery(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := bq.Models.Get(acctest.Project, "ds", "m").Do()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lifecycle(t *testing.T, flags ...string) {
	twin := start(t, flags...)
	full := map[string]string{
		"description": `"it's a \"model\""`, "labels": `{ team = "a", empty = "" }`, "expiration_time": `"2099-12-31T23:59:59.5+01:00"`,
		"endpoint": `"` + two + `"`,
		"input":    `[{ name = "text", type = "string" }, { name = "n", type = "array < int64 >" }]`,
		"timeouts": `{ create = "5m" }`,
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{
				Config: twin.Config(render(nil)),
				ConfigStateChecks: []statecheck.StateCheck{
					value("id", knownvalue.StringExact("projects/"+acctest.Project+"/datasets/ds/models/m")),
					value("labels", knownvalue.Null()),
					value("endpoint_url", knownvalue.StringExact("https://us-central1-aiplatform.googleapis.com/v1/"+one)),
				},
			},
			// The server reports the connection in us, which means the same as US: what
			// matters is that the import block plans no change.
			{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
			{ResourceName: address, ImportState: true, ImportStateId: "ds.m", ImportStateVerify: true, ImportStateVerifyIgnore: spellings},
			{ResourceName: address, ImportState: true, ImportStateId: acctest.Project + "/ds/m", ImportStateVerify: true, ImportStateVerifyIgnore: spellings},
			{ // Other spellings of the same are no change.
				Config: twin.Config(render(map[string]string{
					"endpoint": `"https://us-central1-aiplatform.googleapis.com/v1/` + one + `"`,
					"output":   `[{ name = "scores", type = " array < float64 > " }]`,
				})),
				PlanOnly: true,
			},
			{
				Config:           twin.Config(render(full)),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("endpoint_url", knownvalue.StringExact("https://us-central1-aiplatform.googleapis.com/v1/"+two)),
					value("labels", knownvalue.MapExact(map[string]knownvalue.Check{"team": knownvalue.StringExact("a"), "empty": knownvalue.StringExact("")})),
				},
				Check: func(*terraform.State) error {
					m := get(t, twin)
					if m.Description != `it's a "model"` || m.ExpirationTime != 4102441199500 || len(m.FeatureColumns) != 2 || m.FeatureColumns[1].Type.ArrayElementType.TypeKind != "INT64" || !strings.HasSuffix(m.RemoteModelInfo.Endpoint, "/endpoints/1002") {
						return fmt.Errorf("the server has %+v, %+v", m, m.RemoteModelInfo)
					}
					return nil
				},
			},
			// Spellings cannot be known on import; here they are the canonical ones.
			{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: append([]string{"timeouts", "input.0.type", "input.1.type", "expiration_time"}, spellings...)},
			{ // Only the core changes: what the patch wrote before must still be there.
				Config:           twin.Config(render(merge(full, map[string]string{"endpoint": `"` + one + `"`}))),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
			},
			{
				Config:            twin.Config(render(nil)),
				ConfigPlanChecks:  action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("labels", knownvalue.Null()), value("description", knownvalue.Null()), value("expiration_time", knownvalue.Null())},
				Check: func(*terraform.State) error {
					if m := get(t, twin); m.Description != "" || m.ExpirationTime != 0 || len(m.Labels) != 3 { // spec, incarnation and attribution
						return fmt.Errorf("the server has %+v", m)
					}
					return nil
				},
			},
			{
				Config:           twin.Config(render(map[string]string{"dataset_id": `"other"`})),
				ConfigPlanChecks: action(plancheck.ResourceActionReplace),
			},
		},
	})
}

func merge(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func TestAccRemoteModel(t *testing.T) {
	t.Parallel()
	lifecycle(t)
}

// The same where Google Cloud may do otherwise (UNKNOWNS.md of the emulator).
func TestAccRemoteModelOtherwise(t *testing.T) {
	t.Parallel()
	lifecycle(t, "--assume", "project-in-names=id", "--assume", "multi-region-case=upper", "--assume", "create-model-probe=no",
		"--assume", "permission-checked-at=predict", "--assume", "replace-keeps-labels=yes", "--assume", "endpoint-letters-in-option=no")
}

// The grant and the model in one apply, while the grant takes its time: no
// time_sleep, no second apply.
func TestAccRemoteModelWaitsForTheGrant(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 90 seconds")
	}
	t.Parallel()
	for reason, lag := range map[string]string{"invalidQuery": "90s", "accessDenied": "5s"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			twin := start(t, "--iam-lag", lag, "--assume", "permission-checked-at=create", "--assume", "permission-error-reason="+reason)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps:                    []resource.TestStep{{Config: twin.Config(render(nil))}},
			})
		})
	}
}

// A rollout on the endpoint leaves the remote model alone.
func TestAccRemoteModelDuringARollout(t *testing.T) {
	t.Parallel()
	twin := start(t)
	const endpoint = "gcpml_vertex_endpoint_deployment.e"
	hcl := func(release string) string {
		return twin.Config(fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "u" {
  display_name = "rollout"
  artifact_uri = "gs://bucket/model/"
  container_spec = {
    image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    env       = [{ name = "RELEASE", value = %q }]
  }
}

resource "gcpml_vertex_endpoint_deployment" "e" {
  display_name = "rollout"
  endpoint_id  = "471147"
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.u.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}
`, release) + render(map[string]string{"endpoint": endpoint + ".id"}))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: hcl("1")},
			{Config: hcl("2"), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(endpoint, plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionNoop),
			}}},
		},
	})
}

// Should BigQuery take no letters in the id of an endpoint, the error says what does it,
// and that does.
func TestAccRemoteModelOverAnIDWithLetters(t *testing.T) {
	t.Parallel()
	twin := start(t, "--assume", "endpoint-letters-in-option=no")
	hcl := func(id string) string {
		return twin.Config(`
resource "gcpml_vertex_model_upload" "u" {
  display_name   = "u"
  artifact_uri   = "gs://bucket/model/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

resource "gcpml_vertex_endpoint_deployment" "e" {
  display_name = "reviews"
  ` + id + `
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.u.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}
` + render(map[string]string{"endpoint": "gcpml_vertex_endpoint_deployment.e.id"}))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: hcl(""), ExpectError: regexp.MustCompile(`(?s)Hint:\s+the\s+id\s+of\s+the\s+endpoint,\s+"reviews".*endpoint_id`)},
			{Config: hcl(`endpoint_id = "471147"`)},
		},
	})
}

// Without patience, or without any grant to wait for, the first refusal is final.
func TestAccRemoteModelRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connection string
		changes    map[string]string
		want       string
	}{
		"no patience": {connection, map[string]string{"iam_propagation_timeout": `"0s"`}, `(?i)permission`},
		"no grant":    {strings.ReplaceAll(connection, `["roles/aiplatform.user"]`, `[]`), nil, `(?s)no\s+role\s+is\s+granted`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := start(t, "--iam-lag", "10m", "--assume", "permission-checked-at=create")
			hcl := strings.Replace(render(c.changes), connection, c.connection, 1)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps:                    []resource.TestStep{{Config: twin.Config(hcl), ExpectError: regexp.MustCompile(c.want)}},
			})
		})
	}
}

func TestAccRemoteModelDriftAndDisappearance(t *testing.T) {
	t.Parallel()
	twin := start(t)
	hcl := twin.Config(render(map[string]string{"description": `"declared"`, "labels": `{ team = "a" }`}))
	same := func(*terraform.State) error {
		m := get(t, twin)
		if m.Description != "declared" || m.Labels["team"] != "a" || !strings.HasSuffix(m.RemoteModelInfo.Endpoint, "/endpoints/1001") {
			return fmt.Errorf("the server has %+v, %+v", m, m.RemoteModelInfo)
		}
		return nil
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: hcl, Check: same},
			{ // patched by somebody else
				PreConfig: func() {
					bq, err := twin.Clients(t).BigQuery(t.Context())
					if err == nil {
						_, err = bq.Models.Patch(acctest.Project, "ds", "m", &bigquery.Model{Description: "theirs", Labels: map[string]string{"foreign": "x", "team": "b"}}).Do()
					}
					if err != nil {
						t.Fatal(err)
					}
				},
				Config: hcl, ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: same,
			},
			{ // replaced by somebody else
				PreConfig: func() {
					twin.SQL(t, "CREATE OR REPLACE MODEL ds.m INPUT (text STRING, n INT64) OUTPUT (score FLOAT64) REMOTE WITH CONNECTION `"+acctest.Project+".us.acc` "+
						"OPTIONS (ENDPOINT = 'https://us-central1-aiplatform.googleapis.com/v1/"+two+"')")
				},
				Config: hcl, ConfigPlanChecks: action(plancheck.ResourceActionUpdate), Check: same,
			},
			{ // dropped by somebody else
				PreConfig: func() { twin.SQL(t, "DROP MODEL ds.m") },
				Config:    hcl, ConfigPlanChecks: action(plancheck.ResourceActionCreate), Check: same,
			},
		},
	})
}

// An existing model is never replaced by a create.
func TestAccRemoteModelExists(t *testing.T) {
	t.Parallel()
	twin := start(t)
	endpoint := "https://us-central1-aiplatform.googleapis.com/v1/" + two
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: twin.Config(connection)},
			{
				PreConfig: func() {
					twin.SQL(t, "CREATE MODEL ds.m INPUT (x INT64) OUTPUT (y INT64) REMOTE WITH CONNECTION `"+acctest.Project+".us.acc` OPTIONS (ENDPOINT = '"+endpoint+"')")
				},
				Config:      twin.Config(render(nil)),
				ExpectError: regexp.MustCompile(`(?s)already\s+exists\s+and\s+was\s+not\s+adopted.*terraform\s+import\s+<address>\s+"projects/demo-gcpml/datasets/ds/models/m"`),
			},
			{ // an ownership_id does not make it ours
				Config:      twin.Config(render(nil), `ownership_id = "acc"`),
				ExpectError: regexp.MustCompile(`(?s)no\s+DDL\s+job\s+of\s+ours\s+made\s+it.*terraform\s+import`),
			},
			{
				PreConfig: func() {
					if got := get(t, twin).RemoteModelInfo.Endpoint; !strings.HasSuffix(got, "/endpoints/1002") {
						t.Errorf("the model was changed: %s", got)
					}
					twin.SQL(t, "DROP MODEL ds.m")
				},
				Config: twin.Config(render(nil)),
			},
		},
	})
}

func TestAccRemoteModelInvalid(t *testing.T) {
	t.Parallel()
	twin := start(t)
	const fixed = `"projects/` + acctest.Project + `/locations/us-central1/connections/acc"`
	for name, c := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"input without output":       {map[string]string{"output": ""}, `Missing output`},
		"output without input":       {map[string]string{"input": ""}, `Missing input`},
		"empty output":               {map[string]string{"output": "[]"}, `(?s)output.*at least 1`},
		"unknown type":               {map[string]string{"input": `[{ name = "x", type = "BYTES" }]`}, `Invalid column type`},
		"nested array":               {map[string]string{"input": `[{ name = "x", type = "ARRAY<ARRAY<INT64>>" }]`}, `Invalid column type`},
		"type that is SQL":           {map[string]string{"input": `[{ name = "x", type = "INT64) OUTPUT (y INT64" }]`}, `Invalid column type`},
		"name that is SQL":           {map[string]string{"input": "[{ name = \"x` INT64) --\", type = \"INT64\" }]"}, `Invalid column name`},
		"reserved name":              {map[string]string{"output": `[{ name = "Remote_Model_Status", type = "STRING" }]`}, `(?s)Invalid column name.*status`},
		"duplicate":                  {map[string]string{"input": `[{ name = "x", type = "INT64" }, { name = "X", type = "INT64" }]`}, `Duplicate column name`},
		"dataset with hyphen":        {map[string]string{"dataset_id": `"my-dataset"`}, `Invalid id`},
		"model that is SQL":          {map[string]string{"model_id": "\"m`; DROP MODEL x; --\""}, `Invalid id`},
		"connection by short id":     {map[string]string{"connection_name": `"acc"`}, `(?s)Invalid resource name.*connections/ID`},
		"endpoint by id":             {map[string]string{"endpoint": `"1234"`}, `(?s)Invalid resource name.*endpoints/ID`},
		"a model as endpoint":        {map[string]string{"endpoint": `"projects/p/locations/us-central1/models/m"`}, `Invalid resource name`},
		"another region":             {map[string]string{"connection_name": fixed, "endpoint": `"` + europe + `"`}, `Regions that cannot work together`},
		"bad expiration":             {map[string]string{"expiration_time": `"tomorrow"`}, `Invalid time`},
		"expiration too fine":        {map[string]string{"expiration_time": `"2099-01-01T00:00:00.0001Z"`}, `Invalid time`},
		"bad propagation timeout":    {map[string]string{"iam_propagation_timeout": `"10"`}, `Invalid duration`},
		"negative":                   {map[string]string{"iam_propagation_timeout": `"-1s"`}, `Invalid duration`},
		"reserved label":             {map[string]string{"labels": `{ "gcpml-owner" = "me" }`}, `Invalid label key`},
		"dedicated endpoint at plan": {map[string]string{"endpoint": `"` + dedicated + `"`}, `(?s)dedicated\s+endpoint`},
	} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				Steps:                    []resource.TestStep{{Config: twin.Config(render(c.changes)), PlanOnly: true, ExpectError: regexp.MustCompile(c.want)}},
			})
		})
	}
	for name, c := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"missing dataset":  {map[string]string{"dataset_id": `"nope"`}, `(?s)dataset_id: dataset\s+nope\s+does\s+not\s+exist.*CREATE\s+SCHEMA`},
		"missing endpoint": {map[string]string{"endpoint": `"` + one + `0"`}, `(?s)endpoint\s+.*does\s+not\s+exist`},
	} {
		t.Run(name, func(t *testing.T) {
			twin := start(t)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps:                    []resource.TestStep{{Config: twin.Config(render(c.changes)), ExpectError: regexp.MustCompile(c.want)}},
			})
		})
	}
}

// Every argument may be unknown during plan.
func TestAccRemoteModelUnknown(t *testing.T) {
	t.Parallel()
	twin := start(t)
	base := attributes(map[string]string{
		"description": `"text"`, "labels": `{ team = "a" }`, "expiration_time": `"2099-01-01T00:00:00Z"`, "iam_propagation_timeout": `"1m"`, "project": `"` + acctest.Project + `"`,
		"kms_key_name": `"` + keys + `k"`, "probe": `{ rows = [jsonencode({ text = "fine" })] }`, "deletion_policy": `"DELETE"`,
	})
	names := func(more map[string]string) map[string]string {
		return merge(map[string]string{"dataset_id": `"ds"`, "model_id": `"m"`, "connection_name": "gcpml_bq_connection.c.id"}, more)
	}
	document := names(map[string]string{"remote_service_type": `"CLOUD_AI_DOCUMENT_V1"`, "document_processor": `"a1"`})
	speech := names(map[string]string{"remote_service_type": `"CLOUD_AI_SPEECH_TO_TEXT_V2"`, "speech_recognizer": `"` + recognizer + `"`})
	type sweep struct {
		known         map[string]string
		unknown, from string // where, and what it turns out to be; where may name a part
		part          string // of the attribute, with terraform_data.x.output in it
	}
	sweeps := map[string]sweep{
		"input column":  {base, "input", `{ name = "text", type = "STRING" }`, `[terraform_data.x.output]`},
		"output column": {base, "output", `{ name = "scores", type = "ARRAY<FLOAT64>" }`, `[terraform_data.x.output]`},
		"input name":    {base, "input", `"text"`, `[{ name = terraform_data.x.output, type = "STRING" }]`},
		"output type":   {base, "output", `"ARRAY<FLOAT64>"`, `[{ name = "scores", type = terraform_data.x.output }]`},
		"probe query":   {base, "probe", `"SELECT 'a' AS text"`, `{ query = terraform_data.x.output }`},
		"probe rows":    {base, "probe", `[jsonencode({ text = "a" })]`, `{ rows = terraform_data.x.output }`},
		"probe value":   {base, "probe", `"a"`, `{ rows = [jsonencode({ text = terraform_data.x.output })] }`},
		"hosted":        {names(map[string]string{"endpoint": ""}), "endpoint", `"gemini-2.5-flash"`, "terraform_data.x.output"},
		"without input": {names(map[string]string{"endpoint": ""}), "endpoint", `"` + one + `"`, "terraform_data.x.output"},
	}
	for _, known := range []map[string]string{base, document, speech} {
		for unknown := range known {
			sweeps[unknown+" of "+known["remote_service_type"]] = sweep{known, unknown, known[unknown], "terraform_data.x.output"}
		}
	}
	const affinity = `{ reservation_affinity_type = "SPECIFIC_RESERVATION", key = "compute.googleapis.com/reservation-name", values = ["projects/p/zones/z/reservations/r"] }`
	parts := map[string]string{
		"hugging_face_model_id": `"google/gemma-3-1b-it"`, "hugging_face_token_wo": `"hf"`, "hugging_face_token_wo_version": `"1"`, "machine_type": `"g2-standard-12"`, "min_replica_count": "1",
		"max_replica_count": "2", "endpoint_idle_ttl": `"8h"`, "deploy_model": "true", "reservation_affinity": affinity,
	}
	openModel := func(parts map[string]string) string {
		text := "{\n"
		for _, k := range slices.Sorted(maps.Keys(parts)) {
			text += "    " + k + " = " + parts[k] + "\n"
		}
		return text + "  }"
	}
	for part, from := range parts {
		sweeps["open_model."+part] = sweep{names(nil), "open_model", from, openModel(merge(parts, map[string]string{part: "terraform_data.x.output"}))}
	}
	sweeps["open_model"] = sweep{names(nil), "open_model", `{ hugging_face_model_id = "google/gemma-3-1b-it" }`, "terraform_data.x.output"}
	sweeps["model_garden_model_name"] = sweep{names(nil), "open_model", `"publishers/p/models/m@1"`, `{ model_garden_model_name = terraform_data.x.output }`}
	for part, from := range map[string]string{"reservation_affinity_type": `"SPECIFIC_RESERVATION"`, "key": `"compute.googleapis.com/reservation-name"`, "values": `["projects/p/zones/z/reservations/r"]`} {
		at := regexp.MustCompile(`\b` + part + ` = ("[^"]*"|\[[^\]]*\])`)
		sweeps["reservation "+part] = sweep{names(nil), "open_model", from, openModel(merge(parts, map[string]string{"reservation_affinity": at.ReplaceAllString(affinity, part+" = terraform_data.x.output")}))}
	}
	for name, c := range sweeps {
		t.Run(name, func(t *testing.T) {
			changes := merge(c.known, map[string]string{c.unknown: c.part})
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps:                    []resource.TestStep{{Config: twin.Config("resource \"terraform_data\" \"x\" {\n  input = " + c.from + "\n}\n" + resourceOf(changes))}},
			})
		})
	}
}
