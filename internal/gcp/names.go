// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package gcp

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Kind is the collection that a regional resource belongs to.
type Kind string

// The collections that gcpml manages.
const (
	KindModel      Kind = "models"
	KindEndpoint   Kind = "endpoints"
	KindConnection Kind = "connections"
)

// Name is the full name of a regional resource,
// projects/{Project}/locations/{Location}/{Kind}/{ID}. Version is set only for a
// version of a model (…/models/{ID}@{Version}).
type Name struct {
	Project  string
	Location string
	Kind     Kind
	ID       string
	Version  string
}

// String returns the full resource name.
func (n Name) String() string {
	s := n.Parent() + "/" + string(n.Kind) + "/" + n.ID
	if n.Version != "" {
		s += "@" + n.Version
	}
	return s
}

// Parent returns projects/{Project}/locations/{Location}.
func (n Name) Parent() string {
	return "projects/" + n.Project + "/locations/" + n.Location
}

// WithVersion returns the name of a version of a model.
func (n Name) WithVersion(v string) Name {
	n.Version = v
	return n
}

var (
	projectPart  = `[a-z0-9.:-]+`
	locationPart = `[A-Za-z0-9-]+`
	idPart       = `[A-Za-z0-9_-]+`
	fullName     = regexp.MustCompile(`^projects/(` + projectPart + `)/locations/(` + locationPart + `)/(\w+)/(` + idPart + `)(?:@([A-Za-z0-9-]+))?$`)
)

// ParseName reads the full name of a resource of this kind. It takes what users
// have at hand: the plain name, "//service.googleapis.com/projects/…" and an
// API URL "https://…/v1/projects/…".
func ParseName(kind Kind, s string) (Name, error) {
	m := fullName.FindStringSubmatch(trimHost(s))
	if m == nil || Kind(m[3]) != kind || m[5] != "" && kind != KindModel {
		return Name{}, fmt.Errorf("%q is not of the form projects/PROJECT/locations/LOCATION/%s/ID", s, kind)
	}
	return Name{m[1], m[2], kind, m[4], m[5]}, nil
}

// trimHost removes scheme, host and API version in front of "projects/".
func trimHost(s string) string {
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		s = "https://" + rest
	}
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(u.Path, "/"), "v1/"), "v1beta1/")
	}
	return s
}

// VertexURL is where a universe ("" is Google's public one) serves version 1 of Vertex AI
// for a location, with a slash at its end. The location global has no host of its own:
// https://aiplatform.googleapis.com/v1/.
func VertexURL(universe, location string) string {
	return "https://" + vertexService(location) + "." + cmp.Or(universe, defaultUniverse) + "/v1/"
}

func vertexService(location string) string {
	if location = strings.ToLower(location); location != "global" {
		return location + "-aiplatform"
	}
	return "aiplatform"
}

var vertexHost = regexp.MustCompile(`^(?:[a-z0-9-]+-)?aiplatform\.((?:[a-z0-9-]+\.)+[a-z]+)$`)

// UniverseOf is the universe that a URL of Vertex AI is of, "" for another text.
func UniverseOf(text string) string {
	if rest, ok := strings.CutPrefix(text, "//"); ok {
		text = "https://" + rest
	}
	if u, err := url.Parse(text); err == nil {
		if m := vertexHost.FindStringSubmatch(u.Host); m != nil {
			return m[1]
		}
	}
	return ""
}

// ParseImportID reads an import id: the full name, PROJECT/LOCATION/ID, or
// LOCATION/ID with the default project.
func ParseImportID(kind Kind, s, defaultProject string) (Name, error) {
	if n, err := ParseName(kind, s); err == nil {
		return n, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) == 2 && defaultProject != "" {
		parts = append([]string{defaultProject}, parts...)
	}
	if len(parts) == 3 {
		if n, err := ParseName(kind, "projects/"+parts[0]+"/locations/"+parts[1]+"/"+string(kind)+"/"+parts[2]); err == nil {
			return n, nil
		}
	}
	return Name{}, fmt.Errorf("import id %q is not of the form projects/PROJECT/locations/LOCATION/%s/ID, PROJECT/LOCATION/ID or, with a default project, LOCATION/ID", s, kind)
}

// Canonical makes names that mean the same thing equal as text: the location in
// lower case and the project as an id. projectID may be nil, or fail: the
// project then stays as it is spelled.
func (n Name) Canonical(projectID func(string) (string, error)) Name {
	n.Location = strings.ToLower(n.Location)
	if projectID != nil {
		if id, err := projectID(n.Project); err == nil {
			n.Project = id
		}
	}
	return n
}

