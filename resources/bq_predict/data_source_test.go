// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqpredict_test

import (
	"encoding/json"
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
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const address = "data.gcpml_bq_predict.p"

const stack = `
resource "gcpml_vertex_model_upload" "m" {
  display_name   = "predict"
  artifact_uri   = "gs://bucket/model/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

resource "gcpml_vertex_endpoint_deployment" "e" {
  display_name = "predict"
  endpoint_id  = "471147" # BigQuery may take no letters
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.m.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}

resource "gcpml_bq_connection" "c" {
  location      = "US"
  connection_id = "predict"
  roles         = ["roles/aiplatform.user"]
}

resource "gcpml_bq_remote_model" "m" {
  dataset_id      = "ds"
  model_id        = "m"
  connection_name = gcpml_bq_connection.c.id
  endpoint        = gcpml_vertex_endpoint_deployment.e.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}
`

func start(t *testing.T, flags ...string) *acctest.Twin {
	t.Helper()
	twin := acctest.Start(t, append([]string{"--operation-latency", "0s"}, flags...)...)
	twin.SQL(t, "CREATE SCHEMA ds OPTIONS (location = 'US')")
	twin.SQL(t, "CREATE TABLE ds.reviews AS SELECT 1 AS id, 'A wonderful, moving film.' AS text UNION ALL SELECT 2, 'Dull and far too long.' UNION ALL SELECT 3, 'It rained.'")
	return twin
}

func predict(arguments map[string]string) string {
	body := ""
	for _, k := range slices.Sorted(maps.Keys(arguments)) {
		body += "  " + k + " = " + arguments[k] + "\n"
	}
	return stack + "data \"gcpml_bq_predict\" \"p\" {\n  model = gcpml_bq_remote_model.m.id\n" + body + "  depends_on = [gcpml_vertex_endpoint_deployment.e]\n}\n"
}

func value(attribute string, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), want)
}

