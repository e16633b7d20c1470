// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/vertex"
)

// A change that is given up in the middle leaves no goroutine behind, at whichever
// call that happens.
func TestAccNoGoroutineLeaks(t *testing.T) {
	tw := acctest.Start(t, "--enable-faults", "--operation-latency", "50ms")
	before := goleak.IgnoreCurrent()
	clients, err := gcp.Connect(t.Context(), gcp.Config{Project: acctest.Project, Region: acctest.Region, EmulatorHost: tw.Host, OwnershipID: "leaks"})
	if err != nil {
		t.Fatal(err)
	}
	service := vertex.New(clients)
	name := gcp.Name{Kind: gcp.KindEndpoint, Project: acctest.Project, Location: acctest.Region, ID: "leaks"}
	tried := 0
	for _, method := range []string{vertexEndpoints + "CreateEndpoint", longrunning + "GetOperation", vertexEndpoints + "GetEndpoint", longrunning + "ListOperations"} {
		for _, f := range []acctest.Fault{{Action: acctest.Hold}, {Action: acctest.Hold, Phase: acctest.Before}, {Action: acctest.Reset, Times: -1}} {
			f.Method = method
			tried++
			name.ID = fmt.Sprintf("leaks-%d", tried)
			set := tw.Fault(t, f)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func(name gcp.Name) {
				_, err := service.CreateEndpoint(ctx, vertex.EndpointSpec{Name: name, DisplayName: "leaks", Marker: vertex.EndpointMarker("leaks", name, vertex.EndpointConfig{})}, vertex.Report{})
				ended <- err
			}(name)
			if !set.Await(10 * time.Second) {
				t.Errorf("%s was not called", method)
			}
			cancel()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
				t.Error(err)
			}
			set.Remove()
		}
	}
	if err := clients.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) // the test's own connection to the emulator
}
