// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

const bert = "projects/p/locations/us-central1/models/bert"

var sameModel = newSpelling(nil)

type shares = map[string]int32

// res is dedicated_resources; nil leaves an attribute out.
func res(machine string, minReplicas int32, maxReplicas *int32) attr.Value {
	return types.ObjectValueMust(resourcesType, map[string]attr.Value{
		"machine_type": types.StringValue(machine), "accelerator_type": types.StringNull(), "accelerator_count": types.Int32Null(), "tpu_topology": types.StringNull(),
		"min_replica_count": types.Int32Value(minReplicas), "max_replica_count": types.Int32PointerValue(maxReplicas), "required_replica_count": types.Int32Null(),
		"autoscaling_metric_specs": types.ListNull(types.ObjectType{AttrTypes: metricType}), "spot": types.BoolNull(), "reservation_affinity": types.ObjectNull(reservationType),
	})
}

func dep(model string, resources attr.Value) attr.Value {
	return types.ObjectValueMust(deploymentType, map[string]attr.Value{
		"model": types.StringValue(model), "dedicated_resources": resources, "automatic_resources": types.ObjectNull(automaticType),
		"shared_resources": types.StringNull(), "service_account": types.StringNull(), "enable_access_logging": types.BoolNull(), "disable_container_logging": types.BoolNull(),
		"disable_explanations": types.BoolNull(), "faster_deployment_config": types.ObjectNull(fasterType),
	})
}

func deps(of map[string]attr.Value) types.Map {
	return types.MapValueMust(types.ObjectType{AttrTypes: deploymentType}, of)
}

// before is a state or plan with these deployments.
func before(deployments types.Map, traffic types.Map) model {
	return model{
		Project: types.StringValue("p"), Location: types.StringValue("us-central1"), EndpointID: types.StringValue("e"), DisplayName: types.StringValue("E"),
		LabelSet: tfkit.NoLabels(), Deployments: deployments, Traffic: traffic,
		Deployed: types.MapNull(types.ObjectType{AttrTypes: deployedType}), EffectiveTraffic: types.MapNull(types.Int32Type),
	}
}

func served(id, key, version string, seconds int64, resources vertex.Resources) vertex.Deployed {
	return vertex.Deployed{
		ID: id, Key: key, Resources: resources, Object: vertex.Object{CreateTime: time.Unix(seconds, 0).UTC()},
		Model: gcp.Name{Project: "p", Location: "us-central1", Kind: gcp.KindModel, ID: "bert", Version: version},
	}
}

var (
	one  = vertex.Resources{MachineType: "n1-standard-2", MinReplicas: 1, MaxReplicas: 1}
	wide = vertex.Resources{MachineType: "n1-standard-2", MinReplicas: 1, MaxReplicas: 3}
	int3 = int32(3)
	int1 = int32(1)
)

func noTraffic() types.Map { return types.MapNull(types.Int32Type) }

func allOurs(vertex.Deployed) bool { return true }

func TestFromRemoteKeepsWhatMeansTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		prior  attr.Value
		remote vertex.Resources
		want   attr.Value
	}{
		"version":          {dep(bert+"@2", res("n1-standard-2", 1, nil)), one, nil},
		"no version":       {dep(bert, res("n1-standard-2", 1, nil)), one, nil},
		"alias":            {dep(bert+"@golden", res("n1-standard-2", 1, nil)), one, nil},
		"URL":              {dep("https://us-central1-aiplatform.googleapis.com/v1/"+bert+"@2", res("n1-standard-2", 1, nil)), one, nil},
		"max spelled out":  {dep(bert+"@2", res("n1-standard-2", 1, &int1)), one, nil},
		"max left out":     {dep(bert+"@2", res("n1-standard-2", 1, nil)), wide, dep(bert+"@2", res("n1-standard-2", 1, &int3))},
		"another version":  {dep(bert+"@1", res("n1-standard-2", 1, nil)), one, dep(bert+"@2", res("n1-standard-2", 1, nil))},
		"another model":    {dep(bert+"2@2", res("n1-standard-2", 1, nil)), one, dep(bert+"@2", res("n1-standard-2", 1, nil))},
		"another machine":  {dep(bert+"@2", res("n1-standard-4", 1, nil)), one, dep(bert+"@2", res("n1-standard-2", 1, nil))},
		"another location": {dep("projects/p/locations/europe-west4/models/bert@2", res("n1-standard-2", 1, nil)), one, dep(bert+"@2", res("n1-standard-2", 1, nil))},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			m := before(deps(map[string]attr.Value{"main": c.prior}), noTraffic())
			e := &vertex.Endpoint{DisplayName: "E", Deployed: []vertex.Deployed{served("1", "main", "2", 0, c.remote)}, Traffic: shares{"1": 100}}
			m.fromRemote(t.Context(), e, allOurs, sameModel, &diags)
			want := c.want
			if want == nil {
				want = c.prior
			}
			if got := m.Deployments.Elements()["main"]; diags.HasError() || !got.Equal(want) {
				t.Errorf("got  %s\nwant %s %v", got, want, diags)
			}
			if !m.Traffic.IsNull() {
				t.Errorf("traffic that was left out became %s", m.Traffic)
			}
		})
	}
}

