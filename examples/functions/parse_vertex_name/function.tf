# { project = "my-project", location = "us-central1", kind = "models", id = "bert", version = "2" }
output "model" {
  value = provider::gcpml::parse_vertex_name("projects/my-project/locations/us-central1/models/bert@2")
}