// direct asks the endpoint itself for one text.
func direct(t *testing.T, twin *acctest.Twin, text string) float64 {
	t.Helper()
	client, err := twin.Clients(t).Predictions(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := structpb.NewValue(map[string]any{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Predict(t.Context(), &aiplatformpb.PredictRequest{
		Endpoint:  "projects/" + acctest.Project + "/locations/" + acctest.Region + "/endpoints/471147",
		Instances: []*structpb.Value{instance},
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetPredictions()[0].GetListValue().GetValues()[0].GetNumberValue()
}

// Every prediction equals the one that the endpoint gives for the same text.
func TestAccPredict(t *testing.T) {
	t.Parallel()
	twin := start(t)
	equal := func(s *terraform.State) error {
		a := s.RootModule().Resources[address].Primary.Attributes
		var rows []struct {
			ID     int64
			Text   string
			Scores []float64
			Status *string `json:"remote_model_status"`
		}
		if err := json.Unmarshal([]byte(a["predictions_json"]), &rows); err != nil {
			return err
		}
		if len(rows) != 3 {
			return fmt.Errorf("%d rows", len(rows))
		}
		for _, r := range rows {
			if want := direct(t, twin, r.Text); len(r.Scores) != 1 || r.Scores[0] != want || want <= 0 || want >= 1 {
				return fmt.Errorf("row %d: %v, the endpoint says %v", r.ID, r.Scores, want)
			}
			if r.Status != nil && *r.Status != "" {
				return fmt.Errorf("row %d: status %q", r.ID, *r.Status)
			}
		}
		return nil
	}
	checks := []statecheck.StateCheck{
		value("row_count", knownvalue.Int64Exact(3)),
		value("failed_rows", knownvalue.Int64Exact(0)),
		value("job_id", knownvalue.StringRegexp(regexp.MustCompile(`^`+acctest.Project+`:US\.gcpml_[0-9a-f]+_predict-1_[0-9a-f]+_1$`))),
		statecheck.ExpectKnownValue(address, tfjsonpath.New("predictions").AtSliceIndex(0).AtMapKey("text"), knownvalue.StringExact("A wonderful, moving film.")),
		statecheck.ExpectKnownOutputValue("best", knownvalue.Int64Exact(1)),
	}
	// An expression over the typed rows.
	const output = `
output "best" {
  value = [for p in data.gcpml_bq_predict.p.predictions : p.id if p.scores[0] == max([for q in data.gcpml_bq_predict.p.predictions : q.scores[0]]...)][0]
}
`
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{
				Config:            twin.Config(predict(map[string]string{"query": `"SELECT id, text FROM ds.reviews ORDER BY id LIMIT 10 -- all"`}) + output),
				ConfigStateChecks: checks, Check: equal,
			},
			{
				Config:            twin.Config(predict(map[string]string{"table": `"ds.reviews"`, "max_rows": "3"}) + output),
				ConfigStateChecks: checks[:3], Check: equal,
			},
			{ // The type of the rows is known without any row.
				Config: twin.Config(predict(map[string]string{"query": `"SELECT id, text FROM ds.reviews WHERE FALSE"`}) + `
output "none" {
  value = sum(concat([0], flatten(data.gcpml_bq_predict.p.predictions[*].scores)))
}
`),
				ConfigStateChecks: []statecheck.StateCheck{
					value("predictions", knownvalue.ListExact([]knownvalue.Check{})), value("predictions_json", knownvalue.StringExact("[]")),
					value("row_count", knownvalue.Int64Exact(0)), statecheck.ExpectKnownOutputValue("none", knownvalue.Int64Exact(0)),
				},
			},
		},
	})
}

// Values keep their digits; what Terraform has no number for is null there and
// text in predictions_json.
func TestAccPredictValues(t *testing.T) {
	t.Parallel()
	twin := start(t)
	const query = `"SELECT 'fine' AS text, 9007199254740993 AS i, IEEE_DIVIDE(1.0, zero) AS pos, IEEE_DIVIDE(-1.0, zero) AS inf, 0.1 AS f, TRUE AS b, CAST(NULL AS INT64) AS nil, [1, 2] AS a, STRUCT('x' AS s, 1 AS n) AS o FROM (SELECT 0.0 AS zero)"`
	row := func(column string) tfjsonpath.Path {
		return tfjsonpath.New("predictions").AtSliceIndex(0).AtMapKey(column)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{{
			Config: twin.Config(predict(map[string]string{"query": query})),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, row("pos"), knownvalue.Null()),
				statecheck.ExpectKnownValue(address, row("inf"), knownvalue.Null()),
				statecheck.ExpectKnownValue(address, row("nil"), knownvalue.Null()),
				statecheck.ExpectKnownValue(address, row("f"), knownvalue.Float64Exact(0.1)),
				statecheck.ExpectKnownValue(address, row("b"), knownvalue.Bool(true)),
				statecheck.ExpectKnownValue(address, row("i"), knownvalue.Int64Exact(9007199254740993)),
				statecheck.ExpectKnownValue(address, row("a"), knownvalue.ListExact([]knownvalue.Check{knownvalue.Int64Exact(1), knownvalue.Int64Exact(2)})),
				statecheck.ExpectKnownValue(address, row("o"), knownvalue.ObjectExact(map[string]knownvalue.Check{"s": knownvalue.StringExact("x"), "n": knownvalue.Int64Exact(1)})),
				value("predictions_json", knownvalue.StringRegexp(regexp.MustCompile(`"i":9007199254740993,"pos":"Infinity","inf":"-Infinity","f":0.1,`))),
			},
		}},
	})
}

