terraform import gcpml_vertex_model_upload.bert projects/my-project/locations/us-central1/models/bert_sentiment
terraform import gcpml_vertex_model_upload.bert my-project/us-central1/bert_sentiment
terraform import gcpml_vertex_model_upload.bert us-central1/bert_sentiment
