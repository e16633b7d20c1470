# An open model, on the machine with an L4 that Google verified for it.
# Its licence has to be accepted for the project first.
data "gcpml_vertex_publisher_model" "gemma" {
  model = "google/gemma3@gemma-3-1b-it"
}

locals {
  gemma = one([
    for d in data.gcpml_vertex_publisher_model.gemma.deployments : d
    if try(d.dedicated_resources.accelerator_type == "NVIDIA_L4", false)
  ])
}

resource "gcpml_vertex_model_upload" "gemma" {
  display_name      = "gemma-3-1b-it"
  artifact_uri      = local.gemma.artifact_uri
  container_spec    = local.gemma.container_spec
  base_model_source = data.gcpml_vertex_publisher_model.gemma.base_model_source
}

resource "gcpml_vertex_endpoint_deployment" "gemma" {
  display_name = "gemma-3-1b-it"
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.gemma.versioned_name
      dedicated_resources = merge(local.gemma.dedicated_resources, { max_replica_count = 2 })
    }
  }
}

# ORGANIZATION/MODEL is a model of Hugging Face.
data "gcpml_vertex_publisher_model" "qwen" {
  model = "Qwen/Qwen2-0.5B-Instruct"
}

output "machines" {
  value = data.gcpml_vertex_publisher_model.qwen.deployments[*].dedicated_resources.machine_type
}
