// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// fakeEndpoints answers with what it was asked, or with the error of the name.
type fakeEndpoints struct {
	aiplatformpb.UnimplementedEndpointServiceServer
}

func (fakeEndpoints) GetEndpoint(_ context.Context, req *aiplatformpb.GetEndpointRequest) (*aiplatformpb.Endpoint, error) {
	_, id, _ := strings.Cut(req.GetName(), "/endpoints/")
	switch id {
	case "missing":
		return nil, status.Error(codes.NotFound, "nothing here")
	case "detailed":
		s, err := status.New(codes.ResourceExhausted, "quota").WithDetails(&errdetails.ErrorInfo{Reason: "RATE_LIMIT_EXCEEDED"})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	case "broken":
		return nil, status.Error(codes.Internal, "it broke")
	}
	return &aiplatformpb.Endpoint{Name: req.GetName(), TrafficSplit: map[string]int32{"1": 100}}, nil
}

func (fakeEndpoints) ListEndpoints(_ context.Context, req *aiplatformpb.ListEndpointsRequest) (*aiplatformpb.ListEndpointsResponse, error) {
	return &aiplatformpb.ListEndpointsResponse{NextPageToken: req.GetFilter()}, nil
}

func (fakeEndpoints) UpdateEndpoint(_ context.Context, req *aiplatformpb.UpdateEndpointRequest) (*aiplatformpb.Endpoint, error) {
	return &aiplatformpb.Endpoint{Name: strings.Join(req.GetUpdateMask().GetPaths(), " ")}, nil
}

func (fakeEndpoints) CreateEndpoint(_ context.Context, req *aiplatformpb.CreateEndpointRequest) (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: req.GetEndpointId() + " " + req.GetEndpoint().GetDisplayName()}, nil
}

// fakeOperations answers with the name it was asked for.
type fakeOperations struct {
	longrunningpb.UnimplementedOperationsServer
}

func (fakeOperations) GetOperation(_ context.Context, req *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: "get " + req.GetName()}, nil
}

func (fakeOperations) ListOperations(_ context.Context, req *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	return &longrunningpb.ListOperationsResponse{NextPageToken: "list " + req.GetName()}, nil
}

func (fakeOperations) WaitOperation(_ context.Context, req *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: "wait " + req.GetName() + " " + req.GetTimeout().String()}, nil
}

func (fakeOperations) CancelOperation(context.Context, *longrunningpb.CancelOperationRequest) (*emptypb.Empty, error) {
	return nil, status.Error(codes.Aborted, "cancel")
}

func (fakeOperations) DeleteOperation(context.Context, *longrunningpb.DeleteOperationRequest) (*emptypb.Empty, error) {
	return nil, status.Error(codes.Aborted, "delete")
}

type fakeGarden struct {
	aiplatformpb.UnimplementedModelGardenServiceServer
}

func (fakeGarden) GetPublisherModel(_ context.Context, req *aiplatformpb.GetPublisherModelRequest) (*aiplatformpb.PublisherModel, error) {
	return &aiplatformpb.PublisherModel{Name: fmt.Sprint(req.GetName(), " ", req.GetIsHuggingFaceModel(), " ", req.GetLanguageCode())}, nil
}

func handler(t *testing.T) http.Handler {
	t.Helper()
	server := grpc.NewServer()
	aiplatformpb.RegisterEndpointServiceServer(server, fakeEndpoints{})
	longrunningpb.RegisterOperationsServer(server, fakeOperations{})
	aiplatformpb.RegisterModelGardenServiceServer(server, fakeGarden{})
	h, err := New(server)
	if err != nil {
		t.Fatal(err)
	}
	return Guard(h)
}

// send returns the status and the answer; every answer must be JSON.
func send(t *testing.T, h http.Handler, method, target, body string, header ...string) (int, map[string]any) {
	t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "127.0.0.1:1"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %v in %q", method, target, err, w.Body)
	}
	if ct := w.Result().Header.Get("Content-Type"); ct != "application/json; charset=UTF-8" {
		t.Errorf("%s %s: content type %q", method, target, ct)
	}
	return w.Code, out
}

const collection = "/v1/projects/p/locations/l/endpoints"

