// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqremotemodel is gcpml_bq_remote_model: a BigQuery model that predicts by
// calling a Vertex AI endpoint.
package bqremotemodel

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/gcpml/terraform-provider-gcpml/internal/bqml"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
)

// TypeName is the name of the resource in HCL.
const TypeName = "gcpml_bq_remote_model"

const kind = "BigQuery remote model"

// The DDL takes seconds, the grant that it waits for minutes.
const (
	defaultWriteTimeout = 30 * time.Minute
	defaultReadTimeout  = 10 * time.Minute
)

// Resource is the resource type.
type Resource struct {
	clients *gcp.Clients
	service *bqml.Service
}

// New returns the resource type.
func New() resource.Resource { return &Resource{} }

// Metadata names the type.
func (*Resource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = TypeName
}

// IdentitySchema describes what names a model for ever.
func (*Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = tfkit.IdentitySchema(map[string]string{"dataset_id": "Dataset of the model.", "model_id": "Id of the model."},
		map[string]string{"project": "Project id of the dataset. Defaults to the provider's."})
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// Schema describes the attributes.
func (*Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := stringplanmodifier.UseNonNullStateForUnknown()
	id := []validator.String{tfkit.Matches(idPattern, "Invalid id", "letters, digits and underscores"), stringvalidator.LengthAtMost(1024)}
	columns := func(description string) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{
			Required: true, Validators: []validator.List{listvalidator.SizeAtLeast(1)}, MarkdownDescription: description,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the column, and of the field of the endpoint's request or response."},
				"type": schema.StringAttribute{Required: true, MarkdownDescription: "`BOOL`, `INT64`, `FLOAT64`, `NUMERIC`, `BIGNUMERIC`, `STRING`, or `ARRAY<…>` of one of them. Case and spaces do not matter."},
			}},
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A BigQuery model of which the predictions (`ML.PREDICT`) are made by a Vertex AI endpoint.\n\n" +
			"It is made by `CREATE MODEL … REMOTE WITH CONNECTION`, which never replaces a model that exists. A changed connection, endpoint, input or output is an update in place by `CREATE OR REPLACE MODEL`, during which the name stays usable. " +
			"Right after the connection was granted its role, BigQuery refuses the statement until the grant is effective; it is retried for `iam_propagation_timeout`.",
		Attributes: tfkit.WithLabels("the model", tfkit.WithDeletionPolicy("the model", map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{keep},
				MarkdownDescription: "`projects/PROJECT/datasets/DATASET_ID/models/MODEL_ID`.",
			},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.String{keep}, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id of the dataset, which also runs the DDL jobs. Default: the provider's project. A change replaces the model.",
			},
			"dataset_id": schema.StringAttribute{
				Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, Validators: id,
				MarkdownDescription: "Dataset, which must exist in the location of the connection. A change replaces the model.",
			},
			"model_id": schema.StringAttribute{
				Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, Validators: id,
				MarkdownDescription: "Id of the model. A change replaces the model.",
			},
			"connection_name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Connection whose service account calls the endpoint: `projects/PROJECT/locations/LOCATION/connections/ID`, as the `id` of a `gcpml_bq_connection`.",
			},
			"endpoint": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "Shared public Vertex AI endpoint: `projects/PROJECT/locations/LOCATION/endpoints/ID`, as the `id` of a `gcpml_vertex_endpoint_deployment`, or its `https` URL. " +
					"A connection in a region needs an endpoint in the same region, one in `US` or `EU` an endpoint inside of it. Dedicated and private endpoints are refused.",
			},
			"input":           columns("Columns that the model takes, in this order. The query of a prediction must have a column of each name."),
			"output":          columns("Columns that the model returns, in this order. A single one may have any name."),
			"description":     schema.StringAttribute{Optional: true, MarkdownDescription: "Description."},
			"expiration_time": schema.StringAttribute{Optional: true, MarkdownDescription: "When BigQuery deletes the model, in RFC 3339 with at most milliseconds, such as `2031-12-31T23:59:59Z`. Without it the model does not expire, also in a dataset with a default expiration."},
			"iam_propagation_timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a refusal of the connection's service account is retried, from the first one on, while a grant takes effect. Default `10m`; `0s` fails at once.",
			},
			"location":     schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{keep}, MarkdownDescription: "Location of the dataset."},
			"endpoint_url": schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{keep}, MarkdownDescription: "URL that the model calls, the value of its `ENDPOINT` option."},
		})),
		Blocks: map[string]schema.Block{"timeouts": timeouts.BlockAll(ctx)},
	}
}

