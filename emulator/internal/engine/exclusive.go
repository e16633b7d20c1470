// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
)

// The GoogleSQL library is one module for the whole process, with a memory of its
// own of at most 2 GiB. Its Go objects stand for parts of that memory, which their
// finalizers give back. Two things follow.
//
// A call only takes the address out of an object before it waits for the module's
// lock. If the object's last use is that call, a finalizer may get the lock first,
// and the call works on memory that is free. So everything that uses the library
// does so alone, and no collection starts while it does.
//
// To Go's collector the objects are small, so that by its own measure it would
// start long after the module is full. So it is started every few sections.
var library struct {
	sync.Mutex
	sections int
}

// collectEvery keeps the memory of a long series of statements within some
// hundred MiB; a collection takes milliseconds.
const collectEvery = 16

// memoryLimit lets collections start all the same before a single large query
// takes the machine's memory.
const memoryLimit = 4 << 30

// exclusively begins a section in which the library may be used; the function
// that it returns ends it.
func exclusively() (end func()) {
	library.Lock()
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // nobody has set one
		debug.SetMemoryLimit(memoryLimit)
	}
	percent := debug.SetGCPercent(-1)
	return func() {
		if library.sections++; library.sections%collectEvery == 0 {
			runtime.GC()
		}
		debug.SetGCPercent(percent)
		library.Unlock()
	}
}
