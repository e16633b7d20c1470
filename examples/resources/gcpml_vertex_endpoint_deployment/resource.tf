resource "gcpml_vertex_model_upload" "bert" {
  display_name   = "bert_sentiment"
  artifact_uri   = "gs://cloud-samples-data/bigquery/ml/remote_model_tutorial/"
  container_spec = { image_uri = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest" }
}

# One deployment gets all traffic. When a new version of the model is uploaded it
# is deployed, gets the traffic, and the old one is undeployed.
resource "gcpml_vertex_endpoint_deployment" "bert" {
  display_name = "bert sentiment endpoint"

  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1, max_replica_count = 3 }
    }
  }
}

# A canary: a tenth of the requests goes to a version that is not the default one.
resource "gcpml_vertex_endpoint_deployment" "canary" {
  display_name = "bert canary"

  deployments = {
    stable = {
      model               = "${gcpml_vertex_model_upload.bert.id}@1"
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
    canary = {
      model               = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-4", min_replica_count = 1 }
    }
  }

  traffic = { stable = 90, canary = 10 }

  timeouts {
    create = "2h"
    update = "2h"
  }
}

# A careful roll-out: a new version first has to predict as expected, on an endpoint
# of its own; then it gets a tenth, half and all of the traffic, ten minutes each.
resource "gcpml_vertex_endpoint_deployment" "careful" {
  display_name = "bert careful"

  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }

  rollout = {
    strategy = "blue_green"
    steps    = [10, 50, 100]
    wait     = "10m"
    gate = {
      instances = [jsonencode({ text = "a wonderful film" }), jsonencode({ text = "an awful film" })]
      expect    = [jsonencode([0.9]), jsonencode([0.1])]
      tolerance = 0.25
    }
  }
}

# Nothing runs at night: while it is paused the endpoint keeps its name, and the
# BigQuery models that refer to it.
resource "gcpml_vertex_endpoint_deployment" "office_hours" {
  display_name  = "bert office hours"
  desired_state = "paused"

  deployments = {
    main = {
      model               = gcpml_vertex_model_upload.bert.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1 }
    }
  }
}
