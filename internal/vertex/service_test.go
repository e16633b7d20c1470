// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package vertex

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gcpml/terraform-provider-gcpml/internal/gcp"
)

func bert(artifact string) ModelSpec {
	spec := ModelSpec{
		Name: model("bert", ""), DisplayName: "Bert", Labels: map[string]string{"team": "ml"},
		Content: Content{ArtifactURI: artifact, Container: Container{ImageURI: "image"}},
	}
	spec.Marker = ModelMarker("", spec)
	return spec
}

func message(t *testing.T, spec ModelSpec, labels map[string]string) *pb.Model {
	t.Helper()
	return must[*pb.Model](t)(spec.upload(labels))
}

func reviews(version string) EndpointSpec {
	spec := EndpointSpec{
		Name:        gcp.Name{Project: "p", Location: "us-central1", Kind: gcp.KindEndpoint, ID: "reviews"},
		DisplayName: "Reviews", Deployments: map[string]Deployment{"main": {Model: model("bert", version), Resources: small(1, 1)}},
	}
	spec.Marker = EndpointMarker("", spec.Name, spec.Config)
	return spec
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestLostAnswerOfUpload(t *testing.T) {
	f, s := newFake(t)
	f.after = once("UploadModel", errLost)
	m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	if f.effects["upload"] != 1 || m.VersionID != "1" {
		t.Errorf("%d uploads, version %s", f.effects["upload"], m.VersionID)
	}
}

// The provider was killed while the upload ran: there is an operation, no model,
// and the id is taken.
func TestUploadAlreadyRuns(t *testing.T) {
	f, s := newFake(t)
	spec := bert("gs://b/1/")
	spec.Marker = ModelMarker("team-a", spec)
	f.polls = 3
	if _, err := f.UploadModel(t.Context(), &pb.UploadModelRequest{Parent: spec.Name.Parent(), ModelId: "bert", Model: message(t, spec, spec.Marker.Labels(spec.Labels))}); err != nil {
		t.Fatal(err)
	}
	again := bert("gs://b/1/")
	again.Marker = ModelMarker("team-a", again)
	m := must[*Model](t)(s.UploadModel(t.Context(), again, Report{}))
	if f.effects["upload"] != 1 {
		t.Errorf("%d uploads", f.effects["upload"])
	}
	if m.Marker.Incarnation != again.Marker.Incarnation {
		t.Error("an adopted model does not carry the mark of who adopted it")
	}
}

func TestAdoption(t *testing.T) {
	ours := ModelMarker("team-a", bert("gs://b/1/"))
	for name, c := range map[string]struct {
		there gcp.Marker
		owner string
		adopt bool
	}{
		"ours":           {ours, "team-a", true},
		"no ownership":   {ours, "", false},
		"of others":      {gcp.Marker{Owner: "team-b", Spec: ours.Spec, Incarnation: "1"}, "team-a", false},
		"of other make":  {gcp.Marker{Owner: "team-a", Spec: "0123456789", Incarnation: "1"}, "team-a", false},
		"without a mark": {gcp.Marker{}, "team-a", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			there := bert("gs://b/1/")
			if _, err := f.UploadModel(t.Context(), &pb.UploadModelRequest{Parent: there.Name.Parent(), ModelId: "bert", Model: message(t, there, c.there.Labels(nil))}); err != nil {
				t.Fatal(err)
			}
			spec := bert("gs://b/1/")
			spec.Marker = ModelMarker(c.owner, spec)
			m, err := s.UploadModel(t.Context(), spec, Report{})
			if c.adopt {
				if err != nil || m.Labels["team"] != "ml" {
					t.Errorf("not adopted: %v %v", m, err)
				}
				return
			}
			var exists *gcp.ExistsError
			var notMade *NotMadeError
			if !errors.As(err, &exists) || !errors.As(err, &notMade) || exists.ImportID != spec.Name.String() {
				t.Errorf("error %v, want one that it exists, with what to import", err)
			}
			if got := f.labels[spec.Name.String()]; got["team"] != "" {
				t.Errorf("what is not ours was changed: %v", got)
			}
		})
	}
}

