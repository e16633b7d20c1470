// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Object is a configuration, or a part of one, as JSON has it.
type Object = map[string]any

// Planner validates and plans configurations of one type in the test process, without
// Terraform, which makes tables of hundreds of them affordable. It counts what the
// provider asks Google for, which answers that nothing exists.
type Planner struct {
	typeName string
	data     bool
	server   tfprotov6.ProviderServer
	schema   *tfprotov6.Schema

	mu    sync.Mutex
	asked map[string]bool
}

// NewPlanner serves a type of resource, or of data source if its name starts with "data.".
func NewPlanner(t *testing.T, typeName string) *Planner {
	t.Helper()
	p := &Planner{asked: map[string]bool{}}
	p.typeName, p.data = strings.CutPrefix(typeName, "data.")
	api := httptest.NewUnstartedServer(http.HandlerFunc(p.nothing))
	api.Config.Protocols = new(http.Protocols)
	api.Config.Protocols.SetHTTP1(true)
	api.Config.Protocols.SetUnencryptedHTTP2(true)
	api.Start()
	t.Cleanup(api.Close)
	for _, v := range []string{"GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_PROJECT", "GOOGLE_REGION"} {
		t.Setenv(v, "")
	}
	var err error
	if p.server, err = Factories["gcpml"](); err != nil {
		t.Fatal(err)
	}
	schemas, err := p.server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if p.schema = schemas.ResourceSchemas[p.typeName]; p.data {
		p.schema = schemas.DataSourceSchemas[p.typeName]
	}
	provider := schemas.Provider.ValueType()
	configured, err := p.server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: dynamic(t, fromJSON(t, provider, Object{
		"project": Project, "region": Region, "emulator_host": strings.TrimPrefix(api.URL, "http://"),
	}))})
	if err != nil {
		t.Fatal(err)
	}
	if diags := errorsOf(configured.Diagnostics); len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

// nothing notes a call of an API and answers NOT_FOUND.
func (p *Planner) nothing(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.Method+" "+r.URL.String()] = true
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "5")
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// calls returns what was asked for since the last time.
func (p *Planner) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Sorted(maps.Keys(p.asked))
	clear(p.asked)
	return all
}

// Refusal is a configuration that must be refused, with one error.
type Refusal struct {
	config Object
	want   string
}

// Refused is a refusal at a path, such as "container_spec.env.0.name", with an error of
// this summary.
func Refused(config Object, path, summary string) Refusal {
	return Refusal{config, path + ": " + summary}
}

