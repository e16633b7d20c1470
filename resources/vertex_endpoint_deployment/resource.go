// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexendpointdeployment is gcpml_vertex_endpoint_deployment: a Vertex
// AI endpoint together with the models deployed to it and the traffic split
// between them. They are one resource because only one owner of a traffic split
// can roll out.
package vertexendpointdeployment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// TypeName is the resource's type in HCL.
const TypeName = "gcpml_vertex_endpoint_deployment"

// A deployment of a large model takes most of an hour, and an update may have
// several.
const (
	createTimeout = 180 * time.Minute
	readTimeout   = 10 * time.Minute
	updateTimeout = 180 * time.Minute
	deleteTimeout = 60 * time.Minute
)

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
)

// Resource manages one endpoint and what it serves.
type Resource struct{ clients *gcp.Clients }

// New returns the resource, not yet configured.
func New() resource.Resource { return &Resource{} }

// Metadata tells the type's name.
func (*Resource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = TypeName
}

// IdentitySchema describes what names an endpoint for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"endpoint_id": "Id of the endpoint."},
		map[string]string{"project": "Project id. Defaults to the provider's.", "location": "Region. Defaults to the provider's."})
}

// Schema describes the arguments and attributes.
func (*Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A Vertex AI endpoint, the models deployed to it and the traffic between them. A changed model or machine is rolled out without a failed request: " +
			"the new one is deployed beside the old one, the traffic moves over, and the old one is undeployed; `rollout` says in which steps, and what a new model must predict first. Replica counts change in place. The endpoint keeps its id and name throughout.\n\n" +
			"What others deploy to the endpoint is left alone and keeps its share of the traffic.",
		Attributes: tfkit.WithLabels("the endpoint", tfkit.WithDeletionPolicy("the endpoint with what it serves", attributes())),
		Blocks:     map[string]schema.Block{"timeouts": timeouts.Block(ctx, timeouts.Opts{Create: true, Read: true, Update: true, Delete: true})},
	}
}

// Configure takes the provider's clients.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig checks what needs no server.
func (*Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config model
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	config.validate(ctx, &resp.Diagnostics)
}

// ModifyPlan fills in defaults, and makes what the server has unknown as a whole
// when a deployment or the traffic changes. The endpoint's id and name never
// become unknown in an update.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, "endpoint", &resp.Diagnostics)
		return
	}
	var plan, config model
	var state *model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if !req.State.Raw.IsNull() {
		state = new(model)
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	plan.setDefaults(r.clients, &config, state, &resp.Diagnostics)
	plan.validate(ctx, &resp.Diagnostics) // with what was unknown during validation
	plan.warn(ctx, &resp.Diagnostics)
	if state != nil {
		if plan.identity().Replaces(state.identity()) || plan.replaces(ctx, state, r.same(), &resp.Diagnostics) {
			tfkit.PlanDestroy(ctx, req.State, "endpoint", &resp.Diagnostics)
		}
		if config.ClientConnectionConfig.IsNull() {
			plan.ClientConnectionConfig = state.ClientConnectionConfig // what is not configured stays as it is
		}
		plan.keepSpelling(ctx, state, r.same(), &resp.Diagnostics)
		if !plan.Network.Equal(state.Network) {
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root("network"))
		}
		if !plan.Deployments.Equal(state.Deployments) || !plan.Traffic.Equal(state.Traffic) || !plan.DesiredState.Equal(state.DesiredState) {
			plan.Deployed = types.MapUnknown(types.ObjectType{AttrTypes: deployedType})
			plan.EffectiveTraffic = types.MapUnknown(types.Int32Type)
			if plan.triesOut(ctx, &resp.Diagnostics) || state.triesOut(ctx, &resp.Diagnostics) {
				plan.DedicatedEndpointDNS = types.StringUnknown()
			}
		}
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
}

func (r *Resource) same() spelling { return newSpelling(func() *gcp.Clients { return r.clients }) }

