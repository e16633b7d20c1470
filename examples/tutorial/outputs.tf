output "endpoint" {
  description = "Resource name of the Vertex AI endpoint."
  value       = gcpml_vertex_endpoint_deployment.bert.id
}

output "remote_model" {
  description = "Resource name of the BigQuery remote model."
  value       = gcpml_bq_remote_model.bert.id
}

output "predictions" {
  description = "What the model says about the first ten reviews, from 0 (negative) to 1 (positive)."
  value = {
    # BigQuery promises no order of rows; the keys of a map have one.
    for row in data.gcpml_bq_predict.reviews.predictions :
    format("%03d", row.id) => format("%.4f %s", row.scores[0], row.text)
  }
}

output "failed_rows" {
  description = "How many of those rows got no prediction."
  value       = data.gcpml_bq_predict.reviews.failed_rows
}
