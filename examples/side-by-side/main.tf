# gcpml beside the google provider: that one has the bucket, the dataset and grants
# of the project; gcpml has what it lacks. Each leaves alone what the other manages.
terraform {
  required_version = ">= 1.8"

  required_providers {
    gcpml = {
      source = "gcpml/gcpml"
    }
    google = {
      source = "hashicorp/google"
    }
  }
}

variable "project" {
  description = "Project id."
  type        = string
}

# gcpml takes no credential on the emulator, so this one is not in the environment.
variable "google_access_token" {
  description = "Access token for the google provider. Default: Application Default Credentials."
  type        = string
  default     = null
  sensitive   = true
}

provider "google" {
  project      = var.project
  region       = "us-central1"
  access_token = var.google_access_token
}

provider "gcpml" {
  project = var.project
  region  = "us-central1"
}

variable "saved_model" {
  description = "Content of saved_model.pb, as a training pipeline would write it."
  type        = string
}

resource "google_storage_bucket" "models" {
  name                        = "${var.project}-models"
  location                    = "US"
  uniform_bucket_level_access = true
  force_destroy               = true
}

resource "google_storage_bucket_object" "model" {
  name    = "sentiment/saved_model.pb"
  bucket  = google_storage_bucket.models.name
  content = var.saved_model
}

resource "google_bigquery_dataset" "ml" {
  dataset_id                 = "ml"
  location                   = "US"
  delete_contents_on_destroy = true
}

resource "gcpml_vertex_model_upload" "sentiment" {
  display_name   = "sentiment"
  artifact_uri   = "gs://${google_storage_bucket.models.name}/sentiment/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
  depends_on     = [google_storage_bucket_object.model]
}

resource "gcpml_vertex_endpoint_deployment" "sentiment" {
  display_name = "sentiment"
  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.sentiment.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}

# Without roles: here the google provider manages the grant. One of the two must,
# never both: google_project_iam_binding would revoke what gcpml grants.
resource "gcpml_bq_connection" "vertex" {
  location      = google_bigquery_dataset.ml.location
  connection_id = "vertex"
}

resource "google_project_iam_member" "vertex" {
  project = var.project
  role    = "roles/aiplatform.user"
  member  = "serviceAccount:${gcpml_bq_connection.vertex.service_account_id}"
}

# Waits for that grant as it does for its own.
resource "gcpml_bq_remote_model" "sentiment" {
  dataset_id      = google_bigquery_dataset.ml.dataset_id
  model_id        = "sentiment"
  connection_name = gcpml_bq_connection.vertex.id
  endpoint        = gcpml_vertex_endpoint_deployment.sentiment.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
  depends_on      = [google_project_iam_member.vertex]
}
