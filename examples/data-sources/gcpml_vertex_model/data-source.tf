# The version that the training pipeline called "champion", whoever uploaded it.
data "gcpml_vertex_model" "bert" {
  model   = "bert_sentiment"
  version = "champion"
}

resource "gcpml_vertex_endpoint_deployment" "bert" {
  display_name = "bert champion"
  deployments = {
    main = {
      model               = data.gcpml_vertex_model.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}

output "versions" {
  value = { for v in data.gcpml_vertex_model.bert.versions : v.version_id => v.version_aliases }
}
