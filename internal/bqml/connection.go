// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package bqml

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/bigqueryconnection/v1"
	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// ConnectionSpec is a CLOUD_RESOURCE connection as it should be.
type ConnectionSpec struct {
	Name         gcp.Name
	FriendlyName string // "" leaves the field to gcpml's marker
	Description  string
	// KMSKey is the full name of a Cloud KMS key, without a version; "" is Google's own.
	KMSKey string
	// Grants are given to the connection's service account.
	Grants []Grant
}

// Grant is a role in a project.
type Grant struct{ Project, Role string }

func (g Grant) String() string { return g.Role + " in project " + g.Project }

// Connection is a CLOUD_RESOURCE connection as the server has it.
type Connection struct {
	FriendlyName   string // "" while the field holds a marker
	Description    string
	KMSKey         string // without version
	ServiceAccount string // e-mail address
	// Grants are the roles that the policies of the projects that were asked for give the
	// service account without a condition, in order. Unread tells, by project, why it is
	// not known what the policy gives: it could not be read, or the answer to a change of
	// it was lost.
	Grants []Grant
	Unread map[string]error

	Identity Identity
}

// Identity tells one object from another of the same name, made before or after it.
type Identity struct {
	Marker gcp.Marker
	// Created is the server's time of creation, in milliseconds since 1970.
	Created int64
}

// Is reports whether the object is the one that was remembered: by its marker if it
// carries one, else by its time of creation.
func (i Identity) Is(incarnation string, created int64) bool {
	if i.Marker.Incarnation != "" {
		return i.Marker.Incarnation == incarnation
	}
	return i.Created != 0 && i.Created == created
}

// A connection has no labels, so its marker is written in friendly_name:
//
//	gcpml owner=team-a spec=0123456789abcdef0123 incarnation=0123456789abcdef
const markerLead = "gcpml "

// IsMarker reports whether a friendly name would be read as a marker of gcpml.
func IsMarker(friendlyName string) bool { return markerIn(friendlyName) != (gcp.Marker{}) }

func markerText(m gcp.Marker) string {
	s := strings.TrimSpace(markerLead)
	for _, field := range []struct{ key, value string }{{"owner", m.Owner}, {"spec", m.Spec}, {"incarnation", m.Incarnation}} {
		if field.value != "" {
			s += " " + field.key + "=" + field.value
		}
	}
	return s
}

// markerIn reads a marker out of a friendly name; the zero marker if it holds none.
func markerIn(friendlyName string) gcp.Marker {
	text, ok := strings.CutPrefix(friendlyName, markerLead)
	if !ok {
		return gcp.Marker{}
	}
	var m gcp.Marker
	for _, field := range strings.Fields(text) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "owner":
			m.Owner = value
		case "spec":
			m.Spec = value
		case "incarnation":
			m.Incarnation = value
		}
	}
	if markerText(m) != friendlyName {
		return gcp.Marker{} // a user's sentence that happens to start like one
	}
	return m
}

// marker returns the mark for a connection that is about to be made. All that
// cannot change after creation is in its name.
func (s ConnectionSpec) marker(owner string) gcp.Marker {
	return gcp.NewMarker(owner, []string{"CLOUD_RESOURCE", strings.ToLower(s.Name.Location), s.Name.ID})
}

// CreateConnection makes the connection and gives its service account the roles.
// It returns the connection, as far as it got, also together with an error: nil
// means that there is none of ours.
//
// The connection is made with its marker in friendly_name; a friendly name of the
// user's replaces that afterwards. So a create whose answer was lost, in this
// process or one that was killed, is known for ours.
func (s *Service) CreateConnection(ctx context.Context, spec ConnectionSpec, o Options) (*Connection, error) {
	marker := o.mark(spec.marker(s.clients.OwnershipID()))
	made, existing, err := s.create(ctx, spec, marker)
	if err != nil {
		return nil, err
	}
	if existing {
		if found := markerIn(made.FriendlyName); made.CloudResource == nil || !marker.Adoptable(found) {
			return nil, marker.RefuseAdoption("BigQuery connection", spec.Name.String(), found)
		}
		o.Progress.tell("adopting connection %s", spec.Name)
	}
	out := connectionOf(made)
	if out.ServiceAccount == "" {
		// It is made together with the connection, but need not be in the answer.
		if made, err = s.getConnection(ctx, spec.Name); err != nil {
			return out, err
		}
		out = connectionOf(made)
	}
	if mask := spec.changes(out, marker); len(mask) > 0 {
		if made, err = s.patchConnection(ctx, spec, marker, mask); err != nil {
			return out, err
		}
		out = connectionOf(made)
	}
	err = s.grant(ctx, spec, out, spec.Grants, o)
	return out, err
}

