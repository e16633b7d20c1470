// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Random histories: edits of a small configuration, changes behind Terraform's
// back, and faults. Whatever happened, the next apply reaches what the
// configuration says.
func TestAccRandomHistories(t *testing.T) {
	checks := "2"
	if everything() {
		checks = "25"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.steps": "8", "rapid.seed": strconv.FormatUint(seed, 10), "rapid.shrinktime": "30s", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	l := newLab(t)
	rapid.Check(t, func(r *rapid.T) {
		total.histories.Add(1)
		h := &history{t: t, r: r, c: newCell(t, l), shape: shapeOne, there: map[string]bool{"m": true}, clients: l.tw.Clients(t)}
		h.write()
		r.Repeat(map[string]func(*rapid.T){
			"edit":    h.edit,
			"graph":   h.graph,
			"outside": h.outside,
			"fault":   h.fault,
			"apply":   h.apply,
			"destroy": h.destroy,
		})
		h.apply(r)
		h.destroy(r)
	})
}

// A history is what a configuration says now, whatever exists.
type history struct {
	t       *testing.T
	r       *rapid.T
	c       *cell
	shape   shape
	there   map[string]bool // the resources in the configuration
	clients *gcp.Clients
}

func (h *history) only() []string {
	var names []string
	for _, name := range []string{"m", "e", "c", "r"} {
		if h.there[name] {
			names = append(names, name)
		}
	}
	return names
}

func (h *history) write() {
	total.actions.Add(1)
	only := h.only()
	if len(only) == 0 {
		only = []string{"none"}
	}
	h.c.write(h.shape, only...)
}

func (h *history) edit(r *rapid.T) {
	h.shape.release = rapid.SampledFrom([]string{"1", "2", "3"}).Draw(r, "release")
	h.shape.tag = rapid.SampledFrom([]string{"one", "two"}).Draw(r, "tag")
	h.shape.replicas = rapid.IntRange(1, 3).Draw(r, "replicas")
	h.write()
}

// graph adds and removes resources: the endpoint needs the model, the remote
// model needs all.
func (h *history) graph(r *rapid.T) {
	h.there["m"] = rapid.Bool().Draw(r, "model")
	h.there["e"] = h.there["m"] && rapid.Bool().Draw(r, "endpoint")
	h.there["c"] = rapid.Bool().Draw(r, "connection")
	h.there["r"] = h.there["e"] && h.there["c"] && rapid.Bool().Draw(r, "remote model")
	h.write()
}

// outside changes something that exists without Terraform. What does not exist
// cannot be changed, which is no failure.
func (h *history) outside(r *rapid.T) {
	total.actions.Add(1)
	c, ctx := h.c, h.t.Context()
	parent := "projects/" + c.project + "/locations/"
	endpoints, err := h.clients.Endpoints(ctx, acctest.Region)
	if err != nil {
		r.Fatal(err)
	}
	connections, err := h.clients.Connections(ctx)
	if err != nil {
		r.Fatal(err)
	}
	endpoint := parent + acctest.Region + "/endpoints/matrix"
	switch what := rapid.SampledFrom([]string{"undeploy", "describe endpoint", "describe connection", "drop remote model", "delete connection", "delete endpoint"}).Draw(r, "change"); what {
	case "undeploy", "delete endpoint":
		e, err := endpoints.GetEndpoint(ctx, &aiplatformpb.GetEndpointRequest{Name: endpoint})
		if err != nil {
			return
		}
		for _, d := range e.GetDeployedModels() {
			if op, err := endpoints.UndeployModel(ctx, &aiplatformpb.UndeployModelRequest{Endpoint: endpoint, DeployedModelId: d.GetId()}); err == nil {
				_, _ = op.Wait(ctx)
			}
		}
		if what == "delete endpoint" {
			if op, err := endpoints.DeleteEndpoint(ctx, &aiplatformpb.DeleteEndpointRequest{Name: endpoint}); err == nil {
				_ = op.Wait(ctx)
			}
		}
	case "describe endpoint":
		_, _ = endpoints.UpdateEndpoint(ctx, &aiplatformpb.UpdateEndpointRequest{
			Endpoint: &aiplatformpb.Endpoint{Name: endpoint, Description: "changed outside"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		})
	case "describe connection":
		_, _ = connections.Patch(parent+"us/connections/matrix", &bigqueryconnection.Connection{Description: "changed outside"}).UpdateMask("description").Context(ctx).Do()
	case "delete connection":
		_, _ = connections.Delete(parent + "us/connections/matrix").Context(ctx).Do()
	case "drop remote model":
		bq, err := h.clients.BigQuery(ctx)
		if err != nil {
			r.Fatal(err)
		}
		_ = bq.Models.Delete(c.project, "ds", "matrix").Context(ctx).Do()
	}
}

// fault applies while a call meets a fault; what becomes of that is not said.
func (h *history) fault(r *rapid.T) {
	total.actions.Add(1)
	call := rapid.SampledFrom(calls).Draw(r, "call")
	f := rapid.SampledFrom(faults).Filter(func(f fault) bool {
		return f.operation == nil && f.group != refused && f.group != gone && f.group != missing
	}).Draw(r, "fault")
	spec := f.set
	spec.Method, spec.Nth, spec.Optional = call.method, rapid.IntRange(1, 3).Draw(r, "nth"), true
	set := h.c.tw.Fault(h.t, spec)
	h.c.apply()
	set.Remove()
}

func (h *history) apply(r *rapid.T) {
	total.actions.Add(1)
	out, exit := h.c.apply()
	if exit != 0 {
		r.Fatalf("apply: exit code %d\n%s", exit, out)
	}
	if out, exit := h.c.plan(); exit != 0 {
		r.Fatalf("the plan after an apply is not empty (exit code %d):\n%s", exit, out)
	}
	if got, want := h.c.summary(), h.want(); !maps.Equal(got, want) {
		r.Fatalf("there is %v, want %v\n%s\nthe apply said:\n%s", got, want, h.c.inventory(), out)
	}
	h.once(r)
}

func (h *history) destroy(r *rapid.T) {
	total.actions.Add(1)
	if out, exit := h.c.destroy(); exit != 0 {
		r.Fatalf("destroy: exit code %d\n%s", exit, out)
	}
	if left := h.c.inventory(); left != "" {
		total.orphans.Add(1)
		r.Fatalf("destroy left:\n%s", left)
	}
	h.once(r)
}

func (h *history) once(r *rapid.T) {
	for _, d := range h.c.tw.Counters(h.t).Duplicates() {
		if strings.Contains(d, h.c.project) {
			total.duplicates.Add(1)
			r.Fatalf("made twice: %s", d)
		}
	}
}

// want is what the configuration asks for, in the terms of summary.
func (h *history) want() map[string]string {
	out := map[string]string{}
	if h.there["m"] {
		out["models"] = "matrix"
	}
	if h.there["e"] {
		out["endpoints"] = fmt.Sprintf("main x%d at 100%%", h.shape.replicas)
	}
	if h.there["c"] {
		out["connections"], out["iam_bindings"] = "1", "1"
	}
	if h.there["r"] {
		out["remote_models"] = "1"
	}
	return out
}

// summary is the gist of what exists in the project.
func (c *cell) summary() map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for section, objects := range c.tw.Inventory(c.t) {
		if !slices.Contains(managed, section) {
			continue
		}
		n := 0
		for _, raw := range objects {
			if !strings.Contains(string(raw), c.project) {
				continue
			}
			n++
			out[section] = strconv.Itoa(n)
			var o struct {
				ModelID        string `json:"model_id"`
				DeployedModels []struct {
					ID   string
					Name string `json:"display_name"`
					Min  int    `json:"min_replica_count"`
				} `json:"deployed_models"`
				Traffic map[string]int `json:"traffic_split"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				c.t.Fatal(err)
			}
			if section == "models" && n == 1 {
				out[section] = o.ModelID
			}
			if section == "endpoints" && n == 1 {
				var parts []string
				for _, d := range o.DeployedModels {
					parts = append(parts, fmt.Sprintf("%s x%d at %d%%", d.Name, d.Min, o.Traffic[d.ID]))
				}
				out[section] = strings.Join(parts, ", ")
			}
		}
	}
	return out
}