// Rows of the configuration come back in their order with every digit, with the
// types of the model where it has one.
func TestAccPredictRows(t *testing.T) {
	t.Parallel()
	twin := start(t)
	column := func(row int, name string) tfjsonpath.Path {
		return tfjsonpath.New("predictions").AtSliceIndex(row).AtMapKey(name)
	}
	expect := func(row int, name string, want knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, column(row, name), want)
	}
	rows := `[
    { text = "It rained.", id = 9007199254740993, price = 0.12345678901234567890123456789012345678, day = "2026-01-31", tags = ["a", "b"], author = { name = "x", age = 7 }, code = 1 },
    { text = "A wonderful, moving film.", id = 2, price = 1, day = null, tags = [], author = null, code = "0x2" },
    { text = 5, id = 3, note = "'; DROP TABLE ds.reviews; --" },
  ]`
	direct := func(s *terraform.State) error {
		var got []struct {
			Text   string
			Scores []float64
		}
		if err := json.Unmarshal([]byte(s.RootModule().Resources[address].Primary.Attributes["predictions_json"]), &got); err != nil {
			return err
		}
		for i, text := range []string{"It rained.", "A wonderful, moving film.", "5"} {
			if want := direct(t, twin, text); got[i].Text != text || len(got[i].Scores) != 1 || got[i].Scores[0] != want {
				return fmt.Errorf("row %d: %+v, the endpoint says %v", i, got[i], want)
			}
		}
		return nil
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: twin.Config(predict(map[string]string{"rows": rows})), ExpectError: regexp.MustCompile(`(?s)rows:\s+column\s+code:\s+some\s+values\s+are\s+INT64\s+and\s+others\s+STRING`)},
			{
				Config: twin.Config(predict(map[string]string{"rows": rows, "row_types": `{ day = "DATE", code = "STRING" }`})),
				Check:  direct,
				ConfigStateChecks: []statecheck.StateCheck{
					value("row_count", knownvalue.Int64Exact(3)), value("failed_rows", knownvalue.Int64Exact(0)),
					expect(0, "id", knownvalue.Int64Exact(9007199254740993)),
					expect(0, "day", knownvalue.StringExact("2026-01-31")), expect(1, "day", knownvalue.Null()),
					expect(0, "tags", knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("a"), knownvalue.StringExact("b")})), expect(1, "tags", knownvalue.ListExact([]knownvalue.Check{})),
					expect(0, "author", knownvalue.ObjectExact(map[string]knownvalue.Check{"name": knownvalue.StringExact("x"), "age": knownvalue.Int64Exact(7)})),
					expect(0, "code", knownvalue.StringExact("1")), expect(1, "code", knownvalue.StringExact("0x2")), expect(2, "code", knownvalue.Null()),
					expect(2, "note", knownvalue.StringExact("'; DROP TABLE ds.reviews; --")), expect(0, "note", knownvalue.Null()),
					value("predictions_json", knownvalue.StringRegexp(regexp.MustCompile(`"price":0\.12345678901234567890123456789012345678[,}]`))),
				},
			},
			{
				Config:      twin.Config(predict(map[string]string{"rows": `[{ review = "x" }]`})),
				ExpectError: regexp.MustCompile(`(?s)takes\s+a\s+column\s+text\s+STRING,\s+which\s+the\s+rows\s+does\s+not\s+give;\s+it\s+gives\s+review\.`),
			},
			{
				Config: twin.Config(predict(map[string]string{"rows": `[for t in [] : { text = t }]`})),
				ConfigStateChecks: []statecheck.StateCheck{
					value("row_count", knownvalue.Int64Exact(0)), value("predictions", knownvalue.ListExact([]knownvalue.Check{})),
				},
			},
		},
	})
}

