// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gcpml/terraform-provider-gcpml/internal/query"
)

// scorer is a model server: the score of a text is its length in bytes. Texts that
// start with a word of its own make it misbehave:
//
//	poison     fails every request that holds it
//	busy N     fails the first N requests that hold it as overloaded
//	moody N    fails the first N requests that hold it for good, as it says
//	empty N    has no score the first N times
//	malformed  has a score of another type, always
type scorer struct {
	URL string

	mu       sync.Mutex
	scored   map[string]int // how often each text got an answer
	failed   map[string]int // how often each text misbehaved
	gate     chan struct{}  // if not nil, requests wait until it is closed
	waiting  chan struct{}  // told of each request that waits
	requests []int          // the sizes in bytes
}

func newScorer(t *testing.T) *scorer {
	s := &scorer{scored: map[string]int{}, failed: map[string]int{}, waiting: make(chan struct{}, 1000)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *scorer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return // the health check
	}
	var in struct {
		Instances []struct{ Text *string }
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		s.waiting <- struct{}{}
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, len(body))
	// tired reports whether a text may misbehave once more.
	tired := func(text string, word string) bool {
		limit, found := strings.CutPrefix(text, word+" ")
		n, _ := strconv.Atoi(strings.Fields(limit + " 0")[0])
		if !found || s.failed[text] >= n {
			return false
		}
		s.failed[text]++
		return true
	}
	predictions := []any{}
	code, reason := 0, ""
	for _, i := range in.Instances {
		if i.Text == nil {
			code, reason = http.StatusBadRequest, "text is null"
			continue
		}
		text := *i.Text
		score := any(len(text))
		switch {
		case strings.HasPrefix(text, "poison"), tired(text, "moody"):
			code, reason = http.StatusBadRequest, "cannot take "+text
		case tired(text, "busy"):
			code, reason = http.StatusTooManyRequests, "overloaded"
		case tired(text, "empty"):
			score = nil
		case strings.HasPrefix(text, "malformed"):
			score = "high"
		}
		predictions = append(predictions, map[string]any{"score": score})
	}
	if code != 0 {
		http.Error(w, reason, code)
		return
	}
	for _, i := range in.Instances {
		s.scored[*i.Text]++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"predictions": predictions})
}

const scorerImage = "us-docker.pkg.dev/acme/models/scorer"

// emulatorBinary is what the tests here need: a model server is a flag of the emulator,
// so it has to be one of their own.
func emulatorBinary(t *testing.T) string {
	bin := os.Getenv("GCPML_EMULATOR_BIN")
	if bin == "" {
		t.Skip("a model server needs an emulator of its own: set GCPML_EMULATOR_BIN to the binary (make test does)")
	}
	return bin
}

func (s *scorer) flags() []string { return []string{"--model-server", scorerImage + "*=" + s.URL} }

// predicting starts an emulator that serves a scorer.
func predicting(t *testing.T) (host string, s *scorer) {
	bin := emulatorBinary(t)
	s = newScorer(t)
	return startEmulator(t, bin, s.flags()...), s
}

// deployScorer makes the remote model d.score (text STRING → score FLOAT64) in a project
// and its dataset d.
func deployScorer(host, project string) error {
	create, err := prepareScorer(host, project)
	if err == nil {
		_, err = apiCaller{"http://" + host}.sql(project, create)
	}
	return err
}

// prepareScorer does all of that but the last step, the statement it returns. The
// grant to the connection's account is what it does last.
func prepareScorer(host, project string) (create string, err error) {
	api := apiCaller{"http://" + host}
	if _, err := api.sql(project, "CREATE SCHEMA d OPTIONS (location = 'US')"); err != nil {
		return "", err
	}
	vertex := "/v1/projects/" + project + "/locations/us-central1"
	steps := []struct {
		method, path string
		body         any
		operation    bool
	}{
		{"POST", vertex + "/models:upload", object{"modelId": "scorer", "model": object{
			"displayName": "scorer", "containerSpec": object{"imageUri": scorerImage + ":1", "predictRoute": "/predict", "healthRoute": "/health"},
		}}, true},
		{"POST", vertex + "/endpoints?endpointId=100", object{"displayName": "scorer"}, true},
		{"POST", vertex + "/endpoints/100:deployModel", object{"trafficSplit": object{"1": 100}, "deployedModel": object{
			"id": "1", "displayName": "main", "model": strings.TrimPrefix(vertex, "/v1/") + "/models/scorer",
			"dedicatedResources": object{"machineSpec": object{"machineType": "n1-standard-2"}, "minReplicaCount": 1},
		}}, true},
	}
	for _, s := range steps {
		answer, err := api.call(s.method, s.path, s.body)
		for err == nil && s.operation && answer["done"] != true {
			time.Sleep(5 * time.Millisecond)
			answer, err = api.call("GET", "/v1/"+fmt.Sprint(answer["name"]), nil)
		}
		if err == nil && answer["error"] != nil {
			err = fmt.Errorf("%s %s: %v", s.method, s.path, answer["error"])
		}
		if err != nil {
			return "", err
		}
	}
	connection, err := api.call("POST", "/v1/projects/"+project+"/locations/us/connections?connectionId=c", object{"cloudResource": object{}})
	if err != nil {
		return "", err
	}
	account := connection["cloudResource"].(map[string]any)["serviceAccountId"].(string)
	if _, err := api.call("POST", "/v1/projects/"+project+":setIamPolicy", object{"policy": object{"bindings": []any{
		object{"role": "roles/aiplatform.user", "members": []any{"serviceAccount:" + account}},
	}}}); err != nil {
		return "", err
	}
	return "CREATE MODEL `" + project + ".d.score` INPUT (text STRING) OUTPUT (score FLOAT64) REMOTE WITH CONNECTION `" + project + ".us.c` OPTIONS (ENDPOINT = 'https://us-central1-aiplatform.googleapis.com" + vertex + "/endpoints/100')", nil
}