func TestNewVersion(t *testing.T) {
	for name, fault := range map[string]func(*fake){
		"undisturbed":  func(*fake) {},
		"answer lost":  func(f *fake) { f.after = once2("UploadModel", errLost) },
		"request lost": func(f *fake) { f.before = once2("UploadModel", errLost) },
		"slow and its answer lost": func(f *fake) {
			f.polls = 2
			f.after = once2("UploadModel", errLost)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
			fault(f)
			m := must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/2/"), "1", Report{}))
			if m.VersionID != "2" || m.ArtifactURI != "gs://b/2/" || f.effects["version"] != 1 {
				t.Errorf("version %s of %s after %d uploads, want 2 after 1", m.VersionID, m.ArtifactURI, f.effects["version"])
			}
			if m.DisplayName != "Bert" || m.Labels["team"] != "ml" {
				t.Errorf("the new version lost what is the model's: %+v", m)
			}
			// Asking again, as after a kill before the state was written, adds nothing.
			m = must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/2/"), "1", Report{}))
			if m.VersionID != "2" || f.effects["version"] != 1 {
				t.Errorf("the second time: version %s, %d uploads", m.VersionID, f.effects["version"])
			}
			// Going back to earlier content is a version of its own.
			m = must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/1/"), "2", Report{}))
			if m.VersionID != "3" {
				t.Errorf("going back gave version %s, want 3", m.VersionID)
			}
		})
	}
}

// once2 is a fault of the second call of a method.
func once2(method string, err error) func(string, int) error {
	return func(m string, n int) error {
		if m == method && n == 2 {
			return err
		}
		return nil
	}
}

// Labels of a version are merged into those of the model on reading.
func TestLabelsOfAVersionAreRemovedToo(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	f.versions[model("bert", "").String()][0].Labels = map[string]string{"stray": "1", "goog-made": "1", "theirs": "1"}
	want := bert("gs://b/1/")
	want.DropLabels = []string{"stray"}
	m := must[*Model](t)(s.UpdateModel(t.Context(), want, "", Report{}))
	if _, stray := m.Labels["stray"]; stray || m.Labels["team"] != "ml" {
		t.Errorf("labels %v", m.Labels)
	}
	if m.labels["goog-made"] != "1" || m.Labels["theirs"] != "1" {
		t.Errorf("a label that Google or somebody else set is gone: %v", m.labels)
	}
}

func TestDeleteModel(t *testing.T) {
	t.Run("released late", func(t *testing.T) {
		f, s := newFake(t)
		m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		f.lag = 3
		if err := s.DeleteModel(t.Context(), m.Name, m.Object, Report{}); err != nil || len(f.versions) != 0 {
			t.Errorf("error %v, left %v", err, f.versions)
		}
		if err := s.DeleteModel(t.Context(), m.Name, m.Object, Report{}); err != nil {
			t.Errorf("a model that is gone: %v", err)
		}
	})
	t.Run("still deployed", func(t *testing.T) {
		f, s := newFake(t)
		m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		must[*Endpoint](t)(s.CreateEndpoint(t.Context(), reviews("1"), Report{}))
		err := s.DeleteModel(t.Context(), m.Name, m.Object, Report{})
		var still *StillDeployedError
		if !errors.As(err, &still) || !slices.Equal(still.Endpoints, []string{reviews("1").Name.String()}) || len(f.versions) != 1 {
			t.Errorf("error %v, want one that names the endpoint", err)
		}
	})
	t.Run("not ours", func(t *testing.T) {
		f, s := newFake(t)
		m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		err := s.DeleteModel(t.Context(), m.Name, Object{Incarnation: "other", CreateTime: time.Now().Add(-time.Hour)}, Report{})
		if !errors.Is(err, ErrReplaced) || len(f.versions) != 1 {
			t.Errorf("error %v", err)
		}
	})
	t.Run("labels stripped", func(t *testing.T) {
		f, s := newFake(t)
		m := must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
		f.labels[m.Name.String()] = nil
		if err := s.DeleteModel(t.Context(), m.Name, m.Object, Report{}); err != nil || len(f.versions) != 0 {
			t.Errorf("error %v, left %v", err, f.versions)
		}
	})
}

