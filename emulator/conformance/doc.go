// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package conformance holds the tests that drive the emulator with what it
// stands in for Google Cloud for: the official client libraries, gcloud and bq,
// and plain HTTP. Of the emulator's internals they know the list of switches only.
package conformance