func TestTranscoding(t *testing.T) {
	h := handler(t)
	if code, out := send(t, h, "GET", collection+"/e", ""); code != 200 || out["name"] != "projects/p/locations/l/endpoints/e" || out["displayName"] != nil {
		t.Errorf("fields without a value are left out: %d %v", code, out)
	}
	for _, contentType := range []string{"application/json", "application/json; charset=UTF-8", "application/json;charset=utf-8"} {
		code, out := send(t, h, "POST", collection+"?endpointId=x", `{"displayName": "camel"}`, "Content-Type", contentType)
		if code != 200 || out["name"] != "x camel" {
			t.Errorf("%s: %d %v", contentType, code, out)
		}
	}
	if code, out := send(t, h, "POST", collection+"?endpoint_id=x", `{"display_name": "snake"}`); code != 200 || out["name"] != "x snake" {
		t.Errorf("%d %v", code, out)
	}
}

func TestFieldMasksInBothSpellings(t *testing.T) {
	h := handler(t)
	for _, query := range []string{"updateMask=displayName,labels,trafficSplit", "update_mask=display_name,labels,traffic_split", "updateMask=display_name%2Clabels%2CtrafficSplit"} {
		if code, out := send(t, h, "PATCH", collection+"/e?"+query, "{}"); code != 200 || out["name"] != "display_name labels traffic_split" {
			t.Errorf("%s: %d %v", query, code, out)
		}
	}
}

// gcloud writes True and False.
func TestBooleansOfPython(t *testing.T) {
	h := handler(t)
	for query, want := range map[string]string{
		"isHuggingFaceModel=True&languageCode=False": "true False", "is_hugging_face_model=True": "true ", "isHuggingFaceModel=False": "false ", "isHuggingFaceModel=true": "true ",
	} {
		if code, out := send(t, h, "GET", "/v1/publishers/p/models/m@1?"+query, ""); code != 200 || out["name"] != "publishers/p/models/m@1 "+want {
			t.Errorf("%s: %d %v", query, code, out)
		}
	}
	if code, out := send(t, h, "GET", "/v1/publishers/p/models/m?isHuggingFaceModel=yes", ""); code != 400 {
		t.Errorf("%d %v", code, out)
	}
}

func TestCompressedRequests(t *testing.T) {
	h := handler(t)
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	_, _ = zip.Write([]byte(`{"displayName": "zipped"}`))
	_ = zip.Close()
	if code, out := send(t, h, "POST", collection+"?endpointId=x", body.String(), "Content-Encoding", "gzip"); code != 200 || out["name"] != "x zipped" {
		t.Errorf("the answer must not be compressed unasked: %d %v", code, out)
	}
}

func TestSystemParametersAreNotFields(t *testing.T) {
	h := handler(t)
	if code, out := send(t, h, "GET", collection+"?filter=f&alt=json&key=k&prettyPrint=false&quotaUser=u&$alt=json;enum-encoding=int&fields=*&uploadType=media&$.xgafv=2&$trace=1", ""); code != 200 || out["nextPageToken"] != "f" {
		t.Errorf("%d %v", code, out)
	}
	for query, part := range map[string]string{"alt=proto": "alt=proto", "fields=name": "fields", "callback=f": "callback"} {
		if code, out := send(t, h, "GET", collection+"?"+query, ""); code != 501 || !strings.Contains(message(out), part) {
			t.Errorf("%s: %d %v", query, code, out)
		}
	}
}

func message(out map[string]any) string {
	e, _ := out["error"].(map[string]any)
	m, _ := e["message"].(string)
	return m
}

