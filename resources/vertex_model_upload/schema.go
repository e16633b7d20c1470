// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// The grammar of an alias: Model.version_aliases, model.proto.
var aliasPattern = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$`)

// Schema describes the arguments and attributes.
func (r *Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseNonNullStateForUnknown()}
	fixed := append(keep, stringplanmodifier.RequiresReplace())
	resp.Schema = schema.Schema{
		MarkdownDescription: "A model in the Vertex AI Model Registry, uploaded from Cloud Storage. A change of what a version holds (`artifact_uri`, `artifact_revision`, the artifact itself with `detect_artifact_changes`, `container_spec`, `predict_schemata`, `metadata`) " +
			"uploads a new version of the same model and moves the alias `default` to it; earlier versions stay, so that an endpoint can serve them until it is moved on, unless `keep_versions` says otherwise. Destroying deletes the model with all its versions.",
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
			"parent_model": schema.StringAttribute{
				Optional:      true,
				PlanModifiers: []planmodifier.String{tfkit.SameName(gcp.KindModel, r.provider).KeepEquivalent(), tfkit.SameName(gcp.KindModel, r.provider).ReplaceUnlessEquivalent()},
				MarkdownDescription: "Full name of a model that somebody else manages, in which to upload a version instead of making a model: `projects/PROJECT/locations/LOCATION/models/ID`. A change replaces the resource. " +
					"What belongs to the model cannot be set then: `project`, `location`, `model_id`, `display_name`, `description`, `labels`, `encryption_spec`, `keep_versions`. " +
					"The version becomes the default one only with `default` in `version_aliases`. Destroying deletes the versions that were uploaded here and leaves the model; the default alias goes to the newest version that stays. It cannot be imported.",
			},
			"display_name": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.UTF8LengthBetween(1, 128)},
				MarkdownDescription: "Name for people, up to 128 characters. Required, unless there is a `parent_model`.",
			},
			"description": schema.StringAttribute{Optional: true, MarkdownDescription: "Description of the model."},
			"artifact_uri": schema.StringAttribute{
				Optional:   true,
				Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/\S*)?$`), "Invalid artifact_uri", "a folder in Cloud Storage, gs://BUCKET/PATH/, where the bucket has 3 or more lower-case letters, digits, ., _ and -")},
				MarkdownDescription: "Folder in Cloud Storage that holds the model artifact, `gs://BUCKET/PATH/`. It may be left out for a container that brings its own model. A change uploads a new version. " +
					"Before an upload the plan looks into the folder, if it may, and warns when it does not hold what a prebuilt container loads.",
			},
			"artifact_revision": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Any text that stands for what is in `artifact_uri`, such as a commit, or the `generation` of a `google_storage_bucket_object` of the same configuration. It is not sent to Google; a change uploads a new version. " +
					"After an import the first apply takes it over as it is.",
			},
			"detect_artifact_changes": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Upload a new version when a file below `artifact_uri` was added, written or removed: every refresh lists the folder (`storage.objects.list`) and compares it with `artifact_fingerprint`. " +
					"What changes between such a plan and its apply is an error of the apply, so that what is uploaded is what was planned; the first upload, and one from another `artifact_uri`, takes what is there. " +
					"Turning it on uploads nothing. Where the same configuration writes the files, use `artifact_revision` instead.",
			},
			"artifact_fingerprint": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "With `detect_artifact_changes`: a hash of the names and generations of the files below `artifact_uri` when they were uploaded. A file that is written again is a change, whatever it contains.",
			},
			"container_spec": containerAttribute(),
			"predict_schemata": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "YAML files in Cloud Storage, `gs://BUCKET/FILE`, that describe requests and answers as OpenAPI 3.0.2 schema objects. A change uploads a new version. " +
					"Google shows a copy's address afterwards, so that a change behind Terraform's back is not seen.",
				Attributes: map[string]schema.Attribute{
					"instance_schema_uri":   schemaURI("Schema of one instance of a request."),
					"parameters_schema_uri": schemaURI("Schema of the parameters of a request."),
					"prediction_schema_uri": schemaURI("Schema of one prediction."),
				},
			},
			"metadata_schema_uri": schemaURI("YAML file in Cloud Storage, `gs://BUCKET/FILE`, with the schema of `metadata`. A change uploads a new version."),
			"metadata": schema.StringAttribute{
				Optional: true, PlanModifiers: []planmodifier.String{tfkit.Equivalence(canonicalJSON).KeepEquivalent()}, Validators: []validator.String{jsonValidator{}},
				MarkdownDescription: "Further information about the model, as JSON: `jsonencode({ … })`. A change uploads a new version.",
			},
			"base_model_source": baseModelAttribute(),
			"encryption_spec": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Customer-managed key that encrypts the model with all its versions. A change replaces the model.",
				Attributes: map[string]schema.Attribute{
					"kms_key_name": schema.StringAttribute{
						Required:            true,
						Validators:          []validator.String{tfkit.Matches(keyPattern, "Invalid kms_key_name", "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")},
						MarkdownDescription: "Key of Cloud KMS in the region of the model, `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`.",
					},
				},
			},
			"version_description": schema.StringAttribute{Optional: true, MarkdownDescription: "Description of the version. It changes in place; a new version gets what is written here then."},
			"version_aliases": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				Validators: []validator.Set{setvalidator.ValueStringsAre(tfkit.Matches(aliasPattern, "Invalid version alias", "2 to 128 letters, digits and -, starting with a lower-case letter and ending with a lower-case letter or a digit"))},
				MarkdownDescription: "Aliases of the version, by which deployments and others can name it (`models/ID@ALIAS`). They move to a new version; one that is not listed any more when a new version is uploaded stays with the version that has it, so that each can have a name of its own. By default `[\"default\"]`. " +
					"With a list of your own, `default` must be in it for a new version to become the default one; without it the version that is managed here is the one that was uploaded last, and the first version of a model is the default one all the same. " +
					"An alias moves here from whichever version has it; other aliases of the version stay.",
			},
			"keep_versions": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0)},
				MarkdownDescription: "How many earlier versions stay when this resource changes; by default all. Older ones that gcpml uploaded are deleted, except for what is deployed to an endpoint, is the default version or has an alias of yours. " +
					"It lags one change: the version that was in use before a change stays, beside as many before it, until the next one, since endpoints are moved on only afterwards.",
			},
			"version_id": schema.StringAttribute{
				Computed: true, PlanModifiers: keep,
				MarkdownDescription: "Id of the version, which holds `artifact_uri` and `container_spec`: the default one, unless `version_aliases` leaves `default` out.",
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

func schemaURI(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, MarkdownDescription: description,
		Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/\S+$`), "Invalid schema URI", "a YAML file in Cloud Storage, gs://BUCKET/FILE")},
	}
}

// provider returns the clients, nil before the provider is configured.
func (r *Resource) provider() *gcp.Clients { return r.clients }