// Parameters keep their types and values, and the job carries the labels.
func TestAccPredictParameters(t *testing.T) {
	t.Parallel()
	twin := start(t)
	query := `"SELECT @text AS text, @n AS n, @d AS d, @ids AS ids, @none AS none, @f > 0.5 AS f FROM ds.reviews WHERE id = @id"`
	parameters := `{
    text = "'; DROP TABLE ds.reviews; --"
    id   = 2
    f    = 0.75
    ids  = [1, 2]
    n    = { type = "BIGNUMERIC", value = 0.12345678901234567890123456789012345678 }
    d    = { type = "DATE", value = "2026-01-31" }
    none = { type = "STRING", value = null }
  }`
	labels := func(s *terraform.State) error {
		_, id, _ := strings.Cut(s.RootModule().Resources[address].Primary.Attributes["job_id"], ".")
		bq, err := twin.Clients(t).BigQuery(t.Context())
		if err != nil {
			return err
		}
		job, err := bq.Jobs.Get(acctest.Project, id).Location("US").Do()
		if err != nil {
			return err
		}
		if want := map[string]string{"team": "ml", "cost": "own"}; !maps.Equal(job.Configuration.Labels, want) {
			return fmt.Errorf("the job has the labels %v, want %v", job.Configuration.Labels, want)
		}
		return nil
	}
	row := func(column string) tfjsonpath.Path {
		return tfjsonpath.New("predictions").AtSliceIndex(0).AtMapKey(column)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{
				Config: twin.Config(predict(map[string]string{"query": query, "parameters": parameters, "labels": `{ cost = "own" }`}), `default_labels = { team = "ml", cost = "default" }`),
				Check:  labels,
				ConfigStateChecks: []statecheck.StateCheck{
					value("row_count", knownvalue.Int64Exact(1)),
					statecheck.ExpectKnownValue(address, row("text"), knownvalue.StringExact("'; DROP TABLE ds.reviews; --")),
					statecheck.ExpectKnownValue(address, row("d"), knownvalue.StringExact("2026-01-31")),
					statecheck.ExpectKnownValue(address, row("none"), knownvalue.Null()),
					statecheck.ExpectKnownValue(address, row("f"), knownvalue.Bool(true)),
					statecheck.ExpectKnownValue(address, row("ids"), knownvalue.ListExact([]knownvalue.Check{knownvalue.Int64Exact(1), knownvalue.Int64Exact(2)})),
					value("predictions_json", knownvalue.StringRegexp(regexp.MustCompile(`"n":0\.12345678901234567890123456789012345678[,}]`))),
				},
			},
			{
				Config:      twin.Config(predict(map[string]string{"query": `"SELECT @text AS text"`})),
				ExpectError: regexp.MustCompile(`(?s)query:\s+parameters\s+has\s+no\s+value\s+for\s+@text\s`),
			},
		},
	})
}

func TestAccPredictErrors(t *testing.T) {
	t.Parallel()
	twin := start(t)
	bad := `"SELECT id, CAST(NULL AS STRING) AS text FROM ds.reviews"`
	// 128 rows are one request, and one that fails fails for all of its rows.
	mixed := `"SELECT n AS id, IF(n > 128, NULL, 'A moving film.') AS text FROM UNNEST(GENERATE_ARRAY(1, 129)) AS n ORDER BY n"`
	step := func(arguments map[string]string, want string) resource.TestStep {
		return resource.TestStep{Config: twin.Config(predict(arguments)), ExpectError: regexp.MustCompile(want)}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{
			{Config: twin.Config(stack)},
			step(map[string]string{"query": `"SELECT id, text AS review FROM ds.reviews"`}, `(?s)takes\s+a\s+column\s+text\s+STRING.*it\s+gives\s+id,\s+review`),
			step(map[string]string{"query": `"SELECT nope FROM ds.reviews"`}, `(?s)query:.*nope`),
			step(map[string]string{"query": `"SELECT text FROM ds.missing"`}, `(?s)query:.*missing`),
			step(map[string]string{"table": `"ds.missing"`}, `(?s)table:.*missing`),
			step(map[string]string{"query": `"DROP TABLE ds.reviews"`}, `(?s)query:`),
			step(map[string]string{"table": `"ds.reviews"`, "max_rows": "2"}, `(?s)more\s+than\s+max_rows\s+=\s+2\s+rows.*LIMIT`),
			step(map[string]string{"query": bad}, `(?s)3\s+of\s+3\s+rows\s+have\s+no\s+prediction.*3\s+×.*allow_failed_rows`),
			{
				Config:            twin.Config(predict(map[string]string{"query": bad, "allow_failed_rows": "true"})),
				ConfigStateChecks: []statecheck.StateCheck{value("failed_rows", knownvalue.Int64Exact(3)), value("row_count", knownvalue.Int64Exact(3))},
			},
			step(map[string]string{"query": mixed, "max_rows": "200", "max_failed_rows": "0"}, `(?s)1\s+of\s+129\s+rows.*max_failed_fraction`),
			step(map[string]string{"query": mixed, "max_rows": "200", "max_failed_rows": "1", "max_failed_fraction": "0.007"}, `(?s)1\s+of\s+129\s+rows`),
			{
				Config:            twin.Config(predict(map[string]string{"query": mixed, "max_rows": "200", "max_failed_rows": "1", "max_failed_fraction": "0.01"})),
				ConfigStateChecks: []statecheck.StateCheck{value("failed_rows", knownvalue.Int64Exact(1)), value("row_count", knownvalue.Int64Exact(129))},
			},
			{ // the reviews are still there
				Config:            twin.Config(predict(map[string]string{"table": `"ds.reviews"`})),
				ConfigStateChecks: []statecheck.StateCheck{value("row_count", knownvalue.Int64Exact(3))},
			},
		},
	})
}

