// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const (
	pool    = "projects/demo-gcpml/locations/us-central1/deploymentResourcePools/pool"
	account = "runner@demo-gcpml.iam.gserviceaccount.com"
)

// makePool makes a deployment resource pool, which is google_vertex_ai_deployment_resource_pool's
// to make.
func makePool(t *testing.T, tw *acctest.Twin, key string) {
	t.Helper()
	c, err := aiplatform.NewDeploymentResourcePoolClient(t.Context(), option.WithEndpoint(tw.Host), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	spec := &pb.DeploymentResourcePool{DedicatedResources: &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-2"}, MinReplicaCount: 1}}
	if key != "" {
		spec.EncryptionSpec = &pb.EncryptionSpec{KmsKeyName: key}
	}
	op, err := c.CreateDeploymentResourcePool(t.Context(), &pb.CreateDeploymentResourcePoolRequest{
		Parent: "projects/demo-gcpml/locations/us-central1", DeploymentResourcePoolId: "pool", DeploymentResourcePool: spec,
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// full has every argument. What is given changes in place.
func full(metric, required, logged, projects, rate, timeout string) string {
	return fmt.Sprintf(`
resource "gcpml_vertex_endpoint_deployment" "test" {
  project      = "demo-gcpml"
  location     = "us-central1"
  endpoint_id  = "reviews"
  display_name = "Reviews"
  description  = "film reviews"
  labels       = { team = "ml" }

  private_model_server_enabled = true

  encryption_spec = { kms_key_name = %[7]q }
  private_service_connect_config = {
    enable_private_service_connect = true
    project_allowlist              = [%[4]s]
    psc_automation_configs         = [{ project_id = "consumer-1", network = "projects/consumer-1/global/networks/n" }]
  }
  predict_request_response_logging_config = {
    enabled              = true
    sampling_rate        = %[5]s
    bigquery_destination = { output_uri = "bq://demo-gcpml" }
  }
  client_connection_config = { inference_timeout = %[6]q }

  deployments = {
    main = {
      model = gcpml_vertex_model_upload.a.versioned_name
      dedicated_resources = {
        machine_type             = "n1-standard-4"
        accelerator_type         = "NVIDIA_TESLA_T4"
        accelerator_count        = 1
        min_replica_count        = 2
        max_replica_count        = 4
        required_replica_count   = %[2]s
        autoscaling_metric_specs = [%[1]s]
        reservation_affinity = {
          reservation_affinity_type = "SPECIFIC_RESERVATION"
          key                       = "compute.googleapis.com/reservation-name"
          values                    = ["projects/demo-gcpml/zones/us-central1-a/reservations/r"]
        }
      }
      service_account           = %[8]q
      enable_access_logging     = true
      disable_container_logging = %[3]s
      disable_explanations      = true
    }
    automatic = { model = gcpml_vertex_model_upload.b.versioned_name, automatic_resources = { min_replica_count = 1 } }
    shared    = { model = gcpml_vertex_model_upload.b.versioned_name, shared_resources = %[9]q }
    spot = {
      model               = gcpml_vertex_model_upload.b.versioned_name
      dedicated_resources = { machine_type = "n1-standard-2", min_replica_count = 1, spot = true }

      faster_deployment_config = { fast_tryout_enabled = true }
    }
  }
  traffic = { main = 70, automatic = 10, shared = 10, spot = 10 }
}
`, metric, required, logged, projects, rate, timeout, anyKey, account, pool)
}

const (
	cpu80 = `{ metric_name = "` + cpu + `", target = 80 }, { metric_name = "` + duty + `" }`
	cpu70 = `{ metric_name = "` + duty + `", target = 50 }, { metric_name = "` + cpu + `", target = 70 }`
)

// Everything there is to configure, made, imported, changed in place and rolled out,
// with what is not known about Google's services one way and the other.
func TestAccEndpointFull(t *testing.T) {
	for name, flags := range map[string][]string{
		"defaults": nil,
		"flipped": {
			"--assume", "project-in-names=id", "--assume", "unset-required-replica-count=min_replica_count", "--assume", "default-autoscaling-shown=yes",
			"--assume", "logging-destination=expanded", "--assume", "version-in-deployed-model-name=yes",
			"--assume", "fast-tryout-shown=no",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, flags...)
			same, differs := statecheck.CompareValue(sameValue{}), statecheck.CompareValue(differentValue{})
			stays := func() statecheck.StateCheck { return same.AddStateValue(address, deployedAt("main", "id")) }
			first := tw.Config(twoModels("1") + full(cpu80, "1", "true", `"consumer-1", "consumer-2"`, "0.5", "10m"))
			second := tw.Config(twoModels("1") + full(cpu70, "2", "false", `"consumer-2", "consumer-3"`, "1", "1200s"))
			steps := []resource.TestStep{{
				PreConfig: func() { makePool(t, tw, anyKey) },
				Config:    first, ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
				ConfigStateChecks: []statecheck.StateCheck{
					stays(), traffic(map[string]int32{"main": 70, "automatic": 10, "shared": 10, "spot": 10}),
					differs.AddStateValue(address, deployedAt("main", "id")),
					has(deployedAt("main", "service_account"), text(account)), has(deployedAt("shared", "shared_resources"), text(pool)),
					has(deployedAt("automatic", "max_replica_count"), knownvalue.Int32Exact(0)),
					has(deployedAt("main", "service_attachment"), knownvalue.StringRegexp(regexp.MustCompile(`/serviceAttachments/`))),
					has(deployedAt("main", "predict_http_uri"), text("")),
				},
			}, {
				RefreshState: true,
				Check: func(*terraform.State) error {
					e := read(t, tw)
					i := 0
					for e.GetDeployedModels()[i].GetDisplayName() != "main" {
						i++
					}
					for _, d := range e.GetDeployedModels() {
						if shown := tw.Assumed(t, "fast-tryout-shown") == "yes"; d.GetFasterDeploymentConfig().GetFastTryoutEnabled() != (shown && d.GetDisplayName() == "spot") {
							return fmt.Errorf("deployed %v", d)
						}
					}
					d := e.GetDeployedModels()[i]
					r := d.GetDedicatedResources()
					if !d.GetDisableExplanations() || !d.GetDisableContainerLogging() || !d.GetEnableAccessLogging() || d.GetServiceAccount() != account || r.GetRequiredReplicaCount() != 1 || len(r.GetAutoscalingMetricSpecs()) != 2 ||
						r.GetMachineSpec().GetReservationAffinity().GetReservationAffinityType() != pb.ReservationAffinity_SPECIFIC_RESERVATION {
						return fmt.Errorf("deployed %v", d)
					}
					if c := e.GetPrivateServiceConnectConfig(); !e.GetPrivateModelServerEnabled() || len(c.GetProjectAllowlist()) != 2 || len(c.GetPscAutomationConfigs()) != 1 || e.GetEncryptionSpec().GetKmsKeyName() != anyKey ||
						e.GetPredictRequestResponseLoggingConfig().GetSamplingRate() != 0.5 || e.GetClientConnectionConfig().GetInferenceTimeout().AsDuration() != 10*time.Minute {
						return fmt.Errorf("endpoint %v", e)
					}
					return nil
				},
			}, {
				// The server shows the timeout in seconds, the defaults of targets not at all or
				// all of them, and perhaps the table that it made.
				ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true,
				ImportStateVerifyIgnore: []string{"client_connection_config", "deployments.main.dedicated_resources.autoscaling_metric_specs", "predict_request_response_logging_config"},
			}, {
				Config: second, ConfigPlanChecks: updates(), // all of it in place
				ConfigStateChecks: []statecheck.StateCheck{stays()},
			}, {
				RefreshState: true,
				Check: func(*terraform.State) error {
					e := read(t, tw)
					if l := e.GetPredictRequestResponseLoggingConfig(); l.GetSamplingRate() != 1 || e.GetClientConnectionConfig().GetInferenceTimeout().AsDuration() != 20*time.Minute ||
						!strings.Contains(strings.Join(e.GetPrivateServiceConnectConfig().GetProjectAllowlist(), " "), "consumer-3") {
						return fmt.Errorf("endpoint %v", e)
					}
					return nil
				},
			}, { // another service account is another deployed model, on the same endpoint
				Config: strings.ReplaceAll(second, account, "other@demo-gcpml.iam.gserviceaccount.com"), ConfigPlanChecks: updates(),
				ConfigStateChecks: []statecheck.StateCheck{differs.AddStateValue(address, deployedAt("main", "id")), has(deployedAt("main", "service_account"), text("other@demo-gcpml.iam.gserviceaccount.com"))},
			}}
			run(t, tw, steps...)
		})
	}
}

// What changes in place, one by one, and back by leaving it out: the deployed model
// stays what it is.
func TestAccEndpointInPlace(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	same := statecheck.CompareValue(sameValue{})
	with := func(resources, setting string, arguments ...string) string {
		return tw.Config(twoModels("1") + endpoint(fmt.Sprintf("    main = { model = %s, %s %s }\n", modelA, resources, setting), arguments...))
	}
	dedicated := func(more string) string { return "dedicated_resources = { spot = true, " + small + more + " }" }
	automatic := func(more string) string { return "automatic_resources = { min_replica_count = 1" + more + " }" }
	const logging = `predict_request_response_logging_config = { enabled = %t, sampling_rate = 0.25, bigquery_destination = { output_uri = "bq://demo-gcpml.logs.requests" } }`
	var steps []resource.TestStep
	for _, config := range []string{
		with(dedicated(""), ""),
		with(dedicated(", required_replica_count = 1"), ""),
		with(dedicated(", max_replica_count = 3"), ""),
		with(dedicated(`, autoscaling_metric_specs = [{ metric_name = "aiplatform.googleapis.com/prediction/online/request_count", target = 500 }]`), ""),
		with(dedicated(""), ", disable_container_logging = true"),
		with(dedicated(""), "", fmt.Sprintf(logging, true)),
		with(dedicated(""), "", fmt.Sprintf(logging, false)),
		with(dedicated(""), ""),
	} {
		checks := planned(plancheck.ResourceActionCreate)
		if len(steps) > 0 {
			checks = updates()
		}
		steps = append(steps, resource.TestStep{Config: config, ConfigPlanChecks: checks, ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue(address, deployedAt("main", "id"))}})
	}
	same = statecheck.CompareValue(sameValue{})
	for _, config := range []string{with(automatic(""), ""), with(automatic(", max_replica_count = 5"), ""), with(automatic(""), "")} {
		steps = append(steps, resource.TestStep{Config: config, ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue(address, deployedAt("main", "id"))}})
	}
	run(t, tw, append(steps, imports(id)...)...)
}

// With fast tryout it is another deployed model, and the domain of a dedicated endpoint
// is that which the proto gives it then. Saying that it is off changes nothing.
func TestAccEndpointFastTryout(t *testing.T) {
	for _, shown := range []string{"yes", "no"} {
		t.Run("shown "+shown, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--assume", "fast-tryout-shown="+shown)
			same, differs := statecheck.CompareValue(sameValue{}), statecheck.CompareValue(differentValue{})
			with := func(faster string) string {
				return tw.Config(twoModels("1") + endpoint(fmt.Sprintf("    main = { model = %s, dedicated_resources = { %s } %s }\n", modelA, small, faster), "dedicated_endpoint_enabled = true"))
			}
			domain := func(uid string) statecheck.StateCheck {
				return has(tfjsonpath.New("dedicated_endpoint_dns"), knownvalue.StringRegexp(regexp.MustCompile(`^reviews\.us-central1-`+uid+`\.prediction\.vertexai\.goog$`)))
			}
			run(
				t, tw,
				resource.TestStep{Config: with(""), ConfigStateChecks: []statecheck.StateCheck{
					domain("[0-9]+"), same.AddStateValue(address, deployedAt("main", "id")), differs.AddStateValue(address, deployedAt("main", "id")),
				}},
				resource.TestStep{Config: with(", faster_deployment_config = { fast_tryout_enabled = false }"), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{
					domain("[0-9]+"), same.AddStateValue(address, deployedAt("main", "id")),
				}},
				resource.TestStep{Config: with(", faster_deployment_config = { fast_tryout_enabled = true }"), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{
					domain("fasttryout"), differs.AddStateValue(address, deployedAt("main", "id")),
				}},
				imports(id)[0],
				resource.TestStep{Config: with(""), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{
					domain("[0-9]+"), same.AddStateValue(address, deployedAt("main", "id")),
				}},
			)
		})
	}
}

