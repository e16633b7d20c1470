# https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-central1/endpoints/1234
output "predict_url" {
  value = "${provider::gcpml::endpoint_url("projects/my-project/locations/us-central1/endpoints/1234")}:predict"
}
