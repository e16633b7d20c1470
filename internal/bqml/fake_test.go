// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// fake is as much of Google Cloud as this package calls, on one port, as Google's
// documentation describes it. Its switches make it fail in the ways that matter.
type fake struct {
	aiplatformpb.UnimplementedEndpointServiceServer
	resourcemanagerpb.UnimplementedProjectsServer

	mu          sync.Mutex
	connections map[string]*bigqueryconnection.Connection
	masks       []string // of the patches of connections
	endpoints   map[string]*aiplatformpb.Endpoint
	policy      *iampb.Policy
	datasets    map[string]string // id → location
	models      map[string]*bigquery.Model
	jobs        []*bigquery.Job
	statements  []string
	sequence    int64

	// Switches.
	refuse         string        // error message of the next DDL jobs, while refusals > 0
	refusals       int           //
	replaceDrops   bool          // CREATE OR REPLACE loses labels, description and expiration
	created        chan struct{} // closed by the fake when a DDL took effect; the answer never comes
	conflicts      int           // so many patches meet a concurrent change
	createConnLost bool          // the first create of a connection takes effect, and its answer is lost
	// policyAnswer is what a change of the policy is answered; all but PERMISSION_DENIED
	// have their effect.
	policyAnswer codes.Code
}

const account = "bqcx-1-abcd@gcp-sa-bigquery-condel.iam.gserviceaccount.com"

func newFake(t *testing.T) *fake {
	t.Helper()
	return &fake{
		connections: map[string]*bigqueryconnection.Connection{},
		endpoints: map[string]*aiplatformpb.Endpoint{
			"projects/p/locations/us-central1/endpoints/one":       {},
			"projects/p/locations/us-central1/endpoints/two":       {},
			"projects/p/locations/us-central1/endpoints/dedicated": {DedicatedEndpointEnabled: true},
			"projects/p/locations/us-central1/endpoints/private":   {Network: "projects/1/global/networks/n"},
		},
		policy:   &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/owner", Members: []string{"user:ann@example.com"}}}},
		datasets: map[string]string{"d": "US", "eu": "EU"},
		models:   map[string]*bigquery.Model{},
	}
}

// service serves the fake until the test ends and returns a service that calls it.
func (f *fake) service(t *testing.T, owner string) *Service {
	t.Helper()
	g := grpc.NewServer()
	aiplatformpb.RegisterEndpointServiceServer(g, f)
	resourcemanagerpb.RegisterProjectsServer(g, f)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	rest := f.rest()
	server := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			g.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	c, err := gcp.Connect(t.Context(), gcp.Config{Project: "p", EmulatorHost: listener.Addr().String(), OwnershipID: owner})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return New(c)
}

func (f *fake) now() int64 {
	f.sequence++
	return time.Now().UnixMilli() + f.sequence // distinct and increasing
}

func (f *fake) GetEndpoint(_ context.Context, r *aiplatformpb.GetEndpointRequest) (*aiplatformpb.Endpoint, error) {
	if e := f.endpoints[r.GetName()]; e != nil {
		return e, nil
	}
	return nil, status.Errorf(codes.NotFound, "Endpoint %s is not found.", r.GetName())
}

func (f *fake) GetIamPolicy(context.Context, *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return proto.CloneOf(f.policy), nil
}

func (f *fake) SetIamPolicy(_ context.Context, r *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.policyAnswer == codes.PermissionDenied {
		return nil, status.Error(f.policyAnswer, "not allowed")
	}
	f.policy = proto.CloneOf(r.GetPolicy())
	return proto.CloneOf(f.policy), status.Error(f.policyAnswer, "the answer is lost")
}

// TestIamPermissions is in two of the services; nobody calls it.
func (f *fake) TestIamPermissions(context.Context, *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	return nil, status.Error(codes.Unimplemented, "not served here")
}

// GetProject knows that project number 42 is p.
func (f *fake) GetProject(_ context.Context, r *resourcemanagerpb.GetProjectRequest) (*resourcemanagerpb.Project, error) {
	if r.GetName() == "projects/42" {
		return &resourcemanagerpb.Project{Name: "projects/42", ProjectId: "p"}, nil
	}
	return nil, status.Error(codes.PermissionDenied, "The caller does not have permission")
}

func (f *fake) roles() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var roles []string
	for _, b := range f.policy.GetBindings() {
		if slices.Contains(b.GetMembers(), "serviceAccount:"+account) {
			roles = append(roles, b.GetRole())
		}
	}
	return roles
}

