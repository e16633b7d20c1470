// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexendpointdeployment_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// A client that never stops predicting sees no failure while a new version is
// rolled out, a canary is added and removed, and machines change; and the traffic
// split sums to 100 at every instant.
func TestAccRolloutDropsNothing(t *testing.T) {
	t.Parallel()
	tw := acctest.Start(t, "--deploy-latency", "2s", "--operation-latency", "200ms")
	var client *load
	step := func(hcl string) resource.TestStep {
		return resource.TestStep{Config: tw.Config(hcl), ConfigPlanChecks: updates()}
	}
	first := step(twoModels("2") + endpoint(deploy("main", modelA, small)))
	first.PreConfig = func() { client = startLoad(t, tw) }
	last := step(twoModels("2") + endpoint(deploy("other", modelB, `machine_type = "n1-standard-4", min_replica_count = 1`)))
	last.ConfigStateChecks = []statecheck.StateCheck{traffic(map[string]int32{"other": 100})}
	last.Check = func(*terraform.State) error { return client.stop() }
	run(
		t, tw,
		resource.TestStep{Config: tw.Config(twoModels("1") + endpoint(deploy("main", modelA, small)))},
		first,
		step(twoModels("2")+endpoint(deploy("main", modelA, small)+deploy("other", modelB, small), "traffic = { main = 75, other = 25 }")),
		last,
	)
}

// load predicts, at 50 requests a second and more, until it is stopped.
type load struct {
	t       *testing.T
	tw      *acctest.Twin
	cancel  context.CancelFunc
	done    sync.WaitGroup
	started time.Time
	sent    atomic.Int64
	failed  atomic.Int64
	failure atomic.Value // the first error
}

func startLoad(t *testing.T, tw *acctest.Twin) *load {
	t.Helper()
	predictions, err := tw.Clients(t).Predictions(t.Context(), acctest.Region)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := structpb.NewValue(map[string]any{"text": "a wonderful film"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, tw: tw, cancel: cancel, started: time.Now()}
	for range 2 {
		l.done.Go(func() {
			for tick := time.NewTicker(15 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
				}
				l.sent.Add(1)
				// A request that was sent is answered: the end of the load cancels none.
				_, err := predictions.Predict(context.WithoutCancel(ctx), &pb.PredictRequest{Endpoint: id, Instances: []*structpb.Value{instance}})
				if err != nil && l.failed.Add(1) == 1 {
					l.failure.Store(err)
				}
			}
		})
	}
	return l
}

func (l *load) stop() error {
	if err := l.end(); err != nil {
		return err
	}
	return checkTimeline(l.tw, 10) // 4 deployments, 3 shifts, 3 undeployments
}

// end ends the load; an error tells that a prediction failed, or that there were few.
func (l *load) end() error {
	l.cancel()
	l.done.Wait()
	sent, failed, took := l.sent.Load(), l.failed.Load(), time.Since(l.started)
	l.t.Logf("%d predictions in %s, %d failed", sent, took.Round(time.Millisecond), failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d predictions failed; the first with: %v", failed, sent, l.failure.Load())
	}
	if rate := float64(sent) / took.Seconds(); rate < 50 {
		return fmt.Errorf("only %.0f predictions a second: the test proves little", rate)
	}
	return nil
}

// checkTimeline looks at every state that the endpoint has had since its first
// deployment: at least so many, and each with a split that sums to 100.
func checkTimeline(tw *acctest.Twin, atLeast int) error {
	splits, err := timeline(tw)
	if err != nil {
		return err
	}
	serving := false
	for _, split := range splits {
		total := int32(0)
		for _, share := range split {
			total += share
		}
		serving = serving || total > 0
		if serving && total != 100 {
			return fmt.Errorf("of the splits %v one does not sum to 100", splits)
		}
	}
	if len(splits) < atLeast {
		return fmt.Errorf("the timeline has only %d changes", len(splits))
	}
	return nil
}

// timeline is every traffic split that the endpoint has had.
func timeline(tw *acctest.Twin) (splits []map[string]int32, err error) {
	resp, err := http.Get("http://" + tw.Host + "/_emulator/timeline")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var timeline struct {
		Changes []struct {
			Endpoint     string           `json:"endpoint"`
			TrafficSplit map[string]int32 `json:"traffic_split"`
		} `json:"changes"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&timeline); err != nil {
		return nil, err
	}
	for _, c := range timeline.Changes {
		if strings.HasSuffix(c.Endpoint, "/endpoints/reviews") {
			splits = append(splits, c.TrafficSplit)
		}
	}
	return splits, nil
}
