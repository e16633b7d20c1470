// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the resource in HCL and in state. Maps may be unknown, and so may
// their values, so they stay framework maps.
type model struct {
	ID                   types.String   `tfsdk:"id"`
	Project              types.String   `tfsdk:"project"`
	Location             types.String   `tfsdk:"location"`
	EndpointID           types.String   `tfsdk:"endpoint_id"`
	DisplayName          types.String   `tfsdk:"display_name"`
	Description          types.String   `tfsdk:"description"`
	Labels               types.Map      `tfsdk:"labels"`
	Deployments          types.Map      `tfsdk:"deployments"`
	Traffic              types.Map      `tfsdk:"traffic"`
	EffectiveTraffic     types.Map      `tfsdk:"effective_traffic"`
	Deployed             types.Map      `tfsdk:"deployed"`
	ForceDestroy         types.Bool     `tfsdk:"force_destroy"`
	DedicatedEndpointDNS types.String   `tfsdk:"dedicated_endpoint_dns"`
	CreateTime           types.String   `tfsdk:"create_time"`
	Timeouts             timeouts.Value `tfsdk:"timeouts"`
}

type deployment struct {
	Model              types.String `tfsdk:"model"`
	DedicatedResources types.Object `tfsdk:"dedicated_resources"`
}

type dedicatedResources struct {
	MachineType      types.String `tfsdk:"machine_type"`
	AcceleratorType  types.String `tfsdk:"accelerator_type"`
	AcceleratorCount types.Int32  `tfsdk:"accelerator_count"`
	MinReplicaCount  types.Int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount  types.Int32  `tfsdk:"max_replica_count"`
}

type deployed struct {
	ID               types.String `tfsdk:"id"`
	Model            types.String `tfsdk:"model"`
	ModelVersionID   types.String `tfsdk:"model_version_id"`
	MachineType      types.String `tfsdk:"machine_type"`
	AcceleratorType  types.String `tfsdk:"accelerator_type"`
	AcceleratorCount types.Int32  `tfsdk:"accelerator_count"`
	MinReplicaCount  types.Int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount  types.Int32  `tfsdk:"max_replica_count"`
	Traffic          types.Int32  `tfsdk:"traffic"`
	CreateTime       types.String `tfsdk:"create_time"`
}

var (
	resourcesType = map[string]attr.Type{
		"machine_type": types.StringType, "accelerator_type": types.StringType, "accelerator_count": types.Int32Type,
		"min_replica_count": types.Int32Type, "max_replica_count": types.Int32Type,
	}
	deploymentType = map[string]attr.Type{"model": types.StringType, "dedicated_resources": types.ObjectType{AttrTypes: resourcesType}}
	deployedType   = map[string]attr.Type{
		"id": types.StringType, "model": types.StringType, "model_version_id": types.StringType,
		"machine_type": types.StringType, "accelerator_type": types.StringType, "accelerator_count": types.Int32Type,
		"min_replica_count": types.Int32Type, "max_replica_count": types.Int32Type, "traffic": types.Int32Type, "create_time": types.StringType,
	}
)

// name is the endpoint's name, built from what is configured: Google answers with
// the project's number.
func (m *model) name() gcp.Name {
	return gcp.Name{Project: m.Project.ValueString(), Location: m.Location.ValueString(), Kind: gcp.KindEndpoint, ID: m.EndpointID.ValueString()}
}

// setDefaults fills in what is not in the configuration. What is there, but not
// yet known, stays unknown.
func (m *model) setDefaults(c *gcp.Clients, config *model, diags *diag.Diagnostics) {
	if c == nil {
		return
	}
	byDefault := func(attribute string, value *types.String, configured types.String, otherwise string) {
		switch {
		case !value.IsUnknown() || !configured.IsNull():
		case otherwise == "":
			diags.AddAttributeError(path.Root(attribute), "Missing "+attribute, "Set "+attribute+" here, or its default in the provider block.")
		default:
			*value = types.StringValue(otherwise)
		}
	}
	byDefault("project", &m.Project, config.Project, c.Project())
	byDefault("location", &m.Location, config.Location, c.Region())
	if m.EndpointID.IsUnknown() && config.EndpointID.IsNull() && !m.DisplayName.IsUnknown() {
		if slug := gcp.Slug(m.DisplayName.ValueString(), "-"); slug != "" {
			m.EndpointID = types.StringValue(slug)
		} else {
			diags.AddAttributeError(path.Root("endpoint_id"), "Missing endpoint id", fmt.Sprintf("No id can be made from the display name %q: set endpoint_id.", m.DisplayName.ValueString()))
		}
	}
	if m.ID.IsUnknown() && !m.Project.IsUnknown() && !m.Location.IsUnknown() && !m.EndpointID.IsUnknown() {
		m.ID = types.StringValue(m.name().String())
	}
}

