// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// The tutorial's Vertex AI half with the official Go client: upload, deploy,
// predict over gRPC and REST, undeploy, delete; nothing is left.
func TestGoClientWalksTheTutorial(t *testing.T) {
	t.Run("defaults", func(t *testing.T) { walkTheTutorial(t, nil) })
	var flipped []string
	for _, s := range assume.Switches {
		flipped = append(flipped, string(s.Key)+"="+s.Values[len(s.Values)-1])
	}
	t.Run("every switch flipped", func(t *testing.T) { walkTheTutorial(t, flipped) })
}

func walkTheTutorial(t *testing.T, settings []string) {
	srv := start(t, emulator.Options{OperationLatency: 5 * time.Millisecond, Assume: settings})
	v := newVertex(t, srv)
	uploaded := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "bert", Model: tutorialModel()})
	if uploaded.GetModelVersionId() != "1" {
		t.Errorf("version of a new model = %q, want 1", uploaded.GetModelVersionId())
	}
	e := v.createEndpoint(t, "reviews")
	v.deploy(t, e.GetName(), deployedModel(uploaded.GetModel(), "11"), map[string]int32{"0": 100})

	answer, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{
		Endpoint: parent + "/endpoints/reviews", Instances: texts("A wonderful film, I loved it", "Dull, awful, a waste of time"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.GetPredictions()) != 2 {
		t.Fatalf("%d predictions for 2 instances", len(answer.GetPredictions()))
	}
	good := answer.GetPredictions()[0].GetListValue().GetValues()[0].GetNumberValue()
	bad := answer.GetPredictions()[1].GetListValue().GetValues()[0].GetNumberValue()
	if good <= 0.5 || good > 1 || bad >= 0.5 || bad < 0 {
		t.Errorf("scores: praise %v, slating %v; want them on their sides of 0.5 within [0, 1]", good, bad)
	}
	if answer.GetDeployedModelId() != "11" || answer.GetModelVersionId() != "1" || answer.GetModelDisplayName() != "bert_sentiment" {
		t.Errorf("the answer names deployment %q, version %q, model %q", answer.GetDeployedModelId(), answer.GetModelVersionId(), answer.GetModelDisplayName())
	}

	code, rest := call(t, srv, http.MethodPost, "/v1/"+parent+"/endpoints/reviews:predict", map[string]any{
		"instances": []any{map[string]any{"text": "A wonderful film, I loved it"}},
	})
	if code != http.StatusOK {
		t.Fatalf("REST :predict: %d %v", code, rest)
	}
	if got := rest["predictions"].([]any)[0].([]any)[0]; got != good {
		t.Errorf("REST predicts %v, gRPC %v for the same instance", got, good)
	}
	if rest["deployedModelId"] != "11" || rest["modelVersionId"] != "1" {
		t.Errorf("REST answer: %v", rest)
	}

	v.undeploy(t, e.GetName(), "11", nil)
	del, err := v.endpoints.DeleteEndpoint(t.Context(), &aiplatformpb.DeleteEndpointRequest{Name: e.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if err := del.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	delModel, err := v.models.DeleteModel(t.Context(), &aiplatformpb.DeleteModelRequest{Name: uploaded.GetModel()})
	if err != nil {
		t.Fatal(err)
	}
	if err := delModel.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"models", "endpoints"} {
		if left := inventory(t, srv, section); len(left) != 0 {
			t.Errorf("left over in %s: %v", section, left)
		}
	}
}

// The traffic split is honoured exactly over 100 predictions, and two versions
// can be told apart in the answers.
func TestTrafficSplitIsHonoured(t *testing.T) {
	srv := start(t, emulator.Options{})
	v := newVertex(t, srv)
	one := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "m", Model: tutorialModel()})
	v.upload(t, &aiplatformpb.UploadModelRequest{ParentModel: one.GetModel(), Model: tutorialModel()})
	e := v.createEndpoint(t, "split")
	v.deploy(t, e.GetName(), deployedModel(one.GetModel()+"@1", "1"), map[string]int32{"0": 100})
	v.deploy(t, e.GetName(), deployedModel(one.GetModel()+"@2", "2"), map[string]int32{"1": 70, "0": 30})
	seen := map[string]int{}
	for range 100 {
		answer, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: texts("fine")})
		if err != nil {
			t.Fatal(err)
		}
		seen[answer.GetDeployedModelId()+"@"+answer.GetModelVersionId()]++
	}
	if want := map[string]int{"1@1": 70, "2@2": 30}; !maps.Equal(seen, want) {
		t.Errorf("100 predictions went %v, want %v", seen, want)
	}
}