// Configure takes the clients.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if r.clients = tfkit.Clients(req.ProviderData, &resp.Diagnostics); r.clients != nil {
		r.service = bqml.New(r.clients)
	}
}

// ValidateConfig checks attributes against each other.
func (*Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(m.validate()...)
	}
}

// ModifyPlan fills defaults, keeps spellings that mean the same, and refuses an
// endpoint that is known to be of the wrong kind.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.clients == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		return
	}
	var plan, config, prior model
	var labels *tfkit.LabelSet
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if !req.State.Raw.IsNull() {
		labels = &prior.LabelSet
		if tfkit.SameProject(ctx, r.clients, prior.Project, plan.Project) {
			plan.Project = prior.Project
		} else {
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root("project"))
		}
		if plan.identity().Replaces(prior.identity()) {
			tfkit.PlanDestroy(ctx, req.State, kind, &resp.Diagnostics)
		}
		plan.keepSpelling(&prior, func(kind gcp.Kind, a, b string) bool {
			x, errX := gcp.ParseName(kind, a)
			y, errY := gcp.ParseName(kind, b)
			return errX == nil && errY == nil && r.service.SameName(ctx, x, y)
		})
	}
	plan.complete(&config, labels, r.clients, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
	if plan.Endpoint.Equal(prior.Endpoint) {
		return
	}
	if endpoint, err := gcp.ParseName(gcp.KindEndpoint, plan.Endpoint.ValueString()); err == nil {
		if err := r.service.CheckEndpoint(ctx, endpoint, false); err != nil {
			addError(&resp.Diagnostics, "plan", plan.ID.ValueString(), err)
		}
	}
}

// addError puts the error on the attribute that it is about.
func addError(diags *diag.Diagnostics, verb, name string, err error) {
	var field *bqml.FieldError
	if errors.As(err, &field) {
		tfkit.AddAttributeError(diags, path.Root(field.Field), verb, kind, name, err)
		return
	}
	tfkit.AddError(diags, verb, kind, name, err)
}

func (r *Resource) options(ctx context.Context, m *model, p *tfkit.Private) bqml.Options {
	propagation, _ := m.propagation() // validate has reported what does not parse
	return bqml.Options{
		Propagation: propagation,
		Progress:    tfkit.Progress(ctx),
		Incarnation: p.Incarnation,
		OnJob:       func(id string) { p.Operation = id },
	}
}

func (r *Resource) fromRemote(ctx context.Context, m *model, remote *bqml.Model) {
	m.fromRemote(remote,
		func(a, b gcp.Name) bool { return r.service.SameName(ctx, a, b) },
		func(n gcp.Name) gcp.Name {
			return n.Canonical(func(p string) (string, error) { return r.clients.ProjectID(ctx, p) })
		})
}

