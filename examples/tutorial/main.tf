terraform {
  required_version = ">= 1.8"

  required_providers {
    gcpml = {
      source = "gcpml/gcpml"
    }
  }
}

provider "gcpml" {
  project = var.project
  region  = var.region
}

# A change of the artifact or of the container uploads a new version of this model.
resource "gcpml_vertex_model_upload" "bert" {
  display_name = "bert_sentiment"
  artifact_uri = var.artifact_uri

  container_spec = {
    image_uri = var.image_uri
    env       = [{ name = "MODEL_RELEASE", value = var.model_release }]
  }
}

# With exactly one deployment, all traffic goes to it. When its model changes, the
# new version is deployed, gets the traffic, and the old one is undeployed.
resource "gcpml_vertex_endpoint_deployment" "bert" {
  display_name = "bert sentiment endpoint"

  deployments = {
    main = {
      model = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = {
        machine_type      = "n1-standard-2"
        min_replica_count = 1
        max_replica_count = 3
      }
    }
  }
}

# BigQuery calls the endpoint as the service account of this connection. The roles
# are granted to it in the project, and revoked on destroy.
resource "gcpml_bq_connection" "vertex" {
  location      = "US"
  connection_id = "bqml_tutorial"
  roles         = ["roles/aiplatform.user"]
}

# The dataset is made by setup.sql.
resource "gcpml_bq_remote_model" "bert" {
  dataset_id      = "bqml_tutorial"
  model_id        = "bert_sentiment"
  connection_name = gcpml_bq_connection.vertex.id
  endpoint        = gcpml_vertex_endpoint_deployment.bert.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}

# Read when the deployment has no pending change, else after it: an endpoint keeps
# its id when its models change, so depends_on says what the id cannot. Without
# ORDER BY, the ten rows could be other ones each time.
data "gcpml_bq_predict" "reviews" {
  model      = gcpml_bq_remote_model.bert.id
  query      = "SELECT id, review AS text FROM `bqml_tutorial.reviews` ORDER BY id LIMIT 10"
  depends_on = [gcpml_vertex_endpoint_deployment.bert]
}