// A timeout that is not configured is left as it is; so is one that was.
func TestAccEndpointTimeout(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(arguments ...string) string {
		return tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small), append(arguments, "dedicated_endpoint_enabled = true")...))
	}
	set := func(seconds int64) {
		e := read(t, tw)
		e.ClientConnectionConfig = &pb.ClientConnectionConfig{InferenceTimeout: &durationpb.Duration{Seconds: seconds}}
		op, err := client(t, tw).UpdateEndpointLongRunning(t.Context(), &pb.UpdateEndpointLongRunningRequest{Endpoint: e})
		if err == nil {
			_, err = op.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shows := func(v knownvalue.Check) []statecheck.StateCheck {
		return []statecheck.StateCheck{has(tfjsonpath.New("client_connection_config"), v)}
	}
	is := func(s string) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{"inference_timeout": text(s)})
	}
	run(
		t, tw,
		resource.TestStep{Config: with(), ConfigStateChecks: shows(knownvalue.Null())},
		resource.TestStep{PreConfig: func() { set(90) }, Config: with(), ConfigPlanChecks: planned(plancheck.ResourceActionNoop), ConfigStateChecks: shows(is("90s"))},
		resource.TestStep{Config: with(`client_connection_config = { inference_timeout = "2m" }`), ConfigPlanChecks: updates(), ConfigStateChecks: shows(is("2m"))},
		resource.TestStep{PreConfig: func() { set(90) }, Config: with(`client_connection_config = { inference_timeout = "2m" }`), ConfigPlanChecks: updates(), ConfigStateChecks: shows(is("2m"))},
		resource.TestStep{Config: with(), ConfigPlanChecks: planned(plancheck.ResourceActionNoop), ConfigStateChecks: shows(is("2m"))},
	)
}

