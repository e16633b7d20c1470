// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package matrix_test

import (
	"strings"
	"time"

	"github.com/gcpml/terraform-provider-gcpml/internal/acctest"
)

// This file is the specification: which calls there are, which faults, and what
// has to come of each pair. Where a run contradicted it, the promise was read
// again, and either the provider or this table was wrong.

// class says what a call is to the provider, which decides what it may do about a
// fault.
type class int

const (
	// reads change nothing: every passing fault is met by asking again.
	reads class = iota
	// advises is a read of which the answer is a help but not needed.
	advises
	// polls ask for a long-running operation: they go on whatever is answered.
	polls
	// creates make an object under an id of ours: a lost answer is found again.
	creates
	// versions add a version, which has no id of ours: the alias is looked for.
	versions
	// writes set absolute values.
	writes
	// steps change an endpoint, starting from what was just read.
	steps
	// removes delete.
	removes
	// edits write a policy that was just read, under its etag.
	edits
	// submits start a job under an id of ours.
	submits
	// prunes clear away earlier versions when the work is done: what cannot be cleared
	// away is told, and the next change tries again.
	prunes
)

// A call is one place at which the provider calls Google.
type call struct {
	name   string
	class  class
	method string // as the emulator names it
	// during is the scenario in which the call is made, and nth which of the calls
	// of this method it is then.
	during string
	nth    int
}

const (
	vertexModels    = "/google.cloud.aiplatform.v1.ModelService/"
	vertexEndpoints = "/google.cloud.aiplatform.v1.EndpointService/"
	connections     = "/google.cloud.bigquery.connection.v1.ConnectionService/"
	projectsV3      = "/google.cloud.resourcemanager.v3.Projects/"
	longrunning     = "/google.longrunning.Operations/"
	bigQuery        = "/bigquery/v2/projects/*/"
)

// The scenarios. Refresh is a plan of what exists.
const (
	duringCreate  = "create"
	duringUpdate  = "update"
	duringRefresh = "refresh"
	duringDestroy = "destroy"
	duringResize  = "resize"  // an update of the number of replicas only
	duringRelease = "release" // an update after which no earlier version is to be kept
)