func TestErrorsHaveGooglesShape(t *testing.T) {
	h := handler(t)
	for _, c := range []struct {
		method, target, body string
		code                 int
		status, part         string
	}{
		{"GET", collection + "/missing", "", 404, "NOT_FOUND", "nothing here"},
		{"GET", collection + "/broken", "", 500, "INTERNAL", "it broke"},
		{"GET", collection + "/detailed", "", 429, "RESOURCE_EXHAUSTED", "quota"},
		{"POST", collection + "/e:deployModel", "{}", 501, "UNIMPLEMENTED", "DeployModel"},
		{"POST", collection, `{"displayNam": "x"}`, 400, "INVALID_ARGUMENT", `Unknown name "displayNam": Cannot find field`},
		{"POST", collection, `{"displayName": {}}`, 400, "INVALID_ARGUMENT", "Invalid JSON payload received."},
		{"POST", collection, `{`, 400, "INVALID_ARGUMENT", "Invalid JSON payload received."},
		{"GET", collection + "?nonsense=1", "", 400, "INVALID_ARGUMENT", `Unknown name "nonsense"`},
		{"GET", collection + "?pageSize=many", "", 400, "INVALID_ARGUMENT", "page_size"},
		{"PUT", collection, "{}", 404, "NOT_FOUND", collection},
		{"GET", "/v1/nothing", "", 404, "NOT_FOUND", "/v1/nothing"},
		{"GET", "/v1beta1/projects/p/locations/l/endpoints", "", 501, "UNIMPLEMENTED", "v1beta1"},
	} {
		code, out := send(t, h, c.method, c.target, c.body)
		e, _ := out["error"].(map[string]any)
		if code != c.code || e["code"] != float64(c.code) || e["status"] != c.status || !strings.Contains(message(out), c.part) {
			t.Errorf("%s %s: %d %v", c.method, c.target, code, out)
		}
	}
	_, out := send(t, h, "GET", collection+"/detailed", "")
	details, _ := out["error"].(map[string]any)["details"].([]any)
	if len(details) != 1 || details[0].(map[string]any)["@type"] != "type.googleapis.com/google.rpc.ErrorInfo" || details[0].(map[string]any)["reason"] != "RATE_LIMIT_EXCEEDED" {
		t.Errorf("details: %v", out)
	}
	code, out := send(t, h, "POST", collection, "a=b", "Content-Type", "application/x-www-form-urlencoded")
	if code != 400 || !strings.Contains(message(out), "x-www-form-urlencoded") {
		t.Errorf("%d %v", code, out)
	}
}

func TestOperationRoutes(t *testing.T) {
	h := handler(t)
	for _, version := range []string{"/v1/", "/v1beta1/"} {
		for _, at := range []string{"projects/p/locations/l", "projects/p/locations/l/models/m", "projects/p/locations/l/endpoints/e"} {
			if _, out := send(t, h, "GET", version+at+"/operations/5", ""); out["name"] != "get "+at+"/operations/5" {
				t.Errorf("get: %v", out)
			}
			if _, out := send(t, h, "GET", version+at+"/operations", ""); out["nextPageToken"] != "list "+at {
				t.Errorf("list: %v", out)
			}
			if _, out := send(t, h, "POST", version+at+"/operations/5:wait", `{"timeout": "3s"}`); out["name"] != "wait "+at+"/operations/5 seconds:3" {
				t.Errorf("wait: %v", out)
			}
			if _, out := send(t, h, "POST", version+at+"/operations/5:cancel", ""); message(out) != "cancel" {
				t.Errorf("cancel: %v", out)
			}
			if _, out := send(t, h, "DELETE", version+at+"/operations/5", ""); message(out) != "delete" {
				t.Errorf("delete: %v", out)
			}
		}
	}
}

func TestGuard(t *testing.T) {
	h := handler(t)
	for host, want := range map[string]int{
		"127.0.0.1:9": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:9": 200, "x.localhost:9": 200,
		"example.com": 403, "127.0.0.1.example.com": 403, "10.0.0.1:9": 403, "": 403,
	} {
		if code, out := send(t, h, "GET", collection+"/e", "", "Host", host); code != want {
			t.Errorf("Host %q: %d %v", host, code, out)
		}
	}
	if code, out := send(t, h, "GET", collection+"/e", "", "Origin", "http://127.0.0.1:9"); code != 403 {
		t.Errorf("with an Origin: %d %v", code, out)
	}
	large := `{"displayName": "` + strings.Repeat("a", MaxBody) + `"}`
	if code, out := send(t, h, "POST", collection, large); code != 413 {
		t.Errorf("a body that is too large: %d %v", code, out)
	}
	chunked := httptest.NewRequest("POST", collection, struct{ io.Reader }{strings.NewReader(large)})
	chunked.Host, chunked.ContentLength = "127.0.0.1", -1
	chunked.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, chunked); w.Code != 413 {
		t.Errorf("a body of unknown length that is too large: %d %s", w.Code, w.Body)
	}
}

func TestStatusNames(t *testing.T) {
	for code, want := range map[codes.Code]string{
		codes.OK: "OK", codes.Canceled: "CANCELLED", codes.FailedPrecondition: "FAILED_PRECONDITION", codes.NotFound: "NOT_FOUND", codes.DataLoss: "DATA_LOSS",
	} {
		if got := StatusName(code); got != want {
			t.Errorf("%v: %s", code, got)
		}
	}
	if payloadError(nil) != nil || payloadError(errors.New("x")) == nil {
		t.Error("payloadError")
	}
}