// What others change comes back, at each level.
func TestAccEndpointFullDrift(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := tw.Config(twoModels("1") + full(cpu80, "1", "true", `"consumer-1", "consumer-2"`, "0.5", "10m"))
	mutate := func(key string, d *pb.DeployedModel, paths ...string) {
		d.Id = idOf(read(t, tw), key)
		op, err := client(t, tw).MutateDeployedModel(t.Context(), &pb.MutateDeployedModelRequest{Endpoint: id, DeployedModel: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		if err == nil {
			_, err = op.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dedicated := func(r *pb.DedicatedResources) *pb.DeployedModel {
		return &pb.DeployedModel{PredictionResources: &pb.DeployedModel_DedicatedResources{DedicatedResources: r}}
	}
	without := func(key string) {
		split := read(t, tw).GetTrafficSplit()
		split[idOf(read(t, tw), "main")] += split[idOf(read(t, tw), key)]
		delete(split, idOf(read(t, tw), key))
		undeploy(t, tw, key, split)
	}
	steps := []resource.TestStep{{PreConfig: func() { makePool(t, tw, anyKey) }, Config: config}}
	for _, change := range []func(){
		func() {
			patch(t, tw, &pb.Endpoint{PredictRequestResponseLoggingConfig: &pb.PredictRequestResponseLoggingConfig{}}, "predict_request_response_logging_config")
		},
		func() {
			patch(t, tw, &pb.Endpoint{PrivateServiceConnectConfig: &pb.PrivateServiceConnectConfig{EnablePrivateServiceConnect: true, ProjectAllowlist: []string{"somebody-else"}}}, "private_service_connect_config")
		},
		func() {
			mutate("main", dedicated(&pb.DedicatedResources{}), "dedicated_resources.autoscaling_metric_specs", "dedicated_resources.required_replica_count")
		},
		func() { mutate("main", &pb.DeployedModel{}, "disable_container_logging") },
		func() {
			mutate("shared", &pb.DeployedModel{DisableContainerLogging: true}, "disable_container_logging")
		},
		func() {
			mutate("automatic", &pb.DeployedModel{PredictionResources: &pb.DeployedModel_AutomaticResources{AutomaticResources: &pb.AutomaticResources{MinReplicaCount: 3}}}, "automatic_resources.min_replica_count")
		},
		func() { without("shared") },
		func() { without("automatic") },
		func() { without("spot") },
	} {
		steps = append(steps, resource.TestStep{PreConfig: change, Config: config, ConfigPlanChecks: updates()})
	}
	// The order of projects is not drift, and neither is how the project is spelled.
	steps = append(steps, resource.TestStep{
		PreConfig: func() {
			e := read(t, tw)
			c := e.GetPrivateServiceConnectConfig()
			c.ProjectAllowlist = []string{"consumer-2", "consumer-1"}
			patch(t, tw, &pb.Endpoint{PrivateServiceConnectConfig: c}, "private_service_connect_config")
		},
		Config: config, ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
	})
	run(t, tw, steps...)
}

// A gate tries a model as it is going to be served: with the same key, in the same pool,
// which takes no model of an endpoint with another key. It asks on the shared domain,
// also for an endpoint that has one of its own.
func TestAccEndpointGateHasTheKey(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(release string) string {
		return tw.Config(twoModels(release) + endpoint(`    main = { model = `+modelA+`, shared_resources = "`+pool+`" }`+"\n",
			`encryption_spec = { kms_key_name = "`+anyKey+`" }`, "dedicated_endpoint_enabled = true", `rollout = { gate = { instances = [jsonencode({ text = "a film" })] } }`))
	}
	run(
		t, tw,
		resource.TestStep{PreConfig: func() { makePool(t, tw, anyKey) }, Config: config("1"), ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "shared_resources"), text(pool))}},
		resource.TestStep{Config: config("2"), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("2"))}},
	)
}

