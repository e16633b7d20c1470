// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// faulty is an emulator with faults, and one way to create something on it: over
// gRPC, over the REST of a gRPC service, or over REST that has no gRPC.
type faulty struct {
	srv    *emulator.Server
	method string // what a fault matches
	// create creates the object; exists asks whether it was.
	create func(ctx context.Context) error
	exists func() bool
}

// reach returns a fresh faulty for each way.
func reach(t *testing.T) map[string]func(*testing.T) faulty {
	t.Helper()
	const createEndpoint = "*EndpointService/CreateEndpoint"
	exists := func(srv *emulator.Server, path string) func() bool {
		return func() bool {
			res, err := http.Get("http://" + srv.Addr + path)
			if err != nil {
				return false
			}
			defer res.Body.Close()
			return res.StatusCode == http.StatusOK
		}
	}
	return map[string]func(*testing.T) faulty{
		"gRPC": func(t *testing.T) faulty {
			srv := start(t, emulator.Options{EnableFaults: true})
			conn, err := grpc.NewClient(srv.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return faulty{srv, createEndpoint, func(ctx context.Context) error {
				_, err := aiplatformpb.NewEndpointServiceClient(conn).CreateEndpoint(ctx, &aiplatformpb.CreateEndpointRequest{
					Parent: parent, EndpointId: "e", Endpoint: &aiplatformpb.Endpoint{DisplayName: "e"},
				})
				return err
			}, exists(srv, "/v1/"+parent+"/endpoints/e")}
		},
		"REST of gRPC": func(t *testing.T) faulty {
			srv := start(t, emulator.Options{EnableFaults: true})
			return faulty{srv, createEndpoint, func(ctx context.Context) error {
				return post(ctx, "http://"+srv.Addr+"/v1/"+parent+"/endpoints?endpointId=e", `{"displayName": "e"}`)
			}, exists(srv, "/v1/"+parent+"/endpoints/e")}
		},
		"BigQuery": func(t *testing.T) faulty {
			srv := start(t, emulator.Options{EnableFaults: true})
			client, err := bq.NewService(t.Context(), option.WithEndpoint("http://"+srv.Addr+"/bigquery/v2/"), option.WithoutAuthentication())
			if err != nil {
				t.Fatal(err)
			}
			return faulty{srv, "POST /bigquery/v2/projects/*/datasets", func(ctx context.Context) error {
				_, err := client.Datasets.Insert(projectID, &bq.Dataset{DatasetReference: &bq.DatasetReference{DatasetId: "d"}, Location: "US"}).Context(ctx).Do()
				return err
			}, exists(srv, "/bigquery/v2/projects/"+projectID+"/datasets/d")}
		},
	}
}

// post is a client of REST that keeps no connection: net/http would send a request
// on a kept one again by itself.
func post(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := googleapi.CheckResponse(&http.Response{StatusCode: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(raw))}); err != nil {
		return err
	}
	var out map[string]any
	return json.Unmarshal(raw, &out)
}

// set sets a fault and returns a function that reports it.
func (f faulty) set(t *testing.T, fault map[string]any) func() map[string]any {
	t.Helper()
	fault["method"] = f.method
	if code, out := callFault(t, f.srv, http.MethodPost, fault); code != http.StatusCreated {
		t.Fatalf("setting %v: %d %v", fault, code, out)
	}
	return func() map[string]any {
		t.Helper()
		_, out := callFault(t, f.srv, http.MethodGet, nil)
		return out["faults"].([]any)[0].(map[string]any)
	}
}

// A status, before and after the effect, with everything that clients look at.
func TestFaultStatus(t *testing.T) {
	for name, open := range reach(t) {
		for phase, effect := range map[string]bool{"before": false, "after_effect": true} {
			t.Run(name+"/"+phase, func(t *testing.T) {
				t.Parallel()
				f := open(t)
				report := f.set(t, map[string]any{"phase": phase, "action": "status", "status": map[string]any{
					"code": "RESOURCE_EXHAUSTED", "message": "slow down", "reason": "RATE_LIMIT_EXCEEDED", "domain": "example.com", "retry_after": "1.5s",
					"details": []any{map[string]any{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []any{map[string]any{"subject": "s"}}}},
				}})
				err := f.create(t.Context())
				if name == "gRPC" {
					checkStatus(t, err)
				} else {
					checkEnvelope(t, err)
				}
				if name == "BigQuery" {
					var api *googleapi.Error
					if errors.As(err, &api) && (len(api.Errors) != 1 || api.Errors[0].Reason != "RATE_LIMIT_EXCEEDED") {
						t.Errorf("items: %+v", api.Errors)
					}
				}
				if f.exists() != effect {
					t.Errorf("exists: %v, want %v", !effect, effect)
				}
				if r := report(); r["fired"] != true || r["completed"] != true || r["count"] != 1.0 || r["remaining"] != 0.0 {
					t.Errorf("report: %v", r)
				}
				if err := f.create(t.Context()); (err != nil) != effect {
					t.Errorf("the next call: %v", err) // what exists cannot be created
				}
			})
		}
	}
}