// An id may be taken by what is about to appear, or has just gone.
const idReleasedAfter = 30 * time.Second

// create sends the create; existing tells that the connection returned was there
// before.
func (s *Service) create(ctx context.Context, spec ConnectionSpec, marker gcp.Marker) (made *bigqueryconnection.Connection, existing bool, err error) {
	client, err := s.clients.Connections(ctx)
	if err != nil {
		return nil, false, err
	}
	for began := time.Now(); ; {
		err = gcp.Retry(ctx, "bigqueryconnection.connections.create", func(ctx context.Context) (err error) {
			made, err = client.Create(apiName(spec.Name).Parent(), &bigqueryconnection.Connection{
				FriendlyName:  markerText(marker),
				Description:   spec.Description,
				KmsKeyName:    spec.KMSKey,
				CloudResource: &bigqueryconnection.CloudResourceProperties{},
			}).ConnectionId(spec.Name.ID).Context(ctx).Do()
			return err
		})
		if !gcp.IsAlreadyExists(err) {
			return made, false, err
		}
		found, getErr := s.getConnection(ctx, spec.Name)
		if !gcp.IsNotFound(getErr) {
			return found, true, getErr
		}
		if time.Since(began) > idReleasedAfter || gcp.Sleep(ctx, time.Second) != nil {
			return nil, false, err
		}
	}
}

func (s ConnectionSpec) friendlyName(m gcp.Marker) string {
	if s.FriendlyName != "" {
		return s.FriendlyName
	}
	return markerText(m)
}

// changes are the fields, as an update mask has them, that are not yet as spec wants.
// Only those are sent: naming a key again could be an attempt to use it.
func (s ConnectionSpec) changes(have *Connection, m gcp.Marker) (mask []string) {
	if have.FriendlyName != s.FriendlyName || s.FriendlyName == "" && markerText(have.Identity.Marker) != markerText(m) {
		mask = append(mask, "friendlyName")
	}
	if have.Description != s.Description {
		mask = append(mask, "description")
	}
	if have.KMSKey != s.KMSKey {
		mask = append(mask, "kmsKeyName")
	}
	return mask
}

// GetConnection reads a connection, and the roles of its service account in the projects.
func (s *Service) GetConnection(ctx context.Context, name gcp.Name, projects ...string) (*Connection, error) {
	found, err := s.getConnection(ctx, name)
	if err != nil {
		return nil, err
	}
	if found.CloudResource == nil {
		return nil, fmt.Errorf("connection %s is not of type CLOUD_RESOURCE, the only one through which BigQuery calls Vertex AI", name)
	}
	out := connectionOf(found)
	for _, project := range projects {
		roles, err := s.clients.MemberRoles(ctx, project, out.member())
		if err != nil {
			out.Unread[project] = err
			continue
		}
		for _, role := range roles {
			out.Grants = append(out.Grants, Grant{project, role})
		}
	}
	return out, nil
}

