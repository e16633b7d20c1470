// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// scripted is an emulator with faults, and clients that do not retry.
type scripted struct {
	srv         *emulator.Server
	endpoints   aiplatformpb.EndpointServiceClient
	operations  longrunningpb.OperationsClient
	connections connectionpb.ConnectionServiceClient
	projects    resourcemanagerpb.ProjectsClient
}

func newScripted(t *testing.T) scripted {
	t.Helper()
	srv := start(t, emulator.Options{EnableFaults: true})
	conn, err := grpc.NewClient(srv.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return scripted{
		srv, aiplatformpb.NewEndpointServiceClient(conn), longrunningpb.NewOperationsClient(conn),
		connectionpb.NewConnectionServiceClient(conn), resourcemanagerpb.NewProjectsClient(conn),
	}
}

// admin posts to the emulator's own surface.
func (s scripted) admin(t *testing.T, path string, body any, want int) map[string]any {
	t.Helper()
	code, out := call(t, s.srv, http.MethodPost, "/_emulator/"+path, body)
	if code != want {
		t.Fatalf("%s %v: %d %v", path, body, code, out)
	}
	return out
}

func (s scripted) create(t *testing.T, id string) *longrunningpb.Operation {
	t.Helper()
	op, err := s.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{
		Parent: parent, EndpointId: id, Endpoint: &aiplatformpb.Endpoint{DisplayName: id},
	})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func (s scripted) exists(t *testing.T, id string) bool {
	t.Helper()
	_, err := s.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: parent + "/endpoints/" + id})
	return err == nil
}

func (s scripted) poll(t *testing.T, op *longrunningpb.Operation) (*longrunningpb.Operation, codes.Code) {
	t.Helper()
	got, err := s.operations.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()})
	return got, status.Code(err)
}

// done waits until an operation is done.
func (s scripted) done(t *testing.T, op *longrunningpb.Operation) (got *longrunningpb.Operation) {
	t.Helper()
	waitFor(t, "the operation is done", func() bool {
		got, _ = s.poll(t, op)
		return got.GetDone()
	})
	return got
}

func TestScriptedResults(t *testing.T) {
	for name, c := range map[string]struct {
		script map[string]any
		exists bool
		check  func(*longrunningpb.Operation) bool
	}{
		"error": {
			map[string]any{"result": "error", "status": map[string]any{"code": "RESOURCE_EXHAUSTED", "message": "no more", "reason": "QUOTA"}}, false,
			func(op *longrunningpb.Operation) bool {
				return op.GetError().GetCode() == int32(codes.ResourceExhausted) && op.GetError().GetMessage() == "no more" && len(op.GetError().GetDetails()) == 1
			},
		},
		"error after the effect": {
			map[string]any{"result": "error", "phase": "after_effect", "status": map[string]any{"code": "INTERNAL"}}, true,
			func(op *longrunningpb.Operation) bool { return op.GetError().GetCode() == int32(codes.Internal) },
		},
		"empty": {map[string]any{"result": "empty"}, true, func(op *longrunningpb.Operation) bool { return op.GetResult() == nil }},
		"no effect": {
			map[string]any{"result": "no_effect"}, false,
			func(op *longrunningpb.Operation) bool {
				return op.GetResponse().MessageIs(&aiplatformpb.Endpoint{})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t)
			c.script["method"] = "*EndpointService/CreateEndpoint"
			s.admin(t, "operations", c.script, http.StatusCreated)
			if op := s.done(t, s.create(t, "e")); !c.check(op) {
				t.Errorf("operation: %v", op)
			}
			if s.exists(t, "e") != c.exists {
				t.Errorf("exists: %v, want %v", !c.exists, c.exists)
			}
			// The script is used up; where nothing is left the id is free.
			if other := s.done(t, s.create(t, "other")); other.GetResponse() == nil {
				t.Errorf("the next operation: %v", other)
			}
			if !c.exists {
				s.done(t, s.create(t, "e"))
			}
		})
	}
}

