# projects/my-project/datasets/serving/models/sentiment
output "model" {
  value = provider::gcpml::format_bigquery_name("my-project", "serving", "models", "sentiment")
}