var calls = []call{
	{"models.upload", creates, vertexModels + "UploadModel", duringCreate, 1},
	{"models.uploadVersion", versions, vertexModels + "UploadModel", duringUpdate, 1},
	{"models.get", reads, vertexModels + "GetModel", duringCreate, 1},
	{"models.get of a version", reads, vertexModels + "GetModel", duringUpdate, 2},
	{"models.get", reads, vertexModels + "GetModel", duringRefresh, 1},
	{"models.listVersions", prunes, vertexModels + "ListModelVersions", duringRelease, 1},
	{"models.deleteVersion", prunes, vertexModels + "DeleteModelVersion", duringRelease, 1},
	{"models.update", writes, vertexModels + "UpdateModel", duringUpdate, 1},
	{"models.mergeVersionAliases", writes, vertexModels + "MergeVersionAliases", duringUpdate, 1},
	{"models.delete", removes, vertexModels + "DeleteModel", duringDestroy, 1},
	{"endpoints.create", creates, vertexEndpoints + "CreateEndpoint", duringCreate, 1},
	{"endpoints.get", reads, vertexEndpoints + "GetEndpoint", duringRefresh, 1},
	{"endpoints.get of the gate", reads, vertexEndpoints + "GetEndpoint", duringDestroy, 2},
	{"endpoints.get", reads, vertexEndpoints + "GetEndpoint", duringDestroy, 3},
	{"endpoints.update", steps, vertexEndpoints + "UpdateEndpoint", duringUpdate, 1},
	{"endpoints.update of the traffic", steps, vertexEndpoints + "UpdateEndpoint", duringUpdate, 2},
	{"endpoints.deployModel", steps, vertexEndpoints + "DeployModel", duringCreate, 1},
	{"endpoints.deployModel of a version", steps, vertexEndpoints + "DeployModel", duringUpdate, 1},
	{"endpoints.mutateDeployedModel", steps, vertexEndpoints + "MutateDeployedModel", duringResize, 1},
	{"endpoints.undeployModel", steps, vertexEndpoints + "UndeployModel", duringUpdate, 1},
	{"endpoints.undeployModel", steps, vertexEndpoints + "UndeployModel", duringDestroy, 1},
	{"endpoints.delete", removes, vertexEndpoints + "DeleteEndpoint", duringDestroy, 1},
	{"operations.get", polls, longrunning + "GetOperation", duringCreate, 1},
	{"operations.get", polls, longrunning + "GetOperation", duringDestroy, 1},
	{"operations.list", advises, longrunning + "ListOperations", duringCreate, 1},
	{"connections.create", creates, connections + "CreateConnection", duringCreate, 1},
	{"connections.get", advises, connections + "GetConnection", duringCreate, 1},
	{"connections.get", reads, connections + "GetConnection", duringRefresh, 1},
	{"connections.update", writes, connections + "UpdateConnection", duringUpdate, 1},
	{"connections.delete", removes, connections + "DeleteConnection", duringDestroy, 1},
	{"projects.getIamPolicy", reads, projectsV3 + "GetIamPolicy", duringCreate, 1},
	{"projects.getIamPolicy", reads, projectsV3 + "GetIamPolicy", duringDestroy, 2},
	{"projects.setIamPolicy", edits, projectsV3 + "SetIamPolicy", duringCreate, 1},
	{"projects.setIamPolicy", edits, projectsV3 + "SetIamPolicy", duringDestroy, 1},
	{"projects.get", advises, projectsV3 + "GetProject", duringRefresh, 1},
	{"datasets.get", advises, "GET " + bigQuery + "datasets/ds", duringCreate, 1},
	{"jobs.insert", submits, "POST " + bigQuery + "jobs", duringCreate, 1},
	{"jobs.get", reads, "GET " + bigQuery + "jobs/*", duringCreate, 1},
	{"storage.objects.list", advises, "GET /storage/v1/b/bucket/o", duringCreate, 1},
	{"bq.models.get", reads, "GET " + bigQuery + "datasets/ds/models/*", duringCreate, 1},
	{"bq.models.get", reads, "GET " + bigQuery + "datasets/ds/models/*", duringRefresh, 1},
	{"bq.models.patch", writes, "PATCH " + bigQuery + "datasets/ds/models/*", duringCreate, 1},
	{"bq.models.patch", writes, "PATCH " + bigQuery + "datasets/ds/models/*", duringUpdate, 1},
	{"bq.models.delete", removes, "DELETE " + bigQuery + "datasets/ds/models/*", duringDestroy, 1},
}

// neverMade are the calls of the plan of the matrix that the four resources do not
// make, with the reason.
var neverMade = map[string]string{
	"endpoints.list":                  "every object is found by its id",
	"operations.cancel":               "an interrupted operation is resumed, not cancelled",
	"jobs.getQueryResults":            "DDL has no rows",
	"jobs.cancel":                     "made after an interrupt only: see the interrupts",
	"jobs.list":                       "made when a remote model is adopted before it is marked: see the kill matrix",
	"connections.getIamPolicy":        "grants are made on the project",
	"connections.setIamPolicy":        "grants are made on the project",
	"token":                           "the emulator takes no credential: see TestAccTokenStaysSecret and TestAccTokenRefused",
	"connections.list, datasets.list": "every object is found by its id",
}