// Every mutating call of a roll-out loses its answer, or is refused because of
// another writer: the end is the same, and nothing happens twice.
func TestRolloutUnderFaults(t *testing.T) {
	for _, method := range []string{"CreateEndpoint", "UpdateEndpoint", "DeployModel", "UndeployModel", "MutateDeployedModel", "GetEndpoint", "GetOperation", "GetModel"} {
		for kind, set := range map[string]func(*fake){
			"answer lost":  func(f *fake) { f.after = once(method, errLost) },
			"request lost": func(f *fake) { f.before = once(method, errLost) },
			"aborted":      func(f *fake) { f.before = once(method, status.Error(codes.Aborted, "concurrent change")) },
			"precondition": func(f *fake) {
				if strings.HasPrefix(method, "Get") {
					return // reading is never refused so
				}
				f.before = once(method, status.Error(codes.FailedPrecondition, "other operations are running"))
			},
		} {
			t.Run(method+" "+kind, func(t *testing.T) {
				t.Parallel()
				f, s := newFake(t)
				must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
				must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/2/"), "1", Report{}))
				f.calls, f.polls = map[string]int{}, 1
				set(f)
				spec := reviews("1")
				if method == "CreateEndpoint" && kind == "precondition" {
					return // nothing can precede a create
				}
				must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
				next := reviews("2") // a roll-out, with a resize after it
				next.Marker, next.Description = spec.Marker, "changed"
				must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), next, Report{}))
				next.Deployments = map[string]Deployment{"main": {Model: model("bert", "2"), Resources: small(1, 3)}}
				e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), next, Report{}))

				if len(e.Deployed) != 1 || e.Deployed[0].Model != model("bert", "2") || e.Traffic[e.Deployed[0].ID] != 100 || e.Deployed[0].Resources.MaxReplicas != 3 || e.Description != "changed" {
					t.Errorf("the end is %+v", e)
				}
				if !e.Deployed[0].SelfMade() {
					t.Error("our own deployment is not recognised, though the server spells the project as a number")
				}
				for effect, want := range map[string]int{"create": 1, "deploy": 2, "undeploy": 1} {
					if f.effects[effect] != want {
						t.Errorf("%s took effect %d times, want %d", effect, f.effects[effect], want)
					}
				}
				if f.effects["mutate"] < 1 {
					t.Error("the resize had no effect")
				}
				if err := s.DeleteEndpoint(t.Context(), spec.Name, e.Object, next.Ours, false, Report{}); err != nil || len(f.endpoints) != 0 {
					t.Errorf("delete: %v, left %v", err, f.endpoints)
				}
			})
		}
	}
}

// What another writer changes between our reading and writing is kept.
func TestAnotherWriterIsNotOverwritten(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	spec := reviews("1")
	must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
	foreign := &pb.DeployedModel{Id: "77", DisplayName: "theirs", Model: model("other", "1").String()}
	spec.Deployments["second"] = Deployment{Model: model("bert", "1"), Resources: small(2, 2)}
	spec.Traffic = map[string]int32{"main": 50, "second": 50}
	f.before = func(method string, _ int) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		e := f.endpoints[spec.Name.String()]
		if method == "UpdateEndpoint" && len(e.GetDeployedModels()) == 2 {
			e.DeployedModels = append(e.GetDeployedModels(), foreign)
			e.TrafficSplit = map[string]int32{e.GetDeployedModels()[0].GetId(): 60, "77": 40}
			f.changed(e)
		}
		return nil
	}
	e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), spec, Report{}))
	if e.Traffic["77"] != 40 || ForeignTraffic(e, spec.Ours) != 40 || len(e.Deployed) != 3 {
		t.Errorf("the end is %+v", e)
	}
	for _, d := range e.Deployed {
		if d.ID != "77" && e.Traffic[d.ID] != 30 {
			t.Errorf("%s has %d, want half of 60", d.Key, e.Traffic[d.ID])
		}
	}
	err := s.DeleteEndpoint(t.Context(), spec.Name, e.Object, spec.Ours, false, Report{})
	var foreignError *ForeignError
	if !errors.As(err, &foreignError) || len(foreignError.Models) != 1 || len(f.endpoints[spec.Name.String()].GetDeployedModels()) != 3 {
		t.Errorf("delete: %v; want a refusal that changes nothing", err)
	}
	if err := s.DeleteEndpoint(t.Context(), spec.Name, e.Object, spec.Ours, true, Report{}); err != nil || len(f.endpoints) != 0 {
		t.Errorf("forced delete: %v", err)
	}
}

