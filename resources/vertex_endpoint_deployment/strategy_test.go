// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// modelServer answers with a score that depends on the release of the model, and
// remembers which texts each release was asked for.
type modelServer struct {
	url    string
	mu     sync.Mutex
	scores map[string]any
	asked  map[string]map[string]int // release → text → times
}

func startModelServer(t *testing.T, scores map[string]any) *modelServer {
	t.Helper()
	s := &modelServer{scores: scores, asked: map[string]map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /predict/{release}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Instances []struct{ Text string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		release := r.PathValue("release")
		if s.asked[release] == nil {
			s.asked[release] = map[string]int{}
		}
		var answer struct {
			Predictions []any `json:"predictions"`
		}
		for _, instance := range body.Instances {
			s.asked[release][instance.Text]++
			answer.Predictions = append(answer.Predictions, map[string]any{"scores": []any{s.scores[release]}})
		}
		if s.scores[release] == nil {
			http.Error(w, "tensor shapes do not match", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// texts are what a release was asked for.
func (s *modelServer) texts(release string) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := range s.asked[release] {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

// release is model a, served by the test's model server.
func release(name string) string {
	return fmt.Sprintf(`
resource "gcpml_vertex_model_upload" "a" {
  display_name   = "a"
  container_spec = { image_uri = "us-docker.pkg.dev/test/models/model:latest", predict_route = "/predict/%s", health_route = "/health" }
}
`, name)
}

func rollout(arguments string) string { return "rollout = { " + arguments + " }" }

// gateOf is a gate that wants this score.
func gateOf(score float64) string {
	return fmt.Sprintf(`gate = { instances = [jsonencode({ text = "asked at the gate" })], expect = [jsonencode({ scores = [%g] })], tolerance = 0.01 }`, score)
}

// Every strategy that promises it drops nothing, and moves the traffic as it says.
func TestAccRolloutStrategies(t *testing.T) {
	for name, c := range map[string]struct {
		rollout string
		// shares are what the new one had, one after the other.
		shares []int32
		drops  bool
	}{
		"steps":       {rollout(`strategy = "blue_green", steps = [10, 50, 100], wait = "1s"`), []int32{0, 10, 50, 100}, false},
		"blue_green":  {rollout(`strategy = "blue_green"`), []int32{0, 100}, false},
		"all_at_once": {rollout(`strategy = "all_at_once", wait = "1s"`), []int32{100}, false},
		"gate":        {rollout(`steps = [20, 100], wait = "500ms", ` + gateOf(0.9)), []int32{0, 20, 100}, false},
		"recreate":    {rollout(`strategy = "recreate"`), []int32{100}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startModelServer(t, map[string]any{"1": 0.5, "2": 0.9})
			tw := acctest.Start(t, "--deploy-latency", "1s", "--operation-latency", "200ms", "--model-server", "us-docker.pkg.dev/test/*="+server.url)
			var client *load
			run(
				t, tw,
				resource.TestStep{Config: tw.Config(release("1") + endpoint(deploy("main", modelA, small)))},
				resource.TestStep{
					PreConfig: func() { client = startLoad(t, tw) },
					Config:    tw.Config(release("2") + endpoint(deploy("main", modelA, small), c.rollout)), ConfigPlanChecks: updates(),
					ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 100}), has(deployedAt("main", "model_version_id"), text("2"))},
					Check: func(*terraform.State) error {
						err := client.end()
						if c.drops {
							if client.failed.Load() == 0 {
								return fmt.Errorf("nothing failed, though nothing was deployed for a while")
							}
							return nil
						}
						if err != nil {
							return err
						}
						if err := checkTimeline(tw, 3); err != nil {
							return err
						}
						return checkShares(t, tw, c.shares)
					},
				},
			)
		})
	}
}

// checkShares compares the shares that the deployed model which is there now has
// had since it was deployed, without repetitions.
func checkShares(t *testing.T, tw *acctest.Twin, want []int32) error {
	t.Helper()
	splits, err := timeline(tw)
	if err != nil {
		return err
	}
	now := read(t, tw).GetDeployedModels()[0].GetId()
	var got []int32
	for _, split := range splits {
		if share, there := split[now]; there && (len(got) == 0 || got[len(got)-1] != share) {
			got = append(got, share)
		}
	}
	if withoutFirstZero := slices.DeleteFunc(slices.Clone(want), func(s int32) bool { return s == 0 }); !slices.Equal(got, want) && !slices.Equal(got, withoutFirstZero) {
		return fmt.Errorf("the new one had %v one after the other, want %v", got, want)
	}
	return nil
}

// A gate that refuses leaves what serves as it is, and no client is ever answered
// by what was refused; the error says what differs.
func TestAccGateRefuses(t *testing.T) {
	t.Parallel()
	server := startModelServer(t, map[string]any{"1": 0.5, "2": 0.4, "broken": nil, "3": 0.9})
	tw := acctest.Start(t, "--deploy-latency", "1s", "--model-server", "us-docker.pkg.dev/test/*="+server.url)
	config := func(name string) string {
		return tw.Config(release(name) + endpoint(deploy("main", modelA, small), rollout(gateOf(0.9))))
	}
	var client *load
	var before *pb.Endpoint
	refused := func(*terraform.State) error {
		after := read(t, tw)
		if len(after.GetDeployedModels()) != 1 || after.GetEtag() != before.GetEtag() {
			return fmt.Errorf("what serves was touched: %v, before %v", after, before)
		}
		if endpoints := tw.Serving(t).Endpoints; len(endpoints) != 1 {
			return fmt.Errorf("the gate left something: %v", endpoints)
		}
		return nil
	}
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(release("1") + endpoint(deploy("main", modelA, small)))},
		resource.TestStep{
			PreConfig: func() { before, client = read(t, tw), startLoad(t, tw) },
			Config:    config("2"),
			ExpectError: regexp.MustCompile(`(?s)Unable to update endpoint "reviews".*"main".*a@2.*did\s+not\s+pass\s+the\s+gate:\s+instance\s+1\s+of\s+1,` +
				`.*asked\s+at\s+the\s+gate.*\$\.scores\[0\]\s+expected\s+0\.9,\s+got\s+0\.4\s+\(tolerance\s+0\.01\)`),
		},
		resource.TestStep{RefreshState: true, ExpectNonEmptyPlan: true, Check: refused},
		resource.TestStep{Config: config("broken"), ExpectError: regexp.MustCompile(`(?s)did\s+not\s+pass\s+the\s+gate.*tensor\s+shapes\s+do\s+not\s+match`)},
		resource.TestStep{RefreshState: true, ExpectNonEmptyPlan: true, Check: refused},
		resource.TestStep{
			Config: config("3"), ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{has(deployedAt("main", "model_version_id"), text("4"))},
			Check: func(*terraform.State) error {
				if err := client.end(); err != nil {
					return err
				}
				for _, name := range []string{"2", "broken"} {
					if got := server.texts(name); !slices.Equal(got, []string{"asked at the gate"}) {
						return fmt.Errorf("release %s, which was refused, was asked %q", name, got)
					}
				}
				return refusedNothingElse(t, tw)
			},
		},
		// What changes the gate alone changes nothing that runs.
		resource.TestStep{
			Config:           tw.Config(release("3") + endpoint(deploy("main", modelA, small), rollout(gateOf(0.1)))),
			ConfigPlanChecks: updates(plancheck.ExpectKnownValue(address, deployedAt("main", "model_version_id"), text("4"))),
		},
	)
}

