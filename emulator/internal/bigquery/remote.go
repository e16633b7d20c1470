// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bigquery

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
)

// kind is what a remote model calls.
type kind string

const (
	custom       kind = "custom endpoints"
	hostedModel  kind = "models that Google or a partner hosts"
	cloudService kind = "Cloud AI services"
	openModel    kind = "automatically deployed open models"
)

// targets are the options that say what a model calls: one of them is given.
var targets = map[string]kind{
	"endpoint": custom, "remote_service_type": cloudService, "hugging_face_model_id": openModel, "model_garden_model_name": openModel,
}

// companions are the options that go with one kind only.
var companions = map[string]kind{
	"document_processor": cloudService, "speech_recognizer": cloudService,
	"hugging_face_token": openModel, "machine_type": openModel, "min_replica_count": openModel, "max_replica_count": openModel,
	"reservation_affinity_type": openModel, "reservation_affinity_key": openModel, "reservation_affinity_values": openModel, "endpoint_idle_ttl": openModel,
}

// remoteOptions are all options of CREATE MODEL … REMOTE but those for tuning.
var remoteOptions = []string{
	"endpoint", "remote_service_type", "hugging_face_model_id", "model_garden_model_name", "labels", "kms_key_name",
	"document_processor", "speech_recognizer", "hugging_face_token", "machine_type", "min_replica_count", "max_replica_count",
	"reservation_affinity_type", "reservation_affinity_key", "reservation_affinity_values", "endpoint_idle_ttl",
}

