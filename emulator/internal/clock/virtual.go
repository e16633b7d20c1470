// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package clock

import (
	"context"
	"sync"
	"time"
)

// Virtual is a clock that goes like the machine's and can be put forward. Who
// sleeps on it wakes when it has come far enough, by itself or by [Virtual.Advance].
// The zero value is the machine's clock; it is safe for concurrent use.
type Virtual struct {
	mu     sync.Mutex
	offset time.Duration
	moved  chan struct{} // closed at the next Advance; nil while nobody sleeps
}

// Now returns the time in UTC.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().UTC().Add(v.offset)
}

// Advance puts the clock forward by d and returns by how much it is ahead of the
// machine's now. A d that is not positive changes nothing: time does not go back.
func (v *Virtual) Advance(d time.Duration) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d > 0 {
		v.offset += d
		if v.moved != nil {
			close(v.moved)
			v.moved = nil
		}
	}
	return v.offset
}

// Sleep implements [Clock].
func (v *Virtual) Sleep(ctx context.Context, d time.Duration) error {
	deadline := v.Now().Add(d)
	for {
		left, moved := v.until(deadline)
		if left <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(left)
		select {
		case <-t.C:
		case <-moved:
		case <-ctx.Done():
		}
		t.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// until returns how long it is to the deadline and what tells of an Advance.
func (v *Virtual) until(deadline time.Time) (time.Duration, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.moved == nil {
		v.moved = make(chan struct{})
	}
	return deadline.Sub(time.Now().Add(v.offset)), v.moved
}
