// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpoint

import (
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/datasource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// model is the data source in HCL and in state. What the server has is plain Go: a data
// source has no values that stay unknown, and none that keep a spelling.
type model struct {
	Endpoint       types.String      `tfsdk:"endpoint"`
	DisplayName    types.String      `tfsdk:"display_name"`
	Project        types.String      `tfsdk:"project"`
	Location       types.String      `tfsdk:"location"`
	ID             types.String      `tfsdk:"id"`
	EndpointID     types.String      `tfsdk:"endpoint_id"`
	Description    types.String      `tfsdk:"description"`
	Labels         map[string]string `tfsdk:"labels"`
	CreateTime     types.String      `tfsdk:"create_time"`
	UpdateTime     types.String      `tfsdk:"update_time"`
	Shared         types.Bool        `tfsdk:"shared"`
	Dedicated      types.Bool        `tfsdk:"dedicated_endpoint_enabled"`
	DedicatedDNS   types.String      `tfsdk:"dedicated_endpoint_dns"`
	Network        types.String      `tfsdk:"network"`
	Encryption     *encryption       `tfsdk:"encryption_spec"`
	Connect        *connect          `tfsdk:"private_service_connect_config"`
	Logging        *logging          `tfsdk:"predict_request_response_logging_config"`
	Timeout        types.String      `tfsdk:"inference_timeout"`
	DeployedModels []deployed        `tfsdk:"deployed_models"`
	Timeouts       timeouts.Value    `tfsdk:"timeouts"`
}

type encryption struct {
	KMSKeyName string `tfsdk:"kms_key_name"`
}

type connect struct {
	Enable           bool     `tfsdk:"enable_private_service_connect"`
	ProjectAllowlist []string `tfsdk:"project_allowlist"`
}

type logging struct {
	Enabled      bool    `tfsdk:"enabled"`
	SamplingRate float64 `tfsdk:"sampling_rate"`
	OutputURI    string  `tfsdk:"output_uri"`
}

type deployed struct {
	ID                string `tfsdk:"id"`
	DisplayName       string `tfsdk:"display_name"`
	Model             string `tfsdk:"model"`
	ModelVersionID    string `tfsdk:"model_version_id"`
	Traffic           int32  `tfsdk:"traffic"`
	MachineType       string `tfsdk:"machine_type"`
	AcceleratorType   string `tfsdk:"accelerator_type"`
	AcceleratorCount  int32  `tfsdk:"accelerator_count"`
	Spot              bool   `tfsdk:"spot"`
	MinReplicaCount   int32  `tfsdk:"min_replica_count"`
	MaxReplicaCount   int32  `tfsdk:"max_replica_count"`
	SharedResources   string `tfsdk:"shared_resources"`
	ServiceAccount    string `tfsdk:"service_account"`
	PredictHTTPURI    string `tfsdk:"predict_http_uri"`
	ServiceAttachment string `tfsdk:"service_attachment"`
	CreateTime        string `tfsdk:"create_time"`
}

var endpointID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// asked is what the endpoint is asked for by, for people.
func (m *model) asked() string {
	if m.Endpoint.IsNull() {
		return m.DisplayName.ValueString()
	}
	return m.Endpoint.ValueString()
}

// validate checks how the endpoint is named; what is unknown passes.
func (m *model) validate(diags *diag.Diagnostics) {
	if !m.DisplayName.IsNull() && !m.DisplayName.IsUnknown() && m.DisplayName.ValueString() == "" {
		diags.AddAttributeError(path.Root("display_name"), "Missing display_name", "display_name must not be empty.")
	}
	if m.Endpoint.IsNull() || m.Endpoint.IsUnknown() {
		return
	}
	text := m.Endpoint.ValueString()
	name, err := gcp.ParseName(gcp.KindEndpoint, text)
	switch {
	case endpointID.MatchString(text):
	case err != nil:
		diags.AddAttributeError(path.Root("endpoint"), "Invalid endpoint", err.Error()+", nor an id.")
	default:
		conflict(m.Project, name.Project, "project", diags)
		conflict(m.Location, strings.ToLower(name.Location), "location", diags)
	}
}

func conflict(given types.String, named, attribute string, diags *diag.Diagnostics) {
	if !given.IsNull() && !given.IsUnknown() && !strings.EqualFold(given.ValueString(), named) {
		diags.AddAttributeError(path.Root(attribute), "Conflicting "+attribute, "endpoint names the "+attribute+" "+named+": leave "+attribute+" out, or give endpoint as an id.")
	}
}

// name is the endpoint's name, without an id when it is asked for by display name.
func (m *model) name(c *gcp.Clients, diags *diag.Diagnostics) gcp.Name {
	name := gcp.Name{Project: m.Project.ValueString(), Location: m.Location.ValueString(), Kind: gcp.KindEndpoint, ID: m.Endpoint.ValueString()}
	if full, err := gcp.ParseName(gcp.KindEndpoint, name.ID); err == nil {
		return full
	}
	name.Project = tfkit.Place("project", diags, name.Project, c.Project())
	name.Location = tfkit.Place("location", diags, name.Location, c.Region())
	return name
}

// fromRemote takes over what the server has.
func (m *model) fromRemote(e *vertex.Endpoint) {
	c := e.Config
	m.Project, m.Location, m.EndpointID, m.ID = types.StringValue(e.Name.Project), types.StringValue(e.Name.Location), types.StringValue(e.Name.ID), types.StringValue(e.Name.String())
	m.DisplayName, m.Description = types.StringValue(e.DisplayName), types.StringValue(e.Description)
	m.Labels = map[string]string{}
	for key, value := range e.Labels {
		if !strings.HasPrefix(key, "goog-") {
			m.Labels[key] = value
		}
	}
	m.CreateTime, m.UpdateTime = types.StringValue(moment(e.Object.CreateTime)), types.StringValue(moment(e.UpdateTime))
	m.Shared = types.BoolValue(!c.Dedicated && c.Network == "" && !c.Connect.Enabled)
	m.Dedicated, m.DedicatedDNS, m.Network = types.BoolValue(c.Dedicated), types.StringValue(e.DedicatedDNS), types.StringValue(c.Network)
	if c.KMSKey != "" {
		m.Encryption = &encryption{c.KMSKey}
	}
	if c.Connect.Enabled {
		m.Connect = &connect{true, c.Connect.Projects}
	}
	if l := c.RequestLogging; l.Enabled {
		m.Logging = &logging{true, l.SamplingRate, l.Destination}
	}
	m.Timeout = types.StringValue(tfkit.SecondsOrNull(c.InferenceTimeout).ValueString())
	m.DeployedModels = []deployed{}
	for _, d := range e.Deployed {
		r, pool := d.Resources, ""
		if r.Kind == vertex.Shared {
			pool = r.Pool.String()
		}
		m.DeployedModels = append(m.DeployedModels, deployed{
			ID: d.ID, DisplayName: d.Key, Model: d.Model.WithVersion("").String(), ModelVersionID: d.Model.Version, Traffic: e.Traffic[d.ID],
			MachineType: r.MachineType, AcceleratorType: r.AcceleratorType, AcceleratorCount: r.AcceleratorCount, Spot: r.Spot,
			MinReplicaCount: r.MinReplicas, MaxReplicaCount: r.MaxReplicas, SharedResources: pool, ServiceAccount: d.Settings.ServiceAccount,
			PredictHTTPURI: d.Private.PredictHTTPURI, ServiceAttachment: d.Private.ServiceAttachment, CreateTime: moment(d.Object.CreateTime),
		})
	}
}

func moment(t time.Time) string { return t.Format(time.RFC3339Nano) }