func (f *fake) rest() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(w http.ResponseWriter, r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			answer, err := h(w, r)
			f.mu.Unlock()
			if errors.Is(err, errNoAnswer) {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Content-Type", "application/json")
			if e, ok := errors.AsType[*restError](err); ok {
				w.WriteHeader(e.code)
				answer = map[string]any{"error": map[string]any{"code": e.code, "message": e.message, "errors": []any{map[string]any{"reason": e.reason, "message": e.message}}}}
			}
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
	handle("GET /bigquery/v2/projects/{p}/datasets/{d}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		location, ok := f.datasets[r.PathValue("d")]
		if !ok {
			return nil, &restError{404, "notFound", "Not found: Dataset p:" + r.PathValue("d")}
		}
		return &bigquery.Dataset{Location: location}, nil
	})
	handle("POST /bigquery/v2/projects/{p}/jobs", f.insert)
	handle("GET /bigquery/v2/projects/{p}/jobs/{j}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		for _, j := range f.jobs {
			if j.JobReference.JobId == r.PathValue("j") {
				return j, nil
			}
		}
		return nil, &restError{404, "notFound", "Not found: Job"}
	})
	handle("POST /bigquery/v2/projects/{p}/jobs/{j}/cancel", func(http.ResponseWriter, *http.Request) (any, error) {
		return &bigquery.JobCancelResponse{}, nil
	})
	handle("GET /bigquery/v2/projects/{p}/jobs", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		list := &bigquery.JobList{}
		for _, j := range f.jobs {
			entry := &bigquery.JobListJobs{JobReference: j.JobReference, Statistics: j.Statistics, Status: j.Status}
			if j.Status.ErrorResult != nil {
				entry.ErrorResult = j.Status.ErrorResult
			}
			if r.URL.Query().Get("projection") == "full" {
				entry.Configuration = j.Configuration
			}
			list.Jobs = append(list.Jobs, entry)
		}
		return list, nil
	})
	const model = " /bigquery/v2/projects/{p}/datasets/{d}/models/{m}"
	find := func(r *http.Request) (string, *bigquery.Model, error) {
		key := r.PathValue("d") + "." + r.PathValue("m")
		if m := f.models[key]; m != nil {
			return key, m, nil
		}
		return key, nil, &restError{404, "notFound", "Not found: Model p:" + key}
	}
	handle("GET"+model, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		_, m, err := find(r)
		return m, err
	})
	handle("DELETE"+model, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		key, _, err := find(r)
		delete(f.models, key)
		return struct{}{}, err
	})
	handle("PATCH"+model, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		_, m, err := find(r)
		if err != nil {
			return nil, err
		}
		if f.conflicts > 0 {
			f.conflicts--
			m.Etag = fmt.Sprint(f.now())
		}
		if match := r.Header.Get("If-Match"); match != m.Etag {
			return nil, &restError{412, "conditionNotMet", "Precondition Failed"}
		}
		return m, patchJSON(m, r)
	})
	f.serveConnections(handle)
	return mux
}

func (f *fake) serveConnections(handle func(pattern string, h func(w http.ResponseWriter, r *http.Request) (any, error))) {
	const collection = " /v1/projects/{p}/locations/{l}/connections"
	find := func(r *http.Request) (string, *bigqueryconnection.Connection, error) {
		name := strings.TrimPrefix(r.URL.Path, "/v1/")
		if c := f.connections[name]; c != nil {
			return name, c, nil
		}
		return name, nil, &restError{404, "notFound", "Not found: Connection " + name}
	}
	handle("POST"+collection, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		name := strings.TrimPrefix(r.URL.Path, "/v1/") + "/" + r.URL.Query().Get("connectionId")
		if f.connections[name] != nil {
			return nil, &restError{409, "alreadyExists", "Already Exists: Connection " + name}
		}
		var c bigqueryconnection.Connection
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.CloudResource == nil {
			return nil, &restError{400, "badRequest", "The connection has no properties."}
		}
		c.Name, c.CreationTime = name, f.now()
		c.CloudResource.ServiceAccountId = account
		f.connections[name] = &c
		if f.createConnLost {
			f.createConnLost = false
			return nil, &restError{503, "backendError", "connection reset"}
		}
		return &c, nil
	})
	handle("GET"+collection+"/{c}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		_, c, err := find(r)
		return c, err
	})
	handle("DELETE"+collection+"/{c}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		name, _, err := find(r)
		delete(f.connections, name)
		return struct{}{}, err
	})
	handle("PATCH"+collection+"/{c}", func(_ http.ResponseWriter, r *http.Request) (any, error) {
		_, c, err := find(r)
		if err != nil {
			return nil, err
		}
		var patch bigqueryconnection.Connection
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
			return nil, &restError{400, "badRequest", err.Error()}
		}
		mask := r.URL.Query().Get("updateMask")
		f.masks = append(f.masks, mask)
		for field := range strings.SplitSeq(mask, ",") {
			switch field {
			case "friendlyName":
				c.FriendlyName = patch.FriendlyName
			case "description":
				c.Description = patch.Description
			case "kmsKeyName":
				c.KmsKeyName = patch.KmsKeyName
			default:
				return nil, &restError{400, "badRequest", "updateMask: " + field}
			}
		}
		return c, nil
	})
}

