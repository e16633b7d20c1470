// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strings"
)

func (d *demo) loadReviews(ctx context.Context) error {
	if err := d.command(ctx, d.dir, d.bin("gcpml"), "run", "setup.sql").Run(); err != nil {
		return err
	}
	var rows []struct{ N int }
	if err := d.query(ctx, "SELECT COUNT(*) AS N FROM bqml_tutorial.reviews", &rows); err != nil {
		return err
	}
	if len(rows) != 1 || rows[0].N != reviews {
		return fmt.Errorf("the table has %+v, want %d reviews", rows, reviews)
	}
	return nil
}

func (d *demo) apply(ctx context.Context) error {
	if err := d.terraform(ctx, "init", "-no-color"); err != nil {
		return err
	}
	return d.terraform(ctx, "apply", "-auto-approve", "-no-color", "-compact-warnings")
}

func (d *demo) planIsEmpty(ctx context.Context) error {
	err := d.terraform(ctx, "plan", "-detailed-exitcode", "-no-color", "-compact-warnings")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return errors.New("the plan after apply is not empty")
	}
	return err
}

// outputs are the outputs of the tutorial's configuration.
type outputs struct {
	Endpoint    struct{ Value string } `json:"endpoint"`
	Predictions struct {
		Value map[string]string
	} `json:"predictions"`
}

func (d *demo) outputs(ctx context.Context) (o outputs, err error) {
	b, err := d.output(ctx, d.cli, "output", "-json")
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o, err
}

func (d *demo) showDataSource(ctx context.Context) error {
	o, err := d.outputs(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(o.Predictions.Value)) {
		text, score := o.Predictions.Value[id], 0.0
		if _, err := fmt.Sscan(text, &score); err != nil || score < 0 || score > 1 {
			return fmt.Errorf("review %s is predicted as %q, want a score in [0,1] in front", id, text)
		}
		fmt.Printf("%s  %s\n", id, short(text))
	}
	if len(o.Predictions.Value) != 10 {
		return fmt.Errorf("%d predictions, want 10", len(o.Predictions.Value))
	}
	return nil
}

func short(s string) string {
	if r := []rune(s); len(r) > 70 {
		return string(r[:69]) + "…"
	}
	return s
}

func (d *demo) showRunner(ctx context.Context) error {
	return d.command(ctx, d.dir, d.bin("gcpml"), "run", "-e",
		"SELECT id, label, ROUND(scores[OFFSET(0)], 3) AS score FROM ML.PREDICT(MODEL bqml_tutorial.bert_sentiment, "+
			"(SELECT id, label, review AS text FROM bqml_tutorial.reviews WHERE id <= 5)) ORDER BY id").Run()
}

// compare predicts every review through SQL and directly, and counts how many
// labels the model meets.
func (d *demo) compare(ctx context.Context) error {
	var rows []struct {
		ID     int
		Label  string
		Text   string
		Scores []float64
		Status *string `json:"remote_model_status"`
	}
	err := d.query(ctx, "SELECT * FROM ML.PREDICT(MODEL bqml_tutorial.bert_sentiment, "+
		"(SELECT id, label, review AS text FROM bqml_tutorial.reviews)) ORDER BY id", &rows)
	if err != nil {
		return err
	}
	o, err := d.outputs(ctx)
	if err != nil {
		return err
	}
	met := 0
	for _, r := range rows {
		if r.Status != nil && *r.Status != "" {
			return fmt.Errorf("review %d failed: %s", r.ID, *r.Status)
		}
		direct, err := d.predict(ctx, o.Endpoint.Value, r.Text)
		if err != nil {
			return err
		}
		if len(r.Scores) != 1 || math.Abs(direct.score-r.Scores[0]) > 0 {
			return fmt.Errorf("review %d: ML.PREDICT says %v, the endpoint %v", r.ID, r.Scores, direct.score)
		}
		if (r.Scores[0] >= 0.5) == (r.Label == "positive") {
			met++
		}
	}
	if len(rows) != reviews {
		return fmt.Errorf("%d predictions, want %d", len(rows), reviews)
	}
	fmt.Printf("%d of %d predictions equal the endpoint's own; %d (%d %%) meet the label\n", len(rows), len(rows), met, 100*met/len(rows))
	return nil
}

func (d *demo) destroy(ctx context.Context) error {
	if err := d.terraform(ctx, "destroy", "-auto-approve", "-no-color", "-compact-warnings"); err != nil {
		return err
	}
	return d.command(ctx, d.dir, d.bin("gcpml"), "run", "teardown.sql").Run()
}

func (d *demo) showInventory(ctx context.Context) error {
	var inventory map[string][]json.RawMessage
	if err := d.get(ctx, "/_emulator/inventory", &inventory); err != nil {
		return err
	}
	var left []string
	for section, objects := range inventory {
		fmt.Printf("%-14s %d\n", section, len(objects))
		for _, o := range objects {
			left = append(left, section+" "+string(o))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("these are left:\n%s", strings.Join(left, "\n"))
	}
	return nil
}