// deployments decodes what is known of the deployments: a value that is unknown
// as a whole is left out, but counted in keys.
func (m *model) deployments(ctx context.Context, diags *diag.Diagnostics) (known map[string]deployment, keys []string) {
	known = map[string]deployment{}
	objects := map[string]types.Object{}
	if m.Deployments.IsUnknown() || m.Deployments.IsNull() {
		return known, nil
	}
	diags.Append(m.Deployments.ElementsAs(ctx, &objects, false)...)
	for key, o := range objects {
		keys = append(keys, key)
		if o.IsUnknown() || o.IsNull() {
			continue
		}
		var d deployment
		diags.Append(o.As(ctx, &d, basetypes.ObjectAsOptions{})...)
		known[key] = d
	}
	slices.Sort(keys)
	return known, keys
}

// resources decodes dedicated_resources; ok is false while it is unknown.
func (d deployment) resources(ctx context.Context, diags *diag.Diagnostics) (r dedicatedResources, ok bool) {
	if d.DedicatedResources.IsUnknown() || d.DedicatedResources.IsNull() {
		return r, false
	}
	diags.Append(d.DedicatedResources.As(ctx, &r, basetypes.ObjectAsOptions{})...)
	return r, true
}

func (r dedicatedResources) toSpec() vertex.Resources {
	return vertex.Resources{
		MachineType: r.MachineType.ValueString(), AcceleratorType: r.AcceleratorType.ValueString(), AcceleratorCount: r.AcceleratorCount.ValueInt32(),
		MinReplicas: r.MinReplicaCount.ValueInt32(), MaxReplicas: max(r.MaxReplicaCount.ValueInt32(), r.MinReplicaCount.ValueInt32()),
	}
}

// had is what state says is deployed, by key; empty when there is no state yet.
func (m *model) had(ctx context.Context, diags *diag.Diagnostics) map[string]deployed {
	out := map[string]deployed{}
	if m != nil && !m.Deployed.IsNull() && !m.Deployed.IsUnknown() {
		diags.Append(m.Deployed.ElementsAs(ctx, &out, false)...)
	}
	return out
}

// traffic is the configured split, for comparison: nil for none, and all for an
// only deployment.
func (m *model) traffic(ctx context.Context, diags *diag.Diagnostics) map[string]int32 {
	if m.Traffic.IsUnknown() {
		return nil
	}
	if m.Traffic.IsNull() {
		if _, keys := m.deployments(ctx, diags); len(keys) == 1 {
			return map[string]int32{keys[0]: 100}
		}
		return nil
	}
	out := map[string]int32{}
	diags.Append(m.Traffic.ElementsAs(ctx, &out, false)...)
	return out
}

// toSpec converts a plan whose configuration is known. state is nil at creation:
// a deployment that does not change keeps the version which it got then, though
// its model names none.
func (m *model) toSpec(ctx context.Context, state *model, diags *diag.Diagnostics) vertex.EndpointSpec {
	spec := vertex.EndpointSpec{
		Name: m.name(), DisplayName: m.DisplayName.ValueString(), Description: m.Description.ValueString(),
		Labels: tfkit.StringMap(ctx, m.Labels, diags), Deployments: map[string]vertex.Deployment{}, Traffic: m.traffic(ctx, diags),
	}
	had := state.had(ctx, diags)
	for _, d := range had {
		spec.Known = append(spec.Known, d.ID.ValueString())
	}
	before := map[string]deployment{}
	if state != nil {
		before, _ = state.deployments(ctx, diags)
	}
	known, _ := m.deployments(ctx, diags)
	for key, d := range known {
		at := path.Root("deployments").AtMapKey(key)
		name, err := gcp.ParseName(gcp.KindModel, d.Model.ValueString())
		if err != nil {
			diags.AddAttributeError(at.AtName("model"), "Invalid model", err.Error()+".")
		}
		if was, ok := before[key]; ok && !isNumber(name.Version) && was.Model.Equal(d.Model) && had[key].ModelVersionID.ValueString() != "" {
			name.Version = had[key].ModelVersionID.ValueString()
		}
		resources, _ := d.resources(ctx, diags)
		spec.Deployments[key] = vertex.Deployment{Model: name, Resources: resources.toSpec()}
	}
	return spec
}

