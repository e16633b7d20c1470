# A model that somebody else manages.
data "gcpml_bq_remote_model" "sentiment" {
  dataset_id = "bqml_tutorial"
  model_id   = "bert_sentiment"
}

# The columns that a query for it needs.
output "input" {
  value = { for c in data.gcpml_bq_remote_model.sentiment.input : c.name => c.type }
}

# A policy, checked with every plan.
check "our_endpoint" {
  assert {
    condition     = startswith(data.gcpml_bq_remote_model.sentiment.endpoint_url, "https://us-central1-aiplatform.googleapis.com/")
    error_message = "The sentiment model no longer runs in us-central1."
  }
}