type object = map[string]any

// apiCaller calls the emulator without any client library.
type apiCaller struct{ base string }

func (a apiCaller) call(method, path string, body any) (object, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, a.base+path, reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %d %s %w", method, path, response.StatusCode, text, err)
	}
	out := object{}
	if len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	return out, err
}

// sql runs a statement and returns the values of its rows.
func (a apiCaller) sql(project, sql string) ([][]any, error) {
	answer, err := a.call("POST", "/bigquery/v2/projects/"+project+"/queries", object{"query": sql, "useLegacySql": false})
	if err != nil {
		return nil, err
	}
	if answer["jobComplete"] != true {
		return nil, fmt.Errorf("%s is not done", sql)
	}
	rows, _ := answer["rows"].([]any)
	out := make([][]any, len(rows))
	for i, row := range rows {
		for _, cell := range row.(object)["f"].([]any) {
			out[i] = append(out[i], cell.(object)["v"])
		}
	}
	return out, nil
}

// tables are the tables of dataset d.
func (a apiCaller) tables(project string) (names []string, err error) {
	answer, err := a.call("GET", "/bigquery/v2/projects/"+project+"/datasets/d/tables", nil)
	if err != nil {
		return nil, err
	}
	all, _ := answer["tables"].([]any)
	for _, t := range all {
		names = append(names, t.(object)["tableReference"].(object)["tableId"].(string))
	}
	slices.Sort(names)
	return names, nil
}

// TestPredict runs the scripts of "gcpml predict", each with an emulator of its own and
// the scorer as the remote model d.score.
func TestPredict(t *testing.T) {
	bin, scorer := emulatorBinary(t), newScorer(t)
	commands := maps.Clone(scriptCommands)
	// tables NAME… checks which tables the dataset has.
	commands["tables"] = func(ts *testscript.TestScript, _ bool, want []string) {
		got, err := apiCaller{"http://" + ts.Getenv("GCPML_EMULATOR_HOST")}.tables(ts.Getenv("GOOGLE_PROJECT"))
		ts.Check(err)
		if !slices.Equal(got, want) {
			ts.Fatalf("the tables are %q, want %q", got, want)
		}
	}
	const token = "a token of the tests"
	// refuse METHOD CODE makes the emulator answer every such call with an error.
	commands["refuse"] = func(ts *testscript.TestScript, _ bool, args []string) {
		fault, err := json.Marshal(object{"method": args[0], "times": -1, "action": "status", "status": object{"code": args[1], "message": "refused by the test"}})
		ts.Check(err)
		request, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("GCPML_EMULATOR_HOST")+"/_emulator/faults", bytes.NewReader(fault))
		ts.Check(err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		ts.Check(err)
		response.Body.Close()
		if response.StatusCode/100 != 2 {
			ts.Fatalf("the fault was answered %s", response.Status)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/predict", Cmds: commands, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			host, stop, err := launchEmulator(bin, t.Output(), append(scorer.flags(), "--enable-faults", "--fault-token", token)...)
			if err != nil {
				return err
			}
			env.Defer(stop)
			project := "script-" + query.NewRunID()
			env.Setenv("GCPML_EMULATOR_HOST", host)
			env.Setenv("GOOGLE_PROJECT", project)
			return deployScorer(host, project)
		},
	})
}

// killed is a run of "gcpml predict" in chunks that is stopped while a job of the third
// chunk waits for the model server, and then begun again.
type killed struct {
	host, project string
	scorer        *scorer
}

func (k *killed) command(ctx context.Context, arguments ...string) *exec.Cmd {
	all := append([]string{"predict", "--model", "d.score", "--table", "d.reviews", "--key", "id", "--into", "d.scores", "--chunk-rows", "60", "--retry-delay", "10ms"}, arguments...)
	cmd := exec.CommandContext(ctx, "gcpml", all...)
	cmd.Env = append(os.Environ(), "GCPML_EMULATOR_HOST="+k.host, "GOOGLE_PROJECT="+k.project)
	return cmd
}

