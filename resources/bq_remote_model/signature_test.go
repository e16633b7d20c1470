// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqremotemodel_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// upload puts an object where start's model has its artifact.
func upload(t *testing.T, twin *acctest.Twin, file string) {
	t.Helper()
	content, err := os.ReadFile("../../internal/bqml/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	post(t, "http://"+twin.Host+"/storage/v1/b?project=p", []byte(`{"name": "bucket"}`), http.StatusOK, http.StatusConflict)
	post(t, "http://"+twin.Host+"/upload/storage/v1/b/bucket/o?uploadType=media&name=model%2Fsaved_model.pb", content, http.StatusOK)
}

func post(t *testing.T, url string, body []byte, want ...int) {
	t.Helper()
	resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, code := range want {
		if resp.StatusCode == code {
			return
		}
	}
	t.Fatalf("%s: %s", url, resp.Status)
}

func columnsAre(attribute string, pairs ...string) statecheck.StateCheck {
	var list []knownvalue.Check
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, knownvalue.ObjectExact(map[string]knownvalue.Check{"name": knownvalue.StringExact(pairs[i]), "type": knownvalue.StringExact(pairs[i+1])}))
	}
	return value(attribute, knownvalue.ListExact(list))
}

// Input and output come from the SavedModel that is deployed, and again when the endpoint
// changes; a plan in between is empty, and other changes leave them alone.
func TestAccRemoteModelSignature(t *testing.T) {
	t.Parallel()
	twin := start(t)
	upload(t, twin, "tutorial.pb")
	config := func(changes map[string]string) string {
		return twin.Config(render(merge(map[string]string{"input": "", "output": "", "probe": `{ rows = [jsonencode({ text = "a good film" }), jsonencode({ text = "a bad one" })] }`}, changes)))
	}
	tutorial := []statecheck.StateCheck{columnsAre("input", "text", "STRING"), columnsAre("output", "classifier", "ARRAY<FLOAT64>")}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: config(nil), ConfigStateChecks: append(tutorial, value("probe_passed", knownvalue.Bool(true)))},
			{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: append([]string{"probe", "probe_passed"}, spellings...)},
			{
				PreConfig: func() { upload(t, twin, "types.pb") },
				Config:    config(map[string]string{"description": `"changed"`}), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: tutorial,
			},
			{ // another endpoint, and what is deployed there
				Config:           config(map[string]string{"endpoint": `"` + two + `"`, "probe": ""}),
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					columnsAre("input", "count", "INT64", "features", "ARRAY<FLOAT64>", "flag", "BOOL", "words", "ARRAY<STRING>"),
					columnsAre("output", "all_true", "BOOL", "lengths", "ARRAY<INT64>", "total", "FLOAT64"),
				},
			},
			{ // what is written wins
				Config:            config(map[string]string{"endpoint": `"` + two + `"`, "input": `[{ name = "text", type = "STRING" }]`, "output": `[{ name = "scores", type = "ARRAY<FLOAT64>" }]`}),
				ConfigPlanChecks:  action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{columnsAre("input", "text", "STRING"), columnsAre("output", "scores", "ARRAY<FLOAT64>")},
			},
		},
	})
}

// Without an artifact that can be read, the model is made as open language models on an
// endpoint need it.
func TestAccRemoteModelWithoutSignature(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"nothing there": "", "a shape that BigQuery has not": "image.pb", "no SavedModel": "signatures.txt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twin := start(t)
			if file != "" {
				upload(t, twin, file)
			}
			hcl := twin.Config(render(map[string]string{"input": "", "output": ""}))
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Factories,
				CheckDestroy:             destroyed(twin, t),
				Steps: []resource.TestStep{
					{
						Config: hcl, ConfigStateChecks: []statecheck.StateCheck{value("input", knownvalue.Null()), value("output", knownvalue.Null())},
						Check: func(*terraform.State) error {
							if m := get(t, twin); m.FeatureColumns != nil || !strings.HasSuffix(m.RemoteModelInfo.Endpoint, "/endpoints/1001") {
								return fmt.Errorf("the server has %+v", m)
							}
							return nil
						},
					},
					{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
				},
			})
		})
	}
}

// A probe that fails says what is wrong, leaves the model in the state, and is repeated
// until it passes.
func TestAccRemoteModelProbe(t *testing.T) {
	t.Parallel()
	twin := start(t)
	config := func(output, probe string) string {
		return twin.Config(render(map[string]string{"output": `[{ name = "scores", type = "` + output + `" }]`, "probe": probe}))
	}
	const rows = `{ rows = [jsonencode({ text = "a good film" })] }`
	failed := regexp.MustCompile(`(?s)the\s+model\s+exists,\s+and\s+its\s+probe\s+failed:\s+1\s+of\s+1\s+rows\s+have\s+no\s+prediction`)
	has := func(kind string) {
		t.Helper()
		if got := get(t, twin).LabelColumns[0].Type.TypeKind; got != kind {
			t.Errorf("the model's output is %s, want %s", got, kind)
		}
	}
	passed := []statecheck.StateCheck{value("probe_passed", knownvalue.Bool(true))}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Factories,
		CheckDestroy:             destroyed(twin, t),
		Steps: []resource.TestStep{
			{Config: config("STRING", rows), ExpectError: failed}, // a new model: tainted
			{PreConfig: func() { has("STRING") }, Config: config("ARRAY<FLOAT64>", rows), ConfigPlanChecks: action(plancheck.ResourceActionReplace), ConfigStateChecks: passed},
			{Config: config("STRING", rows), ExpectError: failed},
			{PreConfig: func() { has("STRING") }, Config: config("STRING", rows), ExpectError: failed}, // and again
			{Config: config("ARRAY<FLOAT64>", rows), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: passed},
			{Config: config("ARRAY<FLOAT64>", `{ query = "SELECT 'fine' AS text UNION ALL SELECT 'bad'" }`), ConfigStateChecks: passed},
			{Config: config("ARRAY<FLOAT64>", `{ query = "SELECT 1 AS another" }`), ExpectError: regexp.MustCompile(`(?s)takes\s+a\s+column\s+text\s+STRING`)}, // a changed probe is run
			{Config: config("ARRAY<FLOAT64>", ""), ConfigStateChecks: []statecheck.StateCheck{value("probe_passed", knownvalue.Null())}},
			{Config: config("ARRAY<FLOAT64>", `{ rows = [jsonencode({ txet = "typo" })] }`), ExpectError: regexp.MustCompile(`(?s)row\s+1\s+has\s+no\s+text`)},
			{Config: config("ARRAY<FLOAT64>", `{ query = "SELECT 1 AS n" }`), ExpectError: regexp.MustCompile(`(?s)takes\s+a\s+column\s+text\s+STRING`)},
			{Config: config("ARRAY<FLOAT64>", `{ query = "SELECT 'x' AS text LIMIT 0" }`), ExpectError: regexp.MustCompile(`(?s)query\s+gives\s+no\s+rows`)},
			{Config: config("ARRAY<FLOAT64>", rows), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: passed},
		},
	})
}