// A peered endpoint serves one model: it is recreated.
func TestAccEndpointPeered(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(release, number string) string {
		return tw.Config(twoModels(release) + endpoint(deploy("main", modelA, small), fmt.Sprintf(`network = "projects/%s/global/networks/n"`, number), `rollout = { strategy = "recreate" }`))
	}
	projects, err := tw.Clients(t).Projects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	project, err := projects.GetProject(t.Context(), &resourcemanagerpb.GetProjectRequest{Name: "projects/demo-gcpml"})
	if err != nil {
		t.Fatal(err)
	}
	number := strings.TrimPrefix(project.GetName(), "projects/")
	run(
		t, tw,
		resource.TestStep{
			Config:            with("1", number),
			ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "predict_http_uri"), knownvalue.StringRegexp(regexp.MustCompile(`^http://.*:predict$`)))},
		},
		resource.TestStep{Config: with("1", "demo-gcpml"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)}, // the same network
		resource.TestStep{Config: with("2", "demo-gcpml"), ConfigPlanChecks: updates(), ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("2"))}},
	)
}

// What never changes about an endpoint replaces it, and says so to who forbids that.
func TestAccEndpointReplaced(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	with := func(arguments ...string) string {
		return tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small), arguments...))
	}
	replaced := func(config string) resource.TestStep {
		return resource.TestStep{Config: config, ConfigPlanChecks: planned(plancheck.ResourceActionReplace)}
	}
	const psc = `private_service_connect_config = { enable_private_service_connect = true }`
	run(
		t, tw,
		resource.TestStep{Config: with()},
		resource.TestStep{Config: with("dedicated_endpoint_enabled = false"), ConfigPlanChecks: updates()}, // which it is
		replaced(with("dedicated_endpoint_enabled = true")),
		replaced(with(psc)),
		replaced(with(psc, "private_model_server_enabled = true")),
		replaced(with(psc, `encryption_spec = { kms_key_name = "`+anyKey+`" }`)),
		replaced(with(`network = "`+anyNet+`"`, `rollout = { strategy = "recreate" }`)),
		replaced(with(`deletion_policy = "PREVENT"`)),
		resource.TestStep{Config: with(`deletion_policy = "PREVENT"`, "dedicated_endpoint_enabled = true"), ExpectError: regexp.MustCompile(`(?s)PREVENT`)},
		resource.TestStep{Config: with()},
	)
}

