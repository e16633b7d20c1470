// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"slices"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
)

func TestPrunable(t *testing.T) {
	version := func(id string, aliases ...string) *pb.Model {
		return &pb.Model{VersionId: id, VersionAliases: aliases}
	}
	deployed := version("3", "gcpml-c")
	deployed.DeployedModels = []*pb.DeployedModelRef{{Endpoint: "e", DeployedModelId: "1"}}
	all := []*pb.Model{
		version("1", "gcpml-a"), version("2", "gcpml-b", "golden"), deployed, version("4"), // somebody else's
		version("5", "gcpml-d", "default"), version("6", "gcpml-e"), version("7", "gcpml-f"), version("10", "gcpml-g"), version("11", "gcpml-h"),
	}
	for _, c := range []struct {
		olderThan string
		keep      int
		want      []string
	}{
		{"10", 0, []string{"7", "6", "1"}}, // in use until now: 10; 11 is the new one
		{"10", 1, []string{"6", "1"}},
		{"10", 2, []string{"1"}},
		{"10", 5, []string{"1"}}, // 7, 6, 5, 3 and 2 stay
		{"10", 6, nil},
		{"6", 0, []string{"1"}},
		{"", 0, nil},
	} {
		if got := prunable(all, c.olderThan, c.keep); !slices.Equal(got, c.want) {
			t.Errorf("older than %q, keeping %d: %v, want %v", c.olderThan, c.keep, got, c.want)
		}
	}
}
