terraform {
  required_version = ">= 1.5"

  required_providers {
    gcpml = {
      source = "gcpml/gcpml"
    }
  }
}

variable "project" {
  description = "Project id in which make-by-hand.sh has run."
  type        = string
}

provider "gcpml" {
  project = var.project
  region  = "us-central1"
}

# Each object is named where it is, and described as it is. `terraform plan` then
# says "4 to import, 0 to add, 0 to change, 0 to destroy": nothing is touched. After
# the apply the import blocks can go.
import {
  to = gcpml_vertex_model_upload.bert
  id = "us-central1/bert"
}

import {
  to = gcpml_vertex_endpoint_deployment.reviews
  id = "us-central1/reviews"
}

import {
  to = gcpml_bq_connection.vertex
  id = "US/vertex"
}

import {
  to = gcpml_bq_remote_model.sentiment
  id = "bqml_tutorial.sentiment"
}

resource "gcpml_vertex_model_upload" "bert" {
  model_id       = "bert"
  display_name   = "bert_sentiment"
  artifact_uri   = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

# The key of a deployment is the display name of the deployed model.
resource "gcpml_vertex_endpoint_deployment" "reviews" {
  endpoint_id  = "reviews"
  display_name = "bert sentiment endpoint"
  deployments = {
    main = {
      model               = "${gcpml_vertex_model_upload.bert.id}@1"
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1, max_replica_count = 3 }
    }
  }
}

resource "gcpml_bq_connection" "vertex" {
  location      = "US"
  connection_id = "vertex"
  roles         = ["roles/aiplatform.user"]
}

resource "gcpml_bq_remote_model" "sentiment" {
  dataset_id      = "bqml_tutorial"
  model_id        = "sentiment"
  connection_name = gcpml_bq_connection.vertex.id
  endpoint        = gcpml_vertex_endpoint_deployment.reviews.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}