// A rollout under load: no prediction fails, and the split sums to 100 at every
// instant while anything is deployed.
func TestRolloutHasNoDowntime(t *testing.T) {
	srv := start(t, emulator.Options{OperationLatency: 20 * time.Millisecond, DeployLatency: 60 * time.Millisecond})
	v := newVertex(t, srv)
	m := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "m", Model: tutorialModel()})
	v.upload(t, &aiplatformpb.UploadModelRequest{ParentModel: m.GetModel(), Model: tutorialModel()})
	e := v.createEndpoint(t, "rollout")
	v.deploy(t, e.GetName(), deployedModel(m.GetModel()+"@1", "1"), nil)

	ctx, stop := context.WithCancel(t.Context())
	var sent, failed atomic.Int64
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				_, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: texts("fine")})
				if sent.Add(1); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	v.deploy(t, e.GetName(), deployedModel(m.GetModel()+"@2", "2"), map[string]int32{"1": 100, "0": 0})
	for _, share := range []int32{10, 50, 100} {
		if _, err := v.endpoints.UpdateEndpoint(t.Context(), &aiplatformpb.UpdateEndpointRequest{
			Endpoint:   &aiplatformpb.Endpoint{Name: e.GetName(), TrafficSplit: map[string]int32{"1": 100 - share, "2": share}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"traffic_split"}},
		}); err != nil {
			t.Error(err)
		}
	}
	v.undeploy(t, e.GetName(), "1", nil)
	stop()
	load.Wait()
	if failed.Load() != 0 || sent.Load() == 0 {
		t.Errorf("%d of %d predictions failed during the rollout", failed.Load(), sent.Load())
	}

	_, timeline := call(t, srv, http.MethodGet, "/_emulator/timeline", nil)
	changes := timeline["changes"].([]any)
	if len(changes) != 7 { // created, 2 deployed, 3 splits, undeployed
		t.Errorf("%d changes in the timeline, want 7: %v", len(changes), changes)
	}
	for _, c := range changes {
		change := c.(map[string]any)
		sum := 0.0
		for _, share := range change["traffic_split"].(map[string]any) {
			sum += share.(float64)
		}
		if len(change["deployed_models"].([]any)) > 0 && sum != 100 {
			t.Errorf("the split sums to %v after %v", sum, change["event"])
		}
	}
}

// Lists page, filter and order as the client library expects.
func TestListModels(t *testing.T) {
	srv := start(t, emulator.Options{})
	v := newVertex(t, srv)
	for i, colour := range []string{"red", "blue", "red"} {
		m := tutorialModel()
		m.DisplayName = fmt.Sprintf("model %d", i)
		m.Labels = map[string]string{"colour": colour}
		v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: fmt.Sprintf("m%d", i), Model: m})
	}
	for _, c := range []struct {
		filter, orderBy string
		want            []string
	}{
		{"", "", []string{"model 0", "model 1", "model 2"}},
		{"", "display_name desc", []string{"model 2", "model 1", "model 0"}},
		{`labels.colour="red"`, "", []string{"model 0", "model 2"}},
		{`labels.colour=red AND model!=m0`, "", []string{"model 2"}},
		{`displayName="model 1"`, "", []string{"model 1"}},
		{`labels:colour AND display_name!="model 1"`, "", []string{"model 0", "model 2"}},
		{`labels.shape:* OR labels.colour=blue`, "", []string{"model 1"}},
		{`labels.colour=red AND model=m0 OR model=m1`, "", []string{"model 0"}}, // OR binds tighter
		{`labels.shape:*`, "", nil},
	} {
		it := v.models.ListModels(t.Context(), &aiplatformpb.ListModelsRequest{Parent: parent, Filter: c.filter, OrderBy: c.orderBy, PageSize: 2})
		var got []string
		for {
			m, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			if err != nil {
				t.Fatalf("filter %q: %v", c.filter, err)
			}
			got = append(got, m.GetDisplayName())
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("filter %q, order %q: %v, want %v", c.filter, c.orderBy, got, c.want)
		}
	}
}

// Deploying an image that nobody serves fails the operation, names the cure and
// leaves the endpoint as it was.
func TestDeployOfUnknownImageFails(t *testing.T) {
	srv := start(t, emulator.Options{})
	v := newVertex(t, srv)
	m := tutorialModel()
	m.ContainerSpec.ImageUri = "us-docker.pkg.dev/acme/models/server:1"
	up := v.upload(t, &aiplatformpb.UploadModelRequest{Model: m})
	e := v.createEndpoint(t, "unknown-image")
	op, err := v.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: e.GetName(), DeployedModel: deployedModel(up.GetModel(), "1")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = result(t, op)
	wantError(t, err, codes.FailedPrecondition, "--model-server us-docker.pkg.dev/acme/models/server:1=")
	meta, err := op.Metadata()
	if err != nil || meta.GetDeploymentStage() != aiplatformpb.DeploymentStage_FAILED_TO_DEPLOY {
		t.Errorf("stage of the failed deployment: %v, %v", meta.GetDeploymentStage(), err)
	}
	got, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: e.GetName()})
	if err != nil || len(got.GetDeployedModels())+len(got.GetTrafficSplit()) != 0 {
		t.Errorf("after the failed deployment: %v, %v", got, err)
	}
}

// An endpoint answers predictions only while something is deployed.
func TestPredictWithNothingDeployed(t *testing.T) {
	srv := start(t, emulator.Options{})
	v := newVertex(t, srv)
	e := v.createEndpoint(t, "empty")
	_, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: texts("x")})
	wantError(t, err, codes.FailedPrecondition, "doesn't have traffic_split")
	_, err = v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: parent + "/endpoints/none", Instances: texts("x")})
	wantError(t, err, codes.NotFound, "none")
}

func wantError(t *testing.T, err error, code codes.Code, part string) {
	t.Helper()
	if status.Code(err) != code || !contains(err, part) {
		t.Errorf("error %v: want code %v and %q in it", err, code, part)
	}
}

func contains(err error, part string) bool { return err != nil && strings.Contains(err.Error(), part) }
