# CREATE OR REPLACE MODEL `my-project.serving.sentiment`
# INPUT (`text` STRING)
# OUTPUT (`scores` ARRAY<FLOAT64>)
# REMOTE WITH CONNECTION `my-project.us.vertex`
# OPTIONS (ENDPOINT = 'https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-central1/endpoints/1234')
output "ddl" {
  value = provider::gcpml::remote_model_ddl(
    "my-project.serving.sentiment",
    "my-project.us.vertex",
    "projects/my-project/locations/us-central1/endpoints/1234",
    [{ name = "text", type = "STRING" }],
    [{ name = "scores", type = "ARRAY<FLOAT64>" }],
    true,
  )
}
