# The endpoint that the platform team runs; this configuration does not manage it.
data "gcpml_vertex_endpoint" "reviews" {
  display_name = "bert sentiment endpoint"
}

# What it serves, by version.
output "served" {
  value = { for d in data.gcpml_vertex_endpoint.reviews.deployed_models : d.display_name => "version ${d.model_version_id}, ${d.traffic} %" }
}

# A remote model over it. BigQuery reaches shared endpoints only.
resource "gcpml_bq_remote_model" "sentiment" {
  dataset_id      = "bqml_tutorial"
  model_id        = "sentiment"
  connection_name = "projects/my-project/locations/us/connections/bqml_tutorial"
  endpoint        = data.gcpml_vertex_endpoint.reviews.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]

  lifecycle {
    precondition {
      condition     = data.gcpml_vertex_endpoint.reviews.shared
      error_message = "The endpoint has a domain or a network of its own, which BigQuery cannot reach."
    }
  }
}
