// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Package iam holds the IAM policies of projects: Resource Manager's Projects
// service, version 3 by gRPC and (through its annotations) REST, version 1 by
// REST. It also answers whether an account may do something. As in the real
// service a changed policy takes effect some time after it was set.
package iam

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/resourcemanager/apiv3/resourcemanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/fault"
	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/project"
)

// Config is what a Server needs.
type Config struct {
	Projects *project.Registry
	Clock    clock.Clock
	// Lag is the time after which a policy that was set takes effect, for what it
	// grants and for what it takes away, unless it is changed later.
	Lag time.Duration
}

// Server is the Projects service.
type Server struct {
	resourcemanagerpb.UnsafeProjectsServer
	cfg     Config
	started time.Time

	mu        sync.Mutex
	policies  map[string]*history // by project id
	accounts  func(email string) (created time.Time, exists bool)
	behaviour behaviour
}

// history is the policies of one project, oldest first. The last one is what
// GetIamPolicy answers; an earlier one may still be in effect.
type history struct {
	entries []entry
	// replaced is the policy before the current one, nil if that is the first.
	replaced *iampb.Policy
}

type entry struct {
	policy *iampb.Policy
	set    time.Time
}

// New returns a server in which every project has an empty policy.
func New(cfg Config) *Server {
	return &Server{
		cfg:       cfg,
		started:   cfg.Clock.Now(),
		policies:  map[string]*history{},
		accounts:  func(string) (time.Time, bool) { return time.Time{}, false },
		behaviour: behaviour{Lag: fault.Duration(cfg.Lag)},
	}
}

