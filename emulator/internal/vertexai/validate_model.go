// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
)

// The rules are those of the comments in google/cloud/aiplatform/v1/model.proto and
// encryption_spec.proto.
var (
	imagePattern    = regexp.MustCompile(`^([a-z0-9-]+-docker\.pkg\.dev|([a-z0-9-]+\.)?gcr\.io)/[^\s]+$`)
	envNamePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	modelKeyPattern = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)
)

// mostDeploymentTimeout: "Limit for deployment timeout is 2 hours."
const mostDeploymentTimeout = 2 * time.Hour

func validContainer(c *aiplatformpb.ModelContainerSpec) error {
	const path = "model.container_spec"
	if c.GetImageUri() == "" {
		return invalid("%s.image_uri is required.", path)
	}
	if !imagePattern.MatchString(c.GetImageUri()) {
		return invalid("%s.image_uri %q is not valid: the image must be in Artifact Registry (LOCATION-docker.pkg.dev/…) or Container Registry (gcr.io/…).", path, c.GetImageUri())
	}
	for _, env := range c.GetEnv() {
		if !envNamePattern.MatchString(env.GetName()) {
			return invalid("%s.env: name %q is not a C identifier.", path, env.GetName())
		}
	}
	for field, ports := range map[string][]*aiplatformpb.Port{"ports": c.GetPorts(), "grpc_ports": c.GetGrpcPorts()} {
		for _, port := range ports {
			if err := validPort(path+"."+field+": container_port", port.GetContainerPort()); err != nil {
				return err
			}
		}
	}
	for field, route := range map[string]string{"predict_route": c.GetPredictRoute(), "health_route": c.GetHealthRoute()} {
		if route != "" && !strings.HasPrefix(route, "/") {
			return invalid("%s.%s %q must start with a slash.", path, field, route)
		}
	}
	if d := c.GetDeploymentTimeout(); d != nil && (d.AsDuration() <= 0 || d.AsDuration() > mostDeploymentTimeout) {
		return invalid("%s.deployment_timeout is %s: it must be positive and at most 2 hours.", path, d.AsDuration())
	}
	if c.GetSharedMemorySizeMb() < 0 {
		return invalid("%s.shared_memory_size_mb is %d: it must not be negative.", path, c.GetSharedMemorySizeMb())
	}
	for field, probe := range map[string]*aiplatformpb.Probe{"startup_probe": c.GetStartupProbe(), "health_probe": c.GetHealthProbe(), "liveness_probe": c.GetLivenessProbe()} {
		if err := validProbe(path+"."+field, probe); err != nil {
			return err
		}
	}
	return onlyFields(path, c, "image_uri", "command", "args", "env", "ports", "grpc_ports", "predict_route", "health_route",
		"deployment_timeout", "shared_memory_size_mb", "startup_probe", "health_probe", "liveness_probe")
}

func validPort(path string, port int32) error {
	if port < 1 || port > 65535 {
		return invalid("%s %d is not between 1 and 65535.", path, port)
	}
	return nil
}

// validProbe leaves out what the proto says of period_seconds and timeout_seconds
// together ("must be less than timeout_seconds", "must be greater or equal to
// period_seconds"): its own defaults, 10 s and 1 s, contradict it.
func validProbe(path string, p *aiplatformpb.Probe) error {
	if p == nil {
		return nil
	}
	switch action := p.GetProbeType().(type) {
	case *aiplatformpb.Probe_Exec:
		if len(action.Exec.GetCommand()) == 0 {
			return invalid("%s.exec.command is required.", path)
		}
	case *aiplatformpb.Probe_HttpGet:
		if scheme := action.HttpGet.GetScheme(); !slices.Contains([]string{"", "HTTP", "HTTPS"}, scheme) {
			return invalid("%s.http_get.scheme %q is not HTTP or HTTPS.", path, scheme)
		}
		if port := action.HttpGet.GetPort(); port != 0 {
			if err := validPort(path+".http_get.port", port); err != nil {
				return err
			}
		}
		for _, header := range action.HttpGet.GetHttpHeaders() {
			if header.GetName() == "" {
				return invalid("%s.http_get.http_headers: name is required.", path)
			}
		}
	case *aiplatformpb.Probe_Grpc:
		if err := validPort(path+".grpc.port", action.Grpc.GetPort()); err != nil {
			return err
		}
	case *aiplatformpb.Probe_TcpSocket:
		if err := validPort(path+".tcp_socket.port", action.TcpSocket.GetPort()); err != nil {
			return err
		}
	default:
		return invalid("%s needs one of exec, http_get, grpc and tcp_socket.", path)
	}
	for field, n := range map[string]int32{
		"period_seconds": p.GetPeriodSeconds(), "timeout_seconds": p.GetTimeoutSeconds(), "failure_threshold": p.GetFailureThreshold(),
		"success_threshold": p.GetSuccessThreshold(), "initial_delay_seconds": p.GetInitialDelaySeconds(),
	} {
		if n < 0 {
			return invalid("%s.%s is %d: it must not be negative.", path, field, n)
		}
	}
	return nil
}

// schemas are the URIs of a model that point to YAML files in Cloud Storage.
func schemas(m *aiplatformpb.Model) map[string]*string {
	all := map[string]*string{"metadata_schema_uri": &m.MetadataSchemaUri}
	if s := m.GetPredictSchemata(); s != nil {
		all["predict_schemata.instance_schema_uri"] = &s.InstanceSchemaUri
		all["predict_schemata.parameters_schema_uri"] = &s.ParametersSchemaUri
		all["predict_schemata.prediction_schema_uri"] = &s.PredictionSchemaUri
	}
	return all
}

func validSchemas(m *aiplatformpb.Model) error {
	for field, uri := range schemas(m) {
		if *uri != "" && !strings.HasPrefix(*uri, "gs://") {
			return invalid("model.%s %q is not valid: want a YAML file in Cloud Storage, gs://BUCKET/PATH.", field, *uri)
		}
	}
	return nil
}

// moveSchemas does what the proto announces: "The URI given on output will be
// immutable and probably different, including the URI scheme, than the one given
// on input."
func moveSchemas(name resource, v *version) {
	for field, uri := range schemas(v.spec) {
		if *uri != "" {
			*uri = "https://storage.googleapis.com/vertex-ai-model-schemas/" + path.Join(name.id, v.id, field+".yaml")
		}
	}
}

func validModelKey(path, parent string, spec *aiplatformpb.EncryptionSpec) error {
	if spec == nil {
		return nil
	}
	parts := modelKeyPattern.FindStringSubmatch(spec.GetKmsKeyName())
	switch {
	case parts == nil:
		return invalid("%s.encryption_spec.kms_key_name %q is not valid: want projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.", path, spec.GetKmsKeyName())
	case !strings.HasSuffix(parent, "/locations/"+parts[1]):
		return invalid("%s.encryption_spec.kms_key_name %q is in another region: the key needs to be in the region of the resource.", path, spec.GetKmsKeyName())
	}
	return nil
}

func validBaseModel(source *aiplatformpb.Model_BaseModelSource) error {
	const path = "model.base_model_source"
	if source == nil {
		return nil
	}
	if err := onlyFields(path, source, "model_garden_source"); err != nil {
		return err
	}
	garden := source.GetModelGardenSource()
	if !publisherModelPattern.MatchString(garden.GetPublicModelName()) {
		return invalid("%s.model_garden_source.public_model_name %q is not valid: want publishers/PUBLISHER/models/MODEL.", path, garden.GetPublicModelName())
	}
	return onlyFields(path+".model_garden_source", garden, "public_model_name", "version_id")
}