// UpdateConnection brings friendly name, description and key to spec, gives the grants in
// add and takes the ones in remove. The returned connection is what the server has,
// also together with an error; nil if it is not known. granted are those of add that
// the account did not have before.
func (s *Service) UpdateConnection(ctx context.Context, spec ConnectionSpec, add, remove []Grant, o Options) (out *Connection, granted []Grant, err error) {
	out, err = s.GetConnection(ctx, spec.Name, projectsOf(slices.Concat(spec.Grants, remove))...)
	if err != nil {
		return nil, nil, err
	}
	for _, project := range projectsOf(slices.Concat(add, remove)) {
		if err := out.Unread[project]; err != nil {
			return out, nil, fmt.Errorf("reading the IAM policy of project %s: %w", project, err)
		}
	}
	marker := o.mark(spec.marker(s.clients.OwnershipID()))
	if mask := spec.changes(out, marker); len(mask) > 0 {
		patched, err := s.patchConnection(ctx, spec, marker, mask)
		if err != nil {
			return out, nil, err
		}
		was := out
		out = connectionOf(patched)
		out.Grants, out.Unread = was.Grants, was.Unread
	}
	granted = slices.DeleteFunc(slices.Clone(add), func(g Grant) bool { return slices.Contains(out.Grants, g) })
	if err := s.grant(ctx, spec, out, add, o); err != nil {
		// What was given before the failure is in out, or it is not known.
		return out, slices.DeleteFunc(granted, func(g Grant) bool { return !slices.Contains(out.Grants, g) && out.Unread[g.Project] == nil }), err
	}
	for project, roles := range byProject(remove) {
		if err := s.clients.RevokeRoles(ctx, project, out.member(), roles); err != nil {
			return out, granted, err
		}
		out.Grants = slices.DeleteFunc(out.Grants, func(g Grant) bool { return g.Project == project && slices.Contains(roles, g.Role) })
	}
	return out, granted, nil
}

// byProject groups roles, in the order of the projects' names.
func byProject(grants []Grant) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, project := range projectsOf(grants) {
			var roles []string
			for _, g := range grants {
				if g.Project == project {
					roles = append(roles, g.Role)
				}
			}
			if !yield(project, roles) {
				return
			}
		}
	}
}

func projectsOf(grants []Grant) (projects []string) {
	for _, g := range grants {
		projects = append(projects, g.Project)
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

// ErrForeign means that the object under this name is not the one that was made
// from this state.
var ErrForeign = errors.New("the object of this name was made by somebody else after ours was deleted")

// MadeConnection is what a state remembers of the connection that it made.
type MadeConnection struct {
	Incarnation    string
	Created        int64
	ServiceAccount string
	Grants         []Grant
}

// DeleteConnection takes the roles from the service account, which dies with the
// connection, and deletes the connection if it is the one that was made; otherwise
// it returns [ErrForeign]. A connection that is gone already is no error.
func (s *Service) DeleteConnection(ctx context.Context, name gcp.Name, made MadeConnection) error {
	found, err := s.getConnection(ctx, name)
	if gcp.IsNotFound(err) {
		found, err = nil, nil
	}
	if err != nil {
		return err
	}
	foreign := found != nil && !connectionOf(found).Identity.Is(made.Incarnation, made.Created)
	// Each connection has an account of its own. If that is ours and the mark is not,
	// another state has taken the connection over, and the grants with it; without
	// two marks to compare it is ours.
	same := found != nil && made.ServiceAccount != "" && accountOf(found) == made.ServiceAccount
	takenOver := foreign && same
	if same && (made.Incarnation == "" || connectionOf(found).Identity.Marker.Incarnation == "") {
		foreign, takenOver = false, false
	}
	if made.ServiceAccount != "" && !takenOver {
		for project, roles := range byProject(made.Grants) {
			if err := s.clients.RevokeRoles(ctx, project, "serviceAccount:"+made.ServiceAccount, roles); err != nil {
				return fmt.Errorf("taking %s in project %s from %s: %w", strings.Join(roles, ", "), project, made.ServiceAccount, err)
			}
		}
	}
	switch {
	case found == nil:
		return nil
	case foreign:
		return ErrForeign
	}
	client, err := s.clients.Connections(ctx)
	if err != nil {
		return err
	}
	err = gcp.Retry(ctx, "bigqueryconnection.connections.delete", func(ctx context.Context) error {
		_, err := client.Delete(apiName(name).String()).Context(ctx).Do()
		return err
	})
	if gcp.IsNotFound(err) {
		return gone(err, func() error { _, err := s.getConnection(ctx, name); return err })
	}
	return err
}

// gone doubts a NOT_FOUND that a delete was answered, since what it was to delete
// had just been read: only if reading says the same the object is gone. Otherwise
// the state must keep it, and the answer is the error.
func gone(answer error, read func() error) error {
	if gcp.IsNotFound(read()) {
		return nil
	}
	return fmt.Errorf("the delete was answered that there is no such object, and it is still there: %w", answer)
}

func (s *Service) grant(ctx context.Context, spec ConnectionSpec, c *Connection, grants []Grant, o Options) error {
	for project, roles := range byProject(grants) {
		if c.ServiceAccount == "" {
			return fmt.Errorf("connection %s has no service account to grant %s to", spec.Name, strings.Join(roles, ", "))
		}
		o.Progress.tell("granting %s in project %s to %s", strings.Join(roles, ", "), project, c.ServiceAccount)
		if _, err := s.clients.GrantRoles(ctx, project, c.member(), roles, o.Propagation); err != nil {
			if mayHaveWorked(err) {
				c.Unread[project] = err
			}
			return fmt.Errorf("granting %s to %s in project %s: %w", strings.Join(roles, ", "), c.ServiceAccount, project, err)
		}
		for _, role := range roles {
			if g := (Grant{project, role}); !slices.Contains(c.Grants, g) {
				c.Grants = append(c.Grants, g)
			}
		}
	}
	return nil
}

// mayHaveWorked reports whether an error leaves open what became of the call.
func mayHaveWorked(err error) bool {
	return slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.Canceled}, gcp.Code(err))
}

