// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package serving

import (
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gcpml/terraform-provider-gcpml/emulator/internal/clock"
)

const prebuilt = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"

func catalog(t *testing.T, mappings ...string) *Catalog {
	t.Helper()
	c, err := NewCatalog(mappings, clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.startFor = 250 * time.Millisecond
	return c
}

func value(t *testing.T, v any) *structpb.Value {
	t.Helper()
	out, err := structpb.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func refused(t *testing.T, err error, code codes.Code, part string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), part) {
		t.Errorf("error %v: want %v with %q in it", err, code, part)
	}
}

func TestTutorialImages(t *testing.T) {
	for image, want := range map[string]bool{
		prebuilt: true,
		"europe-docker.pkg.dev/vertex-ai/prediction/tf2-gpu.2-15:latest":  true,
		"asia-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-9:latest":     true,
		"us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-3:latest":   false,
		"us-docker.pkg.dev/acme/prediction/tf2-cpu.2-15:latest":           false,
		"evil.example/us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-1": false,
	} {
		_, err := catalog(t).Start(t.Context(), Container{ImageURI: image, ArtifactURI: "gs://b/m/"})
		if (err == nil) != want {
			t.Errorf("%s: served %v, want %v", image, err == nil, want)
		}
	}
	_, err := catalog(t).Start(t.Context(), Container{ImageURI: prebuilt})
	refused(t, err, codes.InvalidArgument, "artifact_uri")
}

// The stand-in puts praise above and slating below the middle, keeps to [0, 1],
// and can be asked from many sides at once.
func TestSentiment(t *testing.T) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for text, side := range map[string]float64{
				"An excellent, moving film. I loved it!": 1, "The worst film ever: boring and stupid.": -1, "": 0, "xyzzy": 0,
			} {
				out, err := sentiment{}.Predict(t.Context(), []*structpb.Value{value(t, map[string]any{"text": text})}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				list := out[0].GetListValue().GetValues()
				if len(list) != 1 {
					t.Errorf("%q: %v, want one score", text, out[0])
					return
				}
				score := list[0].GetNumberValue()
				if math.IsNaN(score) || score < 0 || score > 1 || (score-0.5)*side < 0 || (side == 0 && score != 0.5) {
					t.Errorf("%q: %v", text, score)
				}
			}
		})
	}
	group.Wait()
}

func TestSentimentRefusesBadInstances(t *testing.T) {
	for _, c := range []struct {
		instance any
		part     string
	}{
		{map[string]any{}, `missing named input "text"`},
		{map[string]any{"text": 5.0}, `"text" must be a string`},
		{map[string]any{"text": nil}, `"text" must be a string`},
		{map[string]any{"review": "x"}, `"review"`},
		{7.0, `"text"`},
		{nil, `"text"`},
	} {
		_, err := sentiment{}.Predict(t.Context(), []*structpb.Value{value(t, "fine"), value(t, c.instance)}, nil)
		refused(t, err, codes.InvalidArgument, c.part)
		refused(t, err, codes.InvalidArgument, "element: 1")
	}
}

func TestMappingsAreChecked(t *testing.T) {
	for _, bad := range []string{"image", "=http://127.0.0.1:1", "i=127.0.0.1:1", "i=https://127.0.0.1", "i=http://example.com", "i=http://10.0.0.1", "i=http://u:p@127.0.0.1:1", "i="} {
		if _, err := NewCatalog([]string{bad}, clock.Real{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--model-server") {
			t.Errorf("%q: %v, want an error naming --model-server", bad, err)
		}
	}
	catalog(t, "i*=http://127.0.0.1:8080", "j=http://localhost:1/base", "k=http://[::1]:9")
}

// The contract of a custom container: its routes, its JSON, its errors.
func TestURLServer(t *testing.T) {
	model := http.NewServeMux()
	healthy := false
	model.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !healthy {
			healthy = true // the second probe finds it up
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	model.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Instances  []float64
			Parameters struct{ Mode string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		switch in.Parameters.Mode {
		case "bad":
			http.Error(w, "shape mismatch", http.StatusBadRequest)
		case "crash":
			http.Error(w, "boom", http.StatusInternalServerError)
		case "odd":
			_, _ = w.Write([]byte(`{"outputs": []}`))
		case "text":
			_, _ = w.Write([]byte(`oops`))
		default:
			for i := range in.Instances {
				in.Instances[i] *= 2
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"predictions": in.Instances})
		}
	})
	srv := httptest.NewServer(model)
	defer srv.Close()
	server, err := catalog(t, "us-docker.pkg.dev/acme/*="+srv.URL).Start(t.Context(),
		Container{ImageURI: "us-docker.pkg.dev/acme/double:1", PredictRoute: "/predict", HealthRoute: "/healthz"})
	if err != nil {
		t.Fatal(err)
	}
	predict := func(mode string) ([]*structpb.Value, error) {
		return server.Predict(t.Context(), []*structpb.Value{value(t, 1.0), value(t, 2.5)}, value(t, map[string]any{"mode": mode}))
	}
	out, err := predict("")
	if err != nil || len(out) != 2 || out[0].GetNumberValue() != 2 || out[1].GetNumberValue() != 5 {
		t.Errorf("%v, %v", out, err)
	}
	for mode, want := range map[string]struct {
		code codes.Code
		part string
	}{
		"bad": {codes.InvalidArgument, "shape mismatch"}, "crash": {codes.Internal, "boom"},
		"odd": {codes.Internal, `"predictions"`}, "text": {codes.Internal, "oops"},
	} {
		_, err := predict(mode)
		refused(t, err, want.code, want.part)
	}
	srv.Close()
	_, err = predict("")
	refused(t, err, codes.Unavailable, "does not answer")
}

func TestUnreachableServerFailsTheStart(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	container := Container{ImageURI: "us-docker.pkg.dev/acme/x:1", PredictRoute: "/p", HealthRoute: "/h"}
	c := catalog(t, "us-docker.pkg.dev/acme/*="+srv.URL)
	_, err := c.Start(t.Context(), container)
	refused(t, err, codes.FailedPrecondition, "404")
	srv.Close()
	_, err = c.Start(t.Context(), container)
	refused(t, err, codes.FailedPrecondition, "Model server exited unexpectedly")
	refused(t, err, codes.FailedPrecondition, srv.URL+"/h")
	refused(t, err, codes.FailedPrecondition, container.ImageURI)
	_, err = c.Start(t.Context(), Container{ImageURI: "us-docker.pkg.dev/other/x:1"})
	refused(t, err, codes.FailedPrecondition, "--model-server us-docker.pkg.dev/other/x:1=")
}