func isNumber(version string) bool { return version != "" && strings.Trim(version, "0123456789") == "" }

// object is what tells our endpoint from another of its name.
func (m *model) object(p tfkit.Private) vertex.Object {
	created, _ := time.Parse(time.RFC3339Nano, m.CreateTime.ValueString())
	return vertex.Object{Incarnation: p.Incarnation, CreateTime: created}
}

// ours tells which deployed models are managed here: those whose id proves it, and
// those in state. At import all are, apart from those on resources that cannot be
// configured here.
func (m *model) ours(ctx context.Context, diags *diag.Diagnostics) func(vertex.Deployed) bool {
	if m.Deployments.IsNull() && m.Deployed.IsNull() {
		return func(d vertex.Deployed) bool { return d.Dedicated }
	}
	ids := map[string]bool{}
	for _, d := range m.had(ctx, diags) {
		ids[d.ID.ValueString()] = true
	}
	return func(d vertex.Deployed) bool { return d.SelfMade() || ids[d.ID] }
}

// byKey gives each of our deployed models a key of its own. When a roll-out was
// interrupted a key has two: the one with more traffic, then the newer one, goes
// by the key; the other is shown as "key (id)", so that it is a difference.
func byKey(e *vertex.Endpoint, ours func(vertex.Deployed) bool) map[string]vertex.Deployed {
	out := map[string]vertex.Deployed{}
	for _, d := range e.Deployed {
		if !ours(d) {
			continue
		}
		other, taken := out[d.Key]
		if taken && (e.Traffic[other.ID] > e.Traffic[d.ID] || e.Traffic[other.ID] == e.Traffic[d.ID] && other.Object.CreateTime.After(d.Object.CreateTime)) {
			d, other = other, d
		}
		out[d.Key] = d
		if taken {
			out[fmt.Sprintf("%s (%s)", d.Key, other.ID)] = other
		}
	}
	return out
}

// fromRemote takes over what the server has. m is what was there before: a state,
// or a plan. Spellings that mean the same stay as they are in it. same compares
// the names of models.
func (m *model) fromRemote(ctx context.Context, e *vertex.Endpoint, ours func(vertex.Deployed) bool, same tfkit.Equivalence, diags *diag.Diagnostics) {
	imported := m.Deployments.IsNull()
	prior, _ := m.deployments(ctx, diags)
	had := m.had(ctx, diags)
	wanted := m.traffic(ctx, diags)
	remote := byKey(e, ours)

	m.DisplayName = types.StringValue(e.DisplayName)
	m.Description = tfkit.StringOrNull(e.Description, m.Description)
	m.Labels = tfkit.MapValue(e.Labels, m.Labels)
	m.DedicatedEndpointDNS = types.StringValue(e.DedicatedDNS)
	m.CreateTime = types.StringValue(e.Object.CreateTime.Format(time.RFC3339Nano))

	deployments, deployedNow, traffic := map[string]attr.Value{}, map[string]attr.Value{}, map[string]int32{}
	for key, d := range remote {
		traffic[key] = e.Traffic[d.ID]
		deployments[key] = prior[key].merge(ctx, d, had[key].ModelVersionID.ValueString(), same, diags)
		deployedNow[key] = deployedValue(d, traffic[key])
	}
	m.Deployments = types.MapValueMust(types.ObjectType{AttrTypes: deploymentType}, deployments)
	m.Deployed = types.MapValueMust(types.ObjectType{AttrTypes: deployedType}, deployedNow)
	m.EffectiveTraffic = int32Map(traffic)

	switch foreign := vertex.ForeignTraffic(e, ours); {
	case imported && len(remote) == 0:
	case imported && len(remote) == 1:
		if only := slices.Collect(maps.Keys(remote))[0]; traffic[only] != 100-foreign {
			m.Traffic = int32Map(traffic)
		}
	case imported:
		m.Traffic = int32Map(withoutZeros(traffic))
	case slices.ContainsFunc(slices.Collect(maps.Keys(wanted)), func(key string) bool { _, there := remote[key]; return !there }):
		// What is to get the traffic is missing, which is difference enough.
	case wanted == nil && len(withoutZeros(traffic)) == 0:
	case !maps.Equal(withoutZeros(traffic), vertex.Shares(wanted, foreign)):
		m.Traffic = int32Map(traffic)
	}
}

