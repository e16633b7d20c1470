# projects/my-project/locations/us/connections/vertex
output "connection" {
  value = provider::gcpml::format_connection_name("my-project", "us", "vertex")
}
