terraform import gcpml_bq_remote_model.sentiment projects/my-project/datasets/bqml_tutorial/models/sentiment
terraform import gcpml_bq_remote_model.sentiment my-project.bqml_tutorial.sentiment
terraform import gcpml_bq_remote_model.sentiment bqml_tutorial.sentiment # with the provider's project