// merge is a deployment as the server has it, each part in the spelling of before
// if that means the same. version is the number that a model without one stood for.
func (before deployment) merge(ctx context.Context, d vertex.Deployed, version string, same tfkit.Equivalence, diags *diag.Diagnostics) attr.Value {
	model := types.StringValue(d.Model.String())
	if name, err := gcp.ParseName(gcp.KindModel, before.Model.ValueString()); err == nil {
		if !isNumber(name.Version) && (version == "" || version == d.Model.Version) {
			name.Version = d.Model.Version
		}
		if same.Equal(name.String(), d.Model.String()) {
			model = before.Model
		}
	}
	was, _ := before.resources(ctx, diags)
	r := d.Resources
	now := dedicatedResources{
		MachineType: types.StringValue(r.MachineType), AcceleratorType: tfkit.StringOrNull(r.AcceleratorType, was.AcceleratorType),
		AcceleratorCount: int32OrNull(r.AcceleratorCount, was.AcceleratorCount, 0), MinReplicaCount: types.Int32Value(r.MinReplicas),
		MaxReplicaCount: int32OrNull(r.MaxReplicas, was.MaxReplicaCount, r.MinReplicas),
	}
	return types.ObjectValueMust(deploymentType, map[string]attr.Value{
		"model": model,
		"dedicated_resources": types.ObjectValueMust(resourcesType, map[string]attr.Value{
			"machine_type": now.MachineType, "accelerator_type": now.AcceleratorType, "accelerator_count": now.AcceleratorCount,
			"min_replica_count": now.MinReplicaCount, "max_replica_count": now.MaxReplicaCount,
		}),
	})
}

// int32OrNull is null for the value that leaving it out means, unless it was
// there before.
func int32OrNull(v int32, before types.Int32, otherwise int32) types.Int32 {
	if v == otherwise && before.IsNull() {
		return types.Int32Null()
	}
	return types.Int32Value(v)
}

func deployedValue(d vertex.Deployed, traffic int32) attr.Value {
	r := d.Resources
	return types.ObjectValueMust(deployedType, map[string]attr.Value{
		"id": types.StringValue(d.ID), "model": types.StringValue(d.Model.WithVersion("").String()), "model_version_id": types.StringValue(d.Model.Version),
		"machine_type": types.StringValue(r.MachineType), "accelerator_type": types.StringValue(r.AcceleratorType), "accelerator_count": types.Int32Value(r.AcceleratorCount),
		"min_replica_count": types.Int32Value(r.MinReplicas), "max_replica_count": types.Int32Value(r.MaxReplicas),
		"traffic": types.Int32Value(traffic), "create_time": types.StringValue(d.Object.CreateTime.Format(time.RFC3339Nano)),
	})
}

func int32Map(m map[string]int32) types.Map {
	values := map[string]attr.Value{}
	for k, v := range m {
		values[k] = types.Int32Value(v)
	}
	return types.MapValueMust(types.Int32Type, values)
}

func withoutZeros(m map[string]int32) map[string]int32 {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(_ string, v int32) bool { return v == 0 })
	return out
}

// keepSpelling keeps the names of models in state where the planned ones mean the
// same.
func (m *model) keepSpelling(ctx context.Context, state *model, same tfkit.Equivalence, diags *diag.Diagnostics) {
	before, _ := state.deployments(ctx, diags)
	now, keys := m.deployments(ctx, diags)
	if len(keys) == 0 {
		return
	}
	elements := maps.Clone(m.Deployments.Elements())
	for key, d := range now {
		was, ok := before[key]
		if !ok || d.Model.IsUnknown() || was.Model.IsNull() || d.Model.Equal(was.Model) || !same.Equal(d.Model.ValueString(), was.Model.ValueString()) {
			continue
		}
		elements[key] = types.ObjectValueMust(deploymentType, map[string]attr.Value{"model": was.Model, "dedicated_resources": d.DedicatedResources})
	}
	m.Deployments = types.MapValueMust(types.ObjectType{AttrTypes: deploymentType}, elements)
}

