// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Probe is rows that a remote model must be able to predict: those of a query, or given
// ones.
type Probe struct {
	Query string
	// Rows have a value for each input: nil, a bool, a string, a [Number], or a []any
	// of them.
	Rows []map[string]any
}

// Number is a number in decimal notation.
type Number string

// A probe is a few rows.
const (
	maxProbeRows  = 1000
	maxProbeBytes = 1 << 30
)

// ProbeError means that a model was made and does not predict.
type ProbeError struct{ Err error }

func (e *ProbeError) Error() string {
	return "the model exists, and its probe failed: " + e.Err.Error()
}

func (e *ProbeError) Unwrap() error { return e.Err }

func (s *Service) probe(ctx context.Context, spec ModelSpec, m *Model, o Options) error {
	sql, err := spec.Probe.sql(m.Input)
	if err != nil {
		return &ProbeError{err}
	}
	o.Progress.tell("predicting the probe of %s", spec.Name)
	p, err := s.Predict(ctx, PredictRequest{Model: spec.Name, Query: sql, MaxRows: maxProbeRows, MaximumBytesBilled: maxProbeBytes, Options: o})
	var field *FieldError
	switch {
	case errors.As(err, &field):
		return &ProbeError{&FieldError{"probe", field.Message}}
	case err != nil:
		return &ProbeError{err}
	case len(p.Rows) == 0:
		return &ProbeError{&FieldError{"probe", "its query gives no rows"}}
	case p.Failed > 0:
		var reasons []string
		for _, status := range p.Statuses[:min(3, len(p.Statuses))] {
			reasons = append(reasons, fmt.Sprintf("%s (%d)", status.Text, status.Rows))
		}
		return &ProbeError{fmt.Errorf("%d of %d rows have no prediction: %s (job %s)", p.Failed, len(p.Rows), strings.Join(reasons, "; "), p.Job)}
	}
	return nil
}

// sql is a query that yields the rows.
func (p Probe) sql(columns []Column) (string, error) {
	if p.Query != "" {
		return p.Query, nil
	}
	if len(columns) == 0 {
		return "", &FieldError{"probe", "the model has no input, so rows cannot be predicted"}
	}
	var s Statement
	for i, row := range p.Rows {
		s.Fixed([]string{"SELECT ", "\nUNION ALL SELECT "}[min(i, 1)])
		given := map[string]any{}
		for name, v := range row {
			given[strings.ToLower(name)] = v
		}
		for j, c := range columns {
			v, ok := given[strings.ToLower(c.Name)]
			if !ok {
				return "", &FieldError{"probe", fmt.Sprintf("row %d has no %s, which is an input of the model", i+1, c.Name)}
			}
			delete(given, strings.ToLower(c.Name))
			if j > 0 {
				s.Fixed(", ")
			}
			typ, err := NormalType(c.Type)
			if err == nil {
				err = value(&s, typ, v)
			}
			if err != nil {
				return "", &FieldError{"probe", fmt.Sprintf("row %d, %s: %s", i+1, c.Name, err)}
			}
			s.Fixed(" AS ").Identifier(c.Name)
		}
		for name := range given {
			return "", &FieldError{"probe", fmt.Sprintf("row %d has a value %s, which is no input of the model", i+1, name)}
		}
	}
	return s.Finish()
}

// value writes a value of a column type, which is one of a closed list.
func value(s *Statement, typ string, v any) error {
	if element, array := strings.CutPrefix(typ, "ARRAY<"); array && v != nil {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("want a list, since its type is %s", typ)
		}
		s.Fixed(typ + "[")
		for i, e := range list {
			if i > 0 {
				s.Fixed(", ")
			}
			if err := value(s, strings.TrimSuffix(element, ">"), e); err != nil {
				return err
			}
		}
		s.Fixed("]")
		return nil
	}
	switch v := v.(type) {
	case nil:
		s.Fixed("CAST(NULL AS " + typ + ")")
		return nil
	case bool:
		if typ == "BOOL" {
			s.Fixed(strings.ToUpper(fmt.Sprint(v)))
			return nil
		}
	case string:
		if typ != "BOOL" {
			s.Fixed("CAST(").Literal(v).Fixed(" AS " + typ + ")")
			return nil
		}
	case Number:
		if typ != "BOOL" && typ != "STRING" {
			s.Fixed("CAST(").Literal(string(v)).Fixed(" AS " + typ + ")")
			return nil
		}
	}
	return fmt.Errorf("a %T is no value of type %s", v, typ)
}