// Refuses expects each configuration to be refused before any call of an API, and for a
// reason of its own: no two have the same path and summary. Together they meet every
// place of the schema that has validators.
func (p *Planner) Refuses(t *testing.T, table []Refusal) {
	t.Helper()
	p.calls()
	seen := map[string]bool{}
	for _, c := range table {
		if seen[c.want] {
			t.Errorf("two configurations are refused with %q", c.want)
		}
		seen[c.want] = true
		if got := p.plan(t, p.config(t, c.config)); !slices.Equal(got, []string{c.want}) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if asked := p.calls(); len(asked) > 0 {
		t.Errorf("calls for configurations that are not valid: %q", asked)
	}
	p.checkCovered(t, table)
}

// Accepts expects each configuration to be planned without an error, and returns which
// calls that took.
func (p *Planner) Accepts(t *testing.T, configs ...Object) []string {
	t.Helper()
	p.calls()
	for _, c := range configs {
		if diags := p.plan(t, p.config(t, c)); len(diags) > 0 {
			t.Errorf("a valid configuration is refused: %q", diags)
		}
	}
	return p.calls()
}

// AcceptsUnknown plans a valid configuration with each of its parts not known, in turn:
// every argument, element and object, at every depth. None is refused, what is not known
// is not known in the plan either, and nothing is asked for that the whole configuration
// does not ask for, too. It returns how many parts there are.
func (p *Planner) AcceptsUnknown(t *testing.T, full Object) int {
	t.Helper()
	known := p.Accepts(t, full)
	whole := p.config(t, full)
	var paths []*tftypes.AttributePath
	if err := tftypes.Walk(whole, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		if len(at.Steps()) > 0 && !v.IsNull() {
			paths = append(paths, tftypes.NewAttributePathWithSteps(at.Steps()))
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		config, err := tftypes.Transform(whole, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
			if at.Equal(path) {
				return tftypes.NewValue(v.Type(), tftypes.UnknownValue), nil
			}
			return v, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		planned, diags := p.planned(t, config)
		if len(diags) > 0 {
			t.Errorf("%s is not known: %q", path, diags)
			continue
		}
		if v, _, err := tftypes.WalkAttributePath(planned, path); err == nil && !p.data {
			if v, ok := v.(tftypes.Value); ok && v.IsFullyKnown() && !v.IsNull() {
				t.Errorf("%s is not known, but planned as %s", path, v)
			}
		}
		for _, call := range p.calls() {
			if !slices.Contains(known, call) {
				t.Errorf("%s is not known: %s", path, call)
			}
		}
	}
	return len(paths)
}

func fromJSON(t *testing.T, kind tftypes.Type, from Object) tftypes.Value {
	t.Helper()
	text, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	value, err := tfprotov6.RawState{JSON: text}.Unmarshal(kind)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func dynamic(t *testing.T, value tftypes.Value) *tfprotov6.DynamicValue {
	t.Helper()
	v, err := tfprotov6.NewDynamicValue(value.Type(), value)
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

func (p *Planner) config(t *testing.T, from Object) tftypes.Value {
	t.Helper()
	return fromJSON(t, p.schema.ValueType(), from)
}

func (p *Planner) plan(t *testing.T, config tftypes.Value) []string {
	t.Helper()
	_, diags := p.planned(t, config)
	return diags
}

// planned validates a configuration and plans to create what it says. Errors are
// returned as "path: summary". A data source has no plan.
func (p *Planner) planned(t *testing.T, config tftypes.Value) (planned tftypes.Value, found []string) {
	t.Helper()
	if p.data {
		validated, err := p.server.ValidateDataResourceConfig(t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{TypeName: p.typeName, Config: dynamic(t, config)})
		if err != nil {
			t.Fatal(err)
		}
		return planned, errorsOf(validated.Diagnostics)
	}
	validated, err := p.server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: p.typeName, Config: dynamic(t, config), ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := errorsOf(validated.Diagnostics); len(found) > 0 {
		return planned, found
	}
	// What Terraform proposes: computed attributes are not known, secrets left out.
	writeOnly, computed := kinds(p.schema.Block.Attributes)
	proposed, err := tftypes.Transform(config, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		name, _ := at.LastStep().(tftypes.AttributeName)
		switch {
		case writeOnly[string(name)]:
			return tftypes.NewValue(v.Type(), nil), nil
		case len(at.Steps()) == 1 && v.IsNull() && computed[string(name)]:
			return tftypes.NewValue(v.Type(), tftypes.UnknownValue), nil
		}
		return v, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.server.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: p.typeName, Config: dynamic(t, config), ProposedNewState: dynamic(t, proposed), PriorState: dynamic(t, tftypes.NewValue(config.Type(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := errorsOf(resp.Diagnostics); len(found) > 0 {
		return planned, found
	}
	if planned, err = resp.PlannedState.Unmarshal(config.Type()); err != nil {
		t.Fatal(err)
	}
	return planned, nil
}

// kinds are the names of attributes that are write-only, at any depth, and of those of
// the type itself that are computed.
func kinds(attributes []*tfprotov6.SchemaAttribute) (writeOnly, computed map[string]bool) {
	writeOnly, computed = map[string]bool{}, map[string]bool{}
	for _, a := range attributes {
		writeOnly[a.Name], computed[a.Name] = a.WriteOnly, a.Computed
		if a.NestedType != nil {
			inside, _ := kinds(a.NestedType.Attributes)
			maps.Copy(writeOnly, inside)
		}
	}
	return writeOnly, computed
}

var step = regexp.MustCompile(`(?:AttributeName|ElementKeyString|ElementKeyInt|ElementKeyValue)\((?:tftypes\.String<)?"?([^")>]*)"?>?\)`)

func errorsOf(diags []*tfprotov6.Diagnostic) (found []string) {
	for _, d := range diags {
		if d.Severity != tfprotov6.DiagnosticSeverityError {
			continue
		}
		var path []string
		if d.Attribute != nil {
			for _, m := range step.FindAllStringSubmatch(d.Attribute.String(), -1) {
				path = append(path, m[1])
			}
		}
		found = append(found, fmt.Sprintf("%s: %s", strings.Join(path, "."), d.Summary))
	}
	return found
}
