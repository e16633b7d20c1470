// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package vertexmodelupload is gcpml_vertex_model_upload: a model in the Vertex AI
// Model Registry. A change of what it holds uploads a new version of the same
// model and makes that the default one.
package vertexmodelupload

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// TypeName is the resource's type in HCL.
const TypeName = "gcpml_vertex_model_upload"

const (
	createTimeout = 30 * time.Minute
	readTimeout   = 10 * time.Minute
	updateTimeout = 30 * time.Minute
	deleteTimeout = 60 * time.Minute
)

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
)

// Resource manages one model with its versions.
type Resource struct{ clients *gcp.Clients }

// New returns the resource, not yet configured.
func New() resource.Resource { return &Resource{} }

// Metadata tells the type's name.
func (*Resource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = TypeName
}

// IdentitySchema describes what names a model for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"model_id": "Id of the model."},
		map[string]string{"project": "Project id. Defaults to the provider's.", "location": "Region. Defaults to the provider's."})
}

// Schema describes the arguments and attributes.
func (*Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseNonNullStateForUnknown()}
	fixed := append(keep, stringplanmodifier.RequiresReplace())
	route := tfkit.Matches(regexp.MustCompile(`^/\S*$`), "Invalid route", "a path that starts with /")
	resp.Schema = schema.Schema{
		MarkdownDescription: "A model in the Vertex AI Model Registry, uploaded from Cloud Storage. A change of `artifact_uri` or `container_spec` uploads a new version of the same model " +
			"and moves the alias `default` to it; earlier versions stay, so that an endpoint can serve them until it is moved on. Destroying deletes the model with all its versions.",
		Attributes: tfkit.WithLabels("the model", tfkit.WithDeletionPolicy("the model", map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed: true, PlanModifiers: keep,
				MarkdownDescription: "Full resource name, `projects/{project}/locations/{location}/models/{model_id}`.",
			},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: fixed, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id. Defaults to the provider's. A change replaces the model.",
			},
			"location": schema.StringAttribute{
				Optional: true, Computed: true,
				PlanModifiers:       append(keep, tfkit.Equivalence(tfkit.SameLocation).KeepEquivalent(), tfkit.Equivalence(tfkit.SameLocation).ReplaceUnlessEquivalent()),
				Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`), "Invalid location", "a region such as us-central1")},
				MarkdownDescription: "Region, such as `us-central1`. Defaults to the provider's. A change replaces the model.",
			},
			"model_id": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: fixed,
				Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,62}$`), "Invalid model id", "1 to 63 lower-case letters, digits, _ and -, starting with a letter or _")},
				MarkdownDescription: "Id of the model, the last part of its name. Made from `display_name` at creation by default and then fixed. A change replaces the model.",
			},
			"display_name": schema.StringAttribute{
				Required: true, Validators: []validator.String{stringvalidator.UTF8LengthBetween(1, 128)},
				MarkdownDescription: "Name for people, up to 128 characters.",
			},
			"description": schema.StringAttribute{Optional: true, MarkdownDescription: "Description of the model."},
			"artifact_uri": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/\S*)?$`), "Invalid artifact_uri", "a folder in Cloud Storage, gs://BUCKET/PATH/, where the bucket has 3 or more lower-case letters, digits, ., _ and -")},
				MarkdownDescription: "Folder in Cloud Storage that holds the model artifact, `gs://BUCKET/PATH/`. It may be left out for a container that brings its own model. A change uploads a new version.",
			},
			"container_spec": schema.SingleNestedAttribute{
				Required:            true,
				MarkdownDescription: "Container that serves the model. A change uploads a new version.",
				Attributes: map[string]schema.Attribute{
					"image_uri": schema.StringAttribute{
						Required:            true,
						Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+/\S+$`), "Invalid image_uri", "an image in Artifact Registry, LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG, without https://")},
						MarkdownDescription: "Image in Artifact Registry, for example one of [Google's prebuilt containers](https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers).",
					},
					"env": schema.ListNestedAttribute{
						Optional: true, MarkdownDescription: "Environment variables, in order: later ones may refer to earlier ones as `$(NAME)`. Values are stored in the state: do not put secrets here.",
						NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
							"name": schema.StringAttribute{
								Required: true, Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`), "Invalid name", "letters, digits and _, not starting with a digit")},
								MarkdownDescription: "Name of the variable.",
							},
							"value": schema.StringAttribute{Required: true, MarkdownDescription: "Its value."},
						}},
					},
					"ports": schema.ListNestedAttribute{
						Optional: true, Validators: []validator.List{listvalidator.SizeAtLeast(1)},
						MarkdownDescription: "Ports that the container listens on. Vertex AI uses the first one; without any it is 8080.",
						NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
							"container_port": schema.Int32Attribute{Required: true, Validators: []validator.Int32{int32validator.Between(1, 65535)}, MarkdownDescription: "Port number."},
						}},
					},
					"predict_route": schema.StringAttribute{Optional: true, Validators: []validator.String{route}, MarkdownDescription: "Path on the container that answers predictions."},
					"health_route":  schema.StringAttribute{Optional: true, Validators: []validator.String{route}, MarkdownDescription: "Path on the container that answers health checks."},
				},
			},
			"version_id": schema.StringAttribute{
				Computed: true, PlanModifiers: keep,
				MarkdownDescription: "Id of the default version, which holds `artifact_uri` and `container_spec`.",
			},
			"versioned_name": schema.StringAttribute{
				Computed: true, PlanModifiers: keep,
				MarkdownDescription: "Name of that version, `projects/{project}/locations/{location}/models/{model_id}@{version_id}`: what a deployment refers to, so that a new version is rolled out.",
			},
			"create_time": schema.StringAttribute{Computed: true, PlanModifiers: keep, MarkdownDescription: "When the model was created (RFC 3339)."},
		})),
		Blocks: map[string]schema.Block{"timeouts": timeouts.Block(ctx, timeouts.Opts{Create: true, Read: true, Update: true, Delete: true})},
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
	config.validate(&resp.Diagnostics)
}

