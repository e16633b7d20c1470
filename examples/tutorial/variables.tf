variable "project" {
  description = "Project id. Default: the environment (GOOGLE_PROJECT)."
  type        = string
  default     = null
}

variable "region" {
  description = "Vertex AI region of the model and its endpoint. The dataset is in the multi-region US, so it is a us- region."
  type        = string
  default     = "us-central1"
}

variable "artifact_uri" {
  description = "Cloud Storage folder with the model: a TensorFlow SavedModel that maps a text to a score."
  type        = string
  default     = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"
}

variable "image_uri" {
  description = "Container image that serves the model."
  type        = string
  default     = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
}

variable "model_release" {
  description = "Name of the release, handed to the container as MODEL_RELEASE. A new value makes a new version of the model and rolls the endpoint over to it."
  type        = string
  default     = "1"
}