// begin starts the command and returns when its job of the third chunk waits.
func (k *killed) begin(ctx context.Context, t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	k.host, k.scorer = predicting(t)
	k.project = "kill-" + query.NewRunID()
	if err := deployScorer(k.host, k.project); err != nil {
		t.Fatal(err)
	}
	if _, err := (apiCaller{"http://" + k.host}).sql(k.project, "CREATE TABLE d.reviews AS SELECT id, CONCAT('review ', CAST(id AS STRING)) AS text FROM UNNEST(GENERATE_ARRAY(1, 300)) AS id"); err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	close(open)
	k.scorer.gate = open
	var shut chan struct{}
	cmd := k.command(ctx)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-k.scorer.waiting
	}
	k.scorer.mu.Lock()
	shut = make(chan struct{})
	k.scorer.gate = shut
	k.scorer.mu.Unlock()
	t.Cleanup(sync.OnceFunc(func() {
		k.scorer.mu.Lock()
		defer k.scorer.mu.Unlock()
		if k.scorer.gate != nil {
			close(shut)
		}
	}))
	select {
	case <-k.scorer.waiting:
	case <-ctx.Done():
		t.Fatalf("no third request: %s", &stderr)
	}
	return cmd, &stderr
}

// release lets the model server answer again.
func (k *killed) release() {
	k.scorer.mu.Lock()
	defer k.scorer.mu.Unlock()
	close(k.scorer.gate)
	k.scorer.gate = nil
}

// complete checks that every key is in the target once, with its own score, and that
// the work tables are gone.
func (k *killed) complete(t *testing.T) {
	api := apiCaller{"http://" + k.host}
	rows, err := api.sql(k.project, "SELECT COUNT(*), COUNT(DISTINCT id), COUNTIF(score = LENGTH(text) AND remote_model_status IS NULL), MIN(id), MAX(id) FROM d.scores")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(rows[0]); got != "[300 300 300 1 300]" {
		t.Errorf("rows, keys, right scores, first, last: %s", got)
	}
	if tables, err := api.tables(k.project); err != nil || !slices.Equal(tables, []string{"reviews", "scores"}) {
		t.Errorf("the tables are %q, %v", tables, err)
	}
}

// Killed without any chance to tidy up, the same command goes on: also with the job
// that was running, so that no row was predicted twice in the end.
func TestPredictKilled(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	k := &killed{}
	cmd, _ := k.begin(ctx, t)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	again := k.command(ctx, "--report", "-")
	var stdout, stderr bytes.Buffer
	again.Stdout, again.Stderr = &stdout, &stderr
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	k.release()
	if err := again.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var report struct {
		Rows, OK, Failed int
		Resumed, Written bool
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || report.Rows != 300 || report.OK != 300 || !report.Resumed || !report.Written {
		t.Errorf("report %s, %v", &stdout, err)
	}
	k.complete(t)
	for text, n := range k.scorer.scored {
		if n != 1 {
			t.Errorf("%q was predicted %d times", text, n)
		}
	}
	if len(k.scorer.scored) != 300 {
		t.Errorf("%d texts were predicted", len(k.scorer.scored))
	}
}

// Ctrl-C cancels the job on the server; the same command goes on.
func TestPredictInterrupted(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	k := &killed{}
	cmd, stderr := k.begin(ctx, t)
	begun := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupt || !strings.Contains(stderr.String(), "BigQuery was asked to cancel job "+k.project+":") ||
		!strings.Contains(stderr.String(), "the same command goes on from here") {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("Ctrl-C took %s", took)
	}
	k.release()
	if out, err := k.command(ctx).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k.complete(t)
}

// A file that would not fit into one parameter goes in several jobs, in its order.
func TestPredictLargeFile(t *testing.T) {
	host, scorer := predicting(t)
	project := "file-" + query.NewRunID()
	if err := deployScorer(host, project); err != nil {
		t.Fatal(err)
	}
	var content, want strings.Builder
	content.WriteString("text,n\n")
	for i := range 60 {
		fmt.Fprintf(&content, "%s,%d\n", strings.Repeat("x", 100_000+i), i)
		fmt.Fprintf(&want, "%d,%d\n", 100_000+i, i)
	}
	file := filepath.Join(t.TempDir(), "large.csv")
	if err := os.WriteFile(file, []byte(content.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "gcpml", "predict", "--model", "d.score", file, "--format", "json")
	cmd.Env = append(os.Environ(), "GCPML_EMULATOR_HOST="+host, "GOOGLE_PROJECT="+project)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Score float64
		N     string
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&got, "%.0f,%s\n", r.Score, r.N)
	}
	if got.String() != want.String() {
		t.Errorf("got %s", &got)
	}
	for _, n := range scorer.requests {
		if n > 1_500_000 {
			t.Errorf("a request of %d bytes", n)
		}
	}
}
