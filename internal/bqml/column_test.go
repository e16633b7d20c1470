// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/api/bigqueryconnection/v1"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

func TestNormalType(t *testing.T) {
	for text, want := range map[string]string{
		"STRING": "STRING", "string": "STRING", " Int64 ": "INT64", "BOOL": "BOOL", "float64": "FLOAT64", "NUMERIC": "NUMERIC", "bignumeric": "BIGNUMERIC",
		"ARRAY<FLOAT64>": "ARRAY<FLOAT64>", "array < string >": "ARRAY<STRING>", "ARRAY\n<\tINT64>": "ARRAY<INT64>",
	} {
		if got, err := NormalType(text); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "INT", "INT 64", "FLOAT", "BYTES", "DATE", "TIMESTAMP", "JSON", "STRUCT<a INT64>", "ARRAY", "ARRAY<>", "ARRAY<ARRAY<INT64>>", "ARRAY<STRUCT<a INT64>>",
		"ARRAY<INT64", "INT64>", "`INT64`", "STRING(10)", "STRING, x INT64", "STRING) OUTPUT (x INT64", "'STRING'",
	} {
		if got, err := NormalType(text); err == nil {
			t.Errorf("%q was taken for %q", text, got)
		}
	}
	if !SameType("array<float64>", "ARRAY< FLOAT64 >") || SameType("INT64", "FLOAT64") || SameType("x", "y") {
		t.Error("SameType compares wrongly")
	}
}

func TestCheckColumnName(t *testing.T) {
	for _, name := range []string{"text", "_x", "T1", strings.Repeat("a", 300)} {
		if err := CheckColumnName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "1x", "a-b", "a b", "é", "remote_model_status", "REMOTE_MODEL_STATUS", "_TABLE_x", "_partitiontime", "_FILE_NAME", "__ROOT__x", "_COLIDENTIFIER_1",
		"_ROW_TIMESTAMP", strings.Repeat("a", 301),
	} {
		if CheckColumnName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	if _, err := normalColumns([]Column{{"a", "INT64"}, {"A", "INT64"}}); err == nil {
		t.Error("a duplicate in another case was accepted")
	}
}

// The region rule of DESIGN.md, in all its cases.
func TestCheckRegions(t *testing.T) {
	for _, c := range []struct {
		connection, endpoint string
		warns, fails         bool
	}{
		{"US", "us-central1", false, false},
		{"us", "US-WEST4", false, false},
		{"EU", "europe-west4", false, false},
		{"us-central1", "us-central1", false, false},
		{"US-Central1", "us-central1", false, false},
		{"us-central1", "us-east1", false, true},
		{"europe-west4", "us-central1", false, true},
		{"us-central1", "global", false, true},
		{"US", "europe-west4", true, false},
		{"US", "northamerica-northeast1", true, false},
		{"eu", "us-central1", true, false},
		{"US", "global", true, false},
	} {
		warning, err := CheckRegions(c.connection, c.endpoint)
		if (warning != "") != c.warns || (err != nil) != c.fails {
			t.Errorf("%s → %s: warning %q, error %v; want warning %v, error %v", c.connection, c.endpoint, warning, err, c.warns, c.fails)
		}
	}
}

func TestConnectionMarker(t *testing.T) {
	for _, m := range []gcp.Marker{
		{Owner: "team-a", Spec: "00ff", Incarnation: "abc"},
		{Spec: "00ff", Incarnation: "abc"},
	} {
		if got := markerIn(markerText(m)); got != m {
			t.Errorf("%+v comes back as %+v", m, got)
		}
	}
	for _, text := range []string{"", "gcpml", "gcpml connection", "gcpml owner=a and more", "my gcpml owner=a", "gcpml spec=1 owner=a"} {
		if IsMarker(text) {
			t.Errorf("%q was taken for a marker", text)
		}
	}
	user := connectionOf(&bigqueryconnection.Connection{FriendlyName: "gcpml rocks"})
	if user.FriendlyName != "gcpml rocks" {
		t.Errorf("a user's friendly name was lost: %q", user.FriendlyName)
	}
}

func TestIdentity(t *testing.T) {
	marked := Identity{Marker: gcp.Marker{Incarnation: "a"}, Created: 1}
	plain := Identity{Created: 1}
	for _, c := range []struct {
		i           Identity
		incarnation string
		created     int64
		want        bool
	}{
		{marked, "a", 0, true},
		{marked, "b", 1, false}, // marked by another, who adopted it
		{plain, "a", 1, true},   // somebody removed the marker
		{plain, "a", 2, false},
		{Identity{}, "", 0, false},
	} {
		if got := c.i.Is(c.incarnation, c.created); got != c.want {
			t.Errorf("%+v is %q of %d: %v", c.i, c.incarnation, c.created, got)
		}
	}
}

func TestPredictionJSON(t *testing.T) {
	p := Prediction{
		Schema: query.Schema{
			{Name: "i", Type: "INT64"}, {Name: "f", Type: "FLOAT64", Repeated: true}, {Name: "n", Type: "BIGNUMERIC"}, {Name: "s", Type: "STRING"},
			{Name: "b", Type: "BYTES"}, {Name: "r", Type: "STRUCT", Fields: []query.Field{{Name: "x", Type: "BOOL"}, {Type: "STRING"}}},
		},
		Rows: []query.Row{
			{int64(9007199254740993), []any{0.1, math.NaN(), math.Inf(-1)}, "0.12345678901234567890123456789", "<a&\"b\">", []byte{0xff}, query.Row{true, nil}},
			{nil, []any{}, nil, nil, nil, nil},
		},
	}
	const want = `[{"i":9007199254740993,"f":[0.1,"NaN","-Infinity"],"n":0.12345678901234567890123456789,"s":"<a&\"b\">","b":"/w==","r":{"x":true,"_field_2":null}},` +
		`{"i":null,"f":[],"n":null,"s":null,"b":null,"r":null}]`
	got, nonFinite := p.JSON()
	if got != want || !nonFinite {
		t.Errorf("got %s (%v)\nwant %s", got, nonFinite, want)
	}
	if got, nonFinite := (&Prediction{}).JSON(); got != "[]" || nonFinite {
		t.Errorf("no rows: %s", got)
	}
}
