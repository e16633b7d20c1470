// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package emulator

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	srv, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

func dial(t *testing.T, srv *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(srv.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// get answers the status and body of GET, or of POST when a body is given.
func get(t *testing.T, srv *Server, path string, body ...string) (int, string) {
	t.Helper()
	method, reader := http.MethodGet, io.Reader(nil)
	if len(body) > 0 {
		method, reader = http.MethodPost, strings.NewReader(body[0])
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Addr+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+srv.FaultToken)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

func TestListenIsLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:80", "127.0.0.1"} {
		if srv, err := Start(t.Context(), Options{Listen: address}); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%q: %v, %v, want an error naming --listen", address, srv, err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Start(t.Context(), Options{Listen: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "--listen") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}

func TestBadOptionsLeaveNothingRunning(t *testing.T) {
	for part, opts := range map[string]Options{
		"--assume":       {Assume: []string{"x=y"}},
		"--model-server": {ModelServers: []string{"x"}},
	} {
		opts.Listen = "127.0.0.1:0"
		if _, err := Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want an error naming %s", err, part)
		}
	}
}

func TestOwnSurface(t *testing.T) {
	srv := start(t, Options{Objects: []Object{{Bucket: "reviews", Name: "a/b.txt", Content: []byte("hello")}}})
	if code, body := get(t, srv, "/_emulator/health"); code != 200 || !strings.Contains(body, "gcpml-emulator") {
		t.Errorf("health: %d %s", code, body)
	}
	_, body := get(t, srv, "/_emulator/inventory")
	var inv map[string][]any
	if err := json.Unmarshal([]byte(body), &inv); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"models", "endpoints", "deployment_resource_pools", "connections", "iam_bindings", "remote_models", "datasets", "buckets"} {
		if items, ok := inv[section]; !ok || items == nil {
			t.Errorf("inventory section %s is %v", section, items)
		}
	}
	if len(inv["buckets"]) != 1 || !strings.Contains(body, `"objects": 1`) {
		t.Errorf("buckets: %v", inv["buckets"])
	}
	if code, body := get(t, srv, "/_emulator/faults"); code != 403 || !strings.Contains(body, "--enable-faults") {
		t.Errorf("faults: %d %s", code, body)
	}
	if code, _ := get(t, srv, "/_emulator/nothing"); code != 404 {
		t.Errorf("unknown: %d", code)
	}
}

func TestCloudStorage(t *testing.T) {
	srv := start(t, Options{Objects: []Object{{Bucket: "reviews", Name: "a/b.txt", Content: []byte("hello")}}})
	for path, part := range map[string]string{
		"/storage/v1/b/reviews/o/a%2Fb.txt":                    `"name":"a/b.txt"`,
		"/storage/v1/b/reviews/o/a%2Fb.txt?alt=media":          "hello",
		"/download/storage/v1/b/reviews/o/a%2Fb.txt?alt=media": "hello",
		"/reviews/a/b.txt":                                     "hello", // XML API
	} {
		if code, body := get(t, srv, path); code != 200 || !strings.Contains(body, part) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := get(t, srv, "/storage/v1/b?project=p", `{"name": "new-bucket"}`); code != 200 {
		t.Errorf("creating a bucket: %d %s", code, body)
	}
	if code, body := get(t, srv, "/upload/storage/v1/b/new-bucket/o?uploadType=media&name=x", "content"); code != 200 {
		t.Errorf("uploading: %d %s", code, body)
	}
	if _, body := get(t, srv, "/new-bucket/x"); body != "content" {
		t.Errorf("what was uploaded reads %q", body)
	}
	if code, _ := get(t, srv, "/_internal/delete_all", ""); code != 404 {
		t.Errorf("the library's control path answers %d", code)
	}
}

// One entry for each call, however it came, without bodies or headers.
func TestJournal(t *testing.T) {
	srv := start(t, Options{})
	const name = "projects/my-project/locations/us-central1/endpoints/none"
	get(t, srv, "/v1/"+name+"?key=top-secret")
	get(t, srv, "/v1/nothing")
	get(t, srv, "/storage/v1/b")
	_, err := aiplatformpb.NewEndpointServiceClient(dial(t, srv)).GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: name})
	if status.Code(err) != codes.NotFound {
		t.Errorf("GetEndpoint: %v", err)
	}
	_, body := get(t, srv, "/_emulator/journal")
	if strings.Contains(body, "secret") {
		t.Errorf("the journal keeps secrets: %s", body)
	}
	var out struct {
		Entries []struct {
			Seq                    int
			Method, Resource, Code string
		}
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	const method = "/google.cloud.aiplatform.v1.EndpointService/GetEndpoint"
	want := []string{method + " " + name + " NotFound", "GET /v1/nothing  NotFound", "GET /storage/v1/b  OK", method + " " + name + " NotFound"}
	var got []string
	for i, e := range out.Entries {
		got = append(got, e.Method+" "+e.Resource+" "+e.Code)
		if e.Seq != i+1 {
			t.Errorf("entry %d has the number %d", i+1, e.Seq)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("journal:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUnimplementedNamesTheMethod(t *testing.T) {
	srv := start(t, Options{})
	conn := dial(t, srv)
	_, err := aiplatformpb.NewPredictionServiceClient(conn).RawPredict(t.Context(), &aiplatformpb.RawPredictRequest{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "PredictionService.RawPredict is not implemented by the emulator") {
		t.Errorf("RawPredict: %v", err)
	}
	stream, err := aiplatformpb.NewPredictionServiceClient(conn).StreamRawPredict(t.Context(), &aiplatformpb.StreamRawPredictRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "StreamRawPredict") {
		t.Errorf("StreamRawPredict: %v", err)
	}
}

// Close ends everything that was started, also operations, held replies and
// waiting calls.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := goroutines()
	srv, err := Start(t.Context(), Options{OperationLatency: time.Hour, EnableFaults: true})
	if err != nil {
		t.Fatal(err)
	}
	get(t, srv, "/_emulator/faults", `{"method": "*/GetEndpoint", "action": "hold"}`)
	conn, err := grpc.NewClient(srv.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client := aiplatformpb.NewEndpointServiceClient(conn)
	const parent = "projects/my-project/locations/us-central1"
	if _, err := client.CreateEndpoint(t.Context(), &aiplatformpb.CreateEndpointRequest{Parent: parent, Endpoint: &aiplatformpb.Endpoint{DisplayName: "e"}}); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() {
		_, err := client.GetEndpoint(context.Background(), &aiplatformpb.GetEndpointRequest{Name: parent + "/endpoints/e"})
		held <- err
	}()
	eventually(t, "the reply is held", func() bool {
		_, body := get(t, srv, "/_emulator/faults")
		return strings.Contains(body, `"holding": true`)
	})
	if err := srv.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-held; err == nil {
		t.Error("the held call succeeded")
	}
	conn.Close()
	eventually(t, "all goroutines have ended", func() bool { return goroutines() <= before })
}

// goroutines counts what runs, apart from one goroutine for each database that the
// SQL engine's driver opens inside and never closes; it is idle.
func goroutines() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !strings.Contains(stack, "database/sql.(*DB).connectionOpener") {
			count++
		}
	}
	return count
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("it never came to pass that %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
		<-time.After(5 * time.Millisecond)
	}
}
