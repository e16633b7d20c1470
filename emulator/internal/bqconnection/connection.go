// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package bqconnection is the BigQuery Connection service for connections of type
// CLOUD_RESOURCE, each with a service account of its own. BigQuery calls a remote
// model's endpoint as that account.
package bqconnection

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/assume"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/iam"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

// Config is what a Server needs.
type Config struct {
	Projects *project.Registry
	Clock    clock.Clock
	Assume   assume.Set
}

// Server is the Connection service.
type Server struct {
	connectionpb.UnsafeConnectionServiceServer
	cfg Config

	mu          sync.Mutex
	connections map[key]*entry
}

// key identifies a connection; the location is lower case.
type key struct{ project, location, id string }

type entry struct {
	connection *connectionpb.Connection // without its name, which depends on switches
	key        string                   // of Cloud KMS, "" without one
	account    string
	policy     *iampb.Policy
}

// New returns a server without connections.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, connections: map[key]*entry{}}
}

// Account returns the service account of a connection; project may be an id or a
// number and location in any case.
func (s *Server) Account(projectIDOrNumber, location, id string) (email string, ok bool) {
	p, err := s.cfg.Projects.Lookup(projectIDOrNumber)
	if err != nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.connections[key{p.ID, strings.ToLower(location), id}]
	if !ok {
		return "", false
	}
	return e.account, true
}

// AccountCreated tells when the service account of a connection that exists was
// created.
func (s *Server) AccountCreated(email string) (created time.Time, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.connections {
		if strings.EqualFold(e.account, email) {
			return time.UnixMilli(e.connection.GetCreationTime()), true
		}
	}
	return time.Time{}, false
}

// AccountExists reports whether an e-mail address is the service account of a
// connection that exists.
func (s *Server) AccountExists(email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.connections {
		if strings.EqualFold(e.account, email) {
			return true
		}
	}
	return false
}