// target reads what the model calls out of its options.
func (x *execution) target(m *model, options map[string]any) error {
	var given []string
	for _, name := range []string{"endpoint", "remote_service_type", "hugging_face_model_id", "model_garden_model_name"} {
		if v, err := text(options, name); err != nil {
			return err
		} else if v != "" {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		return invalidQuery("CREATE MODEL … REMOTE needs exactly one of the options ENDPOINT, REMOTE_SERVICE_TYPE, HUGGING_FACE_MODEL_ID and MODEL_GARDEN_MODEL_NAME.")
	}
	m.kind = targets[given[0]]
	for name, kind := range companions {
		if _, set := options[name]; set && kind != m.kind {
			return invalidQuery("The option %s is not supported for remote models over %s.", strings.ToUpper(name), m.kind)
		}
	}
	switch m.kind {
	case cloudService:
		return x.service(m, options)
	case openModel:
		return x.open(m, options)
	}
	return x.endpointOption(m, options)
}

var (
	publisherURL = regexp.MustCompile(`^https://(?:([a-z0-9-]+)-)?aiplatform(?:\.[a-z0-9-]+)+/v1/projects/([^/]+)/locations/([a-z0-9-]+)/publishers/[a-z0-9-]+/models/[A-Za-z0-9._@-]+$`)
	modelName    = regexp.MustCompile(`^([a-z][a-z0-9-]*/){0,2}[a-z][A-Za-z0-9._@-]*$`)
)

// endpointOption reads ENDPOINT: a custom endpoint, or the name or URL of a hosted model.
func (x *execution) endpointOption(m *model, options map[string]any) (err error) {
	url, _ := text(options, "endpoint")
	m.meta.RemoteModelInfo.Endpoint = url
	switch p := publisherURL.FindStringSubmatch(url); {
	case p != nil:
		if p[1] != strings.Replace(p[3], "global", "", 1) {
			return invalidQuery("Invalid endpoint %q: the host is not that of location %s.", url, p[3])
		}
		m.kind, m.endpoint = hostedModel, endpoint{project: p[2], location: p[3]}
	case modelName.MatchString(url):
		m.kind, m.endpoint = hostedModel, endpoint{project: m.ref.project}
		if x.cfg.Assume.Is(assume.HostedEndpointEcho, "url") && !strings.Contains(url, "/") {
			m.meta.RemoteModelInfo.Endpoint = x.completed(m.ref.project, url)
		}
	default:
		m.endpoint, err = x.customEndpoint(url)
	}
	return err
}

// completed is the URL of a hosted model that is given by its name.
func (x *execution) completed(projectID, name string) string {
	location := strings.ToLower(x.location)
	if multi, ok := map[string]string{"US": "us-central1", "EU": "europe-west4"}[x.location]; ok {
		location = multi
	}
	if p, err := x.cfg.Projects.Lookup(projectID); err == nil && x.cfg.Assume.Is(assume.ProjectInNames, "number") {
		projectID = p.Number
	}
	publisher := "google"
	for prefix, partner := range map[string]string{"claude": "anthropic", "mistral": "mistralai", "llama": "meta"} {
		if strings.HasPrefix(name, prefix) {
			publisher = partner
		}
	}
	return fmt.Sprintf("https://%s-aiplatform.googleapis.com/v1/projects/%s/locations/%s/publishers/%s/models/%s", location, projectID, location, publisher, name)
}

// serviceRoles are the values of REMOTE_SERVICE_TYPE, each with the role that BigQuery
// grants the account of a default connection for it.
var serviceRoles = map[string]string{
	"CLOUD_AI_NATURAL_LANGUAGE_V1": "roles/serviceusage.serviceUsageConsumer",
	"CLOUD_AI_TRANSLATE_V3":        "roles/cloudtranslate.user",
	"CLOUD_AI_VISION_V1":           "roles/serviceusage.serviceUsageConsumer",
	documentService:                "roles/documentai.apiUser",
	speechService:                  "roles/speech.serviceAgent",
}

const documentService, speechService = "CLOUD_AI_DOCUMENT_V1", "CLOUD_AI_SPEECH_TO_TEXT_V2"

var (
	processor  = regexp.MustCompile(`^([0-9a-f]+|projects/[^/]+/locations/([a-z0-9-]+)/processors/[^/]+(/processorVersions/[^/]+)?)$`)
	recognizer = regexp.MustCompile(`^projects/[^/]+/locations/[a-z0-9-]+/recognizers/[^/]+$`)
)

func (x *execution) service(m *model, options map[string]any) error {
	service, _ := text(options, "remote_service_type")
	role, ok := serviceRoles[service]
	if !ok {
		return invalidQuery("Invalid value %q for option REMOTE_SERVICE_TYPE.", service)
	}
	document, err := text(options, "document_processor")
	if err != nil {
		return err
	}
	speech, err := text(options, "speech_recognizer")
	if err != nil {
		return err
	}
	switch p := processor.FindStringSubmatch(document); {
	case service == documentService && document == "":
		return invalidQuery("The option DOCUMENT_PROCESSOR is required when REMOTE_SERVICE_TYPE is %s.", documentService)
	case service != documentService && document != "":
		return invalidQuery("The option DOCUMENT_PROCESSOR is supported only when REMOTE_SERVICE_TYPE is %s.", documentService)
	case document != "" && p == nil:
		return invalidQuery("Invalid value %q for option DOCUMENT_PROCESSOR.", document)
	case document != "" && p[2] != "" && !strings.EqualFold(p[2], x.location):
		return invalidQuery("The document processor is in location %s, the dataset in %s: they must be in the same location.", p[2], x.location)
	case service != speechService && speech != "":
		return invalidQuery("The option SPEECH_RECOGNIZER is supported only when REMOTE_SERVICE_TYPE is %s.", speechService)
	case speech != "" && !recognizer.MatchString(speech):
		return invalidQuery("Invalid value %q for option SPEECH_RECOGNIZER: want projects/PROJECT/locations/LOCATION/recognizers/RECOGNIZER.", speech)
	}
	info := m.meta.RemoteModelInfo
	m.role, info.SpeechRecognizer = role, speech
	if service == speechService && speech == "" {
		info.SpeechRecognizer = "projects/" + m.ref.project + "/locations/global/recognizers/_"
	}
	if service != documentService || x.cfg.Assume.Is(assume.DocumentServiceEcho, "yes") {
		info.RemoteServiceType = service
	}
	return nil
}

const (
	maxReplicas            = 4096
	minIdleTTL, maxIdleTTL = 390 * time.Minute, 7 * 24 * time.Hour
)

var (
	huggingFace = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)
	modelGarden = regexp.MustCompile(`^publishers/[^/]+/models/[^/@]+@[^/@]+$`)
	reservation = regexp.MustCompile(`^projects/[^/]+/zones/[^/]+/reservations/[^/]+$`)
)