func TestScriptedOperationThatNeverEnds(t *testing.T) {
	for phase, exists := range map[string]bool{"before": false, "after_effect": true} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t)
			s.admin(t, "operations", map[string]any{"result": "never", "phase": phase, "name": "*/" + projectID + "/*/endpoints/e"}, http.StatusCreated)
			op := s.create(t, "e")
			s.done(t, s.create(t, "other")) // another name is not meant
			waitFor(t, "there is what there will be", func() bool { return s.exists(t, "e") == exists })
			s.admin(t, "clock", map[string]any{"advance": "24h"}, http.StatusOK)
			if got, code := s.poll(t, op); got.GetDone() || code != codes.OK {
				t.Errorf("after a day: %v %v", got, code)
			}
			if _, err := s.operations.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: op.GetName()}); err != nil {
				t.Fatal(err)
			}
			if got := s.done(t, op); got.GetError().GetCode() != int32(codes.Canceled) {
				t.Errorf("cancelled: %v", got)
			}
		})
	}
}

func TestScriptedPollsDelayAndForgetting(t *testing.T) {
	s := newScripted(t)
	s.admin(t, "operations", map[string]any{
		"method": "*/CreateEndpoint", "delay": "20m", "op_get": []string{"404", "UNAVAILABLE", "200", "403"}, "forget_after": "1h",
	}, http.StatusCreated)
	op := s.create(t, "e")
	var got []codes.Code
	for range 5 {
		_, code := s.poll(t, op)
		got = append(got, code)
	}
	if want := []codes.Code{codes.NotFound, codes.Unavailable, codes.OK, codes.PermissionDenied, codes.OK}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("polls: %v, want %v", got, want)
	}
	s.admin(t, "clock", map[string]any{"advance": "19m"}, http.StatusOK)
	if got, _ := s.poll(t, op); got.GetDone() {
		t.Error("done after 19 minutes of 20")
	}
	s.admin(t, "clock", map[string]any{"advance": "1m"}, http.StatusOK)
	s.done(t, op)
	s.admin(t, "clock", map[string]any{"advance": "1h"}, http.StatusOK)
	if _, code := s.poll(t, op); code != codes.NotFound {
		t.Errorf("an hour later: %v", code)
	}
	if !s.exists(t, "e") {
		t.Error("the endpoint was forgotten too")
	}
	_, out := call(t, s.srv, http.MethodGet, "/_emulator/operations", nil)
	if report := out["operations"].([]any)[0].(map[string]any); report["fired"] != true || report["remaining"] != 0.0 || report["operations"].([]any)[0] == "" {
		t.Errorf("report: %v", report)
	}
	for body, part := range map[string]map[string]any{
		"NoSuch": {"method": "*/NoSuch"}, "sometimes": {"result": "sometimes"}, "status": {"result": "error"},
		"op_get": {"op_get": []string{"299"}}, "no_effect": {"result": "no_effect", "phase": "after_effect"},
	} {
		if out := s.admin(t, "operations", part, http.StatusBadRequest); !strings.Contains(fmt.Sprint(out["error"]), body) {
			t.Errorf("%v: %v", part, out)
		}
	}
}

