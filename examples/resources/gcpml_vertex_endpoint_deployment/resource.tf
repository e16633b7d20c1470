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

# For heavy use, inside a company's network: Private Service Connect, a key of one's own,
# a tenth of the requests kept in BigQuery, and machines by load. BigQuery remote models
# cannot use this one: they reach only endpoints on the shared domain, as those above.
resource "gcpml_vertex_endpoint_deployment" "private" {
  display_name = "bert private"

  encryption_spec = {
    kms_key_name = "projects/my-project/locations/us-central1/keyRings/serving/cryptoKeys/endpoints"
  }
  private_service_connect_config = {
    enable_private_service_connect = true
    project_allowlist              = ["my-consumer-project"]
  }
  client_connection_config = { inference_timeout = "5m" }
  predict_request_response_logging_config = {
    enabled              = true
    sampling_rate        = 0.1
    bigquery_destination = { output_uri = "bq://my-project.serving_logs.requests" }
  }

  deployments = {
    main = {
      model           = gcpml_vertex_model_upload.bert.versioned_name
      service_account = "bert-runner@my-project.iam.gserviceaccount.com"
      dedicated_resources = {
        machine_type           = "g2-standard-8"
        accelerator_type       = "NVIDIA_L4"
        accelerator_count      = 1
        min_replica_count      = 2
        max_replica_count      = 8
        required_replica_count = 1
        autoscaling_metric_specs = [
          { metric_name = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle", target = 70 },
        ]
      }
      enable_access_logging     = true
      disable_container_logging = true
    }
  }
}

# What the consumer's forwarding rule targets.
output "service_attachment" {
  value = gcpml_vertex_endpoint_deployment.private.deployed["main"].service_attachment
}