func TestFromRemoteTraffic(t *testing.T) {
	d := dep(bert+"@2", res("n1-standard-2", 1, nil))
	onlyMain, both := deps(map[string]attr.Value{"main": d}), deps(map[string]attr.Value{"main": d, "other": d})
	imported := types.MapNull(types.ObjectType{AttrTypes: deploymentType})
	foreign := func(d vertex.Deployed) bool { return d.Key != "theirs" }
	for name, c := range map[string]struct {
		deployments types.Map
		traffic     types.Map
		keys        []string
		split       shares
		want        types.Map
	}{
		"as configured":           {both, int32Map(shares{"main": 90, "other": 10}), []string{"main", "other"}, shares{"main": 90, "other": 10}, int32Map(shares{"main": 90, "other": 10})},
		"zero spelled out":        {both, int32Map(shares{"main": 100, "other": 0}), []string{"main", "other"}, shares{"main": 100}, int32Map(shares{"main": 100, "other": 0})},
		"zero left out":           {both, int32Map(shares{"main": 100}), []string{"main", "other"}, shares{"main": 100, "other": 0}, int32Map(shares{"main": 100})},
		"moved":                   {both, int32Map(shares{"main": 90, "other": 10}), []string{"main", "other"}, shares{"main": 50, "other": 50}, int32Map(shares{"main": 50, "other": 50})},
		"implied":                 {onlyMain, noTraffic(), []string{"main"}, shares{"main": 100}, noTraffic()},
		"implied, but blanked":    {onlyMain, noTraffic(), []string{"main"}, nil, int32Map(shares{"main": 0})},
		"beside others":           {both, int32Map(shares{"main": 90, "other": 10}), []string{"main", "other", "theirs"}, shares{"main": 45, "other": 5, "theirs": 50}, int32Map(shares{"main": 90, "other": 10})},
		"implied, beside others":  {onlyMain, noTraffic(), []string{"main", "theirs"}, shares{"main": 70, "theirs": 30}, noTraffic()},
		"moved, beside others":    {both, int32Map(shares{"main": 90, "other": 10}), []string{"main", "other", "theirs"}, shares{"main": 25, "other": 25, "theirs": 50}, int32Map(shares{"main": 25, "other": 25})},
		"one is missing":          {both, int32Map(shares{"main": 90, "other": 10}), []string{"main"}, shares{"main": 100}, int32Map(shares{"main": 90, "other": 10})},
		"imported, one":           {imported, noTraffic(), []string{"main"}, shares{"main": 100}, noTraffic()},
		"imported, one, blanked":  {imported, noTraffic(), []string{"main"}, nil, int32Map(shares{"main": 0})},
		"imported, two":           {imported, noTraffic(), []string{"main", "other"}, shares{"main": 90, "other": 10}, int32Map(shares{"main": 90, "other": 10})},
		"imported, two, one idle": {imported, noTraffic(), []string{"main", "other"}, shares{"main": 100}, int32Map(shares{"main": 100})},
		"imported, nothing":       {imported, noTraffic(), nil, nil, noTraffic()},
		"nothing deployed":        {deps(nil), noTraffic(), nil, nil, noTraffic()},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			m := before(c.deployments, c.traffic)
			e := &vertex.Endpoint{DisplayName: "E", Traffic: shares{}}
			for _, key := range c.keys {
				e.Deployed = append(e.Deployed, served("id-"+key, key, "2", 0, one))
				e.Traffic["id-"+key] = c.split[key]
			}
			m.fromRemote(t.Context(), e, foreign, sameModel, &diags)
			if diags.HasError() || !m.Traffic.Equal(c.want) {
				t.Errorf("traffic %s, want %s %v", m.Traffic, c.want, diags)
			}
			if _, shown := m.Deployed.Elements()["theirs"]; shown {
				t.Error("what others deployed is shown as ours")
			}
		})
	}
}