// ModifyPlan fills in defaults, and makes the version unknown exactly when its
// content changes.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, "model", &resp.Diagnostics)
		return
	}
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	var state *model
	if !req.State.Raw.IsNull() {
		state = new(model)
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	plan.setDefaults(r.clients, &config, state, &resp.Diagnostics)
	if state != nil {
		if plan.identity().Replaces(state.identity()) {
			tfkit.PlanDestroy(ctx, req.State, "model", &resp.Diagnostics)
		}
		private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
		if plan.contentChanged(ctx, state, private, &resp.Diagnostics) {
			plan.VersionID, plan.VersionedName = types.StringUnknown(), types.StringUnknown()
		}
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
}

// Create uploads the first version.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan, config model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	plan.setDefaults(r.clients, &config, nil, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Create(ctx, createTimeout)
	resp.Diagnostics.Append(d...)
	spec := plan.toSpec(ctx, nil, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	spec.Marker = vertex.ModelMarker(r.clients.OwnershipID(), spec)
	private := tfkit.Private{Incarnation: spec.Marker.Incarnation}
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()

	save := func() {
		tfkit.SetPartial(ctx, &resp.State, plan, &resp.Diagnostics)
		tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	}
	m, err := vertex.New(r.clients).UploadModel(ctx, spec, vertex.Report{
		Progress:  tfkit.Progress(ctx),
		Operation: func(name string) { private.Operation = name; save() },
	})
	var notMade *vertex.NotMadeError
	if errors.As(err, &notMade) {
		resp.State.RemoveResource(ctx)
		tfkit.AddError(&resp.Diagnostics, "upload", "model", spec.Name.ID, err)
		return
	}
	if err != nil {
		save()
		tfkit.AddCreateFailure(ctx, &resp.Diagnostics, "upload", "model", spec.Name.ID, err)
		return
	}
	private.Operation = ""
	labels := plan.LabelSet
	plan.fromRemote(ctx, m, &resp.Diagnostics)
	plan.LabelSet = labels.Applied(m.Labels)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read takes over what the server has at the default version.
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
	m, err := service.ReadModel(ctx, state.name())
	unfinished := private.Operation != "" || state.CreateTime.IsNull() && private.Emulated != nil
	if gcp.IsNotFound(err) && unfinished {
		// The upload was interrupted: it may still run.
		if err = service.Await(ctx, state.name(), private.Operation, vertex.Report{Progress: tfkit.Progress(ctx)}); err == nil {
			m, err = service.ReadModel(ctx, state.name())
		}
	}
	if gcp.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, "model", state.ModelID.ValueString(), err)
		return
	}
	if imported := state.CreateTime.IsNull() && private.Emulated == nil; imported {
		private.Incarnation = m.Object.Incarnation
		state.ImportLabels(m.Labels, r.clients.Config().DefaultLabels)
		tfkit.ReadDeletionPolicy(&state.DeletionPolicy, r.clients)
		if m.Container == nil {
			private.Extra = map[string]string{hiddenContainer: "true"}
		}
	} else if !state.object(private).Is(m.Object) {
		resp.Diagnostics.AddWarning("The model \""+state.ModelID.ValueString()+"\" was replaced behind Terraform's back", vertex.ErrReplaced.Error()+". To manage the new one, import it: "+state.ID.ValueString())
		resp.State.RemoveResource(ctx)
		return
	}
	if v := state.VersionID.ValueString(); v != "" && v != m.VersionID {
		private.Extra = nil // another version, of which nothing may be taken for granted
	}
	private.Operation = ""
	state.fromRemote(ctx, m, &resp.Diagnostics)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update changes fields in place and uploads a new version of changed content.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := plan.Timeouts.Update(ctx, updateTimeout)
	resp.Diagnostics.Append(d...)
	plan.PlanLabels(&state.LabelSet, r.clients.Config().DefaultLabels) // with what was unknown during plan
	spec := plan.toSpec(ctx, &state.LabelSet, &resp.Diagnostics)
	plan.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	from := ""
	if plan.contentChanged(ctx, &state, private, &resp.Diagnostics) {
		from = cmp.Or(state.VersionID.ValueString(), "0") // not known when the creation was interrupted
	}
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	spec.Marker = vertex.ModelMarker(r.clients.OwnershipID(), spec)
	if private.Incarnation != "" {
		spec.Marker.Incarnation = private.Incarnation
	}
	private.Incarnation = spec.Marker.Incarnation
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()

	m, err := vertex.New(r.clients).UpdateModel(ctx, spec, from, vertex.Report{
		Progress: tfkit.Progress(ctx),
		Operation: func(name string) {
			private.Operation = name
			tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
		},
		Model: func(m *vertex.Model) { r.savePartial(ctx, &resp.State, plan, state, m, &resp.Diagnostics) },
	})
	if err != nil {
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "update", "model", spec.Name.ID, err)
		return
	}
	private.Operation, private.Extra = "", nil
	planned := plan
	plan.fromRemote(ctx, m, &resp.Diagnostics)
	plan.LabelSet = planned.Applied(m.Labels)
	if !planned.VersionID.IsUnknown() {
		plan.VersionID, plan.VersionedName = planned.VersionID, planned.VersionedName // what others did meanwhile shows on the next reading
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// savePartial writes what the server has in the middle of an update.
func (*Resource) savePartial(ctx context.Context, to *tfsdk.State, plan, state model, m *vertex.Model, diags *diag.Diagnostics) {
	if m.VersionID != state.VersionID.ValueString() {
		state.ContainerSpec, state.VersionID = plan.ContainerSpec, types.StringNull() // the new version is the default one
	}
	state.fromRemote(ctx, m, diags)
	tfkit.SetPartial(ctx, to, state, diags)
}

// Delete deletes the model with all its versions, if it is still ours.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := state.Timeouts.Delete(ctx, deleteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(state.DeletionPolicy, "model", state.ModelID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	service, report := vertex.New(r.clients), vertex.Report{Progress: tfkit.Progress(ctx)}
	if private.Operation != "" {
		if err := service.Await(ctx, state.name(), private.Operation, report); err != nil {
			tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "model", state.ModelID.ValueString(), err)
			return
		}
	}
	switch err := service.DeleteModel(ctx, state.name(), state.object(private), report); {
	case errors.Is(err, vertex.ErrReplaced):
		resp.Diagnostics.AddWarning("The model \""+state.ModelID.ValueString()+"\" was not deleted", "It is not the one that was made here: "+err.Error()+".")
	case err != nil:
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", "model", state.ModelID.ValueString(), err)
	default:
		tfkit.ConfirmGone(ctx, &resp.Diagnostics, "model", state.ModelID.ValueString(), func(ctx context.Context) ([]string, error) {
			m, err := service.ReadModel(ctx, state.name())
			if gcp.IsNotFound(err) || err == nil && !state.object(private).Is(m.Object) {
				return nil, nil
			}
			return []string{state.ID.ValueString()}, err
		})
	}
}

// ImportState takes the full name, PROJECT/LOCATION/ID or LOCATION/ID, or the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	tfkit.Import(ctx, gcp.KindModel, "model_id", r.clients.Region(), r.clients, req, resp)
}
