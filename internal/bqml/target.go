// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// Target is what a remote model calls. Exactly one of Endpoint, Hosted, Service and
// Open is set, or, read from a server that does not tell, none.
type Target struct {
	// Endpoint is a Vertex AI endpoint.
	Endpoint gcp.Name
	// Hosted is a model that Google or a partner hosts: its short name, such as
	// "gemini-2.5-flash", its full name, or its URL.
	Hosted string
	// Service is a Cloud AI service.
	Service *CloudService
	// Open is an open model that BigQuery itself deploys.
	Open *OpenModel
}

// CloudService is a Cloud AI service.
type CloudService struct {
	Type string // one of [ServiceTypes]; "" if the server does not tell
	// DocumentProcessor is an id or full name, for [ServiceDocument] only. The server
	// does not tell it.
	DocumentProcessor string
	// SpeechRecognizer is a full name, for [ServiceSpeech] only; "" is the service's own.
	SpeechRecognizer string
}

// The services that need or take an argument.
const (
	ServiceDocument = "CLOUD_AI_DOCUMENT_V1"
	ServiceSpeech   = "CLOUD_AI_SPEECH_TO_TEXT_V2"
)

// serviceRoles are the values of REMOTE_SERVICE_TYPE, each with the role that BigQuery
// gives to the account of a default connection for it
// (https://cloud.google.com/bigquery/docs/default-connections).
var serviceRoles = map[string]string{
	"CLOUD_AI_NATURAL_LANGUAGE_V1": "roles/serviceusage.serviceUsageConsumer",
	"CLOUD_AI_TRANSLATE_V3":        "roles/cloudtranslate.user",
	"CLOUD_AI_VISION_V1":           "roles/serviceusage.serviceUsageConsumer",
	ServiceDocument:                "roles/documentai.apiUser",
	ServiceSpeech:                  "roles/speech.serviceAgent",
}

// ServiceTypes are the values of REMOTE_SERVICE_TYPE.
var ServiceTypes = []string{"CLOUD_AI_DOCUMENT_V1", "CLOUD_AI_NATURAL_LANGUAGE_V1", "CLOUD_AI_SPEECH_TO_TEXT_V2", "CLOUD_AI_TRANSLATE_V3", "CLOUD_AI_VISION_V1"}

const vertexRole = "roles/aiplatform.user"

// Role is the role that the service account of the connection needs.
func (t Target) Role() string {
	if t.Service != nil {
		return serviceRoles[t.Service.Type]
	}
	return vertexRole
}

// Custom reports whether rows go to an endpoint of one's own, so that the model can
// have INPUT and OUTPUT.
func (t Target) Custom() bool { return t.Endpoint != gcp.Name{} }

// OpenModel is an open model that BigQuery deploys on Vertex AI. Zero values leave the
// choice to BigQuery.
type OpenModel struct {
	HuggingFaceID string // provider/model
	ModelGarden   string // publishers/P/models/M@VERSION
	// Token is a Hugging Face token. The server never tells it.
	Token string

	MachineType              string
	MinReplicas, MaxReplicas int64
	Reservation              Reservation
	// IdleTTL is how long without a request the model stays deployed.
	IdleTTL time.Duration
}

// Reservation is the reservation affinity of an open model.
type Reservation struct {
	Type   string // one of [ReservationTypes]
	Key    string
	Values []string
}

// ReservationTypes are the values of RESERVATION_AFFINITY_TYPE.
var ReservationTypes = []string{"NO_RESERVATION", "ANY_RESERVATION", "SPECIFIC_RESERVATION"}

// Bounds that BigQuery documents for open models.
const (
	MaxReplicas = 4096
	MinIdleTTL  = 390 * time.Minute
	MaxIdleTTL  = 7 * 24 * time.Hour
)

// hostedURL is the URL of a model that Google or a partner hosts, in a universe. Its
// short name stays as it is.
func hostedURL(universe, text string) string {
	h, _ := parseHosted(text)
	if h.location == "" {
		return text
	}
	return fmt.Sprintf("%sprojects/%s/locations/%s/publishers/%s/models/%s", gcp.VertexURL(cmp.Or(h.universe, universe), h.location), h.project, h.location, h.publisher, h.model)
}

var (
	hostedName = regexp.MustCompile(`^(?:(?:[a-z][a-z0-9-]*/)?([a-z][a-z0-9-]*)/)?([a-z][A-Za-z0-9._@-]{0,255})$`)
	hostedPath = regexp.MustCompile(`^(?:(?:https:)?//(?:[a-z0-9-]+-)?aiplatform\.((?:[a-z0-9-]+\.)+[a-z]+)/(?:v1/)?)?projects/([a-z0-9.:-]+)/locations/([a-z0-9-]+)/publishers/([a-z0-9-]+)/models/([A-Za-z0-9._@-]+)$`)
)

// hosted is what a name or URL tells of a hosted model; what it does not is empty.
type hosted struct{ universe, project, location, publisher, model string }

func parseHosted(text string) (hosted, bool) {
	if m := hostedPath.FindStringSubmatch(text); m != nil {
		return hosted{m[1], m[2], m[3], m[4], m[5]}, true
	}
	if m := hostedName.FindStringSubmatch(text); m != nil {
		return hosted{publisher: m[1], model: m[2]}, true
	}
	return hosted{}, false
}

// ParseEndpoint reads what ENDPOINT can be: the name or URL of a Vertex AI endpoint, or
// the short name or URL of a model that Google or a partner hosts.
func ParseEndpoint(text string) (Target, error) {
	n, err := gcp.ParseName(gcp.KindEndpoint, text)
	if err == nil {
		return Target{Endpoint: n}, nil
	}
	if _, ok := parseHosted(text); !ok {
		return Target{}, fmt.Errorf("%w, nor is it the name of a model that Google or a partner hosts, such as gemini-2.5-flash, or its URL https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/PUBLISHER/models/MODEL", err)
	}
	return Target{Hosted: text}, nil
}

