// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The rules are those of the comments in google/cloud/aiplatform/v1/*.proto.
var (
	modelIDPattern    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,62}$`)
	endpointIDPattern = regexp.MustCompile(`^([a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8})$`)
	deployedIDPattern = regexp.MustCompile(`^[0-9]{1,10}$`)
	aliasPattern      = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$`)
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func validDisplayName(path, name string) error {
	switch {
	case name == "":
		return invalid("%s.display_name is required.", path)
	case utf8.RuneCountInString(name) > 128:
		return invalid("%s.display_name is longer than 128 characters.", path)
	}
	return nil
}

func validLabels(path string, labels map[string]string) error {
	if len(labels) > 64 {
		return invalid("%s.labels has %d entries: at most 64 are allowed.", path, len(labels))
	}
	for key, value := range labels {
		first, _ := utf8.DecodeRuneInString(key)
		if key == "" || unicode.IsUpper(first) || !unicode.IsLetter(first) || !isLabel(key) {
			return invalid("%s.labels: key %q is not valid: up to 64 lower-case letters, digits, underscores and dashes, starting with a letter.", path, key)
		}
		if !isLabel(value) {
			return invalid("%s.labels: value %q of %q is not valid: up to 64 lower-case letters, digits, underscores and dashes.", path, value, key)
		}
	}
	return nil
}

func isLabel(s string) bool {
	if utf8.RuneCountInString(s) > 64 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && !unicode.IsDigit(r) && (!unicode.IsLetter(r) || unicode.IsUpper(r))
	})
}

func validModel(m *aiplatformpb.Model) error {
	const path = "model"
	if err := validDisplayName(path, m.GetDisplayName()); err != nil {
		return err
	}
	if err := validLabels(path, m.GetLabels()); err != nil {
		return err
	}
	if uri := m.GetArtifactUri(); uri != "" && !strings.HasPrefix(uri, "gs://") {
		return invalid("model.artifact_uri %q is not valid: want a Cloud Storage folder gs://BUCKET/PATH.", uri)
	}
	for _, alias := range m.GetVersionAliases() {
		if err := validAlias(alias); err != nil {
			return err
		}
	}
	if err := validSchemas(m); err != nil {
		return err
	}
	if err := validBaseModel(m.GetBaseModelSource()); err != nil {
		return err
	}
	return validContainer(m.GetContainerSpec())
}

func validAlias(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return invalid("version_aliases: %q is not valid: want [a-z][a-zA-Z0-9-]{0,126}[a-z0-9].", alias)
	}
	return nil
}
