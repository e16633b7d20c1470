# Predictions for the rows of a query. It needs a column named after each input of
# the model; further ones, such as id, are passed through.
data "gcpml_bq_predict" "reviews" {
  model = "bqml_tutorial.bert_sentiment"
  query = "SELECT id, review AS text FROM `bqml_tutorial.reviews` ORDER BY id LIMIT 10"
}

# Values from elsewhere are parameters, never part of the text.
data "gcpml_bq_predict" "one" {
  model      = "bqml_tutorial.bert_sentiment"
  query      = "SELECT id, review AS text FROM `bqml_tutorial.reviews` WHERE id = @id"
  parameters = { id = 7 }
  labels     = { team = "films" }

  max_failed_fraction = 0.1
}

output "scores" {
  value = { for p in data.gcpml_bq_predict.reviews.predictions : p.id => p.scores[0] }
}

# A check reports that something is wrong with the predictions, without blocking a
# plan, an apply or a destroy. The rows are in the configuration itself.
check "praise_scores_high" {
  data "gcpml_bq_predict" "praise" {
    model = "bqml_tutorial.bert_sentiment"
    rows  = [{ text = "A wonderful film." }, { text = "Dull and far too long." }]
  }

  assert {
    condition     = data.gcpml_bq_predict.praise.predictions[0].scores[0] > data.gcpml_bq_predict.praise.predictions[1].scores[0]
    error_message = "The model no longer prefers praise."
  }
}