// A model that does not exist is told at its attribute.
func TestAccPredictWithoutModel(t *testing.T) {
	t.Parallel()
	twin := start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		Steps: []resource.TestStep{{
			Config: twin.Config("data \"gcpml_bq_predict\" \"p\" {\n  model = \"" + acctest.Project + ".ds.nope\"\n  query = \"SELECT 1\"\n}\n"), PlanOnly: true,
			ExpectError: regexp.MustCompile(`(?s)model:\s+remote\s+model\s+.*nope\s+does\s+not\s+exist`),
		}},
	})
}

// With an argument that is not known during plan nothing is predicted before apply.
func TestAccPredictUnknown(t *testing.T) {
	t.Parallel()
	twin := start(t, "--assume", "ids-reusable-after-delete=at-once") // which it uses again and again
	for unknown, v := range map[string]string{"query": `"SELECT text FROM ds.reviews"`, "table": `"ds.reviews"`, "max_rows": "5", "allow_failed_rows": "true", "iam_propagation_timeout": `"1m"`, "maximum_bytes_billed": "1000000000",
		"rows": `[{ text = "a" }, { text = "b" }, { text = "c" }]`, "max_failed_rows": "3", "max_failed_fraction": "0.5", "labels": `{ team = "a" }`} {
		t.Run(unknown, func(t *testing.T) {
			arguments := map[string]string{unknown: "terraform_data.x.output"}
			if unknown != "query" && unknown != "table" && unknown != "rows" {
				arguments["table"] = `"ds.reviews"`
			}
			hcl := "resource \"terraform_data\" \"x\" {\n  input = " + v + "\n}\n" + predict(arguments)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             twin.CheckDestroy,
				Steps: []resource.TestStep{{
					Config:            twin.Config(hcl),
					ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectUnknownValue(address, tfjsonpath.New("predictions"))}},
					ConfigStateChecks: []statecheck.StateCheck{value("row_count", knownvalue.Int64Exact(3))},
				}},
			})
		})
	}
}

// The permission is missed only when predicting, for as long as the grant takes.
func TestAccPredictWaitsForTheGrant(t *testing.T) {
	t.Parallel()
	twin := start(t, "--iam-lag", "8s", "--assume", "permission-checked-at=predict")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             twin.CheckDestroy,
		Steps: []resource.TestStep{{
			Config:            twin.Config(predict(map[string]string{"table": `"ds.reviews"`})),
			ConfigStateChecks: []statecheck.StateCheck{value("failed_rows", knownvalue.Int64Exact(0)), value("row_count", knownvalue.Int64Exact(3))},
		}},
	})
}
