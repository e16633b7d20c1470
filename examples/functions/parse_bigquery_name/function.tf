# { project = "my-project", dataset = "serving", kind = "models", id = "sentiment" }
output "model" {
  value = provider::gcpml::parse_bigquery_name("projects/my-project/datasets/serving/models/sentiment")
}
