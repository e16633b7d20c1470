// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package clock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdvanceWakesSleepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Virtual
		start := time.Now()
		woken := make(chan time.Duration, 2)
		for _, d := range []time.Duration{5 * time.Minute, 10 * time.Minute} {
			go func() {
				if err := v.Sleep(t.Context(), d); err != nil {
					t.Error(err)
				}
				woken <- d
			}()
		}
		synctest.Wait()
		if ahead := v.Advance(7 * time.Minute); ahead != 7*time.Minute {
			t.Errorf("ahead by %v", ahead)
		}
		if d := <-woken; d != 5*time.Minute || time.Since(start) != 0 {
			t.Errorf("%v woke after %v of real time", d, time.Since(start))
		}
		if got := v.Now().Sub(start); got != 7*time.Minute {
			t.Errorf("the clock is ahead by %v", got)
		}
		// What is left passes by itself.
		if d := <-woken; d != 10*time.Minute || time.Since(start) != 3*time.Minute {
			t.Errorf("%v woke after %v of real time", d, time.Since(start))
		}
		if ahead := v.Advance(-time.Hour); ahead != 7*time.Minute {
			t.Errorf("after going back: ahead by %v", ahead)
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Virtual
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := v.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if err := v.Sleep(t.Context(), -time.Hour); err != nil {
			t.Errorf("error %v", err)
		}
	})
}
