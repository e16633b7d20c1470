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

# A container of your own, with a secret that is not stored, probes, and versions
# that are named, counted and cleaned up.
variable "api_key" {
  type      = string
  ephemeral = true
  default   = null
}

resource "gcpml_vertex_model_upload" "ranker" {
  display_name        = "ranker"
  artifact_uri        = "gs://my-models/ranker/"
  artifact_revision   = "2026-11-22" # uploads a new version when it changes
  version_description = "Trained on the reviews of November"
  version_aliases     = ["default", "november"]
  keep_versions       = 2

  container_spec = {
    image_uri = "us-central1-docker.pkg.dev/my-project/serving/ranker:7"
    command   = ["/serve"]
    args      = ["--model", "$(AIP_STORAGE_URI)"]
    env = [
      { name = "WORKERS", value = "4" },
      { name = "API_KEY", value_wo = coalesce(var.api_key, "unset"), value_wo_version = 1 },
    ]
    ports              = [{ container_port = 8080 }]
    predict_route      = "/predict"
    health_route       = "/health"
    deployment_timeout = "1800s"
    startup_probe      = { http_get = { path = "/health", port = 8080 }, period_seconds = 10, failure_threshold = 60 }
    health_probe       = { http_get = { path = "/health", port = 8080 } }
  }
}

output "version" {
  value = gcpml_vertex_model_upload.bert.versioned_name
}
