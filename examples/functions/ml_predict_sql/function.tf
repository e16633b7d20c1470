# SELECT * FROM ML.PREDICT(MODEL `my-project.serving.sentiment`, (
# SELECT id, review AS text FROM `my-project.films.reviews`
# ))
output "nightly" {
  value = provider::gcpml::ml_predict_sql(
    "my-project.serving.sentiment",
    "SELECT id, review AS text FROM ${provider::gcpml::quote_identifier("my-project", "films", "reviews")}",
  )
}