// plan are the calls of the plan of the matrix, by which none can be forgotten: each
// is in calls or in neverMade, under the name to the right.
var plan = map[string]string{
	"models.upload": "models.upload", "models.get": "models.get", "models.patch": "models.update", "models.delete": "models.delete", "models.listVersions": "models.listVersions",
	"endpoints.create": "endpoints.create", "endpoints.get": "endpoints.get", "endpoints.patch": "endpoints.update", "endpoints.delete": "endpoints.delete",
	"endpoints.deployModel": "endpoints.deployModel", "endpoints.undeployModel": "endpoints.undeployModel", "endpoints.mutateDeployedModel": "endpoints.mutateDeployedModel", "endpoints.list": "endpoints.list",
	"operations.get": "operations.get", "operations.cancel": "operations.cancel",
	"jobs.insert": "jobs.insert", "jobs.get": "jobs.get", "jobs.getQueryResults": "jobs.getQueryResults", "jobs.cancel": "jobs.cancel",
	"bq.models.get": "bq.models.get", "bq.models.patch": "bq.models.patch", "bq.models.delete": "bq.models.delete", "datasets.get": "datasets.get",
	"connections.create": "connections.create", "connections.get": "connections.get", "connections.patch": "connections.update", "connections.delete": "connections.delete",
	"connections.getIamPolicy": "connections.getIamPolicy", "connections.setIamPolicy": "connections.setIamPolicy",
	"projects.getIamPolicy": "projects.getIamPolicy", "projects.setIamPolicy": "projects.setIamPolicy", "token": "token",
}

// A fault is what happens to a call.
type fault struct {
	name  string
	group group
	set   acctest.Fault
	// operation, if not nil, is what happens to the operation that the call starts,
	// while the call itself goes well.
	operation *acctest.Operation
}

// group says what a client may know from a fault.
type group int

const (
	// lost: there was no answer, or one that says "unavailable": it may have had
	// its effect.
	lost group = iota
	// slow: an answer, late.
	slow
	// wait: the server says when to come again.
	wait
	// quota: what there is is used up.
	quota
	// inner: an error of the server, which may have had its effect.
	inner
	// late: the server gave up waiting; it may have had its effect.
	late
	// garbled: an answer that does not decode, after the effect.
	garbled
	// unauthenticated and forbidden, for one call.
	unauthenticated
	forbidden
	// refused: forbidden for good.
	refused
	// missing: NOT_FOUND for one call; gone for good.
	missing
	gone
	// taken: ALREADY_EXISTS for one call.
	taken
	// conflict: ABORTED for one call.
	conflict
	// precondition: FAILED_PRECONDITION for one call.
	precondition
	// invalid: INVALID_ARGUMENT.
	invalid
	// failed: the operation that the call started fails, without effect.
	failed
	// odd: the operation ends well, but says nothing, or is not found for a while.
	odd
	// undone: the operation ends well, and nothing has happened.
	undone
	// endless: the operation does not end before the resource's timeout. By the next
	// command it has.
	endless
)

// sentence is in every error that a fault answers, beside a secret that no
// client may show.
const sentence = "MATRIX-FAULT (Bearer " + tokenCanary + ")"

func answer(code string) acctest.Fault {
	return acctest.Fault{Action: acctest.Status, Status: &acctest.FaultStatus{Code: code, Message: sentence}}
}

func after(f acctest.Fault) acctest.Fault { f.Phase = acctest.AfterEffect; return f }

func always(f acctest.Fault) acctest.Fault { f.Times = -1; return f }

func withHTTP(f acctest.Fault, status int) acctest.Fault { f.Status.HTTPStatus = status; return f }

func withReason(f acctest.Fault, reason string) acctest.Fault { f.Status.Reason = reason; return f }

func retryAfter(f acctest.Fault) acctest.Fault {
	f.Status.RetryAfter = acctest.Duration(time.Second)
	return f
}