func TestFailedDeploymentIsFinal(t *testing.T) {
	f, s := newFake(t)
	broken := bert("gs://b/1/")
	broken.Content.Container.ImageURI = "broken"
	must[*Model](t)(s.UploadModel(t.Context(), broken, Report{}))
	var last *Endpoint
	_, err := s.CreateEndpoint(t.Context(), reviews("1"), Report{Endpoint: func(e *Endpoint) { last = e }})
	var failed *gcp.OperationError
	if !errors.As(err, &failed) || gcp.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "/operations/") || !strings.Contains(err.Error(), `"main"`) {
		t.Errorf("error %v, want the failure with operation, code and deployment", err)
	}
	var notMade *NotMadeError
	if errors.As(err, &notMade) || last == nil || f.calls["DeployModel"] != 1 || len(f.endpoints) != 1 {
		t.Errorf("%d deployments were tried, endpoints %v", f.calls["DeployModel"], f.endpoints)
	}
}

// A cancelled wait ends at once, says which operation goes on, and makes no call.
func TestCancelledRollout(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(method string, _ int) error {
		if method == "DeployModel" {
			f.mu.Lock()
			f.polls = 1_000_000
			f.mu.Unlock()
		}
		return nil
	}
	var operation string
	var cancelled time.Time
	_, err := s.CreateEndpoint(ctx, reviews("1"), Report{
		Operation: func(name string) { operation = name },
		Progress: func(format string, args ...any) {
			if strings.HasPrefix(format, "%s: operation") && strings.Contains(args[0].(string), "deploying") {
				time.AfterFunc(300*time.Millisecond, func() { cancelled = time.Now(); cancel() })
			}
		},
	})
	if took := time.Since(cancelled); took > time.Second {
		t.Errorf("the cancellation took %s", took)
	}
	var wait *gcp.WaitError
	if !errors.As(err, &wait) || !errors.Is(err, context.Canceled) || wait.Name != operation || !gcp.IsInterrupted(ctx, err) {
		t.Errorf("error %v, want one that names the operation %s", err, operation)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.Contains(operation, "/endpoints/reviews/") || f.calls["UndeployModel"]+f.calls["DeleteEndpoint"] != 0 {
		t.Errorf("operation %q, calls %v", operation, f.calls)
	}
}

// An update finds the deployment that an earlier, killed, one has started.
func TestResumedRollout(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	spec := reviews("1")
	must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
	must[*Model](t)(s.UpdateModel(t.Context(), bert("gs://b/2/"), "1", Report{}))
	f.polls = 3
	ctx, cancel := context.WithCancel(t.Context())
	next := reviews("2")
	next.Marker = spec.Marker
	_, err := s.UpdateEndpoint(ctx, next, Report{Operation: func(string) { cancel() }})
	if err == nil {
		t.Fatal("the update was not interrupted")
	}
	e := must[*Endpoint](t)(s.UpdateEndpoint(t.Context(), next, Report{}))
	if len(e.Deployed) != 1 || e.Deployed[0].Model.Version != "2" || f.effects["deploy"] != 2 || f.calls["DeployModel"] != 2 {
		t.Errorf("%+v after %d deployments", e.Deployed, f.calls["DeployModel"])
	}
}

func TestReplacedEndpointIsNotDeleted(t *testing.T) {
	f, s := newFake(t)
	must[*Model](t)(s.UploadModel(t.Context(), bert("gs://b/1/"), Report{}))
	spec := reviews("1")
	must[*Endpoint](t)(s.CreateEndpoint(t.Context(), spec, Report{}))
	err := s.DeleteEndpoint(t.Context(), spec.Name, Object{Incarnation: "another", CreateTime: time.Unix(1, 0)}, spec.Ours, true, Report{})
	if !errors.Is(err, ErrReplaced) || len(f.endpoints[spec.Name.String()].GetDeployedModels()) != 1 {
		t.Errorf("error %v", err)
	}
}