// BigQuery reaches only the shared domain, which is said where the remote model names
// the endpoint: at plan once the endpoint is there.
func TestAccEndpointOfARemoteModel(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	tw.SQL(t, "CREATE SCHEMA ds OPTIONS(location='US')")
	const remote = `
resource "gcpml_bq_connection" "c" {
  location      = "US"
  connection_id = "c"
  roles         = ["roles/aiplatform.user"]
}

resource "gcpml_bq_remote_model" "r" {
  dataset_id      = "ds"
  model_id        = "r"
  connection_name = gcpml_bq_connection.c.id
  endpoint        = gcpml_vertex_endpoint_deployment.test.id
  input           = [{ name = "text", type = "STRING" }]
  output          = [{ name = "scores", type = "ARRAY<FLOAT64>" }]
}
`
	for _, c := range []struct{ argument, want string }{
		{"dedicated_endpoint_enabled = true", `(?s)dedicated\s+endpoint.*shared\s+public\s+endpoints\s+only`},
		{`private_service_connect_config = { enable_private_service_connect = true }`, `(?s)private.*shared\s+public\s+endpoints\s+only`},
	} {
		e := twoModels("1") + endpoint(deploy("main", modelA, small), c.argument)
		run(
			t, tw,
			resource.TestStep{Config: tw.Config(e)},
			resource.TestStep{Config: tw.Config(e + remote), PlanOnly: true, ExpectError: regexp.MustCompile(c.want)},
			resource.TestStep{Config: tw.Config(e + remote), ExpectError: regexp.MustCompile(c.want)},
		)
	}
}