var faults = []fault{
	{"503 before", lost, answer("UNAVAILABLE"), nil},
	{"503 after effect", lost, after(answer("UNAVAILABLE")), nil},
	{"reset before", lost, acctest.Fault{Action: acctest.Reset, Phase: acctest.Before}, nil},
	{"reset after effect", lost, acctest.Fault{Action: acctest.Reset, Phase: acctest.AfterEffect}, nil},
	{"truncated answer", lost, acctest.Fault{Action: acctest.Truncate}, nil},
	{"malformed answer", garbled, acctest.Fault{Action: acctest.Malformed}, nil},
	{"stall", slow, acctest.Fault{Action: acctest.Stall, Stall: acctest.Duration(time.Second)}, nil},
	{"429 with a delay", wait, retryAfter(answer("RESOURCE_EXHAUSTED")), nil},
	{"429 quota", quota, always(withReason(answer("RESOURCE_EXHAUSTED"), "quotaExceeded")), nil},
	{"500", inner, answer("INTERNAL"), nil},
	{"500 after effect", inner, after(answer("INTERNAL")), nil},
	{"502", lost, withHTTP(answer("UNAVAILABLE"), 502), nil},
	{"504", late, answer("DEADLINE_EXCEEDED"), nil},
	{"504 after effect", late, after(answer("DEADLINE_EXCEEDED")), nil},
	{"401 once", unauthenticated, answer("UNAUTHENTICATED"), nil},
	{"403 once", forbidden, answer("PERMISSION_DENIED"), nil},
	{"403 for good", refused, always(answer("PERMISSION_DENIED")), nil},
	{"404 once", missing, answer("NOT_FOUND"), nil},
	{"404 for good", gone, always(answer("NOT_FOUND")), nil},
	{"409 exists", taken, answer("ALREADY_EXISTS"), nil},
	{"409 aborted", conflict, answer("ABORTED"), nil},
	{"400 precondition", precondition, answer("FAILED_PRECONDITION"), nil},
	{"400 invalid", invalid, always(answer("INVALID_ARGUMENT")), nil},
	{"operation fails", failed, acctest.Fault{}, &acctest.Operation{Result: acctest.Failed, Status: &acctest.FaultStatus{Code: "INTERNAL", Message: sentence}}},
	{"operation without a response", odd, acctest.Fault{}, &acctest.Operation{Result: acctest.Empty, Phase: acctest.AfterEffect}},
	{"operation not found for a while", odd, acctest.Fault{}, &acctest.Operation{Polls: []string{"404", "404"}}},
	{"operation without effect", undone, acctest.Fault{}, &acctest.Operation{Result: acctest.NoEffect}},
	{"operation never done", endless, acctest.Fault{}, &acctest.Operation{Delay: acctest.Duration(forever)}},
}

// forever is longer than any timeout; the emulator's clock can be put forward by it.
const forever = time.Hour

// outcome is what has to come of a command in which a call met a fault.
type outcome int

const (
	// succeeds: the fault is overcome, and all is as if it had not been.
	succeeds outcome = iota
	// fails: an error that tells the server's sentence; the next apply goes on.
	fails
	// gonePlanned: the plan makes what was not found again.
	gonePlanned
	// leaves: the work is done, but something is left that was to be cleared away. The
	// command says so, and the next change clears it away.
	leaves
	// notApplicable: the pair does not exist.
	notApplicable
)

func (o outcome) String() string {
	return [...]string{"succeeds", "fails", "plans to make it again", "leaves something", "not applicable"}[o]
}