func checkStatus(t *testing.T, err error) {
	t.Helper()
	st := status.Convert(err)
	var info *errdetails.ErrorInfo
	var retry *errdetails.RetryInfo
	var quota *errdetails.QuotaFailure
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		case *errdetails.QuotaFailure:
			quota = d
		}
	}
	if st.Code() != codes.ResourceExhausted || st.Message() != "slow down" ||
		info.GetReason() != "RATE_LIMIT_EXCEEDED" || info.GetDomain() != "example.com" ||
		retry.GetRetryDelay().AsDuration() != 1500*time.Millisecond || quota.GetViolations()[0].GetSubject() != "s" {
		t.Errorf("error %v with %v", err, st.Details())
	}
}

func checkEnvelope(t *testing.T, err error) {
	t.Helper()
	var api *googleapi.Error
	if !errors.As(err, &api) {
		t.Fatalf("error %v (%T)", err, err)
	}
	details := fmt.Sprint(api.Details)
	if api.Code != 429 || api.Message != "slow down" || api.Header.Get("Retry-After") != "2" ||
		!strings.Contains(details, "RATE_LIMIT_EXCEEDED") || !strings.Contains(details, "QuotaFailure") || !strings.Contains(details, "1.500s") ||
		!strings.Contains(api.Body, `"RESOURCE_EXHAUSTED"`) {
		t.Errorf("error %+v", api)
	}
}

// What happens to the connection or the bytes, with and without the effect.
func TestFaultOnTheWire(t *testing.T) {
	reset := func(err error) bool {
		return errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "connection reset by peer")
	}
	cut := func(err error) bool {
		return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || reset(err)
	}
	undecodable := func(err error) bool {
		var syntax *json.SyntaxError
		return errors.As(err, &syntax)
	}
	for action, c := range map[string]struct {
		fault  map[string]any
		effect bool
		code   codes.Code       // over gRPC
		http   func(error) bool // else
	}{
		"reset before":       {map[string]any{"action": "reset"}, false, codes.Unavailable, reset},
		"reset after effect": {map[string]any{"action": "reset", "phase": "after_effect"}, true, codes.Unavailable, reset},
		"reset mid body":     {map[string]any{"action": "reset", "phase": "mid_body"}, true, codes.Unavailable, cut},
		"truncate":           {map[string]any{"action": "truncate", "fraction": 0.3}, true, codes.Unavailable, cut},
		"malformed":          {map[string]any{"action": "malformed"}, true, codes.Internal, undecodable},
	} {
		for name, open := range reach(t) {
			t.Run(action+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := open(t)
				report := f.set(t, c.fault)
				err := f.create(t.Context())
				switch {
				case err == nil:
					t.Error("the call succeeded")
				case name == "gRPC" && status.Code(err) != c.code:
					t.Errorf("error %v, want %v", err, c.code)
				case name != "gRPC" && !c.http(err):
					t.Errorf("error %v (%T)", err, err)
				}
				if f.exists() != c.effect {
					t.Errorf("exists: %v, want %v", !c.effect, c.effect)
				}
				if r := report(); r["completed"] != true || r["seen"] != 1.0 {
					t.Errorf("report: %v", r)
				}
			})
		}
	}
}

// A held call goes on when it is released, in each phase; it has had its effect
// or not.
func TestFaultHold(t *testing.T) {
	for phase, effect := range map[string]bool{"before": false, "after_effect": true, "mid_body": true} {
		for name, open := range reach(t) {
			t.Run(phase+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := open(t)
				report := f.set(t, map[string]any{"id": "barrier", "action": "hold", "phase": phase})
				ended := make(chan error, 1)
				go func() { ended <- f.create(t.Context()) }()
				waitFor(t, "the call is held", func() bool { return report()["holding"] == true })
				if f.exists() != effect {
					t.Errorf("exists: %v, want %v", !effect, effect)
				}
				if code, _ := call(t, f.srv, http.MethodPost, "/_emulator/faults?release=barrier", nil); code != http.StatusNoContent {
					t.Errorf("release: %d", code)
				}
				if err := <-ended; err != nil {
					t.Errorf("the released call: %v", err)
				}
				if r := report(); !f.exists() || r["completed"] != true || r["holding"] != false {
					t.Errorf("report: %v", r)
				}
			})
		}
	}
}

// A client that gives up while a call is held before its effect: there is none.
func TestFaultHoldBeforeAndClientDies(t *testing.T) {
	for name, open := range reach(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			report := f.set(t, map[string]any{"action": "hold", "phase": "before"})
			ctx, die := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- f.create(ctx) }()
			waitFor(t, "the call is held", func() bool { return report()["holding"] == true })
			die()
			if err := <-ended; err == nil {
				t.Error("the call succeeded")
			}
			waitFor(t, "the call is let go of", func() bool { return report()["holding"] == false })
			if f.exists() {
				t.Error("there was an effect")
			}
		})
	}
}