// What an interrupted roll-out left must be a difference to the configuration,
// whichever of the two carries the traffic.
func TestLeftoversShow(t *testing.T) {
	for name, c := range map[string]struct {
		traffic       shares
		main, another string
	}{
		"before the shift": {shares{"1": 100}, "1", "main (2)"},
		"after the shift":  {shares{"2": 100}, "2", "main (1)"},
		"no traffic yet":   {nil, "2", "main (1)"}, // the newer one
	} {
		t.Run(name, func(t *testing.T) {
			e := &vertex.Endpoint{Deployed: []vertex.Deployed{served("1", "main", "1", 10, one), served("2", "main", "2", 20, one)}, Traffic: c.traffic}
			got := byKey(e, allOurs)
			if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{"main", c.another}) || got["main"].ID != c.main {
				t.Errorf("keys %v, main is %s; want main = %s and %q", keys, got["main"].ID, c.main, c.another)
			}
		})
	}
}

// A model without a version keeps the version that it was deployed with, until
// the configuration names it in another way.
func TestToSpecPinsVersions(t *testing.T) {
	var diags diag.Diagnostics
	d := func(model string) types.Map {
		return deps(map[string]attr.Value{"main": dep(model, res("n1-standard-2", 1, nil))})
	}
	state := before(d(bert), noTraffic())
	state.Deployed = types.MapValueMust(types.ObjectType{AttrTypes: deployedType}, map[string]attr.Value{"main": deployedValue(served("7", "main", "1", 0, one), 100)})
	for model, want := range map[string]string{bert: "1", bert + "@default": "default", bert + "@3": "3"} {
		plan := before(d(model), noTraffic())
		spec := plan.toSpec(t.Context(), &state, &diags)
		if got := spec.Deployments["main"].Model.Version; got != want {
			t.Errorf("%s is version %q, want %q", model, got, want)
		}
		if !slices.Equal(spec.Known, []string{"7"}) || spec.Traffic["main"] != 100 || !spec.Deployments["main"].Resources.Same(one) {
			t.Errorf("spec %+v", spec)
		}
	}
	if diags.HasError() {
		t.Error(diags)
	}
	plan := before(d(bert), noTraffic())
	if got := plan.toSpec(t.Context(), nil, &diags).Deployments["main"].Model.Version; got != "" {
		t.Errorf("at creation the version is %q", got)
	}
}

func TestKeepSpelling(t *testing.T) {
	var diags diag.Diagnostics
	r := res("n1-standard-2", 1, nil)
	state := before(deps(map[string]attr.Value{"a": dep(bert+"@1", r), "b": dep(bert+"@1", r)}), noTraffic())
	plan := before(deps(map[string]attr.Value{"a": dep("//aiplatform.googleapis.com/"+bert+"@1", r), "b": dep(bert+"@2", r), "c": dep(bert+"@1", r)}), noTraffic())
	want := deps(map[string]attr.Value{"a": dep(bert+"@1", r), "b": dep(bert+"@2", r), "c": dep(bert+"@1", r)})
	plan.keepSpelling(t.Context(), &state, sameModel, &diags)
	if diags.HasError() || !plan.Deployments.Equal(want) {
		t.Errorf("got %s, want %s %v", plan.Deployments, want, diags)
	}
}

// Unknown parts never fail, and what is known is still checked.
func TestValidateUnknown(t *testing.T) {
	r := res("n1-standard-2", 1, nil)
	unknownShare := types.MapValueMust(types.Int32Type, map[string]attr.Value{"main": types.Int32Unknown(), "nobody": types.Int32Value(200)})
	for name, c := range map[string]struct {
		deployments, traffic types.Map
		want                 []path.Path
	}{
		"everything":  {types.MapUnknown(types.ObjectType{AttrTypes: deploymentType}), types.MapUnknown(types.Int32Type), nil},
		"deployments": {types.MapUnknown(types.ObjectType{AttrTypes: deploymentType}), int32Map(shares{"any": 100}), nil},
		"traffic":     {deps(map[string]attr.Value{"a": dep(bert, r), "b": dep(bert, r)}), types.MapUnknown(types.Int32Type), nil},
		"a value": {
			deps(map[string]attr.Value{"a": types.ObjectUnknown(deploymentType), "b": dep(bert, types.ObjectUnknown(resourcesType))}),
			int32Map(shares{"a": 50, "b": 50}), nil,
		},
		"a share": {
			deps(map[string]attr.Value{"main": dep(bert, r)}), unknownShare,
			[]path.Path{path.Root("traffic").AtMapKey("nobody"), path.Root("traffic").AtMapKey("nobody")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			m := before(c.deployments, c.traffic)
			m.validate(t.Context(), &diags)
			var got []path.Path
			for _, d := range diags.Errors() {
				got = append(got, d.(diag.DiagnosticWithPath).Path())
			}
			if !slices.EqualFunc(got, c.want, path.Path.Equal) {
				t.Errorf("errors %v, want at %v", diags, c.want)
			}
		})
	}
}