// patchJSON merges as RFC 7396 says: null removes.
func patchJSON(m *bigquery.Model, r *http.Request) error {
	var body struct {
		Description    json.RawMessage
		ExpirationTime json.RawMessage
		Labels         map[string]*string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return &restError{400, "invalid", err.Error()}
	}
	if body.Description != nil {
		m.Description = ""
		_ = json.Unmarshal(body.Description, &m.Description)
	}
	if body.ExpirationTime != nil {
		m.ExpirationTime = 0
		_, _ = fmt.Sscanf(strings.Trim(string(body.ExpirationTime), `"`), "%d", &m.ExpirationTime)
	}
	labels := maps.Clone(m.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for k, v := range body.Labels {
		if v == nil {
			delete(labels, k)
		} else {
			labels[k] = *v
		}
	}
	m.Labels = labels
	m.Etag += "+"
	return nil
}

type restError struct {
	code            int
	reason, message string
}

func (e *restError) Error() string { return e.message }

var errNoAnswer = errors.New("no answer")

var (
	ddl    = regexp.MustCompile("(?s)^CREATE (OR REPLACE )?MODEL `p\\.(\\w+)\\.(\\w+)`\nINPUT \\((.*)\\)\nOUTPUT \\((.*)\\)\nREMOTE WITH CONNECTION `p\\.us\\.(\\w+)`\nOPTIONS \\(ENDPOINT = '(.*)'\\)$")
	field  = regexp.MustCompile("`(\\w+)` (?:(ARRAY)<)?(\\w+)>?")
	number = regexp.MustCompile(`projects/p/`)
)

// insert executes a DDL statement at once.
func (f *fake) insert(_ http.ResponseWriter, r *http.Request) (any, error) {
	var job bigquery.Job
	if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
		return nil, &restError{400, "invalid", err.Error()}
	}
	sql := job.Configuration.Query.Query
	f.statements = append(f.statements, sql)
	now := f.now()
	job.Status = &bigquery.JobStatus{State: "DONE"}
	job.Statistics = &bigquery.JobStatistics{CreationTime: now, StartTime: now, Query: &bigquery.JobStatistics2{StatementType: "CREATE_MODEL", DdlOperationPerformed: "CREATE"}}
	fail := func(reason, message string) {
		job.Status.ErrorResult = &bigquery.ErrorProto{Reason: reason, Message: message}
	}
	m := ddl.FindStringSubmatch(sql)
	switch {
	case m == nil:
		fail("invalidQuery", "Syntax error")
	case f.refusals > 0:
		f.refusals--
		fail("accessDenied", f.refuse)
	case m[1] == "" && f.models[m[2]+"."+m[3]] != nil:
		fail("duplicate", "Already Exists: Model p:"+m[2]+"."+m[3])
	default:
		f.define(m, now)
	}
	job.Statistics.EndTime = f.now()
	f.jobs = append(f.jobs, &job)
	if f.created != nil && job.Status.ErrorResult == nil {
		close(f.created)
		f.created = nil
		return nil, errNoAnswer
	}
	return &job, nil
}

func (f *fake) define(m []string, now int64) {
	columns := func(list string) (fields []*bigquery.StandardSqlField) {
		for _, c := range field.FindAllStringSubmatch(list, -1) {
			t := &bigquery.StandardSqlDataType{TypeKind: c[3]}
			if c[2] != "" {
				t = &bigquery.StandardSqlDataType{TypeKind: "ARRAY", ArrayElementType: t}
			}
			fields = append(fields, &bigquery.StandardSqlField{Name: c[1], Type: t})
		}
		return fields
	}
	model := &bigquery.Model{
		CreationTime: now, LastModifiedTime: now, Location: "US", Etag: fmt.Sprint(now),
		FeatureColumns: columns(m[4]), LabelColumns: columns(m[5]),
		// Google answers with project numbers.
		RemoteModelInfo: &bigquery.RemoteModelInfo{
			Endpoint: number.ReplaceAllString(m[7], "projects/42/"), Connection: "projects/42/locations/us/connections/" + m[6],
		},
	}
	if was := f.models[m[2]+"."+m[3]]; was != nil && !f.replaceDrops {
		model.Labels, model.Description, model.ExpirationTime, model.CreationTime = was.Labels, was.Description, was.ExpirationTime, was.CreationTime
	}
	f.models[m[2]+"."+m[3]] = model
}
