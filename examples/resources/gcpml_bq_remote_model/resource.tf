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

  description = "Sentiment of a text, from 0 (negative) to 1 (positive)"
  labels      = { team = "reviews" }
}
