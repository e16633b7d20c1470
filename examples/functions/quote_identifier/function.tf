# `my-project.films.reviews`
output "table" {
  value = provider::gcpml::quote_identifier("my-project", "films", "reviews")
}
