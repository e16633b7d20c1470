// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gcpml/terraform-provider-gcpml/emulator"
)

// cli runs one of Google's command line tools.
type cli struct {
	path string
	args []string
	env  []string
}

// run returns what a command that must succeed printed on standard output.
func (c cli) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", c.path, strings.Join(args, " "), err, out)
	}
	return out
}

// try returns standard output or, after a failure, everything that was printed.
func (c cli) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.path, append(append([]string{}, c.args...), args...)...)
	cmd.Env = c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

func newBQ(t *testing.T, srv *emulator.Server) cli {
	t.Helper()
	g := newGcloud(t, srv)
	path, err := exec.LookPath("bq")
	if err != nil {
		t.Skip("bq is not installed: its conformance is not tested")
	}
	return cli{path: path, args: []string{"--api=http://" + srv.Addr, "--project_id=" + projectID, "--quiet", "--headless"}, env: g.env}
}

// The BigQuery half of the tutorial by bq, as the tutorial prints it, and the grant
// by gcloud.
func TestBQWalksTheTutorial(t *testing.T) {
	srv := start(t, emulator.Options{})
	newVertex(t, srv).serve(t, "reviews")
	bq := newBQ(t, srv)
	g := newGcloud(t, srv)
	gcloud := cli{path: g.path, env: append(g.env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER=http://"+srv.Addr+"/")}

	bq.run(t, "mk", "--dataset", "--location=US", "--description", "BigQuery ML tutorial dataset.", "bqml_tutorial")
	if out := bq.run(t, "ls"); !strings.Contains(out, "bqml_tutorial") {
		t.Errorf("ls: %s", out)
	}
	bq.run(t, "mk", "--connection", "--location=US", "--project_id="+projectID, "--connection_type=CLOUD_RESOURCE", "bqml_tutorial")
	if out, err := bq.try(t, "mk", "--connection", "--location=US", "--project_id="+projectID, "--connection_type=CLOUD_RESOURCE", "bqml_tutorial"); err == nil || !strings.Contains(out, "Already Exists") {
		t.Errorf("mk of an existing connection: %v %s", err, out)
	}
	var c struct {
		CloudResource struct {
			ServiceAccountID string `json:"serviceAccountId"`
		} `json:"cloudResource"`
	}
	if err := json.Unmarshal([]byte(bq.run(t, "--format=json", "show", "--connection", projectID+".us.bqml_tutorial")), &c); err != nil || c.CloudResource.ServiceAccountID == "" {
		t.Fatalf("show --connection: %+v %v", c, err)
	}
	if out := bq.run(t, "ls", "--connection", "--location=US", "--project_id="+projectID); !strings.Contains(out, c.CloudResource.ServiceAccountID) {
		t.Errorf("ls --connection: %s", out)
	}

	key := func() string {
		var c struct{ KMSKeyName string }
		if err := json.Unmarshal([]byte(bq.run(t, "--format=json", "show", "--connection", projectID+".us.encrypted")), &c); err != nil {
			t.Fatal(err)
		}
		return c.KMSKeyName
	}
	const ring = "projects/k/locations/us/keyRings/r/cryptoKeys/"
	bq.run(t, "mk", "--connection", "--location=US", "--project_id="+projectID, "--connection_type=CLOUD_RESOURCE", "--kms_key_name="+ring+"one", "encrypted")
	if got := key(); got != ring+"one" {
		t.Errorf("mk --connection --kms_key_name: %q", got)
	}
	for _, want := range []string{ring + "two", ""} {
		bq.run(t, "update", "--connection", "--kms_key_name="+want, projectID+".us.encrypted")
		if got := key(); got != want {
			t.Errorf("update --connection --kms_key_name=%s: %q", want, got)
		}
	}
	bq.run(t, "rm", "-f", "--connection", projectID+".us.encrypted")

	query := func(sql string) []string { return []string{"--format=json", "query", "--nouse_legacy_sql", sql} }
	if out, err := bq.try(t, query(remoteModel("bqml_tutorial", "reviews"))...); err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), "does not have the permission to access") {
		t.Errorf("CREATE MODEL without a grant: %v %s", err, out)
	}
	gcloud.run(t, "projects", "add-iam-policy-binding", projectID, "--member=serviceAccount:"+c.CloudResource.ServiceAccountID, "--role=roles/aiplatform.user", "--condition=None")
	if out := gcloud.run(t, "projects", "get-iam-policy", projectID); !strings.Contains(out, "roles/aiplatform.user") || !strings.Contains(out, c.CloudResource.ServiceAccountID) {
		t.Errorf("get-iam-policy: %s", out)
	}
	bq.run(t, query(remoteModel("bqml_tutorial", "reviews"))...)
	if out := bq.run(t, "ls", "-m", "bqml_tutorial"); !strings.Contains(out, "bert_sentiment") {
		t.Errorf("ls -m: %s", out)
	}
	if out := bq.run(t, "--format=json", "show", "-m", "bqml_tutorial.bert_sentiment"); !strings.Contains(out, "remoteModelInfo") || !strings.Contains(out, "/endpoints/reviews") {
		t.Errorf("show -m: %s", out)
	}
	bq.run(t, "update", "-m", "--set_label", "a:b", "--description", "BQML tutorial model", "bqml_tutorial.bert_sentiment")
	if out := bq.run(t, "--format=json", "show", "-m", "bqml_tutorial.bert_sentiment"); !strings.Contains(out, "BQML tutorial model") {
		t.Errorf("show -m after update: %s", out)
	}

	bq.run(t, query("CREATE TABLE bqml_tutorial.reviews AS SELECT 1 AS id, 'I loved every minute' AS review UNION ALL SELECT 2, 'A terrible, dull mess'")...)
	var rows []struct {
		ID     string   `json:"id"`
		Scores []string `json:"scores"`
		Status *string  `json:"remote_model_status"`
	}
	out := bq.run(t, query("SELECT id, scores, remote_model_status FROM ML.PREDICT(MODEL `"+projectID+".bqml_tutorial.bert_sentiment`, (SELECT id, review AS text FROM `bqml_tutorial.reviews`)) ORDER BY id")...)
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(rows) != 2 || len(rows[0].Scores) != 1 || len(rows[1].Scores) != 1 || rows[0].Scores[0] <= rows[1].Scores[0] || rows[0].Status != nil {
		t.Errorf("predictions %+v", rows)
	}
	if out := bq.run(t, "query", "--nouse_legacy_sql", "--dry_run", "SELECT * FROM bqml_tutorial.reviews"); !strings.Contains(out, "successfully validated") {
		t.Errorf("dry run: %s", out)
	}
	if out := bq.run(t, "head", "bqml_tutorial.reviews"); !strings.Contains(out, "terrible") {
		t.Errorf("head: %s", out)
	}
	file := filepath.Join(t.TempDir(), "more.csv")
	if err := os.WriteFile(file, []byte("id,review\n3,\"Fine, I guess\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bq.run(t, "load", "--source_format=CSV", "--skip_leading_rows=1", "bqml_tutorial.reviews", file, "id:INTEGER,review:STRING")
	if out := bq.run(t, "--format=csv", "query", "--nouse_legacy_sql", "SELECT review FROM bqml_tutorial.reviews WHERE id = 3"); !strings.Contains(out, "Fine, I guess") {
		t.Errorf("after load: %s", out)
	}
	if out := bq.run(t, "ls", "-j"); strings.Count(out, "bqjob_") < 4 {
		t.Errorf("ls -j: %s", out)
	}

	bq.run(t, "rm", "-f", "-m", "bqml_tutorial.bert_sentiment")
	if out, err := bq.try(t, "show", "-m", "bqml_tutorial.bert_sentiment"); err == nil || !strings.Contains(out, "Not found") {
		t.Errorf("show -m after rm: %v %s", err, out)
	}
	bq.run(t, "rm", "-r", "-f", "-d", "bqml_tutorial")
	bq.run(t, "rm", "-f", "--connection", projectID+".us.bqml_tutorial")
	gcloud.run(t, "projects", "remove-iam-policy-binding", projectID, "--member=serviceAccount:"+c.CloudResource.ServiceAccountID, "--role=roles/aiplatform.user", "--condition=None")
	for _, section := range []string{"datasets", "remote_models", "connections", "iam_bindings"} {
		if left := inventory(t, srv, section); len(left) != 0 {
			t.Errorf("left over in %s: %s", section, fmt.Sprint(left))
		}
	}
}
