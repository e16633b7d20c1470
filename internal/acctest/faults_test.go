// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package acctest

import (
	"context"
	"fmt"
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

// recorder is a test that keeps its cleanups and errors to itself.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) end() string {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	return strings.Join(r.errors, "\n")
}

func endpoints(t *testing.T, tw *Twin) aiplatformpb.EndpointServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(tw.Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return aiplatformpb.NewEndpointServiceClient(conn)
}

const (
	place    = "projects/" + Project + "/locations/" + Region
	endpoint = place + "/endpoints/e"
)

func create(ctx context.Context, client aiplatformpb.EndpointServiceClient) error {
	_, err := client.CreateEndpoint(ctx, &aiplatformpb.CreateEndpointRequest{
		Parent: place, EndpointId: "e", Endpoint: &aiplatformpb.Endpoint{DisplayName: "e"},
	})
	return err
}

// A fault, a script of operations or one of jobs that nothing met fails its test,
// unless it is optional.
func TestAccUnfiredFaultsAreReported(t *testing.T) {
	tw := Start(t, "--enable-faults")
	for part, set := range map[string]func(t testing.TB, optional bool){
		"status of */CreateEndpoint": func(t testing.TB, optional bool) {
			tw.Fault(t, Fault{Method: "*/CreateEndpoint", Status: Code("UNAVAILABLE"), Optional: optional})
		},
		"no operation */DeployModel": func(t testing.TB, optional bool) {
			tw.Operations(t, Operation{Method: "*/DeployModel", Result: Never, Optional: optional})
		},
		"no job CREATE*": func(t testing.TB, optional bool) {
			tw.Jobs(t, Job{Statement: "CREATE*", Result: Failed, Reason: "backendError", Optional: optional})
		},
	} {
		r := &recorder{TB: t}
		set(r, true)
		if errs := r.end(); errs != "" {
			t.Errorf("%s: an optional one failed the test: %s", part, errs)
		}
		set(r, false)
		if errs := r.end(); !strings.Contains(errs, part) {
			t.Errorf("%s: the test did not fail, or for another reason: %q", part, errs)
		}
	}
	if err := create(t.Context(), endpoints(t, tw)); err != nil {
		t.Errorf("what was set outlived its test: %v", err)
	}
}

func TestAccFaultsFromTests(t *testing.T) {
	tw := Start(t, "--enable-faults", "--operation-latency", "1h")
	client := endpoints(t, tw)

	fault := tw.Fault(t, Fault{Method: "*/CreateEndpoint", Name: endpoint, Times: 2, Status: &FaultStatus{Code: "UNAVAILABLE", RetryAfter: Duration(time.Second)}})
	for _, want := range []codes.Code{codes.Unavailable, codes.Unavailable, codes.OK} {
		if err := create(t.Context(), client); status.Code(err) != want {
			t.Errorf("create: %v, want %v", err, want)
		}
	}
	if r := fault.Report(); r.Seen != 3 || r.Count != 2 || !r.Completed || r.Remaining != 0 || len(r.Attempts) != 3 || r.Attempts[2].Hit {
		t.Errorf("report: %+v", r)
	}
	tw.Advance(t, time.Hour)
	hold := tw.Fault(t, Fault{Method: "*/GetEndpoint", Action: Hold, Phase: Before})
	got := make(chan error, 1)
	go func() {
		_, err := client.GetEndpoint(context.Background(), &aiplatformpb.GetEndpointRequest{Name: endpoint})
		got <- err
	}()
	if !hold.Await(10 * time.Second) {
		t.Fatal("nothing is held")
	}
	for deadline := time.Now().Add(10 * time.Second); tw.Counters(t).Objects[endpoint].Creates != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("counters: %+v", tw.Counters(t))
		}
	}
	hold.Release()
	if err := <-got; err != nil {
		t.Errorf("an hour later, and released: %v", err)
	}
	if d := tw.Counters(t).Duplicates(); len(d) != 0 {
		t.Errorf("duplicates: %v", d)
	}
	twice := Counters{Objects: map[string]Effects{"a": {Creates: 2}, "b": {Creates: 2, Deletes: 1}}}
	if d := twice.Duplicates(); len(d) != 1 || !strings.HasPrefix(d[0], "a: 2 creates") {
		t.Errorf("duplicates: %v", d)
	}
	sql := "CREATE SCHEMA made"
	tw.IAM(t, IAM{Lag: Duration(time.Minute)})
	tw.SQL(t, sql)
	if n := tw.Counters(t).Statements[StatementHash(sql)]; n != (Executions{Successes: 1}) {
		t.Errorf("executions: %+v", n)
	}
}
