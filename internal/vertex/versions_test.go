// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// left are the versions of the model with their aliases, without marks.
func left(f *fake) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := ""
	for _, v := range f.versions[model("bert", "").String()] {
		text += fmt.Sprint(v.GetVersionId(), usersAliases(v.GetVersionAliases()))
	}
	return text
}

// grown is a model with this many versions of ours.
func grown(t *testing.T, s *Service, versions int) {
	t.Helper()
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	for i := 2; i <= versions; i++ {
		must[*Model](t)(s.UpdateModel(t.Context(), bert(fmt.Sprintf("gs://b/%d/", i)), fmt.Sprint(i-1), Report{}))
	}
}

func TestAliasesAreSettled(t *testing.T) {
	for name, fault := range map[string]func(*fake){
		"undisturbed":   func(*fake) {},
		"answer lost":   func(f *fake) { f.after = once("MergeVersionAliases", errLost) },
		"request lost":  func(f *fake) { f.before = once("MergeVersionAliases", errLost) },
		"upload's lost": func(f *fake) { f.after = once2("UploadModel", errLost) },
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			spec := bert("gs://b/1/")
			spec.Aliases, spec.VersionDescription = []string{"default", "golden"}, "one"
			must[*Model](t)(s.UploadModel(t.Context(), spec, Report{}))
			fault(f)
			next := bert("gs://b/2/")
			next.Aliases, next.VersionDescription = []string{"candidate"}, "two"
			m := must[*Model](t)(s.UpdateModel(t.Context(), next, "1", Report{}))
			if got := left(f); m.VersionID != "2" || m.VersionDescription != "two" || got != "1[default golden]2[candidate]" {
				t.Errorf("version %s %q, all %s", m.VersionID, m.VersionDescription, got)
			}
			next.Version, next.Aliases, next.DropAliases = "2", []string{"default"}, []string{"candidate"}
			m = must[*Model](t)(s.UpdateModel(t.Context(), next, "", Report{}))
			if got := left(f); m.VersionID != "2" || got != "1[golden]2[default]" {
				t.Errorf("version %s, all %s", m.VersionID, got)
			}
			next.Aliases, next.DropAliases = []string{}, []string{"default"} // which cannot be taken
			must[*Model](t)(s.UpdateModel(t.Context(), next, "", Report{}))
			if got := left(f); got != "1[golden]2[default]" || f.effects["version"] != 1 {
				t.Errorf("all %s after %d uploads", got, f.effects["version"])
			}
		})
	}
}

func TestPruneVersions(t *testing.T) {
	internal := status.Error(codes.Internal, "oops")
	for name, c := range map[string]struct {
		fault func(*fake)
		fails bool
		want  string
	}{
		"undisturbed": {func(*fake) {}, false, "3[]4[default]"},
		// googleapis/python-aiplatform#2675: INTERNAL, and the version is gone.
		"answered INTERNAL and done":     {func(f *fake) { f.after = once("DeleteModelVersion", internal) }, false, "3[]4[default]"},
		"answered INTERNAL and not done": {func(f *fake) { f.before = once("DeleteModelVersion", internal) }, true, "2[]3[]4[default]"},
		"in use after all":               {func(f *fake) { f.lag = 1 }, false, "2[]3[]4[default]"},
		"answer lost":                    {func(f *fake) { f.after = once("DeleteModelVersion", errLost) }, false, "3[]4[default]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			grown(t, s, 4)
			c.fault(f)
			deleted, err := s.PruneVersions(t.Context(), model("bert", ""), "3", 0, Report{})
			if got := left(f); got != c.want || (err != nil) != c.fails {
				t.Errorf("left %s (deleted %v, error %v), want %s", got, deleted, err, c.want)
			}
		})
	}
}

func TestDeleteVersions(t *testing.T) {
	for name, c := range map[string]struct {
		ids   []string
		fault func(*fake)
		want  string
	}{
		"some":            {[]string{"1", "2"}, func(*fake) {}, "3[default]"},
		"the default one": {[]string{"3", "1"}, func(*fake) {}, "2[default]"},
		"gone":            {[]string{"9"}, func(*fake) {}, "1[]2[]3[default]"},
		"released late":   {[]string{"1"}, func(f *fake) { f.lag = 3 }, "2[]3[default]"},
		"INTERNAL":        {[]string{"1"}, func(f *fake) { f.before = once("DeleteModelVersion", status.Error(codes.Internal, "oops")) }, "2[]3[default]"},
		"answer lost":     {[]string{"1"}, func(f *fake) { f.after = once("DeleteModelVersion", errLost) }, "2[]3[default]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			grown(t, s, 3)
			c.fault(f)
			if err := s.DeleteVersions(t.Context(), model("bert", ""), c.ids, Report{}); err != nil || left(f) != c.want {
				t.Errorf("left %s (%v), want %s", left(f), err, c.want)
			}
		})
	}
	f, s := newFake(t)
	grown(t, s, 2)
	err := s.DeleteVersions(t.Context(), model("bert", ""), []string{"1", "2"}, Report{})
	var only *OnlyVersionError
	if !errors.As(err, &only) || left(f) != "2[default]" {
		t.Errorf("all versions: %v, left %s", err, left(f))
	}
}

// What stays although the server says that it is gone is waited for, in steps, and told.
func TestStillThere(t *testing.T) {
	notFound := func(method string) func(string, int) error {
		return func(m string, _ int) error {
			if m == method {
				return status.Error(codes.NotFound, "no such thing")
			}
			return nil
		}
	}
	for name, fault := range map[string]func(*fake){
		"without effect": func(f *fake) { f.lies = map[string]bool{"deleteVersion": true} },
		"not found":      func(f *fake) { f.before = notFound("DeleteModelVersion") },
	} {
		t.Run("a version "+name, func(t *testing.T) {
			f, s := newFake(t)
			grown(t, s, 2)
			fault(f)
			err := s.DeleteVersions(t.Context(), model("bert", ""), []string{"1"}, Report{})
			var still *StillThereError
			if !errors.As(err, &still) || still.Name.Version != "1" {
				t.Errorf("error %v", err)
			}
			if n := f.calls["DeleteModelVersion"]; n < 3 || n > 100 {
				t.Errorf("%d calls: want some, with pauses between them", n)
			}
		})
	}
	t.Run("a model not found", func(t *testing.T) {
		f, s := newFake(t)
		m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		f.before = notFound("DeleteModel")
		err := s.DeleteModel(t.Context(), m.Name, m.Object, Report{})
		var still *StillThereError
		if !errors.As(err, &still) || still.Name != m.Name {
			t.Errorf("error %v", err)
		}
		if n := f.calls["DeleteModel"]; n < 3 || n > 100 {
			t.Errorf("%d calls: want some, with pauses between them", n)
		}
	})
}

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
