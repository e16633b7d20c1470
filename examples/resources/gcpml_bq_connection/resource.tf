# The service account of the connection may use the Vertex AI endpoints of the
# project. Remote models wait for the grant by themselves: no time_sleep is needed.
resource "gcpml_bq_connection" "vertex" {
  location      = "US"
  connection_id = "vertex"
  description   = "Remote models on Vertex AI endpoints"
  roles         = ["roles/aiplatform.user"]
}

# Roles in another project, that of another team's endpoint for instance.
resource "gcpml_bq_connection" "shared" {
  location      = "US"
  connection_id = "shared"
  project_roles = { "other-team-project" = ["roles/aiplatform.user"] }
}

# For grants on other resources.
output "service_account" {
  value = gcpml_bq_connection.vertex.service_account_id
}
