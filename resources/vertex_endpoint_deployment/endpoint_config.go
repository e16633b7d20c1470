// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

type encryptionSpec struct {
	KMSKeyName types.String `tfsdk:"kms_key_name"`
}

type connectConfig struct {
	Enable           types.Bool `tfsdk:"enable_private_service_connect"`
	ProjectAllowlist types.List `tfsdk:"project_allowlist"`
	Automation       types.List `tfsdk:"psc_automation_configs"`
}

type automation struct {
	ProjectID types.String `tfsdk:"project_id"`
	Network   types.String `tfsdk:"network"`
}

type loggingConfig struct {
	Enabled      types.Bool    `tfsdk:"enabled"`
	SamplingRate types.Float64 `tfsdk:"sampling_rate"`
	Destination  types.Object  `tfsdk:"bigquery_destination"`
}

type destination struct {
	OutputURI types.String `tfsdk:"output_uri"`
}

type connectionConfig struct {
	InferenceTimeout types.String `tfsdk:"inference_timeout"`
}

var (
	encryptionType = map[string]attr.Type{"kms_key_name": types.StringType}
	automationType = map[string]attr.Type{"project_id": types.StringType, "network": types.StringType}
	connectType    = map[string]attr.Type{
		"enable_private_service_connect": types.BoolType, "project_allowlist": types.ListType{ElemType: types.StringType},
		"psc_automation_configs": types.ListType{ElemType: types.ObjectType{AttrTypes: automationType}},
	}
	destinationType = map[string]attr.Type{"output_uri": types.StringType}
	loggingType     = map[string]attr.Type{"enabled": types.BoolType, "sampling_rate": types.Float64Type, "bigquery_destination": types.ObjectType{AttrTypes: destinationType}}
	connectionType  = map[string]attr.Type{"inference_timeout": types.StringType}
)

// spelling tells which spellings mean the same: of models, of pools, and of other names
// that begin with projects/{project}/.
type spelling struct{ model, pool, path tfkit.Equivalence }

// newSpelling reads the clients when they are used; it may return nil.
func newSpelling(clients func() *gcp.Clients) spelling {
	return spelling{
		model: tfkit.SameName(gcp.KindModel, clients), pool: tfkit.SameName(vertex.KindPool, clients),
		path: func(name string) string {
			rest, ok := strings.CutPrefix(name, "projects/")
			if !ok || clients == nil || clients() == nil {
				return name
			}
			project, _, _ := strings.Cut(rest, "/")
			id, err := clients().ProjectID(context.Background(), project)
			if err != nil {
				return name
			}
			return "projects/" + id + strings.TrimPrefix(rest, project)
		},
	}
}