// expected is the rule, and exceptions to it by name.
func expected(c call, f fault) (outcome, string) {
	if e, ok := exceptionOf(c, f); ok {
		return e.outcome, e.reason
	}
	rest := c.method[0] != '/'                               // of BigQuery v2
	json := rest || strings.HasPrefix(c.method, connections) // called by REST
	switch {
	case f.operation != nil && !startsOperation[c.method]:
		return notApplicable, "the call starts no operation"
	case c.during == duringRefresh && (f.group == missing || f.group == gone) && c.class == reads:
		return gonePlanned, "" // what is not found is planned to be made again; see P12
	case json && f.group == garbled && c.class != submits && c.class != advises:
		return fails, "" // most often the address is wrong, and asking again would only hide that for long
	case rest && (f.group == inner || f.group == late):
		return succeeds, "" // it comes with one of BigQuery's reasons that ask for another try
	case f.name == "502" && !rest:
		return notApplicable, "gRPC has no 502: it arrives as UNAVAILABLE, which has a row"
	case f.group == conflict && rest:
		return notApplicable, "BigQuery v2 and Cloud Storage answer 409 for ALREADY_EXISTS only"
	case f.group == precondition && rest:
		return notApplicable, "BigQuery v2 and Cloud Storage answer 412 for a failed If-Match only: a row of bq.models.patch"
	case f.group == taken && (c.class == reads || c.class == advises || c.class == polls || c.class == removes || c.class == prunes || c.class == writes || c.class == edits):
		return notApplicable, "a call that makes nothing is not answered that something exists"
	case f.group == precondition && (c.class == reads || c.class == advises || c.class == polls):
		return notApplicable, "a read has no precondition"
	case f.group == conflict && (c.class == advises || c.class == reads || c.class == polls):
		return notApplicable, "a read conflicts with nothing"
	}
	if ok := overcome[c.class][f.group]; ok {
		return succeeds, ""
	}
	if c.class == prunes {
		return leaves, ""
	}
	return fails, ""
}

var startsOperation = map[string]bool{
	vertexModels + "UploadModel": true, vertexModels + "DeleteModel": true, vertexModels + "DeleteModelVersion": true,
	vertexEndpoints + "CreateEndpoint": true, vertexEndpoints + "DeleteEndpoint": true, vertexEndpoints + "DeployModel": true,
	vertexEndpoints + "UndeployModel": true, vertexEndpoints + "MutateDeployedModel": true,
}

// overcome are the faults that each class of calls must overcome by itself.
var overcome = map[class]map[group]bool{
	reads:    {lost: true, slow: true, wait: true, inner: true, late: true, garbled: true},
	advises:  {lost: true, slow: true, wait: true, inner: true, late: true, garbled: true, quota: true, unauthenticated: true, forbidden: true, refused: true, missing: true, gone: true, invalid: true},
	polls:    {lost: true, slow: true, wait: true, inner: true, late: true, garbled: true, unauthenticated: true, forbidden: true, missing: true, gone: true},
	creates:  {lost: true, slow: true, wait: true, taken: true, conflict: true, odd: true},
	versions: {lost: true, slow: true, wait: true, inner: true, late: true, garbled: true, conflict: true, odd: true, undone: true},
	writes:   {lost: true, slow: true, wait: true, inner: true, garbled: true, conflict: true},
	steps:    {lost: true, slow: true, wait: true, taken: true, conflict: true, precondition: true, odd: true},
	removes:  {lost: true, slow: true, wait: true, conflict: true, missing: true, odd: true, undone: true},
	edits:    {lost: true, slow: true, wait: true, conflict: true},
	prunes:   {lost: true, slow: true, wait: true, garbled: true, conflict: true, odd: true},
	submits:  {lost: true, slow: true, wait: true, inner: true, late: true, garbled: true, taken: true},
}

type exception struct {
	outcome outcome
	reason  string
	// ownWords is for errors that do not quote the server, because they say more.
	ownWords bool
}

func exceptionOf(c call, f fault) (e exception, ok bool) {
	if e, ok = exceptions[c.name+" during "+c.during+" / "+f.name]; !ok {
		e, ok = exceptions[c.name+" / "+f.name]
	}
	return e, ok
}

const (
	hidden       = "what is hidden from every read cannot be told from what is gone; a delete in the dark could hit what somebody else made"
	makesNothing = "a call that makes nothing is not answered that something exists"
)