// HostedLocation is the region of a hosted model that is given by URL, and "" for one
// that is given by name or is served globally.
func (t Target) HostedLocation() string {
	if h, _ := parseHosted(t.Hosted); h.location != "global" {
		return h.location
	}
	return ""
}

// SameHosted reports whether two spellings mean the same hosted model. A short name
// means the same as a URL that BigQuery completes it to.
func (s *Service) SameHosted(ctx context.Context, a, b string) bool {
	x, okX := parseHosted(a)
	y, okY := parseHosted(b)
	if !okX || !okY {
		return a == b
	}
	same := func(a, b string) bool { return a == "" || b == "" || a == b }
	return x.model == y.model && same(x.universe, y.universe) && same(x.publisher, y.publisher) && same(x.location, y.location) &&
		(same(x.project, y.project) || s.sameProject(ctx, x.project, y.project))
}

// SameResource reports whether two full names mean the same object, also when one has
// the project's number and the other its id.
func (s *Service) SameResource(ctx context.Context, a, b string) bool {
	projectA, restA, okA := cutProject(a)
	projectB, restB, okB := cutProject(b)
	return a == b || okA && okB && restA == restB && s.sameProject(ctx, projectA, projectB)
}

// cutProject splits projects/PROJECT/….
func cutProject(name string) (project, rest string, ok bool) {
	name, ok = strings.CutPrefix(name, "projects/")
	project, rest, found := strings.Cut(name, "/")
	return project, rest, ok && found
}

// targetOf reads what a model calls.
func targetOf(b *bigquery.Model) (Target, error) {
	info := b.RemoteModelInfo
	if open := openModelOf(b); open != nil {
		return Target{Open: open}, nil
	}
	switch {
	case told(info.RemoteServiceType) != "" || info.SpeechRecognizer != "":
		return Target{Service: &CloudService{Type: told(info.RemoteServiceType), SpeechRecognizer: info.SpeechRecognizer}}, nil
	case info.Endpoint != "":
		t, err := ParseEndpoint(info.Endpoint)
		if err != nil {
			return Target{}, fmt.Errorf("%w of a known kind: its endpoint is %q", errNotRemote, info.Endpoint)
		}
		return t, nil
	}
	return Target{}, nil // a service that the API has no name for
}

func openModelOf(b *bigquery.Model) *OpenModel {
	for _, run := range b.TrainingRuns {
		if o := run.TrainingOptions; o != nil && (o.HuggingFaceModelId != "" || o.ModelGardenModelName != "") {
			ttl, _ := time.ParseDuration(o.EndpointIdleTtl) // "23400s"
			return &OpenModel{
				HuggingFaceID: o.HuggingFaceModelId, ModelGarden: o.ModelGardenModelName,
				MachineType: o.MachineType, MinReplicas: o.MinReplicaCount, MaxReplicas: o.MaxReplicaCount,
				Reservation: Reservation{told(o.ReservationAffinityType), o.ReservationAffinityKey, o.ReservationAffinityValues},
				IdleTTL:     ttl,
			}
		}
	}
	return nil
}

// told is an enumeration's value, "" for its placeholder.
func told(value string) string {
	if strings.HasSuffix(value, "_UNSPECIFIED") {
		return ""
	}
	return value
}

// sameTarget reports whether a model calls what it should, as far as the server tells
// and the spec asks. The idle TTL, which can be altered, does not count.
func (s *Service) sameTarget(ctx context.Context, want, have Target) bool {
	switch {
	case have == Target{}:
		return want.Service != nil
	case want.Custom() || have.Custom():
		return want.Custom() && have.Custom() && s.SameName(ctx, want.Endpoint, have.Endpoint)
	case want.Hosted != "" || have.Hosted != "":
		return s.SameHosted(ctx, want.Hosted, have.Hosted)
	case want.Service != nil && have.Service != nil:
		return same(have.Service.Type, want.Service.Type) &&
			(want.Service.SpeechRecognizer == "" || s.SameResource(ctx, want.Service.SpeechRecognizer, have.Service.SpeechRecognizer))
	case want.Open != nil && have.Open != nil:
		return want.Open.sameAs(have.Open)
	}
	return false
}

// same compares where the first is known.
func same[T comparable](a, b T) bool {
	var unknown T
	return a == unknown || a == b
}

func (m *OpenModel) sameAs(have *OpenModel) bool {
	return m.HuggingFaceID == have.HuggingFaceID && m.ModelGarden == have.ModelGarden &&
		same(m.MachineType, have.MachineType) && same(m.MinReplicas, have.MinReplicas) && same(m.MaxReplicas, have.MaxReplicas) &&
		same(m.Reservation.Type, have.Reservation.Type) && same(m.Reservation.Key, have.Reservation.Key) &&
		(len(m.Reservation.Values) == 0 || slices.Equal(m.Reservation.Values, have.Reservation.Values))
}

// DefaultConnectionID is the id of the connection that WITH CONNECTION DEFAULT makes.
const DefaultConnectionID = "__default_cloudresource_connection__"

// granted is the project in which the connection's service account needs its role, ""
// where that depends on more than is known here.
func (m ModelSpec) granted() string {
	if m.Custom() {
		return m.Endpoint.Project
	}
	if h, ok := parseHosted(m.Hosted); ok {
		return cmp.Or(h.project, m.Name.Project)
	}
	return ""
}