// Create makes the endpoint and rolls out its deployments. Should that fail, the
// endpoint stays in the state.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	plan.setDefaults(r.clients, &config, nil, &resp.Diagnostics)
	plan.validate(ctx, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Create(ctx, createTimeout)
	resp.Diagnostics.Append(d...)
	spec := plan.toSpec(ctx, nil, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	spec.Marker = vertex.EndpointMarker(r.clients.OwnershipID(), spec.Name, spec.Config)
	private := tfkit.Private{Incarnation: spec.Marker.Incarnation}
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()

	made := false
	save := func() {
		tfkit.SetPartial(ctx, &resp.State, plan, &resp.Diagnostics)
		tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	}
	e, err := vertex.New(r.clients).CreateEndpoint(ctx, spec, vertex.Report{
		Progress:  tfkit.Progress(ctx),
		Operation: func(name string) { private.Operation = name; save() },
		Endpoint:  func(*vertex.Endpoint) { made = true },
	})
	var notMade *vertex.NotMadeError
	if errors.As(err, &notMade) {
		resp.State.RemoveResource(ctx)
		tfkit.AddError(&resp.Diagnostics, "create", "endpoint", spec.Name.ID, err)
		return
	}
	if err != nil {
		save()
		if made && !gcp.IsInterrupted(ctx, err) {
			err = fmt.Errorf("%w\n\nThe endpoint exists and is in the state. Terraform marks it as tainted, which would replace it with all that it serves: "+
				"to keep it, `terraform untaint` it, correct the cause and apply again.", err)
		}
		tfkit.AddCreateFailure(ctx, &resp.Diagnostics, "create", "endpoint", spec.Name.ID, err)
		return
	}
	private.Operation = ""
	r.finish(ctx, &plan, plan, e, spec, &resp.Diagnostics)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// finish turns a plan into the state after it was carried out.
func (r *Resource) finish(ctx context.Context, m *model, planned model, e *vertex.Endpoint, spec vertex.EndpointSpec, diags *diag.Diagnostics) {
	m.fromRemote(ctx, e, spec.Ours, r.same(), diags)
	m.LabelSet = planned.Applied(e.Labels)
	if !planned.Deployed.IsUnknown() {
		m.Deployed, m.EffectiveTraffic = planned.Deployed, planned.EffectiveTraffic // what others did meanwhile shows on the next reading
	}
	if !planned.DedicatedEndpointDNS.IsUnknown() {
		m.DedicatedEndpointDNS = planned.DedicatedEndpointDNS
	}
	if foreign := vertex.ForeignTraffic(e, spec.Ours); foreign > 0 && len(spec.Deployments) > 0 && !spec.Paused {
		diags.AddAttributeWarning(path.Root("traffic"), fmt.Sprintf("Others hold %d%% of the traffic of the endpoint %q", foreign, spec.Name.ID),
			"Models that were not deployed by this resource keep their share; the rest is divided as configured.")
	}
}

// Read takes over what the server has.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := state.Timeouts.Read(ctx, readTimeout)
	resp.Diagnostics.Append(d...)
	state.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "read", timeout)
	defer cancel()
	service := vertex.New(r.clients)
	e, err := service.ReadEndpoint(ctx, state.name())
	if gcp.IsNotFound(err) && private.Unfinished(state.CreateTime) {
		// The creation was interrupted: it may still run.
		if err = service.Await(ctx, state.name(), private.Operation, vertex.Report{Progress: tfkit.Progress(ctx)}); err == nil {
			e, err = service.ReadEndpoint(ctx, state.name())
		}
	}
	if gcp.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, "endpoint", state.EndpointID.ValueString(), err)
		return
	}
	if imported := state.CreateTime.IsNull() && private.Emulated == nil; imported {
		private.Incarnation = e.Object.Incarnation
		state.ImportLabels(e.Labels, r.clients.Config().DefaultLabels)
		tfkit.ReadDeletionPolicy(&state.DeletionPolicy, r.clients)
	} else if !state.object(private).Is(e.Object) {
		resp.Diagnostics.AddWarning("The endpoint \""+state.EndpointID.ValueString()+"\" was replaced behind Terraform's back", vertex.ErrReplaced.Error()+". To manage the new one, import it: "+state.ID.ValueString())
		resp.State.RemoveResource(ctx)
		return
	}
	if private.Incarnation == "" { // imported, or forgotten by Terraform because the provider was killed
		private.Incarnation = e.Object.Incarnation
	}
	state.fromRemote(ctx, e, state.ours(ctx, &resp.Diagnostics), r.same(), &resp.Diagnostics)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update rolls out, from whatever an earlier update left.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Update(ctx, updateTimeout)
	resp.Diagnostics.Append(d...)
	plan.PlanLabels(&state.LabelSet, r.clients.Config().DefaultLabels) // with what was unknown during plan
	plan.validate(ctx, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	spec := plan.toSpec(ctx, &state, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	spec.Marker = vertex.EndpointMarker(r.clients.OwnershipID(), spec.Name, spec.Config)
	if private.Incarnation != "" {
		spec.Marker.Incarnation = private.Incarnation
	}
	private.Incarnation = spec.Marker.Incarnation
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()

	planned := plan
	e, err := vertex.New(r.clients).UpdateEndpoint(ctx, spec, vertex.Report{
		Progress: tfkit.Progress(ctx),
		Operation: func(name string) {
			private.Operation = name
			tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
		},
		Endpoint: func(e *vertex.Endpoint) {
			partial := state
			partial.fromRemote(ctx, e, spec.Ours, r.same(), &resp.Diagnostics)
			tfkit.SetPartial(ctx, &resp.State, partial, &resp.Diagnostics)
		},
	})
	if err != nil {
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "update", "endpoint", spec.Name.ID, err)
		return
	}
	private.Operation = ""
	r.finish(ctx, &plan, planned, e, spec, &resp.Diagnostics)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Delete undeploys what is ours and deletes the endpoint, if it is still ours.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := state.Timeouts.Delete(ctx, deleteTimeout)
	resp.Diagnostics.Append(d...)
	ours := state.ours(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(state.DeletionPolicy, "endpoint", state.EndpointID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	name, service, report := state.name(), vertex.New(r.clients), vertex.Report{Progress: tfkit.Progress(ctx)}
	if private.Operation != "" {
		if err := service.Await(ctx, name, private.Operation, report); err != nil {
			tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "endpoint", name.ID, err)
			return
		}
	}
	switch err := service.DeleteEndpoint(ctx, name, state.object(private), ours, state.ForceDestroy.ValueBool(), report); {
	case errors.Is(err, vertex.ErrReplaced):
		resp.Diagnostics.AddWarning("The endpoint \""+name.ID+"\" was not deleted", "It is not the one that was made here: "+err.Error()+".")
	case err != nil:
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "endpoint", name.ID, err)
	default:
		tfkit.ConfirmGone(ctx, &resp.Diagnostics, "endpoint", name.ID, func(ctx context.Context) ([]string, error) {
			e, err := service.ReadEndpoint(ctx, name)
			if gcp.IsNotFound(err) || err == nil && !state.object(private).Is(e.Object) {
				return nil, nil
			}
			return []string{name.String()}, err
		})
	}
}

// ImportState takes the full name, PROJECT/LOCATION/ID or LOCATION/ID, or the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	tfkit.Import(ctx, gcp.KindEndpoint, "endpoint_id", r.clients.Region(), r.clients, req, resp)
}
