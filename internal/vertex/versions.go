// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

// usersAliases are the aliases that are not our marks, sorted.
func usersAliases(all []string) (users []string) {
	for _, alias := range all {
		if !strings.HasPrefix(alias, aliasPrefix) {
			users = append(users, alias)
		}
	}
	slices.Sort(users)
	return users
}

// marks are the aliases that are ours.
func marks(all []string) (ours []string) {
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return !strings.HasPrefix(a, aliasPrefix) })
}

// mergeAliases gives aliases to a version, wherever they are now, and takes others
// from it.
func (s *Service) mergeAliases(ctx context.Context, client *aiplatform.ModelClient, version gcp.Name, add, remove []string) error {
	request := &pb.MergeVersionAliasesRequest{Name: version.String(), VersionAliases: slices.Clone(add)}
	for _, alias := range remove {
		request.VersionAliases = append(request.VersionAliases, "-"+alias)
	}
	if len(request.GetVersionAliases()) == 0 {
		return nil
	}
	err := gcp.Retry(ctx, "vertex.models.mergeAliases", func(ctx context.Context) error {
		_, err := client.MergeVersionAliases(ctx, request)
		return err
	})
	if err != nil {
		return fmt.Errorf("changing the aliases of version %s (%s): %w", version.Version, strings.Join(request.GetVersionAliases(), ", "), err)
	}
	return nil
}

// settleAliases gives the version of m the aliases that it is to have, and takes those
// from it that it is no longer to have. The default one is never taken: it can only be
// given to another version.
func (s *Service) settleAliases(ctx context.Context, client *aiplatform.ModelClient, spec ModelSpec, at gcp.Name, m *Model) (*Model, error) {
	missing := slices.DeleteFunc(slices.Clone(spec.wanted()), func(a string) bool { return slices.Contains(m.Aliases, a) })
	drop := slices.DeleteFunc(slices.Clone(spec.DropAliases), func(a string) bool { return a == DefaultAlias || !slices.Contains(m.Aliases, a) })
	if len(missing)+len(drop) == 0 {
		return m, nil
	}
	if err := s.mergeAliases(ctx, client, spec.Name.WithVersion(m.VersionID), missing, drop); err != nil {
		return nil, err
	}
	return s.ReadModel(ctx, at)
}

// FindVersion returns the version that an upload with this specification made, which
// may have been interrupted. [gcp.IsNotFound] tells that it made none.
func (s *Service) FindVersion(ctx context.Context, spec ModelSpec, from string) (*Model, error) {
	return s.ReadModel(ctx, spec.Name.WithVersion(versionAlias(spec.Content, from)))
}

// OnlyVersionError means that a version cannot be deleted because its model has no
// other one.
type OnlyVersionError struct{ Version gcp.Name }

func (e *OnlyVersionError) Error() string {
	return fmt.Sprintf("%s is the only version of its model, with which alone it can be deleted", e.Version)
}

// StillThereError means that the server reported a model or version as gone, but
// goes on to show it.
type StillThereError struct{ Name gcp.Name }

func (e *StillThereError) Error() string {
	return fmt.Sprintf("%s was reported as gone when it was to be deleted, but is still there. Try again later", e.Name)
}

