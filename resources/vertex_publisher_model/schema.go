// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexpublishermodel

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gcpml/terraform-provider-gcpml/resources/internal/tfkit"
)

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func texts(description string) schema.ListAttribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

func whole(description string) schema.Int32Attribute {
	return schema.Int32Attribute{Computed: true, MarkdownDescription: description}
}

func dataSourceSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A model of [Model Garden](https://cloud.google.com/model-garden), Google's own or one of Hugging Face, with the containers and machines that Google verified for it. " +
			"They have the form that `gcpml_vertex_model_upload` and `gcpml_vertex_endpoint_deployment` take, so that such a model is created, changed, imported and destroyed like any other and nothing of it stays behind.\n\n" +
			"What it does not do: it accepts no licence. Models with an end-user licence agreement (Gemma, Llama and others) need it to be accepted for the project first, in the console or by " +
			"`google_vertex_ai_model_garden_enable_model`; without that the deployment fails. It sends no Hugging Face token: models that are gated and that Google has not verified cannot be read, and a container that " +
			"fetches gated weights needs the token as an environment variable, best as a `value_wo` of `gcpml_vertex_model_upload`. It reads `v1beta1` of the API (Preview), as `gcloud ai model-garden` does: `v1` lacks the verified deployments.",
		Attributes: map[string]schema.Attribute{
			"model": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "The model: `publishers/PUBLISHER/models/MODEL@VERSION`, `PUBLISHER/MODEL@VERSION` such as `google/gemma2@gemma-2-9b-it`, or `ORGANIZATION/MODEL` for a model of Hugging Face. " +
					"The long form may leave the version out, which is then Google's choice. Upper and lower case are the same.",
			},
			"location": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{tfkit.Location()},
				MarkdownDescription: "Region in which Model Garden is asked; `us-central1` by default, as Google's tools do, wherever the model is to be deployed.",
			},
			"id":                text("Name of the model with its version: `name@version_id`."),
			"name":              text("Name of the model, `publishers/PUBLISHER/models/MODEL`, as Google gives it."),
			"version_id":        text("Id of the version."),
			"hugging_face":      schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it was asked for as a model of Hugging Face."},
			"launch_stage":      text("Launch stage: `EXPERIMENTAL`, `PRIVATE_PREVIEW`, `PUBLIC_PREVIEW` or `GA`."),
			"version_state":     text("State of the version: `VERSION_STATE_STABLE` or `VERSION_STATE_UNSTABLE`."),
			"frameworks":        texts("What Google says of the model's frameworks."),
			"template":          text("Form of the names of what belongs to the model."),
			"base_model_source": baseModel(),
			"deployments":       deploymentsAttribute(),
			"predict_schemata": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "YAML files that describe requests and answers, as `gcpml_vertex_model_upload` takes them; null for none.",
				Attributes: map[string]schema.Attribute{
					"instance_schema_uri":   text("Schema of one instance of a request."),
					"parameters_schema_uri": text("Schema of the parameters of a request."),
					"prediction_schema_uri": text("Schema of one prediction."),
				},
			},
			"open_source_category": text("Who owns and who trained the model: `PROPRIETARY`, `GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT`, `THIRD_PARTY_OWNED_OSS_WITH_GOOGLE_CHECKPOINT`, `GOOGLE_OWNED_OSS` or `THIRD_PARTY_OWNED_OSS`."),
		},
	}
}

// baseModel has the form of base_model_source of gcpml_vertex_model_upload.
func baseModel() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Computed: true, MarkdownDescription: "What to set as `base_model_source` of `gcpml_vertex_model_upload`, by which Vertex AI knows where the model comes from.",
		Attributes: map[string]schema.Attribute{
			"model_garden_source": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "The model of Model Garden.",
				Attributes: map[string]schema.Attribute{
					"public_model_name": text("Name of the model."),
					"version_id":        text("Id of the version; null if Google tells none."),
				},
			},
		},
	}
}

func deploymentsAttribute() schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Computed: true,
		MarkdownDescription: "Ways of deploying the model that Google verified, in its order; its own tools take the first one by default. Choose by machine with a `for` expression. " +
			"Empty for a model that cannot be deployed, such as one that Google only hosts.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"title":               text("Title."),
			"deploy_task_name":    text("What it is for, such as `text to image generation`."),
			"model_display_name":  text("Name that Google proposes for the model."),
			"artifact_uri":        text("Folder in Cloud Storage with the artifact; null for a container that fetches the model. An address that Google signs for a short time is never shown."),
			"container_spec":      containerAttribute(),
			"dedicated_resources": dedicatedAttribute(),
			"automatic_resources": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Replicas on machines that Vertex AI chooses; null for dedicated ones.",
				Attributes: map[string]schema.Attribute{
					"min_replica_count": whole("Replicas that always run."),
					"max_replica_count": whole("Replicas that may run under load; null for no bound."),
				},
			},
			"labels":         schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "What Google notes of this deployment, such as whether it is verified."},
			"sample_request": text("A request that such an endpoint answers."),
		}},
	}
}

