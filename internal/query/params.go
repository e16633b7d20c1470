// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	bigquery "google.golang.org/api/bigquery/v2"
)

// ParseParameter reads a query parameter in the syntax of the bq tool:
// "name:TYPE:value", ":TYPE:value" for a positional one, and "name::value" for a
// STRING. The value NULL is the null of any type. An ARRAY is a JSON array, a
// STRUCT<a INT64, b STRING> a JSON object, a RANGE<DATE> is "[start, end)" with
// UNBOUNDED for an open end.
//
// Values are checked as far as that needs no server, so that a mistake is found
// before anything is run.
func ParseParameter(text string) (*bigquery.QueryParameter, error) {
	name, rest, ok1 := strings.Cut(text, ":")
	typeText, value, ok2 := strings.Cut(rest, ":")
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("parameter %q is not of the form NAME:TYPE:VALUE (:TYPE:VALUE for a positional one, NAME::VALUE for a STRING)", text)
	}
	if name != "" && !parameterName.MatchString(name) {
		return nil, fmt.Errorf("%q cannot be the name of a parameter", name)
	}
	p, err := newParameter(name, typeText, func(t *bigquery.QueryParameterType) (*bigquery.QueryParameterValue, error) {
		if value == "NULL" {
			return null(), nil
		}
		if t.Type == "ARRAY" || t.Type == "STRUCT" {
			v, err := decodeJSON(value)
			if err != nil {
				return nil, fmt.Errorf("%w: want JSON, such as %s", err, map[string]string{"ARRAY": "[1, 2]", "STRUCT": `{"a": 1}`}[t.Type])
			}
			return valueOfJSON(t, v)
		}
		return valueOfText(t, value)
	})
	if err != nil {
		what := "parameter " + name
		if name == "" {
			what = "positional parameter"
		}
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// ParseParameterMap makes named parameters, in the order of their names, from a
// decoded JSON or YAML mapping: name → {type, value}, or name → value, whose type
// is then BOOL, INT64, FLOAT64, STRING or an ARRAY of one of them.
func ParseParameterMap(values map[string]any) ([]*bigquery.QueryParameter, error) {
	var out []*bigquery.QueryParameter
	for name, value := range values {
		if !parameterName.MatchString(name) {
			return nil, fmt.Errorf("%q cannot be the name of a parameter", name)
		}
		typeText := ""
		if object, ok := value.(map[string]any); ok {
			typeText, _ = object["type"].(string)
			if _, has := object["value"]; !has || typeText == "" || len(object) != 2 {
				return nil, fmt.Errorf("parameter %s: want a plain value, or an object with the keys type and value", name)
			}
			value = object["value"]
		} else {
			var err error
			if typeText, err = typeOfJSON(value); err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
		}
		p, err := newParameter(name, typeText, func(t *bigquery.QueryParameterType) (*bigquery.QueryParameterValue, error) {
			return valueOfJSON(t, value)
		})
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *bigquery.QueryParameter) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func newParameter(name, typeText string, value func(*bigquery.QueryParameterType) (*bigquery.QueryParameterValue, error)) (*bigquery.QueryParameter, error) {
	if strings.TrimSpace(typeText) == "" {
		typeText = "STRING"
	}
	p := typeParser{text: typeText}
	t, err := p.parse()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("unexpected %q", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("type %q: %w", typeText, err)
	}
	v, err := value(t)
	if err != nil {
		return nil, err
	}
	return &bigquery.QueryParameter{Name: name, ParameterType: t, ParameterValue: v}, nil
}

// null is the value that the API takes for NULL: present, and without a value.
func null() *bigquery.QueryParameterValue {
	return &bigquery.QueryParameterValue{NullFields: []string{"Value"}}
}

// Types that a parameter can have, with the names that GoogleSQL and the API use
// for the same.
var parameterTypes = map[string]string{
	"BOOL": "BOOL", "BOOLEAN": "BOOL", "INT64": "INT64", "INTEGER": "INT64", "INT": "INT64", "FLOAT64": "FLOAT64", "FLOAT": "FLOAT64",
	"NUMERIC": "NUMERIC", "DECIMAL": "NUMERIC", "BIGNUMERIC": "BIGNUMERIC", "BIGDECIMAL": "BIGNUMERIC", "STRING": "STRING", "BYTES": "BYTES",
	"DATE": "DATE", "TIME": "TIME", "DATETIME": "DATETIME", "TIMESTAMP": "TIMESTAMP", "INTERVAL": "INTERVAL", "GEOGRAPHY": "GEOGRAPHY", "JSON": "JSON",
}

// typeParser reads "ARRAY<STRUCT<a INT64, STRING>>".
type typeParser struct {
	text  string
	depth int
}

var typeToken = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*|[<>,]|\S)`)

func (p *typeParser) peek() string {
	if m := typeToken.FindStringSubmatch(p.text); m != nil {
		return m[1]
	}
	return ""
}

func (p *typeParser) next() string {
	m := typeToken.FindStringSubmatch(p.text)
	if m == nil {
		return ""
	}
	p.text = p.text[len(m[0]):]
	return m[1]
}

func (p *typeParser) expect(token string) error {
	if got := p.next(); got != token {
		return fmt.Errorf("want %q where %q is", token, got)
	}
	return nil
}

func (p *typeParser) parse() (*bigquery.QueryParameterType, error) {
	if p.depth++; p.depth > 15 { // BigQuery's own limit
		return nil, errors.New("nested too deeply")
	}
	defer func() { p.depth-- }()
	word := p.next()
	switch upper := strings.ToUpper(word); upper {
	case "ARRAY", "RANGE":
		if err := p.expect("<"); err != nil {
			return nil, err
		}
		element, err := p.parse()
		if err != nil {
			return nil, err
		}
		if err := p.expect(">"); err != nil {
			return nil, err
		}
		if upper == "ARRAY" {
			if element.Type == "ARRAY" {
				return nil, errors.New("BigQuery has no ARRAY of ARRAYs")
			}
			return &bigquery.QueryParameterType{Type: upper, ArrayType: element}, nil
		}
		if !slices.Contains([]string{"DATE", "DATETIME", "TIMESTAMP"}, element.Type) {
			return nil, errors.New("a RANGE is of DATE, DATETIME or TIMESTAMP")
		}
		return &bigquery.QueryParameterType{Type: upper, RangeElementType: element}, nil
	case "STRUCT":
		if err := p.expect("<"); err != nil {
			return nil, err
		}
		t := &bigquery.QueryParameterType{Type: upper}
		for {
			field := &bigquery.QueryParameterTypeStructTypes{}
			before := p.text
			first := p.next()
			if next := p.peek(); first != "" && parameterName.MatchString(first) && next != "<" && next != ">" && next != "," && next != "" {
				field.Name = first
			} else {
				p.text = before
			}
			var err error
			if field.Type, err = p.parse(); err != nil {
				return nil, err
			}
			t.StructTypes = append(t.StructTypes, field)
			switch token := p.next(); token {
			case ",":
			case ">":
				return t, nil
			default:
				return nil, fmt.Errorf("want \",\" or \">\" where %q is", token)
			}
		}
	default:
		name, ok := parameterTypes[upper]
		if !ok {
			return nil, fmt.Errorf("%q is not a type", word)
		}
		return &bigquery.QueryParameterType{Type: name}, nil
	}
}

// decodeJSON reads one JSON document and keeps the digits of numbers.
func decodeJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%q is not JSON", text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%q is more than one JSON value", text)
	}
	return v, nil
}

// typeOfJSON guesses the type of a plain value.
func typeOfJSON(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return "STRING", nil
	case bool:
		return "BOOL", nil
	case int, int64, uint64:
		return "INT64", nil
	case float64:
		return "FLOAT64", nil
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "INT64", nil
		}
		return "FLOAT64", nil
	case []any:
		if len(v) == 0 {
			return "", errors.New("the type of an empty array is unknown: give type and value")
		}
		element, err := typeOfJSON(v[0])
		return "ARRAY<" + element + ">", err
	}
	return "", errors.New("its type is unknown: give type and value")
}

// valueOfJSON makes the value of a type from decoded JSON or YAML.
func valueOfJSON(t *bigquery.QueryParameterType, v any) (*bigquery.QueryParameterValue, error) {
	if v == nil {
		return null(), nil
	}
	switch t.Type {
	case "ARRAY":
		list, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an array", compact(v))
		}
		// An empty array has to be told from NULL.
		out := &bigquery.QueryParameterValue{ArrayValues: []*bigquery.QueryParameterValue{}, ForceSendFields: []string{"ArrayValues"}}
		for i, element := range list {
			value, err := valueOfJSON(t.ArrayType, element)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			out.ArrayValues = append(out.ArrayValues, value)
		}
		return out, nil
	case "STRUCT":
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an object", compact(v))
		}
		out := &bigquery.QueryParameterValue{StructValues: map[string]bigquery.QueryParameterValue{}}
		for i, field := range t.StructTypes {
			if field.Name == "" {
				return nil, fmt.Errorf("field %d of the STRUCT type has no name, which a JSON object needs", i+1)
			}
			element, ok := object[field.Name]
			if !ok {
				return nil, fmt.Errorf("the field %s is missing; write null for NULL", field.Name)
			}
			value, err := valueOfJSON(field.Type, element)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", field.Name, err)
			}
			out.StructValues[field.Name] = *value
		}
		if len(object) != len(t.StructTypes) {
			return nil, fmt.Errorf("%s has a field that the type has not", compact(v))
		}
		return out, nil
	case "JSON":
		if text, ok := v.(string); ok && json.Valid([]byte(text)) {
			return &bigquery.QueryParameterValue{Value: text}, nil
		}
		return &bigquery.QueryParameterValue{Value: compact(v)}, nil
	}
	switch v := v.(type) {
	case string:
		return valueOfText(t, v)
	case bool, json.Number, int, int64, uint64, float64:
		if _, isBool := v.(bool); isBool != (t.Type == "BOOL") {
			return nil, fmt.Errorf("%v is not a %s", v, t.Type)
		}
		return valueOfText(t, fmt.Sprint(v))
	}
	return nil, fmt.Errorf("%s is not a %s", compact(v), t.Type)
}

func compact(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// valueOfText makes a scalar value of a type. What needs a calendar or more digits
// is BigQuery's to check.
func valueOfText(t *bigquery.QueryParameterType, text string) (*bigquery.QueryParameterValue, error) {
	var err error
	switch t.Type {
	case "BOOL":
		lower := strings.ToLower(text)
		if lower != "true" && lower != "false" {
			err = errors.New("")
		}
		text = lower
	case "INT64":
		_, err = strconv.ParseInt(text, 10, 64)
	case "FLOAT64":
		_, err = strconv.ParseFloat(text, 64)
	case "NUMERIC", "BIGNUMERIC":
		if len(text) > 1000 || !numberText.MatchString(text) {
			err = errors.New("")
		} else if _, ok := new(big.Rat).SetString(text); !ok {
			err = errors.New("")
		}
	case "BYTES":
		if _, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("%q is not base64, as BYTES have to be", text)
		}
	case "JSON":
		if !json.Valid([]byte(text)) {
			err = errors.New("")
		}
	case "RANGE":
		inner, ok1 := strings.CutPrefix(text, "[")
		inner, ok2 := strings.CutSuffix(inner, ")")
		start, end, ok3 := strings.Cut(inner, ",")
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("%q is not of the form [start, end)", text)
		}
		out := &bigquery.QueryParameterValue{RangeValue: &bigquery.RangeValue{}}
		for _, bound := range []struct {
			text string
			to   **bigquery.QueryParameterValue
		}{{start, &out.RangeValue.Start}, {end, &out.RangeValue.End}} {
			if b := strings.TrimSpace(bound.text); b != "UNBOUNDED" && b != "NULL" {
				*bound.to = &bigquery.QueryParameterValue{Value: b}
			}
		}
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not a %s", text, t.Type)
	}
	// An empty STRING is a value too.
	return &bigquery.QueryParameterValue{Value: text, ForceSendFields: []string{"Value"}}, nil
}

var numberText = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`)
