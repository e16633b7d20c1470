// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package ast

// SyntaxError is a text that is not GoogleSQL. Its message ends in the position,
// as BigQuery writes it: "… at [1:8]".
type SyntaxError struct{ Message string }

func (e *SyntaxError) Error() string { return e.Message }

// Error is an answer of the SQL engine other than success.
type Error struct {
	Status  int // the HTTP status
	Message string
}

func (e *Error) Error() string { return e.Message }
