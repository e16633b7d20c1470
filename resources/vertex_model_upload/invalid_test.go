// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexmodelupload_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

const typeName = "gcpml_vertex_model_upload"

type object = acctest.Object

// invalid is a configuration that must be refused: the valid one below with an
// argument set, at a path such as "container_spec.env.0".
type invalid struct {
	set object
	// path and summary are those of the diagnostic.
	path, summary string
}

func containerWith(name string, value any) object {
	return object{"container_spec": object{"image_uri": image, name: value}}
}

// within sets arguments of a version of somebody else's model.
func within(set object) object {
	all := object{"parent_model": id, "model_id": nil, "display_name": nil}
	maps.Copy(all, set)
	return all
}

var invalids = map[string]invalid{
	"model id":                   {set: object{"model_id": "1bert"}, path: "model_id", summary: "Invalid model id"},
	"no model id to be made":     {set: object{"model_id": nil, "display_name": "日本"}, path: "model_id", summary: "Missing model id"},
	"no display name":            {set: object{"display_name": nil}, path: "display_name", summary: "Missing display_name"},
	"parent model":               {set: within(object{"parent_model": "bert"}), path: "parent_model", summary: "Invalid parent_model"},
	"project of parent":          {set: within(object{"project": "demo-gcpml"}), path: "project", summary: "Not with parent_model"},
	"location of parent":         {set: within(object{"location": "us-central1"}), path: "location", summary: "Not with parent_model"},
	"id of parent":               {set: within(object{"model_id": "bert"}), path: "model_id", summary: "Not with parent_model"},
	"name of parent":             {set: within(object{"display_name": "Bert"}), path: "display_name", summary: "Not with parent_model"},
	"description of parent":      {set: within(object{"description": "x"}), path: "description", summary: "Not with parent_model"},
	"labels of parent":           {set: within(object{"labels": object{"team": "ml"}}), path: "labels", summary: "Not with parent_model"},
	"key of parent":              {set: within(object{"encryption_spec": object{"kms_key_name": key}}), path: "encryption_spec", summary: "Not with parent_model"},
	"versions of parent":         {set: within(object{"keep_versions": 1}), path: "keep_versions", summary: "Not with parent_model"},
	"display name":               {set: object{"display_name": ""}, path: "display_name", summary: "Invalid Attribute Value Length"},
	"project":                    {set: object{"project": "123456789"}, path: "project", summary: "Invalid project id"},
	"location":                   {set: object{"location": "US"}, path: "location", summary: "Invalid location"},
	"artifact scheme":            {set: object{"artifact_uri": "s3://bucket/v1/"}, path: "artifact_uri", summary: "Invalid artifact_uri"},
	"artifact file":              {set: object{"artifact_uri": "gs://bucket/v1/saved_model.pb"}, path: "artifact_uri", summary: "Not a folder"},
	"detection without artifact": {set: object{"artifact_uri": nil, "detect_artifact_changes": true}, path: "detect_artifact_changes", summary: "Missing artifact_uri"},
	"label key":                  {set: object{"labels": object{"Team": "ml"}}, path: "labels.Team", summary: "Invalid label key"},
	"label value":                {set: object{"labels": object{"team": "ML"}}, path: "labels.team", summary: "Invalid label value"},
	"label without value":        {set: object{"labels": object{"team": nil}}, path: "labels.team", summary: "Missing label value"},
	"deletion policy":            {set: object{"deletion_policy": "KEEP"}, path: "deletion_policy", summary: "Invalid Attribute Value Match"},
	"instance schema":            {set: object{"predict_schemata": object{"instance_schema_uri": "x.yaml"}}, path: "predict_schemata.instance_schema_uri", summary: "Invalid schema URI"},
	"parameters schema":          {set: object{"predict_schemata": object{"parameters_schema_uri": "gs://b/"}}, path: "predict_schemata.parameters_schema_uri", summary: "Invalid schema URI"},
	"prediction schema":          {set: object{"predict_schemata": object{"prediction_schema_uri": "https://b/x"}}, path: "predict_schemata.prediction_schema_uri", summary: "Invalid schema URI"},
	"metadata schema":            {set: object{"metadata_schema_uri": "x.yaml"}, path: "metadata_schema_uri", summary: "Invalid schema URI"},
	"metadata":                   {set: object{"metadata": "{"}, path: "metadata", summary: "Invalid JSON"},
	"base model":                 {set: object{"base_model_source": object{"model_garden_source": object{"public_model_name": "google/gemma3"}}}, path: "base_model_source.model_garden_source.public_model_name", summary: "Invalid public_model_name"},
	"key":                        {set: object{"encryption_spec": object{"kms_key_name": "key"}}, path: "encryption_spec.kms_key_name", summary: "Invalid kms_key_name"},
	"key elsewhere":              {set: object{"encryption_spec": object{"kms_key_name": strings.Replace(key, "us-central1", "us-east1", 1)}}, path: "encryption_spec.kms_key_name", summary: "Key in another region"},
	"alias":                      {set: object{"version_aliases": []any{"2"}}, path: `version_aliases.2`, summary: "Invalid version alias"},
	"reserved alias":             {set: object{"version_aliases": []any{"gcpml-x1"}}, path: "version_aliases", summary: "Reserved version alias"},
	"keep versions":              {set: object{"keep_versions": -1}, path: "keep_versions", summary: "Invalid Attribute Value"},
	"image with scheme":          {set: containerWith("image_uri", "https://"+image), path: "container_spec.image_uri", summary: "Invalid image_uri"},
	"command":                    {set: containerWith("command", []any{}), path: "container_spec.command", summary: "Invalid Attribute Value"},
	"args":                       {set: containerWith("args", []any{}), path: "container_spec.args", summary: "Invalid Attribute Value"},
	"env name":                   {set: containerWith("env", []any{object{"name": "1A", "value": ""}}), path: "container_spec.env.0.name", summary: "Invalid name"},
	"env without name":           {set: containerWith("env", []any{object{"value": ""}}), path: "container_spec.env.0.name", summary: "Missing name"},
	"port without number":        {set: containerWith("ports", []any{object{}}), path: "container_spec.ports.0.container_port", summary: "Missing container_port"},
	"env without value":          {set: containerWith("env", []any{object{"name": "A"}}), path: "container_spec.env.0", summary: "Missing value"},
	"env with two values":        {set: containerWith("env", []any{object{"name": "A", "value": "", "value_wo": "", "value_wo_version": 1}}), path: "container_spec.env.0", summary: "Two values"},
	"secret without version":     {set: containerWith("env", []any{object{"name": "A", "value_wo": ""}}), path: "container_spec.env.0.value_wo_version", summary: "Missing value_wo_version"},
	"version without secret":     {set: containerWith("env", []any{object{"name": "A", "value": "", "value_wo_version": 1}}), path: "container_spec.env.0.value_wo_version", summary: "Unused value_wo_version"},
	"no ports":                   {set: containerWith("ports", []any{}), path: "container_spec.ports", summary: "Invalid Attribute Value"},
	"port":                       {set: containerWith("ports", []any{object{"container_port": 0}}), path: "container_spec.ports.0.container_port", summary: "Invalid Attribute Value"},
	"no gRPC ports":              {set: containerWith("grpc_ports", []any{}), path: "container_spec.grpc_ports", summary: "Invalid Attribute Value"},
	"gRPC port":                  {set: containerWith("grpc_ports", []any{object{"container_port": 65536}}), path: "container_spec.grpc_ports.0.container_port", summary: "Invalid Attribute Value"},
	"predict route":              {set: containerWith("predict_route", "predict"), path: "container_spec.predict_route", summary: "Invalid route"},
	"health route":               {set: containerWith("health_route", "health"), path: "container_spec.health_route", summary: "Invalid route"},
	"deployment timeout":         {set: containerWith("deployment_timeout", "121m"), path: "container_spec.deployment_timeout", summary: "Invalid duration"},
	"shared memory":              {set: containerWith("shared_memory_size_mb", 0), path: "container_spec.shared_memory_size_mb", summary: "Invalid Attribute Value"},
}

