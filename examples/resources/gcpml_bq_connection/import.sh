terraform import gcpml_bq_connection.vertex projects/my-project/locations/US/connections/vertex
terraform import gcpml_bq_connection.vertex my-project/US/vertex
terraform import gcpml_bq_connection.vertex US/vertex # with the provider's project
