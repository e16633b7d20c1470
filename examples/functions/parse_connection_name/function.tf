# { project = "my-project", location = "us", id = "vertex" }
output "connection" {
  value = provider::gcpml::parse_connection_name("my-project.us.vertex")
}