// paths compares lists whose order does not matter.
func (s spelling) paths(a, b []string) bool {
	all := func(of []string) (out []string) {
		for _, name := range of {
			out = append(out, s.path(name))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(all(a), all(b))
}

func (s spelling) reservation(a, b vertex.Reservation) bool {
	return a.Type == b.Type && a.Key == b.Key && s.paths(a.Values, b.Values)
}

func (s spelling) connect(a, b vertex.Connect) bool {
	names := func(c vertex.Connect) (projects, automation []string) {
		for _, p := range c.Projects {
			projects = append(projects, "projects/"+p)
		}
		for _, a := range c.Automation {
			automation = append(automation, s.path("projects/"+a.Project)+" "+s.path(a.Network))
		}
		return projects, automation
	}
	projectsA, automationA := names(a)
	projectsB, automationB := names(b)
	return a.Enabled == b.Enabled && s.paths(projectsA, projectsB) && s.paths(automationA, automationB)
}

// config converts how the endpoint is reached and what it does besides predicting.
func (m *model) config(ctx context.Context, diags *diag.Diagnostics) vertex.EndpointConfig {
	c := vertex.EndpointConfig{Network: m.Network.ValueString(), Dedicated: m.DedicatedEndpointEnabled.ValueBool(), Isolated: m.PrivateModelServerEnabled.ValueBool()}
	if v, ok := known[encryptionSpec](ctx, m.EncryptionSpec, diags); ok {
		c.KMSKey = v.KMSKeyName.ValueString()
	}
	if v, ok := known[connectConfig](ctx, m.PrivateServiceConnectConfig, diags); ok {
		c.Connect = vertex.Connect{Enabled: v.Enable.ValueBool(), Projects: texts(elements[types.String](ctx, v.ProjectAllowlist, diags))}
		for _, o := range elements[types.Object](ctx, v.Automation, diags) {
			if a, ok := known[automation](ctx, o, diags); ok {
				c.Connect.Automation = append(c.Connect.Automation, vertex.Automation{Project: a.ProjectID.ValueString(), Network: a.Network.ValueString()})
			}
		}
	}
	if v, ok := known[loggingConfig](ctx, m.PredictRequestResponseLoggingConfig, diags); ok {
		to, _ := known[destination](ctx, v.Destination, diags)
		c.RequestLogging = vertex.RequestLogging{Enabled: v.Enabled.ValueBool(), SamplingRate: v.SamplingRate.ValueFloat64(), Destination: to.OutputURI.ValueString()}
	}
	if v, ok := known[connectionConfig](ctx, m.ClientConnectionConfig, diags); ok {
		c.InferenceTimeout, _ = time.ParseDuration(v.InferenceTimeout.ValueString())
	}
	return c
}

// private reports whether the endpoint is in a network of its own, as far as is known.
func (m *model) private(ctx context.Context, diags *diag.Diagnostics) bool {
	c := m.config(ctx, diags)
	return c.Network != "" || c.Connect.Enabled
}

// replaces reports whether a plan for the endpoint changes what never changes about one.
func (m *model) replaces(ctx context.Context, state *model, same spelling, diags *diag.Diagnostics) bool {
	is, was := m.config(ctx, diags), state.config(ctx, diags)
	return is.KMSKey != was.KMSKey || is.Dedicated != was.Dedicated || is.Isolated != was.Isolated || is.Connect.Enabled != was.Connect.Enabled || !same.path.Equal(is.Network, was.Network)
}

// takeConfig takes over how the server has the endpoint; what means the same stays as
// it is spelled.
func (m *model) takeConfig(ctx context.Context, c vertex.EndpointConfig, same spelling, diags *diag.Diagnostics) {
	before := m.config(ctx, diags)
	if before.KMSKey != c.KMSKey || m.EncryptionSpec.IsNull() {
		m.EncryptionSpec = types.ObjectNull(encryptionType)
		if c.KMSKey != "" {
			m.EncryptionSpec = object(ctx, encryptionType, encryptionSpec{types.StringValue(c.KMSKey)}, diags)
		}
	}
	if !same.path.Equal(before.Network, c.Network) || m.Network.IsUnknown() {
		m.Network = tfkit.StringOrNull(c.Network, m.Network)
	}
	m.DedicatedEndpointEnabled = boolOrNull(c.Dedicated, m.DedicatedEndpointEnabled)
	m.PrivateModelServerEnabled = boolOrNull(c.Isolated, m.PrivateModelServerEnabled)
	if !same.connect(before.Connect, c.Connect) {
		m.PrivateServiceConnectConfig = connectValue(ctx, c.Connect, diags)
	}
	if !before.RequestLogging.Same(c.RequestLogging) {
		m.PredictRequestResponseLoggingConfig = loggingValue(ctx, c.RequestLogging, diags)
	}
	if before.InferenceTimeout != c.InferenceTimeout || m.ClientConnectionConfig.IsUnknown() {
		m.ClientConnectionConfig = types.ObjectNull(connectionType)
		if t := c.InferenceTimeout; t != 0 {
			m.ClientConnectionConfig = object(ctx, connectionType, connectionConfig{tfkit.SecondsOrNull(t)}, diags)
		}
	}
}

func connectValue(ctx context.Context, c vertex.Connect, diags *diag.Diagnostics) types.Object {
	if !c.Enabled {
		return types.ObjectNull(connectType)
	}
	var automations []automation
	for _, a := range c.Automation {
		automations = append(automations, automation{types.StringValue(a.Project), types.StringValue(a.Network)})
	}
	return object(ctx, connectType, connectConfig{
		types.BoolValue(true), list(ctx, types.StringType, c.Projects, diags), list(ctx, types.ObjectType{AttrTypes: automationType}, automations, diags),
	}, diags)
}

func loggingValue(ctx context.Context, l vertex.RequestLogging, diags *diag.Diagnostics) types.Object {
	if l == (vertex.RequestLogging{}) {
		return types.ObjectNull(loggingType)
	}
	v := loggingConfig{types.BoolValue(l.Enabled), types.Float64Null(), types.ObjectNull(destinationType)}
	if l.SamplingRate != 0 {
		v.SamplingRate = types.Float64Value(l.SamplingRate)
	}
	if l.Destination != "" {
		v.Destination = object(ctx, destinationType, destination{types.StringValue(l.Destination)}, diags)
	}
	return object(ctx, loggingType, v, diags)
}
