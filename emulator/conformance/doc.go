// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package conformance holds the tests that drive the emulator with what it
// stands in for Google Cloud for: the official client libraries, gcloud and bq,
// and plain HTTP. Nothing here reaches into the emulator's internals.
package conformance
