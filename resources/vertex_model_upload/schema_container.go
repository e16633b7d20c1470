// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

// containerAttribute is what serves the model. The names are those of
// terraform-provider-google (google_vertex_ai_endpoint_with_model_garden_deployment).
func containerAttribute() schema.SingleNestedAttribute {
	route := tfkit.Matches(regexp.MustCompile(`^/\S*$`), "Invalid route", "a path that starts with /")
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "Container that serves the model. A change uploads a new version. The plan warns when Google's support of a prebuilt container ends.",
		Attributes: map[string]schema.Attribute{
			"image_uri": schema.StringAttribute{
				Required:            true,
				Validators:          []validator.String{tfkit.Matches(regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+/\S+$`), "Invalid image_uri", "an image in Artifact Registry, LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG, without https://")},
				MarkdownDescription: "Image in Artifact Registry, for example one of [Google's prebuilt containers](https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers).",
			},
			"command": schema.ListAttribute{
				Optional: true, ElementType: types.StringType, Validators: []validator.List{listvalidator.SizeAtLeast(1)},
				MarkdownDescription: "Executable and arguments that run instead of the image's ENTRYPOINT. It is no shell; `$(NAME)` stands for an environment variable.",
			},
			"args": schema.ListAttribute{
				Optional: true, ElementType: types.StringType, Validators: []validator.List{listvalidator.SizeAtLeast(1)},
				MarkdownDescription: "Arguments that are used instead of the image's CMD.",
			},
			"env": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Environment variables, in order: later ones may refer to earlier ones as `$(NAME)`. Each has either `value` or `value_wo`.",
				NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("name"), Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{
						Optional: true, Validators: []validator.String{tfkit.Matches(regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`), "Invalid name", "letters, digits and _, not starting with a digit")},
						MarkdownDescription: "Name of the variable; required.",
					},
					"value": schema.StringAttribute{Optional: true, MarkdownDescription: "Its value. It is stored in the state: for secrets there is `value_wo`."},
					"value_wo": schema.StringAttribute{
						Optional: true, WriteOnly: true, Sensitive: true,
						MarkdownDescription: "Its value, when it is a secret: it is sent with an upload and is neither in the plan nor in the state (write-only: Terraform 1.11 and later). Who may read the model may see it. " +
							"A change shows by `value_wo_version` only.",
					},
					"value_wo_version": schema.Int64Attribute{Optional: true, MarkdownDescription: "A number of yours that goes with `value_wo`. Change it when the secret changes, and a new version is uploaded with it."},
				}},
			},
			"ports":         portsAttribute("Ports that the container listens on. Vertex AI uses the first one; without any it is 8080."),
			"grpc_ports":    portsAttribute("Ports for predictions over gRPC, of which Vertex AI uses the first one. Without any there are none over gRPC."),
			"predict_route": schema.StringAttribute{Optional: true, Validators: []validator.String{route}, MarkdownDescription: "Path on the container that answers predictions."},
			"health_route":  schema.StringAttribute{Optional: true, Validators: []validator.String{route}, MarkdownDescription: "Path on the container that answers health checks."},
			"deployment_timeout": schema.StringAttribute{
				Optional: true, Validators: []validator.String{durationValidator{}},
				MarkdownDescription: "How long a deployment may take, such as `1800s` or `30m`; 2 hours at most.",
			},
			"shared_memory_size_mb": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)},
				MarkdownDescription: "Memory of the machine that is kept as shared memory, in megabytes.",
			},
			"startup_probe":  probeAttribute("How it is found out that the container has started. Until it has, the other probes wait."),
			"health_probe":   probeAttribute("How it is found out that the container can answer (Kubernetes calls it a readiness probe)."),
			"liveness_probe": probeAttribute("How it is found out that the container must be restarted."),
		},
	}
}

func portsAttribute(description string) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Optional: true, Validators: []validator.List{listvalidator.SizeAtLeast(1)}, MarkdownDescription: description,
		NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("container_port"), Attributes: map[string]schema.Attribute{
			"container_port": schema.Int32Attribute{Optional: true, Validators: portNumber(), MarkdownDescription: "Port number; required."},
		}},
	}
}

func portNumber() []validator.Int32 { return []validator.Int32{int32validator.Between(1, 65535)} }

func probeAttribute(description string) schema.SingleNestedAttribute {
	atLeast := func(least int32, description string) schema.Int32Attribute {
		return schema.Int32Attribute{Optional: true, Validators: []validator.Int32{int32validator.AtLeast(least)}, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: description + " Exactly one of `exec`, `http_get`, `grpc` and `tcp_socket`.",
		Attributes: map[string]schema.Attribute{
			"exec": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A command in the container; its exit status 0 means well.",
				Attributes: map[string]schema.Attribute{
					"command": schema.ListAttribute{
						Required: true, ElementType: types.StringType, Validators: []validator.List{listvalidator.SizeAtLeast(1)},
						MarkdownDescription: "Executable and arguments. It is no shell.",
					},
				},
			},
			"http_get": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A GET request to the container.",
				Attributes: map[string]schema.Attribute{
					"path":   schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the request."},
					"port":   schema.Int32Attribute{Optional: true, Validators: portNumber(), MarkdownDescription: "Port of the container."},
					"host":   schema.StringAttribute{Optional: true, MarkdownDescription: "Host to connect to; the container's address by default. For a name in the request set the header `Host`."},
					"scheme": schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.OneOf("HTTP", "HTTPS")}, MarkdownDescription: "`HTTP` (the default) or `HTTPS`."},
					"http_headers": schema.ListNestedAttribute{
						Optional: true, Validators: []validator.List{listvalidator.SizeAtLeast(1)}, MarkdownDescription: "Further header fields.",
						NestedObject: schema.NestedAttributeObject{Validators: tfkit.Needs("name", "value"), Attributes: map[string]schema.Attribute{
							"name":  schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}, MarkdownDescription: "Name of the field; required."},
							"value": schema.StringAttribute{Optional: true, MarkdownDescription: "Its value; required. It is stored in the state."},
						}},
					},
				},
			},
			"grpc": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A request to gRPC's standard health service.",
				Attributes: map[string]schema.Attribute{
					"port":    schema.Int32Attribute{Required: true, Validators: portNumber(), MarkdownDescription: "Port of the service."},
					"service": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the service that is asked for."},
				},
			},
			"tcp_socket": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A connection that can be opened.",
				Attributes: map[string]schema.Attribute{
					"port": schema.Int32Attribute{Required: true, Validators: portNumber(), MarkdownDescription: "Port of the container."},
					"host": schema.StringAttribute{Optional: true, MarkdownDescription: "Host to connect to; the container's address by default."},
				},
			},
			"period_seconds":        atLeast(1, "Seconds between two checks; 10 by default."),
			"timeout_seconds":       atLeast(1, "Seconds after which a check has failed; 1 by default."),
			"failure_threshold":     atLeast(1, "How many checks must fail one after the other; 3 by default."),
			"success_threshold":     atLeast(1, "How many checks must succeed one after the other; 1 by default."),
			"initial_delay_seconds": atLeast(0, "Seconds before the first check; 0 by default."),
		},
	}
}

// objectType is the type of a nested attribute.
func objectType(a interface{ GetType() attr.Type }) types.ObjectType {
	t, _ := a.GetType().(types.ObjectType)
	return t
}

var (
	containerType = objectType(containerAttribute())
	envType       = types.ObjectType{AttrTypes: map[string]attr.Type{
		"name": types.StringType, "value": types.StringType, "value_wo": types.StringType, "value_wo_version": types.Int64Type,
	}}
)