func init() {
	for _, kind := range []string{"startup_probe", "health_probe", "liveness_probe"} {
		at := "container_spec." + kind
		good := object{"exec": object{"command": []any{"true"}}}
		with := func(name string, value any) object {
			p := maps.Clone(good)
			p[name] = value
			return containerWith(kind, p)
		}
		only := func(name string, value any) object { return containerWith(kind, object{name: value}) }
		maps.Copy(invalids, map[string]invalid{
			kind + " without action":   {set: containerWith(kind, object{"period_seconds": 1}), path: at, summary: "Missing probe action"},
			kind + " with two actions": {set: with("tcp_socket", object{"port": 1}), path: at, summary: "Several probe actions"},
			kind + " without command":  {set: only("exec", object{"command": []any{}}), path: at + ".exec.command", summary: "Invalid Attribute Value"},
			kind + " HTTP port":        {set: only("http_get", object{"port": 0}), path: at + ".http_get.port", summary: "Invalid Attribute Value"},
			kind + " HTTP scheme":      {set: only("http_get", object{"scheme": "http"}), path: at + ".http_get.scheme", summary: "Invalid Attribute Value Match"},
			kind + " without headers":  {set: only("http_get", object{"http_headers": []any{}}), path: at + ".http_get.http_headers", summary: "Invalid Attribute Value"},
			kind + " header without name": {
				set:  only("http_get", object{"http_headers": []any{object{"name": "", "value": "x"}}}),
				path: at + ".http_get.http_headers.0.name", summary: "Invalid Attribute Value Length",
			},
			kind + " header without value": {
				set:  only("http_get", object{"http_headers": []any{object{"name": "x"}}}),
				path: at + ".http_get.http_headers.0.value", summary: "Missing value",
			},
			kind + " gRPC port":         {set: only("grpc", object{"port": 0}), path: at + ".grpc.port", summary: "Invalid Attribute Value"},
			kind + " TCP port":          {set: only("tcp_socket", object{"port": 65536}), path: at + ".tcp_socket.port", summary: "Invalid Attribute Value"},
			kind + " period":            {set: with("period_seconds", 0), path: at + ".period_seconds", summary: "Invalid Attribute Value"},
			kind + " timeout":           {set: with("timeout_seconds", 0), path: at + ".timeout_seconds", summary: "Invalid Attribute Value"},
			kind + " failure threshold": {set: with("failure_threshold", 0), path: at + ".failure_threshold", summary: "Invalid Attribute Value"},
			kind + " success threshold": {set: with("success_threshold", 0), path: at + ".success_threshold", summary: "Invalid Attribute Value"},
			kind + " delay":             {set: with("initial_delay_seconds", -1), path: at + ".initial_delay_seconds", summary: "Invalid Attribute Value"},
		})
	}
}