// validate checks the rules between values; what is unknown passes.
func (m *model) validate(ctx context.Context, diags *diag.Diagnostics) {
	known, keys := m.deployments(ctx, diags)
	for key, d := range known {
		at := path.Root("deployments").AtMapKey(key)
		if n := utf8.RuneCountInString(key); n < 1 || n > 128 {
			diags.AddAttributeError(at, "Invalid deployment key", "A key has 1 to 128 characters.")
		}
		if _, err := gcp.ParseName(gcp.KindModel, d.Model.ValueString()); err != nil && !d.Model.IsUnknown() {
			diags.AddAttributeError(at.AtName("model"), "Invalid model", err.Error()+". Use the versioned_name of a gcpml_vertex_model_upload.")
		}
		if r, ok := d.resources(ctx, diags); ok {
			r.validate(at.AtName("dedicated_resources"), diags)
		}
	}
	m.validateTraffic(ctx, keys, diags)
}

func (r dedicatedResources) validate(at path.Path, diags *diag.Diagnostics) {
	lowest, highest := r.MinReplicaCount, r.MaxReplicaCount
	if !lowest.IsUnknown() && lowest.ValueInt32() < 1 {
		diags.AddAttributeError(at.AtName("min_replica_count"), "Invalid min_replica_count", fmt.Sprintf("min_replica_count is %d; at least 1 machine must run.", lowest.ValueInt32()))
	}
	if !r.MachineType.IsUnknown() && r.MachineType.ValueString() == "" {
		diags.AddAttributeError(at.AtName("machine_type"), "Missing machine_type", "machine_type must not be empty.")
	}
	if !highest.IsNull() && !highest.IsUnknown() && !lowest.IsUnknown() && highest.ValueInt32() < lowest.ValueInt32() {
		diags.AddAttributeError(at.AtName("max_replica_count"), "Invalid max_replica_count",
			fmt.Sprintf("max_replica_count (%d) must not be less than min_replica_count (%d).", highest.ValueInt32(), lowest.ValueInt32()))
	}
	kind, count := r.AcceleratorType, r.AcceleratorCount
	switch {
	case kind.IsUnknown() || count.IsUnknown():
	case !count.IsNull() && count.ValueInt32() < 1:
		diags.AddAttributeError(at.AtName("accelerator_count"), "Invalid accelerator_count", "accelerator_count must be at least 1; leave it out for none.")
	case !kind.IsNull() && count.IsNull():
		diags.AddAttributeError(at.AtName("accelerator_count"), "Missing accelerator_count", "accelerator_type and accelerator_count go together: set both or neither.")
	case kind.IsNull() && !count.IsNull():
		diags.AddAttributeError(at.AtName("accelerator_type"), "Missing accelerator_type", "accelerator_type and accelerator_count go together: set both or neither.")
	}
	if !kind.IsNull() && !kind.IsUnknown() && !vertex.IsAccelerator(kind.ValueString()) {
		diags.AddAttributeError(at.AtName("accelerator_type"), "Invalid accelerator_type", fmt.Sprintf("%q is not an accelerator type such as NVIDIA_TESLA_T4 or NVIDIA_L4.", kind.ValueString()))
	}
}

func (m *model) validateTraffic(ctx context.Context, keys []string, diags *diag.Diagnostics) {
	at := path.Root("traffic")
	if m.Traffic.IsUnknown() {
		return
	}
	if m.Traffic.IsNull() {
		if len(keys) > 1 {
			diags.AddAttributeError(at, "Missing traffic", fmt.Sprintf("With several deployments (%s) traffic must say what percentage each one gets.", strings.Join(keys, ", ")))
		}
		return
	}
	shares := map[string]types.Int32{}
	diags.Append(m.Traffic.ElementsAs(ctx, &shares, false)...)
	total, complete := int32(0), true
	for key, share := range shares {
		if !m.Deployments.IsUnknown() && !slices.Contains(keys, key) {
			diags.AddAttributeError(at.AtMapKey(key), "Unknown deployment", fmt.Sprintf("traffic names %q, but deployments has only: %s.", key, strings.Join(keys, ", ")))
		}
		if share.IsUnknown() || share.IsNull() {
			complete = false
			continue
		}
		if share.ValueInt32() < 0 || share.ValueInt32() > 100 {
			diags.AddAttributeError(at.AtMapKey(key), "Invalid percentage", fmt.Sprintf("%d is not between 0 and 100.", share.ValueInt32()))
			complete = false
		}
		total += share.ValueInt32()
	}
	if complete && total != 100 {
		diags.AddAttributeError(at, "Invalid traffic", fmt.Sprintf("The percentages sum to %d; they must sum to 100.", total))
	}
}
