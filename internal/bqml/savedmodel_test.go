// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// dataTypes are the numbers of tensorflow.DataType.
var dataTypes = map[string]int32{"DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_INT32": 3, "DT_STRING": 7, "DT_INT64": 9, "DT_BOOL": 10}

var shown = regexp.MustCompile(`(inputs|outputs)\['(\w+)'\] tensor_info:\s+dtype: (\w+)\s+shape: \(([^)]*)\)`)

// What is parsed is what TensorFlow's own saved_model_cli says (testdata/savedmodel.py).
func TestParseSavedModel(t *testing.T) {
	text, err := os.ReadFile("testdata/signatures.txt")
	if err != nil {
		t.Fatal(err)
	}
	models := strings.Split(string(text), "== ")[1:]
	if len(models) != 3 {
		t.Fatalf("%d models", len(models))
	}
	for _, m := range models {
		name, body, _ := strings.Cut(m, "\n")
		pb, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseSavedModel(pb)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tensors := shown.FindAllStringSubmatch(body, -1)
		if n := len(got.Inputs) + len(got.Outputs); n != len(tensors) || n < 2 {
			t.Errorf("%s: %d inputs and outputs, want %d", name, n, len(tensors))
		}
		for _, want := range tensors {
			tensor, ok := got.Inputs[want[2]]
			if want[1] == "outputs" {
				tensor, ok = got.Outputs[want[2]]
			}
			dims := strings.Trim(strings.ReplaceAll(fmt.Sprint(tensor.Dims), " ", ", "), "[]")
			if !ok || tensor.DType != dataTypes[want[3]] || dims != want[4] || tensor.Unranked {
				t.Errorf("%s: %s %s is %+v, want %s (%s)", name, want[1], want[2], tensor, want[3], want[4])
			}
		}
	}
}

func TestSignatureColumns(t *testing.T) {
	for name, want := range map[string]struct{ input, output []Column }{
		// The tutorial declares the same for its model, with a name of its own for the output.
		"tutorial.pb": {[]Column{{"text", "STRING"}}, []Column{{"classifier", "ARRAY<FLOAT64>"}}},
		"types.pb": {
			[]Column{{"count", "INT64"}, {"features", "ARRAY<FLOAT64>"}, {"flag", "BOOL"}, {"words", "ARRAY<STRING>"}},
			[]Column{{"all_true", "BOOL"}, {"lengths", "ARRAY<INT64>"}, {"total", "FLOAT64"}},
		},
		"image.pb": {},
	} {
		pb, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSavedModel(pb)
		if err != nil {
			t.Fatal(err)
		}
		input, output, err := s.Columns()
		if (err != nil) != (want.input == nil) || !slices.Equal(input, want.input) || !slices.Equal(output, want.output) {
			t.Errorf("%s: %v %v, %v", name, input, output, err)
		}
	}
	scalar := Tensor{DType: 7, Dims: []int64{-1}}
	good := map[string]Tensor{"a": scalar}
	for name, s := range map[string]Signature{
		"no outputs":    {Inputs: good},
		"unknown rank":  {Inputs: map[string]Tensor{"a": {DType: 7, Unranked: true}}, Outputs: good},
		"no batch":      {Inputs: map[string]Tensor{"a": {DType: 7, Dims: []int64{}}}, Outputs: good},
		"complex":       {Inputs: map[string]Tensor{"a": {DType: 8, Dims: []int64{-1}}}, Outputs: good},
		"reserved name": {Inputs: good, Outputs: map[string]Tensor{"remote_model_status": scalar}},
		"no name":       {Inputs: map[string]Tensor{"a/b": scalar}, Outputs: good},
	} {
		if input, output, err := s.Columns(); err == nil {
			t.Errorf("%s: %v %v", name, input, output)
		}
	}
}

// A file that is cut or is something else is an error, and never a panic.
func TestParseSavedModelRefuses(t *testing.T) {
	pb, err := os.ReadFile("testdata/types.pb")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(pb) {
		if s, err := ParseSavedModel(pb[:n]); err == nil {
			t.Fatalf("cut after %d of %d bytes it has the signature %+v", n, len(pb), s)
		}
	}
	// A graph that is tagged for training only is not served.
	training := protowire.AppendTag(nil, 4, protowire.BytesType)
	training = protowire.AppendString(training, "train")
	graph := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), training)
	model := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), graph)
	for _, other := range [][]byte{nil, model, []byte("<html>"), []byte(strings.Repeat("\xff", 100))} {
		if s, err := ParseSavedModel(other); err == nil {
			t.Errorf("%q has the signature %+v", other, s)
		}
	}
}

func TestProbeSQL(t *testing.T) {
	columns := []Column{{"Text", "string"}, {"n", "INT64"}, {"ok", "BOOL"}, {"list", "ARRAY<FLOAT64>"}}
	p := Probe{Rows: []map[string]any{
		{"text": "it's `fine`", "n": Number("9007199254740993"), "ok": true, "list": []any{Number("1.5"), nil}},
		{"TEXT": nil, "n": "7", "ok": false, "list": nil},
	}}
	const want = "SELECT CAST('it\\'s `fine`' AS STRING) AS `Text`, CAST('9007199254740993' AS INT64) AS `n`, TRUE AS `ok`, ARRAY<FLOAT64>[CAST('1.5' AS FLOAT64), CAST(NULL AS FLOAT64)] AS `list`\n" +
		"UNION ALL SELECT CAST(NULL AS STRING) AS `Text`, CAST('7' AS INT64) AS `n`, FALSE AS `ok`, CAST(NULL AS ARRAY<FLOAT64>) AS `list`"
	if got, err := p.sql(columns); err != nil || got != want {
		t.Errorf("got  %s\nwant %s (%v)", got, want, err)
	}
	for name, row := range map[string]map[string]any{
		"missing":  {"text": "a", "n": Number("1"), "ok": true},
		"too many": {"text": "a", "n": Number("1"), "ok": true, "list": nil, "more": "x"},
		"number":   {"text": Number("1"), "n": Number("1"), "ok": true, "list": nil},
		"bool":     {"text": "a", "n": true, "ok": true, "list": nil},
		"list":     {"text": "a", "n": Number("1"), "ok": true, "list": "x"},
		"object":   {"text": map[string]any{}, "n": Number("1"), "ok": true, "list": nil},
	} {
		if got, err := (Probe{Rows: []map[string]any{row}}).sql(columns); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}
