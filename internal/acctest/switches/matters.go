// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

// row names the tests that could tell a provider which depends on a guess: a pattern
// of `go test -run`, and the packages that it is for.
type row struct {
	tests    string
	packages []string
}

const (
	connection  = "./resources/bq_connection"
	remoteModel = "./resources/bq_remote_model"
	predictions = "./resources/bq_predict"
	model       = "./resources/vertex_model_upload"
	modelData   = "./resources/vertex_model"
	endpoint    = "./resources/vertex_endpoint_deployment"
	endpointGet = "./resources/vertex_endpoint"
	whole       = "./provider"
	examples    = "./examples"
)

// matters has a row for every switch. What a switch has no part in is left to the
// run with all of them at once.
var matters = map[string]row{
	"project-in-names": {
		"^TestAcc(Connection|ConnectionDrift|RemoteModel|RemoteModelKinds|Model|ModelWithinParent|ModelDrift|Endpoint|EndpointDrift|EndpointForeignModel|ImportOfForeignEndpoint|VertexModel|VertexEndpointData|Predict|ImportByIdentity|TwoStates)$",
		[]string{connection, remoteModel, predictions, model, modelData, endpoint, endpointGet, whole},
	},
	"multi-region-case": {
		"^TestAcc(Connection|ConnectionDrift|ConnectionDisappears|RemoteModel|RemoteModelDefaultConnection|RemoteModelDataSource|ImportByIdentity)$",
		[]string{connection, remoteModel, whole},
	},
	"container-spec-echo": {
		"^TestAcc(Model|ModelEveryField|ModelDrift|ModelKeepVersions|ModelSecrets|VertexModel|RemoteModelSignature)$",
		[]string{model, modelData, remoteModel},
	},
	"create-model-probe": {
		"^TestAcc(RemoteModel|RemoteModelProbe|RemoteModelDriftAndDisappearance|Tutorial)$",
		[]string{remoteModel, examples},
	},
	"permission-checked-at": {
		"^TestAcc(RemoteModel|RemoteModelKinds|RemoteModelProbe|RemoteModelDefaultConnection|Predict)$",
		[]string{remoteModel, predictions},
	},
	"permission-error-reason": {
		"^TestAcc(RemoteModelRefused|RemoteModelNamesTheRole|RemoteModelDefaultConnection|PredictWaitsForTheGrant|PredictErrors)$",
		[]string{remoteModel, predictions},
	},
	"replace-keeps-labels": {
		"^TestAcc(RemoteModel|RemoteModelDriftAndDisappearance|RemoteModelKinds|Labels|AttributionLabel)$",
		[]string{remoteModel, whole},
	},
	"endpoint-letters-in-option": {
		"^TestAcc(RemoteModel|RemoteModelExists|Tutorial)$",
		[]string{remoteModel, examples},
	},
	"ids-reusable-after-delete": {
		"^TestAcc(ModelDrift|EndpointReplaced|ReplacementWaitsForTheID|Replace)$",
		[]string{model, endpoint, whole},
	},
	"taken-model-id-code": {
		"^TestAcc(ModelExists|ModelReplacedBehindOurBack|ModelWithinParent|ModelWithinParentOwned|TwoStates|KilledProvider.*)$",
		[]string{model, whole},
	},
	"missing-traffic-split": {
		"^TestAcc(Endpoint|EndpointDrift|EndpointDriftOfImpliedTraffic|RolloutStrategies|Pause|ImportOfForeignEndpoint)$",
		[]string{endpoint},
	},
	"default-alias-after-upload": {
		"^TestAcc(Model|ModelDrift|ModelVersionAliases|ModelKeepVersions|ModelWithinParent|ModelAndChild|EndpointUnversionedModel|VertexModel)$",
		[]string{model, endpoint, modelData},
	},
	"model-fields-on-new-version": {
		"^TestAcc(Model|ModelDrift|ModelWithinParent|ModelAndChild|ModelVersionAliases)$",
		[]string{model},
	},
	"version-in-deployed-model-name": {
		"^TestAcc(Endpoint|EndpointUnversionedModel|EndpointForeignModel|ImportOfForeignEndpoint|VertexEndpointData|ModelKeepVersions)$",
		[]string{endpoint, endpointGet, model},
	},
	"schema-uri-echo": {
		"^TestAcc(ModelEveryField|ModelEveryFieldMakesAVersion|ModelAssumptions|VertexModel)$",
		[]string{model, modelData},
	},
	"unset-required-replica-count": {
		"^TestAcc(Endpoint|EndpointInPlace|EndpointFullDrift|ImportOfForeignEndpoint|VertexEndpointData)$",
		[]string{endpoint, endpointGet},
	},
	"default-autoscaling-shown": {
		"^TestAcc(Endpoint|EndpointInPlace|EndpointFullDrift|ImportOfForeignEndpoint|VertexEndpointData)$",
		[]string{endpoint, endpointGet},
	},
	"logging-destination": {
		"^TestAcc(EndpointFull|EndpointFullDrift|EndpointInPlace|EndpointConfiguredFaults)$",
		[]string{endpoint},
	},
	"hosted-endpoint-echo": {
		"^TestAcc(RemoteModelKinds|RemoteModelChangesKind|RemoteModelDefaultConnection|RemoteModelDataSource)$",
		[]string{remoteModel},
	},
	"document-service-echo": {
		"^TestAcc(RemoteModelKinds|RemoteModelDocument|RemoteModelChangesKind)$",
		[]string{remoteModel},
	},
	"kms-key-version-in-model": {
		"^TestAcc(RemoteModelKey|RemoteModelKinds|RemoteModelOpenModel)$",
		[]string{remoteModel},
	},
	"kms-key-version-in-connection": {
		"^TestAcc(ConnectionKey)$",
		[]string{connection},
	},
	"base-model-source-echo": {
		"^TestAcc(ModelEveryField|ModelDrift|VertexPublisherModel)$",
		[]string{model, "./resources/vertex_publisher_model"},
	},
	"fast-tryout-shown": {
		"^TestAcc(EndpointFull|EndpointFastTryout|EndpointFullDrift)$",
		[]string{endpoint},
	},
}