// A model without a number for its version is warned of in the plan, at the place.
func TestAccEndpointWarnings(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(model string, arguments ...string) string {
		return tw.Config(twoModels("1") + endpoint(deploy("main", model, small), arguments...))
	}
	cli := tw.NewCLI(t, config("gcpml_vertex_model_upload.a.id"))
	const none = `Warning: (Model|Timeout)` // of an endpoint; the models have their own
	plan := func(want string) {
		t.Helper()
		output := cli.Must("plan", "-no-color")
		if found := regexp.MustCompile(want).MatchString(output); found != (want != none) {
			t.Errorf("want %q in %s", want, output)
		}
	}
	plan(`Warning: Model without a version`)
	cli.Write(config(`"${gcpml_vertex_model_upload.a.id}@default"`))
	plan(`(?s)Warning: Model by an alias.*@default`)
	cli.Write(config(modelA, `client_connection_config = { inference_timeout = "5m" }`))
	plan(`Warning: Timeout of a shared endpoint`)
	cli.Write(config(modelA, `client_connection_config = { inference_timeout = "5m" }`, "dedicated_endpoint_enabled = true"))
	plan(none)
	cli.Write(config(modelA))
	plan(none)
}

// What goes wrong with the new calls is told, and the next apply goes on from what is
// there: without a second deployment when only the answer was lost.
func TestAccEndpointConfiguredFaults(t *testing.T) {
	t.Parallel()
	config := func(tw *acctest.Twin, timeout string) string {
		return tw.Config(twoModels("1") + endpoint(`    main = { model = `+modelA+`, shared_resources = "`+pool+`", service_account = "`+account+`", enable_access_logging = true }`+"\n",
			"dedicated_endpoint_enabled = true", `client_connection_config = { inference_timeout = "`+timeout+`" }`))
	}
	const update = "*/UpdateEndpointLongRunning"
	for name, c := range map[string]struct {
		fault func(*testing.T, *acctest.Twin)
		want  string // "" when the provider gets over it
	}{
		"failed": {func(t *testing.T, tw *acctest.Twin) {
			tw.Operations(t, acctest.Operation{Method: update, Result: acctest.Failed, Status: acctest.Code("INTERNAL")})
		}, `(?s)Unable to update endpoint "reviews".*setting the inference timeout to\s+10m0s.*INTERNAL`},
		"without effect": {func(t *testing.T, tw *acctest.Twin) {
			tw.Operations(t, acctest.Operation{Method: update, Result: acctest.NoEffect, Times: 3})
		}, `(?s)setting\s+the\s+inference\s+timeout.*had\s+no\s+lasting\s+effect`},
		"an answer without content": {func(t *testing.T, tw *acctest.Twin) {
			tw.Operations(t, acctest.Operation{Method: update, Result: acctest.Empty, Phase: acctest.AfterEffect})
		}, ""},
		"a stale etag": {func(t *testing.T, tw *acctest.Twin) {
			tw.Fault(t, acctest.Fault{Method: update, Status: acctest.Code("ABORTED")})
		}, ""},
		"a lost answer": {func(t *testing.T, tw *acctest.Twin) {
			tw.Fault(t, acctest.Fault{Method: update, Phase: acctest.AfterEffect, Status: acctest.Code("UNAVAILABLE")})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tw := acctest.Start(t, "--enable-faults")
			second := resource.TestStep{PreConfig: func() { c.fault(t, tw) }, Config: config(tw, "10m"), ConfigPlanChecks: updates()}
			if c.want != "" {
				second.ExpectError = regexp.MustCompile(c.want)
			}
			run(
				t, tw,
				resource.TestStep{
					PreConfig: func() {
						makePool(t, tw, "")
						tw.Fault(t, acctest.Fault{Method: "*/DeployModel", Phase: acctest.AfterEffect, Status: acctest.Code("UNAVAILABLE")})
					},
					Config: config(tw, "5m"), ConfigStateChecks: []statecheck.StateCheck{has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(1))},
				},
				second,
				resource.TestStep{
					Config: config(tw, "10m"),
					Check: func(*terraform.State) error {
						if e := read(t, tw); e.GetClientConnectionConfig().GetInferenceTimeout().GetSeconds() != 600 || len(e.GetDeployedModels()) != 1 {
							return fmt.Errorf("endpoint %v", e)
						}
						return nil
					},
				},
			)
		})
	}
}