// A stalled call takes as long as it is told to, and runs into its client's
// deadline, which the report tells for gRPC.
func TestFaultStall(t *testing.T) {
	for phase, effect := range map[string]bool{"before": false, "after_effect": true, "mid_body": true} {
		for name, open := range reach(t) {
			t.Run(phase+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := open(t)
				report := f.set(t, map[string]any{"action": "stall", "stall": "1h", "phase": phase})
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				err := f.create(ctx)
				if !errors.Is(err, context.DeadlineExceeded) && status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("error %v", err)
				}
				if f.exists() != effect {
					t.Errorf("exists: %v, want %v", !effect, effect)
				}
				attempt := report()["attempts"].([]any)[0].(map[string]any)
				if ms, told := attempt["deadline_ms"].(float64); told != (name == "gRPC") || ms > 300 {
					t.Errorf("attempt %v", attempt)
				}
			})
		}
	}
	t.Run("short", func(t *testing.T) {
		t.Parallel()
		f := reach(t)["gRPC"](t)
		f.set(t, map[string]any{"action": "stall", "stall": "50ms"})
		begin := time.Now()
		if err := f.create(t.Context()); err != nil || time.Since(begin) < 50*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// Which of the matching calls are hit.
func TestFaultCounts(t *testing.T) {
	f := reach(t)["gRPC"](t)
	read := func(name string) codes.Code {
		v := newVertex(t, f.srv)
		_, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: parent + "/endpoints/" + name})
		return status.Code(err)
	}
	if err := f.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the endpoint exists", f.exists)
	f.method = "*/GetEndpoint"
	report := f.set(t, map[string]any{"name": "*/endpoints/e", "nth": 2, "times": 2, "action": "status", "status": map[string]any{"code": "ABORTED"}})
	var got []codes.Code
	for _, name := range []string{"e", "other", "e", "other", "e", "e"} {
		got = append(got, read(name))
	}
	want := []codes.Code{codes.OK, codes.NotFound, codes.Aborted, codes.NotFound, codes.Aborted, codes.OK}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	r := report()
	if r["seen"] != 4.0 || r["count"] != 2.0 || r["remaining"] != 0.0 || len(r["attempts"].([]any)) != 4 {
		t.Errorf("report: %v", r)
	}
	callFault(t, f.srv, http.MethodDelete, nil)
	report = f.set(t, map[string]any{"times": -1, "action": "status", "status": map[string]any{"http_status": 401}})
	for range 3 {
		if code := read("e"); code != codes.Unauthenticated {
			t.Errorf("answer %v", code)
		}
	}
	if r := report(); r["count"] != 3.0 || r["remaining"] != -1.0 || r["completed"] != true {
		t.Errorf("report: %v", r)
	}
}

// The same seed hits the same calls.
func TestFaultProbability(t *testing.T) {
	f := reach(t)["gRPC"](t)
	v := newVertex(t, f.srv)
	f.method = "*/GetEndpoint"
	run := func(seed int) (hits string) {
		f.set(t, map[string]any{"times": -1, "probability": 0.5, "seed": seed, "action": "status", "status": map[string]any{"code": "ABORTED"}})
		defer callFault(t, f.srv, http.MethodDelete, nil)
		for range 64 {
			_, err := v.endpoints.GetEndpoint(t.Context(), &aiplatformpb.GetEndpointRequest{Name: parent + "/endpoints/none"})
			hits += status.Code(err).String()[:1]
		}
		return hits
	}
	first, again, other := run(1), run(1), run(2)
	if first != again || first == other || strings.Count(first, "A") < 10 || strings.Count(first, "A") > 54 {
		t.Errorf("hits with seed 1: %s, again: %s, with seed 2: %s", first, again, other)
	}
}

// What is not known, and who does not know the token.
func TestFaultControlIsGuarded(t *testing.T) {
	srv := start(t, emulator.Options{EnableFaults: true})
	if srv.FaultToken == "" {
		t.Fatal("no token")
	}
	for _, path := range []string{"faults", "methods", "clock", "operations", "jobs", "iam"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+srv.Addr+"/_emulator/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for token, want := range map[string]int{"": 401, "wrong": 401, srv.FaultToken: 200} {
			req.Header.Set("X-Gcpml-Fault-Token", token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s with the token %q: %d, want %d", path, token, res.StatusCode, want)
			}
		}
	}
	for method, want := range map[string]int{
		"*/NoSuchMethod":                          400,
		"POST /bigquery/v2/projects/*/tabels":     400,
		"*/DeployModel":                           201,
		"/google.longrunning.Operations/*":        201,
		"GET /bigquery/v2/projects/*/jobs/j":      201,
		"POST /v1/projects/*:setIamPolicy":        201,
		"*/SetIamPolicy":                          201,
		"GET /bigquery/v2/projects/p/queries/*":   201,
		"DELETE /bigquery/v2/projects/*/models/m": 201,
	} {
		code, _ := callFault(t, srv, http.MethodPost, map[string]any{"method": method, "action": "reset"})
		if code != want {
			t.Errorf("%s: %d, want %d", method, code, want)
		}
	}
}
