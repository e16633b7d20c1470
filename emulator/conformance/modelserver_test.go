// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// A model server of the user's answers the predictions of the images mapped to
// it, at the routes of the model; once it is gone, deploying fails.
func TestModelServerOfTheUser(t *testing.T) {
	var healthChecks atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) { healthChecks.Add(1) })
	mux.HandleFunc("POST /score", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Instances []map[string]float64 }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out := make([]any, len(in.Instances))
		for i, instance := range in.Instances {
			out[i] = map[string]any{"sum": instance["a"] + instance["b"]}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"predictions": out})
	})
	model := httptest.NewServer(mux)
	defer model.Close()

	srv := start(t, emulator.Options{ModelServers: []string{"us-docker.pkg.dev/acme/*=" + model.URL}})
	v := newVertex(t, srv)
	m := tutorialModel()
	m.ContainerSpec = &aiplatformpb.ModelContainerSpec{ImageUri: "us-docker.pkg.dev/acme/models/sum:3", PredictRoute: "/score", HealthRoute: "/alive"}
	up := v.upload(t, &aiplatformpb.UploadModelRequest{Model: m})
	e := v.createEndpoint(t, "sums")
	v.deploy(t, e.GetName(), deployedModel(up.GetModel(), "1"), nil)
	if healthChecks.Load() == 0 {
		t.Error("deployed without asking the health route")
	}
	instance, err := structpb.NewValue(map[string]any{"a": 2, "b": 40})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: []*structpb.Value{instance}})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetPredictions()[0].GetStructValue().GetFields()["sum"].GetNumberValue(); got != 42 {
		t.Errorf("2 + 40 is predicted as %v", got)
	}
	_, err = v.predictions.Predict(t.Context(), &aiplatformpb.PredictRequest{Endpoint: e.GetName(), Instances: texts("x")})
	wantError(t, err, codes.InvalidArgument, "400")

	model.Close()
	op, err := v.endpoints.DeployModel(t.Context(), &aiplatformpb.DeployModelRequest{Endpoint: e.GetName(), DeployedModel: deployedModel(up.GetModel(), "2")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = result(t, op)
	wantError(t, err, codes.FailedPrecondition, "Model server exited unexpectedly")
	wantError(t, err, codes.FailedPrecondition, model.URL+"/alive")
}
