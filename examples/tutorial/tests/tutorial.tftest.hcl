# `terraform test` without any cloud or emulator: the provider is mocked, the
# configuration around it is what is tested.
mock_provider "gcpml" {
  mock_resource "gcpml_vertex_model_upload" {
    defaults = {
      id             = "projects/p/locations/us-central1/models/bert_sentiment"
      versioned_name = "projects/p/locations/us-central1/models/bert_sentiment@1"
    }
  }

  mock_resource "gcpml_vertex_endpoint_deployment" {
    defaults = { id = "projects/p/locations/us-central1/endpoints/bert-sentiment-endpoint" }
  }

  mock_resource "gcpml_bq_connection" {
    defaults = { id = "projects/p/locations/US/connections/bqml_tutorial" }
  }

  mock_resource "gcpml_bq_remote_model" {
    defaults = { id = "projects/p/datasets/bqml_tutorial/models/bert_sentiment" }
  }

  mock_data "gcpml_bq_predict" {
    defaults = { failed_rows = 0 }
  }
}

run "the_endpoint_serves_the_uploaded_version" {
  command = apply

  override_data {
    target = data.gcpml_bq_predict.reviews
    values = { predictions = [{ id = 7, text = "a wonderful film", scores = [0.9] }] }
  }

  assert {
    condition     = gcpml_vertex_endpoint_deployment.bert.deployments["main"].model == gcpml_vertex_model_upload.bert.versioned_name
    error_message = "The deployment does not name a version of the model."
  }

  assert {
    condition     = gcpml_bq_remote_model.bert.endpoint == output.endpoint
    error_message = "The remote model is not over the endpoint."
  }

  assert {
    condition     = output.predictions == { "007" = "0.9000 a wonderful film" }
    error_message = "The predictions are not laid out by review."
  }
}