func refusedNothingElse(t *testing.T, tw *acctest.Twin) error {
	t.Helper()
	if endpoints := tw.Serving(t).Endpoints; len(endpoints) != 1 || len(endpoints[0].DeployedModels) != 1 {
		return fmt.Errorf("there is more than the endpoint with one deployment: %v", endpoints)
	}
	return nil
}

// The first deployment of an endpoint has to pass, too; the endpoint stays.
func TestAccGateAtCreation(t *testing.T) {
	t.Parallel()
	server := startModelServer(t, map[string]any{"1": 0.5})
	tw := acctest.Start(t, "--model-server", "us-docker.pkg.dev/test/*="+server.url)
	run(t, tw, resource.TestStep{
		Config:      tw.Config(release("1") + endpoint(deploy("main", modelA, small), rollout(gateOf(0.9)))),
		ExpectError: regexp.MustCompile(`(?s)Unable to create endpoint "reviews".*expected\s+0\.9,\s+got\s+0\.5.*untaint`),
	})
	if endpoints := tw.Serving(t).Endpoints; len(endpoints) != 0 {
		t.Errorf("left: %v", endpoints)
	}
}

// A paused endpoint keeps its name, and everything that it is to serve again.
func TestAccPause(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	deployments := deploy("main", modelA, small) + deploy("canary", modelB, small)
	const split, pausing = "traffic = { main = 90, canary = 10 }", `desired_state = "paused"`
	nothing := []statecheck.StateCheck{
		traffic(nil), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(0)), has(tfjsonpath.New("desired_state"), text("paused")),
		has(tfjsonpath.New("deployments"), knownvalue.MapSizeExact(2)),
	}
	empty := func(*terraform.State) error {
		if e := read(t, tw); len(e.GetDeployedModels()) != 0 {
			return fmt.Errorf("deployed: %v", e.GetDeployedModels())
		}
		return nil
	}
	serving := resource.TestStep{
		Config: tw.Config(twoModels("1") + endpoint(deployments, split)), ConfigPlanChecks: updates(plancheck.ExpectUnknownValue(address, tfjsonpath.New("deployed"))),
		ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 90, "canary": 10}), has(tfjsonpath.New("desired_state"), text("serving"))},
	}
	first := serving
	first.ConfigPlanChecks = planned(plancheck.ResourceActionCreate)
	run(
		t, tw,
		first,
		resource.TestStep{Config: tw.Config(twoModels("1") + endpoint(deployments, split, pausing)), ConfigPlanChecks: updates(), ConfigStateChecks: nothing, Check: empty},
		resource.TestStep{ // a new version is not deployed while it is paused
			Config: tw.Config(twoModels("2") + endpoint(deployments, split, pausing)), ConfigPlanChecks: updates(), ConfigStateChecks: nothing, Check: empty,
		},
		resource.TestStep{ // what somebody deploys meanwhile is theirs
			PreConfig: func() { deployForeign(t, tw, 100) },
			Config:    tw.Config(twoModels("2") + endpoint(deployments, split, pausing)), ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
		resource.TestStep{
			PreConfig: func() { undeploy(t, tw, "theirs", nil) },
			Config:    tw.Config(twoModels("2") + endpoint(deployments, split)), ConfigPlanChecks: updates(),
			ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 90, "canary": 10}), has(deployedAt("main", "model_version_id"), text("2"))},
		},
		resource.TestStep{ // it would give them all traffic, for good
			PreConfig:   func() { deployForeignBeside(t, tw, 40) },
			Config:      tw.Config(twoModels("2") + endpoint(deployments, split, pausing)),
			ExpectError: regexp.MustCompile(`(?s)Unable to update endpoint.*others\s+deployed.*when\s+it\s+serves\s+again`),
		},
		resource.TestStep{
			PreConfig: func() {
				e := read(t, tw)
				undeploy(t, tw, "theirs", map[string]int32{idOf(e, "main"): 90, idOf(e, "canary"): 10})
			},
			Config: tw.Config(twoModels("2") + endpoint(deployments, split)), ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
		resource.TestStep{ // made paused
			Config: tw.Config(twoModels("2") + endpoint(deployments, split, pausing, `endpoint_id = "other"`)), ConfigPlanChecks: planned(plancheck.ResourceActionReplace),
			ConfigStateChecks: nothing,
		},
	)
}

