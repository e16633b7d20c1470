// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// The demo runs the whole tutorial on the emulator with the programs that a user
// runs: it builds them, starts the emulator, loads the reviews, applies, predicts
// through the data source and the runner, rolls the deployment to a new model
// version while a client keeps predicting, destroys, and shows that nothing is
// left. It fails when anything along the way is not as the tutorial says.
//
// Run it with `make demo`. It needs Go, git and make only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	cli := flag.String("cli", "terraform", "Terraform or OpenTofu; bin/tofu is built when it is missing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *cli)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: "+err.Error())
		os.Exit(1)
	}
}

// Operations take long enough to see that traffic flows on while they run, and a
// grant takes effect late, as on Google Cloud.
const (
	operationLatency = "500ms"
	deployLatency    = "3s"
	iamLag           = "6s"
	reviews          = 200
)

func run(ctx context.Context, cli string) (err error) {
	d := &demo{cli: cli}
	defer func() {
		err = errors.Join(err, d.close())
		if err == nil {
			d.printTimes()
		}
	}()
	for _, s := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Build what is needed", d.build},
		{"Start the emulator", d.start},
		{"gcpml run setup.sql", d.loadReviews},
		{"init and apply: model, endpoint, connection with its grant, remote model", d.apply},
		{"plan -detailed-exitcode: nothing to change", d.planIsEmpty},
		{"Predictions from the data source", d.showDataSource},
		{"Predictions from the runner", d.showRunner},
		{"ML.PREDICT against the endpoint itself, and against the labels", d.compare},
		{"Roll to a new model version while a client keeps predicting", d.roll},
		{"destroy", d.destroy},
		{"What is left", d.showInventory},
	} {
		fmt.Printf("\n== %s\n", s.title)
		start := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		d.times = append(d.times, stepTime{s.title, time.Since(start)})
	}
	return nil
}

type stepTime struct {
	title string
	took  time.Duration
}

func (d *demo) printTimes() {
	fmt.Println("\n== Times")
	var total time.Duration
	for i, t := range d.times {
		fmt.Printf("%8.1fs  %s\n", t.took.Seconds(), t.title)
		if i > 0 { // the build is told apart
			total += t.took
		}
	}
	fmt.Printf("%8.1fs  all steps after the build\n", total.Seconds())
}
