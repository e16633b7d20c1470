resource "gcpml_vertex_model_upload" "bert" {
  display_name   = "sentiment"
  artifact_uri   = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

resource "gcpml_vertex_endpoint_deployment" "bert" {
  display_name = "sentiment"

  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}

resource "gcpml_bq_connection" "vertex" {
  location      = "US"
  connection_id = "vertex"
  roles         = ["roles/aiplatform.user"]
}

# The dataset must exist, in the location of the connection:
#   CREATE SCHEMA bqml_tutorial OPTIONS (location = 'US')
# A rollout on the endpoint leaves its id, and so this model, as they are.
resource "gcpml_bq_remote_model" "sentiment" {
  dataset_id      = "bqml_tutorial"
  model_id        = "sentiment"
  connection_name = gcpml_bq_connection.vertex.id
  endpoint        = gcpml_vertex_endpoint_deployment.bert.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]

  # An apply in which the model cannot predict this fails, and tells why.
  probe = { rows = [jsonencode({ text = "A wonderful film." })] }

  description = "Sentiment of a text, from 0 (negative) to 1 (positive)"
  labels      = { team = "reviews" }
}

# A model that Google hosts, through BigQuery's own connection: BigQuery makes it, and
# grants the role that the model needs, unless it is there.
resource "gcpml_bq_remote_model" "gemini" {
  dataset_id      = "bqml_tutorial"
  model_id        = "gemini"
  connection_name = "DEFAULT"
  endpoint        = "gemini-2.5-flash"
}

# A Cloud AI service.
resource "gcpml_bq_connection" "translate" {
  location      = "US"
  connection_id = "translate"
  roles         = ["roles/cloudtranslate.user"]
}

resource "gcpml_bq_remote_model" "translate" {
  dataset_id          = "bqml_tutorial"
  model_id            = "translate"
  connection_name     = gcpml_bq_connection.translate.id
  remote_service_type = "CLOUD_AI_TRANSLATE_V3"
}

# An open model that BigQuery deploys, and undeploys after eight hours without a request.
resource "gcpml_bq_remote_model" "gemma" {
  dataset_id      = "bqml_tutorial"
  model_id        = "gemma"
  connection_name = gcpml_bq_connection.vertex.id

  open_model = {
    hugging_face_model_id = "google/gemma-3-1b-it"
    machine_type          = "g2-standard-12"
    max_replica_count     = 2
    endpoint_idle_ttl     = "8h"
  }
}
