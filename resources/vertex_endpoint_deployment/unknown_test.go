// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// unknowns are configurations that have every argument between them.
var unknowns = []object{
	with(everything, object{"deletion_policy": "DELETE", "desired_state": "serving", "force_destroy": true}),
	with(valid, peered),
	with(valid, object{"dedicated_endpoint_enabled": true}),
	gates(object{"instances": []string{`{"text":"a film"}`}, "expect": []string{"[0.5]"}, "tolerance": 1.5}),
	dedicates(object{"spot": true}),
	with(valid, object{"desired_state": "paused"}),
}

// sweep makes one configuration of each part of a value, at any depth: the one in which
// that part comes from terraform_data, so that it is not known at plan.
func sweep(value any, unknown func(part any) string, emit func(text string)) {
	emit(unknown(value))
	switch v := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			sweep(v[name], unknown, func(text string) { emit(render(with(v, object{name: raw(text)}))) })
		}
	case []object:
		for i := range v {
			sweep(v[i], unknown, func(text string) {
				parts := make([]any, len(v))
				for j := range v {
					parts[j] = v[j]
				}
				parts[i] = raw(text)
				emit(render(parts))
			})
		}
	case []string, []int:
		text := render(v)
		first, rest, _ := strings.Cut(strings.Trim(text, "[]"), ",")
		var element any
		if err := json.Unmarshal([]byte(first), &element); err != nil {
			panic(err)
		}
		emit("[" + strings.TrimSuffix(unknown(element)+","+rest, ",") + "]")
	}
}

// raw is HCL as it is; everything else is written as JSON, which HCL can read.
type raw string

func render(v any) string {
	switch v := v.(type) {
	case raw:
		return string(v)
	case object:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, fmt.Sprintf("%q = %s", name, render(v[name])))
		}
		return "{ " + strings.Join(members, ", ") + " }"
	case []any:
		var elements []string
		for _, e := range v {
			elements = append(elements, render(e))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case []object:
		elements := make([]any, len(v))
		for i := range v {
			elements[i] = v[i]
		}
		return render(elements)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Every argument, at every depth, may be unknown at plan: nothing crashes, and what is
// made is what was meant. There is an endpoint for each.
func TestAccEndpointEveryUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	makePool(t, tw, anyKey)
	text := `
resource "gcpml_vertex_model_upload" "a" {
  display_name   = "a"
  artifact_uri   = "gs://bucket/a/"
  container_spec = { image_uri = "` + image + `" }
}
`
	inputs := object{}
	n := 0
	for _, base := range unknowns {
		for _, name := range slices.Sorted(maps.Keys(base)) {
			unknown := func(part any) string {
				if name == "endpoint_id" {
					part = fmt.Sprintf("e-%d", n)
				}
				inputs[fmt.Sprintf("v%d", n)] = part
				return fmt.Sprintf("terraform_data.u.output.v%d", n)
			}
			sweep(base[name], unknown, func(value string) {
				arguments := with(base, object{"endpoint_id": fmt.Sprintf("e-%d", n), name: raw(value)})
				var lines []string
				for _, argument := range slices.Sorted(maps.Keys(arguments)) {
					lines = append(lines, fmt.Sprintf("  %s = %s", argument, render(arguments[argument])))
				}
				text += fmt.Sprintf("\nresource \"gcpml_vertex_endpoint_deployment\" \"e%d\" {\n%s\n  depends_on = [gcpml_vertex_model_upload.a]\n}\n", n, strings.Join(lines, "\n"))
				n++
			})
		}
	}
	if n < 80 {
		t.Fatalf("only %d arguments were found", n)
	}
	cli := tw.NewCLI(t, tw.Config(fmt.Sprintf("resource \"terraform_data\" \"u\" {\n  input = %s\n}\n%s", render(inputs), text)))
	plan := cli.Must("plan", "-no-color")
	if want := fmt.Sprintf("Plan: %d to add", n+2); !strings.Contains(plan, want) {
		t.Errorf("the plan does not say %q", want)
	}
	cli.Must("apply", "-auto-approve", "-no-color", "-parallelism=20")
	if output, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan after the apply is not empty: %s", output)
	}
	if made := len(tw.Serving(t).Endpoints); made != n {
		t.Errorf("there are %d endpoints, want %d", made, n)
	}
	cli.Must("destroy", "-auto-approve", "-no-color", "-parallelism=20")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}
