resource "gcpml_vertex_model_upload" "reviews" {
  display_name   = "reviews"
  labels         = { team = "reviews", stage = "production" }
  artifact_uri   = "gs://my-bucket/reviews/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

# What the team has in production, whoever uploaded it.
data "gcpml_vertex_models" "production" {
  labels     = { team = "reviews", stage = "production" }
  depends_on = [gcpml_vertex_model_upload.reviews] # only for what is made here
}

output "production" {
  value = { for m in data.gcpml_vertex_models.production.models : m.model_id => "version ${m.version_id} from ${m.artifact_uri}" }
}

# Models that nobody labelled with a team, apart from one: an audit.
data "gcpml_vertex_models" "all" {
  filter     = "model!=bert_sentiment"
  depends_on = [gcpml_vertex_model_upload.reviews]
}

output "without_a_team" {
  value = [for m in data.gcpml_vertex_models.all.models : m.id if !contains(keys(m.labels), "team")]
}