// DeleteVersions deletes versions of a model that stays. If the default version is
// one of them, the newest one that stays becomes that. Versions that are gone are no
// error; those that endpoints serve are waited for as models are.
func (s *Service) DeleteVersions(ctx context.Context, name gcp.Name, ids []string, r Report) error {
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return err
	}
	unlock, err := s.clients.Lock(ctx, name.String())
	if err != nil {
		return err
	}
	defer unlock()
	gone, lag := "", (*pause)(nil) // the version that was reported as gone last
	for pause := s.patience.begin(); ; {
		all, err := s.Versions(ctx, name)
		if gcp.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		stays := ""
		var ours []*Model
		for _, v := range all {
			if slices.Contains(ids, v.VersionID) {
				ours = append(ours, v)
			} else {
				stays = v.VersionID
			}
		}
		if len(ours) == 0 {
			return nil
		}
		next := ours[0]
		version := name.WithVersion(next.VersionID)
		if slices.Contains(next.Aliases, DefaultAlias) {
			if stays == "" && len(ours) == 1 {
				return &OnlyVersionError{version}
			}
			if stays == "" {
				stays = ours[1].VersionID
			}
			if err := s.mergeAliases(ctx, client, name.WithVersion(stays), []string{DefaultAlias}, nil); err != nil {
				return err
			}
		}
		_, err = start(ctx, client, "vertex.models.deleteVersion", "deleting version "+next.VersionID, r, func(ctx context.Context) (*aiplatform.DeleteModelVersionOperation, error) {
			return client.DeleteModelVersion(ctx, &pb.DeleteModelVersionRequest{Name: version.String()})
		})
		switch {
		case err == nil, gcp.IsNotFound(err):
			// The next look tells, which may lag behind.
			if gone != next.VersionID {
				gone, lag = next.VersionID, s.patience.begin()
			} else if !lag.wait(ctx, s.patience.appear) {
				return interrupted(ctx, &StillThereError{version})
			}
			continue
		case !errors.Is(err, gcp.ErrOperationLost) && !isOneOf(err, codes.FailedPrecondition, codes.Aborted, codes.Internal):
			return interrupted(ctx, err)
		}
		// It may just have been released by an endpoint, or not have been deleted despite
		// an INTERNAL error, or the other way round.
		budget := s.patience.release
		if len(next.Deployed) > 0 {
			budget = s.patience.precondition
		}
		r.progress("version %s is not deleted yet (%s): trying again", next.VersionID, gcp.Message(err))
		if !pause.wait(ctx, budget) {
			return interrupted(ctx, err)
		}
	}
}

// Versions returns the versions of a model, oldest first.
func (s *Service) Versions(ctx context.Context, name gcp.Name) ([]*Model, error) {
	all, err := s.versions(ctx, name)
	if err != nil {
		return nil, err
	}
	out := make([]*Model, len(all))
	for i, v := range all {
		out[i] = readModel(v, name)
	}
	return out, nil
}

func (s *Service) versions(ctx context.Context, name gcp.Name) (all []*pb.Model, err error) {
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	err = gcp.Retry(ctx, "vertex.models.listVersions", func(ctx context.Context) error {
		all = all[:0]
		for v, err := range client.ListModelVersions(ctx, &pb.ListModelVersionsRequest{Name: name.WithVersion("").String()}).All() {
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b *pb.Model) int { return cmp.Compare(number(a.GetVersionId()), number(b.GetVersionId())) })
	return all, err
}

// number is a version id as the number that it is.
func number(version string) int {
	n, _ := strconv.Atoi(version)
	return n
}

// PruneVersions deletes versions of our own making that are older than one that was
// in use, apart from the newest of them, as many as keep says. What is deployed, the
// default version, and what has an alias of somebody's stays. It returns the ids of
// what it deleted, also with an error.
func (s *Service) PruneVersions(ctx context.Context, name gcp.Name, olderThan string, keep int, r Report) (deleted []string, err error) {
	client, err := s.clients.Models(ctx, name.Location)
	if err != nil {
		return nil, err
	}
	all, err := s.versions(ctx, name)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, v := range prunable(all, olderThan, keep) {
		version := name.WithVersion(v)
		_, err := start(ctx, client, "vertex.models.deleteVersion", "deleting version "+v, r, func(ctx context.Context) (*aiplatform.DeleteModelVersionOperation, error) {
			return client.DeleteModelVersion(ctx, &pb.DeleteModelVersionRequest{Name: version.String()})
		})
		if err != nil && !isOneOf(err, codes.FailedPrecondition, codes.NotFound) {
			// The service is known to answer INTERNAL for versions that it did delete.
			if _, readErr := s.ReadModel(ctx, version); !gcp.IsNotFound(readErr) {
				failed = append(failed, fmt.Errorf("version %s: %w", v, interrupted(ctx, err)))
				continue
			}
		}
		if isOneOf(err, codes.FailedPrecondition) {
			r.progress("version %s stays: %s", v, gcp.Message(err)) // in use since it was looked at
			continue
		}
		deleted = append(deleted, v)
	}
	return deleted, errors.Join(failed...)
}

// prunable are the ids of the versions that may go, newest first.
func prunable(all []*pb.Model, olderThan string, keep int) (ids []string) {
	for _, v := range slices.Backward(all) {
		aliases := v.GetVersionAliases()
		ours := slices.ContainsFunc(aliases, func(a string) bool { return strings.HasPrefix(a, aliasPrefix) })
		if !ours || number(v.GetVersionId()) >= number(olderThan) {
			continue
		}
		if keep--; keep < 0 && len(usersAliases(aliases)) == 0 && len(v.GetDeployedModels()) == 0 {
			ids = append(ids, v.GetVersionId())
		}
	}
	return ids
}