// IAM lags behind in three ways, on the emulator's clock.
func TestIAMBehaviour(t *testing.T) {
	s := newScripted(t)
	s.admin(t, "iam", map[string]any{"lag": "5m", "account_lag": "2m"}, http.StatusOK)
	connection, err := s.connections.CreateConnection(t.Context(), &connectionpb.CreateConnectionRequest{
		Parent: "projects/" + projectID + "/locations/us", ConnectionId: "c",
		Connection: &connectionpb.Connection{Properties: &connectionpb.Connection_CloudResource{CloudResource: &connectionpb.CloudResourceProperties{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	grant := func() (*iampb.Policy, error) {
		return s.projects.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: "projects/" + projectID, Policy: &iampb.Policy{
			Bindings: []*iampb.Binding{{Role: "roles/aiplatform.user", Members: []string{"serviceAccount:" + connection.GetCloudResource().GetServiceAccountId()}}},
		}})
	}
	_, err = grant()
	wantError(t, err, codes.InvalidArgument, "does not exist")
	s.admin(t, "clock", map[string]any{"advance": "2m"}, http.StatusOK)
	if _, err = grant(); err != nil {
		t.Fatal(err)
	}
	read := func() int {
		p, err := s.projects.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: "projects/" + projectID})
		if err != nil {
			t.Fatal(err)
		}
		return len(p.GetBindings())
	}
	out := s.admin(t, "iam", map[string]any{"stale_reads": 2}, http.StatusOK)
	if out["lag"] != "5m0s" || out["account_lag"] != "2m0s" {
		t.Errorf("what was not named has changed: %v", out)
	}
	if got := []int{read(), read(), read()}; fmt.Sprint(got) != "[0 0 1]" {
		t.Errorf("bindings read: %v, want two stale reads", got)
	}
	s.admin(t, "iam", map[string]any{"lag": "-1s"}, http.StatusBadRequest)
}

// Effects are counted where they happen, whatever the client was told.
func TestCountersCountEffects(t *testing.T) {
	s := newScripted(t)
	v := newVertex(t, s.srv)
	count := func(name string) [3]int {
		t.Helper()
		_, out := call(t, s.srv, http.MethodGet, "/_emulator/counters", nil)
		e, _ := out["objects"].(map[string]any)[name].(map[string]any)
		n := func(key string) int { f, _ := e[key].(float64); return int(f) }
		return [3]int{n("creates"), n("updates"), n("deletes")}
	}
	want := func(name string, counts ...int) {
		t.Helper()
		if got := count(name); got != [3]int(counts) {
			t.Errorf("%s: %v, want %v", name, got, counts)
		}
	}
	model := parent + "/models/m"
	v.upload(t, &aiplatformpb.UploadModelRequest{ModelId: "m", Model: tutorialModel()})
	v.upload(t, &aiplatformpb.UploadModelRequest{ParentModel: model, Model: tutorialModel()})
	want(model, 1, 1, 0)
	want(model+"@1", 1, 0, 0)
	want(model+"@2", 1, 0, 0)

	// A call whose answer was lost has its effect; one that is refused has none.
	callFault(t, s.srv, http.MethodPost, map[string]any{"method": "*/CreateEndpoint", "action": "reset", "phase": "after_effect"})
	endpoint := parent + "/endpoints/e"
	for range 2 {
		_, err := s.endpoints.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{Parent: parent, EndpointId: "e", Endpoint: &aiplatformpb.Endpoint{DisplayName: "e"}})
		if err == nil {
			t.Error("a create succeeded")
		}
		waitFor(t, "the endpoint exists", func() bool { return s.exists(t, "e") })
	}
	waitFor(t, "the effect is counted", func() bool { return count(endpoint)[0] > 0 })
	want(endpoint, 1, 0, 0)

	v.deploy(t, endpoint, deployedModel(model, "7"), map[string]int32{"0": 100})
	v.undeploy(t, endpoint, "7", nil)
	want(endpoint+"/deployedModels/7", 1, 0, 1)
	// An operation that fails has no effect.
	s.admin(t, "operations", map[string]any{"method": "*/DeleteEndpoint", "result": "error", "status": map[string]any{"code": "INTERNAL"}}, http.StatusCreated)
	for range 2 {
		op, err := s.endpoints.DeleteEndpoint(t.Context(), &aiplatformpb.DeleteEndpointRequest{Name: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		s.done(t, op)
	}
	want(endpoint, 1, 0, 1)

	// Statements by their text, however often they were sent.
	client, err := bq.NewService(t.Context(), option.WithEndpoint("http://"+s.srv.Addr+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	standard := false
	for _, sql := range []string{"SELECT 1", " SELECT 1\n", "SELECT no_such_column"} {
		_, _ = client.Jobs.Query(projectID, &bq.QueryRequest{Query: sql, UseLegacySql: &standard, Location: "US", TimeoutMs: 20_000}).Do()
	}
	_, out := call(t, s.srv, http.MethodGet, "/_emulator/counters", nil)
	// sha256sum of "SELECT 1"
	const selectOne = "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5"
	statements := out["statements"].(map[string]any)
	if len(statements) != 2 || fmt.Sprint(statements[selectOne]) != "map[failures:0 successes:2]" {
		t.Errorf("statements: %v", statements)
	}
}

// Operations follow the clock.
func TestClockMovesWhatWaits(t *testing.T) {
	s := scripted{srv: start(t, emulator.Options{EnableFaults: true, OperationLatency: time.Hour})}
	conn, err := grpc.NewClient(s.srv.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.endpoints, s.operations = aiplatformpb.NewEndpointServiceClient(conn), longrunningpb.NewOperationsClient(conn)
	op := s.create(t, "e")
	if got, _ := s.poll(t, op); got.GetDone() {
		t.Error("done at once")
	}
	s.admin(t, "clock", map[string]any{"advance": "1h"}, http.StatusOK)
	s.done(t, op)
	for _, bad := range []map[string]any{{"advance": "-1m"}, {"advance": "soon"}, {"back": "1m"}} {
		s.admin(t, "clock", bad, http.StatusBadRequest)
	}
}
