# projects/my-project/locations/us-central1/models/bert@2
output "model" {
  value = provider::gcpml::format_vertex_name("my-project", "us-central1", "models", "bert@2")
}
