// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertexai

import (
	"regexp"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
)

var (
	networkPattern     = regexp.MustCompile(`^projects/[a-z0-9.:-]+/global/networks/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	keyPattern         = regexp.MustCompile(`^projects/[a-z0-9.:-]+/locations/([a-z0-9-]+)/keyRings/[a-zA-Z0-9_-]{1,63}/cryptoKeys/[a-zA-Z0-9_-]{1,63}$`)
	destinationPattern = regexp.MustCompile(`^bq://[a-z0-9.:-]+?(\.[A-Za-z0-9_]+(\.[^\s.]+)?)?$`)
)

const maxInferenceTimeout = time.Hour

// validEndpoint checks an endpoint that is to be in this location.
func validEndpoint(e *aiplatformpb.Endpoint, location string) error {
	const path = "endpoint"
	if err := onlyFields(path, e, "display_name", "description", "labels", "traffic_split", "dedicated_endpoint_enabled", "network",
		"private_service_connect_config", "encryption_spec", "predict_request_response_logging_config", "client_connection_config"); err != nil {
		return err
	}
	if err := validDisplayName(path, e.GetDisplayName()); err != nil {
		return err
	}
	if err := validLabels(path, e.GetLabels()); err != nil {
		return err
	}
	if len(e.GetTrafficSplit()) > 0 {
		return invalid("%s.traffic_split must be empty: the endpoint has no deployed models yet.", path)
	}
	if err := validNetworking(path, e); err != nil {
		return err
	}
	if err := validKey(path, e.GetEncryptionSpec(), location); err != nil {
		return err
	}
	if err := validRequestLogging(path, e.GetPredictRequestResponseLoggingConfig()); err != nil {
		return err
	}
	return validClientConnection(path, e.GetClientConnectionConfig())
}

func validNetworking(path string, e *aiplatformpb.Endpoint) error {
	psc := e.GetPrivateServiceConnectConfig()
	private := psc.GetEnablePrivateServiceConnect()
	switch {
	case e.GetNetwork() != "" && !networkPattern.MatchString(e.GetNetwork()):
		return invalid("%s.network %q is not valid: want projects/PROJECT/global/networks/NETWORK.", path, e.GetNetwork())
	case e.GetNetwork() != "" && psc != nil:
		return invalid("%s: network and private_service_connect_config are mutually exclusive.", path)
	case e.GetDedicatedEndpointEnabled() && (e.GetNetwork() != "" || private):
		return invalid("%s: dedicated_endpoint_enabled cannot be combined with network or private_service_connect_config.", path)
	}
	return validPrivateServiceConnect(path, psc)
}

func validPrivateServiceConnect(path string, psc *aiplatformpb.PrivateServiceConnectConfig) error {
	for _, c := range psc.GetPscAutomationConfigs() {
		if c.GetProjectId() == "" || !networkPattern.MatchString(c.GetNetwork()) {
			return invalid("%s.private_service_connect_config.psc_automation_configs: project_id and network, projects/PROJECT/global/networks/NETWORK, are required.", path)
		}
	}
	return nil
}

// validKey checks a customer-managed key, if there is one.
func validKey(path string, spec *aiplatformpb.EncryptionSpec, location string) error {
	if spec == nil {
		return nil
	}
	m := keyPattern.FindStringSubmatch(spec.GetKmsKeyName())
	if m == nil {
		return invalid("%s.encryption_spec.kms_key_name %q is not valid: want projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.", path, spec.GetKmsKeyName())
	}
	if m[1] != location {
		return invalid("%s.encryption_spec.kms_key_name: the key is in %s and needs to be in the same region as the resource, %s.", path, m[1], location)
	}
	return nil
}

func validRequestLogging(path string, c *aiplatformpb.PredictRequestResponseLoggingConfig) error {
	path += ".predict_request_response_logging_config"
	uri := c.GetBigqueryDestination().GetOutputUri()
	switch rate := c.GetSamplingRate(); {
	case c == nil:
	case rate < 0 || rate > 1 || rate == 0 && c.GetEnabled():
		return invalid("%s.sampling_rate %v is not in the range (0,1].", path, rate)
	case c.GetBigqueryDestination() != nil && (len(uri) > 2000 || !destinationPattern.MatchString(uri)):
		return invalid("%s.bigquery_destination.output_uri %q is not valid: want bq://PROJECT, bq://PROJECT.DATASET or bq://PROJECT.DATASET.TABLE.", path, uri)
	}
	return nil
}

func validClientConnection(path string, c *aiplatformpb.ClientConnectionConfig) error {
	timeout := c.GetInferenceTimeout()
	if timeout == nil {
		return nil
	}
	if d := timeout.AsDuration(); timeout.CheckValid() != nil || d <= 0 || d > maxInferenceTimeout {
		return invalid("%s.client_connection_config.inference_timeout %v is not valid: more than 0 and at most 3600 seconds.", path, d)
	}
	return nil
}