// Create runs the DDL and sets what it cannot set.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	timeout, d := m.Timeouts.Create(ctx, defaultWriteTimeout)
	resp.Diagnostics.Append(d...)
	m.PlanLabels(nil, r.clients.Config().DefaultLabels) // with what was unknown during plan
	spec := m.toSpec(nil, &resp.Diagnostics)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "create", timeout)
	defer cancel()
	private := tfkit.Private{Incarnation: gcp.NewIncarnation()}
	remote, err := r.service.CreateModel(ctx, spec, r.options(ctx, &m, &private))
	if remote != nil {
		remember(&private, remote)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		tfkit.SetPartial(ctx, &resp.State, &m, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "create", kind, m.ID.ValueString(), err)
	case remote == nil:
		addError(&resp.Diagnostics, "create", m.ID.ValueString(), err)
		return
	default:
		planned := m.LabelSet
		r.fromRemote(ctx, &m, remote)
		m.LabelSet = planned.Applied(remote.Labels)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
		if err != nil {
			addError(&resp.Diagnostics, "create", m.ID.ValueString(), err)
		}
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Read takes over what the server has.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Read(ctx, defaultReadTimeout)
	resp.Diagnostics.Append(d...)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "read", timeout)
	defer cancel()
	remote, err := r.service.GetModel(ctx, m.name())
	if gcp.IsNotFound(err) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		tfkit.AddReadFailure(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), err)
		return
	}
	if private.Incarnation == "" && created(private) == 0 { // imported
		remember(&private, remote)
		m.ImportLabels(remote.Labels, r.clients.Config().DefaultLabels)
		tfkit.ReadDeletionPolicy(&m.DeletionPolicy, r.clients)
	}
	r.fromRemote(ctx, &m, remote)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Update replaces the model in place, or only patches it.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Update(ctx, defaultWriteTimeout)
	resp.Diagnostics.Append(d...)
	m.PlanLabels(&state.LabelSet, r.clients.Config().DefaultLabels) // with what was unknown during plan
	spec := m.toSpec(&state.LabelSet, &resp.Diagnostics)
	m.identity().Write(ctx, resp.Identity, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "update", timeout)
	defer cancel()
	if private.Incarnation == "" { // imported without a marker
		private.Incarnation = gcp.NewIncarnation()
	}
	remote, err := r.service.UpdateModel(ctx, spec, r.options(ctx, &m, &private))
	if err == nil {
		remember(&private, remote)
	}
	switch {
	case gcp.IsInterrupted(ctx, err):
		tfkit.SetPartial(ctx, &resp.State, &m, &resp.Diagnostics)
		tfkit.AddInterrupted(ctx, &resp.Diagnostics, "update", kind, m.ID.ValueString(), err)
	case err != nil:
		addError(&resp.Diagnostics, "update", m.ID.ValueString(), err)
		if remote != nil {
			r.fromRemote(ctx, &m, remote)
			resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
		}
	default:
		planned := m.LabelSet
		r.fromRemote(ctx, &m, remote)
		m.LabelSet = planned.Applied(remote.Labels)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
	tfkit.WritePrivate(ctx, resp.Private, private, r.clients, &resp.Diagnostics)
}

// Delete deletes the model.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	private := tfkit.ReadPrivate(ctx, req.Private, &resp.Diagnostics)
	timeout, d := m.Timeouts.Delete(ctx, defaultWriteTimeout)
	resp.Diagnostics.Append(d...)
	if resp.Diagnostics.HasError() || !private.CheckMode(r.clients, &resp.Diagnostics) {
		return
	}
	if tfkit.Keeps(m.DeletionPolicy, kind, m.ID.ValueString(), &resp.Diagnostics) {
		return
	}
	ctx, cancel := tfkit.WithTimeout(ctx, "delete", timeout)
	defer cancel()
	err := r.service.DeleteModel(ctx, m.name(), private.Incarnation, created(private))
	if errors.Is(err, bqml.ErrForeign) {
		resp.Diagnostics.AddWarning("The "+kind+" was not deleted", m.ID.ValueString()+": "+err.Error()+". It is left as it is and treated as gone.")
		return
	}
	if err != nil {
		tfkit.AddChangeFailure(ctx, &resp.Diagnostics, "delete", kind, m.ID.ValueString(), err)
		return
	}
	tfkit.ConfirmGone(ctx, &resp.Diagnostics, kind, m.ID.ValueString(), func(ctx context.Context) ([]string, error) {
		remote, err := r.service.GetModel(ctx, m.name())
		if gcp.IsNotFound(err) || err == nil && !remote.Identity.Is(private.Incarnation, created(private)) {
			return nil, nil
		}
		return []string{m.ID.ValueString()}, err
	})
}

// ImportState takes projects/P/datasets/D/models/M, P/D/M or P.D.M; P may be left
// out if the provider has a project. Or it takes the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id := req.ID
	identity, given := tfkit.ReadIdentity(ctx, req, map[string]string{"project": r.clients.Project()}, []string{"project", "dataset_id", "model_id"}, &resp.Diagnostics)
	if given {
		id = gcp.RemoteModelName{Project: identity["project"], Dataset: identity["dataset_id"], ID: identity["model_id"]}.String()
	}
	if resp.Diagnostics.HasError() {
		return
	}
	name, err := gcp.ParseRemoteModelName(id, r.clients.Project())
	if err != nil {
		resp.Diagnostics.AddError("Invalid import id", sentence(err.Error()))
		return
	}
	if id, err := r.clients.ProjectID(ctx, name.Project); err == nil {
		name.Project = id
	}
	tfkit.WriteImport(ctx, name.String(), map[string]string{"project": name.Project, "dataset_id": name.Dataset, "model_id": name.ID}, resp)
}
