// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package assume lists what is not known about Google's APIs. Each unknown is a
// switch with the value taken by default and the other values that real services
// may show; `--assume key=value` picks one. emulator/UNKNOWNS.md has the
// reasons, a row for each switch (a test compares the two).
package assume

import (
	"fmt"
	"slices"
	"strings"
)

// Key names a switch.
type Key string

// The switches. See UNKNOWNS.md for the reasons.
const (
	ProjectInNames       Key = "project-in-names"
	MultiRegionCase      Key = "multi-region-case"
	ContainerSpecEcho    Key = "container-spec-echo"
	CreateModelProbe     Key = "create-model-probe"
	PermissionCheckedAt  Key = "permission-checked-at"
	PermissionReason     Key = "permission-error-reason"
	ReplaceKeepsLabels   Key = "replace-keeps-labels"
	EndpointLetters      Key = "endpoint-letters-in-option"
	IDsReusable          Key = "ids-reusable-after-delete"
	TakenModelIDCode     Key = "taken-model-id-code"
	MissingTrafficSplit  Key = "missing-traffic-split"
	DefaultAliasOnUpload Key = "default-alias-after-upload"
	NewVersionFields     Key = "model-fields-on-new-version"
	DeployedModelVersion Key = "version-in-deployed-model-name"
	SchemaURIEcho        Key = "schema-uri-echo"
	RequiredReplicas     Key = "unset-required-replica-count"
	AutoscalingDefaults  Key = "default-autoscaling-shown"
	LoggingDestination   Key = "logging-destination"
	HostedEndpointEcho   Key = "hosted-endpoint-echo"
	DocumentServiceEcho  Key = "document-service-echo"
	KMSKeyVersion        Key = "kms-key-version-in-model"
	ConnectionKeyVersion Key = "kms-key-version-in-connection"
	BaseModelEcho        Key = "base-model-source-echo"
	FastTryoutShown      Key = "fast-tryout-shown"
)

// Switch is one unknown: Values[0] is the default.
type Switch struct {
	Key    Key
	Values []string
	// Question says what is not known.
	Question string
}

// Switches is the whole list, in the order of UNKNOWNS.md.
var Switches = []Switch{
	{ProjectInNames, []string{"number", "id"}, "Do names in answers carry the project's number or its id?"},
	{MultiRegionCase, []string{"lower", "upper"}, "Is the multi-region of a connection's name spelled us or US?"},
	{ContainerSpecEcho, []string{"yes", "no"}, "Is a model's container_spec, annotated INPUT_ONLY, echoed on reading?"},
	{CreateModelProbe, []string{"yes", "no"}, "Does CREATE MODEL check that the endpoint exists and has a deployed model?"},
	{PermissionCheckedAt, []string{"create", "predict"}, "Is the missing role of the connection's service account reported by CREATE MODEL or first by ML.PREDICT?"},
	{PermissionReason, []string{"invalidQuery", "accessDenied"}, "Which reason does that permission error carry?"},
	{ReplaceKeepsLabels, []string{"no", "yes"}, "Do labels, description and expiration survive CREATE OR REPLACE MODEL?"},
	{EndpointLetters, []string{"yes", "no"}, "Are endpoint ids with letters accepted in OPTIONS(ENDPOINT)?"},
	{IDsReusable, []string{"at-once", "after-30s"}, "Can the id of a deleted model or endpoint be used again at once?"},
	{TakenModelIDCode, []string{"ALREADY_EXISTS", "INVALID_ARGUMENT"}, "Which code does UploadModel answer for a model_id that is taken?"},
	{MissingTrafficSplit, []string{"all-to-first", "error"}, "What does the first DeployModel without a traffic_split do?"},
	{DefaultAliasOnUpload, []string{"stays", "moves"}, "Which version carries the default alias after a new version is uploaded without aliases?"},
	{NewVersionFields, []string{"keep", "replace"}, "Do the display name and description sent with a new version replace those of the model?"},
	{DeployedModelVersion, []string{"no", "yes"}, "Does DeployedModel.model carry the version as in models/ID@2 when it is read?"},
	{SchemaURIEcho, []string{"moved", "same"}, "Are a model's schema URIs echoed as given, or do they point to a copy?"},
	{RequiredReplicas, []string{"absent", "min_replica_count"}, "How is a required_replica_count that was not set read?"},
	{AutoscalingDefaults, []string{"no", "yes"}, "Are the default targets for autoscaling, 60 percent, listed in autoscaling_metric_specs when none are set?"},
	{LoggingDestination, []string{"as-sent", "expanded"}, "Is a destination of request logging that names no dataset or table read as it was sent, or with those that were made for it?"},
	{HostedEndpointEcho, []string{"url", "as-given"}, "Does a remote model over a hosted model that was named shortly show its URL or that name?"},
	{DocumentServiceEcho, []string{"yes", "no"}, "Does a remote model over Document AI show its remoteServiceType, which the API's list of values lacks?"},
	{KMSKeyVersion, []string{"no", "yes"}, "Does kmsKeyName of a model end in the version of the key?"},
	{ConnectionKeyVersion, []string{"no", "yes"}, "Does kmsKeyName of a connection end in the version of the key?"},
	{BaseModelEcho, []string{"yes", "no"}, "Is a model's base_model_source shown on reading?"},
	{FastTryoutShown, []string{"yes", "no"}, "Does a model deployed with fast tryout show that on reading?"},
}

// Set holds the chosen values. The zero value has every default.
type Set struct{ chosen map[Key]string }

// Parse reads "key=value" settings.
func Parse(settings []string) (Set, error) {
	s := Set{chosen: map[Key]string{}}
	for _, setting := range settings {
		key, value, ok := strings.Cut(setting, "=")
		i := slices.IndexFunc(Switches, func(sw Switch) bool { return sw.Key == Key(key) })
		if !ok || i < 0 {
			return Set{}, fmt.Errorf("--assume %q: want key=value with one of the keys of UNKNOWNS.md", setting)
		}
		if !slices.Contains(Switches[i].Values, value) {
			return Set{}, fmt.Errorf("--assume %s: value %q is not one of %s", key, value, strings.Join(Switches[i].Values, ", "))
		}
		s.chosen[Key(key)] = value
	}
	return s, nil
}

// Get returns the value of a switch.
func (s Set) Get(k Key) string {
	if v, ok := s.chosen[k]; ok {
		return v
	}
	i := slices.IndexFunc(Switches, func(sw Switch) bool { return sw.Key == k })
	return Switches[i].Values[0]
}

// Is reports whether the switch has this value.
func (s Set) Is(k Key, value string) bool { return s.Get(k) == value }