// Inventory lists the connections.
func (s *Server) Inventory() []any {
	type connection struct {
		Name           string `json:"name"`
		ServiceAccount string `json:"serviceAccount"`
		KMSKeyName     string `json:"kmsKeyName,omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	for _, k := range s.keys(func(key) bool { return true }) {
		all = append(all, connection{
			fmt.Sprintf("projects/%s/locations/%s/connections/%s", k.project, k.location, k.id),
			s.connections[k].account,
			s.connections[k].key,
		})
	}
	return all
}

// keys lists the keys that match, in order.
func (s *Server) keys(match func(key) bool) []key {
	var all []key
	for k := range s.connections {
		if match(k) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b key) int {
		return strings.Compare(a.project+"/"+a.location+"/"+a.id, b.project+"/"+b.location+"/"+b.id)
	})
	return all
}

// name is the connection's name as Google would answer it.
func (s *Server) name(k key) string {
	p, location := k.project, k.location
	if s.cfg.Assume.Is(assume.ProjectInNames, "number") {
		if known, err := s.cfg.Projects.Lookup(p); err == nil {
			p = known.Number
		}
	}
	if s.cfg.Assume.Is(assume.MultiRegionCase, "upper") && (location == "us" || location == "eu") {
		location = strings.ToUpper(location)
	}
	return fmt.Sprintf("projects/%s/locations/%s/connections/%s", p, location, k.id)
}

func (s *Server) show(k key) *connectionpb.Connection {
	e := s.connections[k]
	c := proto.CloneOf(e.connection)
	c.Name = s.name(k)
	showKey(c, s.shownKey(e.key))
	return c
}

var (
	parentPattern   = regexp.MustCompile(`^projects/([^/]+)/locations/([A-Za-z0-9-]+)$`)
	namePattern     = regexp.MustCompile(`^projects/([^/]+)/locations/([A-Za-z0-9-]+)/connections/([^/]+)$`)
	idPattern       = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	locationPattern = regexp.MustCompile(`^(us|eu|[a-z]+-[a-z]+[0-9]+)$`)
)

func (s *Server) parent(name string) (key, error) {
	m := parentPattern.FindStringSubmatch(name)
	if m == nil {
		return key{}, status.Errorf(codes.InvalidArgument, "The parent %q is not valid: want projects/PROJECT/locations/LOCATION.", name)
	}
	return s.key(m[1], m[2], "")
}

func (s *Server) key(projectName, location, id string) (key, error) {
	p, err := s.cfg.Projects.Lookup(projectName)
	if err != nil {
		return key{}, status.Errorf(codes.NotFound, "Not found: Project %s: %v.", projectName, err)
	}
	location = strings.ToLower(location)
	if !locationPattern.MatchString(location) {
		return key{}, status.Errorf(codes.InvalidArgument, "Location %q is not valid: want US, EU or a region such as us-central1.", location)
	}
	return key{p.ID, location, id}, nil
}

// find looks an existing connection up; s.mu is held.
func (s *Server) find(name string) (key, *entry, error) {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return key{}, nil, status.Errorf(codes.InvalidArgument, "The name %q is not valid: want projects/PROJECT/locations/LOCATION/connections/CONNECTION.", name)
	}
	k, err := s.key(m[1], m[2], m[3])
	if err != nil {
		return key{}, nil, err
	}
	e, ok := s.connections[k]
	if !ok {
		return key{}, nil, status.Errorf(codes.NotFound, "Not found: Connection %s", s.name(k))
	}
	return k, e, nil
}

// CreateConnection makes a connection and its service account.
func (s *Server) CreateConnection(_ context.Context, r *connectionpb.CreateConnectionRequest) (*connectionpb.Connection, error) {
	k, err := s.parent(r.GetParent())
	if err != nil {
		return nil, err
	}
	switch r.GetConnection().GetProperties().(type) {
	case *connectionpb.Connection_CloudResource:
	case nil:
		return nil, status.Error(codes.InvalidArgument, "The connection has no properties: set cloud_resource.")
	default:
		return nil, status.Error(codes.Unimplemented, "The emulator makes connections of type CLOUD_RESOURCE only.")
	}
	if err := checkKey(keyOf(r.GetConnection())); err != nil {
		return nil, err
	}
	k.id = r.GetConnectionId()
	if k.id == "" {
		k.id = uuid()
	}
	if !idPattern.MatchString(k.id) {
		return nil, status.Errorf(codes.InvalidArgument, "The connection id %q is not valid: use letters, digits, underscores and dashes.", k.id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.connections[k]; taken {
		return nil, status.Errorf(codes.AlreadyExists, "Already Exists: Connection %s", s.name(k))
	}
	p, err := s.cfg.Projects.Lookup(k.project)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	s.add(k, p, r.GetConnection())
	return s.show(k), nil
}

// add makes a connection and its service account; s.mu is held.
func (s *Server) add(k key, p project.Project, c *connectionpb.Connection) *entry {
	now := s.cfg.Clock.Now().UnixMilli()
	account := fmt.Sprintf("bqcx-%s-%s@gcp-sa-bigquery-condel.iam.gserviceaccount.com", p.Number, strings.ToLower(rand.Text()[:4]))
	e := &entry{
		account: account,
		key:     keyOf(c),
		policy:  &iampb.Policy{Version: 1, Etag: []byte{0, 0x20, 0x01}},
		connection: &connectionpb.Connection{
			FriendlyName:     c.GetFriendlyName(),
			Description:      c.GetDescription(),
			Properties:       &connectionpb.Connection_CloudResource{CloudResource: &connectionpb.CloudResourceProperties{ServiceAccountId: account}},
			CreationTime:     now,
			LastModifiedTime: now,
		},
	}
	s.connections[k] = e
	return e
}

// Ensure answers the service account of a connection, which it makes if there is none:
// so BigQuery does for WITH CONNECTION DEFAULT. The project exists.
func (s *Server) Ensure(projectID, location, id string) (email string) {
	p, err := s.cfg.Projects.Lookup(projectID)
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{p.ID, strings.ToLower(location), id}
	if e, ok := s.connections[k]; ok {
		return e.account
	}
	return s.add(k, p, nil).account
}

// uuid is a random (version 4) UUID, the id of a connection created without one.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// GetConnection answers one connection.
func (s *Server) GetConnection(_ context.Context, r *connectionpb.GetConnectionRequest) (*connectionpb.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _, err := s.find(r.GetName())
	if err != nil {
		return nil, err
	}
	return s.show(k), nil
}

// ListConnections lists the connections of one location. A page token is the
// position of the first connection of the page.
func (s *Server) ListConnections(_ context.Context, r *connectionpb.ListConnectionsRequest) (*connectionpb.ListConnectionsResponse, error) {
	parent, err := s.parent(r.GetParent())
	if err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "page_size %d is negative.", size)
	}
	if size == 0 || size > 1000 {
		size = 1000
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys(func(k key) bool { return k.project == parent.project && k.location == parent.location })
	start := 0
	if t := r.GetPageToken(); t != "" {
		if start, err = strconv.Atoi(t); err != nil || start < 0 || start > len(keys) {
			return nil, status.Errorf(codes.InvalidArgument, "page_token %q is not valid.", t)
		}
	}
	end := min(start+size, len(keys))
	out := &connectionpb.ListConnectionsResponse{}
	for _, k := range keys[start:end] {
		out.Connections = append(out.Connections, s.show(k))
	}
	if end < len(keys) {
		out.NextPageToken = strconv.Itoa(end)
	}
	return out, nil
}

// UpdateConnection changes the fields that the mask names.
func (s *Server) UpdateConnection(_ context.Context, r *connectionpb.UpdateConnectionRequest) (*connectionpb.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, e, err := s.find(r.GetName())
	if err != nil {
		return nil, err
	}
	if len(r.GetUpdateMask().GetPaths()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "update_mask is required.")
	}
	next, key := proto.CloneOf(e.connection), e.key
	for _, path := range r.GetUpdateMask().GetPaths() {
		switch path {
		case "friendly_name", "friendlyName":
			next.FriendlyName = r.GetConnection().GetFriendlyName()
		case "description":
			next.Description = r.GetConnection().GetDescription()
		case "kms_key_name", "kmsKeyName":
			if key = keyOf(r.GetConnection()); checkKey(key) != nil {
				return nil, checkKey(key)
			}
		default:
			return nil, status.Errorf(codes.InvalidArgument, "update_mask: %q cannot be updated; friendly_name, description and kms_key_name can.", path)
		}
	}
	next.LastModifiedTime = s.cfg.Clock.Now().UnixMilli()
	e.connection, e.key = next, key
	return s.show(k), nil
}

// DeleteConnection deletes a connection and its service account. Roles granted to
// the account stay in the policies they are in.
func (s *Server) DeleteConnection(_ context.Context, r *connectionpb.DeleteConnectionRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _, err := s.find(r.GetName())
	if err != nil {
		return nil, err
	}
	delete(s.connections, k)
	return &emptypb.Empty{}, nil
}

// GetIamPolicy answers the policy of the connection itself, which says who may
// use it.
func (s *Server) GetIamPolicy(_ context.Context, r *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.find(r.GetResource())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(e.policy), nil
}

// SetIamPolicy replaces the policy of the connection itself.
func (s *Server) SetIamPolicy(_ context.Context, r *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.find(r.GetResource())
	if err != nil {
		return nil, err
	}
	if r.GetPolicy() == nil {
		return nil, status.Error(codes.InvalidArgument, "The policy is missing.")
	}
	if etag := r.GetPolicy().GetEtag(); len(etag) > 0 && string(etag) != string(e.policy.GetEtag()) {
		return nil, status.Error(codes.Aborted, "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.")
	}
	e.policy = proto.CloneOf(r.GetPolicy())
	e.policy.Version = max(e.policy.GetVersion(), 1)
	e.policy.Etag = make([]byte, 8)
	_, _ = rand.Read(e.policy.Etag)
	return proto.CloneOf(e.policy), nil
}

// TestIamPermissions answers all that was asked.
func (s *Server) TestIamPermissions(_ context.Context, r *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, err := s.find(r.GetResource()); err != nil {
		return nil, err
	}
	return iam.AllPermissions(r)
}
