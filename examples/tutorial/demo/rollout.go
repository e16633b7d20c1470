// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// prediction is what the endpoint answers for one text.
type prediction struct {
	score   float64
	version string
}

// predict asks an endpoint directly, by REST, as any client would.
func (d *demo) predict(ctx context.Context, endpoint, text string) (prediction, error) {
	body, err := json.Marshal(map[string]any{"instances": []any{map[string]string{"text": text}}})
	if err != nil {
		return prediction{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.host+"/v1/"+endpoint+":predict", bytes.NewReader(body))
	if err != nil {
		return prediction{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return prediction{}, err
	}
	defer resp.Body.Close()
	var answer struct {
		Predictions    [][]float64
		ModelVersionID string `json:"modelVersionId"`
		Error          struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return prediction{}, err
	}
	if resp.StatusCode != http.StatusOK || len(answer.Predictions) != 1 || len(answer.Predictions[0]) != 1 {
		return prediction{}, fmt.Errorf("predict answered %s: %s", resp.Status, answer.Error.Message)
	}
	return prediction{answer.Predictions[0][0], answer.ModelVersionID}, nil
}

// load is what a client saw that predicted all the while.
type load struct {
	sent, failed int
	versions     map[string]int
	firstError   error
	took         time.Duration
}

// requestEvery gives 100 requests a second, twice what the rollout has to bear.
const requestEvery = 10 * time.Millisecond

// keepPredicting predicts at a fixed rate until ctx ends, and waits for the
// answers that are still on their way.
func (d *demo) keepPredicting(ctx context.Context, endpoint string) load {
	var (
		mu       sync.Mutex
		inFlight sync.WaitGroup
		l        = load{versions: map[string]int{}}
		start    = time.Now()
		tick     = time.NewTicker(requestEvery)
	)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			inFlight.Wait()
			l.took = time.Since(start)
			return l
		case <-tick.C:
			inFlight.Go(func() {
				p, err := d.predict(context.WithoutCancel(ctx), endpoint, "A warm, funny film.")
				mu.Lock()
				defer mu.Unlock()
				l.sent++
				if err != nil {
					l.failed++
					l.firstError = err
					return
				}
				l.versions[p.version]++
			})
		}
	}
}

// roll applies a new model release while a client predicts, and checks that no
// request failed and that the traffic split was whole at every instant.
func (d *demo) roll(ctx context.Context) error {
	o, err := d.outputs(ctx)
	if err != nil {
		return err
	}
	predicting, stop := context.WithCancel(ctx)
	loads := make(chan load, 1)
	go func() { loads <- d.keepPredicting(predicting, o.Endpoint.Value) }()
	err = d.terraform(ctx, "apply", "-auto-approve", "-no-color", "-compact-warnings", "-var", "model_release=2")
	stop()
	l := <-loads
	if err != nil {
		return err
	}
	fmt.Printf("%d predictions in %.1fs (%.0f/s) during the rollout: %d failed; by model version: %v\n",
		l.sent, l.took.Seconds(), float64(l.sent)/l.took.Seconds(), l.failed, l.versions)
	switch {
	case l.failed > 0:
		return fmt.Errorf("%d requests failed, for instance: %w", l.failed, l.firstError)
	case float64(l.sent)/l.took.Seconds() < 50:
		return fmt.Errorf("only %d requests in %s: too few to show anything", l.sent, l.took)
	case len(l.versions) < 2:
		return fmt.Errorf("all answers came from version %v: nothing was rolled out", l.versions)
	}
	return d.checkTimeline(ctx)
}

// checkTimeline reads from the emulator how the endpoint's split changed.
func (d *demo) checkTimeline(ctx context.Context) error {
	var timeline struct {
		Changes []struct {
			Time           time.Time        `json:"time"`
			DeployedModels []string         `json:"deployed_models"`
			TrafficSplit   map[string]int32 `json:"traffic_split"`
		}
	}
	if err := d.get(ctx, "/_emulator/timeline", &timeline); err != nil {
		return err
	}
	for _, event := range timeline.Changes {
		if len(event.DeployedModels) == 0 {
			continue
		}
		sum := int32(0)
		for _, share := range event.TrafficSplit {
			sum += share
		}
		fmt.Printf("%s  %d deployed, traffic %v\n", event.Time.Format("15:04:05.000"), len(event.DeployedModels), event.TrafficSplit)
		if sum != 100 {
			return fmt.Errorf("at %s the split summed to %d", event.Time, sum)
		}
	}
	return nil
}