// open reads the options of an open model. Nothing is deployed: the emulator runs no
// such models.
func (x *execution) open(m *model, options map[string]any) error {
	texts := map[string]string{}
	for _, name := range []string{"hugging_face_model_id", "model_garden_model_name", "hugging_face_token", "machine_type", "reservation_affinity_type", "reservation_affinity_key"} {
		v, err := text(options, name)
		if err != nil {
			return err
		}
		texts[name] = v
	}
	replicas := map[string]int64{"min_replica_count": 1}
	for _, name := range []string{"min_replica_count", "max_replica_count"} {
		if value, given := options[name]; given {
			n, ok := value.(int64)
			if !ok || n < 1 || n > maxReplicas {
				return invalidQuery("Invalid value for option %s: want an INT64 between 1 and %d.", strings.ToUpper(name), maxReplicas)
			}
			replicas[name] = n
		} else if name == "max_replica_count" {
			replicas[name] = replicas["min_replica_count"]
		}
	}
	affinity := texts["reservation_affinity_type"]
	values, err := list(options, "reservation_affinity_values")
	if err != nil {
		return err
	}
	specific := affinity == "SPECIFIC_RESERVATION"
	ttl := minIdleTTL
	if _, given := options["endpoint_idle_ttl"]; given {
		if ttl, err = idleTTL(options["endpoint_idle_ttl"]); err != nil {
			return err
		}
	}
	switch {
	case texts["hugging_face_model_id"] != "" && !huggingFace.MatchString(texts["hugging_face_model_id"]):
		return invalidQuery("Invalid value %q for option HUGGING_FACE_MODEL_ID: want provider/model.", texts["hugging_face_model_id"])
	case texts["model_garden_model_name"] != "" && !modelGarden.MatchString(texts["model_garden_model_name"]):
		return invalidQuery("Invalid value %q for option MODEL_GARDEN_MODEL_NAME: want publishers/PUBLISHER/models/MODEL@VERSION.", texts["model_garden_model_name"])
	case replicas["max_replica_count"] < replicas["min_replica_count"]:
		return invalidQuery("MAX_REPLICA_COUNT is less than MIN_REPLICA_COUNT.")
	case !slices.Contains([]string{"", "NO_RESERVATION", "ANY_RESERVATION", "SPECIFIC_RESERVATION"}, affinity):
		return invalidQuery("Invalid value %q for option RESERVATION_AFFINITY_TYPE.", affinity)
	case specific && (texts["reservation_affinity_key"] == "" || len(values) == 0):
		return invalidQuery("RESERVATION_AFFINITY_KEY and RESERVATION_AFFINITY_VALUES are required when RESERVATION_AFFINITY_TYPE is SPECIFIC_RESERVATION.")
	case !specific && (texts["reservation_affinity_key"] != "" || len(values) > 0):
		return invalidQuery("RESERVATION_AFFINITY_KEY and RESERVATION_AFFINITY_VALUES are supported only when RESERVATION_AFFINITY_TYPE is SPECIFIC_RESERVATION.")
	case specific && texts["reservation_affinity_key"] != "compute.googleapis.com/reservation-name":
		return invalidQuery("Invalid value %q for option RESERVATION_AFFINITY_KEY: want compute.googleapis.com/reservation-name.", texts["reservation_affinity_key"])
	case slices.ContainsFunc(values, func(v string) bool { return !reservation.MatchString(v) }):
		return invalidQuery("Invalid value for option RESERVATION_AFFINITY_VALUES: want projects/PROJECT/zones/ZONE/reservations/RESERVATION.")
	}
	m.endpoint.project = m.ref.project
	told := &bq.TrainingOptions{
		HuggingFaceModelId: texts["hugging_face_model_id"], ModelGardenModelName: texts["model_garden_model_name"],
		MachineType: texts["machine_type"], MinReplicaCount: replicas["min_replica_count"], MaxReplicaCount: replicas["max_replica_count"],
		ReservationAffinityType: affinity, ReservationAffinityKey: texts["reservation_affinity_key"], ReservationAffinityValues: values,
		EndpointIdleTtl: seconds(ttl),
	}
	m.meta.TrainingRuns = []*bq.TrainingRun{{TrainingOptions: told}}
	return nil
}

