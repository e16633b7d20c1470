// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// A client that dies after the effect and before the reply of a call: what it
// asked for exists, and asking again says so.
func TestClientDiesBeforeTheReply(t *testing.T) {
	srv := start(t, emulator.Options{EnableFaults: true})
	v := newVertex(t, srv)
	m := v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "m", Model: tutorialModel()})
	endpoint := parent + "/endpoints/e"

	dies := func(method string, call func(context.Context) error) {
		t.Helper()
		if code, out := callFault(t, srv, http.MethodPost, map[string]any{"method": "*EndpointService/" + method, "action": "hold"}); code != http.StatusCreated {
			t.Fatalf("setting a fault: %d %v", code, out)
		}
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		waitFor(t, method+" is held", func() bool {
			_, out := callFault(t, srv, http.MethodGet, nil)
			faults := out["faults"].([]any)
			return len(faults) == 1 && faults[0].(map[string]any)["fired"] == true
		})
		kill()
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("%s: %v, want Canceled", method, err)
		}
		callFault(t, srv, http.MethodDelete, nil)
	}

	create := &aiplatformpb.CreateEndpointRequest{Parent: parent, EndpointId: "e", Endpoint: &aiplatformpb.Endpoint{DisplayName: "e"}}
	dies("CreateEndpoint", func(ctx context.Context) error {
		_, err := v.endpoints.CreateEndpoint(ctx, create)
		return err
	})
	waitFor(t, "the endpoint exists", func() bool {
		_, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpoint})
		return err == nil
	})
	_, err := v.endpoints.CreateEndpoint(t.Context(), create)
	wantError(t, err, codes.AlreadyExists, "endpoints/e")

	deploy := &aiplatformpb.DeployModelRequest{Endpoint: endpoint, DeployedModel: deployedModel(m.GetModel(), "1"), TrafficSplit: map[string]int32{"0": 100}}
	dies("DeployModel", func(ctx context.Context) error {
		_, err := v.endpoints.DeployModel(ctx, deploy)
		return err
	})
	waitFor(t, "the model is deployed", func() bool {
		e, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpoint})
		return err == nil && len(e.GetDeployedModels()) == 1
	})
	_, err = v.endpoints.DeployModel(t.Context(), deploy)
	wantError(t, err, codes.AlreadyExists, `"1"`)

	dies("UndeployModel", func(ctx context.Context) error {
		_, err := v.endpoints.UndeployModel(ctx, &aiplatformpb.UndeployModelRequest{Endpoint: endpoint, DeployedModelId: "1"})
		return err
	})
	waitFor(t, "the model is undeployed", func() bool {
		e, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: endpoint})
		return err == nil && len(e.GetDeployedModels()) == 0
	})
}

func callFault(t *testing.T, srv *emulator.Server, method string, body any) (int, map[string]any) {
	t.Helper()
	return call(t, srv, method, "/_emulator/faults", body)
}

// waitFor waits for a condition that the emulator brings about.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to pass that %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
