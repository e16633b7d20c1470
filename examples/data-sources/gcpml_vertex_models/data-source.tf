# What the team has in production, whoever uploaded it.
data "gcpml_vertex_models" "production" {
  labels = { team = "reviews", stage = "production" }
}

output "production" {
  value = { for m in data.gcpml_vertex_models.production.models : m.model_id => "version ${m.version_id} from ${m.artifact_uri}" }
}

# Every model of that name; to use one of them, see the data source gcpml_vertex_model.
data "gcpml_vertex_models" "bert" {
  display_name = "bert_sentiment"
}

output "bert" {
  value = data.gcpml_vertex_models.bert.ids
}

# An audit: models that have neither a team nor an excuse.
data "gcpml_vertex_models" "others" {
  filter = "model!=playground"
}

output "without_a_team" {
  value = [for m in data.gcpml_vertex_models.others.models : m.id if !contains(keys(m.labels), "team")]
}