// What the server has of every kind of resources and every setting, in the spelling
// of before where that means the same.
func TestFromRemoteOfEveryKind(t *testing.T) {
	var diags diag.Diagnostics
	ctx := t.Context()
	pool := gcp.Name{Project: "p", Location: "us-central1", Kind: vertex.KindPool, ID: "pool"}
	const url = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/deploymentResourcePools/pool"
	metrics := func(specs ...metricSpec) types.List {
		return list(ctx, types.ObjectType{AttrTypes: metricType}, specs, &diags)
	}
	dedicated := func(change func(*dedicatedResources)) deployment {
		r := dedicatedResources{
			MachineType: types.StringValue("n1-standard-2"), MinReplicaCount: types.Int32Value(2), MaxReplicaCount: types.Int32Value(2), AutoscalingMetricSpecs: metrics(),
			ReservationAffinity: types.ObjectNull(reservationType),
		}
		change(&r)
		return deployment{Model: types.StringValue(bert + "@2"), DedicatedResources: object(ctx, resourcesType, r, &diags), AutomaticResources: types.ObjectNull(automaticType), FasterDeploymentConfig: types.ObjectNull(fasterType)}
	}
	faster := func(tryout types.Bool) types.Object {
		return object(ctx, fasterType, fasterDeployment{tryout}, &diags)
	}
	other := func(d deployment) deployment {
		d.Model, d.DedicatedResources = types.StringValue(bert+"@2"), types.ObjectNull(resourcesType)
		if d.AutomaticResources.IsNull() {
			d.AutomaticResources = types.ObjectNull(automaticType)
		}
		if d.FasterDeploymentConfig.IsNull() {
			d.FasterDeploymentConfig = types.ObjectNull(fasterType)
		}
		return d
	}
	automatic := func(lowest, highest types.Int32) deployment {
		return other(deployment{AutomaticResources: object(ctx, automaticType, automaticResources{lowest, highest}, &diags)})
	}
	two := vertex.Resources{MachineType: "n1-standard-2", MinReplicas: 2, MaxReplicas: 2}
	with := func(change func(*vertex.Resources)) vertex.Resources { r := two; change(&r); return r }
	const cpu, requests = "aiplatform.googleapis.com/prediction/online/cpu/utilization", "aiplatform.googleapis.com/prediction/online/request_count"
	target := func(name string, value types.Int32) metricSpec { return metricSpec{types.StringValue(name), value} }
	same := func(d deployment) *deployment { return &d }
	for name, c := range map[string]struct {
		prior    deployment
		remote   vertex.Resources
		settings vertex.Settings
		want     *deployment // nil for prior
	}{
		"required as many as min": {dedicated(func(r *dedicatedResources) { r.RequiredReplicaCount = types.Int32Value(2) }), two, vertex.Settings{}, nil},
		"required fewer":          {dedicated(func(*dedicatedResources) {}), with(func(r *vertex.Resources) { r.RequiredReplicas = 1 }), vertex.Settings{}, same(dedicated(func(r *dedicatedResources) { r.RequiredReplicaCount = types.Int32Value(1) }))},
		"required not any more":   {dedicated(func(r *dedicatedResources) { r.RequiredReplicaCount = types.Int32Value(1) }), two, vertex.Settings{}, same(dedicated(func(r *dedicatedResources) { r.RequiredReplicaCount = types.Int32Value(2) }))},
		"the default target":      {dedicated(func(r *dedicatedResources) { r.AutoscalingMetricSpecs = metrics(target(cpu, types.Int32Null())) }), two, vertex.Settings{}, nil},
		"order of targets": {dedicated(func(r *dedicatedResources) {
			r.AutoscalingMetricSpecs = metrics(target(requests, types.Int32Value(500)), target(cpu, types.Int32Value(80)))
		}), with(func(r *vertex.Resources) { r.Targets = map[string]int32{cpu: 80, requests: 500} }), vertex.Settings{}, nil},
		"a target of others":            {dedicated(func(*dedicatedResources) {}), with(func(r *vertex.Resources) { r.Targets = map[string]int32{cpu: 80} }), vertex.Settings{}, same(dedicated(func(r *dedicatedResources) { r.AutoscalingMetricSpecs = metrics(target(cpu, types.Int32Value(80))) }))},
		"a target that is gone":         {dedicated(func(r *dedicatedResources) { r.AutoscalingMetricSpecs = metrics(target(cpu, types.Int32Value(80))) }), two, vertex.Settings{}, same(dedicated(func(*dedicatedResources) {}))},
		"not spot":                      {dedicated(func(r *dedicatedResources) { r.Spot = types.BoolValue(false) }), two, vertex.Settings{}, nil},
		"spot":                          {dedicated(func(*dedicatedResources) {}), with(func(r *vertex.Resources) { r.Spot = true }), vertex.Settings{}, same(dedicated(func(r *dedicatedResources) { r.Spot = types.BoolValue(true) }))},
		"automatic without a bound":     {automatic(types.Int32Value(1), types.Int32Null()), vertex.Resources{Kind: vertex.Automatic, MinReplicas: 1}, vertex.Settings{}, nil},
		"automatic with a bound":        {automatic(types.Int32Value(1), types.Int32Null()), vertex.Resources{Kind: vertex.Automatic, MinReplicas: 2, MaxReplicas: 3}, vertex.Settings{}, same(automatic(types.Int32Value(2), types.Int32Value(3)))},
		"a pool by its URL":             {other(deployment{SharedResources: types.StringValue(url)}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, nil},
		"from dedicated to shared":      {dedicated(func(*dedicatedResources) {}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, same(other(deployment{SharedResources: types.StringValue(pool.String())}))},
		"switches that are off":         {other(deployment{SharedResources: types.StringValue(url), EnableAccessLogging: types.BoolValue(false), DisableContainerLogging: types.BoolValue(false)}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, nil},
		"a service account and logging": {other(deployment{SharedResources: types.StringValue(url)}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{ServiceAccount: "a@b", NoContainerLogging: true}, same(other(deployment{SharedResources: types.StringValue(url), ServiceAccount: types.StringValue("a@b"), DisableContainerLogging: types.BoolValue(true)}))},
		"fast tryout of others":         {other(deployment{SharedResources: types.StringValue(url)}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{FastTryout: true}, same(other(deployment{SharedResources: types.StringValue(url), FasterDeploymentConfig: faster(types.BoolValue(true))}))},
		"fast tryout that is gone":      {other(deployment{SharedResources: types.StringValue(url), FasterDeploymentConfig: faster(types.BoolValue(true))}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, same(other(deployment{SharedResources: types.StringValue(url), FasterDeploymentConfig: faster(types.BoolValue(false))}))},
		"no fast tryout":                {other(deployment{SharedResources: types.StringValue(url), FasterDeploymentConfig: faster(types.BoolValue(false))}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, nil},
		"nothing faster":                {other(deployment{SharedResources: types.StringValue(url), FasterDeploymentConfig: faster(types.BoolNull())}), vertex.Resources{Kind: vertex.Shared, Pool: pool}, vertex.Settings{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			m := before(deps(map[string]attr.Value{"main": object(ctx, deploymentType, c.prior, &diags)}), noTraffic())
			d := served("1", "main", "2", 0, c.remote)
			d.Settings = c.settings
			m.fromRemote(ctx, &vertex.Endpoint{DisplayName: "E", Deployed: []vertex.Deployed{d}, Traffic: shares{"1": 100}}, allOurs, sameModel, &diags)
			want := c.want
			if want == nil {
				want = &c.prior
			}
			if got := m.Deployments.Elements()["main"]; !got.Equal(object(ctx, deploymentType, *want, &diags)) || diags.HasError() {
				t.Errorf("got %s\nwant %s %v", got, object(ctx, deploymentType, *want, &diags), diags)
			}
		})
	}
	if diags.HasError() {
		t.Error(diags)
	}
}