func (s *Service) getConnection(ctx context.Context, name gcp.Name) (found *bigqueryconnection.Connection, err error) {
	client, err := s.clients.Connections(ctx)
	if err != nil {
		return nil, err
	}
	err = gcp.Retry(ctx, "bigqueryconnection.connections.get", func(ctx context.Context) (err error) {
		found, err = client.Get(apiName(name).String()).Context(ctx).Do()
		return err
	})
	return found, err
}

// patchConnection brings the fields of the mask to spec. One that is in the mask and
// empty is cleared.
func (s *Service) patchConnection(ctx context.Context, spec ConnectionSpec, marker gcp.Marker, mask []string) (patched *bigqueryconnection.Connection, err error) {
	client, err := s.clients.Connections(ctx)
	if err != nil {
		return nil, err
	}
	err = gcp.Retry(ctx, "bigqueryconnection.connections.update", func(ctx context.Context) (err error) {
		patched, err = client.Patch(apiName(spec.Name).String(), &bigqueryconnection.Connection{
			FriendlyName: spec.friendlyName(marker), Description: spec.Description, KmsKeyName: spec.KMSKey,
		}).UpdateMask(strings.Join(mask, ",")).Context(ctx).Do()
		return err
	})
	return patched, err
}

// apiName is the name as the API is called with it: BigQuery takes locations in
// either case, its connections only answer for sure in lower case.
func apiName(n gcp.Name) gcp.Name {
	n.Location = strings.ToLower(n.Location)
	return n
}

func (c *Connection) member() string { return "serviceAccount:" + c.ServiceAccount }

// accountOf is the service account of a connection, "" if it is of another type.
func accountOf(c *bigqueryconnection.Connection) string {
	if c.CloudResource == nil {
		return ""
	}
	return c.CloudResource.ServiceAccountId
}

func connectionOf(c *bigqueryconnection.Connection) *Connection {
	out := &Connection{
		FriendlyName:   c.FriendlyName,
		Description:    c.Description,
		ServiceAccount: accountOf(c),
		Identity:       Identity{Marker: markerIn(c.FriendlyName), Created: c.CreationTime},
		Unread:         map[string]error{},
	}
	out.KMSKey, _, _ = strings.Cut(c.KmsKeyName, "/cryptoKeyVersions/")
	if out.Identity.Marker != (gcp.Marker{}) {
		out.FriendlyName = ""
	}
	return out
}