// ConnectionAccounts tells which service accounts of BigQuery connections exist,
// and since when. Only existing ones can be granted a role.
func (s *Server) ConnectionAccounts(created func(email string) (time.Time, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = created
}

// emptyEtag is the etag of a policy that was never set.
var emptyEtag = []byte{0, 0x20, 0x01}

func (s *Server) history(p project.Project) *history {
	h, ok := s.policies[p.ID]
	if !ok {
		h = &history{entries: []entry{{policy: &iampb.Policy{Version: 1, Etag: emptyEtag}}}}
		s.policies[p.ID] = h
	}
	return h
}

func (h *history) current() *iampb.Policy { return h.entries[len(h.entries)-1].policy }

// effective is the last policy set at least lag before now.
func (h *history) effective(now time.Time, lag time.Duration) *iampb.Policy {
	i := len(h.entries) - 1
	for i > 0 && h.entries[i].set.Add(lag).After(now) {
		i--
	}
	h.entries = h.entries[i:] // what came before never matters again
	return h.entries[0].policy
}

// Allowed reports whether the project's policy lets a member such as
// "serviceAccount:a@b" use a permission now. A binding with a condition allows
// nothing: the emulator does not evaluate conditions.
func (s *Server) Allowed(projectID, member, permission string) bool {
	p, err := s.cfg.Projects.Lookup(projectID)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.history(p).effective(s.cfg.Clock.Now(), time.Duration(s.behaviour.Lag)).GetBindings() {
		if b.GetCondition() == nil && slices.Contains(rolesWith[permission], b.GetRole()) &&
			slices.ContainsFunc(b.GetMembers(), func(m string) bool { return strings.EqualFold(m, member) }) {
			return true
		}
	}
	return false
}

// Grant gives a member a role in a project's policy, unless it has it there: so BigQuery
// does for the account of a default connection. As any other it takes effect after the
// lag.
func (s *Server) Grant(projectID, role, member string) {
	p, err := s.cfg.Projects.Lookup(projectID)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.history(p)
	next := proto.CloneOf(h.current())
	next.Bindings = merge(append(next.Bindings, &iampb.Binding{Role: role, Members: []string{member}}))
	if proto.Equal(next, h.current()) {
		return
	}
	h.push(next, s.cfg.Clock.Now())
}

// push makes a policy the current one.
func (h *history) push(next *iampb.Policy, now time.Time) {
	next.Etag = make([]byte, 8)
	_, _ = rand.Read(next.Etag)
	h.replaced = h.current()
	h.entries = append(h.entries, entry{policy: next, set: now})
}

// Inventory lists every binding of every project, one element for each member.
func (s *Server) Inventory() []any {
	type binding struct {
		Project   string `json:"project"`
		Role      string `json:"role"`
		Member    string `json:"member"`
		Condition string `json:"condition,omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	for id, h := range s.policies {
		for _, b := range h.current().GetBindings() {
			for _, m := range b.GetMembers() {
				all = append(all, binding{id, b.GetRole(), m, b.GetCondition().GetExpression()})
			}
		}
	}
	slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

// lookup finds the project of a name such as "projects/my-project".
func (s *Server) lookup(name string) (project.Project, error) {
	id, ok := strings.CutPrefix(name, "projects/")
	if !ok {
		return project.Project{}, status.Errorf(codes.InvalidArgument, "The resource name %q is not valid: want projects/PROJECT.", name)
	}
	p, err := s.cfg.Projects.Lookup(id)
	if err != nil {
		// Resource Manager does not say whether such a project exists.
		return project.Project{}, status.Errorf(codes.PermissionDenied, "The caller does not have permission on %s (or it may not exist): %v.", name, err)
	}
	return p, nil
}

// GetProject answers any project whose id is valid: it exists once it is named.
func (s *Server) GetProject(_ context.Context, r *resourcemanagerpb.GetProjectRequest) (*resourcemanagerpb.Project, error) {
	p, err := s.lookup(r.GetName())
	if err != nil {
		return nil, err
	}
	return &resourcemanagerpb.Project{
		Name:        "projects/" + p.Number,
		ProjectId:   p.ID,
		DisplayName: p.ID,
		State:       resourcemanagerpb.Project_ACTIVE,
		CreateTime:  timestamppb.New(s.started),
		UpdateTime:  timestamppb.New(s.started),
	}, nil
}

// GetIamPolicy answers the policy. Below version 3 conditions are left out and
// the roles they belong to renamed, as Google does, so that nobody takes a
// conditional grant for an unconditional one.
func (s *Server) GetIamPolicy(_ context.Context, r *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	p, err := s.lookup(r.GetResource())
	if err != nil {
		return nil, err
	}
	version := r.GetOptions().GetRequestedPolicyVersion()
	if version != 0 && version != 1 && version != 3 {
		return nil, status.Errorf(codes.InvalidArgument, "Requested policy version %d is not valid: use 0, 1 or 3.", version)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	policy := proto.CloneOf(s.read(s.history(p)))
	if version < 3 {
		policy.Version = 1
		for _, b := range policy.GetBindings() {
			if b.GetCondition() != nil {
				b.Role += "_withcond_" + shortHash(b.GetCondition().GetExpression())
				b.Condition = nil
			}
		}
	}
	return policy, nil
}

// SetIamPolicy replaces the policy. With an etag it does so only if the policy is
// still the one that etag belongs to.
func (s *Server) SetIamPolicy(_ context.Context, r *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	p, err := s.lookup(r.GetResource())
	if err != nil {
		return nil, err
	}
	if r.GetPolicy() == nil {
		return nil, status.Error(codes.InvalidArgument, "The policy is missing.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.history(p)
	current := h.current()
	if etag := r.GetPolicy().GetEtag(); len(etag) > 0 && string(etag) != string(current.GetEtag()) {
		return nil, status.Errorf(codes.Aborted, "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. The request's ETag '%x' did not match the current policy's ETag '%x'.", etag, current.GetEtag())
	}
	next := proto.CloneOf(current)
	for _, field := range maskOf(r) {
		switch field {
		case "bindings":
			next.Bindings = proto.CloneOf(r.GetPolicy()).GetBindings()
			next.Version = r.GetPolicy().GetVersion()
		case "audit_configs":
			next.AuditConfigs = proto.CloneOf(r.GetPolicy()).GetAuditConfigs()
		case "etag", "version":
		default:
			return nil, status.Errorf(codes.InvalidArgument, "update_mask: %q is not a field of a policy.", field)
		}
	}
	if err := s.check(next, current); err != nil {
		return nil, err
	}
	next.Bindings = merge(next.GetBindings())
	next.Version = max(next.GetVersion(), 1)
	h.push(next, s.cfg.Clock.Now())
	return proto.CloneOf(next), nil
}

// maskOf is the update mask; by default what Google documents, "bindings, etag".
func maskOf(r *iampb.SetIamPolicyRequest) []string {
	if paths := r.GetUpdateMask().GetPaths(); len(paths) > 0 {
		return paths
	}
	return []string{"bindings", "etag"}
}

var (
	rolePattern   = regexp.MustCompile(`^(roles|(projects|organizations)/[^/]+/roles)/[A-Za-z0-9_.]+$`)
	memberPattern = regexp.MustCompile(`^(allUsers|allAuthenticatedUsers|(user|serviceAccount|group):[^@\s:]+@[^@\s:]+|domain:[^@\s:]+|project(Owner|Editor|Viewer):\S+|deleted:\S+|principal(Set)?://\S+)$`)
)

// connectionDomain is where BigQuery makes the service accounts of connections.
const connectionDomain = "@gcp-sa-bigquery-condel.iam.gserviceaccount.com"

func (s *Server) check(next, current *iampb.Policy) error {
	if v := next.GetVersion(); v != 0 && v != 1 && v != 3 {
		return status.Errorf(codes.InvalidArgument, "Policy version %d is not valid: use 0, 1 or 3.", v)
	}
	known := map[string]bool{}
	for _, b := range current.GetBindings() {
		for _, m := range b.GetMembers() {
			known[m] = true
		}
	}
	for _, b := range next.GetBindings() {
		if !rolePattern.MatchString(b.GetRole()) {
			return status.Errorf(codes.InvalidArgument, "Role %q is not supported for this resource.", b.GetRole())
		}
		if b.GetCondition() != nil && next.GetVersion() != 3 {
			return status.Error(codes.InvalidArgument, "Specifying a policy with conditions requires policy version 3.")
		}
		if c := b.GetCondition(); c != nil && c.GetExpression() == "" {
			return status.Error(codes.InvalidArgument, "A condition needs an expression.")
		}
		for _, m := range b.GetMembers() {
			if !memberPattern.MatchString(m) {
				return status.Errorf(codes.InvalidArgument, "Invalid principal %q: want, for example, user:a@example.com or serviceAccount:a@p.iam.gserviceaccount.com.", m)
			}
			email, isAccount := strings.CutPrefix(m, "serviceAccount:")
			if isAccount && !known[m] && strings.HasSuffix(strings.ToLower(email), connectionDomain) && !s.knows(email) {
				return status.Errorf(codes.InvalidArgument, "Service account %s does not exist.", email)
			}
		}
	}
	return nil
}

// merge joins bindings of the same role and condition and drops empty ones.
func merge(bindings []*iampb.Binding) []*iampb.Binding {
	var out []*iampb.Binding
	for _, b := range bindings {
		i := slices.IndexFunc(out, func(o *iampb.Binding) bool {
			return o.GetRole() == b.GetRole() && proto.Equal(o.GetCondition(), b.GetCondition())
		})
		if i < 0 {
			out = append(out, &iampb.Binding{Role: b.GetRole(), Condition: b.GetCondition()})
			i = len(out) - 1
		}
		for _, m := range b.GetMembers() {
			if !slices.Contains(out[i].GetMembers(), m) {
				out[i].Members = append(out[i].Members, m)
			}
		}
	}
	return slices.DeleteFunc(out, func(b *iampb.Binding) bool { return len(b.GetMembers()) == 0 })
}

// TestIamPermissions answers all that was asked: the emulator checks no
// credentials, its callers may do everything.
func (s *Server) TestIamPermissions(_ context.Context, r *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	if _, err := s.lookup(r.GetResource()); err != nil {
		return nil, err
	}
	return AllPermissions(r)
}

// AllPermissions is the answer of TestIamPermissions to a caller who may do
// everything. Wildcards are not allowed.
func AllPermissions(r *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	for _, p := range r.GetPermissions() {
		if p == "" || strings.Contains(p, "*") {
			return nil, status.Errorf(codes.InvalidArgument, "Permission %q is not valid.", p)
		}
	}
	return &iampb.TestIamPermissionsResponse{Permissions: r.GetPermissions()}, nil
}

func unimplemented[T any](what string) (T, error) {
	var none T
	return none, status.Errorf(codes.Unimplemented, "The emulator does not %s: a project exists once its id is used, and only its IAM policy can change.", what)
}

// The rest of the service is not part of the emulator.

func (s *Server) ListProjects(context.Context, *resourcemanagerpb.ListProjectsRequest) (*resourcemanagerpb.ListProjectsResponse, error) {
	return unimplemented[*resourcemanagerpb.ListProjectsResponse]("list projects")
}

func (s *Server) SearchProjects(context.Context, *resourcemanagerpb.SearchProjectsRequest) (*resourcemanagerpb.SearchProjectsResponse, error) {
	return unimplemented[*resourcemanagerpb.SearchProjectsResponse]("search projects")
}

func (s *Server) CreateProject(context.Context, *resourcemanagerpb.CreateProjectRequest) (*longrunningpb.Operation, error) {
	return unimplemented[*longrunningpb.Operation]("create projects")
}

func (s *Server) UpdateProject(context.Context, *resourcemanagerpb.UpdateProjectRequest) (*longrunningpb.Operation, error) {
	return unimplemented[*longrunningpb.Operation]("update projects")
}

func (s *Server) MoveProject(context.Context, *resourcemanagerpb.MoveProjectRequest) (*longrunningpb.Operation, error) {
	return unimplemented[*longrunningpb.Operation]("move projects")
}

func (s *Server) DeleteProject(context.Context, *resourcemanagerpb.DeleteProjectRequest) (*longrunningpb.Operation, error) {
	return unimplemented[*longrunningpb.Operation]("delete projects")
}

func (s *Server) UndeleteProject(context.Context, *resourcemanagerpb.UndeleteProjectRequest) (*longrunningpb.Operation, error) {
	return unimplemented[*longrunningpb.Operation]("undelete projects")
}
