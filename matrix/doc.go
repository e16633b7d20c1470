// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package matrix holds no code, only tests of what happens when things go wrong:
// the real CLI and the real provider against the emulator, with one call failing,
// one process killed, or one Ctrl-C, at every place where that can happen.
//
//   - fault matrix: calls × faults. What each cell must come to is declared in a
//     table (expect_test.go) before anything runs.
//   - pairs: two faults that the provider overcomes alone, in one command.
//   - kill matrix: create, update, replace and destroy of all that the provider
//     manages × every call × who is killed × by which signal.
//   - interrupts: Ctrl-C at every call, and how long it takes.
//   - rate limit: a hundred resources at once, of which the server takes ten a second.
//   - model: random edits, changes behind Terraform's back and faults.
//
// After every cell the next apply must reach what an undisturbed one reaches,
// the plan must be empty, destroy must leave nothing, nothing may have been made
// twice, and no secret may be found in state, plan, logs or diagnostics.
//
// `make test` runs a sample, `make test-matrix` everything (GCPML_MATRIX=all; a
// number n runs one cell in n), with one table at the end. What is sampled follows
// from a seed that is printed; GCPML_MATRIX_SEED sets it. GCPML_MATRIX_ONLY, a
// regular expression, runs single cells by their names.
package matrix
