terraform import gcpml_vertex_endpoint_deployment.bert projects/my-project/locations/us-central1/endpoints/bert-sentiment-endpoint
terraform import gcpml_vertex_endpoint_deployment.bert my-project/us-central1/bert-sentiment-endpoint
terraform import gcpml_vertex_endpoint_deployment.bert us-central1/bert-sentiment-endpoint
