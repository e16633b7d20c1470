#!/usr/bin/env bash
# Makes by hand, with gcloud and bq, what main.tf then takes over. Set PROJECT.
# BQ is how bq is called; with the emulator: BQ="bq --api http://$GCPML_EMULATOR_HOST".
set -euo pipefail
: "${PROJECT:?set PROJECT to a project id}"
region=us-central1
bq() { command ${BQ:-bq} --project_id="$PROJECT" "$@"; }
gcloud() { command gcloud --quiet --project="$PROJECT" "$@"; }

gcloud ai models upload --region=$region --model-id=bert --display-name=bert_sentiment \
  --container-image-uri=us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest \
  --artifact-uri=gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/
gcloud ai endpoints create --region=$region --endpoint-id=reviews --display-name='bert sentiment endpoint'
gcloud ai endpoints deploy-model reviews --region=$region --model=bert --display-name=main \
  --machine-type=n1-standard-2 --min-replica-count=1 --max-replica-count=3 --traffic-split=0=100

bq mk --dataset --location=US bqml_tutorial
bq mk --connection --location=US --connection_type=CLOUD_RESOURCE vertex
account=$(bq --format=json show --connection "$PROJECT.us.vertex" | grep -o '"serviceAccountId": *"[^"]*"' | cut -d'"' -f4)
gcloud projects add-iam-policy-binding "$PROJECT" --member="serviceAccount:$account" --role=roles/aiplatform.user --condition=None >/dev/null

# A grant takes minutes until BigQuery can use it.
for _ in $(seq 60); do
  if bq query --nouse_legacy_sql --location=US "
    CREATE MODEL bqml_tutorial.sentiment
    INPUT (text STRING) OUTPUT (scores ARRAY<FLOAT64>)
    REMOTE WITH CONNECTION \`$PROJECT.us.vertex\`
    OPTIONS (ENDPOINT = 'https://$region-aiplatform.googleapis.com/v1/projects/$PROJECT/locations/$region/endpoints/reviews')"; then
    exit 0
  fi
  sleep 10
done
exit 1