var exceptions = map[string]exception{
	// A version that is not found is gone, one that is in use stays, and of neither
	// anything is said. One that an operation left standing is seen by the next look.
	"models.deleteVersion / 404 once":                 {outcome: leaves, ownWords: true},
	"models.deleteVersion / 404 for good":             {outcome: leaves, ownWords: true},
	"models.deleteVersion / 400 precondition":         {outcome: leaves, ownWords: true},
	"models.deleteVersion / operation without effect": {outcome: leaves, ownWords: true},
	"models.deleteVersion / operation never done":     {notApplicable, "it is not waited for beyond the update's own timeout, which models.uploadVersion shows", false},
	// The service is known to answer INTERNAL for what it did; it is looked for.
	"models.deleteVersion / 500 after effect": {outcome: succeeds},
	"models.deleteVersion / 504 after effect": {outcome: succeeds},
	// A list is a read.
	"models.listVersions / 500":              {outcome: succeeds},
	"models.listVersions / 500 after effect": {outcome: succeeds},
	"models.listVersions / 504":              {outcome: succeeds},
	"models.listVersions / 504 after effect": {outcome: succeeds},
	"models.listVersions / 409 aborted":      {notApplicable, "a read conflicts with nothing", false},
	"models.listVersions / 400 precondition": {notApplicable, "a read has no precondition", false},

	// The next look shows what is still deployed, and an operation that ended well
	// without effect is an error: the endpoint would not be what it is to be.
	"endpoints.undeployModel / 404 once":     {outcome: fails, ownWords: true},
	"endpoints.undeployModel / 404 for good": {outcome: fails, ownWords: true},
	// A deletion only looks whether anything is still deployed, and tries again.
	"endpoints.undeployModel during destroy / 404 once":                 {outcome: succeeds},
	"endpoints.undeployModel during destroy / operation without effect": {outcome: succeeds},
	// Who may not see a gate's endpoint did not make one.
	"endpoints.get of the gate / 404 once": {outcome: succeeds},
	"endpoints.get of the gate / 403 once": {outcome: succeeds},
	// The look at what is left, after the deletion, finds it.
	"endpoints.get during destroy / 404 once":     {outcome: fails, ownWords: true},
	"endpoints.get during destroy / 404 for good": {notApplicable, hidden, false},
	"endpoints.get of the gate / 404 for good":    {notApplicable, hidden, false},
	"models.delete / operation without effect":    {outcome: fails, ownWords: true},

	"endpoints.undeployModel / 409 exists":         {notApplicable, makesNothing, false},
	"endpoints.mutateDeployedModel / 409 exists":   {notApplicable, makesNothing, false},
	"endpoints.update / 409 exists":                {notApplicable, makesNothing, false},
	"endpoints.update of the traffic / 409 exists": {notApplicable, makesNothing, false},

	// The answer to a delete has no body to read.
	"bq.models.delete / malformed answer": {outcome: succeeds},
	// It had just been read: the state keeps it.
	"bq.models.delete / 404 once":   {outcome: fails},
	"connections.delete / 404 once": {outcome: fails},

	// The registry notices late that nothing is deployed any more.
	"endpoints.delete / 400 precondition": {outcome: succeeds},
	"models.delete / 400 precondition":    {outcome: succeeds},

	// What was just made may not be visible yet.
	"models.get during create / 404 once":    {outcome: succeeds},
	"bq.models.get during create / 404 once": {outcome: succeeds},
	"jobs.get / 404 once":                    {outcome: succeeds},
	// The job is sent again then, and the answer to that is that it exists.
	"jobs.get / 404 for good":                      {outcome: fails, ownWords: true},
	"models.get of a version / malformed answer":   {notApplicable, "the answer is that there is none, which has no body", false},
	"endpoints.get of the gate / malformed answer": {notApplicable, "the answer is that there is none, which has no body", false},
	// The alias of a version that is not found means that the version is to be made.
	"models.get of a version / 404 once": {outcome: succeeds},

	"operations.get / 429 quota": {notApplicable, "polls go on until the resource's timeout, which has a test of its own (TestAccTimeouts)", false},

	// A dataset that does not exist is the user's to make; the error has the statement.
	"datasets.get / 404 once":     {outcome: fails, ownWords: true},
	"datasets.get / 404 for good": {outcome: fails, ownWords: true},
}