// containerAttribute has the form of container_spec of gcpml_vertex_model_upload.
func containerAttribute() schema.SingleNestedAttribute {
	ports := func(description string) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: description,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{"container_port": whole("Port number.")}},
		}
	}
	return schema.SingleNestedAttribute{
		Computed: true, MarkdownDescription: "Container that serves the model, as `gcpml_vertex_model_upload` takes it; null for a model without one.",
		Attributes: map[string]schema.Attribute{
			"image_uri": text("Image."),
			"command":   texts("What runs instead of the image's ENTRYPOINT."),
			"args":      texts("What is used instead of the image's CMD."),
			"env": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Environment variables, in order.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{"name": text("Name of the variable."), "value": text("Its value.")}},
			},
			"ports":                 ports("Ports that the container listens on; null for 8080 alone, which is the default."),
			"grpc_ports":            ports("Ports for predictions over gRPC."),
			"predict_route":         text("Path that answers predictions."),
			"health_route":          text("Path that answers health checks."),
			"deployment_timeout":    text("How long a deployment may take."),
			"shared_memory_size_mb": schema.Int64Attribute{Computed: true, MarkdownDescription: "Shared memory in megabytes."},
			"startup_probe":         probeAttribute("How it is found out that the container has started."),
			"health_probe":          probeAttribute("How it is found out that the container can answer."),
			"liveness_probe":        probeAttribute("How it is found out that the container must be restarted."),
		},
	}
}

func probeAttribute(description string) schema.SingleNestedAttribute {
	action := func(description string, attributes map[string]schema.Attribute) schema.SingleNestedAttribute {
		return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: attributes}
	}
	return action(description+" Null for no such probe.", map[string]schema.Attribute{
		"exec": action("A command in the container.", map[string]schema.Attribute{"command": texts("Executable and arguments.")}),
		"http_get": action("A GET request to the container.", map[string]schema.Attribute{
			"path": text("Path of the request."), "port": whole("Port of the container."), "host": text("Host to connect to."), "scheme": text("`HTTP` or `HTTPS`."),
			"http_headers": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Further header fields.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{"name": text("Name of the field."), "value": text("Its value.")}},
			},
		}),
		"grpc":                  action("A request to gRPC's standard health service.", map[string]schema.Attribute{"port": whole("Port of the service."), "service": text("Name of the service that is asked for.")}),
		"tcp_socket":            action("A connection that can be opened.", map[string]schema.Attribute{"port": whole("Port of the container."), "host": text("Host to connect to.")}),
		"period_seconds":        whole("Seconds between two checks."),
		"timeout_seconds":       whole("Seconds after which a check has failed."),
		"failure_threshold":     whole("How many checks must fail one after the other."),
		"success_threshold":     whole("How many checks must succeed one after the other."),
		"initial_delay_seconds": whole("Seconds before the first check."),
	})
}

// dedicatedAttribute has the form of dedicated_resources of a deployment of
// gcpml_vertex_endpoint_deployment.
func dedicatedAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Computed:            true,
		MarkdownDescription: "Machines of the model's own, as a deployment of `gcpml_vertex_endpoint_deployment` takes them; null if Vertex AI chooses.",
		Attributes: map[string]schema.Attribute{
			"machine_type":           text("Machine type."),
			"accelerator_type":       text("Accelerator type; null for none."),
			"accelerator_count":      whole("Accelerators of each machine; null for none."),
			"tpu_topology":           text("Topology of the TPUs; null for none."),
			"min_replica_count":      whole("Machines that always run; 1 if Google tells no number."),
			"max_replica_count":      whole("Machines that may run under load; null for `min_replica_count`."),
			"required_replica_count": whole("Machines that must run for a deployment to be a success; null for `min_replica_count`."),
			"autoscaling_metric_specs": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "When more machines are started; null for the defaults.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{"metric_name": text("Metric."), "target": whole("What to keep it at.")}},
			},
			"spot": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether Spot VMs are used; null for no."},
		},
	}
}
