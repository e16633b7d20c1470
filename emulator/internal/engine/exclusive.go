// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math"
	"runtime/debug"
	"sync"
)

// The GoogleSQL library is one module for the whole process. Its Go objects stand
// for memory in that module, which their finalizers give back; but a call only
// takes the address out of an object before it waits for the module's lock. If the
// object's last use is that call, a finalizer may get the lock first, and the call
// works on memory that is free. Seen under load: a panic in a finalizer, minutes
// later, that ends the process.
//
// So everything that uses the library does so alone, and no collection starts
// while it does. What a section drops is collected after it.
var library sync.Mutex

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
		debug.SetGCPercent(percent)
		library.Unlock()
	}
}
