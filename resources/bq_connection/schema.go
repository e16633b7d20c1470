// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqconnection

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

var (
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	keyPattern  = regexp.MustCompile(`^projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+$`)
	rolePattern = regexp.MustCompile(`^(roles|(projects/[a-z0-9.:-]+|organizations/[0-9]+)/roles)/[A-Za-z0-9_.]+$`)
)

// Schema describes the attributes.
func (*Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := stringplanmodifier.UseNonNullStateForUnknown()
	location := tfkit.Equivalence(tfkit.SameLocation)
	resp.Schema = schema.Schema{
		MarkdownDescription: "A BigQuery connection of type `CLOUD_RESOURCE`, through which a remote model calls a Vertex AI endpoint, " +
			"and the roles that its service account is granted.\n\n" +
			"Grants are not authoritative: only the roles listed here are looked after, and other members and conditional bindings are left as they are. " +
			"Do not list a role here of which something else owns all members, such as `google_project_iam_binding`: each would undo the other. gcpml says so when a role that it granted twice is gone again. " +
			"A grant takes minutes to be effective; `gcpml_bq_remote_model` waits for it, so no `time_sleep` is needed.\n\n" +
			"A connection has no labels. Unless `friendly_name` is set, gcpml writes its marker there, by which an apply that was killed finds its connection again (see the provider's `ownership_id`).",
		Attributes: tfkit.WithDeletionPolicy("the connection with its grants", map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{keep},
				MarkdownDescription: "`projects/PROJECT/locations/LOCATION/connections/CONNECTION_ID`, with project and location as configured.",
			},
			"project": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.String{keep}, Validators: []validator.String{tfkit.ProjectID()},
				MarkdownDescription: "Project id. Default: the provider's project. A change replaces the connection.",
			},
			"location": schema.StringAttribute{
				Required: true, Validators: []validator.String{tfkit.Location()},
				PlanModifiers:       []planmodifier.String{location.KeepEquivalent(), location.ReplaceUnlessEquivalent()},
				MarkdownDescription: "BigQuery location, such as `US` or `europe-west4`: the one of the dataset that holds the remote models. Upper and lower case mean the same. A change replaces the connection.",
			},
			"connection_id": schema.StringAttribute{
				Optional: true, Computed: true,
				PlanModifiers:       []planmodifier.String{keep, stringplanmodifier.RequiresReplace()},
				Validators:          []validator.String{tfkit.Matches(idPattern, "Invalid connection id", "letters, digits, underscores and hyphens"), stringvalidator.LengthAtMost(1024)},
				MarkdownDescription: "Id of the connection. Default: made from `friendly_name`, and fixed from then on. A change replaces the connection.",
			},
			"friendly_name": schema.StringAttribute{Optional: true, MarkdownDescription: "Display name. Default: gcpml's marker, which is not shown here."},
			"description":   schema.StringAttribute{Optional: true, MarkdownDescription: "Description."},
			"kms_key_name": schema.StringAttribute{
				Optional: true, Validators: []validator.String{keyName{tfkit.Matches(keyPattern, "Invalid kms_key_name", "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")}},
				MarkdownDescription: "Cloud KMS key, `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`, that encrypts the credentials of the connection. Default: a key of Google's own. It is set, exchanged and taken off in place. " +
					"BigQuery's encryption account, `bq-PROJECT_NUMBER@bigquery-encryption.iam.gserviceaccount.com`, needs `roles/cloudkms.cryptoKeyEncrypterDecrypter` on the key; this resource does not grant it. " +
					"The API takes a key for every type of connection, but a connection to cloud resources stores no credential: policies that want a key everywhere are what it is for. " +
					"Where the key has to be is documented for datasets only (their location; `us` for `US`, `europe` for `EU`), so it is not checked here.",
			},
			"roles": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				Validators: []validator.Set{setvalidator.ValueStringsAre(tfkit.Matches(rolePattern, "Invalid role",
					"roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME"))},
				MarkdownDescription: "Roles to grant to the connection's service account in the project, such as `roles/aiplatform.user`, which a remote model over an endpoint of the same project needs. " +
					"A role that is removed from the list is revoked if it was granted here; destroying the connection revokes all of them.",
			},
			"project_roles": schema.MapAttribute{
				Optional: true, ElementType: types.SetType{ElemType: types.StringType},
				Validators: []validator.Map{
					mapvalidator.KeysAre(tfkit.ProjectID()),
					mapvalidator.ValueSetsAre(setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(tfkit.Matches(rolePattern, "Invalid role",
						"roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME"))),
				},
				MarkdownDescription: "Roles to grant to the connection's service account in other projects, by project id, such as the project of an endpoint that a remote model uses. They are looked after as `roles` are. An import does not find them.",
			},
			"service_account_id": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{keep},
				MarkdownDescription: "E-mail address of the connection's service account, for grants on other resources.",
			},
		}),
		Blocks: map[string]schema.Block{"timeouts": timeouts.BlockAll(ctx)},
	}
}

// keyName validates the name of a key, with words of its own for that of a version,
// which is what consoles and logs often show.
type keyName struct{ validator.String }

// ValidateString reports what is no name of a key.
func (v keyName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	key, version, found := strings.Cut(req.ConfigValue.ValueString(), "/cryptoKeyVersions/")
	if found {
		resp.Diagnostics.AddAttributeError(req.Path, "Version of a key",
			fmt.Sprintf("A connection takes a key, whose primary version is used: cut /cryptoKeyVersions/%s off, so that %q is left.", version, key))
		return
	}
	v.String.ValidateString(ctx, req, resp)
}