// deployForeignBeside deploys as somebody else would, and takes this share from all.
func deployForeignBeside(t *testing.T, tw *acctest.Twin, share int32) {
	t.Helper()
	e := read(t, tw)
	op, err := client(t, tw).DeployModel(t.Context(), &pb.DeployModelRequest{
		Endpoint: id, TrafficSplit: map[string]int32{"0": share, idOf(e, "main"): 90 - share, idOf(e, "canary"): 10},
		DeployedModel: &pb.DeployedModel{
			Model: models + "b", DisplayName: "theirs",
			PredictionResources: &pb.DeployedModel_DedicatedResources{DedicatedResources: &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-8"}, MinReplicaCount: 1}},
		},
	})
	if err == nil {
		_, err = op.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Ctrl-C during a step ends soon and leaves the traffic where it is, in the state,
// too. The next apply goes on from what it finds, even if somebody moved traffic.
func TestAccInterruptedSteps(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(release, wait string) string {
		return tw.Config(twoModels(release) + endpoint(deploy("main", modelA, small), rollout(`steps = [10, 50, 100], wait = "`+wait+`"`)))
	}
	cli := tw.NewCLI(t, config("1", "50m"))
	cli.Must("apply", "-auto-approve", "-no-color")
	old := read(t, tw).GetDeployedModels()[0].GetId()
	cli.Write(config("2", "50m"))
	apply := cli.Start("apply", "-auto-approve", "-no-color")
	eventually(t, "the first step", func() bool { return read(t, tw).GetTrafficSplit()[old] == 90 })
	since := time.Now()
	apply.Interrupt()
	out, exit := apply.Wait()
	if took := time.Since(since); exit == 0 || took > 5*time.Second || !strings.Contains(out, "stopped while waiting") {
		t.Errorf("exit code %d after %s:\n%s", exit, took, out)
	}
	if out := cli.Must("show", "-no-color"); strings.Contains(out, "tainted") || !regexp.MustCompile(`"main"\s+=\s+90`).MatchString(out) {
		t.Errorf("the state does not show the step:\n%s", out)
	}
	e := read(t, tw)
	split := map[string]int32{}
	for _, d := range e.GetDeployedModels() {
		split[d.GetId()] = 30
	}
	split[old] = 70
	patch(t, tw, &pb.Endpoint{TrafficSplit: split}, "traffic_split")
	cli.Write(config("2", "1s"))
	since = time.Now()
	cli.Must("apply", "-auto-approve", "-no-color")
	if took := time.Since(since); took < 3*time.Second { // before 50, before 100, before the undeployment
		t.Errorf("the steps lasted %s", took)
	}
	if err := checkShares(t, tw, []int32{0, 10, 30, 50, 100}); err != nil {
		t.Error(err)
	}
	if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
		t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
	}
	cli.Must("destroy", "-auto-approve", "-no-color")
	if err := tw.CheckDestroy(nil); err != nil {
		t.Error(err)
	}
}

// A provider that is killed at the gate leaves its endpoint; the next apply takes
// it up and removes it, and a destroy removes it, too.
func TestAccKilledAtTheGate(t *testing.T) {
	for _, then := range []string{"apply", "destroy"} {
		t.Run(then, func(t *testing.T) {
			t.Parallel()
			server := startModelServer(t, map[string]any{"1": 0.5, "2": 0.9})
			tw := acctest.Start(t, "--deploy-latency", "2s", "--model-server", "us-docker.pkg.dev/test/*="+server.url)
			cli := tw.NewCLI(t, tw.Config(release("1")+endpoint(deploy("main", modelA, small))))
			cli.Must("apply", "-auto-approve", "-no-color")
			cli.Write(tw.Config(release("2") + endpoint(deploy("main", modelA, small), rollout(gateOf(0.9)))))
			apply := cli.Start("apply", "-auto-approve", "-no-color")
			eventually(t, "the gate", func() bool { return len(tw.Serving(t).Endpoints) == 2 })
			if cli.KillProvider() == 0 {
				t.Error("no provider was killed")
			}
			if out, exit := apply.Wait(); exit == 0 {
				t.Errorf("it succeeded:\n%s", out)
			}
			if then == "apply" {
				cli.Must("apply", "-auto-approve", "-no-color")
				if err := refusedNothingElse(t, tw); err != nil {
					t.Error(err)
				}
				if out, exit := cli.Run("plan", "-detailed-exitcode", "-no-color"); exit != 0 {
					t.Errorf("the plan is not empty (exit code %d):\n%s", exit, out)
				}
			}
			cli.Must("destroy", "-auto-approve", "-no-color")
			if err := tw.CheckDestroy(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each stage of a deployment is told once, when it is reached.
func TestAccDeploymentStages(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--deploy-latency", "5s")
	service := vertex.New(tw.Clients(t))
	name := gcp.Name{Project: acctest.Project, Location: acctest.Region, Kind: gcp.KindModel, ID: "a"}
	upload := vertex.ModelSpec{Name: name, DisplayName: "a", Content: vertex.Content{ArtifactURI: "gs://bucket/1/", Container: vertex.Container{ImageURI: image}}}
	if _, err := service.UploadModel(t.Context(), upload, vertex.Report{}); err != nil {
		t.Fatal(err)
	}
	spec := vertex.EndpointSpec{
		Name: gcp.Name{Project: acctest.Project, Location: acctest.Region, Kind: gcp.KindEndpoint, ID: "reviews"}, DisplayName: "Reviews",
		Deployments: map[string]vertex.Deployment{"main": {Model: name, Resources: vertex.Resources{MachineType: "n1-standard-2", MinReplicas: 1, MaxReplicas: 1}}},
	}
	var told []string
	stage := regexp.MustCompile(`^deploying "main" \(.*@1\): ([A-Z_]+) after \d+s$`)
	_, err := service.CreateEndpoint(t.Context(), spec, vertex.Report{Progress: func(format string, args ...any) {
		if m := stage.FindStringSubmatch(fmt.Sprintf(format, args...)); m != nil {
			told = append(told, m[1])
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if unique := slices.Compact(slices.Clone(told)); len(told) < 3 || len(unique) != len(told) || told[len(told)-1] != "SUCCESSFULLY_DEPLOYED" {
		t.Errorf("stages %q", told)
	}
}

// Another writer that changes the endpoint all the time delays a roll-out, but
// neither breaks it nor is undone by it.
func TestAccRolloutBesideAnotherWriter(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--deploy-latency", "300ms", "--operation-latency", "100ms")
	done, ended := make(chan struct{}), make(chan struct{})
	c := client(t, tw)
	changes := 0
	hostile := func() {
		defer close(ended)
		for {
			op, err := c.DeployModel(t.Context(), &pb.DeployModelRequest{Endpoint: id, DeployedModel: &pb.DeployedModel{
				Id: "77", Model: models + "b", DisplayName: "theirs",
				PredictionResources: &pb.DeployedModel_DedicatedResources{DedicatedResources: &pb.DedicatedResources{MachineSpec: &pb.MachineSpec{MachineType: "n1-standard-8"}, MinReplicaCount: 1}},
			}})
			if err == nil {
				if _, err = op.Wait(t.Context()); err == nil {
					changes++
				}
			}
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if op, err := c.UndeployModel(t.Context(), &pb.UndeployModelRequest{Endpoint: id, DeployedModelId: "77"}); err == nil {
				_, _ = op.Wait(t.Context())
			}
		}
	}
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)))},
		resource.TestStep{
			PreConfig: func() { go hostile() },
			Config:    tw.Config(twoModels("2") + endpoint(deploy("main", modelA, small), rollout(`steps = [10, 50, 100], wait = "500ms"`), "force_destroy = true")),
			ConfigStateChecks: []statecheck.StateCheck{
				traffic(map[string]int32{"main": 100}), has(deployedAt("main", "model_version_id"), text("2")), has(tfjsonpath.New("deployed"), knownvalue.MapSizeExact(1)),
			},
			Check: func(*terraform.State) error {
				close(done)
				<-ended
				t.Logf("another writer deployed %d times", changes)
				if changes == 0 {
					return fmt.Errorf("the other writer did nothing")
				}
				return checkTimeline(tw, 6)
			},
		},
	)
}

func TestAccRolloutInvalid(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	main := deploy("main", `"projects/demo-gcpml/locations/us-central1/models/a@1"`, small)
	gate := func(arguments string) string { return rollout("gate = { " + arguments + " }") }
	for name, c := range map[string]struct{ argument, want string }{
		"strategy":            {rollout(`strategy = "canary"`), `rollout.strategy.*"blue_green"`},
		"no steps":            {rollout(`steps = []`), `no step`},
		"descending":          {rollout(`steps = [50, 10, 100]`), `10\s+comes\s+after\s+50`},
		"twice":               {rollout(`steps = [50, 50, 100]`), `50\s+comes\s+after\s+50`},
		"not to the end":      {rollout(`steps = [10, 90]`), `last\s+step\s+must\s+be\s+100,\s+not\s+90`},
		"above 100":           {rollout(`steps = [10, 101]`), `101\s+is\s+not\s+a\s+percentage`},
		"zero":                {rollout(`steps = [0, 100]`), `0\s+is\s+not\s+a\s+percentage`},
		"steps with recreate": {rollout(`strategy = "recreate", steps = [10, 100]`), `Steps without blue_green`},
		"wait":                {rollout(`wait = "soon"`), `"soon"\s+is\s+not\s+a\s+duration`},
		"negative wait":       {rollout(`wait = "-1s"`), `"-1s"\s+is\s+not\s+a\s+duration`},
		"wait without a unit": {rollout(`wait = "30"`), `"30"\s+is\s+not\s+a\s+duration`},
		"no instances":        {gate(`instances = []`), `0\s+instances`},
		"not JSON":            {gate(`instances = ["{text: a}"]`), `is\s+not\s+JSON.*jsonencode`},
		"expect is not JSON":  {gate(`instances = ["1"], expect = ["good"]`), `"good"\s+is\s+not\s+JSON`},
		"too few expected":    {gate(`instances = ["1", "2"], expect = ["1"]`), `1\s+predictions\s+for\s+2\s+instances`},
		"negative tolerance":  {gate(`instances = ["1"], expect = ["1"], tolerance = -0.5`), `-0.5\s+is\s+not`},
		"tolerance alone":     {gate(`instances = ["1"], tolerance = 0.5`), `Tolerance without expect`},
		"endless waits":       {rollout(`steps = [10, 50, 100], wait = "1h"`), `sum\s+to\s+3h0m0s,\s+but\s+an\s+update\s+may\s+take\s+3h0m0s`},
		"waits and a timeout": {rollout(`wait = "10m"`) + "\n  timeouts {\n    update = \"10m\"\n  }\n", `sum\s+to\s+10m0s,\s+but\s+an\s+update\s+may\s+take\s+10m0s`},
		"desired state":       {`desired_state = "stopped"`, `desired_state.*"serving"`},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, tw, resource.TestStep{Config: tw.Config(endpoint(main, c.argument)), PlanOnly: true, ExpectError: regexp.MustCompile("(?s)" + c.want)})
		})
	}
}

// The roll-out may be unknown at plan, in parts or as a whole.
func TestAccRolloutUnknown(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t)
	config := func(step int) string {
		return tw.Config(twoModels("1") + fmt.Sprintf(`
resource "terraform_data" "u" {
  input = {
    step = %d, wait = "10ms", strategy = "blue_green", instance = jsonencode({ text = "fine" }), state = "serving"
    all  = { strategy = "recreate", wait = "1ms", steps = null, gate = null }
  }
}

locals { u = terraform_data.u.output }
`, step) + endpoint(deploy("main", modelA, small), "rollout = { strategy = local.u.strategy, steps = [local.u.step, 100], wait = local.u.wait, gate = { instances = [local.u.instance] } }",
			"desired_state = local.u.state") + `
resource "gcpml_vertex_endpoint_deployment" "whole" {
  display_name = "whole"
  deployments  = {}
  rollout      = local.u.all
}
`)
	}
	run(
		t, tw,
		resource.TestStep{Config: config(10), ConfigStateChecks: []statecheck.StateCheck{traffic(map[string]int32{"main": 100})}},
		resource.TestStep{Config: config(100), ExpectError: regexp.MustCompile(`100\s+comes\s+after\s+100`)},
	)
}