// list is an option that is an array of strings.
func list(options map[string]any, name string) (values []string, err error) {
	if options[name] == nil {
		return nil, nil
	}
	elements, ok := options[name].([]any)
	for _, e := range elements {
		v, isText := inner(e).(string)
		ok = ok && isText
		values = append(values, v)
	}
	if !ok {
		return nil, invalidQuery("Invalid value for option %s: want an ARRAY<STRING>.", strings.ToUpper(name))
	}
	return values, nil
}

var interval = regexp.MustCompile(`^0-0 ([0-9]+) ([0-9]+):([0-9]+):([0-9]+)$`)

// idleTTL reads an INTERVAL as the engine writes it, years-months days h:m:s.
func idleTTL(value any) (time.Duration, error) {
	m := interval.FindStringSubmatch(fmt.Sprint(value))
	if m == nil {
		return 0, invalidQuery("Invalid value for option ENDPOINT_IDLE_TTL: want an INTERVAL.")
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(m[i+1]) // digits
		d += time.Duration(n) * unit
	}
	if d < minIdleTTL || d > maxIdleTTL {
		return 0, invalidQuery("Invalid value for option ENDPOINT_IDLE_TTL: want between 390 minutes and 7 days.")
	}
	return d, nil
}

// seconds is a duration in the JSON form of google.protobuf.Duration.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }

var kmsKey = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// encryption reads the option kms_key_name; nil if it is not given.
func (x *execution) encryption(options map[string]any) (*bq.EncryptionConfiguration, error) {
	key, err := text(options, "kms_key_name")
	if err != nil || key == "" {
		return nil, err
	}
	if err := x.checkKey(key); err != nil {
		return nil, err
	}
	return x.encryptedWith(key), nil
}

func (s *Server) checkKey(key string) error {
	if !kmsKey.MatchString(key) {
		return invalidQuery("Invalid KMS key %q: want projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.", key)
	}
	return nil
}

// encryptedWith is what a model shows of its key.
func (s *Server) encryptedWith(key string) *bq.EncryptionConfiguration {
	if s.cfg.Assume.Is(assume.KMSKeyVersion, "yes") {
		key += "/cryptoKeyVersions/1"
	}
	return &bq.EncryptionConfiguration{KmsKeyName: key}
}

// defaultID is the id of the connection that BigQuery makes for WITH CONNECTION DEFAULT.
const defaultID = "__default_cloudresource_connection__"

// defaultConnection is the default connection of the dataset's location. Outside of a
// dry run it is made, and granted the role for the kind of model, unless it has them.
func (x *execution) defaultConnection(m *model) connection {
	c := connection{m.ref.project, strings.ToLower(x.location), defaultID}
	if x.dryRun {
		return c
	}
	role := m.role
	if role == "" {
		role = "roles/aiplatform.user"
	}
	email := x.cfg.Connections.Ensure(c.project, c.location, c.id)
	x.cfg.Permissions.Grant(c.project, role, "serviceAccount:"+email)
	return c
}