// configured is a valid configuration with these arguments.
func configured(set object) object {
	arguments := object{"model_id": "bert", "display_name": "Bert", "artifact_uri": "gs://bucket/v1/", "container_spec": object{"image_uri": image}}
	maps.Copy(arguments, set)
	return arguments
}

// Every rule refuses its configuration with the attribute's path, before any call of
// an API.
func TestModelInvalid(t *testing.T) {
	p := acctest.NewPlanner(t, typeName)
	if asked := p.Accepts(t, configured(nil)); len(asked) == 0 {
		t.Fatal("the plan of the valid configuration did not look into the artifact: calls are not counted")
	}
	var table []acctest.Refusal
	for _, name := range slices.Sorted(maps.Keys(invalids)) {
		c := invalids[name]
		table = append(table, acctest.Refused(configured(c.set), c.path, c.summary))
	}
	p.Refuses(t, table)
}

// Whatever is not known when planning is no error and no crash: every argument, and
// every part of one, in turn.
func TestModelUnknown(t *testing.T) {
	p := acctest.NewPlanner(t, typeName)
	probe := func(action string, arguments object) object {
		return object{
			action: arguments, "period_seconds": 1, "timeout_seconds": 1, "failure_threshold": 1, "success_threshold": 1, "initial_delay_seconds": 1,
		}
	}
	full := configured(object{
		"project": "demo-gcpml", "location": "us-central1", "description": "x", "labels": object{"team": "ml"}, "deletion_policy": "DELETE",
		"artifact_revision": "r", "detect_artifact_changes": true, "metadata_schema_uri": "gs://bucket/m.yaml", "metadata": "{}", "version_description": "x",
		"base_model_source": object{"model_garden_source": object{"public_model_name": "publishers/p/models/m", "version_id": "1"}},
		"version_aliases":   []any{"default", "golden"}, "keep_versions": 1, "encryption_spec": object{"kms_key_name": key},
		"predict_schemata": object{"instance_schema_uri": "gs://bucket/i", "parameters_schema_uri": "gs://bucket/p", "prediction_schema_uri": "gs://bucket/o"},
		"container_spec": object{
			"image_uri": image, "command": []any{"c"}, "args": []any{"a"}, "predict_route": "/p", "health_route": "/h", "deployment_timeout": "1s", "shared_memory_size_mb": 1,
			"env":   []any{object{"name": "A", "value": "1"}, object{"name": "B", "value_wo": "2", "value_wo_version": 1}},
			"ports": []any{object{"container_port": 1}}, "grpc_ports": []any{object{"container_port": 1}},
			"startup_probe":  probe("exec", object{"command": []any{"true"}}),
			"health_probe":   probe("http_get", object{"path": "/", "port": 1, "host": "h", "scheme": "HTTP", "http_headers": []any{object{"name": "n", "value": "v"}}}),
			"liveness_probe": probe("grpc", object{"port": 1, "service": "s"}),
		},
	})
	if n := p.AcceptsUnknown(t, full); n < 70 {
		t.Fatalf("only %d paths", n)
	}
	if n := p.AcceptsUnknown(t, configured(within(object{"version_aliases": []any{"default", "golden"}}))); n < 5 {
		t.Fatalf("only %d paths with a parent_model", n)
	}
}