// RemoteModelName is the name of a BigQuery model,
// projects/{Project}/datasets/{Dataset}/models/{ID}.
type RemoteModelName struct {
	Project string
	Dataset string
	ID      string
}

// String returns the resource name.
func (n RemoteModelName) String() string {
	return "projects/" + n.Project + "/datasets/" + n.Dataset + "/models/" + n.ID
}

var (
	remoteModelPaths = []*regexp.Regexp{
		regexp.MustCompile(`^projects/(` + projectPart + `)/datasets/(\w+)/models/(\w+)$`),
		regexp.MustCompile(`^(` + projectPart + `)/(\w+)/(\w+)$`),
		regexp.MustCompile(`^()(\w+)/(\w+)$`),
		// Dots separate here, so that a project has them only in a domain prefix.
		regexp.MustCompile(`^(?:((?:[a-z0-9.-]+:)?[a-z0-9-]+)[.:])?(\w+)\.(\w+)$`),
	}
)

// ParseRemoteModelName reads projects/P/datasets/D/models/M, P/D/M, P.D.M, and,
// with a default project, D/M and D.M.
func ParseRemoteModelName(s, defaultProject string) (RemoteModelName, error) {
	s = strings.TrimPrefix(trimHost(s), "bigquery/v2/")
	for _, form := range remoteModelPaths {
		m := form.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		n := RemoteModelName{Project: m[1], Dataset: m[2], ID: m[3]}
		if n.Project == "" {
			n.Project = defaultProject
		}
		if n.Project != "" {
			return n, nil
		}
	}
	return RemoteModelName{}, fmt.Errorf("%q is not of the form projects/PROJECT/datasets/DATASET/models/MODEL or PROJECT.DATASET.MODEL", s)
}

// ObjectName is the name of what is in a BigQuery dataset,
// projects/{Project}/datasets/{Dataset}/{Kind}/{ID}. Kind is "models", "tables" or
// "routines", and empty if the name was written with dots, which does not tell.
type ObjectName struct {
	Project string
	Dataset string
	Kind    string
	ID      string
}

// String returns the resource name.
func (n ObjectName) String() string {
	return "projects/" + n.Project + "/datasets/" + n.Dataset + "/" + n.Kind + "/" + n.ID
}

var (
	objectPath   = regexp.MustCompile(`^projects/(` + projectPart + `)/datasets/(\w+)/(models|tables|routines)/([\p{L}\p{N}_-]+)$`)
	objectDotted = regexp.MustCompile(`^((?:[a-z0-9.-]+:)?[a-z0-9-]+)[.:](\w+)\.([\p{L}\p{N}_-]+)$`)
)

// ParseObjectName reads projects/P/datasets/D/models/M (and tables, routines), also
// within a URL, and P.D.M.
func ParseObjectName(s string) (ObjectName, error) {
	if m := objectPath.FindStringSubmatch(strings.TrimPrefix(trimHost(s), "bigquery/v2/")); m != nil {
		return ObjectName{m[1], m[2], m[3], m[4]}, nil
	}
	if m := objectDotted.FindStringSubmatch(s); m != nil {
		return ObjectName{Project: m[1], Dataset: m[2], ID: m[3]}, nil
	}
	return ObjectName{}, fmt.Errorf("%q is not of the form projects/PROJECT/datasets/DATASET/models/ID (or tables, routines) or PROJECT.DATASET.ID", s)
}

var connectionDotted = regexp.MustCompile(`^((?:[a-z0-9.-]+:)?[a-z0-9-]+)\.(` + locationPart + `)\.(` + idPart + `)$`)

// ParseConnectionName reads the full name of a connection as [ParseName] does, and
// P.L.C, as SQL has it.
func ParseConnectionName(s string) (Name, error) {
	if m := connectionDotted.FindStringSubmatch(s); m != nil {
		return Name{Project: m[1], Location: m[2], Kind: KindConnection, ID: m[3]}, nil
	}
	n, err := ParseName(KindConnection, s)
	if err != nil {
		return Name{}, fmt.Errorf("%q is not of the form projects/PROJECT/locations/LOCATION/connections/ID or PROJECT.LOCATION.ID", s)
	}
	return n, nil
}

var (
	notSlug    = regexp.MustCompile(`[^a-z0-9]+`)
	digitFirst = regexp.MustCompile(`^[0-9]`)
)

// Slug makes an id from a display name: lower case, with sep between words,
// a letter first, at most 63 characters; "" when nothing usable is left.
func Slug(display, sep string) string {
	s := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(display), sep), sep)
	if digitFirst.MatchString(s) {
		s = "m" + sep + s
	}
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.TrimRight(s, sep)
}
