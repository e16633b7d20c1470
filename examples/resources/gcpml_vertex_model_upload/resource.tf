# A change of artifact_uri or container_spec uploads a new version of this model
# and makes it the default one.
resource "gcpml_vertex_model_upload" "bert" {
  display_name = "bert_sentiment"
  description  = "Sentiment of film reviews"
  labels       = { team = "reviews" }
  artifact_uri = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"

  container_spec = {
    image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
  }
}

output "version" {
  value = gcpml_vertex_model_upload.bert.versioned_name
}
